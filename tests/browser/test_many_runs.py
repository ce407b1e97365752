"""Many trials in one sweep on SQLite: the list opens on some of them, and sorts all.

How long that takes at 5,000 trials is measured by ``make bench-pages``.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from many_runs import multiply
from mlflow_server import MlflowServer
from runs_page import open_list, shown, sort_by

from service.tracking import Facts, Projection
from trainers.names import METRICS

NUM_TRIALS = 500
NUM_TEMPLATES = 8


@pytest.fixture(scope="module")
def experiment(
    tmp_path_factory: pytest.TempPathFactory,
    empty_mlflow: Path,
    make_trial: Callable[..., Any],
    make_facts: Callable[..., Facts],
) -> Iterator[str]:
    """Where the experiment's pages begin."""
    folder = tmp_path_factory.mktemp("many")
    database = folder / "mlflow.db"
    database.write_bytes(empty_mlflow.read_bytes())
    projection = Projection(f"sqlite:///{database}", folder / "artifacts", make_facts("many"))
    for number in range(NUM_TEMPLATES):
        value = (number + 1.0) / NUM_TEMPLATES
        trial = make_trial(
            "search", number, loss=value, loss_ratio=2.0 - value, monosemantic_per_feature=value
        )
        steps = [2**power for power in range(14)]
        columns = {name: [value / step for step in steps] for name in METRICS}
        projection.project_trial(trial, pa.table({"step": steps, **columns}))
    multiply(database, NUM_TRIALS)
    projection.analyze()
    with closing(MlflowServer(f"sqlite:///{database}")) as server:
        server.start()
        yield f"{server.uri}/#/experiments/{projection.experiment_id}/runs"


@pytest.mark.occasional
def test_the_list_opens_and_sorts(visit: Any, experiment: str) -> None:
    seen = visit("about:blank")
    open_list(seen.page, experiment)
    assert seen.page.get_by_text("100 matching runs").is_visible()
    best_first = shown(seen.page)
    sort_by(seen.page, "loss_ratio")
    one_way = shown(seen.page)
    sort_by(seen.page, "loss_ratio")
    assert len({tuple(best_first[:5]), tuple(one_way[:5]), tuple(shown(seen.page)[:5])}) > 1
    seen.keep("many-runs")
