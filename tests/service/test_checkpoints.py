from pathlib import Path

import pytest

from service.checkpoints import Checkpoints, remove, remove_all_but
from service.storage import Storage


@pytest.fixture
def storage(storage_uri: str) -> Storage:
    return Storage(storage_uri)


@pytest.fixture
def checkpoints(storage: Storage) -> Checkpoints:
    return Checkpoints(storage, "s", "search-3")


def files(storage: Storage) -> list[str]:
    return storage.names("cohorts/s/search-3")


def text(data: bytes) -> str:
    """A state that is a text; what is not cannot be read."""
    return data.decode("ascii")


def test_the_newest_is_adopted(checkpoints: Checkpoints) -> None:
    for step in (9, 10, 8):
        checkpoints.write(f"step {step}".encode(), num_steps_done=step, attempt=1)
    assert checkpoints.adopt(text).state == "step 10"


def test_two_are_kept(checkpoints: Checkpoints, storage: Storage) -> None:
    for step in (64, 128, 256, 1024):
        checkpoints.write(b"", num_steps_done=step, attempt=2)
    assert files(storage) == [
        "000002-000000000000256.safetensors",
        "000002-000000000001024.safetensors",
    ]


def test_without_any_there_is_nothing_to_adopt(checkpoints: Checkpoints) -> None:
    adopted = checkpoints.adopt(text)
    assert (adopted.state, adopted.refused) == (None, ())


def test_one_that_cannot_be_read_is_named_and_the_one_before_it_taken(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.write(b"whole", num_steps_done=64, attempt=1)
    checkpoints.write(b"\xff", num_steps_done=128, attempt=1)
    adopted = checkpoints.adopt(text)
    assert adopted.state == "whole"
    (refused,) = adopted.refused
    assert refused.startswith(
        "cohorts/s/search-3/000001-000000000000128.safetensors: 'ascii' codec"
    )


def test_those_that_cannot_be_read_give_way(checkpoints: Checkpoints, storage: Storage) -> None:
    """They stand at later steps than what the next attempt, begun anew, writes first."""
    for step in (1000, 2000):
        checkpoints.write(b"\xff", num_steps_done=step, attempt=1)
    assert checkpoints.adopt(text).state is None
    assert files(storage) == []
    for step in (100, 500):
        checkpoints.write(f"step {step}".encode(), num_steps_done=step, attempt=2)
    assert checkpoints.adopt(text).state == "step 500"
    assert len(files(storage)) == 2


def test_an_attempt_that_was_thought_dead_does_not_push_the_next_one_aside(
    checkpoints: Checkpoints,
) -> None:
    checkpoints.write(b"second", num_steps_done=100, attempt=2)
    for step in (900, 1000):
        checkpoints.write(b"first", num_steps_done=step, attempt=1)
    assert checkpoints.adopt(text).state == "second"


def test_in_a_folder_a_file_cut_short_while_it_was_written_is_not_seen(tmp_path: Path) -> None:
    checkpoints = Checkpoints(Storage(str(tmp_path)), "s", "search-3")
    checkpoints.write(b"whole", num_steps_done=64, attempt=1)
    folder = tmp_path / "cohorts/s/search-3"
    (folder / "000001-000000000000128.safetensors.partial-0f").write_bytes(b"who")
    (folder / "notes.txt").write_bytes(b"somebody's")
    assert checkpoints.adopt(text).state == "whole"
    assert checkpoints.adopt(text).refused == ()


def test_cohorts_do_not_see_each_other(checkpoints: Checkpoints, storage: Storage) -> None:
    checkpoints.write(b"three", num_steps_done=64, attempt=1)
    assert Checkpoints(storage, "s", "search-30").adopt(text).state is None
    assert Checkpoints(storage, "t", "search-3").adopt(text).state is None


def test_those_of_a_cohort_are_removed_once_or_twice(
    checkpoints: Checkpoints, storage: Storage
) -> None:
    checkpoints.write(b"", num_steps_done=64, attempt=1)
    other = Checkpoints(storage, "s", "search-4")
    other.write(b"four", num_steps_done=64, attempt=1)
    for _ in range(2):
        remove(storage, "s", "search-3")
        assert storage.names("cohorts/s") == ["search-4"]
    assert other.adopt(text).state == "four"


def test_those_that_are_still_needed_stay(storage: Storage) -> None:
    for number in range(3):
        one = Checkpoints(storage, "s", f"search-{number}")
        one.write(b"", num_steps_done=64, attempt=1)
    remove_all_but(storage, "s", {"search-1", "search-7"})
    assert storage.names("cohorts/s") == ["search-1"]
    remove_all_but(storage, "never begun", set())
