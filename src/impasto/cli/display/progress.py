"""Listeners that show how a run goes: a bar, plain lines, JSON lines, or nothing."""

import json
import time
from abc import ABC, abstractmethod

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from impasto.recipe.schedule import Scale
from impasto.reports import events
from impasto.reports.events import Adapted, CheckpointFailed, Event, Finished, ScaleStarted, Started, Stepped
from impasto.reports.progress import Work
from impasto.system.text import printable

INTERVAL = 10.0  # seconds between two plain lines


class Listener(ABC):
    """Shows the events of a run; used as a context."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show one event."""

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was: only a bar changes it."""
        return


class Silent(Listener):
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Show nothing."""


class JsonLines(Listener):
    """Writes one event a line to standard output."""

    def show(self, event: Event) -> None:
        """Write the event with its name in snake case."""
        click.echo(json.dumps(events.table(event)))


class PlainLines(Listener):
    """Writes a line at the start, then at most one every few seconds: for logs and pipes."""

    def __init__(self) -> None:
        self._next = 0.0
        self._work = Work(())

    def show(self, event: Event) -> None:
        """Write a line if it is time for one."""
        if isinstance(event, Started):
            self._work = Work(event.scales, event.costs)
            click.echo(f"painting on {event.device}: {describe_scales(event.scales)}", err=True)
            self._next = time.monotonic() + INTERVAL
        elif isinstance(event, Adapted | CheckpointFailed):
            click.echo(describe_event(event), err=True)
        elif isinstance(event, Stepped) and time.monotonic() >= self._next:
            part = self._work.done(event)
            seconds_left = event.seconds * (1 - part) / part if part else 0
            scale = self._work.scales[event.scale]
            click.echo(
                f"{scale.width}x{scale.height} step {event.step}/{event.steps}, loss {event.loss:.4g}, "
                f"{event.seconds:.0f} s, about {seconds_left:.0f} s left",
                err=True,
            )
            self._next = time.monotonic() + INTERVAL


class Bar(Listener):
    """A progress bar on standard error: scale, step, loss, elapsed and remaining time."""

    def __init__(self) -> None:
        self._work = Work(())
        self._progress = Progress(
            TextColumn("{task.fields[size]:>11}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[steps]}  loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=1.0, size="", steps="", loss="-")

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def show(self, event: Event) -> None:
        """Move the bar."""
        if isinstance(event, Started):
            self._work = Work(event.scales, event.costs)
        elif isinstance(event, ScaleStarted):
            self._progress.update(self._task, size=f"{event.width}x{event.height}")
        elif isinstance(event, Adapted | CheckpointFailed):
            self._progress.console.print(describe_event(event), highlight=False, markup=False)
        elif isinstance(event, Stepped):
            self._progress.update(
                self._task,
                completed=self._work.done(event),
                steps=f"{event.step}/{event.steps}",
                loss=f"{event.loss:.4g}",
            )
        elif isinstance(event, Finished):
            self._progress.update(self._task, completed=1.0)

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._progress.stop()


def describe_scales(scales: tuple[Scale, ...]) -> str:
    """Return the scales in words: `128x96 (35 steps), 256x192 (20 steps)`."""
    return ", ".join(f"{scale.width}x{scale.height} ({scale.steps} steps)" for scale in scales)


def describe_event(event: Adapted | CheckpointFailed) -> str:
    """Return the line for memory that ran out, or for a checkpoint that could not be written."""
    if isinstance(event, CheckpointFailed):
        problem = f"a checkpoint could not be written ({event.reason})"
        return f"{printable(event.folder)}: {problem}; the run goes on, and the one before, if any, is kept"
    return f"memory ran out; going on with tiles: {describe_tiles(event.tile)}, history {event.history}"


def describe_tiles(side: int | None) -> str:
    """Return in words how the picture is computed."""
    return "none: the whole at once" if side is None else f"of {side} px"


def format_duration(seconds: float) -> str:
    """Return a length of time in the unit a person would choose: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def make_listener(*, quiet: bool, as_json: bool, terminal: bool) -> Listener:
    """Return the listener that fits what was asked for and where it is shown.

    Args:
        quiet: show nothing.
        as_json: print a line of JSON for each event.
        terminal: whether stderr is a terminal, on which lines can be overwritten.

    """
    if as_json:
        return JsonLines()
    if quiet:
        return Silent()
    return Bar() if terminal else PlainLines()
