"""Arrays and tensors that callers pass in instead of a file."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from impasto.errors import PictureError
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Stored

# Ours: float32 arithmetic on [0, 1] overshoots by about 1e-7 an operation; a real range error is larger by far.
ROUNDING = 1e-4


@runtime_checkable
class TensorLike(Protocol):
    """A torch tensor, known by its methods so that torch need not be imported."""

    def detach(self) -> "TensorLike":
        """Return the tensor without its gradient history."""
        ...

    def cpu(self) -> Any:
        """Return the tensor in main memory."""
        ...


def array_samples(array: Stored, name: str = "array") -> Samples:
    """Take an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, uint16, or float in [0, 1], sRGB.

    Raises:
        PictureError: Another shape or dtype, no pixels, NaN or infinity, or floats outside [0, 1].
    """
    array = np.asarray(array)  # a matrix always has two dimensions
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        hint = "; move the channels last" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise PictureError(f"{name} of shape {array.shape}: expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4){hint}")
    values = _levels(array, name)
    colours = 1 if array.shape[2] == 1 else 3
    return Samples(
        values=values[:, :, :colours],
        space="gray" if colours == 1 else "rgb",
        alpha=values[:, :, 3] if array.shape[2] == 4 else None,
        bits=8 if values.dtype == np.uint8 else 16,
    )


def tensor_samples(tensor: TensorLike) -> Samples:
    """Take a tensor (C, H, W) or (1, C, H, W), C = 1, 3 or 4: uint8, or float in [0, 1], sRGB.

    Raises:
        PictureError: As for `array_samples`, or a dtype that numpy does not know.
    """
    try:
        array = np.asarray(tensor.detach().cpu().numpy())
    except (TypeError, RuntimeError) as error:
        raise PictureError("tensor: numpy cannot hold its dtype; pass uint8 or float32") from error
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        raise PictureError(f"tensor of shape {array.shape}: expected (3, H, W), (4, H, W) or one of them in a batch")
    return array_samples(np.moveaxis(array, 0, -1), "tensor")


def _levels(array: Stored, name: str) -> Stored:
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        native: Stored = array.astype(array.dtype.newbyteorder("="), copy=False)
        return native
    if array.dtype.kind != "f":
        raise PictureError(f"{name} of {array.dtype}: expected uint8, uint16 or float in [0, 1]")
    if not np.isfinite(array).all():
        raise PictureError(f"{name}: holds NaN or infinity; every value must be in [0, 1]")
    low, high = float(array.min()), float(array.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise PictureError(
            f"{name}: floats run from {low:g} to {high:g}; expected [0, 1] (divide by 255, or pass uint8)"
        )
    clipped: Stored = np.clip(array, 0, 1).astype(np.float32)
    return clipped
