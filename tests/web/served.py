"""`impasto serve` as a process, and requests to it by a client that has the token."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "examples" / "pictures"
# Small and fast, but with two scales.
QUICK = {"size": 64, "start_size": 32, "steps": [3, 3]}
# Long enough to be watched, paused and stopped.
SLOW = {"size": 96, "start_size": 96, "steps": [400]}


@dataclass
class Served:
    """A running `impasto serve`."""

    process: "subprocess.Popen[bytes]"
    address: str  # with the token
    state: Path
    file: Path  # that holds the address

    @property
    def base(self) -> str:
        return self.address.partition("?")[0]

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]

    @property
    def port(self) -> int:
        return int(self.base.split("/")[2].rpartition(":")[2])

    @property
    def messages(self) -> str:
        """The text that it has printed so far."""
        return self.state.with_name(f"{self.state.name}-said").read_text()

    def processor_seconds(self) -> float:
        """Return the processor time that all threads of the server have taken so far, in seconds."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def peak_memory(self) -> int:
        """Return the most memory that it has had, in bytes; its present memory where the system reports no peak."""
        if sys.platform == "linux":
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
            return int(peak) * 1024
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def client(self) -> httpx.Client:
        """Return a client that has the token."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.base, headers=headers, timeout=30, trust_env=False)

    def stop(self, number: int = signal.SIGINT) -> float:
        """End it; return how many seconds that took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - begun


def start(state: Path, *options: str, python_path: str = str(ROOT / "src")) -> Served:
    """Start a server and wait for its address."""
    file = state.with_name(f"{state.name}-address-{time.monotonic_ns()}")
    arguments = ["serve", "--no-browser", "--state", state, "--token-file", file, "--device", "cpu", *options]
    said = state.with_name(f"{state.name}-said")
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "impasto", *map(str, arguments)],
            stderr=log,
            env={**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1"},
        )
    until(lambda: process.poll() is not None or (file.exists() and file.read_text().endswith("\n")))
    if process.poll() is not None:
        raise AssertionError(said.read_text())
    return Served(process, file.read_text().strip(), state, file)


@contextlib.contextmanager
def running(state: Path) -> Iterator[Served]:
    """Start a server that is ended with the block, also when a test fails in it."""
    server = start(state)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop(signal.SIGTERM)


def until(found: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to be there; return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s")


def upload(client: httpx.Client, name: str) -> str:
    answer = client.post("api/pictures", params={"name": name}, content=(SAMPLES / name).read_bytes())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def order(client: httpx.Client, settings: dict[str, Any], **others: Any) -> str:
    """Begin a job of two small pictures; return its name."""
    content, style = upload(client, "chelsea.jpg"), upload(client, "woodcut.jpg")
    asked = {"content": content, "styles": [{"picture": style}], "recipe": "draft", "settings": settings, **others}
    answer = client.post("api/jobs", json=asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def work_meanwhile(client: httpx.Client) -> None:
    """Let the server decode pictures, which takes longer than some steps of a small job that is not paused."""
    for _ in range(5):
        upload(client, "chelsea.jpg")


def state_of(client: httpx.Client, id: str) -> str:
    return str(client.get(f"api/jobs/{id}").json()["state"])
