"""The kernels' machine code: compiled, or had from whoever kept what another process compiled.

Numba takes two to three seconds to compile the kernels, as long as a small network trains. The code
is an object file, which needs no numba.
"""

import os
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_float, c_int64, c_void_p
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import llvmlite
from llvmlite import binding as llvm

_SOURCES = [Path(__file__).with_name(name) for name in ("kernels.py", "lanes.py")]
# Given a name that tells all that the code depends on, and what compiles it.
Obtain = Callable[[str, Callable[[], bytes]], bytes]


class Kernels(NamedTuple):
    """The functions of ``kernels``, compiled; each takes what it takes there, of arrays addresses.

    They hold no lock of Python's while they run.
    """

    find_active: Callable[..., None]
    add_up: Callable[..., None]
    backward: Callable[..., None]


_PROTOTYPES = (
    CFUNCTYPE(None, *(c_int64,) * 6, *(c_void_p,) * 10),
    CFUNCTYPE(None, *(c_int64,) * 3, *(c_void_p,) * 7),
    CFUNCTYPE(None, *(c_int64,) * 4, *(c_void_p,) * 6, *(c_float,) * 2, *(c_void_p,) * 4),
)
_obtain: list[Obtain] = []


def obtain_machine_code_by(obtain: Obtain) -> None:
    """Ask for machine code from here on, where this process has none yet.

    Args:
        obtain: Gets a name and a function that compiles. It returns what that function did for this
            name, now or in another process, and vouches for it: it is run as it is.
    """
    _obtain[:] = [obtain]


@cache
def kernels() -> Kernels:
    """The kernels of this process."""
    engine = _engine()
    addresses = map(engine.get_function_address, Kernels._fields)
    return Kernels(*(made(at) for made, at in zip(_PROTOTYPES, addresses, strict=True)))


@cache  # The functions are its own, and end with it.
def _engine() -> llvm.ExecutionEngine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    code = _obtain[0](_name(), _compiled) if _obtain else _compiled()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _processor())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _name() -> str:
    """Another one for other sources, another numba or processor."""
    made_of = (
        *(path.read_text(encoding="utf-8") for path in (*_SOURCES, Path(__file__))),
        *(version("numba"), llvmlite.__version__),
        *(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()),
        # Numba's own settings.
        *(f"{name}={value}" for name, value in sorted(os.environ.items()) if name[:6] == "NUMBA_"),
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
    """An object file with a function for each kernel, of its name."""
    # Importing it is what takes so long.
    from trainers.passes import kernels as sources  # noqa: PLC0415

    linked = llvm.parse_assembly("")
    for name in Kernels._fields:
        kernel = getattr(sources, name)
        module = llvm.parse_assembly(kernel.inspect_llvm())
        module.get_function(kernel.native_name).name = name
        linked.link_in(module)
    code: bytes = _processor().emit_object(linked)
    return code
