#!/opt/monosweep/bin/python
"""End the drivers of sweeps in this container in good order, before its Ray is ended.

    drain [SECONDS]

Each is sent SIGTERM: it has the cohorts at work leave checkpoints, and leaves itself. Whoever
drives the sweep next goes on from there. Exits 1 if one is still there after so long (120 s if not
said).
"""

import sys
from contextlib import suppress
from itertools import pairwise

import psutil

PATIENCE_S = 120.0
DRIVING = ("run", "resume")


def is_driver(words: list[str]) -> bool:
    """Whether a command line is ``python -m service resume ...``, or ``monosweep resume ...``."""
    return any(
        after in DRIVING and (program == "service" or program.endswith("/monosweep"))
        for program, after in pairwise(words)
    )


def drivers() -> list[psutil.Process]:
    """Those of this container: a container sees no other processes."""
    found = []
    for process in psutil.process_iter():
        # Some are gone by now, some are not ours to look at.
        with suppress(psutil.Error):
            if is_driver(process.cmdline()):
                found.append(process)
    return found


def main() -> int:
    """Send each the signal once, since a second one has it leave without a checkpoint."""
    patience_s = float(sys.argv[1]) if len(sys.argv) > 1 else PATIENCE_S
    asked = drivers()
    for process in asked:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    left, still_there = psutil.wait_procs(asked, timeout=patience_s)
    print(f"drain: {len(left)} drivers left, {len(still_there)} still there", file=sys.stderr)
    return 1 if still_there else 0


if __name__ == "__main__":
    sys.exit(main())
