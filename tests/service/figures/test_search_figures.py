"""What the search found: trials by what became of them, the ceiling, the front by brute force."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes

from search_spaces import Choice, Float, Int, Space
from service.figures.front import front_figure
from service.figures.settings import settings_figure
from service.objective import AT_MOST, MAXIMIZE, Goal, Limit, Objective
from service.tables import trials_table
from service.trials import Trial

MakeTrial = Callable[..., Trial]
SPACE = Space(
    {
        "initial_bias": Float(-1.0, 0.0),
        "learning_rate": Float(0.001, 0.1, log=True),
        "num_neurons": Int(32, 128, step=32),
        "nonlinearity": Choice(("relu", "gelu")),
    }
)
OBJECTIVE = Objective(
    (Goal("monosemantic_per_feature", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),)
)
Row = tuple[float, float, int]


@pytest.fixture
def table(make_trial: MakeTrial) -> pa.Table:
    """Three feasible trials, two infeasible ones, four stopped, one failed, one at work."""
    states = ["complete"] * 5 + ["pruned"] * 4 + ["failed", "running"]
    trials = [
        make_trial(
            "search",
            number,
            state=state,
            settings={
                "initial_bias": -number / 10,
                "nonlinearity": ("relu", "gelu")[number % 2],
                "learning_rate": 0.001 * (1 + number),
            },
            loss_ratio=(1.0 if number < 3 else 1.5) if state == "complete" else None,
            monosemantic_per_feature=number / 10,
        )
        for number, state in enumerate(states)
    ]
    return trials_table(trials, OBJECTIVE)


def counts(axes: Axes) -> dict[str, int]:
    return {str(one.get_label()): len(one.get_offsets()) for one in axes.collections}


def lines_at(axes: Axes) -> set[float]:
    """Heights of the lines across the axes."""
    return {float(line.get_ydata()[0]) for line in axes.lines}  # type: ignore[index]


def test_a_column_for_each_setting_and_a_row_for_each_number(table: pa.Table) -> None:
    figure = settings_figure(table, SPACE, OBJECTIVE.goals, OBJECTIVE.limits, "small")
    # Three panels for each of four settings: the objective, the loss ratio, those without.
    assert len(figure.axes) == 12
    objective, ratio, strip = figure.axes[:3]
    assert (objective.get_ylabel(), ratio.get_ylabel()) == (
        "monosemantic per feature",
        "loss ratio",
    )
    for panel in (objective, ratio):
        assert counts(panel) == {"feasible": 3, "infeasible": 2}
    assert counts(strip) == {"stopped": 4, "failed": 1}
    assert [label.get_text() for label in strip.get_yticklabels()] == ["failed", "stopped"]
    assert lines_at(ratio) == {1.02}
    assert lines_at(objective) == set()
    labels = [figure.axes[place].get_xlabel() for place in (2, 5, 8, 11)]
    assert [label.partition(" (")[0] for label in labels] == [
        "initial bias",
        "learning rate",
        "neurons",
        "nonlinearity",
    ]
    assert figure.axes[3].get_xscale() == "log"
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == ["feasible (3)", "infeasible (2)", "stopped (4)", "failed (1)", "ceiling 1.02"]
    assert "search/2" in figure.finding


def test_choices_are_categories(table: pa.Table) -> None:
    figure = settings_figure(table, SPACE, OBJECTIVE.goals, OBJECTIVE.limits, "small")
    panel, strip = figure.axes[9], figure.axes[11]
    assert [label.get_text() for label in strip.get_xticklabels()] == ["relu", "gelu"]
    # Of the complete trials 0, 2 and 4 have the first one.
    places = np.concatenate([one.get_offsets()[:, 0] for one in panel.collections])
    assert sorted(np.round(places).tolist()) == [0, 0, 0, 1, 1]


def test_a_setting_that_depends_on_another_is_shown_where_it_is_there(table: pa.Table) -> None:
    space = Space(
        {"nonlinearity": Choice(("relu", "gelu")), "l1": Float(0.0, 0.1)},
        {"l1": {"nonlinearity": ("gelu",)}},
    )
    figure = settings_figure(table, space, OBJECTIVE.goals, OBJECTIVE.limits, "small")
    # Of the complete trials 1 and 3, one of them feasible.
    assert counts(figure.axes[3]) == {"feasible": 1, "infeasible": 1}


def test_one_far_trial_hides_nothing(make_trial: MakeTrial) -> None:
    trials = [
        make_trial(
            "search",
            number,
            settings={"initial_bias": -number / 20},
            loss_ratio=1.0 + number / 100 if number < 19 else 50.0,
            monosemantic_per_feature=0.5 + number / 100,
        )
        for number in range(20)
    ]
    figure = settings_figure(
        trials_table(trials, OBJECTIVE), SPACE, OBJECTIVE.goals, OBJECTIVE.limits, "small"
    )
    ratio = figure.axes[1]
    top = ratio.get_ylim()[1]
    assert 1.18 < top < 1.5
    # It is drawn all the same, at the axis's end.
    heights = np.concatenate([one.get_offsets()[:, 1] for one in ratio.collections])
    assert len(heights) == 20
    assert heights.max() == pytest.approx(top)


def test_many_trials_are_one_image(make_trial: MakeTrial) -> None:
    def panels(num: int) -> Sequence[bool]:
        trials = [
            make_trial("search", n, loss_ratio=1.0, monosemantic_per_feature=n / num)
            for n in range(num)
        ]
        figure = settings_figure(
            trials_table(trials, OBJECTIVE), SPACE, OBJECTIVE.goals, OBJECTIVE.limits, "small"
        )
        return [bool(one.get_rasterized()) for one in figure.axes[0].collections]

    # Feasible ones, infeasible ones.
    assert not any(panels(40))
    assert any(panels(1000))


def test_a_ceiling_that_is_not_there_is_not_drawn(table: pa.Table) -> None:
    figure = front_figure(table, None, "small")
    assert "ceiling" not in " ".join(text.get_text() for text in figure.legends[0].get_texts())


def test_front_axes_and_ceiling(table: pa.Table) -> None:
    figure = front_figure(table, 1.02, "small")
    axes = figure.axes[0]
    assert axes.get_xlabel().startswith("loss ratio")
    assert axes.get_ylabel() == "monosemantic neurons for each feature"
    # Of three feasible trials of one loss and width the most monosemantic one is the front.
    assert counts(axes) == {"infeasible": 2, "feasible": 2, "on the front": 1}
    assert {float(line.get_xdata()[0]) for line in axes.lines} == {1.0, 1.02}  # type: ignore[index]
    assert "search/2" in figure.finding


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.9, 0.95, 1.0, 1.01, 1.1]),
            st.sampled_from([0.0, 0.25, 0.5, 1.0]),
            st.sampled_from([32, 64, 96]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_front_is_what_nobody_dominates(make_trial: MakeTrial, rows: list[Row]) -> None:
    trials = [
        replace(
            make_trial(
                "search",
                number,
                settings={"num_neurons": width},
                loss_ratio=ratio,
                monosemantic_per_feature=share,
            )
        )
        for number, (ratio, share, width) in enumerate(rows)
    ]
    figure = front_figure(trials_table(trials, OBJECTIVE), 1.02, "small")
    feasible = {row for row in rows if row[0] <= 1.02}
    best = {
        (ratio, share)
        for ratio, share, width in feasible
        if not any(
            r <= ratio and s >= share and w <= width and (r, s, w) != (ratio, share, width)
            for r, s, w in feasible
        )
    }
    drawn = next(
        one for one in figure.axes[0].collections if one.get_label() == "on the front"
    ).get_offsets()
    assert {(float(x), float(y)) for x, y in drawn} == best
