"""Files that are written whole or not at all."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from impasto.system import ownership

# Ours, seconds: longer than a virus scanner looks at a new file.
_PATIENCE: Final = 1.0


def write_whole(path: str | os.PathLike[str], data: bytes, temporary: str | None = None) -> None:
    """Write `data` to `path` in one step: other processes see the old file or the new one, never a part.

    The bytes go to a temporary file in the same folder, are synced to the disk, and the file is renamed. A symbolic
    link stays, and its target is replaced. An existing file's mode and owner are kept; a new one gets what the umask
    allows.

    Args:
        path: the file.
        data: all of it.
        temporary: a unique name for the temporary file; None to make one up.

    Raises:
        OSError: writing failed. An existing file is unchanged, and the temporary file is removed.
        ValueError: the path is not valid.

    """
    with writing(path, temporary) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], temporary: str | None = None) -> Iterator[BinaryIO]:
    """Give an open file that gets the name `path` when the context ends without an error: see `write_whole`.

    Raises:
        OSError: writing failed. An existing file is unchanged, and the temporary file is removed.
        ValueError: the path is not valid.

    """
    target = Path(os.path.realpath(path))
    before = _existing(target)
    unfinished = target.with_name(temporary or f".impasto-{secrets.token_hex(8)}.tmp")
    try:
        with _write_through(unfinished, before) as file:
            yield file
        _put_in_place(unfinished, target)
    except BaseException:
        # Also on Ctrl-C: leave nothing half-written.
        with contextlib.suppress(OSError):
            ownership.remove(unfinished)
        raise
    _flush_folder(target.parent)


def _put_in_place(unfinished: Path, target: Path) -> None:
    try:
        replace(unfinished, target)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A file that is mounted by itself, as containers do, has to stay: it is written over, which is not atomic.
        shutil.copyfile(unfinished, target)
        ownership.remove(unfinished)


def replace(source: Path, target: Path) -> None:
    """Rename a file, in place of another if there is one.

    Windows refuses it while some program has one of them open, which a virus scanner or a viewer has for a moment; it
    is tried again for a second there.

    Raises:
        OSError: it cannot be renamed.

    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() >= deadline:
                raise
            time.sleep(_PATIENCE / 20)
        else:
            return


def _existing(target: Path) -> os.stat_result | None:
    try:
        info = target.stat()
    except FileNotFoundError:
        return None
    # Replacing a device or a pipe would destroy it instead of writing to it.
    if not stat.S_ISREG(info.st_mode):
        raise OSError("it is not a regular file")
    return info


@contextlib.contextmanager
def _write_through(temporary: Path, before: os.stat_result | None) -> Iterator[BinaryIO]:
    # O_EXCL: do not follow a link that somebody put there. 0o666: the system applies the umask.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
        if before is not None and sys.platform != "win32":
            # Only root can change the owner. The mode is set afterwards, since changing the owner clears a part of it.
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
