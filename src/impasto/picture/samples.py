"""What a decoder found, and how it becomes a `Picture`: colour to sRGB, turned upright, hidden colours taken out."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from impasto.picture.levels import unit
from impasto.picture.metadata import Credits
from impasto.picture.picture import Picture
from impasto.picture.profiles import Space, to_srgb

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
    """

    values: NDArray[Any]
    space: Space
    alpha: NDArray[Any] | None = None
    orientation: int = 1
    icc_profile: bytes | None = None
    assumed_profile: bytes | None = None
    bits: int = 8
    dpi: tuple[float, float] | None = None
    credits: Credits = Credits()
    notes: tuple[str, ...] = ()


def develop(samples: Samples, source: str, sha256: str | None = None) -> Picture:
    """Return the samples as a `Picture`: upright, sRGB, colours under transparent pixels replaced.

    A pixel of alpha 0 stores a colour that nobody ever saw. It is replaced by the mean sRGB colour of the visible
    pixels, weighted by alpha (mid-grey where nothing is visible): so it adds no edge and no hue of its own, and the
    picture's mean colour stays that of its visible part. Alpha that is 1 everywhere says nothing and is dropped.

    `sha256` is that of the file.
    """
    colour, note = to_srgb(samples.values, samples.space, samples.icc_profile or samples.assumed_profile)
    pixels = np.ascontiguousarray(np.moveaxis(upright(colour, samples.orientation), -1, 0))
    alpha = None
    if samples.alpha is not None:
        alpha = np.ascontiguousarray(upright(unit(samples.alpha), samples.orientation))
        if (alpha == 1).all():
            alpha = None
        else:
            _replace_hidden(pixels, alpha)
    dpi = samples.dpi[::-1] if samples.dpi and samples.orientation >= 5 else samples.dpi
    return Picture(
        pixels=pixels,
        alpha=alpha,
        icc_profile=samples.icc_profile,
        bits=samples.bits,
        dpi=dpi,
        source=source,
        sha256=sha256,
        credits=samples.credits,
        notes=samples.notes + ((note,) if note else ()),
    )


def upright(values: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Return (H, W, ...) turned and mirrored as EXIF orientation 1 to 8 says; anything else is taken as 1."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _replace_hidden(pixels: NDArray[np.float32], alpha: NDArray[np.float32]) -> None:
    hidden = alpha == 0
    if not hidden.any():
        return
    seen = float(alpha.sum(dtype=np.float64))
    for channel in pixels:
        # A product, not an average of products, so that one visible pixel of alpha 1/65535 still counts.
        mean = float(np.vdot(channel.astype(np.float64), alpha)) / seen if seen > 0 else 0.5
        channel[hidden] = np.clip(mean, 0, 1)
