"""`impasto reconstruct`: content alone."""

from pathlib import Path

import click

from impasto.cli import checkpoints, paint
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.values import OptionValue
from impasto.recipe import Inputs, presets


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
@recipe_options.recipe_option("reconstruction")
@recipe_options.recipe_options("reconstruction")
@output_options.output_options
@checkpoints.checkpoint_option
def reconstruct(image: str, layers: tuple[str, ...], **options: OptionValue) -> None:
    """Paint what a layer of the network knows of IMAGE: content alone, without a style.

    After Gatys et al. 2016, figure 1: lower layers keep every pixel, higher ones objects and their places. IMAGE may
    be - for standard input. Without -o the result is IMAGE_LAYER.png in the working directory.
    """
    recipe = recipe_options.with_options(presets.resolve(options["recipe_name"]), options).with_layers(
        "content", layers
    )
    stem = Path(output_options.default_output([image])).stem
    output = output_options.checked_output(options, [image], f"{stem}_{'_'.join(layers)}.png")
    paint.set_threads()
    from impasto.jobs.job import Job  # imports torch: only now that the request is known to be sound

    paint.finish(Job(Inputs(output_options.source(image)), recipe), output, options)
