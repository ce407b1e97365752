"""The benchmark of many clients, short; how long calls take is not asserted."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bench_clients


@pytest.fixture(scope="module")
def found(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ten clients saw of a real server in five seconds."""
    return bench_clients.measure(postgres.new_database(), tmp_path_factory.mktemp("home"), 10, 5.0)


@pytest.mark.occasional
def test_no_sweep_is_lost_or_taken_twice_whatever_breaks_off(found: dict[str, Any]) -> None:
    assert found["num_sweeps"] >= 10
    assert found["num_broken_off"] + found["num_repeated"] > 0
    assert (found["lost"], found["twice"]) == ([], [])


def test_every_call_is_answered_and_no_answer_is_a_servers_error(found: dict[str, Any]) -> None:
    assert found["server_errors"] == 0
    kinds = {what.partition(" ")[0] for what in found["statuses"]}
    assert kinds == {"submit", "list", "show", "follow", "stop"}
    assert not [what for what in found["statuses"] if int(what.split()[1]) >= 400]


def test_who_follows_is_told_of_what_happens(found: dict[str, Any]) -> None:
    assert 0.0 < found["event_delay_s"]["p50"] <= found["event_delay_s"]["p99"]


def test_what_the_server_says_has_no_token_in_it(found: dict[str, Any]) -> None:
    # It says that it is there, and what is missing, at the least.
    assert "monosweep at http://127.0.0.1:" in found["said"]
    assert "Ray" in found["said"]
    for token in found["shown"]:
        secret = token.split("_", 2)[2]
        assert len(secret) > 40 and secret not in found["said"]
