"""`impasto stylize` as a person types it, with the real network at small sizes: in this process, and as a real one."""

import dataclasses
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from impasto.cli import command, paint
from impasto.errors import DivergedError, ImpastoError, PictureError
from impasto.picture import Picture, read_picture

# The module, which the command of the same name hides.


QUICK = ["--size", "32", "--start-size", "16", "--steps", "2", "--device", "cpu"]


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photo.png (24 x 32), painting.png and painting2.jpg."""
    picture(24, 32, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "painting.png")
    picture(30, 30, 3).save(tmp_path / "painting2.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, ["stylize", *arguments], input=stdin)


def process(folder: Path, *arguments: str, **kwargs: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "impasto", *arguments],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
        **kwargs,
    )


def refused(result: Result) -> str:
    """The message of a request refused with a usage error."""
    error = result.exception
    assert isinstance(error, ImpastoError) or result.exit_code == 2, result.output
    if isinstance(error, ImpastoError):
        assert error.exit_code == 2
        return str(error)
    return result.output


def test_the_main_job(folder: Path) -> None:
    result = run("photo.png", "painting.png", "-o", "out.png", *QUICK)
    assert result.exit_code == 0, result.output
    assert "saved 32x24, to out.png" in result.stderr
    assert result.stdout == ""
    with Image.open("out.png") as out:
        assert (out.size, out.mode, out.info.get("icc_profile") is not None) == ((32, 24), "RGB", True)
    assert not np.array_equal(read_picture("out.png").pixels, read_picture("photo.png").pixels)


def test_without_o_the_result_is_named_after_its_pictures(folder: Path) -> None:
    assert run("photo.png", "painting.png", "painting2.jpg", *QUICK, "-q").exit_code == 0
    assert Path("photo_painting_painting2.png").exists()


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff", "avif"])
def test_the_ending_is_the_format(ending: str, folder: Path) -> None:
    assert run("photo.png", "painting.png", "-o", f"out.{ending}", *QUICK, "-q").exit_code == 0
    assert read_picture(f"out.{ending}").size == (24, 32)


def test_sixteen_bits(folder: Path) -> None:
    assert run("photo.png", "painting.png", "-o", "out.png", "--bits", "16", *QUICK, "-q").exit_code == 0
    out = read_picture("out.png")
    assert out.bits == 16
    assert len(np.unique(out.pixels)) > 256


def test_size_original_is_the_photos_own(folder: Path) -> None:
    assert run("photo.png", "painting.png", "-o", "out.png", *QUICK, "--size", "original", "-q").exit_code == 0
    assert read_picture("out.png").size == (24, 32)


def test_quiet_says_nothing(folder: Path) -> None:
    result = run("photo.png", "painting.png", "-o", "out.png", *QUICK, "-q")
    assert result.exit_code == 0
    assert result.output == ""


def test_what_helps_is_said_in_a_line_unless_quiet(folder: Path) -> None:
    Picture(np.full((3, 30, 30), 0.5, np.float32)).save("painting.png")
    arguments = ["photo.png", "painting.png", "--force", "-o", "out.png", *QUICK]
    result = run(*arguments)
    hint = "hint: the style picture is nearly of one colour: choose one with forms in it"
    assert [line for line in result.stderr.splitlines() if line.startswith("hint: ")] == [hint]
    assert run(*arguments, "-q").output == ""
    first, *_, last = map(json.loads, run(*arguments, "--json").stdout.splitlines())
    assert [first["advice"][0]["sign"], last["advice"][0]["sign"]] == ["one-colour", "one-colour"]


def test_what_a_result_shows_is_said_after_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.reports import advice

    found = advice.Advice("noise", "there is grain", "try less")
    monkeypatch.setattr(advice, "advise", lambda *_: (found,))
    lines = run("photo.png", "painting.png", "-o", "out.png", *QUICK).stderr.splitlines()
    assert lines[-2:] == ["saved 32x24, to out.png", "hint: there is grain: try less"]


def test_json_is_one_event_a_line(folder: Path) -> None:
    result = run("photo.png", "painting.png", "-o", "out.png", *QUICK, "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == [
        "started", "scale_started", "stepped", "stepped", "scale_started", "stepped", "stepped", "finished",
    ]  # fmt: skip
    assert events[0]["scales"][-1] == {"height": 24, "width": 32, "steps": 2}
    assert sum(events[2]["terms"].values()) == pytest.approx(events[2]["loss"], rel=1e-5)


def test_streams_in_and_out(folder: Path) -> None:
    done = process(
        folder, "stylize", "-", "painting.png", "-o", "-", *QUICK, "-q", input=Path("photo.png").read_bytes()
    )
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(io.BytesIO(done.stdout)) as out:
        assert (out.format, out.size) == ("PNG", (32, 24))


def test_save_every_and_preview(folder: Path) -> None:
    result = run("photo.png", "painting.png", "-o", "out.jpg", *QUICK, "--steps", "4", "--save-every", "3",
                 "--preview", "now.png")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.glob("out*")) == ["out-00003.jpg", "out-00006.jpg", "out.jpg"]
    assert read_picture("out-00003.jpg").size == (12, 16)
    assert read_picture("now.png").size[1] in (16, 32)


def test_save_every_does_not_replace_what_is_there(folder: Path) -> None:
    Path("out-00007.png").write_bytes(b"precious")
    arguments = ["photo.png", "painting.png", "-o", "out.png", *QUICK, "--save-every", "7"]
    assert "out-00007.png" in refused(run(*arguments))
    assert Path("out-00007.png").read_bytes() == b"precious"
    assert run(*arguments, "--force").exit_code == 0


def test_the_same_command_gives_the_same_bytes(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        assert (
            run("photo.png", "painting.png", "-o", name, *QUICK, "--init", "noise", "--seed", "3", "-q").exit_code == 0
        )
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_python_and_the_command_line_agree(folder: Path) -> None:
    import impasto

    assert run("photo.png", "painting.png", "painting2.jpg", "-o", "out.png", *QUICK, "--style-weights", "3,1",
               "--content-weight", "0.3", "-q").exit_code == 0  # fmt: skip
    picture = impasto.stylize(
        "photo.png", [impasto.Style("painting.png", 3), "painting2.jpg"], content_weight=0.3,
        size=32, start_size=16, steps=(2,), device="cpu",
    )  # fmt: skip
    np.testing.assert_array_equal(picture.to_numpy(), read_picture("out.png").to_numpy())


def test_python_takes_paths_images_arrays_and_tensors(folder: Path) -> None:
    import torch

    import impasto

    settings: dict[str, Any] = {"size": 32, "start_size": 16, "steps": (1,), "device": "cpu"}
    with Image.open("photo.png") as file:
        image = file.convert("RGB")
    array = np.array(image)
    sources: list[Any] = [Path("photo.png"), image, array, torch.from_numpy(array).permute(2, 0, 1)]
    results = [impasto.stylize(source, "painting.png", **settings).to_numpy() for source in sources]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_a_picture_to_start_from(folder: Path) -> None:
    result = run("photo.png", "painting.png", "-o", "out.png", *QUICK, "--init", "painting2.jpg", "-q")
    assert result.exit_code == 0, result.output
    assert read_picture("out.png").size == (24, 32)


def test_a_recipe_file(folder: Path) -> None:
    from impasto.recipe import presets

    Path("mine.toml").write_text(presets.get("default").replace(size=32, start_size=32, steps=(1,)).to_toml())
    assert run("photo.png", "painting.png", "-o", "out.png", "-r", "mine.toml", "-q").exit_code == 0
    assert read_picture("out.png").size == (24, 32)


def test_dry_run_prints_the_plan_and_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = run("photo.png", "painting.png", "-o", "out.png", *QUICK, "--dry-run")
    assert result.exit_code == 0
    for part in ("16x12 (2 steps), 32x24 (2 steps)", "cpu", " GB\n", "time    about", "tiles   none", "out.png"):
        assert part in result.stdout
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.png", "painting.png", "-o", "photo.png", "--force"], "photo.png"),
        (["photo.png", "painting.png", "-o", "painting2.jpg"], "--force"),
        (["photo.png", "painting.png", "-o", "out.pgn"], "png"),
        (["photo.png", "painting.png", "-o", "nowhere/out.png"], "nowhere"),
        (["photo.png", "painting.png", "-o", "out.jpg", "--bits", "16"], "16"),
        (["photo.png", "painting.png", "-o", "out.png", "--preview", "painting.png"], "painting.png"),
        (["photo.png", "painting.png", "-o", "-", "--json"], "standard output"),
        (["-", "-", "-o", "out.png"], "standard input"),
        (["photo.png", "painting.png", "-o", "-", "--save-every", "2"], "--save-every"),
        (["photo.png", "painting.png", "--style-weights", "1,2", "-o", "out.png"], "2 style weights for 1"),
        (["photo.png", "painting.png", "--style-weights", "0", "-o", "out.png"], "above 0"),
        (["photo.png", "painting.png", "--style-weights", "a", "-o", "out.png"], "list of numbers"),
        (["photo.png", "painting.png", "--size", "5", "-o", "out.png"], "at least 16"),
        (["photo.png", "painting.png", "--size", "big", "-o", "out.png"], "original"),
        (["photo.png", "painting.png", "--steps", "3,x", "-o", "out.png"], "'x'"),
        (["photo.png", "painting.png", "--pooling", "maximum", "-o", "out.png"], "'max'"),
        (["photo.png", "painting.png", "--recipe", "drafft", "-o", "out.png"], "did you mean 'draft'"),
        (["photo.png", "painting.png", "--contentweight", "1", "-o", "out.png"], "--content-weight"),
        (["photo.png"], "STYLE"),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(arguments: list[str], message: str, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert message in refused(run(*QUICK, *arguments))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("content", "arguments", "code", "parts"),
    [
        (None, ["nothing.png", "painting.png"], 1, ["nothing.png"]),
        (b"not a picture", ["broken.png", "painting.png"], 1, ["broken.png"]),
        (None, ["photo.png", "painting.png", "--device", "cuda:7"], 1, ["cuda:7", "choose"]),
        (None, ["photo.png", "painting.png", "--device", "gpu"], 2, ["gpu", "choose"]),
        (None, ["photo.png", "painting.png", "--bogus"], 2, ["--bogus"]),
    ],
)
def test_an_error_is_one_line_with_its_exit_code(
    content: bytes | None, arguments: list[str], code: int, parts: list[str], folder: Path
) -> None:
    if content is not None:
        Path("broken.png").write_bytes(content)
    done = process(folder, "stylize", *arguments, "-o", "out.png")
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines), done.stdout) == (code, 1, b"")
    assert lines[0].startswith("impasto: ")
    assert all(part in lines[0] for part in parts)
    assert not Path("out.png").exists()
    verbose = process(folder, "stylize", *arguments, "-o", "out.png", "-v")
    assert (b"Traceback" in verbose.stderr) == ("--bogus" not in arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_what_there_is(number: signal.Signals, folder: Path) -> None:
    command = [sys.executable, "-m", "impasto", "stylize", "photo.png", "painting.png", "-o", "out.png",
               "--size", "64", "--start-size", "32", "--steps", "100000", "--device", "cpu",
               "--preview", "now.png"]  # fmt: skip
    running = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not Path("now.png").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert b"interrupted: saved what there is, 32x24, to out.png" in errors
    assert b"Traceback" not in errors
    assert read_picture("out.png").size == (24, 32)


def test_a_folder_that_vanishes_on_the_way_does_not_take_the_picture_along(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("gone").mkdir()
    original = paint.paint

    def vanish(*arguments: Any) -> None:
        Path("gone").rmdir()
        original(*arguments)

    monkeypatch.setattr(paint, "paint", vanish)
    result = run("photo.png", "painting.png", "-o", "gone/out.png", *QUICK)
    assert isinstance(result.exception, PictureError)
    rescued = Path(str(result.exception).rsplit(" ", 1)[1])
    assert read_picture(rescued).size == (24, 32)


# Above what a process with torch takes, which differs by build: enough for 362 px, too little for 2048.
LIMITED = """
import resource, sys, torch
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 1_200_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from impasto.cli import main
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux only")
def test_too_little_memory_is_one_line_before_anything_is_painted(folder: Path) -> None:
    size = ["--size", "4096", "--start-size", "64", "--scale-factor", "16", "--steps", "1", "--device", "cpu"]
    command = [sys.executable, "-c", LIMITED, "stylize", "photo.png", "painting.png", "-o", "out.png", *size, "-q"]
    done = subprocess.run(command, capture_output=True, check=False, cwd=folder)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("impasto: not enough memory: 4352x3328 needs about")
    assert re.search(r"choose a --size up to about \d+, or say otherwise with --max-memory$", line)
    assert not Path("out.png").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux only")
