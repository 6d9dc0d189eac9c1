"""Paths of other systems; `ntpath` stands in for Windows."""

import ntpath
from types import SimpleNamespace

import pytest

from impasto.system import paths


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are those of Windows."""
    monkeypatch.setattr(paths, "os", SimpleNamespace(path=ntpath, sep="\\"))


@pytest.mark.parametrize(
    ("path", "folder", "relative"),
    [
        (r"C:\work\out\a.png", r"C:\work\out", "a.png"),
        (r"C:\work\out\sub\a.png", r"C:\work\out", "sub/a.png"),
        (r"c:\Work\a.png", r"C:\work\out", "../a.png"),
        (r"D:\a\b.png", r"C:\work", "D:/a/b.png"),
        (r"\\server\share\b.png", r"C:\work", "//server/share/b.png"),
    ],
)
def test_relative_paths_have_slashes_and_may_lead_to_another_drive(
    windows: None, path: str, folder: str, relative: str
) -> None:
    assert paths.relative_path(path, folder) == relative


def test_a_backslash_is_part_of_a_name_here() -> None:
    assert paths.relative_path("/work/out/a\\b.png", "/work") == "out/a\\b.png"


def test_drives_have_no_common_folder(windows: None) -> None:
    assert paths.common_folder([r"C:\a\b", r"C:\a\c"]) == r"C:\a"
    assert paths.common_folder([r"C:\a", r"D:\a"]) is None


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("out:1.png", ":"), (r"C:\x\what?.png", "?"), ("a*.png", "*"), (r"x\a|b\c.png", "|"), ("tab\t.png", "\t"),
        ("CON", "device"), (r"C:\nul.png", "device"), ("com1.tar.png", "device"), (r"aux\a.png", "device"),
        ("con .png", "device"), ("dir./a.png", "dot"), ("a.png ", "space"),
    ],
)  # fmt: skip
def test_names_that_windows_does_not_take(path: str, word: str) -> None:
    assert word in (paths.find_windows_problem(path) or "")


@pytest.mark.parametrize(
    "path",
    ["a.png", r"C:\x\a.png", "C:a.png", "../a.png", r"..\a.png", "./a b.png", "console.png", "com10.png", "日本.png",
     r"\\server\share\a.png", r"\\?\C:\long\a.png", "a.png.impasto"],
)  # fmt: skip
def test_names_that_windows_takes(path: str) -> None:
    assert paths.find_windows_problem(path) is None


def test_harmless_names() -> None:
    assert paths.harmless_name('a<b>:"c|?*.png') == "a_b___c___.png"
    assert paths.harmless_name("plain, über.png") == "plain, über.png"
