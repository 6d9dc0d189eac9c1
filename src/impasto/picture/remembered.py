"""What a picture's file remembers of its painting. Any file may claim to: see `impasto.recipe.provenance`."""

import os

from impasto.errors import PictureError
from impasto.picture.files import BinaryReader, path_name, read_path, read_stream, stream_name
from impasto.picture.formats.bounds import decoding
from impasto.picture.formats.registry import recognize
from impasto.picture.limits import DEFAULT_LIMITS, Limits
from impasto.recipe.provenance import Remembered
from impasto.system.text import printable


def remembered(source: str | os.PathLike[str] | BinaryReader, *, limits: Limits = DEFAULT_LIMITS) -> Remembered:
    """Return how a picture was painted, as impasto wrote it into the file: PNG, JPEG, WebP, TIFF or AVIF.

    Anybody can write such a file: what comes back has been checked field by field, but it need not be true.

    Args:
        source: A path, or an open binary file, of which the rest is read.
        limits: The largest picture to look into.

    Raises:
        PictureError: No picture, one that remembers nothing, or memories that are damaged, too long or of another form.
    """
    if isinstance(source, str | os.PathLike):
        name = path_name(source)
        data = read_path(source, limits)
    else:
        name = stream_name(source)
        data = read_stream(source, limits)
    format = recognize(data, name)
    with decoding(name):
        text = None if format.document is None else format.document(data, name, limits)
    if text is None:
        raise PictureError(
            f"{printable(name)}: remembers nothing; impasto did not paint it, or its metadata was left out or taken out"
        )
    return Remembered.from_json(text, name)
