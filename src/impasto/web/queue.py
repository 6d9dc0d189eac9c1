"""The queue and the one thread that paints what is in it. It belongs to the server, not to a page."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from impasto.errors import ImpastoError, UsageError
from impasto.picture import Picture
from impasto.recipe import Compute
from impasto.reports.events import Checkpointed, Stepped
from impasto.system.text import reason
from impasto.web import runs
from impasto.web.job import OPEN, State, Task
from impasto.web.preview import Preview
from impasto.web.requests import Order
from impasto.web.storage import Storage

if TYPE_CHECKING:
    from impasto.engine.run import Run

Command = Literal["go", "stop", "steer", "leave"]

# Ours: a night's work at a minute each; more is a mistake, and `impasto sweep` is for that.
MOST_QUEUED: Final = 100
# Ours, seconds: how often what pages show may change.
_BLINK: Final = 0.2


class JobQueue:
    """Paints what is in the queue, one piece after the other.

    Args:
        storage: where everything is kept; what was unfinished there is painted first.
        means: what to paint with.
        most_bytes: of finished work that is kept; the oldest goes first.

    """

    def __init__(self, storage: Storage, means: Compute, most_bytes: int) -> None:
        self.storage = storage
        self._means = means
        self._most_bytes = most_bytes
        self._changed = threading.Condition(threading.RLock())
        self._tasks: dict[str, Task] = {}
        self._queue: list[str] = []
        self._present: str | None = None
        self._easel: Preview | None = None
        self._leaving = False
        self._version = 0
        self._told = 0.0
        self._shown: tuple[int, str] = (-1, "")
        self._new_order: Order | None = None
        self._read()
        self._thread = threading.Thread(target=self._work, name="studio", daemon=True)

    def open(self) -> None:
        """Begin to work."""
        self._thread.start()

    def leave(self) -> None:
        """Begin to stop; safe in the midst of anything, as where a signal is answered."""
        self._leaving = True

    def close(self, seconds: float) -> bool:
        """Stop after the present step; return whether that came within so many seconds."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # What pages ask.

    @property
    def version(self) -> int:
        """A number that grows whenever there is something new to show."""
        return self._version

    def shown(self) -> str:
        """Return, as JSON, what all pages show: every task in brief, and the order of those that wait."""
        with self._changed:
            if self._shown[0] != self._version:
                briefs = [task.brief() for task in sorted(self._tasks.values(), key=lambda t: -t.created)]
                document = {"version": self._version, "queue": self._queue, "jobs": briefs}
                self._shown = self._version, json.dumps(document)
            return self._shown[1]

    def detail(self, id: str) -> dict[str, Any]:
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

    def task(self, id: str) -> Task:
        """Return a task, not to be changed.

        Raises:
            KeyError: there is none of that name.

        """
        return self._tasks[id]

    def preview(self, id: str) -> tuple[int, bytes] | None:
        """Return the newest preview and its number, or None where nothing has been painted."""
        with self._changed:
            task = self._tasks[id]
            if self._easel is not None and self._present == id and self._easel.latest:
                return task.preview, self._easel.latest
        folder = self.storage.job(id)
        for path in (folder / "result.jpg", *(folder / "stages" / f"{n}.jpg" for n in range(len(task.stages))[::-1])):
            with contextlib.suppress(OSError):
                return task.preview, path.read_bytes()
        return None

    # What pages want done.

    def add(self, order: Order) -> Task:
        """Put an order at the end of the queue.

        Raises:
            UsageError: the queue is full.

        """
        with self._changed:
            if len(self._queue) >= MOST_QUEUED:
                raise UsageError(f"{MOST_QUEUED} pictures are waiting, which is as many as can; wait, or cancel some")
            task = Task(self.storage.new_job(), order)
            self._tasks[task.id] = task
            self._queue.append(task.id)
            self._say(task)
            return task

    def cancel(self, id: str) -> None:
        """Stop a task; of one that is being painted, what there is is kept."""
        with self._changed:
            task = self._tasks[id]
            if id in self._queue:
                self._queue.remove(id)
                task.state = "stopped"
            elif id == self._present and task.state in OPEN:
                task.state = "stopped"
            self._say(task)

    def pause(self, id: str) -> None:
        """Let a task rest; those behind it wait with it, for it keeps the device's memory."""
        self._between(id, "running", "paused")

    def resume(self, id: str) -> None:
        """Let a paused task go on."""
        self._between(id, "paused", "running")

    def steer(self, id: str, order: Order) -> None:
        """Let the task that is being painted go on in another way from where it is.

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
            self._say(task)

    def move(self, id: str, place: int) -> None:
        """Give a waiting task another place in the queue, 0 being the next."""
        with self._changed:
            if id in self._queue:
                self._queue.remove(id)
                self._queue.insert(max(0, place), id)
            self._say(self._tasks[id])

    def remove(self, id: str) -> None:
        """Forget a task that is over, with its pictures.

        Raises:
            UsageError: it is not over.

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
                self._say(task)

    # The thread.

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._leaving or self._queue)
                if self._leaving:
                    return
                task = self._tasks[self._queue.pop(0)]
                task.state = "paused" if task.state == "paused" else "running"
                self._present, self._new_order = task.id, None
                self._easel = Preview(self.storage, task)
                self._say(task)
                # What rested when the server stopped rests on, and needs no memory for it yet.
                self._rest(task)
                if self._leaving:
                    return
            error = self._painted(task)
            with self._changed:
                self._over(task, error)

    def _over(self, task: Task, error: str) -> None:
        """Say how a task ended; one that was left unfinished stays what it is, and is painted next time."""
        if task.state == "stopped" or not self._leaving:
            task.error = error
            task.state = "failed" if error else "stopped" if task.state == "stopped" else "finished"
        self._present, self._easel = None, None
        self._say(task)
        self._make_room()

    def _painted(self, task: Task) -> str:
        """Paint; return what went wrong, in one line."""
        run: Run | None = None
        wish: Command = "go"
        try:
            if task.order.vary:
                self._sheet(task)
                return ""
            run, start = self._begun(task)
            while (wish := self._follow(task, run)) == "steer":
                run, start = self._steered(task, run, run.picture() if run.has_image else start)
            picture = run.picture() if run.has_image else start
            if picture is not None and wish != "leave":
                self._seen(task).show(lambda: picture, anyway=True)
                self._seen(task).finish(picture)
                with self._changed:
                    # Before its checkpoint goes: whoever finds it now does not paint it again.
                    task.state = "finished" if task.state == "running" else task.state
                    self._say(task)
        except ImpastoError as error:
            return " ".join(str(error).split())
        except Exception as error:
            # A bug of ours must not end the thread that all other pictures wait for.
            return f"unexpected {type(error).__name__}: {reason(error)}; please report this"
        finally:
            if run is not None and wish != "leave":
                runs.let_go(run, over=True)
        return ""

    def _sheet(self, task: Task) -> None:
        """Paint the pictures of a sheet that are not there, one after the other, each seen in its place."""
        sheet = runs.sheet(task, self.storage, self._means)
        board = sheet.board()
        task.curve = []
        for index, cell in enumerate(sheet.cells):
            with self._changed:
                task.turn_to(index, len(sheet))
            picture = cell.kept()
            if picture is None:
                run = cell.job.start()

                def seen(index: int = index, run: "Run" = run) -> Picture:
                    board.put(index, run.picture())
                    return board.picture()

                wish = self._follow(task, run, seen)
                if wish == "leave":
                    return
                if wish == "stop":
                    break
                picture = cell.keep(run.picture())
            board.put(index, picture)
        self._seen(task).show(board.picture, anyway=True)
        self._seen(task).finish(board.picture())
        with self._changed:
            task.progress = task.progress if task.state == "stopped" else 1.0

    def _begun(self, task: Task) -> "tuple[Run, Picture | None]":
        """Return the run of a task, from its checkpoint if there is one, and the picture it goes on from."""
        runs.tidy(task, self.storage)
        run = runs.taken_up(task, self.storage, self._means)
        if run is not None:
            return run, None
        start = runs.start_of(task, self.storage)
        if start is None:
            task.again()
        task.rewind()
        run = runs.begin(runs.present(task), task, self.storage, self._means, start)
        task.notes += run.notes
        return run, start

    def _steered(self, task: Task, run: "Run", start: Picture | None) -> "tuple[Run, Picture | None]":
        """Return the run that goes on from `start`, or begins, in the way that was asked for."""
        with self._changed:
            order, self._new_order = self._new_order, None
            assert order is not None
        if start is not None:
            runs.keep_start(task, self.storage, start)
            rest = runs.rest_of(order, task) if run.has_image else (task.start_size, task.steps)
        with self._changed:
            # From here on it is the next stretch, also for a server that finds it: until then everything of this one is
            # there, and after that everything of the next one.
            if start is None:
                task.order = order
            else:
                task.turn(order, *rest)
            self._say(task)
        runs.let_go(run, over=True)
        runs.tidy(task, self.storage)
        start = runs.start_of(task, self.storage)
        return runs.begin(runs.present(task), task, self.storage, self._means, start), start

    def _follow(self, task: Task, run: "Run", seen: Callable[[], Picture] | None = None) -> Command:
        """Go through the events of a run, for as long as nobody wants anything else; `seen` is what is shown of it."""
        begun, before = time.monotonic(), task.seconds
        for event in run:
            with self._changed:
                task.tell(event)
                task.seconds = before + time.monotonic() - begun
                if isinstance(event, Checkpointed):
                    self._say(task)
            shown = isinstance(event, Stepped) and self._seen(task).show(seen or run.picture)
            if shown or time.monotonic() > self._told + _BLINK:
                self._told = time.monotonic()
                self._version += 1
            rested = time.monotonic()
            if task.state == "paused" and run.resumable:
                # Nobody knows for how long.
                run.checkpoint()
                with self._changed:
                    self._say(task)
            wish = self._wish(task)
            begun += time.monotonic() - rested
            if wish != "go":
                if wish == "leave":
                    runs.let_go(run, over=False)
                run.close()
                return wish
        return "go"

    def _wish(self, task: Task) -> Command:
        """Return what somebody wants of the present task; waits while it is to rest."""
        with self._changed:
            self._rest(task)
            if task.state == "stopped":
                return "stop"
            if self._leaving:
                return "leave"
            if self._new_order:
                return "steer"
            return "go"

    def _rest(self, task: Task) -> None:
        self._changed.wait_for(lambda: self._leaving or self._new_order or task.state != "paused")

    def _seen(self, task: Task) -> Preview:
        assert self._easel is not None
        assert self._easel.task is task
        return self._easel

    # What outlives the server.

    def _say(self, task: Task) -> None:
        """Write a task down, and let pages and the thread know that something is new."""
        self._version += 1
        with contextlib.suppress(ImpastoError):
            # On a full disk the picture is still painted, and can be downloaded.
            self.storage.put(self.storage.job(task.id) / "job.json", task.to_json())
        self._changed.notify_all()

    def _read(self) -> None:
        for id, table in self.storage.jobs():
            with contextlib.suppress(ImpastoError, TypeError, KeyError, ValueError):
                self._tasks[id] = Task.from_table(id, table)
        unfinished = [task for task in self._tasks.values() if task.state in OPEN]
        # What was being painted is taken up first.
        for task in sorted(unfinished, key=lambda task: (task.state == "queued", task.created)):
            task.state = "paused" if task.state == "paused" else "queued"
            self._queue.append(task.id)
        self._make_room()

    def _make_room(self) -> None:
        """Remove the oldest finished work until the rest fits, and pictures that nothing uses."""
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
