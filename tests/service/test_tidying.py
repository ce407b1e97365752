import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from service.checkpoints import Checkpoints
from service.cohort import Cohort
from service.storage import Storage
from service.tidying import Tidying
from service.trials import Trial

MakeTrial = Callable[..., Trial]


@pytest.fixture
def storage(storage_uri: str) -> Storage:
    found = Storage(storage_uri)
    for cohort_id in ("baseline-0", "search-0", "search-1"):
        Checkpoints(found, "s", cohort_id).write(b"", num_steps_done=1, attempt=1)
    return found


def cohort(cohort_id: str, trial: Trial) -> Cohort:
    return Cohort(
        sweep="s",
        cohort_id=cohort_id,
        attempt=1,
        trials=(trial,),
        task={},
        training={},
        num_threads=1,
        checkpoint_s=30.0,
        storage="x",
    )


def test_a_cohort_that_ended_leaves_no_checkpoints(storage: Storage, make_trial: MakeTrial) -> None:
    Tidying(storage, "s").cohort_ended(cohort("search-0", make_trial("search", 0)))
    assert storage.names("cohorts/s") == ["baseline-0", "search-1"]


def test_what_a_dead_driver_left_of_ended_cohorts_goes(
    storage: Storage, make_trial: MakeTrial
) -> None:
    ended = make_trial("search", 0, cohort_id="search-0", loss=1.0)
    running = make_trial("search", 1, cohort_id="search-1", state="running")
    Tidying(storage, "s").clear([ended, running])
    assert storage.names("cohorts/s") == ["search-1"]


def test_tables_that_no_result_names_go(storage: Storage, make_trial: MakeTrial) -> None:
    """An attempt may end between its tables and the ledger; the next writes tables of its own."""
    paths = [
        f"results/s/{cohort_id}/curves-{attempt}.parquet"
        for cohort_id in ("search-0", "search-1")
        for attempt in (1, 2)
    ]
    for path in paths:
        storage.write_bytes(path, b"")
    ended = make_trial("search", 0, cohort_id="search-0", loss=1.0)
    ended = replace(ended, result=replace(ended.result, curves=paths[1]))  # type: ignore[type-var]
    running = make_trial("search", 1, cohort_id="search-1", state="running")
    Tidying(storage, "s").clear([ended, running])
    assert sorted(storage.sizes("results")) == paths[1:2]
    assert storage.names("cohorts/s") == ["search-1"]


def test_a_storage_that_refuses_stops_nothing(
    storage: Storage,
    make_trial: MakeTrial,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("slow down")

    monkeypatch.setattr(Storage, "remove_folder", refuse)
    tidying = Tidying(storage, "s")
    with caplog.at_level(logging.WARNING):
        tidying.cohort_ended(cohort("search-0", make_trial("search", 0)))
        tidying.clear([])
    assert [record.getMessage() for record in caplog.records] == [
        "files that are no longer needed could not be removed: slow down"
    ] * 2
