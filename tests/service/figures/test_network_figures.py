"""Curves are means over seeds, neurons are sorted, responses make a diagonal."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.columns import CURVES_SCHEMA, NEURONS_SCHEMA
from service.figures import activations_figure
from service.figures.neurons import Network, neurons_figure
from service.figures.style import BASELINE, CANDIDATES, OTHER
from service.figures.training import Line, training_figure
from trainers.names import METRICS


def curves(losses: dict[int, list[float]], num_steps: int = 3) -> pa.Table:
    """Curves at steps 1, 2, 4 of one network for each seed."""
    rows = [
        {
            "trial_id": "search/0",
            "replicate": 0,
            "seed": seed,
            "step": 2**place,
            **dict.fromkeys(METRICS, 0.25),
            "loss": loss,
            "mean_bias": -0.1 * place,
        }
        for seed, values in losses.items()
        for place, loss in enumerate(values[:num_steps])
    ]
    return pa.Table.from_pylist(rows, CURVES_SCHEMA)


def by_label(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.lines}


def test_training_has_three_panels_over_log2_steps() -> None:
    lines = [
        Line("baseline", BASELINE, curves({0: [4.0, 2.0, 1.0], 1: [2.0, 1.0, 1.0]}), is_main=True),
        Line("search/3", CANDIDATES[0], curves({0: [3.0, 2.0, 0.5]}), is_main=True),
        Line("2 others", OTHER, curves({0: [3.0, 2.0, 0.5]}, num_steps=2), is_main=False),
        Line("2 others", OTHER, curves({}), is_main=False),
    ]
    figure = training_figure(lines, "small")
    loss, share, bias = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == [
        "Loss",
        "Monosemantic neurons",
        "Mean bias",
    ]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert all("training steps" in axes.get_xlabel() for axes in figure.axes)
    # Means over both seeds, by hand.
    baseline = by_label(loss)["baseline"]
    assert baseline.get_xdata().tolist() == [1, 2, 4]
    assert baseline.get_ydata().tolist() == [3.0, 1.5, 1.0]
    # One that was stopped ends where it was.
    assert by_label(loss)["2 others"].get_xdata().tolist() == [1, 2]
    assert by_label(bias)["search/3"].get_ydata().tolist() == pytest.approx([0.0, -0.1, -0.2])
    # The coverage beside the share, of the main ones only.
    assert len(share.lines) == 5
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["baseline", "search/3", "2 others"]
    assert "baseline ends at loss 1.000" in figure.finding


def neurons(rows: list[tuple[float, float, str]]) -> pa.Table:
    """Neurons of a concentration, a bias and a kind."""
    return pa.Table.from_pylist(
        [
            {
                "trial_id": "search/0",
                "replicate": 0,
                "seed": 0,
                "neuron": place,
                "concentration": concentration,
                "bias": bias,
                "feature": 0,
                "strength": 1.0,
                "kind": kind,
            }
            for place, (concentration, bias, kind) in enumerate(rows)
        ],
        NEURONS_SCHEMA,
    )


def test_neurons_from_the_most_concentrated_to_the_dead() -> None:
    table = neurons(
        [
            (0.3, 0.2, "polysemantic"),
            (0.0, -0.9, "dead"),
            (1.0, -0.5, "monosemantic"),
            (0.7, 0.1, "polysemantic"),
        ]
    )
    figure = neurons_figure([Network("baseline", table), Network("search/3", table)], "small")
    assert len(figure.axes) == 2
    axes = figure.axes[0]
    assert axes.get_title("left") == "baseline: 1 of 4 monosemantic"
    assert "concentrated" in axes.get_xlabel()
    assert axes.get_ylabel() == "bias"
    found = {str(one.get_label()): one.get_offsets().tolist() for one in axes.collections}
    assert found == {
        "monosemantic": [[1.0, -0.5]],
        "polysemantic": [[3.0, 0.2], [2.0, 0.1]],
        "dead": [[4.0, -0.9]],
    }
    assert "2 polysemantic (mean bias +0.15)" in figure.finding


def test_activations_make_a_diagonal_and_the_dead_come_last() -> None:
    responses = np.array([[0.0, 0.0, 3.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 2.0, 0.5]])
    figure = activations_figure(responses, 0.0, "search/3", "small")
    axes = figure.axes[0]
    shown = axes.images[0].get_array()
    assert np.asarray(shown).tolist() == [
        [1.0, 0.0, 0.0],
        [0.5, 2.0, 0.5],
        [0.0, 0.0, 3.0],
        [0.0, 0.0, 0.0],
    ]
    assert "feature" in axes.get_xlabel()
    assert "neuron" in axes.get_ylabel()
    assert figure.axes[1].get_ylabel().startswith("activation")
    assert "3 of 4 neurons answer to a feature, 1 to none" in figure.finding
