"""The problems have correct gradients and known solutions, and SciPy finds these."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.proof import problems
from tests.proof.problems import Problem

CONVEX: dict[str, Callable[[], Problem]] = {
    "quadratic": problems.quadratic,
    "quadratic-at-bounds": lambda: problems.quadratic(condition=1e3, at_bounds=True),
    "softplus": problems.softplus,
    "softplus-at-bounds": lambda: problems.softplus(at_bounds=True),
}
ALL: dict[str, Callable[[], problems.Problem]] = {
    **CONVEX,
    "style": problems.style,
    "style-max": lambda: problems.style(pooling="max"),
}


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_is_that_of_the_value(name: str) -> None:
    problem = ALL[name]()
    direction = np.random.default_rng(1).normal(size=problem.start.size)
    step = 1e-6 * direction
    ahead, behind = problem.value(problem.start + step)[0], problem.value(problem.start - step)[0]
    assert problem.value(problem.start)[1] @ step == pytest.approx((ahead - behind) / 2, rel=1e-6, abs=0)


@pytest.mark.parametrize("name", ALL)
def test_images_and_vectors_are_the_same_problem(name: str) -> None:
    problem = ALL[name]()
    value, slope = problem.value(problem.start)
    image = problem.image(problem.start)
    assert image.shape == (1, 3, *problem.size)
    assert image.dtype == torch.float64
    loss, gradient = problem.evaluate(image)
    assert loss == value
    np.testing.assert_array_equal(gradient.flatten().numpy(), slope)
    assert problem.evaluate(image.float())[1].dtype == torch.float32


@pytest.mark.parametrize("name", CONVEX)
def test_known_answers_meet_the_conditions_of_a_minimum(name: str) -> None:
    problem = CONVEX[name]()
    size = np.abs(problem.value(problem.start)[1]).max()
    if problem.free is not None:
        value, slope = problem.value(problem.free[1])
        assert value == problem.free[0]
        assert np.abs(slope).max() < 1e-10 * size
    assert problem.boxed is not None
    best, answer = problem.boxed
    value, slope = problem.value(answer)
    assert value == best
    low, high = answer == 0, answer == 1
    assert low.any() == high.any() == name.endswith("at-bounds")
    # Karush, Kuhn and Tucker: the gradient is 0 inside, and at the bounds increases into the box.
    assert np.abs(slope[~low & ~high]).max() < 1e-10 * size
    assert (slope[low] > 0.5).all()
    assert (slope[high] < -0.5).all()


def test_the_quadratic_is_scaled_as_badly_as_it_says() -> None:
    problem = problems.quadratic(condition=1e4)
    n = problem.start.size
    origin = problem.value(np.zeros(n))[1]
    hessian = np.array([problem.value(axis)[1] - origin for axis in np.eye(n)])
    assert np.linalg.cond(hessian) == pytest.approx(1e4, rel=1e-6, abs=0)


def test_the_softplus_is_no_quadratic() -> None:
    # The gradient of a quadratic half-way between two points is the mean of theirs.
    problem = problems.softplus()
    a, b = problem.start, np.zeros_like(problem.start)
    slopes = [problem.value(x)[1] for x in (a, (a + b) / 2, b)]
    middle = (slopes[0] + slopes[2]) / 2
    assert np.linalg.norm(slopes[1] - middle) > 0.05 * np.linalg.norm(slopes[0] - slopes[2])


@pytest.mark.parametrize("bounded", [False, True], ids=["free", "bounded"])
@pytest.mark.parametrize("name", CONVEX)
def test_scipy_finds_the_known_minimum(name: str, bounded: bool) -> None:
    problem = CONVEX[name]()
    known = problem.boxed if bounded else problem.free
    found = problems.scipy_descent(problem, 600, bounded=bounded)
    if known is None:
        assert problem.boxed is not None
        assert found.after(600) < problem.boxed[0]
    else:
        start = problem.value(problem.start)[0] - known[0]
        assert found.after(600) - known[0] < 1e-8 * start
        np.testing.assert_allclose(found.last, known[1], atol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_scipy_goes_down_and_stays_where_it_may(name: str) -> None:
    problem = ALL[name]()
    found = problems.scipy_descent(problem, 40, bounded=True)
    assert len(found.losses) == len(found.evaluations) == 41
    assert found.losses[0] == found.after(0) == problem.value(problem.start)[0]
    assert (np.diff(found.losses) < 0).all()
    assert (np.diff(found.evaluations) >= 1).all()
    assert found.last.min() >= 0
    assert found.last.max() <= 1
    assert problem.value(found.last)[0] == found.after(40) == found.after(1000)
    assert problems.scipy_descent(problem, 7, bounded=True).after(7) == pytest.approx(found.after(7), rel=1e-9, abs=0)


def test_the_style_problem_has_something_to_gain() -> None:
    problem = problems.style()
    found = problems.scipy_descent(problem, 50, bounded=True)
    assert found.after(50) < 0.05 * found.after(0)
