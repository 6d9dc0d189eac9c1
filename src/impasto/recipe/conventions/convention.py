"""The convention of a program: the coefficients that its weights of 1 stand for."""

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
    """What a coefficient depends on: a layer of N channels and M positions, the image size, the number of layers."""

    channels: int
    positions: int
    pixels: int
    layers: int


@dataclass(frozen=True)
class TotalVariationForm:
    """A form of total variation, and the coefficient of a weight of 1 in that form."""

    form: Form
    unit: Callable[[Size], float]
    departure: str = ""  # how the program departs from the form, if it does


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The convention of a program: `content` and `style` return the coefficients that weights of 1 stand for."""

    name: str
    title: str
    source: str
    content: Callable[[CoefficientContext], float]
    style: Callable[[CoefficientContext], float]
    content_formula: str
    style_formula: str
    content_weight: float | None = None  # the program's default; None if it has none
    style_weight: float | None = None
    tv_weight: float = 0.0
    content_layer: str = "relu4_2"
    variations: tuple[TotalVariationForm, ...] = ()  # a weight without a form means the first
    weighs_layers: bool = True  # whether style layers can have weights of their own
    network: str | None = None  # whose features are compared, by the recipe's name; None for any
    activity: Literal["published", "unit-mean"] = "published"
    rounds: Literal["up", "down"] = "up"  # rounding of odd sizes by its poolings

    def place(self, layer: str, size: Size, layers: int) -> CoefficientContext:
        """Return what the coefficients of `layer` depend on, in an image of `size` with that many style layers.

        Args:
            layer: such as `conv4_2`.
            size: of the image.
            layers: number of style layers.

        Raises:
            RecipeError: a VGG has no such layer.

        """
        if layer not in _LAYERS:
            raise RecipeError(f"there is no layer {layer!r} in a VGG; {suggest(layer, _LAYERS)}")
        info = _LAYERS[layer]
        to_integer = math.ceil if self.rounds == "up" else math.floor
        positions = to_integer(size.height / info.stride) * to_integer(size.width / info.stride)
        return CoefficientContext(info.channels, positions, size.height * size.width, layers)

    def has_other_features(self, other: "Convention") -> bool:
        """Whether the two programs compare features of known, different scales."""
        known = self.network is not None and other.network is not None
        return known and (self.network, self.activity) != (other.network, other.activity)


# VGG-19 has every layer of VGG-16, with the same grid of positions.
_LAYERS: Final = vgg_layers.layers(vgg_layers.NETWORKS["vgg19"])
