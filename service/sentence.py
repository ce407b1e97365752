"""The verdict in words."""

from collections.abc import Mapping, Sequence

from service.confirmation import BASELINE
from service.findings import Comparison, Finding, passing
from service.intervals import Interval
from service.objective import COUNTS, LOSS_RATIO, NUM_NEURONS, Goal, Limit, Objective, in_words
from service.shortfalls import gain_words
from service.spec import Spec
from service.trials import State, Trial


def sentence(
    spec: Spec,
    objective: Objective,
    best: Finding | None,
    same_width: Finding | None,
    found: Sequence[Finding],
) -> str:
    """What confirmation found, for people.

    Args:
        spec: The sweep file.
        objective: What the search was after.
        best: The winner, if there is one.
        same_width: The best of the baseline's width that passes, if there is one.
        found: Every finding, the baseline's first.
    """
    if best is None:
        return " ".join(["No winner.", *_why_not(found)])
    baseline = found[0]
    return " ".join(
        [
            _what_won(objective, best, baseline, len(passing(found))),
            _what_it_cost(spec, objective, best),
            *(_what_it_keeps(limit, best) for limit in _other_limits(objective)),
            _where_it_comes_from(spec, best, baseline),
            _what_the_width_did(spec, objective.first, best, same_width, found),
        ]
    )


def why_fewer(spec: Spec, num_finalists: int, num_trials: int) -> list[str]:
    """Where fewer finalists were confirmed than were asked for: why."""
    assert spec.confirmation is not None
    asked = spec.confirmation.finalists
    if num_finalists >= asked:
        return []
    was = "was" if num_finalists == 1 else "were"
    return [
        f"Of {asked} finalists asked for {num_finalists} {was} confirmed, since only "
        f"{num_finalists} of {num_trials} trials {was} feasible."
    ]


def what_else_counts(num_finalists: int, num_confirmed: int) -> list[str]:
    """Finalists of before an extension have left the table, but had their chance to win."""
    if num_confirmed <= num_finalists:
        return []
    return [
        f"With the finalists of before the sweep was extended {num_confirmed} settings were "
        "confirmed, and what decides is corrected for all of them."
    ]


def how_the_enqueued_did(
    objective: Objective,
    best: Finding | None,
    enqueued: Finding | None,
    beside: Comparison | None,
    trials: Mapping[str, Trial],
) -> list[str]:
    """Where points were enqueued: how the best of them did, beside the winner if there is one.

    Args:
        objective: What the search was after.
        best: The winner, if there is one.
        enqueued: The best enqueued setting, if one was confirmed.
        beside: How the winner compares with it, where they are two.
        trials: The search's trials by id.
    """
    if enqueued is None:
        return []
    if enqueued is best:
        return ["The winner is the best enqueued setting."]
    subject = _best_enqueued(objective, trials[enqueued.candidate.trial_id])
    if enqueued.loss_ratio is None:
        return [f"{subject} was not confirmed: {'; '.join(enqueued.shortfalls)}."]
    goal = objective.first
    words = f"{goal.words} " if len(objective.goals) > 1 else ""
    has = f"{subject} has {words}{_short(goal.name, enqueued.interval(goal.name).mean)}"
    if best is None or beside is None:
        gain = ", ".join(_gained(goal, enqueued.gains[goal.name]))
        ratio = _times(enqueued.loss_ratio, "the baseline's")
        return [f"{has} (gain {gain}) at {ratio}."]
    fewer = beside.num_seeds < best.num_seeds
    seeds = [f"{beside.num_seeds} of {best.num_seeds} seeds"] if fewer else []
    who = "the winner's is" if words else "the winner is"
    how = _how_much_better(goal, beside.gain, seeds)
    return [f"{has}; {who} {how} at {_times(beside.loss_ratio, 'its')}."]


def _best_enqueued(objective: Objective, trial: Trial) -> str:
    """Which it is, and in what it was the best if not in the objective."""
    assert trial.result is not None
    if objective.is_feasible(trial.result, trial.settings):
        beyond = ""
    elif trial.state == "complete":
        beyond = "; none was feasible"
    else:
        beyond = "; none was trained to its end"
    return f"The best enqueued setting ({trial.trial_id}{beyond})"


def _how_much_better(goal: Goal, gain: Interval, seeds: Sequence[str]) -> str:
    mean, *bounds = [*_gained(goal, gain), *seeds]
    if gain.low > 0.0:
        return f"{mean} better ({', '.join(bounds)})" if bounds else f"{mean} better"
    how = "worse" if gain.high < 0.0 else "not surely better"
    return f"{how} ({', '.join([mean, *bounds])})"


def _times(ratio: Interval, whose: str) -> str:
    return f"{ratio.mean:.3f} times {whose} loss ({ratio.low:.3f} to {ratio.high:.3f})"


def without_findings(spec: Spec, objective: Objective, search_trials: Sequence[Trial]) -> str:
    """Why there are no findings: none were asked for, or no trial of the search was feasible."""
    states = [trial.state for trial in search_trials]
    if spec.confirmation is None:
        return (
            "No winner, since the file asks for no confirmation: "
            f"{states.count('complete')} of {len(states)} trials were trained to the end."
        )
    ends: Mapping[str, State] = {"of them failed": "failed", "were stopped early": "pruned"}
    others = [f"{count} {words}" for words, end in ends.items() if (count := states.count(end))]
    sentence = f"No winner: of {len(states)} trials none {_kept(objective)}"
    return f"{sentence}{''.join(f', and {other}' for other in others)}."


