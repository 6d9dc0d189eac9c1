"""Files are removed in one place, by name and content, and no others are."""

import ast
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import impasto
from impasto.cli import command
from impasto.engine.checkpoints import Checkpoints
from impasto.errors import ImpastoError
from impasto.jobs.job import Job
from impasto.picture import Picture
from impasto.recipe import Compute, Inputs, presets
from impasto.system import ownership
from impasto.video.frames import FrameStore

SOURCES = Path(impasto.__file__).parent
QUICK = ["--size", "32", "--start-size", "32", "--steps", "2", "--device", "cpu"]
# Names that training programs, people and impasto itself give to files.
OTHERS = (
    "checkpoint-best.json", "checkpoint-000100.json", "checkpoint-000100.safetensors", "checkpoint-1.json",
    ".checkpoint-000001.safetensors.tmp", ".impasto-mine.tmp", ".impasto-0123456789abcdeg.tmp", "frame-mine.png",
    "frame-1.png", "film.json", "job.json", "notes.txt", "lock.txt", "room.txt", "model.safetensors",
)  # fmt: skip


def test_files_are_removed_in_one_place() -> None:
    found = []
    for path in SOURCES.rglob("*.py"):
        if path.relative_to(SOURCES).as_posix() == "system/ownership.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and (
                node.attr in ("unlink", "rmtree", "rmdir", "removedirs") or ast.unparse(node) == "os.remove"
            ):
                found.append(f"{path.name}:{node.lineno}")
    assert found == []


