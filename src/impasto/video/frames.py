"""The frames painted so far, in a folder from which an interrupted film continues.

lock              locked by the process that paints; the system releases it when the process ends
film.json         the identity of the film, so that frames of another are never mixed in
frame-000001.png  a frame, written whole or not at all
"""

import contextlib
import json
import re
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from impasto.errors import OutputError, PictureError
from impasto.picture import Picture, as_picture, read_picture
from impasto.system import ownership
from impasto.system.atomic import write_whole
from impasto.system.locks import lock_folder, release_and_remove
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import printable, reason

Pixels = NDArray[np.uint8]

_FRAME: Final = re.compile(r"frame-\d{6}\.png")
_NOTE: Final = re.compile(r"film\.json")
_MARK: Final = b'{\n "impasto-film": '


class FrameStore:
    """A folder of painted frames, locked by this process until `close`.

    Args:
        path: of the folder; made if it does not exist.
        identity: all that decides how the frames look, as plain values.
        force: whether to delete frames of another film.

    Raises:
        OutputError: it holds frames of another film, or something else, or cannot be made or written to.
        CheckpointError: another process has locked it.

    """

    def __init__(self, path: Path, identity: ReadOnlyTable, *, force: bool = False) -> None:
        self.path = path
        self._lock: FileLock | None = None
        try:
            path.mkdir(exist_ok=True)
            self._lock = lock_folder(path)
            self._claim(identity, force=force)
        except BaseException as error:
            self.close()
            if not isinstance(error, OSError):
                raise
            raise OutputError(
                f"{printable(path)}: frames cannot be kept there ({reason(error)}); choose another output"
            ) from error

    def _claim(self, identity: ReadOnlyTable, *, force: bool) -> None:
        """Check that the frames in the folder are of this film."""
        content = json.dumps({"impasto-film": identity}, indent=1, sort_keys=True).encode() + b"\n"
        note = self._note()
        if note is None and (others := {path.name for path in self.path.iterdir()} - {"lock"}):
            raise OutputError(
                f"{printable(self.path)}: holds no frames of impasto, but {printable(min(others))[:80]}; "
                "choose another output"
            )
        self._sweep(ownership.UNFINISHED)
        if note is not None and note.read_bytes() != content:
            if not force:
                raise OutputError(
                    f"{printable(self.path)}: holds frames of another clip, style or recipe; "
                    "choose another output, or --force to throw them away"
                )
            self._sweep(_FRAME)
        write_whole(self.path / "film.json", content)

    def __enter__(self) -> "FrameStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def frame(self, index: int) -> Pixels | None:
        """Return a frame painted before, (H, W, 3) sRGB; None if it is missing or damaged."""
        try:
            return read_picture(self._file(index)).to_numpy()
        except PictureError:
            return None

    def keep(self, index: int, pixels: Pixels) -> None:
        """Write a frame.

        Raises:
            PictureError: it cannot be written.

        """
        as_picture(pixels).save(self._file(index), metadata=False)

    @property
    def count(self) -> int:
        """Number of frames, from the first one on without a gap."""
        number = 0
        while self._file(number).exists():
            number += 1
        return number

    def close(self) -> None:
        """Release the lock; the frames stay."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def remove(self) -> None:
        """Remove the frames, and the folder if nothing else is in it."""
        with contextlib.suppress(OSError):
            for name in (_FRAME, ownership.UNFINISHED, _NOTE):
                self._sweep(name)
        if self._lock is not None:
            lock, self._lock = self._lock, None
            release_and_remove(lock, self.path)

    def _note(self) -> Path | None:
        """Return the file that says that the folder is one of frames; None if there is none."""
        return next(iter(ownership.find(self.path, _NOTE, lambda path: ownership.has_mark(path, _MARK))), None)

    def _sweep(self, name: re.Pattern[str]) -> None:
        if self._note() is not None:
            for path in ownership.find(self.path, name):
                ownership.remove(path)

    def _file(self, index: int) -> Path:
        return self.path / f"frame-{index + 1:06d}.png"


def of_pixels(pixels: Pixels) -> Picture:
    """Return (H, W, 3) sRGB as a picture, without checking it."""
    return Picture(np.ascontiguousarray(np.moveaxis(pixels, -1, 0), dtype=np.float32) / np.float32(255))
