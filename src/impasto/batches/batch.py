"""A batch: which of its pictures exist, which are missing, and painting those."""

import dataclasses
import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from impasto.batches import shards
from impasto.batches.log import BatchLog, LogEntry
from impasto.errors import ImpastoError, OutputError, PictureError
from impasto.executors import estimate, storage, up_to_date
from impasto.executors.base import Executor, Message, TaskFinished
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.executors.worker import discard
from impasto.picture import Measure, measure
from impasto.recipe.provenance import Remembered, plain_name
from impasto.system.paths import nearest_folder
from impasto.system.text import printable, reason

State = Literal["there", "missing", "changed", "foreign"]


def measure_inputs(tasks: Iterable[Task]) -> dict[str, Measure]:
    """Return size and digest of every input picture by path, without those that cannot be read."""
    measures: dict[str, Measure] = {}
    for path in dict.fromkeys(path for task in tasks for path in task.inputs.sources):
        try:
            measures[path] = measure(path)
        except PictureError:
            # Reported with each picture that needs it, when that picture's turn comes.
            continue
    return measures


def with_digests(task: Task, measures: Mapping[str, Measure]) -> Task:
    """Return the task with the digests of its inputs."""
    return dataclasses.replace(
        task, digests={path: measures[path].sha256 for path in task.inputs.sources if path in measures}
    )


def shard_of(tasks: Sequence[Task], measures: Mapping[str, Measure], index: int, count: int) -> list[Task]:
    """Return the tasks of one of `count` shards; `index` 1 is the first.

    Args:
        tasks: all of them, in the order of the list.
        measures: the sizes of the pictures by path, from which the work of a task follows.
        index: of the shard, from 1.
        count: number of shards.

    """
    costs = [estimate.step_pixels(estimate.scales_of(task, measures)) for task in tasks]
    indices = shards.assign(costs, count)
    return [task for task, shard in zip(tasks, indices, strict=True) if shard == index - 1]


class Batch:
    """Tasks, and the log of their outcomes.

    Args:
        tasks: with the digests of their inputs; no two with the same output.
        ledger: the log.
        force: whether to paint everything, whatever exists.
        only_failed: whether to paint only tasks that failed the last time.

    Attributes:
        tasks: all of them.
        there: those whose picture exists.
        problems: why those of `ahead` that cannot be written cannot be, by number.
        ahead: those to paint, in order.
        left: those that are neither.

    Raises:
        OutputError: an output's path holds a file that is no picture of this batch; or no store can be reached.

    """

    def __init__(
        self, tasks: Sequence[Task], ledger: BatchLog, *, force: bool = False, only_failed: bool = False
    ) -> None:
        self.tasks = tuple(tasks)
        self._ledger = ledger
        self._marks, unreachable = _find_marks([task.url for task in tasks if task.url is not None])
        states = {task.number: self._state(task) for task in tasks}
        self.there = [task for task in tasks if states[task.number] == "there" and not force]
        wanting = [task for task in tasks if force or states[task.number] != "there"]
        self.ahead = [task for task in wanting if not only_failed or self._failed(task)]
        reasons = {task.number: unreachable.get(task.url or "") or find_output_problem(task) for task in self.ahead}
        self.problems = {number: problem for number, problem in reasons.items() if problem is not None}
        numbers = {task.number for task in self.ahead}
        self.left = [task for task in wanting if task.number not in numbers]
        foreign = [task.place for task in self.ahead if states[task.number] == "foreign"]
        if foreign and not force:
            others = f" and {len(foreign) - 1} more" if foreign[1:] else ""
            raise OutputError(
                f"{printable(foreign[0])}{others}: exists already, and is no picture of this batch; "
                f"choose another -o, or "
                "--force to replace it"
            )

    def remove_stale_checkpoints(self) -> None:
        """Remove checkpoints of pictures that exist: their worker was killed before it could remove them."""
        for task in self.there:
            discard(task)

    def run(self, executor: Executor) -> Iterator[Message]:
        """Paint what is missing; log every outcome, and yield the executor's messages.

        Raises:
            OutputError: the log cannot be written.

        """
        # All folders first, for the log is in one of them.
        made = {task.number: _make_folder(task) for task in self.ahead}
        problems = {number: self.problems.get(number) or problem for number, problem in made.items()}
        # Before hours are spent on pictures whose outcome could not be noted.
        self._ledger.check()
        for task in self.ahead:
            if problem := problems[task.number]:
                outcome = Outcome("failed", problem)
                self._note(task, outcome)
                yield TaskFinished(task, outcome)
        ready = [task for task in self.ahead if problems[task.number] is None]
        for message in executor.run(iter(ready)):
            if isinstance(message, TaskFinished):
                self._note(message.task, message.outcome)
            elif message.event["event"] == "begun":
                self._note_side_files(message.task)
            yield message

    def _note_side_files(self, task: Task) -> None:
        """Log what is written beside a picture, so that it is known if it lies among the photos."""
        for path in task.side_files:
            if self._ledger.entry(path) is None:
                self._ledger.add(path, LogEntry("beside", content=task.inputs.photo), {"time": time.time()})

    def _note(self, task: Task, outcome: Outcome) -> None:
        """Log the outcome of a task."""
        if outcome.status == "stopped":
            return
        extra = {
            "time": time.time(),
            "number": task.number,
            "seconds": outcome.seconds,
            "steps": outcome.steps,
            "before": outcome.before,
            "host": platform.node(),
        }
        if outcome.status == "failed":
            entry = LogEntry("failed", task.identity, reason=outcome.reason)
        elif task.url is not None:
            entry = LogEntry("painted", task.identity, mark=outcome.mark)
        else:
            info = Path(task.output.path).stat()
            entry = LogEntry("painted", task.identity, outcome.sha256, info.st_size, info.st_mtime_ns)
        styles = [style.picture for style in task.inputs.styles]
        self._ledger.add(task.place, dataclasses.replace(entry, content=task.inputs.photo, styles=styles), extra)

    def _is_of(self, entry: LogEntry, task: Task) -> bool:
        if task.url is None:
            return entry.is_of(Path(task.output.path))
        return bool(entry.mark) and entry.mark == self._marks[task.url]

    def _failed(self, task: Task) -> bool:
        entry = self._ledger.entry(task.place)
        return entry is not None and entry.status == "failed"

    def _state(self, task: Task) -> State:
        path = Path(task.output.path)
        if task.url is not None:
            if task.url not in self._marks:
                return "missing"
        elif not os.path.exists(path) or (task.output.proof and not os.path.exists(task.output.proof_path)):  # noqa: PTH110
            # A name that is too long is reported with the problems.
            return "missing"
        entry = self._ledger.entry(task.place)
        if entry is not None and entry.status == "painted" and self._is_of(entry, task):
            return "there" if task.identity is not None and entry.identity == task.identity else "changed"
        memory = up_to_date.read_provenance(task)
        if memory is None or not _is_of_same_inputs(memory, task):
            return "foreign"
        return "there" if up_to_date.matches(task, memory) else "changed"


