"""Workers that are processes of this machine."""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Final

from impasto.errors import DeviceLostError
from impasto.executors.pool import LostError, Worker, WorkerFactory
from impasto.executors.task import Task
from impasto.system.signals import HANDLED, KILL
from impasto.system.tables import Table

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

# Windows waits for 64 things at once; the pool looks at all of them every time.
_MOST_WAITED_FOR: Final = 60


class ProcessFactory(WorkerFactory):
    """Starts worker processes, each with a device and its share of the cores.

    Args:
        devices: by the worker's place; further places use them in turn.
        threads: of each process on the CPU.

    """

    def __init__(self, devices: Sequence[str], threads: int) -> None:
        self._devices = tuple(devices)
        self._threads = threads
        # No fork: threads and CUDA contexts do not survive one.
        self._context = multiprocessing.get_context("spawn")

    def spawn(self, place: int) -> "ProcessWorker":
        """Start a process."""
        ours, theirs = self._context.Pipe()
        device = self._devices[place % len(self._devices)]
        process = self._context.Process(target=serve, args=(theirs, device, self._threads), daemon=True)
        with _thread_limit(self._threads), _signals_blocked():
            process.start()
        theirs.close()
        return ProcessWorker(process, ours)

    def wait(self, hands: Sequence[Worker], seconds: float) -> None:
        """Wait for what comes, and for deaths."""
        pipes = [hand.pipe for hand in hands if isinstance(hand, ProcessWorker)]
        connection.wait(pipes[:_MOST_WAITED_FOR] if sys.platform == "win32" else pipes, seconds)

    def close(self) -> None:
        """Do nothing: there is nothing but the workers."""


class ProcessWorker(Worker):
    """A process at the other end of a pipe, through which JSON goes."""

    def __init__(self, process: BaseProcess, pipe: "Connection[object, object]") -> None:
        self._process = process
        self.pipe = pipe

    def submit(self, task: Task) -> None:
        """Send it a task."""
        self._send({"task": task.to_table()})

    def poll(self) -> list[Table]:
        """Return what has come."""
        messages = []
        try:
            while self.pipe.poll():
                messages.append(json.loads(self.pipe.recv_bytes()))
        except (EOFError, OSError) as error:
            # Return what it said before it died; the next call finds out that it is dead.
            if not messages:
                self._process.join()
                raise LostError(_cause_of_death(self._process.exitcode)) from error
        return messages

    def stop(self) -> None:
        """Ask it to stop."""
        with contextlib.suppress(LostError):
            self._send({"stop": True})

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _send(self, message: Table) -> None:
        try:
            self.pipe.send_bytes(json.dumps(message).encode())
        except OSError as error:
            self._process.join()
            raise LostError(_cause_of_death(self._process.exitcode)) from error


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}{', perhaps for lack of memory' if -code == KILL else ''}"
    return f"exit code {code}"


@contextlib.contextmanager
def _thread_limit(count: int) -> Iterator[None]:
    """Let a process started here have that many threads from its first import on."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block the signals that stop a program in processes started here, while the context lasts.

    Terminals and schedulers send them to whole process groups; workers are stopped by their parent instead.
    """
    if sys.platform == "win32":
        # Windows has no signal masks; `serve` ignores Ctrl-C itself.
        yield
        return
    # Otherwise starting the first process would start it, which unblocks two of the signals.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: "Connection[object, object]", device: str, threads: int) -> None:
    """Paint what comes through the pipe until it is closed: what a worker does from its start to its end.

    Args:
        pipe: to the parent; JSON goes through it.
        device: to paint on, such as `cuda:0`.
        threads: of the CPU to use.

    """
    if sys.platform == "win32":
        # Before torch is imported, which takes seconds: a console sends Ctrl-C to all of its processes.
        for number in HANDLED:
            signal.signal(number, signal.SIG_IGN)
    import torch

    if device == "cpu":
        torch.set_num_threads(threads)
    elif device.startswith("cuda:"):
        # Otherwise work without a named device would go to the first GPU.
        torch.cuda.set_device(device)
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = json.loads(pipe.recv_bytes())
            if "task" in message:
                try:
                    _serve_one(pipe, Task.from_table(message["task"]).on(device))
                except DeviceLostError as error:
                    # Another process takes this one's place.
                    sys.exit(f"impasto: {error}")


def _serve_one(pipe: "Connection[object, object]", task: Task) -> None:
    from impasto.executors.worker import paint

    is_stopping = False

    def stopping() -> bool:
        # Between two tasks only tasks are sent, so a message now is a request to stop, or the parent's end.
        nonlocal is_stopping
        try:
            is_stopping = is_stopping or pipe.poll()
        except OSError:
            # So Windows says that the parent is dead.
            is_stopping = True
        return is_stopping

    painting = paint(task, stopping)
    orphaned = False
    while True:
        try:
            event = next(painting)
        except StopIteration as ended:
            pipe.send_bytes(json.dumps({"outcome": ended.value.to_table()}).encode())
            return
        if not orphaned:
            try:
                pipe.send_bytes(json.dumps(event).encode())
            except OSError:
                # The parent is dead: stop after the next step; its checkpoint is for the next run.
                orphaned = True
