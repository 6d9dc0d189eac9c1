"""The state of a run between two steps."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.engine.optimizers import State
from impasto.engine.planning import Plan
from impasto.ops.shapes import Image
from impasto.system.tables import ReadOnlyTable, Table

_OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Snapshot:
    """The state of a run between two steps, from which it continues as if it had never stopped.

    There is no random state: only the first image is random, and its seed is the recipe's.

    Attributes:
        scale: index of the present scale; 0 is the coarsest.
        done: steps taken at the present scale, at least 1.
        failures: how often a loss was not finite at the present scale.
        seconds: duration of the run so far.
        plans: how each scale is computed, which decides the last bits.
        image: (1, 3, H, W) with its margin, float32; evaluated, but no step was taken from it yet.
        best: (1, 3, H, W) the best image since the optimizer was last slowed down.
        lowest: (1 + terms,) the numbers of its evaluation; None if the descent starts anew from `image`.
        start: (1, 3, H, W) the image at the start of the scale, if the result is to be compared with it.
        first: (1 + terms,) the numbers of the evaluation of `start`, if known.
        optimizer: the state of the optimizer.

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
        """Return the same position and image without the optimizer's state, for another objective."""
        image = self.image.clamp(0, 1) if bounds == "projected" else self.image
        return dataclasses.replace(
            self, image=image, best=image, lowest=None, start=None, first=None, failures=0, optimizer={}
        )

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; not copied."""
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
    def position(self) -> Table:
        """Everything but the tensors, as plain values for JSON."""
        return {
            "scale": self.scale,
            "done": self.done,
            "failures": self.failures,
            "seconds": self.seconds,
            "plans": [[plan.tile, plan.history, plan.memory, plan.cached_tiles] for plan in self.plans],
        }

    @classmethod
    def of(cls, position: ReadOnlyTable, tensors: Mapping[str, Tensor]) -> "Snapshot":
        """Return the snapshot that `position` and `tensors` were taken of.

        Raises:
            ValueError: they are not those of a snapshot; or a KeyError if something is missing.

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
