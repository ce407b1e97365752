"""The kernels' machine code from somewhere else; ``test_kernels`` says what they compute."""

import json
import subprocess
import sys

import pytest

# Whether the process had to compile, what it asked for, and what came out.
CHILD = """
import json, sys
from pathlib import Path
import torch
from trainers import obtain_machine_code_by
from trainers.model import initial_weights
from trainers.passes.sparse import SparsePasses

asked = []
def obtain(name, compiled):
    asked.append(name)
    file = Path(sys.argv[1])
    if not file.exists():
        file.write_bytes(compiled())
    return file.read_bytes()

if sys.argv[1]:
    obtain_machine_code_by(obtain)
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


@pytest.fixture(scope="module")
def outputs():
    """Of a process that was told of nobody to ask."""
    compiled, asked, outputs = process("")
    assert compiled
    assert asked == []
    return outputs


def test_who_keeps_it_is_asked_once_and_saves_the_next_process_from_compiling(outputs, tmp_path):
    compiled, (name,), found = process(str(tmp_path / "code"))
    assert compiled
    assert found == outputs
    assert process(str(tmp_path / "code")) == [False, [name], outputs]
