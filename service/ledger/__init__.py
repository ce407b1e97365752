"""The ledger: the durable truth of a sweep, in one relational database."""

from service.ledger.lease import Lease, Renewal, being_deleted, held, release, take
from service.ledger.reading import Attempt, Ledger, SweepRecord, unfinished
from service.ledger.writing import Writer

__all__ = [
    "Attempt",
    "Lease",
    "Ledger",
    "Renewal",
    "SweepRecord",
    "Writer",
    "being_deleted",
    "held",
    "release",
    "take",
    "unfinished",
]
