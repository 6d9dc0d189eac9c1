"""The weights of other programs, and their conversion into one another's. Arithmetic on numbers only, no torch.

Let F be the features of the image and P those of the photo, N channels x M positions, and G and A the Gram matrices of
image and style. Every objective of this family is, written in means, a sum of

    content coefficient   x   sum (F - P)^2 / (N M)              `Content(form="mean")`
    style coefficients    x   sum (G / M - A / M)^2 / N^2        `Gram(form="mean")`, one for each layer

A `Convention` gives the coefficients that a program's weights of 1 stand for. `convert` multiplies by one program's and
divides by another's: objectives with equal coefficients are the same function of the image.

    source = conventions.named("neural-style")
    weights = conventions.weights_of(source, content_weight=5, style_weight=100)
    conventions.convert(source, conventions.named("impasto"), weights, conventions.Size(384, 512)).weights
"""

from impasto.recipe.conventions.convention import CoefficientContext, Convention, Size, TotalVariationForm
from impasto.recipe.conventions.conversion import (
    Coefficients,
    Conversion,
    Weights,
    coefficients,
    convert,
    express,
    weights_of,
)
from impasto.recipe.conventions.programs import CONVENTIONS, named
from impasto.recipe.conventions.tables import (
    COLUMNS,
    as_json,
    features,
    number,
    picture_size,
    remarks,
    row,
    total_variation,
)

__all__ = [
    "COLUMNS",
    "CONVENTIONS",
    "CoefficientContext",
    "Coefficients",
    "Convention",
    "Conversion",
    "Size",
    "TotalVariationForm",
    "Weights",
    "as_json",
    "coefficients",
    "convert",
    "express",
    "features",
    "named",
    "number",
    "picture_size",
    "remarks",
    "row",
    "total_variation",
    "weights_of",
]
