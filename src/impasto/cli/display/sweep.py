"""How a sweep is gone through: what is shown, what is kept, and what an interruption leaves."""

import dataclasses
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from impasto.cli import signals
from impasto.cli.display import notes as notes_display
from impasto.cli.display import progress as progress_display
from impasto.errors import DivergedError, ImpastoError
from impasto.jobs.output import Output, Stages
from impasto.picture import Picture
from impasto.reports.events import Stepped
from impasto.sheets import Board, Layout
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.executors.base import Executor
    from impasto.executors.task import Task
    from impasto.sweeps import Cell, Sweep


class SweepDisplay:
    """Says which cell is painted, and how long all of them will take.

    Args:
        sweep: what is gone through.
        quiet: whether nothing is said.
        as_json: whether it is said as events on standard output.
        terminal: whether a bar can be shown.

    """

    def __init__(self, sweep: "Sweep", *, quiet: bool, as_json: bool, terminal: bool) -> None:
        self._sweep = sweep
        self._quiet = quiet
        self._as_json = as_json
        self._terminal = terminal
        self._ahead = {index: _work(cell) for index, cell in enumerate(sweep.cells) if not _is_there(cell)}
        self._painted = 0.0  # work, as `_work` has it
        self._seconds = 0.0

    def listener(self) -> progress_display.Listener:
        """Return what shows the run of one cell: its steps, for the cell's own line has said the rest."""
        if self._as_json or self._quiet or self._terminal:
            return progress_display.make_listener(quiet=self._quiet, as_json=self._as_json, terminal=self._terminal)
        return progress_display.Silent()

    def show_loaded(self, index: int, picture: Picture) -> None:
        """Say that a cell was painted another time."""
        self._ahead.pop(index, None)
        self._line(index, "painted before")
        self._event("cell_finished", index, height=picture.height, width=picture.width, painted=False, seconds=0.0)

    def show_start(self, index: int) -> None:
        """Say that a cell is about to be painted."""
        # A damaged one was thought to be there.
        self._ahead.setdefault(index, _work(self._sweep.cells[index]))
        seconds_left = self._left()
        self._line(
            index, "" if seconds_left is None else f"about {progress_display.format_duration(seconds_left)} left"
        )
        self._event("cell_started", index)

    def show_finished(self, index: int, picture: Picture, seconds: float) -> None:
        """Say that a cell has been painted."""
        self._painted += self._ahead.pop(index)
        self._seconds += seconds
        self._event("cell_finished", index, height=picture.height, width=picture.width, painted=True, seconds=seconds)

    def show_failed(self, index: int, error: ImpastoError) -> None:
        """Say that a cell stays empty."""
        self._ahead.pop(index)
        click.echo(f"impasto: {self._sweep.cells[index].title}: {error}", err=True)
        self._event("cell_failed", index, message=str(error))

    def _left(self) -> float | None:
        """Return the seconds that are left: as long as those before them, or at first as long as expected."""
        if self._painted:
            return sum(self._ahead.values()) * self._seconds / self._painted
        expected = [self._sweep.cells[index].job.start().expected_seconds for index in self._ahead]
        estimates = [seconds for seconds in expected if seconds is not None]
        return sum(estimates) if len(estimates) == len(expected) else None

    def _line(self, index: int, detail: str) -> None:
        if not (self._quiet or self._as_json):
            text = f"{index + 1} of {len(self._sweep)}: {self._sweep.cells[index].title}"
            click.echo(f"{text}; {detail}" if detail else text, err=True)

    def _event(self, name: str, index: int, **extra: Any) -> None:
        if self._as_json:
            cell = self._sweep.cells[index]
            about = {"event": name, "cell": index + 1, "cells": len(self._sweep)}
            labels = {choice.name: choice.label for choice in cell.choices}
            click.echo(json.dumps({**about, "settings": labels, "file": str(cell.file), **extra}))


Stopped = signals.Interrupted | ImpastoError | None


def paint(
    sweep: "Sweep",
    board: Board,
    output: Output,
    teller: SweepDisplay,
    say: notes_display.Notes,
    engine: tuple["Executor", list["Task"]] | None = None,
) -> None:
    """Paint all cells, or those up to the first Ctrl-C, SIGTERM or fault, and write the sheet of what is finished.

    Args:
        sweep: whose cells they are.
        board: the sheet.
        output: where it goes.
        teller: says how it goes.
        say: says what a person should know.
        engine: what paints the cells that are not there, and the tasks of these; this process if left out.

    """
    if engine is None:
        finished, stopped = _paint_here(sweep, board, output, teller)
    else:
        finished, stopped = _paint_with_executor(sweep, board, *engine, teller)
    if finished:
        # What was painted is written, however often Ctrl-C is pressed now.
        with signals.signals(signal.SIG_IGN):
            say.about(output.write(board.picture()))
    _report_end(sweep, finished, board.layout, output, stopped, say)


def _paint_here(sweep: "Sweep", board: Board, output: Output, teller: SweepDisplay) -> tuple[int, Stopped]:
    """Paint the cells in this process; return how many are finished, and why not all."""
    stopped: Stopped = None
    finished = 0
    with signals.signals(signals.interrupt):
        try:
            for index, cell in enumerate(sweep.cells):
                try:
                    picture = _load_or_paint(index, cell, output, teller)
                except DivergedError as error:
                    # The others may do; the command fails in the end.
                    teller.show_failed(index, error)
                    stopped = error
                    continue
                board.put(index, picture)
                finished += 1
        except (signals.Interrupted, ImpastoError) as error:
            stopped = error
    return finished, stopped


