"""Both optimisers on problems with known solutions, compared with textbooks and with other implementations."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from impasto.engine import optimizers
from impasto.engine.objective import Evaluation, gradient_of
from impasto.engine.optimizers import LBFGS, Adam, Optimizer
from impasto.engine.optimizers.history import CurvaturePairs
from impasto.recipe import recipe

Problem = Callable[[torch.Tensor], Evaluation]

LBFGS_SETTINGS = recipe.LBFGS(max_step=0.5, first_step=0.1)
ADAM = recipe.Adam(learning_rate=0.05, average=0.5)
SETTINGS = [
    pytest.param(LBFGS_SETTINGS, id="lbfgs"),
    pytest.param(ADAM, id="adam"),
]
BOUNDS = pytest.mark.parametrize("projected", [True, False], ids=["projected", "free"])


def quadratic(seed: int, size: int = 4, scale: float = 1.0) -> tuple[Problem, torch.Tensor, torch.Tensor]:
    """A convex problem, 1/2 (x - c) A (x - c), with a condition number of 1000; its matrix and its minimum."""
    generator = torch.Generator().manual_seed(seed)
    n = 3 * size * size
    basis, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    matrix = scale * basis @ torch.diag(torch.logspace(0, 3, n, dtype=torch.float64)) @ basis.T
    centre = torch.rand(n, generator=generator, dtype=torch.float64)

    def problem(image: torch.Tensor) -> Evaluation:
        away = image.flatten() - centre
        return evaluation(0.5 * away @ matrix @ away, (matrix @ away).view_as(image))

    return problem, matrix, centre


def evaluation(loss: torch.Tensor, gradient: torch.Tensor) -> Evaluation:
    """An evaluation of a problem with one term."""
    return Evaluation((), loss[None], gradient)


def slope(gradient: torch.Tensor) -> Evaluation:
    """An evaluation whose loss is not used."""
    return evaluation(torch.ones((), dtype=gradient.dtype), gradient)


def grey(size: int = 4) -> torch.Tensor:
    return torch.full((1, 3, size, size), 0.5, dtype=torch.float64)


def descend(optimizer: Optimizer, problem: Problem, steps: int, image: torch.Tensor | None = None) -> torch.Tensor:
    image = grey() if image is None else image
    for _ in range(steps):
        image = optimizer.step(image, problem(image))
    return optimizer.result(image)


@BOUNDS
@pytest.mark.parametrize("settings", SETTINGS)
def test_descends_a_convex_problem(settings: recipe.LBFGS | recipe.Adam, projected: bool) -> None:
    problem, _, _ = quadratic(0)
    found = descend(optimizers.build(settings, projected=projected), problem, 150)
    assert problem(found).loss < 0.01 * problem(grey()).loss


@pytest.mark.parametrize("settings", SETTINGS)
def test_projected_the_image_stays_in_its_range(settings: recipe.LBFGS | recipe.Adam) -> None:
    optimizer = optimizers.build(settings, projected=True)
    image = grey()
    target = torch.linspace(-1, 2, 48, dtype=torch.float64).view(1, 3, 4, 4)

    def problem(x: torch.Tensor) -> Evaluation:
        return evaluation((x - target).square().sum(), 2 * (x - target))

    for _ in range(20):
        image = optimizer.step(image, problem(image))
        assert image.min() >= 0
        assert image.max() <= 1
    assert (image == 0).any()
    assert (image == 1).any()


def test_lbfgs_finds_the_constrained_minimum() -> None:
    # The point of the box nearest to a point outside is that point clamped, pixel by pixel.
    generator = torch.Generator().manual_seed(1)
    weights = 10 ** (3 * torch.rand(48, generator=generator, dtype=torch.float64)).view(1, 3, 4, 4)
    centre = 3 * torch.rand(1, 3, 4, 4, generator=generator, dtype=torch.float64) - 1

    def problem(x: torch.Tensor) -> Evaluation:
        return evaluation((weights * (x - centre).square()).sum() / 2, weights * (x - centre))

    settings = recipe.LBFGS(max_step=0.5, first_step=0.1)
    found = descend(LBFGS(settings), problem, 200)
    torch.testing.assert_close(found, centre.clamp(0, 1), atol=1e-3, rtol=0)


@BOUNDS
def test_lbfgs_is_as_good_as_scipys(projected: bool) -> None:
    # By steps and not by evaluations, because SciPy's searches along each direction and ours does not.
    problem, _, _ = quadratic(4)

    def flat(x: np.ndarray) -> tuple[float, np.ndarray]:
        found = problem(torch.from_numpy(x).view(1, 3, 4, 4))
        return found.loss, gradient_of(found).flatten().numpy()

    bounds = [(0, 1)] * 48 if projected else None
    options = {"maxiter": 60, "maxcor": 10, "ftol": 0, "gtol": 0}
    theirs = minimize(flat, grey().flatten().numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    start = problem(grey()).loss
    settings = recipe.LBFGS(history=10, max_step=0.5, first_step=0.01)
    mine = problem(descend(LBFGS(settings, projected=projected), problem, 60)).loss
    # Both are close to the minimum, so the remaining losses are compared in orders of magnitude.
    assert math.log10(mine / start) < 0.7 * math.log10(float(theirs.fun) / start)


def test_the_memory_is_the_bfgs_matrix_of_its_pairs() -> None:
    # Applied at once or pair by pair, the matrix is that of the textbook's update. There are more pairs than the
    # history holds, so that old ones are overwritten.
    _, matrix, _ = quadratic(2, size=2)
    generator = torch.Generator().manual_seed(3)
    memory = CurvaturePairs(4, torch.zeros(12, dtype=torch.float64))
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    for _ in range(7):
        step = torch.randn(12, dtype=torch.float64, generator=generator)
        assert memory.add(step, matrix @ step)
        pairs = [*pairs, (step, matrix @ step)][-4:]
    last = pairs[-1][1]
    inverse = torch.eye(12, dtype=torch.float64) * (pairs[-1][0] @ last) / (last @ last)
    identity = torch.eye(12, dtype=torch.float64)
    for step, change in pairs:
        left = identity - torch.outer(step, change) / (step @ change)
        inverse = left @ inverse @ left.T + torch.outer(step, step) / (step @ change)
    vector = torch.randn(12, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(memory.inverse_hessian(vector.clone()), inverse @ vector)


def test_the_memory_forgets_and_refuses_pairs_of_negative_curvature() -> None:
    memory = CurvaturePairs(3, torch.zeros(2))
    vector = torch.tensor([1.0, 2.0])
    assert not memory.add(vector.clone(), -vector)
    assert not memory.add(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert torch.equal(memory.inverse_hessian(vector.clone()), vector)
    assert memory.add(vector.clone(), 4 * vector)
    torch.testing.assert_close(memory.inverse_hessian(vector.clone()), vector / 4)
    memory.clear()
    assert memory.empty


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_the_first_step_does_not_depend_on_the_scale_of_the_loss(scale: float) -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    gradient = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    moved = LBFGS(recipe.LBFGS(first_step=0.02)).step(image, slope(scale * gradient))
    assert (moved - image).square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_lbfgs_does_not_stop_on_a_badly_scaled_problem(scale: float) -> None:
    # torch.optim.LBFGS stops here at once, because its tolerances are absolute and its first step depends on the sum of
    # the gradient.
    problem, _, _ = quadratic(5, scale=scale)

    def in_float32(image: torch.Tensor) -> Evaluation:
        found = problem(image.double())
        return evaluation(torch.tensor(found.loss), gradient_of(found).float())

    settings = recipe.LBFGS(max_step=0.5, first_step=0.01)
    found = descend(LBFGS(settings), in_float32, 100, grey().float())
    assert in_float32(found).loss < 0.01 * in_float32(grey().float()).loss


def test_lbfgs_goes_back_when_a_step_leads_above_the_start() -> None:
    # A narrow valley: the first step, of the requested size, lands on the other side, higher than the start.
    def problem(x: torch.Tensor) -> Evaluation:
        away = x - 0.52
        return evaluation(away.square().sum(), 2 * away)

    optimizer = LBFGS(recipe.LBFGS(first_step=0.3))
    first = grey()
    far = optimizer.step(first, problem(first))
    assert problem(far).loss > problem(first).loss
    back = optimizer.step(far, problem(far))
    assert torch.equal(back, first)
    # The history from there leads to the minimum.
    after = optimizer.step(back, problem(back))
    assert problem(after).loss < 1e-3 * problem(first).loss


@BOUNDS
def test_a_step_is_bounded(projected: bool) -> None:
    optimizer = LBFGS(recipe.LBFGS(max_step=0.03), projected=projected)
    image = torch.full((1, 3, 4, 4), 0.5)
    for _ in range(10):
        following = optimizer.step(image, slope((image - 0.9) * 1e-3))
        assert (following - image).square().mean().sqrt() <= 0.03 * 1.001
        image = following


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_zero_gradient_moves_nothing(settings: recipe.LBFGS | recipe.Adam) -> None:
    image = torch.rand(1, 3, 4, 4)
    optimizer = optimizers.build(settings)
    for _ in range(3):
        following = optimizer.step(image, slope(torch.zeros_like(image)))
        assert torch.equal(following, image)


@BOUNDS
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_state_resumes_to_the_bit(settings: recipe.LBFGS | recipe.Adam, projected: bool) -> None:
    # Twelve steps with a history of eight, so that old pairs have been overwritten.
    problem, _, _ = quadratic(6)
    optimizer = optimizers.build(settings, projected=projected)
    image = descend(optimizer, problem, 12)
    image = grey()
    for _ in range(12):
        image = optimizer.step(image, problem(image))
    state = {name: value.clone() for name, value in optimizer.state().items()}
    copy = optimizers.build(settings, projected=projected)
    copy.load(state)
    mine, theirs = image, image.clone()
    for _ in range(10):
        mine = optimizer.step(mine, problem(mine))
        theirs = copy.step(theirs, problem(theirs))
        assert torch.equal(mine, theirs)
    assert torch.equal(optimizer.result(mine), copy.result(theirs))


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_state_of_a_beginning_is_a_beginning(settings: recipe.LBFGS | recipe.Adam) -> None:
    problem, _, _ = quadratic(7)
    copy = optimizers.build(settings)
    copy.load(optimizers.build(settings).state())
    assert torch.equal(descend(copy, problem, 3), descend(optimizers.build(settings), problem, 3))


def test_adam_equals_torch_where_no_bound_is_met() -> None:
    problem, _, _ = quadratic(3)
    mine = descend(Adam(recipe.Adam(learning_rate=0.001, beta1=0.9, beta2=0.99, average=0)), problem, 20)
    theirs = grey().requires_grad_()
    reference = torch.optim.Adam([theirs], lr=0.001, betas=(0.9, 0.99), eps=1e-12)
    for _ in range(20):
        theirs.grad = problem(theirs.detach()).gradient
        reference.step()
    torch.testing.assert_close(mine, theirs.detach())


def test_adams_rate_decays_as_keras_exponential_decay() -> None:
    # If the gradient never changes, every step is as long as the learning rate.
    optimizer = Adam(recipe.Adam(learning_rate=0.01, decay=0.5, decay_steps=4, average=0), projected=False)
    image = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    lengths = []
    for _ in range(9):
        following = optimizer.step(image, slope(torch.ones_like(image)))
        lengths.append(float((image - following)[0, 0, 0, 0]))
        image = following
    assert lengths == pytest.approx([0.01 * 0.5 ** (step / 4) for step in range(9)], rel=1e-6)


def test_adam_result_is_the_unbiased_running_mean() -> None:
    optimizer = Adam(recipe.Adam(learning_rate=0.01, average=0.75))
    image = torch.full((1, 3, 2, 2), 0.5)
    images = []
    for _ in range(4):
        image = optimizer.step(image, slope(torch.ones_like(image)))
        images.append(image)
    weights = torch.tensor([0.75**3, 0.75**2, 0.75, 1.0])
    expected = sum(w * i for w, i in zip(weights, images, strict=True)) / weights.sum()
    torch.testing.assert_close(optimizer.result(image), expected)


def test_adam_carries_its_moments_to_the_next_scale() -> None:
    carried, fresh = Adam(recipe.Adam()), Adam(recipe.Adam())
    image = torch.full((1, 3, 4, 4), 0.5)
    for _ in range(5):
        carried.step(image, slope(torch.ones_like(image)))
    carried.restart(8, 8)
    larger = torch.full((1, 3, 8, 8), 0.5)
    # After five steps in one direction, one opposite gradient does not reverse it.
    assert (carried.step(larger, slope(-torch.ones_like(larger))) < larger).all()
    assert (fresh.step(larger, slope(-torch.ones_like(larger))) > larger).all()


@pytest.mark.parametrize("settings", [LBFGS_SETTINGS, ADAM])
def test_slowing_down_halves_the_step(settings: recipe.LBFGS | recipe.Adam) -> None:
    image = torch.full((1, 3, 4, 4), 0.5)
    gradient = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    usual, slow = optimizers.build(settings), optimizers.build(settings)
    slow.slow_down()
    halved, whole = (optimizer.step(image, slope(gradient)) - image for optimizer in (slow, usual))
    torch.testing.assert_close(2 * halved, whole)
