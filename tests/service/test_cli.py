"""The command line as a user meets it: exit codes, and what goes to which stream."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from entry_point import Said, called

from service.home import Home
from service.ledger import Ledger, Writer, release, take
from service.spec import Spec, parse_spec
from service.storage import Storage, as_parquet
from service.trials import Trial
from service.verdict import verdict

MakeTrial = Callable[..., Trial]
Record = Callable[..., None]

ELSEWHERE = ("MONOSWEEP_", "MLFLOW_", "RAY_")
IN_SPACE = {"initial_bias": -0.5, "bias_decay": 1.0}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Home) -> None:
    """A user who has set their home and nothing else, in a folder of their own."""
    for name in os.environ:
        if name.startswith(ELSEWHERE):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MONOSWEEP_HOME", str(home.path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def monosweep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """``monosweep("status", "tiny")``: the command's own entry point, in this process.

    Any exception but the exit is a traceback to a user, and fails the test.
    """

    def become(_path: str, command: list[str], environment: dict[str, str]) -> None:
        uri = environment["MLFLOW_BACKEND_STORE_URI"]
        raise AssertionError(f"would have become {command} with {uri}")

    monkeypatch.setattr(os, "execve", become)

    return lambda *words: called(*words, environment=dict(os.environ))


Call = Callable[..., Said]


def refused(said: Said, *words: str) -> None:
    """The user's mistake: exit code 2, a message, and nothing where results go."""
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.message


def files(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


COMMANDS = (
    "run",
    "resume",
    "submit",
    "stop",
    "logs",
    "watch",
    "status",
    "best",
    "importance",
    "export",
    "report",
    "validate",
    "schema",
    "paper",
    "ui",
    "delete",
    "doctor",
)


def test_a_process_of_its_own_lists_the_commands_and_quickly(tmp_path: Path) -> None:
    """Help needs none of the big libraries."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "service.cli", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "ray", "mlflow", "optuna", "scipy", "pyarrow", "sqlalchemy"}
    assert not imported & {"matplotlib", "jinja2"}
    assert list(tmp_path.iterdir()) == []


def test_validating_imports_no_cluster_and_no_torch(tmp_path: Path) -> None:
    """So that it stays below two seconds."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "service.cli", "validate", "quickstart"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "ray", "mlflow", "scipy"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(monosweep: Call, command: str) -> None:
    said = monosweep(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"monosweep {command}" in said.out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["run"],
        ["resume"],
        ["best"],
        ["importance"],
        ["export"],
        ["export", "tiny"],
        ["report"],
        ["report", "tiny", "--output", "."],
        ["export", "--output", "x"],
        ["validate"],
        ["delete"],
        ["status", "--nonsense"],
        ["resume", "tiny", "--num-trials", "0"],
        ["resume", "tiny", "--num-trials", "many"],
        ["ui", "--port", "0"],
        ["ui", "--port", "65536"],
    ],
)
def test_wrong_arguments_are_the_users_mistake(monosweep: Call, words: list[str]) -> None:
    refused(monosweep(*words), "Usage: ")


