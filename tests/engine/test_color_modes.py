"""The colour modes, from the scene to the finished picture."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import impasto
from impasto.engine import color_modes, initial
from impasto.engine.scene import Scene
from impasto.errors import RecipeError, UsageError
from impasto.ops import oklab, resample
from impasto.picture import Picture
from impasto.recipe import Inputs, Recipe, Style
from impasto.recipe.terms import Content, MeanCovariance, TotalVariation
from impasto.vgg import network
from impasto.vgg.network import VGG

QUICK = Recipe(
    size=32,
    start_size=16,
    steps=(12, 8),
    detail=1.0,
    margin=0.05,
    init="matched",
    terms=0.1 * Content("relu2_1") + MeanCovariance() + 0.1 * TotalVariation(),
)
MODES = ("style", "content", "luminance", "match")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def use_small_network(monkeypatch: pytest.MonkeyPatch, small_network: Callable[..., VGG]) -> None:
    """Runs use the small network, with the recipe's pooling and padding."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))


def tensor(picture: Picture) -> torch.Tensor:
    return torch.from_numpy(picture.pixels)[None]


def tinted(picture: Picture, factors: tuple[float, float, float]) -> Picture:
    return Picture(picture.pixels * np.array(factors, np.float32)[:, None, None])


@pytest.fixture
def photo(picture: Callable[..., Picture]) -> Picture:
    return tinted(picture(24, 32, 1), (0.9, 0.5, 0.4))


@pytest.fixture
def painting(picture: Callable[..., Picture]) -> Picture:
    return tinted(picture(40, 30, 2), (0.2, 0.5, 0.8))


def mean_distance(one: Picture, other: Picture) -> float:
    return float(np.abs(one.pixels.mean((1, 2)) - other.pixels.mean((1, 2))).max())


@pytest.mark.parametrize("mode", MODES)
def test_the_result_has_the_colours_asked_for(mode: str, photo: Picture, painting: Picture) -> None:
    found = impasto.stylize(photo, painting, recipe=QUICK, colors=mode, device="cpu")
    assert found.pixels.dtype == np.float32
    assert found.size == (24, 32)
    assert np.isfinite(found.pixels).all()
    assert 0 <= found.pixels.min() < found.pixels.max() <= 1
    near, far = (painting, photo) if mode == "style" else (photo, painting)
    assert mean_distance(found, near) < 0.05
    assert mean_distance(found, far) > 0.1


@pytest.mark.parametrize("mode", MODES)
def test_no_two_modes_are_the_same(mode: str, photo: Picture, painting: Picture) -> None:
    found = impasto.stylize(photo, painting, recipe=QUICK, colors=mode, device="cpu").pixels
    for other in set(MODES) - {mode}:
        compared = impasto.stylize(photo, painting, recipe=QUICK, colors=other, device="cpu").pixels
        assert np.abs(found - compared).mean() > 0.01


def test_luminance_keeps_the_photo_s_hue_and_what_chroma_there_is_room_for(photo: Picture, painting: Picture) -> None:
    found = impasto.stylize(photo, painting, recipe=QUICK, colors="luminance", device="cpu")
    own, wanted = oklab.from_srgb(tensor(found)), oklab.from_srgb(tensor(photo))
    across = own[:, 1] * wanted[:, 2] - own[:, 2] * wanted[:, 1]
    chroma, most = own[:, 1:].norm(dim=1), wanted[:, 1:].norm(dim=1)
    assert float((across / most.clamp(min=1e-3)).abs().max()) < 1e-3
    assert bool((chroma <= most + 1e-3).all())
    kept = chroma > most - 1e-3
    assert float(kept.float().mean()) > 0.3
    # Where the chroma is lower, a fifth more of it would be outside sRGB.
    more = torch.cat([own[:, :1], own[:, 1:] * 1.2], 1)
    assert not bool(oklab.is_in_gamut(oklab.to_linear(more), 1 / 255)[~kept].any())
    # The lightness is that of a painting.
    assert float((own[:, 0] - wanted[:, 0]).abs().mean()) > 0.02


