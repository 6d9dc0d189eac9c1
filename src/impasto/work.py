"""How far a run is, for everything that shows it."""

from impasto.events import Stepped
from impasto.schedule import Scale


class Work:
    """How much of a run is done, a step counting as many times as its picture has pixels."""

    def __init__(self, scales: tuple[Scale, ...]) -> None:
        self.scales = scales
        self._costs = [scale.height * scale.width for scale in scales]

    def done(self, event: Stepped) -> float:
        """Return the part of the work that is done, 0 to 1."""
        total = sum(cost * scale.steps for cost, scale in zip(self._costs, self.scales, strict=True))
        before = sum(self._costs[i] * self.scales[i].steps for i in range(event.scale))
        return (before + self._costs[event.scale] * event.step) / total
