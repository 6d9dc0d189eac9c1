"""From pictures and a recipe to a run: the only place where files meet the engine."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from impasto.engine import devices, planning
from impasto.engine.checkpoints import Checkpoints
from impasto.engine.masks import assign
from impasto.engine.own_settings import own_settings
from impasto.engine.run import Run
from impasto.engine.scene import PreviousFrame, Scene
from impasto.errors import DeviceError, UsageError
from impasto.picture import Picture, PictureSource, as_picture, measure
from impasto.recipe import AUTOMATIC, MOST_SCALE, Compute, Inputs, Recipe, Style, normalize_weights, presets
from impasto.system.text import printable


@dataclass(frozen=True)
class Job:
    """Everything needed to paint one picture: input pictures, recipe and computation.

    Args:
        inputs: the photo, the styles, a start picture and masks; each picture in any form that
            `impasto.picture.as_picture` takes. `Inputs.of("photo.jpg", ["a.jpg", Style("b.jpg", weight=0.3)])` makes
            them.
        recipe: a recipe, the name of a preset, or the path of a `.toml` file.
        compute: device, memory and precision.
        previous_frame: for a frame of a film, the painted frame before it.
        checkpoint: a folder for checkpoints, from which `impasto.resume` continues; None for no checkpoints.

    """

    inputs: Inputs[PictureSource]
    recipe: Recipe | str | Path = "default"
    compute: Compute = AUTOMATIC
    previous_frame: PreviousFrame | None = None
    checkpoint: Checkpoints | str | os.PathLike[str] | None = None

    @own_settings()
    def start(self) -> Run:
        """Read the pictures and return the run, which begins when its first event is asked for.

        Raises:
            UsageError: no style, weights that do not match the styles, an unknown device, an invalid amount of memory,
                a checkpoint folder of another run, or checkpoints for a frame of a film.
            RecipeError: the recipe does not exist or is not valid.
            PictureError: a picture cannot be read.
            DeviceError: the device does not exist.

        """
        if self.previous_frame is not None and self.checkpoint is not None:
            raise UsageError("a frame of a film keeps no checkpoints; leave out previous_frame or checkpoint")
        limit = self.compute.memory_limit
        choice = devices.choose(self.compute.device)
        run = Run(self.scene(), others=choice.devices[1:], max_memory=limit, precision=self.compute.precision)
        run.notes = (*devices.untold(choice.notes), *run.notes)
        if self.checkpoint is not None:
            checkpoints = self.checkpoint if isinstance(self.checkpoint, Checkpoints) else Checkpoints(self.checkpoint)
            run.enable_checkpoints(checkpoints.open(), {}, every=checkpoints.every, keep=checkpoints.keep)
        return run

    def paint(self) -> Picture:
        """Run to the end and return the picture.

        Raises:
            ImpastoError: as `start`, or while painting.

        """
        run = self.start()
        for _ in run:
            pass
        return run.picture()

    def scene(self) -> Scene:
        """Read the pictures and return them with recipe and device, for the engine.

        Raises:
            ImpastoError: as `start`.

        """
        recipe = presets.resolve(self.recipe)
        styles = normalize_weights(self.inputs.styles, is_needed=recipe.compares("style"))
        if not styles and self.inputs.start is None and recipe.init in ("matched", "style"):
            raise UsageError(
                f"init {recipe.init!r} takes colours from a style picture; name one, or choose another start"
            )
        device, *_ = devices.devices(self.compute.device)
        sources = dataclasses.replace(self.inputs, styles=styles)
        if self.compute.memory_limit is not None and device.type == "cpu":
            _check_reading(sources, self.compute.memory_limit)
        inputs = sources.map(as_picture)
        masks = assign(inputs)
        if not all(0 < style.scale * recipe.style_scale <= MOST_SCALE for style in styles):
            raise UsageError(
                f"style scales are {', '.join(str(style.scale) for style in styles)}; give numbers above 0 which, "
                f"times the recipe's style scale of {recipe.style_scale:g}, are up to {MOST_SCALE}"
            )
        kinds = sorted(set(recipe.compared_whole))
        if kinds and (masks.areas or inputs.style_parts):
            raise UsageError(
                f"{', '.join(kinds)}: knows no masks or parts of single styles; leave them out, or take another recipe"
            )
        return Scene(inputs, recipe, device, masks, self.previous_frame)


def _check_reading(inputs: Inputs[PictureSource], limit: int) -> None:
    """Refuse files that cannot be read within a limit of memory in bytes, by the sizes that they declare.

    Raises:
        DeviceError: one cannot.
        PictureError: the size of one cannot be told.

    """
    if limit <= planning.reading_memory([]):
        # No size fits, which the planner says.
        return
    pixels: list[int] = []

    def check(source: PictureSource) -> None:
        if isinstance(source, str | os.PathLike):
            size = measure(source)
            pixels.append(size.height * size.width)
            needed = planning.reading_memory(pixels)
            if needed > limit:
                name = printable(os.fspath(source))
                raise DeviceError(
                    f"not enough memory: reading {name}, {size.width}x{size.height}, takes about "
                    f"{needed / 1e9:.1f} GB in all, and there are {limit / 1e9:.1f} GB; make the picture smaller, "
                    "or say otherwise with --max-memory"
                )

    inputs.map(check)


def texture_job(
    styles: Sequence[Style[PictureSource]],
    height: int,
    width: int,
    recipe: Recipe,
    layers: str | Iterable[str] | Mapping[str, float] | None = None,
    *,
    seamless: bool = False,
    compute: Compute = AUTOMATIC,
) -> Job:
    """Return the job of `impasto.texture`.

    Args:
        styles: the style pictures.
        height: of the texture in pixels.
        width: of the texture in pixels.
        recipe: one with a style term.
        layers: the layers compared, instead of the recipe's.
        seamless: whether copies of the texture laid side by side fit together without seams.
        compute: device, memory and precision.

    Raises:
        UsageError: the size or the recipe does not suit a texture.

    """
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
        # A seamless texture has no borders, so it needs no margin.
        recipe = recipe.replace(padding="circular", margin=0.0)
    frame = Picture(np.full((3, height, width), 0.5, np.float32))
    return Job(Inputs(frame, tuple(styles)), recipe, compute)
