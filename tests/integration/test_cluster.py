"""The short form of what ``make chaos`` does to a cluster."""

from pathlib import Path

import pytest
from cluster_kills import kill_workers_nodes_and_head


@pytest.mark.long
def test_workers_nodes_and_at_last_the_head_may_be_killed(tmp_path: Path) -> None:
    kill_workers_nodes_and_head(tmp_path, num_kills=2, num_nodes=1)