def _kept(objective: Objective) -> str:
    """What none of the trials did."""
    kept = [
        f"kept its {in_words(limit.name)} {limit.words} {limit.bound:.6g}"
        for limit in _other_limits(objective)
    ]
    if objective.max_loss_ratio is not None:
        margin = objective.max_loss_ratio - 1.0
        kept.insert(0, f"kept its loss within {100 * margin:.3g}% of the baseline's")
    return " and ".join(kept) or "was trained to its end"


def _why_not(found: Sequence[Finding]) -> list[str]:
    return [
        f"{finding.candidate.role}: {'; '.join(finding.shortfalls)}."
        for finding in found
        if finding.candidate.is_finalist
    ]


def _what_won(objective: Objective, best: Finding, baseline: Finding, num_passing: int) -> str:
    role = best.candidate.role
    compared = [_compared(goal, best, baseline) for goal in objective.goals]
    seeds = f"{best.num_seeds} fresh paired seeds"
    if len(compared) == 1:
        return f"{role} wins: {compared[0]}, {seeds})."
    rank = f"the best in {objective.first.words} of {num_passing} that pass" * (num_passing > 1)
    return f"{role} wins{rank and f', {rank}'}: {'); '.join(compared)}, {seeds})."


def _compared(goal: Goal, best: Finding, baseline: Finding) -> str:
    """A number beside the baseline's, up to the gain's interval."""
    gain = best.gains[goal.name]
    mine, theirs = (_short(goal.name, one.interval(goal.name).mean) for one in (best, baseline))
    of = "" if goal.direction == "maximize" else f" in {gain_words(goal)}"
    gained = ", ".join(_gained(goal, gain))
    return f"{goal.words} {mine} against the baseline's {theirs} (gain{of} {gained}"


def _gained(goal: Goal, gain: Interval) -> list[str]:
    """A gain, and its interval unless it is known."""
    mean, low, high = (_short(goal.name, end, "+") for end in (gain.mean, gain.low, gain.high))
    return [mean] if goal.name == NUM_NEURONS else [mean, f"95% {low} to {high}"]


def _short(name: str, value: float, sign: str = "") -> str:
    if name in COUNTS:
        return f"{value:{sign}.6g}"
    # A loss has digits that a share of the features has not.
    return f"{value:{sign}.4f}" if name in ("loss", LOSS_RATIO) else f"{value:{sign}.2f}"


def _what_it_cost(spec: Spec, objective: Objective, best: Finding) -> str:
    assert best.loss_ratio is not None
    own, width = spec.model.num_neurons, int(best.candidate.settings["num_neurons"])
    ceiling = objective.max_loss_ratio
    limited = "no ceiling" if ceiling is None else f"ceiling {ceiling:.4g}"
    return (
        f"Its loss is {best.loss_ratio.mean:.3f} times the baseline's "
        f"(95% {best.loss_ratio.low:.3f} to {best.loss_ratio.high:.3f}, {limited}); "
        f"it has {width} neurons to the baseline's "
        f"{own} ({width / own:.2f} times the cost) and "
        f"{best.metrics['feature_coverage'].mean:.0%} of the features have a neuron of their own."
    )


def _other_limits(objective: Objective) -> list[Limit]:
    """All but the ceiling of the loss."""
    return [limit for limit in objective.limits if limit.key != LOSS_RATIO]


def _what_it_keeps(limit: Limit, best: Finding) -> str:
    found = best.interval(limit.name)
    mean, low, high = (_short(limit.name, end) for end in (found.mean, found.low, found.high))
    between = "" if limit.name == NUM_NEURONS else f" (95% {low} to {high})"
    return f"It keeps {in_words(limit.name)} {limit.words} {limit.bound:.6g}: {mean}{between}."


# The mean bias is one thing to people: where it starts, and what pulls it back.
_WORDS = {
    "initial_bias": "bias",
    "bias_decay": "bias",
    "num_neurons": "width",
    "learning_rate": "learning rate",
    "nonlinearity": "nonlinearity",
    "l1": "L1 penalty",
}


def _where_it_comes_from(spec: Spec, best: Finding, baseline: Finding) -> str:
    """Which settings differ from the baseline's, and so may have brought the gain."""
    mine, theirs = best.candidate.settings, baseline.candidate.settings
    differing = dict.fromkeys(_WORDS[name] for name in _WORDS if mine[name] != theirs[name])
    names = " and ".join(f"the {word}'s" for word in differing) or "nobody's"
    tuned = "tuned over a grid" if spec.baseline.learning_rate == "tuned" else "as given, not tuned"
    rate = float(theirs["learning_rate"])
    if "learning rate" in differing:
        return (
            f"Its learning rate is {float(mine['learning_rate']):.3g}, the baseline's {rate:.3g} "
            f"({tuned}): the gain is {names}."
        )
    return f"Both have the baseline's learning rate ({rate:.3g}, {tuned}), so the gain is {names}."


def _what_the_width_did(
    spec: Spec, first: Goal, best: Finding, same_width: Finding | None, found: Sequence[Finding]
) -> str:
    if same_width is None:
        tried = [
            f"{finding.candidate.role} did not pass: {'; '.join(finding.shortfalls)}"
            for finding in found
            if finding.candidate.role != BASELINE
            and finding.candidate.settings["num_neurons"] == spec.model.num_neurons
        ]
        why = f" ({'; '.join(tried)})" if tried else ""
        return f"No setting at the baseline's own width was confirmed{why}."
    if same_width is best:
        return "The winner has the baseline's own width."
    gain = same_width.gains[first.name]
    return (
        f"At the baseline's own width the best confirmed setting ({same_width.candidate.role}) "
        f"has {_short(first.name, same_width.interval(first.name).mean)} "
        f"(gain {_short(first.name, gain.mean, '+')})."
    )