def _paint_with_executor(
    sweep: "Sweep", board: Board, executor: "Executor", tasks: list["Task"], teller: SweepDisplay
) -> tuple[int, Stopped]:
    """Have the cells painted by an executor; return how many are finished, and why not all."""
    from impasto.executors.base import TaskFinished

    stopped: Stopped = None
    finished = 0
    ahead = {task.number for task in tasks}
    for index, cell in enumerate(sweep.cells):
        kept = None if index + 1 in ahead else cell.load()
        if kept is not None:
            teller.show_loaded(index, kept)
            board.put(index, kept)
            finished += 1
    signal_answer = signals.Answer(executor.stop)
    try:
        with signals.signals(signal_answer), executor:
            for message in executor.run(tasks):
                index = message.task.number - 1
                if not isinstance(message, TaskFinished):
                    if message.event["event"] == "begun":
                        teller.show_start(index)
                    continue
                outcome, picture = message.outcome, sweep.cells[index].load()
                if outcome.status == "failed" or (picture is None and outcome.status != "stopped"):
                    stopped = ImpastoError(outcome.reason or "its file is gone")
                    teller.show_failed(index, stopped)
                elif picture is not None:
                    teller.show_finished(index, picture, outcome.seconds)
                    board.put(index, picture)
                    finished += 1
    except signals.Interrupted as again:
        return finished, again
    return finished, signals.Interrupted(signal_answer.number) if signal_answer.number else stopped


def tasks(sweep: "Sweep", template: "Task") -> list["Task"]:
    """Return the tasks of the cells that are not there.

    Args:
        sweep: of the pictures of `template`.
        template: what is the same in all; its output says depth, previews and pictures on the way.

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


def _report_end(
    sweep: "Sweep",
    finished: int,
    layout: Layout,
    output: Output,
    stopped: Stopped,
    say: notes_display.Notes,
) -> None:
    """Say what there is, and end as the command has to."""
    result = f"{layout.width}x{layout.height}, to {notes_display.where(output)}"
    if stopped is None:
        say.line(f"saved {result}")
        return
    interrupted = isinstance(stopped, signals.Interrupted)
    cause = f"{stopped}: " if interrupted else ""
    if finished:
        again = "; the same command with --force goes on" if interrupted else ""
        click.echo(f"impasto: {cause}saved {finished} of {len(sweep)} cells, {result}{again}", err=True)
    elif interrupted:
        click.echo(f"impasto: {stopped} before the first cell was finished; no sheet was written", err=True)
    if isinstance(stopped, ImpastoError):
        raise stopped
    sys.exit(stopped.exit_code)


def _load_or_paint(index: int, cell: "Cell", output: Output, teller: SweepDisplay) -> Picture:
    """Return the picture of a cell, which is painted and kept if it was not before."""
    picture = cell.load()
    if picture is not None:
        teller.show_loaded(index, picture)
        return picture
    teller.show_start(index)
    started = time.perf_counter()
    run, listener = cell.job.start(), teller.listener()
    stages = Stages(dataclasses.replace(output, path=str(cell.file), quality=None))
    with listener:
        for event in run:
            listener.show(event)
            if isinstance(event, Stepped):
                stages.show(run.picture)
    picture = cell.save(run.picture())
    teller.show_finished(index, picture, time.perf_counter() - started)
    return picture


def describe_plan(sweep: "Sweep", layout: Layout, output: Output, folder: Path) -> str:
    """Return what would be done: a line for each cell, then all of them together."""
    runs = [cell.job.start() for cell in sweep.cells]
    are_kept = [cell.load() is not None for cell in sweep.cells]
    rows = [
        (
            f"{number} of {len(sweep)}",
            cell.title,
            f"{cell.scales[-1].width}x{cell.scales[-1].height}",
            *(("painted before", "") if is_kept else (_time(run.expected_seconds), _memory(run.expected_memory))),
        )
        for number, (cell, run, is_kept) in enumerate(zip(sweep.cells, runs, are_kept, strict=True), 1)
    ]
    ahead = [run for run, is_kept in zip(runs, are_kept, strict=True) if not is_kept]
    seconds, memory = [run.expected_seconds for run in ahead], [run.expected_memory for run in ahead]
    estimates = [value for value in seconds if value is not None]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [
        f"cells   {len(ahead)} to paint, {sum(are_kept)} painted before, in {printable(folder)}",
        f"device  {runs[0].device}",
        f"memory  {_memory(max((value or 0 for value in memory), default=0) or None)}",
        f"time    {_time(sum(estimates) if len(estimates) == len(seconds) else None)}",
        f"sheet   {layout.width}x{layout.height}, to {notes_display.where(output)}",
    ]
    return "\n".join(lines)


def _time(seconds: float | None) -> str:
    if seconds == 0:
        return "none"
    return f"about {progress_display.format_duration(seconds)}" if seconds else "not known for this device"


def _memory(amount: int | None) -> str:
    return f"about {amount / 1e9:.1f} GB" if amount else "not known for this device"


def _work(cell: "Cell") -> float:
    """Return how much there is to do for a cell, a step counting as many times as its picture has pixels."""
    return float(sum(scale.height * scale.width * scale.steps for scale in cell.scales))


def _is_there(cell: "Cell") -> bool:
    return cell.file is not None and cell.file.exists()