def _is_of_same_inputs(memory: Remembered, task: Task) -> bool:
    """Whether a picture was painted from files with the names of the task's inputs, whatever they contained."""
    names = [memory.content and memory.content.name, *(style.name for style in memory.styles)]
    return names == [plain_name(path) for path in (task.inputs.photo, *(style.picture for style in task.inputs.styles))]


def _find_marks(urls: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the entity tags of files in stores, and why a store cannot be asked, by the URLs in it.

    Raises:
        OutputError: none can be asked.

    """
    folders: dict[str, list[str]] = {}
    for url in urls:
        folders.setdefault(url.rpartition("/")[0], []).append(url)
    marks: dict[str, str] = {}
    problems: dict[str, str] = {}
    for some in folders.values():
        try:
            marks |= storage.etags(some)
        except OutputError as error:
            if len(problems) + len(some) == len(urls):
                raise
            problems |= dict.fromkeys(some, str(error))
    return marks, problems


def find_output_problem(task: Task) -> str | None:
    """Return why a task's files cannot be written where they should be, as far as can be told beforehand."""
    checkpoint = [] if task.folder is None else [task.folder]
    for name in (task.output.path, *task.side_files, *checkpoint):
        path = Path(os.path.abspath(name))  # noqa: PTH100
        folder = nearest_folder(path.parent)
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            return f"{printable(path.parent)}: nothing can be written there; choose another output"
        # Each name in a folder that exists, which tells whether it could be there; then the length of the whole.
        for trial in (*(folder / part for part in path.relative_to(folder).parts), path):
            try:
                trial.lstat()
            except FileNotFoundError:
                continue
            except OSError as error:
                advice = "choose --checkpoint off" if name == task.folder else "give it another name"
                return f"{printable(name)}: cannot be written ({reason(error)}); {advice}"
    return None


def _make_folder(task: Task) -> str | None:
    """Make the folder of a task's output; return why it cannot be made."""
    folder = Path(task.output.path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{printable(folder)}: the folder cannot be made ({reason(error)}); choose another output"
    return None


def estimate_tasks(tasks: Iterable[Task], measures: Mapping[str, Measure]) -> dict[int, estimate.TaskCost | str]:
    """Return by number what each task will take; for one that cannot be painted, the reason."""
    foreseer = estimate.Estimator(measures)
    needs: dict[int, estimate.TaskCost | str] = {}
    for task in tasks:
        try:
            need = foreseer.cost(task)
            needs[task.number] = _find_problem(task, measures) if need is None else need
        except ImpastoError as error:
            needs[task.number] = str(error)
    return needs


def _find_problem(task: Task, measures: Mapping[str, Measure]) -> str:
    missing = next(path for path in task.inputs.sources if path not in measures)
    try:
        measure(missing)
    except PictureError as error:
        return str(error)
    return f"{printable(missing)}: has changed just now"
