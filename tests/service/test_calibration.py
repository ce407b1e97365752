from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from service import calibration
from service.calibration import step_seconds
from service.planning import Calibration, resolve
from service.room import Machine, Room
from service.spec import Spec


@pytest.fixture
def has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(calibration, "SECONDS", 600.0)


@pytest.fixture
def asked(make_spec: Callable[..., Spec]) -> Calibration:
    """What a sweep of two replicates asks to be measured, on a processor in place of its GPU."""
    found: list[Calibration] = []

    def keep(one: Calibration) -> dict[int, float]:
        found.append(one)
        return {1: 1.0}

    spec = make_spec(
        ("compute: {cohort_size: 2, max_concurrent: 1}", "compute: {gpus: 1}"),
        ("num_trials: 4", "num_trials: 16, replicates: 2"),
    )
    resolve(spec, Room((Machine(1, 2**36, num_gpus=1.0),)), keep)
    (one,) = found
    return replace(one, training={**one.training, "device": "cpu", "precision": "float32"})


@pytest.mark.usefixtures("has_time")
def test_every_size_is_measured_where_there_is_time(asked: Calibration) -> None:
    found = step_seconds(asked)
    assert list(found) == [1, 2, 4]
    assert all(0 < seconds < 1 for seconds in found.values())


def test_without_time_only_the_smallest_is(
    asked: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    assert list(step_seconds(asked)) == [1]


def test_what_does_not_fit_on_the_device_is_not_offered(
    asked: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = calibration._rounds

    def full(one: Calibration, size: int) -> object:
        if size == 4:
            raise torch.OutOfMemoryError
        return rounds(one, size)

    monkeypatch.setattr(calibration, "_rounds", full)
    assert list(step_seconds(asked)) == [1, 2]


def test_a_trials_time_counts_all_its_replicates(
    asked: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def timed(state: object, num_steps: int) -> float:
        sizes.append(len(state.members))  # type: ignore[attr-defined]
        return 8.0 * num_steps

    monkeypatch.setattr(calibration, "_timed", timed)
    assert step_seconds(asked) == {1: 8.0, 2: 4.0, 4: 2.0}
    assert sorted(set(sizes)) == [2, 4, 8]


@pytest.mark.usefixtures("has_time")
def test_no_network_leaves_the_cohort_that_is_timed(asked: Calibration) -> None:
    """A positive bias makes an untrained network look diverged: it would be timed as nothing."""
    high = {**asked.settings, "initial_bias": 1.0, "learning_rate": 10.0}
    found = step_seconds(replace(asked, settings=high))
    assert list(found) == [1, 2, 4]
    assert min(found.values()) > 1e-5
