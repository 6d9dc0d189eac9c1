"""The colour modes: what `recipe.colors` does to the photo, the styles and the result.

Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", on colour control.
"""

from collections.abc import Callable

import torch

from impasto.ops import color_transfer, oklab
from impasto.ops.color_transfer import Palette
from impasto.ops.shapes import Image, Lightness, Mask
from impasto.recipe import Recipe


def to_network_colors(image: Image, recipe: Recipe) -> Image:
    """Return `image` as the network sees it: grey if only lightness is painted."""
    return oklab.grey(oklab.lightness(image)) if recipe.colors == "luminance" else image


def compares_with_photo(recipe: Recipe) -> bool:
    """Whether `style_colors` depends on the photo; otherwise it changes nothing."""
    return recipe.colors in ("match", "luminance")


def style_colors(image: Image, photo: Image, recipe: Recipe) -> Image:
    """Return a style picture as the network sees it: in the photo's palette if the recipe asks for that.

    Args:
        image: (1, 3, h, w) the style picture, sRGB in [0, 1].
        photo: (1, 3, H, W) without a margin.
        recipe: its `colors` is the mode.

    """
    match recipe.colors:
        case "match":
            colors = color_transfer.palette([(photo, 1.0, None)])
            return color_transfer.recolor(image, colors, recipe.color_match, shoulder=_SHOULDER)
        case "luminance":
            # On the CPU, since not every device has float64.
            style_lightness, photo_lightness = (oklab.lightness(picture.cpu()).double() for picture in (image, photo))
            # Gatys et al. 2017, luminance-only transfer, there in YIQ. A style of constant lightness stays constant.
            contrast = photo_lightness.std(correction=0) / style_lightness.std(correction=0).clamp(min=1e-6)
            lightness = contrast * (style_lightness - style_lightness.mean()) + photo_lightness.mean()
            return oklab.grey(color_transfer.clip_or_compress(lightness, _SHOULDER).to(image))
    return image


def recolor_photo(colors: Palette, photo: Image, recipe: Recipe, mask: Mask | None = None) -> Image:
    """Return `photo`, or the part in `mask`, with the palette of the styles, unless the styles have the photo's.

    Args:
        colors: the palette of the styles.
        photo: (1, 3, H, W) sRGB in [0, 1].
        recipe: its `colors` is the mode.
        mask: (1, 1, H, W) the part that is to match; None for all of it.

    """
    if compares_with_photo(recipe):
        return photo
    return color_transfer.recolor(photo, colors, recipe.color_match, mask)


def final_colors(photo: Image, recipe: Recipe) -> Callable[[Image], Image]:
    """Return the function that gives a painted image its final colours; the photo is analysed once, now.

    Args:
        photo: (1, 3, H, W), without a margin, of the size of the images to come.
        recipe: its `colors` is the mode.

    """
    match recipe.colors:
        case "luminance":
            chroma = oklab.from_srgb(photo)[:, 1:]
            return lambda image: oklab.to_srgb(torch.cat([_light(image), chroma], 1), _KNEE, _ENDS)
        case "match":
            # The photo's mean, not its whole distribution: the style's strokes may be brighter than the photo.
            mean = photo.mean((2, 3), keepdim=True)
            return lambda image: color_transfer.clip_or_compress(
                image - image.mean((2, 3), keepdim=True) + mean, _SHOULDER
            )
        case "content":
            # Ours; docs/control.md shows the result.
            colors = color_transfer.palette([(photo, 1.0, None)])
            return lambda image: color_transfer.recolor(image, colors, recipe.color_match, shoulder=_SHOULDER)
    return lambda image: image


def _light(image: Image) -> Lightness:
    return oklab.lightness(color_transfer.clip_or_compress(image, 2 * _ENDS))


# Ours, judged by eye: values beyond black or white are compressed into the last twentieth of the range, not cut off.
_SHOULDER = 0.05
# Ours: chroma up to this fraction of the gamut's is kept unchanged.
_KNEE = 0.85
# Ours: one level of 8 bits, so that a channel next to the end is told from a clipped one.
_ENDS = 1 / 255
