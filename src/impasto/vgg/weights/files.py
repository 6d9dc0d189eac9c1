"""Hashes and temporary names of files."""

import hashlib
import secrets
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