def test_validate_prints_defaults_and_what_it_takes(
    monosweep: Call, tmp_path: Path, tiny_text: str
) -> None:
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    said = monosweep("validate", "tiny.yaml")
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^search\.seed +0", said.out, re.MULTILINE)
    assert "trainings  at most 12 (2 baseline, 4 search, 6 confirmation)" in said.out
    assert re.search(r"^memory +about \d+ MiB", said.out, re.MULTILINE)
    assert re.search(r"^time +about ", said.out, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_validate_says_what_may_end_the_search_sooner(
    monosweep: Call, tmp_path: Path, tiny_text: str
) -> None:
    budgets = "num_trials: 4, max_training_steps: 1000, max_hours: 0.5, patience: 3"
    (tmp_path / "tiny.yaml").write_text(tiny_text.replace("num_trials: 4", budgets))
    said = monosweep("validate", "tiny.yaml")
    assert re.search(r"^search\.max_training_steps +1000 *$", said.out, re.MULTILINE)
    assert (
        "sooner after 1000 training steps, 0.5 hours at work or 3 trials in a row without a better "
        "one" in " ".join(said.out.split())
    )
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    said = monosweep("validate", "tiny.yaml")
    assert re.search(r"^search\.patience +null *$", said.out, re.MULTILINE)
    assert "sooner" not in said.out


def test_status_and_best_say_why_a_search_ended_early(monosweep: Call, tiny_writer: Writer) -> None:
    closed = {"budget": "max_hours", "limit": 2.0, "num_asked": 3, "num_trials": 4}
    tiny_writer.close_search(3, closed)
    why = "The search ended after 3 of 4 trials: 2 hours at work were over."
    for command in ("status", "best"):
        assert why in " ".join(monosweep(command, "tiny").out.split())
        assert monosweep(command, "tiny", "--json").json()["search_ended"] == why
    found = monosweep("status", "tiny", "--json").json()
    assert (found["num_trials"], found["trials"]["waiting"]) == (3, 3)


def test_validate_names_the_line_of_a_mistake(
    monosweep: Call, tmp_path: Path, tiny_text: str
) -> None:
    (tmp_path / "tiny.yaml").write_text(
        tiny_text.replace("num_seeds: 2}\nobj", "num_seed: 2}\nobj")
    )
    refused(monosweep("validate", "tiny.yaml"), "tiny.yaml", "num_seeds", "line 6")


def test_paper_lists_the_batches_and_what_they_vary(monosweep: Call) -> None:
    said = monosweep("paper")
    assert said.code == 0
    rows = " ".join(said.out.split())
    assert "LR1 learning rate 0.001 to 0.03 (6" in rows
    assert "D1 bias decay 1e-07 to 0.1 (7" in rows
    assert len(re.findall(r"^  (LR|B|G|E|K|RG|RP|D)[0-9] ", said.out, re.MULTILINE)) == 21
    assert "monosweep paper claims" in rows


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("lr1",), "found 'lr1'. Did you mean LR1?"),
        (("L1R",), "BATCH must be claims or one of LR1, LR2,"),
        (("clams",), "Did you mean claims?"),
        (("nothing-like-it",), "What each varies: monosweep paper"),
        (("LR1", "--scale", "3"), "Take one of 1, 2, 4, 8, 16, 32."),
        (("LR1", "--scale", "64"), "leave at least 2 inputs, found 64"),
        (("claims", "--scale", "32"), "found 32 (K0)"),
        (("LR1", "--steps", "1"), "--steps must be from 2 to"),
        (("LR1", "--batch-size", "0"), "--batch-size must be from 1 to"),
        (("LR1", "--seeds", "0"), "--seeds must be from 1 to"),
        (("--scale", "2"), "options must come with a BATCH that they are for, found --scale"),
    ],
)
def test_paper_refuses_what_it_cannot_train(
    monosweep: Call, home: Home, words: tuple[str, ...], found: str
) -> None:
    refused(monosweep("paper", *words), found)
    assert not home.path.exists()


def test_paper_leaves_a_sweep_with_another_file_alone(
    monosweep: Call, home: Home, tiny_text: str
) -> None:
    name = "paper-LR1-scale16-steps64-batch32"
    spec = parse_spec(tiny_text.replace("name: tiny", f"name: {name}"), origin="test")
    with closing(Ledger(home.ledger_url)) as ledger:
        ledger.create_sweep(
            name, spec_text=spec.text, settings=spec.settings(), versions={}, num_trials=4
        )
    said = monosweep("paper", "LR1", "--scale", "16", "--steps", "64", "--batch-size", "32")
    assert (said.code, said.out) == (2, "")
    assert "another file under that name" in said.message
    assert f"monosweep delete {name}" in said.message


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize("spec", ["nowhere.yaml", "quickstrat", ".", "/dev/null/x", ""])
def test_a_spec_that_is_no_file_is_the_users_mistake(
    monosweep: Call, tmp_path: Path, command: str, spec: str
) -> None:
    refused(monosweep(command, spec), "A sweep")
    assert list(tmp_path.iterdir()) == []


