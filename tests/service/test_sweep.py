import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from service import driver, sweep
from service.deletion import delete
from service.errors import InterruptedSweepError, LedgerAwayError, SweepExistsError, UserError
from service.home import Home
from service.ledger import Ledger, Writer, connections, held, release, tables
from service.machine import versions
from service.ownership import check_is_free, check_was_moved
from service.spec import Spec, parse_spec
from service.storage import Storage
from service.verdict import verdict

MakeSpec = Callable[..., Spec]

# Port 9 is "discard", which nobody serves: refused at once.
AWAY = "s3://k:s@bucket/x?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1"


def test_a_sweep_does_not_go_on_with_other_versions(home: Home, tiny_text: str) -> None:
    spec = parse_spec(tiny_text, origin="test")
    Ledger(home.ledger_url).create_sweep(
        spec.name,
        spec_text=spec.text,
        settings=spec.settings(),
        versions={**versions(), "torch": "0.1"},
        num_trials=4,
    )
    with pytest.raises(UserError, match=r"torch: 0\.1 -> .*\n.*--accept-changes"):
        sweep.resume(spec.name, home)
    assert not Ledger(home.ledger_url).sweep(spec.name).is_live


def test_a_sweep_does_not_go_on_where_its_checkpoints_are_not(home: Home, tiny_text: str) -> None:
    spec = parse_spec(tiny_text, origin="test")
    Ledger(home.ledger_url).create_sweep(
        spec.name,
        spec_text=spec.text,
        settings=spec.settings(),
        versions={**versions(), "storage": "s3://bucket/x"},
        num_trials=4,
    )
    with pytest.raises(UserError, match=r"storage: s3://bucket/x -> beside the ledger"):
        sweep.resume(spec.name, home)
    with pytest.raises(UserError, match=r"where they lie \(s3://bucket/x\), found another"):
        delete(Ledger(home.ledger_url), spec.name, home)
    assert Ledger(home.ledger_url).names() == [spec.name]


def test_a_file_that_an_earlier_version_recorded_is_the_same_file(
    home: Home, tiny_text: str
) -> None:
    """What the file did not know then is at its default now."""
    spec = parse_spec(tiny_text, origin="test")
    recorded = spec.settings()
    recorded["objective"] = {"maximize": "monosemantic_per_feature", "loss_margin": 0.5}
    Ledger(home.ledger_url).create_sweep(
        spec.name, spec_text=spec.text, settings=recorded, versions=versions(), num_trials=4
    )
    with pytest.raises(SweepExistsError, match="with the same file is there already"):
        sweep.run(spec, home)
    other = parse_spec(tiny_text.replace("loss_margin: 0.5", "minimize: loss"), origin="test")
    with pytest.raises(SweepExistsError, match=r"objective\.minimize: null -> loss"):
        sweep.run(other, home)


# Whose files they are.


@pytest.fixture
def theirs(home: Home, storage_uri: str) -> Home:
    """A home on a storage in which a sweep of another ledger is called ``tiny``, too."""
    Storage(storage_uri).write_bytes("results/tiny/search-0/curves-1.parquet", b"x")
    Storage(storage_uri).write_bytes("cohorts/tiny/search-1/000001-1.safetensors", b"x")
    return replace(home, storage=storage_uri)


def test_a_name_under_which_another_sweep_has_files_is_refused_and_stays_free(
    theirs: Home, make_spec: MakeSpec
) -> None:
    with pytest.raises(UserError, match=r"1 in results/tiny, 1 in cohorts/tiny.*--name NAME"):
        sweep.run(make_spec(), theirs)
    assert Ledger(theirs.ledger_url).names() == []
    storage = Storage(theirs.storage)
    assert len(storage.sizes("results") | storage.sizes("cohorts")) == 2
    # Names that begin alike are free, and so is one that was removed.
    check_is_free(storage, theirs, "tin")
    for folder in ("results", "cohorts"):
        storage.remove_folder(f"{folder}/tiny")
    check_is_free(storage, theirs, "tiny")


def test_a_driver_that_died_before_it_looked_leaves_that_to_the_next(
    tiny_writer: Writer, home: Home
) -> None:
    Storage(home.storage).write_bytes("results/tiny/search-0/curves-1.parquet", b"x")
    with pytest.raises(UserError, match="found some of another sweep"):
        driver.train(tiny_writer.ledger, tiny_writer, home, None, [])
    assert Storage(home.storage).sizes("results") != {}


