import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.confirmation import Candidate
from service.findings import SHOWN, Finding, Numbers, findings
from service.intervals import Interval
from service.objective import objective_of
from service.spec import Spec
from service.trials import Trial
from service.verdict import open_verdict, verdict

MakeSpec = Callable[..., Spec]
MakeTrial = Callable[..., Trial]

SPACE = "search_space: bias_and_width"
BASE: dict[str, float | int | str] = {
    "num_neurons": 64,
    "nonlinearity": "relu",
    "learning_rate": 0.02,
    "initial_bias": 0.0,
    "bias_decay": 0.0,
    "l1": 0.0,
}


def finding(
    role: str,
    *,
    objective: float = 0.1,
    shortfalls: tuple[str, ...] = (),
    is_finalist: bool = True,
    is_enqueued: bool = False,
    numbers: Mapping[int, Numbers] | None = None,
    **changed: float | int | str,
) -> Finding:
    metrics = dict.fromkeys(SHOWN, Interval(objective, objective - 0.01, objective + 0.01))
    metrics["feature_coverage"] = Interval(0.55, 0.5, 0.6)
    return Finding(
        candidate=Candidate(
            role=role,
            settings={**BASE, **changed},
            is_finalist=is_finalist,
            is_enqueued=is_enqueued,
        ),
        num_seeds=4,
        metrics=metrics,
        loss_ratio=Interval(0.99, 0.98, 1.0),
        gains={"monosemantic_per_feature": Interval(objective - 0.1, objective - 0.2, objective)},
        shortfalls=shortfalls,
        numbers=numbers or {},
    )


BASELINE = finding("baseline", is_finalist=False, shortfalls=("its gain is 0",))


@pytest.fixture
def trials(make_trial: MakeTrial) -> list[Trial]:
    return [make_trial("search", n, settings={"num_neurons": 32 * (n + 1)}) for n in range(4)]


