"""The short form of what ``make chaos`` does to a cluster."""

from pathlib import Path

import pytest
from cluster_kills import kill_workers_and_nodes


@pytest.mark.timeout(400)
def test_workers_and_nodes_may_be_killed_as_often_as_they_like(tmp_path: Path) -> None:
    kill_workers_and_nodes(tmp_path, num_kills=4)
