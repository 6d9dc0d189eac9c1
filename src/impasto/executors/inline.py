"""In this process, one task after another."""

from collections.abc import Generator, Iterable, Iterator

from impasto.executors.base import Executor, Message, TaskEvent, TaskFinished
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.executors.worker import paint
from impasto.system.tables import Table


class Inline(Executor):
    """Paints in this process, with all its cores."""

    def __init__(self) -> None:
        self._stopping = False

    def run(self, tasks: Iterable[Task]) -> Iterator[Message]:
        """Paint the tasks one after another."""
        waiting = iter(tasks)
        while not self._stopping and (task := next(waiting, None)) is not None:
            yield TaskEvent(task, {"event": "begun", "worker": 1})
            yield from self._painted(task)

    def _painted(self, task: Task) -> Generator[Message, None, None]:
        painting: Generator[Table, None, Outcome] = paint(task, lambda: self._stopping)
        try:
            while True:
                try:
                    event = next(painting)
                except StopIteration as ended:
                    yield TaskFinished(task, ended.value)
                    return
                yield TaskEvent(task, event)
        finally:
            painting.close()

    def stop(self) -> None:
        """Stop after the step under way."""
        self._stopping = True

    def close(self) -> None:
        """Do nothing: nothing was started."""
