from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from optuna.storages import RDBStorage
from postgres import Postgres
from sqlalchemy import create_engine, inspect, update

from service.errors import (
    LeaseLostError,
    LedgerAwayError,
    LedgerError,
    SweepExistsError,
    SweepNotFoundError,
    UserError,
)
from service.home import Home
from service.ledger import Ledger, Writer, halves, inspection, queue, release, tables, take
from service.ledger.asked import Asked, asked
from service.ledger.inspection import discrepancies
from service.trials import Point, Result, Told

POINT = Point(settings={"num_neurons": 64, "learning_rate": 0.1}, seeds=(3, 4), role="baseline")


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with closing(Ledger(home.ledger_url)) as ledger:
        ledger.create_sweep(
            "s", spec_text="name: s", settings={"a": 1}, versions={"torch": "2"}, num_trials=5
        )
        yield ledger


@pytest.fixture
def writer(ledger: Ledger) -> Iterator[Writer]:
    lease = take(ledger.engine, "s")
    with closing(Writer(ledger, lease)) as writer:
        writer.create_studies(["maximize"])
        yield writer
    release(ledger.engine, lease)


def result(trial_id: str = "baseline/0", attempt: int = 1, **changes: object) -> Result:
    values = {
        "trial_id": trial_id,
        "attempt": attempt,
        "state": "complete",
        "metrics": {"loss": 0.5},
        "replicates": ({"loss": 0.4}, {"loss": 0.6}),
        "num_steps": 8,
        "train_s": 1.5,
        "standings": {"4": {"loss_ratio": 0.9}},
        "curves": "results/s/baseline-0/curves-1.parquet",
    }
    return Result(**{**values, **changes})  # type: ignore[arg-type]


def test_a_sweep_reads_back_as_it_was_recorded(ledger: Ledger) -> None:
    record = ledger.sweep("s")
    assert (record.spec_text, record.settings) == ("name: s", {"a": 1})
    assert (record.num_trials, record.phase, record.state) == (5, "baseline", "interrupted")
    assert abs(record.created_at - __import__("time").time()) < 60


def test_a_name_is_taken_once(ledger: Ledger) -> None:
    with pytest.raises(SweepExistsError):
        ledger.create_sweep("s", spec_text="", settings={}, versions={}, num_trials=1)


def test_an_unknown_name_lists_the_known_ones(ledger: Ledger) -> None:
    with pytest.raises(SweepNotFoundError, match="'t' in the ledger, found only: s"):
        ledger.sweep("t")


def test_a_trial_and_its_result_read_back(ledger: Ledger, writer: Writer) -> None:
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    (waiting,) = ledger.trials("s")
    assert (waiting.state, waiting.attempts) == ("waiting", 0)
    assert (waiting.settings, waiting.seeds, waiting.role) == (
        POINT.settings,
        POINT.seeds,
        POINT.role,
    )
    assert writer.begin_attempt("baseline-0") == 1
    assert ledger.trials("s")[0].state == "running"
    assert writer.record_results("baseline-0", 1, [result()])
    (ended,) = ledger.trials("s", "baseline")
    assert ended.state == "complete"
    assert ended.result == result()
    assert ledger.trials("s", "search") == []


def test_results_of_an_older_attempt_are_dropped(ledger: Ledger, writer: Writer) -> None:
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")
    assert writer.begin_attempt("baseline-0") == 2
    assert not writer.record_results("baseline-0", 1, [result()])
    assert ledger.trials("s")[0].result is None
    assert writer.record_results("baseline-0", 2, [result(attempt=2)])


def test_an_attempt_that_brought_results_did_not_die(ledger: Ledger, writer: Writer) -> None:
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")
    writer.end_attempt("baseline-0", 1, "killed")
    writer.record_results("baseline-0", 1, [result()])
    (attempt,) = writer.end_attempt("baseline-0", 1, "killed")
    assert attempt.outcome == tables.RECORDED


def test_results_are_recorded_once(ledger: Ledger, writer: Writer) -> None:
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")
    assert writer.record_results("baseline-0", 1, [result()])
    # As after a commit that nobody heard of.
    assert writer.record_results("baseline-0", 1, [result(metrics={"loss": 9.0})])
    found = ledger.trials("s")[0].result
    assert found is not None
    assert found.metrics == {"loss": 0.5}


