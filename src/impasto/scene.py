"""The pictures of a run at any of its scales."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from impasto import color, coloring, init, resample, schedule
from impasto.picture import Picture
from impasto.recipe import Recipe
from impasto.schedule import Scale
from impasto.types import Image


@dataclass(frozen=True)
class Scene:
    """The photo, the styles and what to start from.

    Attributes:
        content: the photo; where the recipe has no content term, only its size counts.
        styles: the style pictures and their weights, which need not sum to 1; none where no term asks for them.
        recipe: says at which sizes they are looked at.
        device: where they are wanted.
        start: a picture to start from instead of what `recipe.init` says.

    """

    content: Picture
    styles: Sequence[tuple[Picture, float]]
    recipe: Recipe
    device: torch.device
    start: Picture | None = None

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The sizes and steps of the run, coarsest first."""
        return schedule.scales(self.content.height, self.content.width, self.recipe)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the pictures that were read."""
        pictures = [self.content, *(style for style, _ in self.styles)]
        return tuple(f"{picture.source}: {note}" for picture in pictures for note in picture.notes)

    def margin(self, scale: Scale) -> int:
        """Return the width of the border painted around the picture at `scale`, in pixels."""
        return round(self.recipe.margin * max(scale.height, scale.width))

    def canvas_size(self, scale: Scale) -> tuple[int, int]:
        """Return height and width of the picture at `scale` with its margin, in pixels."""
        margin = self.margin(scale)
        return scale.height + 2 * margin, scale.width + 2 * margin

    def photo(self, scale: Scale) -> Image:
        """Return the photo with its margin."""
        return self.on_canvas(self.content, scale)

    def on_canvas(self, picture: Picture, scale: Scale) -> Image:
        """Return a picture of the photo's frame, with the margin mirrored around it."""
        margin = round(self.recipe.margin * max(picture.height, picture.width))
        image = self.resized(resample.with_margin(self._tensor(picture), margin), *self.canvas_size(scale))
        return coloring.shown(image, self.recipe)

    def finish(self, height: int, width: int) -> Callable[[Image], Image]:
        """Return what gives an image of that size, its margin cut off and on the CPU, its final colours."""
        return coloring.finish(self._framed(height, width).cpu(), self.recipe)

    def resized(self, image: Image, height: int, width: int) -> Image:
        """Return `image` at another size; one that tiles still does."""
        return resample.resize(image, height, width, wraps=self.recipe.padding == "circular")

    def style_pixels(self, scale: Scale) -> int:
        """Return the number of pixels of the largest style picture at `scale`."""
        final = self.scales[-1]
        sizes = (
            schedule.style_size(picture.height, picture.width, scale, final, self.recipe) for picture, _ in self.styles
        )
        return max((height * width for height, width in sizes), default=0)

    def style_images(self, scale: Scale) -> list[tuple[Image, float]]:
        """Return the style pictures and their weights, in the colours they are painted in."""
        final, photo = self.scales[-1], self._framed(scale.height, scale.width)
        result = []
        for picture, weight in self.styles:
            size = schedule.style_size(picture.height, picture.width, scale, final, self.recipe)
            image = resample.resize(self._tensor(picture), *size)
            result.append((coloring.style(image, photo, self.recipe), weight))
        return result

    def first_image(self, scale: Scale, photo: Image, styles: Sequence[tuple[Image, float]]) -> Image:
        """Return what the image starts as, with its margin; `photo` and `styles` are those of `scale`."""
        if self.start is not None:
            return self.on_canvas(self.start, scale)
        height, width = photo.shape[2:]
        match self.recipe.init:
            case "content":
                return photo
            case "noise":
                image = init.noise(height, width, self.recipe.seed)
            case "grey":
                image = init.grey(height, width, self.recipe.seed)
            case "matched":
                return coloring.in_colors_of(styles, photo, self.recipe)
            case "style":
                colors = color.palette(styles)
                image = init.style_noise(colors, height, width, self.recipe.seed, self.recipe.color_match)
        return coloring.shown(image.to(self.device), self.recipe)

    def next_image(self, image: Image, photo: Image, styles: Sequence[tuple[Image, float]]) -> Image:
        """Return what the image is at the size of `photo`, the end of the scale before being `image`.

        Enlarged, it has nothing of the finest forms: `recipe.detail` takes them from the photo in the style's colours.
        """
        height, width = photo.shape[2:]
        larger = self.resized(image, height, width)
        if self.recipe.detail == 0 or image.shape == photo.shape:
            return larger
        matched = coloring.in_colors_of(styles, photo, self.recipe) if styles else photo
        coarse = self.resized(self.resized(matched, *image.shape[2:]), height, width)
        larger += self.recipe.detail * (matched - coarse)
        return larger.clamp_(0, 1) if self.recipe.bounds == "projected" else larger

    def _tensor(self, picture: Picture) -> Image:
        return torch.from_numpy(np.ascontiguousarray(picture.pixels))[None].to(self.device)

    def _framed(self, height: int, width: int) -> Image:
        """Return the photo without a margin, at a size."""
        return resample.resize(self._tensor(self.content), height, width)
