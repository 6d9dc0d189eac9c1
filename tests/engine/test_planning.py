"""Plans: their estimates of memory and time, the choice of one, and the message if none fits."""

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from impasto.engine import planning
from impasto.engine.planning import ScaleSize
from impasto.engine.run import Run
from impasto.engine.scene import Scene
from impasto.errors import DeviceError
from impasto.picture import Picture
from impasto.recipe import LBFGS, Adam, Inputs, Recipe, Style, presets, schedule
from impasto.recipe.terms import Content, Histogram, Laplacian, Loss, MeanCovariance, Patches, Photorealism
from impasto.vgg import convolutions

GB = 10**9
optimizers = st.one_of(st.builds(LBFGS, history=st.integers(1, 100)), st.just(Adam()))
recipes = st.builds(
    Recipe.replace,
    st.sampled_from([presets.get(name) for name in presets.NAMES]),
    optimizer=optimizers,
    pooling=st.sampled_from(["max", "average"]),
    padding=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
)
canvases = st.builds(
    ScaleSize,
    height=st.integers(1, 8000),
    width=st.integers(1, 8000),
    style_pixels=st.integers(0, 40_000_000),
    steps=st.integers(1, 500),
    element_size=st.sampled_from([2, 4]),
    is_banded=st.booleans(),
)
# About as much as the plans of `canvases` need.
limits = st.integers(600 * 10**6, 30 * GB)


@given(recipes, canvases)
def test_every_plan_takes_less_memory_than_the_one_before_and_is_slower_or_forgets_more(
    recipe: Recipe, canvas: ScaleSize
) -> None:
    found = list(planning.plans(recipe, canvas))
    assert found[0].tile is None
    for earlier, later in itertools.pairwise(found):
        assert later.memory < earlier.memory
        assert later.history <= earlier.history
        if later.history == earlier.history:
            assert planning.seconds(recipe, canvas, later) >= planning.seconds(recipe, canvas, earlier)
    for plan in found:
        assert plan.memory == planning.memory(recipe, canvas, plan.tile, plan.history, plan.cached_tiles)


@given(recipes, canvases)
def test_the_history_is_the_recipe_s_or_shorter_and_none_without_l_bfgs(recipe: Recipe, canvas: ScaleSize) -> None:
    full = recipe.optimizer.history if isinstance(recipe.optimizer, LBFGS) else 0
    found = [plan.history for plan in planning.plans(recipe, canvas)]
    assert found[0] == min(full, canvas.steps)
    assert set(found) <= {min(full, canvas.steps, most) for most in (full, 4, 2)}


@given(recipes, canvases, limits, limits)
def test_a_limit_is_kept_and_a_larger_one_is_never_worse(
    recipe: Recipe, canvas: ScaleSize, limit: int, larger: int
) -> None:
    limit, larger = sorted((limit, larger))
    found = list(planning.plans(recipe, canvas))
    plan, better = planning.choose(recipe, canvas, limit), planning.choose(recipe, canvas, larger)
    if plan is None:
        assert all(other.memory > limit for other in found)
        return
    assert plan.memory <= limit
    assert better is not None
    assert better.memory <= larger
    assert found.index(better) <= found.index(plan)


@given(recipes, canvases)
def test_without_a_limit_the_fastest_plan_is_chosen(recipe: Recipe, canvas: ScaleSize) -> None:
    plan = planning.choose(recipe, canvas, None)
    assert plan == next(planning.plans(recipe, canvas))
    assert plan is not None
    assert planning.choose(recipe, canvas, plan.memory) == plan


