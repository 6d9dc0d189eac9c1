"""The interface of executors."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from impasto.executors.outcome import Outcome
from impasto.executors.task import Task


@dataclass(frozen=True)
class TaskEvent:
    """Something happened on the way: an event of the run as plain values, or one of the executor's own.

    `begun` says that a worker has the task, `lost` that this worker died and another one will have it.
    """

    task: Task
    event: dict[str, Any]


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
        """Paint tasks and yield what is said of them, as it comes.

        A task is asked for when there is a worker for it, so that there are never more under way than workers. Each
        one ends with exactly one `Ended`; tasks that were not begun when `stop` was called end with none.
        """

    @abstractmethod
    def stop(self) -> None:
        """Begin no more tasks, and stop those under way after their step, with a checkpoint.

        Signal handlers may call it.
        """

    @abstractmethod
    def close(self) -> None:
        """End what was started, at once."""

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
