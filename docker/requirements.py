"""Print what a project needs, one requirement a line: to be installed before its own code is there.

python requirements.py pyproject.toml EXTRA...
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *(one for extra in sys.argv[2:] for one in extras[extra]), sep="\n")
