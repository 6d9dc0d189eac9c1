"""How a sweep is painted, and what an interruption leaves."""

import contextlib
import dataclasses
import signal
import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from impasto.cli.display.notes import Notes, where
from impasto.cli.display.sweep import SweepDisplay
from impasto.cli.options import executor as executor_options
from impasto.cli.paint import end_early
from impasto.cli.signals import Answer, EarlyEnd, Interrupted, interrupt, signals
from impasto.cli.values import Options
from impasto.errors import DivergedError, ImpastoError
from impasto.jobs.output import Output, Stages
from impasto.picture import Picture
from impasto.reports.events import Stepped

if TYPE_CHECKING:
    from impasto.executors.base import Executor
    from impasto.executors.task import Task
    from impasto.sweeps import Cell, Sweep

Cells = Generator[tuple[int, Picture], None, None]  # finished ones, by their place on the sheet


def paint(sweep: "Sweep", output: Output, tasks: list["Task"], options: Options) -> None:
    """Paint all cells, or those up to the first signal to stop or fault, and write the sheet of what is finished.

    Args:
        sweep: whose cells they are.
        output: where the sheet goes.
        tasks: of the missing cells, for an executor; none to paint them in this process.
        options: the command's.

    """
    notes = Notes(quiet=options["quiet"])
    notes.about(sweep.cells[0].job.start().notes)
    sweep.make_folder()
    display = SweepDisplay(sweep, options)
    board = sweep.board(options["cell"])
    if tasks:
        from impasto.batches.batch import estimate_tasks, measure_inputs

        needs = estimate_tasks(tasks, measure_inputs(tasks))
        executor = executor_options.make_executor(options, tasks, needs, notes)
        cells = _paint_with_executor(sweep, executor, tasks, display)
    else:
        cells = _paint_here(sweep, output, display)
    finished = 0
    with EarlyEnd() as end, contextlib.closing(cells):
        for index, picture in cells:
            board.put(index, picture)
            finished += 1
    stopped = end.cause
    if finished:
        # What was painted is written, however often Ctrl-C is pressed now.
        with signals(signal.SIG_IGN):
            picture = board.picture()
            notes.about((*picture.notes, *output.write(picture)))
    result = f"{board.layout.width}x{board.layout.height}, to {where(output)}"
    if stopped is None:
        notes.line(f"saved {result}")
        return
    again = "; the same command with --force goes on" if isinstance(stopped, Interrupted) else ""
    saved = f"saved {finished} of {len(sweep)} cells, {result}{again}" if finished else ""
    end_early(stopped, saved, "before the first cell was finished; no sheet was written")


def _paint_here(sweep: "Sweep", output: Output, display: SweepDisplay) -> Cells:
    """Load or paint the cells in this process; yield the finished ones.

    Raises:
        Interrupted: a signal arrived.
        ImpastoError: a cell cannot be painted; if its loss diverged, only after the others, which may do.

    """
    diverged = None
    with signals(interrupt):
        for index, cell in enumerate(sweep.cells):
            try:
                picture = _load_or_paint(index, cell, output, display)
            except DivergedError as error:
                display.show_failed(index, error)
                diverged = error
            else:
                yield index, picture
    if diverged is not None:
        raise diverged


def _paint_with_executor(sweep: "Sweep", executor: "Executor", tasks: list["Task"], display: SweepDisplay) -> Cells:
    """Load the cells, or have them painted by an executor; yield the finished ones.

    Args:
        sweep: whose cells they are.
        executor: paints the missing ones.
        tasks: of these.
        display: shows how it goes.

    Raises:
        Interrupted: a signal arrived.
        ImpastoError: a cell could not be painted; after the others.

    """
    from impasto.executors.base import TaskFinished

    failure: ImpastoError | None = None
    missing = {task.number - 1 for task in tasks}
    for index, cell in enumerate(sweep.cells):
        picture = None if index in missing else cell.load()
        if picture is not None:
            display.show_loaded(index, picture)
            yield index, picture
    answer = Answer(executor.stop)
    with signals(answer), executor:
        for message in executor.run(tasks):
            index = message.task.number - 1
            if not isinstance(message, TaskFinished):
                if message.event["event"] == "begun":
                    display.show_start(index)
                continue
            outcome, picture = message.outcome, sweep.cells[index].load()
            if outcome.status == "failed" or (picture is None and outcome.status != "stopped"):
                failure = ImpastoError(outcome.reason or "its file is gone")
                display.show_failed(index, failure)
            elif picture is not None:
                display.show_finished(index, picture, outcome.seconds)
                yield index, picture
    if answer.number:
        raise Interrupted(answer.number)
    if failure is not None:
        raise failure


def make_tasks(sweep: "Sweep", template: "Task") -> list["Task"]:
    """Return the tasks of the cells that are missing.

    Args:
        sweep: of the pictures of `template`.
        template: what is the same in all, with the depth, previews and pictures on the way of its output.

    """
    from impasto.batches.batch import measure_inputs, with_digests
    from impasto.recipe import Recipe

    output = template.output
    tasks = []
    for index, cell in enumerate(sweep.cells):
        if cell.load() is None:
            recipe = cell.job.recipe
            assert isinstance(recipe, Recipe)
            form = Output(str(cell.file), cell.bits, preview=output.preview, save_every=output.save_every)
            inputs = template.inputs.with_weights([style.weight for style in cell.job.inputs.styles])
            tasks.append(dataclasses.replace(template, inputs=inputs, recipe=recipe, output=form, number=index + 1))
    measures = measure_inputs(tasks)
    return [with_digests(task, measures) for task in tasks]


def _load_or_paint(index: int, cell: "Cell", output: Output, display: SweepDisplay) -> Picture:
    """Return the picture of a cell; paint and save it if no earlier run did."""
    picture = cell.load()
    if picture is not None:
        display.show_loaded(index, picture)
        return picture
    display.show_start(index)
    started = time.perf_counter()
    run, listener = cell.job.start(), display.make_listener()
    stages = Stages(dataclasses.replace(output, path=str(cell.file), quality=None))
    with listener:
        for event in run:
            listener.show(event)
            if isinstance(event, Stepped):
                stages.show(run.picture)
    picture = cell.save(run.picture())
    display.show_finished(index, picture, time.perf_counter() - started)
    return picture
