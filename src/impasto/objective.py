"""The objective of a run: the recipe's terms, fitted to one content and its styles at one size."""

import functools
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto import architecture, losses, tiling
from impasto.errors import UsageError
from impasto.losses import ImageLoss, MomentLoss, PositionLoss
from impasto.moments import Moments, blend, moments
from impasto.network import VGG, Padding
from impasto.recipe import Recipe
from impasto.terms import LayeredLoss
from impasto.tiling import Tile
from impasto.types import Image, Scalar

# Sums over positions, by the layer or the loss that they are of; those of a picture are those of its tiles added.
Sums = dict[str, Tensor]


@dataclass(frozen=True)
class Evaluation:
    """What the objective says of an image.

    Attributes:
        labels: the names of the terms.
        numbers: (1 + terms,) the loss and what each term adds to it, where they were computed: to read them as numbers
            waits for the device.
        gradient: (1, 3, H, W), if it was asked for.

    """

    labels: tuple[str, ...]
    numbers: Tensor
    gradient: Image | None

    @functools.cached_property
    def _numbers(self) -> list[float]:
        numbers: list[float] = self.numbers.tolist()
        return numbers

    @property
    def loss(self) -> float:
        """The weighted sum of the terms."""
        return self._numbers[0]

    @property
    def terms(self) -> dict[str, float]:
        """What each term adds to the loss."""
        return dict(zip(self.labels, self._numbers[1:], strict=True))

    def without_gradient(self) -> "Evaluation":
        """Return the same without the gradient, which takes as much memory as the image."""
        return Evaluation(self.labels, self.numbers, None)

    @property
    def slope(self) -> Image:
        """The gradient; only of evaluations that were asked for it."""
        assert self.gradient is not None
        return self.gradient

    @functools.cached_property
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
    target: Any = None


