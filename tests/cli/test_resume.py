"""`impasto resume` as a person types it, after Ctrl-C, SIGTERM, SIGUSR1 and kill -9 of real processes."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.jobs import checkpoint_paths
from impasto.picture import Picture, read_picture

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
PAINT = [
    "stylize",
    "photo.png",
    "painting.png",
    "-o",
    "out.png",
    "--device",
    "cpu",
    "--size",
    "64",
    "--start-size",
    "32",
]

# The command with checkpoints as often as possible, whatever they cost and however short the run is.
EAGER = """
import sys
from impasto.engine.checkpoints import writer as keeper
from impasto.jobs import checkpoint_paths as keeping
from impasto.cli import main
keeper._SHARE = 0
keeper.INTERVAL = keeper.Checkpoints.every = 0.0
keeper.Checkpoints.__init__.__defaults__ = (0.0, True, False)
keeping.LONG = 0
main()
"""


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    picture(48, 64, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def begin(*arguments: str, eager: bool = True) -> "subprocess.Popen[bytes]":
    program = ["-c", EAGER] if eager else ["-m", "impasto"]
    return subprocess.Popen(
        [sys.executable, *program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )


def done(*arguments: str) -> str:
    """Run a command to its end in a process of its own, and return its output."""
    running = begin(*arguments)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    return out.decode() + err.decode()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def written() -> bool:
    return any(Path("out.png.impasto").glob("checkpoint-*.json"))


def pixels(path: str = "out.png") -> bytes:
    return read_picture(path).pixels.tobytes()


@functools.cache
def uninterrupted(*arguments: str) -> bytes:
    """Paint without checkpoints, and return the file; `folder` has the same pictures for every test."""
    done(*arguments, "--checkpoint", "off")
    assert not Path("out.png.impasto").exists()
    expected = Path("out.png").read_bytes()
    Path("out.png").unlink()
    return expected


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGUSR1, 0, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_says_how_to_go_on_and_does(number: signal.Signals, code: int, folder: Path) -> None:
    long = [*PAINT, "--steps", "30,20"]
    expected = uninterrupted(*long)
    running = begin(*long)
    until(written)
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code, err
    *_, saved, line = err.decode().splitlines()
    assert saved.startswith("impasto: interrupted: saved what there is")
    assert line == "impasto: go on with: impasto resume out.png.impasto"
    assert Path("out.png").read_bytes() != expected
    said = done("resume", "out.png.impasto", "--json")
    assert Path("out.png").read_bytes() == expected
    assert not Path("out.png.impasto").exists()
    events = [json.loads(text) for text in said.splitlines() if text.startswith("{")]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert "checkpointed" in kinds
    steps = [(event["scale"], event["step"]) for event in events if event["event"] == "stepped"]
    every = [(0, step) for step in range(1, 31)] + [(1, step) for step in range(1, 21)]
    assert 0 < len(steps) < 50
    assert steps == every[-len(steps) :]


def checkpoints() -> list[Path]:
    return sorted(Path("out.png.impasto").glob("checkpoint-*.json"))


def killed(arguments: list[str], seconds: float) -> bool:
    """Start a run and kill it this long after its first checkpoint; return whether it was still running then."""
    before = checkpoints()
    running = begin(*arguments)
    until(lambda: checkpoints() not in ([], before) or running.poll() is not None)
    # Most of the time it writes checkpoints, so many of these moments are in the middle of one.
    time.sleep(seconds)
    running.kill()
    running.communicate()
    return running.returncode == -signal.SIGKILL


def killed_again_and_again(kills: int, seed: int) -> None:
    """Kill a run at random moments, resume it each time, and compare with an uninterrupted run."""
    generator = random.Random(seed)
    paint = [*PAINT, "--steps", "30,20"]
    done(*paint, "--checkpoint", "off")
    expected = Path("out.png").read_bytes()
    Path("out.png").unlink()
    arguments = paint
    landed = 0
    while landed < kills:
        # If the kill comes while the process ends, the picture is already finished.
        if killed(arguments, generator.uniform(0, 0.3)) and checkpoints():
            landed += 1
            arguments = ["resume", "out.png.impasto"]
        else:
            assert Path("out.png").read_bytes() == expected
            Path("out.png").unlink()
            arguments = paint
    done(*arguments)
    assert Path("out.png").read_bytes() == expected
    assert not Path("out.png.impasto").exists()


def test_kill_9_loses_nothing(folder: Path) -> None:
    killed_again_and_again(4, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_9_twenty_times_loses_nothing(folder: Path) -> None:
    killed_again_and_again(20, seed=2)


def test_a_second_signal_ends_at_once_and_the_picture_is_saved(folder: Path) -> None:
    # A step of this takes a while.
    running = begin(*PAINT, "--size", "320", "--start-size", "320", "--steps", "1000", "--preview", "now.png")
    until(lambda: Path("now.png").exists() and written())
    running.send_signal(signal.SIGINT)
    time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"saved what there is" in err
    assert b"impasto resume out.png.impasto" in err
    assert b"Traceback" not in err
    assert run("resume", "out.png.impasto", "--dry-run").exit_code == 0


def test_a_short_run_leaves_nothing_and_an_explicit_folder_stays(folder: Path) -> None:
    short = [*PAINT, "--steps", "3"]
    assert run(*short).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["out.png", "painting.png", "photo.png"]
    assert run(*short, "--force", "--checkpoint", "kept").exit_code == 0
    before = Path("out.png").read_bytes()
    assert Path("kept/lock").exists()
    # More steps, then other weights with more steps; to the same output, asked or not.
    assert run("resume", "kept", "--steps", "3,6").exit_code == 0
    longer = Path("out.png").read_bytes()
    assert longer != before
    result = run("resume", "kept", "--content-weight", "9", "--steps", "3,8")
    assert result.exit_code == 0, result.output
    assert "going on after step 9 of 11" in result.output
    assert Path("out.png").read_bytes() != longer
    assert run("show", "out.png").output.count("content_weight = 9.0") == 1


def test_an_unfinished_run_is_not_begun_anew_by_mistake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = begin(*PAINT, "--steps", "1000")
    until(written)
    running.kill()
    running.communicate()
    monkeypatch.setattr(checkpoint_paths, "LONG", 0)
    again = run(*PAINT, "--steps", "3")
    assert isinstance(again.exception, ImpastoError)
    assert "impasto resume" in str(again.exception)
    assert written()
    assert run(*PAINT, "--steps", "3", "--force").exit_code == 0
    assert not Path("out.png.impasto").exists()


@pytest.mark.slow
def test_two_processes_cannot_resume_one_run(folder: Path) -> None:
    running = begin(*PAINT, "--steps", "1000")
    until(written)
    second = begin("resume", "out.png.impasto")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert err.decode().splitlines() == [
        "impasto: out.png.impasto: another process is using it; wait for its end, or stop it"
    ]
    running.kill()
    running.communicate()
    # A lock is held as long as its process lives.
    assert run("resume", "out.png.impasto", "--dry-run").exit_code == 0


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
"""


