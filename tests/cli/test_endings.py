"""However a run ends and whichever stream is closed, the picture is saved: real processes, real signals."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest
from click.testing import CliRunner
from PIL import Image

import impasto
from impasto.cli import command
from impasto.errors import OutputError, PictureError, UsageError, WeightsError
from impasto.jobs.output import Output, Stages
from impasto.picture import Limits, Picture, as_picture, read_picture
from impasto.picture.files import PipeContent
from impasto.system import atomic, cgroups
from impasto.system.folders import cache_folder
from tests.picture.samples import adobe_rgb

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's signals and streams")

PAINT = ["stylize", "a.png", "b.png", "--device", "cpu", "--size", "32", "--start-size", "32", "--steps"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    picture(24, 32, 1).save(tmp_path / "a.png")
    picture(24, 32, 2).save(tmp_path / "b.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begin(*arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "impasto", *arguments], env=ENVIRONMENT, **options)


def wait_for(path: str) -> None:
    deadline = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_dropped_connection_saves_the_picture() -> None:
    # The tests themselves may run under nohup.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    running = begin(*PAINT, "100000", "-o", "o.png", "--preview", "now.png", stderr=subprocess.PIPE)
    signal.signal(signal.SIGHUP, before)
    wait_for("now.png")
    assert running.stderr is not None
    # The terminal is closed with the connection.
    running.stderr.close()
    running.send_signal(signal.SIGHUP)
    assert running.wait(60) == 128 + signal.SIGHUP
    assert read_picture("o.png").size == (24, 32)


@pytest.mark.slow
def test_under_nohup_a_dropped_connection_stops_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = begin(*PAINT, "60", "-o", "o.png", "--preview", "now.png")
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for("now.png")
    running.send_signal(signal.SIGHUP)
    assert running.wait(60) == 0


@pytest.mark.parametrize(
    "redirected",
    [
        pytest.param("2>&-", marks=pytest.mark.slow),
        pytest.param(">&- 2>&-", marks=pytest.mark.slow),
        pytest.param("2>&1 | head -c 1 >/dev/null", marks=pytest.mark.slow),
        pytest.param("--json | head -c 1 >/dev/null", marks=pytest.mark.slow),
    ],
)
def test_streams_that_are_closed_or_not_read_cost_no_picture(redirected: str) -> None:
    words = " ".join([sys.executable, "-m", "impasto", *PAINT, "2", "-o", "o.png"])
    assert subprocess.run(["bash", "-c", f"{words} {redirected}"], env=ENVIRONMENT, check=False).returncode == 0
    assert read_picture("o.png").size == (24, 32)
    # No printed text was written into a file that got the descriptor of a closed stream.
    assert Path("o.png").read_bytes().startswith(b"\x89PNG")


FAULT = """
from impasto.cli import main
from impasto.engine.objective import Objective
evaluate, calls = Objective.evaluate, iter(range(100))
def faulty(self, image, *, gradient=True):
    if next(calls) == {call}:
        raise {error}
    return evaluate(self, image, gradient=gradient)
