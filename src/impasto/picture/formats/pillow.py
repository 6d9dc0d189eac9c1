"""Formats that Pillow reads and writes: samples and metadata of an image of any mode."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from impasto.errors import PictureError
from impasto.picture.formats.bounds import without_long_profile
from impasto.picture.formats.samples import Samples
from impasto.picture.formats.tags import Directories, overlapping
from impasto.picture.levels import Stored, unit_floats
from impasto.picture.limits import DEFAULT_LIMITS, Limits
from impasto.picture.metadata import EXIF_IFD, USER_COMMENT, credits_of, document_in_comment
from impasto.picture.profiles import Space, adobe_rgb_profile, gamma_profile
from impasto.recipe.provenance import MOST_BYTES
from impasto.system.text import printable

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# What comes before Pillow: the bytes that it gets, and notes.
Prepare = Callable[[bytes, str, Limits], tuple[bytes, tuple[str, ...]]]

LONG_EXIF = "The EXIF data are too long or damaged; they were not read, nor was an orientation in them."
ANIMATED = "The picture is animated; its first frame was taken."

# EXIF 2.32, tables 4 and 5; DCF 2.0 for the interoperability index.
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
_XMP = ("xmp", "XML:com.adobe.xmp")
_INTEROPERABILITY, _INDEX = 0xA005, 1

# Pillow's conversions among these keep every level. Its conversions from 16 bits clip, and are not used.
_KEPT = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_CONVERTED = {
    "1": "L",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "HSV": "RGB",
    "YCbCr": "RGB",
    "P": "RGB",
    "PA": "RGBA",
}
_SPACES: dict[str, Space] = {"CMYK": "cmyk", "LAB": "lab", "RGB": "rgb", "RGBA": "rgb"}
_WITH_TRANSPARENCY = {"1": "LA", "L": "LA", "P": "RGBA", "RGB": "RGBA"}


def unchanged(data: bytes, name: str, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    """Return a file's bytes unchanged."""
    return data, ()


@dataclass(frozen=True)
class PillowReader:
    """Reads one format with Pillow's plug-in for it.

    The plug-in is called directly: no other decoder can get at the file, and the size limit of `Image.open`, which at
    first only warns, stays out of the way of ours.

    Attributes:
        plugin: the class that reads, and its module in PIL, as in `PngImagePlugin.PngImageFile`.
        prepare: checks a file before Pillow sees it.

    """

    plugin: str
    prepare: Prepare = unchanged

    def open(self, data: bytes, name: str, limits: Limits) -> "tuple[ImageFile, tuple[str, ...]]":
        """Return a picture of a size within the limits, not decoded yet, and notes.

        Raises:
            PictureError: The declared size is over the limits.
        """
        data, notes = self.prepare(data, name, limits)
        module, _, image_class = self.plugin.partition(".")
        image: ImageFile = getattr(importlib.import_module(f"PIL.{module}"), image_class)(BytesIO(data))
        limits.check(*image.size, name)
        return image, notes

    def decode(self, data: bytes, name: str, limits: Limits) -> Samples:
        """Return the first picture."""
        image, notes = self.open(data, name, limits)
        samples = without_long_profile(pillow_samples(image, name, limits), limits)
        return replace(samples, notes=samples.notes + notes) if notes else samples

    def measure(self, data: bytes, name: str, limits: Limits) -> tuple[int, int]:
        """Return (height, width), upright, as the header declares them."""
        image, _ = self.open(data, name, limits)
        width, height = image.size
        return (width, height) if declared_orientation(image) >= 5 else (height, width)

    def document(self, data: bytes, name: str, limits: Limits) -> str | None:
        """Return the document in EXIF's UserComment."""
        image, _ = self.open(data, name, limits)
        block = image.info.get("exif")
        if not block:
            return None
        directories = Directories(block.removeprefix(b"Exif\0\0"))
        tags, _ = directories.read(directories.first)
        place = directories.number_of(tags[EXIF_IFD]) if EXIF_IFD in tags else None
        inner, _ = ({}, 0) if place is None else directories.read(place)
        if USER_COMMENT not in inner:
            return None
        return document_in_comment(directories.bytes_of(inner[USER_COMMENT], MOST_BYTES + 16))


