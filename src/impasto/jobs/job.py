"""From pictures and a recipe to a run: the only place where files meet the engine."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from impasto.engine import devices
from impasto.engine.checkpoints import Checkpoints
from impasto.engine.devices import Precision
from impasto.engine.masks import Masks, assign
from impasto.engine.run import Run
from impasto.engine.scene import PreviousFrame, Scene
from impasto.errors import UsageError, suggest
from impasto.picture import Picture, PictureSource, as_picture
from impasto.recipe import MOST_SCALE, PARTS, Part, Recipe, presets
from impasto.system import units


@dataclass(frozen=True)
class Job:
    """A photo, the styles to paint it in, and how.

    Attributes:
        content: the photo: a path, `Picture`, PIL image, NumPy array or tensor (see `impasto.picture.as_picture`).
        styles: the style pictures, in the same forms.
        recipe: a recipe, the name of a preset, or the path of a `.toml` file.
        weights: how much each style counts in the blend; equal if left out. They need not sum to 1.
        init: a picture to start from, instead of what `recipe.init` says; stretched to the photo's frame.
        content_mask: which parts of the photo are painted after which style; see `impasto.engine.masks.assign`.
        style_masks: which parts of each style picture count; None, or none given, for all of it.
        protect: a grey mask of the photo: white stays as it is.
        style_scales: sizes of the style pictures relative to each other; `recipe.style_scale` multiplies all.
        style_parts: what each style speaks for: strokes and colours (`fine`), forms (`coarse`) or `all`.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`, or several with commas between them, which share the tiles of
            a picture that is computed in tiles.
        max_memory: bytes, or text such as `3GB`, to make do with: of the process on the CPU, of the device elsewhere.
            What is free if left out.
        precision: of the features, `auto`, `float32` or `bfloat16`; see `impasto.engine.devices.dtype`.
        earlier: of a frame of a film, what was painted before, which it is kept like.
        checkpoint: a folder to keep checkpoints in, from which `impasto.resume` goes on; none are kept if left out.

    """

    content: PictureSource
    styles: Sequence[PictureSource]
    recipe: Recipe | str | Path = "default"
    weights: Sequence[float] | None = None
    init: PictureSource | None = None
    device: str = "auto"
    max_memory: int | str | None = None
    precision: Precision = "auto"
    content_mask: PictureSource | None = None
    style_masks: Sequence[PictureSource | None] = ()
    protect: PictureSource | None = None
    style_scales: Sequence[float] = ()
    style_parts: Sequence[Part] = ()
    earlier: PreviousFrame | None = None
    checkpoint: Checkpoints | str | os.PathLike[str] | None = None

    def start(self) -> Run:
        """Read the pictures and return the run, which begins with the first event asked for.

        Raises:
            UsageError: no style, weights that do not fit the styles, an unknown device, no amount of memory, a folder
                for checkpoints that holds those of another run, or checkpoints of a frame of a film.
            RecipeError: the recipe does not exist or is not valid.
            PictureError: a picture cannot be read.
            DeviceError: the device is not there.

        """
        if self.earlier is not None and self.checkpoint is not None:
            raise UsageError("a frame of a film keeps no checkpoints; leave out earlier or checkpoint")
        limit = None if self.max_memory is None else units.parse_bytes(self.max_memory)
        _, *others = devices.devices(self.device)
        run = Run(self.scene(), others=others, max_memory=limit, precision=self.precision)
        if self.checkpoint is not None:
            asked = self.checkpoint if isinstance(self.checkpoint, Checkpoints) else Checkpoints(self.checkpoint)
            run.enable_checkpoints(asked.open(), {}, every=asked.every, keep=asked.keep)
        return run

    def paint(self) -> Picture:
        """Run to the end and return the picture.

        Raises:
            ImpastoError: as `start`, or in the course of the run.

        """
        run = self.start()
        for _ in run:
            pass
        return run.picture()

    def scene(self) -> Scene:
        """Read the pictures and return them with the recipe and the device.

        Raises:
            ImpastoError: as `start`.

        """
        recipe = presets.resolve(self.recipe)
        weights = style_weights(len(self.styles), self.weights, needed=recipe.compares("style"))
        if not self.styles and self.init is None and recipe.init in ("matched", "style"):
            raise UsageError(
                f"init {recipe.init!r} takes colours from a style picture; name one, or choose another start"
            )
        device, *_ = devices.devices(self.device)
        content = as_picture(self.content)
        styles = [(as_picture(style), weight) for style, weight in zip(self.styles, weights, strict=True)]
        start, content_mask, protect, *style_masks = (
            None if source is None else as_picture(source)
            for source in (self.init, self.content_mask, self.protect, *self.style_masks)
        )
        masks = Masks()
        if content_mask or protect or style_masks:
            masks = assign(content, [style for style, _ in styles], content_mask, style_masks, protect)
        for name, given in (("scales", self.style_scales), ("parts", self.style_parts)):
            if len(given) not in (0, len(styles)):
                raise UsageError(f"{len(given)} style {name} for {len(styles)} style pictures; give one for each")
        if not all(0 < scale * recipe.style_scale <= MOST_SCALE for scale in self.style_scales):
            raise UsageError(
                f"style scales are {', '.join(map(str, self.style_scales))}; give numbers above 0 which, times the "
                f"recipe's style scale of {recipe.style_scale:g}, are up to {MOST_SCALE}"
            )
        kinds = sorted(set(recipe.compared_whole))
        if kinds and (masks.areas or self.style_parts):
            raise UsageError(
                f"{', '.join(kinds)}: knows no masks or parts of single styles; leave them out, or take another recipe"
            )
        unknown = set(self.style_parts) - set(PARTS)
        if unknown:
            raise UsageError(f"style part {min(unknown)!r}; {suggest(min(unknown), PARTS)}")
        return Scene(content, styles, recipe, device, start, masks, self.style_scales, self.style_parts, self.earlier)


def style_weights(count: int, weights: Sequence[float] | None, *, needed: bool = True) -> tuple[float, ...]:
    """Return the weight of each of `count` styles, normalised to sum to 1.

    Raises:
        UsageError: no style where one is `needed`, another number of weights, a negative weight, or none above 0.

    """
    if count == 0 and not needed:
        return ()
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


def texture_job(
    styles: Sequence[PictureSource],
    height: int,
    width: int,
    recipe: Recipe,
    layers: str | Iterable[str] | Mapping[str, float] | None = None,
    *,
    seamless: bool = False,
    weights: Sequence[float] | None = None,
    device: str = "auto",
) -> Job:
    """Return the job that `texture` does."""
    if min(height, width) < 1:
        raise UsageError(f"a texture of {width}x{height} pixels has none; give a size such as 1024x768")
    if not recipe.compares("style"):
        raise UsageError(f"the recipe {recipe.name!r} has no style term that counts; a texture is nothing else")
    if recipe.colors != "style":
        raise UsageError(
            f"colors is {recipe.colors!r}, but a texture has no photo to take them from; leave it at 'style'"
        )
    recipe = recipe.replace(size=max(height, width), side="long")
    if layers is not None:
        recipe = recipe.with_layers("style", layers)
    if seamless:
        # A margin is for borders, and what tiles has none.
        recipe = recipe.replace(padding="circular", margin=0.0)
    frame = Picture(np.full((3, height, width), 0.5, np.float32))
    return Job(frame, styles, recipe, weights, device=device)
