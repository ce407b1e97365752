"""One version everywhere: what is built is what is pushed and pulled."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_tag_is_the_programs_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    found = {
        f"{path.relative_to(ROOT)}: {tag}"
        for path in sorted((ROOT / "docker").rglob("*"))
        if path.is_file()
        for tag in re.findall(
            r"(?:monosweep:(?:\$\{\w+:-)?|newTag: |VERSION` \| .* \| `)(\d+\.\d+\.\d+)",
            path.read_text(),
        )
    }
    assert {one.partition(":")[0] for one in found} >= {
        "docker/Dockerfile",
        "docker/README.md",
        "docker/compose.yaml",
        "docker/kuberay/kustomization.yaml",
    }
    assert {one for one in found if not one.endswith(f": {version}")} == set()
