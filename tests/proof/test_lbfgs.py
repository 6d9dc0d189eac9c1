"""Our L-BFGS compared with SciPy's L-BFGS-B, on convex problems with known solutions and a small style problem."""

from typing import Literal

import pytest
import torch

from impasto.engine.objective import Evaluation
from impasto.engine.optimizers import LBFGS
from impasto.recipe import recipe
from tests.proof import problems
from tests.proof.problems import Problem

BOUNDS = pytest.mark.parametrize("bounded", [True, False], ids=["projected", "free"])


def descend(problem: Problem, evaluations: int, *, bounded: bool) -> list[float]:
    """The lowest loss after each evaluation."""
    settings = recipe.LBFGS(history=10, max_step=0.5, first_step=0.01)
    optimizer = LBFGS(settings, projected=bounded)
    lowest: list[float] = []

    def evaluate(image: torch.Tensor) -> Evaluation:
        loss, slope = problem.evaluate(image)
        lowest.append(min(loss, lowest[-1] if lowest else loss))
        return Evaluation((), torch.tensor([loss], dtype=torch.float64), slope)

    image = problem.image(problem.start)
    while len(lowest) < evaluations:
        image = optimizer.step(image, evaluate(image))
    return lowest[:evaluations]


@pytest.mark.parametrize(
    ("at_bounds", "bounded"),
    [
        pytest.param(False, True, id="inside-projected"),
        pytest.param(False, False, id="inside-free"),
        # The unbounded minimum is not known.
        pytest.param(True, True, id="at-bounds-projected"),
    ],
)
def test_it_finds_the_minimum_of_a_convex_problem(at_bounds: bool, bounded: bool) -> None:
    problem = problems.softplus(at_bounds=at_bounds)
    known = problem.boxed if bounded else problem.free
    assert known is not None
    found = descend(problem, 300, bounded=bounded)
    assert found[-1] - known[0] < 1e-6 * (found[0] - known[0])


@BOUNDS
def test_it_is_as_fast_as_scipys_on_a_badly_scaled_problem(bounded: bool) -> None:
    problem = problems.quadratic(condition=1e4)
    known = problem.boxed if bounded else problem.free
    assert known is not None
    theirs = problems.scipy_descent(problem, 100, bounded=bounded)
    spent = theirs.evaluations[-1]
    mine = descend(problem, 2 * spent, bounded=bounded)
    # Ours reaches SciPy's loss after at most twice as many evaluations, and mostly sooner.
    assert mine[-1] - known[0] < max(theirs.losses[-1] - known[0], 1e-9 * mine[0])


@BOUNDS
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_it_is_as_good_as_scipys_on_a_style_problem(pooling: Literal["average", "max"], bounded: bool) -> None:
    problem = problems.style(pooling=pooling)
    theirs = problems.scipy_descent(problem, 60, bounded=bounded)
    mine = descend(problem, theirs.evaluations[-1], bounded=bounded)
    # The problem is not convex, so the results differ: by at most a fifth after the same number of evaluations.
    assert mine[-1] < 1.2 * theirs.losses[-1]
