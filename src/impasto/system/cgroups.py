"""The limits of Linux's control groups, as containers, Slurm and systemd set them: the least along a process's path.

https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/admin-guide/cgroup-v1/
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
# Version 1 writes the largest multiple of a page for no limit.
_NO_LIMIT: Final = 1 << 60


def memory_limit(root: Path = _ROOT, own: Path = _OWN) -> int | None:
    """Return the memory that this process's groups may use in bytes; None without a limit.

    Args:
        root: where the groups are mounted.
        own: the file that lists the groups of this process.

    """
    texts = [
        *(_text(folder / "memory.max") for folder in _folders(root, own, "")),
        *(_text(folder / "memory.limit_in_bytes") for folder in _folders(root, own, "memory")),
    ]
    limits = [int(text) for text in texts if text.isdecimal() and int(text) < _NO_LIMIT]
    return min(limits, default=None)


def processor_limit(root: Path = _ROOT, own: Path = _OWN) -> float | None:
    """Return how many processors' time this process's groups may use; None without a limit.

    Args:
        root: where the groups are mounted.
        own: the file that lists the groups of this process.

    """
    pairs = [_text(folder / "cpu.max").split() for folder in _folders(root, own, "")]
    pairs += [
        [_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")]
        for folder in _folders(root, own, "cpu")
    ]
    # Microseconds of a period, both; "max", or -1, for no limit.
    numbers = [[int(text) for text in pair if text.isdecimal()] for pair in pairs]
    return min((pair[0] / pair[1] for pair in numbers if len(pair) == 2 and all(pair)), default=None)


def count_cores() -> int:
    """Return how many cores this process may use; a container's limit counts, in whole cores."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = processor_limit()
    return count if limit is None else min(count, max(1, int(limit)))


def _folders(root: Path, own: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of those that it is in; version 2 has no name of a controller."""
    for line in _text(own).splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if path.startswith("/") and controller in names.split(","):
            top = root / names if controller else root
            for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield top / folder.relative_to("/")
    # Inside a container its own group is mounted at the root, and the path may be that outside.
    yield root / controller if controller else root


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
