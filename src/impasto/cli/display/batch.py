"""How a batch is gone through: what is shown, how it is interrupted, and how it ends."""

import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from impasto.cli.display import progress as progress_display
from impasto.cli.signals import Answer, Interrupted, Stop, signals
from impasto.cli.values import Options
from impasto.executors import estimate as needing
from impasto.executors.base import Executor, Message, TaskEvent
from impasto.executors.estimate import TaskCost
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.picture import Measure
from impasto.recipe.schedule import Scale
from impasto.system.signals import CHECKPOINT
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.batches.batch import Batch


class BatchProgress:
    """How much of all the work is done, and how long the rest will take.

    Args:
        tasks: what is to be painted.
        measures: of their pictures.

    """

    def __init__(self, tasks: list[Task], measures: Mapping[str, Measure]) -> None:
        self._scales = {task.number: needing.scales_of(task, measures) for task in tasks}
        self._costs = {number: needing.step_pixels(scales) for number, scales in self._scales.items()}
        self._all = sum(self._costs.values())
        self._ended = 0.0  # work of those that have ended
        self._parts: dict[int, float] = {}  # work done of those under way
        self._before = 0.0  # work of interrupted runs, which took none of this time
        self._begun = time.monotonic()

    def add_event(self, task: Task, event: ReadOnlyTable) -> None:
        """Take note of a step."""
        number = task.number
        if event["event"] == "stepped":
            scales: tuple[Scale, ...] = self._scales[number]
            finished_work = needing.step_pixels(scales[: event["scale"]])
            scale = scales[min(event["scale"], len(scales) - 1)]
            finished_work += scale.height * scale.width * event["step"]
            if number not in self._parts:
                self._before += max(0.0, finished_work - scale.height * scale.width)
            self._parts[number] = finished_work

    def add_end(self, task: Task) -> None:
        """Take note of an end."""
        self._parts.pop(task.number, None)
        self._ended += self._costs[task.number]

    @property
    def part(self) -> float:
        """The part of the work that is done, 0 to 1."""
        return min(1.0, (self._ended + sum(self._parts.values())) / self._all) if self._all else 1.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes at the pace so far; None before there is one."""
        finished_work = self._ended + sum(self._parts.values())
        new = finished_work - self._before
        return (time.monotonic() - self._begun) * (self._all - finished_work) / new if new > 0 else None


class BatchDisplay:
    """Says how a batch goes: a bar over all of it on a terminal, a line a picture, or JSON."""

    def __init__(self, batch: "Batch", measures: Mapping[str, Measure], options: Options) -> None:
        self._batch = batch
        self._quiet, self._as_json = options["quiet"], options["as_json"]
        self._meter = BatchProgress(batch.ahead, measures)
        self._count = 0
        self._begun = time.monotonic()
        self.outcomes: list[tuple[Task, Outcome]] = []
        self._bar: Progress | None = None
        if sys.stderr.isatty() and not self._quiet and not self._as_json:
            self._bar = Progress(
                TextColumn("{task.fields[count]}"),
                BarColumn(bar_width=None),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=1.0, count="", left="")
        self._event({"event": "batch_started", "ahead": len(batch.ahead), "there": len(batch.there)})
        if batch.there and not self._quiet and not self._as_json:
            click.echo(f"{len(batch.there)} of {len(batch.tasks)} are there", err=True)

    def __enter__(self) -> "BatchDisplay":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, message: Message) -> None:
        """Show what an executor said."""
        if isinstance(message, TaskEvent):
            self._meter.add_event(message.task, message.event)
            name = {"begun": "picture_started", "lost": "worker_lost"}.get(message.event["event"])
            self._event({**message.event, "event": name or message.event["event"]}, message.task)
            if name == "worker_lost":
                self._line(f"{printable(message.task.place)}: its worker died ({message.event['reason']}); again")
        else:
            self._ended(message.task, message.outcome)
        if self._bar is not None:
            seconds_left = self._left()
            count = f"{self._count} of {len(self._batch.ahead)}"
            self._bar.update(self._task, completed=self._meter.part, count=count, left=seconds_left)

    def _ended(self, task: Task, outcome: Outcome) -> None:
        self.outcomes.append((task, outcome))
        path = printable(task.place)
        about = {key: value for key, value in outcome.to_table().items() if key != "status"}
        self._event({"event": f"picture_{outcome.status}", **about}, task)
        if outcome.status == "stopped":
            return
        self._meter.add_end(task)
        self._count += 1
        place = f"{self._count} of {len(self._batch.ahead)}: {path}"
        if outcome.status == "failed":
            # Also when quiet: it is an error.
            self._say(f"impasto: {place}: {outcome.reason}")
            return
        self._line("; ".join(part for part in (f"{place}, {outcome.seconds:.1f} s", self._left()) if part))
        for note in outcome.notes:
            self._line(f"note: {path}: {note}")

    def _left(self) -> str:
        seconds = self._meter.seconds_left
        return (
            ""
            if seconds is None or self._count == len(self._batch.ahead)
            else f"about {progress_display.format_duration(seconds)} left"
        )

    def _line(self, text: str) -> None:
        if not self._quiet and not self._as_json:
            self._say(text)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)

    def _event(self, event: Table, task: Task | None = None) -> None:
        if self._as_json:
            about = {} if task is None else {"picture": task.number, "output": task.place}
            click.echo(json.dumps({**event, **about}))

    def end(self, stopped: bool) -> None:
        """Show the summary."""
        counts = dict.fromkeys(("painted", "failed"), 0)
        for _, outcome in self.outcomes:
            name = "painted" if outcome.status == "there" else outcome.status
            counts[name] = counts.get(name, 0) + 1
        counts["there"] = len(self._batch.there)
        counts["left"] = len(self._batch.tasks) - counts["there"] - counts["painted"] - counts["failed"]
        seconds = time.monotonic() - self._begun
        self._event({"event": "batch_finished", **counts, "seconds": seconds, "stopped": stopped})
        if not self._quiet and not self._as_json:
            click.echo("\n".join(summary(counts, self.outcomes, seconds)), err=True)


def summary(counts: Mapping[str, int], outcomes: list[tuple[Task, Outcome]], seconds: float) -> list[str]:
    """Return the lines of the table at the end."""
    painted = [outcome for _, outcome in outcomes if outcome.status == "painted"]
    mean_seconds = sum(outcome.seconds for outcome in painted) / len(painted) if painted else 0.0
    rows = [
        (
            "painted",
            str(counts["painted"]),
            f"{mean_seconds:.1f} s each, in {progress_display.format_duration(seconds)}" if painted else "",
        ),
        ("there", str(counts["there"]), "painted before"),
        ("failed", str(counts["failed"]), "go on with --retry-failed" if counts["failed"] else ""),
        ("left", str(counts["left"]), "the same command goes on" if counts["left"] else ""),
    ]
    width = max(len(row[1]) for row in rows)
    return [
        f"{name:<8}{count:>{width}}  {detail}".rstrip()
        for name, count, detail in rows
        if name == "painted" or count != "0"
    ]


def run_batch(batch: "Batch", executor: Executor | None, teller: BatchDisplay) -> None:
    """Paint what is missing, to the end or to the first Ctrl-C, SIGTERM or SIGUSR1; exit 1 where a picture failed.

    Raises:
        ImpastoError: the log cannot be written.

    """
    batch.remove_stale_checkpoints()
    number = 0
    if executor is not None:
        signal_answer = Answer(executor.stop)
        try:
            with signals(signal_answer, Stop.NUMBERS), executor, teller:
                for message in batch.run(executor):
                    teller.show(message)
            number = signal_answer.number
        except Interrupted as again:
            number = again.number
    teller.end(stopped=bool(number))
    failed = any(outcome.status == "failed" for _, outcome in teller.outcomes)
    if number:
        has_checkpoints = all(outcome.kept for _, outcome in teller.outcomes if outcome.status == "stopped")
        click.echo("impasto: interrupted; the same command goes on", err=True)
        sys.exit(0 if number == CHECKPOINT and has_checkpoints else 128 + number)
    sys.exit(1 if failed else 0)


def describe_plan(batch: "Batch", needs: Mapping[int, TaskCost | str], options: Options) -> str:
    """Return what would be done: a line for each picture, then all of them together."""
    lines = [_describe_task(task, needs[task.number]) for task in batch.ahead]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
    text = ["  ".join(part.ljust(w) for part, w in zip(row, widths, strict=True)).rstrip() for row in lines]
    estimates = [need for need in needs.values() if not isinstance(need, str)]
    seconds = [need.seconds for need in estimates if need.seconds is not None]
    memory = [need.memory for need in estimates if need.memory is not None]
    n_there, broken = len(batch.there), len(needs) - len(estimates)
    parts = [f"{len(batch.ahead)} to paint", f"{n_there} there"]
    parts += [f"{broken} that cannot be"] if broken else []
    parts += [f"{len(batch.left)} not asked for"] if batch.left else []
    return "\n".join(
        [
            *text,
            f"pictures  {', '.join(parts)}",
            f"on        {options['on']}" + (f", up to {options['workers']} workers" if options["workers"] else ""),
            f"memory    about {max(memory) / 1e9:.1f} GB each" if memory else "memory    not known for this device",
            f"time      about {progress_display.format_duration(sum(seconds))} with all cores"
            if seconds
            else f"time      {'none' if not batch.ahead else 'not known for this device'}",
        ]
    )


def _describe_task(task: Task, need: TaskCost | str) -> tuple[str, ...]:
    name = f"{task.number}", printable(task.place)
    if isinstance(need, str):
        return (*name, "", f"cannot be painted: {need}", "")
    scale = need.scales[-1]
    time_, memory = (
        f"about {progress_display.format_duration(need.seconds)}" if need.seconds else "",
        f"about {need.memory / 1e9:.1f} GB" if need.memory else "",
    )
    return (*name, f"{scale.width}x{scale.height}", time_, memory)
