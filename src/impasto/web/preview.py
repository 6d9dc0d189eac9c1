"""Previews of a picture while it is painted."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from impasto.errors import PictureError
from impasto.picture import Picture, read_picture, remembered
from impasto.web import thumbnails
from impasto.web.job import WebTask
from impasto.web.storage import Storage

# Ours, seconds: faster changes are not perceived as such.
_BLINK: Final = 0.5
# Ours: previews may cost a run 3 %, of which this is the part that is measured.
_SHARE: Final = 0.025
# Ours: number of stages to save of a run, approximately.
_STAGES: Final = 12


@dataclass
class Preview:
    """Previews of a run, and stages saved along the way."""

    storage: Storage
    task: WebTask
    _next: float = 0.0
    _scale: int = -1
    latest: bytes = field(default=b"", repr=False)

    def show(self, picture: Callable[[], Picture], *, anyway: bool = False) -> bool:
        """Make a preview if one is due; return whether it was made."""
        task = self.task
        started = time.monotonic()
        if not anyway and started < self._next and self._scale == task.scale:
            return False
        self._scale = task.scale
        self.latest = thumbnails.jpeg(picture(), thumbnails.PREVIEW)
        task.preview += 1
        if anyway or task.progress >= (task.stages[-1] if task.stages else -1) + 1 / _STAGES:
            try:
                self._keep()
            except PictureError as error:
                # A full disk: the picture is painted all the same.
                note = f"a picture of the way could not be kept ({error})"
                task.notes += [note] if note not in task.notes else []
        ended = time.monotonic()
        self._next = ended + max(_BLINK, (ended - started) / _SHARE)
        return True

    def finish(self, picture: Picture) -> None:
        """Save the result."""
        # At 16 bits, since downloads of every depth are made from it.
        picture.save(self.storage.job(self.task.id) / "result.png", bits=16)
        self.storage.put(self.storage.job(self.task.id) / "result.jpg", thumbnails.jpeg(picture, thumbnails.LARGE))
        self.task.size = [picture.width, picture.height]

    def _keep(self) -> None:
        folder = self.storage.job(self.task.id) / "stages"
        self.storage.put(folder / f"{len(self.task.stages)}.jpg", self.latest)
        self.task.stages.append(self.task.progress)


def result(storage: Storage, task: WebTask) -> Picture:
    """Return the result of a job, with its provenance; a sheet has none.

    Raises:
        PictureError: it cannot be read.

    """
    path = storage.job(task.id) / "result.png"
    memory = None if task.cells else remembered(path)
    return dataclasses.replace(read_picture(path), remembered=memory, source="memory", sha256=None)
