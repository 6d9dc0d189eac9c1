"""`impasto show` and `stylize --like`, with the real network: a picture is painted again from its provenance."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import impasto
from impasto.cli import command
from impasto.errors import OutputError, PictureError, UsageError
from impasto.picture import Picture, read_picture
from impasto.recipe import Recipe

QUICK = ["--size", "32", "--start-size", "16", "--steps", "1", "--device", "cpu", "-q"]


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photo.jpg (24 x 32), in/painting.png and painting2.png."""
    exif = Image.Exif()
    exif[0x8298] = "(c) Ann"
    exif.get_ifd(0x8825)[1] = "N"
    Image.fromarray(picture(24, 32, 1).to_numpy()).save(tmp_path / "photo.jpg", exif=exif.tobytes(), dpi=(300, 300))
    (tmp_path / "in").mkdir()
    picture(40, 30, 2).save(tmp_path / "in" / "painting.png")
    picture(30, 30, 3).save(tmp_path / "painting2.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=stdin)


def paint(*arguments: str) -> Result:
    result = run("stylize", *arguments)
    assert result.exit_code == 0, result.output
    return result


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff", "avif"])
def test_an_output_tells_how_it_was_painted(ending: str, folder: Path) -> None:
    paint("photo.jpg", str(folder / "in" / "painting.png"), "painting2.png", "--style-weights", "3,1",
          "--init", "painting2.png", "--seed", "7", "-o", f"out.{ending}", *QUICK)  # fmt: skip
    shown = run("show", f"out.{ending}")
    assert shown.exit_code == 0
    comments = [line for line in shown.output.splitlines() if line.startswith("#")]
    assert comments == [
        f"# painted by impasto {impasto.__version__}, 32x24",
        f"# content: photo.jpg, sha256 {digest('photo.jpg')}",
        f"# style: painting.png, weight 0.75, sha256 {digest('in/painting.png')}",
        f"# style: painting2.png, weight 0.25, sha256 {digest('painting2.png')}",
        f"# init: painting2.png, sha256 {digest('painting2.png')}",
    ]
    recipe = Recipe.from_toml(shown.output)
    assert (recipe.size, recipe.steps, recipe.seed) == (32, (1,), 7)
    document = json.loads(run("show", f"out.{ending}", "--json").output)
    assert Recipe.from_table(document["recipe"]) == recipe
    assert document["styles"][0] == {"name": "painting.png", "sha256": digest("in/painting.png"), "weight": 0.75}
    assert str(folder).encode() not in Path(f"out.{ending}").read_bytes()
    out = read_picture(f"out.{ending}")
    assert out.credits.copyright == "(c) Ann"
    assert out.dpi == pytest.approx((300, 300), rel=1e-3)
    with Image.open(f"out.{ending}") as image:
        assert not image.getexif().get_ifd(0x8825)


def test_what_is_shown_is_a_recipe_file(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK)
    Path("mine.toml").write_text(run("show", "out.png").output)
    paint("photo.jpg", "in/painting.png", "-o", "again.png", "-r", "mine.toml", "--device", "cpu", "-q")
    assert Path("out.png").read_bytes() == Path("again.png").read_bytes()


def test_show_reads_standard_input(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK)
    assert run("show", "-", stdin=Path("out.png").read_bytes()).output == run("show", "out.png").output


@pytest.mark.parametrize(
    "arguments", [("--no-metadata",), ("--no-metadata", "--save-every", "1", "--preview", "p.png")]
)
def test_nothing_is_told_where_nothing_should_be(arguments: tuple[str, ...], folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK, *arguments)
    for path in [*Path().glob("out*.png"), *Path().glob("p.png")]:
        result = run("show", str(path))
        assert isinstance(result.exception, PictureError)
        assert str(result.exception).startswith(f"{path}: remembers nothing")
        assert b"Ann" not in path.read_bytes()
        assert b"photo.jpg" not in path.read_bytes()


def test_stages_say_that_they_are_not_the_end(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK, "--steps", "2", "--save-every", "1")
    assert not impasto.remembered("out-00001.png").finished
    assert "stopped before the end" in run("show", "out-00001.png").output
    assert impasto.remembered("out.png").finished


def test_another_photo_is_painted_alike(folder: Path, picture: Callable[..., Picture]) -> None:
    picture(32, 32, 9).save("photo2.png")
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK, "--content-weight", "0.3", "--seed", "5")
    result = paint("--like", "out.png", "photo2.png", "in/painting.png", "-o", "alike.png", "--device", "cpu")
    assert "note:" not in result.stderr
    first, second = impasto.remembered("out.png"), impasto.remembered("alike.png")
    assert second.recipe == first.recipe
    assert second.recipe.content_weight == 0.3
    assert second.content is not None
    assert second.content.name == "photo2.png"
    paint("photo.jpg", "in/painting.png", "--like", "out.png", "-o", "again.png", "--device", "cpu", "-q")
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_what_is_given_beside_like_counts(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK, "--content-weight", "0.3")
    paint("photo.jpg", "in/painting.png", "--like", "out.png", "--seed", "3", "-o", "b.png", "--device", "cpu", "-q")
    recipe = impasto.remembered("b.png").recipe
    assert (recipe.seed, recipe.content_weight, recipe.steps) == (3, 0.3, (1,))


