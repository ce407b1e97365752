import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from rich.console import Console, RenderableType

from service.display import plan_view, status_view, statuses_table, verdict_table, verdict_view
from service.estimate import Estimate
from service.planning import Resolved
from service.spec import Spec
from service.verdict import open_verdict

MakeSpec = Callable[..., Spec]


def shown(what: RenderableType, width: int = 80) -> str:
    """As a pipe, or a terminal of this width, gets it."""
    file = io.StringIO()
    Console(file=file, width=width).print(what)
    return file.getvalue()


def interval(mean: float, half_width: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - half_width, "high": mean + half_width}


def row(role: str, num_neurons: int = 512, **changes: Any) -> dict[str, Any]:
    return {
        "role": role,
        "settings": {"initial_bias": -1.41, "bias_decay": 15.36},
        "num_neurons": num_neurons,
        "loss": interval(0.1234, 0.01),
        "loss_ratio": interval(1.004, 0.013),
        "monosemantic_per_feature": interval(0.55, 0.02),
        "monosemantic_per_neuron": interval(0.25, 0.02),
        "feature_coverage": interval(0.41, 0.03),
    } | changes


def verdict(*finalists: Mapping[str, Any], winner: str | None = None) -> dict[str, Any]:
    return {
        "name": "tiny",
        "confirmed": winner is not None,
        "num_seeds": 4,
        "baseline": row("baseline", loss_ratio=interval(1.0, 0.0)),
        "finalists": list(finalists),
        "winner": {"trial": winner} if winner else None,
        "sentence": "No winner. search/1: [its] loss is high.",
    }


def words(text: str, first: str) -> list[str]:
    """The words of the line that begins with ``first``."""
    (line,) = [found for line in text.splitlines() if (found := line.split())[:1] == [first]]
    return line


def test_the_table_has_a_row_for_the_baseline_and_each_finalist() -> None:
    text = shown(verdict_table(verdict(row("search/3", 640), row("search/7"), winner="search/3")))
    numbers = "0.123 1.004 ±0.013 0.55 ±0.02 0.41 640 -1.41 15.4"
    assert words(text, "search/3") == ["search/3", "*", *numbers.split()]
    assert words(text, "search/7")[1] != "*"
    assert words(text, "baseline")[2:4] == ["1.000", "±0.000"]


def test_a_finalist_without_numbers_has_dashes() -> None:
    """One that diverged on its confirmation seeds."""
    bare = {key: row("search/3")[key] for key in ("role", "settings", "num_neurons")}
    text = shown(verdict_table(verdict({**bare, "loss_ratio": None, "gain": None})))
    assert words(text, "search/3") == ["search/3", *"----", "512", "-1.41", "15.4"]