def test_a_winner_is_told_with_its_gain_its_cost_and_its_coverage(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    best = finding("search/3", objective=0.6, num_neurons=128, initial_bias=-0.5)
    found = verdict(make_spec(), [BASELINE, best], trials)
    assert found["sentence"] == (
        "search/3 wins: monosemantic per feature 0.60 against the baseline's 0.10 (gain +0.50, "
        "95% +0.40 to +0.60, 4 fresh paired seeds). Its loss is 0.990 times the baseline's "
        "(95% 0.980 to 1.000, ceiling 1.5); it has 128 neurons to the baseline's 64 (2.00 times "
        "the cost) and 55% of the features have a neuron of their own. Both have the baseline's "
        "learning rate (0.02, as given, not tuned), so the gain is the bias's and the width's. "
        "No setting at the baseline's own width was confirmed."
    )
    assert (found["confirmed"], found["num_seeds"]) == (True, 4)
    assert found["loss_ratio"] == {"mean": 0.99, "low": 0.98, "high": 1.0}
    winner = found["winner"]
    assert (winner["trial"], winner["num_neurons"], winner["passes"]) == ("search/3", 128, True)
    assert winner["params"] == {"initial_bias": 0.0, "bias_decay": 0.0, "num_neurons": 128}
    assert winner["feature_coverage"] == {"mean": 0.55, "low": 0.5, "high": 0.6}
    assert found["best_at_baseline_width"] is None


def test_finalists_that_have_left_the_table_are_counted_in_words(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(make_spec(), [BASELINE, finding("search/3", num_neurons=128)], trials, 3)
    assert found["num_confirmed"] == 3
    assert found["sentence"].endswith(
        " With the finalists of before the sweep was extended 3 settings were confirmed, and what "
        "decides is corrected for all of them."
    )
    alone = verdict(make_spec(), [BASELINE, finding("search/3", num_neurons=128)], trials, 1)
    assert alone["num_confirmed"] == 1
    assert "extended" not in alone["sentence"]


def test_fewer_finalists_than_asked_for_have_a_reason(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    spec = make_spec(("finalists: 1", "finalists: 3"))
    best = finding("search/3", num_neurons=128)
    for found in ([BASELINE, best], [BASELINE, replace(best, shortfalls=("its loss is high",))]):
        assert verdict(spec, found, trials)["sentence"].endswith(
            " Of 3 finalists asked for 1 was confirmed, since only 1 of 4 trials was feasible."
        )


def test_the_highest_objective_wins_and_the_others_stay_finalists(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(
        make_spec(),
        [
            BASELINE,
            finding("search/0", objective=0.5, num_neurons=32),
            finding("search/2", objective=0.7, num_neurons=96),
            finding("search/3", objective=0.9, num_neurons=128, shortfalls=("its loss is high",)),
        ],
        trials,
    )
    assert found["winner"]["trial"] == "search/2"
    assert [row["role"] for row in found["finalists"]] == ["search/0", "search/2", "search/3"]
    assert [row["passes"] for row in found["finalists"]] == [True, True, False]
    assert found["finalists"][2]["shortfalls"] == ["its loss is high"]


def test_the_baseline_neither_passes_nor_falls_short(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(make_spec(), [BASELINE, finding("search/3", num_neurons=128)], trials)
    assert (found["baseline"]["passes"], found["baseline"]["shortfalls"]) == (False, [])
    assert set(SHOWN) < set(found["baseline"])


def test_without_a_winner_every_finalist_says_why(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(
        make_spec(),
        [
            BASELINE,
            finding("search/1", shortfalls=("its loss is high", "its gain is low")),
            finding("search/2", shortfalls=("seed 9 diverged",), num_neurons=96),
            finding("search/2 at 64", shortfalls=("too bad",), is_finalist=False),
        ],
        trials,
    )
    assert found["sentence"] == (
        "No winner. search/1: its loss is high; its gain is low. search/2: seed 9 diverged."
    )
    assert (found["confirmed"], found["winner"], found["loss_ratio"]) == (False, None, None)
    assert found["num_seeds"] == 2  # what the file asked for


def test_without_a_feasible_trial_there_is_nothing_to_confirm(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(make_spec(("loss_margin: 0.5", "loss_margin: 0.02")), [], trials)
    assert found["sentence"] == (
        "No winner: of 4 trials none kept its loss within 2% of the baseline's."
    )
    assert (found["baseline"], found["finalists"], found["confirmed"]) == (None, [], False)


def test_trials_that_failed_are_told_of_where_there_is_nothing_to_confirm(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    trials = [
        make_trial("search", 0, loss_ratio=2.0, loss=2.0),
        make_trial("search", 1, state="failed", reason="diverged"),
    ]
    sentence = verdict(make_spec(), [], trials)["sentence"]
    assert sentence.startswith("No winner: of 2 trials none kept its loss within 50%")
    assert "1 of them failed." in sentence


def test_trials_that_were_stopped_early_are_told_of_too(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    ends = {0: "failed", 1: "pruned", 2: "pruned"}
    trials = [make_trial("search", n, state=state, reason="x") for n, state in ends.items()]
    tail = "of the baseline's, and 1 of them failed, and 2 were stopped early."
    assert verdict(make_spec(), [], trials)["sentence"].endswith(tail)
    assert verdict(make_spec(), [], trials[1:])["sentence"].endswith(
        "of the baseline's, and 2 were stopped early."
    )


def test_a_margin_of_half_a_percent_is_told_as_such(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    spec = make_spec(("loss_margin: 0.5", "loss_margin: 0.005"))
    assert "within 0.5% of the baseline's" in verdict(spec, [], trials)["sentence"]
    best = finding("search/3", objective=0.6, num_neurons=128)
    assert "ceiling 1.005)" in verdict(spec, [BASELINE, best], trials)["sentence"]


def test_a_winner_of_the_baselines_width_says_so(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(make_spec(), [BASELINE, finding("search/1", objective=0.6)], trials)
    assert found["sentence"].endswith("The winner has the baseline's own width.")
    assert found["best_at_baseline_width"]["role"] == "search/1"
    assert "64 neurons to the baseline's 64 (1.00 times the cost)" in found["sentence"]


def test_a_setting_moved_to_the_baselines_width_tells_what_the_width_did(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    found = verdict(
        make_spec(),
        [
            BASELINE,
            finding("search/3", objective=0.6, num_neurons=128),
            finding("search/3 at 64", objective=0.4, is_finalist=False),
        ],
        trials,
    )
    assert found["winner"]["trial"] == "search/3"
    assert found["best_at_baseline_width"]["role"] == "search/3 at 64"
    assert found["sentence"].endswith(
        "At the baseline's own width the best confirmed setting (search/3 at 64) has 0.40 "
        "(gain +0.30)."
    )


def test_one_that_is_only_moved_to_the_width_cannot_win(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    moved = finding("search/3 at 64", objective=0.4, is_finalist=False)
    missed = finding("search/3", num_neurons=128, shortfalls=("its loss is high",))
    found = verdict(make_spec(), [BASELINE, missed, moved], trials)
    assert found["winner"] is None
    assert found["best_at_baseline_width"]["role"] == "search/3 at 64"


# The best enqueued setting beside the winner. Over four seeds with values of mean - d twice and of
# mean + d twice the interval is mean - 1.837386 d to mean + 1.837386 d: t(0.975, 3) is 3.182446,
# the standard error d over the square root of 3.


def by_seed(
    values: Sequence[float], losses: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
) -> dict[int, Numbers]:
    return {
        seed: {"monosemantic_per_feature": value, "loss": loss}
        for seed, (value, loss) in enumerate(zip(values, losses, strict=True))
    }


WON = finding(
    "search/3",
    objective=1.05,
    num_neurons=128,
    numbers=by_seed((1.02, 1.02, 1.08, 1.08), (0.957, 0.957, 0.977, 0.977)),
)


def as_enqueued(value: float, **changed: Any) -> Finding:
    role, numbers = "search/2 as enqueued", by_seed((value,) * 4)
    one = finding(role, objective=value, is_finalist=False, is_enqueued=True, numbers=numbers)
    return replace(one, **changed)


@pytest.fixture
def enqueued(make_trial: MakeTrial) -> list[Trial]:
    """A search of which every trial is feasible."""
    return [
        make_trial("search", n, loss=1.0, loss_ratio=1.0, monosemantic_per_feature=0.5)
        for n in range(4)
    ]


def test_the_winner_is_compared_with_the_best_enqueued_setting(
    make_spec: MakeSpec, enqueued: Sequence[Trial]
) -> None:
    """Gains 0.18 and 0.24, twice each: d is 0.03. Loss ratios 0.957 and 0.977: d is 0.01."""
    found = verdict(make_spec(), [BASELINE, WON, as_enqueued(0.84)], enqueued)
    assert found["sentence"].endswith(
        " The best enqueued setting (search/2) has 0.84; the winner is +0.21 better (95% +0.15 to "
        "+0.27) at 0.967 times its loss (0.949 to 0.985)."
    )
    shown = found["enqueued"]
    assert shown["winner_gain"] == pytest.approx(
        {"mean": 0.21, "low": 0.21 - 0.055122, "high": 0.21 + 0.055122}, abs=1e-6
    )
    assert shown["winner_loss_ratio"] == pytest.approx(
        {"mean": 0.967, "low": 0.967 - 0.018374, "high": 0.967 + 0.018374}, abs=1e-6
    )
    (row,) = [row for row in found["finalists"] if row["role"] == "search/2 as enqueued"]
    assert row["is_finalist"] is False
    assert {name: shown[name] for name in row} == row
    assert set(shown) - set(row) == {"winner_gain", "winner_loss_ratio"}
    assert (shown["num_neurons"], shown["gain"]["mean"]) == (64, pytest.approx(0.74))
    # It does not win, however good it is.
    better = verdict(make_spec(), [BASELINE, WON, as_enqueued(1.2)], enqueued)
    assert (better["winner"]["trial"], better["num_confirmed"]) == ("search/3", 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.03, "has 1.03; the winner is not surely better (+0.02, 95% -0.04 to +0.08) at 0.967"),
        (1.05, "has 1.05; the winner is not surely better (+0.00, 95% -0.06 to +0.06) at 0.967"),
        (1.06, "has 1.06; the winner is not surely better (-0.01, 95% -0.07 to +0.05) at 0.967"),
        (1.2, "has 1.20; the winner is worse (-0.15, 95% -0.21 to -0.09) at 0.967"),
    ],
)
def test_no_winner_is_called_better_than_its_interval_carries(
    make_spec: MakeSpec, enqueued: Sequence[Trial], value: float, said: str
) -> None:
    found = verdict(make_spec(), [BASELINE, WON, as_enqueued(value)], enqueued)
    assert f"(search/2) {said} times its loss" in found["sentence"]


def test_seeds_that_the_enqueued_setting_lacks_are_told(
    make_spec: MakeSpec, enqueued: Sequence[Trial]
) -> None:
    """Gains 0.18 and 0.18: nothing was seen to vary."""
    numbers = by_seed((0.84, 0.84), (1.0, 1.0))
    found = verdict(
        make_spec(), [BASELINE, WON, as_enqueued(0.84, num_seeds=2, numbers=numbers)], enqueued
    )
    said = "the winner is +0.18 better (95% +0.18 to +0.18, 2 of 4 seeds) at 0.957 times"
    assert said in found["sentence"]
    lost = as_enqueued(
        0.84,
        num_seeds=1,
        metrics={},
        gains={},
        loss_ratio=None,
        numbers=by_seed((0.84,), (1.0,)),
        shortfalls=("seed 9 diverged", "only 1 seeds shared with the baseline"),
    )
    found = verdict(make_spec(), [BASELINE, WON, lost], enqueued)
    assert found["sentence"].endswith(
        " The best enqueued setting (search/2) was not confirmed: seed 9 diverged; only 1 seeds "
        "shared with the baseline."
    )
    assert found["enqueued"]["role"] == "search/2 as enqueued"
    assert found["enqueued"]["winner_gain"] is None
    assert found["enqueued"]["winner_loss_ratio"] is None


def test_an_enqueued_winner_is_not_compared_with_itself(
    make_spec: MakeSpec, enqueued: Sequence[Trial]
) -> None:
    own = replace(WON, candidate=replace(WON.candidate, is_enqueued=True))
    found = verdict(make_spec(), [BASELINE, own], enqueued)
    assert found["sentence"].endswith(" The winner is the best enqueued setting.")
    shown = found["enqueued"]
    assert (shown["role"], shown["is_finalist"]) == ("search/3", True)
    assert (shown["winner_gain"], shown["winner_loss_ratio"]) == (None, None)


def test_an_enqueued_finalist_that_does_not_win_is_compared_too(
    make_spec: MakeSpec, enqueued: Sequence[Trial]
) -> None:
    other = as_enqueued(0.84).candidate
    other = replace(other, role="search/2", is_finalist=True)
    found = verdict(make_spec(), [BASELINE, WON, as_enqueued(0.84, candidate=other)], enqueued)
    assert (found["winner"]["trial"], found["enqueued"]["role"]) == ("search/3", "search/2")
    assert found["enqueued"]["winner_gain"]["mean"] == pytest.approx(0.21)


def test_without_a_winner_the_best_enqueued_setting_stands_beside_the_baseline(
    make_spec: MakeSpec, enqueued: Sequence[Trial]
) -> None:
    missed = replace(WON, shortfalls=("its loss is high",))
    found = verdict(make_spec(), [BASELINE, missed, as_enqueued(0.84)], enqueued)
    assert found["sentence"] == (
        "No winner. search/3: its loss is high. The best enqueued setting (search/2) has 0.84 "
        "(gain +0.74, 95% +0.64 to +0.84) at 0.990 times the baseline's loss (0.980 to 1.000)."
    )
    assert found["enqueued"]["gain"]["mean"] == pytest.approx(0.74)
    assert found["enqueued"]["winner_gain"] is None


def test_what_best_means_is_told_where_no_enqueued_setting_was_feasible(
    make_spec: MakeSpec, make_trial: MakeTrial, enqueued: Sequence[Trial]
) -> None:
    beyond = make_trial("search", 2, loss=9.0, loss_ratio=9.0, monosemantic_per_feature=0.5)
    ends = {
        "none was feasible": beyond,
        "none was trained to its end": make_trial("search", 2, state="pruned"),
    }
    for said, trial in ends.items():
        trials = [*enqueued[:2], trial, enqueued[3]]
        found = verdict(make_spec(), [BASELINE, WON, as_enqueued(0.84)], trials)
        assert f"The best enqueued setting (search/2; {said}) has 0.84; " in found["sentence"]


def test_without_enqueued_points_nothing_is_said_of_them(
    make_spec: MakeSpec, enqueued: Sequence[Trial]
) -> None:
    for found in ([BASELINE, WON], []):
        said = verdict(make_spec(), found, enqueued)
        assert said["enqueued"] is None
        assert "enqueued" not in said["sentence"]
    assert open_verdict(make_spec())["enqueued"] is None


TUNED = ("baseline: {num_seeds: 2}", "baseline: {num_seeds: 2, learning_rate: tuned}")


def test_a_tuned_baseline_is_told(make_spec: MakeSpec, trials: Sequence[Trial]) -> None:
    best = finding("search/3", objective=0.6, num_neurons=128)
    sentence = verdict(make_spec(TUNED), [BASELINE, best], trials)["sentence"]
    assert "Both have the baseline's learning rate (0.02, tuned over a grid)" in sentence


def test_a_searched_learning_rate_is_not_the_biases_doing(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    best = finding("search/3", objective=0.6, num_neurons=128, learning_rate=0.05)
    spec = make_spec((SPACE, "search_space: bias_width_and_rate"), TUNED)
    sentence = verdict(spec, [BASELINE, best], trials)["sentence"]
    assert "learning rate is 0.05, the baseline's 0.02 (tuned over a grid)" in sentence
    assert "the gain is the width's and the learning rate's." in sentence


ALONE = "the gain is the bias's and the width's."


def test_a_learning_rate_fixed_by_the_space_is_not_the_baselines(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    """The space sets 0.05 for every trial, while the baseline keeps the file's 0.02."""
    space = "search_space: {learning_rate: 0.05, initial_bias: {float: [-1.0, 0.0]}}"
    best = finding("search/3", objective=0.6, num_neurons=128, learning_rate=0.05)
    sentence = verdict(make_spec((SPACE, space)), [BASELINE, best], trials)["sentence"]
    assert "Both have the baseline's learning rate" not in sentence
    assert ALONE not in sentence


@pytest.mark.parametrize(
    ("space", "changed"),
    [
        ("{nonlinearity: {choice: [relu, gelu]}}", {"nonlinearity": "gelu"}),
        ("{l1: {float: [0.0, 1.0]}, num_neurons: {int: [32, 128]}}", {"l1": 0.5}),
        ("{l1: 0.5, initial_bias: {float: [-1.0, 0.0]}}", {"l1": 0.5}),
    ],
)
def test_what_else_the_space_changes_is_not_the_biases_doing(
    make_spec: MakeSpec, trials: Sequence[Trial], space: str, changed: Mapping[str, Any]
) -> None:
    best = finding("search/3", objective=0.6, num_neurons=128, **changed)
    spec = make_spec((SPACE, f"search_space: {space}"))
    assert ALONE not in verdict(spec, [BASELINE, best], trials)["sentence"]


SEVERAL = (
    "objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}",
    "objective: {maximize: monosemantic_per_feature, minimize: [loss, num_neurons], "
    "loss_margin: null, at_most: {mean_bias: 0}}",
)


def several(role: str, share: float, loss: float, width: int, *shortfalls: str) -> Finding:
    metrics = {
        **dict.fromkeys(SHOWN, Interval(share, share, share)),
        "loss": Interval(loss, loss, loss),
        "mean_bias": Interval(-0.5, -0.75, -0.25),
    }
    gains = {
        "monosemantic_per_feature": Interval(share - 0.1, share - 0.2, share),
        "loss": Interval(0.5 - loss, 0.25 - loss, 0.75 - loss),
        "num_neurons": Interval(64.0 - width, 64.0 - width, 64.0 - width),
    }
    return Finding(
        candidate=Candidate(
            role=role, settings={**BASE, "num_neurons": width}, is_finalist=role != "baseline"
        ),
        num_seeds=4,
        metrics=metrics,
        loss_ratio=Interval(2 * loss, 2 * loss, 2 * loss),
        gains=gains,
        shortfalls=shortfalls,
    )


def test_several_objectives_are_a_front_and_the_first_one_decides(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    """search/1 is behind search/2 in everything; search/3 falls short."""
    found = verdict(
        make_spec(SEVERAL),
        [
            several("baseline", 0.1, 0.5, 64, "its gain is 0"),
            several("search/3", 0.9, 0.9, 128, "its loss is high"),
            several("search/0", 0.2, 0.25, 32),
            several("search/1", 0.5, 0.6, 96),
            several("search/2", 0.6, 0.5, 96),
        ],
        trials,
    )
    assert [(row["trial"], row["passes"], row["on_front"]) for row in found["front"]] == [
        ("search/2", True, True),
        ("search/0", True, True),
        ("search/1", True, False),
        ("search/3", False, False),
    ]
    assert (found["confirmed"], found["winner"]["trial"]) == (True, "search/2")
    assert (found["objective"], found["loss_margin"]) == ("monosemantic_per_feature", None)
    assert found["objectives"] == [
        {"name": "monosemantic_per_feature", "direction": "maximize"},
        {"name": "loss", "direction": "minimize"},
        {"name": "num_neurons", "direction": "minimize"},
    ]
    assert found["limits"] == [{"name": "mean_bias", "at_most": 0.0}]
    assert found["front"][1]["gains"]["num_neurons"] == {"mean": 32.0, "low": 32.0, "high": 32.0}
    assert found["gain"] == found["winner"]["gains"]["monosemantic_per_feature"]
    assert found["sentence"] == (
        "search/2 wins, the best in monosemantic per feature of 3 that pass: "
        "monosemantic per feature 0.60 against the baseline's 0.10 (gain +0.50, 95% +0.40 to "
        "+0.60); loss 0.5000 against the baseline's 0.5000 (gain in lower loss +0.0000, 95% "
        "-0.2500 to +0.2500); neurons 96 against the baseline's 64 (gain in fewer neurons "
        "-32, 4 fresh paired seeds). Its loss is 1.000 times the baseline's (95% 1.000 to 1.000, "
        "no ceiling); it has 96 neurons to the baseline's 64 (1.50 times the cost) and 60% of the "
        "features have a neuron of their own. It keeps mean bias at most 0: -0.50 (95% -0.75 to "
        "-0.25). Both have the baseline's learning rate (0.02, as given, not tuned), so the gain "
        "is the width's. No setting at the baseline's own width was confirmed."
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_of_several_objectives_the_enqueued_setting_is_compared_in_the_first(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    trials = [
        make_trial("search", n, loss=0.5, monosemantic_per_feature=0.5, mean_bias=-0.5)
        for n in range(4)
    ]
    best = replace(several("search/2", 0.6, 0.5, 96), numbers=by_seed((0.6,) * 4, (0.5,) * 4))
    role, numbers = "search/3 as enqueued", by_seed((0.4,) * 4, (0.4,) * 4)
    other = several(role, 0.4, 0.4, 128)
    believed = replace(other.candidate, is_finalist=False, is_enqueued=True)
    said = verdict(
        make_spec(SEVERAL),
        [
            several("baseline", 0.1, 0.5, 64, "its gain is 0"),
            best,
            replace(other, candidate=believed, numbers=numbers),
        ],
        trials,
    )["sentence"]
    assert said.endswith(
        " The best enqueued setting (search/3) has monosemantic per feature 0.40; the winner's is "
        "+0.20 better (95% +0.20 to +0.20) at 1.250 times its loss (1.250 to 1.250)."
    )


def test_fewer_neurons_than_the_enqueued_settings_have_no_interval(
    make_spec: MakeSpec, make_trial: MakeTrial
) -> None:
    """Its 32 to the 96 and to the 32 of the enqueued one."""
    narrow = ("maximize: monosemantic_per_feature", "minimize: num_neurons")
    trials = [make_trial("search", n, loss=0.5, loss_ratio=1.0) for n in range(4)]
    best = several("search/0", 0.6, 0.5, 32)
    best = replace(best, numbers={seed: {"num_neurons": 32.0, "loss": 0.5} for seed in range(4)})
    for width, how in ((96, "+64 better"), (32, "not surely better (+0)")):
        other = several("search/3 as enqueued", 0.4, 0.5, width)
        believed = replace(other.candidate, is_finalist=False, is_enqueued=True)
        numbers = {seed: {"num_neurons": float(width), "loss": 0.5} for seed in range(4)}
        found = [
            several("baseline", 0.1, 0.5, 64, "its gain is 0"),
            best,
            replace(other, candidate=believed, numbers=numbers),
        ]
        said = verdict(make_spec(narrow), found, trials)["sentence"]
        assert said.endswith(
            f" has {width}; the winner is {how} at 1.000 times its loss (1.000 to 1.000)."
        )


def test_every_limit_is_told_of_where_there_is_nothing_to_confirm(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    said = SEVERAL[1].replace("loss_margin: null", "loss_margin: 0.02")
    assert verdict(make_spec((SEVERAL[0], said)), [], trials)["sentence"] == (
        "No winner: of 4 trials none kept its loss within 2% of the baseline's and kept its mean "
        "bias at most 0."
    )
    free = SEVERAL[1].replace(", at_most: {mean_bias: 0}", "")
    assert verdict(make_spec((SEVERAL[0], free)), [], trials)["sentence"] == (
        "No winner: of 4 trials none was trained to its end."
    )


def test_an_unfinished_sweep_has_an_open_verdict(make_spec: MakeSpec) -> None:
    found = open_verdict(make_spec())
    assert (found["confirmed"], found["winner"], found["baseline"]) == (False, None, None)
    assert found["sentence"] == "The sweep tiny has no verdict yet."
    json.dumps(found, allow_nan=False)


def test_open_and_closed_verdicts_have_the_same_keys(
    make_spec: MakeSpec, trials: Sequence[Trial]
) -> None:
    best = finding("search/3", objective=0.6, num_neurons=128)
    closed = verdict(make_spec(), [BASELINE, best], trials)
    assert set(open_verdict(make_spec())) == set(closed)


measured = st.one_of(
    st.none(),  # diverged on this seed
    st.tuples(st.floats(1e-3, 1e3), st.sampled_from([0.0, 0.25, 1.0]) | st.floats(0.0, 2.0)),
)
seeds = st.lists(measured, min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(baseline=seeds, wide=seeds, narrow=seeds, enqueued=seeds)
def test_every_verdict_is_strict_json_and_confirms_only_with_a_winner(
    make_spec: MakeSpec,
    make_trial: MakeTrial,
    *,
    baseline: Any,
    wide: Any,
    narrow: Any,
    enqueued: Any,
) -> None:
    roles = {
        "baseline": (baseline, 64),
        "search/3": (wide, 128),
        "search/3 at 64": (narrow, 64),
        "search/0 as enqueued": (enqueued, 96),
    }
    chosen = [
        Candidate(
            role=role,
            settings={**BASE, "num_neurons": width},
            is_finalist=role == "search/3",
            is_enqueued=role == "search/0 as enqueued",
        )
        for role, (_, width) in roles.items()
    ]
    confirmed = [
        make_trial(
            "confirmation",
            0,
            role=role,
            seeds=(seed,),
            state="failed" if pair is None else "complete",
            reason="diverged" if pair is None else None,
            **({} if pair is None else {**dict.fromkeys(SHOWN, pair[1]), "loss": pair[0]}),
        )
        for role, (pairs, _) in roles.items()
        for seed, pair in enumerate(pairs)
    ]
    spec = make_spec()
    found = findings(chosen, confirmed, objective_of(spec))
    trials = [make_trial("search", n, settings={"num_neurons": 128}) for n in range(4)]
    said = verdict(spec, found, trials)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert said["confirmed"] is (said["winner"] is not None)
    assert said["sentence"].startswith("search/3 wins" if said["confirmed"] else "No winner.")
    if said["winner"] is not None:
        assert said["winner"]["loss_ratio"]["high"] <= 1.5
        assert said["winner"]["gain"]["low"] > 0.0
    assert said["enqueued"]["role"] == "search/0 as enqueued"
    # Of three seeds the winner has all that the baseline has.
    is_compared = said["winner"] is not None and said["enqueued"]["num_seeds"] > 1
    assert (said["enqueued"]["winner_gain"] is not None) is is_compared
