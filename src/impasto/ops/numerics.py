"""Precision in one place: sums in float32 or better, and float64 where the device has it."""

from typing import Final

import torch
from torch import Tensor

# Keeps divisors above 0; far below the energy of any features that are not all zero.
TINY: Final = 1e-12


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float64 for float64, else float32: half precision overflows, or loses its digits, in sums of squares."""
    return torch.promote_types(dtype, torch.float32)


def widen(tensor: Tensor) -> Tensor:
    """Return the tensor in float32, or in float64 if it is that already."""
    return tensor.to(wide_dtype(tensor.dtype))


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64: Metal does not, nor do most of Intel's GPUs."""
    return device.type not in ("mps", "xpu")


def with_float64(tensor: Tensor) -> Tensor:
    """Return the tensor on a device with float64 and eigenvalues: the CPU instead of Metal, which has neither."""
    return tensor if has_float64(tensor.device) else tensor.cpu()
