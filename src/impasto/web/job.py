"""A job of the page: waiting, being painted or finished. Only the queue and the worker change one."""

import dataclasses
import json
import math
import time
import types
import typing
from dataclasses import dataclass, field
from typing import Final, Literal

from impasto.recipe.schedule import Scale
from impasto.reports.events import Adapted, Event, Finished, ScaleStarted, Started, Stepped
from impasto.reports.progress import Work
from impasto.system.tables import Table
from impasto.web.bounds import LONGEST_RECIPE, check_values
from impasto.web.requests import Order

State = Literal["queued", "running", "paused", "finished", "stopped", "failed"]
OPEN: Final[tuple[State, ...]] = ("queued", "running", "paused")

# Ours: no whole number, and no time, of a record is larger.
_LARGEST: Final = 1 << 53
# Ours: an order stores its settings twice, alone and within the recipe.
_MOST_VALUES: Final = 10_000
# Ours: characters of a message, in which a path may take 4,096.
_LONGEST: Final = 20_000
# Ours: part of the work from which on the time left can be told.
_LEAST_PROGRESS: Final = 1e-6
# Ours: points of the loss curve to keep; a window is about as many pixels wide.
_MOST_POINTS: Final = 1000


@dataclass
class WebTask:
    """An order and its progress.

    Attributes:
        id: made here; the last part of its address.
        order: what to paint.
        created: seconds since 1970.
        state: a `stopped` task was stopped by a person; its present image is its result.
        error: what went wrong, in one line.
        notes: what a person should know.
        progress: 0 to 1.
        stretch: number of times it was steered; each stretch has a checkpoint and a start of its own.
        cell: of a sheet, the index of the picture being painted.
        cells: number of pictures of a sheet; 0 for a single picture.
        begun_at: progress at the beginning of the present stretch, or picture of a sheet.
        until: progress at its end.
        start_size: of a stretch after the first, px.
        steps: of a stretch after the first, per scale.
        hints: those of the notes that were advice on the present stretch.
        seconds: spent painting.
        scales: of the run.
        costs: of a step at each scale; see `events.Started`.
        scale: index of the present scale.
        step: at the present scale.
        curve: (progress, loss) of each step.
        preview: number of the last preview, so that a page knows when there is a new one.
        stages: progress at which each stage was saved.
        size: width and height of the result, px; None before there is one.

    """

    id: str
    order: Order
    created: float = field(default_factory=time.time)
    state: State = "queued"
    error: str = ""
    notes: list[str] = field(default_factory=list)
    progress: float = 0.0
    stretch: int = 0
    cell: int = 0
    cells: int = 0
    begun_at: float = 0.0
    until: float = 1.0
    start_size: int | None = None
    steps: list[int] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    seconds: float = 0.0
    scales: list[list[int]] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    scale: int = 0
    step: int = 0
    curve: list[list[float]] = field(default_factory=list)
    preview: int = 0
    stages: list[float] = field(default_factory=list)
    size: list[int] | None = None

    def record_event(self, event: Event) -> None:
        """Update the task after an event of its run."""
        if isinstance(event, Started):
            # Advice on a stretch that was steered since may no longer apply.
            self.notes = [note for note in self.notes if note not in self.hints]
            self.hints = list(map(str, event.advice))
        if isinstance(event, Started | Finished):
            # Once for a run that was resumed too. Not for a sheet, since nobody would know which picture is meant.
            hints = [] if self.cells else map(str, event.advice)
            self.notes += [hint for hint in hints if hint not in self.notes]
        if isinstance(event, Started):
            self.scales, self.costs = [list(scale) for scale in event.scales], list(event.costs)
            self.scale = self.step = 0  # another stretch may have had more of them
        elif isinstance(event, ScaleStarted):
            self.scale, self.step = event.scale, 0
        elif isinstance(event, Adapted):
            self.notes.append("memory ran out; going on in a way that takes less")
        elif isinstance(event, Stepped):
            self.step = event.step
            finished_work = Work(tuple(Scale(*scale) for scale in self.scales), self.costs).done(event)
            self.progress = self.begun_at + (self.until - self.begun_at) * finished_work
            # JSON has no infinite numbers, which the loss of a run that overflows may be.
            self.curve += [[round(self.progress, 5), event.loss]] if math.isfinite(event.loss) else []
            if len(self.curve) > _MOST_POINTS:
                del self.curve[1:-1:2]
        elif isinstance(event, Finished):
            self.progress = self.until

    def start_cell(self, cell: int, cells: int) -> None:
        """Begin a picture of a sheet."""
        self.cell, self.cells = cell, cells
        self.begun_at, self.until = cell / cells, (cell + 1) / cells
        self.progress = self.begun_at

    def start_stretch(self, order: Order, start_size: int | None, steps: list[int]) -> None:
        """Begin another stretch, which paints `order` from the present image; its start has been saved.

        Args:
            order: what is painted from here.
            start_size: longest side of its first scale in pixels; None for the last one.
            steps: at each scale.

        """
        self.order, self.begun_at, self.start_size, self.steps = order, self.progress, start_size, steps
        self.stretch += 1

    def reset_stretch(self) -> None:
        """Forget the progress of the present stretch."""
        self.progress = self.begun_at
        self.curve = [point for point in self.curve if point[0] <= self.begun_at]

    def reset(self) -> None:
        """Forget all progress: the task begins anew. Its notes stay."""
        fresh = WebTask(self.id, self.order, self.created, self.state, notes=self.notes)
        for attribute in dataclasses.fields(self):
            setattr(self, attribute.name, getattr(fresh, attribute.name))

    def brief(self) -> Table:
        """Return what the page's list shows, small enough to be sent several times a second."""
        names = (
            "id",
            "created",
            "state",
            "error",
            "progress",
            "seconds",
            "scale",
            "step",
            "cell",
            "cells",
            "preview",
            "size",
        )
        seconds_left = self.seconds * (1 - self.progress) / self.progress if self.progress > _LEAST_PROGRESS else None
        scale = self.scales[self.scale] if self.scales else None
        return {name: getattr(self, name) for name in names} | {
            "recipe": self.order.base,
            "left": seconds_left,
            "scales": len(self.scales),
            "present": scale,
            "stages": len(self.stages),
        }

    def to_json(self, state: State) -> bytes:
        """Return the task as JSON for `from_table`, in the state that it is to have then."""
        table = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps(table | {"order": self.order.to_table(), "state": state}).encode()

    @classmethod
    def from_table(cls, id: str, table: Table) -> "WebTask":
        """Return the task from its record.

        Raises:
            ValueError: a value is not of its type or out of range.
            UsageError: a value of the order exceeds the bounds. Other errors come of malformed ones.

        """
        check_values(table["order"], "the order", LONGEST_RECIPE, _MOST_VALUES)
        task = cls(**{**table, "id": id, "order": Order.from_table(table["order"])})
        for name, kind in typing.get_type_hints(cls).items():
            if not _is_valid(getattr(task, name), kind):
                raise ValueError(f"{name} is no {kind}")
        if not (0 <= task.progress <= 1 and max(abs(task.created), abs(task.seconds)) < _LARGEST):
            raise ValueError("its progress or times are out of range")
        if not 0 <= task.scale < max(1, len(task.scales)):
            raise ValueError("there is no such scale")
        return task


def _is_valid(value: object, kind: object) -> bool:
    """Whether a value of a record is of its type, with finite numbers and texts of bounded length."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return isinstance(value, list) and all(_is_valid(item, arguments[0]) for item in value)
    if origin is types.UnionType:
        return any(_is_valid(value, part) for part in arguments)
    if origin is Literal:
        return value in arguments
    if kind in (int, float):
        is_whole = type(value) is int and abs(value) < _LARGEST
        return is_whole or (kind is float and isinstance(value, float) and math.isfinite(value))
    return isinstance(kind, type) and isinstance(value, kind) and (kind is not str or len(str(value)) <= _LONGEST)