def test_a_packaged_sweep_is_suggested(monosweep: Call) -> None:
    refused(monosweep("validate", "quickstrat"), "Did you mean quickstart?")
    refused(monosweep("validate", "papersize"), "Did you mean paper-size?")


def test_a_name_that_is_no_word_is_refused_before_anything_is_made(
    monosweep: Call, tmp_path: Path
) -> None:
    refused(
        monosweep("run", "quickstart", "--name", "a/b"),
        "found the text 'a/b'. Give another: --name NAME",
    )
    assert list(tmp_path.iterdir()) == []


def test_the_schema_is_json_that_accepts_the_packaged_sweep(monosweep: Call) -> None:
    said = monosweep("schema")
    assert (said.code, said.err) == (0, "")
    schema = said.json()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"name", "task", "model", "training", "search_space"} <= set(schema["required"])


READING = (
    ["status"],
    ["status", "--json"],
    ["status", "tiny"],
    ["best", "tiny"],
    ["importance", "tiny"],
    ["export", "tiny", "--output", "out"],
    ["resume", "tiny"],
    ["delete", "tiny", "--yes"],
)
DOCTOR = (["doctor"], ["doctor", "--fix"], ["doctor", "--json"])


@pytest.mark.parametrize("words", READING)
def test_without_a_ledger_there_is_nothing_to_read_and_nothing_is_made(
    monosweep: Call, tmp_path: Path, words: list[str]
) -> None:
    refused(monosweep(*words), "must be a ledger to read", "monosweep run quickstart")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite:///{folder}/none.db",
        "mysql+nonsense://host/db",
        "postgresql://host:port/db",
        "sqlite:///{folder}/file?timeout=soon",
    ],
)
def test_a_ledger_url_that_cannot_be_is_the_users_mistake(
    monosweep: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", url.format(folder=tmp_path))
    refused(monosweep("status"), "ledger")


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("mysql://host/db", "Mend MONOSWEEP_LEDGER_URL: sqlite:///PATH, or postgresql+psycopg://"),
        ("postgresql+pg8000://host/db", "Begin its URL with postgresql+psycopg://"),
    ],
)
def test_a_ledger_of_another_kind_is_told_which_kinds_there_are(
    monosweep: Call, monkeypatch: pytest.MonkeyPatch, url: str, remedy: str
) -> None:
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", url)
    said = monosweep("status")
    refused(said, "ledger")
    assert remedy in " ".join(said.err.split())


def test_a_password_in_the_ledgers_url_is_not_told(
    monosweep: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", "mysql+nonsense://ada:hunter2@host/db")
    said = monosweep("status")
    assert said.code == 2
    assert "hunter2" not in said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], 1),
        (["status", "tiny", "--json"], 1),
        (["best", "tiny"], 1),
        (["run", "quickstart"], 1),
        (["delete", "tiny", "--yes"], 1),
        (["resume", "tiny"], 75),
    ],
)
def test_a_ledger_that_is_away_is_waited_for_by_the_user(
    monosweep: Call, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int
) -> None:
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", "postgresql+psycopg://u:hunter2@127.0.0.1:9/x")
    said = monosweep(*words)
    assert (said.code, said.out) == (code, "")
    assert said.message.startswith("the ledger does not answer: connection failed")
    assert said.message.endswith(f"When it answers: monosweep {' '.join(words)}")
    assert "hunter2" not in said.err


