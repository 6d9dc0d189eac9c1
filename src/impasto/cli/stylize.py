"""`impasto stylize`: the main job."""

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from impasto import presets
from impasto.cli import keeping, options, painting
from impasto.errors import UsageError
from impasto.messages import shown
from impasto.picture import Picture, as_picture, remembered
from impasto.provenance import Remembered


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@options.recipe_option("default")
@click.option("--like", metavar="PICTURE", help="Take the recipe that PICTURE, painted by impasto, remembers.")
@options.recipe_options("default")
@options.init_option
@options.style_weights_option
@options.mask_options
@painting.output_options
@keeping.checkpoint_option
def stylize(content: str, styles: tuple[str, ...], like: str | None, **given: Any) -> None:
    """Paint the photo CONTENT in the style of one picture or of several.

    Either may be - for standard input. Without -o the result is CONTENT_STYLE.png in the working directory.
    """
    inputs = [content, *styles]
    memory = None if like is None else _memory(like)
    recipe = options.changed(memory.recipe if memory else presets.resolve(given["recipe_name"]), given)
    recipe, start = options.start(recipe, given["init"])
    of_styles = [name for name in given["style_masks"] if name != "none"]
    read = [path for path in (start, like, given["content_mask"], given["protect"]) if path is not None]
    output = painting.checked_output(given, [*inputs, *read, *of_styles], painting.default_output(inputs))
    painting.quiet_threads()
    from impasto.job import Job  # imports torch: only now that the request is known to be sound

    sources = [painting.source(style) for style in styles]
    masks = options.masks(given, painting.source)
    weights = given["weights"]
    if memory is not None:
        pictures = [as_picture(style) for style in sources]
        weights = weights or _weights(memory, pictures)
        if _same(memory, pictures):
            masks["style_scales"] = masks["style_scales"] or memory.style_scales
            masks["style_parts"] = masks["style_parts"] or memory.style_parts
        painting.Notes(quiet=given["quiet"]).about(_differences(like, memory, pictures, given))
        sources = [*pictures]
    job = Job(painting.source(content), sources, recipe, weights, start, **masks)
    painting.finish(job, output, given)


def _memory(like: str) -> Remembered:
    """Return what the picture to do like remembers, which then is the recipe."""
    if click.get_current_context().get_parameter_source("recipe_name") is not ParameterSource.DEFAULT:
        raise UsageError("--like and --recipe both name a recipe; leave one out")
    return remembered(painting.opened(like))


def _same(memory: Remembered, styles: Sequence[Picture]) -> bool:
    return [style.sha256 for style in memory.styles] == [style.sha256 for style in styles]


def _weights(memory: Remembered, styles: Sequence[Picture]) -> tuple[float, ...] | None:
    """Return the weights of the blend where the styles are the same; for others they mean nothing."""
    if not _same(memory, styles):
        return None
    return tuple(style.weight or 0.0 for style in memory.styles)


def _differences(like: str | None, memory: Remembered, styles: Sequence[Picture], given: dict[str, Any]) -> list[str]:
    """Return what a person should know who expects a picture like the one named."""
    notes = []
    if not _same(memory, styles):
        names = ", ".join(shown(style.name) for style in memory.styles) or "no style"
        notes.append(f"{shown(like)}: was painted with other styles than given here ({names})")
    if memory.init is not None and given["init"] is None:
        notes.append(f"{shown(like)}: was started from {shown(memory.init.name)}; give it with --init to do the same")
    masks = {"--content-mask": memory.drawn.content, "--protect": memory.drawn.protect}
    missing = [(option, mask) for option, mask in masks.items() if mask and not given[option[2:].replace("-", "_")]]
    if not given["style_masks"]:
        missing += [("--style-mask", mask) for mask in memory.drawn.styles if mask]
    if missing:
        names = ", ".join(f"{option} {shown(mask.name)}" for option, mask in missing)
        notes.append(f"{shown(like)}: was painted with masks, which are not repeated ({names})")
    return notes
