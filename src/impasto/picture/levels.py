"""Integers of the full range, and floats in [0, 1]."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impasto.errors import PictureError
from impasto.system.text import printable

# Numbers as a file stores them: uint8 and uint16 of the full range, float32, or what a decoder returns.
Stored = NDArray[Any]
Floats = NDArray[np.float32]


# Ours: converting colours takes up to 40 bytes for each pixel of a band, and as long as 50,000 pixels to set up.
_BAND: Final = 1 << 19  # pixels


def bands(height: int, width: int) -> Iterator[slice]:
    """Yield the rows of a picture in bands, so that what is computed of one band takes little memory."""
    rows = max(1, _BAND // width)
    return (slice(top, top + rows) for top in range(0, height, rows))


def to_unit_range(values: Stored) -> Floats:
    """Return uint8 or uint16 of the full range as float32 in [0, 1]; float32 as it is."""
    if values.dtype.kind == "f":
        floats: Floats = values.astype(np.float32, copy=False)
    else:
        floats = np.divide(values, np.float32(np.iinfo(values.dtype).max), dtype=np.float32)
    return floats


def quantize(values: Floats, dtype: type[np.uint8] | type[np.uint16]) -> Stored:
    """Return values in [0, 1] as integers of the full range, rounded to the nearest."""
    top = np.float32(np.iinfo(dtype).max)
    integers: Stored = np.floor(values * top + np.float32(0.5)).astype(dtype)
    return integers


def unit_floats(values: Stored, name: str) -> tuple[Floats, list[str]]:
    """Return a float picture from a file as float32 in [0, 1], and a note if some of it was clipped.

    Raises:
        PictureError: NaN or infinity, or more than half of it outside [0, 1]: then the scale is another one.
    """
    if not np.isfinite(values).all():
        raise PictureError(f"{printable(name)}: its floats hold NaN or infinity; every value must be in [0, 1]")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values.astype(np.float32), []
    if np.count_nonzero((values < 0) | (values > 1)) > values.size / 2:
        raise PictureError(
            f"{printable(name)}: its floats run from {low:g} to {high:g}; expected [0, 1]: scale them first"
        )
    note = f"The floats run from {low:g} to {high:g}; what is outside [0, 1] was clipped."
    return np.clip(values, 0, 1).astype(np.float32), [note]
