"""Where the big parts of a sweep lie: a folder, ``s3://`` or ``gs://``, through one interface."""

from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq


class Storage:
    """Files below one root; paths are relative to it and use ``/``.

    Args:
        uri: A folder's path, or a URI that ``pyarrow.fs`` understands.
    """

    def __init__(self, uri: str) -> None:
        if "://" in uri:
            self._files, self._root = pyarrow.fs.FileSystem.from_uri(uri)
        else:
            self._files, self._root = pyarrow.fs.LocalFileSystem(), uri

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
