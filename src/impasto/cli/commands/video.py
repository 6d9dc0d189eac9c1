"""`impasto video`: a film, painted frame by frame."""

import importlib.util
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from impasto.cli import paint
from impasto.cli.display import notes as notes_display
from impasto.cli.display import video as video_display
from impasto.cli.options import output as output_options
from impasto.cli.options import recipe as recipe_options
from impasto.cli.signals import Cause, EarlyEnd, interrupt, signals
from impasto.cli.values import Options, OptionValue
from impasto.errors import OutputError, UsageError, suggest
from impasto.jobs.output import STREAM
from impasto.picture import as_picture, check_place
from impasto.recipe import Inputs, pair_styles, presets
from impasto.system.text import printable
from impasto.video.settings import OUTPUTS, FilmSettings

if TYPE_CHECKING:
    from impasto.video.frames import FrameStore
    from impasto.video.render import VideoRun

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
def video(clip: str, styles: tuple[str, ...], **options: OptionValue) -> None:
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
    paint.set_threads()
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
    _paint(film, output, target, options)


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


def _paint(film: "VideoRun", output: Path, target: Path, options: Options) -> None:
    """Paint the film, or what comes before the first signal to stop or fault, and write it.

    Args:
        film: the film.
        output: beside which the frames are kept.
        target: where the film goes.
        options: the command's.

    """
    from impasto.engine import devices
    from impasto.video import sound
    from impasto.video.frames import FrameStore

    notes = notes_display.Notes(quiet=options["quiet"])
    notes.about(film.notes)
    notes.about(sound.notes(film.clip, target.suffix))
    notes.about(devices.untold(devices.choose(options["device"]).notes))
    folder = output.with_name(f"{output.name}.impasto")
    with FrameStore(folder, film.identity, force=options["force"]) as store:
        stopped = _paint_frames(film, store, options)
        notes.about(film.clip.damage)
        written = ""
        if film.painted:
            # What was painted is written, however often Ctrl-C is pressed now.
            with signals(signal.SIG_IGN):
                written = _write(film, store, target, options["quality"])
        if stopped is not None:
            _end_early(store, written, stopped)
        notes.line(f"saved {written}")
        notes.line(
            f"shimmer {film.shimmer.of_painted:.2f} levels of 255 from frame to frame (warp error); "
            f"the clip's own {film.shimmer.of_filmed:.2f}"
        )
        if options["preview"] is None:
            store.remove()
        else:
            notes.line("the same command without --preview goes on from here")


def _paint_frames(film: "VideoRun", store: "FrameStore", options: Options) -> Cause | None:
    """Paint the frames that are missing, and return what stopped that."""
    with signals(interrupt), EarlyEnd() as end:
        video_display.show_film(film.paint(store), film.frames, options)
    return end.cause


def _write(film: "VideoRun", store: "FrameStore", target: Path, quality: int) -> str:
    """Write the film of the painted frames, and describe it."""
    from impasto.video import encode

    facts = encode.write(target, film.clip, store, film.painted, quality)
    sound = f", sound {', '.join(facts.sound)}" if facts.sound else ""
    return f"{film.painted} frames of {film.width}x{film.height}, {facts.codec}{sound}, to {printable(target)}"


def _end_early(store: "FrameStore", written: str, stopped: Cause) -> NoReturn:
    if not store.count:
        store.remove()
    again = f"the frames are in {printable(store.path)}; the same command with --force goes on"
    saved = f"saved what there is, {written}\n{again}" if written else ""
    paint.end_early(stopped, saved, "before the first frame was finished; nothing was written")