def pillow_samples(image: Image.Image, name: str, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """Return a Pillow image's samples, orientation, profile and dpi.

    Mode "I" is read as 0 to 65535, as Pillow itself makes it from 16-bit files, and mode "F" as [0, 1].

    Args:
        image: opened, not necessarily decoded.
        name: of the file, for messages.
        limits: on sizes and parts.

    Raises:
        PictureError: A mode that holds no picture, or values outside the mode's range.
    """
    # Metadata after loading: some of it comes after the pixels, and a second load() after a failed one misbehaves.
    image.load()
    mode = _plain_mode(image, name)
    plain = image.convert(mode) if image.mode != mode else image
    values: Stored = np.atleast_3d(np.asarray(plain))
    space = _SPACES.get(plain.mode, "gray")
    alpha = None
    notes = [ANIMATED] if getattr(image, "is_animated", False) and image.tell() == 0 else []
    if plain.mode in ("LA", "RGBA"):
        values, alpha = values[:, :, :-1], values[:, :, -1]
    elif plain.mode == "LAB":
        # Pillow hands out a and b as signed bytes.
        signed = values[:, :, 1:].view(np.int8)
        values = np.concatenate([values[:, :, :1] * np.float32(100 / 255), signed.astype(np.float32)], axis=2)
    elif plain.mode.startswith("I"):
        if values.min() < 0 or values.max() > 65535:
            raise PictureError(
                f"{printable(name)}: mode {plain.mode!r} with values outside 0 to 65535; scale them first"
            )
        if plain.mode == "I" and values.max() <= 255:
            notes.append(
                "no number is over 255 of 65535, which is nearly black; convert it to mode 'L' if 255 is white"
            )
        values = values.astype(np.uint16)
    elif plain.mode == "F":
        values, note = unit_floats(values, name)
        notes += note
    icc_profile = image.info.get("icc_profile") or None
    block = image.info.get("exif") or b""
    exif = None if len(block) > limits.max_exif_bytes or overlapping(block) else _exif(image)
    notes += [LONG_EXIF] if exif is None else []
    exif = exif or Image.Exif()
    return Samples(
        values=values,
        space=space,
        alpha=alpha,
        orientation=_orientation(exif),
        icc_profile=icc_profile,
        assumed_profile=None if icc_profile else _assumed_profile(image, exif, space),
        bits=16 if plain.mode[0] in "IF" else 8,
        dpi=_dpi(image, exif),
        credits=credits_of(exif),
        notes=tuple(notes),
    )


def _plain_mode(image: Image.Image, name: str) -> str:
    if "transparency" in image.info and image.mode in _WITH_TRANSPARENCY:
        return _WITH_TRANSPARENCY[image.mode]
    mode = _CONVERTED.get(image.mode, image.mode)
    if mode not in _KEPT:
        raise PictureError(f"{printable(name)}: mode {mode!r} cannot be read; convert it to RGB")
    return mode


def _exif(image: Image.Image) -> Image.Exif | None:
    """Return the EXIF data, None where they are damaged."""
    # Pillow would look for an orientation in XMP. Browsers do not, and a picture is turned as they turn it.
    xmp = {key: image.info.pop(key) for key in _XMP if key in image.info}
    try:
        # A plug-in that met damaged EXIF data as it opened the file takes them for empty from then on; this raises.
        Image.Exif().load(image.info.get("exif") or b"")
        return image.getexif()
    except Exception:
        # The pixels are fine; damaged EXIF data, which fails in every way there is, is no reason to refuse them.
        return None
    finally:
        image.info.update(xmp)


def declared_orientation(image: Image.Image, limits: Limits = DEFAULT_LIMITS) -> int:
    """Return the EXIF orientation, 1 to 8, that comes before the pixels; 1 where there is none."""
    block = image.info.get("exif") or b""
    is_long = len(block) > limits.max_exif_bytes or overlapping(block)
    return 1 if is_long else _orientation(_exif(image) or Image.Exif())


def _orientation(exif: Image.Exif) -> int:
    value = exif.get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _dpi(image: Image.Image, exif: Image.Exif) -> tuple[float, float] | None:
    pair = image.info.get("dpi")
    if pair is None:
        per_inch = {2: 1.0, 3: 2.54}.get(exif.get(_RESOLUTION_UNIT, 2), 0.0)
        pair = (exif.get(_X_RESOLUTION), exif.get(_Y_RESOLUTION))
    else:
        per_inch = 1.0
    return plausible_dpi(pair, per_inch)


def plausible_dpi(pair: Any, scale: float = 1.0) -> tuple[float, float] | None:
    """Return (x, y) times `scale`, or None where that is no pair of likely numbers."""
    try:
        x, y = float(pair[0]) * scale, float(pair[1]) * scale
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    # Ours: 1 dpi and less is how files say "unknown"; `Picture` takes a million at most.
    return (x, y) if min(x, y) > 1 and max(x, y) <= 1e6 else None


def _assumed_profile(image: Image.Image, exif: Image.Exif, space: Space) -> bytes | None:
    """Return the profile that other metadata stand for: a PNG's gamma, or a camera's Adobe RGB option."""
    if space in ("gray", "rgb") and "gamma" in image.info and "srgb" not in image.info:
        gamma = image.info["gamma"]
        return gamma_profile(space, 1 / gamma, image.info.get("chromaticity")) if gamma > 0 else None
    if space == "rgb" and image.format == "JPEG":
        try:
            index = exif.get_ifd(_INTEROPERABILITY).get(_INDEX)
        except Exception:
            return None  # damaged EXIF data, as above
        return adobe_rgb_profile() if index == "R03" else None
    return None
