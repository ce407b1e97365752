import errno
import resource
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_store import ObjectStore

from service.errors import StorageAwayError, StorageError, UserError
from service.storage import Storage, answering, as_parquet

TABLE = pa.table({"step": [1, 2], "loss": [0.5, None], "kind": ["dead", "é"]})
PATH = "results/s/search-0/curves-1.parquet"


@pytest.fixture
def storage(storage_uri: str) -> Storage:
    return Storage(storage_uri)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_table_reads_back_from_a_folder_that_was_not_there(tmp_path: Path, scheme: str) -> None:
    root = tmp_path / "deep" / "down"
    Storage(f"{scheme}{root}").write_bytes(PATH, as_parquet(TABLE))
    assert (root / PATH).is_file()
    assert Storage(f"{scheme}{root}").read_table(PATH).equals(TABLE)


def test_a_table_reads_back_from_wherever_it_lies(storage_uri: str) -> None:
    Storage(storage_uri).write_bytes(PATH, as_parquet(TABLE))
    assert Storage(storage_uri).read_table(PATH).equals(TABLE)


columns = st.dictionaries(
    st.sampled_from(["a", "b", "params.c"]),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=3, max_size=3),
    min_size=1,
)


@settings(max_examples=25, deadline=None)
@given(columns)
def test_every_table_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, list[float | None]]
) -> None:
    table = pa.table({name: pa.array(rows, pa.float64()) for name, rows in values.items()})
    storage = Storage(str(tmp_path_factory.getbasetemp() / "law"))
    storage.write_bytes("t.parquet", as_parquet(table))
    assert storage.read_table("t.parquet").equals(table)


@pytest.mark.parametrize("folder", ["run=3", "a folder", "50%", "[1]", "_hidden", ".dot"])
def test_the_roots_name_adds_nothing_to_the_table(tmp_path: Path, folder: str) -> None:
    storage = Storage(str(tmp_path / folder))
    storage.write_bytes(PATH, as_parquet(TABLE))
    assert storage.read_table(PATH).equals(TABLE)


def test_a_relative_folder_is_the_same_after_the_process_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("store")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    storage.write_bytes(PATH, as_parquet(TABLE))
    assert (tmp_path / "store" / PATH).is_file()


