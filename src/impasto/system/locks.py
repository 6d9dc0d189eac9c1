"""Locks between processes, by filelock: released by the system when their process ends, however that happens."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from impasto.errors import CheckpointError
from impasto.system import ownership
from impasto.system.text import printable

# Ours: far more often than others can remove a lock file just before it is looked at.
_TRIES: Final = 100


def try_lock(path: Path) -> FileLock | None:
    """Lock a file against other processes, and against other locks of this one; return None if another holds it.

    Raises:
        OSError: the file cannot be made, its file system has no locks, or it is no empty file, as locks are.

    """
    if os.path.lexists(path) and not ownership.is_empty(path):
        raise OSError(f"{printable(path.name)} in it is no lock of impasto's")
    for _ in range(_TRIES):
        descriptors: list[int] = []
        lock = FileLock(path, 0, thread_local=False, fallback_to_soft=False, on_acquired=descriptors.append)
        try:
            lock.acquire()
        except Timeout:
            return None
        # The previous holder may have removed the file meanwhile; then this lock protects nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptors[0])):
                return lock
        lock.release()
    raise OSError("its file system does not say which file is locked")


def lock_folder(folder: Path) -> FileLock:
    """Lock a folder of work, by the file `lock` in it.

    Raises:
        CheckpointError: another process is using the folder.
        OSError: as `try_lock`.

    """
    lock = try_lock(folder / "lock")
    if lock is None:
        raise CheckpointError(f"{printable(folder)}: another process is using it; wait for its end, or stop it")
    return lock


def release_and_remove(lock: FileLock, folder: Path) -> None:
    """Release the lock of a folder, and remove the folder if nothing else is in it."""
    # Before the release, so that nobody locks a file that is then removed.
    with contextlib.suppress(OSError):
        ownership.remove(folder / "lock")
        ownership.remove_empty_folder(folder)
    lock.release()
    if sys.platform == "win32":
        # There a file that is open cannot be removed: the one who released it, filelock, has removed it now.
        with contextlib.suppress(OSError):
            ownership.remove_empty_folder(folder)


@contextlib.contextmanager
def hold_lock(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path` while the context lasts; wait for it if another holds it.

    The file stays, since removing a lock that others open is a race.

    Args:
        path: of the lock.
        waiting: is called once if another holds it.

    Raises:
        OSError: as `try_lock`.

    """
    lock = try_lock(path)
    if lock is None:
        waiting()
        lock = FileLock(path, thread_local=False, fallback_to_soft=False)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
