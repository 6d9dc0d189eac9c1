"""From pictures and a recipe to a run: the only place where files meet the engine."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto import backends, presets
from impasto.errors import UsageError
from impasto.picture import Picture, PictureSource, as_picture
from impasto.recipe import INITS, Recipe
from impasto.run import Run


@dataclass(frozen=True)
class Job:
    """A photo, the styles to paint it in, and how.

    Attributes:
        content: the photo: a path, `Picture`, PIL image, NumPy array or tensor (see `impasto.picture.as_picture`).
        styles: the style pictures, in the same forms.
        recipe: a recipe, the name of a preset, or the path of a `.toml` file.
        weights: how much each style counts in the blend; equal if left out. They need not sum to 1.
        init: a picture to start from, instead of what `recipe.init` says; stretched to the photo's frame.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    """

    content: PictureSource
    styles: Sequence[PictureSource]
    recipe: Recipe | str | Path = "default"
    weights: Sequence[float] | None = None
    init: PictureSource | None = None
    device: str = "auto"

    def start(self) -> Run:
        """Read the pictures and return the run, which begins with the first event asked for.

        Raises:
            UsageError: no style, weights that do not fit the styles, or a device that no machine has.
            RecipeError: the recipe does not exist or is not valid.
            PictureError: a picture cannot be read.
            DeviceError: the device is not there.

        """
        weights = style_weights(len(self.styles), self.weights)
        recipe = presets.resolve(self.recipe)
        device = backends.device(self.device)
        content = as_picture(self.content)
        styles = [(as_picture(style), weight) for style, weight in zip(self.styles, weights, strict=True)]
        start = None if self.init is None else as_picture(self.init)
        return Run(content, styles, recipe, device, start)


def style_weights(count: int, weights: Sequence[float] | None) -> tuple[float, ...]:
    """Return the weight of each of `count` styles, normalised to sum to 1.

    Raises:
        UsageError: no style, another number of weights, a negative weight, or none above 0.

    """
    if count == 0:
        raise UsageError("no style picture was given; name at least one")
    if weights is None:
        weights = [1.0] * count
    if len(weights) != count:
        raise UsageError(f"{len(weights)} style weights for {count} style pictures; give one for each")
    total = sum(weights)
    if not (min(weights) >= 0 and 0 < total < float("inf")):
        raise UsageError(f"style weights are {', '.join(map(str, weights))}; give numbers of at least 0, one above 0")
    return tuple(weight / total for weight in weights)


def stylize(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource],
    *,
    recipe: Recipe | str | Path = "default",
    weights: Sequence[float] | None = None,
    init: PictureSource | None = None,
    device: str = "auto",
    **changes: Any,
) -> Picture:
    """Return `content` painted in the style of one or several pictures.

    Args:
        content: the photo: a path, `Picture`, PIL image, NumPy array or tensor (see `impasto.picture.as_picture`).
        style: the style picture or a list of them, in the same forms.
        recipe: a recipe, the name of a preset, or the path of a `.toml` file.
        weights: how much each of several styles counts; equal if left out.
        init: what the image starts as: `content`, `matched`, `noise`, `style`, or a picture.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        **changes: values for the recipe's fields, such as `size=1024` or `content_weight=0.05`.

    Returns:
        The picture, in the photo's aspect ratio, with the photo's transparency.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    chosen = presets.resolve(recipe)
    if isinstance(init, str) and init in INITS:
        changes["init"], init = init, None
    styles = style if isinstance(style, list | tuple) else [typing.cast(PictureSource, style)]
    run = Job(content, styles, chosen.replace(**changes), weights, init, device).start()
    for _ in run:
        pass
    return run.picture()
