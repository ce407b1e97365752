"""The ledger's part: it opens, is whole, and its halves agree."""

from contextlib import closing
from functools import partial
from pathlib import Path

from sqlalchemy.engine import make_url

from service import deletion
from service.doctor.finding import Finding, Known, listed
from service.errors import (
    LedgerAwayError,
    MonosweepError,
    OlderLedgerError,
    SweepNotFoundError,
)
from service.home import Home, without_password
from service.ledger import Ledger, SweepRecord, Writer, held
from service.ledger.damage import damage, how_to_restore
from service.ledger.inspection import (
    DATABASE_ERRORS,
    Discrepancies,
    discrepancies,
    strange_studies,
)
from service.ledger.migrations import VERSION
from service.objective import objective_of
from service.recorded import spec_of
from service.remains import refuse_remains
from service.telling import tell_recorded
from service.trials import Trial

PART = "ledger"
# What rows that were damaged in place raise when they are read: no JSON, or not what was written.
UNREADABLE = (MonosweepError, *DATABASE_ERRORS, ValueError, KeyError, TypeError)


def open_ledger(home: Home) -> Ledger | Finding:
    """The home's ledger, if it can be opened; otherwise why not."""
    try:
        return Ledger(home.ledger_url, create=False, on_missing=partial(refuse_remains, home))
    except OlderLedgerError as error:
        return Finding(PART, str(error), "Brings its tables up to date.", partial(_update, home))
    except LedgerAwayError as error:
        return Finding(PART, str(error), "Look again when it answers.")
    except MonosweepError as error:
        return Finding(PART, str(error))


def _update(home: Home) -> None:
    Ledger(home.ledger_url, create=False, bring_up_to_date=True).close()


def damaged(home: Home) -> Finding | None:
    """What SQLite finds wrong in the file; None where it is whole, or a server keeps it."""
    url = make_url(home.ledger_url)
    if url.get_backend_name() != "sqlite":
        return None
    path = Path(str(url.database))
    problems = damage(path)
    if not problems:
        return None
    return Finding(PART, f"{path} is damaged: {listed(problems)}", how_to_restore(path))


def know(home: Home, ledger: Ledger) -> tuple[Known, list[Finding]]:
    """What the ledger knows, and what of it does not fit together."""
    findings: list[Finding] = []
    records: list[SweepRecord] = []
    trials: dict[str, list[Trial]] = {}
    for name in ledger.names():
        try:
            record = ledger.sweep(name)
            records.append(record)
            if record.is_live:
                said = f"A driver is at work on {name}, which is left alone."
                findings.append(Finding(PART, said, is_well=True))
            elif record.deleting_at is not None:
                findings.append(_half_deleted(ledger, name, home))
            else:
                spec_of(record)
                disagreements = _disagreements(ledger, name, discrepancies(ledger, name))
                findings += disagreements
                # Where rows are lost, what they named is not to be taken for a leftover.
                if all(finding.is_well or finding.mend for finding in disagreements):
                    trials[name] = ledger.trials(name)
        except SweepNotFoundError:
            continue  # deleted since its name was read
        except LedgerAwayError:
            raise
        except UNREADABLE as error:
            findings.append(
                Finding(
                    PART,
                    f"The rows of {name} cannot be read: {without_password(repr(error))}",
                    "Restore a copy of the ledger.",
                )
            )
    findings += [
        Finding(
            PART,
            f"Optuna's study {study!r} belongs to no sweep.",
            "Unless another program keeps it here, remove it: optuna delete-study "
            f"--study-name {study}",
        )
        for study in strange_studies(ledger)
    ]
    if all(finding.is_well for finding in findings):
        said = f"Whole, of table version {VERSION}, sweeps: {len(records)}."
        findings.insert(0, Finding(PART, said, is_well=True))
    return Known(home, ledger, records, trials), findings


def _half_deleted(ledger: Ledger, name: str, home: Home) -> Finding:
    return Finding(
        PART,
        f"The sweep {name} is being deleted, and nobody is at it.",
        "Deletes it to the end.",
        partial(deletion.delete, ledger, name, home),
    )


def _disagreements(ledger: Ledger, name: str, found: Discrepancies) -> list[Finding]:
    restore = "Restore a copy of the ledger: what is missing cannot be made up."
    lost = {
        "have no trial": found.without_trial,
        "are of an attempt that was never recorded": found.without_attempt,
    }
    findings = [
        Finding(PART, f"{len(ids)} results of {name} {what}: {listed(ids)}", restore)
        for what, ids in lost.items()
        if ids
    ]
    if found.ended_without_result:
        ids = found.ended_without_result
        findings.append(
            Finding(
                PART, f"{len(ids)} trials of {name} ended without result: {listed(ids)}", restore
            )
        )
    if found.untold:
        findings.append(
            Finding(
                PART,
                f"{len(found.untold)} results of {name} were not told: {listed(found.untold)}",
                "Tells Optuna.",
                partial(_tell, ledger, name),
            )
        )
    if found.is_leased or found.num_open_attempts:
        findings.append(
            Finding(
                PART,
                f"The driver of {name} died; attempts without an end: {found.num_open_attempts}.",
                f"Nothing is lost; go on with: monosweep resume {name}",
                is_well=True,
            )
        )
    return findings


def _tell(ledger: Ledger, name: str) -> None:
    objective = objective_of(spec_of(ledger.sweep(name)))
    with held(ledger.engine, name) as lease, closing(Writer(ledger, lease)) as writer:
        tell_recorded(writer, objective, ledger.trials(name))
