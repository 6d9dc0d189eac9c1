"""`impasto texture`, `reconstruct` and `loss` as a person runs them, with the real network."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.picture import Picture, read_picture

QUICK = ["--start-size", "16", "--steps", "2", "--device", "cpu"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photo.png (24 x 32) and painting.png."""
    picture(24, 32, 1).save(tmp_path / "photo.png")
    picture(40, 30, 2).save(tmp_path / "painting.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def refused(*arguments: str) -> str:
    """Return the message of a wrong request, and check that no file was written."""
    before = set(Path().iterdir())
    result = run(*arguments)
    assert result.exit_code != 0
    assert set(Path().iterdir()) == before
    return str(result.exception) if isinstance(result.exception, ImpastoError) else result.output


def test_texture() -> None:
    result = run("texture", "painting.png", "--size", "40x24", *QUICK)
    assert result.exit_code == 0, result.output
    assert read_picture("painting_texture.png").size == (24, 40)


def test_seamless_texture_of_two_styles_at_chosen_layers() -> None:
    options = ["--size", "32x32", "--seamless", "--layers", "relu1_1,relu3_1", "--style-weights", "1,2"]
    result = run("texture", "painting.png", "photo.png", "-o", "out.png", *options, *QUICK)
    assert result.exit_code == 0, result.output
    assert read_picture("out.png").size == (32, 32)


def test_reconstruct() -> None:
    result = run("reconstruct", "photo.png", "--layer", "relu2_2", "--size", "32", "--steps", "2", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert read_picture("photo_relu2_2.png").size == (24, 32)


def test_loss_in_words_and_as_json() -> None:
    arguments = ["loss", "photo.png", "painting.png", "photo.png", "--size", "32", "--device", "cpu"]
    words, plain = run(*arguments), run(*arguments, "--json")
    assert words.exit_code == plain.exit_code == 0
    found = json.loads(plain.output)
    assert found["loss"] == pytest.approx(sum(found["terms"].values()))
    assert found["terms"]["content relu4_2"] == pytest.approx(0, abs=1e-9)
    assert found["recipe"] == "default"
    assert [line.rsplit(None, 1)[0] for line in words.output.splitlines()] == [*found["terms"], "total"]
    assert float(words.output.splitlines()[-1].split()[-1]) == pytest.approx(found["loss"], rel=1e-5)


def test_any_value_of_a_recipe_can_be_set() -> None:
    recipe = ["--set", "optimizer.history=3", "--set", "optimizer.max_step=0.05", "--set", "seed=7"]
    result = run("stylize", "photo.png", "painting.png", "-o", "out.png", "--size", "32", *QUICK, *recipe, "--json")
    assert result.exit_code == 0, result.output
    digests = {json.loads(result.output.splitlines()[0])["recipe"]}
    from impasto import LBFGS
    from impasto.recipe import presets

    expected = presets.DEFAULT.replace(
        size=32,
        start_size=16,
        steps=(2,),
        seed=7,
        optimizer=LBFGS(history=3, max_step=0.05, first_step=0.02),
    )
    assert digests == {expected.digest}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["texture", "painting.png", "--size", "40"], "'40' is not a size such as 1024x768"),
        (["texture", "painting.png", "--size", "0x5"], "'0x5' is not a size"),
        (["texture", "painting.png", "--layers", "relu1_9"], "there is no layer 'relu1_9'"),
        (["texture", "painting.png", "--recipe", "reconstruction"], "no style term that counts"),
        (["texture", "painting.png", "-o", "painting.png"], "painting.png"),
        (["texture", "gone.png"], "gone.png"),
        (["reconstruct", "photo.png", "--layer", "relu9_1"], "there is no layer 'relu9_1'"),
        (["reconstruct", "photo.png", "--recipe", "default", "--init", "x"], "No such option|no style"),
        (["loss", "photo.png", "painting.png", "painting.png"], "not the photo's aspect ratio"),
        (["loss", "-", "painting.png", "-"], "standard input holds one picture"),
        (["stylize", "photo.png", "painting.png", "--set", "optimizer.speed=3"], "has no field 'speed'"),
        (["stylize", "photo.png", "painting.png", "--set", "optimiser.history=3"], "no table 'optimiser'"),
        (["stylize", "photo.png", "painting.png", "--set", "history"], "no field 'history'"),
        (["stylize", "photo.png", "painting.png", "--network", "vgg19"], "vgg19"),
    ],
)
def test_wrong_requests_get_one_clear_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import re

    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    said = refused(*arguments)
    assert re.search(message, said), said