def test_a_disk_that_is_full_costs_a_line_and_no_picture(folder: Path) -> None:
    program = FULL + EAGER
    done(*PAINT, "--steps", "6", "--checkpoint", "off")
    expected = Path("out.png").read_bytes()
    Path("out.png").unlink()
    finished = subprocess.run(
        [sys.executable, "-c", program, *PAINT, "--steps", "6"], capture_output=True, env=ENVIRONMENT, check=False
    )
    lines = [line for line in finished.stderr.decode().splitlines() if "checkpoint" in line]
    assert finished.returncode == 0, finished.stderr
    assert len(lines) == 1
    assert "File too large" in lines[0]
    assert Path("out.png").read_bytes() == expected
    assert not Path("out.png.impasto").exists()


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: None, "no such folder"),
        (lambda: Path("kept").mkdir(), "holds no checkpoint"),
        (lambda: Path("kept").write_bytes(b""), "is a file"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_line(make: Callable[[], object], part: str, folder: Path) -> None:
    make()
    result = run("resume", "kept")
    assert isinstance(result.exception, ImpastoError)
    assert part in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_run_started_from_python_is_resumed_from_python(folder: Path) -> None:
    import impasto

    run_ = impasto.Job(
        impasto.Inputs.of("photo.png", ["painting.png"]), impasto.Recipe(size=32, steps=(2,)), checkpoint="kept"
    ).start()
    for _ in run_:
        pass
    assert run_.checkpoint_writer is not None
    run_.checkpoint_writer.folder.close()
    result = run("resume", "kept")
    assert "impasto.resume" in str(result.exception)


def test_a_folder_moved_with_its_pictures_goes_on_beside_them(folder: Path) -> None:
    done(*PAINT, "--steps", "3", "--checkpoint", "kept")
    expected = pixels()
    Path("elsewhere").mkdir()
    for name in ("photo.png", "painting.png", "kept"):
        Path(name).rename(Path("elsewhere") / name)
    # Where the folder of the output is still there, the output is.
    assert run("resume", "elsewhere/kept").exit_code == 0
    assert pixels() == expected


def test_textures_and_reconstructions_are_resumed(folder: Path) -> None:
    for name, arguments in {
        "t": ["texture", "painting.png", "--size", "40x32"],
        "r": ["reconstruct", "photo.png", "--size", "40"],
    }.items():
        common = ["--steps", "3", "--device", "cpu", "-o", f"{name}.png", "--checkpoint", name]
        assert run(*arguments, *common).exit_code == 0
        before = pixels(f"{name}.png")
        Path(f"{name}.png").unlink()
        assert run("resume", name).exit_code == 0
        assert pixels(f"{name}.png") == before
