"""The palettes of the styles: the photo is recoloured with them, and the image's colours are transported to them."""

from collections.abc import Callable, Sequence

from torch.nn import functional as F

from impasto.engine import color_modes
from impasto.engine.scene import Scene
from impasto.ops import color_transfer, guidance
from impasto.ops.color_transfer import Palette
from impasto.ops.guidance import Region, Source
from impasto.ops.shapes import AnyImage, Image, Mask
from impasto.recipe import Recipe
from impasto.recipe.schedule import Scale

Recolor = Callable[[Image], Image]
# Recolours an image, so that the pixels in the mask get the palette's colours.
RecolorRegion = Callable[[Palette, Image, Mask | None], Image]


def target_palette(
    scene: Scene, photo: Image, styles: Sequence[tuple[AnyImage, float]], region: Region | None = None
) -> Palette:
    """Return the palette that a region, or the whole picture, is to have.

    Args:
        scene: its recipe's strength mixes the photo's colours with the styles'.
        photo: (1, 3, H, W) the photo, with its margin.
        styles: the style pictures and their weights.
        region: with styles of its own; None for the whole picture in all styles.

    """
    sources = region.sources if region else tuple(Source(index) for index in range(len(styles)))
    weights = guidance.normalize_weights([styles[source.style][1] for source in sources])
    parts: list[tuple[AnyImage, float, Mask | None]] = [
        (styles[source.style][0], scene.recipe.strength * weight, source.mask)
        for source, weight in zip(sources, weights, strict=True)
    ]
    if scene.recipe.strength < 1:
        parts.append((photo, 1 - scene.recipe.strength, region.mask if region else None))
    return color_transfer.palette(parts)


def make_recolor(
    scene: Scene,
    photo: Image,
    styles: Sequence[tuple[AnyImage, float]],
    regions: Sequence[Region],
    recolor: RecolorRegion,
) -> Recolor:
    """Return the function that recolours an image, each region with the palette of its own styles.

    Args:
        scene: the pictures and the recipe.
        photo: (1, 3, H, W) the photo, with its margin.
        styles: the style pictures and their weights.
        regions: of the photo's size; none for all styles everywhere.
        recolor: how a region is recoloured.

    """
    if not any(region.mask is not None for region in regions):
        everywhere = target_palette(scene, photo, styles, *regions)
        return lambda image: recolor(everywhere, image, None)
    parts = [(region.mask, target_palette(scene, photo, styles, region)) for region in regions]

    def recolor_regions(image: Image) -> Image:
        result = image.clone()
        for mask, colors in parts:
            assert mask is not None
            result += mask * (recolor(colors, image, mask) - image)
        return result.clamp_(0, 1)

    return recolor_regions


def transport_colors(
    scene: Scene,
    scale: Scale,
    image: Image,
    photo: Image,
    styles: Sequence[tuple[AnyImage, float]],
    regions: Sequence[Region] = (),
) -> Image:
    """Return `image` with its colours transported to the styles' palette, or itself if the recipe asks for none.

    Args:
        scene: its recipe's `palette` decides.
        scale: of the image.
        image: (1, 3, H, W) sRGB, with its margin.
        photo: (1, 3, H, W) the photo, with its margin.
        styles: the style pictures and their weights.
        regions: of the photo's size; none for all styles everywhere.

    """
    return (
        _make_transport(scene, scale, photo, styles, regions)(image) if styles and _transports(scene.recipe) else image
    )


def make_transport_at(scene: Scene, scale: Scale) -> Recolor | None:
    """Return the function that transports images of a scale to the styles' palette; None if the recipe asks for none.

    Args:
        scene: the pictures and the recipe.
        scale: of the images, which have their margin.

    """
    if not (scene.inputs.styles and _transports(scene.recipe)):
        return None
    return _make_transport(scene, scale, scene.photo(scale), scene.style_images(scale), scene.regions(scale))


def _transports(recipe: Recipe) -> bool:
    # At strength 0 the image is the photo itself; where the photo's colours come last, the palette is the photo's.
    return recipe.palette == "transported" and recipe.strength > 0 and recipe.colors != "content"


def _make_transport(
    scene: Scene, scale: Scale, photo: Image, styles: Sequence[tuple[AnyImage, float]], regions: Sequence[Region]
) -> Recolor:
    # The margin is cut off, so its colours do not count.
    margin = scene.margin(scale)
    inside = F.pad(photo.new_ones(1, 1, scale.height, scale.width), (margin,) * 4)

    def recolor(colors: Palette, image: Image, mask: Mask | None) -> Image:
        moved = color_transfer.recolor(image, colors, "histogram", inside if mask is None else inside * mask)
        return color_modes.to_network_colors(moved, scene.recipe)

    return make_recolor(scene, photo, styles, regions, recolor)
