"""Which server is meant, and the token it is shown.

The token comes from the environment or a file: command lines can be read by every user of a
machine. Over a network it is sent encrypted only.
"""

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from service.errors import UserError
from service.home import without_password
from service.loopback import is_loopback

SERVER, TOKEN, TOKEN_FILE = "MONOSWEEP_SERVER", "MONOSWEEP_TOKEN", "MONOSWEEP_TOKEN_FILE"
INSECURE = "MONOSWEEP_INSECURE"


@dataclass(frozen=True)
class Access:
    """A server, and how to get in.

    Attributes:
        url: Where it is, without a slash at the end.
        token: What it is shown, or None: a server may let everybody of its own machine in.
        again: What a further command must be told to mean the same server: empty, or an option.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    again: str = ""

    @classmethod
    def from_environment(cls, url: str) -> "Access":
        """The server at a URL, with the token that the environment names.

        Raises:
            UserError: If it is no URL of a server, there is no such token, or the token would be
                sent over a network for everybody to read.
        """
        parts, token = _checked(url), _token()
        is_open = parts.scheme == "http" and not is_loopback(parts.hostname or "")
        if token is not None and is_open and os.environ.get(INSECURE) != "1":
            raise UserError(
                "a token must be sent encrypted to another machine, found a server at plain http "
                f"({url}). Name it with https://; or, where nobody else can listen, set "
                f"{INSECURE}=1."
            )
        is_usual = os.environ.get(SERVER) == url
        again = "" if is_usual else f" --server {shlex.quote(url)}"
        return cls(url.rstrip("/"), token, again)

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody on the way can read along."""
        return self.url.startswith("https:")


def _checked(url: str) -> SplitResult:
    """The parts of a URL that can be a server's."""
    try:
        parts = urlsplit(url)
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname)
        # Read for its error: a port must be a number, and not too large.
        is_server = is_server and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or not url.isprintable() or parts.query or parts.fragment or "@" in url:
        raise UserError(
            "a server must be named by a URL such as https://sweeps.example, with no user and no "
            f"?, found {without_password(ascii(url))} (--server or {SERVER}). Mend it, or leave it "
            "out to use this home's own ledger."
        )
    return parts


def _token() -> str | None:
    """What ``MONOSWEEP_TOKEN`` says, or the file that ``MONOSWEEP_TOKEN_FILE`` names."""
    where, token = TOKEN, os.environ.get(TOKEN)
    if not token and (path := os.environ.get(TOKEN_FILE)):
        where, token = f"{TOKEN_FILE}, {path}", _read(Path(path))
    if not token:
        return None
    token = token.strip()
    # Whatever else it is, it is not shown.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UserError(
            f"a token must be one word, as monosweep token create prints it, found something else "
            f"({where}). Mend it."
        )
    return token


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text in it"
        raise UserError(
            f"{TOKEN_FILE} must name a file that can be read, found: {reason} ({path}). "
            "Name another, or mend its permissions."
        ) from error
