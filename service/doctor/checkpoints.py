"""The checkpoints' part: what unfinished cohorts go on from can be read."""

from functools import partial

from service import checkpoints
from service.doctor.finding import Finding, Known
from service.ledger import Ledger, held, unfinished
from service.storage import Storage

PART = "checkpoints"


def examine_checkpoints(known: Known, storage: Storage) -> list[Finding]:
    """Those of cohorts at work are left to their driver.

    Raises:
        OSError: If the storage does not answer.
    """
    findings, num_whole = [], 0
    for record in known.placed_here:
        trials = known.trials[record.name]
        for cohort_id in sorted({trial.cohort_id for trial in unfinished(trials)}):
            folder = f"{checkpoints.FOLDER}/{record.name}/{cohort_id}"
            for path in [f"{folder}/{each}" for each in storage.names(folder)]:
                finding = _unreadable(known.ledger, storage, record.name, path)
                findings += [finding] if finding is not None else []
                num_whole += finding is None
    said = (
        f"Of unfinished cohorts: {num_whole}, all whole."
        if num_whole
        else "No unfinished cohort has one."
    )
    return findings or [Finding(PART, said, is_well=True)]


def _unreadable(ledger: Ledger, storage: Storage, name: str, path: str) -> Finding | None:
    # Takes a second to import, which only unfinished sweeps cost.
    from trainers.checkpoint import versions  # noqa: PLC0415
    from trainers.envelope import EnvelopeError, ForeignError, TruncatedError  # noqa: PLC0415

    try:
        versions(storage.read_bytes(path))
    except (TruncatedError, ForeignError) as error:
        return Finding(
            PART,
            f"{path}: {error}",
            "Removes it; the cohort goes on from the one before it, or begins anew.",
            partial(_remove, ledger, storage, name, path),
        )
    except EnvelopeError as error:
        return Finding(PART, f"{path}: {error}")
    return None


def _remove(ledger: Ledger, storage: Storage, name: str, path: str) -> None:
    with held(ledger.engine, name):
        storage.remove_file(path)
