"""The search's trials in a table, the best first."""

from collections.abc import Iterator

from service.front import ranked
from service.objective import NUM_NEURONS, Objective, in_words, number
from service.opened import OpenSweep
from service.report.section import Section, rendered
from service.report.words import short
from service.trials import Trial

# At once, and when somebody asks for more; the tables have them all.
NUM_BEST, NUM_MORE = 50, 950
_STATES = ("complete", "pruned", "failed", "running", "waiting")


def listing(sweep: OpenSweep) -> Section | None:
    """Feasible trials best first, then those beyond their limits, then what did not end."""
    search = [trial for trial in sweep.known_trials if trial.phase == "search"]
    if not search:
        return None
    ordered = list(_ordered(search, sweep.objective))
    names = [name for name in sweep.objective.names if name != NUM_NEURONS]
    names += [name for name in ("loss", "feature_coverage", "mean_bias") if name not in names]
    varied = list(sweep.spec.space.varied)
    rows = [_row(trial, names, varied, sweep.objective) for trial in ordered[: NUM_BEST + NUM_MORE]]
    body = rendered(
        "listing.html",
        name=sweep.name,
        columns=["trial", "state", *map(in_words, names), *map(in_words, varied)],
        best=rows[:NUM_BEST],
        more=rows[NUM_BEST:],
        num_left=len(ordered) - len(rows),
        num_trials=len(ordered),
    )
    return Section("trials", "The trials", body)


def _ordered(search: list[Trial], objective: Objective) -> Iterator[Trial]:
    feasible = ranked(search, objective)
    yield from feasible
    numbers = {trial.number for trial in feasible}
    rest = [trial for trial in search if trial.number not in numbers]
    yield from sorted(
        rest, key=lambda trial: (_STATES.index(trial.state), _excess(trial, objective))
    )


def _excess(trial: Trial, objective: Objective) -> float:
    if trial.result is None:
        return 0.0
    return objective.total_excess(trial.result, trial.settings)


def _row(
    trial: Trial, names: list[str], varied: list[str], objective: Objective
) -> tuple[str, str, list[str]]:
    """Its id, its state in words, and its numbers."""
    result = trial.result
    state = trial.state
    if state == "complete" and result is not None:
        is_feasible = objective.is_feasible(result, trial.settings)
        state_words = "feasible" if is_feasible else "beyond a limit"
    else:
        state_words = {"pruned": "stopped"}.get(state, state)
    measured = [None if result is None else number(name, result, trial.settings) for name in names]
    settings = [trial.settings[name] if name in trial.varied else None for name in varied]
    return trial.trial_id, state_words, [*map(short, measured), *map(short, settings)]
