"""What the ledger holds of a sweep, in the types of those who work with it."""

from service.ledger import SweepRecord
from service.spec import Spec
from service.verdict import Json, open_verdict


def spec_of(record: SweepRecord) -> Spec:
    """The sweep's file as it was recorded."""
    return Spec.from_settings(record.settings, record.spec_text)


def verdict_of(record: SweepRecord) -> Json:
    """The recorded verdict, or what stands for it while there is none."""
    if record.verdict is not None:
        return dict(record.verdict)
    return open_verdict(spec_of(record))
