"""Which numbers the matrix products use."""

import torch

PRODUCT_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def bfloat16_is_native(device: str = "cpu") -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware.

    Args:
        device: A torch device, such as ``"cpu"`` or ``"cuda"``.
    """
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported(False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
