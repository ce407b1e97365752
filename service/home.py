"""Where a sweep writes: everything below one folder, each part movable by the environment."""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from service.errors import UserError

# What MLflow keeps runs in; its old store of plain files is not one of them any more.
_TRACKING_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https", "databricks")


# Each in time that grows as the text does, however it is made: anybody may send some.
# ``user:`` of a URL, with its password after it, up to the last ``@``: one in a password should be
# written %40, and a slash %2F, but hardly ever is.
_USER = re.compile(r"(?<=://)[^:/?@\s]*:")
# ``password=...`` of a URL, or of the words that PostgreSQL's library takes.
_NAME = re.compile(r"(?<![\w-])[\w-]++=")
_SECRET = re.compile("password|passwd|secret|token|access_?key|signature|credential", re.IGNORECASE)
_VALUE = re.compile(r"[^&\s]*+")
# What ends a sentence, or a word in quotes, is no end of a secret.
_AFTER_VALUE = ").,;'\""


def without_password(text: str) -> str:
    """A URL, or a message with URLs in it, fit to be shown: passwords are stars."""
    return _without_named(re.sub(r"\S++", _without_users, text))


def _without_users(word: re.Match[str]) -> str:
    before, at, after = word[0].rpartition("@")
    user = _USER.search(before)
    return word[0] if user is None else f"{before[: user.end()]}***{at}{after}"


def _without_named(text: str) -> str:
    shown: list[str] = []
    at = 0
    for name in _NAME.finditer(text):
        # Within a secret there is nothing more to be hidden.
        if name.start() < at or not _SECRET.search(name[0]):
            continue
        value = _VALUE.match(text, name.end())
        secret = value[0].rstrip(_AFTER_VALUE) if value else ""
        shown += (text[at : name.end()], "***")
        at = name.end() + len(secret)
    return "".join((*shown, text[at:]))


def _database(url: str) -> str:
    """Which one a URL means, whoever asks by whatever driver: ``postgresql://host/name``."""
    return re.sub(r"^(\w+)(\+\w+)?://([^/@]*@)?", r"\1://", url.partition("?")[0])


def _is_shown(word: str) -> bool:
    if word not in ("on", "off"):
        raise UserError(
            f"MONOSWEEP_SHOWCASE must be on or off, found {word}. Mend it, or unset it."
        )
    return word == "on"


def _given_ledger_url() -> str | None:
    """What the environment says of the ledger, itself or by a file; None if it says nothing."""
    url = os.environ.get("MONOSWEEP_LEDGER_URL")
    file = os.environ.get("MONOSWEEP_LEDGER_URL_FILE")
    if not file:
        return url
    if url:
        raise UserError(
            "the ledger's URL must be given once, found both MONOSWEEP_LEDGER_URL and "
            "MONOSWEEP_LEDGER_URL_FILE. Unset one of them."
        )
    try:
        url = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(
            "MONOSWEEP_LEDGER_URL_FILE must name a file with the ledger's URL, found "
            f"{file} ({said}). Name one that this user can read."
        ) from error
    if not url:
        raise UserError(
            "MONOSWEEP_LEDGER_URL_FILE must name a file with the ledger's URL, found "
            f"{file} empty. Write the URL into it."
        )
    return url


@dataclass(frozen=True, kw_only=True)
class Home:
    """The places that a sweep writes to.

    Attributes:
        path: The folder that holds all that is not moved elsewhere.
        ledger_url: The ledger's database, as a SQLAlchemy URL.
        tracking_uri: MLflow's.
        storage: Where curves, neurons and checkpoints lie: a folder or a URI.
        is_shown: Whether MLflow gets a finished sweep's report, figures, tables and networks too,
            which take seconds to draw, beside its numbers.
    """

    path: Path
    ledger_url: str
    tracking_uri: str
    storage: str
    is_shown: bool = True

    @classmethod
    def from_environment(cls) -> "Home":
        """The home that the environment names; by default all lies below ``./monosweep-home``.

        ``MONOSWEEP_HOME`` moves all of it, ``MONOSWEEP_LEDGER_URL``, ``MLFLOW_TRACKING_URI`` and
        ``MONOSWEEP_STORAGE`` move a part. ``MONOSWEEP_LEDGER_URL_FILE`` names a file with the
        ledger's URL instead, where its password is not to be in the environment.
        ``MONOSWEEP_SHOWCASE=off`` leaves MLflow with numbers.

        Raises:
            UserError: If the home cannot be part of a URL, the ledger's URL is given twice or its
                file has none, MLflow cannot keep runs where ``MLFLOW_TRACKING_URI`` says, or it
                would keep them in the ledger's database, or ``MONOSWEEP_SHOWCASE`` is neither on
                nor off.
        """
        path = Path(os.environ.get("MONOSWEEP_HOME") or "monosweep-home").absolute()
        if set("?%#") & set(str(path)):
            raise UserError(
                "MONOSWEEP_HOME must be a folder without ?, % and # in its path, which mean "
                f"something else in a database's URL, found {path}. Name another."
            )
        tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{path / 'mlflow.db'}"
        if tracking_uri.partition(":")[0].partition("+")[0] not in _TRACKING_SCHEMES:
            raise UserError(
                f"MLFLOW_TRACKING_URI must begin with one of {', '.join(_TRACKING_SCHEMES)}, found "
                f"{without_password(tracking_uri)}. Mend it, or unset it to keep runs in the home."
            )
        ledger_url = _given_ledger_url() or f"sqlite:///{path / 'ledger.db'}"
        if _database(ledger_url) == _database(tracking_uri):
            raise UserError(
                "the ledger and MLflow must have databases of their own, found one for both "
                f"({without_password(ledger_url)}). Mend MONOSWEEP_LEDGER_URL (or its file) or "
                "MLFLOW_TRACKING_URI."
            )
        return cls(
            path=path,
            ledger_url=ledger_url,
            tracking_uri=tracking_uri,
            storage=os.environ.get("MONOSWEEP_STORAGE") or str(path),
            is_shown=_is_shown(os.environ.get("MONOSWEEP_SHOWCASE") or "on"),
        )

    @property
    def storage_place(self) -> str:
        """Names the storage alike on every machine from which it is the same one.

        Without keys: it is kept in the ledger, so that a sweep is not gone on with elsewhere, where
        none of its checkpoints are.
        """
        if self.storage != str(self.path):
            # Secrets may hold a slash or a question mark that should have been written %2F or %3F.
            keyless = re.sub(r"(?<=://)([^:/?@]*:.*|[^/?@]*)@", "", self.storage)
            return keyless.partition("?")[0]
        is_beside = self.ledger_url.startswith(f"sqlite:///{self.path}/")
        return "beside the ledger" if is_beside else f"{self.path} on {socket.gethostname()}"

    @property
    def artifacts(self) -> Path | None:
        """Where MLflow's artifacts go; None if a server of its own decides."""
        return self.path / "artifacts" if self.mlflow_db is not None else None

    @property
    def mlflow_db(self) -> Path | None:
        """MLflow's own database file; None if it is a server or another database."""
        prefix = "sqlite:///"
        is_file = self.tracking_uri.startswith(prefix)
        return Path(self.tracking_uri.removeprefix(prefix)) if is_file else None

    def report(self, name: str) -> Path:
        """A sweep's page."""
        return self.path / "reports" / f"{name}.html"

    def figure(self, name: str) -> Path:
        """A figure of a batch of the paper's."""
        return self.path / "reports" / f"{name}.svg"

    @property
    def tune(self) -> Path:
        """Ray Tune's own folder; nothing in it is ever read."""
        return self.path / "tune"
