"""A user of one home, in this process: every command by its own entry point.

Ray is left out: cohorts are trained here, one after another. All else is what a user's commands do.
"""

import json
import signal
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from entry_point import Said, bare_environment, called

from service.cohort import CohortTraining
from service.errors import AwayError
from service.ledger import Ledger
from service.life import Life
from service.room import Room

PATIENCE_S = 120
# What says how a sweep was run, not what came of it.
HOW = ("attempts", "train_s", "mlflow_run_id")


class HungError(AssertionError):
    """A command that would have gone on for ever."""


@dataclass(frozen=True)
class User:
    """Somebody with a home of their own."""

    home: Path

    def does(self, *words: str) -> Said:
        """Run a command.

        Raises:
            Exception: Whatever a user would see as a traceback.
            HungError: If it does not end.
        """
        # Nobody looks at figures here, and drawing them takes longer than all else.
        own = {"MONOSWEEP_HOME": str(self.home), "MONOSWEEP_SHOWCASE": "off"}
        with _without_ray(), _patience():
            return called(*words, environment={**bare_environment(), **own})

    def exported(self, name: str) -> tuple[Said, dict[str, list[dict[str, Any]]]]:
        """What ``export`` says and writes, as rows."""
        folder = self.home.parent / "export"
        said = self.does("export", name, "--output", str(folder))
        if said.code:
            return said, {}
        tables = {path.stem: pq.read_table(path) for path in sorted(folder.glob("*.parquet"))}
        return said, {what: _rows(table) for what, table in tables.items()}

    def told(self, name: str) -> list[tuple[Any, ...]]:
        """What Optuna was told of each trial."""
        with closing(Ledger(f"sqlite:///{self.home / 'ledger.db'}", create=False)) as ledger:
            return sorted(
                (study.study_name, trial.number, trial.state.name, trial.values, trial.constraints)
                for study in ledger.storage.get_all_studies()
                if study.study_name.partition("/")[0] == name
                for trial in ledger.storage.get_all_trials(study._study_id)
            )

    def verdict(self, name: str) -> Mapping[str, Any]:
        """What ``best`` says."""
        said = self.does("best", name, "--json")
        assert said.code == 0, said.err
        found: Mapping[str, Any] = json.loads(said.out)
        return found


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return table.drop_columns([name for name in HOW if name in table.column_names]).to_pylist()  # type: ignore[no-any-return]


@contextmanager
def _without_ray() -> Iterator[None]:
    with (
        patch("service.cluster.connect", _connect),
        patch("service.cluster.disconnect", lambda: None),
        patch("service.scheduler.run", _train),
        # A damaged MLflow is given up sooner than by people.
        patch("service.tracking.backlog.RETRY_S", 0.05),
        patch("service.tracking.backlog.PATIENCE_S", 10.0),
    ):
        yield


def _connect(_address: str | None, room: Room) -> Room:
    return room


def _train(life: Life, *_: object) -> None:
    """What the scheduler does with workers, here."""
    try:
        while (cohort := life.next_cohort()) is not None:
            with closing(CohortTraining(cohort)) as training:
                training.advance(0.0)
                assert training.first_step is not None
                life.began(cohort.cohort_id, training.first_step, "here 1")
                for warning in training.take_warnings():
                    life.warned(cohort.cohort_id, warning)
                while not training.is_finished:
                    training.advance(60.0)
            life.ended(cohort.cohort_id, training.results())
    except AwayError as error:
        raise HungError("it is waited for what is not away") from error


@contextmanager
def _patience() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise HungError("".join(traceback.format_stack(limit=12)))

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
