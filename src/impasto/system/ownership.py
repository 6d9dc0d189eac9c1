"""The one place where files are removed, and how files that others may have forged are opened.

A file is removed if this process made it, or if its whole name and its content both say that impasto did. Everything
else in a folder is somebody else's, whatever it is called.
"""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

# The names of temporary files, with a random number in them.
UNFINISHED: Final = re.compile(r"\.impasto-[0-9a-f]{16}\.tmp")
# Ours: every mark is at the start of its file.
_START: Final = 256


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, if it is a regular file and no link: a pipe or a device might never end.

    Raises:
        OSError: it is anything else, or cannot be read.

    """
    if path.is_symlink():
        raise OSError("it is a link")
    # Without O_NONBLOCK opening a pipe would wait for somebody who writes to it.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is no regular file")
    return file


@contextlib.contextmanager
def create(path: Path) -> Iterator[BinaryIO]:
    """Make a file, and give it open for writing; remove it if the context ends with an error.

    Raises:
        OSError: something has that name already, or it cannot be made.

    """
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            # Also on Ctrl-C: leave nothing half-written. Windows removes no file that is open.
            file.close()
            with contextlib.suppress(OSError):
                path.unlink()
            raise


def has_mark(path: Path, mark: bytes) -> bool:
    """Whether a regular file has `mark` among its first bytes; False too if it cannot be read."""
    try:
        with open_regular(path) as file:
            return mark in file.read(_START)
    except OSError:
        return False


def is_empty(path: Path) -> bool:
    """Whether this is a regular file without content."""
    with contextlib.suppress(OSError):
        info = path.lstat()
        return stat.S_ISREG(info.st_mode) and info.st_size == 0
    return False


def remove(path: Path) -> None:
    """Remove a file that this process made or that `find` returned, if it is still there.

    Raises:
        OSError: it cannot be removed.

    """
    path.unlink(missing_ok=True)


def find(folder: Path, name: re.Pattern[str], is_ours: Callable[[Path], bool] = lambda path: True) -> list[Path]:
    """Return the regular files in a folder that have a name of ours and are ours.

    Args:
        folder: is listed, the folders in it are not.
        name: matched against the whole name of a file.
        is_ours: whether the content of a file, or something beside it, says that impasto wrote it.

    Raises:
        OSError: the folder cannot be listed.

    """
    with os.scandir(folder) as entries:
        files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    return sorted(filter(is_ours, [Path(entry) for entry in files if name.fullmatch(entry.name)]))


def remove_empty_folder(folder: Path) -> None:
    """Remove a folder if nothing is in it.

    Raises:
        OSError: something is in it, or it cannot be removed.

    """
    folder.rmdir()


def remove_tree(folder: Path) -> None:
    """Remove a folder that impasto made under a random name, with all that is in it; links are not followed."""
    shutil.rmtree(folder, ignore_errors=True)
