"""What a run needs, beside its pictures and its recipe, to go on between two steps as if it had never stopped."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.engine.optimizers import State
from impasto.engine.planning import Plan
from impasto.ops.shapes import Image

_OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Snapshot:
    """A run between two steps. There is no random state: only the first image is random, and its seed is the recipe's.

    Attributes:
        scale: 0 is the coarsest.
        done: steps taken at that scale, at least 1.
        failures: how often a step led to no finite loss at that scale.
        seconds: that the run has taken so far.
        plans: how each scale is computed, which makes a difference in the last bits.
        image: (1, 3, H, W) with its margin, float32: evaluated, but not stepped from.
        best: (1, 3, H, W) the best image since the optimiser was last slowed down.
        lowest: (1 + terms,) what the objective said of it; None where the way down begins anew from `image`.
        start: (1, 3, H, W) where the scale began, if its end is to be compared with it.
        first: (1 + terms,) what the objective said of that, if it is known.
        optimizer: what the optimiser has learnt.

    """

    scale: int
    done: int
    failures: int
    seconds: float
    plans: tuple[Plan, ...]
    image: Image
    best: Image
    lowest: Tensor | None
    start: Image | None
    first: Tensor | None
    optimizer: State

    def without_history(self, bounds: str) -> "Snapshot":
        """Return the same image at the same place, without anything that was learnt of another objective."""
        image = self.image.clamp(0, 1) if bounds == "projected" else self.image
        return dataclasses.replace(
            self, image=image, best=image, lowest=None, start=None, first=None, failures=0, optimizer={}
        )

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything large, by name; not copied."""
        images = {
            "image": self.image,
            "best": self.best,
            "lowest": self.lowest,
            "start": self.start,
            "first": self.first,
        }
        tensors = {name: tensor for name, tensor in images.items() if tensor is not None}
        return tensors | {_OPTIMIZER + name: tensor for name, tensor in self.optimizer.items()}

    @property
    def position(self) -> dict[str, Any]:
        """Everything small, as JSON holds it."""
        return {
            "scale": self.scale,
            "done": self.done,
            "failures": self.failures,
            "seconds": self.seconds,
            "plans": [[plan.tile, plan.history, plan.memory, plan.cached_tiles] for plan in self.plans],
        }

    @classmethod
    def of(cls, position: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Snapshot":
        """Put together again what `position` and `tensors` gave.

        Raises:
            ValueError: they are not what a run writes; or a KeyError, where something is missing.

        """
        scale, done, failures = (int(position[name]) for name in ("scale", "done", "failures"))
        plans = tuple(Plan(tile, history, memory, cached) for tile, history, memory, cached in position["plans"])
        image, best, start = tensors["image"], tensors["best"], tensors.get("start")
        for tensor in (image, best, start):
            if tensor is not None and (
                tensor.dtype != torch.float32 or tensor.dim() != 4 or tensor.shape != image.shape
            ):
                raise ValueError("an image is of another form")
        if not 0 <= scale < len(plans) or done < 1 or failures < 0:
            raise ValueError("the position is out of range")
        learnt = {name[len(_OPTIMIZER) :]: tensor for name, tensor in tensors.items() if name.startswith(_OPTIMIZER)}
        seconds = float(position["seconds"])
        return cls(
            scale, done, failures, seconds, plans, image, best, tensors["lowest"], start, tensors.get("first"), learnt
        )
