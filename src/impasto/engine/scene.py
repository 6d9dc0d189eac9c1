"""The pictures of a run at any of its scales."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from impasto import __version__
from impasto.engine import color_modes
from impasto.engine.masks import Area, Masks, Plane
from impasto.losses.temporal import Temporal
from impasto.ops import resample
from impasto.ops.guidance import Region, Source
from impasto.ops.shapes import Image, Mask
from impasto.picture import Picture
from impasto.recipe import Inputs, Recipe, schedule
from impasto.recipe.provenance import Input, Remembered, plain_name
from impasto.recipe.schedule import Scale


@dataclass(frozen=True)
class PreviousFrame:
    """What was painted of a film before this frame, moved to where it is now.

    Attributes:
        picture: of the photo's frame.
        certain: of the photo's frame, how far each pixel of it can be believed, in [0, 1].
        weight: how much the image is kept like it.

    """

    picture: Picture
    reliable: Plane
    weight: float


@dataclass(frozen=True)
class Scene:
    """The photo, the styles and what to start from.

    Attributes:
        inputs: the pictures; of the photo only its size counts where the recipe has no content term.
        recipe: gives the sizes at which the pictures are compared.
        device: where their tensors are made.
        masks: which parts of the photo are painted after which styles; see `assign`.
        previous_frame: of a frame of a video, what it is kept like.

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
        """What a person should know about the pictures that were read."""
        pictures = [self.inputs.photo, *(style.picture for style in self.inputs.styles)]
        return tuple(f"{picture.source}: {note}" for picture in pictures for note in picture.notes)

    def remembered(self, width: int, height: int, *, finished: bool) -> Remembered:
        """Return what a picture of that size, painted of these, should remember."""
        # The frame of a texture is a size and nothing else.
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
        """Return the width of the border painted around the picture at `scale`, in pixels."""
        return round(self.recipe.margin * max(scale.height, scale.width))

    def canvas_size(self, scale: Scale) -> tuple[int, int]:
        """Return height and width of the picture at `scale` with its margin, in pixels."""
        margin = self.margin(scale)
        return scale.height + 2 * margin, scale.width + 2 * margin

    def photo(self, scale: Scale) -> Image:
        """Return the photo with its margin."""
        return self.padded(self.inputs.photo, scale)

    def padded(self, picture: Picture, scale: Scale) -> Image:
        """Return a picture of the photo's frame, with the margin mirrored around it."""
        margin = round(self.recipe.margin * max(picture.height, picture.width))
        image = self.resized(resample.with_margin(self._image_tensor(picture), margin), *self.canvas_size(scale))
        return color_modes.to_network_colors(image, self.recipe)

    def finish(self, scale: Scale) -> Callable[[Image], Image]:
        """Return what makes the result of an image of `scale`: on the CPU, without its margin, in its final colours.

        Where the photo is kept, it is the photo.
        """
        # Not that of the canvas, on which a margin of whole pixels may move the photo by a part of one.
        photo, protected, margin = (
            self._photo_without_margin(scale.height, scale.width).cpu(),
            self.protected(scale),
            self.margin(scale),
        )
        colored = color_modes.final_colors(photo, self.recipe)
        under = None if protected is None else resample.without_margin(protected, margin).cpu()

        def finished(image: Image) -> Image:
            # A free image is clipped when it is looked at.
            result = colored(resample.without_margin(image, margin).float().cpu().clamp(0, 1))
            return result if under is None else result.lerp(photo, under)

        return finished

    def resized(self, image: Image, height: int, width: int) -> Image:
        """Return `image` at another size; one that tiles still does."""
        return resample.resize(image, height, width, wraps=self.recipe.padding == "circular")

    def style_pixels(self, scale: Scale) -> int:
        """Return the number of pixels of the largest style picture at `scale`."""
        return max((height * width for height, width in self._style_sizes(scale)), default=0)

    def style_images(self, scale: Scale) -> list[tuple[Image, float]]:
        """Return the style pictures and their weights, in the colours they are painted in."""
        photo = self._photo_without_margin(scale.height, scale.width)
        return [
            (
                color_modes.style_colors(resample.resize(self._image_tensor(style.picture), *size), photo, self.recipe),
                style.weight,
            )
            for style, size in zip(self.inputs.styles, self._style_sizes(scale), strict=True)
        ]

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
        """Return the parts of the picture that have styles of their own; none where all have all of them.

        What is kept belongs to no part: else the rest would be painted in what the photo lacks of the style.
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
        """Whether some positions count more than others."""
        return bool(self.masks.areas) or self._excludes_protected

    @property
    def _excludes_protected(self) -> bool:
        """Whether what is kept is left out of the picture's statistics: what compares features knows no masks."""
        return self.masks.protected is not None and bool(self.masks.protected.any()) and not self.recipe.compared_whole

    def protected(self, scale: Scale) -> Mask | None:
        """Return how much of each pixel is left to the photo."""
        return None if self.masks.protected is None else self._mask(self.masks.protected, scale)

    def temporal(self, scale: Scale) -> tuple[Temporal, float] | None:
        """Return what keeps a frame of a film like those before it, and how much it counts."""
        if self.previous_frame is None:
            return None
        image = self.padded(self.previous_frame.picture, scale)
        certain = self._mask(self.previous_frame.reliable, scale)
        return Temporal(image, certain), self.previous_frame.weight

    def _mask(self, plane: Plane, scale: Scale) -> Mask:
        """Return a mask of the photo at `scale`, with the margin."""
        margin = round(self.recipe.margin * max(plane.shape))
        mask = resample.resize(resample.with_margin(self._mask_tensor(plane), margin), *self.canvas_size(scale))
        # Resampling leaves 1 a rounding below; what is kept is kept to the bit.
        return torch.where(mask > 1 - _ROUNDING, 1.0, mask)

    def _style_mask(self, plane: Plane, size: tuple[int, int]) -> Mask:
        return resample.resize(self._mask_tensor(plane), *size)

    def _mask_tensor(self, plane: Plane) -> Mask:
        return torch.from_numpy(np.ascontiguousarray(plane))[None, None].to(self.device)

    def _image_tensor(self, picture: Picture) -> Image:
        return torch.from_numpy(np.ascontiguousarray(picture.pixels))[None].to(self.device)

    def _photo_without_margin(self, height: int, width: int) -> Image:
        """Return the photo without a margin, at a size."""
        return resample.resize(self._image_tensor(self.inputs.photo), height, width)


def _product(mask: Mask | None, other: Mask | None) -> Mask | None:
    if mask is None or other is None:
        return other if mask is None else mask
    return mask * other


# Ours: far below a level of 16 bits, far above what resampling in float32 rounds.
_ROUNDING = 4e-6


def _input(picture: Picture, weight: float | None = None) -> Input:
    return Input(plain_name(picture.source), picture.sha256, weight)
