import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.columns import CURVES_SCHEMA, NEURONS_SCHEMA, TRIALS_SCHEMA
from service.errors import StorageError
from service.ledger import Writer
from service.objective import AT_MOST, MAXIMIZE, MINIMIZE, Goal, Limit, Objective
from service.spec import Spec
from service.storage import Storage, as_parquet
from service.tables import export, gathered, trials_table
from service.trials import Trial

MakeTrial = Callable[..., Trial]

# The contract of the command line: names in this order, and what may be compared with what.
DOCUMENTED = {
    "trial_id": pa.string(),
    "number": pa.int64(),
    "phase": pa.string(),
    "state": pa.string(),
    "cohort_id": pa.string(),
    "attempts": pa.int64(),
    "num_replicates": pa.int64(),
    "seeds": pa.list_(pa.int64()),
    "params.initial_bias": pa.float64(),
    "params.num_neurons": pa.int64(),
    "params.nonlinearity": pa.string(),
    "loss": pa.float64(),
    "loss_ratio": pa.float64(),
    "feasible": pa.bool_(),
    "monosemantic_per_feature": pa.float64(),
    "monosemantic_per_neuron": pa.float64(),
    "feature_coverage": pa.float64(),
    "num_dead": pa.float64(),
    "mean_bias": pa.float64(),
    "num_steps": pa.int64(),
    "train_s": pa.float64(),
    "mlflow_run_id": pa.string(),
}
OBJECTIVE = Objective(
    (Goal("monosemantic_per_feature", MAXIMIZE),), (Limit("loss_ratio", 1.02, AT_MOST),)
)
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


def test_the_schema_holds_every_documented_column_in_order() -> None:
    found = {field.name: field.type for field in TRIALS_SCHEMA if field.name in DOCUMENTED}
    assert list(found.items()) == list(DOCUMENTED.items())


def test_a_complete_trial_is_a_full_row(make_trial: MakeTrial) -> None:
    trial = make_trial(
        "search",
        3,
        seeds=(0, 1),
        settings={"initial_bias": -0.5, "num_neurons": 96},
        loss_ratio=1.02,
        loss=0.5,
        monosemantic_per_feature=0.25,
        concentration_per_feature=0.6,
        monosemantic_per_feature_published=0.24,
        monosemantic_per_neuron=0.125,
        feature_coverage=0.2,
        num_dead=3.0,
        mean_bias=-0.1,
    )
    table = trials_table([trial], OBJECTIVE)
    assert table.schema.equals(TRIALS_SCHEMA)
    assert table.to_pylist() == [
        {
            "trial_id": "search/3",
            "number": 3,
            "phase": "search",
            "role": None,
            "same_as": None,
            "state": "complete",
            "reason": None,
            "cohort_id": "search-0",
            "attempts": 1,
            "num_replicates": 2,
            "seeds": [0, 1],
            "params.initial_bias": -0.5,
            "params.bias_decay": 0.0,
            "params.learning_rate": 0.02,
            "params.num_neurons": 96,
            "params.nonlinearity": "relu",
            "params.l1": 0.0,
            "loss": 0.5,
            "loss_ratio": 1.02,
            "feasible": True,
            "on_front": True,
            "monosemantic_per_feature": 0.25,
            "concentration_per_feature": 0.6,
            "monosemantic_per_feature_published": 0.24,
            "monosemantic_per_neuron": 0.125,
            "feature_coverage": 0.2,
            "num_dead": 3.0,
            "mean_bias": -0.1,
            "num_steps": 256,
            "train_s": 1.0,
            "mlflow_run_id": None,
        }
    ]


def test_a_waiting_trial_has_its_settings_and_no_numbers(make_trial: MakeTrial) -> None:
    (row,) = trials_table([make_trial("search", 0, state="waiting")], OBJECTIVE).to_pylist()
    known = {name for name, value in row.items() if value is not None}
    settings = {name for name in row if name.startswith("params.")}
    assert known == settings | {
        "trial_id",
        "number",
        "phase",
        "state",
        "cohort_id",
        "attempts",
        "num_replicates",
        "seeds",
    }


