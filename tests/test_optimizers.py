"""Both optimisers on problems whose answer is known."""

import pytest
import torch

from impasto import optimizers
from impasto.optimizers import Optimizer, ProjectedAdam, ProjectedLBFGS
from impasto.recipe import LBFGS, Adam

SETTINGS = [
    pytest.param(LBFGS(max_step=0.5, first_step=0.1), id="lbfgs"),
    pytest.param(Adam(learning_rate=0.05, average=0.5), id="adam"),
]


def quadratic(seed: int, size: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """A badly scaled convex problem: 1/2 (x - c) A (x - c), conditioned 1000 to 1."""
    generator = torch.Generator().manual_seed(seed)
    n = 3 * size * size
    basis, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    matrix = basis @ torch.diag(torch.logspace(0, 3, n, dtype=torch.float64)) @ basis.T
    centre = torch.rand(n, generator=generator, dtype=torch.float64)
    return matrix, centre


def descend(optimizer: Optimizer, matrix: torch.Tensor, centre: torch.Tensor, steps: int) -> torch.Tensor:
    side = round((centre.numel() / 3) ** 0.5)
    image = torch.full((1, 3, side, side), 0.5, dtype=torch.float64)
    for _ in range(steps):
        gradient = (matrix @ (image.flatten() - centre)).view_as(image)
        image = optimizer.step(image, gradient)
        assert image.min() >= 0
        assert image.max() <= 1
    return optimizer.result(image).flatten()


def loss(x: torch.Tensor, matrix: torch.Tensor, centre: torch.Tensor) -> float:
    return float(0.5 * (x - centre) @ matrix @ (x - centre))


@pytest.mark.parametrize("settings", SETTINGS)
def test_descends_a_convex_problem(settings: LBFGS | Adam) -> None:
    matrix, centre = quadratic(0)
    start = loss(torch.full_like(centre, 0.5), matrix, centre)
    found = descend(optimizers.build(settings), matrix, centre, 150)
    assert loss(found, matrix, centre) < 0.01 * start


def test_lbfgs_finds_the_constrained_minimum() -> None:
    # The minimum of the distance to a point outside the box is that point clamped: each pixel is on its own.
    generator = torch.Generator().manual_seed(1)
    weights = 10 ** (3 * torch.rand(48, generator=generator, dtype=torch.float64))
    centre = 3 * torch.rand(48, generator=generator, dtype=torch.float64) - 1
    found = descend(ProjectedLBFGS(LBFGS(max_step=0.5, first_step=0.1)), torch.diag(weights), centre, 200)
    torch.testing.assert_close(found, centre.clamp(0, 1), atol=1e-3, rtol=0)


def test_lbfgs_direction_equals_the_inverse_of_the_bfgs_matrix() -> None:
    # The two-loop recursion against the matrix it stands for, built with the textbook's update.
    matrix, centre = quadratic(2, size=2)
    optimizer = ProjectedLBFGS(LBFGS(history=20))
    x = torch.full((12,), 0.5, dtype=torch.float64)
    for _ in range(5):
        optimizer.step(x.view(1, 3, 2, 2), (matrix @ (x - centre)).view(1, 3, 2, 2))
        x = x + 0.01 * torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(int(x[0] * 1e6)))
    last_change = optimizer._changes[-1]
    inverse = torch.eye(12, dtype=torch.float64) / (last_change @ last_change)
    identity = torch.eye(12, dtype=torch.float64)
    for step, change in zip(optimizer._steps, optimizer._changes, strict=True):
        left = identity - torch.outer(step, change)
        inverse = left @ inverse @ left.T + torch.outer(step, step)
    slope = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(optimizer._inverse_hessian(slope), inverse @ slope)


def test_lbfgs_ignores_pairs_of_negative_curvature() -> None:
    optimizer = ProjectedLBFGS(LBFGS())
    first = torch.full((1, 3, 2, 2), 0.5)
    second = optimizer.step(first, torch.ones_like(first))
    optimizer.step(second, 2 * torch.ones_like(first))  # went down the slope, and it grew: concave
    assert optimizer._steps == []


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_the_first_step_does_not_depend_on_the_scale_of_the_loss(scale: float) -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    gradient = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    moved = ProjectedLBFGS(LBFGS(first_step=0.02)).step(image, scale * gradient) - image
    assert moved.square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-3)


def test_a_step_is_bounded() -> None:
    optimizer = ProjectedLBFGS(LBFGS(max_step=0.03))
    image = torch.full((1, 3, 4, 4), 0.5)
    for _ in range(10):
        following = optimizer.step(image, (image - 0.9) * 1e-3)
        assert (following - image).square().mean().sqrt() <= 0.03 * 1.001
        image = following


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_zero_gradient_moves_nothing(settings: LBFGS | Adam) -> None:
    image = torch.rand(1, 3, 4, 4)
    optimizer = optimizers.build(settings)
    for _ in range(3):
        assert torch.equal(optimizer.step(image, torch.zeros_like(image)), image)


def test_adam_equals_torch_where_no_bound_is_met() -> None:
    matrix, centre = quadratic(3)
    mine = descend(ProjectedAdam(Adam(learning_rate=0.001, beta1=0.9, beta2=0.99, average=0)), matrix, centre, 20)
    theirs = torch.full((48,), 0.5, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.Adam([theirs], lr=0.001, betas=(0.9, 0.99), eps=1e-12)
    for _ in range(20):
        reference.zero_grad()
        (0.5 * (theirs - centre) @ matrix @ (theirs - centre)).backward()
        reference.step()
    torch.testing.assert_close(mine, theirs.detach())


def test_adam_result_is_the_unbiased_running_mean() -> None:
    optimizer = ProjectedAdam(Adam(learning_rate=0.01, average=0.75))
    image = torch.full((1, 3, 2, 2), 0.5)
    images = []
    for _ in range(4):
        image = optimizer.step(image, torch.ones_like(image))
        images.append(image)
    weights = torch.tensor([0.75**3, 0.75**2, 0.75, 1.0])
    expected = sum(w * i for w, i in zip(weights, images, strict=True)) / weights.sum()
    torch.testing.assert_close(optimizer.result(image), expected)


def test_adam_carries_its_moments_to_the_next_scale() -> None:
    carried, fresh = ProjectedAdam(Adam()), ProjectedAdam(Adam())
    image = torch.full((1, 3, 4, 4), 0.5)
    for _ in range(5):
        carried.step(image, torch.ones_like(image))
    carried.restart(8, 8)
    larger = torch.full((1, 3, 8, 8), 0.5)
    # After five steps downhill, one opposite gradient does not turn it round.
    assert (carried.step(larger, -torch.ones_like(larger)) < larger).all()
    assert (fresh.step(larger, -torch.ones_like(larger)) > larger).all()


@pytest.mark.parametrize("settings", SETTINGS)
def test_slowing_down_halves_the_step(settings: LBFGS | Adam) -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    gradient = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    usual, slow = optimizers.build(settings), optimizers.build(settings)
    slow.slow_down()
    torch.testing.assert_close(2 * (slow.step(image, gradient) - image), usual.step(image, gradient) - image)
