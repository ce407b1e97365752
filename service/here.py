"""The sweeps of this home, in its own ledger."""

from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path

from service import dismissal, stopping
from service.errors import InterruptedSweepError
from service.follow import follow
from service.home import Home
from service.ledger import Ledger
from service.place import TABLES, Answer, Extent, Json
from service.recorded import spec_of, verdict_of
from service.status import status


def ledger_of(home: Home, *, bring_up_to_date: bool = False) -> Ledger:
    """The home's ledger; a command that does not begin a sweep never makes one.

    Args:
        home: The home.
        bring_up_to_date: For commands that write; one that only looks changes nothing.

    Raises:
        UserError: If there is none.
        LedgerError: If it cannot be read.
    """

    def refuse() -> None:
        # Needed only where there is no ledger; it brings the storage, a good part of a second.
        from service.remains import refuse_remains  # noqa: PLC0415

        refuse_remains(home)

    return Ledger(
        home.ledger_url, create=False, bring_up_to_date=bring_up_to_date, on_missing=refuse
    )


class Here:
    """The ``Place`` that the environment names.

    Args:
        home: Where its sweeps are.
    """

    again = ""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.tracking_uri: str | None = home.tracking_uri

    @cached_property
    def _ledger(self) -> Ledger:
        return ledger_of(self._home)

    @cached_property
    def _writable(self) -> Ledger:
        return ledger_of(self._home, bring_up_to_date=True)

    def statuses(self) -> list[Json]:
        """Where all sweeps stand, oldest first."""
        return [status(self._ledger, name) for name in self._ledger.names()]

    def status(self, name: str) -> Json:
        """Where a sweep stands."""
        return status(self._ledger, name)

    def answer(self, name: str) -> Answer:
        """What came of it."""
        record = self._ledger.sweep(name)
        return Answer(verdict_of(record), record.state if record.verdict is None else None)

    def follow(self, name: str, show: Callable[[Json], None]) -> Json:
        """Show where a sweep stands until no driver is at work on it."""
        return follow(self._ledger, name, show)

    def stop(self, name: str) -> Json:
        """Ask its driver on this machine to leave, and wait until it has."""
        dismissal.dismiss(self._ledger, name)
        return status(self._ledger, name)

    def export(self, name: str, folder: Path, tables: Collection[str] = TABLES) -> list[Path]:
        """Write its tables, or some of them, into a folder."""
        from service.storage import Storage  # noqa: PLC0415
        from service.tables import export  # noqa: PLC0415 - a second that no other command needs

        record = self._ledger.sweep(name)
        record.check_is_kept()
        storage = Storage(self._home.storage)
        return export(self._ledger, spec_of(record), storage, folder, tables)

    def page(self, name: str) -> Path:
        """In the home, as ``reports/NAME.html``."""
        return self._home.report(name)

    def report(self, name: str, path: Path) -> None:
        """Write its page."""
        from service.opened import open_sweep  # noqa: PLC0415 - a second, as above
        from service.report import write_report  # noqa: PLC0415

        # Says what is amiss where there is no ledger.
        self._ledger.close()
        write_report(open_sweep(name, self._home), path)

    def extent(self, name: str) -> Extent:
        """What deleting it would take away."""
        from service import deletion  # noqa: PLC0415 - it brings the storage, as above

        return deletion.extent(self._writable, self._writable.sweep(name), self._home)

    def delete(self, name: str) -> None:
        """Delete it everywhere, or go on with a deletion that was stopped.

        Raises:
            InterruptedSweepError: If a signal stopped it.
        """
        from service import deletion  # noqa: PLC0415 - it brings the storage, as above

        try:
            with stopping.raising():
                deletion.delete(self._writable, name, self._home)
        except KeyboardInterrupt as error:
            raise InterruptedSweepError(
                f"Interrupted while {name} was being deleted. If monosweep status still knows it, "
                f"delete it to the end with: monosweep delete {name}"
            ) from error
