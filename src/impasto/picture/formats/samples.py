"""A picture as a file stores it: what decoders return and encoders take."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from impasto.picture.code_points import named_colors
from impasto.picture.levels import Stored
from impasto.picture.metadata import Credits
from impasto.picture.profiles import Space

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Samples:
    """A decoded picture as its file stores it.

    Attributes:
        values: (H, W, C): uint8 and uint16 of the full range or float32 in [0, 1]. C is 1 for "gray", 3 for "rgb",
            4 for "cmyk" (1 is full ink) and 3 for "lab" (float32, L in [0, 100], a and b in [-128, 128), D50).
        space: What the channels mean.
        alpha: (H, W), the same kinds of numbers, not premultiplied; or None.
        orientation: EXIF orientation, 1 to 8.
        icc_profile: The profile in the file.
        assumed_profile: A profile to use where the file has none (PNG gamma, the camera standard's Adobe RGB).
        bits: 8 or 16, what the file could tell apart.
        dpi: (x, y) as stored, before turning.
        credits: What the file says of the photo's making.
        notes: Plain sentences for a person.
        document: How the picture was painted, as JSON to be written with it. Empty for nothing, and by decoders.
    """

    values: Stored
    space: Space
    alpha: Stored | None = None
    orientation: int = 1
    icc_profile: bytes | None = None
    assumed_profile: bytes | None = None
    bits: int = 8
    dpi: tuple[float, float] | None = None
    credits: Credits = Credits()
    notes: tuple[str, ...] = ()
    document: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), px, as stored."""
        return self.values.shape[0], self.values.shape[1]


def with_code_points(samples: Samples, points: tuple[int, int] | None) -> Samples:
    """Return RGB samples whose colours are those that code points name, whatever profile they had; others unchanged.

    Args:
        samples: as decoded.
        points: primaries and transfer of ITU-T H.273; None where a file has none.

    """
    if points is None or samples.space != "rgb":
        return samples
    named = named_colors(*points)
    notes = (*samples.notes, *named.notes)
    return replace(samples, icc_profile=None, assumed_profile=named.profile, notes=notes)


def upright(values: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Return (H, W, ...) turned and mirrored as EXIF orientation 1 to 8 says; anything else is taken as 1."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values
