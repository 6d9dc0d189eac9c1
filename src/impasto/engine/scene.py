"""The pictures, masks and colours of a run at each of its scales, as tensors."""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from impasto import __version__
from impasto.engine import color_modes, planning
from impasto.engine.masks import Area, Masks, Plane
from impasto.losses.temporal import Temporal
from impasto.ops import resample
from impasto.ops.guidance import Region, Source
from impasto.ops.shapes import AnyImage, Image, Mask
from impasto.picture import Picture
from impasto.recipe import Inputs, Recipe, schedule
from impasto.recipe.provenance import Input, Remembered, plain_name
from impasto.recipe.schedule import Scale


@dataclass(frozen=True)
class PreviousFrame:
    """The painted frame before this one of a film, warped to where things are now (Ruder et al. 2016).

    Attributes:
        picture: of the size of the frame.
        reliable: of the size of the frame, in [0, 1]: how far the warped pixel can be trusted; 0 where it was hidden.
        weight: of the temporal loss.

    """

    picture: Picture
    reliable: Plane
    weight: float


@dataclass(frozen=True)
class Scene:
    """The pictures of a run, its recipe and its device.

    Attributes:
        inputs: the pictures. If the recipe has no content term, only the size of the photo counts.
        recipe: gives, among others, the sizes of the scales.
        device: where tensors are made.
        masks: which parts of the photo are painted in which styles; see `assign`.
        previous_frame: for a frame of a film after the first.

    """

    inputs: Inputs[Picture]
    recipe: Recipe
    device: torch.device
    masks: Masks = Masks()
    previous_frame: PreviousFrame | None = None

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The sizes and steps of the run, coarsest first."""
        return schedule.scales(self.inputs.photo.height, self.inputs.photo.width, self.recipe)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the input pictures."""
        pictures = [self.inputs.photo, *(style.picture for style in self.inputs.styles)]
        return tuple(f"{picture.source}: {note}" for picture in pictures for note in picture.notes)

    @property
    def reading_memory(self) -> int:
        """The process's peak of main memory in bytes while the pictures are read."""
        pixels: list[int] = []
        # `map` visits every picture in the order in which they are read.
        self.inputs.map(lambda picture: pixels.append(picture.height * picture.width))
        return planning.reading_memory(pixels)

    def remembered(self, width: int, height: int, *, finished: bool) -> Remembered:
        """Return the provenance of a result of that size in pixels, painted from these pictures.

        Args:
            width: of the result in pixels.
            height: of the result in pixels.
            finished: whether all steps were taken.

        """
        # A texture has a photo of its own making, of which only the size counts.
        framed = self.inputs.photo.sha256 is None and not self.recipe.compares("content")
        return Remembered(
            recipe=self.recipe,
            content=None if framed else _input(self.inputs.photo),
            styles=tuple(_input(style.picture, style.weight) for style in self.inputs.styles),
            init=None if self.inputs.start is None else _input(self.inputs.start),
            size=(width, height),
            finished=finished,
            version=__version__,
            drawn=self.masks.drawn,
            style_scales=self.inputs.style_scales,
            style_parts=self.inputs.style_parts,
        )

    def margin(self, scale: Scale) -> int:
        """Return the width of the margin painted around the picture at `scale`, in pixels."""
        return round(self.recipe.margin * max(scale.height, scale.width))

    def canvas_size(self, scale: Scale) -> tuple[int, int]:
        """Return height and width at `scale` with the margin, in pixels."""
        margin = self.margin(scale)
        return scale.height + 2 * margin, scale.width + 2 * margin

    def photo(self, scale: Scale) -> Image:
        """Return the photo at `scale` with its margin, (1, 3, H, W)."""
        return self.padded(self.inputs.photo, scale)

    def padded(self, picture: Picture, scale: Scale) -> Image:
        """Return a picture of the photo's size at `scale`, with a mirrored margin around it, (1, 3, H, W)."""
        source = self._source(picture, max(self.canvas_size(self.scales[-1])))
        return color_modes.to_network_colors(self._with_margin(source, scale, self.resized), self.recipe)

    def _with_margin(
        self, source: AnyImage, scale: Scale, resize: Callable[[AnyImage, int, int], AnyImage]
    ) -> AnyImage:
        """Return a picture or a mask of any size at `scale`, with a mirrored margin around it."""
        height, width = source.shape[2:]
        margin = round(self.recipe.margin * max(height, width))
        if (height + 2 * margin) * (width + 2 * margin) > _MOST_PADDING * height * width:
            # The margin follows from the longer side. Of a very long picture it would have far more pixels than that.
            return resample.with_margin(resize(source, scale.height, scale.width), self.margin(scale))
        return resize(resample.with_margin(source, margin), *self.canvas_size(scale))

    def finish(self, scale: Scale) -> Callable[[Image], Image]:
        """Return the function that makes the result of an image of `scale`: its margin cut off, in its final colours.

        It clips to [0, 1], puts the photo where that is protected, and returns a tensor on the CPU.
        """
        # Resized without its margin: a margin of whole pixels would move the photo by a fraction of a pixel.
        photo, protected, margin = (
            self._photo_without_margin(scale.height, scale.width).cpu(),
            self.protected(scale),
            self.margin(scale),
        )
        colored = color_modes.final_colors(photo, self.recipe)
        under = None if protected is None else resample.without_margin(protected, margin).cpu()

        def finished(image: Image) -> Image:
            # With free bounds the image may leave [0, 1].
            result = colored(resample.without_margin(image, margin).float().cpu().clamp(0, 1))
            return result if under is None else result.lerp(photo, under)

        return finished

    def to_picture(self, image: Image, *, finished: bool) -> Picture:
        """Return what `finish` returned as a picture, with the photo's transparency and its provenance."""
        height, width = image.shape[2:]
        alpha = self.inputs.photo.alpha
        if alpha is not None:
            alpha = resample.resize(torch.from_numpy(alpha)[None, None], height, width)[0, 0].numpy()
        return dataclasses.replace(
            self.inputs.photo,
            pixels=image[0].contiguous().numpy(),
            alpha=alpha,
            source="memory",
            sha256=None,
            remembered=self.remembered(width, height, finished=finished),
            notes=(),
        )

    def resized(self, image: Image, height: int, width: int) -> Image:
        """Return `image` at another size in pixels; a seamless texture stays seamless.

        Args:
            image: (1, 3, H, W) sRGB in [0, 1].
            height: in pixels.
            width: in pixels.

        """
        return resample.resize(image, height, width, wraps=self.recipe.padding == "circular")

    def style_pixels(self, scale: Scale) -> int:
        """Return the number of pixels of the largest style picture at `scale`."""
        return max((height * width for height, width in self._style_sizes(scale)), default=0)

    def style_images(self, scale: Scale) -> list[tuple[Image, float]]:
        """Return the style pictures at `scale`, recoloured as `recipe.colors` asks for, and their weights."""
        styles = zip(self.inputs.styles, self._style_sizes(scale), self._style_sizes(self.scales[-1]), strict=True)
        images = [
            (resample.resize(self._source(style.picture, max(largest)), *size), style.weight)
            for style, size, largest in styles
        ]
        if not color_modes.compares_with_photo(self.recipe):
            return images
        photo = self._photo_without_margin(scale.height, scale.width)
        return [(color_modes.style_colors(image, photo, self.recipe), weight) for image, weight in images]

    def _style_sizes(self, scale: Scale) -> list[tuple[int, int]]:
        return [
            schedule.style_size(
                style.picture.height,
                style.picture.width,
                scale,
                self.scales[-1],
                self.recipe.replace(style_scale=self.recipe.style_scale * style.scale),
            )
            for style in self.inputs.styles
        ]

    def regions(self, scale: Scale) -> list[Region]:
        """Return the regions with styles of their own at `scale`; none where every region has all styles.

        Protected pixels belong to no region: otherwise the rest would have to make up for the style that they lack.
        """
        if not self.masks.areas and not self.inputs.style_parts and not self._excludes_protected:
            return []
        unprotected = None
        if self._excludes_protected and self.masks.protected is not None:
            unprotected = 1 - self._mask(self.masks.protected, scale)
        areas = self.masks.areas or [Area(None, tuple((index, None) for index in range(len(self.inputs.styles))))]
        styles, sizes = self.inputs.styles, self._style_sizes(scale)
        return [
            Region(
                _product(None if area.mask is None else self._mask(area.mask, scale), unprotected),
                tuple(
                    Source(
                        index,
                        None if mask is None else self._style_mask(mask, sizes[index]),
                        styles[index].part,
                    )
                    for index, mask in area.styles
                ),
            )
            for area in areas
        ]

    @property
    def has_masks(self) -> bool:
        """Whether positions have weights, so that moments cannot be taken inside the network's fast path."""
        return bool(self.masks.areas) or self._excludes_protected

    @property
    def _excludes_protected(self) -> bool:
        """Whether protected pixels are excluded from the style moments.

        Off for losses that need all features (patches, histogram), which ignore masks.
        """
        return self.masks.protected is not None and bool(self.masks.protected.any()) and not self.recipe.compared_whole

    def protected(self, scale: Scale) -> Mask | None:
        """Return the mask of protected pixels at `scale`, with the margin; None if nothing is protected."""
        return None if self.masks.protected is None else self._mask(self.masks.protected, scale)

    def temporal(self, scale: Scale) -> tuple[Temporal, float] | None:
        """Return the temporal loss of a frame of a film and its weight; None for anything else."""
        if self.previous_frame is None:
            return None
        image = self.padded(self.previous_frame.picture, scale)
        reliable = self._mask(self.previous_frame.reliable, scale)
        return Temporal(image, reliable), self.previous_frame.weight

    def _mask(self, plane: Plane, scale: Scale) -> Mask:
        """Return a mask of the photo at `scale`, with the margin, (1, 1, H, W)."""
        mask = self._with_margin(_to_tensor(plane), scale, resample.resize)
        # Resampling may leave 1 slightly below; protected pixels are to be the photo's to the bit.
        return torch.where(mask > 1 - _ROUNDING, 1.0, mask).to(self.device)

    def _style_mask(self, plane: Plane, size: tuple[int, int]) -> Mask:
        return resample.resize(_to_tensor(plane), *size).to(self.device)

    def _source(self, picture: Picture, longest: int) -> Image:
        """Return a picture to resize from, (1, 3, H, W) on the device.

        On other devices than the CPU a picture far larger than needed is shrunk first, once, on the CPU: every scale
        uploads it again.

        Args:
            picture: of any size.
            longest: the longest side that the picture is resized to at any scale, in pixels.

        """
        key = id(picture), longest
        if self.device.type != "cpu" and key in self._shrunk:
            return self._shrunk[key].to(self.device)
        image = torch.from_numpy(np.ascontiguousarray(picture.pixels))[None]
        if self.device.type != "cpu" and max(picture.size) > _OVERSAMPLING * longest:
            image = resample.resize(image, *schedule.fit(picture.height, picture.width, _OVERSAMPLING * longest))
            self._shrunk[key] = image
        return image.to(self.device)

    @functools.cached_property
    def _shrunk(self) -> dict[tuple[int, int], Image]:
        """The pictures that `_source` has shrunk, by identity and size."""
        return {}

    def _photo_without_margin(self, height: int, width: int) -> Image:
        """Return the photo at a size in pixels, without a margin."""
        return resample.resize(self._source(self.inputs.photo, max(self.canvas_size(self.scales[-1]))), height, width)


def _to_tensor(plane: Plane) -> Mask:
    return torch.from_numpy(np.ascontiguousarray(plane))[None, None]


def _product(mask: Mask | None, other: Mask | None) -> Mask | None:
    if mask is None or other is None:
        return other if mask is None else mask
    return mask * other


# Ours: a margin of 1/32 adds 13 % to a square, and doubles a picture that is 14 times as long as wide.
_MOST_PADDING = 2
# Ours: shrinking in two steps blurs nothing that shows, where the first leaves twice the pixels of a side.
_OVERSAMPLING = 2
# Ours: far below a level of 16 bits, far above the rounding of resampling in float32.
_ROUNDING = 4e-6


def _input(picture: Picture, weight: float | None = None) -> Input:
    return Input(plain_name(picture.source), picture.sha256, weight)
