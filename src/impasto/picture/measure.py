"""The size and the digest of a picture's file, without decoding it where the format allows."""

import hashlib
import os
from typing import NamedTuple

from impasto.picture.files import path_name, read_path
from impasto.picture.formats.bounds import decoding
from impasto.picture.formats.registry import recognize
from impasto.picture.limits import DEFAULT_LIMITS, Limits


class Measure(NamedTuple):
    """The size and digest of a picture's file."""

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
    format = recognize(data, name)
    with decoding(name):
        height, width = format.measure(data, name, limits)
    return Measure(height, width, sha256)