@given(recipes, canvases)
def test_below_goes_down_to_the_least_without_small_steps(recipe: Recipe, canvas: ScaleSize) -> None:
    plan: planning.Plan | None = planning.choose(recipe, canvas, None)
    seen = []
    while plan is not None:
        seen.append(plan)
        plan = planning.next_smaller(recipe, canvas, plan)
    assert all(later.memory < earlier.memory for earlier, later in itertools.pairwise(seen))
    # Among plans with the same tiles, the one that keeps the fewest of them.
    last = {(found.tile, found.history): found for found in planning.plans(recipe, canvas)}
    assert set(seen[1:]) <= set(last.values())
    assert seen[-1].memory == planning.least_memory(recipe, canvas)


@given(recipes, canvases, limits)
def test_what_goes_on_at_its_other_side_is_never_tiled(recipe: Recipe, canvas: ScaleSize, limit: int) -> None:
    circular = recipe.replace(padding="circular")
    assert {plan.tile for plan in planning.plans(circular, canvas)} == {None}


@given(canvases, st.sampled_from([Histogram(), Patches("relu2_1"), Patches(patch=3)]))
def test_what_needs_the_whole_picture_is_never_tiled(canvas: ScaleSize, loss: Loss) -> None:
    recipe = presets.DEFAULT.replace(terms=(*presets.DEFAULT.terms, *(1.0 * loss)))
    assert {plan.tile for plan in planning.plans(recipe, canvas)} == {None}
    # A term of weight 0 does not prevent tiles.
    without = presets.DEFAULT.replace(terms=(*presets.DEFAULT.terms, *(0.0 * loss)))
    assert list(planning.plans(without, canvas)) == list(planning.plans(presets.DEFAULT, canvas))


@given(canvases)
def test_what_judges_the_image_itself_is_tiled(canvas: ScaleSize) -> None:
    recipe = presets.DEFAULT.replace(terms=(*presets.DEFAULT.terms, *(Laplacian() + Photorealism())))
    tiles = {plan.tile for plan in planning.plans(presets.DEFAULT, canvas)}
    assert {plan.tile for plan in planning.plans(recipe, canvas)} == tiles


@pytest.mark.parametrize("loss", [Histogram(), Patches(), Photorealism()])
def test_what_a_term_keeps_is_counted(loss: Loss) -> None:
    small, large = (
        planning.memory(Recipe(terms=terms), canvas(1024, style=1024**2), None, 4)
        for terms in (1.0 * Content(), Content() + loss)
    )
    assert large - small > 100 * 1024**2


def test_patches_take_time_as_the_square_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "flops_per_second", lambda: 1e9)
    plan = planning.Plan(None, 4, 0)
    extra = []
    for side in (512, 1024):
        frame = canvas(side, steps=10, style=side**2)
        pair = [Recipe(terms=terms) for terms in (1.0 * Content("relu3_1"), Content("relu3_1") + Patches("relu3_1"))]
        found = [planning.seconds(recipe, frame, plan) for recipe in pair]
        extra.append(found[1] - found[0])
    # 256 channels; one position in 16 pixels of the picture, with one in 16 pixels of the style.
    assert extra[0] == pytest.approx(10 * 2 * 256 * (512**2 / 16) ** 2 / 1e9)
    assert extra[1] == pytest.approx(16 * extra[0])


@given(canvases)
def test_no_tile_is_as_large_as_the_picture(canvas: ScaleSize) -> None:
    for plan in planning.plans(presets.DEFAULT, canvas):
        assert plan.tile is None or plan.tile < max(canvas.height, canvas.width)


def canvas(side: int = 1024, *, steps: int = 50, style: int = 0, **kwargs: Any) -> ScaleSize:
    return ScaleSize(side, side, style, steps, **kwargs)


@pytest.mark.parametrize("tile", [None, 1024, 256])
def test_memory_grows_with_all_it_depends_on(tile: int | None) -> None:
    default = presets.DEFAULT
    sizes = [planning.memory(default, canvas(side), tile, 4) for side in (256, 512, 1024, 2048, 4096)]
    histories = [planning.memory(default, canvas(), tile, history) for history in (1, 2, 8, 40)]
    styles = [planning.memory(default, canvas(256, style=side**2), tile, 4) for side in (256, 1024, 4096)]
    assert sizes == sorted(set(sizes))
    assert histories == sorted(set(histories))
    assert styles == sorted(styles)
    assert styles[0] < styles[1]


