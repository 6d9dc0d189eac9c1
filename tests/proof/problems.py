"""Problems for an optimiser of images, with known solutions or ones that SciPy finds too.

Each is a function of an image (1, 3, H, W), for impasto, and of its pixels as a flat float64 vector, for SciPy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize
from scipy.special import expit

from impasto.engine.objective import Objective
from impasto.recipe import Recipe
from impasto.recipe.terms import Content, Gram
from impasto.vgg.network import VGG
from tests.conftest import SMALL_LAYERS, small_tensors

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """Something to minimise over images, from a start inside [0, 1].

    Attributes:
        value: the loss of a flat vector, and its gradient.
        size: (H, W) of the image.
        start: the vector to start from.
        free: the minimum over all vectors and its position; None if it is not known.
        boxed: the minimum over [0, 1] and its position; None if it is not known.

    """

    value: Callable[[Vector], tuple[float, Vector]]
    size: tuple[int, int]
    start: Vector
    free: tuple[float, Vector] | None = None
    boxed: tuple[float, Vector] | None = None

    def image(self, vector: Vector) -> torch.Tensor:
        """Return `vector` as an image (1, 3, H, W), float64."""
        return torch.from_numpy(vector.copy()).view(1, 3, *self.size)

    def evaluate(self, image: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Return the loss of `image` and its gradient, of the image's shape, dtype and device."""
        loss, slope = self.value(image.detach().cpu().double().flatten().numpy())
        return loss, self.image(slope).to(image)


@dataclass(frozen=True)
class Descent:
    """SciPy's losses and numbers of evaluations so far, after each iteration, from 0 on."""

    losses: list[float]
    evaluations: list[int]
    last: Vector

    def after(self, iterations: int) -> float:
        """Return the loss after so many iterations, or the last one if SciPy stopped before."""
        return self.losses[min(iterations, len(self.losses) - 1)]


def scipy_descent(problem: Problem, iterations: int, *, bounded: bool, history: int = 10) -> Descent:
    """Run SciPy's L-BFGS-B for a number of iterations, in [0, 1] or unbounded, without other stopping conditions."""
    count = 0

    def value(x: Vector) -> tuple[float, Vector]:
        nonlocal count
        count += 1
        return problem.value(x)

    losses, evaluations = [problem.value(problem.start)[0]], [1]

    def note(intermediate_result: OptimizeResult) -> None:
        losses.append(float(intermediate_result.fun))
        evaluations.append(count)

    found = minimize(
        value,
        problem.start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * problem.start.size if bounded else None,
        callback=note,
        # Without tolerances it ends after the given iterations, or when rounding prevents a further descent.
        options={"maxiter": iterations, "maxcor": history, "maxfun": 10**9, "ftol": 0, "gtol": 0},
    )
    return Descent(losses, evaluations, found.x)


def _answer(generator: np.random.Generator, n: int) -> tuple[Vector, Vector]:
    """A point of [0, 1]^n with a third of its values at the bounds, and a gradient that makes it a minimum (KKT)."""
    answer = generator.uniform(0.2, 0.8, n)
    place = generator.permutation(n)
    low, high = place[: n // 6], place[n // 6 : n // 3]
    answer[low], answer[high] = 0.0, 1.0
    slope = np.zeros(n)
    slope[low], slope[high] = generator.uniform(1, 10, low.size), -generator.uniform(1, 10, high.size)
    return answer, slope


def _spread(generator: np.random.Generator, n: int, condition: float) -> NDArray[np.float64]:
    """A symmetric matrix with random axes and eigenvalues from 1 to `condition`, evenly spaced in their logarithm."""
    axes, _ = np.linalg.qr(generator.normal(size=(n, n)))
    return np.asarray(axes * np.geomspace(1, condition, n) @ axes.T)


def quadratic(condition: float = 1e4, size: int = 6, seed: int = 0, *, at_bounds: bool = False) -> Problem:
    """1/2 (x - c) A (x - c) with a condition number of `condition` and c in the box.

    With `at_bounds`, a third of the pixels of the minimum over [0, 1] are 0 or 1.
    """
    generator = np.random.default_rng(seed)
    n = 3 * size * size
    matrix = _spread(generator, n, condition)
    boxed, slope = _answer(generator, n) if at_bounds else (generator.uniform(0.2, 0.8, n), np.zeros(n))
    # A (boxed - c) = gradient, which at a bound increases into the box.
    centre = boxed - np.linalg.solve(matrix, slope)

    def value(x: Vector) -> tuple[float, Vector]:
        gradient = matrix @ (x - centre)
        return float(0.5 * (x - centre) @ gradient), gradient

    return Problem(value, (size, size), np.full(n, 0.5), (0.0, centre), (value(boxed)[0], boxed))


def softplus(condition: float = 1e3, size: int = 6, seed: int = 0, *, at_bounds: bool = False) -> Problem:
    """A convex problem whose curvature is not constant: sum_i log(1 + exp(s (a_i x - b_i))) / s + |x|^2 / 2 - g x.

    This is logistic regression with a ridge. g is chosen so that the minimum over [0, 1] is a given random point.
    Without `at_bounds` that point is inside, and then it is the minimum over all vectors too.
    """
    generator = np.random.default_rng(seed)
    n = 3 * size * size
    boxed, slope = _answer(generator, n) if at_bounds else (generator.uniform(0.2, 0.8, n), np.zeros(n))
    planes = _spread(generator, n, condition**0.5)
    offsets = planes @ boxed + generator.normal(0, 0.3, n)
    sharpness = 4.0
    pull = planes.T @ expit(sharpness * (planes @ boxed - offsets)) + boxed - slope

    def value(x: Vector) -> tuple[float, Vector]:
        distance = sharpness * (planes @ x - offsets)
        loss = np.logaddexp(0, distance).sum() / sharpness + 0.5 * x @ x - pull @ x
        return float(loss), planes.T @ expit(distance) + x - pull

    known = (value(boxed)[0], boxed)
    return Problem(value, (size, size), np.full(n, 0.5), None if at_bounds else known, known)


def style(size: int = 24, seed: int = 0, pooling: Literal["max", "average", "l2"] = "average") -> Problem:
    """A small style transfer by the paper's losses: five Gram matrices and content, on a small seeded network."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    pictures = []
    for frequency in (8, 25):
        waves = [np.sin(generator.uniform(-frequency, frequency, 2) @ [x.ravel(), y.ravel()] + c) for c in range(3)]
        pictures.append(0.5 + 0.4 * np.stack(waves).reshape(1, 3, size, size))
    photo, painting = (torch.from_numpy(picture) for picture in pictures)
    network = VGG(SMALL_LAYERS, small_tensors(SMALL_LAYERS), [0.5, 0.4, 0.3], pooling=pooling).to(dtype=torch.float64)
    # Ours: with 1e-3 for the literal content the two terms end with values of the same order.
    recipe = Recipe(content_weight=1e-3, terms=Content("relu4_1", "literal") + Gram(form="literal"))
    objective = Objective(network, recipe, photo, [(painting, 1.0)])

    def value(x: Vector) -> tuple[float, Vector]:
        found = objective.evaluate(torch.from_numpy(x.copy()).view(1, 3, size, size))
        assert found.gradient is not None
        return found.loss, found.gradient.flatten().numpy()

    return Problem(value, (size, size), generator.uniform(0, 1, 3 * size * size))
