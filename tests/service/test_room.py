import os

import psutil
import pytest

from service.errors import InterruptedSweepError, UserError
from service.room import Machine, Room

GIB = 2**30
SMALL = Machine(num_cpus=2, memory_bytes=8 * GIB)
LARGE = Machine(num_cpus=4, memory_bytes=4 * GIB, num_gpus=1.0)


def test_a_cohort_must_fit_on_one_machine() -> None:
    room = Room((SMALL, LARGE))
    room.check_takes(4, 1.0)
    with pytest.raises(UserError, match=r"5 CPUs and 0 GPUs on one machine, found at most 4 and 1"):
        room.check_takes(5, 0.0)
    # Three processors and a GPU, but not on the same machine.
    with pytest.raises(UserError, match="or lower compute"):
        Room((Machine(4, GIB), Machine(1, GIB, 1.0))).check_takes(3, 1.0)


def test_processors_alone_are_counted_on_one_machine() -> None:
    Room((SMALL, LARGE)).check_has_processors(4)
    with pytest.raises(UserError, match=r"5 CPUs on one machine, found at most 4\. Run it on a cl"):
        Room((SMALL, LARGE)).check_has_processors(5)


def test_machines_that_a_cluster_has_not_yet_may_join_it() -> None:
    with pytest.raises(InterruptedSweepError, match="at most 2 and 0 so far") as found:
        Room((SMALL,), can_grow=True).check_takes(4, 0.0)
    assert found.value.exit_code == 75
    with pytest.raises(InterruptedSweepError, match="Go on with it when such a machine has joined"):
        Room((), can_grow=True).check_takes(1, 0.0)


def test_memory_and_processors_both_bound_the_cohorts_at_a_time() -> None:
    assert Room((SMALL, LARGE)).num_cohorts(1, 0.0) == 6
    # 1.5 GiB of each are not for cohorts: 6.5 and 2.5 are left.
    assert Room((SMALL, LARGE)).num_cohorts(1, 0.0, cohort_bytes=2 * GIB) == 2 + 1


def test_this_machine_has_what_this_process_may_use() -> None:
    here = Machine.here()
    assert here.num_cpus == len(os.sched_getaffinity(0))
    assert 0 < here.memory_bytes <= psutil.virtual_memory().total
