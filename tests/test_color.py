import numpy as np
import pytest
import torch

from impasto import color, init
from impasto.moments import moments


def cloud(seed: int, size: int = 40) -> torch.Tensor:
    """A picture whose colours lie well inside [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(3, 3, generator=generator) * 0.04
    pixels = torch.einsum("ij,bjhw->bihw", mixing, torch.randn(1, 3, size, size, generator=generator))
    return (pixels + 0.4 + 0.2 * torch.rand(1, 3, 1, 1, generator=generator)).clamp(0, 1)


def test_matching_gives_the_colours_asked_for() -> None:
    source, target = cloud(1), cloud(2)
    matched = moments(color.match(source, moments(target)).double())
    wanted = moments(target.double())
    torch.testing.assert_close(matched.mean, wanted.mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(matched.covariance, wanted.covariance, atol=1e-5, rtol=1e-2)


def test_matching_a_picture_with_itself_changes_nothing() -> None:
    image = cloud(3)
    torch.testing.assert_close(color.match(image, moments(image)), image, atol=1e-5, rtol=0)


def test_of_all_linear_maps_it_moves_colours_least() -> None:
    # The Monge-Kantorovich map's matrix is symmetric and positive; a rotation in the target's frame costs more.
    source, target = cloud(1), cloud(2)
    matched = color.match(source, moments(target))
    wanted = moments(target.double())
    root = color.root(wanted.covariance)[0]
    own = moments(source.double())
    whitened = torch.linalg.inv(color.root(own.covariance))[0] @ (source.double().flatten(2)[0] - own.mean[0][:, None])
    rotated = root @ whitened + wanted.mean[0][:, None]
    cost = (matched - source).square().mean()
    assert cost < (rotated.view_as(source) - source).square().mean()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_one_colour_in_or_out_is_finite(level: float) -> None:
    flat = torch.full((1, 3, 8, 8), level)
    for source, target in ((flat, cloud(1)), (cloud(1), flat), (flat, 1 - flat)):
        matched = color.match(source, moments(target))
        assert matched.isfinite().all()
        assert matched.min() >= 0
        assert matched.max() <= 1
    np.testing.assert_allclose(color.match(cloud(1), moments(flat)).numpy(), level, atol=0.02)


def test_noise_is_seeded_and_style_noise_has_the_styles_colours() -> None:
    assert torch.equal(init.noise(8, 9, 1), init.noise(8, 9, 1))
    assert not torch.equal(init.noise(8, 9, 1), init.noise(8, 9, 2))
    target = moments(cloud(4).double())
    found = moments(init.style_noise(color.palette([(cloud(4), 1.0, None)]), 60, 60, 0, "monge-kantorovich").double())
    torch.testing.assert_close(found.mean, target.mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.covariance, target.covariance, atol=1e-4, rtol=0.05)
