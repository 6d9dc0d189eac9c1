"""Options about output, device, memory and messages."""

import sys
from pathlib import Path

import click

from impasto.cli.streams import is_output_closed
from impasto.cli.values import Command, Options
from impasto.errors import UsageError
from impasto.jobs.output import STREAM, Output
from impasto.picture import DEFAULT_LIMITS, PictureSource
from impasto.picture.checks import COMPRESSIONS
from impasto.picture.files import BinaryReader, PipeContent, is_pipe
from impasto.recipe import Compute
from impasto.system import units
from impasto.system.text import printable


def output_options(function: Command) -> Command:
    """Give a command the options about its output, its device and its messages."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def saying_options(function: Command) -> Command:
    """Give a command the options about its messages."""
    for option in reversed(_SAYING):
        function = option(function)
    return function


def device_option(function: Command) -> Command:
    """Give a command the option `--device`."""
    return _DEVICE(function)


def compute_options(function: Command) -> Command:
    """Give a command the options about device, memory and precision."""
    for option in reversed(_MEANS):
        function = option(function)
    return function


def _memory(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    return None if value is None else units.parse_bytes(value)


_DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda|cuda:N|xpu|mps",
    help="Where to compute; several with commas between them share the tiles of a large picture.",
)


_SAYING = (
    click.option("--dry-run", is_flag=True, help="Print the plan and stop."),
    click.option("--json", "as_json", is_flag=True, help="Print one event a line on stdout, as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors."),
    click.option("-v", "--verbose", is_flag=True, help="Show a traceback with an error."),
)


_MEANS = (
    _DEVICE,
    click.option(
        "--max-memory",
        callback=_memory,
        metavar="SIZE",
        help="Memory to make do with, such as 3GB: of the process, or of the GPU [default: what is free].",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of the network's features; auto is bfloat16 where a GPU has it.",
    ),
)


_OPTIONS = (
    click.option(
        "-o", "--output", metavar="OUT", help="Where the picture goes; its ending is the format, - is stdout."
    ),
    *_MEANS,
    click.option(
        "--bits", type=click.Choice(["8", "16"]), default="8", show_default=True, help="Depth of PNG and TIFF."
    ),
    click.option("--quality", type=click.IntRange(1, 100), help="Quality of JPEG, WebP and AVIF."),
    click.option("--compression", type=click.Choice(COMPRESSIONS), help="Of TIFF [default: deflate]."),
    click.option(
        "--profile",
        metavar="FILE.icc",
        help="Convert the colours into this ICC profile and embed it: RGB, or CMYK for TIFF and JPEG [default: sRGB].",
    ),
    click.option(
        "--proof",
        metavar="FILE.icc",
        help="Also write OUT.proof.png: how the picture would look printed with this profile.",
    ),
    click.option("--save-every", type=click.IntRange(1), metavar="N", help="Also save a picture every N steps."),
    click.option("--preview", metavar="FILE", help="A picture that is replaced as the run goes."),
    click.option(
        "--no-metadata",
        "metadata",
        flag_value=False,
        default=True,
        help="Leave out the recipe, the inputs' names and the photo's credits; see 'impasto show'.",
    ),
    click.option("--force", is_flag=True, help="Replace an existing output."),
    *_SAYING,
)


def read_compute(options: Options) -> Compute:
    """Return what the values of `compute_options` ask for."""
    return Compute(options["device"], options["max_memory"], options["precision"])


def checked_output(options: Options, inputs: list[str], default: str) -> Output:
    """Return the output that the options ask for, after checking that it can be written.

    Args:
        options: the values of `output_options`.
        inputs: the paths of all input pictures; none of them may be written to.
        default: the name of the output if none was given.

    Raises:
        UsageError: standard input or output is used in a way that cannot work.
        OutputError: the output cannot be written.

    """
    output = requested_output(options, default)
    check_streams(inputs, output, as_json=options["as_json"])
    output.check(inputs, force=options["force"])
    return output


def requested_output(options: Options, default: str) -> Output:
    """Return the output that the options ask for, unchecked; `default` is its name if none was given."""
    return Output(
        options["output"] or default,
        int(options["bits"]),
        options["quality"],
        options["preview"],
        options["save_every"],
        options["metadata"],
        options["compression"],
        options["profile"],
        options["proof"],
    )


def default_output(inputs: list[str]) -> str:
    """Return the default output: `photo_painting.png` for `some/photo.jpg other/painting.jpg`."""
    return "_".join("stdin" if path == STREAM else Path(path).stem for path in inputs) + ".png"


def check_streams(inputs: list[str], output: Output, *, as_json: bool = False) -> None:
    """Refuse a use of standard input or output that cannot work.

    Args:
        inputs: the paths of all input pictures.
        output: of the command.
        as_json: whether events go to standard output.

    """
    if output.path == STREAM and is_output_closed():
        raise UsageError("standard output is closed, so that the picture would be lost; give -o FILE")
    if output.path == STREAM and sys.stdout.isatty():
        raise UsageError("a picture would garble the terminal; redirect standard output, or give -o FILE")
    check_read_once(inputs)
    if output.path == STREAM and as_json:
        raise UsageError("--json and -o - both write to standard output; leave one out")
    if output.path == STREAM and output.proof:
        raise UsageError("--proof needs an output file to name the proof after; give -o FILE")
    if output.path == STREAM and output.compression:
        raise UsageError("standard output gets a PNG, which has no choice of compression; give -o FILE.tif")
    if output.path == STREAM and output.save_every:
        raise UsageError("--save-every needs an output file to name its pictures after; give -o FILE")


def is_stream(path: str) -> bool:
    """Whether a path is read once only: `-`, or a pipe such as `<(...)` of a shell."""
    return path == STREAM or is_pipe(path)


def check_read_once(inputs: list[str]) -> None:
    """Refuse standard input, or a pipe, that is named twice."""
    if inputs.count(STREAM) > 1:
        raise UsageError("standard input holds one picture; give - once")
    twice = next((path for path in inputs if inputs.count(path) > 1 and is_pipe(path)), None)
    if twice is not None:
        raise UsageError(f"{printable(twice)}: a pipe holds one picture; give it once")


def source(path: str) -> PictureSource:
    """Return the source of a picture: standard input for `-`, what is in a pipe, else the path."""
    return open_source(path)


def open_source(path: str) -> str | BinaryReader:
    """Return the same for functions that read files: an open file, or a path.

    Raises:
        PictureError: a pipe cannot be read.

    """
    if path == STREAM:
        return sys.stdin.buffer
    return PipeContent(path, DEFAULT_LIMITS) if is_pipe(path) else path
