"""Where the big parts of a sweep lie: a folder, ``s3://`` or ``gs://``, through one interface."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Lock
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from service.errors import StorageAwayError, StorageError, UserError
from service.home import without_password

_PROBE = "writable"
# In the name of a file until it is whole.
_PARTIAL = ".partial"
# At the end of a name; those of earlier versions have none.
_CHECKSUM = re.compile(r"-([0-9a-f]{16})\.\w+$")
_TABLE = ".parquet"
_SCHEMES = ("file", "s3", "gs")
# Left to itself, Google's client tries for a quarter of an hour before it says what is wrong.
_GS_PATIENCE = "retry_limit_seconds=30"
# And Amazon's for a minute and a half where a server takes connections and answers nobody. Each of
# pyarrow's three tries ends after so long without a connection, or without a byte.
_S3_PATIENCE = {"connect_timeout": 10.0, "request_timeout": 10.0}
# What a folder's disk says, and a store's server, where waiting would not help.
_REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
)
_REFUSED_BY_SERVER = re.compile(
    r"AWS Error (NO_SUCH_BUCKET|ACCESS_DENIED|SIGNATURE_DOES_NOT_MATCH|INVALID_|MISSING_|"
    r"UNRECOGNIZED_CLIENT|RESOURCE_NOT_FOUND|REQUEST_EXPIRED|REQUEST_TIME_TOO_SKEWED|"
    r"UNKNOWN \(HTTP status (301|400|401|403|404)\))|Bucket '.*' not found|"
    r"Status\((PERMISSION_DENIED|UNAUTHENTICATED|NOT_FOUND|INVALID_ARGUMENT)"
)


class Storage:
    """Files below one root; paths are relative to it and use ``/``.

    Opened when it is first needed: a store may be asked for its region, and be away. Every method
    raises UserError if the URI is none after all. Threads may share it.

    Args:
        uri: A folder's path, or a URI that ``pyarrow.fs`` understands: ``file``, ``s3`` or ``gs``.

    Raises:
        UserError: If it is of another kind.
    """

    def __init__(self, uri: str) -> None:
        scheme = uri.partition("://")[0] if "://" in uri else "file"
        if scheme not in _SCHEMES:
            raise _no_storage(uri, "this is another kind of place")
        # The process may move to another folder later.
        self._uri = uri if "://" in uri else str(Path(uri).absolute())
        # An object store has no folders: an object is there by its name alone.
        self._is_folder = scheme == "file"
        self._place: tuple[pyarrow.fs.FileSystem, str] | None = None
        # Who reads many files reads several at once.
        self._opening = Lock()

    @property
    def _opened(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The files, and the root among them."""
        with self._opening:
            if self._place is None:
                self._place = self._open()
            return self._place

    def _open(self) -> tuple[pyarrow.fs.FileSystem, str]:
        if "://" not in self._uri:
            return pyarrow.fs.LocalFileSystem(), self._uri
        try:
            files, root = pyarrow.fs.FileSystem.from_uri(_with_an_end(self._uri))
        except ValueError as error:
            raise _no_storage(self._uri, str(error)) from error
        if not root:
            raise _no_storage(self._uri, "it names no bucket")
        return _patient(files), root

    @property
    def _files(self) -> pyarrow.fs.FileSystem:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    def check(self) -> None:
        """Make sure that files can be written here, before anything is trained.

        Raises:
            UserError: If they cannot, and somebody must mend that.
            StorageAwayError: If the storage does not answer now, or its disk is full.
        """
        with answering():
            # Opened in here: the store may be asked for its region.
            probe = self._full(f"{_PROBE}-{uuid4().hex}")
            self._make_folder_of(probe)
            with self._files.open_output_stream(probe) as stream:
                stream.write(b"")
            self._files.delete_file(probe)

    def add_table(self, stem: str, table: pa.Table) -> str:
        """Write a table as Parquet, under a name that tells what is in it.

        Args:
            stem: Its path, without what is added here.
            table: What to write.

        Returns:
            Its path, with the file's checksum: whoever keeps that finds any change.
        """
        return self.add_file(stem, as_parquet(table), _TABLE)

    def add_file(self, stem: str, data: bytes, suffix: str) -> str:
        """Write a file under a name that tells what is in it; see ``add_table``."""
        path = f"{stem}-{_checksum(data)}{suffix}"
        full = self._full(path)
        self._make_folder_of(full)
        with self._files.open_output_stream(full) as stream:
            stream.write(data)
        return path

    def read_table(self, path: str) -> pa.Table:
        """Read a table.

        Raises:
            FileNotFoundError: If there is none at this path.
            StorageError: If it is damaged, or another than was written.
            OSError: If the storage does not answer.
        """
        data = self.read_file(path)
        try:
            # All of it is here, and little: threads and reading ahead take longer than it.
            file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
            return file.read(use_threads=False)
        # Arrow's errors are ValueError, KeyError, or OSError, as what is damaged has it.
        except (pa.ArrowException, ValueError, LookupError, OSError) as error:
            raise _damaged(path, str(error)) from error

    def read_file(self, path: str) -> bytes:
        """Read a file whose name tells what is in it; see ``read_table``."""
        data = self.read_bytes(path)
        expected = _CHECKSUM.search(path)
        if expected is not None and expected[1] != _checksum(data):
            raise _damaged(path, "its checksum is another")
        return data

    def check_file(self, path: str) -> None:
        """Read a file, and find out whether it is what was written; see ``read_table``."""
        self.read_table(path) if path.endswith(_TABLE) else self.read_file(path)

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file all or nothing: whoever reads meanwhile finds the old one, or none.

        An object store shows an object only once it is whole; in a folder the file is written
        beside its place and moved there.
        """
        full = self._full(path)
        self._make_folder_of(full)
        target = f"{full}{_PARTIAL}-{uuid4().hex}" if self._is_folder else full
        try:
            with self._files.open_output_stream(target) as stream:
                stream.write(data)
            if self._is_folder:
                self._files.move(target, full)
        except OSError:
            # On a full disk the part that was written would keep it full.
            if self._is_folder:
                Path(target).unlink(missing_ok=True)
            raise

    def read_bytes(self, path: str) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: If there is none at this path.
        """
        with self._files.open_input_stream(self._full(path)) as stream:
            return bytes(stream.readall())

    def names(self, folder: str) -> list[str]:
        """The names of the files and folders right below a folder, sorted; none if it is not there.

        Files that are still being written, or were cut short, are not among them.
        """
        selector = pyarrow.fs.FileSelector(self._full(folder), allow_not_found=True)
        names = (one.base_name for one in self._files.get_file_info(selector))
        return sorted(name for name in names if _PARTIAL not in name)

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every file below a folder by path, partial ones too; none if it is not there."""
        selector = pyarrow.fs.FileSelector(self._full(folder), allow_not_found=True, recursive=True)
        return {
            str(PurePosixPath(one.path).relative_to(self._root)): one.size
            for one in self._files.get_file_info(selector)
            if one.is_file
        }

    def remove_file(self, path: str) -> None:
        """Remove a file; one that is gone already is as good."""
        with suppress(FileNotFoundError):
            self._files.delete_file(self._full(path))

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and all below it; one that is gone already is as good."""
        if self._files.get_file_info(self._full(folder)).type != pyarrow.fs.FileType.NotFound:
            self._files.delete_dir(self._full(folder))

    def _make_folder_of(self, full: str) -> None:
        if self._is_folder:
            self._files.create_dir(str(PurePosixPath(full).parent), recursive=True)

    def _full(self, path: str) -> str:
        return str(PurePosixPath(self._root) / path)


