"""What MLflow's pages say in words: what one is looking at, how it was made, where to look next.

Markdown, as MLflow renders it.
"""

from collections.abc import Mapping, Sequence

from service.objective import LOSS_RATIO, Objective, in_words
from service.tracking.facts import Facts
from service.tracking.views import FIRST_VIEW, View, link
from service.trials import Trial
from service.verdict import Json
from service.wording import listed

NOTE = "mlflow.note.content"


def of_experiment(facts: Facts, views: Sequence[View], experiment_id: str) -> str:
    """What a sweep is, its ways to be looked at, and what its numbers mean.

    Args:
        facts: Of the sweep.
        views: The views that it brings.
        experiment_id: MLflow's, for links.
    """
    spec, task = facts.spec, facts.spec.task
    bound = facts.objective.max_loss_ratio or 1.0
    links = [
        f"{view.name} ([table]({link(view.key, experiment_id)}), "
        f"[charts]({link(view.key, experiment_id, charts=True)}))"
        for view in views
    ]
    return "\n\n".join(
        [
            # MLflow's page shows the first line until somebody unfolds the rest.
            f"**Look at:** {' · '.join(links)}",
            f"{spec.name} is a sweep over toy models of monosemanticity. It asks which settings of "
            f"{listed(in_words(name) for name in spec.space.varied)} bring the "
            f"{_goals(facts.objective)}{_limits(facts.objective)}.",
            f"Every run is one network or a few, trained from scratch: {task.num_features} sparse "
            f"features seen through {task.num_inputs} inputs, task `{task.kind}`, "
            f"{spec.training.num_steps} steps at batch size {spec.training.batch_size}. Runs of "
            "the phase *baseline* have zero mean bias; those of the *search* are proposed one "
            "after another; those of the *confirmation* train the best again, beside the baseline, "
            "on seeds that the search never saw. The run *summary* has the verdict.",
            f"A filter to begin with: `metrics.loss_ratio < {bound:g} and tags.phase = 'search'`. "
            "The curves are at steps 1, 2, 4, ...: where a chart is not one of those behind "
            "*charts*, set its x-axis to *Log scale*. Trials that stand out have the tag "
            "`standing`: `winner`, `finalist` or `best so far`.",
            _NUMBERS,
        ]
    )


def of_trial(trial: Trial, facts: Facts, experiment_id: str) -> str:
    """What a run is, what came of it, where to look next, and how to make it again."""
    view = "confirmation" if trial.phase == "confirmation" else FIRST_VIEW
    return "\n\n".join(
        [
            f"{_what(trial, facts)} {_came(trial, facts)}",
            f"Look next: [its curves beside the others']({link(view, experiment_id, charts=True)})",
            f"To train {'it' if len(trial.seeds) == 1 else 'them'} again, bit for bit on one kind "
            f"of processor: `monosweep reproduce {facts.spec.name} {trial.trial_id}`, or in Python "
            f"with monosweep {facts.versions.get('monosweep', '')}:",
            f"```python\n{again(trial, facts)}\n```",
        ]
    )


def of_summary(facts: Facts, verdict: Json | None, experiment_id: str) -> str:
    """The verdict, or what stands for it, where to look next, and how to make the sweep again."""
    said = [f"The sweep {facts.spec.name} has no verdict yet."]
    if verdict is not None:
        said = [verdict["sentence"], *_front_table(verdict)]
    search = link(FIRST_VIEW, experiment_id)
    confirmation = link("confirmation", experiment_id, charts=True)
    return "\n\n".join(
        [
            *said,
            f"Look next: [the search, best first]({search}), [the finalists beside the baseline]"
            f"({confirmation}), and this run's artifacts.",
            "To make the sweep again: download the artifact `sweep.yaml`, and "
            "`monosweep run sweep.yaml --name ANOTHER`.",
        ]
    )


def again(trial: Trial, facts: Facts) -> str:
    """A Python program that trains a trial's networks and prints what became of them."""
    return "\n".join(
        [
            "import torch",
            "from trainers import Member, Task, TrainingSettings, advance, begin, outcomes",
            "",
            f"torch.set_num_threads({facts.cpus})",
            f"task = {_call('Task', facts.task)}",
            f"training = {_call('TrainingSettings', facts.training)}",
            f"settings = {_call('dict', trial.settings)}",
            f"seeds = {list(trial.seeds)}",
            "cohort = begin(task, training, [Member(seed=seed, **settings) for seed in seeds])",
            "advance(cohort, training.num_steps)",
            "for outcome in outcomes(cohort):",
            "    print(outcome.evaluation)",
        ]
    )


