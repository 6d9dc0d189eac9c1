"""Conversions as text and JSON, and sizes as people write them."""

import re
from typing import Final

from impasto.errors import RecipeError
from impasto.recipe.conventions.convention import Convention, Size
from impasto.recipe.conventions.conversion import Conversion, Weights
from impasto.recipe.schedule import fit
from impasto.system.tables import Table

COLUMNS: Final = ("program", "content", "style", "total variation", "exact", "factors on its style layers")


def picture_size(size: str, aspect: str | None = None) -> Size:
    """Return the size of `512`, of `512` with the aspect ratio `4:3`, or of `512x384`; width first.

    A long side alone gives a square.

    Raises:
        RecipeError: it is of another form, or there are two aspect ratios.

    """
    both, long_side = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", size), re.fullmatch(r"\d{1,6}", size)
    if both and aspect:
        raise RecipeError(f"size {size} has an aspect ratio already; leave out {aspect}")
    if both:
        return Size(int(both[2]), int(both[1]))
    if not long_side:
        raise RecipeError(f"size is {size!r}; expected a long side such as 512, or width x height such as 512x384")
    ratio = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?):(\d{1,6}(?:\.\d{1,6})?)", aspect or "1:1")
    # In thousandths, as `fit` takes whole numbers.
    width, height = (round(1000 * float(side)) for side in ratio.groups()) if ratio else (0, 0)
    if not width or not height:
        raise RecipeError(f"aspect is {aspect!r}; expected width:height such as 4:3")
    return Size(*fit(height, width, int(size)))


def number(value: float) -> str:
    """Return a weight with six digits, more than any picture shows."""
    return f"{value:.6g}"


def row(conversion: Conversion) -> tuple[str, ...]:
    """Return the cells under `COLUMNS` for one conversion."""
    weights = conversion.weights
    factors = [f"{factor:.3g}" for _, factor in weights.style_layers]
    return (
        conversion.target.name,
        number(weights.content_weight),
        number(weights.style_weight),
        total_variation(conversion),
        "yes" if conversion.exact else "no",
        "as it comes" if set(factors) == {"1"} else " ".join(factors),
    )


def total_variation(conversion: Conversion) -> str:
    """Return the weight of total variation, with its form where the target has several."""
    weights, variations = conversion.weights, conversion.target.variations
    if weights.tv_form is None:
        return "0" if variations and conversion.given.tv_form is None else "-"
    return number(weights.tv_weight) + (f" {weights.tv_form}" if len(variations) > 1 else "")


def remarks(conversions: list[Conversion]) -> list[str]:
    """Return notes on what is not exact, each once with its programs, then on the features compared."""
    programs: dict[str, list[str]] = {}
    for conversion in conversions:
        for departure in conversion.departures:
            programs.setdefault(departure, []).append(conversion.target.name)
        if conversion.source.has_other_features(conversion.target):
            programs.setdefault(_FEATURES, []).append(conversion.target.name)
        elif conversion.target.network is None and conversion.source.network is not None:
            same = f"the same features need {features(conversion.source)}"
            programs.setdefault(same, []).append(conversion.target.name)
    return [f"{', '.join(names)}: {remark}" for remark, names in programs.items()]


def features(convention: Convention) -> str:
    """Return the recipe fields for the features that the program compares."""
    if convention.network is None:
        return "any"
    return f'network = "{convention.network}", activity = "{convention.activity}"'


_FEATURES: Final = "its features are scaled differently, so the weights carry over only roughly"


def as_json(conversion: Conversion) -> Table:
    """Return the conversion as plain values for JSON."""
    return {
        "from": {"program": conversion.source.name, **_plain(conversion.given)},
        "to": {"program": conversion.target.name, **_plain(conversion.weights)},
        "size": conversion.size._asdict(),
        "exact": conversion.exact,
        "departures": list(conversion.departures),
        "same_features": not conversion.source.has_other_features(conversion.target),
    }


def _plain(weights: Weights) -> Table:
    return {
        "content_weight": weights.content_weight,
        "style_weight": weights.style_weight,
        "tv_weight": weights.tv_weight,
        "tv_form": weights.tv_form,
        "content_layer": weights.content_layer,
        "style_layers": dict(weights.style_layers),
    }
