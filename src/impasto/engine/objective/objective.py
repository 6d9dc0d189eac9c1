"""The objective of a run: the recipe's terms, fitted to one content and its styles at one size."""

import copy
import dataclasses
import functools
import hashlib
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto import losses
from impasto.errors import UsageError
from impasto.losses import FeatureLoss, ImageLoss, MomentLoss, PhotoLoss, PositionLoss, Temporal
from impasto.ops import guidance, tiling
from impasto.ops.guidance import Region, Source
from impasto.ops.moments import Moments, blend, moments
from impasto.ops.shapes import Image, Mask, Scalar
from impasto.ops.tiling import Tile
from impasto.recipe import Recipe, vgg_layers
from impasto.recipe.terms import LayeredLoss
from impasto.vgg.network import VGG, Padding

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
    region: int = 0
    own: bool = False  # whether the target is the photo's instead of the styles'
    target: Any = None


class Objective:
    """A weighted sum of losses, ready to judge images of one size.

    Args:
        networks: the network whose features are compared; one on each of several devices shares the tiles among them.
        recipe: its terms and weights; a term of weight 0 costs nothing.
        content: (1, 3, H, W) the photo, sRGB in [0, 1].
        styles: the style pictures, (1, 3, h, w) each, and their weights, which need not sum to 1.
        regions: parts of the picture with styles of their own; one with all styles if left out.
        kept: (1, 1, H, W) in [0, 1], how much of each pixel is the photo's and stays it.
        temporal: what the image is kept like, if it is a frame of a film, and the weight of that.
        tile: longest side of the tiles the picture is computed in, in pixels, without the halo; None for the whole at
            once. The loss and its gradient are the same, in less memory and more time.
        held: how many tiles, on each device, keep their features from the statistics to the gradient.

    Raises:
        UsageError: tiles of a picture that goes on at its other side, or of terms that need all of it at once; regions
            with such terms.

    """

    def __init__(
        self,
        networks: VGG | Sequence[VGG],
        recipe: Recipe,
        content: Image,
        styles: Sequence[tuple[Image, float]],
        tile: int | None = None,
        *,
        regions: Sequence[Region] = (),
        kept: Mask | None = None,
        temporal: tuple[Temporal, float] | None = None,
        held: int = 1,
    ) -> None:
        self._networks = [networks] if isinstance(networks, VGG) else list(networks)
        self._wraps = recipe.padding == "circular"
        self._tile = tile
        self._held = held * len(self._networks)
        self._grey = recipe.colors == "luminance"
        if tile is not None and recipe.whole_only:
            raise UsageError(f"{recipe.whole_only} cannot be computed in tiles; leave them out")
        self._strength = recipe.strength
        self._regions = list(regions) or [Region(None, tuple(Source(index) for index in range(len(styles))))]
        self._kept = None if kept is None else (kept, content)
        self._recipe = None if regions or kept is not None or temporal is not None else recipe.digest
        plan = [part for entry in _plan(recipe) for part in self._shared(entry, styles)]
        if temporal is not None:
            plan.append(_Part("temporal", temporal[1], temporal[0], None))
        self._position_layers = _layers(plan, PositionLoss)
        self._moment_layers = _layers(plan, MomentLoss)
        self._feature_layers = _layers(plan, FeatureLoss)
        if self._feature_layers and regions:
            kinds = ", ".join(sorted({part.label for part in plan if isinstance(part.loss, FeatureLoss)}))
            raise UsageError(f"{kinds}: knows no masks or parts of single styles; leave the term or those out")
        self._layers = self._position_layers | self._moment_layers | self._feature_layers
        convolutions = self._networks[0].convolutions
        self._strides = {vgg_layers.PIXELS: 1} | {
            name: info.stride for name, info in vgg_layers.layers(convolutions).items()
        }
        with torch.no_grad():
            features = self._content_features(content) if self._position_layers else {}
            self._masks = [self._carried(region.mask, self._moment_layers) for region in self._regions]
            statistics = self._blended(styles, content) if self._moment_layers else {}
            examples = self._examples(styles, content) if self._feature_layers else {}
            self._parts = [self._aimed(part, content, features, statistics, examples) for part in plan]
        self._labels = tuple(dict.fromkeys(part.label for part in self._parts))

    @property
    def capturable(self) -> bool:
        """Whether an evaluation is the same operations every time, on one device: fit for a CUDA graph."""
        return self._tile is None and len(self._networks) == 1

    @property
    def aims(self) -> tuple[Hashable, list[Tensor]] | None:
        """What an evaluation depends on beside the image: what two objectives must have in common, and the targets.

        None where there is more, as with masks.
        """
        if self._recipe is None or self._feature_layers or not self.capturable:
            return None
        leaves = [leaf for part in self._parts for leaf in _leaves(part.target)]
        targets = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        numbers = tuple(leaf for leaf in leaves if not isinstance(leaf, Tensor))
        return (self._recipe, id(self._networks[0]), numbers), targets

    def __deepcopy__(self, memo: dict[int, Any]) -> "Objective":
        """Return one with the same network, and targets of its own."""
        memo |= {id(network): network for network in self._networks}
        other = object.__new__(type(self))
        memo[id(self)] = other
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other

    def _tiles(self, image: Image, layers: Iterable[str]) -> list[Tile]:
        halo, stride = tiling.reach(layers, self._networks[0].convolutions)
        height, width = image.shape[2:]
        return tiling.tiles(height, width, self._tile, halo, stride)

    def _content_features(self, content: Image) -> dict[str, Tensor]:
        whole: dict[str, Tensor] = {}
        tiles = self._tiles(content, self._position_layers)
        for tile in tiles:
            part = tile.cut(content)
            for layer, features in self._features(self._networks[0], part, tile, self._position_layers, whole=True):
                assert isinstance(features, Tensor)
                if len(tiles) == 1:
                    whole[layer] = features
                    continue
                if layer not in whole:
                    size = (math.ceil(side / self._strides[layer]) for side in content.shape[2:])
                    whole[layer] = features.new_empty(1, features.shape[1], *size)
                tile.part(whole[layer], self._strides[layer]).copy_(features)
        return whole

    def _shared(self, part: _Part, styles: Sequence[tuple[Image, float]]) -> Iterator[_Part]:
        """Yield the part once for each region, weighing as much as the region has pixels and its styles weigh.

        Together as much as all of them have pixels: a region is painted no stronger for being small. Where features are
        compared one by one, strength divides the part between the styles and the photo.
        """
        if isinstance(part.loss, FeatureLoss) and self._strength < 1:
            for own, share in ((False, self._strength), (True, 1 - self._strength)):
                if share > 0:
                    yield dataclasses.replace(part, weight=part.weight * share, own=own)
            return
        if not isinstance(part.loss, MomentLoss) or self._regions[0].mask is None:
            yield part
            return
        areas = [1.0 if region.mask is None else float(region.mask.double().mean()) for region in self._regions]
        weights = [sum(styles[source.style][1] for source in region.sources) for region in self._regions]
        loud = sum(area * weight for area, weight in zip(areas, weights, strict=True))
        for index, (area, weight) in enumerate(zip(areas, weights, strict=True)):
            # In a share of no pixels, or after styles of no weight, nothing is painted.
            share = area * weight / loud * min(1.0, sum(areas)) if loud > 0 else 0.0
            yield dataclasses.replace(part, weight=part.weight * share, region=index)

    def _carried(self, mask: Mask | None, layers: set[str]) -> dict[str, Mask]:
        """Return a mask as every layer sees it; none where there is no mask."""
        if mask is None:
            return {}
        # Where nothing is left of a region, something must be divided by.
        return guidance.propagate_mask(mask.clamp(min=_LEAST), self._networks[0].convolutions, layers)

    def _blended(self, styles: Sequence[tuple[Image, float]], content: Image) -> dict[tuple[int, str], Moments]:
        """Return the moments that each region is to have at each layer."""
        found: dict[tuple[int, str], Moments] = {}
        for number, region in enumerate(self._regions):
            own = self._style(content, region.mask, None) if self._strength < 1 else {}
            if self._strength == 0:
                # To the bit: there the photo is worth nothing and nothing pulls at it.
                found |= {(number, layer): own[layer] for layer in self._moment_layers}
                continue
            padding = self._style_padding
            known = [(source, self._style(styles[source.style][0], source.mask, padding)) for source in region.sources]
            for layer in self._moment_layers:
                speaking = [pair for pair in known if pair[0].speaks_for(self._strides[layer])] or known
                weights = guidance.shares([styles[source.style][1] for source, _ in speaking])
                parts = [
                    (of[layer], self._strength * weight) for (_, of), weight in zip(speaking, weights, strict=True)
                ]
                if own:
                    parts.append((own[layer], 1 - self._strength))
                found[number, layer] = blend(parts)
        return found

    def _examples(
        self, styles: Sequence[tuple[Image, float]], content: Image
    ) -> dict[tuple[bool, str], list[tuple[Tensor, float]]]:
        """Return by layer the features of the styles that weigh anything, and under True the photo's, if it counts.

        They are large: none are kept.
        """
        total = sum(weight for _, weight in styles)
        shares = [(False, image, weight / total, self._style_padding) for image, weight in styles if weight > 0]
        if self._strength == 0:
            shares.clear()
        if self._strength < 1:
            shares.append((True, content, 1.0, None))
        found: dict[tuple[bool, str], list[tuple[Tensor, float]]] = {}
        for own, image, share, padding in shares:
            for layer, features in self._networks[0](image, self._feature_layers, padding).items():
                found.setdefault((own, layer), []).append((features, share))
        return found

    @property
    def _style_padding(self) -> Padding | None:
        # A style picture goes on at its other side only by chance.
        return "reflect" if self._wraps else None

    def _style(self, image: Image, mask: Mask | None, padding: Padding | None) -> dict[str, Moments]:
        """Return the moments of a style picture; a process that paints many pictures computes them once."""
        layers = sorted(self._moment_layers)
        masks = self._carried(mask, self._moment_layers)

        def measured() -> dict[str, Moments]:
            found: dict[str, Moments] = {}
            for tile in self._tiles(image, layers):
                part = tile.cut(image)
                for layer, features in self._features(self._networks[0], part, tile, layers, padding, whole=not masks):
                    share = features
                    if not isinstance(share, Moments):
                        share = moments(share, self._cut(masks, layer, tile))
                    found[layer] = found[layer] + share if layer in found else share
            return found

        # To the bit: in what parts it is computed makes a difference in the last digits.
        parts = (self._tile, *sorted(self._position_layers | self._feature_layers))
        key = (_digest(image), None if mask is None else _digest(mask), *image.shape, padding, *layers, parts)
        return self._networks[0].known_styles.get(key, measured)

    def _cut(self, masks: dict[str, Mask], layer: str, tile: Tile) -> Mask | None:
        """Return the part of a layer's mask that belongs to a tile's core."""
        return tile.part(masks[layer], self._strides[layer]) if masks else None

    def _features(
        self,
        network: VGG,
        image: Image,
        tile: Tile,
        layers: Iterable[str],
        padding: Padding | None = None,
        *,
        whole: bool,
    ) -> Iterator[tuple[str, Tensor | Moments]]:
        """Yield the features of a tile's core, layer by layer, or the moments where nothing else is wanted of them.

        Not the moments unless they are of the `whole` picture, every position counting alike.
        """
        summed = {
            layer: (tile.rows.core(self._strides[layer]), tile.columns.core(self._strides[layer]))
            for layer in self._moment_layers - self._position_layers - self._feature_layers
            if whole
        }
        for layer, found in network.walk(image, layers, padding, summed=summed):
            yield layer, found if isinstance(found, Moments) else tile.core(found, self._strides[layer])

    def _aimed(
        self,
        part: _Part,
        content: Image,
        features: dict[str, Tensor],
        statistics: dict[tuple[int, str], Moments],
        examples: dict[tuple[bool, str], list[tuple[Tensor, float]]],
    ) -> _Part:
        """Return `part` with the target it has in the photo, its features, or the styles' statistics or features."""
        layer, target = part.layer or "", None
        if isinstance(part.loss, PositionLoss):
            target = part.loss.target(features[layer])
        elif isinstance(part.loss, MomentLoss):
            target = part.loss.target(statistics[part.region, layer])
        elif isinstance(part.loss, FeatureLoss):
            target = part.loss.target(examples[part.own, layer], self._positions(content, layer))
        elif isinstance(part.loss, PhotoLoss):
            target = part.loss.target(content)
        return dataclasses.replace(part, target=target)

    def _positions(self, image: Image, layer: str) -> int:
        return math.prod(math.ceil(side / self._strides[layer]) for side in image.shape[2:])

    def evaluate(self, image: Image, *, gradient: bool = True) -> Evaluation:
        """Return the loss of `image`, (1, 3, H, W) sRGB in [0, 1], term by term, and its gradient."""
        if self._kept is None:
            return self._evaluated(image.detach(), gradient=gradient)
        # What is painted is the image under the photo, as far as that is kept.
        kept, photo = self._kept
        found = self._evaluated(image.detach().lerp(photo, kept), gradient=gradient)
        return dataclasses.replace(found, gradient=None if found.gradient is None else found.gradient * (1 - kept))

    def _evaluated(self, image: Image, *, gradient: bool) -> Evaluation:
        tiles = self._tiles(image, self._layers) if self._layers else []
        if len(tiles) == 1:
            image.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                total, numbers = self._judged(self._sums(self._networks[0], image, tiles[0]), image)
            slope = torch.autograd.grad(total, image)[0] if gradient else None
        else:
            first = max(0, len(tiles) - self._held) if gradient else len(tiles)
            held: dict[Tile, tuple[Tensor, Sums]] = {}
            with torch.no_grad():
                sums = _added(self._summed(image, tiles[:first], tiles[first:], held))
            for leaf in (image, *sums.values()):
                leaf.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                total, numbers = self._judged(sums, image)
            slope = self._pushed(total, image, sums, tiles, held) if gradient else None
        if self._grey and slope is not None:
            # Along greys alone, so that an image which begins grey stays so, and its lightness is all there is to it.
            slope = slope.mean(1, keepdim=True).expand_as(slope).contiguous()
        image.requires_grad_(False)
        return Evaluation(self._labels, numbers.detach(), slope)

    def _summed(
        self, image: Image, light: list[Tile], kept: list[Tile], held: dict[Tile, tuple[Tensor, Sums]]
    ) -> Iterator[Sums]:
        """Yield the sums of the tiles; put into `held` what the gradient of the latter needs."""
        yield from self._each(light, lambda network, tile: self._sums(network, tile.cut(image), tile))
        for tile, (part, found) in zip(kept, self._each(kept, functools.partial(self._watched, image)), strict=True):
            held[tile] = part, found
            yield {name: value.detach() for name, value in found.items()}

    def _watched(self, image: Image, network: VGG, tile: Tile) -> tuple[Tensor, Sums]:
        """Return a tile, and its sums as a function of it."""
        part = tile.cut(image.detach()).to(network.device).requires_grad_()
        with torch.enable_grad():
            return part, self._sums(network, part, tile)

    def _pushed(
        self, total: Scalar, image: Image, sums: Sums, tiles: list[Tile], held: dict[Tile, tuple[Tensor, Sums]]
    ) -> Image:
        """Return the gradient: that of the sums, pushed through tile by tile, and that of the image itself."""
        own, *outer = torch.autograd.grad(total, [image, *sums.values()], allow_unused=True)
        by_sum = {name: slope for name, slope in zip(sums, outer, strict=True) if slope is not None}

        def push(network: VGG, tile: Tile) -> Tensor:
            part, found = held.pop(tile) if tile in held else self._watched(image, network, tile)
            slopes = [slope.to(part.device) for slope in by_sum.values()]
            (slope,) = torch.autograd.grad([found[name] for name in by_sum], part, slopes)
            return slope

        result = torch.zeros_like(image) if own is None else own
        # The last first: what was held makes room for the others.
        tiles = tiles[::-1]
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
        whole = not any(self._masks)
        for layer, features in self._features(network, image.to(network.device), tile, self._layers, whole=whole):
            for region, masks in enumerate(self._masks if layer in self._moment_layers else ()):
                found = features
                if not isinstance(found, Moments):
                    mask = self._cut(masks, layer, tile)
                    found = moments(found, None if mask is None else mask.to(network.device))
                sums[f"{layer} total {region}"], sums[f"{layer} outer {region}"] = found.total, found.outer
            for index, part in enumerate(self._parts):
                if part.layer != layer or isinstance(features, Moments):
                    continue
                if isinstance(part.loss, FeatureLoss):
                    # There is one tile: its loss is the picture's.
                    sums[f"{layer} {index}"] = part.loss.value(features, part.target)
                elif isinstance(part.loss, PositionLoss):
                    matched = tile.part(part.loss.matched(part.target), self._strides[layer])
                    sums[f"{layer} {index}"] = part.loss.statistic(features, matched.to(network.device), part.target)
        return sums

    def _judged(self, sums: Sums, image: Image) -> tuple[Scalar, Tensor]:
        """Return the loss, and with it what each term adds."""
        values: dict[str, Tensor] = {}
        for index, part in enumerate(self._parts):
            if isinstance(part.loss, ImageLoss):
                value = part.loss.value(F.pad(image, (0, 1, 0, 1), mode="circular") if self._wraps else image)
            elif isinstance(part.loss, PhotoLoss):
                value = part.loss.value(image, part.target)
            elif isinstance(part.loss, FeatureLoss):
                value = sums[f"{part.layer} {index}"]
            elif isinstance(part.loss, PositionLoss):
                value = part.loss.value(sums[f"{part.layer} {index}"], part.target)
            else:
                value = part.loss.value(self._moments(sums, str(part.layer), part.region, image), part.target)
            value = part.weight * value
            values[part.label] = values[part.label] + value if part.label in values else value
        total = torch.stack(list(values.values())).sum()
        return total, torch.stack([total, *values.values()])

    def _moments(self, sums: Sums, layer: str, region: int, image: Image) -> Moments:
        total, outer = sums[f"{layer} total {region}"], sums[f"{layer} outer {region}"]
        masks = self._masks[region]
        count = masks[layer].sum() if masks else self._positions(image, layer)
        return Moments(torch.as_tensor(count).to(total).expand(total.shape[0]), total, outer)


def _added(parts: Iterator[Sums]) -> Sums:
    result: Sums = {}
    for part in parts:
        for name, share in part.items():
            result[name] = result[name] + share.to(result[name].device) if name in result else share
    return result


def _leaves(target: Any) -> Iterator[Any]:
    """Yield what a target is made of."""
    if isinstance(target, tuple | list):
        for part in target:
            yield from _leaves(part)
    else:
        yield target


def _layers(plan: Iterable[_Part], kind: type) -> set[str]:
    return {part.layer for part in plan if part.layer and isinstance(part.loss, kind)}


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


def _digest(tensor: Tensor) -> bytes:
    return hashlib.sha256(tensor.cpu().contiguous().numpy().tobytes()).digest()


# Of the loudest position: far below what an 8-bit mask can say.
_LEAST = 1e-6
