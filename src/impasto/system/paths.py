"""Paths that are kept for later."""

import os


def relative_path(path: str, folder: str) -> str:
    """Return an absolute path relative to a folder; as it is where the two are on different drives of Windows."""
    try:
        return os.path.relpath(path, folder)
    except ValueError:
        return path
