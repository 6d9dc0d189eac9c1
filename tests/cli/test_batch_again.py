"""A batch that is started again among its own outputs, and one among files that do not belong to it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.executors import inline, worker
from impasto.picture import Picture, remembered
from impasto.recipe import presets
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = ["--size", "16", "--start-size", "16", "--steps", "2", "--device", "cpu", "--on", "inline"]


@pytest.fixture(autouse=True)
def folder(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]
) -> Path:
    """A folder of two photos, which is the working directory, beside a folder of two styles and a recipe."""
    for place in ("photos/a.png", "photos/b.png", "styles/s.png", "styles/t.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        picture(16, 20, ord(place[-5])).save(tmp_path / place)
    (tmp_path / "mine.toml").write_text(presets.get("default").with_layers("content", "relu4_1").to_toml())
    monkeypatch.chdir(tmp_path / "photos")
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["batch", *arguments, "-r", "../mine.toml", *QUICK])


def said(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stderr


def pictures(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.png")}


@pytest.mark.parametrize("metadata", [[], ["--no-metadata"]])
@pytest.mark.parametrize(
    "arguments",
    [
        [".", "../styles/s.png"],
        ["../photos", "../styles/s.png", "../styles/t.png", "-o", "../photos/{content}-{style}.png"],
        ["./**", "../styles/s.png", "--checkpoint", "kept/{content}", "--preview", "kept/{content}.preview.png"],
        ["**/*.png", "../styles/s.png", "--save-every", "1", "-o", "{content}/{style}.png"],
        ["*", "../styles/s.png", "-o", "{n}.png"],
        ["../photos", "../styles", "-o", "../styles/{content}_{style}.png"],
        ["../photos", "../styles/*.png", "--blend", "-o", "../styles/{content}_{style}.jpg", "--preview", "now{n}.png"],
        [".", "../styles/s.png", "-o", "file://{here}/{content}_{style}.png", "--log", "mine.jsonl"],
    ],
)
def test_its_own_outputs_are_no_inputs(
    arguments: list[str], metadata: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C in the second picture and after the end; the files left out are named."""
    arguments = [argument.replace("{here}", str(Path.cwd())) for argument in arguments] + metadata
    Path("kept").mkdir()
    paint, begun = worker.paint, []

    def interrupted(task: Any, asked: Callable[[], bool]) -> Any:
        begun.append(task)
        return paint(task, lambda: len(begun) == 2)

    monkeypatch.setattr(inline, "paint", interrupted)
    run(*arguments)
    monkeypatch.setattr(inline, "paint", paint)
    rest = said(run(*arguments))
    assert "left out" in rest
    assert "failed" not in rest
    everything = pictures(folder)
    logged = [path.read_text() for path in folder.rglob("*.jsonl")]
    again = said(run(*arguments))
    count = again.split("\n")[-2].split()[1]
    assert f"{count} of {count} are there" in again
    assert "as this batch's own (" in again
    assert pictures(folder) == everything
    assert [path.read_text() for path in folder.rglob("*.jsonl")] == logged


def test_what_the_pictures_remember_is_enough(folder: Path) -> None:
    arguments = ["*", "../styles/s.png", "-o", "{n}.png"]
    run(*arguments)
    Path("impasto-batch.jsonl").unlink()
    assert "2 of 2 are there" in said(run(*arguments))


@pytest.mark.parametrize("more", [[], ["--force"]])
def test_outputs_of_the_same_names_in_a_folder_within(more: list[str], folder: Path) -> None:
    for _ in range(2):
        result = run("**/*.png", "../styles/s.png", "-o", "out/{content}.png", "--no-metadata", *more)
        assert ("painted 2" in said(result)) == (more == ["--force"] or "left out" not in result.stderr)
    assert pictures(Path()) == {"a.png", "b.png", "out/a.png", "out/b.png"}


