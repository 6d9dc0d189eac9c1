"""The interface of executors."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.system.tables import Table


@dataclass(frozen=True)
class TaskEvent:
    """An event of a task: one of its run, as plain values, or one of the executor's own.

    The executor's own are `begun`, a worker has the task, and `lost`, the worker died and another one will get the
    task.
    """

    task: Task
    event: Table


@dataclass(frozen=True)
class TaskFinished:
    """A task has ended."""

    task: Task
    outcome: Outcome


Message = TaskEvent | TaskFinished


class Executor(ABC):
    """Paints tasks. Used as a context: leaving it ends all that it started."""

    workers: int = 1

    @abstractmethod
    def run(self, tasks: Iterable[Task]) -> Iterator[Message]:
        """Paint tasks; yield their events and outcomes as they come.

        The next task is taken from `tasks` only when a worker is free for it. Each one ends with exactly one
        `TaskFinished`; tasks that had not begun when `stop` was called end with none.
        """

    @abstractmethod
    def stop(self) -> None:
        """Begin no more tasks, and stop those under way after their present step, with a checkpoint.

        Signal handlers may call it.
        """

    @abstractmethod
    def close(self) -> None:
        """End what was started, at once."""

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
