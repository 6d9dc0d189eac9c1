"""Digests of files."""

import hashlib
import os
from io import BufferedReader
from pathlib import Path


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        OSError: it cannot be read.

    """
    with Path(path).open("rb") as file:
        return stream_digest(file)


def stream_digest(file: BufferedReader) -> str:
    """Return the SHA-256 of what is left of an open file, in hexadecimal.

    Raises:
        OSError: it cannot be read.

    """
    return hashlib.file_digest(file, "sha256").hexdigest()