def test_a_name_that_was_deleted_is_free(interrupted: Ledger, home: Home) -> None:
    with pytest.raises(UserError):
        check_is_free(Storage(home.storage), home, "tiny")
    delete(interrupted, "tiny", home)
    check_is_free(Storage(home.storage), home, "tiny")


def test_a_storage_that_a_sweep_moves_to_holds_all_of_its_tables_or_none(
    interrupted: Ledger, home: Home, tmp_path: Path
) -> None:
    trials = interrupted.trials("tiny")
    new = Storage(str(tmp_path / "new"))
    check_was_moved(new, home, "tiny", trials)
    paths = sorted(Storage(home.storage).sizes("results/tiny"))
    for path in paths[:-1]:
        new.write_bytes(path, b"x")
    with pytest.raises(UserError, match="found 1 of 2 among the 1 files in results/tiny"):
        check_was_moved(new, home, "tiny", trials)
    new.write_bytes(paths[-1], b"x")
    check_was_moved(new, home, "tiny", trials)
    # Before it had any, whatever is there is another's.
    with pytest.raises(UserError, match="found 0 of 0 among the 2 files"):
        check_was_moved(new, home, "tiny", [])


def test_changes_that_are_accepted_do_not_mix_two_sweeps(interrupted: Ledger, home: Home) -> None:
    with held(interrupted.engine, "tiny") as lease, closing(Writer(interrupted, lease)) as writer:
        writer.record_versions({"storage": home.storage_place})
    elsewhere = replace(home, storage=str(home.path / "shared"))
    path = "results/tiny/baseline-0/curves-9.parquet"
    Storage(elsewhere.storage).write_bytes(path, b"x")
    with pytest.raises(UserError, match="found 0 of 2 among the 1 files"):
        sweep.resume("tiny", elsewhere, accept_changes=True)
    assert set(Storage(elsewhere.storage).sizes("results")) == {path}
    assert interrupted.sweep("tiny").versions == {"storage": home.storage_place}


# What is away at the start.


def test_a_storage_that_is_away_at_the_start_interrupts_a_sweep_and_erases_nothing(
    home: Home, make_spec: MakeSpec
) -> None:
    away = replace(home, storage=AWAY)
    for begin in (lambda: sweep.run(make_spec(), away), lambda: sweep.resume("tiny", away)):
        with pytest.raises(InterruptedSweepError) as interruption:
            begin()
        assert "the storage does not answer" in str(interruption.value)
        assert str(interruption.value).endswith("When it answers: monosweep resume tiny")
        assert Ledger(home.ledger_url).sweep("tiny").state == "interrupted"


def test_a_storage_that_cannot_be_one_leaves_the_name_free(
    home: Home, make_spec: MakeSpec, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="must be writable"):
        sweep.run(make_spec(), replace(home, storage=str(tmp_path / "file" / "below")))
    assert Ledger(home.ledger_url).names() == []


def test_a_ledger_that_is_away_interrupts_who_resumes_and_nobody_else(
    home: Home, make_spec: MakeSpec
) -> None:
    away = replace(home, ledger_url="postgresql+psycopg://u:hunter2@127.0.0.1:9/x")
    with pytest.raises(InterruptedSweepError, match="When it answers: monosweep resume tiny"):
        sweep.resume("tiny", away)
    with pytest.raises(LedgerAwayError, match="the ledger does not answer"):
        sweep.run(make_spec(), away)


# A sweep at its end.


@pytest.fixture
def ended(interrupted: Ledger, home: Home, make_spec: MakeSpec) -> Ledger:
    """A sweep with a verdict, whose driver was killed before it could tidy."""
    with held(interrupted.engine, "tiny") as lease, closing(Writer(interrupted, lease)) as writer:
        writer.record_versions({"storage": home.storage_place})
        writer.finish(verdict(make_spec(), [], []))
    Storage(home.storage).write_bytes("cohorts/tiny/baseline-0/000001-1.safetensors", b"x")
    return interrupted


def left(home: Home) -> bool:
    return "baseline-0" in Storage(home.storage).names("cohorts/tiny")


