"""`impasto video` as a person types it: in this process with a small network, and as a real one."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.picture import Picture
from impasto.recipe import presets
from impasto.vgg import network
from impasto.vgg.network import VGG
from impasto.video.clip import Clip
from tests.conftest import PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "film"))
from tests.video import clips as making

SMALL = ["--size", "64", "--start-size", "32", "--steps", "2", "--frame-steps", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]
) -> Path:
    """A working directory with clip.mp4 (6 frames of 64 x 48, with sound) and painting.png."""
    making.write(tmp_path / "clip.mp4", making.panned(6))
    picture(40, 30, 2).save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    Path("mine.toml").write_text(presets.get("default").with_layers("content", "relu4_1").to_toml())
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["video", "clip.mp4", "painting.png", "-r", "mine.toml", *SMALL, *arguments])


def test_a_film(folder: Path) -> None:
    result = run("-o", "out.mp4")
    assert result.exit_code == 0, (result.output, result.exception)
    said = result.stderr.splitlines()
    assert said[0] == "frame 1 of 6, at 0.0 s"
    assert "saved 6 frames of 64x48, libx264, sound aac, to out.mp4" in said
    assert said[-1].startswith("shimmer ")
    assert "the clip's own" in said[-1]
    assert len(list(Clip("out.mp4").shots())) == 6
    assert not Path("out.mp4.impasto").exists()


def test_events(folder: Path) -> None:
    result = run("-o", "out.mp4", "--json")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["film_started", *["frame_painted"] * 6, "film_finished"]
    assert events[0]["frames"] == 6
    assert [event["opening"] for event in events[1:7]] == [True] + [False] * 5
    assert events[-1]["shimmer"] > 0


def test_a_preview_is_gone_on_from(folder: Path) -> None:
    result = run("-o", "out.mp4", "--preview", "0.3")
    assert result.exit_code == 0, result.output
    assert "goes on from here" in result.stderr
    assert len(list(Clip("out.preview.mp4").shots())) == 3
    events = [json.loads(line) for line in run("-o", "out.mp4", "--json").stdout.splitlines()]
    assert [event["kept"] for event in events[1:7]] == [True] * 3 + [False] * 3


def test_dry_run(folder: Path) -> None:
    lines = dict(line.split(maxsplit=1) for line in run("-o", "out.mp4", "--dry-run").stdout.splitlines())
    assert lines["frames"] == "6 of 64x48, 10 a second"
    assert lines["sound"] == "aac"
    assert lines["scales"] == "32x24 (2 steps), 64x48 (2 steps); then 1 steps a frame at the last of them"
    assert not list(folder.glob("out*"))


def test_what_becomes_of_the_sound_is_said_before_the_first_frame(folder: Path) -> None:
    making.write(folder / "clip.mkv", making.panned(3), sound="flac")
    (folder / "clip.mkv").replace("clip.mp4")
    assert "sound   flac as aac" in run("-o", "out.mov", "--dry-run").stdout
    said = run("-o", "out.mov").stderr.splitlines()
    assert said[0] == "note: the sound (flac) is converted to AAC, for .mov does not take it as it is"
    assert said[1].startswith("frame 1 of 3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out.webm"], "no film is written with this ending"),
        (["-o", "clip.mp4"], "is the same file as the input"),
        (["-o", "none/out.mp4"], "does not exist"),
        (["--long-term", "0"], "at least 1"),
        (["--cut", "2"], "at most 1"),
        (["--init", "painting.png"], "takes a word"),
        (["--colors", "content"], "would flicker"),
    ],
)
def test_wrong_requests(arguments: list[str], message: str, folder: Path) -> None:
    result = run(*arguments)
    said = str(result.exception) + result.output
    assert result.exit_code != 0
    assert message in " ".join(said.split())
    assert not list(folder.glob("*.impasto"))


# `impasto`, in a process that sends itself a signal once it has stored some frames: at the same frame every time.
SIGNALLED = """
import os, sys
number, count = int(sys.argv.pop(1)), int(sys.argv.pop(1))
from impasto.cli import main
from impasto.video.frames import FrameStore
keep = FrameStore.keep
def keep_and_signal(self, index, pixels):
    keep(self, index, pixels)
    if index + 1 == count:
        os.kill(os.getpid(), number)