@pytest.mark.slow
def test_a_real_limit_is_kept_by_tiles(folder: Path) -> None:
    size = ["--size", "640", "--start-size", "64", "--scale-factor", "16", "--steps", "1", "--device", "cpu"]
    less = LIMITED.replace("1_200_000_000", "700_000_000")
    command = [sys.executable, "-c", less, "stylize", "photo.png", "painting.png", "-o", "out.png", *size]
    planned = subprocess.run([*command, "--dry-run"], capture_output=True, check=True, cwd=folder)
    assert "tiles   of 256 px" in planned.stdout.decode()
    done = subprocess.run([*command, "-q"], capture_output=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert read_picture("out.png").size == (480, 640)


def test_a_diverged_run_saves_its_best_picture_and_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.engine.objective import Objective

    evaluate = Objective.evaluate
    calls = iter(range(100))

    def poisoned(self: Objective, image: Any, *, gradient: bool = True) -> Any:
        found = evaluate(self, image, gradient=gradient)
        return dataclasses.replace(found, numbers=found.numbers * math.nan) if next(calls) > 1 else found

    monkeypatch.setattr(Objective, "evaluate", poisoned)
    result = run("photo.png", "painting.png", "-o", "out.png", *QUICK, "--steps", "50")
    assert isinstance(result.exception, DivergedError)
    assert "saved what there is, 16x12, to out.png" in result.stderr
    assert np.isfinite(read_picture("out.png").pixels).all()


def test_the_photos_transparency_comes_back(folder: Path) -> None:
    rgba = np.full((24, 32, 4), 255, np.uint8)
    rgba[:, :10, 3] = 0
    Image.fromarray(rgba).save("photo.png")
    assert run("photo.png", "painting.png", "-o", "out.png", *QUICK, "-q").exit_code == 0
    with Image.open("out.png") as out:
        np.testing.assert_array_equal(np.asarray(out)[:, :, 3], rgba[:, :, 3])


@pytest.mark.parametrize("name", ["-dash.png", "name with spaces.png", "zażółć.png", "new\nline.png"])
def test_odd_names(name: str, folder: Path) -> None:
    Path("photo.png").rename(name)
    result = run("-q", "-o", f"out {name}", *QUICK, "--", name, "painting.png")
    assert result.exit_code == 0, result.output
    assert read_picture(f"out {name}").size == (24, 32)
