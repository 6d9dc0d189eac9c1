"""Losses that need all positions at once, and those of image and photo, compared with NumPy in float64."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from impasto import losses
from impasto.losses import patches as patch_loss
from impasto.recipe import terms

Array = NDArray[np.float64]


def features(seed: int, channels: int = 4, height: int = 5, width: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    raw = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64)
    return torch.einsum("ij,bjhw->bihw", mixing, raw) + 0.1


def picture(seed: int, height: int = 8, width: int = 10) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def style_loss(spec: terms.Loss, image: torch.Tensor, styles: Sequence[tuple[torch.Tensor, float]]) -> torch.Tensor:
    loss = losses.build(spec)
    assert isinstance(loss, losses.FeatureLoss)
    return loss.value(image, loss.target(styles, image.shape[2] * image.shape[3]))


def photo_loss(spec: terms.Loss, image: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    loss = losses.build(spec)
    assert isinstance(loss, losses.PhotoLoss)
    return loss.value(image, loss.target(photo))


WHOLE = [
    pytest.param(terms.Histogram(), id="histogram"),
    pytest.param(terms.Patches(), id="patches"),
    pytest.param(terms.Patches(patch=2), id="patches-2"),
    pytest.param(terms.Patches(patch=3), id="patches-3"),
]
PHOTO = [
    pytest.param(terms.Laplacian(pool=1), id="laplacian-1"),
    pytest.param(terms.Laplacian(pool=3), id="laplacian-3"),
    pytest.param(terms.Laplacian(pool=64), id="laplacian-64"),
    pytest.param(terms.Photorealism(), id="photorealism"),
]


def histogram_by_numpy(image: Array, styles: Sequence[tuple[Array, float]]) -> float:
    """All features are (C, positions)."""
    count = image.shape[1]
    wanted = (np.arange(count) + 0.5) / count
    total = 0.0
    for channel, row in enumerate(image):
        values = np.concatenate([style[channel] for style, _ in styles])
        shares = np.concatenate([np.full(style.shape[1], weight / style.shape[1]) for style, weight in styles])
        order = np.argsort(values, kind="stable")
        middles = np.cumsum(shares[order]) - shares[order] / 2
        matched = np.interp(wanted, middles, values[order])
        total += ((np.sort(row) - matched) ** 2).sum()
    energy = sum(weight * (style**2).mean() for style, weight in styles)
    return float(total / image.size / energy)


def directions_by_numpy(found: Array, patch: int) -> Array:
    """The patches of (C, h, w) as (positions, C patch^2), each scaled to length 1."""
    centred = found - found.mean((1, 2), keepdims=True)
    sides = ((patch - 1) // 2, patch // 2)
    wide = np.pad(centred, ((0, 0), sides, sides), mode="edge")
    height, width = found.shape[1:]
    rows = [wide[:, y : y + patch, x : x + patch].ravel() for y in range(height) for x in range(width)]
    return np.stack([row / np.linalg.norm(row) for row in rows])


def patches_by_numpy(image: Array, styles: Sequence[Array], patch: int) -> float:
    ours = directions_by_numpy(image, patch)
    theirs = np.concatenate([directions_by_numpy(style, patch) for style in styles])
    return float(np.mean([min(1 - theirs @ row) for row in ours]))


def laplacian_by_numpy(image: Array, photo: Array, pool: int) -> float:
    def laplacian(found: Array) -> Array:
        rows, columns = -(-found.shape[1] // pool), -(-found.shape[2] // pool)
        small = np.array(
            [
                [[plane[y * pool : (y + 1) * pool, x * pool : (x + 1) * pool].mean() for x in range(columns)]
                 for y in range(rows)]
                for plane in found
            ]
        )  # fmt: skip
        wide = np.pad(small, ((0, 0), (1, 1), (1, 1)), mode="edge")
        around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
        return np.asarray(around - 4 * small)

    theirs = laplacian(photo)
    return float(((laplacian(image) - theirs) ** 2).mean() / max((theirs**2).mean(), 1 / 255**2))


def matting_laplacian(photo: Array, epsilon: float) -> Array:
    """Levin, Lischinski and Weiss 2008, equation 12, entry by entry; photo (3, H, W)."""
    _, height, width = photo.shape
    number = np.arange(height * width).reshape(height, width)
    result = np.zeros((height * width, height * width))
    for y in range(height - 2):
        for x in range(width - 2):
            colours = photo[:, y : y + 3, x : x + 3].reshape(3, 9)
            away = colours - colours.mean(1, keepdims=True)
            inverse = np.linalg.inv(np.cov(colours, bias=True) + epsilon / 9 * np.eye(3))
            pixels = number[y : y + 3, x : x + 3].ravel()
            result[np.ix_(pixels, pixels)] += np.eye(9) - (1 + away.T @ inverse @ away) / 9
    return result


@pytest.mark.parametrize("size", [(5, 7), (3, 4), (9, 8), (1, 1)])
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.3, 0.7)])
def test_histogram_against_numpy(size: tuple[int, int], weights: tuple[float, float]) -> None:
    image = features(1, 4, *size)
    styles = [
        (style, weight) for style, weight in zip((features(2), features(3, 4, 6, 3)), weights, strict=True) if weight
    ]
    expected = histogram_by_numpy(
        image[0].flatten(1).numpy(), [(style[0].flatten(1).numpy(), weight) for style, weight in styles]
    )
    assert style_loss(terms.Histogram(), image, styles).item() == pytest.approx(expected, rel=1e-10)


def test_histogram_by_hand() -> None:
    image = torch.tensor([[[[3.0, 0.0]]]], dtype=torch.float64)
    style = torch.tensor([[[[1.0, 1.0, 5.0, 1.0]]]], dtype=torch.float64)
    # The quantiles of 1 1 1 5 at 1/4 and 3/4 are 1 and, half-way between the third and the fourth value, 3.
    assert style_loss(terms.Histogram(), image, [(style, 1.0)]).item() == pytest.approx((1 + 0) / 2 / 7)


def test_histogram_of_one_value_is_that_value() -> None:
    image, style = features(1, 2, 2, 3), features(2, 2, 1, 1)
    expected = ((image - style) ** 2).mean() / (style**2).mean()
    assert style_loss(terms.Histogram(), image, [(style, 1.0)]).item() == pytest.approx(expected.item())


def test_a_histogram_mixture_is_by_weight_not_by_size() -> None:
    image = features(1)
    small, large = features(2, 4, 3, 3), features(3, 4, 12, 12)
    mixed = style_loss(terms.Histogram(), image, [(small, 0.5), (large, 0.5)]).item()
    # The same pictures with every position repeated four times.
    many = small.repeat(1, 1, 2, 2)
    assert style_loss(terms.Histogram(), image, [(many, 0.5), (large, 0.5)]).item() == pytest.approx(mixed, rel=0.05)


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_patches_against_numpy(patch: int) -> None:
    image, styles = features(1), [features(2, 4, 4, 6), features(3, 4, 2, 3)]
    expected = patches_by_numpy(image[0].numpy(), [style[0].numpy() for style in styles], patch)
    found = style_loss(terms.Patches(patch=patch), image, [(style, 0.5) for style in styles])
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_patches_by_hand() -> None:
    # Centred: (2, 0) and (-2, 0); the style's (1, 1) and (-1, -1): angles of 45 degrees.
    image = torch.tensor([[[[4.0, 0.0]], [[1.0, 1.0]]]], dtype=torch.float64)
    style = torch.tensor([[[[2.0, 0.0]], [[5.0, 3.0]]]], dtype=torch.float64)
    assert style_loss(terms.Patches(), image, [(style, 1.0)]).item() == pytest.approx(1 - 0.5**0.5)


def test_neighbours_are_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    image, style = features(1, 6, 9, 11), features(2, 6, 8, 8)
    expected = style_loss(terms.Patches(patch=3), image, [(style, 1.0)])
    largest = []
    argmax = torch.Tensor.argmax
    monkeypatch.setattr(torch.Tensor, "argmax", lambda x, dim: largest.append(x.numel()) or argmax(x, dim))
    monkeypatch.setattr(patch_loss, "CHUNK_BYTES", 8 * 64 * 10)
    torch.testing.assert_close(style_loss(terms.Patches(patch=3), image, [(style, 1.0)]), expected)
    assert max(largest) == 64 * 10


@pytest.mark.parametrize("pool", [1, 3, 4, 64])
def test_laplacian_against_numpy(pool: int) -> None:
    image, photo = picture(1), picture(2)
    expected = laplacian_by_numpy(image[0].numpy(), photo[0].numpy(), pool)
    assert photo_loss(terms.Laplacian(pool=pool), image, photo).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("epsilon", [1e-7, 1e-4, 0.1])
def test_photorealism_is_the_matting_laplacian(epsilon: float) -> None:
    image, photo = picture(1), picture(2)
    matrix = matting_laplacian(photo[0].numpy(), epsilon)
    planes = image[0].flatten(1).numpy()
    image.requires_grad_()
    found = photo_loss(terms.Photorealism(epsilon), image, photo)
    scale = 9 * 3 * 6 * 8
    assert found.item() * scale == pytest.approx(sum(plane @ matrix @ plane for plane in planes), rel=1e-9)
    slope = torch.autograd.grad(found, image)[0][0].flatten(1).numpy() * scale
    np.testing.assert_allclose(slope, 2 * planes @ matrix, atol=1e-9)


def test_photorealism_allows_any_affine_map_of_colours() -> None:
    photo, mixing = picture(1), picture(3, 1, 3)[0, :, 0]
    recoloured = torch.einsum("ij,bjhw->bihw", mixing, photo) + 0.2
    free = photo_loss(terms.Photorealism(), recoloured, photo).item()
    assert 0 <= free < 1e-6
    assert photo_loss(terms.Photorealism(), recoloured.flip(3), photo).item() > 1e-2


@pytest.mark.parametrize("spread", [1.0, 1e-3, 0.0])
def test_photorealism_keeps_its_digits_in_float32(spread: float) -> None:
    # Skies hardly vary, so that their covariance is nearly singular.
    photo, image = 0.7 + spread * (picture(2) - 0.5), picture(1)
    results = []
    for dtype in (torch.float32, torch.float64):
        # The photo rounded to float32, so that the rounding of the input, which changes flat windows, is not tested.
        x = image.to(dtype).requires_grad_()
        value = photo_loss(terms.Photorealism(), x, photo.float().to(dtype))
        results.append((value.item(), torch.autograd.grad(value, x)[0].double()))
    (found, slope), (expected, expected_slope) = results
    assert found == pytest.approx(expected, rel=1e-3)
    assert float((slope - expected_slope).norm()) < 1e-3 * float(expected_slope.norm())


@pytest.mark.parametrize("spec", WHOLE)
def test_feature_gradients_are_exact(spec: terms.Loss) -> None:
    styles = [(features(2, 4, 3, 4), 0.5), (features(3), 0.5)]
    image = features(1, 4, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: style_loss(spec, x, styles), image)


@pytest.mark.parametrize("spec", PHOTO)
def test_photo_gradients_are_exact(spec: terms.Loss) -> None:
    image = picture(1, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: photo_loss(spec, x, picture(2, 5, 6)), image)


@pytest.mark.parametrize("spec", WHOLE)
def test_feature_losses_are_zero_at_their_target_wherever_it_is(spec: terms.Loss) -> None:
    style = [(features(2), 1.0)]
    assert style_loss(spec, features(2), style).item() == pytest.approx(0, abs=1e-6)
    if getattr(spec, "patch", 1) == 1:
        assert style_loss(spec, features(2).flip(3), style).item() == pytest.approx(0, abs=1e-6)
    assert style_loss(spec, features(1), style).item() > 1e-3


@pytest.mark.parametrize("spec", PHOTO)
def test_photo_losses_are_zero_at_the_photo(spec: terms.Loss) -> None:
    assert photo_loss(spec, picture(2), picture(2)).item() == pytest.approx(0, abs=1e-6)
    if getattr(spec, "pool", 1) < 8:  # a single square has no lines
        assert photo_loss(spec, picture(1), picture(2)).item() > 1e-2


@pytest.mark.parametrize("spec", [*WHOLE, *PHOTO[:2], PHOTO[3]])
def test_the_losses_descend(spec: terms.Loss) -> None:
    photo = isinstance(losses.build(spec), losses.PhotoLoss)
    x = (picture(1) if photo else features(1)).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.03)
    values = []
    for _ in range(100):
        optimizer.zero_grad()
        value = photo_loss(spec, x, picture(2)) if photo else style_loss(spec, x, [(features(2), 1.0)])
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("spec", WHOLE)
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_features_of_one_value_give_finite_values_and_gradients(spec: terms.Loss, level: float) -> None:
    flat = torch.full((1, 4, 5, 7), level)
    for start, style in ((features(1).float(), flat), (flat, flat), (flat, features(1).float())):
        image = start.clone().requires_grad_()
        value = style_loss(spec, image, [(style, 1.0)])
        value.backward()
        assert value.isfinite()
        assert image.grad is not None
        assert image.grad.isfinite().all()


@pytest.mark.parametrize("spec", PHOTO)
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 7), (3, 3), (8, 10)])
def test_small_and_flat_photos_give_finite_values_and_gradients(spec: terms.Loss, size: tuple[int, int]) -> None:
    for photo in (picture(2, *size).float(), torch.full((1, 3, *size), 0.5), torch.zeros(1, 3, *size)):
        image = picture(1, *size).float().requires_grad_()
        value = photo_loss(spec, image, photo)
        value.backward()
        assert value.isfinite()
        assert image.grad is not None
        assert image.grad.isfinite().all()


@pytest.mark.parametrize("spec", WHOLE)
def test_losses_do_not_depend_on_the_unit_of_the_features(spec: terms.Loss) -> None:
    values = [style_loss(spec, scale * features(1), [(scale * features(2), 1.0)]).item() for scale in (1.0, 50.0)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


@pytest.mark.parametrize("spec", WHOLE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_first(spec: terms.Loss, dtype: torch.dtype) -> None:
    image, style = 300 * features(1).to(dtype), 300 * features(2).to(dtype)
    found = style_loss(spec, image, [(style, 1.0)])
    assert found.dtype == torch.float32
    assert torch.equal(found, style_loss(spec, image.float(), [(style.float(), 1.0)]))
