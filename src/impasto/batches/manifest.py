"""Lists of pictures to paint: TOML, JSON lines and CSV, with the same content.

A line has `content`, `style` (a path or a list of paths; in CSV separated by semicolons), `output`, and any option of
`impasto stylize` by its name without dashes: `size`, `content-weight`, `recipe`, `optimizer.history`.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from impasto.batches import csv_rows
from impasto.batches.item import Item
from impasto.errors import UsageError
from impasto.recipe.settings import short_repr
from impasto.system.text import decode, printable, reason

ENDINGS: Final = (".toml", ".jsonl", ".csv")
# Ours: a million lines of three hundred bytes.
_MOST_BYTES: Final = 1 << 29
_TABLE: Final = "picture"
_STYLES: Final = ("style", "styles")


def is_manifest(path: str) -> bool:
    """Whether a path names a list, by its ending."""
    return Path(path).suffix.lower() in ENDINGS


def read(path: str) -> list[Item]:
    """Return the items of a list.

    Raises:
        UsageError: it cannot be read or parsed, or a line is not valid; the message names the line.

    """
    name = printable(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{name}: has more than {_MOST_BYTES:,} bytes; split it")
        text = decode(data)
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is no text in UTF-8; save it as one") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be read ({reason(error)}); check the path") from error
    rows = {".toml": _toml, ".jsonl": _json_lines, ".csv": _csv}[Path(path).suffix.lower()](text, name)
    base = str(Path(path).parent)
    items = [_item(row, f"{name}, line {line}", base) for line, row in rows]
    if not items:
        raise UsageError(f"{name}: lists no picture")
    return items


def _toml(text: str, name: str) -> Iterator[tuple[int, object]]:
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name}: is not TOML ({reason(error)})") from error
    unknown = set(document) - {_TABLE}
    if unknown:
        raise UsageError(
            f"{name}: has {short_repr(min(unknown))} outside of [[{_TABLE}]]; write each picture under one"
        )
    rows = document.get(_TABLE, [])
    if not isinstance(rows, list):
        raise UsageError(f"{name}: {_TABLE} is one table; write [[{_TABLE}]] with two brackets")
    # The TOML parser gives no line numbers; the heads of the tables do, unless they are inside a multi-line text.
    heads = [number for number, line in enumerate(text.splitlines(), 1) if _HEAD.match(line)]
    lines = heads if len(heads) == len(rows) else range(1, len(rows) + 1)
    yield from zip(lines, rows, strict=True)


_HEAD: Final = re.compile(r"\s*\[\[\s*picture\s*\]\]")


def _json_lines(text: str, name: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{name}, line {number}: is not JSON ({reason(error)})") from error


def _csv(text: str, name: str) -> Iterator[tuple[int, object]]:
    for number, row in csv_rows.read_rows(text, name):
        # In a cell the styles have semicolons between them.
        styles = {key: [part.strip() for part in row[key].split(";") if part.strip()] for key in _STYLES if key in row}
        yield number, row | styles


def _item(row: object, where: str, base: str) -> Item:
    if not isinstance(row, Mapping):
        raise UsageError(f"{where}: is {short_repr(row)}; write a table with content, style and output")
    rest = {str(key).strip().lower(): value for key, value in row.items()}
    if len(rest) < len(row):
        raise UsageError(f"{where}: has two values of one name; leave one out")
    content, output = rest.pop("content", None), rest.pop("output", None)
    if "style" in rest and "styles" in rest:
        raise UsageError(f"{where}: has both style and styles; leave one out")
    styles = rest.pop("style", rest.pop("styles", []))
    styles = [styles] if isinstance(styles, str) else styles
    if not isinstance(content, str) or not content:
        raise UsageError(f"{where}: names no photo; add content")
    if not isinstance(styles, list) or not all(isinstance(style, str) and style for style in styles):
        raise UsageError(f"{where}: style is {short_repr(styles)}; give a path or a list of paths")
    if output is not None and not (isinstance(output, str) and output):
        raise UsageError(f"{where}: output is {short_repr(output)}; give a path")
    for path in (content, *styles, output or ""):
        _check_path(path, where)
    return Item(content, tuple(styles), output, rest, where, base)


def _check_path(path: str, where: str) -> None:
    """Refuse a text that no file system takes for a name."""
    try:
        is_name = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_name = False
    if not is_name:
        raise UsageError(f"{where}: {short_repr(path)} is no name of a file; it holds a character that none has")