def test_a_ledger_that_is_away_is_said_by_the_doctor(
    monosweep: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", "postgresql+psycopg://u@127.0.0.1:9/x")
    said = monosweep("doctor")
    assert (said.code, said.err) == (1, "")
    assert "the ledger does not answer" in said.out
    assert "Look again when it answers." in said.out


def test_a_damaged_ledger_is_no_mistake_of_the_users_and_no_traceback(
    monosweep: Call, home: Home
) -> None:
    home.path.mkdir()
    (home.path / "ledger.db").write_bytes(b"this is no database" * 100)
    said = monosweep("status")
    assert (said.code, said.out) == (1, "")
    assert "file is not a database" in said.message
    assert (home.path / "ledger.db").read_bytes() == b"this is no database" * 100


def test_another_programs_database_stays_as_it_is(
    monosweep: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """To look at it makes no tables in it."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("create table theirs (x)")
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", f"sqlite:///{path}")
    monosweep("status")
    with sqlite3.connect(path) as other:
        assert other.execute("select name from sqlite_master").fetchall() == [("theirs",)]


def test_a_ledger_without_sweeps_says_how_to_start_one(monosweep: Call, home: Home) -> None:
    Ledger(home.ledger_url).close()
    said = monosweep("status")
    assert (said.code, said.err) == (0, "")
    assert "monosweep run quickstart" in said.out
    assert monosweep("status", "--json").json() == []


@pytest.mark.parametrize("words", READING[2:])
def test_an_unknown_sweep_lists_the_known_ones(
    monosweep: Call, tiny_writer: Writer, words: list[str]
) -> None:
    unknown = ["tinny" if word == "tiny" else word for word in words]
    refused(monosweep(*unknown), "'tinny'", "found only: tiny")


@pytest.fixture
def recorded(tiny_writer: Writer, record: Record, make_trial: MakeTrial, home: Home) -> Writer:
    """A sweep in its search: two baseline trials, one of the search, one more that waits."""
    Storage(home.storage).write_bytes("c.parquet", as_parquet(pa.table({"trial_id": ["search/0"]})))
    numbers = {"loss": 1.0, "monosemantic_per_feature": 0.25, "feature_coverage": 0.2}
    trial = make_trial("search", 0, settings=IN_SPACE, loss_ratio=1.0, **numbers)
    assert trial.result is not None
    record(
        tiny_writer,
        make_trial("baseline", 0, seeds=(0,), **numbers),
        make_trial("baseline", 1, seeds=(1,), **numbers),
        replace(trial, result=replace(trial.result, curves="c.parquet")),
        make_trial("search", 1, settings=IN_SPACE, state="waiting"),
    )
    return tiny_writer


def test_status_tells_people_and_programs_the_same(monosweep: Call, recorded: Writer) -> None:
    said = monosweep("status", "tiny")
    assert (said.code, said.err) == (0, "")
    assert "search   1 complete, 3 waiting (budget 4)" in said.out
    found = monosweep("status", "tiny", "--json").json()
    assert found["trials"] == {"complete": 1, "pruned": 0, "failed": 0, "running": 0, "waiting": 3}
    assert (found["state"], found["phase"]) == ("running", "baseline")
    assert found["baseline"] == {"loss": 1.0, "ceiling": 1.5, "learning_rate": 0.02}
    assert found["best"]["trial"] == "search/0"
    assert monosweep("status", "--json").json() == [found]
    assert "tiny" in monosweep("status").out


def test_best_of_an_unfinished_sweep_is_open(monosweep: Call, recorded: Writer) -> None:
    said = monosweep("best", "tiny")
    assert (said.code, said.err) == (0, "")
    # This process drives it.
    assert said.out.splitlines() == [
        "The sweep tiny has no verdict yet (running).",
        "Where it stands: monosweep status tiny",
    ]
    found = monosweep("best", "tiny", "--json").json()
    assert (found["confirmed"], found["winner"], found["loss_ratio"]) == (False, None, None)
    assert found["loss_margin"] == 0.5
    assert {"num_seeds", "baseline"} <= set(found)


def test_best_of_an_interrupted_sweep_says_how_to_go_on(
    monosweep: Call, interrupted: Ledger
) -> None:
    assert monosweep("best", "tiny").out.splitlines() == [
        "The sweep tiny has no verdict yet (interrupted).",
        "Where it stands: monosweep status tiny",
        "Go on with it: monosweep resume tiny",
    ]


def test_the_version_is_that_of_the_package(monosweep: Call) -> None:
    said = monosweep("--version")
    assert (said.code, said.out, said.err) == (0, f"monosweep {version('monosweep')}\n", "")


def test_best_of_a_finished_sweep_is_what_was_recorded(
    monosweep: Call, recorded: Writer, make_spec: Callable[..., Spec], home: Home
) -> None:
    said = verdict(make_spec(), [], [])
    recorded.finish(said)
    assert monosweep("best", "tiny", "--json").json() == said
    # In one line, however long, so that it can be copied.
    assert len(home.tracking_uri) > 60
    assert f"shows every run in MLflow ({home.tracking_uri})" in monosweep("best", "tiny").out
    assert "No winner: of 0 trials none kept its loss" in monosweep("best", "tiny").out


def test_importance_says_when_it_cannot_tell(monosweep: Call, recorded: Writer) -> None:
    said = monosweep("importance", "tiny")
    assert (said.code, said.err) == (0, "")
    words = "at least 15 complete trials with a loss_ratio, found 1, 1 waiting"
    assert words in " ".join(said.out.split())
    # One is complete of the two that were asked for.
    assert "For more complete trials: monosweep resume tiny --num-trials 16." in said.out
    found = monosweep("importance", "tiny", "--json").json()
    assert [target["settings"] for target in found["targets"]] == [[], []]


def test_importance_shows_a_table_for_the_objective_and_for_the_loss(
    monosweep: Call, tiny_writer: Writer, record: Record, make_trial: MakeTrial
) -> None:
    """The lower the bias the more monosemantic, and the higher the loss."""
    for number in range(15):
        settings = {"initial_bias": -number / 16, "bias_decay": 1.0, "num_neurons": 64}
        numbers = {"loss_ratio": 1.0 + number / 100, "monosemantic_per_feature": number / 15}
        record(tiny_writer, make_trial("search", number, settings=settings, loss=1.0, **numbers))
    said = monosweep("importance", "tiny")
    assert (said.code, said.err) == (0, "")
    assert "lowers it (-1.00)" in said.out
    assert "-0.875 to -0.625" in said.out
    assert "-0.25 to 0" in said.out
    assert "A search looks mostly where it found something good" in said.out
    assert monosweep("importance", "tiny").out == said.out
    found = monosweep("importance", "tiny", "--json").json()
    assert [target["target"] for target in found["targets"]] == [
        "monosemantic_per_feature",
        "loss_ratio",
    ]


def test_export_prints_the_files_it_wrote(
    monosweep: Call, recorded: Writer, tmp_path: Path
) -> None:
    said = monosweep("export", "tiny", "--output", "out")
    assert (said.code, said.err) == (0, "")
    names = [f"out/{name}.parquet" for name in ("trials", "curves", "neurons")]
    assert said.out.splitlines() == names
    assert pq.read_table(tmp_path / names[0]).num_rows == 4


@pytest.mark.parametrize("folder", ["[red]", "[/x]", "a" * 100])
def test_a_folder_is_printed_as_it_is_called(
    monosweep: Call, recorded: Writer, tmp_path: Path, folder: str
) -> None:
    said = monosweep("export", "tiny", "--output", folder)
    assert said.code == 0
    for line in said.out.splitlines():
        assert (tmp_path / line).is_file()
    assert len(said.out.splitlines()) == 3


def test_a_folder_that_cannot_be_written_is_the_users_mistake(
    monosweep: Call, recorded: Writer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    refused(monosweep("export", "tiny", "--output", "file/below"), "file")


def test_one_table_is_exported_where_only_that_is_asked_for(
    monosweep: Call, recorded: Writer, home: Home, tmp_path: Path
) -> None:
    """And what the others would be made of is not read."""
    (home.path / "c.parquet").unlink()
    said = monosweep("export", "tiny", "--table", "trials", "--output", "out")
    assert said.code == 0, said
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["trials.parquet"]
    refused(
        monosweep("export", "tiny", "--table", "trails", "--output", "out"), "trails", "neurons"
    )


def test_an_export_of_curves_that_are_gone_is_no_traceback(
    monosweep: Call, recorded: Writer, home: Home
) -> None:
    (home.path / "c.parquet").unlink()
    said = monosweep("export", "tiny", "--output", "out")
    assert said.code in (1, 2)
    assert "c.parquet" in said.message


def test_reading_a_sweep_writes_nothing(monosweep: Call, recorded: Writer, tmp_path: Path) -> None:
    """But where ``export`` is told to. SQLite's own two files beside the ledger are its own."""
    before = files(tmp_path)
    for words in (["status"], ["status", "tiny"], ["status", "--json"], ["best", "tiny"]):
        assert monosweep(*words).code == 0
    after = files(tmp_path)
    assert set(after) == set(before)
    sqlites = {name for name in before if name.endswith(("-wal", "-shm"))}
    assert {n: t for n, t in after.items() if n not in sqlites} == {
        n: t for n, t in before.items() if n not in sqlites
    }


def test_a_file_that_is_there_already_is_not_run_again(
    monosweep: Call, recorded: Writer, tmp_path: Path, tiny_text: str
) -> None:
    (tmp_path / "tiny.yaml").write_text("# a comment more\n" + tiny_text)
    # This process holds the lease.
    refused(monosweep("run", "tiny.yaml"), "the same file", "(running)", "monosweep status tiny")
    changed = tiny_text.replace("num_trials: 4", "num_trials: 5")
    assert parse_spec(changed, origin="test").search.num_trials == 5
    (tmp_path / "tiny.yaml").write_text(changed)
    extend = "with 4 trials. To extend it: monosweep resume tiny --num-trials 5"
    refused(monosweep("run", "tiny.yaml"), extend, "--name NAME")
    (tmp_path / "tiny.yaml").write_text(changed.replace("loss_margin: 0.5", "loss_margin: 0.4"))
    both = ("objective.loss_margin: 0.5 -> 0.4", "search.num_trials: 4 -> 5")
    refused(monosweep("run", "tiny.yaml"), *both, "--name NAME")
    (tmp_path / "tiny.yaml").write_text(tiny_text.replace("num_trials: 4", "num_trials: 3"))
    refused(monosweep("run", "tiny.yaml"), "search.num_trials: 4 -> 3", "--name NAME")
    assert len(recorded.ledger.trials("tiny")) == 4


def test_a_search_cannot_be_shortened_and_has_no_more_trials_than_a_file_may_ask_for(
    monosweep: Call, recorded: Writer
) -> None:
    refused(monosweep("resume", "tiny", "--num-trials", "3"), "at least the present budget of 4")
    refused(monosweep("resume", "tiny", "--num-trials", "99999999999"), "at most 1000000")
    assert recorded.ledger.sweep("tiny").num_trials == 4


def test_a_server_is_not_even_asked_for_more_trials_than_a_file_may_ask_for(
    monosweep: Call,
) -> None:
    nobody = ("--server", "http://127.0.0.1:9")
    refused(monosweep("resume", "tiny", "--num-trials", "99999999999", *nobody), "at most 1000000")


def test_ui_needs_runs_to_show(monosweep: Call, tmp_path: Path) -> None:
    refused(monosweep("ui"), "must be runs to look at", "monosweep run quickstart")
    assert list(tmp_path.iterdir()) == []


def test_ui_needs_a_free_port(monosweep: Call, home: Home) -> None:
    home.path.mkdir()
    (home.path / "mlflow.db").touch()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        refused(monosweep("ui", "--port", port), f"port {port} must be free", "--port")


def test_ui_is_mlflow_on_this_homes_runs_for_this_machine_only(
    monosweep: Call,
    home: Home,
    interrupted: Ledger,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of a server that the user has beside it.
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "sqlite:////elsewhere/mlflow.db")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    with pytest.raises(AssertionError, match="would have become") as became:
        monosweep("ui", "--port", port)
    command, uri = str(became.value).split(" with ")
    assert f"'--host', '127.0.0.1', '--port', '{port}'" in command
    # Every user of a machine can read command lines; the URI may hold a password.
    assert home.tracking_uri not in command
    assert uri == home.tracking_uri
    # It says where each sweep is to be seen, by a view that the sweep brought.
    shown = f"tiny: http://127.0.0.1:{port}/#/experiments/1/runs?viewStateShareKey=search"
    assert shown in capsys.readouterr().err


def test_a_deletion_says_what_is_gone(monosweep: Call, interrupted: Ledger, tmp_path: Path) -> None:
    said = monosweep("delete", "tiny", "--yes")
    assert (said.code, said.out) == (0, "")
    assert "Deleted the sweep tiny: 3 trials, 0.1 MiB of files. There is no verdict" in said.message
    refused(monosweep("status", "tiny"), "'tiny'", "found none at all")
    assert monosweep("status", "--json").json() == []


def test_without_a_terminal_nobody_can_say_yes(monosweep: Call, interrupted: Ledger) -> None:
    refused(monosweep("delete", "tiny"), "found no terminal", "monosweep delete tiny --yes")
    assert interrupted.sweep("tiny").state == "interrupted"


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_at_a_terminal_it_asks(
    interrupted: Ledger, environment: None, answer: str, code: int
) -> None:
    terminal, ours = os.openpty()
    os.write(terminal, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "delete", "tiny"],
        stdin=ours,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (code, "")
    assert "The sweep tiny: 3 trials" in done.stderr
    assert "Delete it for good?" in done.stderr
    assert ("Nothing was deleted." in done.stderr) == (code == 1)
    assert interrupted.names() == ([] if code == 0 else ["tiny"])


def test_a_sweep_that_is_being_deleted_says_so_and_no_more_is_asked(
    monosweep: Call, interrupted: Ledger, tmp_path: Path, tiny_text: str
) -> None:
    lease = take(interrupted.engine, "tiny")
    with closing(Writer(interrupted, lease)) as writer:
        writer.begin_deletion()
    release(interrupted.engine, lease)
    assert monosweep("status", "tiny", "--json").json()["state"] == "deleting"
    assert "monosweep delete tiny" in monosweep("status", "tiny").out
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    for words in (["resume", "tiny"], ["export", "tiny", "--output", "x"], ["run", "tiny.yaml"]):
        refused(monosweep(*words), "is being deleted", "monosweep delete tiny")
    assert monosweep("delete", "tiny").code == 0
    assert interrupted.names() == []


def test_without_mlflow_nothing_is_deleted(
    monosweep: Call, interrupted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = monosweep("delete", "tiny", "--yes")
    assert (said.code, said.out) == (1, "")
    assert "MLflow must answer" in said.message
    assert "Nothing was deleted." in said.message


@pytest.mark.parametrize("words", [*READING, ["run", "quickstart"]])
@pytest.mark.parametrize("kept", ["results", "cohorts", "artifacts", "mlflow.db"])
def test_where_the_ledger_is_lost_nothing_is_begun_anew(
    monosweep: Call, home: Home, kept: str, words: list[str]
) -> None:
    (home.path / kept / "tiny").mkdir(parents=True)
    said = monosweep(*words)
    assert (said.code, said.out) == (1, "")
    assert "the ledger is missing, but the home holds what sweeps left" in said.message
    assert kept in said.message
    assert not (home.path / "ledger.db").exists()


def test_an_older_ledger_is_brought_up_to_date_by_resume(
    monosweep: Call, tiny_writer: Writer
) -> None:
    engine = tiny_writer.ledger.engine
    with engine.begin() as connection:
        for column in ("deleting_at", "budgets"):
            connection.exec_driver_sql(f"ALTER TABLE monosweep_sweeps DROP COLUMN {column}")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN standings")
        connection.exec_driver_sql("ALTER TABLE monosweep_results DROP COLUMN weights")
        connection.exec_driver_sql("ALTER TABLE monosweep_attempts DROP COLUMN worker")
        for table in ("monosweep_sweeps", "monosweep_results"):
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.exec_driver_sql("UPDATE monosweep_version SET version = 2")
    assert "monosweep resume NAME" in monosweep("status", "tiny").message
    # Its driver, this process, is at work.
    refused(monosweep("resume", "tiny", "--accept-changes"), "must have one driver only")
    assert monosweep("status", "tiny").code == 0


def test_a_home_in_good_order_is_well(monosweep: Call, interrupted: Ledger) -> None:
    said = monosweep("doctor")
    assert (said.code, said.err) == (0, "")
    assert len(re.findall(r"^ok +(ledger|storage|checkpoints|tracking) ", said.out, re.M)) == 4
    assert re.search(r"files of tiny +0\.0", said.out)
    found = monosweep("doctor", "--json").json()
    assert found["is_well"] is True
    assert {each["part"] for each in found["findings"]} >= {"ledger", "storage", "tracking"}
    assert found["bytes"]["by_sweep"]["tiny"] > 50_000


def test_what_is_wrong_is_said_with_what_would_mend_it_and_then_mended(
    monosweep: Call, interrupted: Ledger, home: Home
) -> None:
    Storage(home.storage).write_bytes("results/tiny/search-0/curves-1.parquet", b"x")
    said = monosweep("doctor")
    assert (said.code, said.err) == (1, "")
    assert re.search(
        r"^wrong +storage +1 files of tiny .* With --fix: Removes them", said.out, re.M
    )
    assert monosweep("doctor", "--json").json()["is_well"] is False
    said = monosweep("doctor", "--fix")
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^mended +storage +1 files of tiny", said.out, re.M)
    assert monosweep("doctor").code == 0


@pytest.mark.parametrize("words", DOCTOR)
def test_what_cannot_be_mended_ends_with_1(
    monosweep: Call, interrupted: Ledger, home: Home, words: list[str]
) -> None:
    (home.path / "results/tiny/baseline-0/curves-1.parquet").unlink()
    said = monosweep(*words)
    assert (said.code, said.err) == (1, "")
    assert "1 files of tiny are missing" in said.out


@pytest.mark.parametrize("words", DOCTOR)
@pytest.mark.parametrize("ledger", ["missing", "damaged", "no place for one"])
def test_whatever_is_broken_the_doctor_says_so(
    monosweep: Call,
    home: Home,
    ledger: str,
    words: list[str],
) -> None:
    if ledger == "no place for one":
        home.path.write_text("a file")
    else:
        (home.path / "results" / "tiny").mkdir(parents=True)
    if ledger == "damaged":
        (home.path / "ledger.db").write_bytes(b"this is no database" * 100)
    said = monosweep(*words)
    assert (said.code, said.err) == (1, "")
    assert "ledger" in said.out


def test_without_a_ledger_there_is_nothing_to_examine(monosweep: Call, tmp_path: Path) -> None:
    said = monosweep("doctor")
    assert said.code == 1
    assert "there must be a ledger to read, found none" in said.out
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_a_cluster_needs_one_and_mends_nothing(monosweep: Call) -> None:
    nowhere = ("--cluster", "--address", "127.0.0.1:9")
    refused(monosweep("doctor", *nowhere), "must be a Ray cluster at --address", "127.0.0.1:9")
    refused(monosweep("doctor", "--fix", "--cluster"), "found --fix with --cluster")
    refused(monosweep("doctor", "--address", "127.0.0.1:9"), "--address needs --cluster")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("--version",), ("schema",), ("validate", "quickstart")])
def test_output_that_cannot_be_written_is_told_in_words(
    words: tuple[str, ...], unbuffered: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "service", *words],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Standard output must take what is printed, found: No space left on device. Make room, or "
        "write it elsewhere. Nothing but what was to be printed is lost."
    ]


def test_who_stops_reading_hears_nothing_of_it() -> None:
    reader = subprocess.run(
        f"{sys.executable} -m service schema | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (reader.stdout, reader.stderr) == ("{\n", "")


def test_output_may_be_closed() -> None:
    done = subprocess.run(
        f"{sys.executable} -m service schema >&-",
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stderr == ""
