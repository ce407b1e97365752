from service.errors import LedgerAwayError, StorageAwayError
from service.outages import FIRST_PAUSE_S, LONGEST_PAUSE_S, Outage


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_away_is_tried_again_after_longer_and_longer_pauses() -> None:
    clock = Clock()
    outage = Outage(say=lambda _: None, clock=clock)
    assert outage.pause_s == 0.0
    pauses = []
    for _ in range(8):
        outage.met(StorageAwayError("away"), "")
        pauses.append(outage.pause_s)
        clock.now += outage.pause_s
        assert outage.pause_s == 0.0
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    clock, said = Clock(), list[str]()
    outage = Outage(said.append, clock)
    outage.is_over()
    for _ in range(3):
        outage.met(StorageAwayError("The server is away."), "Trials go on.")
        clock.now += 4.0
    outage.is_over()
    outage.is_over()
    assert said == ["The server is away. Trials go on.", "The storage answers again, after 12 s."]
    # The next one begins with a short pause again.
    outage.met(LedgerAwayError("The disk is full."), "Waiting.")
    assert outage.pause_s == FIRST_PAUSE_S
    outage.is_over()
    assert said[2:] == ["The disk is full. Waiting.", "The ledger answers again, after 0 s."]
