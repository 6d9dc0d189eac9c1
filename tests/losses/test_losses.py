"""Every loss: a hand-computed value, its gradient, zero at its target, descent, batches and blends."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch

from impasto import losses
from impasto.losses import MomentLoss
from impasto.losses.content import Content
from impasto.losses.gram import Gram
from impasto.losses.mean_covariance import MeanCovariance
from impasto.losses.total_variation import TotalVariation
from impasto.losses.wasserstein import Wasserstein
from impasto.ops.moments import Moments, moments
from impasto.recipe import terms

FORMS: dict[str, list[terms.Loss]] = {
    "gram": [terms.Gram(form=form) for form in ("literal", "mean", "relative")],
    "mean-covariance": [terms.MeanCovariance()],
    "wasserstein": [terms.Wasserstein(form=form) for form in ("mean", "relative")],
}
STYLE = [
    pytest.param(spec, id=f"{kind}-{getattr(spec, 'form', '')}") for kind, specs in FORMS.items() for spec in specs
]
CONTENT = [pytest.param(terms.Content(form=form), id=form) for form in ("literal", "mean", "relative", "normalized")]


def features(seed: int, channels: int = 4, height: int = 5, width: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    raw = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64)
    return torch.einsum("ij,bjhw->bihw", mixing, raw).relu() + 0.1


def content(loss: Content, image: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """The content loss of features, with all positions at once."""
    target = loss.target(photo)
    return loss.value(loss.statistic(image, loss.target_features(target), target), target)


def content_loss(spec: terms.Loss) -> Content:
    loss = losses.build(spec)
    assert isinstance(loss, Content)
    return loss


def moment_loss(spec: terms.Loss) -> MomentLoss[Any]:
    loss = losses.build(spec)
    assert isinstance(loss, MomentLoss)
    return loss


def two_by_two() -> tuple[torch.Tensor, torch.Tensor]:
    """Two channels and two positions, small enough to compute by hand."""
    image = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]], dtype=torch.float64)
    style = torch.tensor([[[[1.0, 1.0]], [[1.0, 3.0]]]], dtype=torch.float64)
    return image, style


@pytest.mark.parametrize(
    ("form", "expected"),
    [("literal", 0.5 * 6), ("mean", 6 / 4), ("relative", 6 / 12)],  # differences 0 1 -1 -2; the target's squares: 12
)
def test_content_by_hand(form: Literal["literal", "mean", "relative", "normalized"], expected: float) -> None:
    image, target = two_by_two()
    loss = Content(terms.Content(form=form))
    assert content(loss, image, target).item() == pytest.approx(expected)


def test_content_normalized_is_twice_one_minus_the_correlation() -> None:
    image, photo = features(1), features(2)
    correlations = [
        np.corrcoef(a.flatten().numpy(), b.flatten().numpy())[0, 1] for a, b in zip(image[0], photo[0], strict=True)
    ]
    loss = Content(terms.Content(form="normalized"))
    found = content(loss, image, photo).item()
    assert found == pytest.approx(2 * (1 - np.mean(correlations)), rel=1e-4)
    # The scale and the mean of each channel have no effect.
    scale, shift = torch.rand(1, 4, 1, 1, dtype=torch.float64) + 0.5, torch.rand(1, 4, 1, 1, dtype=torch.float64)
    assert content(loss, scale * image + shift, photo).item() == pytest.approx(found, rel=1e-4)


@pytest.mark.parametrize(
    ("form", "expected"),
    # G/M = [[2.5, 1], [1, 0.5]], A/M = [[1, 2], [2, 5]]: squared differences 2.25, 1, 1, 20.25; A/M squared: 34.
    [("literal", 24.5 / 16), ("mean", 24.5 / 4), ("relative", 24.5 / 34)],
)
def test_gram_by_hand(form: Literal["literal", "mean", "relative"], expected: float) -> None:
    image, style = two_by_two()
    loss = Gram(terms.Gram(form=form))
    assert loss.value(moments(image), loss.target(moments(style))).item() == pytest.approx(expected)


def test_gram_literal_is_equation_4() -> None:
    image, style = features(1), features(2)
    f, a = image[0].flatten(1).numpy(), style[0].flatten(1).numpy()
    n, m = f.shape
    expected = ((f @ f.T - a @ a.T) ** 2).sum() / (4 * n**2 * m**2)
    loss = Gram(terms.Gram(form="literal"))
    assert loss.value(moments(image), loss.target(moments(style))).item() == pytest.approx(expected, rel=1e-12)


def test_mean_covariance_by_hand() -> None:
    image, style = two_by_two()
    # Means (1.5, 0.5) and (1, 2), squared distance 2.5 of 5; covariances [[.25, .25], [.25, .25]] and [[0, 0], [0, 1]].
    expected = 2.5 / 5 + (0.0625 * 3 + 0.5625) / 1
    loss = MeanCovariance(terms.MeanCovariance())
    assert loss.value(moments(image), loss.target(moments(style))).item() == pytest.approx(expected)


@pytest.mark.parametrize("form", ["mean", "relative"])
def test_wasserstein_against_an_independent_formula(form: Literal["mean", "relative"]) -> None:
    image, style = features(1, height=20, width=20), features(2, height=20, width=20)
    f, a = image[0].flatten(1).numpy(), style[0].flatten(1).numpy()
    c, s = np.cov(f, bias=True), np.cov(a, bias=True)
    # tr (C S)^1/2 is the sum of the square roots of the eigenvalues of C S.
    overlap = np.sqrt(np.linalg.eigvals(c @ s).real).sum()
    distance = ((f.mean(1) - a.mean(1)) ** 2).sum() + np.trace(c) + np.trace(s) - 2 * overlap
    scale = 4 if form == "mean" else (a.mean(1) ** 2).sum() + np.trace(s)
    loss = Wasserstein(terms.Wasserstein(form=form))
    # The ridge on both covariances changes the value by less than a thousandth.
    assert loss.value(moments(image), loss.target(moments(style))).item() == pytest.approx(distance / scale, rel=1e-3)


@pytest.mark.parametrize(("form", "expected"), [("squared", 0.5 * (0.25 + 0) + 0.25), ("absolute", 0.25 + 0.5)])
def test_smoothness_by_hand(form: Literal["squared", "absolute", "sum"], expected: float) -> None:
    plane = torch.tensor([[0.0, 0.5], [0.5, 0.5]], dtype=torch.float64)
    image = plane.expand(1, 3, 2, 2)
    # Along rows 0.5 and 0, along columns 0.5 and 0.
    expected = 0.25 if form == "squared" else 0.5
    assert TotalVariation(terms.TotalVariation(form=form)).value(image).item() == pytest.approx(expected)


@pytest.mark.parametrize("size", [(1, 5), (5, 1), (1, 1)])
def test_smoothness_of_a_line_or_a_point_is_finite(size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    assert TotalVariation(terms.TotalVariation()).value(image).isfinite()


@pytest.mark.parametrize("spec", STYLE)
def test_style_gradients_are_exact(spec: terms.Loss) -> None:
    loss = moment_loss(spec)
    target = loss.target(moments(features(2)))
    image = features(1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss.value(moments(x), target), image)


@pytest.mark.parametrize("spec", CONTENT)
def test_content_gradients_are_exact(spec: terms.Loss) -> None:
    loss = content_loss(spec)
    assert torch.autograd.gradcheck(lambda x: content(loss, x, features(2)), features(1).requires_grad_())


@pytest.mark.parametrize("form", ["squared", "absolute"])
def test_smoothness_gradients_are_exact(form: Literal["squared", "absolute", "sum"]) -> None:
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(TotalVariation(terms.TotalVariation(form=form)).value, image)


@pytest.mark.parametrize("spec", STYLE)
def test_style_loss_is_zero_at_its_target_and_positive_elsewhere(spec: terms.Loss) -> None:
    loss = moment_loss(spec)
    target = loss.target(moments(features(2)))
    assert loss.value(moments(features(2)), target).item() == pytest.approx(0, abs=1e-6)
    # The same features at other positions have the same style.
    assert loss.value(moments(features(2).flip(3)), target).item() == pytest.approx(0, abs=1e-6)
    assert loss.value(moments(features(1)), target).item() > 1e-3


@pytest.mark.parametrize("spec", CONTENT)
def test_content_loss_is_zero_at_its_target_and_positive_elsewhere(spec: terms.Loss) -> None:
    loss = content_loss(spec)
    assert content(loss, features(2), features(2)).item() == pytest.approx(0, abs=1e-14)
    assert content(loss, features(2).flip(3), features(2)).item() > 1e-3


@pytest.mark.parametrize("spec", STYLE)
def test_style_loss_descends(spec: terms.Loss) -> None:
    loss = moment_loss(spec)
    target = loss.target(moments(features(2)))
    x = features(1).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.05)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        value = loss.value(moments(x), target)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.2 * values[0]


@pytest.mark.parametrize("spec", STYLE)
def test_moments_of_tiles_give_the_loss_of_the_whole(spec: terms.Loss) -> None:
    loss = moment_loss(spec)
    target = loss.target(moments(features(2)))
    whole = features(1, height=7, width=9)
    tiles = [
        whole[:, :, rows, columns] for rows in (slice(0, 3), slice(3, 7)) for columns in (slice(0, 5), slice(5, 9))
    ]
    together: Moments = moments(tiles[0])
    for tile in tiles[1:]:
        together = together + moments(tile)
    expected = loss.value(moments(whole), target).item()
    assert loss.value(together, target).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("spec", CONTENT)
def test_statistics_of_tiles_give_the_loss_of_the_whole(spec: terms.Loss) -> None:
    loss = content_loss(spec)
    whole, target = features(1, height=7, width=9), loss.target(features(2, height=7, width=9))
    together = torch.stack(
        [
            loss.statistic(whole[:, :, rows, columns], loss.target_features(target)[:, :, rows, columns], target)
            for rows in (slice(0, 3), slice(3, 7))
            for columns in (slice(0, 5), slice(5, 9))
        ]
    ).sum(0)
    expected = content(loss, whole, features(2, height=7, width=9)).item()
    assert loss.value(together, target).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("form", ["literal", "mean", "relative", "normalized"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_never_reaches_a_sum_of_squares(
    form: Literal["literal", "mean", "relative", "normalized"], dtype: torch.dtype
) -> None:
    # 300^2 is larger than the largest float16.
    image, photo = 300 * features(1).to(dtype), 300 * features(2).to(dtype)
    loss = Content(terms.Content(form=form))
    found, expected = content(loss, image, photo), content(loss, image.float(), photo.float())
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("spread", [1.0, 0.1, 0.01])
def test_content_normalized_keeps_its_digits_in_float32(spread: float) -> None:
    # Channels that vary little around a high level, and an image near the photo: the sums are large, their
    # differences small.
    generator = torch.Generator().manual_seed(0)
    photo, change = torch.randn(2, 1, 4, 64, 64, generator=generator, dtype=torch.float64)
    photo, image = 1 + spread * photo, 1 + spread * (photo + 0.01 * change)
    loss = Content(terms.Content(form="normalized"))
    results = []
    for dtype in (torch.float32, torch.float64):
        x = image.to(dtype).requires_grad_()
        value = content(loss, x, photo.to(dtype))
        results.append((value.item(), torch.autograd.grad(value, x)[0].double()))
    (found, slope), (expected, expected_slope) = results
    assert found == pytest.approx(expected, rel=1e-2)
    assert float((slope - expected_slope).norm()) < 1e-2 * float(expected_slope.norm())


@pytest.mark.parametrize("spec", CONTENT)
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_photo_of_one_colour_gives_finite_values_and_gradients(spec: terms.Loss, level: float) -> None:
    loss = content_loss(spec)
    flat = torch.full((1, 4, 5, 7), level)
    for start, photo in ((features(1).float(), flat), (flat, flat), (flat, features(1).float())):
        image = start.clone().requires_grad_()
        value = content(loss, image, photo)
        value.backward()
        assert value.isfinite()
        assert image.grad is not None
        assert image.grad.isfinite().all()


@pytest.mark.parametrize("spec", STYLE)
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_style_of_one_colour_gives_finite_values_and_gradients(spec: terms.Loss, level: float) -> None:
    loss = moment_loss(spec)
    flat = torch.full((1, 4, 5, 7), level)
    target = loss.target(moments(flat))
    for start in (features(1).float(), flat):
        image = start.clone().requires_grad_()
        value = loss.value(moments(image), target)
        value.backward()
        assert value.isfinite()
        assert image.grad is not None
        assert image.grad.isfinite().all()


def test_relative_losses_do_not_depend_on_the_unit_of_the_features() -> None:
    specs: list[Callable[[], terms.Loss]] = [
        lambda: terms.Gram(form="relative"),
        terms.MeanCovariance,
        lambda: terms.Wasserstein(form="relative"),
    ]
    for make in specs:
        loss = moment_loss(make())
        values = [
            loss.value(moments(scale * features(1)), loss.target(moments(scale * features(2)))).item()
            for scale in (1.0, 50.0)
        ]
        assert values[0] == pytest.approx(values[1], rel=1e-9)
