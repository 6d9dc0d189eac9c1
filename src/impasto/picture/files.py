"""Bytes from a path or an open file."""

import io
import os
import stat
from pathlib import Path
from typing import Protocol

from impasto.errors import PictureError
from impasto.picture.limits import Limits
from impasto.system.text import printable, reason


class BinaryReader(Protocol):
    """Anything with a `read` that returns bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        ...


def path_name(path: str | os.PathLike[str]) -> str:
    """Return a path as text; undecodable bytes in it survive, as elsewhere in Python."""
    return os.fsdecode(os.fspath(path))


def stream_name(stream: object) -> str:
    """Return what a `Picture` calls an open file: its path, "stdin" or "memory"."""
    name = getattr(stream, "name", None)
    if name in ("<stdin>", 0):
        return "stdin"
    return name if isinstance(name, str) and name else "memory"


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a pipe or a device such as `/dev/stdin`, which can be read once only."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


class PipeContent:
    """All that came out of a pipe or a device, as an open file of its name.

    Args:
        path: of the pipe or the device; reading waits for who writes to it.
        limits: the most bytes that are read.

    Raises:
        PictureError: as `read_path`.

    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits) -> None:
        self.name = path_name(path)
        self._data = io.BytesIO(read_path(path, limits, pipes=True))

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        return self._data.read(size)


def read_path(path: str | os.PathLike[str], limits: Limits, *, pipes: bool = False) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: of the file.
        limits: the most bytes that are read.
        pipes: whether a pipe or a device is read too, which may wait for ever, and a second time gives nothing.

    Raises:
        PictureError: It is missing, a folder, a pipe or a device, unreadable, empty or over the limit.
    """
    name = path_name(path)
    try:
        info = Path(name).stat()
        # Opening a pipe would wait for a writer for ever, so the kind is looked at first.
        if stat.S_ISDIR(info.st_mode):
            raise PictureError(f"{printable(name)}: is a folder, not a picture; name a file in it")
        if not stat.S_ISREG(info.st_mode) and not (pipes and is_pipe(name)):
            raise PictureError(
                f"{printable(name)}: is a pipe or a device, not a file; give - for standard input, or pass an open file"
            )
        limits.check_bytes(info.st_size, name)
        with Path(name).open("rb") as file:
            return _read(file, name, limits)
    except FileNotFoundError as error:
        raise PictureError(f"{printable(name)}: no such file; check the path") from error
    except PermissionError as error:
        raise PictureError(f"{printable(name)}: may not be read; check its permissions") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{printable(name)}: cannot be read ({reason(error)}); check the path") from error


def read_stream(stream: BinaryReader, limits: Limits) -> bytes:
    """Return what is left in an open binary file.

    Raises:
        PictureError: It fails, gives text or nothing, or gives more than the limit.
    """
    name = stream_name(stream)
    try:
        return _read(stream, name, limits)
    except PictureError:
        raise
    except Exception as error:
        # A caller's own kind of file may raise anything, as a broken download does.
        raise PictureError(
            f"{printable(name)}: cannot be read ({reason(error)}); is it open, in binary mode?"
        ) from error


def _read(stream: BinaryReader, name: str, limits: Limits) -> bytes:
    # A pipe or socket may return less than asked for, so one read is not enough.
    pieces: list[bytes] = []
    remaining = limits.max_file_bytes + 1
    while remaining > 0:
        piece = stream.read(min(remaining, 1 << 24))
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise PictureError(f"{printable(name)}: gives {type(piece).__name__}, not bytes; open it in binary mode")
        if not piece:
            break
        pieces.append(bytes(piece))
        remaining -= len(piece)
    data = b"".join(pieces)
    limits.check_bytes(len(data), name)
    if not data:
        raise PictureError(f"{printable(name)}: is empty; there is no picture in it")
    return data
