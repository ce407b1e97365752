"""The page as a file."""

from pathlib import Path

from service.errors import UserError
from service.home import Home
from service.opened import OpenSweep
from service.report.story import page


def write_report(sweep: OpenSweep, home: Home, output: Path | None = None) -> Path:
    """Write the whole page or none of it; where it is.

    Args:
        sweep: The sweep.
        home: Where it is written unless told otherwise, as ``reports/NAME.html``.
        output: Another file.

    Raises:
        UserError: If the file cannot be written.
        StorageError: If curves or neurons that the ledger names are gone or damaged.
        StorageAwayError: If the storage does not answer.
    """
    path = output or home.report(sweep.name)
    html = page(sweep)
    # One for all tries: what one of them left is written over by the next.
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(html, encoding="utf-8")
        return partial.replace(path)
    except OSError as error:
        raise UserError(
            f"--output must be a file that can be written, found: {error}. Name another."
        ) from error
