"""All benchmarks of ours alone write one form of file."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from results import row, whole, write


def test_the_file_has_what_the_others_have(tmp_path: Path) -> None:
    told = whole(
        [row("a case", 1.5)],
        ["ray"],
        machine={"cores": 2, "threads": 1},
        memory={"a case": 2.0},
        more_of_it=[3],
    )
    write(tmp_path / "new" / "x.json", told)
    found = json.loads((tmp_path / "new" / "x.json").read_text())
    assert list(found) == [
        "machine", "versions", "rows", "limit", "memory", "breakdown", "more_of_it",
    ]  # fmt: skip
    assert found["machine"].keys() == {"processor", "cores", "threads"}
    assert (found["machine"]["cores"], found["machine"]["threads"]) == (2, 1)
    assert (found["limit"], found["more_of_it"]) == (None, [3])
    assert found["versions"] == {"ray": version("ray")}
    assert found["rows"] == [
        {"case": "a case", "ours": 1.5, "other": None, "ratio": None, "unit": "s"}
    ]
    assert found["memory"] == {"a case": 2.0}
