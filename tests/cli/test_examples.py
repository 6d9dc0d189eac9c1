"""The programs under examples/ do what they say."""

import runpy
from pathlib import Path

import pytest

from impasto.picture import read_picture
from tests.conftest import PROJECT


@pytest.mark.parametrize("name", ["stylize", "own_objective"])
def test_an_example_paints_a_picture(name: str, tmp_path: Path) -> None:
    program = runpy.run_path(str(PROJECT / "examples" / f"{name}.py"))
    out = tmp_path / "out.png"
    program["main"](str(out), size=48)
    assert max(read_picture(out).size) == 48
