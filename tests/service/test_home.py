import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from service.errors import UserError
from service.home import Home, without_password
from service.ledger import Ledger

NAMES = (
    *("MONOSWEEP_HOME", "MONOSWEEP_LEDGER_URL", "MONOSWEEP_LEDGER_URL_FILE"),
    *("MLFLOW_TRACKING_URI", "MONOSWEEP_STORAGE"),
)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that names nothing, in a folder of its own."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_by_default_all_lies_in_one_folder_here(tmp_path: Path) -> None:
    path = tmp_path / "monosweep-home"
    home = Home.from_environment()
    assert home == Home(
        path=path,
        ledger_url=f"sqlite:///{path}/ledger.db",
        tracking_uri=f"sqlite:///{path}/mlflow.db",
        storage=str(path),
    )
    assert (home.mlflow_db, home.artifacts) == (path / "mlflow.db", path / "artifacts")
    assert home.tune.parent == path
    assert not path.exists()


def test_the_home_moves_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSWEEP_HOME", "elsewhere")
    home = Home.from_environment()
    assert home.path == tmp_path / "elsewhere"
    assert home.ledger_url == f"sqlite:///{tmp_path}/elsewhere/ledger.db"
    assert home.storage == f"{tmp_path}/elsewhere"


def test_each_part_moves_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSWEEP_HOME", str(tmp_path / "h"))
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", "postgresql://db/monosweep")
    assert Home.from_environment() == Home(
        path=tmp_path / "h",
        ledger_url="postgresql://db/monosweep",
        tracking_uri=f"sqlite:///{tmp_path}/h/mlflow.db",
        storage=str(tmp_path / "h"),
    )
    monkeypatch.delenv("MONOSWEEP_LEDGER_URL")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("MONOSWEEP_STORAGE", "s3://bucket/monosweep")
    home = Home.from_environment()
    assert home.ledger_url == f"sqlite:///{tmp_path}/h/ledger.db"
    assert (home.tracking_uri, home.storage) == ("http://mlflow:5000", "s3://bucket/monosweep")


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_names_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Home.from_environment()
    monkeypatch.setenv(name, "")
    assert Home.from_environment() == before


def test_a_file_tells_the_ledgers_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://ada:hunter2@db/monosweep"
    (tmp_path / "ledger_url").write_text(f"{url}\n")
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL_FILE", "ledger_url")
    assert Home.from_environment().ledger_url == url


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "ledger_url (No such file or directory). Name one that this user can read."),
        (b" \n", "ledger_url empty. Write the URL into it."),
        (b"\xff", "ledger_url (it is no text). Name one that this user can read."),
    ],
)
def test_a_file_without_the_ledgers_url_is_refused(
    content: bytes | None, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of a ledger on this machine, which nobody else would find."""
    if content is not None:
        (tmp_path / "ledger_url").write_bytes(content)
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL_FILE", "ledger_url")
    with pytest.raises(UserError) as refused:
        Home.from_environment()
    assert str(refused.value) == (
        f"MONOSWEEP_LEDGER_URL_FILE must name a file with the ledger's URL, found {found}"
    )


def test_the_ledgers_url_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ledger_url").write_text("postgresql+psycopg://ada:hunter2@db/monosweep")
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL_FILE", "ledger_url")
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", "postgresql+psycopg://bob:hunter2@db/monosweep")
    with pytest.raises(UserError, match="must be given once, found both") as refused:
        Home.from_environment()
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "https://m/", "postgresql://h/db"])
def test_a_server_of_its_own_decides_on_artifacts(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    home = Home.from_environment()
    assert (home.mlflow_db, home.artifacts) == (None, None)


@pytest.mark.parametrize("uri", ["file:///mlruns", "./mlruns", "nonsense"])
def test_a_place_where_mlflow_keeps_no_runs_is_refused(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI must begin with one of"):
        Home.from_environment()


@pytest.mark.parametrize(
    "ledger_url", ["postgresql://db/x", "postgresql+psycopg://ada:hunter2@db/x?sslmode=require"]
)
def test_one_database_for_the_ledger_and_mlflow_is_refused(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both keep a table ``alembic_version``, each its own."""
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", ledger_url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg2://bob:hunter2@db/x")
    with pytest.raises(UserError, match="must have databases of their own") as refused:
        Home.from_environment()
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:hunter2@db/y")
    assert Home.from_environment().ledger_url == ledger_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "found postgresql+psycopg://ada:hunter2@db/x and http://m:5000/y (no server)",
            "found postgresql+psycopg://ada:***@db/x and http://m:5000/y (no server)",
        ),
        # As nobody should write them, and many do.
        ("s3://KEY:hun@ter2@bucket", "s3://KEY:***@bucket"),
        ("s3://KEY:hun/ter2+@bucket/x (away)", "s3://KEY:***@bucket/x (away)"),
        ("s3://KEY:hun?ter2@bucket", "s3://KEY:***@bucket"),
        # In the query.
        ("postgresql://db/x?user=me&password=hunter2", "postgresql://db/x?user=me&password=***"),
        ("(postgresql://db/x?PASSWORD=hunter2). Mend", "(postgresql://db/x?PASSWORD=***). Mend"),
        ("db/x?sslpassword=hunter2&sslmode=require", "db/x?sslpassword=***&sslmode=require"),
        ("s3://b?access_key=hunter2&region=here", "s3://b?access_key=***&region=here"),
        ("s3://b?secret_key=hunter2;x, y", "s3://b?secret_key=***, y"),
        ("https://b/x?X-Amz-Security-Token=hunter2", "https://b/x?X-Amz-Security-Token=***"),
        ("https://b/x?X-Amz-Signature=hunter2", "https://b/x?X-Amz-Signature=***"),
        ("host=db user=me password=hunter2 dbname=x", "host=db user=me password=*** dbname=x"),
        # Nothing to hide.
        ("http://m:5000/y", "http://m:5000/y"),
        ("a token must be given, found none", "a token must be given, found none"),
        ("sqlite:////home/ada@work/ledger.db", "sqlite:////home/ada@work/ledger.db"),
    ],
)
def test_passwords_are_stars_where_urls_are_shown(text: str, shown: str) -> None:
    assert without_password(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "password" * 4000,
        "password=" * 3600,
        f"password={',' * 32_000}x",
        "://a:" * 6400,
        f"{'://a:' * 6400}@",
        "-" * 32_000,
    ],
    ids=["names", "secrets", "ends of sentences", "users", "users of one", "hyphens"],
)
def test_no_text_takes_long_to_be_made_fit(text: str) -> None:
    """As much of it as a stranger may send; a pattern that goes back and forth takes minutes."""
    began_s = time.thread_time()
    without_password(text)
    assert time.thread_time() - began_s < 0.5


