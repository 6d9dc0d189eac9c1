"""The figures of Gatys, Ecker and Bethge, CVPR 2016, from any content and style pictures, each as a contact sheet.

python -m reproductions.gatys2016 figure_1 --content photo.jpg --style painting.jpg -o fig1.png
python -m reproductions.gatys2016 figure_3 --content photo.jpg --style a.jpg --style b.jpg -o fig3.png --size 256
"""

import argparse
import functools
import itertools
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from impasto import ImpastoError, OutputError, Picture, UsageError
from impasto.picture import as_picture, check_output, read_picture
from reproductions.gatys2016.figures import FIGURES, Figure, Maker, Panel, Settings, figure_3
from reproductions.gatys2016.sheet import Cell, contact_sheet

PROGRAM: Final = "reproductions.gatys2016"
# The shells' convention: 128 + SIGINT.
INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Paint the figure asked for and return the exit code: 0, 2 for a wrong request, 1 for a failure."""
    try:
        _run(_parser().parse_args(argv))
    except ImpastoError as error:
        print(f"{PROGRAM}: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; no sheet was written", file=sys.stderr)
        return INTERRUPTED
    return 0


def paint(name: str, figure: Figure, keep: Path | None) -> Picture:
    """Return the sheet of a figure; print a line for each panel painted.

    Args:
        name: of the figure, for the files in `keep`.
        figure: what to paint.
        keep: a folder in which every panel painted is saved too; one of the same name is replaced.

    Raises:
        ImpastoError: see `impasto.errors`.

    """
    count = sum(panel is not None and not panel.is_input for row in figure.rows for panel in row)
    numbers = itertools.count(1)
    height = 0

    def cell(panel: Panel | None) -> Cell | None:
        nonlocal height
        if panel is None:
            return None
        begun = time.perf_counter()
        picture = panel.picture()
        if not panel.is_input:
            height = max(height, picture.height)
            number = next(numbers)
            print(f"{number}/{count}  {panel.label}: {time.perf_counter() - begun:.1f} s", flush=True)
            if keep is not None:
                picture.save(keep / _file_name(name, number, panel))
        return Cell(panel.label, picture)

    rows = [[cell(panel) for panel in row] for row in figure.rows]
    return as_picture(contact_sheet(figure.heading, rows, height))


def _run(arguments: argparse.Namespace) -> None:
    inputs = [arguments.content, *arguments.style]
    content, *styles = (read_picture(path) for path in inputs)
    figure = _maker(arguments)(content, styles, _settings(arguments))
    # Before minutes are spent.
    check_output(arguments.output, inputs, arguments.force)
    keep = None if arguments.keep is None else Path(arguments.keep)
    if keep is not None:
        _make_folder(keep)
    sheet = paint(arguments.figure, figure, keep)
    sheet.save(arguments.output)
    print(f"saved {sheet.width}x{sheet.height}, to {arguments.output}")


def _maker(arguments: argparse.Namespace) -> Maker:
    if not arguments.ratio:
        return FIGURES[arguments.figure]
    if arguments.figure != "figure_3":
        raise UsageError("--ratio is for figure_3; the others' ratios are the paper's")
    return functools.partial(figure_3, ratios=arguments.ratio)


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        recipe=arguments.recipe,
        size=arguments.size,
        steps=arguments.steps,
        network=arguments.network,
        seed=arguments.seed,
        device=arguments.device,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: is no folder and cannot be made one ({error.strerror})") from error


def _file_name(figure: str, number: int, panel: Panel) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", panel.label.lower()).strip("-")
    return f"{figure}-{number}-{words}.png"


class _Parser(argparse.ArgumentParser):
    """Refuses in one line instead of five."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see 'python -m {PROGRAM} --help'")


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = _Parser(
        prog=f"python -m {PROGRAM}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("figure", choices=FIGURES, metavar="FIGURE", help=f"one of {', '.join(FIGURES)}")
    add("--content", required=True, metavar="FILE", help="the photo")
    add("--style", required=True, action="append", metavar="FILE", help="the style; figure_3 takes several")
    add(
        "--ratio",
        type=float,
        action="append",
        metavar="X",
        help="figure_3: alpha/beta of each style, or of all [the paper's]",
    )
    add("-o", "--output", required=True, metavar="FILE", help="where the sheet goes; its ending is the format")
    add("--keep", metavar="FOLDER", help="also save every panel painted there; one of the same name is replaced")
    add("--force", action="store_true", help="replace an existing sheet")
    add(
        "--recipe",
        default=default.recipe,
        metavar="NAME|FILE",
        help="what the panels' recipes are made from",
    )
    add("--network", metavar="NAME", help="the paper's is vgg19-caffe [the recipe's]")
    add("--size", type=int, metavar="N", help="of a panel in pixels [the recipe's]")
    add("--steps", type=int, metavar="N", help="of each scale [the recipe's]")
    add("--seed", type=int, default=default.seed, metavar="N", help="of the noise [%(default)s]")
    add("--device", default=default.device, help="auto, cpu, cuda, cuda:N or mps [%(default)s]")
    return parser


if __name__ == "__main__":
    sys.exit(main())
