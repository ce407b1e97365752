"""MLflow's part: it answers, and shows what the ledger knows, once."""

from collections.abc import Sequence
from functools import partial

from service import tracking
from service.doctor.finding import Finding, Known, listed
from service.driver import driving, fill_in_tracking
from service.errors import TrackingError
from service.home import Home
from service.ledger import Ledger, SweepRecord, held
from service.ledger.damage import damage
from service.tracking import Shown
from service.trials import Trial

PART = "tracking"


def examine_tracking(known: Known) -> list[Finding]:
    """A damaged or absent MLflow loses nothing: all of it can be made again from the ledger."""
    home = known.home
    if home.mlflow_db is not None and home.mlflow_db.exists() and (bad := damage(home.mlflow_db)):
        return [
            Finding(
                PART,
                f"{home.mlflow_db} is damaged: {listed(bad)}",
                f"Move it away (mv {home.mlflow_db} {home.mlflow_db}.damaged); then all runs are "
                "made anew by: monosweep doctor --fix",
            )
        ]
    findings = []
    try:
        tracking.check_answers(home.tracking_uri)
        for record in known.records:
            if record.name in known.trials:
                shown = tracking.look(home.tracking_uri, record.name)
                findings += _compared(known, record, shown)
    except TrackingError as error:
        return [Finding(PART, str(error))]
    said = "Answers, and shows every trial that has ended, once."
    return findings or [Finding(PART, said, is_well=True)]


def _compared(known: Known, record: SweepRecord, shown: Shown) -> list[Finding]:
    ended = [trial for trial in known.trials[record.name] if trial.result is not None]
    findings = []
    doubles = _doubles(ended, shown)
    if doubles:
        findings.append(
            Finding(
                PART,
                f"{len(doubles)} runs of {record.name} are doubled.",
                "Puts all but one of each into MLflow's trash.",
                partial(_remove_doubles, known.home, known.ledger, record.name),
            )
        )
    missing = _missing(record, ended, shown)
    if missing:
        findings.append(
            Finding(
                PART,
                f"{len(missing)} runs of {record.name} are missing or not at their end in MLflow: "
                f"{listed(missing)}",
                "Makes them from the ledger.",
                partial(_fill_in, known.home, known.ledger, record.name),
            )
        )
    return findings


def _fill_in(home: Home, ledger: Ledger, name: str) -> None:
    with driving(ledger, name) as writer:
        fill_in_tracking(writer, home)


def _missing(record: SweepRecord, ended: Sequence[Trial], shown: Shown) -> list[str]:
    """What resume would fill in; a sweep of which nothing has ended need not be there at all."""
    found = {what for what, ids in shown.runs.items() if set(ids) - shown.unended}
    missing = [
        trial.trial_id
        for trial in ended
        if trial.mlflow_run_id is None or trial.trial_id not in found
    ]
    has_summary = "summary" in found or not (ended or record.verdict)
    return missing if has_summary else [*missing, "summary"]


def _doubles(ended: Sequence[Trial], shown: Shown) -> list[str]:
    return tracking.doubled(shown.runs, {trial.mlflow_run_id for trial in ended})


def _remove_doubles(home: Home, ledger: Ledger, name: str) -> None:
    with held(ledger.engine, name):
        ended = [trial for trial in ledger.trials(name) if trial.result is not None]
        shown = tracking.look(home.tracking_uri, name)
        tracking.put_runs_away(home.tracking_uri, _doubles(ended, shown))
