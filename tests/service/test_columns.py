"""Every column of the tables is documented, in the page and in the files, and pandas reads them."""

import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.columns import ATTEMPTS_SCHEMA, CURVES_SCHEMA, NEURONS_SCHEMA, TRIALS_SCHEMA
from service.tables import trials_table, write_tables
from trainers.names import METRICS

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from list_columns import FILE, listed


@pytest.mark.parametrize(
    "schema", [TRIALS_SCHEMA, CURVES_SCHEMA, NEURONS_SCHEMA, ATTEMPTS_SCHEMA], ids=len
)
def test_every_column_says_what_it_is(schema: pa.Schema) -> None:
    assert len(set(schema.names)) == len(schema)
    assert all(field.metadata[b"description"] for field in schema)


def test_a_curve_has_every_number_that_the_trainers_report() -> None:
    assert tuple(CURVES_SCHEMA.names[4:]) == tuple(METRICS)
    assert set(METRICS) < set(TRIALS_SCHEMA.names)


def test_the_page_is_of_these_columns() -> None:
    """Otherwise: python docs/list_columns.py."""
    assert FILE.read_text() == listed()


def test_what_is_written_is_read_by_pyarrow_and_pandas(make_trial, tmp_path: Path) -> None:
    from service.objective import MAXIMIZE, Goal, Objective

    trials = [
        make_trial("baseline", 0, loss=1.0),
        make_trial("search", 0, settings={"initial_bias": -0.5}, seeds=(0, 1), loss=0.5),
        make_trial("search", 1, state="failed", reason="diverged"),
    ]
    objective = Objective((Goal("monosemantic_per_feature", MAXIMIZE),), ())
    table = trials_table(trials, objective)
    (path,) = write_tables({"trials": table}, tmp_path)
    read = pq.read_table(path)
    assert read.equals(table)
    assert read.schema.field("loss").metadata[b"description"].startswith(b"squared error")
    frame = pd.read_parquet(path)
    assert list(frame.columns) == TRIALS_SCHEMA.names
    assert frame["trial_id"].tolist() == ["baseline/0", "search/0", "search/1"]
    assert frame["loss"].isna().tolist() == [False, False, True]
    assert frame["seeds"].map(list).tolist() == [[0], [0, 1], [0]]
