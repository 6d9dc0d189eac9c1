"""What a worker does with a task: paint it, or go on with it where a run of it was interrupted."""

import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from impasto.engine import devices
from impasto.engine.checkpoints import Folder
from impasto.engine.checkpoints.writer import INTERVAL
from impasto.engine.run import Run
from impasto.errors import CheckpointError, DeviceLostError, ImpastoError, OutputError, UsageError
from impasto.executors import storage, up_to_date
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.jobs import checkpoint_paths
from impasto.jobs.output import Stages
from impasto.jobs.resume import ComputeChanges, ReplacedPictures, options_of, resume_run
from impasto.reports import events
from impasto.reports.events import Checkpointed, Event, Finished, Stepped
from impasto.system import ownership
from impasto.system.digests import file_digest
from impasto.system.tables import Table
from impasto.system.text import printable, reason

IDENTITY: Final = "identity"
# Ours: a worker whose parent died notices within a step, and then releases its checkpoint folder.
_PATIENCE: Final = 20.0  # seconds
# Ours: often enough to follow, rarely enough to cost nothing.
_INTERVAL: Final = 0.5  # seconds

Painting = Generator[Table, None, Outcome]


def paint(task: Task, should_stop: Callable[[], bool]) -> Painting:
    """Paint a task into its file; yield the run's events as plain values, steps at most twice a second.

    Errors are returned in the outcome: one broken picture does not stop the others.

    Args:
        task: what to paint.
        should_stop: asked after every step; if true, the run stops there with a checkpoint.

    Raises:
        DeviceLostError: the device failed, so that this process can paint nothing more.

    """
    started = time.perf_counter()
    try:
        if task.attempt and not task.force and up_to_date.is_up_to_date(task):
            discard(task)
            if task.url is not None:
                return Outcome("there", mark=storage.etag(task.url) or "")
            return Outcome("there", sha256=file_digest(task.output.path))
        return (yield from _paint(task, should_stop, started))
    except DeviceLostError:
        # The next pictures would fail too.
        raise
    except Exception as error:
        return Outcome("failed", _describe(error), time.perf_counter() - started)


def _describe(error: Exception) -> str:
    if isinstance(error, ImpastoError | OSError):
        text = str(error) if isinstance(error, ImpastoError) else reason(error)
    elif devices.is_out_of_memory(error):
        text = "not enough memory; choose a smaller size, or fewer workers"
    else:
        text = f"unexpected {type(error).__name__}: {reason(error)}; please report this"
    return " ".join(text.split())


def _send(task: Task, url: str) -> str:
    path = Path(task.output.path)
    try:
        storage.upload(path, url)
    except OutputError as error:
        raise OutputError(f"{error}; the picture is in {printable(path)}") from error
    ownership.remove(path)
    return storage.etag(url) or ""


def discard(task: Task) -> None:
    """Remove a checkpoint of a task that is done; that of another run stays."""
    if task.checkpoint != "auto" or task.folder is None or not os.path.isdir(task.folder):  # noqa: PTH112
        # A name too long for a folder is none.
        return
    try:
        folder = Folder(task.folder, create=False)
    except ImpastoError:
        return
    try:
        ours = _is_of(task, options_of(folder.read()))
    except CheckpointError:
        ours = False
    (folder.remove if ours else folder.close)()


def _paint(task: Task, should_stop: Callable[[], bool], started: float) -> Painting:
    if task.url is not None:
        # On another machine nobody has made it yet.
        Path(task.output.path).parent.mkdir(parents=True, exist_ok=True)
    run = _start_or_resume(task)
    before, stages = run.steps_done, Stages(task.output, run.steps_done)
    try:
        try:
            last = yield from _go_through(run, stages, should_stop)
        except DeviceLostError:
            # The image is lost with the device.
            raise
        except Exception as error:
            return Outcome("failed", _describe(error) + _save_unfinished(task, run), time.perf_counter() - started)
        if not isinstance(last, Finished):
            return _stop(task, run, last, time.perf_counter() - started)
        picture = run.picture()
        notes = [*run.notes, *stages.notes, *task.output.write(picture)]
        digest = file_digest(task.output.path)
        mark = "" if task.url is None else _send(task, task.url)
        if run.checkpoint_writer is not None and not run.checkpoint_writer.keep:
            run.checkpoint_writer.folder.remove()
        return Outcome(
            "painted",
            seconds=time.perf_counter() - started,
            steps=run.steps_done - before,
            before=before,
            size=picture.size,
            loss=last.loss,
            sha256=digest,
            mark=mark,
            notes=tuple(notes),
            advice=last.advice,
        )
    finally:
        run.close()
        if run.checkpoint_writer is not None:
            run.checkpoint_writer.folder.close()


