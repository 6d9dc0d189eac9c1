"""How far to go along a direction. Nocedal and Wright 2006, algorithms 3.5 and 3.6."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

# Nocedal and Wright 2006, section 3.1: "c1 is quite small, say 1e-4", "c2 is 0.9 for a quasi-Newton method".
SUFFICIENT_DECREASE: Final = 1e-4
CURVATURE: Final = 0.9
# Ours: an evaluation costs what a step costs; a search that needs more is started again along another direction.
EVALUATIONS: Final = 20

Payload = TypeVar("Payload")


@dataclass(frozen=True)
class Trial(Generic[Payload]):
    """A point on the line: how far, the loss there, its slope along the line, and whatever came with it."""

    distance: float
    loss: float
    slope: float
    payload: Payload


def strong_wolfe(
    at: Callable[[float], Trial[Payload]], start: Trial[Payload], first: float, farthest: float
) -> Trial[Payload]:
    """Return a point of the line where the strong Wolfe conditions hold.

    Args:
        at: the line; where the loss is not a number it is infinite.
        start: the point at distance 0, whose slope is negative.
        first: the distance to try first.
        farthest: the largest distance allowed.

    Returns:
        A point where both conditions hold; where none was found, the lowest one seen, which is `start` itself if none
        was lower.

    """
    search = _Search(at, start)
    before, distance = start, min(first, farthest)
    while search.left > 0:
        trial = search.at(distance)
        if not search.decreases(trial) or (trial.loss >= before.loss and before is not start):
            return search.zoom(before, trial)
        if abs(trial.slope) <= -CURVATURE * start.slope:
            return trial
        if trial.slope >= 0:
            return search.zoom(trial, before)
        if distance >= farthest:
            return trial
        # Ours: doubling reaches any scale in few evaluations.
        before, distance = trial, min(2 * distance, farthest)
    return search.lowest


class _Search(Generic[Payload]):
    """Counts evaluations and remembers the lowest point."""

    def __init__(self, at: Callable[[float], Trial[Payload]], start: Trial[Payload]) -> None:
        self._at = at
        self._start = start
        self.lowest = start
        self.left = EVALUATIONS

    def at(self, distance: float) -> Trial[Payload]:
        self.left -= 1
        trial = self._at(distance)
        if trial.loss < self.lowest.loss:
            self.lowest = trial
        return trial

    def decreases(self, trial: Trial[Payload]) -> bool:
        return trial.loss <= self._start.loss + SUFFICIENT_DECREASE * trial.distance * self._start.slope

    def zoom(self, low: Trial[Payload], high: Trial[Payload]) -> Trial[Payload]:
        """Close in on a point between `low`, the lowest so far, and `high`."""
        while self.left > 0:
            trial = self.at(_between(low, high))
            if not self.decreases(trial) or trial.loss >= low.loss:
                high = trial
                continue
            if abs(trial.slope) <= -CURVATURE * self._start.slope:
                return trial
            if trial.slope * (high.distance - low.distance) >= 0:
                high = low
            low = trial
        return self.lowest


def _between(low: Trial[Payload], high: Trial[Payload]) -> float:
    """Return the minimum of the parabola through both losses and the slope at `low`, kept off the ends."""
    width = high.distance - low.distance
    bend = high.loss - low.loss - low.slope * width
    share = -low.slope * width / (2 * bend) if 0 < bend < float("inf") else 0.5
    # Ours: a tenth at least at each end, so that the bracket shrinks with every evaluation.
    return low.distance + min(max(share, 0.1), 0.9) * width
