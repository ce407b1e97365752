"""The page as a file."""

from pathlib import Path

from service.opened import OpenSweep
from service.report.story import page
from service.whole_files import write_whole


def write_report(sweep: OpenSweep, path: Path) -> None:
    """Write the whole page or none of it.

    Raises:
        UserError: If the file cannot be written.
        StorageError: If curves or neurons that the ledger names are gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    html = page(sweep).encode()
    write_whole({path: lambda file: file.write(html)}, "file")
