"""The progress of a run, for everything that shows it."""

from collections.abc import Sequence

from impasto.recipe.schedule import Scale
from impasto.reports.events import Stepped


class Work:
    """The work of a run, and how much of it is done.

    Args:
        scales: of the run.
        costs: of a step at each scale, see `events.Started`; if left out, the pixels of its image.

    """

    def __init__(self, scales: tuple[Scale, ...], costs: Sequence[float] = ()) -> None:
        self.scales = scales
        self._costs = costs or [float(scale.height * scale.width) for scale in scales]

    def done(self, event: Stepped) -> float:
        """Return the fraction of the work that is done after an event, 0 to 1."""
        total = sum(cost * scale.steps for cost, scale in zip(self._costs, self.scales, strict=True))
        before = sum(self._costs[i] * self.scales[i].steps for i in range(event.scale))
        return (before + self._costs[event.scale] * event.step) / total
