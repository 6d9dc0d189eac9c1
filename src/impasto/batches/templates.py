"""Templates of output names, such as `out/{content}_{style}.png`, which must not give the same name twice."""

import os
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from impasto.errors import OutputError, UsageError, suggest
from impasto.executors import storage
from impasto.system.paths import fold_name, is_url
from impasto.system.text import printable, reason

NAMES: Final = ("content", "style", "recipe", "size", "n")
_STAGE: Final = re.compile(r"-\d{5}(?=\.\w+$)")
DEFAULT: Final = "{content}_{style}.png"


def placeholder_values(
    content: str, styles: Sequence[str], recipe: str, size: int | str, number: int
) -> dict[str, str]:
    """Return the value of each placeholder.

    Args:
        content: the path of the photo.
        styles: the paths of the styles.
        recipe: its name, or the path of its file.
        size: of the recipe.
        number: of the picture, 1 is the first.

    """
    return {
        "content": _stem(content),
        "style": "_".join(map(_stem, styles)),
        "recipe": _plain(Path(recipe).stem if recipe.endswith(".toml") else recipe),
        "size": str(size),
        "n": str(number),
    }


def _stem(path: str) -> str:
    """Return the name of a file without its ending; one of dots alone, which would name a folder, as underscores."""
    stem = Path(path).stem
    # Windows passes over spaces at the end.
    return "_" * len(stem) if not stem.strip(". ") else stem


def _plain(name: str) -> str:
    # From the recipe's file; it must not name a folder.
    return re.sub(r"[^\w.+-]+", "-", name).strip(".") or "recipe"


def expand(template: str, values: Mapping[str, str]) -> str:
    """Return the path of a template; `{n:4}` has at least four digits.

    Raises:
        UsageError: an unknown placeholder, or an unmatched brace.

    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(
            f"{printable(template)}: is no template ({reason(error)}); write {{{{ for a brace that is one"
        ) from error
    text = ""
    for literal, name, width, conversion in parts:
        text += literal
        if name is None:
            continue
        if name not in values:
            raise UsageError(f"{printable(template)}: has no placeholder {printable(name)!r}; {suggest(name, NAMES)}")
        if conversion or (width and not (name == "n" and re.fullmatch(r"0?[1-9]", width))):
            raise UsageError(f"{printable(template)}: only {{n}} takes a width, such as {{n:4}}")
        text += values[name].zfill(int(width or 0))
    return text


def check_distinct(outputs: Iterable[tuple[str, str]], inputs: Iterable[str]) -> None:
    """Refuse outputs of which two are one file, or one is an input.

    Args:
        outputs: pairs of a name for messages and a path.
        inputs: paths of all input pictures.

    Raises:
        OutputError: two are one file; the message names both.

    """
    read = {file_identity(path): path for path in inputs}
    owners: dict[str, str] = {}
    for who, path in outputs:
        place = file_identity(path)
        if place in owners:
            raise OutputError(
                f"{printable(path)}: would be the output of both {printable(owners[place])} and "
                f"{printable(who)}; put more of "
                f"{', '.join(f'{{{name}}}' for name in NAMES)} into -o"
            )
        if place in read:
            raise OutputError(
                f"{printable(path)}: is the same file as the input {printable(read[place])}; choose another output"
            )
        owners[place] = who


def check_stages(stages: Iterable[str], files: Iterable[str]) -> None:
    """Refuse files that pictures of `--save-every` could replace.

    Args:
        stages: the path of step 0 of each output that has such pictures.
        files: paths of all other files that are read or written.

    Raises:
        OutputError: one has the name of a picture on the way to an output.

    """
    places = {file_identity(path) for path in stages}
    for path in files:
        if places and stage_identity(path) in places and file_identity(path) not in places:
            raise OutputError(
                f"{printable(path)}: has the name of a picture that --save-every writes; choose another -o, or leave "
                "--save-every out"
            )


def without_step_number(path: str) -> str:
    """Return a path with 00000 for the number of steps that a picture of `--save-every` has in its name."""
    return _STAGE.sub("-00000", path)


def stage_identity(path: str) -> str:
    """Return what is equal for all pictures that `--save-every` writes on the way to one output."""
    return file_identity(without_step_number(path))


def file_identity(path: str) -> str:
    """Return a text that is equal for paths and URLs that name one file, on any disk or in any store."""
    path = storage.local_path(path) or path
    return storage.file_identity(path) if is_url(path) else fold_name(os.path.realpath(path))
