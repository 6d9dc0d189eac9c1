import typing

import numpy as np
import pytest
import torch

from impasto.engine import initial
from impasto.ops import color_transfer
from impasto.ops.color_transfer import Palette, palette
from impasto.ops.moments import moments
from impasto.recipe import ColorMatch

LINEAR: list[ColorMatch] = ["monge-kantorovich", "cholesky", "pca", "symmetric"]
METHODS: list[ColorMatch] = [*LINEAR, "histogram"]


def cloud(seed: int, size: int = 40) -> torch.Tensor:
    """A picture whose colours are well inside [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(3, 3, generator=generator) * 0.04
    pixels = torch.einsum("ij,bjhw->bihw", mixing, torch.randn(1, 3, size, size, generator=generator))
    return (pixels + 0.4 + 0.2 * torch.rand(1, 3, 1, 1, generator=generator)).clamp(0, 1)


def test_matching_gives_the_colours_asked_for() -> None:
    source, target = cloud(1), cloud(2)
    matched = moments(color_transfer.match(source, moments(target)).double())
    wanted = moments(target.double())
    torch.testing.assert_close(matched.mean, wanted.mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(matched.covariance, wanted.covariance, atol=1e-5, rtol=1e-2)


def test_matching_a_picture_with_itself_changes_nothing() -> None:
    image = cloud(3)
    torch.testing.assert_close(color_transfer.match(image, moments(image)), image, atol=1e-5, rtol=0)


def test_of_all_linear_maps_it_moves_colours_least() -> None:
    # The Monge-Kantorovich map's matrix is symmetric and positive; a rotation in the target's frame costs more.
    source, target = cloud(1), cloud(2)
    matched = color_transfer.match(source, moments(target))
    wanted = moments(target.double())
    root = color_transfer.root(wanted.covariance)[0]
    own = moments(source.double())
    whitened = torch.linalg.inv(color_transfer.root(own.covariance))[0] @ (
        source.double().flatten(2)[0] - own.mean[0][:, None]
    )
    rotated = root @ whitened + wanted.mean[0][:, None]
    cost = (matched - source).square().mean()
    assert cost < (rotated.view_as(source) - source).square().mean()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_one_colour_in_or_out_is_finite(level: float) -> None:
    flat = torch.full((1, 3, 8, 8), level)
    for source, target in ((flat, cloud(1)), (cloud(1), flat), (flat, 1 - flat)):
        matched = color_transfer.match(source, moments(target))
        assert matched.isfinite().all()
    np.testing.assert_allclose(color_transfer.match(cloud(1), moments(flat)).numpy(), level, atol=0.02)


def test_noise_is_seeded_and_style_noise_has_the_styles_colours() -> None:
    assert torch.equal(initial.noise(8, 9, 1), initial.noise(8, 9, 1))
    assert not torch.equal(initial.noise(8, 9, 1), initial.noise(8, 9, 2))
    target = moments(cloud(4).double())
    found = moments(
        initial.style_noise(color_transfer.palette([(cloud(4), 1.0, None)]), 60, 60, 0, "monge-kantorovich").double()
    )
    torch.testing.assert_close(found.mean, target.mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.covariance, target.covariance, atol=1e-4, rtol=0.05)


def statistics(image: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    pixels = image[0].double().flatten(1).numpy()
    return pixels.mean(1), np.cov(pixels, bias=True)


def of(image: torch.Tensor) -> Palette:
    return palette([(image, 1.0, None)])


def test_the_methods_are_those_of_the_recipe() -> None:
    assert sorted(METHODS) == sorted(typing.get_args(ColorMatch))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_mean_and_covariance(method: ColorMatch) -> None:
    source, target = cloud(1, 64), cloud(2, 50)
    (mean, covariance), (wanted, spread) = (
        statistics(color_transfer.recolor(source, of(target), method)),
        statistics(target),
    )
    tolerance = 2e-3 if method == "histogram" else 1e-4
    np.testing.assert_allclose(mean, wanted, atol=tolerance)
    np.testing.assert_allclose(covariance, spread, atol=tolerance * 0.05, rtol=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_a_picture_with_its_own_colours_alone(method: ColorMatch) -> None:
    image = cloud(3, 64)
    moved = color_transfer.recolor(image, of(image), method) - image
    assert float(moved.abs().mean()) < (1e-3 if method == "histogram" else 1e-5)


def test_the_linear_maps_are_the_published_ones() -> None:
    rng = np.random.default_rng(0)
    source, target = (np.cov(rng.normal(size=(3, 20))) for _ in range(2))
    found = {
        method: color_transfer.linear_map(torch.tensor(source)[None], torch.tensor(target)[None], method)[0].numpy()
        for method in LINEAR
    }
    for matrix in found.values():
        np.testing.assert_allclose(matrix @ source @ matrix.T, target, atol=1e-10)
    # Their properties: triangular; symmetric and positive; a product of two symmetric roots; maps axes to axes.
    np.testing.assert_allclose(found["cholesky"], np.tril(found["cholesky"]), atol=1e-12)
    np.testing.assert_allclose(found["monge-kantorovich"], found["monge-kantorovich"].T, atol=1e-10)
    assert np.linalg.eigvalsh(found["monge-kantorovich"]).min() > 0
    values, vectors = np.linalg.eigh(source)
    root = vectors @ np.diag(values**0.5) @ vectors.T
    back = found["symmetric"] @ root
    np.testing.assert_allclose(back, back.T, atol=1e-10)
    turned = found["pca"] @ vectors
    lengths, axes = np.linalg.eigh(target)
    np.testing.assert_allclose(np.abs(axes.T @ turned), np.diag((lengths / values) ** 0.5), atol=1e-9)
    assert (np.sum(turned * vectors, axis=0) > 0).all()


def test_a_histogram_is_no_linear_map() -> None:
    one = torch.eye(3)[None]
    with pytest.raises(ValueError, match="not matched by a linear map"):
        color_transfer.linear_map(one, one, "histogram")


def patches() -> torch.Tensor:
    """Colours in three clusters, which no mean and covariance describe."""
    generator = torch.Generator().manual_seed(7)
    centres = torch.tensor([[0.8, 0.2, 0.2], [0.2, 0.3, 0.8], [0.9, 0.85, 0.3]])
    which = torch.randint(3, (60 * 60,), generator=generator)
    pixels = centres[which] + 0.03 * torch.randn(60 * 60, 3, generator=generator)
    return pixels.T.reshape(1, 3, 60, 60).clamp(0, 1)


def distance(one: torch.Tensor, other: torch.Tensor, axis: np.ndarray) -> float:
    """Wasserstein-1 distance between the marginals along an axis, by sorting."""
    first, second = (np.sort(axis @ image[0].double().flatten(1).numpy()) for image in (one, other))
    return float(np.abs(first - second).mean())


def test_a_histogram_is_matched_along_every_axis() -> None:
    source, target = cloud(1, 60), patches()
    found = color_transfer.recolor(source, of(target), "histogram")
    linear = color_transfer.recolor(source, of(target), "monge-kantorovich")
    for channel in np.eye(3):
        assert distance(found, target, channel) < 0.003
    drawn = np.random.default_rng(5).normal(size=(30, 3))
    axes = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    away = [np.mean([distance(image, target, axis) for axis in axes]) for image in (found, linear)]
    assert away[0] < 1.5 / 255
    assert away[0] < 0.2 * away[1]


@pytest.mark.parametrize("method", METHODS)
def test_matching_is_deterministic_and_draws_nothing_from_the_global_generator(method: ColorMatch) -> None:
    color_transfer.rotations.cache_clear()
    before = torch.random.get_rng_state()
    first, second = (color_transfer.recolor(cloud(1), of(patches()), method) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 8])
def test_flat_grey_and_tiny_pictures_are_finite(method: ColorMatch, size: int) -> None:
    flat = torch.full((1, 3, size, size), 0.25)
    grey = cloud(2)[:, :1].expand(1, 3, 40, 40)
    for source, target in ((flat, cloud(1)), (cloud(1), flat), (flat, 1 - flat), (grey, cloud(1)), (cloud(1), grey)):
        found = color_transfer.recolor(source, of(target), method)
        assert found.isfinite().all()
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1
        assert found.dtype == source.dtype
        np.testing.assert_allclose(found.mean((0, 2, 3)), target.mean((0, 2, 3)), atol=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_in_a_blend_every_picture_counts_what_it_weighs(method: ColorMatch) -> None:
    dark, light = torch.full((1, 3, 9, 9), 0.4), torch.full((1, 3, 30, 40), 0.6)
    found = color_transfer.recolor(cloud(1, 64), palette([(dark, 0.75, None), (light, 0.25, None)]), method)
    np.testing.assert_allclose(found.mean((0, 2, 3)), 0.75 * 0.4 + 0.25 * 0.6, atol=0.02)


def test_a_sample_meets_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color_transfer, "_SAMPLE", 100)
    stripes = torch.arange(32).float().expand(1, 3, 32, 32) / 31
    sample = palette([(stripes, 1.0, None)]).pixels
    assert 50 < len(sample) <= 100
    assert len(sample[:, 0].unique()) == 32


def test_what_is_beyond_is_drawn_into_the_ends_or_cut_off() -> None:
    values = torch.linspace(-1, 2, 3001, dtype=torch.float64)
    assert torch.equal(color_transfer.clip_or_compress(values), values.clamp(0, 1))
    found = color_transfer.clip_or_compress(values, 0.05)
    inside = (values >= 0.05) & (values <= 0.95)
    torch.testing.assert_close(found[inside], values[inside])
    # The map is smooth, and different values stay different.
    slopes = found.diff() / values.diff()
    assert float(slopes.min()) > 0
    assert float(slopes.diff().abs().max()) < 0.05
    assert float(found.min()) > 0
    assert float(found.max()) < 1
    torch.testing.assert_close(found, 1 - found.flip(0))
