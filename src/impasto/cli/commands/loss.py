"""`impasto loss`: what an objective says of a picture."""

import json

import click

from impasto.cli import paint
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.values import OptionValue
from impasto.recipe import pair_styles, presets


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@click.argument("image")
@recipe_options.recipe_option("default")
@recipe_options.recipe_options("default", without=("init", "seed", "steps", "margin", "bounds"))
@recipe_options.style_weights_option
@output_options.device_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error.")
def loss(content: str, styles: tuple[str, ...], image: str, **options: OptionValue) -> None:
    """Print the value of every term of a recipe for the picture IMAGE, painted from CONTENT and STYLE.

    At the recipe's size, to which IMAGE is resized; one of the three may be - for standard input.
    """
    output_options.check_read_once([content, *styles, image])
    recipe = recipe_options.with_options(presets.resolve(options["recipe_name"]), options)
    paint.set_threads()
    from impasto.jobs.functions import loss as evaluate  # imports torch: only now that the request is known to be sound

    evaluation = evaluate(
        output_options.source(content),
        pair_styles([output_options.source(style) for style in styles], options["weights"]),
        output_options.source(image),
        recipe=recipe,
        device=options["device"],
    )
    if options["as_json"]:
        click.echo(
            json.dumps(
                {"loss": evaluation.loss, "terms": evaluation.terms, "recipe": recipe.name, "digest": recipe.digest}
            )
        )
        return
    width = max(map(len, [*evaluation.terms, "total"]))
    for label, value in [*evaluation.terms.items(), ("total", evaluation.loss)]:
        click.echo(f"{label:<{width}}  {value:.6g}")