@pytest.mark.parametrize(
    "role",
    [
        "search/12 at 512",
        "search/999 at 1024",
        "search/99999 at 16384",
        "search/999999 at 65536",  # the largest that a sweep file allows
        "search/1023 as enqueued",
    ],
)
def test_the_table_fits_80_columns_whatever_the_roles(role: str) -> None:
    winner = role.partition(" ")[0]
    text = shown(verdict_table(verdict(row(winner, 65536), row(role, 65536), winner=winner)))
    assert "…" not in text
    for word in (*role.split(), "1.004 ±0.013", "0.55 ±0.02", "65536", "15.4", "neurons"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_what_else_decides_has_a_column_and_the_front_is_marked() -> None:
    numbers = {"concentration_per_feature": interval(0.75, 0.05), "train_s": interval(12.25, 0.5)}
    rows = [row(role, **numbers) for role in ("search/3", "search/7", "search/9")]
    names = ("concentration_per_feature", "loss", "num_neurons")
    several = {
        **verdict(*rows, winner="search/7"),
        "objectives": [{"name": name, "direction": "maximize"} for name in names],
        "limits": [{"name": "train_s", "at_most": 60.0}, {"name": "loss_ratio", "at_most": 1.02}],
        "front": [
            {"trial": role, "on_front": role != "search/9"}
            for role in ("search/7", "search/3", "search/9")
        ],
    }
    text = shown(verdict_table(several), width=120)
    assert "concentr." in text
    assert words(text, "search/3")[:2] == ["search/3", "+"]
    assert words(text, "search/7")[:2] == ["search/7", "*"]
    assert words(text, "search/9")[1] == "0.123"
    assert "0.75 ±0.05 12.2 ±0.5" in " ".join(words(text, "search/9"))
    assert "* the winner; + on the front too" in shown(verdict_view(several, "sqlite:///h/m.db"))


def test_wide_numbers_are_never_cut() -> None:
    """A whole loss of a hundred, wide intervals, a bias and a decay at the file's limits."""
    wide = row(
        "search/12",
        loss=interval(123.4567, 1.0),
        loss_ratio=interval(1.25, 12.345),
        settings={"initial_bias": -100.0, "bias_decay": 1_000_000.0},
    )
    text = shown(verdict_table(verdict(wide)))
    assert "…" not in text
    for number in ("123.4", "±12.3", "-100", "1e+06"):
        assert number in text


def test_the_verdict_is_told_as_written_and_says_where_to_look() -> None:
    text = shown(verdict_view(verdict(row("search/1")), "sqlite:///h/mlflow.db"))
    assert "No winner. search/1: [its] loss is high." in text
    assert "monosweep ui  shows every run in MLflow (sqlite:///h/mlflow.db)" in text
    assert "monosweep report tiny" in text
    assert "monosweep best tiny --json" in text
    assert "monosweep export tiny --output DIR" in text


def test_passwords_are_not_shown() -> None:
    text = shown(verdict_view(verdict(), "https://ada:hunter2@mlflow.example"))
    assert "hunter2" not in text


def test_an_open_verdict_has_no_table(make_spec: MakeSpec) -> None:
    text = shown(verdict_view(open_verdict(make_spec()), "sqlite:///h/mlflow.db"))
    assert text.splitlines()[0] == "The sweep tiny has no verdict yet."
    assert "loss ratio" not in text


STATUS: dict[str, Any] = {
    "name": "tiny",
    "phase": "search",
    "state": "interrupted",
    "failure": None,
    "num_trials": 4,
    "search_ended": None,
    "objective": "monosemantic_per_feature",
    "objectives": [{"name": "monosemantic_per_feature", "direction": "maximize"}],
    "max_loss_ratio": 1.02,
    "phases": {
        "baseline": {"complete": 3, "failed": 0},
        "confirmation": {"complete": 0, "failed": 0},
    },
    "trials": {"complete": 2, "pruned": 0, "failed": 1, "running": 0, "waiting": 1},
    "baseline": {"loss": 2.0, "ceiling": 3.0, "learning_rate": 0.02},
    "best": {
        "trial": "search/1",
        "loss": 1.5,
        "loss_ratio": 0.75,
        "monosemantic_per_feature": 0.625,
        "params": {"initial_bias": -0.512345, "nonlinearity": "gelu"},
    },
    "front": [],
    "verdict": None,
}


def test_the_status_of_a_sweep_is_a_few_lines() -> None:
    assert shown(status_view(STATUS)).splitlines() == [
        "tiny  interrupted, phase search",
        "baseline 3 complete",
        "search   2 complete, 1 failed, 1 waiting (budget 4)",
        "ceiling  loss 3.0000, the baseline having 2.0000",
        "best     search/1, loss 1.5000 (ratio 0.7500 seed by seed, at most 1.02)",
        "         monosemantic per feature 0.625 with",
        "         initial_bias -0.512, nonlinearity gelu",
        "Go on with it: monosweep resume tiny",
    ]


def test_a_sweep_that_no_worker_takes_says_so() -> None:
    resolved = {"cpus": 1, "gpus": 0.0}
    waits = {**STATUS, "state": "running", "waits_for_worker": True, "resolved": resolved}
    assert "no worker has taken its next cohort" in " ".join(shown(status_view(waits)).split())


def test_the_front_of_several_objectives_follows_the_best() -> None:
    names = ("concentration_per_feature", "num_neurons")
    best = {**STATUS["best"], "concentration_per_feature": 0.75, "num_neurons": 640.0}
    other = {**best, "trial": "search/2", "concentration_per_feature": 0.5, "num_neurons": 32.0}
    several = {
        **STATUS,
        "objectives": [{"name": name, "direction": "maximize"} for name in names],
        "max_loss_ratio": None,
        "baseline": {**STATUS["baseline"], "ceiling": None},
        "best": best,
        "front": [best, other],
    }
    assert shown(status_view(several)).splitlines()[3:] == [
        "baseline loss 2.0000; there is no ceiling",
        "best     search/1, loss 1.5000 (ratio 0.7500 seed by seed)",
        "         concentration per feature 0.750, 640 neurons with",
        "         initial_bias -0.512, nonlinearity gelu",
        "front    search/2, loss 1.5000 (ratio 0.7500 seed by seed)",
        "         concentration per feature 0.500, 32 neurons with",
        "         initial_bias -0.512, nonlinearity gelu",
        "Go on with it: monosweep resume tiny",
    ]


def test_a_long_front_is_shown_in_part() -> None:
    row = {**STATUS["best"], "monosemantic_per_feature": 0.5}
    lines = shown(status_view({**STATUS, "front": [row] * 9})).splitlines()
    assert sum(line.startswith("front") for line in lines) == 5
    assert "         and 3 more: monosweep status tiny --json" in lines


def test_what_is_not_known_has_no_line() -> None:
    bare = {**STATUS, "state": "running", "baseline": None, "best": None}
    bare["phases"] = {"baseline": {"complete": 0}, "confirmation": {"complete": 0}}
    assert len(shown(status_view(bare)).splitlines()) == 2


def test_a_failure_and_a_verdict_are_told() -> None:
    failed = {**STATUS, "state": "failed", "failure": "the baseline [must] train"}
    assert "the baseline [must] train" in shown(status_view(failed))
    finished = {**STATUS, "state": "finished", "verdict": "search/1 wins."}
    assert shown(status_view(finished)).splitlines()[-1] == "search/1 wins."


def test_all_sweeps_are_a_line_each() -> None:
    other = {**STATUS, "name": "other", "state": "running", "best": None}
    lines = [line for line in shown(statuses_table([STATUS, other])).splitlines() if "/4" in line]
    assert [cell.strip() for cell in lines[0].strip("│").split("│")] == [
        "tiny",
        "interrupted",
        "search",
        "3/4",
        "search/1",
    ]
    assert lines[1].rstrip(" │").endswith("-")


def test_a_sweeps_name_is_shown_whole(make_spec: MakeSpec) -> None:
    """It is what ``resume`` wants, and may have 64 letters."""
    name = "n" * 64
    assert make_spec().with_name(name).name == name
    text = shown(statuses_table([{**STATUS, "name": name}]))
    assert "…" not in text
    assert text.count("n" * 20) >= 1
    assert sum(line.count("n") for line in text.splitlines() if "nn" in line) >= 64


def test_the_plan_names_every_setting_and_what_it_takes(make_spec: MakeSpec) -> None:
    spec = make_spec()
    resolved = Resolved(
        cohort_size=2,
        max_concurrent=3,
        sampler="tpe",
        precision="float32",
        device="cpu",
        cpus=1,
        gpus=0.0,
    )
    foreseen = Estimate(
        trainings={"baseline": 2, "search": 4, "confirmation": 6},
        rungs=(64, 128),
        cohort_bytes=3 * 2**20,
        seconds=90.0,
    )
    text = shown(plan_view(spec.settings(), resolved, foreseen))
    lines = dict(line.strip().split(maxsplit=1) for line in text.splitlines() if "  " in line[:30])
    assert lines["training.learning_rate"] == "0.02"
    assert lines["search.seed"] == "0"
    assert lines["trainings"] == "at most 12 (2 baseline, 4 search, 6 confirmation)"
    assert lines["stopping"] == "the worst of each search cohort at step 64, 128"
    assert lines["memory"] == "about 3 MiB a cohort at the widest"
    assert lines["time"] == "about 1.5 min, by arithmetic alone"
    assert "2 trials each, 3 at a time, float32 products, sampler tpe" in text


@pytest.mark.parametrize(
    ("asked", "device", "size", "said"),
    [
        ("cohort_size: 2", "cpu", 2, "2 trials each, 3"),
        (
            "cohort_size: 6",
            "cpu",
            6,
            "4 trials each (compute.cohort_size is 6, but there are no more), 3",
        ),
        ("cohort_size: auto", "cpu", 1, "1 trial each, 3"),
        ("cohort_size: auto", "cpu", 8, "cohorts 8 trials each, 3"),
        ("cohort_size: auto", "cuda", 8, "up to 8 trials each (measured when the sweep starts), 3"),
    ],
)
def test_the_plan_says_what_is_still_to_be_measured(
    make_spec: MakeSpec, asked: str, device: str, size: int, said: str
) -> None:
    spec = make_spec(("cohort_size: 2", asked))
    resolved = Resolved(
        cohort_size=size,
        max_concurrent=3,
        sampler="tpe",
        precision="float32",
        device=device,
        cpus=1,
        gpus=0.0,
    )
    text = shown(
        plan_view(
            spec.settings(), resolved, Estimate(trainings={}, rungs=(), cohort_bytes=0, seconds=0.0)
        )
    )
    assert said in " ".join(text.split())


@pytest.mark.parametrize(
    ("objective", "warns"),
    [
        ("{minimize: train_s}", True),
        ("{maximize: mean_bias, minimize: [loss, train_s]}", True),
        ("{at_most: {train_s: 60}}", True),
        ("{at_least: {train_s: 60}}", True),
        ("{minimize: [loss, num_dead]}", False),
    ],
)
def test_the_plan_warns_of_a_time_that_is_measured(
    make_spec: MakeSpec, objective: str, warns: bool
) -> None:
    old = "objective: {maximize: monosemantic_per_feature, loss_margin: 0.5}"
    spec = make_spec((old, f"objective: {objective}"))
    resolved = Resolved(
        cohort_size=1,
        max_concurrent=1,
        sampler="tpe",
        precision="float32",
        device="cpu",
        cpus=1,
        gpus=0.0,
    )
    text = shown(
        plan_view(
            spec.settings(), resolved, Estimate(trainings={}, rungs=(), cohort_bytes=0, seconds=0.0)
        )
    )
    assert ("two sweeps of this file are not the same" in " ".join(text.split())) is warns


def test_the_plan_shows_options_as_they_are(make_spec: MakeSpec) -> None:
    """Square brackets are no markup."""
    space = "search_space: {nonlinearity: {choice: [relu, gelu]}}"
    spec = make_spec(("search_space: bias_and_width", space))
    resolved = Resolved(
        cohort_size=1,
        max_concurrent=1,
        sampler="tpe",
        precision="float32",
        device="cpu",
        cpus=1,
        gpus=0.0,
    )
    text = shown(
        plan_view(
            spec.settings(),
            resolved,
            Estimate(trainings={}, rungs=(), cohort_bytes=0, seconds=0.0),
        )
    )
    assert "relu" in text
    assert "gelu" in text
