"""Kernels as functions: what they are called with, and whose machine code they are."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_float, c_int64, c_void_p

import pytest

from trainers.passes import compiled
from trainers.passes import kernels as sources

# Whether the process had to compile, what it asked for, and what came out.
CHILD = """
import json, sys
from pathlib import Path
from trainers import obtain_machine_code_by

asked = []
def obtain(name, compiled):
    asked.append(name)
    file = Path(sys.argv[1])
    if not file.exists():
        file.write_bytes(compiled())
    return file.read_bytes()

if sys.argv[1]:
    obtain_machine_code_by(obtain)
assert "llvmlite" not in sys.modules and "torch" not in sys.modules

import torch
from trainers.model import initial_weights
from trainers.passes.sparse import SparsePasses
for _ in range(2):
    passes = SparsePasses(initial_weights(0, 64, 16, 64, 0.0), 8, is_trained=False)
    outputs = passes.forward_(torch.ones(8, 16))
print(json.dumps(["numba" in sys.modules, asked, outputs.flatten().tolist()]))
"""


def process(argument):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, argument], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_who_keeps_it_is_asked_once_and_saves_the_next_process_from_compiling(tmp_path):
    has_compiled, asked, outputs = process("")
    assert has_compiled
    assert asked == []
    path = str(tmp_path / "code")
    assert process(path) == [True, [compiled.code_name()], outputs]
    assert process(path) == [False, [compiled.code_name()], outputs]


def test_threads_share_what_is_loaded(monkeypatch):
    monkeypatch.setattr(compiled, "_loaded", [])
    with ThreadPoolExecutor(4) as threads:
        first, *others = threads.map(lambda _: compiled.kernels(), range(4))
    assert all(other is first for other in others)
    assert len(compiled._loaded) == 1


@pytest.mark.parametrize("name", compiled.Kernels._fields)
def test_functions_are_called_as_the_kernels_say(name):
    """By ``ctypes``, which would pass anything."""
    expected = [
        kind if kind in (c_int64, c_float) else c_void_p
        for kind in getattr(sources, name).ctypes.argtypes
    ]
    function = getattr(compiled.kernels(), name)
    assert list(function.argtypes) == expected
    assert function.restype is None


@pytest.mark.parametrize(
    ("of", "name", "value"),
    [
        (compiled.llvm, "get_host_cpu_name", lambda: "another"),
        (compiled.llvm, "get_host_cpu_features", lambda: compiled.llvm.FeatureMap(avx=False)),
        (compiled.llvm, "get_default_triple", lambda: "another"),
        (compiled.llvmlite, "__version__", "another"),
        (compiled, "version", lambda _: "another"),
        (compiled, "_SIZES", (128, 16, 8)),
        (sys.implementation, "cache_tag", "another"),
    ],
)
def test_another_processor_or_compiler_has_another_name(monkeypatch, of, name, value):
    before = compiled.code_name()
    assert compiled.code_name() == before
    monkeypatch.setattr(of, name, value)
    assert compiled.code_name() != before


@pytest.mark.parametrize("place", range(3))
def test_another_source_has_another_name(monkeypatch, tmp_path, place):
    before = compiled.code_name()
    sources = list(compiled._SOURCES)
    sources[place] = tmp_path / "source.py"
    sources[place].write_text("another")
    monkeypatch.setattr(compiled, "_SOURCES", sources)
    assert compiled.code_name() != before


def test_other_settings_of_numbas_have_another_name(monkeypatch, tmp_path):
    before = compiled.code_name()
    monkeypatch.setenv("NUMBA_OPT", "1")
    assert compiled.code_name() != before
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert compiled.code_name() == before
    (tmp_path / ".numba_config.yaml").write_text("opt: 1")
    assert compiled.code_name() != before


def test_what_would_need_numba_to_run_is_refused(monkeypatch):
    monkeypatch.setenv("NUMBA_OPT", "0")
    done = subprocess.run(
        [sys.executable, "-c", "from trainers.passes.compiled import kernels; kernels()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unset NUMBA_OPT." in done.stderr
