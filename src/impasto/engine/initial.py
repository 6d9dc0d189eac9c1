"""What the image starts as. Random numbers are drawn on the CPU, so that a seed means the same on every device."""

from collections.abc import Sequence

import torch

from impasto.engine import color_modes
from impasto.engine.scene import Scene
from impasto.ops import color_transfer, guidance
from impasto.ops.color_transfer import Palette
from impasto.ops.guidance import Region, Source
from impasto.ops.shapes import AnyImage, Image, Mask
from impasto.recipe import ColorMatch
from impasto.recipe.schedule import Scale


def noise(height: int, width: int, seed: int) -> Image:
    """Return white noise, uniform in [0, 1)."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def grey(height: int, width: int, seed: int) -> Image:
    """Return the mean grey of the networks' training pictures with noise of one level of 255, uniform.

    The start of Keras' example and, with still fainter noise, of Johnson's neural-style.
    """
    # The mean of the ImageNet training images, subtracted by the authors' Caffe models; RGB in 0..255.
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    return (mean + noise(height, width, seed)) / 255


def style_noise(colors: Palette, height: int, width: int, seed: int, method: ColorMatch) -> Image:
    """Return noise in the colours of a palette, clamped to [0, 1]."""
    return color_transfer.recolor(noise(height, width, seed), colors, method)


def first_image(
    scene: Scene,
    scale: Scale,
    photo: Image,
    styles: Sequence[tuple[AnyImage, float]],
    regions: Sequence[Region] = (),
) -> Image:
    """Return what the image starts as, with its margin; `photo`, `styles` and `regions` are those of `scale`."""
    if scene.inputs.start is not None:
        return scene.padded(scene.inputs.start, scale)
    height, width = photo.shape[2:]
    match scene.recipe.init:
        case "content":
            return photo
        case "noise":
            image = noise(height, width, scene.recipe.seed)
        case "grey":
            image = grey(height, width, scene.recipe.seed)
        case "matched":
            return _recolored_photo(scene, photo, styles, regions)
        case "style":
            colors = _target_palette(scene, photo, styles)
            image = style_noise(colors, height, width, scene.recipe.seed, scene.recipe.color_match)
    return color_modes.to_network_colors(image.to(scene.device), scene.recipe)


def next_image(
    scene: Scene,
    image: AnyImage,
    photo: Image,
    styles: Sequence[tuple[AnyImage, float]],
    regions: Sequence[Region] = (),
) -> Image:
    """Return what the image is at the size of `photo`, the end of the scale before being `image`.

    Enlarged, it has nothing of the finest forms: `recipe.detail` takes them from the photo in the style's colours.
    """
    height, width = photo.shape[2:]
    if scene.recipe.strength == 0 and scene.recipe.init == "content" and scene.inputs.start is None:
        # It is the photo still; enlarged it would be one out of focus.
        return photo
    larger = scene.resized(image, height, width)
    if scene.recipe.detail == 0 or image.shape == photo.shape:
        return larger
    matched = _recolored_photo(scene, photo, styles, regions) if styles else photo
    coarse = scene.resized(scene.resized(matched, *image.shape[2:]), height, width)
    larger += scene.recipe.detail * (matched - coarse)
    return larger.clamp_(0, 1) if scene.recipe.bounds == "projected" else larger


def _recolored_photo(
    scene: Scene, photo: Image, styles: Sequence[tuple[AnyImage, float]], regions: Sequence[Region]
) -> Image:
    """Return `photo` in the colours of the styles, each of its regions in those of its own."""
    if not any(region.mask is not None for region in regions):
        return color_modes.recolor_photo(_target_palette(scene, photo, styles, *regions), photo, scene.recipe)
    matched = photo.clone()
    for region in regions:
        assert region.mask is not None
        colors = _target_palette(scene, photo, styles, region)
        matched += region.mask * (color_modes.recolor_photo(colors, photo, scene.recipe, region.mask) - photo)
    return matched.clamp_(0, 1)


def _target_palette(
    scene: Scene, photo: Image, styles: Sequence[tuple[AnyImage, float]], region: Region | None = None
) -> Palette:
    """Return the colours that a region, or all of the picture, is to have."""
    sources = region.sources if region else tuple(Source(index) for index in range(len(styles)))
    weights = guidance.normalize_weights([styles[source.style][1] for source in sources])
    parts: list[tuple[AnyImage, float, Mask | None]] = [
        (styles[source.style][0], scene.recipe.strength * weight, source.mask)
        for source, weight in zip(sources, weights, strict=True)
    ]
    if scene.recipe.strength < 1:
        parts.append((photo, 1 - scene.recipe.strength, region.mask if region else None))
    return color_transfer.palette(parts)