class Objective:
    """A weighted sum of losses, ready to judge images of one size.

    Args:
        networks: the network whose features are compared; one on each of several devices shares the tiles among them.
        recipe: its terms and weights; a term of weight 0 costs nothing.
        content: (1, 3, H, W) the photo, sRGB in [0, 1].
        styles: the style pictures, (1, 3, h, w) each, and their weights, which need not sum to 1.
        tile: longest side of the tiles the picture is computed in, in pixels, without the halo; None for the whole at
            once. The loss and its gradient are the same, in less memory and more time.

    Raises:
        UsageError: tiles of a picture that goes on at its other side.

    """

    def __init__(
        self,
        networks: VGG | Sequence[VGG],
        recipe: Recipe,
        content: Image,
        styles: Sequence[tuple[Image, float]],
        tile: int | None = None,
    ) -> None:
        self._networks = [networks] if isinstance(networks, VGG) else list(networks)
        self._wraps = recipe.padding == "circular"
        self._tile = tile
        self._grey = recipe.colors == "luminance"
        if tile is not None and self._wraps:
            raise UsageError("a picture that goes on at its other side cannot be computed in tiles; leave them out")
        plan = list(_plan(recipe))
        self._position_layers = {part.layer for part in plan if part.layer and isinstance(part.loss, PositionLoss)}
        self._moment_layers = {part.layer for part in plan if part.layer and isinstance(part.loss, MomentLoss)}
        convolutions = self._networks[0].convolutions
        self._strides = {architecture.PIXELS: 1} | {
            name: info.stride for name, info in architecture.layers(convolutions).items()
        }
        with torch.no_grad():
            features = self._content_features(content) if self._position_layers else {}
            statistics = self._blended(styles) if self._moment_layers else {}
            self._parts = [_aimed(part, features, statistics) for part in plan]
        self._labels = tuple(dict.fromkeys(part.label for part in self._parts))

    @property
    def capturable(self) -> bool:
        """Whether an evaluation is the same operations every time, on one device: fit for a CUDA graph."""
        return self._tile is None and len(self._networks) == 1

    def _tiles(self, image: Image, layers: Iterable[str]) -> list[Tile]:
        halo, stride = tiling.reach(layers, self._networks[0].convolutions)
        height, width = image.shape[2:]
        return tiling.tiles(height, width, self._tile, halo, stride)

    def _content_features(self, content: Image) -> dict[str, Tensor]:
        whole: dict[str, Tensor] = {}
        tiles = self._tiles(content, self._position_layers)
        for tile in tiles:
            for layer, features in self._features(self._networks[0], tile.cut(content), tile, self._position_layers):
                assert isinstance(features, Tensor)
                if len(tiles) == 1:
                    whole[layer] = features
                    continue
                if layer not in whole:
                    size = (math.ceil(side / self._strides[layer]) for side in content.shape[2:])
                    whole[layer] = features.new_empty(1, features.shape[1], *size)
                tile.part(whole[layer], self._strides[layer]).copy_(features)
        return whole

    def _blended(self, styles: Sequence[tuple[Image, float]]) -> dict[str, Moments]:
        total = sum(weight for _, weight in styles)
        shares = [(self._style(image), weight / total) for image, weight in styles]
        return {
            layer: blend((found[layer], weight) for found, weight in shares) for layer in sorted(self._moment_layers)
        }

    def _style(self, image: Image) -> dict[str, Moments]:
        """Return the moments of a style picture; a process that paints many pictures computes them once."""
        # A style picture goes on at its other side only by chance.
        padding: Padding | None = "reflect" if self._wraps else None
        layers = sorted(self._moment_layers)
        pixels = hashlib.sha256(image.cpu().contiguous().numpy().tobytes()).digest()

        def measured() -> dict[str, Moments]:
            found: dict[str, Moments] = {}
            for tile in self._tiles(image, layers):
                for layer, features in self._features(self._networks[0], tile.cut(image), tile, layers, padding):
                    share = features if isinstance(features, Moments) else moments(features)
                    found[layer] = found[layer] + share if layer in found else share
            return found

        # To the bit: in what parts it is computed makes a difference in the last digits.
        parts = (self._tile, *sorted(self._position_layers))
        return self._networks[0].known_styles.get((pixels, *image.shape, padding, *layers, parts), measured)

    def _features(
        self, network: VGG, image: Image, tile: Tile, layers: Iterable[str], padding: Padding | None = None
    ) -> Iterator[tuple[str, Tensor | Moments]]:
        """Yield the features of a tile's core, layer by layer, or the moments where nothing else is wanted of them."""
        summed = {
            layer: (tile.rows.core(self._strides[layer]), tile.columns.core(self._strides[layer]))
            for layer in self._moment_layers - self._position_layers
        }
        for layer, found in network.walk(image, layers, padding, summed=summed):
            yield layer, found if isinstance(found, Moments) else tile.core(found, self._strides[layer])

    def evaluate(self, image: Image, *, gradient: bool = True) -> Evaluation:
        """Return the loss of `image`, (1, 3, H, W) sRGB in [0, 1], term by term, and its gradient."""
        image = image.detach()
        layers = self._position_layers | self._moment_layers
        tiles = self._tiles(image, layers) if layers else []
        if len(tiles) == 1:
            image.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                total, numbers = self._judged(self._sums(self._networks[0], image, tiles[0]), image)
            slope = torch.autograd.grad(total, image)[0] if gradient else None
        else:
            with torch.no_grad():
                sums = _added(self._each(tiles, lambda network, tile: self._sums(network, tile.cut(image), tile)))
            for leaf in (image, *sums.values()):
                leaf.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                total, numbers = self._judged(sums, image)
            slope = self._pushed(total, image, sums, tiles) if gradient else None
        if self._grey and slope is not None:
            # Along greys alone, so that an image which begins grey stays so, and its lightness is all there is to it.
            slope = slope.mean(1, keepdim=True).expand_as(slope).contiguous()
        image.requires_grad_(False)
        return Evaluation(self._labels, numbers.detach(), slope)

    def _pushed(self, total: Scalar, image: Image, sums: Sums, tiles: list[Tile]) -> Image:
        """Return the gradient: that of the sums, pushed through tile by tile, and that of the image itself."""
        own, *outer = torch.autograd.grad(total, [image, *sums.values()], allow_unused=True)
        by_sum = {name: slope for name, slope in zip(sums, outer, strict=True) if slope is not None}

        def push(network: VGG, tile: Tile) -> Tensor:
            part = tile.cut(image.detach()).to(network.device).requires_grad_()
            with torch.enable_grad():
                found = self._sums(network, part, tile)
            slopes = [slope.to(network.device) for slope in by_sum.values()]
            (slope,) = torch.autograd.grad([found[name] for name in by_sum], part, slopes)
            return slope

        result = torch.zeros_like(image) if own is None else own
        for tile, slope in zip(tiles, self._each(tiles, push), strict=True):
            tile.cut(result).add_(slope.to(result.device))
        return result

    def _each(self, tiles: Sequence[Tile], work: Any) -> Iterator[Any]:
        """Yield what `work` makes of a network and each tile, in the order of the tiles, on all devices at once."""
        if len(self._networks) == 1 or len(tiles) < 2:
            yield from (work(self._networks[0], tile) for tile in tiles)
            return
        count = len(self._networks)
        with ThreadPoolExecutor(count) as pool:
            # Not all at once: what has been computed waits in memory until it is its turn.
            for first in range(0, len(tiles), count):
                yield from pool.map(work, self._networks, tiles[first : first + count])

    def _sums(self, network: VGG, image: Image, tile: Tile) -> Sums:
        """Return what the losses need to know of a tile, as sums over the positions of its core."""
        sums: Sums = {}
        layers = self._position_layers | self._moment_layers
        for layer, features in self._features(network, image.to(network.device), tile, layers):
            if layer in self._moment_layers:
                found = features if isinstance(features, Moments) else moments(features)
                sums[f"{layer} total"], sums[f"{layer} outer"] = found.total, found.outer
            for index, part in enumerate(self._parts):
                if part.layer == layer and isinstance(part.loss, PositionLoss) and isinstance(features, Tensor):
                    matched = tile.part(part.loss.matched(part.target), self._strides[layer])
                    sums[f"{layer} {index}"] = part.loss.statistic(features, matched.to(network.device), part.target)
        return sums

    def _judged(self, sums: Sums, image: Image) -> tuple[Scalar, Tensor]:
        """Return the loss, and with it what each term adds."""
        values: dict[str, Tensor] = {}
        for index, part in enumerate(self._parts):
            if isinstance(part.loss, ImageLoss):
                value = part.loss.value(F.pad(image, (0, 1, 0, 1), mode="circular") if self._wraps else image)
            elif isinstance(part.loss, PositionLoss):
                value = part.loss.value(sums[f"{part.layer} {index}"], part.target)
            else:
                value = part.loss.value(self._moments(sums, str(part.layer), image), part.target)
            value = part.weight * value
            values[part.label] = values[part.label] + value if part.label in values else value
        total = torch.stack(list(values.values())).sum()
        return total, torch.stack([total, *values.values()])

    def _moments(self, sums: Sums, layer: str, image: Image) -> Moments:
        total, outer = sums[f"{layer} total"], sums[f"{layer} outer"]
        count = math.prod(math.ceil(side / self._strides[layer]) for side in image.shape[2:])
        return Moments(total.new_full((total.shape[0],), count), total, outer)


