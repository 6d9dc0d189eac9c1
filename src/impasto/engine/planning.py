"""How a scale is computed: the memory and time of each possible plan.

The constants were fitted to `scripts/bench sizes`.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from impasto import losses
from impasto.losses import AnyLoss, LossSize
from impasto.recipe import LBFGS, Recipe, vgg_layers
from impasto.recipe.terms import LayeredLoss
from impasto.vgg import convolutions


@dataclass(frozen=True)
class Plan:
    """How one scale is computed.

    Attributes:
        tile: longest side of the tiles in pixels; None for the whole image at once.
        history: pairs that L-BFGS keeps; 0 for another optimizer.
        memory: peak in bytes.
        cached_tiles: tiles that keep their features from the forward pass to the backward pass; the others are computed
            twice.

    """

    tile: int | None
    history: int
    memory: int
    cached_tiles: int = 1


@dataclass(frozen=True)
class ScaleSize:
    """The sizes that memory depends on: of the image with its margin, of the largest style picture, and the steps."""

    height: int
    width: int
    style_pixels: int
    steps: int
    element_size: int = 4  # bytes per number of the features
    is_banded: bool = True  # whether the VGG's blocks are computed in bands of rows


def plans(recipe: Recipe, canvas: ScaleSize) -> Iterator[Plan]:
    """Yield all plans for a scale, best first, each with less memory than those before.

    Tiles cost time, a shorter L-BFGS history costs a little quality; so tiles come first, the fastest before the rest.
    """
    smallest = math.inf
    for history in _histories(recipe, canvas):
        ways = (
            Plan(tile, history, memory(recipe, canvas, tile, history, cached_tiles), cached_tiles)
            for tile in _sides(recipe, canvas)
            for cached_tiles in _cached_tile_counts(canvas, tile)
        )
        for plan in sorted(ways, key=lambda plan: step_cost(canvas.height, canvas.width, plan)):
            if plan.memory < smallest:
                smallest = plan.memory
                yield plan


def choose(recipe: Recipe, canvas: ScaleSize, limit: int | None) -> Plan | None:
    """Return the best plan of at most `limit` bytes; None if there is none.

    Args:
        recipe: gives the losses and the optimizer.
        canvas: the sizes of the scale.
        limit: in bytes; None for no limit.

    """
    return next((plan for plan in plans(recipe, canvas) if limit is None or plan.memory <= limit), None)


def next_smaller(recipe: Recipe, canvas: ScaleSize, plan: Plan) -> Plan | None:
    """Return the next plan that takes clearly less than `plan`, caching as few tiles as possible; None if none does.

    Args:
        recipe: gives the losses and the optimizer.
        canvas: the sizes of the scale.
        plan: that did not fit.

    """
    less = [other for other in plans(recipe, canvas) if other.memory < plan.memory]
    alike = (other for other in reversed(less) if (other.tile, other.history) == (less[0].tile, less[0].history))
    return next(alike, None)


def least_memory(recipe: Recipe, canvas: ScaleSize) -> int:
    """Return the bytes of the plan that takes the least memory."""
    history = _histories(recipe, canvas)[-1]
    return min(memory(recipe, canvas, tile, history) for tile in _sides(recipe, canvas))


def memory(recipe: Recipe, canvas: ScaleSize, tile: int | None, history: int, cached_tiles: int = 1) -> int:
    """Return the process's peak of main memory in bytes while a scale is painted.

    Args:
        recipe: names losses, network and optimizer.
        canvas: the sizes of the scale.
        tile: see `Plan`.
        history: see `Plan`.
        cached_tiles: see `Plan`.

    """
    pixels = canvas.height * canvas.width
    computed, style = float(pixels), float(canvas.style_pixels)
    if tile is not None:
        side = tile + 2 * _HALO
        computed, style = min(computed, side * side * (1 + _HELD * (cached_tiles - 1))), min(style, side * side)
    # A pair of L-BFGS is two images of three float32 channels; Adam's two moments and the average are three.
    images = _IMAGES + (2 * history if isinstance(recipe.optimizer, LBFGS) else 3)
    content = sum(4 * info.channels / info.stride**2 for info in _layers(recipe, "content"))
    features = max(computed * _bytes_per_pixel(recipe, canvas), style * _STYLE_BYTES_PER_PIXEL)
    extra = sum(loss.extra_bytes(size) for loss, size in _losses(recipe, canvas))
    return round(_PROCESS_BYTES + pixels * (12 * images + content) + features + extra)


def reading_memory(pixels: Iterable[int]) -> int:
    """Return the process's peak of main memory in bytes while pictures are read, each after those before it.

    Args:
        pixels: the number of each picture's, in the order of reading.

    """
    peak = held = 0  # bytes, without those of the process
    for count in pixels:
        peak = max(peak, held + count * _READING_BYTES)
        held += count * _PICTURE_BYTES
    return round(_PROCESS_BYTES + peak)


def operations(recipe: Recipe) -> float:
    """Return the floating-point operations of a step per pixel: forward to the deepest layer, and back."""
    infos = [info for role in ("content", "style") for info in _layers(recipe, role)]
    convolutions = vgg_layers.NETWORKS[recipe.network]
    layers = vgg_layers.layers(convolutions)
    deepest = max((info.receptive_field for info in infos), default=0)
    total = 0.0
    for convolution in convolutions:
        if layers[convolution.name].receptive_field <= deepest:
            total += 2 * 9 * convolution.in_channels * convolution.out_channels / layers[convolution.name].stride ** 2
    return 2 * total


def seconds(recipe: Recipe, canvas: ScaleSize, plan: Plan) -> float:
    """Return the seconds that all steps of a scale take on this machine's CPU.

    Args:
        recipe: gives the losses.
        canvas: the sizes of the scale.
        plan: how it is computed.

    """
    flops_per_second = convolutions.flops_per_second()
    per_pixel = operations(recipe) / flops_per_second + _SECONDS_PER_PIXEL
    extra = sum(loss.extra_seconds(size, flops_per_second) for loss, size in _losses(recipe, canvas))
    return canvas.steps * (step_cost(canvas.height, canvas.width, plan) * per_pixel + extra)


def step_cost(height: int, width: int, plan: Plan) -> float:
    """Return the number of pixels that a step computes; tiles compute more than the picture has.

    Args:
        height: of the canvas in pixels.
        width: of the canvas in pixels.
        plan: how the scale is computed.

    """
    pixels = float(height * width)
    if plan.tile is not None:
        # Forward for the statistics and back for the gradient; tiles that are not cached are computed forward twice.
        # The halos come on top.
        again = 1 - plan.cached_tiles / _count(height, width, plan.tile)
        pixels *= (1 + again / 2) * ((plan.tile + 2 * _HALO) / plan.tile) ** 2
    return pixels


def _histories(recipe: Recipe, canvas: ScaleSize) -> list[int]:
    """Return the history lengths to consider, longest first."""
    full = min(recipe.optimizer.history, canvas.steps) if isinstance(recipe.optimizer, LBFGS) else 0
    return list(dict.fromkeys((full, min(full, 4), min(full, 2))))


def _sides(recipe: Recipe, canvas: ScaleSize) -> list[int | None]:
    """Return the tile sides to consider, the whole image first."""
    smaller = [] if recipe.whole_only else [tile for tile in _TILES if tile < max(canvas.height, canvas.width)]
    return [None, *smaller]


def _count(height: int, width: int, tile: int) -> int:
    return math.ceil(height / tile) * math.ceil(width / tile)


def _cached_tile_counts(canvas: ScaleSize, tile: int | None) -> set[int]:
    """Return the numbers of cached tiles to consider, in eighths of all tiles."""
    count = 1 if tile is None else _count(canvas.height, canvas.width, tile)
    return {1, *(count * eighths // 8 for eighths in range(1, 8))} - {0}


def _losses(recipe: Recipe, canvas: ScaleSize) -> Iterator[tuple[AnyLoss, LossSize]]:
    """Yield the losses of the recipe's terms of positive weight, and the sizes that their costs depend on."""
    for term in recipe.terms:
        if recipe.weight_of(term) > 0:
            shapes = tuple(_shapes(recipe, term.loss)) if isinstance(term.loss, LayeredLoss) else ()
            yield losses.build(term.loss), LossSize(canvas.height * canvas.width, canvas.style_pixels, shapes)


