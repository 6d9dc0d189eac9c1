"""From the options of `stylize` and `batch` to a task."""

from collections.abc import Sequence
from typing import NamedTuple

import click
from click.core import ParameterSource

from impasto.cli import checkpoints
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.values import Command, Decorator, Options
from impasto.errors import UsageError
from impasto.executors.task import Task
from impasto.jobs.output import Output
from impasto.picture import remembered
from impasto.recipe import Recipe, presets
from impasto.recipe.provenance import Remembered
from impasto.system.text import printable


def painting_options(function: Command) -> Command:
    """Give a command every option of `stylize`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS: tuple[Decorator, ...] = (
    recipe_options.recipe_option("default"),
    click.option("--like", metavar="PICTURE", help="Take the recipe that PICTURE, painted by impasto, remembers."),
    recipe_options.recipe_options("default"),
    recipe_options.init_option,
    recipe_options.style_weights_option,
    recipe_options.mask_options,
    output_options.output_options,
    checkpoints.checkpoint_option,
)


class ResolvedRecipe(NamedTuple):
    """The recipe of a picture, and what goes with it.

    Attributes:
        recipe: with all changes made.
        start: the path of a picture to start from; None to follow the recipe.
        memory: the provenance of the picture that `--like` names.

    """

    recipe: Recipe
    start: str | None
    memory: Remembered | None


def check_like(context: click.Context, options: Options) -> None:
    """Refuse options that name two recipes."""
    if options["like"] is not None and context.get_parameter_source("recipe_name") is not ParameterSource.DEFAULT:
        raise UsageError("--like and --recipe both name a recipe; leave one out")


def resolve_recipe(options: Options) -> ResolvedRecipe:
    """Return the recipe and start that the options ask for.

    Raises:
        RecipeError: there is no such recipe, or a value is out of range.
        PictureError: the picture that `--like` names has no provenance.

    """
    memory = None if options["like"] is None else remembered(output_options.open_source(options["like"]))
    recipe = recipe_options.with_options(memory.recipe if memory else presets.resolve(options["recipe_name"]), options)
    return ResolvedRecipe(*recipe_options.resolve_start(recipe, options["init"]), memory)


def other_inputs(resolved: ResolvedRecipe, options: Options) -> list[str]:
    """Return the paths of all input pictures besides photo and styles."""
    return [
        *(path for path in (resolved.start, options["like"]) if path is not None),
        *recipe_options.mask_paths(options),
    ]


def task(
    content: str,
    styles: Sequence[str],
    resolved: ResolvedRecipe,
    options: Options,
    output: Output,
    digests: Sequence[str | None],
) -> Task:
    """Return the task that the options ask for.

    Args:
        content: the path of the photo.
        styles: the paths of the styles.
        resolved: from `resolve_recipe`.
        options: the values of `painting_options`.
        output: of the task.
        digests: SHA-256 of each style's file; needed with `--like` only.

    """
    memory = resolved.memory
    if memory is not None and _same(memory, digests):
        options = {
            **options,
            "weights": options["weights"] or tuple(style.weight or 0.0 for style in memory.styles),
            "style_scales": options["style_scales"] or memory.style_scales,
            "style_parts": options["style_parts"] or ",".join(memory.style_parts),
        }
    return Task(
        recipe_options.inputs(content, styles, resolved.start, options),
        resolved.recipe,
        output,
        compute=output_options.read_compute(options),
        checkpoint=options["checkpoint"],
        force=options["force"],
    )


def _same(memory: Remembered, digests: Sequence[str | None]) -> bool:
    # The weights of other styles do not apply.
    return [style.sha256 for style in memory.styles] == list(digests)


def differences(resolved: ResolvedRecipe, digests: Sequence[str | None], options: Options) -> list[str]:
    """Return notes on differences from the picture that `--like` names.

    Args:
        resolved: the recipe, and what it was derived from.
        digests: SHA-256 of the pictures given now, the photo first.
        options: of the command.

    """
    like, memory = options["like"], resolved.memory
    if memory is None:
        return []
    notes = []
    if not _same(memory, digests):
        names = ", ".join(printable(style.name) for style in memory.styles) or "no style"
        notes.append(f"{printable(like)}: was painted with other styles than given here ({names})")
    if memory.init is not None and options["init"] is None:
        notes.append(
            f"{printable(like)}: was started from {printable(memory.init.name)}; give it with --init to do the same"
        )
    masks = {"--content-mask": memory.drawn.content, "--protect": memory.drawn.protect}
    missing = [(option, mask) for option, mask in masks.items() if mask and not options[option[2:].replace("-", "_")]]
    if not options["style_masks"]:
        missing += [("--style-mask", mask) for mask in memory.drawn.styles if mask]
    if missing:
        names = ", ".join(f"{option} {printable(mask.name)}" for option, mask in missing)
        notes.append(f"{printable(like)}: was painted with masks, which are not repeated ({names})")
    return notes
