"""The objective of a run: the recipe's terms, fitted to one content and its styles at one size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto import losses
from impasto.losses import ImageLoss, MomentLoss, PositionLoss
from impasto.moments import Moments, blend, moments
from impasto.network import VGG, Padding
from impasto.recipe import Recipe
from impasto.terms import LayeredLoss
from impasto.types import Image, LayerFeatures, Scalar


@dataclass(frozen=True)
class Evaluation:
    """What the objective says of an image: the loss, what each term adds to it, and the gradient if asked for."""

    loss: float
    terms: dict[str, float]
    gradient: Image | None

    @property
    def slope(self) -> Image:
        """The gradient; only of evaluations that were asked for it."""
        assert self.gradient is not None
        return self.gradient

    @property
    def finite(self) -> bool:
        """Whether the loss and the gradient, if there is one, are numbers."""
        return math.isfinite(self.loss) and (self.gradient is None or bool(self.gradient.isfinite().all()))


@dataclass(frozen=True)
class _Part:
    """One loss at one layer, or of the image, with its target and the name of the term it counts for."""

    label: str
    weight: float
    loss: losses.AnyLoss
    layer: str | None
    target: Any


class Objective:
    """A weighted sum of losses, ready to judge images of one size.

    Args:
        network: whose features are compared.
        recipe: its terms and weights; a term of weight 0 costs nothing.
        content: (1, 3, H, W) the photo, sRGB in [0, 1].
        styles: the style pictures, (1, 3, h, w) each, and their weights, which need not sum to 1.

    """

    def __init__(self, network: VGG, recipe: Recipe, content: Image, styles: Sequence[tuple[Image, float]]) -> None:
        self._network = network
        self._tiles = recipe.padding == "circular"
        self._parts: list[_Part] = []
        wanted: dict[type, set[str]] = {PositionLoss: set(), MomentLoss: set()}
        plan = list(_plan(recipe))
        for _, _, loss, layer in plan:
            for kind, names in wanted.items():
                if layer is not None and isinstance(loss, kind):
                    names.add(layer)
        self._layers = wanted[PositionLoss] | wanted[MomentLoss]
        self._moment_layers = wanted[MomentLoss]
        with torch.no_grad():
            features = network(content, wanted[PositionLoss]) if wanted[PositionLoss] else {}
            statistics = self._blended(styles) if wanted[MomentLoss] else {}
            for label, weight, loss, layer in plan:
                target: Any = None
                if layer is not None and isinstance(loss, PositionLoss):
                    target = loss.target(features[layer])
                elif layer is not None and isinstance(loss, MomentLoss):
                    target = loss.target(statistics[layer])
                self._parts.append(_Part(label, weight, loss, layer, target))

    def _blended(self, styles: Sequence[tuple[Image, float]]) -> dict[str, Moments]:
        total = sum(weight for _, weight in styles)
        parts: dict[str, list[tuple[Moments, float]]] = {layer: [] for layer in self._moment_layers}
        for image, weight in styles:
            # A style picture goes on at its other side only by chance.
            padding: Padding | None = "reflect" if self._tiles else None
            for layer, features in self._network(image, self._moment_layers, padding).items():
                parts[layer].append((moments(features), weight / total))
        return {layer: blend(shares) for layer, shares in parts.items()}

    def evaluate(self, image: Image, *, gradient: bool = True) -> Evaluation:
        """Return the loss of `image`, (1, 3, H, W) sRGB in [0, 1], term by term, and its gradient."""
        image = image.detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            values = self._values(image)
            total = torch.stack(list(values.values())).sum()
        if gradient:
            (slope,) = torch.autograd.grad(total, image)
        # One transfer from the device for all numbers.
        numbers = torch.stack([total, *values.values()]).detach().tolist()
        terms = dict(zip(values, numbers[1:], strict=True))
        return Evaluation(numbers[0], terms, slope if gradient else None)

    def _values(self, image: Image) -> dict[str, Scalar]:
        features: LayerFeatures = self._network(image, self._layers) if self._layers else {}
        statistics = {layer: moments(features[layer]) for layer in self._moment_layers}
        values: dict[str, Tensor] = {}
        for part in self._parts:
            if isinstance(part.loss, ImageLoss):
                value = part.loss.value(F.pad(image, (0, 1, 0, 1), mode="circular") if self._tiles else image)
            elif isinstance(part.loss, PositionLoss):
                value = part.loss.value(features[str(part.layer)], part.target)
            else:
                value = part.loss.value(statistics[str(part.layer)], part.target)
            value = part.weight * value
            values[part.label] = values[part.label] + value if part.label in values else value
        return values


def _plan(recipe: Recipe) -> list[tuple[str, float, losses.AnyLoss, str | None]]:
    """Return label, weight, loss and layer of everything the recipe's terms ask to be computed."""
    plan: list[tuple[str, float, losses.AnyLoss, str | None]] = []
    labels: set[str] = set()
    for term in recipe.terms:
        label = term.label if term.label not in labels else f"{term.label} {len(labels) + 1}"
        labels.add(label)
        weight, loss = recipe.weight_of(term), losses.build(term.loss)
        if isinstance(term.loss, LayeredLoss):
            plan += [(label, weight * share, loss, layer) for layer, share in term.loss.layers if weight * share > 0]
        elif weight > 0:
            plan.append((label, weight, loss, None))
    return plan
