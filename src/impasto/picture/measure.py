"""The size and the digest of a picture's file, without decoding it where the format allows."""

import hashlib
import os
from typing import NamedTuple

from impasto.picture.files import path_name, read_path
from impasto.picture.formats.decode import decode, decoding, opened
from impasto.picture.formats.pillow import declared_orientation
from impasto.picture.formats.samples import upright
from impasto.picture.formats.sniff import sniff
from impasto.picture.limits import DEFAULT_LIMITS, Limits

_WHOLE = ("pnm", "tiff", "heic")


class Measure(NamedTuple):
    """What is known of a file that holds a picture."""

    height: int  # px, upright
    width: int
    sha256: str


def measure(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Measure:
    """Return the size that a picture's file declares, and its SHA-256. Its pixels may be damaged all the same.

    Raises:
        PictureError: as `read_picture`, as far as can be told without the pixels.

    """
    name = path_name(path)
    data = read_path(path, limits)
    sha256 = hashlib.sha256(data).hexdigest()
    kind = sniff(data, name)
    if kind in _WHOLE:
        samples = decode(data, name, limits)
        height, width = upright(samples.values, samples.orientation).shape[:2]
        return Measure(height, width, sha256)
    with decoding(name):
        image = opened(data, kind, name, limits)
        width, height = image.size
        if declared_orientation(image) >= 5:
            height, width = width, height
    return Measure(height, width, sha256)
