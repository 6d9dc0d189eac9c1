"""`impasto video`: a film, painted frame by frame."""

import importlib.util
from pathlib import Path
from typing import Any

import click

from impasto import presets
from impasto.cli import filming, options, painting
from impasto.errors import OutputError, UsageError, nearest
from impasto.film.settings import OUTPUTS, FilmSettings
from impasto.messages import shown
from impasto.picture import as_picture, check_place

_NEEDED = {"av": "PyAV", "cv2": "OpenCV"}


@click.command()
@click.argument("clip")
@click.argument("styles", metavar="STYLE [STYLE ...]", nargs=-1, required=True)
@click.option("-o", "--output", metavar="OUT", help=f"Where the film goes: {', '.join(OUTPUTS)}.")
@options.recipe_option("default")
@options.settings_options(FilmSettings())
@options.recipe_options("default")
@options.init_option
@options.style_weights_option
@click.option(
    "--preview",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Only the first seconds, to OUT.preview.mp4; the same command without it goes on from there.",
)
@click.option("--quality", type=click.IntRange(1, 100), default=65, show_default=True, help="Of the film's pictures.")
@click.option("--force", is_flag=True, help="Replace an existing output, and frames kept of another film.")
@painting.means_options
@painting.saying_options
def video(clip: str, styles: tuple[str, ...], **given: Any) -> None:
    """Paint the film CLIP in the style of one picture or of several.

    Each frame goes on from the last one, moved as the clip moves. Frames are kept in OUT.mp4.impasto until the film is
    finished: the same command goes on where it was interrupted. Without -o the film is CLIP_STYLE.mp4 in the working
    directory.
    """
    output = Path(given["output"] or Path(painting.default_output([clip, *styles])).with_suffix(".mp4"))
    target = output if given["preview"] is None else output.with_name(f"{output.stem}.preview{output.suffix}")
    recipe, start = options.start(options.changed(presets.resolve(given["recipe_name"]), given), given["init"])
    if start is not None:
        raise UsageError(f"--init of a film takes a word, not a picture such as {shown(start)}; leave it out")
    settings = FilmSettings(**{name: given[name] for name in FilmSettings().to_table() if given[name] is not None})
    _check(target, [clip, *styles], force=given["force"])
    painting.quiet_threads()
    from impasto.film.clip import Clip  # imports torch: only now that the request is known to be sound
    from impasto.film.filming import Filming
    from impasto.job import Job

    pictures = [as_picture(painting.source(style)) for style in styles]
    means = {name: given[name] for name in ("device", "max_memory", "precision")}
    job = Job(pictures[0], pictures, recipe, given["weights"], **means)
    film = Filming(Clip(clip), job, settings, given["preview"])
    if given["dry_run"]:
        click.echo(filming.plan(film, target))
        return
    filming.finish(film, output, target, given)


def _check(output: Path, inputs: list[str], *, force: bool) -> None:
    """Refuse what cannot work, before minutes are spent.

    Raises:
        UsageError: a package is missing, or the film cannot be written.

    """
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"films need {' and '.join(missing)}; pip install 'impasto[video]'")
    if output.suffix.lower() not in OUTPUTS:
        raise OutputError(f"{shown(output)}: no film is written with this ending; {nearest(output.suffix, OUTPUTS)}")
    check_place(output, [name for name in inputs if name != painting.STREAM], force)
