"""`impasto compare` as a person types it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.picture import Picture, read_picture


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a.png, b.png and c.jpg."""
    for seed, name in enumerate(("a.png", "b.png", "c.jpg")):
        picture(24, 32, seed).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, ["compare", *arguments], input=stdin)


def test_a_sheet_of_three_pictures() -> None:
    result = run("a.png", "b.png", "c.jpg", "-o", "out.png", "--columns", "3")
    assert result.exit_code == 0, result.output
    sheet = read_picture("out.png")
    assert result.stderr == f"saved {sheet.width}x{sheet.height}, to out.png\n"
    found, first = sheet.to_numpy(), read_picture("a.png").to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(found, first.shape)[:, :, 0]
    assert (windows == first).all(axis=(2, 3, 4)).any()


def test_columns_cells_and_labels() -> None:
    for name, options in {"wide": ["--columns", "3"], "high": ["--columns", "1"]}.items():
        assert run("a.png", "b.png", "c.jpg", "-o", f"{name}.png", "--labels", "x, y,z", *options, "-q").output == ""
    wide, high = read_picture("wide.png"), read_picture("high.png")
    assert wide.width > 2 * high.width
    assert high.height > 2 * wide.height
    assert run("a.png", "b.png", "-o", "large.jpg", "--cell", "200", "--quality", "80").exit_code == 0
    assert read_picture("large.jpg").width > 400


def test_standard_input_and_the_default_output() -> None:
    assert run("-", "b.png", stdin=Path("a.png").read_bytes()).exit_code == 0
    assert read_picture("sheet.png").width > 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "PICTURE"),
        (["a.png", "-o", "a.png", "--force"], "is the same file as the input"),
        (["a.png", "-o", "b.png"], "exists already"),
        (["a.png", "-o", "out.gif"], "unknown ending"),
        (["a.png", "-o", "out.png", "--quality", "50"], "loses nothing"),
        (["a.png", "b.png", "-o", "out.png", "--labels", "x"], "1 labels for 2 pictures"),
        (["a.png", "-o", "out.png", "--columns", "0"], "--columns"),
        (["a.png", "-o", "out.png", "--cell", "5"], "--cell"),
        (["-", "-", "-o", "out.png"], "standard input holds one picture"),
        (["gone.png", "-o", "out.png"], "gone.png: no such file"),
    ],
)
def test_wrong_requests(arguments: list[str], message: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    result = run(*arguments)
    assert result.exit_code != 0
    said = str(result.exception) if isinstance(result.exception, ImpastoError) else result.output
    assert message in said
    assert sorted(folder.iterdir()) == before


def test_a_name_that_no_font_has_the_letters_of_is_given_in_a_note(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_DIRS", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(folder / "no fonts"))
    (folder / "a.png").rename(folder / "\U000104b0.png")  # of a script that hardly any font has
    result = run("\U000104b0.png", "b.png", "-o", "out.png")
    assert result.exit_code == 0, result.output
    assert "note: No font on this system has all letters of these labels" in result.stderr
    assert "\U000104b0.png" in result.stderr
