"""What a finished sweep's pages in MLflow show beside its numbers: report, figures, networks."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from service.errors import StorageAwayError, StorageError
from service.home import Home
from service.opened import OpenSweep, open_sweep
from service.standing import is_finalist
from service.tables import write_tables
from service.trials import Trial

if TYPE_CHECKING:
    from trainers import Network

logger = logging.getLogger("monosweep")


class Showcase:
    """Made when it is asked for, from what is in the ledger and the storage by then.

    What cannot be read is left out with a word: the sweep has its verdict, whatever MLflow shows.

    Attributes:
        is_whole: Whether nothing was left out so far.

    Args:
        name: A sweep that has a verdict.
        home: Where it was written.
    """

    def __init__(self, name: str, home: Home) -> None:
        self._name = name
        self._home = home
        self.is_whole = True

    @cached_property
    def _sweep(self) -> OpenSweep:
        return open_sweep(self._name, self._home)

    def write(self, folder: Path) -> None:
        """Report, figures, and the tables of trials and of the confirmed networks' neurons.

        Raises:
            LedgerAwayError: If the ledger does not answer.
            StorageAwayError: If the storage does not.
        """
        # Seconds of imports, and only a finished sweep needs them.
        from service.report import page  # noqa: PLC0415

        self.is_whole = True
        sweep = self._sweep
        with self._going_on("the report"):
            (folder / "report.html").write_text(page(sweep), encoding="utf-8")
        figures, tables = folder / "figures", folder / "tables"
        figures.mkdir()
        for name in sweep.figures:
            with self._going_on(f"the figure {name}"):
                (figures / f"{name}.svg").write_bytes(sweep.figures.svg(name))
        write_tables({"trials": sweep.trials}, tables)
        with self._going_on("the confirmed networks' neurons"):
            confirmed = [trial.trial_id for trial in self._confirmed]
            write_tables({"confirmed_neurons": sweep.neurons_of(*confirmed)}, tables)

    def networks(self) -> Iterator[tuple[Trial, "Network"]]:
        """The networks of finalists, each with the confirmation trial whose it is.

        Not those of others that were confirmed beside them, which cannot win.

        Raises:
            StorageAwayError: If the storage does not answer.
        """
        roles = {row["role"] for row in self._sweep.best()["finalists"] if is_finalist(row)}
        for trial in self._confirmed:
            if trial.role not in roles:
                continue
            kept: tuple[Network, ...] = ()
            with self._going_on(f"the network of {trial.trial_id}"):
                kept = self._sweep.kept_networks(trial.trial_id)
            yield from ((trial, network) for network in kept[:1])

    @property
    def _confirmed(self) -> list[Trial]:
        return [
            trial
            for trial in self._sweep.known_trials
            if trial.phase == "confirmation" and trial.state == "complete"
        ]

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """Say that a file is gone or damaged, and go on; a storage that is away is tried again."""
        try:
            yield
        except StorageAwayError:
            raise
        except StorageError as error:
            self.is_whole = False
            logger.warning("MLflow does not get %s of %s: %s", what, self._name, error)
