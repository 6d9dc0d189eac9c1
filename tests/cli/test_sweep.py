"""`impasto sweep` as a person types it: in this process with a small network, and as a real one."""

import dataclasses
import json
import math
import os
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

from impasto.cli import command
from impasto.engine.objective import Objective
from impasto.errors import DivergedError, ImpastoError
from impasto.picture import Picture, read_picture
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = ["--size", "32", "--start-size", "16", "--device", "cpu"]
STEPS = ["--steps", "2"]


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]
) -> Path:
    """A working directory with photo.png (24 x 32), painting.png and painting2.jpg."""
    picture(24, 32, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "painting.png")
    picture(30, 30, 3).save(tmp_path / "painting2.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    from impasto.recipe import presets

    recipe = presets.get("default").with_layers("content", "relu4_1")
    Path("mine.toml").write_text(recipe.to_toml())
    Path("blurred.toml").write_text(recipe.replace(smoothness=40.0).to_toml())
    return tmp_path


def run(*arguments: str) -> Result:
    recipe = () if "recipe=" in " ".join(arguments) else ("-r", "mine.toml")
    return CliRunner().invoke(command, ["sweep", "photo.png", "painting.png", *arguments, *recipe, *QUICK])


def events(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, (result.output, result.exception)
    return [json.loads(line) for line in result.stdout.splitlines()]


def protect_left() -> None:
    """Write left.png, white in its left half."""
    half = np.tile((np.arange(32) < 16).astype(np.float32), (3, 24, 1))
    Picture(half).save("left.png")


def test_a_table(folder: Path) -> None:
    result = run("--vary", "content-weight=0.03,0.3", "--vary", "style-scale=0.5,1", "-o", "out.png", *STEPS)
    assert result.exit_code == 0, result.output
    sheet, lines = read_picture("out.png"), result.stderr.splitlines()
    assert [line.partition(";")[0] for line in lines[:4]] == [
        "1 of 4: content-weight 0.03, style-scale 0.5",
        "2 of 4: content-weight 0.3, style-scale 0.5",
        "3 of 4: content-weight 0.03, style-scale 1",
        "4 of 4: content-weight 0.3, style-scale 1",
    ]
    assert all(line.endswith(" left") for line in lines[:4])
    assert lines[4:] == [f"saved {sheet.width}x{sheet.height}, to out.png"]
    names = sorted(path.name for path in Path("out.cells").iterdir())
    assert names[0].startswith("content-weight-0.03_style-scale-0.5-")
    assert [read_picture(Path("out.cells") / name).size for name in names] == [(24, 32)] * 4


@pytest.mark.parametrize("manner", [["--seed", "3"], ["--protect", "left.png", "--style-scales", "2"]])
def test_a_cell_is_what_stylize_paints(manner: list[str], folder: Path) -> None:
    protect_left()
    assert run("--vary", "style-scale=0.5", "-o", "out.png", *manner, *STEPS, "-q").output == ""
    options = ["-r", "mine.toml", *QUICK, *STEPS, "--style-scale", "0.5", *manner, "-o", "one.png", "-q"]
    assert CliRunner().invoke(command, ["stylize", "photo.png", "painting.png", *options]).exit_code == 0
    (cell,) = Path("out.cells").iterdir()
    assert cell.read_bytes() == Path("one.png").read_bytes()


def test_json_has_the_cells_around_the_events_of_their_runs(folder: Path) -> None:
    arguments = ["--vary", "style-scale=0.5,1", "--json", *STEPS, "--force", "-o", "out.png"]
    first = events(run(*arguments))
    one = ["cell_started", "started", "scale_started", "stepped", "stepped", "scale_started", "stepped", "stepped",
           "finished", "cell_finished"]  # fmt: skip
    assert [event["event"] for event in first] == 2 * one
    assert first[0]["settings"] == {"style_scale": "0.5"}
    assert (first[0]["cell"], first[0]["cells"]) == (1, 2)
    second = events(run(*arguments))
    assert [(event["event"], event["painted"], event["file"]) for event in second] == [
        ("cell_finished", False, event["file"]) for event in first if event["event"] == "cell_finished"
    ]


def test_everything_that_can_be_varied(folder: Path) -> None:
    for number, (vary, labels) in enumerate(
        {
            "recipe=mine.toml,blurred.toml": ["mine.toml", "blurred.toml"],
            "steps=2:1,1": ["2:1", "1"],
            "init=noise,content": ["noise", "content"],
            "optimizer.max_step=0.001,0.05": ["0.001", "0.05"],
            "style_scale=0.5,2.0": ["0.5", "2"],
            "stroke-size=0.5,2.0": ["0.5", "2"],
            "--pooling=max,average": ["max", "average"],
        }.items()
    ):
        steps = [] if vary.startswith("steps") else STEPS
        found = events(run("--vary", vary, "-o", f"{number}.png", "--json", *steps))
        shown = [next(iter(dict(event["settings"]).values())) for event in found if event["event"] == "cell_finished"]
        assert shown == labels
        pictures = [read_picture(str(event["file"])) for event in found if event["event"] == "cell_finished"]
        assert not np.array_equal(pictures[0].pixels, pictures[1].pixels)


def test_from_one_style_to_another(folder: Path) -> None:
    arguments = ["--vary", "style-weights=1:0,0.5:0.5,0:1", "-o", "out.png", "-q", *STEPS]
    result = CliRunner().invoke(
        command, ["sweep", "photo.png", "painting.png", "painting2.jpg", *arguments, "-r", "mine.toml", *QUICK]
    )
    assert result.exit_code == 0, result.output
    names = [path.name.rpartition("-")[0] for path in sorted(Path("out.cells").iterdir())]
    assert names == ["style-weights-0-1", "style-weights-0.5-0.5", "style-weights-1-0"]


def test_a_dry_run_says_what_would_be(folder: Path) -> None:
    arguments = ["--vary", "style-scale=0.5,1", "-o", "out.png", *STEPS]
    assert run(*arguments, "-q").exit_code == 0
    next(iter(Path("out.cells").glob("*scale-1-*"))).unlink()
    before = sorted(folder.rglob("*"))
    result = run(*arguments, "--dry-run", "--force")
    lines = result.stdout.splitlines()
    assert lines[0].split("  ")[:4] == ["1 of 2", "style-scale 0.5", "32x24", "painted before"]
    assert "2 of 2  style-scale 1    32x24  about 1 s" in lines[1]
    assert lines[1].endswith(" GB")
    assert lines[2:4] == ["cells   1 to paint, 1 painted before, in out.cells", "device  cpu"]
    assert lines[-1].endswith("to out.png")
    assert sorted(folder.rglob("*")) == before


def test_previews_stages_and_depth(folder: Path) -> None:
    result = run("--vary", "seed=1", "-o", "out.png", "--cells", "kept", "--preview", "now.png", "--save-every", "3",
                 "--bits", "16", *STEPS)  # fmt: skip
    assert result.exit_code == 0, result.output
    stage, cell = sorted(Path("kept").iterdir(), key=lambda path: len(path.name), reverse=True)
    assert stage.name == f"{cell.stem}-00003.png"
    assert read_picture(cell).bits == 16
    assert read_picture("now.png").width in (16, 32)
    assert not Path("out.cells").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--vary"),
        (["--vary", "content-weight=0.1,-1"], "--content-weight is -1; expected a number at least 0"),
        (["--vary", "size=64"], "size is given and varied"),
        (["--vary", "recipe=default", "-r", "mine.toml"], "recipe is given and varied"),
        (["--vary", "seed=1", "--set", "seed=2"], "seed is given and varied"),
        (["--vary", "style-weights=1", "--style-weights", "1"], "style-weights is given and varied"),
        (["--vary", "seed=1", "--vary", "seed=2"], "seed is varied twice"),
        (["--vary", "pooling=max,maximum"], "--pooling is 'maximum'; did you mean 'max'?"),
        (["--vary", "steps=3:x"], "'x'"),
        (["--vary", "contentweight=1"], "did you mean 'content-weight'"),
        (["--vary", "recipe=drafft"], "did you mean 'draft'"),
        (["--vary", "optimizer.speed=1"], "has no field 'speed'"),
        (["--vary", "style-weights=a:1"], "'a:1' is not a list of numbers such as 0.7:0.3"),
        (["--vary", "style-weights=1:2"], "2 style weights for 1 style pictures"),
        (["--vary", "seed"], "no setting with values"),
        (["--vary", "seed=1,,2"], "a value is empty"),
        (["--vary", "terms=1"], "terms cannot be varied here"),
        (["--vary", "seed=1", "-o", "photo.png", "--force"], "is the same file as the input"),
        (["--vary", "seed=1", "-o", "out.png", "--cells", "photo.png"], "photo.png: is no folder"),
        (["--vary", "seed=1", "-o", "out.png", "--cells", "no/where"], "does not exist"),
        (["--vary", "seed=1", "--cell", "3"], "--cell"),
        (["--vary", "seed=1", "--init", "gone.png"], "gone.png: no such file"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(arguments: list[str], message: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = run(*arguments)
    assert result.exit_code != 0
    said = str(result.exception) if isinstance(result.exception, ImpastoError) else result.output
    assert message in said
    assert sorted(folder.iterdir()) == before


def test_a_diverged_cell_stays_empty_and_the_command_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Objective.evaluate

    def poisoned(self: Objective, image: Any, *, gradient: bool = True) -> Any:
        found = evaluate(self, image, gradient=gradient)
        return dataclasses.replace(found, numbers=found.numbers * math.nan) if next(poison) else found

    # The evaluations of the first cell: of its start and of every retry.
    poison = iter([True] * 6 + [False] * 1000)
    monkeypatch.setattr(Objective, "evaluate", poisoned)
    result = run("--vary", "seed=1,2", "-o", "out.png", *STEPS)
    assert isinstance(result.exception, DivergedError)
    assert "seed 1: the loss or its gradient was not finite" in result.stderr
    assert "saved 1 of 2 cells" in result.stderr
    assert [path.name.rpartition("-")[0] for path in Path("out.cells").iterdir()] == ["seed-2"]


def test_any_error_leaves_the_sheet_of_the_cells_before_it(
    folder: Path, fault: Callable[[int, Exception], None]
) -> None:
    fault(8, error := RuntimeError("broken"))
    result = run("--vary", "seed=1,2,3", "-o", "sheet.png", *STEPS)
    assert result.exception is error
    assert "saved 1 of 3 cells" in result.stderr
    assert Path("sheet.png").exists()


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "impasto", "sweep", "photo.png", "painting.png", "-o", "out.png", *QUICK, *arguments],
        cwd=folder, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def wait_for(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not found() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(number: signal.Signals, folder: Path) -> None:
    running = started(folder, "--vary", "steps=1,100000", "--preview", "now.png")
    wait_for(lambda: list(folder.glob("out.cells/steps-1-*.png")))
    # Wait until the second cell is being painted.
    Path("now.png").unlink(missing_ok=True)
    wait_for(Path("now.png").exists)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 128 + number
    assert b"interrupted: saved 1 of 2 cells" in errors
    assert b"Traceback" not in errors
    (cell,) = Path("out.cells").iterdir()
    written = cell.stat().st_mtime_ns
    unfinished = read_picture("out.png")
    again = started(folder, "--vary", "steps=1,2", "--force")
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0
    assert b"1 of 2: steps 1; painted before" in errors
    assert cell.stat().st_mtime_ns == written
    assert read_picture("out.png").size[0] == unfinished.size[0]


def test_interrupted_before_the_first_cell_there_is_no_sheet(folder: Path) -> None:
    running = started(folder, "--vary", "steps=100000", "--preview", "now.png")
    wait_for(Path("now.png").exists)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"interrupted before the first cell was finished; no sheet was written" in errors
    assert not Path("out.png").exists()


@pytest.mark.slow
def test_on_workers_the_cells_are_those_painted_here(folder: Path) -> None:
    protect_left()
    manner = ["--vary", "seed=1,2,3", "--init", "noise", "--protect", "left.png", *STEPS]
    again = started(folder, *manner, "--on", "local", "--workers", "2")
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    cells = {path.name: read_picture(path).pixels for path in folder.glob("out.cells/*.png")}
    assert len(cells) == 3
    sheet = read_picture("out.png").pixels
    (folder / "out.cells").rename("other.cells")
    here = started(folder, *manner, "--force")
    here.communicate(timeout=120)
    assert {path.name for path in folder.glob("out.cells/*.png")} == set(cells)
    for path in folder.glob("out.cells/*.png"):
        # A process takes the faster of two convolution methods, which differ in the last digits.
        assert np.abs(read_picture(path).pixels - cells[path.name]).max() < 0.1
        assert np.abs(cells[path.name] - read_picture("photo.png").pixels)[:, :, :8].max() < 1 / 255
    assert np.abs(read_picture("out.png").pixels - sheet).max() < 0.1
    assert "is no place to paint" in str(run("--vary", "seed=4", "--on", "moon", "--force", "-o", "x.png").exception)


def test_on_workers_pictures_are_files(folder: Path) -> None:
    result = CliRunner().invoke(command, ["sweep", "-", "painting.png", "--vary", "seed=1", "--on", "local"])
    assert "--on reads files, not standard input" in str(result.exception)
