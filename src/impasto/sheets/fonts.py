"""Fonts of this system, for letters that Pillow's built-in typeface lacks."""

import functools
import os
import sys
from pathlib import Path
from typing import Final

from PIL import ImageFont

# Fonts of many letters that come with systems, good ones first; whatever else is there comes after them.
_PREFERRED: Final = (
    "NotoSans-Regular", "DejaVuSans", "segoeui", "Arial Unicode", "arialuni", "NotoSansCJK-Regular",
    "NotoSansCJKsc-Regular", "NotoSansCJKjp-Regular", "SourceHanSans-Regular", "PingFang", "Hiragino Sans GB", "msyh",
    "YuGothM", "msgothic", "malgun", "AppleSDGothicNeo", "wqy-microhei", "wqy-zenhei", "DroidSansFallbackFull",
    "DroidSansFallback", "FreeSans",
)  # fmt: skip
_ENDINGS: Final = (".ttf", ".otf", ".ttc", ".otc")
# Ours: to ask a font for a letter takes a millisecond.
_MOST_FONTS: Final = 2000
# Ours: each keeps its file open.
_OPEN_FONTS: Final = 64
_ANY_SIZE: Final = 16
# No font has this one, so its picture is that of a letter that is missing.
_NO_LETTER: Final = "\uffff"


def find_font(letter: str) -> str | None:
    """Return the file of a font of this system that has a letter; None if none has."""
    return _find_font(letter, _folders())


@functools.lru_cache(maxsize=_OPEN_FONTS)
def load_font(file: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font of a size in pixels."""
    return ImageFont.truetype(file, size)


def has_letter(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Tell whether a font has a letter."""
    return letter.isspace() or bytes(font.getmask(letter)) != _missing(font)


@functools.lru_cache(maxsize=_OPEN_FONTS)
def _missing(font: ImageFont.FreeTypeFont) -> bytes:
    """Return what a font shows for a letter that it lacks."""
    return bytes(font.getmask(_NO_LETTER))


def _folders() -> tuple[str, ...]:
    """Return where this system keeps its fonts: as fontconfig, macOS and Windows say. A folder may not exist."""
    home = os.environ.get("HOME", "")
    if sys.platform == "win32":
        windows, local = os.environ.get("WINDIR", "C:\\Windows"), os.environ.get("LOCALAPPDATA", "")
        return f"{windows}\\Fonts", f"{local}\\Microsoft\\Windows\\Fonts"
    if sys.platform == "darwin":
        return "/System/Library/Fonts", "/Library/Fonts", f"{home}/Library/Fonts"
    data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return tuple(f"{folder}/fonts" for folder in (own, *data.split(":")) if folder)


@functools.lru_cache(maxsize=4)
def _files(folders: tuple[str, ...]) -> tuple[str, ...]:
    found = [file for folder in folders for file in sorted(Path(folder).rglob("*")) if file.suffix.lower() in _ENDINGS]
    ranks = {name.lower(): rank for rank, name in enumerate(_PREFERRED)}
    found.sort(key=lambda file: ranks.get(file.stem.lower(), len(ranks)))
    return tuple(map(str, found[:_MOST_FONTS]))


@functools.lru_cache(maxsize=4096)
def _find_font(letter: str, folders: tuple[str, ...]) -> str | None:
    for file in _files(folders):
        try:
            if has_letter(load_font(file, _ANY_SIZE), letter):
                return file
        except OSError:
            # A damaged font, or one of fixed sizes, such as those of coloured symbols.
            continue
    return None
