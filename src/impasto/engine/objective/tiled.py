"""A network that sees an image in tiles, on one or several devices."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from impasto.ops import tiling
from impasto.ops.moments import Moments
from impasto.ops.shapes import Image
from impasto.ops.tiling import Tile
from impasto.recipe import vgg_layers
from impasto.vgg.network import VGG, Padding

Result = TypeVar("Result")

# Additive statistics by layer or loss. Adding the tiles' gives the whole image's.
Sums = dict[str, Tensor]


@dataclass(frozen=True)
class LayerNeeds:
    """The layers whose features are compared, by what is needed of them."""

    moments: frozenset[str]
    positions: frozenset[str]
    features: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        """Every layer that is compared."""
        return self.moments | self.positions | self.features

    @property
    def only_moments(self) -> frozenset[str]:
        """The layers of which only moments are needed, so that the network need not return their features."""
        return self.moments - self.positions - self.features


class TiledNetwork:
    """A network, perhaps on several devices, that computes an image tile by tile.

    Args:
        networks: the same network on each device.
        tile: longest side of a tile in pixels, without its halo; None for the whole image at once.
        needs: the layers whose features are compared.

    """

    def __init__(self, networks: Sequence[VGG], tile: int | None, needs: LayerNeeds) -> None:
        self.networks = list(networks)
        self.tile = tile
        self.needs = needs
        # One for the network's life: cuDNN keeps its plans by thread.
        self._threads = ThreadPoolExecutor(len(self.networks)) if len(self.networks) > 1 else None
        self.convolutions = networks[0].convolutions
        self.strides = {vgg_layers.PIXELS: 1} | {
            name: info.stride for name, info in vgg_layers.layers(self.convolutions).items()
        }

    def tiles(self, image: Image, layers: Iterable[str]) -> list[Tile]:
        """Return the tiles of an image, with halos as wide as the receptive field of the deepest of `layers`."""
        halo, stride = tiling.reach(layers, self.convolutions)
        height, width = image.shape[2:]
        return tiling.tiles(height, width, self.tile, halo, stride)

    def n_positions(self, image: Image, layer: str) -> int:
        """Return the number of positions of an image's features at a layer."""
        return math.prod(math.ceil(side / self.strides[layer]) for side in image.shape[2:])

    def features(
        self,
        network: VGG,
        image: Image,
        tile: Tile,
        layers: Iterable[str],
        padding: Padding | None = None,
        *,
        allow_moments: bool,
    ) -> Iterator[tuple[str, Tensor | Moments]]:
        """Yield the features of a tile's core by layer, or their moments where nothing else is needed.

        Args:
            network: on the device of `image`.
            image: (1, 3, H, W) the tile with its halo.
            tile: its place in the whole image.
            layers: whose features are needed.
            padding: at the picture's edges; None for the network's own.
            allow_moments: whether to return moments where they suffice; not with masks, whose positions have weights.

        """
        summed = {
            layer: (tile.rows.core(self.strides[layer]), tile.columns.core(self.strides[layer]))
            for layer in self.needs.only_moments
            if allow_moments
        }
        for layer, features in network.walk(image, layers, padding, summed=summed):
            yield layer, features if isinstance(features, Moments) else tile.core(features, self.strides[layer])

    def map(self, tiles: Sequence[Tile], work: Callable[[VGG, Tile], Result]) -> Iterator[Result]:
        """Yield `work(network, tile)` for each tile, in the order of the tiles, on all devices in parallel."""
        if self._threads is None or len(tiles) < 2:
            yield from (work(self.networks[0], tile) for tile in tiles)
            return
        count = len(self.networks)
        # One tile per device at a time, since results wait in memory for their turn.
        for first in range(0, len(tiles), count):
            pairs = zip(self.networks, tiles[first : first + count], strict=False)
            futures = [self._threads.submit(work, network, tile) for network, tile in pairs]
            # All of them, also where one fails: none may still be at work when the error is handled.
            wait(futures)
            yield from (future.result() for future in futures)


def add_sums(parts: Iterable[Sums]) -> Sums:
    """Return the sums of the whole image: those of its tiles, added."""
    result: Sums = {}
    for part in parts:
        for name, value in part.items():
            result[name] = result[name] + value.to(result[name].device) if name in result else value
    return result
