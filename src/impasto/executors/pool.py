"""Workers that may die: each has one task at a time, and what a dead one had goes to another."""

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from impasto.executors.base import Executor, Message, TaskEvent, TaskFinished
from impasto.executors.outcome import Outcome
from impasto.executors.task import Task
from impasto.system.tables import Table

# Ours: if four workers died painting a picture, it is the picture that they died of.
ATTEMPTS: Final = 4
_WAIT: Final = 0.2  # seconds between two looks at `stop`


class LostError(Exception):
    """A worker has died."""


class Worker(ABC):
    """One worker."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Have it paint a task; raise `LostError` if it is dead."""

    @abstractmethod
    def poll(self) -> list[Table]:
        """Return the worker's new messages, without waiting; raise `LostError` if it is dead and has no more of them.

        A message is an event of the run, or at the end `{"outcome": ...}`.
        """

    @abstractmethod
    def stop(self) -> None:
        """Have it stop after the step under way."""

    @abstractmethod
    def kill(self) -> None:
        """End it, at once."""


class WorkerFactory(ABC):
    """What workers are, and where they come from."""

    @abstractmethod
    def spawn(self, place: int) -> Worker:
        """Return the worker for a place, 0 is the first; another one after it died."""

    @abstractmethod
    def wait(self, hands: Sequence[Worker], seconds: float) -> None:
        """Return when one of them has something to say, or after that time."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything but the workers, which have been ended."""


class Pool(Executor):
    """Paints with several workers.

    Args:
        crew: makes the workers.
        workers: largest number; each is started when there is a task for it.

    """

    def __init__(self, crew: WorkerFactory, workers: int) -> None:
        self.workers = workers
        self._factory = crew
        self._active: dict[int, Worker] = {}
        self._busy: dict[int, Task] = {}
        self._stopping = self._told = False

    def run(self, tasks: Iterable[Task]) -> Iterator[Message]:
        """Paint the tasks, as many at once as there are workers."""
        fresh, again = iter(tasks), list[Task]()
        while True:
            yield from self._submit_next(fresh, again)
            if not self._busy:
                return
            if self._stopping and not self._told:
                self._told = True
                for place in self._busy:
                    self._active[place].stop()
            self._factory.wait([self._active[place] for place in self._busy], _WAIT)
            for place in list(self._busy):
                yield from self._poll_worker(place, again)

    def _submit_next(self, fresh: Iterator[Task], again: list[Task]) -> Iterator[Message]:
        for place in range(self.workers):
            while not self._stopping and place not in self._busy:
                task = again.pop() if again else next(fresh, None)
                if task is None:
                    return
                try:
                    if place not in self._active:
                        self._active[place] = self._factory.spawn(place)
                    self._active[place].submit(task)
                except LostError:
                    # It died between two tasks, so this one had not begun.
                    self._dismiss(place)
                    again.append(task)
                    continue
                self._busy[place] = task
                yield TaskEvent(task, {"event": "begun", "worker": place + 1})

    def _poll_worker(self, place: int, again: list[Task]) -> Iterator[Message]:
        task = self._busy[place]
        try:
            messages = self._active[place].poll()
        except LostError as error:
            self._dismiss(place)
            del self._busy[place]
            yield from self._handle_loss(task, error, again)
            return
        for message in messages:
            if "outcome" in message:
                del self._busy[place]
                yield TaskFinished(task, Outcome.from_table(message["outcome"]))
            else:
                yield TaskEvent(task, message)

    def _handle_loss(self, task: Task, error: LostError, again: list[Task]) -> Iterator[Message]:
        following = dataclasses.replace(task, attempt=task.attempt + 1)
        if following.attempt >= ATTEMPTS:
            yield TaskFinished(task, Outcome("failed", f"its worker died {following.attempt} times ({error})"))
        elif self._stopping:
            # The next run of the batch continues from its last checkpoint.
            yield TaskFinished(task, Outcome("stopped", f"its worker died ({error})"))
        else:
            yield TaskEvent(task, {"event": "lost", "reason": str(error)})
            again.append(following)

    def _dismiss(self, place: int) -> None:
        with contextlib.suppress(LostError):
            self._active.pop(place).kill()

    def stop(self) -> None:
        """Begin no more, and stop those under way."""
        self._stopping = True

    def close(self) -> None:
        """End all workers."""
        for place in list(self._active):
            self._dismiss(place)
        self._busy.clear()
        self._factory.close()
