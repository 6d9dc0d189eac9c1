"""The settings that vary over a sweep, and the order of its cells."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from impasto.errors import UsageError, suggest
from impasto.recipe import Recipe
from impasto.sheets import Axis
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import printable

RECIPE: Final = "recipe"
STYLE_WEIGHTS: Final = "style_weights"
# Ours: at a second a cell, most of an hour; a typing error quickly makes a hundred thousand.
_MOST_CELLS: Final = 2500

_UNVARIED: Final = ("name", "description")  # they change no pixel


@dataclass(frozen=True)
class Variation:
    """A setting and its values.

    Attributes:
        name: a field of the recipe, a dotted name of its file, `recipe` or `style_weights`.
        values: at least one, all different.
        labels: on the sheet, for each value; None to make them from the values.

    Raises:
        UsageError: no such setting, no value, or a value twice.

    """

    name: str
    values: Sequence[object]
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        if "." not in self.name and self.name not in settings():
            hint = suggest(self.name.replace("_", "-"), [hyphenate(name) for name in settings()])
            raise UsageError(f"there is no setting {printable(hyphenate(self.name))!r} to vary; {hint}")
        if isinstance(self.values, str | bytes) or not isinstance(self.values, Iterable):
            raise UsageError(f"{self.title} is varied by {self.values!r}; give a list of values")
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise UsageError(f"{self.title} is varied by nothing; give at least one value")
        object.__setattr__(self, "labels", tuple(self.labels or map(label, self.values)))
        for second, value in enumerate(self.values):
            first = next((index for index in range(second) if _is_same(value, self.values[index])), None)
            if first is not None:
                labels = self.labels[first], self.labels[second]
                twice = (
                    f"{labels[0]} twice" if labels[0] == labels[1] else " and ".join(labels) + ", which are equal here"
                )
                raise UsageError(f"{self.title} is varied by {twice}; leave one out")

    @property
    def title(self) -> str:
        """The setting's name as on the command line."""
        return hyphenate(self.name)

    @property
    def axis(self) -> Axis:
        """The axis of a table whose columns or rows these values are."""
        return Axis(self.title, tuple(self.labels))


@dataclass(frozen=True)
class Choice:
    """One value of a variation."""

    name: str
    value: Any
    label: str

    def __str__(self) -> str:
        return f"{hyphenate(self.name)} {self.label}"


def settings() -> list[str]:
    """Return the names of all settings, dotted ones last."""
    fields = (field.name for field in dataclasses.fields(Recipe) if field.name not in _UNVARIED)
    return [RECIPE, STYLE_WEIGHTS, *fields]


def hyphenate(name: str) -> str:
    """Return a setting's name as on the command line; a dotted one stays as in a recipe's file."""
    return name if "." in name else name.replace("_", "-")


def label(value: object) -> str:
    """Return the text of a value for a sheet or a line."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.10g}"
    if isinstance(value, Recipe):
        return value.name
    if isinstance(value, Path):
        return value.name
    if isinstance(value, tuple | list):
        return ":".join(map(label, value))
    if dataclasses.is_dataclass(value) and hasattr(value, "kind"):
        return str(value.kind)
    return printable(value)


def choices(variations: Sequence[Variation]) -> Iterator[tuple[Choice, ...]]:
    """Yield the choices of each cell, in the order of the sheet.

    The first variation varies across, the second down, and each further one from table to table.

    Raises:
        UsageError: there is none, one of them twice, or too many cells.

    """
    if not variations:
        raise UsageError("nothing is varied; name a setting and its values")
    names = [variation.name for variation in variations]
    for index, variation in enumerate(variations):
        if variation.name in names[:index]:
            raise UsageError(f"{variation.title} is varied twice; give all its values at once")
    count = math.prod(len(variation.values) for variation in variations)
    if count > _MOST_CELLS:
        raise UsageError(f"a sweep of {count:,} cells; up to {_MOST_CELLS:,} can be painted, give fewer values")
    return _product([*variations[2:], *reversed(variations[:2])])


def _product(slowest_first: Sequence[Variation]) -> Iterator[tuple[Choice, ...]]:
    columns = [
        [Choice(varied.name, value, text) for value, text in zip(varied.values, varied.labels, strict=True)]
        for varied in slowest_first
    ]
    for combination in itertools.product(*columns):
        # In the order in which the variations were given.
        blocks, table = combination[: len(combination) - 2], combination[-2:]
        yield (*reversed(table), *blocks)


def recipe_with(recipe: Recipe, values: ReadOnlyTable) -> Recipe:
    """Return a recipe with other values, by field or by dotted name.

    Raises:
        RecipeError: as `Recipe.replace` and `Recipe.with_settings`.

    """
    fields = {name: value for name, value in values.items() if "." not in name}
    dotted = {name: value for name, value in values.items() if "." in name}
    recipe = recipe.replace(**fields)
    return recipe.with_settings(dotted) if dotted else recipe


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return tuple(one) == tuple(other)
    return type(one) is type(other) and bool(one == other)
