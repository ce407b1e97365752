"""The files of ``docker/``, read once."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from yaml_files import documents

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def folder() -> Path:
    """The folder ``docker/``."""
    return ROOT / "docker"


@pytest.fixture(scope="session")
def compose(folder: Path) -> dict[str, Any]:
    """The compose file."""
    (found,) = documents(folder / "compose.yaml")
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def manifests(folder: Path) -> list[dict[str, Any]]:
    """Every object of Kubernetes, the templates of secrets too."""
    return [
        one
        for path in sorted((folder / "kuberay").glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for one in documents(path)
    ]
