"""The verdict: the findings of confirmation in one sentence, and as numbers for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.confirmation import BASELINE, Finding, at_width, winner
from service.spec import Spec
from service.trials import State, Trial

Json = dict[str, Any]


def verdict(
    spec: Spec, found: Sequence[Finding], search_trials: Sequence[Trial], num_confirmed: int = 0
) -> Json:
    """The verdict of a finished sweep.

    Args:
        spec: The sweep file.
        found: What confirmation found of each candidate, the baseline first; empty if no search
            trial was feasible.
        search_trials: The search's trials, for their parameters.
        num_confirmed: Search trials that were ever confirmed, former finalists counted in.

    Returns:
        A JSON object; its ``sentence`` is for people.
    """
    objective = spec.objective.maximize
    best = winner(found, objective)
    by_id = {trial.trial_id: trial for trial in search_trials}
    baseline = found[0] if found else None
    same_width = at_width(found, spec.model.num_neurons)
    finalists = [finding for finding in found if finding.candidate.is_finalist]
    num_confirmed = max(num_confirmed, len(finalists))
    return {
        "name": spec.name,
        "confirmed": best is not None,
        "objective": objective,
        "num_seeds": best.num_seeds if best else spec.confirmation.num_seeds,
        "loss_margin": spec.objective.loss_margin,
        "loss_ratio": best.loss_ratio.as_json() if best and best.loss_ratio else None,
        "gain": best.gain.as_json() if best and best.gain else None,
        "baseline": _shown(baseline) if baseline else None,
        "winner": _winner(best, by_id) if best else None,
        "best_at_baseline_width": _shown(same_width) if same_width else None,
        "finalists": [_shown(finding) for finding in found if finding.candidate.role != BASELINE],
        "num_confirmed": num_confirmed,
        "sentence": _nothing_to_confirm(spec, search_trials)
        if baseline is None
        else " ".join(
            [
                _sentence(spec, best, baseline, same_width, found),
                *_why_fewer(spec, len(finalists), len(search_trials)),
                *_what_else_counts(len(finalists), num_confirmed),
            ]
        ),
    }


def open_verdict(spec: Spec) -> Json:
    """What stands for the verdict while there is none."""
    return {
        "name": spec.name,
        "confirmed": False,
        "objective": spec.objective.maximize,
        "num_seeds": 0,
        "loss_margin": spec.objective.loss_margin,
        "loss_ratio": None,
        "gain": None,
        "baseline": None,
        "winner": None,
        "best_at_baseline_width": None,
        "finalists": [],
        "num_confirmed": 0,
        "sentence": f"The sweep {spec.name} has no verdict yet.",
    }


def _shown(finding: Finding) -> Json:
    candidate = finding.candidate
    return {
        "role": candidate.role,
        "is_finalist": candidate.is_finalist,
        "settings": dict(candidate.settings),
        "num_neurons": candidate.settings["num_neurons"],
        "num_seeds": finding.num_seeds,
        **{name: interval.as_json() for name, interval in finding.metrics.items()},
        "loss_ratio": finding.loss_ratio.as_json() if finding.loss_ratio else None,
        "gain": finding.gain.as_json() if finding.gain else None,
        "passes": finding.passes and candidate.role != BASELINE,
        "shortfalls": list(finding.shortfalls) if candidate.role != BASELINE else [],
    }


def _winner(finding: Finding, trials: Mapping[str, Trial]) -> Json:
    role = finding.candidate.role
    return {**_shown(finding), "trial": role, "params": trials[role].params}


def _sentence(
    spec: Spec,
    best: Finding | None,
    baseline: Finding,
    same_width: Finding | None,
    found: Sequence[Finding],
) -> str:
    if best is None:
        return " ".join(["No winner.", *_why_not(found)])
    return " ".join(
        [
            _what_won(spec, best, baseline),
            _what_it_cost(spec, best),
            _where_it_comes_from(spec, best, baseline),
            _what_the_width_did(spec, best, same_width, found),
        ]
    )


def _nothing_to_confirm(spec: Spec, search_trials: Sequence[Trial]) -> str:
    states = [trial.state for trial in search_trials]
    ends: Mapping[str, State] = {"of them failed": "failed", "were stopped early": "pruned"}
    others = [f"{count} {words}" for words, end in ends.items() if (count := states.count(end))]
    sentence = (
        f"No winner: of {len(states)} trials none kept its loss within "
        f"{100 * spec.objective.loss_margin:.3g}% of the baseline's"
    )
    return f"{sentence}{''.join(f', and {other}' for other in others)}."


def _why_not(found: Sequence[Finding]) -> list[str]:
    return [
        f"{finding.candidate.role}: {'; '.join(finding.shortfalls)}."
        for finding in found
        if finding.candidate.is_finalist
    ]


def _why_fewer(spec: Spec, num_finalists: int, num_trials: int) -> list[str]:
    asked = spec.confirmation.finalists
    if num_finalists >= asked:
        return []
    was = "was" if num_finalists == 1 else "were"
    return [
        f"Of {asked} finalists asked for {num_finalists} {was} confirmed, since only "
        f"{num_finalists} of {num_trials} trials {was} feasible."
    ]


def _what_else_counts(num_finalists: int, num_confirmed: int) -> list[str]:
    """Finalists of before an extension have left the table, but had their chance to win."""
    if num_confirmed <= num_finalists:
        return []
    return [
        f"With the finalists of before the sweep was extended {num_confirmed} settings were "
        "confirmed, and what decides is corrected for all of them."
    ]


def _what_won(spec: Spec, best: Finding, baseline: Finding) -> str:
    objective = spec.objective.maximize
    assert best.gain is not None
    words = objective.replace("_", " ")
    return (
        f"{best.candidate.role} wins: {words} {best.metrics[objective].mean:.2f} against the "
        f"baseline's {baseline.metrics[objective].mean:.2f} "
        f"(gain {best.gain.mean:+.2f}, 95% {best.gain.low:+.2f} to {best.gain.high:+.2f}, "
        f"{best.num_seeds} fresh paired seeds)."
    )


def _what_it_cost(spec: Spec, best: Finding) -> str:
    assert best.loss_ratio is not None
    own, width = spec.model.num_neurons, int(best.candidate.settings["num_neurons"])
    return (
        f"Its loss is {best.loss_ratio.mean:.3f} times the baseline's "
        f"(95% {best.loss_ratio.low:.3f} to {best.loss_ratio.high:.3f}, "
        f"ceiling {1 + spec.objective.loss_margin:.4g}); it has {width} neurons to the baseline's "
        f"{own} ({width / own:.2f} times the cost) and "
        f"{best.metrics['feature_coverage'].mean:.0%} of the features have a neuron of their own."
    )


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
    spec: Spec, best: Finding, same_width: Finding | None, found: Sequence[Finding]
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
    objective = spec.objective.maximize
    assert same_width.gain is not None
    return (
        f"At the baseline's own width the best confirmed setting ({same_width.candidate.role}) "
        f"has {same_width.metrics[objective].mean:.2f} (gain {same_width.gain.mean:+.2f})."
    )
