"""The queue of jobs, which pages fill and the worker empties. It belongs to the server, not to a page."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from typing import Final, Literal

from impasto.errors import ImpastoError, UsageError
from impasto.system.tables import Table
from impasto.web.job import OPEN, State, WebTask
from impasto.web.preview import Preview
from impasto.web.requests import Order
from impasto.web.storage import Storage

Command = Literal["go", "stop", "steer", "leave"]

# Ours: a night's work at a minute each; more is a mistake, and `impasto batch` is for that.
MOST_QUEUED: Final = 100
# Ours, seconds: least time between two updates of pages.
_BLINK: Final = 0.2


class JobQueue:
    """Waiting jobs, the one being painted, and finished ones.

    Args:
        storage: of pictures and jobs; jobs unfinished there come first.
        most_bytes: of finished work to keep; the oldest is removed first.

    """

    def __init__(self, storage: Storage, most_bytes: int) -> None:
        self.storage = storage
        self._most_bytes = most_bytes
        self._changed = threading.Condition(threading.RLock())
        self._tasks: dict[str, WebTask] = {}
        self._queue: list[str] = []
        self._present: str | None = None
        self._preview: Preview | None = None
        self._is_leaving = False
        self._version = 0
        self._announced = 0.0
        self._shown: tuple[int, str] = (-1, "")
        self._new_order: Order | None = None
        self._read()

    def leave(self) -> None:
        """Ask the worker to stop after the present step; safe in a signal handler."""
        self._is_leaving = True

    def record_present(self) -> None:
        """Record that the present task was left on purpose, and wake up everybody who waits for a change."""
        with self._changed:
            if self._present is not None:
                self.record(self._tasks[self._present])
            self._changed.notify_all()

    # For pages: state.

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    def shown(self) -> str:
        """Return the state for all pages as JSON: every task in brief, and the order of the waiting ones."""
        with self._changed:
            if self._shown[0] != self._version:
                briefs = [task.brief() for task in sorted(self._tasks.values(), key=lambda t: -t.created)]
                document = {"version": self._version, "queue": self._queue, "jobs": briefs}
                self._shown = self._version, json.dumps(document)
            return self._shown[1]

    def detail(self, id: str) -> Table:
        """Return everything about a task.

        Raises:
            KeyError: there is none of that name.

        """
        with self._changed:
            task = self._tasks[id]
            return task.brief() | {
                "order": task.order.to_table(),
                "notes": list(task.notes),
                "curve": list(task.curve),
                "sizes": task.scales,
                "at": list(task.stages),
            }

    def present(self) -> str | None:
        """Return the id of the task being painted, if there is one."""
        return self._present

    def task(self, id: str) -> WebTask:
        """Return a task, not to be changed.

        Raises:
            KeyError: there is none of that name.

        """
        return self._tasks[id]

    def preview(self, id: str) -> tuple[int, bytes] | None:
        """Return the number and JPEG of the newest preview; None before there is one."""
        with self._changed:
            task = self._tasks[id]
            if self._preview is not None and self._present == id and self._preview.latest:
                return task.preview, self._preview.latest
        folder = self.storage.job(id)
        for path in (folder / "result.jpg", *(folder / "stages" / f"{n}.jpg" for n in range(len(task.stages))[::-1])):
            with contextlib.suppress(OSError):
                return task.preview, path.read_bytes()
        return None

    # For pages: commands.

    def add(self, order: Order) -> WebTask:
        """Put an order at the end of the queue.

        Raises:
            UsageError: the queue is full.

        """
        with self._changed:
            if len(self._queue) >= MOST_QUEUED:
                raise UsageError(f"{MOST_QUEUED} pictures are waiting, which is as many as can; wait, or cancel some")
            task = WebTask(self.storage.new_job(), order)
            self._tasks[task.id] = task
            self._queue.append(task.id)
            self.record(task)
            return task

    def cancel(self, id: str) -> None:
        """Stop a task; the present image of one that is being painted becomes its result."""
        with self._changed:
            task = self._tasks[id]
            if id in self._queue:
                self._queue.remove(id)
                task.state = "stopped"
            elif id == self._present and task.state in OPEN:
                task.state = "stopped"
            self.record(task)

    def pause(self, id: str) -> None:
        """Pause a task. The tasks behind it wait, since it keeps the device's memory."""
        self._between(id, "running", "paused")

    def resume(self, id: str) -> None:
        """Continue a paused task; one that waits in the queue because of a fault, when its turn comes."""
        with self._changed:
            task = self._tasks[id]
            if id in self._queue and task.error:
                task.state, task.error = "queued", ""
                self.record(task)
            else:
                self._between(id, "paused", "running")

    def steer(self, id: str, order: Order) -> None:
        """Continue the task being painted with another order, from its present image.

        Raises:
            UsageError: it is not being painted.

        """
        with self._changed:
            task = self._tasks[id]
            if id != self._present or task.state not in ("running", "paused"):
                raise UsageError("the picture is not being painted now; start another")
            if order.vary or task.order.vary:
                raise UsageError("a sheet is painted as it was begun; start another")
            if (order.content, order.init) != (task.order.content, task.order.init):
                raise UsageError("another photo is another picture; start it beside this one")
            if order == (self._new_order or task.order):
                return
            self._new_order = order
            self.record(task)

    def move(self, id: str, place: int) -> None:
        """Move a waiting task to another place in the queue; 0 is the next."""
        with self._changed:
            if id in self._queue:
                self._queue.remove(id)
                self._queue.insert(min(max(0, place), len(self._queue)), id)
            self.record(self._tasks[id])

    def remove(self, id: str) -> None:
        """Remove a finished task with its pictures.

        Raises:
            UsageError: it is not finished.

        """
        with self._changed:
            if self._tasks[id].state in OPEN or id == self._present:
                raise UsageError("the picture is still being painted; cancel it first")
            del self._tasks[id]
            self.storage.remove_job(id)
            self._version += 1

    def _between(self, id: str, before: State, after: State) -> None:
        with self._changed:
            task = self._tasks[id]
            if task.state == before:
                task.state = after
                self.record(task)

    # For the worker.

    def next_task(self) -> WebTask | None:
        """Wait for the next task that is not paused, and return it; None if the server is about to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_leaving or self._ready())
            if self._is_leaving:
                return None
            ready = self._ready()
            assert ready is not None
            self._queue.remove(ready)
            task = self._tasks[ready]
            task.state = "paused" if task.state == "paused" else "running"
            task.error = ""
            self._present, self._new_order = task.id, None
            self._preview = Preview(self.storage, task)
            self.record(task)
            # A job that was paused at shutdown stays paused; allocate nothing for it yet.
            self._wait_while_paused(task)
            return None if self._is_leaving else task

    def _ready(self) -> str | None:
        """Return the first task that does not wait for a person because of a fault."""
        waiting = (self._tasks[id] for id in self._queue)
        return next((task.id for task in waiting if not (task.state == "paused" and task.error)), None)

    def end_task(self, task: WebTask, error: str, *, resumable: bool = False) -> None:
        """Record how a task ended; an unfinished one keeps its state, and is painted first next time.

        Args:
            task: that was painted.
            error: in one line; empty for none.
            resumable: whether it has a checkpoint from which it can go on when the cause is mended.

        """
        with self._changed:
            if task.state == "stopped" or not self._is_leaving:
                task.error = error
                if error and resumable and task.state != "stopped":
                    task.state = "paused"
                    self._queue.insert(0, task.id)
                else:
                    task.state = "failed" if error else "stopped" if task.state == "stopped" else "finished"
            self._present, self._preview = None, None
            self.record(task)
            self._make_room()

    def command(self, task: WebTask) -> Command:
        """Return what to do with the present task; waits while it is paused."""
        with self._changed:
            self._wait_while_paused(task)
            if task.state == "stopped":
                return "stop"
            if self._is_leaving:
                return "leave"
            return "steer" if self._new_order else "go"

    def take_new_order(self) -> Order:
        """Return the new order of the task being steered."""
        with self._changed:
            order, self._new_order = self._new_order, None
            assert order is not None
            return order

    def preview_of(self, task: WebTask) -> Preview:
        """Return the preview of the present task."""
        assert self._preview is not None
        assert self._preview.task is task
        return self._preview

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Lock the queue, so that no page sees a task half changed."""
        with self._changed:
            yield

    def announce(self, *, is_shown: bool) -> None:
        """Let pages know of progress: at once if there is a new preview, else a few times a second."""
        if is_shown or time.monotonic() > self._announced + _BLINK:
            self._announced = time.monotonic()
            self._version += 1

    def _wait_while_paused(self, task: WebTask) -> None:
        self._changed.wait_for(lambda: self._is_leaving or self._new_order or task.state != "paused")

    # Records, which outlive the server.

    def record(self, task: WebTask) -> None:
        """Write a task's record, and wake up everybody who waits for a change."""
        self._version += 1
        # A task that is "running" in its record was not left on purpose: the server was killed, or crashed.
        state = "queued" if self._is_leaving and task.state == "running" else task.state
        with contextlib.suppress(ImpastoError):
            # On a full disk the picture is painted all the same, and can be downloaded.
            self.storage.put(self.storage.job(task.id) / "job.json", task.to_json(state))
        self._changed.notify_all()

    def _read(self) -> None:
        for id, table in self.storage.jobs():
            try:
                self._tasks[id] = WebTask.from_table(id, table)
            except (ImpastoError, TypeError, KeyError, ValueError, AttributeError, OverflowError):
                self.storage.set_aside(self.storage.job(id) / "job.json")
        open_tasks = [task for task in self._tasks.values() if task.state in OPEN]
        # The task that was being painted comes first.
        for task in sorted(open_tasks, key=lambda task: (task.state == "queued", task.created)):
            if task.state == "running":
                # What ended the server may be this task, which would end it again.
                task.state, task.error = "paused", "impasto was ended while it painted this; go on when you like"
            self._queue.append(task.id)
        self._make_room()

    def _make_room(self) -> None:
        """Remove the oldest finished work over the limit, and pictures that no task uses."""
        over = [task for task in self._tasks.values() if task.state not in OPEN]
        sizes = {task.id: self.storage.size_of(task.id) for task in over}
        total = sum(sizes.values())
        for task in sorted(over, key=lambda task: task.created):
            if total <= self._most_bytes:
                break
            total -= sizes[task.id]
            del self._tasks[task.id]
            self.storage.remove_job(task.id)
            self._version += 1
        self.storage.sweep(set().union(*(task.order.pictures for task in self._tasks.values())))
