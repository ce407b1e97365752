"""What is kept between processes: in files by themselves, then in processes that train a cohort."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.kept_code import DIGEST_BYTES, kept_or_compiled

# A cohort with a network that is wide enough for the kernels: whether it had to compile them, and
# the loss in all its bits.
CHILD = """
import json, sys
import torch, trainers.training
from service.cohort import Cohort, CohortTraining
from service.trials import Trial
# From here on: not what is imported above, which would take Python as long to compile.
sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[2]
settings = dict(num_neurons=512, nonlinearity="relu", learning_rate=0.02)
settings |= dict(initial_bias=0.0, bias_decay=0.0, l1=0.0)
trial = Trial(
    phase="search", number=0, settings=settings, varied=(), seeds=(3,), cohort_id="search-0"
)
task = dict(kind="feature_decoder", num_features=64, num_inputs=16, feature_density=0.03125)
training = CohortTraining(Cohort(
    sweep="s", cohort_id="search-0", attempt=1, trials=(trial,), task=task,
    training=dict(num_steps=4, batch_size=32, precision="float32"),
    num_threads=1, storage=sys.argv[1], checkpoint_s=30.0,
))
while not training.is_finished:
    training.advance(60.0)
training.close()
print(json.dumps(["numba" in sys.modules, training.results()[0].metrics["loss"].hex()]))
"""


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.o"))


def test_the_first_worker_compiles_and_the_next_one_computes_the_same_without(
    tmp_path: Path,
) -> None:
    def trained() -> Any:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path / "storage"), str(tmp_path / "beside")],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    compiled, loss = trained()
    assert compiled
    assert len(kept(tmp_path / "beside")) == 1
    assert trained() == [False, loss]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Python keeps what it compiles."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "beside"))
    return tmp_path / "beside"


def test_it_is_compiled_once_for_each_name(folder: Path) -> None:
    compiled = iter([b"first", b"second"])
    assert kept_or_compiled("one", lambda: next(compiled)) == b"first"
    assert kept_or_compiled("one", lambda: next(compiled)) == b"first"
    assert kept_or_compiled("other", lambda: next(compiled)) == b"second"
    assert [path.name for path in kept(folder)] == ["one.o", "other.o"]
    assert {path for path in folder.rglob("*") if path.is_file()} == set(kept(folder))


@pytest.mark.parametrize(
    "damaged",
    [
        lambda data: b"",
        lambda data: data[:1],
        lambda data: data[:DIGEST_BYTES],
        lambda data: data[:-1],
        lambda data: data[:-1] + b"?",
        lambda data: b"?" + data[1:],
    ],
)
def test_what_is_not_whole_is_compiled_anew(
    folder: Path, damaged: Callable[[bytes], bytes]
) -> None:
    kept_or_compiled("one", lambda: b"code")
    (path,) = kept(folder)
    path.write_bytes(damaged(path.read_bytes()))
    assert kept_or_compiled("one", lambda: b"again") == b"again"
    assert kept_or_compiled("one", lambda: b"not again") == b"again"


def test_what_has_another_ones_name_is_compiled_anew(folder: Path) -> None:
    kept_or_compiled("one", lambda: b"code")
    (path,) = kept(folder)
    path.rename(path.with_name("other.o"))
    assert kept_or_compiled("other", lambda: b"other") == b"other"


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_nobody_else_may_write_it(folder: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        kept_or_compiled("one", lambda: b"code")
    finally:
        os.umask(before)
    (path,) = kept(folder)
    assert path.stat().st_mode & 0o777 == 0o644 & ~mask


def test_where_it_cannot_be_kept_each_process_compiles(folder: Path) -> None:
    folder.write_text("not a folder")
    assert kept_or_compiled("one", lambda: b"code") == b"code"
    assert kept_or_compiled("one", lambda: b"again") == b"again"


def test_where_python_may_keep_nothing_neither_do_we(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert kept_or_compiled("one", lambda: b"code") == b"code"
    assert kept(folder) == []


def test_what_cannot_be_kept_leaves_nothing_behind(folder: Path) -> None:
    kept_or_compiled("one", lambda: b"code")
    (path,) = kept(folder)
    path.unlink()
    path.mkdir()
    assert kept_or_compiled("one", lambda: b"code") == b"code"
    assert list(path.parent.iterdir()) == [path]
