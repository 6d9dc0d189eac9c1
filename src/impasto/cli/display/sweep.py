"""What is shown of a sweep: which cell is painted and how long the rest takes, and the plan of a dry run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.cli.display import plans
from impasto.cli.display import progress as progress_display
from impasto.cli.display.many import ManyDisplay, Pace, describe_left
from impasto.cli.display.notes import where
from impasto.cli.values import Options
from impasto.errors import ImpastoError
from impasto.jobs.output import Output
from impasto.picture import Picture
from impasto.sheets import Layout
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.sweeps import Cell, Sweep


class SweepDisplay:
    """Shows which cell is painted, and how long all of them will take.

    Args:
        sweep: whose cells are painted.
        options: the command's.

    """

    def __init__(self, sweep: "Sweep", options: Options) -> None:
        self._sweep = sweep
        self._options = options
        self._pace = Pace({index: _work(cell) for index, cell in enumerate(sweep.cells) if not _exists(cell)})
        # No bar over all cells: the run of each has one.
        self._display = ManyDisplay(self._pace, options, has_bar=False)

    def make_listener(self) -> progress_display.Listener:
        """Return what shows the run of one cell; no plain lines, for the cell itself has one."""
        quiet, as_json, terminal = self._options["quiet"], self._options["as_json"], sys.stderr.isatty()
        return progress_display.make_listener(quiet=quiet or not terminal, as_json=as_json, terminal=terminal)

    def show_loaded(self, index: int, picture: Picture) -> None:
        """Show that an earlier run painted a cell."""
        self._pace.finish(index, most=0.0)
        self._write_line(index, "painted before")
        self._write_finished(index, picture, painted=False, seconds=0.0)

    def show_start(self, index: int) -> None:
        """Show that a cell is about to be painted."""
        # Of a cell with a damaged file, which looked finished, nobody has counted the work.
        self._pace.advance(index, _work(self._sweep.cells[index]))
        self._write_line(index, describe_left(self._seconds_left()))
        self._write_event("cell_started", index)

    def show_finished(self, index: int, picture: Picture, seconds: float) -> None:
        """Show that a cell has been painted.

        Args:
            index: of the cell, from 0.
            picture: the result.
            seconds: that it took.

        """
        self._pace.finish(index)
        self._write_finished(index, picture, painted=True, seconds=seconds)

    def show_failed(self, index: int, error: ImpastoError) -> None:
        """Show that a cell stays empty."""
        self._pace.finish(index)
        self._display.write_error(f"impasto: {self._sweep.cells[index].title}: {error}")
        self._write_event("cell_failed", index, message=str(error))

    def _seconds_left(self) -> float | None:
        """Return the seconds left at the pace so far; before there is one, the expected ones."""
        left = self._pace.seconds_left
        if left is not None:
            return left
        expected = [self._sweep.cells[index].job.start().expected_seconds for index in self._pace.ahead]
        estimates = [seconds for seconds in expected if seconds is not None]
        return sum(estimates) if len(estimates) == len(expected) else None

    def _write_line(self, index: int, detail: str) -> None:
        text = f"{index + 1} of {len(self._sweep)}: {self._sweep.cells[index].title}"
        self._display.write_line(f"{text}; {detail}" if detail else text)

    def _write_finished(self, index: int, picture: Picture, *, painted: bool, seconds: float) -> None:
        size = {"height": picture.height, "width": picture.width}
        self._write_event("cell_finished", index, **size, painted=painted, seconds=seconds)

    def _write_event(self, name: str, index: int, **extra: object) -> None:
        cell = self._sweep.cells[index]
        about = {"event": name, "cell": index + 1, "cells": len(self._sweep)}
        labels = {choice.name: choice.label for choice in cell.choices}
        self._display.write_event({**about, "settings": labels, "file": str(cell.file), **extra})


def describe_plan(sweep: "Sweep", layout: Layout, output: Output, folder: Path) -> str:
    """Return what would be done: a line for each cell, then all of them together.

    Args:
        sweep: its cells.
        layout: of the sheet.
        output: of the sheet.
        folder: in which finished pictures are kept.

    """
    runs = [cell.job.start() for cell in sweep.cells]
    are_kept = [cell.load() is not None for cell in sweep.cells]
    rows = [
        (
            f"{number} of {len(sweep)}",
            cell.title,
            f"{cell.scales[-1].width}x{cell.scales[-1].height}",
            *(
                ("painted before", "")
                if is_kept
                else (plans.describe_time(run.expected_seconds), plans.describe_memory(run.expected_memory))
            ),
        )
        for number, (cell, run, is_kept) in enumerate(zip(sweep.cells, runs, are_kept, strict=True), 1)
    ]
    ahead = [run for run, is_kept in zip(runs, are_kept, strict=True) if not is_kept]
    seconds, memory = [run.expected_seconds for run in ahead], [run.expected_memory for run in ahead]
    estimates = [value for value in seconds if value is not None]
    time = plans.describe_time(sum(estimates) if len(estimates) == len(seconds) else None)
    lines = [
        *plans.align(rows),
        f"cells   {len(ahead)} to paint, {sum(are_kept)} painted before, in {printable(folder)}",
        f"device  {runs[0].device}",
        f"memory  {plans.describe_memory(max((value or 0 for value in memory), default=0))}",
        f"time    {time if ahead else 'none'}",
        f"sheet   {layout.width}x{layout.height}, to {where(output)}",
    ]
    return "\n".join(lines)


def _work(cell: "Cell") -> float:
    """Return how much work a cell is, a step counting as many times as its picture has pixels."""
    return float(sum(scale.height * scale.width * scale.steps for scale in cell.scales))


def _exists(cell: "Cell") -> bool:
    return cell.file is not None and cell.file.exists()
