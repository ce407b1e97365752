"""What this machine is: its processors, and the versions of what changes numbers."""

import platform
from importlib.metadata import version
from pathlib import Path

import psutil

_CPU_INFO = Path("/proc/cpuinfo")
_GPUS = Path("/proc/driver/nvidia/gpus")
# What Linux allows a container, in the second and the first version of its control groups; "max",
# a number beyond all memory, or no such file where it allows all.
_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def available_cpus() -> int:
    """Processors that this process may use."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count() or 1


def memory_bytes() -> int:
    """Memory of this machine, or what its container may have of it."""
    limits = (path.read_text().strip() for path in _MEMORY_LIMITS if path.exists())
    total = int(psutil.virtual_memory().total)
    return min([total, *(int(limit) for limit in limits if limit.isdecimal())])


def num_gpus() -> int:
    """NVIDIA's GPUs that Linux knows of, told without importing torch."""
    return len(list(_GPUS.glob("*"))) if _GPUS.exists() else 0


def has_bfloat16_products() -> bool:
    """Whether the processor multiplies matrices in bfloat16, told without importing torch."""
    flags = _cpu_info("flags").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def versions() -> dict[str, str]:
    """Versions of what changes numbers.

    Ours, torch's, numpy's draws, numba's machine code, the kind of processor.
    """
    return {
        "monosweep": version("monosweep"),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "processor": _cpu_info("model name") or platform.processor() or platform.machine(),
    }


def _cpu_info(key: str) -> str:
    """What Linux says of the first processor; empty elsewhere."""
    if not _CPU_INFO.exists():
        return ""
    lines = (line.split(":", 1) for line in _CPU_INFO.read_text().splitlines() if ":" in line)
    return next((value.strip() for name, value in lines if name.strip() == key), "")
