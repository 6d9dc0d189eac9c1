"""Conversion of weights from one program to another, by way of the coefficients that they stand for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from impasto.errors import RecipeError
from impasto.recipe import settings
from impasto.recipe.conventions.convention import Convention, Form, Size
from impasto.recipe.settings import Setting, setting
from impasto.recipe.terms import STYLE_LAYERS, Content, Gram, LayerWeights, Term, Terms, TotalVariation, weighted_layers
from impasto.system.tables import Table

# Ours: far beyond any use, and products of weights stay finite.
_LARGEST: Final = 1e100
# Ours: features of published networks differ by a factor of about 100 at most.
_SCALE: Final = Setting("", minimum=1e-6, maximum=1e6)
# As `Recipe.size`; four poolings need 16 pixels.
_SIDE: Final = Setting("", minimum=16, maximum=65536)
# Ours: far above the rounding of equal weights, far below any deliberate difference.
_SAME: Final = 1e-9


@dataclass(frozen=True)
class Weights:
    """The weights of a program. `style_layers` are factors on its own weights of the layers, 1 by default.

    Raises:
        RecipeError: a number is out of range.

    """

    content_weight: float = setting(help="of the content term", minimum=0, maximum=_LARGEST)
    style_weight: float = setting(help="of the style term", minimum=0, maximum=_LARGEST)
    tv_weight: float = setting(0.0, help="of total variation", minimum=0, maximum=_LARGEST)
    tv_form: Form | None = None
    content_layer: str = "relu4_2"
    style_layers: LayerWeights = setting(
        tuple((name, 1.0) for name in STYLE_LAYERS), help="layers and their factors", minimum=0, maximum=_LARGEST
    )

    def __post_init__(self) -> None:
        settings.check(self)


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of the mean content, of each layer's mean style, and of one form of total variation."""

    content_layer: str
    content: float
    style: LayerWeights
    smoothness: float
    form: Form | None


