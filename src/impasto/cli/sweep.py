"""`impasto sweep`: one pair of pictures, painted with every combination of some settings."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from impasto import presets
from impasto.cli import engine, options, painting, sweeping, varying
from impasto.cli.compare import cell_option
from impasto.errors import OutputError, UsageError
from impasto.messages import shown

if TYPE_CHECKING:
    from impasto.executors.task import Task
    from impasto.sweeps import Sweep


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
@engine.engine_options(None)
@options.recipe_option("default")
@options.recipe_options("default")
@options.init_option
@options.style_weights_option
@options.mask_options
@painting.output_options
@click.pass_context
def sweep(context: click.Context, /, content: str, styles: tuple[str, ...], **given: Any) -> None:
    """Paint CONTENT in the style of STYLE with every combination of the values in --vary, and make a labelled sheet.

    A finished picture is kept, and not painted again: the same command goes on where it was interrupted (with --force,
    for the sheet is there). With --save-every the pictures on the way are kept there, too. Without -o the sheet is
    CONTENT_STYLE_sweep.png in the working directory.
    """
    engine.check(given)
    recipe, start = options.start(options.changed(presets.resolve(given["recipe_name"]), given), given["init"])
    inputs = [content, *styles, *([start] if start else []), *options.named_masks(given)]
    if given["on"] is not None and painting.STREAM in inputs:
        raise UsageError("--on reads files, not standard input; give the pictures as files")
    lists = varying.varied(given["varied"], context, given)
    default = f"{Path(painting.default_output([content, *styles])).stem}_sweep.png"
    output = painting.checked_output(given, inputs, default)
    folder = Path(
        given["cells"] or Path(default if output.path == painting.STREAM else output.path).with_suffix(".cells")
    )
    _check_folder(folder)
    painting.quiet_threads()
    from impasto.executors.task import Task  # imports torch: only now that the request is known to be sound
    from impasto.sweeps import Variation, swept

    means = {name: given[name] for name in ("weights", "device", "max_memory", "precision")}
    asked = Task(content, styles, recipe, output, init=start, **means, **options.masks(given, str))
    found = swept(asked.job(painting.source), [Variation(*each) for each in lists], folder, output.bits)
    layout = found.layout(given["cell"])
    if given["dry_run"]:
        click.echo(sweeping.plan(found, layout, output, folder))
        return
    made = [] if given["on"] is None else sweeping.tasks(found, asked)
    _paint(found, output, given, made)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to, before minutes are spent."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{shown(folder)}: is no folder; choose another for --cells")
    if not folder.parent.is_dir():
        raise OutputError(f"{shown(folder)}: the folder {shown(folder.parent)} does not exist; create it first")


def _paint(found: "Sweep", output: painting.Output, given: dict[str, Any], tasks: "list[Task]") -> None:
    say = painting.Notes(quiet=given["quiet"])
    say.about(found.cells[0].job.start().notes)
    found.make_folder()
    teller = sweeping.Teller(found, quiet=given["quiet"], as_json=given["as_json"], terminal=sys.stderr.isatty())
    chosen = None
    if tasks:
        from impasto.batches.batch import foresee, measured

        chosen = engine.executor(given, tasks, foresee(tasks, measured(tasks)), say), tasks
    sweeping.paint(found, found.board(given["cell"]), output, teller, say, chosen)
