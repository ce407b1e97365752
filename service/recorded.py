"""What the ledger holds of a sweep, in the types of those who work with it."""

from service.closed import Closed
from service.ledger import SweepRecord
from service.spec import Spec
from service.verdict import Json, open_verdict, with_end


def spec_of(record: SweepRecord) -> Spec:
    """The sweep's file as it was recorded."""
    return Spec.from_settings(record.settings, record.spec_text)


def closed_of(record: SweepRecord) -> Closed | None:
    """Which budget ended the search before its number of trials, or None."""
    return Closed(**record.closed) if record.closed is not None else None


def verdict_of(record: SweepRecord) -> Json:
    """The recorded verdict, or what stands for it while there is none."""
    if record.verdict is not None:
        return dict(record.verdict)
    return with_end(open_verdict(spec_of(record)), closed_of(record))
