"""Whether a picture can be written to a path: asked before any work is done."""

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from impasto.errors import OutputError, suggest
from impasto.picture.files import path_name
from impasto.picture.formats.registry import WRITERS
from impasto.picture.printing import OutputProfile
from impasto.system import ownership
from impasto.system.paths import find_windows_problem, is_url
from impasto.system.text import printable, reason

# The formats that are written, by the endings of file names.
ENDINGS: Final = {ending: name for name, writer in WRITERS.items() for ending in writer.endings}
COMPRESSIONS: Final = tuple(dict.fromkeys(name for writer in WRITERS.values() for name in writer.compressions))


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format that a path's ending asks for: "png", "jpeg", "webp", "tiff" or "avif".

    Raises:
        OutputError: No ending or an unknown one; the message names the nearest.
    """
    name = path_name(path)
    ending = Path(name).suffix
    if not ending:
        raise OutputError(f"{printable(name)}: has no ending to tell the format by; add one of {', '.join(ENDINGS)}")
    kind = ENDINGS.get(ending.lower())
    if kind is None:
        raise OutputError(
            f"{printable(name)}: unknown ending '{printable(ending)}'; {suggest(ending.lower(), ENDINGS)}"
        )
    return kind


def check_options(
    kind: str,
    bits: int,
    quality: int | None,
    compression: str | None = None,
    profile: OutputProfile | None = None,
) -> None:
    """Refuse a depth, a quality, a compression or inks that the format does not have.

    Args:
        kind: name of the format.
        bits: per channel.
        quality: from 1 to 100; None for the format's own.
        compression: None for the format's own.
        profile: inks to print with; None for sRGB.

    Raises:
        OutputError: Not a format, not 8 or 16 bits, 16 bits of a format that has 8, or a quality, a compression or a
            CMYK profile where there is none.
    """
    if kind not in WRITERS:
        raise OutputError(f"unknown format {kind!r}; {suggest(kind, WRITERS)}")
    writer = WRITERS[kind]
    if bits not in (8, 16):
        raise OutputError(f"bits is {bits!r}; expected 8 or 16")
    if bits == 16 and bits not in writer.depths:
        raise OutputError(f"{kind.upper()} holds 8 bits a channel, not 16; write a .png or .tif instead")
    if compression is not None and not writer.compressions:
        raise OutputError(f"{kind.upper()} has no choice of compression; leave compression out, or write a .tif")
    if compression is not None and compression not in writer.compressions:
        raise OutputError(f"compression is {compression!r}; choose from {', '.join(writer.compressions)}")
    if profile is not None and profile.space == "cmyk" and not writer.has_inks:
        raise OutputError(
            f"{kind.upper()} holds no CMYK, which {printable(profile.name)} is of; write a .tif or .jpg instead"
        )
    if quality is None:
        return
    if not writer.has_quality:
        raise OutputError(f"{kind.upper()} loses nothing, so it has no quality; leave quality out, or write a .jpg")
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise OutputError(f"quality is {quality!r}; expected a whole number from 1 to 100")


def check_output(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    *,
    bits: int = 8,
    quality: int | None = None,
    compression: str | None = None,
    profile: OutputProfile | None = None,
) -> str:
    """Make sure that a picture can be written to `path`, before minutes are spent on it. Leaves nothing behind.

    Args:
        path: The output.
        inputs: Files that must not be overwritten, not even with `force` or under another name.
        force: Allow an existing file to be replaced.
        bits: The depth that will be asked for.
        quality: The quality that will be asked for.
        compression: The compression that will be asked for.
        profile: The profile that will be asked for.

    Returns:
        The format, as `format_of`.

    Raises:
        OutputError: An unknown ending, an option the format lacks, an existing file without `force`, an input, a
            folder, a device, or a place where nothing can be written.
    """
    kind = format_of(path)
    check_options(kind, bits, quality, compression, profile)
    check_place(path, inputs, force)
    return kind


def check_place(
    path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = (), force: bool = False
) -> None:
    """Make sure that a file of any kind can be written to `path`; see `check_output`.

    Args:
        path: of the file to write.
        inputs: paths that must not be overwritten.
        force: whether an existing file may be replaced.

    Raises:
        OutputError: An existing file without `force`, an input, a folder, a device, or a place where nothing can be
            written.
    """
    check_name(path)
    name = path_name(path)
    if is_url(name):
        raise OutputError(f"{printable(name)}: is a URL, which only 'impasto batch' writes to; name a file")
    try:
        target = Path(os.path.realpath(name))
        info = _status(target)
    except (OSError, ValueError) as error:
        raise OutputError(f"{printable(name)}: cannot be used ({reason(error)}); choose another path") from error
    if info is not None:
        _check_existing(name, target, info, inputs, force)
    _check_folder(name, target.parent)


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a path that this system takes for something else than a file of that name.

    Raises:
        OutputError: Windows has something against the name.
    """
    problem = find_windows_problem(path_name(path)) if sys.platform == "win32" else None
    if problem is not None:
        raise OutputError(f"{printable(path_name(path))}: cannot be used ({problem}); choose another name")


def _check_existing(
    name: str, target: Path, info: os.stat_result, inputs: Iterable[str | os.PathLike[str]], force: bool
) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise OutputError(f"{printable(name)}: is a folder; name a file in it")
    if not stat.S_ISREG(info.st_mode):
        raise OutputError(f"{printable(name)}: is a pipe or a device, not a file; choose another path")
    for other in inputs:
        with contextlib.suppress(OSError, ValueError):
            if Path(path_name(other)).samefile(target):
                raise OutputError(
                    f"{printable(name)}: is the same file as the input {printable(path_name(other))}; "
                    f"choose another output"
                )
    if not force:
        raise OutputError(
            f"{printable(name)}: exists already; choose another name, or --force (force=True) to replace it"
        )
    if not os.access(target, os.W_OK):
        raise OutputError(f"{printable(name)}: is write-protected; choose another name, or change its permissions")


def _check_folder(name: str, folder: Path) -> None:
    if not folder.is_dir():
        raise OutputError(f"{printable(name)}: the folder {printable(folder)} does not exist; create it first")
    trial = folder / f".impasto-{secrets.token_hex(8)}.tmp"
    try:
        # Permissions, quotas and read-only disks are too many to ask about one by one: try.
        os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        ownership.remove(trial)
    except OSError as error:
        raise OutputError(
            f"{printable(name)}: nothing can be written to the folder {printable(folder)} "
            f"({reason(error)}); choose another"
        ) from error


def _status(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
