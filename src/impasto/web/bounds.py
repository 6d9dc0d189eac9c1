"""The bounds of what a page may send, checked before anything is computed from it."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Final, NoReturn

from impasto.errors import UsageError
from impasto.recipe import OPTIMIZERS, Recipe, settings
from impasto.recipe.terms import LOSSES
from impasto.system.tables import Table

# Ours: an order of eight styles, a sheet and all settings has some hundred values, four deep.
_MOST_VALUES: Final = 2000
_DEEPEST: Final = 8
# Ours: the longest name of a setting, a choice or a picture has 32 characters; people mistype.
_LONGEST_TEXT: Final = 200
# Ours: the longest recipe of the package takes 4 kB.
LONGEST_RECIPE: Final = 50_000


def _maxima() -> Iterator[float]:
    """Yield the largest allowed value of every setting that has one."""
    for owner in (Recipe, *OPTIMIZERS.values(), *LOSSES.values()):
        for field in dataclasses.fields(owner):
            maximum = settings.setting_of(field).maximum
            if maximum is not None:
                yield maximum


# No setting needs a larger number; those without a maximum of their own are weights.
LARGEST: Final = max(_maxima())


def parse_request(body: bytes) -> Table:
    """Return the table in a request's body; an empty one if there is no body.

    Raises:
        UsageError: it is not JSON, no table, or exceeds the bounds.

    """
    try:
        table = json.loads(body or b"{}", parse_constant=_refuse_constant)
        # Half of a pair of surrogates is no text, and no file can hold it.
        json.dumps(table, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is no JSON") from error
    if not isinstance(table, dict):
        raise UsageError("the request is no table")
    recipe = table.get("toml")
    rest = {key: value for key, value in table.items() if key != "toml"} if isinstance(recipe, str) else table
    check_values(rest, "the request", _LONGEST_TEXT)
    if isinstance(recipe, str) and len(recipe) > LONGEST_RECIPE:
        raise UsageError(f"the recipe's text has {len(recipe):,} characters; at most {LONGEST_RECIPE:,}")
    return table


def check_values(value: object, role: str, longest: int, most: int = _MOST_VALUES, depth: int = 0) -> int:
    """Return the number of values in plain data, and refuse data that exceed the bounds.

    Args:
        value: a table, a list, or what they hold.
        role: what the data are, for the message.
        longest: number of characters that a text in them may have.
        most: number of values, and of keys, that they may have.
        depth: of `value` in the whole.

    Raises:
        UsageError: there are too many values, they are nested too deep, or a text or a number is too large.

    """
    if depth > _DEEPEST:
        raise UsageError(f"{role} is nested more than {_DEEPEST} deep")
    if isinstance(value, str) and len(value) > longest:
        raise UsageError(f"a text in {role} has {len(value):,} characters; at most {longest}")
    # Written with `not`, since every comparison with NaN is false.
    if isinstance(value, int | float) and not abs(value) <= LARGEST:
        raise UsageError(f"a number in {role} is larger than any setting takes, or is NaN")
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    count = 1
    for part in parts:
        count += check_values(part, role, longest, most, depth + 1)
        if count > most:
            raise UsageError(f"{role} has more than {most} values")
    return count


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
