"""Where a sweep writes: everything below one folder, each part movable by the environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Home:
    """The places that a sweep writes to.

    Attributes:
        path: The folder that holds all that is not moved elsewhere.
        ledger_url: The ledger's database, as a SQLAlchemy URL.
        tracking_uri: MLflow's.
        storage: Where curves, neurons and checkpoints lie: a folder or a URI.
    """

    path: Path
    ledger_url: str
    tracking_uri: str
    storage: str

    @classmethod
    def from_environment(cls) -> "Home":
        """The home that the environment names; by default all lies below ``./monosweep-home``.

        ``MONOSWEEP_HOME`` moves all of it, ``MONOSWEEP_LEDGER_URL``, ``MLFLOW_TRACKING_URI`` and
        ``MONOSWEEP_STORAGE`` move a part.
        """
        path = Path(os.environ.get("MONOSWEEP_HOME") or "monosweep-home").absolute()
        return cls(
            path=path,
            ledger_url=os.environ.get("MONOSWEEP_LEDGER_URL") or f"sqlite:///{path / 'ledger.db'}",
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{path / 'mlflow.db'}",
            storage=os.environ.get("MONOSWEEP_STORAGE") or str(path),
        )

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

    @property
    def tune(self) -> Path:
        """Ray Tune's own folder; nothing in it is ever read."""
        return self.path / "tune"
