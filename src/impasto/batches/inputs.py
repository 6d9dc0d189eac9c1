"""Photos and styles from folders and globs: every photo with every style."""

import collections
import fnmatch
import glob
import itertools
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from impasto.batches import log
from impasto.batches.item import Item
from impasto.errors import PictureError, UsageError
from impasto.jobs import checkpoint_paths
from impasto.picture.formats.registry import FORMATS, recognize
from impasto.system.text import printable, reason

# The endings of all formats that are read.
ENDINGS: Final = tuple(ending for format in FORMATS.values() for ending in format.endings)
# Other endings that pictures of these formats have. Not every ending of what begins as a picture: raw files of cameras
# begin as TIFF, and what programs keep as a copy, such as .jpg_original, is of the same name as the photo.
_RARE_ENDINGS: Final = ("", ".jfif", ".jfi", ".jpe", ".jif", ".apng", ".dib", ".pnm", ".hif", ".avifs", ".heics")
OWN: Final = "as this batch's own"
# Ours: every format is told by fewer bytes.
_HEAD_BYTES: Final = 4096
# Ours: more names would hide the other lines.
_MOST_NAMES: Final = 5


@dataclass
class Found:
    """The pictures that an argument names, and what was seen beside them.

    Attributes:
        text: the argument.
        paths: of the pictures, sorted by name.
        is_search: whether it names a folder or a glob, and not a file.
        left_out: the paths of what was not taken, as keys, by the reason.
        problems: folders that cannot be read, each with the reason, in words.

    """

    text: str
    paths: list[str] = field(default_factory=list)
    is_search: bool = True
    left_out: dict[str, dict[str, None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def leave_out(self, path: str, why: str) -> None:
        """Note that something was not taken."""
        self.left_out.setdefault(why, {})[path] = None

    def without(self, own: Collection[str]) -> "Found":
        """Return what is found without files that the batch wrote itself."""
        mine = dict.fromkeys(path for path in self.paths if path in own)
        left_out = self.left_out | ({OWN: self.left_out.get(OWN, {}) | mine} if mine else {})
        paths = [path for path in self.paths if path not in own]
        return replace(self, paths=paths, left_out=left_out)

    def require_pictures(self) -> "Found":
        """Return this if it holds a picture.

        Raises:
            UsageError: it holds none; the message says what is there instead.

        """
        if self.paths:
            return self
        instead = "; ".join([*self.problems, *([self.describe_rest()] if self.left_out else [])])
        name = printable(self.text)
        raise UsageError(f"{name}: names no picture{f' ({instead})' if instead else ''}; check the path")

    def describe_rest(self) -> str:
        """Return in words what was left out: how many files for each reason, and the first of their names."""
        parts = []
        for why, paths in self.left_out.items():
            names = [printable(Path(path).name) for path in itertools.islice(paths, _MOST_NAMES)]
            more = [f"{len(paths) - _MOST_NAMES} more"] if len(paths) > _MOST_NAMES else []
            parts.append(f"{len(paths)} {why} ({', '.join([*names, *more])})")
        return f"left out {', '.join(parts)}"


def find(text: str) -> Found:
    """Return the pictures of a folder, a glob or a path.

    Of a folder, the files right in it that have an ending of a picture format, or are a picture by their first bytes.
    `**` in a glob means folders at any depth, linked ones too, each once. A part of a glob that is the name of
    something is that name: `[1]` of a folder that is called so.

    Raises:
        UsageError: there are none, or the folder cannot be read.

    """
    found = Found(text)
    if os.path.isdir(text):  # noqa: PTH112 - a name too long for a file is none, not an error.
        for name in _names(text, found):
            path = os.path.join(text, name)  # noqa: PTH118
            why = _why_not(path)
            if why is None:
                found.paths.append(path)
            elif why:
                found.leave_out(path, why)
    elif os.path.lexists(text) or not glob.has_magic(text):
        # A missing file is reported when it is read, with the other problems.
        found.paths, found.is_search = [text], False
    else:
        paths = dict.fromkeys(_match("", Path(text).parts, found))
        found.paths = sorted(path for path in paths if not os.path.isdir(path))  # noqa: PTH112
    return found.require_pictures()


def _names(folder: str, found: Found) -> list[str]:
    """Return the names in a folder, sorted; none of a folder that cannot be read, which is noted."""
    try:
        return sorted(os.listdir(folder or "."))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problem = f"{printable(folder or '.')}: cannot be read ({reason(error)})"
        if problem not in found.problems:
            found.problems.append(problem)
        return []


def _is_own(name: str) -> bool:
    """Whether a name is that of a checkpoint's folder or of a log."""
    return name.endswith(checkpoint_paths.ENDING) or fnmatch.fnmatchcase(name, log.PATTERN)


def _why_not(path: str) -> str | None:
    """Return why something in a folder is not taken for a picture; None if it is, nothing if it is not worth a word."""
    name = Path(path).name
    is_named_so = Path(name).suffix.lower() in ENDINGS
    if name.startswith("."):
        return "as hidden" if is_named_so else ""
    if _is_own(name):
        return OWN
    if os.path.isdir(path):  # noqa: PTH112
        return "as a folder"
    if is_named_so:
        # What is wrong with it is said when its turn comes.
        return None
    try:
        # Opening a pipe would wait for a writer for ever.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return "as no file"
        with Path(path).open("rb") as file:
            recognize(file.read(_HEAD_BYTES), path)
    except PictureError:
        return "as no picture"
    except OSError:
        return "as unreadable"
    return None if Path(name).suffix.lower() in _RARE_ENDINGS else "as a picture of unknown ending"


def _match(folder: str, parts: tuple[str, ...], found: Found) -> Iterator[str]:
    """Yield what the parts of a glob match in a folder.

    The glob of the standard library says nothing of folders that it cannot read, and goes round in loops of links.
    """
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    path = os.path.join(folder, part)  # noqa: PTH118
    if part == "**":
        for each in _folders(folder, found):
            yield from _match(each, rest or ("*",), found)
    elif not glob.has_magic(part) or ("*" not in part and "?" not in part and os.path.lexists(path)):
        if rest or os.path.lexists(path):
            yield from _match(path, rest, found)
    else:
        for name in fnmatch.filter(_names(folder, found), part):
            path = os.path.join(folder, name)  # noqa: PTH118
            if _is_own(name):
                found.leave_out(path, OWN)
            elif not name.startswith(".") or part.startswith("."):
                yield from _match(path, rest, found)


def _folders(root: str, found: Found) -> Iterator[str]:
    """Yield a folder and all in it, the nearest first, each once, however many links lead to it."""
    seen = set()
    waiting = collections.deque([root])
    while waiting:
        folder = waiting.popleft()
        real = os.path.realpath(folder)
        if real in seen or not os.path.isdir(real):  # noqa: PTH112
            continue
        seen.add(real)
        yield folder
        for name in _names(folder, found):
            path = os.path.join(folder, name)  # noqa: PTH118
            if not _is_own(name) and not name.startswith("."):
                waiting.append(path)
            elif name.endswith(checkpoint_paths.ENDING):
                found.leave_out(path, OWN)


def make_items(photos: Sequence[str], styles: Sequence[str], *, blend: bool) -> list[Item]:
    """Return every photo with every style, or with all styles at once if they are to `blend`.

    Args:
        photos: paths of the photos.
        styles: paths of the style pictures.
        blend: whether each photo is painted once, after all styles together.

    Raises:
        UsageError: there is no style.

    """
    if not styles:
        raise UsageError("no style picture was given; name at least one")
    together = [tuple(styles)] if blend else [(style,) for style in styles]
    return [Item(photo, each, where=printable(photo)) for photo in photos for each in together]
