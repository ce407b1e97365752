"""What ``monosweep interpret`` says of a trained network, as tables, as JSON and for people."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from service.errors import UserError
from service.interpretation_view import interpretation_view
from service.interpreted import Interpreted, interpreted
from service.network_of_trial import network_of
from service.opened import OpenSweep
from service.trials import Trial
from trainers.interpretation import COLUMNS


@pytest.fixture
def found(train_sweep: Callable[..., OpenSweep], make_trial: Callable[..., Trial]) -> Interpreted:
    return interpreted(network_of(train_sweep(make_trial("baseline", 0)), "baseline/0"))


def test_tables_are_written_with_what_each_column_is(found: Interpreted, tmp_path: Path) -> None:
    paths = found.write(tmp_path / "made")
    assert [path.stem for path in paths] == list(COLUMNS)
    neurons = pq.read_table(tmp_path / "made" / "neurons.parquet")
    assert neurons.num_rows == found.settings["num_neurons"]
    assert neurons["neuron"].to_pylist() == list(range(neurons.num_rows))
    for field in neurons.schema:
        assert field.metadata[b"description"].decode() == COLUMNS["neurons"][field.name]


def test_json_has_null_for_what_is_not_defined(found: Interpreted) -> None:
    written = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert (written["trial"], written["finding"]) == ("baseline/0", found.finding)
    assert sum(written["neurons"].values()) == 64
    removal = found.rows("removal")
    undefined = [math.isnan(row["without_monosemantic"]) for row in removal]
    assert [row["without_monosemantic"] is None for row in written["removal"]] == undefined


def test_people_read_the_finding_first(found: Interpreted) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(interpretation_view(found))
    said = " ".join(console.export_text().split())
    assert found.finding in said
    assert said.index(found.finding) < said.index("neurons together") < said.index("active")


def test_a_folder_that_cannot_be_written_is_refused(found: Interpreted, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--output must be a folder that can be written to"):
        found.write(tmp_path / "file")