_NUMBERS = """\
| metric | says |
| --- | --- |
| `loss` | squared error summed over outputs, on held-out samples |
| `loss_ratio` | loss over the baseline's on the same seeds |
| `monosemantic_per_feature` | neurons that answer to one feature only, over features; passes 1 \
when two share a feature |
| `feature_coverage` | features that have such a neuron, over features |
| `concentration_per_feature` | a soft `monosemantic_per_feature`, which moves earlier |
| `num_dead` | neurons that answer to no feature alone |
| `param.*` | a swept setting as a number (MLflow sorts params as words) |"""


def _goals(objective: Objective) -> str:
    return listed(
        f"{'highest' if goal.direction == 'maximize' else 'lowest'} {goal.words}"
        for goal in objective.goals
    )


def _limits(objective: Objective) -> str:
    if not objective.limits:
        return ""
    return ", with " + listed(
        f"a loss {limit.words} {limit.bound:g} times the baseline's"
        if limit.name == LOSS_RATIO
        else f"{in_words(limit.name)} {limit.words} {limit.bound:g}"
        for limit in objective.limits
    )


def _what(trial: Trial, facts: Facts) -> str:
    """Which trial it is, and of what."""
    networks = "one network" if len(trial.seeds) == 1 else f"{len(trial.seeds)} networks"
    of = f"of the sweep {facts.spec.name}"
    match trial.phase:
        case "baseline":
            return f"Trial {trial.number} of the baseline {of}: {networks} with zero mean bias."
        case "search":
            return f"Trial {trial.number} of the search {of}: {networks} with settings it proposed."
        case "confirmation":
            of_whom = "the baseline" if trial.role == "baseline" else f"**{trial.role}**"
            return (
                f"Trial {trial.number} of the confirmation {of}: {of_whom} trained again on a seed "
                "that the search never saw."
            )


def _came(trial: Trial, facts: Facts) -> str:
    """What came of it, in a sentence."""
    result = trial.result
    assert result is not None
    if result.state != "complete":
        how = {"pruned": "It was stopped early", "failed": "It failed"}[result.state]
        return f"{how}: {result.reason}."
    names = dict.fromkeys(["loss", *(goal.name for goal in facts.objective.goals)])
    found = [
        f"{in_words(name)} {result.metrics[name]:.4g}" for name in names if name in result.metrics
    ]
    if result.loss_ratio is not None:
        found[0] += f" ({result.loss_ratio:.4g} times the baseline's)"
    same = f" Not trained: {result.reason}." if trial.same_as and result.reason else ""
    kept = ""
    if trial.phase == "search":
        kept = (
            ", within every limit" if facts.is_feasible(trial) else ", **not within every limit**"
        )
    return f"It ended with {listed(found)}{kept}.{same}"


def _call(name: str, arguments: Mapping[str, object]) -> str:
    """A call of Python's that fits a page."""
    lines = "".join(f"    {key}={value!r},\n" for key, value in arguments.items())
    return f"{name}(\n{lines})"


def _front_table(verdict: Json) -> list[str]:
    """The confirmed front as a table, where there are several objectives."""
    # Verdicts of the first versions name one objective only.
    names = [goal["name"] for goal in verdict.get("objectives", ())]
    if len(names) < 2:
        return []
    rows = [
        ["", *(name.replace("_", " ") for name in names), "passes"],
        ["---"] * (len(names) + 2),
        *(
            [
                row["trial"],
                *(_mean(row, name) for name in names),
                "true" if row["passes"] else "false",
            ]
            for row in verdict["front"]
        ),
    ]
    return ["\n".join(f"| {' | '.join(row)} |" for row in rows)]


def _mean(row: Json, name: str) -> str:
    """A number of a confirmed setting, with half of its interval; a dash if it has none."""
    found = row.get(name)
    if not isinstance(found, Mapping):
        return "-" if found is None else str(found)
    return f"{found['mean']:.4g} ± {(found['high'] - found['low']) / 2:.2g}"