@pytest.mark.parametrize(
    ("phase", "state", "ratio", "feasible"),
    [
        ("search", "complete", 1.0, True),
        ("search", "complete", 1.03, False),
        ("search", "failed", None, False),
        ("search", "pruned", None, False),
        ("search", "running", None, None),
        ("baseline", "complete", None, None),
        ("confirmation", "complete", None, None),
    ],
)
def test_only_an_ended_search_trial_is_feasible_or_not(
    make_trial: MakeTrial, phase: str, state: str, ratio: float | None, feasible: bool | None
) -> None:
    numbers = {"loss": 1.0, "monosemantic_per_feature": 0.5}
    trial = make_trial(phase, 0, state=state, loss_ratio=ratio, **numbers)
    (row,) = trials_table([trial], OBJECTIVE).to_pylist()
    assert row["feasible"] is feasible


def test_who_is_on_the_front_of_the_search(make_trial: MakeTrial) -> None:
    """More of one, less of the other: 2 is behind 1, 3 beyond the ceiling."""
    both = replace(OBJECTIVE, goals=(*OBJECTIVE.goals, Goal("loss", MINIMIZE)))
    found = [(0.9, 1.0, 1.0), (0.5, 0.5, 1.0), (0.4, 0.6, 1.0), (2.0, 0.1, 1.5)]
    trials = [
        make_trial("search", n, monosemantic_per_feature=share, loss=loss, loss_ratio=ratio)
        for n, (share, loss, ratio) in enumerate(found)
    ]
    baseline = make_trial("baseline", 0, monosemantic_per_feature=9.0, loss=0.0)
    waiting = make_trial("search", 4, state="waiting")
    table = trials_table([baseline, *trials, waiting], both)
    assert table["on_front"].to_pylist() == [None, True, True, False, False, None]
    assert trials_table([baseline, *trials], OBJECTIVE)["on_front"].to_pylist() == [
        None,
        True,
        False,
        False,
        False,
    ]


def test_a_failed_trial_has_a_reason_and_no_metrics(make_trial: MakeTrial) -> None:
    trial = make_trial("search", 0, state="failed", reason="diverged: loss 9")
    (row,) = trials_table([trial], OBJECTIVE).to_pylist()
    assert (row["reason"], row["loss"], row["num_steps"]) == ("diverged: loss 9", None, 256)


def test_a_stopped_trial_has_a_reason_its_steps_and_no_metrics(make_trial: MakeTrial) -> None:
    reason = "stopped at step 64: rank 2 of 2 (loss ratio 1.3)"
    trial = make_trial("search", 0, state="pruned", reason=reason)
    assert trial.result is not None
    trial = replace(trial, result=replace(trial.result, num_steps=64))
    (row,) = trials_table([trial], OBJECTIVE).to_pylist()
    assert (row["state"], row["reason"], row["num_steps"]) == ("pruned", reason, 64)
    assert (row["loss"], row["loss_ratio"], row["monosemantic_per_feature"]) == (None, None, None)


def test_no_trials_are_a_table_without_rows() -> None:
    table = trials_table([], OBJECTIVE)
    assert (table.num_rows, table.schema) == (0, TRIALS_SCHEMA)


