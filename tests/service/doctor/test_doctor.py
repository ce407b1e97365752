"""Real damage to a real ledger, storage and MLflow: found, and mended where nothing is lost."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState
from sqlalchemy import delete, insert, update

from service.doctor import Report, examine, mend_all
from service.doctor.finding import Known
from service.doctor.ledger import damaged
from service.doctor.storage import examine_storage
from service.errors import LeaseHeldError, LedgerError
from service.home import Home
from service.ledger import Ledger, Writer, held, release, tables, take
from service.ledger.damage import damage
from service.ledger.studies import open_storage
from service.status import status
from service.storage import Storage
from service.trials import Trial
from trainers.checkpoint import CHECKPOINT

MakeTrial = Callable[..., Trial]
Harm = Callable[[Ledger, Home], None]


def wrong(report: Report) -> list[str]:
    return [
        f"{finding.part}: {finding.message}" for finding in report.findings if not finding.is_well
    ]


def execute(ledger: Ledger, statement: object) -> None:
    with tables.writing(ledger.engine) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def client_of(home: Home) -> tuple[MlflowClient, str]:
    client = MlflowClient(home.tracking_uri)
    return client, client.get_experiment_by_name("monosweep/tiny").experiment_id


def test_a_home_in_good_order_is_well_and_stays_as_it_is(interrupted: Ledger, home: Home) -> None:
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    report = examine(home)
    assert wrong(report) == []
    assert {finding.part for finding in report.findings} == {
        "ledger",
        "storage",
        "checkpoints",
        "tracking",
    }
    after = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    assert {p: b for p, b in after.items() if not p.name.endswith("-shm")} == {
        p: b for p, b in before.items() if not p.name.endswith("-shm")
    }


def test_room_is_what_the_files_take(interrupted: Ledger, home: Home) -> None:
    room = examine(home).room
    assert room is not None

    def size(*folders: str) -> int:
        below = [path for folder in folders for path in (home.path / folder).rglob("*")]
        return sum(path.stat().st_size for path in below if path.is_file())

    for part in ("results", "cohorts", "artifacts", "tune"):
        assert room.by_part[part] == size(part) > 0
    assert room.by_part["mlflow.db"] >= (home.path / "mlflow.db").stat().st_size
    assert room.by_part["ledger"] >= (home.path / "ledger.db").stat().st_size
    assert room.by_sweep == {"tiny": size("results", "cohorts", "artifacts", "tune")}


# What can be mended.


def a_driver_died(ledger: Ledger, home: Home) -> None:
    lease = take(ledger.engine, "tiny")
    with closing(Writer(ledger, lease)) as writer:
        writer.begin_attempt("search-0")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    execute(ledger, update(tables.leases).values(pid=dead.pid))


def half_deleted(ledger: Ledger, home: Home) -> None:
    with held(ledger.engine, "tiny") as lease, closing(Writer(ledger, lease)) as writer:
        writer.begin_deletion()
    Storage(home.storage).remove_folder("results/tiny")


def untold(ledger: Ledger, home: Home) -> None:
    (trial,) = ledger.trials("tiny", "search")
    ended = ledger.trials("tiny", "baseline")[0].result
    assert ended is not None
    metrics = {"loss": 1.0, "monosemantic_per_feature": 0.5}
    result = replace(
        ended, trial_id="search/0", metrics=metrics, replicates=(metrics,), loss_ratio=1.0
    )
    with held(ledger.engine, "tiny") as lease, closing(Writer(ledger, lease)) as writer:
        attempt = writer.begin_attempt(trial.cohort_id)
        writer.record_results(trial.cohort_id, attempt, [replace(result, attempt=attempt)])


def results_of_a_dead_attempt(ledger: Ledger, home: Home) -> None:
    Storage(home.storage).write_bytes("results/tiny/search-0/curves-1.parquet", b"x" * 99)


def a_file_cut_short(ledger: Ledger, home: Home) -> None:
    folder = home.path / "cohorts" / "tiny" / "search-0"
    (folder / "000001-000000000000002.safetensors.partial-abc").write_bytes(b"x" * 99)


def a_checkpoint_of_an_ended_cohort(ledger: Ledger, home: Home) -> None:
    Storage(home.storage).write_bytes("cohorts/tiny/baseline-0/000001-1.safetensors", b"x")


def checkpoint(home: Home) -> Path:
    (path,) = (home.path / "cohorts" / "tiny" / "search-0").iterdir()
    return path


def a_truncated_checkpoint(ledger: Ledger, home: Home) -> None:
    checkpoint(home).write_bytes(checkpoint(home).read_bytes()[:-100])


def a_flipped_bit_in_a_checkpoint(ledger: Ledger, home: Home) -> None:
    content = bytearray(checkpoint(home).read_bytes())
    content[-50] ^= 1
    checkpoint(home).write_bytes(content)


def a_foreign_checkpoint(ledger: Ledger, home: Home) -> None:
    checkpoint(home).write_bytes(b"something else altogether, and long enough")


def a_deleted_experiment(ledger: Ledger, home: Home) -> None:
    client, experiment_id = client_of(home)
    client.delete_experiment(experiment_id)


def deleted_runs(ledger: Ledger, home: Home) -> None:
    client, experiment_id = client_of(home)
    for run in client.search_runs([experiment_id])[:2]:
        client.delete_run(run.info.run_id)


def a_doubled_run(ledger: Ledger, home: Home) -> None:
    client, experiment_id = client_of(home)
    double = client.create_run(experiment_id, start_time=1, tags={"monosweep.trial": "baseline/0"})
    client.set_terminated(double.info.run_id)


def runs_left_running(ledger: Ledger, home: Home) -> None:
    client, experiment_id = client_of(home)
    for run in client.search_runs([experiment_id]):
        client.update_run(run.info.run_id, "RUNNING")


def no_mlflow_database(ledger: Ledger, home: Home) -> None:
    (home.path / "mlflow.db").unlink()


def an_older_ledger(ledger: Ledger, home: Home) -> None:
    with ledger.engine.begin() as connection:
        for column in ("deleting_at", "budgets"):
            connection.exec_driver_sql(f"ALTER TABLE monosweep_sweeps DROP COLUMN {column}")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN standings")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN weights")
        connection.exec_driver_sql("ALTER TABLE monosweep_attempts DROP COLUMN worker")
        for table in ("monosweep_sweeps", "monosweep_results"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute(update(tables.version).values(version=2))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (half_deleted, "ledger: The sweep tiny is being deleted, and nobody is at it."),
        (untold, "ledger: 1 results of tiny were not told: search/0"),
        (results_of_a_dead_attempt, "storage: 1 files of tiny are of no use any more"),
        (a_file_cut_short, "storage: 1 files of tiny are of no use any more"),
        (a_checkpoint_of_an_ended_cohort, "storage: 1 files of tiny are of no use any more"),
        (a_truncated_checkpoint, "checkpoints: cohorts/tiny/search-0/"),
        (a_flipped_bit_in_a_checkpoint, "its checksum is another"),
        (a_foreign_checkpoint, "found no safetensors"),
        (a_deleted_experiment, "tracking: 3 runs of tiny are missing or not at their end"),
        (deleted_runs, "tracking: 2 runs of tiny are missing or not at their end"),
        (a_doubled_run, "tracking: 1 runs of tiny are doubled."),
        (runs_left_running, "tracking: 3 runs of tiny are missing or not at their end"),
        (no_mlflow_database, "tracking: 3 runs of tiny are missing or not at their end"),
        (an_older_ledger, "ledger: the ledger must have table version 10, found 2, an older one."),
    ],
)
def test_what_can_be_mended_is_found_and_mended(
    interrupted: Ledger, home: Home, harm: Harm, said: str
) -> None:
    harm(interrupted, home)
    found = examine(home)
    assert [said in each for each in wrong(found)].count(True) == 1
    # To look changes nothing.
    assert wrong(examine(home)) == wrong(found)
    report = mend_all(home)
    assert (wrong(report), report.refused) == ([], ())
    assert [said in f"{each.part}: {each.message}" for each in report.mended].count(True) == 1
    if harm is half_deleted:
        assert interrupted.names() == []
        return
    trials = interrupted.trials("tiny")
    assert [trial.result is not None for trial in trials][:2] == [True, True]
    assert Storage(home.storage).sizes("results").keys() == {
        f"results/tiny/baseline-{number}/curves-1.parquet" for number in (0, 1)
    }
    client, experiment_id = client_of(home)
    runs = client.search_runs([experiment_id])
    shown = sorted(run.data.tags.get("monosweep.trial", "summary") for run in runs)
    ended = sorted(trial.trial_id for trial in trials if trial.result is not None)
    assert shown == [*ended, "summary"]
    assert "RUNNING" not in {run.info.status for run in runs}


def test_a_driver_that_died_left_nothing_to_mend(interrupted: Ledger, home: Home) -> None:
    a_driver_died(interrupted, home)
    report = examine(home)
    (note,) = (each for each in report.findings if "The driver of tiny died" in each.message)
    assert "attempts without an end: 1" in note.message
    assert note.remedy.endswith("monosweep resume tiny")
    assert report.is_well
    # What it left is looked at all the same.
    results_of_a_dead_attempt(interrupted, home)
    assert len(wrong(examine(home))) == 1


def test_files_that_lie_elsewhere_are_not_looked_for_here(
    interrupted: Ledger, home: Home, tmp_path: Path
) -> None:
    """In the other storage a sweep of another ledger has the same name."""
    elsewhere = replace(home, storage=str(tmp_path / "shared"))
    storage = Storage(elsewhere.storage)
    theirs = {"results/tiny/baseline-0/curves-7.parquet", "cohorts/tiny/search-0/theirs"}
    for path in theirs:
        storage.write_bytes(path, b"x")
    with held(interrupted.engine, "tiny") as lease, closing(Writer(interrupted, lease)) as writer:
        writer.record_versions({"storage": home.storage_place})
    report = mend_all(elsewhere)
    assert (wrong(report), report.mended) == ([], ())
    assert any("The files of tiny lie in another storage" in f.message for f in report.findings)
    assert {*storage.sizes("results"), *storage.sizes("cohorts")} == theirs
    # Runs are made from curves, which are not there either.
    deleted_runs(interrupted, home)
    (refused,) = mend_all(elsewhere).refused
    assert "where they lie (beside the ledger), found another storage" in refused
    assert mend_all(home).is_well


def test_files_that_a_sweep_cannot_have_written_are_left(interrupted: Ledger, home: Home) -> None:
    """A sweep of another ledger has the name of one that was only recorded here."""
    tiny = interrupted.sweep("tiny")
    settings = {**tiny.settings, "name": "new"}
    interrupted.create_sweep(
        "new", spec_text=tiny.spec_text, settings=settings, versions={}, num_trials=4
    )
    path = "results/new/baseline-0/curves-1.parquet"
    Storage(home.storage).write_bytes(path, b"x")
    assert mend_all(home).is_well
    assert path in Storage(home.storage).sizes("results")


def test_a_storage_that_is_away_is_said(interrupted: Ledger, home: Home) -> None:
    uri = "s3://k:s@bucket/x?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1"
    (said,) = wrong(examine(replace(home, storage=uri)))
    assert said.startswith("storage: the storage does not answer")


def test_what_was_told_late_is_told_right(interrupted: Ledger, home: Home) -> None:
    untold(interrupted, home)
    mend_all(home)
    (trial,) = interrupted.storage.get_all_trials(
        interrupted.storage.get_study_id_from_name("tiny")
    )
    # The ceiling is 1.5 times the baseline's loss.
    assert (trial.state, trial.value, trial.constraints) == (
        TrialState.COMPLETE,
        0.5,
        {"loss_ratio": -0.5},
    )


def test_of_doubled_runs_the_one_that_the_ledger_names_stays(
    interrupted: Ledger, home: Home
) -> None:
    a_doubled_run(interrupted, home)
    mend_all(home)
    client, experiment_id = client_of(home)
    (kept,) = client.search_runs([experiment_id], "tags.`monosweep.trial` = 'baseline/0'")
    assert kept.info.run_id == interrupted.trials("tiny")[0].mlflow_run_id


# What cannot.


def a_missing_table(ledger: Ledger, home: Home) -> None:
    (home.path / "results/tiny/baseline-0/curves-1.parquet").unlink()


def a_truncated_table(ledger: Ledger, home: Home) -> None:
    path = home.path / "results/tiny/baseline-0/curves-1.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def an_unknown_sweeps_files(ledger: Ledger, home: Home) -> None:
    Storage(home.storage).write_bytes("results/strange/x", b"x")


def lost_trials(ledger: Ledger, home: Home) -> None:
    ledger.storage.delete_study(ledger.storage.get_study_id_from_name("tiny/baseline"))


def a_lost_attempt(ledger: Ledger, home: Home) -> None:
    execute(ledger, delete(tables.attempts).where(tables.attempts.c.cohort_id == "baseline-0"))


def a_lost_result(ledger: Ledger, home: Home) -> None:
    execute(ledger, delete(tables.results).where(tables.results.c.trial_id == "baseline/1"))


def a_stray_row(ledger: Ledger, home: Home) -> None:
    with sqlite3.connect(home.path / "ledger.db") as database:
        database.execute("INSERT INTO monosweep_attempts VALUES ('gone', 'c', 1, 0, 1, '', 0, '')")


def a_strange_study(ledger: Ledger, home: Home) -> None:
    ledger.storage.create_new_study([], "theirs")


def rows_that_are_no_json(ledger: Ledger, home: Home) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE monosweep_results SET metrics = '{\"loss'")


def settings_that_are_no_sweeps(ledger: Ledger, home: Home) -> None:
    execute(ledger, update(tables.sweeps).values(settings={"name": 3}))


def a_damaged_mlflow_database(ledger: Ledger, home: Home) -> None:
    damage_pages(home.path / "mlflow.db")


def damage_pages(path: Path) -> None:
    """Overwrite the second half of every page but the first, where rows lie."""
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start + 2048 : start + 4096] = b"\xa5" * 2048
        content[start : start + 8] = b"\x07" * 8
    path.write_bytes(content)


UNMENDABLE = [
    (a_missing_table, "storage: 1 files of tiny are missing: results/tiny/baseline-0/"),
    (a_truncated_table, "storage: 1 files of tiny are damaged: results/tiny/baseline-0/"),
    (an_unknown_sweeps_files, "storage: 1 folders are of sweeps that the ledger does not know"),
    (lost_trials, "ledger: 2 results of tiny have no trial: baseline/0, baseline/1"),
    (a_lost_attempt, "ledger: 1 results of tiny are of an attempt that was never recorded"),
    (a_lost_result, "ledger: 1 trials of tiny ended without result: baseline/1"),
    (a_stray_row, "belongs to none of monosweep_sweeps"),
    (a_strange_study, "ledger: Optuna's study 'theirs' belongs to no sweep."),
    (rows_that_are_no_json, "ledger: The rows of tiny cannot be read"),
    (settings_that_are_no_sweeps, "ledger: The rows of tiny cannot be read"),
    (a_damaged_mlflow_database, "mlflow.db is damaged"),
]


@pytest.mark.parametrize(("harm", "said"), UNMENDABLE)
def test_what_cannot_be_mended_is_found_and_left_as_it_is(
    interrupted: Ledger, home: Home, harm: Harm, said: str
) -> None:
    harm(interrupted, home)
    found = [finding for finding in examine(home).findings if not finding.is_well]
    assert [said in f"{each.part}: {each.message}" for each in found].count(True) == 1
    assert all(each.remedy for each in found if said in f"{each.part}: {each.message}")
    files = {path for path in home.path.rglob("*") if path.name.endswith(".parquet")}
    report = mend_all(home)
    assert [said in each for each in wrong(report)].count(True) == 1
    assert not [each for each in report.mended if said in each.message]
    assert {p for p in home.path.rglob("*") if p.name.endswith(".parquet")} == files
    if harm is an_unknown_sweeps_files:
        assert (home.path / "results/strange/x").exists()


def test_a_storage_that_ledgers_share_may_hold_other_sweeps(
    interrupted: Ledger, home: Home, tmp_path: Path
) -> None:
    (home.path / "results").rename(tmp_path / "results")
    (home.path / "cohorts").rename(tmp_path / "cohorts")
    shared = replace(home, storage=str(tmp_path))
    an_unknown_sweeps_files(interrupted, shared)
    report = examine(shared)
    assert report.is_well
    assert any("strange" in finding.message for finding in report.findings)


def test_a_storages_keys_are_not_shown(interrupted: Ledger, home: Home) -> None:
    an_unknown_sweeps_files(interrupted, home)
    with_keys = replace(home, storage="s3://KEY:hunter2@bucket")
    findings = examine_storage(Known(with_keys, interrupted, [], {}), Storage(home.storage))
    (said,) = (finding.message for finding in findings if "strange" in finding.message)
    assert "below s3://KEY:***@bucket" in said


@pytest.fixture
def copied(interrupted: Ledger, home: Home, tmp_path: Path) -> Home:
    """A copy of the home, whose ledger nobody has open."""
    path = tmp_path / "copy"
    shutil.copytree(home.path, path)
    with closing(sqlite3.connect(path / "ledger.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return replace(home, path=path, ledger_url=f"sqlite:///{path / 'ledger.db'}", storage=str(path))


def test_a_ledger_with_damaged_pages_is_named_by_who_meets_them(copied: Home) -> None:
    damage_pages(copied.path / "ledger.db")
    (said,) = wrong(examine(copied))
    assert "damage" in said or "malformed" in said
    assert "ledger.db" in said
    with pytest.raises(LedgerError, match=r"damaged|malformed"):
        status(Ledger(copied.ledger_url, create=False), "tiny")


def test_a_table_with_a_damaged_page_is_named_by_who_meets_it(copied: Home) -> None:
    """The ledger opens; only who reads the results meets the damage."""
    path = copied.path / "ledger.db"
    with closing(sqlite3.connect(path)) as database:
        ((page,),) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'monosweep_results'"
        )
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"found it damaged: .*Put back a copy of"):
        status(Ledger(copied.ledger_url, create=False), "tiny")
    (said,) = wrong(mend_all(copied))
    assert "ledger.db is damaged" in said


def damage_schema(path: Path, old: bytes, new: bytes) -> None:
    """Change what SQLite keeps of how a table or an index was made, at its first place."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # SQLite then says what is wrong in words that are no text themselves.
        (b"ix_studies_study_name", b"ix_studies_study_nam\xdf"),
        (b"CREATE UNIQUE INDEX ix_studies_study_name", b"CREATE \xdfNIQUE INDEX ix_studies_"),
        (b"CREATE TABLE monosweep_results", b"CREATE TABLE monosweep_result\xdf"),
    ],
)
def test_a_schema_that_is_no_text_is_named_by_who_meets_it(
    copied: Home, old: bytes, new: bytes
) -> None:
    path = copied.path / "ledger.db"
    with closing(Ledger(copied.ledger_url, create=False)) as before:
        record = before.sweep("tiny")
        damage_schema(path, old, new.ljust(len(old), b"\xdf"))
        content = path.read_bytes()
        # One that has it open already, in connections of before and of after.
        before.engine.dispose()
        for look in (before.names, partial(before.trials, "tiny")):
            with pytest.raises(LedgerError, match=r"found it damaged: malformed .*Put back a copy"):
                look()
    for create in (False, True):
        with pytest.raises(LedgerError, match=r"found it damaged: malformed .*Put back a copy of"):
            Ledger(copied.ledger_url, create=create)
    with pytest.raises(LedgerError, match=r"found it damaged: malformed .*Put back a copy of"):
        open_storage(copied.ledger_url)
    (problem,) = damage(path)
    assert problem.startswith("malformed database schema")
    assert "malformed database schema" in damaged(copied).message
    (said,) = wrong(mend_all(copied))
    assert "malformed database schema" in said
    assert record.name == "tiny"
    assert path.read_bytes() == content


