"""The ledger: the durable truth of a sweep, in one relational database."""

from service.ledger import audit, queue, sessions, tokens
from service.ledger.history import in_order_of_end, seconds_at_work
from service.ledger.lease import Lease, Renewal, being_deleted, held, release, take
from service.ledger.reading import Ledger, unfinished
from service.ledger.records import Attempt, Outline, SweepRecord
from service.ledger.sweep_row import NewSweep
from service.ledger.tables import ABANDONED, RECORDED
from service.ledger.writing import Writer

__all__ = [
    "ABANDONED",
    "RECORDED",
    "Attempt",
    "Lease",
    "Ledger",
    "NewSweep",
    "Outline",
    "Renewal",
    "SweepRecord",
    "Writer",
    "audit",
    "being_deleted",
    "held",
    "in_order_of_end",
    "queue",
    "release",
    "seconds_at_work",
    "sessions",
    "take",
    "tokens",
    "unfinished",
]
