"""The files for Ray's cluster launcher, by Ray's own check."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from yaml_files import documents

CLOUDS = ("aws", "gcp")


@pytest.fixture(params=CLOUDS)
def cluster(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    (found,) = documents(folder / "clusters" / f"{request.param}-spot.yaml")
    assert isinstance(found, dict)
    return found


def test_ray_takes_it(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(cluster))


def test_the_head_stays_and_the_workers_are_spot_machines(cluster: dict[str, Any]) -> None:
    nodes = cluster["available_node_types"]
    assert cluster["head_node_type"] == "head"
    assert nodes["head"]["resources"] == {"CPU": 0}
    said = {name: str(node["node_config"]).lower() for name, node in nodes.items()}
    assert "spot" in said["spot"]
    assert "spot" not in said["head"]
    assert 1 <= nodes["spot"]["min_workers"] < nodes["spot"]["max_workers"]


def test_what_is_copied_to_machines_is_there_or_a_secret(
    cluster: dict[str, Any], folder: Path
) -> None:
    for source in cluster["file_mounts"].values():
        is_secret = source.startswith("docker/secrets/")
        assert is_secret or (folder.parent / source).exists(), source
    assert "docker/secrets" in cluster["rsync_exclude"]


def test_rays_dashboard_listens_on_loopback_only(cluster: dict[str, Any]) -> None:
    (start,) = [line for line in cluster["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in start


def test_all_nodes_run_with_the_environment_that_asks_for_rays_token(
    cluster: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    for who, file in (("head", "head-environment"), ("worker", "environment")):
        for line in cluster[f"{who}_start_ray_commands"]:
            assert line.startswith(f". ~/.monosweep/{file} && ray "), line
        known = _environment(cluster, file, folder, tmp_path)
        assert known["RAY_AUTH_MODE"] == "token"
        assert known["PATH"].startswith(f"{tmp_path}/monosweep/bin:")


def test_the_head_alone_has_the_ledgers_secret(
    cluster: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    """What is in ``file_mounts`` goes to every machine."""
    mounted = {source for source in cluster["file_mounts"].values() if "secret" in source}
    assert mounted == {"docker/secrets/ray_token"}
    on_head = _environment(cluster, "head-environment", folder, tmp_path)
    assert on_head["MONOSWEEP_LEDGER_URL_FILE"] == f"{tmp_path}/.monosweep/ledger_url"
    on_workers = _environment(cluster, "environment", folder, tmp_path)
    assert not [name for name in on_workers if "LEDGER" in name]
    said = (folder / "README.md").read_text(encoding="utf-8")
    brought = "ray rsync-up docker/clusters/aws-spot.yaml docker/secrets/ledger_url "
    assert f"{brought}'~/.monosweep/ledger_url'\n" in said


def _environment(cluster: dict[str, Any], file: str, folder: Path, home: Path) -> dict[str, str]:
    """What a shell has that reads a file as it lies on a machine."""
    for there, source in cluster["file_mounts"].items():
        if source.startswith("docker/clusters/"):
            (home / ".monosweep").mkdir(exist_ok=True)
            shutil.copy(folder.parent / source, home / there.removeprefix("~/"))
    said = subprocess.run(
        ["sh", "-euc", '. "$0" && env', home / ".monosweep" / file],
        check=True,
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
    ).stdout
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def test_torch_is_the_one_that_everything_else_was_tried_with(
    cluster: dict[str, Any], folder: Path
) -> None:
    (pinned,) = re.findall(
        r"^torch==.*$", (folder.parent / "constraints.txt").read_text(encoding="utf-8"), re.M
    )
    assert any(line.endswith(f" {pinned}") for line in cluster["setup_commands"])
    assert f"ARG TORCH={pinned}\n" in (folder / "Dockerfile").read_text(encoding="utf-8")
