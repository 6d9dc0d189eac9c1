"""Sweeps from Python: which cells are painted, in which order, and which are not painted again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import impasto
from impasto.errors import DeviceError, ImpastoError, OutputError, RecipeError, UsageError, WeightsError
from impasto.jobs.job import Job
from impasto.picture import Picture
from impasto.recipe import Recipe, pair_styles, presets
from impasto.recipe.terms import Content, MeanCovariance
from impasto.sweeps import Variation
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = Recipe(size=32, start_size="final", steps=(2,), terms=Content("relu2_1") + MeanCovariance())


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """The recipes of all pictures that were painted, in order."""
    recipes: list[Recipe] = []
    paint = Job.paint

    def remember(job: Job) -> Picture:
        assert isinstance(job.recipe, Recipe)
        recipes.append(job.recipe)
        return paint(job)

    monkeypatch.setattr(Job, "paint", remember)
    return recipes


@pytest.fixture
def sweep(picture: Callable[..., Picture]) -> Callable[..., impasto.Sweep]:
    """A function that makes sweeps of one photo and one painting."""

    def make(vary: dict[str, Any], **settings: Any) -> impasto.Sweep:
        given = {"recipe": QUICK, "device": "cpu", **settings}
        return impasto.sweep(picture(24, 32, 1), picture(40, 30, 2), vary, **given)

    return make


def test_row_by_row_the_first_variation_from_left_to_right(sweep: Callable[..., impasto.Sweep]) -> None:
    found = sweep({"content_weight": [0.1, 1.0], "style_scale": [0.5, 1.0], "seed": [1, 2]})
    chosen = [(c.settings["content_weight"], c.settings["style_scale"], c.settings["seed"]) for c in found.cells]
    assert chosen == [
        (0.1, 0.5, 1), (1.0, 0.5, 1), (0.1, 1.0, 1), (1.0, 1.0, 1),
        (0.1, 0.5, 2), (1.0, 0.5, 2), (0.1, 1.0, 2), (1.0, 1.0, 2),
    ]  # fmt: skip
    assert found.cells[1].title == "content-weight 1, style-scale 0.5, seed 1"
    assert len(found) == len(found.layout().cells) == 8


def test_a_cell_is_what_stylize_paints(sweep: Callable[..., impasto.Sweep], picture: Callable[..., Picture]) -> None:
    for settings, found in sweep({"content_weight": [0.1, 1.0], "optimizer.history": [3]}):
        recipe = QUICK.replace(content_weight=settings["content_weight"], optimizer=impasto.LBFGS(history=3))
        expected = impasto.stylize(picture(24, 32, 1), picture(40, 30, 2), recipe=recipe, device="cpu")
        np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_recipes_terms_and_weights_vary(picture: Callable[..., Picture]) -> None:
    vary: dict[str, list[Any]] = {
        "recipe": ["draft", presets.FINE],
        "style_weights": [(1, 0), (0.25, 0.75)],
        "terms": [Content("relu2_1") + MeanCovariance(), 1.0 * MeanCovariance()],
    }
    found = impasto.sweep(picture(), [picture(seed=1), picture(seed=2)], vary, size=32, device="cpu")
    labels = [[choice.label for choice in cell.choices][:2] for cell in found.cells[:4]]
    assert labels == [["draft", "1:0"], ["fine", "1:0"], ["draft", "0.25:0.75"], ["fine", "0.25:0.75"]]
    assert [cell.job.inputs.weights for cell in found.cells[:4]] == [(1, 0), (1, 0), (0.25, 0.75), (0.25, 0.75)]
    assert all(isinstance(cell.job.recipe, Recipe) and cell.job.recipe.size == 32 for cell in found.cells)
    assert len({presets.resolve(cell.job.recipe).digest for cell in found.cells}) == 4


def test_sizes_are_shown_in_cells_of_one_size(sweep: Callable[..., impasto.Sweep]) -> None:
    found = sweep({"size": [32, 48]})
    assert [picture.size for _, picture in found] == [(24, 32), (36, 48)]
    assert {(box.height, box.width) for box in found.layout().cells} == {(36, 48)}
    assert {(box.height, box.width) for box in found.layout(96).cells} == {(72, 96)}


def test_what_is_kept_is_not_painted_again(
    sweep: Callable[..., impasto.Sweep], painted: list[Recipe], tmp_path: Path
) -> None:
    vary, cells = {"seed": [1, 2, 3]}, tmp_path / "cells"
    first = sweep(vary, cells=cells)
    assert not cells.exists()
    iterator = iter(first)
    next(iterator), next(iterator)
    assert len(painted) == 2
    again = sweep(vary, cells=cells)
    pictures = [picture for _, picture in again]
    assert [recipe.seed for recipe in painted] == [1, 2, 3]
    sheet = again.sheet()
    assert len(painted) == 3
    # A larger sweep uses the finished cells of a smaller one.
    for (_, picture), before in zip(sweep({"seed": [1, 2, 3, 4]}, cells=cells), pictures, strict=False):
        np.testing.assert_array_equal(picture.pixels, before.pixels)
    assert len(painted) == 4
    box = again.layout().cells[2]
    shown = sheet.to_numpy()[box.top : box.bottom, box.left : box.right]
    np.testing.assert_array_equal(shown, pictures[2].to_numpy())
    assert len(list(cells.iterdir())) == 4


@pytest.mark.parametrize("damage", [b"", b"no picture", "half", "other size"])
def test_a_damaged_cell_is_painted_anew(
    damage: bytes | str, sweep: Callable[..., impasto.Sweep], painted: list[Recipe], tmp_path: Path
) -> None:
    found = sweep({"seed": [1, 2]}, cells=tmp_path)
    before = [picture.pixels for _, picture in found]
    file = found.cells[1].file
    assert file is not None
    if damage == "other size":
        Picture(np.zeros((3, 5, 5), np.float32)).save(file)
    else:
        file.write_bytes(damage if isinstance(damage, bytes) else file.read_bytes()[: file.stat().st_size // 2])
    after = [picture.pixels for _, picture in sweep({"seed": [1, 2]}, cells=tmp_path)]
    assert [recipe.seed for recipe in painted] == [1, 2, 2]
    np.testing.assert_array_equal(before, after)


def test_whatever_changes_a_picture_changes_its_file(picture: Callable[..., Picture], tmp_path: Path) -> None:
    def file(**settings: Any) -> Path | None:
        given = {"content": picture(24, 32), "style": styles, "recipe": QUICK, **settings}
        given = {"vary": {"seed": [1]}, "cells": tmp_path, "device": "cpu", **given}
        return impasto.sweep(**given).cells[0].file

    photo, styles = picture(24, 32), [picture(seed=2), picture(seed=3)]
    clear = Picture(photo.pixels, np.full((24, 32), 0.5, np.float32))
    mask, strokes = (
        Picture(np.tile((np.arange(w) < 16).astype(np.float32), (3, h, 1))) for w, h in ((32, 24), (40, 32))
    )
    others = [
        file(),
        file(content=clear),
        file(content=picture(24, 32, 9)),
        file(content=Picture(photo.pixels.reshape(3, 32, 24))),
        file(style=[picture(seed=3), picture(seed=2)]),
        file(style=[picture(seed=2)]),
        file(style=[impasto.Style(style, weight) for style, weight in zip(styles, (1, 2), strict=True)]),
        file(init=picture(24, 32, 5)),
        file(init=picture(24, 32, 6)),
        file(recipe=QUICK.replace(steps=(3,))),
        file(precision="bfloat16"),
        file(content_mask=mask),
        file(protect=mask),
        file(style=pair_styles(styles, masks=[strokes, None])),
        file(style=pair_styles(styles, masks=[None, strokes])),
        file(style=pair_styles(styles, scales=[1, 2])),
        file(style=pair_styles(styles, parts=["fine", "coarse"])),
    ]
    assert len(set(others)) == len(others)
    assert file(style=pair_styles(styles, [2, 2]), recipe=QUICK.replace(name="other")) == file()


def test_another_version_paints_anew(
    sweep: Callable[..., impasto.Sweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sweep({"seed": [1]}, cells=tmp_path).cells[0].file
    monkeypatch.setattr("impasto.sweeps.cells.__version__", "9.9")
    assert sweep({"seed": [1]}, cells=tmp_path).cells[0].file != before


def test_pictures_are_read_once(picture: Callable[..., Picture], tmp_path: Path) -> None:
    picture(24, 32).save(tmp_path / "a.png")
    found = impasto.sweep(tmp_path / "a.png", picture(), {"seed": [1, 2]}, recipe=QUICK, device="cpu")
    (tmp_path / "a.png").unlink()
    assert len([picture for _, picture in found]) == 2


def test_weights_are_given_or_varied(picture: Callable[..., Picture]) -> None:
    with pytest.raises(UsageError, match="style-weights is given and varied"):
        impasto.sweep(picture(), impasto.Style(picture(), 2), {"style_weights": [(1,)]})


@pytest.mark.parametrize(
    ("vary", "settings", "kind", "message"),
    [
        ({}, {}, UsageError, "nothing is varied"),
        ({"seed": []}, {}, UsageError, "seed is varied by nothing"),
        ({"seed": 3}, {}, UsageError, "seed is varied by 3; give a list"),
        ({"recipe": "default"}, {}, UsageError, "recipe is varied by 'default'; give a list"),
        ({"style_scale": [1.0, 2.0, 1.0]}, {}, UsageError, "style-scale is varied by 1 twice"),
        ({"weights": [(1,)]}, {}, UsageError, "no setting 'weights' to vary; did you mean 'style-weights'"),
        ({"name": ["a"]}, {}, UsageError, "no setting 'name'"),
        ({"seed": [1]}, {"seed": 2}, UsageError, "seed is given and varied"),
        ({"recipe": ["default", "draft"]}, {"steps": (1,)}, UsageError, "default and draft, which are equal here"),
        ({"seed": range(2501)}, {}, UsageError, "a sweep of 2,501 cells"),
        ({"style_weights": [(1, 1)]}, {}, UsageError, "2 style weights for 1"),
        ({"size": [32, 5]}, {}, RecipeError, "size is 5; expected"),
        ({"pooling": ["max", "maximum"]}, {}, RecipeError, "did you mean 'max'"),
        ({"optimizer.speed": [3]}, {}, RecipeError, "has no field 'speed'"),
        ({"optimiser.history": [3]}, {}, RecipeError, "no table 'optimiser'"),
        ({"network": ["vgg16", "vgg19"]}, {}, WeightsError, "vgg19"),
        ({"size": [32, 2048]}, {"max_memory": "700MB"}, DeviceError, "not enough memory"),
        ({"recipe": ["drafft"]}, {}, RecipeError, "did you mean 'draft'"),
    ],
)
def test_every_cell_is_checked_before_the_first_is_painted(
    vary: dict[str, Any], settings: dict[str, Any], kind: type[ImpastoError], message: str,
    sweep: Callable[..., impasto.Sweep], painted: list[Recipe], cache: Path,
) -> None:  # fmt: skip
    with pytest.raises(kind, match=message):
        sweep(vary, **settings)
    assert painted == []


def test_a_folder_that_cannot_be_made(sweep: Callable[..., impasto.Sweep], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be the folder of the cells"):
        next(iter(sweep({"seed": [1]}, cells=tmp_path / "no" / "where")))


def test_labels_are_short() -> None:
    variation = Variation("content_weight", [0.1 + 0.2, 1e-7, 12])
    assert variation.labels == ("0.3", "1e-07", "12")
    assert Variation("steps", [(35, 20), (5,)]).labels == ("35:20", "5")
    assert Variation("optimizer.max_step", [0.1]).title == "optimizer.max_step"
