"""The objective of a run: the recipe's terms, fitted to one photo and its styles at one size."""

import copy
import dataclasses
from collections.abc import Hashable, Iterator, Sequence

import torch
from torch import Tensor

from impasto.engine.objective.components import Component, components, layers_with, split_over_regions
from impasto.engine.objective.evaluation import Evaluation
from impasto.engine.objective.targets import TargetSources, layer_masks, mask_of_tile
from impasto.engine.objective.tiled import LayerNeeds, Sums, TiledNetwork, add_sums
from impasto.errors import UsageError
from impasto.losses import Need, Summary, TileView
from impasto.losses.temporal import Temporal
from impasto.ops.guidance import Region, Source
from impasto.ops.moments import Moments, moments
from impasto.ops.shapes import Image, Mask, Scalar
from impasto.ops.tiling import Tile
from impasto.recipe import Recipe
from impasto.vgg.network import VGG

# A tile of the image as a leaf of autograd, and the statistics computed from it.
Graph = tuple[Tensor, Sums]


class Objective:
    """The weighted style-transfer loss for one image size; `evaluate` returns its value, its terms and the gradient.

    Args:
        networks: the network whose features are compared; given on several devices, these share the tiles.
        recipe: its terms and weights; a term of weight 0 costs nothing.
        content: (1, 3, H, W) the photo, sRGB in [0, 1].
        styles: the style pictures, (1, 3, h, w) each, and their weights, which need not sum to 1.
        regions: parts of the picture with styles of their own; one with all styles if left out.
        protected: (1, 1, H, W) in [0, 1]: how far each pixel stays the photo's.
        temporal: the temporal loss of a frame of a film, and its weight.
        tile: longest side of the tiles the picture is computed in, in pixels, without the halo; None for the whole at
            once. The loss and its gradient are the same, in less memory and more time.
        cached_tiles: tiles, per device, that keep their features from the forward pass to the backward pass.

    Raises:
        UsageError: tiles with circular padding or with terms that need the whole image at once; regions with such
            terms.

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
        protected: Mask | None = None,
        temporal: tuple[Temporal, float] | None = None,
        cached_tiles: int = 1,
    ) -> None:
        self._networks = [networks] if isinstance(networks, VGG) else list(networks)
        self._wraps = recipe.padding == "circular"
        self._cached_tiles = cached_tiles * len(self._networks)
        self._is_grey = recipe.colors == "luminance"
        if tile is not None and recipe.whole_only:
            raise UsageError(f"{recipe.whole_only} cannot be computed in tiles; leave them out")
        self._protected = None if protected is None else (protected, content)
        is_shareable = not regions and protected is None and temporal is None
        self.digest = recipe.digest
        self._is_shareable = is_shareable
        plan = self._plan(recipe, styles, regions, temporal)
        needs = LayerNeeds(*(layers_with(plan, need) for need in (Need.MOMENTS, Need.POSITIONS, Need.FEATURES)))
        if needs.features and regions:
            kinds = ", ".join(sorted({part.label for part in plan if part.loss.need is Need.FEATURES}))
            raise UsageError(f"{kinds}: knows no masks or parts of single styles; leave the term or those out")
        self._tiled = TiledNetwork(self._networks, tile, needs)
        everywhere = [Region(None, tuple(Source(index) for index in range(len(styles))))]
        with torch.no_grad():
            # Style pictures are not periodic: circular padding is replaced by reflection.
            sources = TargetSources(
                self._tiled, content, styles, regions or everywhere, recipe.strength, "reflect" if self._wraps else None
            )
            self._masks = [layer_masks(self._tiled, region.mask) for region in regions or everywhere]
            self._components = [self._with_target(component, sources) for component in plan]
        self._labels = tuple(dict.fromkeys(component.label for component in self._components))

    @staticmethod
    def _plan(
        recipe: Recipe,
        styles: Sequence[tuple[Image, float]],
        regions: Sequence[Region],
        temporal: tuple[Temporal, float] | None,
    ) -> list[Component]:
        weights = [weight for _, weight in styles]
        everywhere = [Region(None, tuple(Source(index) for index in range(len(styles))))]
        plan = [
            part
            for component in components(recipe)
            for part in split_over_regions(component, regions or everywhere, weights, recipe.strength)
        ]
        if temporal is not None:
            plan.append(Component("temporal", temporal[1], temporal[0], None))
        return plan

    @staticmethod
    def _with_target(component: Component, sources: TargetSources) -> Component:
        return dataclasses.replace(component, target=component.loss.fit(sources.of(component)))

    @property
    def capturable(self) -> bool:
        """Whether an evaluation is the same sequence of operations every time, on one device: fit for a CUDA graph."""
        is_whole = self._tiled.tile is None and len(self._networks) == 1
        return is_whole and all(component.loss.capturable for component in self._components)

    @property
    def graph_key_and_targets(self) -> tuple[Hashable, list[Tensor]] | None:
        """Key and target tensors by which a captured CUDA graph can be reused.

        None with masks, regions or a temporal term, whose graphs are not shared.
        """
        if not self._is_shareable or self._tiled.needs.features or not self.capturable:
            return None
        leaves = [leaf for component in self._components for leaf in _leaves(component.target)]
        targets = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        numbers = tuple(leaf for leaf in leaves if not isinstance(leaf, Tensor))
        return (self.digest, id(self._networks[0]), numbers), targets

    def __deepcopy__(self, memo: dict[int, object]) -> "Objective":
        """Return a copy that shares the networks and has its own targets."""
        memo |= {id(network): network for network in self._networks}
        other = object.__new__(type(self))
        memo[id(self)] = other
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other

    def evaluate(self, image: Image, *, gradient: bool = True) -> Evaluation:
        """Return the loss of `image`, (1, 3, H, W) sRGB in [0, 1], term by term, and its gradient."""
        if self._protected is None:
            return self._evaluate_unprotected(image.detach(), gradient=gradient)
        # The result shows the photo where it is protected, so that is what is evaluated.
        protected, photo = self._protected
        evaluation = self._evaluate_unprotected(image.detach().lerp(photo, protected), gradient=gradient)
        if evaluation.gradient is None:
            return evaluation
        return dataclasses.replace(evaluation, gradient=evaluation.gradient * (1 - protected))

    def _evaluate_unprotected(self, image: Image, *, gradient: bool) -> Evaluation:
        layers = self._tiled.needs.all
        tiles = self._tiled.tiles(image, layers) if layers else []
        derivative: Image | None
        if len(tiles) == 1:
            image.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                total, numbers = self._total_loss(self._tile_sums(self._networks[0], image, tiles[0]), image)
            derivative = torch.autograd.grad(total, image)[0] if gradient else None
        else:
            first = max(0, len(tiles) - self._cached_tiles) if gradient else len(tiles)
            graphs: dict[Tile, Graph] = {}
            with torch.no_grad():
                sums = add_sums(self._forward_tiles(image, tiles[:first], tiles[first:], graphs))
            for leaf in (image, *sums.values()):
                leaf.requires_grad_(gradient)
            with torch.set_grad_enabled(gradient):
                total, numbers = self._total_loss(sums, image)
            derivative = self._backward_through_tiles(total, image, sums, tiles, graphs) if gradient else None
        if self._is_grey and derivative is not None:
            # Project on the grey axis: only lightness is optimised, so an image that starts grey stays grey.
            derivative = derivative.mean(1, keepdim=True).expand_as(derivative).contiguous()
        image.requires_grad_(False)
        return Evaluation(self._labels, numbers.detach(), derivative)

    def _forward_tiles(
        self, image: Image, tiles: Sequence[Tile], cached: Sequence[Tile], graphs: dict[Tile, Graph]
    ) -> Iterator[Sums]:
        """Yield the sums of the tiles; those of the `cached` tiles keep their autograd graphs, in `graphs`."""
        yield from self._tiled.map(tiles, lambda network, tile: self._tile_sums(network, tile.cut(image), tile))
        graphs_of_tiles = self._tiled.map(cached, lambda network, tile: self._forward_with_graph(image, network, tile))
        for tile, (part, sums) in zip(cached, graphs_of_tiles, strict=True):
            graphs[tile] = part, sums
            yield {name: value.detach() for name, value in sums.items()}

    def _forward_with_graph(self, image: Image, network: VGG, tile: Tile) -> Graph:
        """Return a tile as a leaf of autograd, and its sums."""
        part = tile.cut(image.detach()).to(network.device).requires_grad_()
        with torch.enable_grad():
            return part, self._tile_sums(network, part, tile)

    def _backward_through_tiles(
        self, total: Scalar, image: Image, sums: Sums, tiles: Sequence[Tile], graphs: dict[Tile, Graph]
    ) -> Image:
        """Backpropagate to the image: the direct terms at once, the additive statistics one tile at a time."""
        direct, *by_sum = torch.autograd.grad(total, [image, *sums.values()], allow_unused=True)
        gradients = {name: gradient for name, gradient in zip(sums, by_sum, strict=True) if gradient is not None}

        def backward(network: VGG, tile: Tile) -> Tensor:
            part, tile_sums = graphs.pop(tile) if tile in graphs else self._forward_with_graph(image, network, tile)
            outer = [gradient.to(part.device) for gradient in gradients.values()]
            (inner,) = torch.autograd.grad([tile_sums[name] for name in gradients], part, outer)
            return inner

        result = torch.zeros_like(image) if direct is None else direct
        # The last tiles first: freeing their cached graphs makes room for computing the others.
        reversed_tiles = list(tiles)[::-1]
        for tile, gradient in zip(reversed_tiles, self._tiled.map(reversed_tiles, backward), strict=True):
            tile.cut(result).add_(gradient.to(result.device))
        return result

    def _tile_sums(self, network: VGG, image: Image, tile: Tile) -> Sums:
        """Return the additive statistics of a tile: sums over the positions of its core, by layer or loss."""
        tiled, sums = self._tiled, Sums()
        allow_moments = not any(self._masks)
        walk = tiled.features(network, image.to(network.device), tile, tiled.needs.all, allow_moments=allow_moments)
        for layer, features in walk:
            for region, masks in enumerate(self._masks if layer in tiled.needs.moments else ()):
                part = features
                if not isinstance(part, Moments):
                    mask = mask_of_tile(tiled, masks, layer, tile)
                    part = moments(part, None if mask is None else mask.to(network.device))
                sums[f"{layer} total {region}"], sums[f"{layer} outer {region}"] = part.total, part.outer
            if isinstance(features, Moments):
                continue
            view = TileView(features, tile, tiled.strides[layer])
            for index, component in enumerate(self._components):
                if component.layer == layer:
                    statistic = component.loss.tile_statistic(view, component.target)
                    if statistic is not None:
                        sums[f"{layer} {index}"] = statistic
        return sums

    def _total_loss(self, sums: Sums, image: Image) -> tuple[Scalar, Tensor]:
        """Return the loss, and a tensor of the loss and what each term adds to it."""
        values: dict[str, Tensor] = {}
        for index, component in enumerate(self._components):
            layer, region_moments = component.layer, None
            if layer is not None and component.loss.need is Need.MOMENTS:
                region_moments = self._region_moments(sums, layer, component.region, image)
            summary = Summary(image, self._wraps, region_moments, sums.get(f"{layer} {index}"))
            value = component.weight * component.loss.evaluate(summary, component.target)
            label = component.label
            values[label] = values[label] + value if label in values else value
        total = torch.stack(list(values.values())).sum()
        return total, torch.stack([total, *values.values()])

    def _region_moments(self, sums: Sums, layer: str, region: int, image: Image) -> Moments:
        total, outer = sums[f"{layer} total {region}"], sums[f"{layer} outer {region}"]
        masks = self._masks[region]
        if masks:
            return Moments(masks[layer].sum().to(total).expand(total.shape[0]), total, outer)
        # Filled on the device: a copy from the CPU would wait for it, and cannot be captured.
        return Moments(total.new_full(total.shape[:1], float(self._tiled.n_positions(image, layer))), total, outer)


def _leaves(target: object) -> Iterator[object]:
    """Yield the tensors and numbers that a target consists of."""
    if isinstance(target, tuple | list):
        for part in target:
            yield from _leaves(part)
    else:
        yield target