def _added(parts: Iterator[Sums]) -> Sums:
    result: Sums = {}
    for part in parts:
        for name, share in part.items():
            result[name] = result[name] + share.to(result[name].device) if name in result else share
    return result


def _aimed(part: _Part, features: dict[str, Tensor], statistics: dict[str, Moments]) -> _Part:
    """Return `part` with the target it has in the content's features or the style's statistics."""
    target: Any = None
    if part.layer and isinstance(part.loss, PositionLoss):
        target = part.loss.target(features[part.layer])
    elif part.layer and isinstance(part.loss, MomentLoss):
        target = part.loss.target(statistics[part.layer])
    return _Part(part.label, part.weight, part.loss, part.layer, target)


def _plan(recipe: Recipe) -> Iterator[_Part]:
    """Yield everything the recipe's terms ask to be computed."""
    labels: set[str] = set()
    for term in recipe.terms:
        label = term.label if term.label not in labels else f"{term.label} {len(labels) + 1}"
        labels.add(label)
        weight, loss = recipe.weight_of(term), losses.build(term.loss)
        if isinstance(term.loss, LayeredLoss):
            for layer, share in term.loss.layers:
                if weight * share > 0:
                    yield _Part(label, weight * share, loss, layer)
        elif weight > 0:
            yield _Part(label, weight, loss, None)
