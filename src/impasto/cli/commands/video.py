"""`impasto video`: a film, painted frame by frame."""

import importlib.util
from pathlib import Path
from typing import Any

import click

from impasto.cli import paint
from impasto.cli.display import video as video_display
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.errors import OutputError, UsageError, suggest
from impasto.jobs.output import STREAM
from impasto.picture import as_picture, check_place
from impasto.recipe import Inputs, pair_styles, presets
from impasto.system.text import printable
from impasto.video.settings import OUTPUTS, FilmSettings

_NEEDED = {"av": "PyAV", "cv2": "OpenCV"}


@click.command()
@click.argument("clip")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help=f"Where the film goes: {', '.join(OUTPUTS)}.")
@recipe_options.recipe_option("default")
@recipe_options.settings_options(FilmSettings())
@recipe_options.recipe_options("default")
@recipe_options.init_option
@recipe_options.style_weights_option
@click.option(
    "--preview",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Only the first seconds, to OUT.preview.mp4; the same command without it goes on from there.",
)
@click.option("--quality", type=click.IntRange(1, 100), default=65, show_default=True, help="Of the film's pictures.")
@click.option("--force", is_flag=True, help="Replace an existing output, and frames kept of another film.")
@output_options.compute_options
@output_options.saying_options
def video(clip: str, styles: tuple[str, ...], **options: Any) -> None:
    """Paint the film CLIP in the style of one picture or of several.

    Each frame goes on from the last one, moved as the clip moves. Frames are kept in OUT.mp4.impasto until the film is
    finished: the same command goes on where it was interrupted. Without -o the film is CLIP_STYLE.mp4 in the working
    directory.
    """
    output = Path(options["output"] or Path(output_options.default_output([clip, *styles])).with_suffix(".mp4"))
    target = output if options["preview"] is None else output.with_name(f"{output.stem}.preview{output.suffix}")
    recipe, start = recipe_options.resolve_start(
        recipe_options.with_options(presets.resolve(options["recipe_name"]), options), options["init"]
    )
    if start is not None:
        raise UsageError(f"--init of a film takes a word, not a picture such as {printable(start)}; leave it out")
    settings = FilmSettings(**{name: options[name] for name in FilmSettings().to_table() if options[name] is not None})
    _check(target, [clip, *styles], force=options["force"])
    paint.quiet_threads()
    from impasto.jobs.job import Job
    from impasto.video.clip import Clip  # imports torch: only now that the request is known to be sound
    from impasto.video.render import VideoRun

    pictures = [as_picture(output_options.source(style)) for style in styles]
    # Every frame takes the photo's place in turn.
    inputs = Inputs(pictures[0], pair_styles(pictures, options["weights"]))
    job = Job(inputs, recipe, output_options.read_compute(options))
    film = VideoRun(Clip(clip), job, settings, options["preview"])
    if options["dry_run"]:
        click.echo(video_display.describe_plan(film, target))
        return
    video_display.finish(film, output, target, options)


def _check(output: Path, inputs: list[str], *, force: bool) -> None:
    """Refuse what cannot work, before minutes are spent.

    Raises:
        UsageError: a package is missing, or the film cannot be written.

    """
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"films need {' and '.join(missing)}; pip install 'impasto[video]'")
    if output.suffix.lower() not in OUTPUTS:
        raise OutputError(
            f"{printable(output)}: no film is written with this ending; {suggest(output.suffix, OUTPUTS)}"
        )
    check_place(output, [name for name in inputs if name != STREAM], force)