def test_an_export_is_ordered_by_phase_and_number(
    tmp_path: Path,
    tiny_writer: Writer,
    record: Callable[..., None],
    make_spec: Callable[..., Spec],
    make_trial: MakeTrial,
) -> None:
    """Recorded in another order, as a sweep that was extended records them."""
    loss = {"loss": 1.0}
    record(
        tiny_writer,
        make_trial("confirmation", 0, role="baseline", **loss),
        *(make_trial("search", n, settings=IN_SPACE, loss_ratio=1.0, **loss) for n in range(11)),
        make_trial("search", 11, settings=IN_SPACE, state="waiting"),
        make_trial("baseline", 0, **loss),
    )
    storage = Storage(str(tmp_path))
    paths = export(tiny_writer.ledger, make_spec(), storage, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["trials.parquet", "curves.parquet", "neurons.parquet"]
    table = pq.read_table(paths[0])
    assert table.schema.equals(TRIALS_SCHEMA)
    assert table.column("trial_id").to_pylist() == [
        "baseline/0",
        *(f"search/{n}" for n in range(12)),
        "confirmation/0",
    ]
    assert table.column("role").to_pylist()[-1] == "baseline"
    assert table.column("state").to_pylist()[-2] == "waiting"


def test_curves_of_a_cohort_are_gathered_once(
    tmp_path: Path,
    tiny_writer: Writer,
    make_spec: Callable[..., Spec],
    make_trial: MakeTrial,
    record: Callable[..., None],
) -> None:
    """Two trials of one cohort name the same file; another cohort has a file without neurons."""
    storage = Storage(str(tmp_path))
    both = pa.table({"trial_id": ["search/0", "search/1"], "step": [1, 1], "loss": [0.5, 0.6]})
    other = pa.table({"trial_id": ["search/2"], "step": [1], "loss": [0.7]})
    storage.write_bytes("c0.parquet", as_parquet(both))
    storage.write_bytes("c1.parquet", as_parquet(other))
    storage.write_bytes(
        "n0.parquet", as_parquet(pa.table({"trial_id": ["search/0"], "kind": ["dead"]}))
    )
    storage.write_bytes("n1.parquet", as_parquet(pa.table({})))
    for number, cohort in ((0, 0), (1, 0), (2, 1)):
        trial = make_trial("search", number, settings=IN_SPACE, loss=1.0)
        assert trial.result is not None
        files = {"curves": f"c{cohort}.parquet", "neurons": f"n{cohort}.parquet"}
        record(tiny_writer, replace(trial, result=replace(trial.result, **files)))
    _, curves, neurons = export(tiny_writer.ledger, make_spec(), storage, tmp_path / "out")
    assert pq.read_schema(curves).equals(CURVES_SCHEMA)
    written = pq.read_table(curves).select(["trial_id", "step", "loss"])
    assert written.equals(pa.concat_tables([both, other]))
    assert pq.read_schema(neurons).equals(NEURONS_SCHEMA)
    assert pq.read_table(neurons)["kind"].to_pylist() == ["dead"]


def test_tables_are_in_the_order_of_their_names_whichever_came_first(tmp_path: Path) -> None:
    class SlowAtFirst(Storage):
        others_are_read = Event()

        def read_table(self, path: str) -> pa.Table:
            if path == "0":
                assert self.others_are_read.wait(60)
            elif path == "5":
                self.others_are_read.set()
            return pa.table({"trial_id": [path]})

    names = [str(number) for number in range(6)]
    found = gathered(SlowAtFirst(str(tmp_path)), names, CURVES_SCHEMA)
    assert found["trial_id"].to_pylist() == names


def test_when_one_of_many_is_gone_the_others_are_not_waited_for(tmp_path: Path) -> None:
    begun: list[str] = []

    class FirstIsGone(Storage):
        def read_table(self, path: str) -> pa.Table:
            begun.append(path)
            if path == "0":
                raise FileNotFoundError(path)
            time.sleep(0.01)
            return pa.table({"trial_id": [path]})

    names = [str(number) for number in range(1000)]
    with pytest.raises(StorageError, match=r"found one missing \(0\)"):
        gathered(FirstIsGone(str(tmp_path)), names, CURVES_SCHEMA)
    assert len(begun) < len(names)


def test_a_sweep_without_trials_exports_empty_tables(
    tmp_path: Path, tiny_writer: Writer, make_spec: Callable[..., Spec]
) -> None:
    paths = export(tiny_writer.ledger, make_spec(), Storage(str(tmp_path)), tmp_path / "out")
    assert [pq.read_table(path).num_rows for path in paths] == [0, 0, 0]
