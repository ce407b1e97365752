"""Pages and tables of a sweep, made for one caller at a time by the commands that make them here.

In a process of their own: they take much memory, and seconds of a core, neither of which a server
has for long; and nothing that a caller names is a path of ours.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from service.api.problems import NotMadeError
from service.home import Home, without_password

_PATIENCE_S = 600.0


class Maker:
    """Makes one file at a time; the others wait.

    Args:
        home: Of the sweeps.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._one_at_a_time = asyncio.Lock()

    async def make(self, words: Sequence[str], folder: Path) -> None:
        """Run ``monosweep WORDS``, which write into a folder.

        Args:
            words: A command of ours, and what it is for.
            folder: Where it runs.

        Raises:
            NotMadeError: If it fails, or takes too long.
        """
        async with self._one_at_a_time:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "service", *words),
                cwd=folder,
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                _, said = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
            except TimeoutError:
                raise NotMadeError(f"It takes longer than {_PATIENCE_S:.0f} s to make.") from None
            finally:
                # Also where the caller has left, or the server ends.
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise NotMadeError(without_password(said.decode(errors="replace").strip()))

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            # What is made of a server's sweeps is made here, whichever server its user asks.
            "MONOSWEEP_SERVER": "",
            "MONOSWEEP_HOME": str(self._home.path),
            "MONOSWEEP_LEDGER_URL": self._home.ledger_url,
            "MLFLOW_TRACKING_URI": self._home.tracking_uri,
            "MONOSWEEP_STORAGE": self._home.storage,
        }


def new_folder() -> Path:
    """A folder for what is made for one caller; see ``remove``."""
    return Path(tempfile.mkdtemp(prefix="monosweep-"))


def remove(folder: Path) -> None:
    """Remove such a folder with what was made in it."""
    shutil.rmtree(folder, ignore_errors=True)
