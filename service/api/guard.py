"""Who gets in: every call but the open ones bears a good token, and none asks too often.

Pure ASGI, and around everything else: whoever bears no token learns nothing of what there is.
"""

import logging
import time
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import origins
from service.api.backing import Backing
from service.api.pages import cookie
from service.api.pages.paths import is_open_page, is_page
from service.api.problems import ForbiddenError, TooManyCallsError, UnauthorizedError, answer_of
from service.api.rates import Rates
from service.errors import MonosweepError
from service.ledger import audit, sessions, tokens
from service.ledger.audit import Deed
from service.ledger.text import kept_text
from service.ledger.tokens import Caller

OPEN = frozenset({"/openapi.json", "/v1/health", "/v1/ready"})
# Who asks where no token is needed.
LOCAL = Caller("local", "admin")
LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_CHARS = 64
_MOST_MET = 10_000

logger = logging.getLogger("monosweep")


class Guard:
    """Lets callers in, counts what they ask for, and records what they did.

    Args:
        app: What is guarded.
        backing: Of the app.
        needs_token: Whether a token is asked for; without, everybody is ``local``, an admin.
    """

    def __init__(self, app: ASGIApp, backing: Backing, *, needs_token: bool) -> None:
        self._app = app
        self._backing = backing
        self._needs_token = needs_token
        limits = backing.limits
        self._rates = Rates(limits.calls_per_s, limits.calls_at_once)
        self._strangers = Rates(limits.strangers_per_s, limits.calls_at_once)
        # Hashes of what has let somebody in: who was here before is no stranger.
        self._met: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, is_noted = time.monotonic(), False

        async def noted(message: Message) -> None:
            nonlocal is_noted
            if message["type"] == "http.response.start":
                is_noted = True
                # A browser takes it for nothing but what it says it is.
                MutableHeaders(scope=message).setdefault("X-Content-Type-Options", "nosniff")
                await self._note(scope, message["status"], time.monotonic() - began)
            await send(message)

        try:
            await self._let_in(scope)
        except MonosweepError as error:
            await answer_of(error)(scope, receive, noted)
            return
        try:
            await self._app(scope, receive, noted)
        finally:
            # What nobody foresaw is answered further out.
            if not is_noted:
                await self._note(scope, 500, time.monotonic() - began)

    async def _let_in(self, scope: Scope) -> None:
        """Find out who asks, and whether not too often.

        Raises:
            UnauthorizedError: If it bears no good token, or a page no session.
            ForbiddenError: If another site had a browser send it.
            TooManyCallsError: If it asks too often.
            LedgerAwayError: If nobody can tell.
        """
        scope.setdefault("state", {})
        path, headers = scope["path"], Headers(scope=scope)
        is_change = scope["method"] not in LOOKING
        if not self._needs_token:
            self._check_local(scope, is_change=is_change)
        if path in OPEN:
            return
        secret = _secret(path, headers)
        caller = await self._caller(path, secret, _address(scope)) if self._needs_token else LOCAL
        if caller is not None:
            _take(self._rates, caller.name)
            scope["state"]["caller"] = caller

            async def is_still_let_in() -> bool:
                return not self._needs_token or caller == await self._known(path, secret)

            scope["state"]["is_still_let_in"] = is_still_let_in
        elif not is_open_page(path):
            raise UnauthorizedError
        if is_change and is_page(path):
            origins.check_page(headers)

    def _check_local(self, scope: Scope, *, is_change: bool) -> None:
        """Find out, where no token is asked for, whether a site has this machine's browser call us.

        Raises:
            ForbiddenError: If one does.
            TooManyCallsError: If one does too often: each is in the audit, which it would fill.
        """
        try:
            origins.check_local(Headers(scope=scope), is_change=is_change)
        except ForbiddenError:
            _take(self._strangers, _address(scope))
            raise

    async def _caller(self, path: str, secret: str, address: str | None) -> Caller | None:
        """Who bears a secret; the ledger is asked for strangers only as often as they may call.

        Raises:
            TooManyCallsError: If a stranger calls too often, whatever it bears.
        """
        hashed = sha256(secret.encode()).hexdigest()
        was_met = hashed in self._met
        if not was_met:
            _take(self._strangers, address)
        caller = await self._known(path, secret)
        if caller is None:
            self._met.discard(hashed)
            if was_met:
                _take(self._strangers, address)
        elif not was_met:
            self._strangers.give_back(address)
            if len(self._met) >= _MOST_MET:
                self._met.clear()
            self._met.add(hashed)
        return caller

    async def _known(self, path: str, secret: str) -> Caller | None:
        """Whose secret it is, as the ledger knows now; None if it is nobody's."""
        if not secret:
            return None
        find = sessions.caller if is_page(path) else tokens.caller
        return await run_in_threadpool(find, self._backing.ledger.engine, secret)

    async def _note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answer that begins now, and record the deed if it is one."""
        route = getattr(scope.get("route"), "path", "none")
        self._backing.metrics.answered(_method(scope), route, status, seconds)
        caller: Caller | None = scope["state"].get("caller")
        is_refused = status in (401, 403)
        # Nobody in particular does nothing, and may ask for it as often as they like.
        is_deed = caller is not None and scope["method"] not in LOOKING and status != 429
        if not (is_refused or is_deed):
            return
        named = scope["state"].get("sweep") or scope.get("path_params", {}).get("name")
        deed = Deed(
            who=caller.name if caller else None,
            role=caller.role if caller else None,
            client=_address(scope),
            action=_short(getattr(scope.get("route"), "name", None) or _asked(scope)),
            sweep=_short(named) if named else None,
            status=status,
        )
        try:
            await run_in_threadpool(audit.record, self._backing.ledger.engine, deed)
        except MonosweepError:
            # What was done is done, and is answered; the log has what the audit lacks.
            logger.exception("not in the audit: %s", deed)


def _secret(path: str, headers: Headers) -> str:
    """The token that a call bears, or the session that a page does; empty without."""
    if is_page(path):
        return cookie.session_of(headers) or ""
    shown = headers.getlist("authorization")
    scheme, _, token = shown[0].partition(" ") if len(shown) == 1 else ("", "", "")
    is_token = scheme.lower() == "bearer" and token.isascii() and token.isprintable()
    return token.strip() if is_token else ""


def _take(rates: Rates, caller: str | None) -> None:
    wait_s = rates.take(caller)
    if wait_s:
        raise TooManyCallsError(
            f"a caller may ask {rates.per_s:g} times a second in the long run, found more. Ask "
            f"again in {wait_s:.1f} s.",
            wait_s,
        )


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in (*LOOKING, "POST", "PUT", "PATCH", "DELETE") else "other"


def _asked(scope: Scope) -> str:
    return f"{scope['method']} {scope['path']}"


def _short(text: str) -> str:
    """As much of what somebody sent as the audit keeps."""
    return kept_text(text)[:_MOST_CHARS]


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return _short(str(client[0])) if client else None
