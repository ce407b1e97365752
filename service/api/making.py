"""Pages and tables of a sweep, made one at a time by the commands that make them here.

In a process of their own: they take much memory, and seconds of a core, neither of which a server
has for long; and nothing that a caller names is a path of ours.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from service.api.problems import NotMadeError
from service.home import Home, without_password

_PATIENCE_S = 600.0
# Between two looks whether somebody still waits.
_LOOK_S = 0.25


class Maker:
    """Makes one file at a time; the others wait, of each caller only one before the others'.

    Args:
        home: Of the sweeps.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._one_at_a_time = asyncio.Lock()
        # Of those who are waiting for something.
        self._one_of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def make(
        self,
        words: Sequence[str],
        folder: Path,
        *,
        caller: str,
        has_left: Callable[[], Awaitable[bool]],
    ) -> bool:
        """Run ``monosweep WORDS``, which write into a folder.

        Args:
            words: A command of ours, and what it is for.
            folder: Where it runs.
            caller: For whom.
            has_left: Whether nobody waits for it any more; then it is given up.

        Returns:
            Whether it was made.

        Raises:
            NotMadeError: If it fails, or takes too long.
        """
        making = asyncio.create_task(self._make_in_turn(words, folder, caller))
        try:
            while not making.done():
                if await has_left():
                    return False
                await asyncio.wait({making}, timeout=_LOOK_S)
            await making
        finally:
            making.cancel()
            await asyncio.wait({making})
        return True

    async def _make_in_turn(self, words: Sequence[str], folder: Path, caller: str) -> None:
        # Whoever asks for many waits for their own first, and then stands behind everybody else.
        of_caller = self._one_of.setdefault(caller, asyncio.Lock())
        async with of_caller, self._one_at_a_time:
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
                # Also where it is given up, or the server ends.
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise NotMadeError(without_password(said.decode(errors="replace").strip()))

    def _environment(self) -> dict[str, str]:
        # Where a file has the ledger's URL, the command reads it there as we did.
        ledger = {"MONOSWEEP_LEDGER_URL": self._home.ledger_url}
        return {
            **os.environ,
            **({} if os.environ.get("MONOSWEEP_LEDGER_URL_FILE") else ledger),
            # What is made of a server's sweeps is made here, whichever server its user asks.
            "MONOSWEEP_SERVER": "",
            "MONOSWEEP_HOME": str(self._home.path),
            "MLFLOW_TRACKING_URI": self._home.tracking_uri,
            "MONOSWEEP_STORAGE": self._home.storage,
        }


def new_folder() -> Path:
    """A folder for what is made for one caller; see ``remove``."""
    return Path(tempfile.mkdtemp(prefix="monosweep-"))


def remove(folder: Path) -> None:
    """Remove such a folder with what was made in it."""
    shutil.rmtree(folder, ignore_errors=True)
