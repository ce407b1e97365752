"""Files are written whole, all of them, or not at all."""

from pathlib import Path
from typing import BinaryIO

import pytest

from service.errors import ServerAwayError, UserError
from service.whole_files import write_whole


def said(text: bytes):  # type: ignore[no-untyped-def]
    def write(file: BinaryIO) -> None:
        file.write(text)

    return write


def breaks_off(file: BinaryIO) -> None:
    file.write(b"half")
    raise ServerAwayError("it broke off.")


def test_all_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    written = write_whole({folder / "a": said(b"1"), folder / "b": said(b"2")}, "folder")
    assert [path.read_bytes() for path in written] == [b"1", b"2"]
    assert len(list(folder.iterdir())) == 2


def test_none_is_where_one_breaks_off_and_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ServerAwayError):
        write_whole({tmp_path / "a": said(b"new"), tmp_path / "b": breaks_off}, "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_folder_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output must be a folder that can be written"):
        write_whole({tmp_path / "file" / "a": said(b"")}, "folder")
