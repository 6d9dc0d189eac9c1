"""The sources of the losses' targets: the photo's features, and the styles' moments and features."""

import hashlib
import math
from collections.abc import Sequence

from torch import Tensor

from impasto.engine.objective.components import Component
from impasto.engine.objective.tiled import TiledNetwork
from impasto.losses import Sources
from impasto.ops import guidance
from impasto.ops.guidance import Region
from impasto.ops.moments import Moments, blend, moments
from impasto.ops.shapes import Image, Mask
from impasto.ops.tiling import Tile
from impasto.vgg.network import Padding

# A mask at each layer whose moments are compared, by the layer's name.
LayerMasks = dict[str, Mask]


class TargetSources:
    """Features and moments of photo and styles, computed once; the losses are fitted to them.

    Args:
        network: computes the features, in tiles where the image is computed in tiles.
        photo: (1, 3, H, W) sRGB in [0, 1].
        styles: the style pictures, (1, 3, h, w) each, and their weights.
        regions: regions of the image, at least one.
        strength: from the photo (0) to the styles (1).
        style_padding: of the style pictures; None for the network's own.

    """

    def __init__(
        self,
        network: TiledNetwork,
        photo: Image,
        styles: Sequence[tuple[Image, float]],
        regions: Sequence[Region],
        strength: float,
        style_padding: Padding | None,
    ) -> None:
        self._network = network
        self._photo = photo
        self._styles = styles
        self._regions = regions
        self._strength = strength
        self._style_padding = style_padding
        self._photo_features = self._content_features() if network.needs.positions else {}
        self._style_moments = self._blended_moments() if network.needs.moments else {}
        self._style_features = self._all_features() if network.needs.features else {}

    def of(self, component: Component) -> Sources:
        """Return the sources that the loss of a component is fitted to."""
        layer = component.layer
        if layer is None:
            return Sources(self._photo)
        return Sources(
            self._photo,
            self._photo_features.get(layer),
            self._style_moments.get((component.region, layer)),
            self._style_features.get((component.is_of_photo, layer), ()),
            self._network.n_positions(self._photo, layer),
        )

    def _content_features(self) -> dict[str, Tensor]:
        network, photo, layers = self._network, self._photo, self._network.needs.positions
        assembled: dict[str, Tensor] = {}
        tiles = network.tiles(photo, layers)
        for tile in tiles:
            part = tile.cut(photo)
            for layer, features in network.features(network.networks[0], part, tile, layers, allow_moments=True):
                assert isinstance(features, Tensor)
                if len(tiles) == 1:
                    assembled[layer] = features
                    continue
                if layer not in assembled:
                    size = (math.ceil(side / network.strides[layer]) for side in photo.shape[2:])
                    assembled[layer] = features.new_empty(1, features.shape[1], *size)
                tile.part(assembled[layer], network.strides[layer]).copy_(features)
        return assembled

    def _blended_moments(self) -> dict[tuple[int, str], Moments]:
        """Return the target moments by region and layer: those of its styles, blended by weight, and of the photo."""
        layers = self._network.needs.moments
        result: dict[tuple[int, str], Moments] = {}
        for number, region in enumerate(self._regions):
            photo_moments = self._moments(self._photo, region.mask, None) if self._strength < 1 else {}
            if self._strength == 0:
                # Use the photo's moments unblended, so that loss and gradient are exactly 0 at the photo.
                result |= {(number, layer): photo_moments[layer] for layer in layers}
                continue
            sources = [
                (source, self._moments(self._styles[source.style][0], source.mask, self._style_padding))
                for source in region.sources
            ]
            for layer in layers:
                stride = self._network.strides[layer]
                active_sources = [pair for pair in sources if pair[0].applies_to(stride)] or sources
                weights = guidance.normalize_weights([self._styles[source.style][1] for source, _ in active_sources])
                parts = [
                    (by_layer[layer], self._strength * weight)
                    for (_, by_layer), weight in zip(active_sources, weights, strict=True)
                ]
                if photo_moments:
                    parts.append((photo_moments[layer], 1 - self._strength))
                result[number, layer] = blend(parts)
        return result

    def _all_features(self) -> dict[tuple[bool, str], list[tuple[Tensor, float]]]:
        """Return all features by layer: of styles of positive weight, and, under True, of the photo if it counts."""
        total = sum(weight for _, weight in self._styles)
        pictures = [(False, image, weight / total, self._style_padding) for image, weight in self._styles if weight > 0]
        if self._strength == 0:
            pictures.clear()
        if self._strength < 1:
            pictures.append((True, self._photo, 1.0, None))
        result: dict[tuple[bool, str], list[tuple[Tensor, float]]] = {}
        for is_of_photo, image, weight, padding in pictures:
            network = self._network.networks[0]
            for layer, features in network(image, self._network.needs.features, padding).items():
                result.setdefault((is_of_photo, layer), []).append((features, weight))
        return result

    def _moments(self, image: Image, mask: Mask | None, padding: Padding | None) -> dict[str, Moments]:
        """Return the moments of a picture by layer; cached, since a process may paint many pictures in one style."""
        network = self._network
        layers = sorted(network.needs.moments)
        masks = layer_masks(network, mask)

        def measure() -> dict[str, Moments]:
            result: dict[str, Moments] = {}
            for tile in network.tiles(image, layers):
                walk = network.features(
                    network.networks[0], tile.cut(image), tile, layers, padding, allow_moments=not masks
                )
                for layer, features in walk:
                    part = features
                    if not isinstance(part, Moments):
                        part = moments(part, mask_of_tile(network, masks, layer, tile))
                    result[layer] = result[layer] + part if layer in result else part
            return result

        # Tiling and the set of layers whose features are needed change float rounding; both belong in the cache key.
        parts = (network.tile, *sorted(network.needs.positions | network.needs.features))
        key = (
            tensor_digest(image),
            None if mask is None else tensor_digest(mask),
            *image.shape,
            padding,
            *layers,
            parts,
        )
        return network.networks[0].known_styles.get(key, measure)


def layer_masks(network: TiledNetwork, mask: Mask | None) -> LayerMasks:
    """Return a mask at each layer whose moments are compared; an empty table for no mask."""
    if mask is None:
        return {}
    # A region without pixels still needs a positive number of positions to divide by.
    return guidance.propagate_mask(mask.clamp(min=_LEAST), network.convolutions, network.needs.moments)


def mask_of_tile(network: TiledNetwork, masks: LayerMasks, layer: str, tile: Tile) -> Mask | None:
    """Return the part of a layer's mask in the core of a tile.

    Args:
        network: knows the stride of the layer.
        masks: by layer; empty for no mask.
        layer: whose mask is cut.
        tile: of the image.

    """
    return tile.part(masks[layer], network.strides[layer]) if masks else None


def tensor_digest(tensor: Tensor) -> bytes:
    """Return the SHA-256 of a tensor's values."""
    return hashlib.sha256(tensor.cpu().contiguous().numpy().tobytes()).digest()


# Ours: far below the smallest step of an 8-bit mask, 1/255.
_LEAST = 1e-6