@pytest.mark.parametrize(
    ("storage", "place"),
    [
        ("s3://key:secret@bucket/x?endpoint_override=host:1", "s3://bucket/x"),
        ("s3://key:se/cr?e@t@bucket/x?region=here", "s3://bucket/x"),
        ("s3://key@bucket", "s3://bucket"),
        ("s3://bucket/x?access_key=secret", "s3://bucket/x"),
        # No secrets, but names.
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("file:///shared/a:b@c", "file:///shared/a:b@c"),
    ],
)
def test_no_secret_is_in_the_storages_name(home: Home, storage: str, place: str) -> None:
    """It is kept in the ledger, and shown in MLflow."""
    assert replace(home, storage=storage).storage_place == place


def test_a_database_file_elsewhere_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/m.db")
    home = Home.from_environment()
    assert home.mlflow_db == tmp_path / "other" / "m.db"
    assert home.artifacts == tmp_path / "monosweep-home" / "artifacts"


@pytest.mark.parametrize("folder", ["50%", "a%20b", "what?", "a#b"])
def test_a_folder_whose_name_means_something_else_in_a_url_is_refused(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONOSWEEP_HOME", str(tmp_path / folder))
    with pytest.raises(UserError, match=r"without \?, % and # in its path"):
        Home.from_environment()


@pytest.mark.parametrize("folder", ["a folder", "é"])
def test_the_ledger_lies_in_the_home_whatever_the_folders_name(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONOSWEEP_HOME", str(tmp_path / folder))
    Ledger(Home.from_environment().ledger_url).close()
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert (tmp_path / folder / "ledger.db").is_file()


def test_the_storage_is_named_alike_wherever_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Home.from_environment().storage_place == "beside the ledger"
    monkeypatch.setenv("MONOSWEEP_HOME", str(tmp_path / "moved"))
    assert Home.from_environment().storage_place == "beside the ledger"
    # Another machine's home is another one, though it be called the same.
    monkeypatch.setenv("MONOSWEEP_LEDGER_URL", "postgresql+psycopg://u:p@host/db")
    assert (
        Home.from_environment().storage_place == f"{tmp_path / 'moved'} on {socket.gethostname()}"
    )
    monkeypatch.setenv("MONOSWEEP_STORAGE", "/shared/sweeps")
    assert Home.from_environment().storage_place == "/shared/sweeps"


@pytest.mark.parametrize(("word", "is_shown"), [("", True), ("on", True), ("off", False)])
def test_mlflow_is_shown_everything_unless_told(
    monkeypatch: pytest.MonkeyPatch, word: str, is_shown: bool
) -> None:
    monkeypatch.setenv("MONOSWEEP_SHOWCASE", word)
    assert Home.from_environment().is_shown == is_shown


def test_what_is_neither_on_nor_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONOSWEEP_SHOWCASE", "no")
    with pytest.raises(UserError, match="MONOSWEEP_SHOWCASE must be on or off, found no"):
        Home.from_environment()
