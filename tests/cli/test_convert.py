"""`impasto recipe convert` as a person types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from impasto.cli import command
from impasto.errors import ImpastoError
from impasto.recipe import Recipe
from impasto.recipe.conventions import CONVENTIONS
from impasto.recipe.terms import LayeredLoss


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, ["recipe", "convert", *arguments])


def test_command_prints_all_other_programs_and_what_is_not_exact() -> None:
    result = run("--from", "neural-style", "--content-weight", "5", "--style-weight", "100", "--size", "512")
    assert result.exit_code == 0
    head, _, header, *rows = result.output.splitlines()
    assert "image 512x512, taken for a square" in head
    assert header.split()[0] == "program"
    assert [line.split()[0] for line in rows[:7]] == [name for name in CONVENTIONS if name != "neural-style"]
    assert rows[6].split()[:3] == ["impasto", "5", "0.0328064"]
    assert "- keras-seed: cannot weigh single style layers" in result.output
    assert all(len(line.split("  ")[0]) <= len("gatys-notebook-normalised") for line in rows[:7])


def test_command_with_one_target_and_an_aspect() -> None:
    result = run("--from", "keras-seed", "--to", "impasto", "--size", "910", "--aspect", "910:607", "--tv-weight", "0")
    assert result.exit_code == 0
    assert "square" not in result.output
    assert "\nimpasto  424.346" in result.output
    assert "paper" not in result.output


def test_command_prints_a_recipe_that_recipe_check_accepts(tmp_path: Path) -> None:
    result = run("--from", "neural-style-pt", "--toml", "--style-layers", "relu1_1, relu4_1")
    file = tmp_path / "mine.toml"
    file.write_text(result.output)
    assert CliRunner().invoke(command, ["recipe", "check", str(file)]).exit_code == 0
    recipe = Recipe.from_toml(result.output)
    assert recipe.content_weight == 5
    assert recipe.smoothness == pytest.approx(1e-3 * 256 / 255)
    style = recipe.terms[1].loss
    assert isinstance(style, LayeredLoss)
    assert dict(style.layers) == pytest.approx({"relu1_1": 64 / 65, "relu4_1": 1 / 65})
    assert Recipe.from_toml(run("--from", "paper", "--toml").output).activity == "unit-mean"


def test_command_prints_json() -> None:
    (done,) = json.loads(run("--from", "paper", "--to", "pystiche", "--json", "--size", "512x384").output)
    assert done["size"] == {"height": 384, "width": 512}
    assert done["to"]["content_weight"] == pytest.approx(1e-3 * 512 * 64 * 48 / 2)
    assert done["to"]["style_weight"] == pytest.approx(0.25)
    assert done["exact"]
    assert not done["same_features"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--from", "neural-stile"], "did you mean 'neural-style'?"),
        (["--from", "paper", "--to", "pystice"], "did you mean 'pystiche'?"),
        (["--from", "paper", "--content-layer", "relu4_9"], "did you mean 'relu4_"),
        (["--from", "paper", "--style-layers", "relu1_1,relu1_1"], "none twice"),
        (["--from", "paper", "--content-weight", "-1"], "content_weight is -1.0; expected a number at least 0"),
        (["--from", "paper", "--style-weight", "nan"], "style_weight is nan"),
        (["--from", "paper", "--content-weight", "five"], "'five' is not a valid float"),
        (["--from", "paper", "--feature-scale", "0"], "feature_scale is 0.0"),
        (["--from", "paper", "--tv-weight", "1"], "paper has no total variation"),
        (["--from", "paper", "--size", "8"], "height is 8; expected a whole number at least 16"),
        (["--from", "paper", "--size", "big"], "size is 'big'"),
        (["--from", "impasto"], "give a content and a style weight"),
        (["--from", "paper", "--to", "pystiche", "--toml"], "leave out --json and any other --to"),
    ],
)
def test_command_refuses_in_one_line(arguments: list[str], expected: str) -> None:
    result = run(*arguments)
    message = str(result.exception) if isinstance(result.exception, ImpastoError) else result.output
    assert isinstance(result.exception, ImpastoError) or result.exit_code == 2
    assert expected in message
    if isinstance(result.exception, ImpastoError):
        assert result.exception.exit_code == 2
        assert "\n" not in message


@pytest.mark.parametrize("arguments", [["--help"], ["--from", "neural-style", "--toml"]])
def test_the_command_does_not_import_torch(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ['impasto', 'recipe', 'convert', *{arguments!r}]
from impasto.cli import main
try:
    main()
except SystemExit as stop:
    assert stop.code == 0
assert 'torch' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