def test_resuming_what_has_ended_tidies_and_tells_the_verdict(ended: Ledger, home: Home) -> None:
    assert sweep.resume("tiny", home)["winner"] is None
    assert not left(home)


@pytest.mark.parametrize("holder", [{}, {"host": "elsewhere", "boot_id": "x"}])
def test_who_resumes_what_has_ended_waits_for_nobody(
    ended: Ledger, home: Home, holder: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    with held(ended.engine, "tiny"), caplog.at_level(logging.WARNING):
        if holder:
            with ended.engine.begin() as connection:
                connection.execute(update(tables.leases).values(**holder))
        assert sweep.resume("tiny", home)["winner"] is None
    assert time.monotonic() - began < 10
    (said,) = caplog.messages
    assert "must have one driver only" in said
    assert said.endswith("are left to its next resume.")
    assert left(home)


def test_in_another_storage_what_has_ended_is_only_told(
    ended: Ledger, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = replace(home, storage=str(home.path / "shared"))
    path = "results/tiny/baseline-0/curves-9.parquet"
    Storage(elsewhere.storage).write_bytes(path, b"x")
    assert sweep.resume("tiny", elsewhere)["winner"] is None
    assert set(Storage(elsewhere.storage).sizes("results")) == {path}
    assert "where they lie (beside the ledger), found another storage" in caplog.messages[0]


def test_a_ledger_that_goes_away_after_the_verdict_was_read_takes_nothing_from_it(
    ended: Ledger, home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_S", 0.1)
    locker = sqlite3.connect(home.path / "ledger.db", isolation_level=None)

    @contextmanager
    def locked(*args: Any, **kwargs: Any) -> Any:
        locker.execute("BEGIN IMMEDIATE")
        with driver.driving(*args, **kwargs) as writer:
            yield writer

    monkeypatch.setattr(sweep, "driving", locked)
    with closing(locker):
        assert sweep.resume("tiny", home)["winner"] is None
    assert "the ledger does not answer: database is locked" in caplog.messages[0]


def test_a_budget_that_was_raised_meanwhile_is_not_shortened(
    tiny_writer: Writer, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Another driver's lease is waited for, and what it did is known only then."""
    with tiny_writer.ledger.engine.begin() as connection:
        connection.execute(
            update(tables.leases).values(
                host="elsewhere", boot_id="x", expires_at=tables.now(connection) + 4
            )
        )
    with ThreadPoolExecutor(1) as other, caplog.at_level(logging.WARNING):
        resumed = other.submit(sweep.resume, "tiny", home, num_trials=4)
        while "is waited for" not in caplog.text:
            time.sleep(0.05)
        tiny_writer.extend(100)
        with pytest.raises(UserError, match="at least the present budget of 100, found 4"):
            resumed.result()
    assert tiny_writer.ledger.sweep("tiny").num_trials == 100


def test_a_grid_cannot_be_extended_beyond_its_points(home: Home, tiny_text: str) -> None:
    text = tiny_text.replace(
        "search_space: bias_and_width", "search_space: {nonlinearity: {choice: [relu, gelu, solu]}}"
    ).replace("search: {num_trials: 4}", "search: {num_trials: 2, sampler: grid}")
    spec = parse_spec(text, origin="test")
    Ledger(home.ledger_url).create_sweep(
        spec.name,
        spec_text=spec.text,
        settings=spec.settings(),
        versions=versions(),
        num_trials=2,
    )
    with pytest.raises(UserError, match="--num-trials must be at most 3, the points of the grid"):
        sweep.resume(spec.name, home, num_trials=4)


def test_what_was_only_queued_goes_on_with_what_its_first_driver_had(
    home: Home, tiny_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a server records it, which trains nothing itself.
    ledger = tiny_writer.ledger
    release(ledger.engine, tiny_writer._lease)
    assert ledger.sweep("tiny").versions == {}
    monkeypatch.setattr(sweep, "train", lambda *_: {})
    sweep.resume("tiny", home)
    assert ledger.sweep("tiny").versions["torch"] == version("torch")
    assert ledger.sweep("tiny").versions["storage"] == home.storage_place
    monkeypatch.setattr(sweep, "versions", lambda: {"torch": "0.1"})
    with pytest.raises(UserError, match="found changed"):
        sweep.resume("tiny", home)
