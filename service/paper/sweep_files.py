"""A batch as sweep files: what a user could have written to train it."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from search_spaces.paper import Batch
from service.paper.notes import listed_numbers, notes
from service.paper.scaling import PAPERS_OWN, ScaledBatch, Scaling
from service.spec import Spec, parse_spec
from service.spec.yaml_values import flow

# The baseline's where the batch varies them: the learning rate of the quick start, the width of
# most batches, and nothing that acts on biases or activations.
BASELINE_RATE = 0.01
_BASELINE_WIDTH = 1024
# A verdict needs two seeds; one is enough to stand beside the points.
_LEAST_BASELINE_SEEDS = 2
# What a sweep varies; the density is the task's, and has a sweep for each of its values.
_DENSITY = "feature_density"
_SETTINGS = ("num_neurons", "learning_rate", "initial_bias", "bias_decay", "l1")


@dataclass(frozen=True, kw_only=True)
class BatchSweep:
    """One sweep of a batch.

    Attributes:
        text: Its file.
        feature_density: Probability that a feature is non-zero in its task.
    """

    text: str
    feature_density: float

    @cached_property
    def spec(self) -> Spec:
        """The file, read and checked."""
        return parse_spec(self.text, origin="the sweep file of a batch")


def command(name: str, scaling: Scaling, usual: Scaling = PAPERS_OWN) -> str:
    """The command that trains a batch, goes on with it, or shows it.

    Args:
        name: The batch's name, or another that the command takes.
        scaling: How it is to be trained.
        usual: How the command trains what is so named without options.
    """
    options = (f" {option} {value}" for option, value in scaling.options(usual))
    return f"monosweep paper {name}{''.join(options)}"


def sweeps_of(scaled: ScaledBatch) -> list[BatchSweep]:
    """The sweeps that train a batch: one, or where the density varies one for each density.

    Every point of the grid is trained to its end, on the same seeds, beside a baseline; nothing is
    confirmed, since a batch shows all of its points and picks none.
    """
    densities = scaled.batch.values(_DENSITY)
    return [
        BatchSweep(
            text=_text(scaled, density, f"-density{index:02d}" if len(densities) > 1 else ""),
            feature_density=density,
        )
        for index, density in enumerate(densities, start=1)
    ]


def _text(scaled: ScaledBatch, density: float, suffix: str) -> str:
    batch, scaling = scaled.batch, scaled.scaling
    num_points = prod(len(grid) for name, grid in batch.grids.items() if name != _DENSITY)
    seeds = max(scaling.num_seeds, _LEAST_BASELINE_SEEDS)
    parts: Mapping[str, Mapping[str, object]] = {
        "task": {
            "kind": batch.task,
            "num_features": batch.num_features,
            "num_inputs": batch.num_inputs,
            "feature_density": density,
            "feature_distribution": batch.feature_distribution,
        },
        "model": {
            "num_neurons": _own(batch, "num_neurons", _BASELINE_WIDTH // scaling.scale),
            "nonlinearity": batch.nonlinearity,
        },
        "training": {
            "num_steps": scaling.num_steps,
            "batch_size": scaling.batch_size,
            "optimizer": "lamb",
            "schedule": "cycling_cosine",
            "learning_rate": _own(batch, "learning_rate", BASELINE_RATE),
            "initial_bias": _own(batch, "initial_bias", 0.0),
            "bias_decay": _own(batch, "bias_decay", 0.0),
            "l1": _own(batch, "l1", 0.0),
        },
    }
    return "\n".join(
        [
            *_comment(f"The paper's batch {batch.name}: {_varied(batch)}."),
            *(line for note in notes(scaled) for line in _comment(note)),
            *_comment("Jermyn, Schiefer and Hubinger 2022, arXiv:2211.09169, table 1."),
            f"# To train it, go on with it or see it: {command(batch.name, scaling)}",
            "",
            f"name: {name_of(scaled)}{suffix}",
            *(f"{key}: {flow(value)}" for key, value in parts.items()),
            "",
            "# Every point of the grid once, each to its end.",
            f"search_space: {flow(_space(batch))}",
            f"search: {{sampler: grid, num_trials: {num_points}, replicates: {scaling.num_seeds}}}",
            "early_stopping: null",
            "objective: {maximize: monosemantic_per_feature, loss_margin: null}",
            "",
            "# Beside them networks whose biases start around zero and do not decay.",
            f"baseline: {{learning_rate: given, num_seeds: {seeds}}}",
            "",
            "# A batch shows all of its points: it has no winner, and none is confirmed.",
            "confirmation: null",
            "",
        ]
    )


def name_of(scaled: ScaledBatch) -> str:
    """``paper-LR1-scale2-steps8192-batch256``: what is the paper's own goes without saying."""
    short = {"--batch-size": "batch"}
    options = scaled.scaling.options(PAPERS_OWN)
    asked = "".join(f"-{short.get(name, name[2:])}{value}" for name, value in options)
    return f"paper-{scaled.batch.name}{asked}"


def _own(batch: Batch, name: str, otherwise: float) -> float:
    """A setting's value in the batch; where it varies the baseline's."""
    values = batch.values(name)
    return otherwise if name in batch.grids else values[0]


def _space(batch: Batch) -> Mapping[str, object]:
    """The grids as choices; a sweep of one point names the setting that the paper's recipe is."""
    varied = {
        name: {"choice": list(batch.grids[name])} for name in _SETTINGS if name in batch.grids
    }
    return varied or {"initial_bias": batch.initial_bias}


def _varied(batch: Batch) -> str:
    return " and ".join(
        f"{grid_words(name)} {listed_numbers(grid)}" for name, grid in batch.grids.items()
    )


_WORDS = {"num_neurons": "neurons", "l1": "L1 penalty", "initial_bias": "initial mean bias"}


def grid_words(name: str) -> str:
    """A setting's name for people."""
    return _WORDS.get(name, name.replace("_", " "))


def _comment(sentence: str) -> Iterator[str]:
    lines: Sequence[str] = textwrap.wrap(sentence, 98)
    return (f"# {line}" for line in lines)
