"""From folders and globs to lists: every photo with every style."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from impasto.batches.item import Item
from impasto.errors import UsageError
from impasto.picture.formats.registry import FORMATS
from impasto.system.text import printable

# Of everything that `impasto.picture` reads: what a folder's other files are is not guessed at.
ENDINGS: Final = tuple(ending for format in FORMATS.values() for ending in format.endings)


def files(given: str) -> list[str]:
    """Return the pictures that a folder, a glob or a path names, sorted by name.

    Of a folder those whose ending is one of a picture's, not those in folders inside it.

    Raises:
        UsageError: it names none.

    """
    if Path(given).is_dir():
        with os.scandir(given) as entries:
            names = [entry.name for entry in entries if entry.is_file() and not entry.name.startswith(".")]
        found = [os.path.join(given, name) for name in names if Path(name).suffix.lower() in ENDINGS]  # noqa: PTH118
    elif Path(given).exists() or not glob.has_magic(given):
        # One that is not there is said to be so where it is read, with all others.
        return [given]
    else:
        found = [path for path in glob.glob(given, recursive=True) if not Path(path).is_dir()]  # noqa: PTH207
    if not found:
        raise UsageError(f"{printable(given)}: names no picture; check the path")
    return sorted(found)


def items(photos: str, styles: Sequence[str], *, blend: bool) -> list[Item]:
    """Return every photo with every style, or with all of them if they shall `blend`.

    Raises:
        UsageError: there are none.

    """
    if not styles:
        raise UsageError("no style picture was given; name at least one")
    each = [path for style in styles for path in files(style)]
    together = [tuple(each)] if blend else [(style,) for style in each]
    return [Item(photo, chosen, where=printable(photo)) for photo in files(photos) for chosen in together]
