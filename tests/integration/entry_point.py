"""A command run in this process, by its own entry point: a new one takes seconds to begin."""

import io
import json
import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from service import cli


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and both streams."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """Standard error in one line."""
        return " ".join(self.err.split())

    def json(self) -> Any:
        """What it printed, which must be strict JSON."""
        return json.loads(self.out, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def called(*words: str, environment: Mapping[str, str]) -> Said:
    """Run ``monosweep WORDS`` with this environment and no other.

    Raises:
        Exception: Whatever a user would see as a traceback.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        with (
            patch.dict(os.environ, environment, clear=True),
            patch.object(sys, "argv", ["monosweep", *words]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        # Also for whoever looks into a test that failed.
        sys.stdout.write(out.getvalue())
        sys.stderr.write(err.getvalue())
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Said(words, code, out.getvalue(), err.getvalue())


def bare_environment() -> dict[str, str]:
    """This process's, bare of what a developer's own shell may point elsewhere or switch off."""
    elsewhere = ("MONOSWEEP_", "MLFLOW_", "RAY_", "AWS_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
