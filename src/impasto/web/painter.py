"""From an order to a run, and from a run to the pictures that the page shows."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from impasto.backends import Precision
from impasto.picture import Picture, read_picture, remembered
from impasto.web import viewing
from impasto.web.orders import Order
from impasto.web.storage import Storage
from impasto.web.tasks import Task

if TYPE_CHECKING:
    from impasto.run import Run

# Ours, seconds: a picture that changes more often is not seen to change more.
_BLINK: Final = 0.5
# Ours: a preview may cost a run 3 %; a little less, for the time that is taken for it is not all of what it costs.
_SHARE: Final = 0.025
# Ours: stages that are kept of a run, about.
_STAGES: Final = 12


@dataclass(frozen=True)
class Means:
    """What a picture is painted with: the options of the command line that are not the page's to set."""

    device: str = "auto"
    max_memory: int | None = None
    precision: Precision = "auto"


def begin(order: Order, storage: Storage, means: Means, start: Picture | None = None) -> "Run":
    """Return the run of an order.

    Args:
        order: what to paint.
        storage: where its pictures are.
        means: what to paint it with.
        start: a picture to go on from, instead of what the order starts from.

    Raises:
        ImpastoError: as `impasto.job.Job.start`.

    """
    from impasto.job import Job  # imports torch: after the page is there

    def opened(id: str | None) -> Picture | None:
        return None if id is None else storage.picture(id)

    # The one place to take up a checkpoint: `storage.job(task.id)` is the job's folder, which outlives the server.
    return Job(
        storage.picture(order.content),
        [storage.picture(style.picture) for style in order.styles],
        order.recipe,
        [style.weight for style in order.styles],
        start or opened(order.init),
        means.device,
        means.max_memory,
        means.precision,
        opened(order.content_mask),
        [opened(style.mask) for style in order.styles] if any(style.mask for style in order.styles) else (),
        opened(order.protect),
        [style.scale for style in order.styles],
        [style.part for style in order.styles],  # type: ignore[misc]  # checked by the job
    ).start()


def steered(order: Order, task: Task) -> Order:
    """Return the order that paints on from the present scale: as many steps as are left, but at least one."""
    height, width, steps = task.scales[task.scale]
    recipe = order.recipe
    left = [max(1, steps - task.step), *(scale[2] for scale in task.scales[task.scale + 1 :])]
    # The coarser scales have been painted; what they gave is in the picture.
    start = min(max(16, max(height, width)), recipe.size) if isinstance(recipe.size, int) else max(16, height, width)
    return dataclasses.replace(order, recipe=recipe.replace(start_size=start, steps=tuple(left)))


@dataclass
class Easel:
    """Shows a run: previews now and then, stages along the way."""

    storage: Storage
    task: Task
    _next: float = 0.0
    _scale: int = -1
    latest: bytes = field(default=b"", repr=False)

    def show(self, picture: Callable[[], Picture], *, anyway: bool = False) -> bool:
        """Make a preview if it is time for one; return whether it was."""
        task = self.task
        begun = time.monotonic()
        if not anyway and begun < self._next and self._scale == task.scale:
            return False
        self._scale = task.scale
        self.latest = viewing.jpeg(picture(), viewing.PREVIEW)
        task.preview += 1
        if anyway or task.progress >= (task.stages[-1] if task.stages else -1) + 1 / _STAGES:
            self._keep()
        ended = time.monotonic()
        self._next = ended + max(_BLINK, (ended - begun) / _SHARE)
        return True

    def finish(self, picture: Picture) -> None:
        """Keep the result."""
        # At 16 bits: whatever it is downloaded as is made from this.
        picture.save(self.storage.job(self.task.id) / "result.png", bits=16)
        self.storage.put(self.storage.job(self.task.id) / "result.jpg", viewing.jpeg(picture, viewing.LARGE))
        self.task.size = [picture.width, picture.height]

    def _keep(self) -> None:
        folder = self.storage.job(self.task.id) / "stages"
        self.storage.put(folder / f"{len(self.task.stages)}.jpg", self.latest)
        self.task.stages.append(self.task.progress)


def result(storage: Storage, id: str) -> Picture:
    """Return what a job has painted, with what it remembers.

    Raises:
        PictureError: it cannot be read.

    """
    path = storage.job(id) / "result.png"
    return dataclasses.replace(read_picture(path), remembered=remembered(path), source="memory", sha256=None)
