"""All benchmarks of ours alone write one form of file."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from results import row, write


def test_the_file_has_what_the_others_have(tmp_path: Path) -> None:
    write(tmp_path / "new" / "x.json", [row("a case", 1.5)], ["ray"], memory={"a case": 2.0})
    found = json.loads((tmp_path / "new" / "x.json").read_text())
    assert list(found) == ["machine", "versions", "rows", "limit", "memory", "breakdown"]
    assert found["versions"] == {"ray": version("ray")}
    assert found["rows"] == [
        {"case": "a case", "ours": 1.5, "other": None, "ratio": None, "unit": "s"}
    ]
    assert found["memory"] == {"a case": 2.0}
