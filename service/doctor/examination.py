"""The look over the whole home, and the mending of what can be mended."""

from contextlib import closing
from dataclasses import dataclass

from service.doctor.checkpoints import examine_checkpoints
from service.doctor.finding import Finding, Known
from service.doctor.ledger import damaged, know, open_ledger
from service.doctor.room import Room, room
from service.doctor.storage import examine_storage, open_storage
from service.doctor.tracking import examine_tracking
from service.errors import LedgerError, MonosweepError
from service.home import Home, without_password
from service.ledger import Ledger
from service.ledger.inspection import DATABASE_ERRORS

# What is mended first may bring more to light: tables that are now up to date, say.
ROUNDS = 3


@dataclass(frozen=True)
class Report:
    """What was found, and what was done.

    Attributes:
        findings: What is found now, after any mending.
        mended: What was set right.
        refused: What could not be, and why.
        room: What takes room; None where the ledger or the storage cannot tell.
    """

    findings: tuple[Finding, ...]
    mended: tuple[Finding, ...] = ()
    refused: tuple[str, ...] = ()
    room: Room | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to be done."""
        return all(finding.is_well for finding in self.findings)


def examine(home: Home) -> Report:
    """Look everything over; nothing is changed."""
    opened = open_ledger(home)
    if isinstance(opened, Finding):
        return Report((opened,))
    with closing(opened) as ledger:
        return _examined(home, ledger)


def _examined(home: Home, ledger: Ledger) -> Report:
    damage = damaged(home)
    if damage is not None:
        return Report((damage,))
    try:
        known, findings = know(home, ledger)
        of_storage, found_room = _of_storage(known)
        findings += [*of_storage, *examine_tracking(known)]
    except (LedgerError, *DATABASE_ERRORS) as error:
        return Report((Finding("ledger", without_password(str(error))),))
    return Report(tuple(findings), room=found_room)


def _of_storage(known: Known) -> tuple[list[Finding], Room | None]:
    storage = open_storage(known.home)
    if isinstance(storage, Finding):
        return [storage], None
    try:
        findings = examine_storage(known, storage) + examine_checkpoints(known, storage)
        return findings, room(known.home, known.ledger, storage)
    except OSError as error:
        said = f"the storage must answer, found: {error}."
        return [Finding("storage", said, "Mend it, and look again.")], None


def mend_all(home: Home) -> Report:
    """Mend what can be mended without losing anything, and look again."""
    mended: list[Finding] = []
    refused: list[str] = []
    report = examine(home)
    for _ in range(ROUNDS):
        mendable = [finding for finding in report.findings if finding.mend is not None]
        if not mendable or refused:
            break
        for finding in mendable:
            assert finding.mend is not None
            try:
                finding.mend()
            except (MonosweepError, OSError, *DATABASE_ERRORS) as error:
                refused.append(f"{finding.message} Not mended: {error}")
            else:
                mended.append(finding)
        report = examine(home)
    still = {finding.message for finding in report.findings}
    return Report(
        report.findings,
        tuple(finding for finding in mended if finding.message not in still),
        tuple(refused),
        report.room,
    )
