"""What YAML files say, as Compose, kubectl and Ray read them."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def documents(path: Path) -> list[Any]:
    """A value for each of its documents."""
    yaml = YAML(typ="safe", pure=True)
    # They all read the older YAML, where ``0440`` is octal.
    yaml.version = (1, 1)
    return [one for one in yaml.load_all(path.read_text(encoding="utf-8")) if one is not None]
