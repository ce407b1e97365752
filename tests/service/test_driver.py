"""What the driver makes sure of before anything is trained; whole sweeps are in ``integration``."""

from collections.abc import Callable

import pytest

from service import cluster
from service.driver import _connected
from service.errors import UserError
from service.home import Home
from service.spec import Spec
from service.watching import Watcher


def test_too_many_processors_are_refused_before_ray_is_started(
    make_spec: Callable[..., Spec], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_words: object) -> None:
        raise AssertionError("Ray was started")

    class NothingToTell(Watcher):
        def workers_starting(self) -> None:
            raise AssertionError("it was said that workers start")

    monkeypatch.setattr(cluster, "connect", connect)
    spec = make_spec(("compute: {cohort_size: 2, max_concurrent: 1}", "compute: {cpus: 500}"))
    with (
        pytest.raises(UserError, match="needs 500 CPUs on one machine"),
        _connected(None, spec, home, [NothingToTell()]),
    ):
        pass
