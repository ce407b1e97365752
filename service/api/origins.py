"""Whether a browser was led here by another site: what a page of it sends bears our cookies.

A browser says in ``Sec-Fetch-Site`` and ``Origin``, which no page can forge, whose page sends a
request. The first is left out where the connection is not safe, the second where nothing is sent.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

from service.api.problems import ForbiddenError
from service.loopback import is_loopback

# "none" is a person: an address typed in, or a page loaded again.
_OURS = frozenset({"same-origin", "none"})


def check_page(headers: Headers) -> None:
    """Make sure that a form comes from one of our own pages.

    Raises:
        ForbiddenError: If it does not, or does not say.
    """
    if _is_ours(headers) is not True:
        raise ForbiddenError(
            "a form must be sent from this server's own pages, found it sent from elsewhere "
            "(Sec-Fetch-Site, Origin). Open the page here and send it again."
        )


def check_local(headers: Headers, *, is_change: bool) -> None:
    """Make sure, where no token is asked for, that no site has this machine's browser call us.

    By a name of its own that it has mean this machine, or by a request that changes something.

    Raises:
        ForbiddenError: If one does.
    """
    host = _host(headers)
    if not is_loopback(host):
        raise ForbiddenError(
            f"a server without tokens must be called by an address of this machine, found "
            f"{host[:64]!r}. Call it 127.0.0.1 or localhost."
        )
    if is_change and _is_ours(headers) is False:
        raise ForbiddenError(
            "a call must not come from another site's page where no token is asked for, found one "
            "that does (Sec-Fetch-Site, Origin)."
        )


def _is_ours(headers: Headers) -> bool | None:
    """Whether one of our own pages sends it; None if nothing is said, as programs do."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in _OURS
    if origin is not None:
        return _is_of_host(origin, headers)
    return None


def _is_of_host(origin: str, headers: Headers) -> bool:
    try:
        return urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False


def _host(headers: Headers) -> str:
    """What a request calls us, without a port; empty where that is no name."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""
