"""Locks, hashes and temporary names of files."""

import contextlib
import hashlib
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from impasto.errors import WeightsError
from impasto.system.text import printable, reason

# Ours: large enough that Python's overhead is negligible, and little memory.
BLOCK: Final = 2**20


def not_written(path: Path, error: OSError) -> WeightsError:
    """Return the error for a file that could not be written."""
    return WeightsError(
        f"{printable(path)}: could not be written ({reason(error)}); free some space, or set IMPASTO_CACHE to a folder "
        "that has it and that you may write to"
    )


def temporary_name(stem: str) -> str:
    """Return a name that no other process uses."""
    return f".{stem}-{secrets.token_hex(8)}.tmp"


def digests(file: BinaryIO) -> dict[str, str]:
    """Return SHA-256 and MD5 of everything in `file`, by the names of `Official.algorithm`, and rewind it."""
    # MD5 because one publisher gives nothing else; also where the system forbids it for security, which this is not.
    hashes = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    file.seek(0)
    while block := file.read(BLOCK):
        for hasher in hashes.values():
            hasher.update(block)
    file.seek(0)
    return {name: hasher.hexdigest() for name, hasher in hashes.items()}


@contextlib.contextmanager
def hold_lock(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path` against all other processes and threads; the system releases it if the process dies.

    `waiting` is called once if another holds it. The file stays, since removing a lock that others open is a race.

    Raises:
        OSError: the folder cannot be written to, or its file system has no locks.

    """
    with path.open("ab") as file:
        has_said = False
        while not _try_lock(file):
            if not has_said:
                waiting()
                has_said = True
            time.sleep(0.1)  # ours: unnoticeable, and costs nothing
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
