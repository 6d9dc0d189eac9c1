"""Output paths are checked before the work, and the check changes no file."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import TypedDict, Unpack

import pytest

from impasto.errors import OutputError
from impasto.picture import ENDINGS, as_picture, check_output, checks, format_of
from tests.picture import samples as making


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "png"),
        ("a.b.JPG", "jpeg"),
        ("x/y.jpeg", "jpeg"),
        ("a.webp", "webp"),
        ("a.tif", "tiff"),
        ("a.AVIF", "avif"),
    ],
)
def test_format_of(name: str, kind: str) -> None:
    assert format_of(name) == kind


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.pgn", "did you mean '.png'"),
        ("out.jpge", "did you mean '.jp"),
        ("out.tiif", "did you mean '.tif"),
        ("out.docx", "choose from .png, .jpg"),
        ("out", "has no ending"),
        (".png", "has no ending"),
        ("out.p\x1bng", r"\\x1b"),
    ],
)
def test_unknown_endings_name_the_nearest(name: str, words: str) -> None:
    with pytest.raises(OutputError, match=words) as error:
        format_of(name)
    assert str(error.value).isprintable()


def test_a_good_path_is_left_as_it_was(tmp_path: Path) -> None:
    assert check_output(tmp_path / "new.png") == "png"
    assert list(tmp_path.iterdir()) == []
    for ending, kind in ENDINGS.items():
        assert check_output(tmp_path / f"out{ending}") == kind


class Options(TypedDict, total=False):
    force: bool
    bits: int
    quality: int


def refused(words: str, path: str | Path, inputs: Iterable[str | Path] = (), **options: Unpack[Options]) -> None:
    with pytest.raises(OutputError, match=words) as error:
        check_output(path, inputs, **options)
    assert str(error.value).isprintable()


def test_existing_files_need_force(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    refused("exists already", path)
    assert check_output(path, force=True) == "png"
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_input_is_never_the_output(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(b"source")
    os.link(source, tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in ("in.png", "hard.png", "soft.png", "folder/in.png", "./in.png"):
        refused("same file as the input", os.path.join(tmp_path, name), [source], force=True)  # noqa: PTH118
        refused("same file as the input", source, ["missing.png", os.path.join(tmp_path, name)], force=True)  # noqa: PTH118
    other = tmp_path / "other.png"
    other.write_bytes(b"source")
    assert check_output(other, [source, tmp_path / "missing"], force=True) == "png"


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "dir.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "file").touch()
    (tmp_path / "null.png").symlink_to("/dev/null")
    refused("is a folder", tmp_path / "dir.png", force=True)
    refused("pipe or a device", tmp_path / "pipe.png", force=True)
    refused("pipe or a device", tmp_path / "null.png", force=True)
    refused("cannot be used", tmp_path / "loop.png")
    refused("does not exist; create it", tmp_path / "missing" / "a.png")
    refused("does not exist; create it", tmp_path / "file" / "a.png")
    refused("cannot be used", tmp_path / ("a" * 300 + ".png"))
    refused("cannot be used", "a\0.png")


def test_options_are_checked_before_the_work(tmp_path: Path) -> None:
    refused("8 bits", tmp_path / "a.jpg", bits=16)
    refused("no quality", tmp_path / "a.png", quality=90)
    assert check_output(tmp_path / "a.tif", bits=16) == "tiff"
    assert check_output(tmp_path / "a.webp", quality=100) == "webp"


def test_permissions(tmp_path: Path) -> None:
    making.let_everybody_in(tmp_path)
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o555)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    protected = tmp_path / "open" / "protected.png"
    protected.write_bytes(b"old")
    protected.chmod(0o444)
    code = """
        for path in sys.argv[1:]:
            try:
                check_output(path, force=True)
            except OutputError as error:
                print(error)
    """
    first, second = making.as_nobody(code, tmp_path / "locked" / "a.png", protected).splitlines()
    assert "nothing can be written to the folder" in first
    assert "write-protected" in second


def test_a_dangling_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "target.png")
    assert check_output(tmp_path / "link.png") == "png"
    as_picture(making.scene()).save(tmp_path / "link.png")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "target.png").is_file()


@pytest.mark.parametrize("name", ["out:1.png", "nul.png", "what?.png"])
def test_names_that_mean_something_else_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    check_output(tmp_path / name)
    monkeypatch.setattr(checks, "sys", SimpleNamespace(platform="win32"))
    with pytest.raises(OutputError, match="choose another name"):
        check_output(tmp_path / name)
    check_output(tmp_path / "out.png")
