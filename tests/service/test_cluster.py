"""What of a cluster can be told without one; ``integration`` has the rest."""

import socket
from typing import Any

from ray.tune.execution import class_cache

from service.cluster import HANDED_ON, TUNES_VARIABLES, Reach, _cluster_room
from service.room import Machine, Room

GIB = 2**30


def test_a_clusters_room_is_that_of_the_machines_that_are_alive() -> None:
    nodes: list[dict[str, Any]] = [
        {"Alive": True, "Resources": {"CPU": 4.0, "memory": 8.0 * GIB, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 1.0, "memory": 2.0 * GIB}},
        {"Alive": False, "Resources": {"CPU": 64.0, "memory": 99.0 * GIB}},
        {"Alive": True, "Resources": {"memory": 5.0 * GIB}},  # a head that takes no work
    ]
    room = _cluster_room(nodes)
    assert room == Room(
        (Machine(4, 8 * GIB, 2.0), Machine(1, 2 * GIB), Machine(0, 5 * GIB)),
        can_grow=True,
    )
    assert room.num_cohorts(cpus=1, gpus=0) == 5
    assert room.num_cohorts(cpus=2, gpus=0) == 2
    assert room.num_cohorts(cpus=1, gpus=1) == 2


def test_what_does_not_answer_for_half_a_minute_is_lost_and_not_before() -> None:
    now = 0.0
    with socket.create_server(("127.0.0.1", 0)) as always, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        places = [f"127.0.0.1:{one.getsockname()[1]}" for one in (always, other)]
        reach = Reach(places, clock=lambda: now)
        assert not reach.is_lost()
        now = 100.0
        assert not reach.is_lost()
        other.close()
        now = 129.0
        assert not reach.is_lost()
        # Back for a moment, as a head is that starts anew.
        with socket.create_server(("127.0.0.1", int(places[1].rpartition(":")[2]))):
            assert not reach.is_lost()
        now = 158.0
        assert not reach.is_lost()
        now = 159.0
        assert reach.is_lost()


def test_workers_are_asked_for_in_the_environment_that_tune_asks_for() -> None:
    """A later Ray that gives its workers another environment would start others."""
    assert class_cache.DEFAULT_ENV_VARS == TUNES_VARIABLES
    of_amazon = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    assert set(HANDED_ON) == of_amazon
