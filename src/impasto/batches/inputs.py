"""Photos and styles from folders and globs: every photo with every style."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from impasto.batches.item import Item
from impasto.errors import UsageError
from impasto.picture.formats.registry import FORMATS
from impasto.system.ownership import open_regular
from impasto.system.text import printable, reason

# The endings of all formats that are read.
ENDINGS: Final = tuple(ending for format in FORMATS.values() for ending in format.endings)
# Of the folders in which checkpoints are kept.
_CHECKPOINTS: Final = ".impasto"
# Ours: enough of a file to recognise every format.
_START: Final = 4096


class Listing(NamedTuple):
    """The pictures that a folder, a glob or a path names, and the files that were left out, sorted by name."""

    pictures: list[str]
    left_out: list[str]


def list_files(text: str) -> Listing:
    """Return the pictures of a folder, a glob or a path.

    Of a folder, the files with an ending of a picture format or the content of one, without those in subfolders. A glob
    finds whatever fits, but nothing in a folder of checkpoints.

    Raises:
        UsageError: there are none, or the folder cannot be read.

    """
    left_out: list[str] = []
    if Path(text).is_dir():
        try:
            names = [name for name in os.listdir(text) if not name.startswith(".")]  # noqa: PTH208
        except OSError as error:
            raise UsageError(f"{printable(text)}: cannot be read ({reason(error)}); see to its permissions") from error
        files = [path for name in names if not os.path.isdir(path := os.path.join(text, name))]  # noqa: PTH112, PTH118
        paths = [path for path in files if _is_picture(path)]
        left_out = sorted(set(files) - set(paths))
    elif os.path.exists(text) or not glob.has_magic(text):  # noqa: PTH110
        # A missing file is reported when it is read, with the other problems.
        return Listing([text], [])
    else:
        found = glob.glob(text, recursive=True)  # noqa: PTH207
        paths = [path for path in found if not os.path.isdir(path) and not _is_in_checkpoints(path)]  # noqa: PTH112
    if not paths:
        raise UsageError(f"{printable(text)}: names no picture; check the path")
    return Listing(sorted(paths), left_out)


def _is_picture(path: str) -> bool:
    """Whether a file has the ending or the first bytes of a picture format, or is a link that leads nowhere."""
    if Path(path).suffix.lower() in ENDINGS:
        return True
    try:
        with open_regular(Path(os.path.realpath(path))) as file:
            data = file.read(_START)
    except OSError:
        return False
    return any(format.matches(data) for format in FORMATS.values())


def _is_in_checkpoints(path: str) -> bool:
    return any(part.endswith(_CHECKPOINTS) for part in Path(path).parts[:-1])


def without(listing: Listing, outputs: Iterable[str]) -> Listing:
    """Return the pictures that are not among the outputs of the batch; one that is there was painted by it."""
    places = {os.path.realpath(path) for path in outputs}
    pictures = [path for path in listing.pictures if os.path.realpath(path) not in places]
    return Listing(pictures, listing.left_out)


def make_items(photos: Sequence[str], styles: Sequence[str], *, blend: bool) -> list[Item]:
    """Return every photo with every style, or with all styles at once if they are to `blend`.

    Args:
        photos: paths of the photos.
        styles: paths of the style pictures.
        blend: whether each photo is painted once, after all styles together.

    """
    together = [tuple(styles)] if blend else [(style,) for style in styles]
    return [Item(photo, of_item, where=printable(photo)) for photo in photos for of_item in together]
