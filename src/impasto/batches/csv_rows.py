"""Lists in CSV, as spreadsheets and other programs write them."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Final

from impasto.errors import UsageError
from impasto.recipe.settings import short_repr
from impasto.system.tables import Table
from impasto.system.text import reason

_DELIMITERS: Final = ",;\t|"
# The first line by which some spreadsheets are told the delimiter.
_SEPARATOR: Final = re.compile(r'"?sep=([,;\t|])"?[,;\t|]*\r?\n', re.IGNORECASE)
# What pandas calls a column that has no name.
_UNNAMED: Final = re.compile(r"(unnamed: [\d.]+)?")


def read_rows(text: str, name: str) -> Iterator[tuple[int, Table]]:
    """Yield the number of each line and its values by the names in the first line, without empty ones.

    The delimiter is that by which the first line names `content`: a comma, semicolon, tab or bar. Spaces around names
    and values do not count, nor do capitals in names. Columns without a name are passed over: at the left, where the
    numbers of lines are, and elsewhere if they are empty.

    Raises:
        UsageError: no column is named `content`, or a line does not fit the first; the message names the line.

    """
    marked = _SEPARATOR.match(text)
    start = marked.end() if marked else 0
    delimiter = marked[1] if marked else _find_delimiter(text)
    lines = csv.reader(io.StringIO(text[start:], newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    names: list[str] = []
    try:
        for cells in lines:
            where = f"{name}, line {lines.line_num + (start > 0)}"
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if not names:
                names = [value.lower() for value in values]
                _check_names(names, where)
            else:
                yield lines.line_num + (start > 0), _row(names, values, where)
    except csv.Error as error:
        raise UsageError(f"{name}, line {lines.line_num + (start > 0)}: is not CSV ({reason(error)})") from error


def _find_delimiter(text: str) -> str:
    """Return the delimiter that makes the most names of the first line, `content` among them; else the comma."""
    first = next((line for line in text.splitlines() if line.strip(f"{_DELIMITERS} ")), "")
    counts = {}
    for delimiter in _DELIMITERS:
        names = [part.strip(' "').lower() for part in first.split(delimiter)]
        counts[delimiter] = len(names) if "content" in names else 0
    return max(_DELIMITERS, key=lambda delimiter: counts[delimiter])


def _check_names(names: Sequence[str], where: str) -> None:
    named = [each for each in names if not _UNNAMED.fullmatch(each)]
    if "content" not in named:
        raise UsageError(
            f"{where}: names the columns, but none content ({short_repr(', '.join(named))}); begin the list with a "
            "line such as content,style,output"
        )
    twice = next((each for each in named if named.count(each) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: names two columns {short_repr(twice)}; rename one")


def _row(names: Sequence[str], values: Sequence[str], where: str) -> Table:
    rest = names[len(values) :]
    if any(values[len(names) :]) or not all(map(_UNNAMED.fullmatch, rest)):
        raise UsageError(
            f"{where}: has not as many values as the first line has names ({len(values)}, not {len(names)}); "
            "put a value that holds the delimiter in quotes"
        )
    row, is_left = {}, True
    for column, value in zip(names, values, strict=False):
        is_named = not _UNNAMED.fullmatch(column)
        is_left = is_left and not is_named
        if value and not is_named and not is_left:
            raise UsageError(f"{where}: has {short_repr(value)} in a column that the first line gives no name; name it")
        if value and is_named:
            row[column] = value
    return row