def test_another_style_is_one_note(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK)
    result = paint("photo.jpg", "painting2.png", "--like", "out.png", "-o", "b.png", "--device", "cpu")
    notes = [line for line in result.stderr.splitlines() if line.startswith("note:")]
    assert notes == ["note: out.png: was painted with other styles than given here (painting.png)"]


def test_a_blend_keeps_its_weights_and_a_start_is_named(folder: Path) -> None:
    styles = ["in/painting.png", "painting2.png"]
    paint("photo.jpg", *styles, "--style-weights", "3,1", "--init", "painting2.png", "-o", "out.png", *QUICK)
    result = paint("photo.jpg", *styles, "--like", "out.png", "-o", "b.png", "--device", "cpu")
    assert "was started from painting2.png; give it with --init" in result.stderr
    assert [style.weight for style in impasto.remembered("b.png").styles] == [0.75, 0.25]
    paint("photo.jpg", *styles, "--like", "out.png", "--style-weights", "1,1", "-o", "c.png", "--device", "cpu", "-q")
    assert [style.weight for style in impasto.remembered("c.png").styles] == [0.5, 0.5]


def test_like_that_cannot_be(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK)
    arguments = ["stylize", "photo.jpg", "in/painting.png", "-o", "b.png", "--like"]
    both = run(*arguments, "out.png", "-r", "default")
    assert isinstance(both.exception, UsageError)
    assert "leave one out" in str(both.exception)
    nothing = run(*arguments, "photo.jpg")
    assert isinstance(nothing.exception, PictureError)
    assert "remembers nothing" in str(nothing.exception)
    onto = run("stylize", "photo.jpg", "in/painting.png", "--like", "out.png", "-o", "out.png", "--force")
    assert isinstance(onto.exception, OutputError)
    assert not Path("b.png").exists()


def test_textures_and_reconstructions_remember_too(folder: Path) -> None:
    assert run("texture", "painting2.png", "--size", "32x24", "--start-size", "16", "--steps", "1", "-o", "t.png",
               "--device", "cpu", "-q").exit_code == 0  # fmt: skip
    memory = impasto.remembered("t.png")
    assert memory.content is None
    assert [style.name for style in memory.styles] == ["painting2.png"]
    assert memory.size == (32, 24)
    assert run("reconstruct", "photo.jpg", "--layer", "relu1_1", "-o", "r.png", *QUICK).exit_code == 0
    memory = impasto.remembered("r.png")
    assert memory.content is not None
    assert (memory.content.name, memory.styles) == ("photo.jpg", ())


def test_pictures_from_python_remember(folder: Path) -> None:
    quick: dict[str, Any] = {"size": 32, "start_size": 16, "steps": (1,), "device": "cpu"}
    painted = impasto.stylize(np.zeros((24, 32, 3), np.uint8), "painting2.png", **quick)
    painted.save("out.png")
    memory = impasto.remembered("out.png")
    assert memory == painted.remembered
    assert memory.content is not None
    assert (memory.content.name, memory.content.sha256) == ("memory", None)
    assert memory.styles[0].sha256 == digest("painting2.png")
    painted.save("bare.png", metadata=False)
    with pytest.raises(PictureError, match="remembers nothing"):
        impasto.remembered("bare.png")


def test_foreign_text_moves_no_cursor(folder: Path) -> None:
    paint("photo.jpg", "in/painting.png", "-o", "out.png", *QUICK)
    document = json.loads(run("show", "out.png", "--json").output)
    nasty = "\x1b]0;owned\x07\x9b2J\u202e\n"
    document["recipe"]["description"] = document["content"]["name"] = document["version"] = nasty
    picture = read_picture("out.png")
    picture.save("nasty.png", text={"impasto": json.dumps(document)}, metadata=False)
    for arguments in (["show", "nasty.png"], ["show", "nasty.png", "--json"]):
        result = run(*arguments)
        assert result.exit_code == 0
        assert all(line.isprintable() for line in result.output.split("\n"))
