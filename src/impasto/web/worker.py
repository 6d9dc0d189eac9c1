"""The worker: the one thread that paints the jobs of the queue, one after the other."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError
from impasto.picture import Picture
from impasto.recipe import Compute
from impasto.reports.events import Checkpointed, Stepped
from impasto.system.text import reason
from impasto.web import runs
from impasto.web.job import WebTask
from impasto.web.queue import Command, JobQueue

if TYPE_CHECKING:
    from impasto.engine.run import Run


class QueueWorker:
    """Paints the jobs of a queue in a thread.

    Args:
        queue: of the jobs.
        compute: device, memory and precision.

    """

    def __init__(self, queue: JobQueue, compute: Compute) -> None:
        self._queue = queue
        self._storage = queue.storage
        self._compute = compute
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, seconds: float) -> bool:
        """Stop after the present step; return whether that took no longer than `seconds`."""
        self._queue.leave()
        self._queue.record_present()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (task := self._queue.next_task()) is not None:
            error = self._paint(task)
            self._queue.end_task(task, error, resumable=bool(error) and runs.has_checkpoint(task, self._storage))

    def _paint(self, task: WebTask) -> str:
        """Paint a job; return the error in one line, empty for none."""
        run: Run | None = None
        command: Command = "go"
        is_over = False
        try:
            if task.order.vary:
                self._paint_sheet(task)
                return ""
            run, start = self._begin(task)
            while (command := self._follow(task, run)) == "steer":
                run, start = self._steer(task, run, run.picture() if run.has_image else start)
            picture = run.picture() if run.has_image else start
            if picture is not None and command != "leave":
                preview = self._queue.preview_of(task)
                preview.show(lambda: picture, anyway=True)
                preview.finish(picture)
                with self._queue.changing():
                    # Recorded before its checkpoint is removed, so that after a crash the job is not painted again.
                    task.state = "finished" if task.state == "running" else task.state
                    self._queue.record(task)
            is_over = command != "leave"
        except ImpastoError as error:
            return " ".join(str(error).split())
        except Exception as error:
            # An unexpected error must not end the thread on which all other jobs depend.
            return f"unexpected {type(error).__name__}: {reason(error)}; please report this"
        finally:
            # After an error the checkpoint stays: there may be room on the disk, or memory, later.
            if run is not None and command != "leave":
                runs.release(run, over=is_over)
        return ""

    def _paint_sheet(self, task: WebTask) -> None:
        """Paint the missing pictures of a sheet, and show each in its place."""
        sheet = runs.sheet(task, self._storage, self._compute)
        board = sheet.board()
        task.curve = []
        for index, cell in enumerate(sheet.cells):
            with self._queue.changing():
                task.start_cell(index, len(sheet))
            picture = cell.load()
            if picture is None:
                run = cell.job.start()

                def show_on_board(index: int = index, run: "Run" = run) -> Picture:
                    board.put(index, run.picture())
                    return board.picture()

                command = self._follow(task, run, show_on_board)
                if command == "leave":
                    return
                if command == "stop":
                    break
                picture = cell.save(run.picture())
            board.put(index, picture)
        preview = self._queue.preview_of(task)
        preview.show(board.picture, anyway=True)
        preview.finish(board.picture())
        with self._queue.changing():
            task.progress = task.progress if task.state == "stopped" else 1.0

    def _begin(self, task: WebTask) -> "tuple[Run, Picture | None]":
        """Return the run of a job, from its checkpoint if there is one, and the image that it starts from, if any."""
        runs.remove_other_stretches(task, self._storage)
        run = runs.resume_from_checkpoint(task, self._storage, self._compute)
        if run is not None:
            return run, None
        start = runs.load_start(task, self._storage)
        if start is None:
            task.reset()
        task.reset_stretch()
        run = runs.begin(runs.current_order(task), task, self._storage, self._compute, start)
        task.notes += run.notes
        return run, start

    def _steer(self, task: WebTask, run: "Run", start: Picture | None) -> "tuple[Run, Picture | None]":
        """Return the run that continues from `start`, or begins, with the new order, and its start."""
        order = self._queue.take_new_order()
        if start is not None:
            runs.save_start(task, self._storage, start)
            rest = runs.remaining_steps(order, task) if run.has_image else (task.start_size, task.steps)
        with self._queue.changing():
            # From here on the record names the next stretch, and all of its files exist. Until here it named the
            # present one, whose files still exist: a server started after a crash finds one or the other.
            if start is None:
                task.order = order
            else:
                task.start_stretch(order, *rest)
            self._queue.record(task)
        runs.release(run, over=True)
        runs.remove_other_stretches(task, self._storage)
        start = runs.load_start(task, self._storage)
        return runs.begin(runs.current_order(task), task, self._storage, self._compute, start), start

    def _follow(self, task: WebTask, run: "Run", shown: Callable[[], Picture] | None = None) -> Command:
        """Go through the events of a run until a command arrives or it ends.

        Args:
            task: of the run.
            run: of the job.
            shown: returns the picture for previews; None for the run's own.

        """
        started, before = time.monotonic(), task.seconds
        for event in run:
            with self._queue.changing():
                task.record_event(event)
                task.seconds = before + time.monotonic() - started
                if isinstance(event, Checkpointed):
                    self._queue.record(task)
            is_shown = isinstance(event, Stepped) and self._queue.preview_of(task).show(shown or run.picture)
            self._queue.announce(is_shown=is_shown)
            paused = time.monotonic()
            if task.state == "paused" and run.resumable:
                # The pause may outlast the server.
                run.checkpoint()
                with self._queue.changing():
                    self._queue.record(task)
            command = self._queue.command(task)
            started += time.monotonic() - paused
            if command != "go":
                if command == "leave":
                    runs.release(run, over=False)
                run.close()
                return command
        return "go"
