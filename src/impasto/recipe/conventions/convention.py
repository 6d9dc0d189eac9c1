"""What a program's weights mean, as two functions of a layer."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from impasto.errors import RecipeError, suggest
from impasto.recipe import vgg_layers

Form = Literal["squared", "sum"]


class Size(NamedTuple):
    """Size of the image in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


class CoefficientContext(NamedTuple):
    """What a coefficient may depend on: a layer of N channels and M positions, the image, the term's layers."""

    channels: int
    positions: int
    pixels: int
    layers: int


@dataclass(frozen=True)
class TotalVariationForm:
    """One way of measuring total variation: the form of the term, and what a weight of 1 is in that form."""

    form: Form
    unit: Callable[[Size], float]
    departure: str = ""  # what the program does otherwise than the form, if it does


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What a program's weights mean: `content` and `style` return the coefficients that weights of 1 stand for."""

    name: str
    title: str
    source: str
    content: Callable[[CoefficientContext], float]
    style: Callable[[CoefficientContext], float]
    content_formula: str
    style_formula: str
    content_weight: float | None = None  # the program's own; none where it has none
    style_weight: float | None = None
    tv_weight: float = 0.0
    content_layer: str = "relu4_2"
    variations: tuple[TotalVariationForm, ...] = ()  # a bare weight means the first
    weighs_layers: bool = True  # whether single style layers can be given weights of their own
    network: str | None = None  # whose features it compares, by the recipe's name; none: any
    activity: Literal["published", "unit-mean"] = "published"
    rounds: Literal["up", "down"] = "up"  # what its poolings do at odd sizes

    def place(self, layer: str, size: Size, layers: int) -> CoefficientContext:
        """Return what the coefficients of `layer`, one of `layers`, depend on in an image of `size`.

        Raises:
            RecipeError: there is no such layer in a VGG.

        """
        if layer not in _LAYERS:
            raise RecipeError(f"there is no layer {layer!r} in a VGG; {suggest(layer, _LAYERS)}")
        info = _LAYERS[layer]
        to_integer = math.ceil if self.rounds == "up" else math.floor
        positions = to_integer(size.height / info.stride) * to_integer(size.width / info.stride)
        return CoefficientContext(info.channels, positions, size.height * size.width, layers)

    def has_other_features(self, other: "Convention") -> bool:
        """Whether the two programs compare features that are known to be scaled differently."""
        known = self.network is not None and other.network is not None
        return known and (self.network, self.activity) != (other.network, other.activity)


# VGG-19 has every layer that VGG-16 has, and each sees the same grid of positions.
_LAYERS: Final = vgg_layers.layers(vgg_layers.NETWORKS["vgg19"])