def _shapes(recipe: Recipe, loss: LayeredLoss) -> Iterator[tuple[float, int]]:
    """Yield, for each layer of a loss, the numbers that its features have per pixel, and its stride."""
    layers = vgg_layers.layers(vgg_layers.NETWORKS[recipe.network])
    for name, weight in loss.layers:
        if weight > 0:
            channels, stride = (3, 1) if name == vgg_layers.PIXELS else (layers[name].channels, layers[name].stride)
            yield channels / stride**2, stride


def _layers(recipe: Recipe, role: str) -> list[vgg_layers.LayerInfo]:
    layers = vgg_layers.layers(vgg_layers.NETWORKS[recipe.network])
    return [
        layers[name]
        for term in recipe.terms
        if term.loss.role == role and recipe.weight_of(term) > 0 and isinstance(term.loss, LayeredLoss)
        for name, weight in term.loss.layers
        if weight > 0 and name != vgg_layers.PIXELS
    ]


def _bytes_per_pixel(recipe: Recipe, canvas: ScaleSize) -> float:
    banded = canvas.is_banded and recipe.pooling == "max" and recipe.padding in ("zeros", "replicate")
    return (_BANDED_BYTES_PER_PIXEL if banded else _PLAIN_BYTES_PER_PIXEL) * canvas.element_size / 4


# Sides of tiles in pixels. With their halos they cost 1.7, 1.9, 2.3 and 3.4 times the whole image if none is cached.
_TILES = (2048, 1024, 512, 256)
# The receptive field of relu5_1 beyond a tile, in pixels; most recipes' deepest layer.
_HALO = 64
# Fitted to scripts/bench sizes.
_PROCESS_BYTES = 650e6
# Of a pixel while it is read, at the most, measured for every format (docs/formats.md); and afterwards, in float32.
_READING_BYTES, _PICTURE_BYTES = 24, 12
_IMAGES = 7
_BANDED_BYTES_PER_PIXEL = 1000
_PLAIN_BYTES_PER_PIXEL = 2800
_STYLE_BYTES_PER_PIXEL = 700
# Ours, measured at 512 px: the fraction of these bytes that a cached tile keeps for the gradient: 472 a pixel in bands,
# 1466 without, and a reserve.
_HELD = 0.55
_SECONDS_PER_PIXEL = 1e-6
