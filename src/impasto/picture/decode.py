"""From the bytes of a file to samples: each format to its decoder, and every decoder kept in bounds."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError, PictureError
from impasto.messages import reason, shown
from impasto.picture import heic, png, pnm, tiff
from impasto.picture.limits import Limits
from impasto.picture.pillow import pillow_samples
from impasto.picture.samples import Samples
from impasto.picture.sniff import sniff

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_warnings_lock = threading.RLock()


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the samples of an encoded picture; of an animated one, its first frame.

    Raises:
        PictureError: An unknown format, a damaged file, or a size over the limits.
    """
    kind = sniff(data, name)
    with decoding(name):
        if kind == "pnm":
            return pnm.decode(data, name, limits)
        if kind == "tiff":
            return tiff.decode(data, name, limits)
        if kind == "heic":
            return heic.decode(data, name, limits)
        image = opened(data, kind, name, limits)
        samples = pillow_samples(image, name)
        if kind == "png" and png.needs_full_depth(data):
            values, space, alpha, bits = png.decode(data)
            samples = replace(samples, values=values, space=space, alpha=alpha, bits=bits)
        return samples


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder throws at a damaged file into a `PictureError`, and keep it from warning.

    Python can hold warnings back for the whole process only, so decoding happens under a lock, one file at a time.

    Raises:
        PictureError: Decoding failed.
    """
    try:
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImpastoError:
        raise
    except MemoryError as error:
        raise PictureError(f"{shown(name)}: does not fit into memory; make it smaller") from error
    except Exception as error:
        # Damaged files make decoders raise nearly everything, struct.error, KeyError and AssertionError included.
        raise PictureError(
            f"{shown(name)}: is damaged or cut short ({reason(error)}); get it again, or save it anew elsewhere"
        ) from error


def opened(data: bytes, kind: str, name: str, limits: Limits) -> "ImageFile":
    """Return a picture that Pillow reads, of a size within the limits and not decoded yet; call it inside `decoding`.

    Raises:
        PictureError: The declared size is over the limits.
    """
    # The plug-in is called directly: no other decoder can get at the file, and the size limit of `Image.open`, which
    # at first only warns, stays out of the way of ours.
    if kind == "webp":
        # Pillow's WebP plug-in allocates the canvas as it opens the file.
        limits.check(*_webp_size(data), name)
    image = _plugin(kind)(BytesIO(data))
    limits.check(*image.size, name)
    return image


def _plugin(kind: str) -> "type[ImageFile]":
    from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    return {
        "avif": AvifImagePlugin.AvifImageFile,
        "bmp": BmpImagePlugin.BmpImageFile,
        "gif": GifImagePlugin.GifImageFile,
        "jpeg": JpegImagePlugin.JpegImageFile,
        "png": PngImagePlugin.PngImageFile,
        "webp": WebPImagePlugin.WebPImageFile,
    }[kind]


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the canvas's (width, height) from the header (RFC 9649, sections 2.5 to 2.7)."""
    if len(data) < 30:
        raise ValueError("the header is cut short")
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
