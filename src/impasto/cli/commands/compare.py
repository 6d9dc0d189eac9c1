"""`impasto compare`: finished pictures side by side."""

import click

from impasto.cli.display import notes as notes_display
from impasto.cli.options import output as output_options
from impasto.cli.values import OptionValue
from impasto.jobs.output import Output
from impasto.sheets import LARGEST_CELL, SMALLEST_CELL, sheet

cell_option = click.option(
    "--cell",
    type=click.IntRange(SMALLEST_CELL, LARGEST_CELL),
    metavar="PX",
    help="Long side of the largest picture on the sheet [default: its own, at most 512].",
)


def _labels(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",")]


@click.command()
@click.argument("pictures", metavar="PICTURE [PICTURE ...]", nargs=-1, required=True)
@click.option("-o", "--output", default="sheet.png", show_default=True, metavar="OUT", help="Where the sheet goes.")
@click.option("--labels", callback=_labels, metavar="A,B,...", help="What stands below them [default: file names].")
@click.option("--columns", type=click.IntRange(1), metavar="N", help="Pictures side by side [default: what suits].")
@cell_option
@click.option("--quality", type=click.IntRange(1, 100), help="Quality of JPEG, WebP and AVIF.")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error.")
def compare(pictures: tuple[str, ...], **options: OptionValue) -> None:
    """Put finished pictures on a sheet, side by side, each with its name.

    One of them may be - for standard input.
    """
    output = Output(options["output"], quality=options["quality"])
    output_options.check_streams(list(pictures), output)
    output.check(list(pictures), force=options["force"])
    sources = [output_options.source(path) for path in pictures]
    picture = sheet(sources, options["labels"], columns=options["columns"], cell=options["cell"])
    say = notes_display.Notes(quiet=options["quiet"])
    say.about((*picture.notes, *output.write(picture)))
    say.line(f"saved {picture.width}x{picture.height}, to {notes_display.where(output)}")
