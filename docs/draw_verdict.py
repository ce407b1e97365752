"""Draw what a sweep prints at its end as a picture for the README.

Usage: python docs/draw_verdict.py SWEEP docs/verdict.svg
"""

import sys
from io import StringIO

from rich.console import Console

from service.display import verdict_view
from service.home import Home
from service.ledger import Ledger
from service.recorded import verdict_of


def main(name: str, path: str) -> None:
    """Write the picture of a sweep's verdict to ``path``."""
    home = Home.from_environment()
    verdict = verdict_of(Ledger(home.ledger_url, create=False).sweep(name))
    console = Console(record=True, width=84, file=StringIO())
    console.print(f"$ monosweep run {name}", style="bold", highlight=False)
    console.print(verdict_view(verdict, "sqlite:///monosweep-home/mlflow.db"))
    console.save_svg(path, title="monosweep")


if __name__ == "__main__":
    main(*sys.argv[1:])
