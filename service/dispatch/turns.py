"""Whose turn it is among the sweeps of a queue, and how long one pauses after a failure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from service.errors import SweepFailedError, UserError
from service.ledger.queue import Entry

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
# A driver that ends of itself and says that it cannot do this would mostly say so for ever. Not
# always: machines that it needs may be about to join.
MOST_REFUSALS = 5
REFUSALS = (SweepFailedError.exit_code, UserError.exit_code)


def in_turn(due: Iterable[Entry], at_work: Iterable[Entry]) -> list[Entry]:
    """The order in which entries are started.

    The highest priority first; then the owner for whom the fewest are at work, so that whoever
    submits a hundred sweeps does not keep the others waiting; then the oldest submission.

    Args:
        due: Those that wait for it.
        at_work: Those that have a driver.
    """
    left = sorted(due, key=lambda entry: (-entry.priority, entry.submitted_at, entry.sweep))
    num_at_work = Counter(entry.owner for entry in at_work)
    order = []
    while left:
        # The first of equals: the oldest.
        entry = min(left, key=lambda entry: (-entry.priority, num_at_work[entry.owner]))
        left.remove(entry)
        order.append(entry)
        num_at_work[entry.owner] += 1
    return order


def next_starts(due: Iterable[Entry], at_work: Sequence[Entry], max_sweeps: int) -> list[Entry]:
    """Whose drivers are to be started now.

    Args:
        due: Those that wait for it.
        at_work: Those that have a driver.
        max_sweeps: How many may have one at once.
    """
    return in_turn(due, at_work)[: max(max_sweeps - len(at_work), 0)]


def num_refusals(num_before: int, exit_code: int | None) -> int:
    """How many drivers in a row have refused, with one that came to nothing just now.

    One that died or was interrupted ends the row: what it met may be another thing by now.

    Args:
        num_before: How many had before it.
        exit_code: What it ended with, or None.
    """
    return num_before + 1 if exit_code in REFUSALS else 0


def pause_s(num_failures: int, num_refusals: int) -> float:
    """How long nothing is started after a driver that came to nothing; infinite if given up.

    Those that died or were interrupted are followed by others for ever.

    Args:
        num_failures: How many came to nothing before it, in a row.
        num_refusals: How many refused in a row, this one included.
    """
    if num_refusals >= MOST_REFUSALS:
        return math.inf
    # Past any doubling that is still below the longest, numbers would only overflow.
    return min(FIRST_PAUSE_S * 2.0 ** min(num_failures, 30), LONGEST_PAUSE_S)
