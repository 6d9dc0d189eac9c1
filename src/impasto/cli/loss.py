"""`impasto loss`: what an objective says of a picture."""

import json
from typing import Any

import click

from impasto import presets
from impasto.cli import options, painting
from impasto.errors import UsageError


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@click.argument("image")
@options.recipe_option("default")
@options.recipe_options("default", without=("init", "seed", "steps", "margin", "bounds"))
@options.style_weights_option
@painting.device_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error.")
def loss(content: str, styles: tuple[str, ...], image: str, **given: Any) -> None:
    """Print the value of every term of a recipe for the picture IMAGE, painted from CONTENT and STYLE.

    At the recipe's size, to which IMAGE is resized; one of the three may be - for standard input.
    """
    if [content, *styles, image].count(painting.STREAM) > 1:
        raise UsageError("standard input holds one picture; give - once")
    recipe = options.changed(presets.resolve(given["recipe_name"]), given)
    painting.quiet_threads()
    from impasto.job import loss as evaluate  # imports torch: only now that the request is known to be sound

    found = evaluate(
        painting.source(content),
        [painting.source(style) for style in styles],
        painting.source(image),
        recipe=recipe,
        weights=given["weights"],
        device=given["device"],
    )
    if given["as_json"]:
        click.echo(
            json.dumps({"loss": found.loss, "terms": found.terms, "recipe": recipe.name, "digest": recipe.digest})
        )
        return
    width = max(map(len, [*found.terms, "total"]))
    for label, value in [*found.terms.items(), ("total", found.loss)]:
        click.echo(f"{label:<{width}}  {value:.6g}")