def test_a_pair_of_l_bfgs_is_two_images() -> None:
    found = [planning.memory(presets.DEFAULT, canvas(1000), None, history) for history in (3, 4)]
    assert found[1] - found[0] == 2 * 3 * 4 * 1000 * 1000


def test_smaller_tiles_take_less() -> None:
    found = [planning.memory(presets.DEFAULT, canvas(4096), tile, 4) for tile in (None, 2048, 1024, 512, 256)]
    assert found == sorted(found, reverse=True)


def test_bands_and_half_precision_take_less() -> None:
    plain = planning.memory(presets.DEFAULT, canvas(is_banded=False), None, 4)
    assert planning.memory(presets.DEFAULT, canvas(is_banded=True), None, 4) < plain
    assert planning.memory(presets.DEFAULT, canvas(is_banded=False, element_size=2), None, 4) < plain


@pytest.mark.parametrize("change", [{"padding": "reflect"}, {"padding": "circular"}, {"pooling": "average"}])
def test_where_blocks_are_not_computed_in_bands_no_memory_is_saved(change: dict[str, str]) -> None:
    recipe = presets.DEFAULT.replace(**change)
    found = [planning.memory(recipe, canvas(is_banded=banded), None, 4) for banded in (False, True)]
    assert found[0] == found[1]


def test_operations_of_vgg16_counted_by_hand() -> None:
    # Multiply-adds for a pixel of the picture: 9 x in x out, and after each pooling a quarter of the positions.
    to_relu5_1 = (
        9 * 3 * 64 + 9 * 64 * 64
        + (9 * 64 * 128 + 9 * 128 * 128) / 4
        + (9 * 128 * 256 + 2 * 9 * 256 * 256) / 16
        + (9 * 256 * 512 + 2 * 9 * 512 * 512) / 64
        + 9 * 512 * 512 / 256
    )  # fmt: skip
    # Each is a multiplication and an addition, once in the forward and once in the backward pass.
    assert planning.operations(Recipe(terms=Content("relu4_2") + MeanCovariance("relu5_1"))) == 4 * to_relu5_1
    assert planning.operations(Recipe(terms=1.0 * Content("conv1_2"))) == 4 * (9 * 3 * 64 + 9 * 64 * 64)


def test_layers_that_do_not_count_cost_nothing() -> None:
    terms = Content("relu1_1") + MeanCovariance("relu5_1")
    assert planning.operations(Recipe(terms=terms, style_weight=0)) == 4 * 9 * 3 * 64
    assert planning.operations(Recipe(terms=1.0 * MeanCovariance("rgb"))) == 0


def test_seconds_are_work_over_the_machine_s_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "flops_per_second", lambda: 1e9)
    recipe = Recipe(terms=1.0 * Content("relu1_1"))
    whole, tiled = (planning.Plan(tile, 4, 0) for tile in (None, 256))
    found = planning.seconds(recipe, canvas(1000, steps=10), whole)
    assert found == pytest.approx(10 * 1e6 * (4 * 9 * 3 * 64 / 1e9 + 1e-6))
    # Half as much again, because all but one of the 4 x 4 tiles have two forward passes, and halos of 64 px on both
    # sides of 256.
    expected = (1 + 0.5 * 15 / 16) * (384 / 256) ** 2 * found
    assert planning.seconds(recipe, canvas(1000, steps=10), tiled) == pytest.approx(expected)


