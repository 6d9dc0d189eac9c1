"""Pictures from files, and from whatever else a caller holds."""

import hashlib
import os
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from impasto.errors import PictureError
from impasto.picture.arrays import TensorLike, array_samples, tensor_samples
from impasto.picture.files import BinaryReader, path_name, read_path, read_stream, stream_name
from impasto.picture.formats.bounds import decoding
from impasto.picture.formats.pillow import pillow_samples
from impasto.picture.formats.registry import recognize
from impasto.picture.formats.samples import Samples, upright
from impasto.picture.levels import Stored, bands, to_unit_range
from impasto.picture.limits import DEFAULT_LIMITS, Limits
from impasto.picture.picture import Picture
from impasto.picture.profiles import srgb_planes
from impasto.system.text import printable

PictureSource: TypeAlias = Picture | str | os.PathLike[str] | bytes | BinaryReader | Image.Image | Stored | TensorLike


def read_picture(source: str | os.PathLike[str] | BinaryReader, *, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Read a PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC (with pillow-heif), PNM or ICO file, upright and in sRGB.

    The format is told by the content, never by the name. EXIF orientation is applied. Colours are converted to sRGB by
    the embedded profile (relative colorimetric, black point compensation). 16-bit and float files keep their levels.
    Alpha is kept aside, not premultiplied; what is stored under fully transparent pixels is replaced by the mean
    colour of the visible ones. Of an animation or a multi-page TIFF the first picture is taken, of an icon the largest.
    Damage that leaves the pixels whole costs what is damaged, and a note says so.

    Args:
        source: A path, or an open binary file, of which the rest is read.
        limits: The largest picture to read.

    Returns:
        The picture; `Picture.notes` says in plain sentences what was lost or assumed.

    Raises:
        PictureError: Missing, unreadable, damaged, of another format or over the limits. One line that names the file.
    """
    if isinstance(source, str | os.PathLike):
        name = path_name(source)
        return _read(read_path(source, limits), name, limits)
    return _read(read_stream(source, limits), stream_name(source), limits)


def as_picture(source: PictureSource, *, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Return a `Picture` of nearly anything that holds one.

    Args:
        source: One of
            a `Picture`, returned as it is;
            a path, an open binary file, or the bytes of an encoded picture: see `read_picture`;
            a Pillow image of any mode, its orientation and profile applied;
            an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, uint16, or float in [0, 1], sRGB;
            a torch tensor (3, H, W) or (4, H, W), alone or as a batch of one: uint8, or float in [0, 1], sRGB.
        limits: The largest file to read; for files and bytes only.

    Raises:
        PictureError: Another type, shape, dtype or range; or as for `read_picture`.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        if not source:
            raise PictureError("memory: is empty; there is no picture in it")
        limits.check_bytes(len(source), "memory")
        return _read(bytes(source), "memory", limits)
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "memory")
        with decoding(name):
            samples = pillow_samples(source, name)
        return _develop(samples, name)
    if isinstance(source, np.ndarray):
        return _develop(array_samples(source), "memory")
    if isinstance(source, TensorLike):
        return _develop(tensor_samples(source), "memory")
    if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        return read_picture(source, limits=limits)
    kind = printable(type(source).__name__)
    raise PictureError(f"{kind}: is no picture; pass a path, a binary file, a Pillow image, an array or a tensor")


def _read(data: bytes, name: str, limits: Limits) -> Picture:
    format = recognize(data, name)
    with decoding(name):
        samples = format.decode(data, name, limits)
    sha256 = hashlib.sha256(data).hexdigest()
    # Free the file, which may be as large as the picture, before its pixels are converted.
    del data
    return _develop(samples, name, sha256)


def _develop(samples: Samples, name: str, sha256: str | None = None) -> Picture:
    try:
        return develop(samples, name, sha256)
    except MemoryError as error:
        raise PictureError(f"{printable(name)}: does not fit into memory; make it smaller") from error


def develop(samples: Samples, source: str, sha256: str | None = None) -> Picture:
    """Return the samples as a `Picture`: upright, sRGB, colours under transparent pixels replaced.

    A pixel of alpha 0 stores a colour that nobody ever saw. It is replaced by the mean sRGB colour of the visible
    pixels, weighted by alpha (mid-grey where nothing is visible): so it adds no edge and no hue of its own, and the
    picture's mean colour stays that of its visible part. Alpha that is 1 everywhere says nothing and is dropped.

    `sha256` is that of the file.

    Args:
        samples: as a format's reader returned them.
        source: name of the file or stream.
        sha256: of the file; None without one.

    """
    # Turned first: as a view, where turned planes would be a copy.
    values = upright(samples.values, samples.orientation)
    pixels, note = srgb_planes(values, samples.space, samples.icc_profile or samples.assumed_profile)
    alpha = None
    if samples.alpha is not None:
        alpha = np.ascontiguousarray(upright(to_unit_range(samples.alpha), samples.orientation))
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


def _replace_hidden(pixels: NDArray[np.float32], alpha: NDArray[np.float32]) -> None:
    hidden = alpha == 0
    if not hidden.any():
        return
    total_alpha = float(alpha.sum(dtype=np.float64))
    for channel in pixels:
        # A product, not an average of products, so that one visible pixel of alpha 1/65535 still counts.
        sums = (np.vdot(channel[rows].astype(np.float64), alpha[rows]) for rows in bands(*alpha.shape))
        mean = float(sum(sums)) / total_alpha if total_alpha > 0 else 0.5
        channel[hidden] = np.clip(mean, 0, 1)
