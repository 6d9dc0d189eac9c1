"""A file is written whole or not at all."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_whole(path: str | os.PathLike[str], data: bytes, temporary: str | None = None) -> None:
    """Put `data` at `path` in one step: another process sees the old file or the new one, never a part.

    The bytes go to a temporary file in the same folder, onto the disk, and then take the name. A symbolic link keeps
    pointing where it did and its target is replaced. An existing file's mode and owner are kept; a new one gets what
    the umask allows.

    Args:
        path: the file.
        data: all of it.
        temporary: a name for the temporary file that nobody else uses, where one made up here will not do.

    Raises:
        OSError: writing failed. What was there before is untouched, and the temporary file is gone.
        ValueError: the path cannot be one.

    """
    with writing(path, temporary) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], temporary: str | None = None) -> Iterator[BinaryIO]:
    """Give an open file whose content takes the name `path` when all of it is there: see `write_whole`.

    Raises:
        OSError: writing failed. What was there before is untouched, and the temporary file is gone.
        ValueError: the path cannot be one.

    """
    target = Path(os.path.realpath(path))
    before = _existing(target)
    unfinished = target.with_name(temporary or f".impasto-{secrets.token_hex(8)}.tmp")
    try:
        with _write_through(unfinished, before) as file:
            yield file
        unfinished.replace(target)
    except BaseException:
        # Also on Ctrl-C: nothing half-written stays behind.
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    _flush_folder(target.parent)


def _existing(target: Path) -> os.stat_result | None:
    try:
        info = target.stat()
    except FileNotFoundError:
        return None
    # Replacing would destroy a device or a pipe instead of writing to it.
    if not stat.S_ISREG(info.st_mode):
        raise OSError("it is not a regular file")
    return info


@contextlib.contextmanager
def _write_through(temporary: Path, before: os.stat_result | None) -> Iterator[BinaryIO]:
    # O_EXCL: never through a link that somebody else put there. 0o666: the system takes the umask off.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
        if before is not None and hasattr(os, "fchmod"):
            # Another owner can be given by root only; the mode comes after, for it is cleared in part by the owner.
            with contextlib.suppress(OSError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
        yield file
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    # The file is in place. Some file systems cannot sync a folder, and Windows cannot open one.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
