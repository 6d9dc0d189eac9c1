"""`impasto stylize`: the main job."""

from typing import Any

import click

from impasto import presets
from impasto.cli import options, painting


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@options.recipe_option("default")
@options.recipe_options("default")
@options.init_option
@options.style_weights_option
@painting.output_options
def stylize(content: str, styles: tuple[str, ...], **given: Any) -> None:
    """Paint the photo CONTENT in the style of one picture or of several.

    Either may be - for standard input. Without -o the result is CONTENT_STYLE.png in the working directory.
    """
    inputs = [content, *styles]
    recipe = options.changed(presets.resolve(given["recipe_name"]), given)
    recipe, start = options.start(recipe, given["init"])
    output = painting.checked_output(given, [*inputs, *([start] if start else [])], painting.default_output(inputs))
    painting.quiet_threads()
    from impasto.job import Job  # imports torch: only now that the request is known to be sound

    sources = [painting.source(style) for style in styles]
    job = Job(painting.source(content), sources, recipe, given["weights"], start)
    painting.finish(job, output, given)
