"""What is kept between processes: in files by themselves, then in processes that train a cohort."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.kept_code import DIGEST_BYTES, keep_code, kept_or_compiled, read_code

DONT_WRITE = "PYTHONDONTWRITEBYTECODE"
# A cohort with a network that is wide enough for the kernels: whether it had to compile them, and
# the loss in all its bits.
CHILD = """
import json, sys
from service.cohort import Cohort, CohortTraining
from service.trials import Trial
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
            [sys.executable, "-c", CHILD, str(tmp_path / "storage")],
            capture_output=True,
            text=True,
            check=True,
            env={
                **{name: text for name, text in os.environ.items() if name != DONT_WRITE},
                "PYTHONPYCACHEPREFIX": str(tmp_path / "beside"),
            },
        )
        return json.loads(done.stdout)

    compiled, loss = trained()
    assert compiled
    assert len(kept(tmp_path)) == 1
    assert trained() == [False, loss]


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Python keeps what it compiles; the user's own cache is ``own``."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "beside"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    return tmp_path / "beside"


def test_it_is_compiled_once_for_each_name(beside: Path) -> None:
    compiled = iter([b"first", b"second", b"third"])
    assert kept_or_compiled("one", lambda: next(compiled)) == b"first"
    assert kept_or_compiled("one", lambda: next(compiled)) == b"first"
    assert kept_or_compiled("other", lambda: next(compiled)) == b"second"
    assert [path.name for path in kept(beside.parent)] == ["one.o", "other.o"]
    assert kept(beside) == kept(beside.parent)
    kept(beside)[0].write_bytes(b"half")
    assert kept_or_compiled("one", lambda: next(compiled)) == b"third"
    assert kept_or_compiled("one", lambda: next(compiled)) == b"third"


def test_where_the_program_cannot_be_written_the_users_own_cache_is(beside: Path) -> None:
    beside.write_text("not a folder")
    assert kept_or_compiled("one", lambda: b"code") == b"code"
    assert kept(beside.parent) == [beside.parent / "own" / "monosweep" / "one.o"]
    assert kept_or_compiled("one", lambda: b"not again") == b"code"


def test_where_nothing_can_be_written_it_is_compiled_each_time(beside: Path) -> None:
    beside.write_text("not a folder")
    (beside.parent / "own").write_text("nor this")
    assert kept_or_compiled("one", lambda: b"code") == b"code"
    assert kept_or_compiled("one", lambda: b"again") == b"again"


def test_where_python_may_keep_nothing_neither_do_we(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert kept_or_compiled("one", lambda: b"code") == b"code"
    assert kept(beside.parent) == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where code is kept."""
    path = tmp_path / "folder" / "kernels.o"
    assert keep_code(b"code", path)
    return path


def test_what_is_kept_is_read_and_only_its_owner_may_write_it(path: Path) -> None:
    assert read_code(path) == b"code"
    assert path.stat().st_mode & 0o777 == 0o644
    assert keep_code(b"other", path)
    assert read_code(path) == b"other"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("left", [0, 1, DIGEST_BYTES, DIGEST_BYTES + 3])
def test_what_is_not_whole_is_not_read(path: Path, left: int) -> None:
    path.write_bytes(path.read_bytes()[:left])
    assert read_code(path) is None


def test_what_is_not_what_was_kept_is_not_read(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"f")
    assert read_code(path) is None


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_what_others_may_write_is_not_read(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert read_code(path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_is_somebody_elses_is_not_read(path: Path) -> None:
    os.chown(path, 12345, -1)
    assert read_code(path) is None


def test_what_cannot_be_kept_leaves_nothing_behind(path: Path) -> None:
    path.unlink()
    path.mkdir()
    assert not keep_code(b"code", path)
    assert list(path.parent.iterdir()) == [path]
