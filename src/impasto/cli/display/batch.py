"""What is shown of a batch: each picture as it ends, the summary, and the plan of a dry run."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from impasto.cli.display import plans
from impasto.cli.display.many import ManyDisplay, Pace, describe_left
from impasto.cli.display.progress import format_duration
from impasto.cli.values import Options
from impasto.executors import estimate
from impasto.executors.base import Message, TaskEvent
from impasto.executors.estimate import TaskCost
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.picture import Measure
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import printable

if TYPE_CHECKING:
    from impasto.batches.batch import Batch


class BatchDisplay:
    """Shows how a batch goes, picture by picture.

    Args:
        batch: that is painted.
        measures: of its pictures.
        options: the command's.

    Attributes:
        outcomes: of the tasks that have ended.

    """

    def __init__(self, batch: "Batch", measures: Mapping[str, Measure], options: Options) -> None:
        self._batch = batch
        self._scales = {task.number: estimate.scales_of(task, measures) for task in batch.ahead}
        self._pace = Pace({number: estimate.step_pixels(scales) for number, scales in self._scales.items()})
        self._display = ManyDisplay(self._pace, options, has_bar=True)
        self._started = time.monotonic()
        self.outcomes: list[tuple[Task, Outcome]] = []
        self._write_event({"event": "batch_started", "ahead": len(batch.ahead), "there": len(batch.there)})
        if batch.there:
            self._display.write_line(f"{len(batch.there)} of {len(batch.tasks)} are there")

    def show(self, messages: Iterable[Message]) -> None:
        """Show the messages of an executor as they come."""
        with self._display:
            for message in messages:
                if isinstance(message, TaskEvent):
                    self._show_event(message.task, message.event)
                else:
                    self._show_outcome(message.task, message.outcome)
                self._display.move_bar(self._count())

    def _show_event(self, task: Task, event: ReadOnlyTable) -> None:
        name = {"begun": "picture_started", "lost": "worker_lost"}.get(event["event"], event["event"])
        if name == "stepped":
            # Of a photo that could not be measured the scales are guesses, and there may be more of them.
            scales = self._scales[task.number]
            scale = scales[min(event["scale"], len(scales) - 1)]
            step = scale.height * scale.width
            work = estimate.step_pixels(scales[: event["scale"]]) + step * event["step"]
            self._pace.advance(task.number, estimate.step_pixels(scales) - work, most=step)
        self._write_event({**event, "event": name}, task)
        if name == "worker_lost":
            self._display.write_line(f"{printable(task.place)}: its worker died ({event['reason']}); again")

    def _show_outcome(self, task: Task, outcome: Outcome) -> None:
        self.outcomes.append((task, outcome))
        path = printable(task.place)
        about = {key: value for key, value in outcome.to_table().items() if key != "status"}
        self._write_event({"event": f"picture_{outcome.status}", **about}, task)
        if outcome.status == "stopped":
            return
        self._pace.finish(task.number)
        title = f"{self._count()}: {path}"
        if outcome.status == "failed":
            self._display.write_error(f"impasto: {title}: {outcome.reason}")
            return
        parts = f"{title}, {outcome.seconds:.1f} s", describe_left(self._pace.seconds_left)
        self._display.write_line("; ".join(part for part in parts if part))
        for note in outcome.notes:
            self._display.write_line(f"note: {path}: {note}")

    def _count(self) -> str:
        total = len(self._batch.ahead)
        return f"{total - len(self._pace.ahead)} of {total}"

    def _write_event(self, event: ReadOnlyTable, task: Task | None = None) -> None:
        about = {} if task is None else {"picture": task.number, "output": task.place}
        self._display.write_event({**event, **about})

    def end(self, stopped: bool) -> None:
        """Show the summary."""
        statuses = ["painted" if outcome.status == "there" else outcome.status for _, outcome in self.outcomes]
        counts = {"painted": 0, "failed": 0} | Counter(statuses)
        counts["there"] = len(self._batch.there)
        counts["left"] = len(self._batch.tasks) - counts["there"] - counts["painted"] - counts["failed"]
        seconds = time.monotonic() - self._started
        self._write_event({"event": "batch_finished", **counts, "seconds": seconds, "stopped": stopped})
        self._display.write_line("\n".join(describe_end(counts, self.outcomes, seconds)))


def describe_end(counts: Mapping[str, int], outcomes: list[tuple[Task, Outcome]], seconds: float) -> list[str]:
    """Return the lines of the table at the end of a batch.

    Args:
        counts: number of tasks by status.
        outcomes: of the tasks that were painted or failed now.
        seconds: that the batch took.

    """
    painted = [outcome for _, outcome in outcomes if outcome.status == "painted"]
    mean_seconds = sum(outcome.seconds for outcome in painted) / len(painted) if painted else 0.0
    times = f"{mean_seconds:.1f} s each, in {format_duration(seconds)}" if painted else ""
    rows = [
        ("painted", str(counts["painted"]), times),
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


def describe_plan(batch: "Batch", needs: Mapping[int, TaskCost | str], options: Options) -> str:
    """Return what would be done: a line for each picture, then all of them together.

    Args:
        batch: the tasks.
        needs: by the task's number, what it will take, or why it cannot be painted.
        options: of the command.

    """
    estimates = [need for need in needs.values() if not isinstance(need, str)]
    seconds = [need.seconds for need in estimates if need.seconds is not None]
    memory = [need.memory for need in estimates if need.memory is not None]
    n_there, broken = len(batch.there), len(needs) - len(estimates)
    parts = [f"{len(batch.ahead)} to paint", f"{n_there} there"]
    parts += [f"{broken} that cannot be"] if broken else []
    parts += [f"{len(batch.left)} not asked for"] if batch.left else []
    unknown = "not known for this device" if batch.ahead else "none"
    return "\n".join(
        [
            *plans.align([_describe_task(task, needs[task.number]) for task in batch.ahead]),
            f"pictures  {', '.join(parts)}",
            f"on        {options['on']}" + (f", up to {options['workers']} workers" if options["workers"] else ""),
            f"memory    {plans.describe_memory(max(memory, default=None))}{' each' if memory else ''}",
            f"time      {plans.describe_time(sum(seconds), unknown)}{' with all cores' if seconds else ''}",
        ]
    )


def _describe_task(task: Task, need: TaskCost | str) -> tuple[str, ...]:
    name = f"{task.number}", printable(task.place)
    if isinstance(need, str):
        return (*name, "", f"cannot be painted: {need}", "")
    scale = need.scales[-1]
    cost = plans.describe_time(need.seconds, unknown=""), plans.describe_memory(need.memory, unknown="")
    return (*name, f"{scale.width}x{scale.height}", *cost)
