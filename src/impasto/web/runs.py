"""Runs of the page's jobs, and their files in the job's folder."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.errors import CheckpointError, OutputError
from impasto.picture import Picture, read_picture
from impasto.recipe import Compute, Inputs
from impasto.web.job import WebTask
from impasto.web.requests import Order
from impasto.web.storage import Storage

if TYPE_CHECKING:
    from impasto.engine.run import Run
    from impasto.jobs.job import Job
    from impasto.jobs.resume import ReplacedPictures
    from impasto.sweeps import Sweep

# Names in the folder of a job.
_CHECKPOINT, _START, _CELLS = "checkpoint-{}", "start-{}.png", "cells"


def begin(order: Order, task: WebTask, storage: Storage, means: Compute, start: Picture | None = None) -> "Run":
    """Return the run of an order, with checkpoints in the folder of its task.

    Args:
        order: what to paint; for a task that was steered, what remains.
        task: of the order.
        storage: of its pictures.
        means: device, memory and precision.
        start: a picture to start from instead of the order's.

    Raises:
        ImpastoError: as `impasto.jobs.job.Job.start`.

    """
    from impasto.engine.checkpoints import Checkpoints  # imports torch: after the page is there

    run = _job(order, storage, means, start).start()
    settings = Checkpoints(_path(_CHECKPOINT, task, storage), keep=False, replace=True)
    try:
        run.enable_checkpoints(settings.open(), {}, every=settings.every, keep=False)
    except (CheckpointError, OutputError) as error:
        task.notes.append(f"{error}; without checkpoints, this picture begins again when the server does")
    return run


def sheet(task: WebTask, storage: Storage, means: Compute) -> "Sweep":
    """Return the sheet of a task; finished pictures are kept in the folder of the task.

    Args:
        task: a sweep.
        storage: holds its pictures.
        means: device, memory and precision.

    Raises:
        ImpastoError: as `impasto.sweeps.make_sweep`.

    """
    from impasto.sweeps import Variation, make_sweep  # imports torch: after the page is there

    cells = make_sweep(
        _job(task.order, storage, means), [Variation(*pair) for pair in task.order.vary], storage.job(task.id) / _CELLS
    )
    cells.make_folder()
    return cells


def _job(order: Order, storage: Storage, means: Compute, start: Picture | None = None) -> "Job":
    from impasto.jobs.job import Job  # imports torch: after the page is there

    inputs: Inputs[Picture] = order.inputs.map(storage.picture)
    if start is not None:
        inputs = dataclasses.replace(inputs, start=start)
    return Job(inputs, order.recipe, means)


def resume_from_checkpoint(task: WebTask, storage: Storage, means: Compute) -> "Run | None":
    """Return the run of a task from its checkpoint; None if there is none that can be used.

    Args:
        task: that was interrupted.
        storage: holds its pictures and checkpoint.
        means: device, memory and precision.

    Raises:
        ImpastoError: an input picture cannot be read, or the device does not exist.

    """
    from impasto.engine.checkpoints import Folder
    from impasto.engine.checkpoints.writer import INTERVAL
    from impasto.jobs.resume import ComputeChanges, resume_run

    path = _path(_CHECKPOINT, task, storage)
    if not has_checkpoint(task, storage):
        return None
    folder: Folder | None = None
    try:
        folder = Folder(path, create=False)
        saved = folder.read()
        pictures = _replacements(task.order, storage, load_start(task, storage))
        run = resume_run(folder, saved, saved.recipe, pictures, ComputeChanges(means.device, means.max_memory))
        run.enable_checkpoints(folder, {}, every=INTERVAL, keep=False)
    except BaseException as error:
        if folder is not None:
            folder.close()
        if not isinstance(error, CheckpointError):
            raise
        task.notes.append(f"{error}; it was begun again")
        return None
    return run


def has_checkpoint(task: WebTask, storage: Storage) -> bool:
    """Whether there is a checkpoint of the present stretch of a task."""
    return any(_path(_CHECKPOINT, task, storage).glob("*.json"))


def release(run: "Run", *, over: bool) -> None:
    """Write a last checkpoint of a run; if its task is over, remove its checkpoints instead."""
    if run.checkpoint_writer is None:
        return
    if over:
        run.checkpoint_writer.folder.remove()
    else:
        if run.resumable:
            run.checkpoint()
        run.checkpoint_writer.folder.close()


def save_start(task: WebTask, storage: Storage, start: Picture) -> None:
    """Save the image from which the next stretch of a task starts.

    Args:
        task: to go on with.
        storage: holds its files.
        start: the image.

    Raises:
        PictureError: it cannot be written.

    """
    start.save(_path(_START, task, storage, task.stretch + 1), bits=16, force=True)


def load_start(task: WebTask, storage: Storage) -> Picture | None:
    """Return the image that the present stretch started from; None for a task that was not steered.

    Raises:
        PictureError: it cannot be read.

    """
    path = _path(_START, task, storage)
    return read_picture(path) if path.exists() else None


def remove_other_stretches(task: WebTask, storage: Storage) -> None:
    """Remove the files of a task's earlier stretches."""
    current_paths = [_path(name, task, storage) for name in (_CHECKPOINT, _START)]
    for name in (_CHECKPOINT, _START):
        for path in storage.job(task.id).glob(name.format("*")):
            if path not in current_paths:
                storage.drop(path)


def _path(name: str, task: WebTask, storage: Storage, stretch: int | None = None) -> Path:
    return storage.job(task.id) / name.format(task.stretch if stretch is None else stretch)


def _replacements(order: Order, storage: Storage, start: Picture | None) -> "ReplacedPictures":
    from impasto.jobs.resume import ReplacedPictures

    def opened(id: str | None) -> Picture | None:
        return None if id is None else storage.picture(id)

    return ReplacedPictures(
        storage.picture(order.content),
        [storage.picture(style.picture) for style in order.styles],
        start or opened(order.init),
        opened(order.content_mask),
        [opened(style.mask) for style in order.styles] if any(style.mask for style in order.styles) else None,
        opened(order.protect),
    )


def remaining_steps(order: Order, task: WebTask) -> tuple[int, list[int]]:
    """Return the start size in px, and the steps per scale, with which `order` continues a task's image.

    The remaining steps, at least one; coarser scales are not painted again.
    """
    height, width, steps = task.scales[task.scale]
    size = order.recipe.size
    start = max(16, height, width)
    steps_left = [max(1, steps - task.step), *(scale[2] for scale in task.scales[task.scale + 1 :])]
    return (min(start, size) if isinstance(size, int) else start), steps_left


def current_order(task: WebTask) -> Order:
    """Return the order of the present stretch of a task."""
    order = task.order
    if task.start_size is None:
        return order
    return dataclasses.replace(order, recipe=order.recipe.replace(start_size=task.start_size, steps=tuple(task.steps)))
