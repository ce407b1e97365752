"""What a sweep asks, in words, from its file."""

from service.objective import LOSS_RATIO, NUM_NEURONS, Goal, Objective, in_words, objective_of
from service.spec import Spec
from service.wording import listed


def question(spec: Spec) -> str:
    """The question that the sweep was made to answer."""
    settings = ["width" if name == NUM_NEURONS else in_words(name) for name in spec.space.varied]
    objective = objective_of(spec)
    goals = listed([_better(goal) for goal in objective.goals])
    varied = listed(settings) or "the settings as given"
    return f"Can {varied} bring {goals} than the baseline{_at_what_cost(objective)}?"


def _better(goal: Goal) -> str:
    more, less = _WORDS.get(goal.name, (f"a higher {goal.words}", f"a lower {goal.words}"))
    return more if goal.direction == "maximize" else less


# More of a number, and less.
_WORDS = {
    "monosemantic_per_feature": (
        "more monosemantic neurons for each feature",
        "fewer monosemantic neurons for each feature",
    ),
    "monosemantic_per_neuron": (
        "a larger share of monosemantic neurons",
        "a smaller share of monosemantic neurons",
    ),
    "feature_coverage": (
        "more features with a neuron of their own",
        "fewer features with a neuron of their own",
    ),
    "num_dead": ("more dead neurons", "fewer dead neurons"),
    "num_neurons": ("more neurons", "fewer neurons"),
    "train_s": ("more time of training", "less time of training"),
}


def _at_what_cost(objective: Objective) -> str:
    kept = []
    if objective.max_loss_ratio is not None:
        margin = 100 * (objective.max_loss_ratio - 1.0)
        kept.append(
            f"at a loss no more than {margin:.3g}% above the baseline's"
            if margin
            else "at no higher loss"
        )
    kept += [
        f"with {in_words(limit.name)} {limit.words} {limit.bound:.6g}"
        for limit in objective.limits
        if limit.key != LOSS_RATIO
    ]
    return f", {listed(kept)}" if kept else ", whatever the loss"
