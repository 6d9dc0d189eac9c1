"""Paths that mean the same on other systems, and names that Windows refuses."""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Final

# At least two letters: a single one is a Windows drive.
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://.")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: what no name may hold; a colon would begin a stream.
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
# The same page: devices, whatever ending follows.
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])", re.IGNORECASE)


def relative_path(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """Return a path as seen from a folder, with slashes, so that both can be moved and read on any system.

    It is absolute where there is no way from the one to the other: between two drives of Windows.
    """
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:
        relative = os.path.abspath(path)  # noqa: PTH100
    return relative.replace(os.sep, "/")


def is_url(path: str | None) -> bool:
    """Whether a path is a URL, such as `s3://bucket/out.png`."""
    return path is not None and _URL.match(path) is not None


def common_folder(folders: Sequence[str | os.PathLike[str]]) -> str | None:
    """Return the folder that holds all of some absolute ones; None if there is none, as on two drives of Windows."""
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return None


def fold_name(name: str) -> str:
    """Return a name such that all names are equal that some file system takes for one.

    Some do not tell capitals from small letters, and some not an accent that is part of its letter from one that
    follows it.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def nearest_folder(folder: Path) -> Path:
    """Return the first of a folder and those that hold it that exists."""
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)


def harmless_name(name: str) -> str:
    """Return a file name with an underscore in place of every character that Windows refuses."""
    return _FORBIDDEN.sub("_", name)


def find_windows_problem(path: str | os.PathLike[str]) -> str | None:
    """Return what Windows has against a name in a path, in words; None if nothing.

    Some of these it does not refuse: a device swallows the picture, and after a colon comes a hidden stream.
    """
    whole = PureWindowsPath(path)
    for part in whole.parts[1 if whole.anchor else 0 :]:
        if part == "..":
            continue
        if found := _FORBIDDEN.search(part):
            return f"a name on Windows cannot hold {found[0]}"
        if part.endswith((".", " ")):
            return "a name on Windows cannot end in a dot or a space"
        if _DEVICE.fullmatch(part.partition(".")[0].rstrip(" ")):
            return f"{part.partition('.')[0]} is a device on Windows"
    return None
