"""Where the big parts of a sweep lie: a folder, ``s3://`` or ``gs://``, through one interface."""

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from service.errors import StorageError, UserError
from service.home import without_password

_PROBE = "writable"
# In the name of a file until it is whole.
_PARTIAL = ".partial"
# At the end of a table's name; those of earlier versions have none.
_CHECKSUM = re.compile(r"-([0-9a-f]{16})\.parquet$")
_SCHEMES = ("file", "s3", "gs")
# Left to itself, Google's client tries for a quarter of an hour before it says what is wrong.
_GS_PATIENCE = "retry_limit_seconds=30"


class Storage:
    """Files below one root; paths are relative to it and use ``/``.

    Args:
        uri: A folder's path, or a URI that ``pyarrow.fs`` understands: ``file``, ``s3`` or ``gs``.

    Raises:
        UserError: If the URI is none.
    """

    def __init__(self, uri: str) -> None:
        self._is_folder = True
        if "://" not in uri:
            self._files, self._root = pyarrow.fs.LocalFileSystem(), str(Path(uri).absolute())
            return
        try:
            self._files, self._root = pyarrow.fs.FileSystem.from_uri(_checked(uri))
        except (ValueError, OSError) as error:
            raise UserError(
                "the storage must be a folder, s3://... or gs://..., found "
                f"{without_password(f'{uri} ({error})')}. Mend MONOSWEEP_STORAGE."
            ) from error
        # An object store has no folders: an object is there by its name alone.
        self._is_folder = isinstance(self._files, pyarrow.fs.LocalFileSystem)

    def check(self) -> None:
        """Make sure that files can be written here, before anything is trained.

        Raises:
            UserError: If they cannot.
        """
        probe = self._full(f"{_PROBE}-{uuid4().hex}")
        try:
            self._make_folder_of(probe)
            with self._files.open_output_stream(probe) as stream:
                stream.write(b"")
            self._files.delete_file(probe)
        except OSError as error:
            raise UserError(
                f"the storage must be writable, found: {str(error).rstrip('.')}. "
                "Mend MONOSWEEP_STORAGE."
            ) from error

    def add_table(self, stem: str, table: pa.Table) -> str:
        """Write a table as Parquet, under a name that tells what is in it.

        Args:
            stem: Its path, without what is added here.
            table: What to write.

        Returns:
            Its path, with the file's checksum: whoever keeps that finds any change.
        """
        data = as_parquet(table)
        path = f"{stem}-{_checksum(data)}.parquet"
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
        data = self.read_bytes(path)
        expected = _CHECKSUM.search(path)
        if expected is not None and expected[1] != _checksum(data):
            raise _damaged(path, "its checksum is another")
        try:
            return pq.read_table(pa.BufferReader(data))
        # Arrow's errors are ValueError, KeyError, or OSError, as what is damaged has it.
        except (pa.ArrowException, ValueError, LookupError, OSError) as error:
            raise _damaged(path, str(error)) from error

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a file all or nothing: whoever reads meanwhile finds the old one, or none.

        An object store shows an object only once it is whole; in a folder the file is written
        beside its place and moved there.
        """
        full = self._full(path)
        self._make_folder_of(full)
        target = f"{full}{_PARTIAL}-{uuid4().hex}" if self._is_folder else full
        with self._files.open_output_stream(target) as stream:
            stream.write(data)
        if self._is_folder:
            self._files.move(target, full)

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


def as_parquet(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file."""
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream)
    return bytes(stream.getvalue())


def _checksum(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _damaged(path: str, why: str) -> StorageError:
    return StorageError(
        f"the storage must hold every table as it was written, found {path} damaged: "
        f"{why.rstrip('.')}. Put back a copy of it, or of MONOSWEEP_STORAGE."
    )


def _checked(uri: str) -> str:
    """The URI, with an end to what would be tried for ever.

    Raises:
        ValueError: If it is of another kind.
    """
    scheme = uri.partition("://")[0]
    if scheme not in _SCHEMES:
        raise ValueError("this is another kind of place")
    if scheme == "gs" and "retry_limit_seconds=" not in uri:
        return f"{uri}{'&' if '?' in uri else '?'}{_GS_PATIENCE}"
    return uri
