"""What is left of sweeps where their ledger is gone: nothing is begun over it."""

from service import checkpoints, cohort_results
from service.errors import LedgerError
from service.home import Home, without_password

_SHOWN = 4


def refuse_remains(home: Home) -> None:
    """Make sure that a ledger that is not there has never been there.

    Its first act is older than all else in the home. A new one would hide that it is lost, and mix
    new sweeps with what the old ones left.

    Raises:
        LedgerError: If the home holds what sweeps left.
    """
    own = home.path / "ledger.db"
    # The home's own ledger knows what is there, whichever other one is asked for.
    if own.exists() and home.ledger_url != f"sqlite:///{own}":
        return
    found = remains(home)
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]
    if found:
        raise LedgerError(
            f"the ledger is missing, but the home holds what sweeps left ({', '.join(found)}). "
            f"Put it back from a copy ({without_password(home.ledger_url)}), or name it with "
            "MONOSWEEP_LEDGER_URL; or move what is left away, or begin in another MONOSWEEP_HOME."
        )


def remains(home: Home) -> list[str]:
    """What sweeps left in the home: their folders, and MLflow's database."""
    folders = [
        home.path / name for name in (cohort_results.FOLDER, checkpoints.FOLDER, "artifacts")
    ]
    found = [
        str(each) for folder in folders if folder.is_dir() for each in sorted(folder.iterdir())
    ]
    mlflow_db = home.path / "mlflow.db"
    return [*found, *([str(mlflow_db)] if mlflow_db.exists() else [])]
