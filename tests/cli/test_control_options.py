"""`impasto stylize` with masks, strength, scales and parts, with the real network at small sizes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import impasto
from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.picture import Picture, read_picture

QUICK = ["--size", "32", "--start-size", "16", "--steps", "2", "--device", "cpu"]
TWO = ["photo.png", "a.png", "b.png"]


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a photo (24 x 32), two paintings, and masks of them."""
    picture(24, 32, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "a.png")
    picture(30, 30, 3).save(tmp_path / "b.png")
    left = np.zeros((24, 32), np.uint8)
    left[:, :16] = 255
    black = np.zeros_like(left)
    Image.fromarray(left).save(tmp_path / "left.png")
    Image.fromarray(np.stack([left, black, 255 - left], axis=2)).save(tmp_path / "colours.png")
    Image.fromarray(left).resize((30, 40)).save(tmp_path / "of_a.png")
    Image.fromarray(left.T.copy()).save(tmp_path / "upright.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def paint(*arguments: str, quick: bool = True) -> np.ndarray:
    result = run("stylize", *arguments, "-o", "out.png", "-q", "--force", *(QUICK if quick else ()))
    assert result.exit_code == 0, result.output
    return read_picture("out.png").to_numpy()


@pytest.mark.parametrize(
    "arguments",
    [
        [*TWO, "--content-mask", "left.png"],
        [*TWO, "--content-mask", "colours.png"],
        [*TWO, "--style-mask", "of_a.png"],
        [*TWO, "--style-mask", "none", "--style-mask", "left.png", "--force"],
        [*TWO, "--style-scales", "0.5,2"],
        [*TWO, "--style-parts", "fine, coarse"],
        [*TWO, "--strength", "0.5"],
        [*TWO, "--protect", "left.png"],
    ],
    ids=lambda arguments: " ".join(arguments[3:]),
)
def test_every_option_makes_another_picture(
    arguments: list[str], folder: Path, picture: Callable[..., Picture]
) -> None:
    picture(24, 32, 3).save("b.png", force=True) if "none" in arguments else None
    plain = paint(*TWO)
    assert not np.array_equal(paint(*arguments), plain)
    assert not np.array_equal(paint(*arguments, "--init", "noise"), plain)


def test_what_is_protected_is_saved_as_it_is(folder: Path) -> None:
    photo = read_picture("photo.png").to_numpy()
    for more in ([], ["--init", "noise"], ["--margin", "0.1"], ["--content-mask", "left.png", "a.png"]):
        found = paint("photo.png", "a.png", "--protect", "left.png", *more)
        np.testing.assert_array_equal(found[:, :16], photo[:, :16])
    assert (paint("photo.png", "a.png", "--content-mask", "left.png")[:, 16:] == photo[:, 16:]).all()


def test_python_and_the_command_line_agree_about_masks(folder: Path) -> None:
    found = paint(*TWO, "--content-mask", "colours.png", "--protect", "left.png", "--style-scales", "1,0.5",
                  "--style-mask", "of_a.png", "--style-parts", "all,fine", "--strength", "0.7")  # fmt: skip
    same = impasto.stylize(
        "photo.png", [impasto.Style("a.png", mask="of_a.png"), impasto.Style("b.png", scale=0.5, part="fine")],
        size=32, start_size=16, steps=(2,), device="cpu", strength=0.7,
        content_mask="colours.png", protect="left.png",
    )  # fmt: skip
    np.testing.assert_array_equal(found, same.to_numpy())


def test_a_dry_run_reads_the_masks_and_paints_nothing(folder: Path) -> None:
    result = run("stylize", *TWO, "--content-mask", "left.png", "--dry-run", "-o", "out.png", *QUICK)
    assert result.exit_code == 0, result.output
    assert "memory  about" in result.stdout
    assert not Path("out.png").exists()
    assert isinstance(run("stylize", *TWO, "--protect", "upright.png", "--dry-run", *QUICK).exception, ImpastoError)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--content-mask", "upright.png"], "upright.png: is 24x32, which is not the photo's aspect ratio (32x24)"),
        (["--protect", "upright.png"], "upright.png: is 24x32"),
        (["--style-mask", "left.png"], "left.png: is 32x24, which is not the style's aspect ratio (30x40)"),
        (["--protect", "missing.png"], "missing.png"),
        (["--content-mask", "missing.png"], "missing.png"),
        (["--style-mask", "of_a.png", "--style-mask", "none", "--style-mask", "none"], "3 style masks for 2"),
        (["--style-scales", "1"], "1 style scales for 2 style pictures"),
        (["--style-scales", "1,x"], "is not a list of numbers"),
        (["--style-scales", "1,-1"], "give numbers above 0"),
        (["--style-parts", "fine"], "1 style parts for 2 style pictures"),
        (["--style-parts", "fine,rough"], "style part 'rough'"),
        (["--strength", "1.5"], "strength"),
        (["--recipe", "patches", "--style-parts", "fine,coarse"], "patches: knows no masks or parts"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: list[str], words: str, folder: Path) -> None:
    result = run("stylize", *TWO, "-o", "out.png", *QUICK, *arguments)
    said = str(result.exception) if isinstance(result.exception, ImpastoError) else result.output.splitlines()[-1]
    assert words in said
    assert "\n" not in said
    assert "Traceback" not in result.output
    assert not Path("out.png").exists()


@pytest.mark.parametrize("option", ["--content-mask", "--protect", "--style-mask"])
def test_a_mask_is_never_written_over(option: str, folder: Path) -> None:
    before = Path("left.png").read_bytes()
    result = run("stylize", "photo.png", "photo.png", option, "left.png", "-o", "left.png", "--force", *QUICK)
    assert isinstance(result.exception, ImpastoError)
    assert Path("left.png").read_bytes() == before


def test_stroke_size_is_style_scale(folder: Path) -> None:
    paint(*TWO, "--stroke-size", "0.5")
    assert impasto.remembered("out.png").recipe.style_scale == 0.5


def test_what_is_remembered_is_shown_and_repeated(folder: Path) -> None:
    paint(*TWO, "--content-mask", "left.png", "--protect", "left.png", "--style-mask", "of_a.png",
          "--style-scales", "0.5,2", "--style-parts", "fine,all")  # fmt: skip
    digest = {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("left.png", "of_a.png")}
    lines = run("show", "out.png").output.splitlines()
    assert lines[4:9] == [
        f"# content mask: left.png, sha256 {digest['left.png']}",
        f"# mask of style 1: of_a.png, sha256 {digest['of_a.png']}",
        f"# protected: left.png, sha256 {digest['left.png']}",
        "# style scales: 0.5, 2",
        "# style parts: fine, all",
    ]
    document = json.loads(run("show", "out.png", "--json").output)
    assert document["protect"] == {"name": "left.png", "sha256": digest["left.png"]}
    assert document["style_masks"][1] is None
    like = ["stylize", *TWO, "--like", "out.png", "--device", "cpu", "-o"]
    result = run(*like, "again.png")
    assert [line for line in result.stderr.splitlines() if line.startswith("note:")] == [
        "note: out.png: was painted with masks, which are not repeated "
        "(--content-mask left.png, --protect left.png, --style-mask of_a.png)"
    ]
    memory = impasto.remembered("again.png")
    assert (memory.style_scales, memory.style_parts) == ((0.5, 2.0), ("fine", "all"))
    masks = ["--content-mask", "left.png", "--protect", "left.png", "--style-mask", "of_a.png"]
    result = run(*like, "same.png", *masks)
    assert "note:" not in result.stderr
    np.testing.assert_array_equal(read_picture("same.png").pixels, read_picture("out.png").pixels)
    assert run(*like, "other.png", *masks, "--style-scales", "1,1", "-q").exit_code == 0
    assert impasto.remembered("other.png").style_scales == ()  # all 1


def test_other_styles_have_their_own_scales(folder: Path) -> None:
    paint(*TWO, "--style-scales", "0.5,2")
    result = run("stylize", "photo.png", "a.png", "--like", "out.png", "--device", "cpu", "-o", "b2.png")
    assert result.exit_code == 0, result.output
    assert impasto.remembered("b2.png").style_scales == ()


def test_strength_can_be_swept(folder: Path) -> None:
    result = run("sweep", "photo.png", "a.png", "--vary", "strength=0,0.5,1", "-o", "sheet.png", *QUICK)
    assert result.exit_code == 0, result.output
    assert Path("sheet.png").exists()
