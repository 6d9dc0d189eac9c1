"""The image that a scale starts from.

Random numbers are drawn on the CPU, so that a seed gives the same image on every device.
"""

from collections.abc import Sequence

import torch

from impasto.engine import color_modes, palettes
from impasto.engine.scene import Scene
from impasto.ops import color_transfer
from impasto.ops.color_transfer import Palette
from impasto.ops.guidance import Region
from impasto.ops.shapes import AnyImage, Image, Mask
from impasto.recipe import ColorMatch
from impasto.recipe.schedule import Scale


def noise(height: int, width: int, seed: int) -> Image:
    """Return white noise (1, 3, H, W), uniform in [0, 1).

    Args:
        height: in pixels.
        width: in pixels.
        seed: of the random numbers.

    """
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def grey(height: int, width: int, seed: int) -> Image:
    """Return the mean colour of ImageNet with uniform noise of up to 1 in 0..255, (1, 3, H, W) in [0, 1].

    The start of Keras' example and, with less noise, of Johnson's neural-style.

    Args:
        height: in pixels.
        width: in pixels.
        seed: of the random numbers.

    """
    # The mean of ImageNet's training images, which the authors' Caffe models subtract; RGB in 0..255.
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    return (mean + noise(height, width, seed)) / 255


def style_noise(colors: Palette, height: int, width: int, seed: int, method: ColorMatch) -> Image:
    """Return noise (1, 3, H, W) in the colours of a palette, clamped to [0, 1].

    Args:
        colors: the palette.
        height: in pixels.
        width: in pixels.
        seed: of the random numbers.
        method: how the colours are matched.

    """
    return color_transfer.recolor(noise(height, width, seed), colors, method)


def first_image(
    scene: Scene,
    scale: Scale,
    photo: Image,
    styles: Sequence[tuple[AnyImage, float]],
    regions: Sequence[Region] = (),
) -> Image:
    """Return the image that the first scale starts from, with its margin.

    Args:
        scene: the pictures and the recipe.
        scale: the first scale.
        photo: (1, 3, H, W) the photo at `scale`, with its margin.
        styles: the style pictures at `scale` and their weights.
        regions: the regions at `scale`, if there are masks.

    """
    if scene.inputs.start is not None:
        image = scene.padded(scene.inputs.start, scale)
    elif scene.recipe.init == "content":
        image = photo
    elif scene.recipe.init == "matched":
        image = _recolored_photo(scene, photo, styles, regions)
    else:
        image = color_modes.to_network_colors(_initial_noise(scene, photo, styles).to(scene.device), scene.recipe)
    return palettes.transport_colors(scene, scale, image, photo, styles, regions)


def _initial_noise(scene: Scene, photo: Image, styles: Sequence[tuple[AnyImage, float]]) -> Image:
    """Return the noise that `recipe.init` asks for, of the photo's size, on the CPU."""
    recipe, (height, width) = scene.recipe, photo.shape[2:]
    if recipe.init == "grey":
        return grey(height, width, recipe.seed)
    if recipe.init == "style":
        return style_noise(
            palettes.target_palette(scene, photo, styles), height, width, recipe.seed, recipe.color_match
        )
    return noise(height, width, recipe.seed)


def next_image(
    scene: Scene,
    scale: Scale,
    image: AnyImage,
    photo: Image,
    styles: Sequence[tuple[AnyImage, float]],
    regions: Sequence[Region] = (),
) -> Image:
    """Return the image that the next scale starts from: the last scale's result with the photo's detail added.

    Enlarging adds no fine detail. `recipe.detail` adds that of the photo, recoloured with the palette of the styles.

    Args:
        scene: the pictures and the recipe.
        scale: the next scale.
        image: the result of the scale before, with its margin.
        photo: (1, 3, H, W) the photo at the next scale, with its margin.
        styles: the style pictures at the next scale and their weights.
        regions: the regions at the next scale, if there are masks.

    """
    height, width = photo.shape[2:]
    if scene.recipe.strength == 0 and scene.recipe.init == "content" and scene.inputs.start is None:
        # The image is still the photo. Enlarging it would only blur it.
        return photo
    larger = scene.resized(image, height, width)
    if scene.recipe.detail > 0 and image.shape != photo.shape:
        matched = _recolored_photo(scene, photo, styles, regions) if styles else photo
        coarse = scene.resized(scene.resized(matched, *image.shape[2:]), height, width)
        larger += scene.recipe.detail * (matched - coarse)
        if scene.recipe.bounds == "projected":
            larger.clamp_(0, 1)
    return palettes.transport_colors(scene, scale, larger, photo, styles, regions)


def _recolored_photo(
    scene: Scene, photo: Image, styles: Sequence[tuple[AnyImage, float]], regions: Sequence[Region]
) -> Image:
    """Return `photo` recoloured with the palette of the styles, each region with that of its own styles."""

    def recolor(colors: Palette, image: Image, mask: Mask | None) -> Image:
        return color_modes.recolor_photo(colors, image, scene.recipe, mask)

    return palettes.make_recolor(scene, photo, styles, regions, recolor)(photo)
