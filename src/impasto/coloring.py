"""Whose colours the pictures of a run have: what `recipe.colors` makes of the photo, the styles and the result.

Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", on colour control.
"""

from collections.abc import Callable

import torch

from impasto import color, oklab
from impasto.color import Palette
from impasto.recipe import Recipe
from impasto.types import Image, Mask


def shown(image: Image, recipe: Recipe) -> Image:
    """Return what the network is shown of a picture of the photo's frame: greys where only lightness is painted."""
    return oklab.grey(oklab.lightness(image)) if recipe.colors == "luminance" else image


def style(image: Image, photo: Image, recipe: Recipe) -> Image:
    """Return what the network is shown of a style picture, in the colours of `photo` where they are wanted."""
    match recipe.colors:
        case "match":
            return color.recolor(image, color.palette([(photo, 1.0, None)]), recipe.color_match)
        case "luminance":
            own, wanted = oklab.lightness(image).double(), oklab.lightness(photo).double()
            # Gatys et al. 2017, luminance-only transfer, there in YIQ; a style of one lightness stays one.
            contrast = wanted.std(correction=0) / own.std(correction=0).clamp(min=1e-6)
            return oklab.grey((contrast * (own - own.mean()) + wanted.mean()).to(image))
    return image


def in_colors_of(colors: Palette, photo: Image, recipe: Recipe, mask: Mask | None = None) -> Image:
    """Return `photo`, or what `mask` counts of it, in the colours of the styles, unless these have its own already."""
    if recipe.colors in ("match", "luminance"):
        return photo
    return color.recolor(photo, colors, recipe.color_match, mask)


def finish(photo: Image, recipe: Recipe) -> Callable[[Image], Image]:
    """Return what gives a painted image its final colours; all that depends on the photo alone is computed now.

    Args:
        photo: (1, 3, H, W), what the image is painted from, without a margin and of its size.
        recipe: says whose colours they are.

    """
    match recipe.colors:
        case "luminance":
            chroma = oklab.from_srgb(photo)[:, 1:]
            return lambda image: oklab.to_srgb(torch.cat([oklab.lightness(image), chroma], 1))
        case "content":
            # Ours, looked at: see docs/control.md.
            colors = color.palette([(photo, 1.0, None)])
            return lambda image: color.recolor(image, colors, recipe.color_match)
    return lambda image: image
