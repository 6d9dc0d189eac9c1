"""Photos and styles from folders and globs: every photo with every style."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from impasto.batches.item import Item
from impasto.errors import UsageError
from impasto.picture.formats.registry import FORMATS
from impasto.system.text import printable

# The endings of all formats that are read; other files of a folder are skipped.
ENDINGS: Final = tuple(ending for format in FORMATS.values() for ending in format.endings)


def list_files(text: str) -> list[str]:
    """Return the pictures of a folder, a glob or a path, sorted by name.

    Of a folder, the files with an ending of a picture format, without those in subfolders.

    Raises:
        UsageError: there are none.

    """
    if Path(text).is_dir():
        with os.scandir(text) as entries:
            names = [entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")]
        paths = [os.path.join(text, name) for name in names if Path(name).suffix.lower() in ENDINGS]  # noqa: PTH118
    elif Path(text).exists() or not glob.has_magic(text):
        # A missing file is reported when it is read, with the other problems.
        return [text]
    else:
        paths = [path for path in glob.glob(text, recursive=True) if not Path(path).is_dir()]  # noqa: PTH207
    if not paths:
        raise UsageError(f"{printable(text)}: names no picture; check the path")
    return sorted(paths)


def make_items(photos: str, styles: Sequence[str], *, blend: bool) -> list[Item]:
    """Return every photo with every style, or with all styles at once if they are to `blend`.

    Args:
        photos: a folder or a glob pattern.
        styles: paths of the style pictures.
        blend: whether each photo is painted once, after all styles together.

    Raises:
        UsageError: there are none.

    """
    if not styles:
        raise UsageError("no style picture was given; name at least one")
    paths = [path for style in styles for path in list_files(style)]
    together = [tuple(paths)] if blend else [(style,) for style in paths]
    return [
        Item(photo, styles_of_item, where=printable(photo))
        for photo in list_files(photos)
        for styles_of_item in together
    ]