def test_memory_that_is_left_holds_tiles() -> None:
    large = canvas(4096, steps=10)
    full = next(planning.plans(presets.DEFAULT, large)).history
    found = [plan for plan in planning.plans(presets.DEFAULT, large) if (plan.tile, plan.history) == (2048, full)]
    assert [plan.cached_tiles for plan in found] == [3, 2, 1]
    costs = [planning.step_cost(4096, 4096, plan) for plan in found]
    assert costs == sorted(set(costs))
    # Each tile after the first takes the memory that is kept for its gradient.
    assert found[0].memory - found[1].memory == pytest.approx(found[1].memory - found[2].memory)
    assert found[1].memory - found[2].memory > 472 * 2048**2


def grey(height: int, width: int) -> Picture:
    return Picture(np.full((3, height, width), 0.5, np.float32))


def planned(recipe: Recipe, frame: tuple[int, int], limit: int) -> tuple[planning.Plan, ...]:
    """The plans of a run, with a photo and a painting of given sizes."""
    scene = Scene(
        Inputs(grey(*frame), (Style(grey(40, 30)),)),
        recipe,
        torch.device("cpu"),
    )
    return Run(scene, max_memory=limit).plans


def check_refusal(recipe: Recipe, frame: tuple[int, int], limit: int) -> None:
    """If there is a message, it names a size that fits, and the next larger size of the search does not fit."""
    try:
        planned(recipe, frame, limit)
    except DeviceError as error:
        message = str(error)
    else:
        assume(False)
    assert "\n" not in message
    assert "--max-memory" in message
    named = re.search(r"choose a --size up to about (\d+)", message)
    assert named, message
    size = int(named[1])
    assert recipe.size != "original"
    assert 16 <= size < recipe.size
    assert all(plan.memory <= limit for plan in planned(recipe.replace(size=size), frame, limit))
    # The named size is not much too small: a quarter more does not fit.
    with pytest.raises(DeviceError):
        planned(recipe.replace(size=size * 5 // 4 + 40), frame, limit)


@settings(max_examples=25)
@given(
    st.sampled_from([presets.get(name) for name in presets.NAMES]),
    st.integers(1200, 5000),
    st.sampled_from([(30, 40), (40, 30), (32, 32), (10, 40)]),
    st.sampled_from(["zeros", "circular"]),
    st.sampled_from([0.0, 0.03125, 0.2]),
    st.integers(800 * 10**6, 2 * GB),  # enough for some size with every preset
)
def test_a_refusal_is_one_line_and_the_size_it_names_fits(
    preset: Recipe, size: int, frame: tuple[int, int], padding: str, margin: float, limit: int
) -> None:
    check_refusal(preset.replace(size=size, side="long", padding=padding, margin=margin), frame, limit)


@pytest.mark.parametrize("side", ["long", "short", "height"])
@pytest.mark.parametrize("frame", [(30, 40), (40, 30), (10, 40)])
def test_the_size_named_is_of_the_side_that_size_measures(side: str, frame: tuple[int, int]) -> None:
    check_refusal(presets.DEFAULT.replace(size=4000, side=side), frame, GB)


@pytest.mark.parametrize("limit", [1, 100 * 10**6, 600 * 10**6])
def test_where_no_size_fits_none_is_named(limit: int) -> None:
    with pytest.raises(DeviceError, match=r"no size fits, or say otherwise with --max-memory") as caught:
        planned(presets.DEFAULT, (30, 40), limit)
    assert "\n" not in str(caught.value)
    assert planning.choose(presets.DEFAULT, canvas(16), limit) is None


def test_a_refusal_says_what_is_needed_and_what_there_is() -> None:
    recipe = presets.DEFAULT.replace(size=8000, margin=0.0)
    last = schedule.scales(8, 8, recipe)[-1]
    style = schedule.style_size(40, 30, last, last, recipe)
    least = planning.least_memory(recipe, canvas(8000, style=math.prod(style), steps=recipe.steps[-1]))
    with pytest.raises(DeviceError, match=rf"8000x8000 needs about {least / 1e9:.1f} GB .* there are 2.0 GB"):
        planned(recipe, (8, 8), 2 * GB)
