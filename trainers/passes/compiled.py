"""The kernels as functions that are called with addresses.

Numba takes two to three seconds to make LLVM's code of them, as long as a small network trains, so
``trainers.machine_code`` is asked whether another process did that before. It has an object file,
made by llvmlite of what numba made: to load it takes a tenth of a second, and no numba.
"""

import os
import sys
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_float, c_int64, c_void_p
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import llvmlite
from llvmlite import binding as llvm

from trainers.machine_code import machine_code
from trainers.sizes import AT_A_TIME, NUM_LANES, NUM_SUMS

# What the kernels are made of, and this; of ``sizes`` they have numbers that are named beside them.
_SOURCES = [Path(__file__).with_name(name) for name in ("kernels.py", "lanes.py", "compiled.py")]
_SIZES = AT_A_TIME, NUM_LANES, NUM_SUMS
# Numba's own settings are in the environment, and here.
_NUMBAS_FILE = Path(".numba_config.yaml")
# Of the C library; what else machine code calls, numba alone has.
_KNOWN_FUNCTIONS = {"memset", "memcpy", "memmove"}

# Sizes, arrays and numbers, as the kernels' own signatures have them.
_PROTOTYPES = {
    "find_active": CFUNCTYPE(None, *(c_int64,) * 6, *(c_void_p,) * 10),
    "add_up": CFUNCTYPE(None, *(c_int64,) * 3, *(c_void_p,) * 7),
    "backward": CFUNCTYPE(
        None, *(c_int64,) * 4, *(c_void_p,) * 6, *(c_float,) * 2, *(c_void_p,) * 4
    ),
}


class Kernels(NamedTuple):
    """The functions of ``kernels``. Their arguments are the same; for an array, its address.

    They hold no lock of Python's while they run. Nothing is checked.
    """

    find_active: Callable[..., None]
    add_up: Callable[..., None]
    backward: Callable[..., None]


_loading = Lock()
# With what they run in, which must stay as long as they can be called: they are bare addresses.
_loaded: list[tuple[Kernels, llvm.ExecutionEngine]] = []


def kernels() -> Kernels:
    """The kernels of this process."""
    with _loading:
        if not _loaded:
            _loaded.append(_load())
        return _loaded[0][0]


def _load() -> tuple[Kernels, llvm.ExecutionEngine]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    code = machine_code(code_name(), _compiled)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _processor())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    found = {name: engine.get_function_address(name) for name in _PROTOTYPES}
    if not all(found.values()):
        raise RuntimeError(f"The kernels' machine code must have all of them, found {found}.")
    return Kernels(**{name: _PROTOTYPES[name](found[name]) for name in found}), engine


def code_name() -> str:
    """A name that changes with whatever changes the code: sources, compilers, the processor."""
    made_of = (
        *(path.read_bytes() for path in _SOURCES),
        _SIZES,
        *(version("numba"), llvmlite.__version__, sys.implementation.cache_tag),
        llvm.get_default_triple(),
        *(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()),
        *sorted(f"{name}={one}" for name, one in os.environ.items() if name.startswith("NUMBA_")),
        _NUMBAS_FILE.read_bytes() if _NUMBAS_FILE.is_file() else b"",
    )
    return f"kernels-{blake2b(repr(made_of).encode(), digest_size=16).hexdigest()}"


def _processor() -> llvm.TargetMachine:
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        jit=True,
    )


def _compiled() -> bytes:
    """An object file with a function for each kernel, of its name.

    Raises:
        RuntimeError: If it would need numba to run.
    """
    # Importing it is what takes so long.
    from trainers.passes import kernels as sources  # noqa: PLC0415

    linked = llvm.parse_assembly("")
    for name in _PROTOTYPES:
        kernel = getattr(sources, name)
        module = llvm.parse_assembly(kernel.inspect_llvm())
        module.get_function(kernel.native_name).name = name
        linked.link_in(module)
    called = {one.name for one in linked.functions if one.is_declaration}
    unknown = {name for name in called if not name.startswith("llvm.")} - _KNOWN_FUNCTIONS
    if unknown:
        raise RuntimeError(
            f"Kernels must need nothing of numba's when they run, found that they call "
            f"{sorted(unknown)}. Numba leaves that in where it is told not to optimise: unset "
            "NUMBA_OPT."
        )
    code: bytes = _processor().emit_object(linked)
    return code
