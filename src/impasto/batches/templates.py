"""The names of outputs: templates such as `out/{content}_{style}.png`, of which no two may come to the same."""

import os
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from impasto.errors import OutputError, UsageError, suggest
from impasto.system.text import printable, reason

NAMES: Final = ("content", "style", "recipe", "size", "n")
DEFAULT: Final = "{content}_{style}.png"


def placeholder_values(
    content: str, styles: Sequence[str], recipe: str, size: int | str, number: int
) -> dict[str, str]:
    """Return what stands for each placeholder.

    Args:
        content: the path of the photo.
        styles: the paths of the styles.
        recipe: its name, or the path of its file.
        size: as the recipe has it.
        number: of the picture, 1 is the first.

    """
    return {
        "content": Path(content).stem,
        "style": "_".join(Path(style).stem for style in styles),
        "recipe": _plain(Path(recipe).stem if recipe.endswith(".toml") else recipe),
        "size": str(size),
        "n": str(number),
    }


def _plain(name: str) -> str:
    # A recipe is called what its file says: no folder, and none above.
    return re.sub(r"[^\w.+-]+", "-", name).strip(".") or "recipe"


def expand(template: str, values: Mapping[str, str]) -> str:
    """Return the path that a template comes to; `{n:4}` has at least four digits.

    Raises:
        UsageError: a placeholder that does not exist, or a brace without its other half.

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
    """Refuse outputs of which two are the same file, or one is an input.

    Args:
        outputs: pairs of what messages call it, and its path.
        inputs: paths of all pictures that are read.

    Raises:
        OutputError: naming both.

    """
    read = {_file_identity(path): path for path in inputs}
    owners: dict[str, str] = {}
    for who, path in outputs:
        place = _file_identity(path)
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


def _file_identity(path: str) -> str:
    """Return where a path leads; two that differ in case only may be one on some disks, and are one here."""
    return os.path.realpath(path).casefold()
