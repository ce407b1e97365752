"""The short form of what ``make chaos`` does to a cluster."""

from pathlib import Path

import pytest
from cluster_kills import kill_workers_nodes_and_head
from shell import Shell


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_workers_nodes_and_at_last_the_head_may_be_killed(longer: Shell, tmp_path: Path) -> None:
    kill_workers_nodes_and_head(tmp_path, longer, num_kills=2, num_nodes=1)