def _go_through(run: Run, stages: Stages, should_stop: Callable[[], bool]) -> Generator[Table, None, Event]:
    """Yield the events of a run as plain values; return the last, or that at which it was to stop."""
    due = 0.0
    for event in run:
        if not isinstance(event, Stepped) or time.perf_counter() >= due or event.step == event.steps:
            due = time.perf_counter() + _INTERVAL
            yield events.table(event)
        if isinstance(event, Stepped):
            stages.show(run.picture)
        if should_stop() and not isinstance(event, Finished):
            break
    return event


def _save_unfinished(task: Task, run: Run) -> str:
    """Write the best picture of a run that failed; return what to add to the reason why it did."""
    if not run.has_image or not run.steps_done:
        # Before the first step the image is only what the run starts from.
        return ""
    try:
        picture = run.picture()
        task.output.write(picture)
        if task.url is not None:
            _send(task, task.url)
    except Exception as error:
        return f"; what there is could not be saved ({_describe(error)})"
    return f"; saved what there is, {picture.width}x{picture.height}"


def _start_or_resume(task: Task) -> Run:
    """Return the run of a task, resumed from its checkpoint if there is one.

    Raises:
        ImpastoError: as `Job.start`; or the folder holds the checkpoint of another run.

    """
    path = task.folder
    folder = _open_folder(path) if path is not None and Path(path).is_dir() else None
    try:
        if folder is not None and not folder.empty:
            before = _resume(task, folder)
            if before is not None:
                return before
        run = task.job().start()
        if path is not None and (task.checkpoint != "auto" or checkpoint_paths.is_worth_it(run, task.over)):
            _enable_checkpoints(task, run, folder or _open_folder(path))
        elif folder is not None:
            # A stale checkpoint of an earlier request for this output.
            folder.remove()
    except BaseException:
        if folder is not None:
            folder.close()
        raise
    return run


def _open_folder(path: str) -> Folder:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return Folder(path, create=True)
        except CheckpointError:
            if time.monotonic() >= deadline or not Path(path).is_dir():
                raise
            time.sleep(0.1)


def _enable_checkpoints(task: Task, run: Run, folder: Folder) -> None:
    note = {"output": checkpoint_paths.to_table(task.output, folder.path), IDENTITY: task.identity}
    every = INTERVAL if task.every is None else task.every
    run.enable_checkpoints(folder, note, every=every, keep=task.checkpoint != "auto")


def _is_of(task: Task, saved_options: Table) -> bool:
    return task.identity is not None and saved_options.get(IDENTITY) == task.identity


def _resume(task: Task, folder: Folder) -> Run | None:
    """Return the run whose checkpoint is in the folder; None if it is damaged or of an earlier request.

    Raises:
        UsageError: another command wrote it.

    """
    try:
        saved = folder.read()
    except CheckpointError:
        return None
    saved_options = options_of(saved)
    if IDENTITY not in saved_options and not task.force:
        raise UsageError(
            f"{printable(folder.path)}: holds the checkpoint of another run; go on with 'impasto resume', "
            f"or begin anew "
            "with --force"
        )
    if not _is_of(task, saved_options) or (task.force and not task.attempt):
        return None
    pictures = ReplacedPictures(task.inputs.photo, [style.picture for style in task.inputs.styles], task.inputs.start)
    try:
        run = resume_run(folder, saved, task.recipe, pictures, ComputeChanges(task.compute.device))
    except CheckpointError:
        return None
    _enable_checkpoints(task, run, folder)
    return run


def _stop(task: Task, run: Run, event: Event, seconds: float) -> Outcome:
    """Write a checkpoint where the run is, if it is between two steps, also of a run that is too short for others."""
    has_checkpoint = False
    if isinstance(event, Stepped) and task.folder is not None:
        if run.checkpoint_writer is None:
            _enable_checkpoints(task, run, _open_folder(task.folder))
        has_checkpoint = isinstance(run.checkpoint(), Checkpointed)
    return Outcome("stopped", "stopped on request", seconds, kept=has_checkpoint)