def test_checkpoints_that_were_kept_are_said(folder: Path) -> None:
    Path("a_s.png.impasto").mkdir()
    shutil.copy("a.png", "a_s.png.impasto/now.png")
    for pattern in ("**", "*/*", "."):
        result = run(pattern if pattern != "*/*" else "../*/*", "../styles/s.png", "-o", "../out/{n}.png", "--dry-run")
        assert "1 as this batch's own (a_s.png.impasto)" in said(result)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--log", "a.png"], "a.png: is the same file as the input ./a.png"),
        (["--log", "../out/b.png", "-o", "../out/{content}.png"], "would be the output of both the log and ./b.png"),
        (
            ["-o", "../out/{content}.png", "--save-every", "1"],
            "b-00002.png: has the name of a picture that --save-every",
        ),
    ],
)
def test_no_file_of_a_batch_is_another(more: list[str], expected: str, folder: Path) -> None:
    # In a folder, where files that the batch could write are no photos, and in a list, where every entry is one.
    shutil.copy("a.png", "b-00002.png")
    Path("list.csv").write_text("content,output\nb-00002.png,../out/x.png\na.png,b.png\n")
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    result = run("list.csv" if more[-1] == "1" else ".", "../styles/s.png", *more)
    assert expected in str(result.exception)
    assert {path: path.read_bytes() for path in folder.rglob("*.png")} == before


def test_styles_that_the_shell_found(folder: Path) -> None:
    arguments = ["-o", "../styles/{content}_{style}.jpg"]
    said(run(".", *map(str, sorted(Path("../styles").iterdir())), *arguments))
    found = sorted(path for path in Path("../styles").iterdir() if path.suffix != ".jsonl")
    assert len(found) == 6
    assert "4 of 4 are there" in said(run(".", *map(str, found), *arguments))
    # Given alone, one of them is a style like any other.
    said(run("a.png", "../styles/a_s.jpg", *arguments))
    assert Path("../styles/a_a_s.jpg").exists()


def test_pictures_of_another_batch_are_photos(folder: Path) -> None:
    said(run(".", "../styles/s.png", "-o", "../out/{content}.png"))
    second = said(run("../out", "../styles/t.png", "-o", "../out/{content}_{style}.png"))
    assert "painted 2" in second
    content = remembered("../out/a_t.png").content
    assert content is not None
    assert content.name == "a.png"
    assert "2 of 2 are there" in said(run("../out", "../styles/t.png", "-o", "../out/{content}_{style}.png"))


@pytest.mark.parametrize("more", [[], ["--force"]])
def test_somebody_else_s_picture_of_that_name_is_not_lost(more: list[str], folder: Path) -> None:
    shutil.copy("b.png", "a_s.png")
    before = Path("a_s.png").read_bytes()
    result = run(".", "../styles/s.png", *more)
    assert isinstance(result.exception, ImpastoError)
    assert "a_s.png: " in str(result.exception)
    assert Path("a_s.png").read_bytes() == before
    preview = run(".", "../styles/s.png", "-o", "../out/{content}.png", "--preview", "{content}_s.png", *more)
    assert "is the same file as the input" in str(preview.exception)
    assert Path("a_s.png").read_bytes() == before


def test_where_nothing_else_is_left_that_is_said(folder: Path) -> None:
    arguments = [".", "../styles/s.png", "-o", "../out/{n}.png", "--preview", "{content}.now.png", "--no-metadata"]
    arguments += ["--log", "../log.jsonl"]
    said(run(*arguments))
    for name in "ab":
        Path(f"{name}.png").unlink()
    expected = "names no picture (left out 2 as this batch's own (a.now.png, b.now.png)); check the path"
    assert expected in str(run(*arguments).exception)


def test_all_are_painted_anew_with_force(folder: Path) -> None:
    said(run(".", "../styles/s.png"))
    before = Path("a_s.png").stat().st_mtime_ns
    assert "painted 2" in said(run(".", "../styles/s.png", "--force"))
    assert Path("a_s.png").stat().st_mtime_ns != before
    assert pictures(Path()) == {"a.png", "b.png", "a_s.png", "b_s.png"}


def failures(result: Result) -> list[str]:
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True), (result.output, result.exception)
    return [line for line in result.stderr.splitlines() if line.startswith("impasto: ")]


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("x" * 251 + ".png", [], "File name too long"),
        ("x" * 247 + ".png", ["-o", "../out/{content}.png"], "File name too long); choose --checkpoint off"),
        ("x" * 200 + ".png", ["-o", "../out/{content}/{content}{content}.png"], "File name too long"),
        ("x" * 246 + ".png", ["-o", "../out/{content}.png", "--save-every", "1", "--checkpoint", "off"], "too long"),
    ],
)
def test_a_name_that_is_too_long_stops_no_other(name: str, more: list[str], expected: str, folder: Path) -> None:
    shutil.copy("a.png", name)
    found = failures(run(".", "../styles/s.png", *more))
    assert len(found) == 1
    assert name[:200] in found[0]
    assert expected in found[0]
    plan = run(".", "../styles/s.png", *more, "--dry-run").stdout
    assert "cannot be painted: " in plan
    assert expected in plan
    assert "2 there, 1 that cannot be" in plan


