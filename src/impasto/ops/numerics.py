"""Precision in one place: sums in float32 or better, and float64 where the device has it."""

from typing import Final

import torch
from torch import Tensor

# Keeps divisors above 0; far below the energy of any features that are not all zero.
TINY: Final = 1e-12


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float64 for float64, else float32: half precision overflows, or loses its digits, in sums of squares."""
    return torch.promote_types(dtype, torch.float32)


def is_half(dtype: torch.dtype) -> bool:
    """Whether a dtype has half precision, which tensor cores multiply."""
    return dtype in (torch.float16, torch.bfloat16)


def has_mixed_products(tensor: Tensor) -> bool:
    """Whether products of the tensor, in half precision, can be summed and returned in float32 without a copy of it."""
    return tensor.device.type == "cuda" and is_half(tensor.dtype)


def widen(tensor: Tensor) -> Tensor:
    """Return the tensor in float32, or in float64 if it is that already."""
    return tensor.to(wide_dtype(tensor.dtype))


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64: Metal never does, Intel's GPUs not all."""
    return device.type in ("cpu", "cuda")


def widest_dtype(device: torch.device) -> torch.dtype:
    """Return float64 where the device has it, else float32."""
    return torch.float64 if has_float64(device) else torch.float32


def with_float64(tensor: Tensor) -> Tensor:
    """Return the tensor on a device with float64 and eigenvalues: its own, or the CPU."""
    return tensor if has_float64(tensor.device) else tensor.cpu()
