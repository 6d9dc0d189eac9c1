"""`impasto stylize`: the main job."""

import click

from impasto.cli import paint
from impasto.cli.display import notes as notes_display
from impasto.cli.options import output as output_options
from impasto.cli.options import task as task_options
from impasto.cli.values import OptionValue
from impasto.picture import as_picture


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@task_options.painting_options
@click.pass_context
def stylize(context: click.Context, /, content: str, styles: tuple[str, ...], **options: OptionValue) -> None:
    """Paint the photo CONTENT in the style of one picture or of several.

    Either may be - for standard input, or a pipe. Without -o the result is CONTENT_STYLE.png in the working directory.
    """
    task_options.check_like(context, options)
    inputs = [content, *styles]
    resolved = task_options.resolve_recipe(options)
    read = [*inputs, *task_options.other_inputs(resolved, options)]
    output = output_options.checked_output(options, read, output_options.default_output(inputs))
    paint.set_threads()
    # Read before the job does where their digests count: standard input is read once.
    pictures = {style: as_picture(output_options.source(style)) for style in styles} if resolved.memory else {}
    digests = [pictures[style].sha256 if pictures else None for style in styles]
    notes_display.Notes(quiet=options["quiet"]).about(task_options.differences(resolved, digests, options))
    # Torch is imported here: only now that the request is known to be sound.
    task = task_options.task(content, styles, resolved, options, output, digests)
    paint.finish(task.job(lambda path: pictures.get(path) or output_options.source(path)), output, options)
