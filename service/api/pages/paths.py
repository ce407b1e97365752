"""Which paths are pages."""

from urllib.parse import quote, urlsplit

HOME = "/"
LOGIN = "/login"
# What a proxy asks before it lets somebody through to something else.
SESSION = "/session"
_PAGES = frozenset({HOME, LOGIN, SESSION, "/logout", "/submit"})
_BELOW = ("/sweeps/", "/static/")


def is_page(path: str) -> bool:
    """Whether a path is a page, or what pages load."""
    return path in _PAGES or path.startswith(_BELOW)


def is_open_page(path: str) -> bool:
    """Whether it is for everybody, also without a session."""
    return path == LOGIN or path.startswith("/static/")


def login_for(path: str) -> str:
    """Where somebody logs in who wanted a page."""
    return LOGIN if path in (HOME, SESSION) else f"{LOGIN}?next={quote(path, safe='')}"


def after_login(wanted: str) -> str:
    """The page that was wanted, as far as it is one of ours; whatever else it is, the first page.

    Browsers take more than ``//host`` for another host: a backslash, or a tab in between.
    """
    is_plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    try:
        parts = urlsplit(wanted if is_plain and not wanted.startswith("//") else "")
    except ValueError:
        return HOME
    is_ours = not parts.scheme and not parts.netloc and is_page(parts.path)
    is_shown = is_ours and not is_open_page(parts.path) and parts.path != SESSION
    return wanted if is_shown else HOME