def filled(folder: Path, *, with_lock: bool = False) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    names = (*OTHERS, "lock") if with_lock else OTHERS
    for name in names:
        (folder / name).write_bytes(f"mine: {name}".encode())
    return content(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("with_lock", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        ["stylize", "a.png", "b.png", "-o", "o.png", *QUICK, "--checkpoint", "mine"],
        ["stylize", "a.png", "b.png", "-o", "o.png", *QUICK, "--checkpoint", "mine", "--force"],
        ["resume", "mine"],
        ["resume", "mine", "--dry-run"],
        ["resume", "mine", "--force"],
        ["batch", "a.png", "b.png", "-o", "o.png", *QUICK, "--on", "inline", "--checkpoint", "mine", "--force"],
        ["serve", "--no-browser", "--state", "mine"],
    ],
)
def test_a_folder_of_somebody_else_stays_as_it_is(
    arguments: list[str],
    with_lock: bool,
    tmp_path: Path,
    picture: Callable[..., Picture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(24, 32, 1).save("a.png")
    picture(24, 32, 2).save("b.png")
    before = filled(Path("mine"), with_lock=with_lock)
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code != 0
    assert content(Path("mine")) == before


def test_what_is_beside_our_checkpoints_stays(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    recipe = presets.get("draft").replace(size=32, start_size=32, steps=(4,))
    folder = tmp_path / "ours"
    checkpoints = Checkpoints(folder, every=0, keep=True, replace=True)
    job = Job(Inputs.of(picture(24, 32, 1), [picture(24, 32, 2)]), recipe, Compute("cpu"), checkpoint=checkpoints)
    run = job.start()
    next(event for event in run if type(event).__name__ == "Checkpointed")
    for name in OTHERS:
        (folder / name).write_bytes(b"mine: " + name.encode())
    for _ in run:
        pass
    assert run.checkpoint_writer is not None
    run.checkpoint_writer.folder.remove()
    assert content(folder) == {name: b"mine: " + name.encode() for name in OTHERS}


def test_frames_of_somebody_else_stay(tmp_path: Path) -> None:
    before = filled(tmp_path / "mine")
    for force in (False, True):
        with pytest.raises(ImpastoError, match="holds no frames of impasto"):
            FrameStore(tmp_path / "mine", {"version": "1"}, force=force)
    (tmp_path / "mine" / "lock").unlink()
    assert content(tmp_path / "mine") == before
    store = FrameStore(tmp_path / "ours", {"version": "1"})
    (tmp_path / "ours" / "frame-mine.png").write_bytes(b"mine")
    store.remove()
    assert content(tmp_path / "ours") == {"frame-mine.png": b"mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
@pytest.mark.parametrize("what", ["pipe", "device", "link"])
@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_forged_checkpoint_neither_hangs_nor_leads_elsewhere(
    what: str, suffix: str, tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted(picture)
    (target,) = Path("o.png.impasto").glob(f"*.{suffix}")
    target.rename("elsewhere")
    if what == "pipe":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/zero" if what == "device" else Path("elsewhere").resolve())
    before = Path("elsewhere").read_bytes()
    result = CliRunner().invoke(command, ["resume", "o.png.impasto"])
    assert isinstance(result.exception, ImpastoError), result.output
    assert "\n" not in str(result.exception)
    assert Path("elsewhere").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_lock_that_is_a_link_leads_nowhere(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted(picture)
    Path("victim").write_text("precious")
    Path("o.png.impasto/lock").unlink(missing_ok=True)
    Path("o.png.impasto/lock").symlink_to("../victim")
    assert isinstance(CliRunner().invoke(command, ["resume", "o.png.impasto"]).exception, ImpastoError)
    assert Path("victim").read_text() == "precious"


def interrupted(picture: Callable[..., Picture], *options: str) -> None:
    """Write a checkpoint of a run of `stylize` to o.png, and the picture so far."""
    picture(24, 32, 1).save("a.png")
    picture(24, 32, 2).save("b.png")
    arguments = ["stylize", "a.png", "b.png", "-o", "o.png", *QUICK, "--checkpoint", "o.png.impasto", *options]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, (result.output, result.exception)


def test_a_resumed_run_replaces_only_its_own_pictures(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupted(picture, "--preview", "now.png", "--save-every", "1")
    go_on = ["resume", "o.png.impasto", "--steps", "4"]
    # The existing picture was painted by this run.
    assert CliRunner().invoke(command, go_on).exit_code == 0
    for victim in ("o.png", "now.png", "o-00003.png"):
        kept = Path(victim).read_bytes()
        picture(20, 20, 7).save(victim, force=True)
        precious = Path(victim).read_bytes()
        result = CliRunner().invoke(command, [*go_on[:-1], "6"])
        assert "does not say that this run painted it; add --force" in str(result.exception)
        assert Path(victim).read_bytes() == precious
        Path(victim).write_bytes(kept)
    # In another folder, it makes no file in an unexpected place.
    shutil.copytree("o.png.impasto", "far/o.png.impasto")
    monkeypatch.chdir(tmp_path / "far")
    Path("../o.png").unlink()
    result = CliRunner().invoke(command, ["resume", "o.png.impasto", "--steps", "6", "--content", "../a.png"])
    assert result.exit_code != 0
    assert not Path("../o.png").exists()


def test_a_preview_that_is_there_is_not_replaced(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(24, 32, 1).save("a.png")
    picture(24, 32, 2).save("now.png")
    before = Path("now.png").read_bytes()
    paint = ["stylize", "a.png", "a.png", "-o", "o.png", *QUICK, "--preview", "now.png"]
    assert "exists already" in str(CliRunner().invoke(command, paint).exception)
    assert Path("now.png").read_bytes() == before
    assert CliRunner().invoke(command, [*paint, "--force"]).exit_code == 0


def test_files_are_found_by_name_and_content(tmp_path: Path) -> None:
    for name, text in (("a-1.x", "mark"), ("a-2.x", "none"), ("b-1.x", "mark")):
        (tmp_path / name).write_text(text)
    (tmp_path / "a-3.x").mkdir()
    found = ownership.find(tmp_path, re.compile(r"a-\d\.x"), lambda path: ownership.has_mark(path, b"mark"))
    assert [path.name for path in found] == ["a-1.x"]
