"""Where the head's drivers keep sweeps: where a server looks for them, or nowhere that helps."""

from typing import Any

import pytest

from service import cluster_nodes
from service.cluster_nodes import Node
from service.doctor import cluster
from service.home import Home
from service.node import Places

HEAD = Node(
    node_id="1",
    host="a",
    address="10.0.0.1",
    is_head=True,
    is_alive=True,
    end="",
    num_cpus=0.0,
    num_gpus=0.0,
    object_store_bytes=2**30,
)


@pytest.mark.parametrize(
    ("other", "is_well"),
    [
        ({}, True),
        ({"tracking": "http://elsewhere:5000"}, True),
        ({"ledger": "postgresql+psycopg://h/other"}, False),
        ({"storage": "s3://other"}, False),
    ],
)
def test_a_head_with_another_ledger_or_storage_is_wrong(
    home: Home, monkeypatch: pytest.MonkeyPatch, other: dict[str, str], is_well: bool
) -> None:
    here = {
        "ledger": home.ledger_url,
        "storage": home.storage,
        "tracking": home.tracking_uri,
    }

    def ask(nodes: dict[Node, None], *_: Any) -> dict[Node, Places]:
        return dict.fromkeys(nodes, Places(**{**here, **other}))

    monkeypatch.setattr(cluster_nodes, "ask", ask)
    (found,), _ = cluster._head(home, [HEAD])
    assert found.is_well is is_well
    assert all(place in found.message for place in other.values())
