"""How work on many items is shown, such as the pictures of a batch, the cells of a sweep or the frames of a film."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Collection, Mapping

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from impasto.cli.display.progress import INTERVAL, format_duration
from impasto.cli.values import Options
from impasto.system.tables import ReadOnlyTable


class Pace:
    """Estimates how long the rest takes, from how long the work so far took.

    Args:
        works: the work of each item by its number, in any unit; empty if nobody knows how many items there are.
        too_little: work that is too little to judge the rest by.

    """

    def __init__(self, works: Mapping[int, float], too_little: float = 0.0) -> None:
        self._ahead = dict(works)
        self._total = sum(works.values())
        self._too_little = too_little
        self._done_here = 0.0  # without the work of earlier runs, which took none of this run's time
        self._started = time.monotonic()

    def advance(self, item: int, left: float, most: float = math.inf) -> None:
        """Note how much work an item has left, and that this run did at most `most` since the last note.

        Args:
            item: number of the picture.
            left: its work that is left, in any unit.
            most: the most work that this run can have done on it since the last note.

        """
        self._done_here += min(self._ahead.get(item, left) - left, most)
        self._ahead[item] = left

    def finish(self, item: int, most: float = math.inf) -> None:
        """Note that an item has ended; with 0 for `most`, that an earlier run painted it."""
        self.advance(item, 0.0, most)
        del self._ahead[item]
        if not self._done_here:
            self._started = time.monotonic()

    @property
    def ahead(self) -> Collection[int]:
        """The numbers of the items that have not ended."""
        return self._ahead.keys()

    @property
    def part(self) -> float:
        """The part of the work that is done, 0 to 1."""
        return max(0.0, 1 - sum(self._ahead.values()) / self._total) if self._total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace so far; None if nobody knows yet, or if there is no rest."""
        if not self._ahead or self._done_here <= self._too_little:
            return None
        return (time.monotonic() - self._started) * sum(self._ahead.values()) / self._done_here


class ManyDisplay(contextlib.AbstractContextManager["ManyDisplay"]):
    """Shows how work on many items goes: a bar on a terminal, else plain lines; JSON lines; or only errors.

    Args:
        pace: of the work.
        options: the command's: `quiet` and `as_json`.
        has_bar: whether there may be a bar over all items.

    """

    def __init__(self, pace: Pace, options: Options, *, has_bar: bool) -> None:
        self._pace = pace
        self._as_json = options["as_json"]
        self._has_lines = not options["quiet"] and not options["as_json"]
        self._next = 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if has_bar and self._has_lines and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )
            # Without a total the bar shows only that the work goes on.
            self._task = self._bar.add_task("", total=1.0 if pace.ahead else None, left="")

    def __enter__(self) -> "ManyDisplay":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def write_event(self, event: ReadOnlyTable) -> None:
        """Write a line of JSON to standard output, if asked for."""
        if self._as_json:
            click.echo(json.dumps(event))

    def write_line(self, text: str) -> None:
        """Write a line for a person, above the bar."""
        if self._has_lines:
            self.write_error(text)

    def write_error(self, text: str) -> None:
        """Write a line that is needed even with `--quiet` or `--json`."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

    def write_progress(self, text: str) -> None:
        """Write a line if there is no bar, and if the last such line is some seconds ago."""
        if self._bar is None and time.monotonic() >= self._next:
            self.write_line(text)
            self._next = time.monotonic() + INTERVAL

    def move_bar(self, count: str) -> None:
        """Show on the bar, if there is one, what has been done: `3 of 8`."""
        if self._bar is not None:
            left = describe_left(self._pace.seconds_left)
            self._bar.update(self._task, description=count, completed=self._pace.part, left=left)


def describe_left(seconds: float | None) -> str:
    """Return in words how long the rest takes; nothing if that is not known."""
    return "" if seconds is None else f"about {format_duration(seconds)} left"
