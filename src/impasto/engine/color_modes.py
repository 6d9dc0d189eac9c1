"""Whose colours the pictures of a run have: what `recipe.colors` makes of the photo, the styles and the result.

Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", on colour control.
"""

from collections.abc import Callable

import torch

from impasto.ops import color_transfer, oklab
from impasto.ops.color_transfer import Palette
from impasto.ops.shapes import Image, Lightness, Mask
from impasto.recipe import Recipe


def to_network_colors(image: Image, recipe: Recipe) -> Image:
    """Return what the network is shown of a picture of the photo's frame: greys where only lightness is painted."""
    return oklab.grey(oklab.lightness(image)) if recipe.colors == "luminance" else image


def style_colors(image: Image, photo: Image, recipe: Recipe) -> Image:
    """Return what the network is shown of a style picture, in the colours of `photo` where they are wanted."""
    match recipe.colors:
        case "match":
            colors = color_transfer.palette([(photo, 1.0, None)])
            return color_transfer.recolor(image, colors, recipe.color_match, shoulder=_SHOULDER)
        case "luminance":
            style_lightness, photo_lightness = oklab.lightness(image).double(), oklab.lightness(photo).double()
            # Gatys et al. 2017, luminance-only transfer, there in YIQ; a style of one lightness stays one.
            contrast = photo_lightness.std(correction=0) / style_lightness.std(correction=0).clamp(min=1e-6)
            lightness = contrast * (style_lightness - style_lightness.mean()) + photo_lightness.mean()
            return oklab.grey(color_transfer.clip_or_compress(lightness, _SHOULDER).to(image))
    return image


def recolor_photo(colors: Palette, photo: Image, recipe: Recipe, mask: Mask | None = None) -> Image:
    """Return `photo`, or what `mask` counts of it, in the colours of the styles, unless these have its own already."""
    if recipe.colors in ("match", "luminance"):
        return photo
    return color_transfer.recolor(photo, colors, recipe.color_match, mask)


def final_colors(photo: Image, recipe: Recipe) -> Callable[[Image], Image]:
    """Return what gives a painted image its final colours; all that depends on the photo alone is computed now.

    Args:
        photo: (1, 3, H, W), what the image is painted from, without a margin and of its size.
        recipe: says whose colours they are.

    """
    match recipe.colors:
        case "luminance":
            chroma = oklab.from_srgb(photo)[:, 1:]
            return lambda image: oklab.to_srgb(torch.cat([_light(image), chroma], 1), _KNEE, _ENDS)
        case "match":
            # Matched before, not after: the style's strokes may be brighter than the photo.
            mean = photo.mean((2, 3), keepdim=True)
            return lambda image: color_transfer.clip_or_compress(
                image - image.mean((2, 3), keepdim=True) + mean, _SHOULDER
            )
        case "content":
            # Ours, looked at: see docs/control.md.
            colors = color_transfer.palette([(photo, 1.0, None)])
            return lambda image: color_transfer.recolor(image, colors, recipe.color_match, shoulder=_SHOULDER)
    return lambda image: image


def _light(image: Image) -> Lightness:
    return oklab.lightness(color_transfer.clip_or_compress(image, 2 * _ENDS))


# Ours, looked at: what is carried beyond black or white is drawn into the last twentieth of the range, not cut off.
_SHOULDER = 0.05
# Ours: up to this share of the chroma there is room for the photo's is kept as it is.
_KNEE = 0.85
# Ours: a channel at a level of 8 bits next to the end is told from one that is clipped.
_ENDS = 1 / 255
