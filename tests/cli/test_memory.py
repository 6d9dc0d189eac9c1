"""`--max-memory`, `--precision` and several devices, as a person gives them, with the real network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from impasto.cli import command
from impasto.engine.objective import Objective
from impasto.errors import DeviceError, ImpastoError, UsageError
from impasto.picture import Picture, read_picture
from impasto.recipe import presets
from impasto.recipe.terms import Content, MeanCovariance
from tests.conftest import SAMPLES

QUICK = ["--size", "32", "--start-size", "16", "--steps", "2", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photo.png (24 x 32) and painting.png."""
    picture(24, 32, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["stylize", "photo.png", "painting.png", "-o", "out.png", *arguments])


def refused(result: Result) -> str:
    """The one line of a request that failed before anything was painted."""
    error = result.exception
    assert isinstance(error, ImpastoError), result.output
    assert "\n" not in str(error)
    assert result.output == ""
    assert not Path("out.png").exists()
    return str(error)


def planned(*arguments: str) -> dict[str, str]:
    """Return the lines of --dry-run by their first word."""
    result = run("--device", "cpu", "--dry-run", *arguments)
    assert result.exit_code == 0, result.output
    assert not Path("out.png").exists()
    return dict(line.split(None, 1) for line in result.stdout.splitlines())


def test_a_dry_run_says_how_it_makes_do() -> None:
    whole, tiled = planned("--size", "1024", "--max-memory", "8GB"), planned("--size", "1024", "--max-memory", "1.2GB")
    assert list(whole) == ["recipe", "scales", "device", "memory", "time", "tiles", "output"]
    assert (whole["tiles"], tiled["tiles"]) == ("none: the whole at once", "of 256 px")

    def gigabytes(plan: dict[str, str]) -> float:
        about, number, unit = plan["memory"].split()
        assert (about, unit) == ("about", "GB")
        return float(number)

    assert gigabytes(tiled) <= 1.2 < gigabytes(whole)
    assert tiled["scales"] == whole["scales"]


def test_reading_is_a_part_of_the_plan_and_of_the_limit(folder: Path) -> None:
    small = planned(*QUICK)["memory"]
    Image.new("1", (5000, 4000), 1).save("photo.png")
    # 20 million pixels at 24 bytes each, and the process itself.
    assert planned(*QUICK)["memory"] == "about 1.1 GB"
    assert small == "about 0.7 GB"
    message = refused(run(*QUICK, "--max-memory", "1GB"))
    assert message.startswith("not enough memory: reading photo.png, 5000x4000, takes about 1.1 GB in all")


@pytest.mark.parametrize("text", ["lots", "0", "-1GB", "GB", ""])
def test_no_amount_of_memory(text: str) -> None:
    result = run(*QUICK, f"--max-memory={text}")
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert f"{text!r} is not an amount of memory" in refused(result)


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_less_than_any_size_needs(dry: list[str]) -> None:
    result = run(*QUICK, "--max-memory", "100MB", "-q", *dry)
    assert isinstance(result.exception, DeviceError)
    assert result.exception.exit_code == 1
    assert "no size fits" in refused(result)


def test_a_refusal_is_all_that_is_said() -> None:
    assert "not enough memory" in refused(run("--size", "8192", "--device", "cpu", "--max-memory", "1GB"))


@pytest.mark.parametrize("arguments", [["--device", "cpu,cuda"], ["--device", "cpu,gpu"], ["--precision", "float16"]])
def test_devices_and_precisions_that_are_not_there(arguments: list[str]) -> None:
    result = run(*QUICK, *arguments, "-q")
    assert result.exit_code != 0
    assert not Path("out.png").exists()


def test_devices_of_two_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "devices 'cpu,cuda' are of different kinds" in refused(run(*QUICK, "--device", "cpu,cuda"))


@pytest.mark.slow
def test_bfloat16_paints_nearly_the_same() -> None:
    photo, painting = (str(SAMPLES / f"{name}.jpg") for name in ("astronaut", "woodcut"))
    arguments = ["--size", "64", "--start-size", "final", "--steps", "2", "--device", "cpu", "-q"]
    pixels = {}
    for precision in ("float32", "bfloat16"):
        output = f"{precision}.png"
        done = CliRunner().invoke(
            command, ["stylize", photo, painting, "-o", output, "--precision", precision, *arguments]
        )
        assert done.exit_code == 0, done.output
        pixels[precision] = read_picture(output).pixels.ravel()
    assert np.corrcoef(pixels["float32"], pixels["bfloat16"])[0, 1] > 0.98
    assert not np.array_equal(pixels["float32"], pixels["bfloat16"])


def test_two_devices_paint_the_picture_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # With few layers, 256 px is the smallest tile.
    few = ["--size", "512", "--start-size", "final", "--steps", "1", "-q", "-r", "few.toml"]
    few += ["--max-memory", "900MB"]
    terms = Content("relu1_1") + MeanCovariance(["relu1_1", "relu2_1"])
    Path("few.toml").write_text(presets.DEFAULT.replace(terms=terms).to_toml())
    networks = []
    init = Objective.__init__

    def spy(self: Objective, *arguments: Any, **further: Any) -> None:
        networks.append((len(arguments[0]), arguments[-1]))
        init(self, *arguments, **further)

    monkeypatch.setattr(Objective, "__init__", spy)
    for devices, output in (("cpu", "one.png"), ("cpu,cpu", "two.png")):
        assert run(*few, "--device", devices, "-o", output).exit_code == 0
    assert networks == [(1, 256), (2, 256)]
    assert Path("one.png").read_bytes() == Path("two.png").read_bytes()


def test_memory_that_runs_out_on_the_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Objective.evaluate
    calls = iter(range(1000))

    def starved(self: Objective, *arguments: Any, **settings: Any) -> object:
        if next(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return evaluate(self, *arguments, **settings)

    monkeypatch.setattr(Objective, "evaluate", starved)
    result = run(*QUICK, "--steps", "6", "--json")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert events[4] == {"event": "adapted", "scale": 0, "tile": None, "history": 4}
    assert sum(event["event"] == "stepped" for event in events) == 12
    assert read_picture("out.png").size == (24, 32)
