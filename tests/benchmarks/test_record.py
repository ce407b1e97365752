"""What is recorded is what the trainers do, each number once, however often it is interrupted."""

import sys
from pathlib import Path

import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from record import curves, record, write
from recording import BASELINE, FILE, METRICS, SPEC, read, recording, seeds_of, settings_of

from service.objective import objective_of
from service.phases import base_settings
from service.search import Search
from service.spec import load_spec


@pytest.fixture
def source(tmp_path, tiny_text):
    path = tmp_path / "tiny.yaml"
    path.write_text(
        tiny_text.replace("num_trials: 4", "num_trials: 2, replicates: 2").replace(
            "num_steps: 256", "num_steps: 8"
        )
    )
    return path


@pytest.mark.occasional
def test_numbers_that_are_there_are_not_trained_again(source, tmp_path):
    path = tmp_path / "recording.parquet"
    table = record(source, path, workers=1)
    assert read(path).equals(table.sort_by([(c, "ascending") for c in ("number", "seed", "step")]))
    # Two seeds each of the baseline and of two settings; steps 1, 2, 4 and 8.
    assert (set(table["number"].to_pylist()), len(table)) == ({BASELINE, 0, 1}, 3 * 2 * 4)
    marked = table.set_column(
        table.column_names.index("loss"), "loss", pa.array([7.0] * len(table), pa.float32())
    )
    write(path, marked.filter(pa.compute.not_equal(marked["number"], 1)))
    again = read_by_number(record(source, path, workers=1))
    assert {row["loss"] for number in (BASELINE, 0) for row in again[number]} == {7.0}
    assert again[1] == read_by_number(table)[1]


def read_by_number(table):
    rows = {}
    for row in table.to_pylist():
        rows.setdefault(row["number"], []).append(row)
    return rows


def test_the_settings_are_those_of_an_evenly_spread_search():
    spec = load_spec(SPEC)
    search = Search(
        spec.space,
        base_settings(spec),
        sampler="quasi_random",
        sweep_seed=spec.search.seed,
        num_trials=8,
        objective=objective_of(spec),
    )
    assert [one.settings for one in search.proposals([], 8)] == [
        settings_of(spec, number) for number in range(8)
    ]
    assert settings_of(spec, BASELINE)["initial_bias"] == 0.0


@pytest.mark.occasional
def test_a_curve_is_read_as_it_was_trained(source, tmp_path):
    spec, path = load_spec(source), tmp_path / "recording.parquet"
    record(source, path, workers=1)
    known = recording(path, spec)
    assert known.numbers == [0, 1]
    for number in (BASELINE, 0, 1):
        for seed, curve in curves(spec, number).items():
            assert seed in seeds_of(spec, number)
            points = known.curves[number, seed]
            assert [step for step, _ in points] == [1, 2, 4, 8]
            for place, (_, evaluation) in enumerate(points):
                for name in METRICS:
                    expected = float(getattr(curve, name)[place])
                    assert getattr(evaluation, name) == pytest.approx(expected, rel=1e-6)


def test_the_recorded_file_is_whole():
    """Every number has the whole curve of each of its seeds."""
    known = recording(FILE)
    steps = [2**power for power in range(14)]
    for number in (BASELINE, *known.numbers):
        for seed in seeds_of(known.spec, number):
            assert [step for step, _ in known.curves[number, seed]] == steps
    assert len(known.numbers) <= known.spec.search.num_trials
