"""`impasto texture`: style alone."""

from pathlib import Path

import click

from impasto.cli import checkpoints, paint
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.values import OptionValue
from impasto.recipe import pair_styles, presets


class SizeType(click.ParamType[tuple[int, int]]):
    """Text such as 1024x768 to width and height."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (width, height), or fail saying what a size looks like."""
        width, x, height = str(value).lower().partition("x")
        if not (x and width.isdecimal() and height.isdecimal() and int(width) > 0 and int(height) > 0):
            self.fail(f"{value!r} is not a size such as 1024x768.", param, ctx)
        return int(width), int(height)


@click.command()
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@click.option("--size", type=SizeType(), default="512x512", show_default=True, metavar="WxH", help="Size in pixels.")
@click.option("--layers", metavar="NAME,NAME,...", help="The layers whose statistics are matched, equally weighted.")
@click.option(
    "--seamless", is_flag=True, help="Make a picture that continues at its other side when laid out in tiles."
)
@recipe_options.recipe_option("texture")
@recipe_options.recipe_options("texture", without=("size", "side", "colors"))
@recipe_options.style_weights_option
@output_options.output_options
@checkpoints.checkpoint_option
def texture(styles: tuple[str, ...], size: tuple[int, int], layers: str | None, **options: OptionValue) -> None:
    """Paint a picture with the statistics of STYLE and nothing else.

    STYLE may be - for standard input. Without -o the result is STYLE_texture.png in the working directory.
    """
    inputs = list(styles)
    recipe = recipe_options.with_options(presets.resolve(options["recipe_name"]), options)
    output = output_options.checked_output(
        options, inputs, f"{Path(output_options.default_output(inputs)).stem}_texture.png"
    )
    paint.set_threads()
    from impasto.jobs.job import texture_job  # imports torch: only now that the request is known to be sound

    pictures = [output_options.source(style) for style in styles]
    names = layers.split(",") if layers else None
    width, height = size
    job = texture_job(
        pair_styles(pictures, options["weights"]),
        height,
        width,
        recipe,
        names,
        seamless=options["seamless"],
    )
    paint.finish(job, output, options)