@pytest.mark.parametrize("mode", ["luminance", "match", "content"])
def test_no_channel_is_clipped(mode: str, photo: Picture) -> None:
    # A tenth of the painted picture is black and a tenth white.
    painted = torch.linspace(-0.1, 1.1, 24 * 32).clamp(0, 1).view(1, 1, 24, 32).expand(1, 3, -1, -1)
    found = color_modes.final_colors(tensor(photo), QUICK.replace(colors=mode))(painted)
    assert float(found.min()) > 0.5 / 255
    assert float(found.max()) < 254.5 / 255


def test_what_match_paints_has_the_photo_s_mean(photo: Picture, painting: Picture) -> None:
    found = color_modes.final_colors(tensor(photo), QUICK.replace(colors="match"))(tensor(painting))
    mean = tensor(photo).mean((2, 3))
    torch.testing.assert_close(found.mean((2, 3)), mean, atol=0.015, rtol=0)
    assert float((tensor(painting).mean((2, 3)) - mean).abs().max()) > 0.05


@pytest.mark.parametrize("init", ["content", "matched", "noise", "style", "grey"])
def test_where_only_lightness_is_painted_the_image_is_grey_from_start_to_end(
    init: str, photo: Picture, painting: Picture
) -> None:
    run = impasto.Job(
        impasto.Inputs.of(photo, [painting]),
        QUICK.replace(colors="luminance", init=init),
        compute=impasto.Compute("cpu"),
    ).start()
    for event in run:
        if isinstance(event, impasto.Stepped):
            assert run.image is not None
            assert float((run.image.amax(1) - run.image.amin(1)).max()) < 1e-5


