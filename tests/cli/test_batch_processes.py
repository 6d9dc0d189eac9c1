"""`impasto batch` with real workers, real signals and SIGKILL: no picture is lost, and none is painted twice."""

import functools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.picture import Picture, read_picture, remembered
from impasto.recipe import presets

# The command with checkpoints as often as possible, however short the run is expected to be.
EAGER = """
import sys
from impasto.jobs import checkpoint_paths as keeping
from impasto.engine.checkpoints import writer as keeper
from impasto.cli import main
keeper.INTERVAL = 0.0
keeping.LONG = 0
if __name__ == "__main__":
    main()
"""
TWO = ["--on", "local", "--workers", "2"]


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with twelve photos, a style, and a recipe that looks at the first layers only."""
    (tmp_path / "photos").mkdir()
    for seed in range(12):
        picture(48, 64, seed).save(tmp_path / "photos" / f"p{seed:03}.png")
    picture(40, 30, 99).save(tmp_path / "s.png")
    monkeypatch.chdir(tmp_path)
    recipe = presets.get("default").with_layers("content", "relu2_1").with_layers("style", ["relu1_1", "relu2_1"])
    Path("mine.toml").write_text(recipe.to_toml())
    Path("eager.py").write_text(EAGER)
    return tmp_path


def command(*arguments: str, photos: str = "photos", steps: int = 30) -> list[str]:
    paint = ["-r", "mine.toml", "--size", "64", "--start-size", "final", "--steps", str(steps), "--device", "cpu"]
    out = ["-o", "out/{content}.png", "--json"]
    return [sys.executable, "eager.py", "batch", photos, "s.png", *paint, *out, *arguments]


class Running:
    """A batch in a process of its own, whose events go to a file."""

    def __init__(self, arguments: list[str], name: str = "events.jsonl") -> None:
        self.file = Path(name)
        with self.file.open("ab") as out, Path("errors.txt").open("ab") as err:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(arguments, stdout=out, stderr=err, env=environment)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines() if line.endswith("}")]

    def until(self, condition: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
        """Wait until the events satisfy the condition or the process has ended."""
        deadline = time.monotonic() + 120
        while not condition(self.events()) and self.process.poll() is None:
            assert time.monotonic() < deadline, Path("errors.txt").read_text()
            time.sleep(0.02)
        return self.events()

    def end(self, code: int) -> list[dict[str, Any]]:
        assert self.process.wait(120) == code, Path("errors.txt").read_text()
        return self.events()


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


def has_painted(aim: int, events: list[dict[str, Any]]) -> bool:
    return len(named(events, "picture_painted")) >= aim


def workers(parent: int) -> list[int]:
    """The worker processes of a batch."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            if ours and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def actors(marker: str) -> list[int]:
    """The actors of a batch on Ray that was started with `marker` in its environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"RayWorker" in (path / "cmdline").read_bytes() and marker.encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def check_outputs(count: int, steps: int, reference: dict[str, np.ndarray] | None = None) -> None:
    """Check that every picture is complete and painted from its own photo, and that no other file is left."""
    names = sorted(path.name for path in Path("out").iterdir() if path.suffix != ".jsonl")
    assert names == [f"p{number:03}.png" for number in range(count)]
    for name in names:
        memory = remembered(f"out/{name}")
        assert memory.content is not None
        assert (memory.content.name, memory.finished, memory.recipe.steps) == (name, True, (steps,))
        if reference is not None:
            # A process takes the faster of two convolution methods, which differ in the last digits.
            assert np.abs(read_picture(f"out/{name}").pixels - reference[name]).max() < 0.1


def test_a_dead_worker_is_replaced_and_its_picture_goes_on(folder: Path) -> None:
    running = Running(command(*TWO, photos="photos/p00[0-2].png", steps=40))
    running.until(lambda events: named(events, "checkpointed"))
    victim = workers(running.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    events = running.end(0)
    (lost,) = named(events, "worker_lost")
    assert lost["reason"].startswith("signal 9")
    painted = {event["picture"]: event for event in named(events, "picture_painted")}
    assert sorted(painted) == [1, 2, 3]
    starts = Counter(event["picture"] for event in named(events, "picture_started"))
    assert starts == Counter({1: 1, 2: 1, 3: 1}) + Counter([lost["picture"]])
    assert all(event["steps"] + event["before"] == 40 for event in painted.values())
    check_outputs(3, 40)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGUSR1, 0, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_a_signal_stops_cleanly_and_the_same_command_goes_on(number: signal.Signals, code: int, folder: Path) -> None:
    arguments = command(*TWO, "--checkpoint", "auto", photos="photos/p00[0-1].png", steps=60)
    # With the usual intervals: a run too short for checkpoints writes one when it is stopped.
    arguments[1:2] = ["-m", "impasto"]
    running = Running(arguments)
    running.until(lambda events: len({event["picture"] for event in named(events, "stepped")}) == 2)
    # Terminals and schedulers send the signal to all processes of the group.
    for each in (*workers(running.process.pid), running.process.pid):
        os.kill(each, number)
    events = running.end(code)
    assert not named(events, "worker_lost")
    stopped = named(events, "picture_stopped")
    assert len(stopped) + len(named(events, "picture_painted")) == 2
    assert all(event["kept"] and list(Path(event["output"] + ".impasto").glob("*.json")) for event in stopped)
    assert "interrupted; the same command goes on" in Path("errors.txt").read_text()
    again = Running(arguments, "again.jsonl").end(0)
    taken = {event["picture"]: event["before"] for event in named(again, "picture_painted")}
    assert all(taken[event["picture"]] > 0 for event in stopped)
    check_outputs(2, 60)


def test_on_ray_a_killed_worker_loses_nothing_and_nothing_is_done_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPASTO_TEST_MARKER", str(folder))
    running = Running(command("--on", "ray", "--workers", "2", photos="photos/p00[0-2].png", steps=40))
    running.until(lambda _: list(Path("out").glob("*.impasto/checkpoint-*.json")))
    assert len(actors(str(folder))) == 2
    # Either of the two; another worker continues with its picture.
    os.kill(actors(str(folder))[0], signal.SIGKILL)
    events = running.end(0)
    (lost,) = named(events, "worker_lost")
    assert "Actor" in lost["reason"]
    painted = {event["picture"]: event for event in named(events, "picture_painted")}
    assert sorted(painted) == [1, 2, 3]
    assert all(event["steps"] + event["before"] == 40 for event in painted.values())
    starts = Counter(event["picture"] for event in named(events, "picture_started"))
    assert starts == Counter({1: 1, 2: 1, 3: 1}) + Counter([lost["picture"]])
    check_outputs(3, 40)


@pytest.mark.slow
def test_on_a_cluster_that_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--include-dashboard=false"]
    start += ["--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=2"]
    with Path("ray.txt").open("wb") as said:
        head = subprocess.Popen(start, stdout=said, stderr=said, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in Path("ray.txt").read_text():
            assert time.monotonic() < deadline, Path("ray.txt").read_text()
            time.sleep(0.2)
        arguments = command("--on", f"127.0.0.1:{port}", photos="photos/p00[0-2].png", steps=5)
        Running(arguments).end(0)
        check_outputs(3, 5)
        # A client without the token is refused.
        monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
        refused = Running([*arguments, "--force"], "refused.jsonl")
        assert refused.process.wait(120) != 0
        assert "no cluster answers at 127.0.0.1" in Path("errors.txt").read_text()
    finally:
        head.terminate()
        head.wait(30)


def killed_again_and_again(folder: Path, count: int, kills: int, steps: int, seed: int, on: list[str]) -> None:
    """Kill a batch at random moments, restart it, and check that each kill repeats one picture a worker at most."""
    generator = random.Random(seed)
    arguments = command(*on, steps=steps)
    landed, before = 0, 0
    while landed < kills:
        running = Running(arguments)
        # After this many further pictures, at some moment within the next one.
        aim = before + generator.randint(1, max(1, count // (kills + 2)))
        running.until(functools.partial(has_painted, aim))
        time.sleep(generator.uniform(0, 0.3))
        running.process.kill()
        assert running.process.wait() == -signal.SIGKILL, "the batch ended before it was killed"
        landed += 1
        before = len(named(running.events(), "picture_painted"))
    events = Running(arguments).end(0)
    starts = Counter(event["output"] for event in named(events, "picture_started"))
    assert len(starts) == count
    # Each kill interrupts at most one picture of each worker.
    places = 2 if on == TWO else 1
    assert sum(starts.values()) <= count + kills * places
    assert max(Counter(event["output"] for event in named(events, "picture_painted")).values()) == 1
    check_outputs(count, steps)


@pytest.mark.slow
def test_killed_twice_nothing_is_lost_and_nothing_done_twice(folder: Path) -> None:
    killed_again_and_again(folder, 12, 2, 12, 1, TWO)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("on", [TWO, ["--on", "inline"]])
def test_two_hundred_pictures_killed_five_times(on: list[str], folder: Path, picture: Callable[..., Picture]) -> None:
    for seed in range(200):
        picture(48, 64, seed).save(folder / "photos" / f"p{seed:03}.png")
    killed_again_and_again(folder, 200, 5, 20, 7, on)
    # The same pictures from one process that is not killed.
    Path("out").rename("killed")
    Running(command("--on", "inline", steps=20), "whole.jsonl").end(0)
    whole = {path.name: read_picture(path).pixels for path in Path("out").glob("*.png")}
    Path("out").rename("whole")
    Path("killed").rename("out")
    check_outputs(200, 20, whole)
