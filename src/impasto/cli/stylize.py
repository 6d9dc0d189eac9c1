"""`impasto stylize`: the main job."""

from typing import Any

import click

from impasto.cli import ordering, painting
from impasto.picture import as_picture


@click.command()
@click.argument("content")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@ordering.painting_options
@click.pass_context
def stylize(context: click.Context, /, content: str, styles: tuple[str, ...], **given: Any) -> None:
    """Paint the photo CONTENT in the style of one picture or of several.

    Either may be - for standard input. Without -o the result is CONTENT_STYLE.png in the working directory.
    """
    ordering.check_like(context, given)
    inputs = [content, *styles]
    wanted = ordering.manner(given)
    read = [*inputs, *ordering.read_besides(wanted, given)]
    output = painting.checked_output(given, read, painting.default_output(inputs))
    painting.quiet_threads()
    # Read before the job does where their digests count: standard input is read once.
    pictures = {style: as_picture(painting.source(style)) for style in styles} if wanted.memory else {}
    digests = [pictures[style].sha256 if pictures else None for style in styles]
    painting.Notes(quiet=given["quiet"]).about(ordering.differences(wanted, digests, given))
    # Torch is imported here: only now that the request is known to be sound.
    task = ordering.task(content, styles, wanted, given, output, digests)
    painting.finish(task.job(lambda path: pictures.get(path) or painting.source(path)), output, given)