def test_the_loss_of_a_saved_luminance_picture_is_that_of_the_run(photo: Picture, painting: Picture) -> None:
    recipe = QUICK.replace(colors="luminance", margin=0.0)
    run = impasto.Job(impasto.Inputs.of(photo, [painting]), recipe, compute=impasto.Compute("cpu")).start()
    *_, last = run
    assert isinstance(last, impasto.Finished)
    found = impasto.loss(photo, painting, run.picture(), recipe=recipe, device="cpu")
    assert found.loss == pytest.approx(last.loss, rel=1e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tile", [None, 16])
def test_pictures_on_the_way_have_their_final_colours_and_cost_one_preparation_a_scale(
    mode: str, tile: int | None, photo: Picture, painting: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []
    finish = color_modes.final_colors
    monkeypatch.setattr(color_modes, "final_colors", lambda *args: (prepared.append(args[0].shape), finish(*args))[1])
    run = impasto.Job(
        impasto.Inputs.of(photo, [painting]), QUICK.replace(colors=mode), compute=impasto.Compute("cpu")
    ).start()
    plans = tuple(dataclasses.replace(plan, tile=tile) for plan in run.plans)
    run.plans = plans
    for event in run:
        if isinstance(event, impasto.Stepped):
            shown, again = run.picture(), run.picture()
            np.testing.assert_array_equal(shown.pixels, again.pixels)
            assert mean_distance(shown, painting if mode == "style" else photo) < 0.1
    assert prepared == [(1, 3, 12, 16), (1, 3, 24, 32)]


@pytest.mark.parametrize("mode", MODES)
def test_transparency_and_depth_are_the_photo_s(mode: str, photo: Picture, painting: Picture) -> None:
    alpha = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    deep = dataclasses.replace(photo, alpha=alpha, bits=16)
    found = impasto.stylize(deep, painting, recipe=QUICK, colors=mode, device="cpu")
    assert found.bits == 16
    np.testing.assert_array_equal(found.alpha, alpha)


GREY = np.full((3, 20, 26), 0.4, np.float32)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["monge-kantorovich", "cholesky", "pca", "symmetric", "histogram"])
def test_flat_and_grey_pictures_are_finite(
    mode: str, method: str, photo: Picture, painting: Picture, picture: Callable[..., Picture]
) -> None:
    flat = Picture(GREY)
    lines = Picture(np.repeat(picture(24, 32, 3).pixels[:1], 3, 0))
    dot = Picture(np.full((3, 1, 1), 0.7, np.float32))
    pairs = [(flat, painting), (photo, flat), (lines, painting), (photo, lines), (dot, painting), (photo, dot)]
    recipe = QUICK.replace(size=16, steps=(2,), colors=mode, color_match=method)
    for content, style in pairs:
        assert np.isfinite(impasto.stylize(content, style, recipe=recipe, device="cpu").pixels).all()


def test_a_grey_photo_stays_grey_by_its_own_chroma(painting: Picture, picture: Callable[..., Picture]) -> None:
    lines = Picture(np.repeat(picture(24, 32, 3).pixels[:1], 3, 0))
    found = impasto.stylize(lines, painting, recipe=QUICK, colors="luminance", device="cpu").pixels
    assert float(np.ptp(found, axis=0).max()) < 1e-3


def scene(photo: Picture, painting: Picture, **changes: Any) -> Scene:
    return Scene(
        Inputs(photo, (Style(painting),)),
        QUICK.replace(**changes),
        CPU,
    )


def test_styles_are_shown_in_the_photo_s_colours_or_lightness(photo: Picture, painting: Picture) -> None:
    last = scene(photo, painting).scales[-1]
    wanted = tensor(photo).double().flatten(2)[0]
    ((matched, _),) = scene(photo, painting, colors="match").style_images(last)
    pixels = matched.double().flatten(2)[0]
    np.testing.assert_allclose(pixels.mean(1), wanted.mean(1), atol=0.01)
    np.testing.assert_allclose(torch.cov(pixels), torch.cov(wanted), atol=0.005)

    ((light, _),) = scene(photo, painting, colors="luminance").style_images(last)
    assert torch.equal(light[:, 0], light[:, 1])
    found, own = (oklab.lightness(image).double() for image in (light, tensor(photo)))
    assert float(found.mean()) == pytest.approx(float(own.mean()), abs=0.01)
    assert float(found.std()) == pytest.approx(float(own.std()), rel=0.05)

    plain = scene(photo, painting).style_images(last)[0][0]
    torch.testing.assert_close(scene(photo, painting, colors="content").style_images(last)[0][0], plain)


@pytest.mark.parametrize("mode", MODES)
def test_a_photo_is_recoloured_where_the_styles_keep_their_colours(
    mode: str, photo: Picture, painting: Picture
) -> None:
    of = scene(photo, painting, colors=mode)
    last = of.scales[-1]
    seen, styles = of.photo(last), of.style_images(last)
    start = initial.first_image(of, last, seen, styles)
    assert torch.equal(start, seen) == (mode in ("luminance", "match"))
    # The same holds for its detail: if the photo keeps its colours, the detail is the photo's.
    coarse = resample.resize(start, 12, 16)
    height, width = seen.shape[2:]
    detail = initial.next_image(of, last, coarse, seen, styles) - resample.resize(coarse, height, width)
    fine = start - resample.resize(resample.resize(start, 12, 16), height, width)
    assert float(torch.corrcoef(torch.stack([detail.flatten(), fine.flatten()]))[0, 1]) > 0.95


def test_the_method_is_that_of_the_recipe_wherever_colours_are_matched(photo: Picture, painting: Picture) -> None:
    for mode, init in (("style", "matched"), ("style", "style"), ("match", "content"), ("content", "content")):
        results = [
            impasto.stylize(photo, painting, recipe=QUICK, colors=mode, init=init, color_match=method, device="cpu")
            for method in ("monge-kantorovich", "histogram")
        ]
        assert np.abs(results[0].pixels - results[1].pixels).mean() > 1e-4


def test_a_texture_has_no_photo_whose_colours_it_could_take(painting: Picture) -> None:
    with pytest.raises(UsageError, match="colors is 'match', but a texture has no photo"):
        impasto.texture(painting, 16, 16, colors="match")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colors": "contents"}, "colors is 'contents'; did you mean 'content'"),
        ({"colors": True}, "colors is True"),
        ({"color_match": "cholesky2"}, "color_match is 'cholesky2'; did you mean 'cholesky'"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe().replace(**changes)