def test_a_schema_that_is_damaged_while_it_is_open_is_named(copied: Home) -> None:
    """SQLite reads it again once somebody has changed it."""
    path = copied.path / "ledger.db"
    with closing(Ledger(copied.ledger_url, create=False)) as ledger:
        ledger.trials("tiny")
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA writable_schema = ON")
            database.execute(
                "UPDATE sqlite_master SET name = CAST(x'69dfdf' AS TEXT) "
                "WHERE name = 'ix_studies_study_name'"
            )
            (version,) = database.execute("PRAGMA schema_version").fetchone()
            database.execute(f"PRAGMA schema_version = {version + 1}")
        for look in (ledger.names, partial(ledger.trials, "tiny")):
            with pytest.raises(LedgerError, match=r"found it damaged: malformed"):
                look()


def test_a_value_that_is_no_json_is_named_by_who_meets_it(copied: Home) -> None:
    ledger = Ledger(copied.ledger_url, create=False)
    rows_that_are_no_json(ledger, copied)
    with pytest.raises(LedgerError, match="must hold JSON where it was written"):
        status(ledger, "tiny")


def test_damage_that_only_a_thorough_look_finds_is_found(copied: Home) -> None:
    """An index that lacks a row: every query works, and some forget it."""
    with closing(sqlite3.connect(copied.path / "ledger.db")) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = "
            "'ix_studies_study_name') WHERE name = 'sqlite_autoindex_monosweep_results_1'"
        )
        database.commit()
    (said,) = wrong(mend_all(copied))
    assert "ledger.db is damaged" in said


