"""`Picture`: the one picture type that crosses into the rest of impasto."""

import io
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from impasto.errors import PictureError
from impasto.picture.checks import check_output
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Floats, Stored, quantize
from impasto.picture.metadata import Credits
from impasto.picture.printing import output_profile
from impasto.picture.write import write_picture
from impasto.recipe.provenance import Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in sRGB, upright, with floats in [0, 1].

    To put other pixels into a picture and keep the rest: `dataclasses.replace(picture, pixels=...)`.

    Attributes:
        pixels: (3, H, W) float32, sRGB, in [0, 1].
        alpha: (H, W) float32 in [0, 1], not premultiplied; None where every pixel is opaque.
        icc_profile: The profile of the source, for information; `pixels` are sRGB already.
        bits: 8 or 16, the depth of the source. Saving writes 8 unless asked for 16.
        dpi: Pixels an inch, (x, y); None if unknown.
        source: A path, "stdin" or "memory".
        sha256: Of the file it was read from, in hexadecimal; None if there was none.
        credits: What the photo's file says of its making; saved with the picture.
        remembered: How it was painted, if it was; saved with the picture. Not read from files: see `remembered`.
        notes: Plain sentences about what was lost or assumed in reading; a surface may print them.

    Raises:
        PictureError: Arrays of another shape, dtype or range, or a field with an impossible value.
    """

    pixels: Floats = field(repr=False)
    alpha: Floats | None = field(default=None, repr=False)
    icc_profile: bytes | None = field(default=None, repr=False)
    bits: int = 8
    dpi: tuple[float, float] | None = None
    source: str = "memory"
    sha256: str | None = None
    credits: Credits = Credits()
    remembered: Remembered | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(self.pixels, "pixels")
        if self.pixels.ndim != 3 or self.pixels.shape[0] != 3:
            raise PictureError(f"pixels of shape {self.pixels.shape}: expected (3, H, W)")
        if self.alpha is not None:
            _check(self.alpha, "alpha")
            if self.alpha.shape != self.pixels.shape[1:]:
                raise PictureError(
                    f"alpha of shape {self.alpha.shape}: expected {self.pixels.shape[1:]}, as the pixels"
                )
        if self.bits not in (8, 16):
            raise PictureError(f"bits is {self.bits!r}; expected 8 or 16")
        if self.dpi is not None and not all(0 < value <= 1e6 for value in self.dpi):
            raise PictureError(f"dpi is {self.dpi!r}; expected two positive numbers up to a million")

    def __repr__(self) -> str:
        alpha = ", alpha" if self.alpha is not None else ""
        return f"<Picture {self.width} x {self.height} px, {self.bits} bits{alpha}, from {self.source!r}>"

    @property
    def height(self) -> int:
        """Rows, px."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Columns, px."""
        return int(self.pixels.shape[2])

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), px: the order of the arrays."""
        return self.height, self.width

    def save(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        *,
        bits: int = 8,
        quality: int | None = None,
        text: "Mapping[str, str] | None" = None,
        metadata: bool = True,
        compression: str | None = None,
        profile: "str | os.PathLike[str] | bytes | None" = None,
        force: bool = True,
    ) -> tuple[str, ...]:
        """Write the picture in the format of the path's ending; see `write_picture`.

        Args:
            path: Where to; an open binary file gets a PNG.
            bits: 8, or 16 for PNG and TIFF.
            quality: 1 to 100 for JPEG, WebP and AVIF; None for a good default.
            text: Names and values to keep with the picture.
            metadata: False to leave out how it was painted and the photo's credits.
            compression: "deflate", "lzw" or "none" for TIFF.
            profile: An ICC profile to convert the colours into, for print; sRGB if left out.
            force: Replace an existing file. False refuses to.

        Returns:
            What a person should know about the file, in plain sentences; mostly nothing.

        Raises:
            OutputError: The path or an option cannot be used.
            PictureError: Writing failed; what was there before is untouched.
        """
        is_path = isinstance(path, str | os.PathLike)
        if isinstance(path, str | os.PathLike) and not force:
            check_output(path, bits=bits, quality=quality)
        return write_picture(
            self,
            path,
            format=None if is_path else "png",
            bits=bits,
            quality=quality,
            text=text,
            metadata=metadata,
            compression=compression,
            profile=profile,
        )

    def proof(self, profile: "str | os.PathLike[str] | bytes") -> "Picture":
        """Return how the picture will look printed with an ICC profile, rendered back to sRGB: a soft proof.

        Colours that the inks do not reach become the nearest that they do; the paper's white is taken as white.

        Raises:
            OutputError: No profile that colours can be converted into and back.
        """
        pixels = output_profile(profile).proof(np.ascontiguousarray(np.moveaxis(self.pixels, 0, -1)))
        return replace(self, pixels=np.ascontiguousarray(np.moveaxis(pixels, -1, 0)))

    def to_samples(self) -> Samples:
        """Return the picture as a file stores it, with what the file is to remember."""
        return Samples(
            values=np.moveaxis(self.pixels, 0, -1),
            space="rgb",
            alpha=self.alpha,
            bits=self.bits,
            dpi=self.dpi,
            credits=self.credits,
            document=self.remembered.to_json() if self.remembered else "",
        )

    def to_numpy(self, dtype: DTypeLike = np.uint8) -> Stored:
        """Return (H, W, 3), or (H, W, 4) with alpha, sRGB: uint8 or uint16 rounded to the nearest, or float32.

        Raises:
            PictureError: Another dtype.
        """
        numpy_dtype = np.dtype(dtype)
        planes = [*self.pixels] if self.alpha is None else [*self.pixels, self.alpha]
        array = np.stack(planes, axis=-1)
        if numpy_dtype == np.float32:
            return array
        if numpy_dtype == np.uint8:
            return quantize(array, np.uint8)
        if numpy_dtype == np.uint16:
            return quantize(array, np.uint16)
        raise PictureError(f"to_numpy({numpy_dtype}): expected uint8, uint16 or float32")

    def to_pil(self) -> "Image":
        """Return a Pillow image, 8-bit sRGB: RGB, or RGBA with alpha."""
        from PIL import Image

        return Image.fromarray(self.to_numpy(np.uint8))

    def _repr_png_(self) -> bytes:
        """Return an 8-bit PNG: how notebooks show the picture."""
        stream = io.BytesIO()
        self.save(stream)
        return stream.getvalue()


def _check(array: object, name: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise PictureError(f"{name} is {kind}; expected a float32 array (as_picture converts others)")
    if array.size == 0:
        raise PictureError(f"{name} of shape {array.shape}: holds nothing")
    low, high = float(array.min()), float(array.max())
    # Written so that NaN, which compares false with everything, is caught too.
    if not (low >= 0 and high <= 1):
        raise PictureError(f"{name} runs from {low:g} to {high:g}; expected [0, 1] without NaN")
