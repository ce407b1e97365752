"""What of the queue is not seen in the life of a sweep; see ``test_life`` for the rest."""

import pytest

from service.cohort_queue import CohortQueue, Deaths, deaths_in_a_row, last_line, phase_of
from service.ledger import Attempt, Writer
from service.trials import PHASES, Point

DIED = "worker gone"
LOST = "machine lost: preempted"
OURS = "abandoned"


def attempt(first_step: int | None, outcome: str | None) -> Attempt:
    """One of which the queue knows no more."""
    return Attempt(
        cohort_id="search-0",
        number=1,
        worker=None,
        first_step=first_step,
        started_at=0.0,
        ended_at=None,
        outcome=outcome,
    )


@pytest.mark.parametrize(
    ("attempts", "deaths"),
    [
        ([], Deaths()),
        ([(None, DIED)], Deaths(1)),
        ([(None, DIED), (None, DIED), (None, DIED)], Deaths(3)),
        # The second went on at the first one's checkpoint, and so did the third: no farther.
        ([(None, DIED), (64, DIED), (64, DIED)], Deaths(2)),
        ([(None, DIED), (64, DIED), (128, DIED)], Deaths(1)),
        # A worker that dies before it says where it begins got nowhere.
        ([(None, DIED), (64, DIED), (None, DIED)], Deaths(2)),
        # A damaged checkpoint: back to an earlier one is no progress.
        ([(None, DIED), (128, DIED), (64, DIED)], Deaths(2)),
        # Those that ended with their driver died of nothing of their own.
        ([(None, DIED), (None, OURS), (None, DIED)], Deaths(2)),
        ([(None, DIED), (64, None)], Deaths()),
        # A machine that is taken away is another matter, and progress ends both counts.
        ([(None, LOST), (None, DIED), (None, LOST)], Deaths(1, 2)),
        ([(None, LOST), (None, DIED), (64, LOST)], Deaths(0, 1)),
    ],
)
def test_deaths_count_from_the_last_progress(
    attempts: list[tuple[int | None, str | None]], deaths: Deaths
) -> None:
    assert deaths_in_a_row([attempt(*one) for one in attempts]) == deaths


@pytest.mark.parametrize("cohort_id", ["search-0", "search-12b", "search-3ab"])
def test_halves_belong_to_the_phase(cohort_id: str) -> None:
    assert phase_of(cohort_id) == "search"


def test_a_cohort_waits_longer_the_second_time(tiny_writer: Writer) -> None:
    now = 100.0
    queue = CohortQueue({phase: [] for phase in PHASES}, tiny_writer, clock=lambda: now)
    assert queue.take_back("search-0", [attempt(None, DIED)]) == ["search-0"]
    assert queue._next_waiting("baseline") is None
    assert queue._next_waiting("search") == "search-0"
    queue.taken("search-0")
    assert queue._next_waiting("search") is None
    queue.take_back("search-0", [attempt(None, DIED)] * 2)
    now = 104.9
    assert queue._next_waiting("search") is None
    now = 105.0
    assert queue._next_waiting("search") == "search-0"


def test_a_split_that_was_cut_short_is_done_again_without_mixing(tiny_writer: Writer) -> None:
    """A driver died when one of four trials had moved; its half is a cohort of its own by now."""
    settings = {"num_neurons": 64}
    for seed in range(4):
        point = Point(settings=settings, seeds=(seed,))
        tiny_writer.add_trials("search", seed, [point], "search-0")
    tiny_writer.move_trial("search", 0, "search-0a")
    for _ in range(3):
        attempt = tiny_writer.begin_attempt("search-0")
        tiny_writer.end_attempt("search-0", attempt, DIED)
    trials = {phase: tiny_writer.ledger.trials("tiny", phase) for phase in PHASES}
    queue = CohortQueue(trials, tiny_writer)
    attempts = tiny_writer.ledger.attempts("tiny", "search-0")
    assert queue.take_back("search-0", attempts) == ["search-0b", "search-0c"]
    for found in (trials["search"], tiny_writer.ledger.trials("tiny", "search")):
        assert [t.cohort_id for t in found] == ["search-0a", "search-0b", "search-0c", "search-0c"]
    assert queue._next_waiting("search") == "search-0a"


def test_people_are_told_what_happened_and_not_what_could_have() -> None:
    ray = "RayActorError: x\nThe worker died. End of file. Some common causes include: (1) memory."
    assert last_line(ray) == "The worker died. End of file."
    assert last_line("Traceback\n  line\nValueError: too wide\n") == "ValueError: too wide"
