"""The components of an objective: each term of the recipe at each of its layers."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from impasto import losses
from impasto.losses import AnyLoss, Need
from impasto.ops.guidance import Region
from impasto.recipe import Recipe
from impasto.recipe.terms import LayeredLoss


@dataclass(frozen=True)
class Component:
    """One loss at one layer, or of the image.

    Attributes:
        label: the label of its term.
        weight: the term's times the layer's.
        loss: the loss that is computed.
        layer: such as `relu4_2`; None for a loss of the image.
        region: index of the region whose moments are compared.
        is_of_photo: whether the target is the photo's instead of the styles'; see `split_over_regions`.
        target: what `loss.fit` returned.

    """

    label: str
    weight: float
    loss: AnyLoss
    layer: str | None
    region: int = 0
    is_of_photo: bool = False
    target: object = None


def components(recipe: Recipe) -> Iterator[Component]:
    """Yield a component, without its target, for each layer of each term of positive weight."""
    labels: set[str] = set()
    for term in recipe.terms:
        label = term.label if term.label not in labels else f"{term.label} {len(labels) + 1}"
        labels.add(label)
        weight, loss = recipe.weight_of(term), losses.build(term.loss)
        if isinstance(term.loss, LayeredLoss):
            for layer, share in term.loss.layers:
                if weight * share > 0:
                    yield Component(label, weight * share, loss, layer)
        elif weight > 0:
            yield Component(label, weight, loss, None)


def split_over_regions(
    component: Component, regions: Sequence[Region], style_weights: Sequence[float], strength: float
) -> Iterator[Component]:
    """Yield the component once for each region, weighted by the region's area and the weights of its styles.

    The regions' weights sum to the fraction of the picture that they cover, so that a small region is not painted more
    strongly than a large one. For losses that compare all features, `strength` splits the component between the styles
    and the photo instead.

    Args:
        component: of the whole image.
        regions: at least one.
        style_weights: of all styles, in order.
        strength: from the photo (0) to the styles (1).

    """
    if component.loss.need is Need.FEATURES and strength < 1:
        for is_of_photo, share in ((False, strength), (True, 1 - strength)):
            if share > 0:
                yield dataclasses.replace(component, weight=component.weight * share, is_of_photo=is_of_photo)
        return
    if component.loss.need is not Need.MOMENTS or regions[0].mask is None:
        yield component
        return
    areas = [1.0 if region.mask is None else float(region.mask.cpu().double().mean()) for region in regions]
    weights = [sum(style_weights[source.style] for source in region.sources) for region in regions]
    total_weight = sum(area * weight for area, weight in zip(areas, weights, strict=True))
    for index, (area, weight) in enumerate(zip(areas, weights, strict=True)):
        # A region without pixels, or whose styles have no weight, gets the weight 0.
        share = area * weight / total_weight * min(1.0, sum(areas)) if total_weight > 0 else 0.0
        yield dataclasses.replace(component, weight=component.weight * share, region=index)


def layers_with(plan: Iterable[Component], need: Need) -> frozenset[str]:
    """Return the layers at which a loss of that need compares features."""
    return frozenset(part.layer for part in plan if part.layer is not None and part.loss.need is need)
