"""Lists of pictures to paint: TOML, JSON lines and CSV, with the same content.

A line has `content`, `style` (a path or a list of paths; in CSV separated by semicolons), `output`, and any option of
`impasto stylize` by its name without dashes: `size`, `content-weight`, `recipe`, `optimizer.history`.
"""

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from impasto.batches.item import Item
from impasto.errors import UsageError
from impasto.recipe.settings import short_repr
from impasto.system.text import decode, printable, reason

ENDINGS: Final = (".toml", ".jsonl", ".csv")
# Ours: a million lines of three hundred bytes.
_MOST_BYTES: Final = 1 << 29
_TABLE: Final = "picture"


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
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        for row in reader:
            if "" in row or None in row.values():
                raise UsageError(f"{name}, line {reader.line_num}: has not as many values as the first line has names")
            # An empty cell is no value.
            values = {key: value for key, value in row.items() if value}
            style = values.get("style", values.get("styles", ""))
            rest = {key: value for key, value in values.items() if key not in ("style", "styles")}
            styles = [part.strip() for part in style.split(";") if part.strip()]
            yield reader.line_num, {**rest, "style": styles} if styles else rest
    except csv.Error as error:
        raise UsageError(f"{name}, line {reader.line_num}: is not CSV ({reason(error)})") from error


def _item(row: object, where: str, base: str) -> Item:
    if not isinstance(row, Mapping):
        raise UsageError(f"{where}: is {short_repr(row)}; write a table with content, style and output")
    rest = dict(row)
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
    return Item(content, tuple(styles), output, rest, where, base)
