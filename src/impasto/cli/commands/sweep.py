"""`impasto sweep`: one pair of pictures, painted with every combination of some settings."""

from pathlib import Path

import click

from impasto.cli import paint, paint_sweep
from impasto.cli.commands.compare import cell_option
from impasto.cli.display import sweep as sweep_display
from impasto.cli.options import executor as executor_options
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.options import vary as vary_options
from impasto.cli.values import OptionValue
from impasto.errors import OutputError, UsageError
from impasto.jobs.output import STREAM
from impasto.recipe import presets
from impasto.system.text import printable


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@click.option(
    "--vary",
    "varied",
    multiple=True,
    required=True,
    metavar="NAME=VALUE,VALUE,...",
    help="An option below and its values, without the dashes, such as style-scale=0.5,1,2; also recipe=NAME,FILE, "
    "style-weights=1:0,0.5:0.5 and a KEY of --set. The first goes from left to right, the second down, each further "
    "one makes several tables. A list within the list has colons: steps=35:20:15,20:8:5.",
)
@click.option(
    "--cells", metavar="DIR", help="Where finished pictures are kept [default: sheet.cells beside sheet.png]."
)
@cell_option
@executor_options.executor_options(None)
@recipe_options.recipe_option("default")
@recipe_options.recipe_options("default")
@recipe_options.init_option
@recipe_options.style_weights_option
@recipe_options.mask_options
@output_options.output_options
@click.pass_context
def sweep(context: click.Context, /, content: str, styles: tuple[str, ...], **options: OptionValue) -> None:
    """Paint CONTENT in the style of STYLE with every combination of the values in --vary, and make a labelled sheet.

    A finished picture is kept, and not painted again: the same command goes on where it was interrupted (with --force,
    for the sheet is there). With --save-every the pictures on the way are kept there, too. Without -o the sheet is
    CONTENT_STYLE_sweep.png in the working directory.
    """
    executor_options.check(options)
    recipe, start = recipe_options.resolve_start(
        recipe_options.with_options(presets.resolve(options["recipe_name"]), options), options["init"]
    )
    inputs = [content, *styles, *([start] if start else []), *recipe_options.mask_paths(options)]
    if options["on"] is not None and any(map(output_options.is_stream, inputs)):
        raise UsageError("--on reads files, not standard input or pipes; give the pictures as files")
    lists = vary_options.parse_vary(options["varied"], context, options)
    default = f"{Path(output_options.default_output([content, *styles])).stem}_sweep.png"
    output = output_options.checked_output(options, inputs, default)
    folder = Path(options["cells"] or Path(default if output.path == STREAM else output.path).with_suffix(".cells"))
    _check_folder(folder)
    paint.set_threads()
    from impasto.executors.task import Task  # imports torch: only now that the request is known to be sound
    from impasto.sweeps import Variation, make_sweep

    template = Task(
        recipe_options.inputs(content, styles, start, options),
        recipe,
        output,
        compute=output_options.read_compute(options),
    )
    cells = make_sweep(template.job(output_options.source), [Variation(*pair) for pair in lists], folder, output.bits)
    layout = cells.layout(options["cell"])
    if options["dry_run"]:
        click.echo(sweep_display.describe_plan(cells, layout, output, folder))
        return
    tasks = [] if options["on"] is None else paint_sweep.make_tasks(cells, template)
    paint_sweep.paint(cells, output, tasks, options)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before minutes are spent."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{printable(folder)}: is no folder; choose another for --cells")
    if not folder.parent.is_dir():
        raise OutputError(f"{printable(folder)}: the folder {printable(folder.parent)} does not exist; create it first")
