"""Precision, decided in one place: sums are taken in float32 or better, and float64 where the device has it."""

from typing import Final

import torch
from torch import Tensor

# Keeps what may be all zero from being divided by zero; far below the energy of any feature that is not.
TINY: Final = 1e-12


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float32, or float64 for float64: half precision overflows, or loses its digits, in sums of squares."""
    return torch.promote_types(dtype, torch.float32)


def widen(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 or better."""
    return tensor.to(wide_dtype(tensor.dtype))


def with_float64(tensor: Tensor) -> Tensor:
    """Return the tensor where float64 and eigenvalues exist: on the CPU if its device is Metal's, which has neither."""
    return tensor.cpu() if tensor.device.type == "mps" else tensor