def test_a_batch_of_one_name_that_is_too_long(folder: Path) -> None:
    name = "x" * 251 + ".png"
    shutil.move("a.png", name)
    assert "File name too long" in failures(run(name, "../styles/s.png", "-o", "../out/{content}_{style}.png"))[0]


def test_links_in_a_loop_and_to_nothing_are_named(folder: Path) -> None:
    Path("loop").symlink_to("pool")
    Path("pool").symlink_to("loop")
    Path("round.png").symlink_to("round.png")
    Path("gone.png").symlink_to("nowhere.png")
    result = run(".", "../styles/s.png")
    found = failures(result)
    assert [("gone_s.png" in line, "round_s.png" in line) for line in found] == [(True, False), (False, True)]
    assert "left out 2 as unreadable (loop, pool)" in result.stderr
    assert "painted 2" in result.stderr


def test_a_glob_goes_round_no_loop_of_links(folder: Path) -> None:
    """Two links to the folder itself give exponentially many paths into it."""
    Path("deep").mkdir()
    shutil.move("b.png", "deep/b.png")
    for name in ("one", "two", "deep/three"):
        Path(name).symlink_to("..", target_is_directory=True) if "/" in name else Path(name).symlink_to(".")
    (folder / "far").mkdir()
    shutil.copy("a.png", folder / "far" / "c.png")
    Path("linked").symlink_to(folder / "far")
    assert "painted 3" in said(run("**/*.png", "../styles/s.png", "-o", "../out/{content}.png"))


@pytest.mark.parametrize("pattern", ["**/*.png", "*/*.png", "**"])
def test_a_folder_that_may_not_be_read_is_named(pattern: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.listdir

    def guarded(path: str) -> list[str]:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    for name in ("locked", "open"):
        Path(name).mkdir()
        shutil.copy("a.png", f"{name}/{name}.png")
    monkeypatch.setattr(os, "listdir", guarded)
    result = run(pattern, "../styles/s.png", "-o", "../out/{content}.png", "-q")
    assert failures(result) == ["impasto: locked: cannot be read (Permission denied); what is in there is left out"]
    assert Path("../out/open.png").exists()
    refused = run("locked", "../styles/s.png")
    assert "locked: names no picture (locked: cannot be read (Permission denied))" in str(refused.exception)


def test_an_output_folder_that_cannot_be_written_is_one_picture_s_fault(folder: Path) -> None:
    Path("list.csv").write_text("content,output\na.png,../mine.toml/a.png\nb.png,../out/b.png\n")
    assert "mine.toml: nothing can be written there" in failures(run("list.csv", "../styles/s.png"))[0]
    assert Path("../out/b.png").exists()


def test_pictures_are_told_by_what_they_hold_and_the_rest_is_counted(folder: Path) -> None:
    with Image.open("a.png") as image:
        for name, kind in {
            "c.jfif": "JPEG", "d.JPE": "JPEG", "e.jif": "JPEG", "f.pnm": "PPM", "g.apng": "PNG", "h.dib": "BMP",
            "i": "PNG", "j.jpg_original": "JPEG", "a.nef": "TIFF",
        }.items():  # fmt: skip
            image.save(name, kind)
    for name in ("notes.txt", "empty", "k.psd", ".hidden.png", ".DS_Store"):
        Path(name).write_text("8BPS" if name == "k.psd" else "text" * (name != "empty"))
    Path("deep").mkdir()
    os.mkfifo("pipe")
    result = run(".", "../styles/s.png", "-o", "../out/{content}.png")
    assert "painted 9" in said(result)
    assert result.stderr.splitlines()[0] == (
        "note: .: left out 1 as hidden (.hidden.png), 2 as a picture of unknown ending (a.nef, j.jpg_original), "
        "1 as a folder (deep), 3 as no picture (empty, k.psd, notes.txt), 1 as no file (pipe)"
    )
