"""`impasto reconstruct`: content alone."""

from pathlib import Path
from typing import Any

import click

from impasto import presets
from impasto.cli import keeping, options, painting


@click.command()
@click.argument("image")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    default=("relu4_2",),
    show_default=True,
    metavar="NAME",
    help="The layer whose features are matched; can be repeated.",
)
@options.recipe_option("reconstruction")
@options.recipe_options("reconstruction")
@painting.output_options
@keeping.checkpoint_option
def reconstruct(image: str, layers: tuple[str, ...], **given: Any) -> None:
    """Paint what a layer of the network knows of IMAGE: content alone, without a style.

    After Gatys et al. 2016, figure 1: lower layers keep every pixel, higher ones objects and their places. IMAGE may
    be - for standard input. Without -o the result is IMAGE_LAYER.png in the working directory.
    """
    recipe = options.changed(presets.resolve(given["recipe_name"]), given).with_layers("content", layers)
    stem = Path(painting.default_output([image])).stem
    output = painting.checked_output(given, [image], f"{stem}_{'_'.join(layers)}.png")
    painting.quiet_threads()
    from impasto.job import Job  # imports torch: only now that the request is known to be sound

    painting.finish(Job(painting.source(image), [], recipe), output, given)
