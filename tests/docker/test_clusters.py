"""The files for Ray's cluster launcher, by Ray's own check."""

import os
import re
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
    cluster: dict[str, Any], folder: Path
) -> None:
    for line in (*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"]):
        assert line.startswith(". ~/.monosweep/environment && ray "), line
    said = subprocess.run(
        ["sh", "-euc", '. "$0" && env', folder / "clusters" / "environment"],
        check=True,
        capture_output=True,
        text=True,
        env={"HOME": "/home/ada", "PATH": os.environ["PATH"]},
    ).stdout
    known = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    assert known["RAY_AUTH_MODE"] == "token"
    assert known["MONOSWEEP_LEDGER_URL_FILE"] == "/home/ada/.monosweep/ledger_url"
    assert known["PATH"].startswith("/home/ada/monosweep/bin:")


def test_torch_is_the_one_that_everything_else_was_tried_with(
    cluster: dict[str, Any], folder: Path
) -> None:
    (pinned,) = re.findall(
        r"^torch==.*$", (folder.parent / "constraints.txt").read_text(encoding="utf-8"), re.M
    )
    assert any(line.endswith(f" {pinned}") for line in cluster["setup_commands"])
    assert f"ARG TORCH={pinned}\n" in (folder / "Dockerfile").read_text(encoding="utf-8")
