"""A network that sees an image in tiles, on one or several devices."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
        """The layers of whose features only moments are needed: the network need not return the features."""
        return self.moments - self.positions - self.features


class TiledNetwork:
    """A network, once on each of several devices, and how an image is cut into tiles for it.

    Args:
        networks: the same network on each device.
        tile: longest side of a tile in pixels, without its halo; None for the whole image at once.
        needs: the layers that are compared.

    """

    def __init__(self, networks: Sequence[VGG], tile: int | None, needs: LayerNeeds) -> None:
        self.networks = list(networks)
        self.tile = tile
        self.needs = needs
        self.convolutions = networks[0].convolutions
        self.strides = {vgg_layers.PIXELS: 1} | {
            name: info.stride for name, info in vgg_layers.layers(self.convolutions).items()
        }

    def tiles(self, image: Image, layers: Iterable[str]) -> list[Tile]:
        """Return the tiles of an image, with halos for the deepest of `layers`."""
        halo, stride = tiling.reach(layers, self.convolutions)
        height, width = image.shape[2:]
        return tiling.tiles(height, width, self.tile, halo, stride)

    def n_positions(self, image: Image, layer: str) -> int:
        """Return how many positions the features of an image have at a layer."""
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
        """Yield the features of a tile's core, layer by layer, or their moments where nothing else is needed.

        Args:
            network: on the device of `image`.
            image: (1, 3, H, W) the tile with its halo.
            tile: where it lies.
            layers: those wanted.
            padding: instead of the network's own.
            allow_moments: whether moments may take the place of features: not where positions count differently.

        """
        summed = {
            layer: (tile.rows.core(self.strides[layer]), tile.columns.core(self.strides[layer]))
            for layer in self.needs.only_moments
            if allow_moments
        }
        for layer, features in network.walk(image, layers, padding, summed=summed):
            yield layer, features if isinstance(features, Moments) else tile.core(features, self.strides[layer])

    def map(self, tiles: Sequence[Tile], work: Callable[[VGG, Tile], Result]) -> Iterator[Result]:
        """Yield what `work` returns for a network and each tile, in the order of the tiles, on all devices at once."""
        if len(self.networks) == 1 or len(tiles) < 2:
            yield from (work(self.networks[0], tile) for tile in tiles)
            return
        count = len(self.networks)
        with ThreadPoolExecutor(count) as pool:
            # As many tiles at a time as there are devices: results wait in memory until it is their turn.
            for first in range(0, len(tiles), count):
                yield from pool.map(work, self.networks, tiles[first : first + count])


def add_sums(parts: Iterable[Sums]) -> Sums:
    """Return the sums of the whole image from those of its tiles."""
    result: Sums = {}
    for part in parts:
        for name, value in part.items():
            result[name] = result[name] + value.to(result[name].device) if name in result else value
    return result
