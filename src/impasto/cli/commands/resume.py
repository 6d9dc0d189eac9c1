"""`impasto resume`: on with a run that was interrupted."""

import sys

import click

from impasto.cli import paint
from impasto.cli.display import notes as notes_display
from impasto.cli.display import progress as progress_display
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.values import OptionValue
from impasto.errors import OutputError
from impasto.jobs import checkpoint_paths
from impasto.system.text import printable

# How the run began, and what it is painted at, is settled.
_SETTLED = ("size", "side", "start_size", "scale_factor", "margin", "seed")


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--content", metavar="FILE", help="Where the photo is now.")
@click.option("--style", "styles", multiple=True, metavar="FILE", help="Where the style is now; once for each.")
@click.option("--init", metavar="FILE", help="Where the picture that the run was started from is now.")
@click.option("--content-mask", metavar="FILE", help="Where the mask of the photo is now.")
@click.option(
    "--style-mask",
    "style_masks",
    multiple=True,
    metavar="FILE",
    help="Where the mask of a style is now; once for each, or 'none'.",
)
@click.option("--protect", metavar="FILE", help="Where the mask of what stays as it is is now.")
@recipe_options.recipe_options(None, without=_SETTLED)
@click.option("--device", metavar="auto|cpu|cuda|cuda:N|xpu|mps", help="Another device than it was started on.")
@click.option("--max-memory", metavar="SIZE", help="Another amount of memory to make do with, such as 3GB.")
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), help="Another precision.")
@click.option("--force", is_flag=True, help="Replace files that do not say that this run painted them.")
@output_options.saying_options
def resume(folder: str, styles: tuple[str, ...], style_masks: tuple[str, ...], **options: OptionValue) -> None:
    """Go on with the run whose checkpoint is in DIR, to the same output and with the same options.

    An interrupted command says which DIR; without --checkpoint it is OUT.impasto beside the output OUT. More --steps
    make the run longer; a change of another value of the recipe changes what it goes towards from here. Its pictures
    must be the same ones; the options above say where they are, if not where they were.
    """
    paint.set_threads()
    from impasto.engine.checkpoints import Folder
    from impasto.engine.checkpoints.writer import INTERVAL
    from impasto.jobs.resume import ComputeChanges, ReplacedPictures, options_of, resume_run

    checkpoint_folder = Folder(folder, create=False)
    try:
        saved = checkpoint_folder.read()
        saved_options = options_of(saved)
        target = checkpoint_paths.from_table(saved_options, checkpoint_folder.path)
        sources = ReplacedPictures(
            options["content"],
            styles or None,
            options["init"],
            options["content_mask"],
            [None if name == "none" else name for name in style_masks] or None,
            options["protect"],
        )
        changes = ComputeChanges(options["device"], options["max_memory"], options["precision"])
        run = resume_run(checkpoint_folder, saved, recipe_options.with_options(saved.recipe, options), sources, changes)
        unexpected = checkpoint_paths.find_unexpected(target, run, checkpoint_folder.path)
        if unexpected is not None and not options["force"]:
            raise OutputError(f"{unexpected}; add --force if you trust {printable(folder)}")
        target.check([], force=True)
    except BaseException:
        checkpoint_folder.close()
        raise
    if options["dry_run"]:
        checkpoint_folder.close()
        click.echo(paint.describe_plan(run, target))
        return
    note = saved_options | {"output": checkpoint_paths.to_table(target, checkpoint_folder.path)}
    run.enable_checkpoints(checkpoint_folder, note, every=INTERVAL, keep=bool(saved.table["options"]["keep"]))
    say = notes_display.Notes(quiet=options["quiet"])
    say.about(run.notes)
    say.line(f"going on after step {run.steps_done} of {sum(scale.steps for scale in run.scales)}")
    listener = progress_display.make_listener(
        quiet=options["quiet"], as_json=options["as_json"], terminal=sys.stderr.isatty()
    )
    paint.paint(run, target, listener, say)
