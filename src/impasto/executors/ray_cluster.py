"""Workers on a Ray cluster: one started on this machine, or one that is running.

Actors receive and return plain JSON values only. Pictures are files, so all nodes and this machine must see the same
folders under the same names.
"""

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from impasto.errors import DeviceError, UsageError
from impasto.executors.pool import LostError, Pool, Worker, WorkerFactory
from impasto.executors.task import Task
from impasto.system.cgroups import count_cores
from impasto.system.tables import Table
from impasto.system.text import printable, reason

# The module, which need not be installed; an actor of it, or a reference to a result, whose types Ray does not give.
_FromRay: TypeAlias = Any

_ASK_EVERY: Final = 1.0  # seconds between two questions about progress
_PATIENCE: Final = 10.0  # seconds to wait for a cluster to answer


class RayWorker:
    """What an actor is: it paints in one thread, and answers in another."""

    def __init__(self, device: str, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._pending: list[Table] = []
        self._stopping = False

    def paint(self, table: Table) -> Table:
        """Paint a task; return how it ended, and what was not asked for before."""
        import torch

        from impasto.executors.worker import paint

        if self._device == "cpu":
            # In the thread that paints: OpenMP's number of threads is a property of the thread.
            torch.set_num_threads(self._threads)
        painting = paint(Task.from_table(table).on(self._device), lambda: self._stopping)
        while True:
            try:
                self._pending.append(next(painting))
            except StopIteration as ended:
                return {"events": self.take_messages(), "outcome": ended.value.to_table()}

    def take_messages(self) -> list[Table]:
        """Return what happened since the last time."""
        messages, self._pending = self._pending, []
        return messages

    def stop(self) -> None:
        """Stop after the step under way."""
        self._stopping = True


class RayWorkerHandle(Worker):
    """An actor, as this machine sees it."""

    def __init__(self, ray: _FromRay, actor: _FromRay) -> None:
        self._ray = ray
        self._actor = actor
        self.result: _FromRay = None
        self._pending: _FromRay = None
        self._next = 0.0

    def submit(self, task: Task) -> None:
        """Send it a task, whose paths begin at the root: an actor has a working directory of its own."""
        self.result = self._actor.paint.remote(task.absolute().to_table())
        self._next = time.monotonic() + _ASK_EVERY

    def poll(self) -> list[Table]:
        """Return what has come."""
        if self._ready(self.result):
            message = self._get(self.result)
            self.result = self._pending = None
            return [*message["events"], {"outcome": message["outcome"]}]
        if self._pending is None:
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + _ASK_EVERY
                self._pending = self._actor.take_messages.remote()
            return []
        if not self._ready(self._pending):
            return []
        messages, self._pending = self._get(self._pending), None
        return list(messages)

    def _ready(self, reference: _FromRay) -> bool:
        return bool(self._ray.wait([reference], timeout=0)[0])

    def _get(self, reference: _FromRay) -> _FromRay:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            raise LostError(f"{type(error).__name__}: {reason(error)}") from error

    def stop(self) -> None:
        """Ask it to stop."""
        self._actor.stop.remote()

    def kill(self) -> None:
        """Kill it."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor, no_restart=True)


class RayWorkerFactory(WorkerFactory):
    """Starts actors with the resources that they need.

    Args:
        ray: the module, connected.
        device: of the actors.
        needs: `num_cpus`, `num_gpus` and `memory` of each.

    """

    def __init__(self, ray: _FromRay, device: str, needs: Mapping[str, float]) -> None:
        self._ray = ray
        self._device = device
        self._needs = dict(needs)

    def spawn(self, place: int) -> RayWorkerHandle:
        """Make an actor, wherever there is room; one that died is replaced by a new one, perhaps on another node."""
        del place
        # Two threads: one paints, the other answers. The pool restarts dead workers itself, since it counts attempts.
        made = self._ray.remote(RayWorker).options(max_concurrency=2, max_restarts=0, max_task_retries=0, **self._needs)
        return RayWorkerHandle(self._ray, made.remote(self._device, max(1, int(self._needs["num_cpus"]))))

    def wait(self, hands: Sequence[Worker], seconds: float) -> None:
        """Wait for results."""
        self._ray.wait([hand.result for hand in hands if isinstance(hand, RayWorkerHandle)], timeout=seconds)

    def close(self) -> None:
        """Leave the cluster; one of this machine's own ends."""
        self._ray.shutdown()


def make_pool(
    address: str | None, *, device: str, workers: int | None, tasks: int, memory: int | None, gpus: float | None
) -> Pool:
    """Return a pool of workers on a Ray cluster.

    Args:
        address: of a running cluster; None to start one on this machine.
        device: as `--device` takes it.
        workers: largest number; None for as many as fit.
        tasks: number of tasks.
        memory: bytes that the largest task takes; None if unknown.
        gpus: fraction of a GPU for each worker; None for what the device needs.

    Raises:
        UsageError: Ray is not installed.
        DeviceError: the cluster does not answer, or has no room for a worker.

    """
    gpus_per_worker = gpus if gpus is not None else float(device.startswith("cuda"))
    ray = _connect(address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        count, needs = divide_cluster(nodes, min(workers or tasks, max(1, tasks)), memory, gpus_per_worker)
    except BaseException:
        ray.shutdown()
        raise
    return Pool(
        RayWorkerFactory(ray, "cuda" if gpus_per_worker else "cpu" if device == "auto" else device, needs), count
    )


def _check_answered(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
        if host is not None and port is not None:
            socket.create_connection((host, port), timeout=_PATIENCE).close()
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"no cluster answers at {printable(address)} ({reason(error)}); see docs/scaling.md"
        ) from error


def _connect(address: str | None) -> _FromRay:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # As Ray recommends: clients without the token are turned away. Each cluster gets a new one.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UsageError("Ray is not installed; install it with: pip install 'impasto[ray]'") from error
    settings: Table = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        settings |= {"address": "local", "num_cpus": count_cores(), "include_dashboard": False}
        settings |= {"_node_ip_address": "127.0.0.1"}
    else:
        _check_answered(address)
        settings |= {"address": address}
    try:
        ray.init(**settings)
    except (ConnectionError, ImportError, RuntimeError, ValueError, OSError) as error:
        where = "a cluster cannot be started here" if address is None else f"no cluster answers at {printable(address)}"
        raise DeviceError(f"{where} ({reason(error)}); see docs/scaling.md") from error
    return ray


def divide_cluster(
    nodes: Sequence[Mapping[str, float]], requested: int, memory: int | None, gpus: float
) -> tuple[int, dict[str, float]]:
    """Return how many workers fit, and what each requests: all CPUs are divided among them.

    Args:
        nodes: resources of each node in Ray's terms: `CPU`, `GPU`, `memory` in bytes.
        requested: largest number of workers.
        memory: bytes that each needs.
        gpus: fraction of a GPU that each needs.

    Raises:
        DeviceError: not even one fits.

    """
    room = count_fitting(nodes, 1, memory, gpus)
    if room == 0:
        needed = ", ".join(
            ["1 CPU", *([f"{memory / 1e9:.1f} GB"] if memory else []), *([f"{gpus:g} GPU"] * bool(gpus))]
        )
        raise DeviceError(f"no node of the cluster has {needed} for a worker; choose a smaller --size, or larger nodes")
    count = min(requested, room)
    threads = max(1, int(sum(node.get("CPU", 0) for node in nodes)) // count)
    while threads > 1 and count_fitting(nodes, threads, memory, gpus) < count:
        threads -= 1
    needs: dict[str, float] = {"num_cpus": threads, "num_gpus": gpus}
    return count, needs if memory is None else needs | {"memory": memory}


def count_fitting(nodes: Sequence[Mapping[str, float]], threads: int, memory: int | None, gpus: float) -> int:
    """Return how many workers of that size fit on the nodes.

    Args:
        nodes: the free resources of each, as Ray names them.
        threads: of a worker.
        memory: of a worker in bytes; None if unknown.
        gpus: of a worker; a fraction shares one.

    """
    total = 0
    for node in nodes:
        parts = [node.get("CPU", 0) / threads]
        if memory is not None:
            parts.append(node.get("memory", 0) / memory)
        if gpus:
            parts.append(node.get("GPU", 0) / gpus)
        total += int(min(parts))
    return total