Objective.evaluate = faulty
main()
"""


@pytest.mark.parametrize(
    ("call", "error", "line"),
    [
        (4, "RuntimeError('broken')", "unexpected RuntimeError: broken; please report this with the output of -v"),
        (4, "OSError(5, 'gone')", "unexpected OSError: [Errno 5] gone; please report this with the output of -v"),
        (0, "RuntimeError('broken')", "unexpected RuntimeError: broken; please report this with the output of -v"),
    ],
)
def test_any_error_saves_the_picture_before_its_line(call: int, error: str, line: str) -> None:
    program = FAULT.format(call=call, error=error)
    done = subprocess.run(
        [sys.executable, "-c", program, *PAINT, "9", "-o", "o.png", "--checkpoint", "off"],
        env=ENVIRONMENT, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    saved = ["impasto: saved what there is, 32x24, to o.png"] if call else []
    assert [text for text in done.stderr.splitlines() if text.startswith("impasto: ")] == [*saved, f"impasto: {line}"]
    assert Path("o.png").exists() == bool(call)
    if call:
        assert read_picture("o.png").size == (24, 32)


def test_a_picture_is_not_written_to_an_output_that_is_closed() -> None:
    words = " ".join([sys.executable, "-m", "impasto", *PAINT, "1", "-o", "-", ">&-"])
    refused = subprocess.run(["bash", "-c", words], env=ENVIRONMENT, stderr=subprocess.PIPE, check=False)
    assert refused.returncode == 2
    assert b"standard output is closed" in refused.stderr


def test_pipes_are_read_as_standard_input_is() -> None:
    words = " ".join([sys.executable, "-m", "impasto", *PAINT, "1", "-q", "--checkpoint", "off", "-o"])
    words = words.replace("a.png", "<(cat a.png)").replace("b.png", "/dev/stdin")
    piped = subprocess.run(["bash", "-c", f"cat b.png | {words} o.png"], env=ENVIRONMENT, check=False)
    assert piped.returncode == 0
    # The bytes that were read are compared, not the results: a process takes the faster of two convolution methods,
    # which differ in the last digits.
    painted = impasto.remembered("o.png")
    assert painted.content is not None
    found = [painted.content.sha256, *(style.sha256 for style in painted.styles)]
    assert found == [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("a.png", "b.png")]


def test_a_pipe_is_read_once() -> None:
    os.mkfifo("pipe")
    result = CliRunner().invoke(command, ["stylize", "pipe", "pipe", "-o", "o.png"])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "pipe: a pipe holds one picture; give it once"


def test_what_comes_out_of_a_pipe_has_a_limit() -> None:
    with pytest.raises(PictureError, match="/dev/zero: the file is over the limit of 1,000 bytes"):
        PipeContent("/dev/zero", Limits(max_file_bytes=1000))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_text_that_cannot_be_written_is_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "impasto", "recipe", "show", "default"],
            stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False,
        )  # fmt: skip
    assert told.returncode == 1
    assert told.stderr.decode() == "impasto: standard output could not be written (No space left on device)\n"


def test_previews_and_stages_that_cannot_be_written_are_a_note(picture: Callable[..., Picture]) -> None:
    stages = Stages(Output("gone/o.png", preview="gone/now.png", save_every=1))
    for _ in range(3):
        stages.show(lambda: picture(8, 8, 1))
    assert len(stages.notes) == 1
    assert "pictures of some steps are missing" in stages.notes[0]


@pytest.mark.parametrize("temporary", ["temporary", "gone"])
def test_two_full_disks_are_one_line_and_harm_nothing(temporary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("o.png").write_bytes(b"what was there before")
    Path("temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(Path(temporary).absolute()))
    # Some file systems report a full disk only here.
    monkeypatch.setattr(os, "fsync", full)
    result = CliRunner().invoke(command, [*PAINT, "1", "-o", "o.png", "--force", "--checkpoint", "off"])
    error = result.exception
    assert isinstance(error, PictureError)
    assert (error.exit_code, "\n" in str(error)) == (1, False)
    assert str(error).startswith("o.png: could not be written (No space left on device)")
    why = "temporary (No space left on device)" if temporary == "temporary" else "temporary files (No such file"
    assert why in str(error)
    assert str(error).endswith("), so no picture is saved")
    assert Path("o.png").read_bytes() == b"what was there before"
    assert sorted(path.name for path in Path().rglob("*")) == ["a.png", "b.png", "o.png", "temporary"]


def test_a_proof_that_cannot_be_written_leaves_the_picture(
    picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ink.icc").write_bytes(adobe_rgb())
    Path("o.proof.png").mkdir()
    with pytest.raises(PictureError, match=r"the picture itself is in o\.png"):
        Output("o.png", proof="ink.icc").write(picture(8, 8, 1))
    assert read_picture("o.png").size == (8, 8)


def test_a_file_that_is_mounted_by_itself_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("o").write_bytes(b"old")

    def busy(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(atomic, "replace", busy)
    before = Path("o").stat().st_ino
    atomic.write_whole("o", b"new")
    assert (Path("o").read_bytes(), Path("o").stat().st_ino) == (b"new", before)
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "b.png", "o"]


def test_without_a_home_there_is_no_cache_and_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("IMPASTO_CACHE", raising=False)
    for name in ("user_cache_path", "user_state_path"):
        monkeypatch.setattr(platformdirs, name, homeless)
    with pytest.raises(WeightsError, match="set IMPASTO_CACHE to a folder"):
        cache_folder()
    assert isinstance(CliRunner().invoke(command, ["serve", "--no-browser"]).exception, UsageError)
    assert CliRunner().invoke(command, [*PAINT, "1", "-o", "o.png"]).exit_code == 0


@pytest.mark.parametrize("target", ["s3://bucket/o.png", "memory://o.png"])
def test_one_picture_does_not_go_to_a_url(target: str) -> None:
    result = CliRunner().invoke(command, [*PAINT, "1", "-o", target])
    assert isinstance(result.exception, OutputError)
    assert "only 'impasto batch' writes to" in str(result.exception)


@pytest.mark.slow
def test_a_lack_of_memory_is_said() -> None:
    words = " ".join([sys.executable, "-m", "impasto", *PAINT, "1", "-o", "o.png"])
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v 600000; {words}"], env=ENVIRONMENT, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"not enough memory" in done.stderr
    assert b"report" not in done.stderr


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_arrays_and_numbers_of_old_kinds_are_pictures() -> None:
    plain = np.array([[0, 255], [128, 64]], np.uint8)
    matrix = plain.view(np.matrix)
    assert (as_picture(matrix).pixels == as_picture(plain).pixels).all()
    dark = as_picture(Image.fromarray(np.array([[0, 255], [128, 64]], np.int32)))
    assert "nearly black" in dark.notes[0]


THREADS = """
from impasto.cli import paint
from impasto.system import cgroups
cgroups.processor_limit = lambda: {limit}
paint.set_threads()
import torch
print(torch.get_num_threads(), cgroups.count_cores())
"""


@pytest.mark.skipif(cgroups.count_cores() < 2, reason="needs two cores")
@pytest.mark.parametrize(("limit", "own", "threads"), [(1.5, None, 1), (0.5, None, 1), (1.5, "2", 2)])
def test_a_run_has_the_threads_that_its_control_group_allows(limit: float, own: str | None, threads: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if own is None else {"OMP_NUM_THREADS": own}
    program = THREADS.format(limit=limit)
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    # Those of a batch's workers together, unless the person says otherwise.
    assert told.stdout.split() == [str(threads), "1"]


SHAPES = """
import resource, sys
import numpy as np
import impasto
plain = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
def paint(photo, style, **more):
    impasto.stylize(photo, style, size=48, start_size=48, steps=(1,), device="cpu", **more)
paint(plain, plain)
before = peak()
for height, width in ((1, 100_000), (60_000, 1), (3, 50_000)):
    thin = np.full((height, width, 3), 100, np.uint8)
    paint(thin, plain)
    paint(plain, thin)
    paint(thin, plain, init=thin)
    paint(thin, plain, protect=np.full((height, width), 255, np.uint8))
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_follows_the_result_whatever_the_shape() -> None:
    told = subprocess.run([sys.executable, "-c", SHAPES], env=ENVIRONMENT, capture_output=True, check=False, text=True)
    assert told.returncode == 0, told.stderr
    # The largest of them has 150,000 pixels; with a margin of its length it would take gigabytes.
    assert int(told.stdout) < 150_000_000