@pytest.mark.parametrize("content", [b"no database" * 500, b""])
def test_a_ledger_that_is_none_is_refused_and_kept(copied: Home, content: bytes) -> None:
    (copied.path / "ledger.db").write_bytes(content)
    (said,) = wrong(mend_all(copied))
    assert ("file is not a database" in said) == bool(content)
    assert ("the ledger is missing" in said) == (not content)
    assert (copied.path / "ledger.db").read_bytes() == content


def test_a_lost_ledger_is_said(copied: Home) -> None:
    (copied.path / "ledger.db").unlink()
    (said,) = wrong(mend_all(copied))
    assert "the ledger is missing, but the home holds what sweeps left" in said
    assert not (copied.path / "ledger.db").exists()


def test_a_newer_checkpoint_is_not_removed(
    interrupted: Ledger, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = replace(CHECKPOINT, format_version=1)
    monkeypatch.setattr("trainers.checkpoint.CHECKPOINT", older)
    (said,) = wrong(mend_all(home))
    assert "Install a later monosweep" in said
    assert checkpoint(home).exists()


def test_a_live_sweep_is_only_looked_at(interrupted: Ledger, home: Home) -> None:
    for harm in (results_of_a_dead_attempt, a_truncated_checkpoint, runs_left_running):
        harm(interrupted, home)
    lease = take(interrupted.engine, "tiny")
    report = mend_all(home)
    assert (wrong(report), report.mended) == ([], ())
    assert any("A driver is at work on tiny" in each.message for each in report.findings)
    release(interrupted.engine, lease)
    assert len(wrong(examine(home))) == 3


def test_a_driver_that_comes_meanwhile_is_not_disturbed(interrupted: Ledger, home: Home) -> None:
    results_of_a_dead_attempt(interrupted, home)
    (finding,) = (each for each in examine(home).findings if each.mend is not None)
    lease = take(interrupted.engine, "tiny")
    assert finding.mend is not None
    with pytest.raises(LeaseHeldError):
        finding.mend()
    assert (home.path / "results/tiny/search-0/curves-1.parquet").exists()
    release(interrupted.engine, lease)


def test_a_dead_mlflow_is_said_and_the_rest_is_mended(interrupted: Ledger, home: Home) -> None:
    results_of_a_dead_attempt(interrupted, home)
    report = mend_all(replace(home, tracking_uri="http://127.0.0.1:9"))
    (said,) = wrong(report)
    assert said.startswith("tracking: MLflow must answer")
    assert len(report.mended) == 1


def test_a_storage_that_refuses_is_said(interrupted: Ledger, home: Home) -> None:
    (home.path / "file").write_text("")
    report = examine(replace(home, storage=str(home.path / "file" / "below")))
    (said,) = wrong(report)
    assert said.startswith("storage: the storage must be writable")
    assert report.room is None


def test_a_sweep_that_has_just_begun_needs_nothing(home: Home) -> None:
    with closing(Ledger(home.ledger_url)) as ledger:
        assert examine(home).is_well
        execute(ledger, insert(tables.sweeps).values(**_bare("new")))
        (said,) = wrong(examine(home))
        assert "The rows of new cannot be read" in said


def _bare(name: str) -> dict[str, object]:
    return {
        "name": name,
        "created_at": 0.0,
        "spec_text": "",
        "settings": {},
        "versions": {},
        "num_trials": 1,
        "phase": "baseline",
    }