def test_a_partial_file_left_over_does_not_block_the_next_one(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_bytes(PATH, as_parquet(TABLE))
    (tmp_path / PATH).write_bytes((tmp_path / PATH).read_bytes()[:20])
    storage.write_bytes(PATH, as_parquet(TABLE))
    assert storage.read_table(PATH).equals(TABLE)


def test_the_check_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    Storage(str(tmp_path / "new")).check()
    assert (tmp_path / "new").is_dir()
    assert list((tmp_path / "new").iterdir()) == []


def test_the_check_leaves_nothing_to_be_found(storage: Storage) -> None:
    storage.check()
    assert storage.names("") == []


def test_names_are_of_what_is_right_below(storage: Storage) -> None:
    for path in ("a/1.bin", "a/b/2.bin", "a/b/c/3.bin", "ab/4.bin"):
        storage.write_bytes(path, b"")
    assert storage.names("") == ["a", "ab"]
    assert storage.names("a") == ["1.bin", "b"]
    storage.remove_folder("a/b")
    assert storage.names("a") == ["1.bin"]
    # Its name begins alike.
    assert storage.names("ab") == ["4.bin"]


@pytest.mark.parametrize("storage_uri", ["s3"], indirect=True)
def test_a_bucket_that_is_not_there_is_the_users_mistake(storage_uri: str) -> None:
    with pytest.raises(UserError, match=r"must be writable.*bucket.*Mend MONOSWEEP_STORAGE\."):
        Storage(storage_uri.replace("s3://bucket-", "s3://no-bucket-")).check()


@pytest.mark.parametrize("storage_uri", ["s3"], indirect=True)
def test_a_wrong_secret_is_the_users_mistake_and_not_shown(
    storage_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    for uri in (storage_uri, storage_uri.replace("s3://", "s3://ada:hunter2@")):
        with pytest.raises(UserError, match="must be writable") as refused:
            Storage(uri).check()
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("storage_uri", ["s3"], indirect=True)
def test_a_server_that_answers_nobody_is_given_up(
    storage_uri: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself pyarrow waits for a minute and a half."""
    monkeypatch.setattr(
        "service.storage._S3_PATIENCE", {"connect_timeout": 1.0, "request_timeout": 1.0}
    )
    storage = Storage(storage_uri)
    storage.write_bytes("a", b"1")
    object_store.pause()
    began = time.monotonic()
    try:
        with pytest.raises(OSError, match="NETWORK_CONNECTION"):
            storage.read_bytes("a")
        assert time.monotonic() - began < 15
    finally:
        object_store.go_on()
    assert storage.read_bytes("a") == b"1"


def test_a_folder_that_cannot_be_made_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    storage = Storage(str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match=r"must be writable, found: .*Mend MONOSWEEP_STORAGE\."):
        storage.check()


def test_a_folder_that_may_not_be_written_to_is_the_users_mistake(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        (folder / "try").touch()
    except PermissionError:
        with pytest.raises(UserError, match=r"must be writable.*Mend MONOSWEEP_STORAGE\."):
            Storage(str(folder)).check()
    else:
        pytest.skip("this user may write everywhere")


@pytest.mark.parametrize(
    "uri",
    [
        *("nonsense://bucket", "://", "file://host/folder", "file:///with a space", "s4://x"),
        *("hdfs://host/folder", "s3://ada@bucket?nonsense=1", "s3://"),
    ],
)
def test_a_uri_that_is_none_is_refused_by_name(uri: str) -> None:
    with pytest.raises(UserError) as refused:
        Storage(uri).check()
    assert uri in str(refused.value)
    assert "a folder, s3://... or gs://..." in str(refused.value)
    assert "Mend MONOSWEEP_STORAGE." in str(refused.value)
    # Not the pages that a library says of what it tried.
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_told_by_its_path(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError, match="search-0"):
        storage.read_table(PATH)


def test_bytes_come_back_and_replace_what_was_there(storage: Storage) -> None:
    for data in (b"first and longer", b"second", b""):
        storage.write_bytes("a/b.bin", data)
        assert storage.read_bytes("a/b.bin") == data
    assert storage.names("a") == ["b.bin"]
    with pytest.raises(FileNotFoundError):
        storage.read_bytes("a/c.bin")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond four bytes: the writer sees what a full disk gives."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_bytes("a/b.bin", b"old")
    with pytest.raises(OSError, match="File too large"), full_disk():
        storage.write_bytes("a/b.bin", b"longer than that")
    assert storage.read_bytes("a/b.bin") == b"old"
    assert storage.names("a") == ["b.bin"]
    storage.write_bytes("a/b.bin", b"new")
    assert storage.read_bytes("a/b.bin") == b"new"


def test_what_is_gone_is_as_good_as_removed(storage: Storage) -> None:
    storage.write_bytes("a/b/c.bin", b"")
    for _ in range(2):
        storage.remove_file("a/b/c.bin")
        assert storage.names("a/b") == []
    for _ in range(2):
        storage.remove_folder("a")
        assert storage.names("a") == []


def test_sizes_are_of_every_file_below_partial_ones_too(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.write_bytes("a/b/c", b"123")
    (tmp_path / "a" / "d.partial-1").write_bytes(b"1")
    assert storage.sizes("a") == {"a/b/c": 3, "a/d.partial-1": 1}
    assert storage.sizes("nowhere") == {}


def test_a_tables_name_tells_what_is_in_it(storage: Storage) -> None:
    path = storage.add_table("results/s/search-0/curves-1", TABLE)
    assert storage.read_table(path).equals(TABLE)
    assert storage.add_table("results/s/search-0/curves-1", TABLE) == path
    other = storage.add_table("results/s/search-0/curves-1", TABLE.slice(1))
    # Whole, but not what the ledger names.
    storage.write_bytes(path, storage.read_bytes(other))
    with pytest.raises(StorageError, match=r"found .*curves-1-\w+\.parquet damaged: its checksum"):
        storage.read_table(path)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_flipped_bit_of_a_table_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    storage = Storage(str(tmp_path_factory.getbasetemp() / "flipped"))
    path = storage.add_table("t", TABLE)
    written = bytearray(as_parquet(TABLE))
    written[data.draw(st.integers(0, len(written) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    storage.write_bytes(path, bytes(written))
    with pytest.raises(StorageError, match="Put back a copy of it"):
        storage.read_table(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"garbage" * 99, as_parquet(TABLE)[:-1]])
def test_a_damaged_table_of_an_earlier_version_is_named(tmp_path: Path, content: bytes) -> None:
    """Its name has no checksum; what can be parsed is taken."""
    storage = Storage(str(tmp_path))
    storage.write_bytes(PATH, content)
    with pytest.raises(StorageError, match=f"found {PATH} damaged: .*Put back a copy"):
        storage.read_table(PATH)


def test_a_table_that_is_gone_is_no_damage(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read_table(PATH)


def test_a_storage_that_is_away_is_no_damage(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = storage.add_table("t", TABLE)

    def refuse(*_: object) -> bytes:
        raise OSError("connection refused")

    monkeypatch.setattr(Storage, "read_bytes", refuse)
    with pytest.raises(OSError, match="connection refused"):
        storage.read_table(path)


def test_a_store_that_is_away_is_no_mistake_in_its_uri() -> None:
    """Amazon is asked for the region of a bucket whose URI does not say it."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        storage = Storage(f"s3://k:s@bucket/x?scheme=http&endpoint_override=127.0.0.1:{port}")
        with pytest.raises(OSError, match="bucket"):
            storage.names("results")


@pytest.mark.parametrize("region", ["", "&region=us-east-1"])
def test_a_store_that_is_away_at_the_check_is_no_mistake_of_the_users(region: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{nobody.getsockname()[1]}"
        storage = Storage(f"s3://k:hunter2@bucket/x?scheme=http&endpoint_override={at}{region}")
        with pytest.raises(StorageAwayError, match=r"does not answer: .*bucket") as away:
            storage.check()
    assert "hunter2" not in str(away.value)


@pytest.mark.parametrize("storage_uri", ["s3"], indirect=True)
def test_a_store_that_was_stopped_is_away_until_it_is_started(
    storage: Storage, object_store: ObjectStore
) -> None:
    object_store.stop()
    try:
        with pytest.raises(StorageAwayError, match="does not answer"):
            storage.check()
    finally:
        object_store.start()
    storage.check()


def test_a_bucket_whose_region_nobody_knows_is_no_traceback() -> None:
    """Amazon is asked for it, if it can be reached: then the key is wrong."""
    with pytest.raises((StorageAwayError, UserError), match="the storage"):
        Storage("s3://k:s@bucket/x").check()


@pytest.mark.parametrize(
    ("number", "error"),
    [
        *((number, StorageAwayError) for number in (errno.ENOSPC, errno.EIO, errno.ESTALE)),
        *((number, UserError) for number in (errno.EACCES, errno.EROFS, errno.ENOTDIR)),
    ],
)
def test_a_disk_that_is_full_or_gone_is_waited_for_and_one_that_is_closed_is_not(
    number: int, error: type[Exception]
) -> None:
    with pytest.raises(error), answering():
        raise OSError(number, "said the disk")


def test_what_does_not_fit_on_the_disk_leaves_room_again(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Not the end of the process, but an error, as of a full disk.
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            Storage(str(tmp_path)).write_bytes("cohorts/s/1.safetensors", bytes(8192))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list((tmp_path / "cohorts/s").iterdir()) == []
