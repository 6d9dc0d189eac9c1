"""Locks between processes."""

import fcntl
import os
from pathlib import Path

from impasto.errors import CheckpointError
from impasto.system.text import printable


def lock_folder(folder: Path) -> int:
    """Lock a folder against other processes, and return the file descriptor of the lock."""
    path = folder / "lock"
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder may have removed the file meanwhile; then this lock protects nothing.
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        except BlockingIOError as error:
            os.close(handle)
            raise CheckpointError(
                f"{printable(folder)}: another process is using it; wait for its end, or stop it"
            ) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
