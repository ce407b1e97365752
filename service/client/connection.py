"""One server over HTTP: what is asked is answered as asked for, or an error of ours."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import httpx
from httpx_sse import EventSource

from service.client.access import Access
from service.client.refusal import no_server, refusal, unreachable

_CONNECT_S = 5.0
_ANSWER_S = 60.0
# Tables and pages of a large sweep are made when they are asked for, one at a time; to delete one
# takes its time too.
LONG_S = 900.0


class Connection:
    """Asks one server; for one thread.

    Args:
        access: Which one, and the token it is shown.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._url = access.url
        token = access.token
        self._client = httpx.Client(
            base_url=f"{access.url}/v1/",
            headers={"Authorization": f"Bearer {token}"} if token is not None else {},
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            # A redirect could lead the token to another host.
            follow_redirects=False,
            # Nor is it shown to a proxy of the environment's, unless in a tunnel.
            trust_env=access.is_encrypted,
        )

    def json(
        self, method: str, path: str, keys: Iterable[str], **asked: Any
    ) -> tuple[int, dict[str, Any]]:
        """The status, and the JSON object with at least these keys, that a call answers.

        Raises as ``answer``.
        """
        response = self.answer(method, path, **asked)
        self._check_is("application/json", response)
        return response.status_code, self._parsed(response, response.text, keys)

    def answer(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        origin: str = "",
        patience_s: float = _ANSWER_S,
    ) -> httpx.Response:
        """The answer to a call, if it is a success.

        Args:
            method: ``GET``, ``POST``, ...
            path: Below ``/v1/``.
            body: Sent as JSON.
            headers: Further ones.
            params: Of the URL.
            origin: What to call the sweep file in the body, in messages.
            patience_s: How long the answer is waited for.

        Raises:
            UserError: If it was refused, or no server of ours is there.
            ServerAwayError: If it does not answer now, or refuses for now.
            ServerError: If it failed.
        """
        with self._reaching():
            response = self._client.request(
                method,
                path,
                json=body,
                headers=headers,
                params=params,
                timeout=httpx.Timeout(patience_s, connect=_CONNECT_S),
            )
        self._check(response, origin)
        return response

    def text(self, path: str, params: Mapping[str, str | int]) -> str:
        """What a call answers as plain text; raises as ``answer``."""
        response = self.answer("GET", path, params=params)
        self._check_is("text/plain", response)
        return response.text

    def download(self, path: str, kind: str, file: BinaryIO) -> None:
        """Write what a call answers into a file, as it comes; raises as ``answer``.

        Args:
            path: Below ``/v1/``.
            kind: The media type that it must have.
            file: Open for writing; holds a part of the answer if this raises.

        Raises:
            OSError: If the file cannot be written.
        """
        with self._streaming(path, LONG_S) as response:
            self._check_is(kind, response)
            chunks = response.iter_bytes()
            # The file is written outside: its errors are not the server's.
            while (chunk := self._next(chunks)) is not None:
                file.write(chunk)

    def events(self, path: str, kind: str, keys: Iterable[str]) -> Generator[dict[str, Any]]:
        """The JSON objects of one kind of server-sent events, until the server ends them.

        Raises as ``answer``; ServerAwayError also if they break off.
        """
        with self._streaming(path, _ANSWER_S) as response:
            self._check_is("text/event-stream", response)
            events = EventSource(response).iter_sse()
            while (event := self._next(events)) is not None:
                if event.event == kind:
                    yield self._parsed(response, event.data, keys)

    @contextmanager
    def _streaming(self, path: str, patience_s: float) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(patience_s, connect=_CONNECT_S)
        request = self._client.build_request("GET", path, timeout=timeout)
        with self._reaching():
            response = self._client.send(request, stream=True)
        try:
            if not response.is_success:
                with self._reaching():
                    response.read()
            self._check(response, "")
            yield response
        finally:
            response.close()

    def _next(self, parts: Iterator[Any]) -> Any:
        """The next part of an answer, or None at its end."""
        with self._reaching():
            return next(parts, None)

    def _parsed(self, response: httpx.Response, text: str, keys: Iterable[str]) -> dict[str, Any]:
        """The JSON object, of an answer or of one of its events."""
        try:
            content = json.loads(text)
        except ValueError as error:
            raise no_server(response, self._url) from error
        if not isinstance(content, dict) or not content.keys() >= set(keys):
            raise no_server(response, self._url)
        return content

    def _check(self, response: httpx.Response, origin: str) -> None:
        if not response.is_success:
            raise refusal(response, self._access, origin)

    def _check_is(self, kind: str, response: httpx.Response) -> None:
        if response.headers.get("content-type", "").partition(";")[0].strip() != kind:
            raise no_server(response, self._url)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Tell of a server that is not reached, or not to the end of its answer."""
        try:
            yield
        except httpx.RequestError as error:
            raise unreachable(error, self._url) from error
