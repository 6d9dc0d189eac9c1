"""The plans of a run, and the memory and time that they will take, computed before it begins."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from impasto.engine import devices, planning
from impasto.engine.planning import Plan, ScaleSize
from impasto.engine.scene import Scene
from impasto.errors import DeviceError
from impasto.recipe import Recipe
from impasto.recipe.schedule import Scale


@dataclass(frozen=True)
class Budget:
    """The memory limit of a run, and what the run will take.

    Attributes:
        scene: the pictures, the recipe and the device.
        limit: in bytes; None for all that is free.
        element_size: bytes per number of the features.
        is_winograd: whether convolutions use Winograd's method, so that blocks can be computed in bands of rows.

    """

    scene: Scene
    limit: int | None
    element_size: int
    is_winograd: bool

    def plans(self) -> tuple[Plan, ...]:
        """Return the best plan within the limit for each scale.

        Raises:
            DeviceError: nothing fits into the limit; the message names the largest size that would.

        """
        limit = self.limit or devices.available_memory(self.scene.device)
        best = [planning.choose(self.scene.recipe, self._size(scale), limit) for scale in self.scene.scales]
        plans = tuple(plan for plan in best if plan)
        if len(plans) < len(best):
            assert limit is not None
            raise self._refusal(limit)
        return plans

    def seconds(self, plans: Sequence[Plan]) -> float:
        """Return the seconds that all steps will take on this machine's CPU with these plans."""
        pairs = zip(self.scene.scales, plans, strict=True)
        return sum(planning.seconds(self.scene.recipe, self._size(scale), plan) for scale, plan in pairs)

    def next_smaller(self, scale: Scale, plan: Plan) -> Plan | None:
        """Return the next plan for a scale that takes clearly less memory than `plan`; None if there is none."""
        return planning.next_smaller(self.scene.recipe, self._size(scale), plan)

    def alternatives(self, scale: Scale) -> list[Plan]:
        """Return all plans for a scale, best first."""
        return list(planning.plans(self.scene.recipe, self._size(scale)))

    def _with(self, recipe: Recipe) -> "Budget":
        return dataclasses.replace(self, scene=dataclasses.replace(self.scene, recipe=recipe))

    def _size(self, scale: Scale) -> ScaleSize:
        height, width = self.scene.canvas_size(scale)
        is_banded = self.is_winograd and not self.scene.has_masks
        return ScaleSize(height, width, self.scene.style_pixels(scale), scale.steps, self.element_size, is_banded)

    def _fits(self, limit: int) -> bool:
        sizes = (self._size(scale) for scale in self.scene.scales)
        return all(planning.least_memory(self.scene.recipe, size) <= limit for size in sizes)

    def _refusal(self, limit: int) -> DeviceError:
        """Return the error for a scene that no plan fits, naming the largest size that would fit."""
        scene, recipe = self.scene, self.scene.recipe
        last = scene.scales[-1]
        full = max(last.height, last.width) if recipe.size == "original" else recipe.size
        smaller = (size for size in range(full - 16, 15, -16) if self._with(recipe.replace(size=size))._fits(limit))
        fitting = next(smaller, None)
        largest = self._size(last)
        return DeviceError(
            f"not enough memory: {largest.width}x{largest.height} needs about "
            f"{planning.least_memory(recipe, largest) / 1e9:.1f} GB at the least, and there are {limit / 1e9:.1f} GB; "
            f"{f'choose a --size up to about {fitting}' if fitting else 'no size fits'}, "
            "or say otherwise with --max-memory"
        )
