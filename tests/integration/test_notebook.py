"""The README's example for notebooks does what it says, and may be run again."""

import re
import subprocess
import sys
from pathlib import Path

from entry_point import bare_environment
from shell import PATIENCE_S, write_spec

README = Path(__file__).parents[2] / "README.md"


def test_the_example_runs_a_sweep_and_then_only_opens_it(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    spec = write_spec(tmp_path, **{"name: tiny": "name: my-sweep"})
    spec.rename(tmp_path / "my-sweep.yaml")
    (tmp_path / "example.py").write_text(example)
    for trains in (True, False):
        done = subprocess.run(
            [sys.executable, "example.py"],
            cwd=tmp_path,
            env=bare_environment() | {"MONOSWEEP_SHOWCASE": "off"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert ("search 4/4" in done.stderr) is trains
        # The verdict, a table of trials by pandas, and curves with the columns of export.
        assert re.search(r"winner", done.stdout, re.IGNORECASE)
        assert "search/" in done.stdout
        assert "monosemantic_per_feature" in done.stdout
    assert (tmp_path / "monosweep-home" / "ledger.db").exists()
