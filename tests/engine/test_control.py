"""Masks, strength and stroke sizes of a run, with a small seeded network."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import impasto
from impasto.engine import initial
from impasto.engine.masks import Masks
from impasto.engine.scene import Scene
from impasto.errors import UsageError
from impasto.ops import resample
from impasto.picture import Picture
from impasto.recipe import LBFGS, Adam, Recipe, pair_styles
from impasto.recipe.terms import Content, Gram, MeanCovariance, Patches, TotalVariation
from impasto.reports.events import Stepped
from impasto.vgg import layers, network
from impasto.vgg.network import VGG

TERMS = 0.1 * Content("relu3_1") + MeanCovariance(["rgb", "relu2_1", "relu3_1"]) + 0.1 * TotalVariation()
RECIPE = Recipe(size=32, start_size=16, steps=(4, 3), terms=TERMS)
CPU = torch.device("cpu")
HEIGHT, WIDTH = 24, 32


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


@pytest.fixture
def job(picture: Callable[..., Picture]) -> Callable[..., impasto.Job]:
    def make(
        recipe: Recipe = RECIPE,
        styles: int | list[Picture] = 1,
        style_masks: Sequence[Picture | None] = (),
        style_scales: Sequence[float] = (),
        style_parts: Sequence[str] = (),
        photo: Picture | None = None,
        **masks: Picture,
    ) -> impasto.Job:
        pictures = [picture(40, 30, seed + 2) for seed in range(styles)] if isinstance(styles, int) else styles
        paired = pair_styles(pictures, masks=style_masks, scales=style_scales, parts=style_parts)
        inputs = impasto.Inputs(photo or picture(HEIGHT, WIDTH, 1), paired, **masks)
        return impasto.Job(inputs, recipe, compute=impasto.Compute("cpu"))

    return make


def mask(height: int = HEIGHT, width: int = WIDTH, color: tuple[float, float, float] = (1, 1, 1)) -> Picture:
    """A mask that is white, or of another colour, on the left."""
    pixels = np.zeros((3, height, width), np.float32)
    pixels[:, :, : width // 2] = np.array(color, np.float32)[:, None, None]
    return Picture(pixels, source="mask.png")


LEFT, RIGHT = slice(None, WIDTH // 2), slice(WIDTH // 2, None)


@pytest.mark.parametrize("optimizer", [LBFGS(), Adam()], ids=["lbfgs", "adam"])
@pytest.mark.parametrize("init", ["content", "matched", "noise", "style", "grey"])
@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_what_is_protected_is_the_photo_to_the_bit(
    margin: float, init: str, optimizer: LBFGS | Adam, job: Callable[..., impasto.Job], picture: Callable[..., Picture]
) -> None:
    photo = dataclasses.replace(picture(HEIGHT, WIDTH, 1), alpha=np.full((HEIGHT, WIDTH), 0.5, np.float32))
    recipe = RECIPE.replace(init=init, optimizer=optimizer, margin=margin)
    run = job(recipe, photo=photo, protect=mask()).start()
    seen = set()
    for event in run:
        if isinstance(event, Stepped):
            found = run.picture()
            seen.add(found.size)
            wanted = resample.resize(torch.from_numpy(photo.pixels)[None], *found.size)[0].numpy()
            # At the smaller scale the edge is soft over a few pixels.
            left = slice(None, found.width // 2 - (0 if found.size == (HEIGHT, WIDTH) else 4))
            np.testing.assert_allclose(found.pixels[..., left], wanted[..., left], rtol=0, atol=0)
    assert seen == {(12, 16), (24, 32)}
    found = run.picture()
    np.testing.assert_array_equal(found.to_numpy()[:, LEFT, :3], photo.to_numpy()[:, LEFT, :3])
    np.testing.assert_array_equal(found.alpha, photo.alpha)
    assert np.abs(found.pixels - photo.pixels)[..., RIGHT].mean() > 0.01


def test_black_is_left_to_the_photo_where_there_is_one_style(
    job: Callable[..., impasto.Job], picture: Callable[..., Picture]
) -> None:
    found = job(RECIPE.replace(init="noise"), content_mask=mask()).paint()
    np.testing.assert_array_equal(found.pixels[..., RIGHT], picture(HEIGHT, WIDTH, 1).pixels[..., RIGHT])
    assert np.abs(found.pixels - picture(HEIGHT, WIDTH, 1).pixels)[..., LEFT].mean() > 0.01


def test_halves_take_the_colours_of_their_styles(job: Callable[..., impasto.Job]) -> None:
    dark, light = (Picture(np.full((3, 30, 30), level, np.float32)) for level in (0.3, 0.7))
    terms = 0.001 * Content("relu3_1") + MeanCovariance("rgb")
    recipe = RECIPE.replace(steps=(30,), terms=terms)
    for init in ("content", "matched", "noise"):
        found = job(recipe.replace(init=init), [dark, light], content_mask=mask()).paint()
        assert found.pixels[..., : WIDTH // 2 - 3].mean() == pytest.approx(0.3, abs=0.05)
        assert found.pixels[..., WIDTH // 2 + 3 :].mean() == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("size", [(12, 16), (48, 64), (241, 320)])
def test_masks_of_another_size_say_the_same(size: tuple[int, int], job: Callable[..., impasto.Job]) -> None:
    exact = job(protect=mask()).paint().pixels
    found = job(protect=mask(*size)).paint().pixels
    edge = WIDTH // 2
    np.testing.assert_allclose(found[..., : edge - 4], exact[..., : edge - 4], atol=1e-6)
    assert np.abs(found - exact).mean() < 0.05


def test_masks_change_the_run_and_no_masks_do_not(job: Callable[..., impasto.Job]) -> None:
    plain = job(styles=2).paint().pixels
    np.testing.assert_array_equal(job(styles=2, style_masks=[None, None], style_scales=[1, 1]).paint().pixels, plain)
    np.testing.assert_array_equal(job(styles=2, protect=Picture(mask().pixels * 0)).paint().pixels, plain)
    assert not np.array_equal(job(styles=2, style_masks=[None, mask(40, 30)]).paint().pixels, plain)
    assert not np.array_equal(job(styles=2, content_mask=mask()).paint().pixels, plain)


def test_scales_of_single_styles_change_their_sizes(picture: Callable[..., Picture]) -> None:
    pictures = [picture(40, 30, 2), picture(40, 30, 3)]
    scene, plain = (
        Scene(impasto.Inputs(picture(HEIGHT, WIDTH, 1), pair_styles(pictures, scales=scales)), RECIPE, CPU)
        for scales in ((0.5, 2), ())
    )
    small, large = (image.shape[2:] for image, _ in scene.style_images(scene.scales[-1]))
    (usual, _), _ = plain.style_images(scene.scales[-1])
    assert [round(side / usual.shape[2] * 4) for side in (small[0], large[0])] == [2, 8]
    assert scene.style_pixels(scene.scales[-1]) == large[0] * large[1]
    # The recipe's scale multiplies all of them.
    doubled = dataclasses.replace(scene, recipe=RECIPE.replace(style_scale=2.0))
    assert doubled.style_images(scene.scales[-1])[0][0].shape == usual.shape


def test_style_masks_have_the_sizes_of_their_styles(picture: Callable[..., Picture]) -> None:
    style = picture(40, 30, 2)
    job = impasto.Job(
        impasto.Inputs(picture(HEIGHT, WIDTH, 1), pair_styles([style], masks=[mask(80, 60)], scales=[0.7])), RECIPE
    )
    scene = job.scene()
    for scale in scene.scales:
        ((image, _),) = scene.style_images(scale)
        (region,) = scene.regions(scale)
        assert region.mask is None
        assert region.sources[0].mask is not None
        assert region.sources[0].mask.shape[2:] == image.shape[2:]


def test_parts_choose_the_layers(job: Callable[..., impasto.Job], picture: Callable[..., Picture]) -> None:
    strokes = RECIPE.replace(terms=0.1 * Content("relu3_1") + MeanCovariance(["rgb", "relu2_1"]))
    forms = RECIPE.replace(terms=0.1 * Content("relu2_1") + MeanCovariance(["relu3_1", "relu4_1"]))
    for recipe, index in ((strokes, 0), (forms, 1)):
        found = job(recipe, styles=2, style_parts=["fine", "coarse"]).paint().pixels
        alone = impasto.Job(
            impasto.Inputs.of(picture(HEIGHT, WIDTH, 1), [picture(40, 30, 2 + index)]),
            recipe,
            compute=impasto.Compute("cpu"),
        ).paint()
        np.testing.assert_allclose(found, alone.pixels, atol=1e-3)


def test_strength_0_is_the_photo(job: Callable[..., impasto.Job], picture: Callable[..., Picture]) -> None:
    photo = picture(HEIGHT, WIDTH, 1)
    for given in ({}, {"styles": 2, "content_mask": mask()}):
        for start in ("final", 16):
            found = job(RECIPE.replace(strength=0.0, start_size=start), **given).paint()
            np.testing.assert_array_equal(found.to_numpy(), photo.to_numpy())
        changes = [
            float(
                np.abs(
                    job(RECIPE.replace(strength=each, start_size="final"), **given).paint().pixels - photo.pixels
                ).mean()
            )
            for each in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        assert changes == sorted(changes)
        assert changes[-1] > 0.01


def test_a_plan_with_masks_has_no_bands(job: Callable[..., impasto.Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "prefers_nchw", lambda: True)
    big = RECIPE.replace(size=2048, padding="zeros", steps=(1,))
    plain, divided, kept = (
        job(big, **given).start().expected_memory for given in ({}, {"content_mask": mask()}, {"protect": mask()})
    )
    assert plain is not None
    assert divided is not None
    assert divided > 1.2 * plain
    assert kept == divided


def test_what_is_kept_does_not_count(job: Callable[..., impasto.Job]) -> None:
    # Half of a grey photo is protected. The other half must get the style's colour, and not twice as much of it.
    photo = Picture(np.full((3, HEIGHT, WIDTH), 0.5, np.float32))
    terms = 0.001 * Content("relu3_1") + MeanCovariance("rgb")
    style = Picture(np.full((3, 30, 30), 0.6, np.float32))
    for init in ("content", "noise", "matched"):
        recipe = RECIPE.replace(steps=(30,), terms=terms, init=init)
        found = job(recipe, [style], photo=photo, protect=mask()).paint().pixels
        assert found[..., WIDTH // 2 + 3 :].mean() == pytest.approx(0.6, abs=0.03)
    # Both at once: pixels that are white in the mask and not protected are painted.
    scene = job(RECIPE, styles=2, content_mask=mask(), protect=Picture(mask().pixels[..., ::-1].copy())).scene()
    first, second = scene.regions(scene.scales[-1])
    assert first.mask is not None
    assert second.mask is not None
    assert float(first.mask[..., LEFT].min()) == 1
    assert not second.mask.any()


def test_masks_in_tiles(job: Callable[..., impasto.Job], monkeypatch: pytest.MonkeyPatch) -> None:
    from impasto.engine import planning

    whole = job(styles=2, content_mask=mask(), protect=mask()).start()
    events = [event for event in whole if isinstance(event, Stepped)]
    plan = planning.Plan(16, 8, 1)
    monkeypatch.setattr(planning, "choose", lambda *_: plan)
    tiled = job(styles=2, content_mask=mask(), protect=mask()).start()
    for event, found in zip(events, (event for event in tiled if isinstance(event, Stepped)), strict=True):
        assert found.loss == pytest.approx(event.loss, rel=1e-3)


def test_colours_of_regions_at_the_start(picture: Callable[..., Picture]) -> None:
    dark, light = (Picture(np.full((3, 30, 30), level, np.float32)) for level in (0.2, 0.8))
    job = impasto.Job(
        impasto.Inputs.of(picture(HEIGHT, WIDTH, 1), [dark, light], content_mask=mask()), RECIPE.replace(init="matched")
    )
    scene = job.scene()
    scale = scene.scales[-1]
    image = initial.first_image(scene, scale, scene.photo(scale), scene.style_images(scale), scene.regions(scale))
    assert float(image[..., : WIDTH // 2 - 1].mean()) == pytest.approx(0.2, abs=0.02)
    assert float(image[..., WIDTH // 2 + 1 :].mean()) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"style_scales": [1, 2]}, "2 style scales for 1 style pictures"),
        ({"style_scales": [0]}, "style scales are 0; give numbers above 0"),
        ({"style_scales": [float("nan")]}, "style scales are nan"),
        ({"style_scales": [17]}, "are up to 16"),
        ({"recipe": RECIPE.replace(style_scale=4.0), "style_scales": [5]}, "style scale of 4, are up to 16"),
        ({"style_parts": ["fine", "fine"]}, "2 style parts for 1 style pictures"),
        ({"style_parts": ["corse"]}, "style part 'corse'; did you mean 'coarse'"),
        ({"style_masks": [None, None]}, "2 style masks for 1 style pictures"),
        ({"protect": mask(10, 32)}, "mask.png: is 32x10, which is not the photo's aspect ratio (32x24)"),
        ({"content_mask": mask(10, 32)}, "mask.png: is 32x10"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_run(
    given: dict[str, Any], words: str, job: Callable[..., impasto.Job]
) -> None:
    with pytest.raises(UsageError) as error:
        job(**given).start()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_patches_and_masks_are_refused_before_the_run(job: Callable[..., impasto.Job]) -> None:
    recipe = RECIPE.replace(terms=TERMS + Patches("relu2_1"))
    for given in ({"content_mask": mask()}, {"style_parts": ["fine"]}, {"style_masks": [mask(40, 30)]}):
        with pytest.raises(UsageError, match=r"patches.*knows no masks or parts"):
            job(recipe, **given).start()
    job(recipe.replace(size=16, steps=(1,)), protect=mask(), style_scales=[0.5]).paint()


def test_a_result_remembers_its_masks(job: Callable[..., impasto.Job]) -> None:
    named = dataclasses.replace(mask(), source="/secret/mask.png", sha256="ab" * 32)
    found = job(
        RECIPE.replace(steps=(1,)), styles=2, content_mask=named, protect=mask(), style_scales=[1, 2],
        style_masks=[None, mask(40, 30)], style_parts=["fine", "all"],
    ).paint()  # fmt: skip
    memory = found.remembered
    assert memory is not None
    assert memory.drawn.content == impasto.recipe.provenance.Input("mask.png", "ab" * 32)
    assert memory.drawn.styles == (None, impasto.recipe.provenance.Input("mask.png"))
    assert memory.drawn.protect == impasto.recipe.provenance.Input("mask.png")
    assert (memory.style_scales, memory.style_parts) == ((1.0, 2.0), ("fine", "all"))
    assert impasto.recipe.provenance.Remembered.from_json(memory.to_json(), "a") == memory


def test_no_masks_are_none() -> None:
    assert Masks().areas == ()
    assert Masks().protected is None
    assert RECIPE.replace(terms=1.0 * Gram()).strength == 1