@dataclass(frozen=True)
class Conversion:
    """The weights of one program as those of another, with notes on what is not exact."""

    source: Convention
    target: Convention
    size: Size
    given: Weights
    weights: Weights
    departures: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether both objectives are the same function of the image, given features of the same network."""
        return not self.departures

    def recipe_lines(self) -> Table:
        """Return the weights as the lines of a recipe file.

        Raises:
            RecipeError: the weights are another program's.

        """
        if self.target.name != "impasto":
            raise RecipeError(f"{self.target.name} reads no recipes; convert to impasto")
        weights, count = self.weights, len(self.weights.style_layers)
        gram = Gram(tuple((name, factor / count) for name, factor in weights.style_layers), "mean")
        terms: Terms = Content(((weights.content_layer, 1.0),), "mean") + gram
        table: Table = {"content_weight": weights.content_weight, "style_weight": weights.style_weight}
        if weights.tv_form is not None:
            table["smoothness"] = weights.tv_weight
            terms = terms + Terms((Term(TotalVariation(weights.tv_form)),))
        if self.source.activity != "published":
            table["activity"] = self.source.activity
        return {**table, "terms": [term.to_table() for term in terms]}


def weights_of(
    source: Convention,
    content_weight: float | None = None,
    style_weight: float | None = None,
    *,
    tv_weight: float | None = None,
    content_layer: str | None = None,
    style_layers: Iterable[str] | Mapping[str, float] = STYLE_LAYERS,
) -> Weights:
    """Return the weights of `source`; those left out are the program's defaults.

    Args:
        source: the program.
        content_weight: of its content term.
        style_weight: of its style term.
        tv_weight: of its total variation.
        content_layer: of the content term.
        style_layers: of the style term; with factors on the program's own weights of them, if it has such.

    Raises:
        RecipeError: a number is out of range, or the program has no such weight, or no default for one left out.

    """
    content_weight = source.content_weight if content_weight is None else content_weight
    style_weight = source.style_weight if style_weight is None else style_weight
    if content_weight is None or style_weight is None:
        raise RecipeError(f"{source.name} has no weights of this kind by default; give a content and a style weight")
    if tv_weight and not source.variations:
        raise RecipeError(f"{source.name} has no total variation; leave its weight out")
    tv_weight = source.tv_weight if tv_weight is None else tv_weight
    factors = style_layers if isinstance(style_layers, Mapping) else tuple((name, 1.0) for name in style_layers)
    weights = Weights(
        content_weight,
        style_weight,
        tv_weight,
        source.variations[0].form if tv_weight else None,
        content_layer or source.content_layer,
        weighted_layers(factors),
    )
    if not source.weighs_layers and any(factor != 1 for _, factor in weights.style_layers):
        raise RecipeError(f"{source.name} cannot weigh single layers; name them without factors")
    return weights


def coefficients(source: Convention, weights: Weights, size: Size) -> Coefficients:
    """Return the coefficients that `weights` of `source` stand for in an image of `size`.

    Args:
        source: the program whose weights they are.
        weights: as that program takes them.
        size: of the image.

    Raises:
        RecipeError: a layer that a VGG does not have.

    """
    layers = weights.style_layers
    places = {name: source.place(name, size, len(layers)) for name, _ in layers}
    units = {variation.form: variation.unit(size) for variation in source.variations}
    return Coefficients(
        weights.content_layer,
        weights.content_weight * source.content(source.place(weights.content_layer, size, 1)),
        tuple((name, weights.style_weight * factor * source.style(places[name])) for name, factor in layers),
        weights.tv_weight * units[weights.tv_form] if weights.tv_form else 0.0,
        weights.tv_form,
    )


def express(target: Convention, objective: Coefficients, size: Size) -> tuple[Weights, tuple[str, ...]]:
    """Return the weights of `target` that stand for `objective`, and notes on what they cannot express.

    The style weight is the one that gives the same sum of coefficients, with the program's own weights of its layers.

    Args:
        target: the program to write weights for.
        objective: the coefficients of each loss.
        size: of the image.

    """
    departures = []
    content = objective.content / target.content(target.place(objective.content_layer, size, 1))
    units = {name: target.style(target.place(name, size, len(objective.style))) for name, _ in objective.style}
    style = sum(value for _, value in objective.style) / sum(units.values())
    factors = tuple((name, value / (style * units[name]) if style else 1.0) for name, value in objective.style)
    if not target.weighs_layers:
        if any(abs(factor - 1) > _SAME for _, factor in factors):
            departures.append("cannot weigh single style layers: the style weight gives the same sum over them")
        factors = tuple((name, 1.0) for name, _ in factors)
    tv_weight, form = 0.0, None
    if objective.form is not None and objective.smoothness > 0:
        variation_used = next((variation for variation in target.variations if variation.form == objective.form), None)
        if variation_used is None:
            departures.append(_without(target, objective.form))
        else:
            tv_weight, form = objective.smoothness / variation_used.unit(size), variation_used.form
            departures += [f"total variation {variation_used.departure}"] if variation_used.departure else []
    return Weights(content, style, tv_weight, form, objective.content_layer, factors), tuple(departures)


def _without(target: Convention, form: Form) -> str:
    if not target.variations:
        return "has no total variation"
    return "has total variation of another kind: of " + ("squares" if form == "sum" else "absolute differences")


def convert(
    source: Convention, target: Convention, weights: Weights, size: Size, *, feature_scale: float = 1.0
) -> Conversion:
    """Return the weights of `target` that stand for the same objective as `weights` of `source`.

    Args:
        source: the program of the weights.
        target: the program to convert to.
        weights: from `weights_of`.
        size: of the image; it matters only if one of the programs sums over positions.
        feature_scale: factor by which the target's features are larger.

    Raises:
        RecipeError: a layer that a VGG does not have, or a number out of range.

    """
    settings.checked_value(feature_scale, float, _SCALE, "feature_scale")
    for name, side in size._asdict().items():
        settings.checked_value(side, int, _SIDE, name)
    source_coefficients = coefficients(source, weights, size)
    # With features k times as large, squared differences grow by k^2, those of Gram matrices by k^4.
    style = tuple((name, value / feature_scale**4) for name, value in source_coefficients.style)
    content = source_coefficients.content / feature_scale**2
    scaled = Coefficients(
        source_coefficients.content_layer, content, style, source_coefficients.smoothness, source_coefficients.form
    )
    result, departures = express(target, scaled, size)
    if source is target:
        return Conversion(source, target, size, weights, result, ())
    own = {variation.form: variation.departure for variation in source.variations}
    if result.tv_form and own[result.tv_form]:
        departures += (f"total variation: {source.name} {own[result.tv_form]}",)
    return Conversion(source, target, size, weights, result, departures)