FrameStore.keep = keep_and_signal
main()
"""


def start(*arguments: str, program: Sequence[str] = ("-m", "impasto")) -> "subprocess.Popen[str]":
    line = [sys.executable, *program, "video", "clip.mp4", "painting.png", *SMALL, *arguments]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def start_signalled(number: signal.Signals, count: int, *arguments: str) -> "subprocess.Popen[str]":
    """Start the command, which gets a signal when `count` frames are stored."""
    return start(*arguments, program=("-c", SIGNALLED, str(int(number)), str(count)))


def test_killed_it_goes_on_to_the_same_frames(folder: Path) -> None:
    whole = start("-o", "whole.mp4", "--preview", "9", "--json")
    said = whole.communicate(timeout=200)
    assert whole.returncode == 0, said
    killed = start_signalled(signal.SIGKILL, 2, "-o", "out.mp4", "--preview", "9", "--json")
    said = killed.communicate(timeout=200)
    assert killed.returncode == -signal.SIGKILL, said
    kept = sorted(path.name for path in Path("out.mp4.impasto").glob("frame-*.png"))
    assert kept == ["frame-000001.png", "frame-000002.png"]
    again = start("-o", "out.mp4", "--preview", "9", "--json")
    said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    events = [json.loads(line) for line in said[0].splitlines()]
    assert [event["kept"] for event in events if event["event"] == "frame_painted"] == [True] * 2 + [False] * 4
    frames = sorted(Path("whole.mp4.impasto").glob("frame-*.png"))
    assert len(frames) == 6
    for path in frames:
        assert path.read_bytes() == (Path("out.mp4.impasto") / path.name).read_bytes()
    assert Path("whole.preview.mp4").read_bytes() == Path("out.preview.mp4").read_bytes()


def test_stopped_it_writes_what_there_is(folder: Path) -> None:
    process = start_signalled(signal.SIGTERM, 3, "-o", "out.mp4", "--json")
    _, said = process.communicate(timeout=200)
    assert process.returncode == 143, said
    assert "saved what there is" in said
    assert "the same command with --force goes on" in said
    assert 2 <= len(list(Clip("out.mp4").shots())) < 6


@pytest.mark.parametrize("error", [RuntimeError("broken"), OSError("gone")])
def test_any_error_leaves_the_film_of_the_frames_before_it(
    error: Exception, folder: Path, fault: Callable[[int, Exception], None]
) -> None:
    fault(9, error)
    result = run("-o", "out.mp4")
    assert result.exception is error
    assert "impasto: saved what there is, " in result.stderr
    frames = len(list(Clip("out.mp4").shots()))
    assert 1 <= frames < 6
    assert len(list(Path("out.mp4.impasto").glob("frame-*.png"))) == frames


@pytest.mark.parametrize(("limit", "kept"), [(4_000, 0), (25_000, 30)])
def test_a_full_disk_costs_a_line_and_no_frame_that_was_kept(limit: int, kept: int, folder: Path) -> None:
    making.write(folder / "clip.mp4", making.panned(30))
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
    try:
        result = run("-o", "out.mp4", "--quality", "1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert isinstance(result.exception, ImpastoError), (result.output, result.exception)
    assert "File too large" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not Path("out.mp4").exists()
    assert not list(folder.glob(".impasto*"))
    said = run("-o", "out.mp4", "--json")
    assert said.exit_code == 0, said.output
    frames = [event for event in map(json.loads, said.stdout.splitlines()) if event["event"] == "frame_painted"]
    assert (len(frames), sum(frame["kept"] for frame in frames)) == (30, kept)
    assert len(list(Clip("out.mp4").shots())) == 30


def test_hostile_clips_are_one_line(folder: Path) -> None:
    data = Path("clip.mp4").read_bytes()
    for content in (data[: len(data) // 2], b""):
        Path("clip.mp4").write_bytes(content)
        assert str(run("-o", "out.mp4").exception).startswith("clip.mp4: ")
    Path("clip.mp4").write_bytes(b"#EXTM3U\nhttp://127.0.0.1:9/a.ts\n")
    process = start("-o", "out.mp4")
    out, said = process.communicate(timeout=100)
    assert (process.returncode, out, len(said.splitlines())) == (1, "", 1), said
    assert said.startswith("impasto: clip.mp4: is no film")
    assert not list(folder.glob("out*"))


MEASURED = """
import pathlib, sys
sys.path[:0] = sys.argv[2:]
from tests.conftest import SMALL_LAYERS, small_tensors
from impasto.recipe import Compute, Inputs, presets
from impasto.vgg import network
from impasto.vgg.network import VGG
network.load = lambda name, activity, **settings: VGG(
    SMALL_LAYERS, small_tensors(SMALL_LAYERS), [0.5, 0.4, 0.3], **settings
)
from impasto.video import encode
from impasto.video.clip import Clip
from impasto.video.render import VideoRun
from impasto.video.frames import FrameStore
from impasto.video.settings import FilmSettings
from impasto.jobs.job import Job
from impasto.picture import read_picture
style = read_picture("painting.png")
recipe = presets.get("default").with_layers("content", "relu4_1").replace(size=64, start_size=32, steps=(1,))
job = Job(Inputs.of(style, [style]), recipe, Compute("cpu"))
film = VideoRun(Clip(sys.argv[1]), job, FilmSettings(frame_steps=1))
ledger = FrameStore(pathlib.Path(sys.argv[1] + ".frames"), film.identity)
for _ in film.paint(ledger): pass
encode.write(sys.argv[1] + ".out.mp4", film.clip, ledger, film.painted, 65)
# Not getrusage: there a child begins with what its parent had.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(film.painted, peak.split()[1])
"""


@pytest.mark.slow
def test_memory_is_the_same_for_any_length(folder: Path) -> None:
    peaks = []
    for count in (12, 48):
        making.write(Path(f"{count}.mp4"), making.panned(count))
        line = [sys.executable, "-c", MEASURED, f"{count}.mp4", str(PROJECT)]
        found = subprocess.run(line, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert found.returncode == 0, found.stderr
        frames, peak = map(int, found.stdout.split())
        assert frames == count
        peaks.append(peak / 1024)
    # Holding 36 more frames as floats in any one place would exceed this.
    assert peaks[1] - peaks[0] < 4, peaks