def do_between_the_halves(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen once after our half is read, and before Optuna's is."""
    acts = [act]

    def read(*args: Any) -> dict[str, Asked]:
        while acts:
            acts.pop()()
        return asked(*args)

    for module in (halves, inspection):
        monkeypatch.setattr(module, "asked", read)


def test_a_result_that_comes_while_the_trials_are_read_is_read_the_next_time(
    ledger: Ledger, writer: Writer, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moved to another cohort, tried there, recorded and told, all between the two halves."""
    for number in (0, 1):
        writer.add_trials("baseline", number, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")

    def end() -> None:
        writer.move_trial("baseline", 0, "baseline-0a")
        attempt = writer.begin_attempt("baseline-0a")
        writer.record_results("baseline-0a", attempt, [result()])
        writer.tell({"baseline/0": Told((0.5,))})

    with closing(Ledger(home.ledger_url, create=False)) as reader:
        do_between_the_halves(monkeypatch, end)
        before, after = reader.trials("s"), reader.trials("s")
    assert [(trial.state, trial.attempts) for trial in before] == [("running", 1), ("running", 1)]
    assert [(trial.state, trial.attempts) for trial in after] == [("complete", 1), ("running", 1)]
    assert after[0].result == result()


def test_a_result_that_comes_while_the_halves_are_compared_is_no_discrepancy(
    ledger: Ledger, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")

    def end() -> None:
        writer.record_results("baseline-0", 1, [result()])
        writer.tell({"baseline/0": Told((0.5,))})

    do_between_the_halves(monkeypatch, end)
    assert discrepancies(ledger, "s").ended_without_result == ()
    assert ledger.trials("s")[0].state == "complete"


@pytest.mark.parametrize("is_at_its_end", [False, True])
def test_a_deletion_while_the_trials_are_read_is_no_damage(
    ledger: Ledger, writer: Writer, monkeypatch: pytest.MonkeyPatch, is_at_its_end: bool
) -> None:
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")
    writer.record_results("baseline-0", 1, [result()])

    def delete() -> None:
        writer.begin_deletion()
        if is_at_its_end:
            writer.erase()
        else:
            writer._studies.delete()

    do_between_the_halves(monkeypatch, delete)
    assert [trial.result for trial in ledger.trials("s")] == [result()]
    assert ledger.trials("s") == []


def test_telling_twice_changes_nothing(ledger: Ledger, writer: Writer) -> None:
    writer.add_trials("search", 0, [POINT], "search-0")
    for _ in range(2):
        writer.tell({"search/0": Told((0.7,), {"loss_ratio": -0.1})})
    with pytest.raises(LedgerError, match="what Optuna was told of search/0 changed"):
        writer.tell({"search/0": Told((0.9,), {"loss_ratio": 5.0})})
    (trial,) = ledger.storage.get_all_trials(ledger.storage.get_study_id_from_name("s"))
    assert trial.value == 0.7
    assert trial.constraints == {"loss_ratio": -0.1}


def test_every_value_and_every_constraint_is_told(ledger: Ledger, writer: Writer) -> None:
    """Killed between two constraints: the other follows, then the values."""
    writer._studies.delete()
    writer.create_studies(["maximize", "minimize"])
    writer.add_trials("search", 0, [POINT], "search-0")
    told = Told((0.7, 64.0), {"loss_ratio": -0.1, "num_neurons": 0.25})
    study_id = ledger.storage.get_study_id_from_name("s")
    (trial,) = ledger.storage.get_all_trials(study_id)
    ledger.storage.set_trial_system_attr(trial._trial_id, "constraints:loss_ratio", -0.1)
    for _ in range(2):
        writer.tell({"search/0": told})
    (trial,) = ledger.storage.get_all_trials(study_id)
    assert (trial.values, trial.constraints) == ([0.7, 64.0], told.constraints)
    with pytest.raises(LedgerError, match="what Optuna was told of search/0 changed"):
        writer.tell({"search/0": Told((0.7, 64.0), {"loss_ratio": -0.1})})


def test_studies_are_made_once_and_keep_their_directions(ledger: Ledger, writer: Writer) -> None:
    writer.create_studies(["maximize"])
    assert len(ledger.storage.get_all_studies()) == 3
    with pytest.raises(LedgerError, match="the directions of the study s changed"):
        writer.create_studies(["minimize"])


def test_telling_can_be_replayed_from_half_way(ledger: Ledger, writer: Writer) -> None:
    """Killed after the constraint and before the value: the constraint stays, the value follows."""
    writer.add_trials("search", 0, [POINT], "search-0")
    study_id = ledger.storage.get_study_id_from_name("s")
    (trial,) = ledger.storage.get_all_trials(study_id)
    ledger.storage.set_trial_system_attr(trial._trial_id, "constraints:loss_ratio", -0.1)
    writer.tell({"search/0": Told((0.7,), {"loss_ratio": -0.1})})
    (trial,) = ledger.storage.get_all_trials(study_id)
    assert (trial.value, trial.constraints) == (0.7, {"loss_ratio": -0.1})


def test_a_finished_sweep_can_be_extended(ledger: Ledger, writer: Writer) -> None:
    writer.finish({"sentence": "x"})
    assert ledger.sweep("s").state == "finished"
    writer.extend(9)
    record = ledger.sweep("s")
    assert (record.num_trials, record.verdict, record.finished_at) == (9, None, None)


CLOSED = {"budget": "patience", "limit": 2, "num_asked": 3, "num_trials": 5}


def test_a_search_is_closed_once_and_an_extension_lifts_what_closed_it(
    ledger: Ledger, writer: Writer
) -> None:
    writer.close_search(3, CLOSED)
    writer.close_search(4, {**CLOSED, "num_asked": 4})
    record = ledger.sweep("s")
    assert (record.num_trials, record.closed, record.lifted) == (3, CLOSED, ())
    writer.extend(9)
    record = ledger.sweep("s")
    assert (record.num_trials, record.closed, record.lifted) == (9, None, ("patience",))
    writer.close_search(7, {**CLOSED, "budget": "max_hours"})
    writer.extend(11)
    writer.extend(12)
    assert ledger.sweep("s").lifted == ("patience", "max_hours")


def test_a_search_is_closed_only_by_who_holds_the_lease(ledger: Ledger, writer: Writer) -> None:
    release(ledger.engine, writer._lease)
    with pytest.raises(LeaseLostError):
        writer.close_search(3, CLOSED)
    assert ledger.sweep("s").closed is None


def test_a_ledger_of_the_first_version_is_brought_up_to_date_by_who_writes(
    ledger: Ledger, home: Home
) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE monosweep_attempts DROP COLUMN first_step")
        connection.exec_driver_sql("ALTER TABLE monosweep_attempts DROP COLUMN worker")
        connection.exec_driver_sql("ALTER TABLE monosweep_sweeps DROP COLUMN deleting_at")
        connection.exec_driver_sql("ALTER TABLE monosweep_sweeps DROP COLUMN budgets")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN standings")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN weights")
        for table in ("monosweep_sweeps", "monosweep_results"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute(update(tables.version).values(version=1))
    with pytest.raises(LedgerError, match="found 1, an older one"):
        Ledger(home.ledger_url, create=False)
    for _ in range(2):
        again = Ledger(home.ledger_url)
        assert again.attempts("tiny", "search-0") == []
        assert again.sweep("s").settings == {"a": 1}


def test_a_queue_of_the_version_before_has_counted_no_refusals(ledger: Ledger, home: Home) -> None:
    queue.want(ledger.engine, "s", owner="ada")
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE monosweep_queue DROP COLUMN num_refusals")
        connection.execute(update(tables.version).values(version=9))
    with closing(Ledger(home.ledger_url)) as again:
        (found,) = queue.entries(again.engine)
        assert (found.sweep, found.num_refusals) == ("s", 0)


def test_rows_from_before_there_were_budgets_and_standings_keep_their_checksums(
    ledger: Ledger, home: Home
) -> None:
    """Not made anew, which would hide what was changed in place before."""
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE monosweep_sweeps DROP COLUMN budgets")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN standings")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN weights")
        connection.exec_driver_sql("ALTER TABLE monosweep_attempts DROP COLUMN worker")
        connection.execute(update(tables.version).values(version=4))
        before = connection.exec_driver_sql("SELECT checksum FROM monosweep_sweeps").all()
    with closing(Ledger(home.ledger_url)) as again:
        assert (again.sweep("s").closed, again.sweep("s").lifted) == (None, ())
        with again.engine.begin() as connection:
            assert connection.exec_driver_sql("SELECT checksum FROM monosweep_sweeps").all() == (
                before
            )
            connection.exec_driver_sql("UPDATE monosweep_sweeps SET budgets = '{}'")
        with pytest.raises(LedgerError, match="found the row of s changed"):
            again.sweep("s")


def test_a_ledger_of_another_version_is_refused(ledger: Ledger, home: Home) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(update(tables.version).values(version=99))
    with pytest.raises(LedgerError, match="must have table version 10, found 99"):
        Ledger(home.ledger_url)


def test_a_damaged_sqlite_ledger_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is no database, and long enough to be read as one" * 100)
    with pytest.raises(LedgerError, match=r"file is not a database.*Put back a copy of"):
        Ledger(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"this is no database")


def test_an_impossible_url_is_refused() -> None:
    with pytest.raises(UserError, match="Mend MONOSWEEP_LEDGER_URL"):
        Ledger("nonsense")


def test_reading_makes_no_ledger(home: Home) -> None:
    with pytest.raises(UserError, match="must be a ledger to read, found none"):
        Ledger(home.ledger_url, create=False)
    with closing(create_engine(home.ledger_url).connect()) as connection:
        assert inspect(connection).get_table_names() == []


def test_reading_makes_no_sqlite_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be a ledger to read, found none"):
        Ledger(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}", create=False)
    assert list(tmp_path.iterdir()) == []


def test_readers_do_not_wait_for_the_writer(ledger: Ledger, writer: Writer, home: Home) -> None:
    """A transaction that writes the very row which they read."""
    with tables.writing(ledger.engine) as connection:
        connection.execute(update(tables.sweeps).values(phase="search"))
        with closing(Ledger(home.ledger_url, create=False)) as other:
            assert other.sweep("s").phase == "baseline"
            assert other.trials("s") == []


def test_a_database_of_mlflow_is_refused_before_anything_is_made_in_it(
    ledger_url: str, tmp_path: Path
) -> None:
    SqlAlchemyStore(ledger_url, str(tmp_path)).engine.dispose()
    engine = create_engine(ledger_url)
    before = inspect(engine).get_table_names()
    with pytest.raises(UserError, match="a database of its own, found MLflow's tables in it"):
        Ledger(ledger_url)
    assert inspect(engine).get_table_names() == before
    engine.dispose()


def test_a_database_with_optunas_studies_takes_a_ledger(ledger_url: str) -> None:
    RDBStorage(ledger_url).engine.dispose()
    with closing(Ledger(ledger_url)) as ledger:
        assert ledger.names() == []


def test_what_a_broken_worker_said_can_be_kept(ledger: Ledger, writer: Writer) -> None:
    """Anything may stand in what a dying process wrote last."""
    writer.begin_attempt("search-0")
    writer.end_attempt("search-0", 1, "killed\x00\n\ud800é")
    (attempt,) = ledger.attempts("s", "search-0")
    assert attempt.outcome == "killed\n?é"


def test_no_password_is_kept_of_what_was_said(ledger: Ledger, writer: Writer) -> None:
    """What the ledger keeps MLflow shows to everybody."""
    writer.add_trials("baseline", 0, [POINT], "baseline-0")
    writer.begin_attempt("baseline-0")
    said = "no answer (s3://KEY:hunter2@bucket)"
    writer.record_results("baseline-0", 1, [result(state="failed", reason=said)])
    writer.fail(said)
    (trial,) = ledger.trials("s")
    assert trial.result is not None
    assert trial.result.reason == ledger.sweep("s").failure
    assert trial.result.reason == "no answer (s3://KEY:***@bucket)"


only_postgresql = pytest.mark.parametrize("new_ledger_url", ["postgresql"], indirect=True)


@only_postgresql
def test_a_server_that_was_restarted_is_noticed(
    ledger: Ledger, writer: Writer, postgres: Postgres
) -> None:
    writer.add_trials("search", 0, [POINT], "search-0")
    assert len(ledger.trials("s")) == 1
    postgres.stop()
    postgres.start()
    # Nobody heard of it; each of the connections to the old one is replaced.
    writer.add_trials("search", 1, [POINT], "search-0")
    writer.begin_attempt("search-0")
    assert len(ledger.trials("s")) == 2
    postgres.stop()
    with pytest.raises(LedgerAwayError, match="the ledger does not answer"):
        ledger.trials("s")
    postgres.start()
    assert len(ledger.trials("s")) == 2


@only_postgresql
def test_a_server_that_is_away_is_told_without_the_password(home: Home, postgres: Postgres) -> None:
    postgres.stop()
    try:
        with pytest.raises(LedgerAwayError, match=r"does not answer: .*connection") as refused:
            Ledger(home.ledger_url.replace("postgres@", "postgres:hunter2@"))
    finally:
        postgres.start()
    assert "hunter2" not in str(refused.value)


@only_postgresql
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("/database_", "/no_database_", r'database "no_database_\d+" does not exist.*createdb'),
        ("postgres@", "ada:hunter2@", r'role "ada" does not exist.*Mend the user'),
    ],
)
def test_what_postgresql_refuses_for_good_is_the_users_mistake(
    ledger_url: str, right: str, wrong: str, said: str
) -> None:
    assert right in ledger_url
    with pytest.raises(UserError, match=said) as refused:
        Ledger(ledger_url.replace(right, wrong))
    assert "hunter2" not in str(refused.value)
