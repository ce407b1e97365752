"""How a sweep was made: its file, versions, seeds, budgets, and what went wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping

from service.cohort_queue import last_line
from service.ledger import ABANDONED, RECORDED
from service.objective import baseline_rate
from service.opened import OpenSweep
from service.report.figure import shown
from service.report.section import Section, rendered
from service.report.words import moment, short, span
from service.trials import PHASES, Trial
from service.wording import listed

MOST_REASONS = 12
_NUM_NAMED = 3


def made(sweep: OpenSweep) -> Section:
    """Everything that one must know to judge the numbers, or to make them again."""
    reasons, num_more = _reasons(sweep.known_trials)
    body = rendered(
        "made.html",
        facts=_facts(sweep),
        reasons=reasons,
        num_more_reasons=num_more,
        deaths=_deaths(sweep),
        spec_text=sweep.record.spec_text,
        figures=[shown(sweep.figures, "timeline")] if "timeline" in sweep.figures else [],
    )
    return Section("made", "How it was made", body)


def _facts(sweep: OpenSweep) -> list[tuple[str, str]]:
    spec, record = sweep.spec, sweep.record
    task, training = spec.task, spec.training
    facts = [
        (
            "Task",
            f"{task.kind.replace('_', ' ')}: {task.num_features} features, "
            f"{task.feature_distribution.replace('_', ' ')}, density {task.feature_density:g}, in "
            f"{task.num_inputs} inputs",
        ),
        ("Network", f"{spec.model.num_neurons} {spec.model.nonlinearity} neurons in one layer"),
        (
            "Training",
            f"{training.num_steps:,} steps of batch {training.batch_size}, "
            f"{training.optimizer}, {training.schedule.replace('_', ' ')} rate "
            f"{training.learning_rate:g}",
        ),
        ("Baseline", _baseline(sweep)),
        ("Seeds", _seeds(sweep)),
        ("Budget", _budget(sweep)),
        ("Trained", _trained(sweep)),
    ]
    if record.resolved is not None:
        facts.append(("Settled at the start", _resolved(record.resolved)))
    versions = listed([f"{name} {version}" for name, version in record.versions.items()])
    ended = moment(record.finished_at) if record.finished_at else f"not yet ({record.state})"
    return [
        *facts,
        ("Versions", versions),
        ("Begun", moment(record.created_at)),
        ("Finished", ended),
    ]


def _baseline(sweep: OpenSweep) -> str:
    is_tuned = sweep.spec.baseline.learning_rate == "tuned"
    rate = baseline_rate([one for one in sweep.known_trials if one.phase == "baseline"])
    how = "the best of several" if is_tuned else "as given, not tuned"
    known = "not known yet" if rate is None else f"{rate:.4g}"
    return f"biases around zero without decay, learning rate {known} ({how})"


def _seeds(sweep: OpenSweep) -> str:
    spec = sweep.spec
    said = (
        f"{spec.search.seed} for every draw of the sweep; {spec.baseline.num_seeds} for the "
        f"baseline, {spec.search.replicates} for each search trial (shared)"
    )
    if spec.confirmation is None:
        return said
    return f"{said}, {spec.confirmation.num_seeds} fresh ones for the confirmation"


def _budget(sweep: OpenSweep) -> str:
    search = sweep.spec.search
    given = {
        "training steps": search.max_training_steps,
        "hours at work": search.max_hours,
        "trials in a row without a better one": search.patience,
    }
    limits = [f"{limit:,g} {words}" for words, limit in given.items() if limit is not None]
    said = listed([f"{sweep.record.num_trials:,} search trials", *limits], "or")
    ended = sweep.best().get("search_ended")
    return f"{said}. {ended}" if ended else said


def _trained(sweep: OpenSweep) -> str:
    trained = [trial for trial in sweep.known_trials if trial.result and trial.same_as is None]
    results = [trial.result for trial in trained if trial.result]
    num_networks = sum(len(trial.seeds) for trial in trained)
    num_steps = sum(trial.result.num_steps * len(trial.seeds) for trial in trained if trial.result)
    counts = Counter((trial.phase, trial.state) for trial in sweep.known_trials)
    by_phase = [
        f"{phase} "
        + listed([f"{count:,} {state}" for (one, state), count in counts.items() if one == phase])
        for phase in PHASES
        if any(one == phase for one, _ in counts)
    ]
    return (
        f"{num_networks:,} networks, {num_steps:,} steps in all, "
        f"{span(sum(result.train_s for result in results))} of training "
        f"({'; '.join(by_phase) or 'no trials yet'})"
    )


def _resolved(resolved: Mapping[str, object]) -> str:
    names = ("cohort_size", "max_concurrent", "sampler", "precision", "device", "cpus", "gpus")
    return ", ".join(
        f"{name.replace('_', ' ')} {short(resolved[name])}" for name in names if name in resolved
    )


def _reasons(trials: Iterable[Trial]) -> tuple[list[tuple[str, str, int, str]], int]:
    """Phase and state, reason, count and some ids of what did not end complete; how many more."""
    found: dict[tuple[str, str], list[str]] = {}
    for trial in trials:
        if trial.result is not None and trial.state != "complete":
            reason = trial.result.reason or "no reason is recorded"
            if trial.state == "pruned":
                # Where, without each one's rank.
                reason = reason.partition(":")[0]
            found.setdefault((f"{trial.phase} {trial.state}", reason), []).append(trial.trial_id)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    rows = [
        (what, reason, len(ids), ", ".join(ids[:_NUM_NAMED]) + ", ..." * (len(ids) > _NUM_NAMED))
        for (what, reason), ids in ordered
    ]
    return rows[:MOST_REASONS], sum(count for _, _, count, _ in rows[MOST_REASONS:])


def _deaths(sweep: OpenSweep) -> list[tuple[str, int]]:
    outcomes = Counter(
        last_line(outcome)
        for outcome in sweep.attempts["outcome"].to_pylist()
        if outcome and outcome.strip() and outcome not in (RECORDED, ABANDONED)
    )
    return outcomes.most_common(MOST_REASONS)
