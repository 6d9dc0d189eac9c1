"""From the bytes of a file to samples: each format to its decoder, and every decoder kept in bounds."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError, PictureError
from impasto.picture.formats import heic, jpeg, png, pnm, tiff, webp
from impasto.picture.formats.pillow import LONG_EXIF, pillow_samples
from impasto.picture.formats.samples import Samples
from impasto.picture.formats.sniff import sniff
from impasto.picture.limits import Limits
from impasto.picture.profiles import TOO_LONG
from impasto.system.text import printable, reason

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
            return _bounded(heic.decode(data, name, limits), limits)
        long = False
        if kind == "jpeg":
            data, long = jpeg.checked(data, name, limits)
        image = opened(data, kind, name, limits)
        samples = _bounded(pillow_samples(image, name, limits), limits)
        if long:
            samples = replace(samples, notes=(*samples.notes, LONG_EXIF))
        if kind == "png" and png.needs_full_depth(data):
            values, space, alpha, bits = png.decode(data)
            samples = replace(samples, values=values, space=space, alpha=alpha, bits=bits)
        return samples


def _bounded(samples: Samples, limits: Limits) -> Samples:
    if len(samples.icc_profile or b"") <= limits.max_profile_bytes:
        return samples
    return replace(samples, icc_profile=None, notes=(*samples.notes, TOO_LONG))


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
        raise PictureError(f"{printable(name)}: does not fit into memory; make it smaller") from error
    except Exception as error:
        # Damaged files make decoders raise nearly everything, struct.error, KeyError and AssertionError included.
        raise PictureError(
            f"{printable(name)}: is damaged or cut short ({reason(error)}); get it again, or save it anew elsewhere"
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
        limits.check(*webp.canvas(data), name)
    elif kind == "png":
        png.check(data, name, limits)
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
