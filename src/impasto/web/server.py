"""The server: its settings, its start and its end."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import h11
import uvicorn

from impasto.errors import UsageError
from impasto.recipe import Compute
from impasto.system.signals import STOP, is_to_be_ignored
from impasto.system.text import printable, reason
from impasto.web.auth import Guard, ServerAddress
from impasto.web.queue import JobQueue
from impasto.web.routes import Routes
from impasto.web.storage import Storage
from impasto.web.worker import QueueWorker

LOCAL: Final = "127.0.0.1"
# Ours: a port that nothing well known uses.
PORT: Final = 8765
# Ours, seconds: the longest that a connection may take to send its first request; a browser takes a moment.
_PATIENCE: Final = 10.0
# Ours, seconds: long enough for most steps to end, too short for a person to press Ctrl-C again.
_LAST_STEP: Final = 1.0
_MOST_CONNECTIONS: Final = 256


@dataclass(frozen=True)
class ServerSettings:
    """The server's settings from the command line.

    Attributes:
        host: an address of this computer.
        port: None for the default port, or a free one if that is taken.
        state: the folder for everything that is kept.
        compute: device, memory and precision.
        most_bytes: of finished work to keep.

    """

    host: str
    port: int | None
    state: Path
    compute: Compute
    most_bytes: int


def serve(setting: ServerSettings, ready: Callable[[str, str, list[str]], None]) -> int:
    """Serve until a signal arrives, and return its number.

    Args:
        setting: from the command line.
        ready: is called with the address to open, which contains the token; with an address that is good for one use;
            and with notes on what could not be read of earlier work.

    Raises:
        UsageError: the port is taken, or the host is not this computer's.
        OutputError: the state folder cannot be used.

    """
    storage = Storage(setting.state)
    queue = JobQueue(storage, setting.most_bytes)
    worker = QueueWorker(queue, setting.compute)
    listening = _listen(setting.host, setting.port)
    port = listening.getsockname()[1]
    place = ServerAddress(
        _allowed_hosts(setting.host, port), storage.room, secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    )
    server: _Server
    routes = Routes(storage, queue, lambda: server.should_exit)
    server = _Server(_config(Guard(routes.application(storage.room), place)), queue)
    # uvicorn raises the signal again when it has ended; handle it here, where it does not end the process.
    signals: list[int] = []

    def answer(number: int, _: object) -> None:
        signals.append(number)
        # A signal may come before uvicorn listens for signals.
        server.should_exit = True
        queue.leave()

    for number in STOP:
        if not is_to_be_ignored(number):
            signal.signal(number, answer)
    worker.start()
    warming = threading.Thread(target=_load_default_network, daemon=True)
    warming.start()
    home = f"http://{_bracketed(setting.host)}:{port}/{storage.room}/"
    ready(f"{home}?token={place.token}", f"{home}?ticket={place.ticket}", storage.notes)
    asyncio.run(_serve(server, listening))
    if not worker.close(_LAST_STEP) or warming.is_alive():
        # A step of a large picture can take long, and the interpreter aborts when it ends under a thread that imports
        # torch. Leaving at once loses nothing: every file of the state is written whole.
        os._exit(128 + (signals or [signal.SIGINT])[-1])
    storage.close()
    return (signals or [signal.SIGINT])[-1]


class _Server(uvicorn.Server):
    """A uvicorn server that lets the worker write its checkpoint while the last requests are answered."""

    def __init__(self, config: uvicorn.Config, queue: JobQueue) -> None:
        super().__init__(config)
        self._queue = queue

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self._queue.leave()
        super().handle_exit(sig, frame)


def _config(app: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16 * 1024,
    )


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    janitor = asyncio.create_task(_close_idle_connections(server))
    try:
        await server.serve(sockets=[listening])
    finally:
        janitor.cancel()


async def _close_idle_connections(server: uvicorn.Server) -> None:
    """Close connections without a request; uvicorn waits forever for the first one."""
    since: weakref.WeakKeyDictionary[object, float] = weakref.WeakKeyDictionary()
    while True:
        for connection in list(server.server_state.connections):
            conn, cycle = getattr(connection, "conn", None), getattr(connection, "cycle", None)
            waits = conn is not None and conn.their_state is h11.IDLE and (cycle is None or cycle.response_complete)
            if not waits:
                since.pop(connection, None)
            elif time.monotonic() - since.setdefault(connection, time.monotonic()) > _PATIENCE:
                connection.transport.close()
        await asyncio.sleep(1)


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket: on the default port, or a free one if that is taken, unless a port was given."""
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise UsageError(f"{printable(host)}: is no address ({reason(error)}); give one of this computer") from error
    last: OSError | None = None
    for number in (PORT, 0) if port is None else (port,):
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            _claim_port(listener)
            listener.bind((host, number))
            # From here on clients are queued until the server runs.
            listener.listen()
        except OSError as error:
            listener.close()
            last = error
        else:
            return listener
    raise UsageError(
        f"{printable(host)}:{port}: cannot be listened on ({reason(last or OSError())}); choose another --port"
    )


def _claim_port(listener: socket.socket) -> None:
    """Let the socket take a port whose last server has ended, and no port that another program listens on."""
    if sys.platform == "win32":
        # There SO_REUSEADDR would let two programs listen on one port:
        # https://learn.microsoft.com/windows/win32/winsock/using-so-reuseaddr-and-so-exclusiveaddruse
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _allowed_hosts(host: str, port: int) -> frozenset[str]:
    names = {_bracketed(host)} | ({"localhost"} if host in (LOCAL, "::1") else set())
    # Browsers leave the port out of the Host header if it is 80.
    return frozenset(f"{name}:{port}".lower() if port != 80 else name.lower() for name in names)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _load_default_network() -> None:
    """Import PyTorch and load the default network, which takes seconds, while a person chooses pictures."""
    from impasto.engine.devices import devices
    from impasto.engine.networks import load_network
    from impasto.recipe import presets

    # A job that needs the network meets the same error and reports it.
    with contextlib.suppress(Exception):
        load_network(presets.get("default"), devices("auto")[0])