@contextmanager
def answering() -> Iterator[None]:
    """Tell a storage that is away from one that will never do what it is asked for.

    Raises:
        UserError: Instead of OSError, if somebody must mend something first.
        StorageAwayError: The same, if it does not answer now, or its disk is full.
    """
    try:
        yield
    except OSError as error:
        said = without_password(" ".join(str(error).split())).rstrip(".")
        if error.errno in _REFUSED or _REFUSED_BY_SERVER.search(said):
            raise UserError(
                f"the storage must be writable, found: {said}. Mend MONOSWEEP_STORAGE."
            ) from error
        raise StorageAwayError(
            f"the storage does not answer: {said}. Check that it is running and not full, and "
            "that MONOSWEEP_STORAGE names it."
        ) from error


def as_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream)
    return bytes(stream.getvalue())


def _checksum(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _damaged(path: str, why: str) -> StorageError:
    return StorageError(
        f"the storage must hold every file as it was written, found {path} damaged: "
        f"{why.rstrip('.')}. Put back a copy of it, or of MONOSWEEP_STORAGE."
    )


def _no_storage(uri: str, why: str) -> UserError:
    return UserError(
        "the storage must be a folder, s3://... or gs://..., found "
        f"{without_password(f'{uri} ({why})')}. Mend MONOSWEEP_STORAGE."
    )


def _with_an_end(uri: str) -> str:
    """The URI, with an end to what would be tried for a quarter of an hour."""
    if uri.startswith("gs://") and "retry_limit_seconds=" not in uri:
        return f"{uri}{'&' if '?' in uri else '?'}{_GS_PATIENCE}"
    return uri


def _patient(files: pyarrow.fs.FileSystem) -> pyarrow.fs.FileSystem:
    """The same files, with an end to the waiting for a server of S3's that is silent.

    A URI cannot say it, and all else that it said is to stay: as where it is pickled.
    """
    if not isinstance(files, pyarrow.fs.S3FileSystem):
        return files
    make, (options,) = files.__reduce__()
    return make({**options, **_S3_PATIENCE})
