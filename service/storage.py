"""Where the big parts of a sweep lie: a folder, ``s3://`` or ``gs://``, through one interface."""

from pathlib import Path, PurePosixPath
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from service.errors import UserError
from service.home import without_password

_PROBE = "writable"


class Storage:
    """Files below one root; paths are relative to it and use ``/``.

    Args:
        uri: A folder's path, or a URI that ``pyarrow.fs`` understands.

    Raises:
        UserError: If the URI is none.
    """

    def __init__(self, uri: str) -> None:
        if "://" not in uri:
            self._files, self._root = pyarrow.fs.LocalFileSystem(), str(Path(uri).absolute())
            return
        try:
            self._files, self._root = pyarrow.fs.FileSystem.from_uri(uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(
                "the storage must be a folder, s3://... or gs://..., found "
                f"{without_password(f'{uri} ({error})')}. Mend MONOSWEEP_STORAGE."
            ) from error

    def check(self) -> None:
        """Make sure that files can be written here, before anything is trained.

        Raises:
            UserError: If they cannot.
        """
        probe = self._full(f"{_PROBE}-{uuid4().hex}")
        try:
            self._files.create_dir(self._root, recursive=True)
            with self._files.open_output_stream(probe) as stream:
                stream.write(b"")
            self._files.delete_file(probe)
        except OSError as error:
            raise UserError(
                f"the storage must be writable, found: {error}. Mend MONOSWEEP_STORAGE."
            ) from error

    def write_table(self, path: str, table: pa.Table) -> None:
        """Write a table as Parquet.

        A file cut short by a dead worker is never read: the ledger names a file only once it is
        whole, and the next attempt writes under another name.
        """
        full = self._full(path)
        self._files.create_dir(str(PurePosixPath(full).parent), recursive=True)
        pq.write_table(table, full, filesystem=self._files)

    def read_table(self, path: str) -> pa.Table:
        """Read a table.

        Raises:
            FileNotFoundError: If there is none at this path.
        """
        return pq.read_table(self._full(path), filesystem=self._files)

    def _full(self, path: str) -> str:
        return str(PurePosixPath(self._root) / path)
