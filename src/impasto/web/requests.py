"""The requests of a page: an order consists of stored pictures and a recipe, nothing else."""

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from impasto.errors import UsageError, suggest
from impasto.recipe import Inputs, Recipe, Style, presets
from impasto.recipe.recipe import parse_toml
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable, reason
from impasto.web.bounds import LONGEST_RECIPE, check_values
from impasto.web.storage import Storage

# Ours: more would not fit on the page, and each is read into memory.
MOST_STYLES: Final = 8
# Ours: six by six fill a window; more is for `impasto sweep`.
MOST_CELLS: Final = 36
# A dotted key of twelve parts, where a key may begin. The time of parsing one grows with the square of its parts. This
# pattern has one way to match, so that its own time is bounded.
_LONG_KEY: Final = re.compile(r"(?m)(?:^|[{,])(?:[^.=#\n{},]{0,100}\.){12}")


@dataclass(frozen=True)
class Order:
    """A photo, its styles and a recipe, as a page asks for them.

    Attributes:
        content: the photo; like every picture here, by its id in the storage.
        styles: at least one.
        recipe: with all changes.
        base: the name of the recipe before the changes.
        settings: the changes.
        init: a picture to start from.
        content_mask: see `impasto.jobs.job.Job`.
        protect: likewise.
        vary: for a sheet, the settings that vary with their values; empty for a single picture.

    """

    content: str
    styles: tuple[Style[str], ...]
    recipe: Recipe
    base: str = "default"
    settings: ReadOnlyTable | None = None
    init: str | None = None
    content_mask: str | None = None
    protect: str | None = None
    vary: tuple[tuple[str, tuple[object, ...]], ...] = ()

    @property
    def inputs(self) -> Inputs[str]:
        """The pictures of the run."""
        return Inputs(self.content, self.styles, self.init, self.content_mask, self.protect)

    @property
    def pictures(self) -> set[str]:
        """The ids of all pictures."""
        return set(self.inputs.sources)

    def to_table(self) -> Table:
        """Return the order as plain values for `from_table`."""
        plain = {name: getattr(self, name) for name in ("content", "base", "init", "content_mask", "protect")}
        styles = [vars(style) for style in self.styles]
        vary = [{"name": name, "values": values} for name, values in self.vary]
        changes = {"settings": dict(self.settings or {}), "vary": vary}
        return plain | {"styles": styles, "recipe": self.recipe.to_table()} | changes

    @classmethod
    def from_table(cls, table: ReadOnlyTable) -> "Order":
        """Return the order from its table."""
        styles = tuple(Style(**style) for style in table["styles"])
        vary = tuple((entry["name"], tuple(map(_freeze, entry["values"]))) for entry in table.get("vary", ()))
        return cls(**{**table, "styles": styles, "recipe": Recipe.from_table(table["recipe"]), "vary": vary})


def parse_order(table: object, storage: Storage) -> Order:
    """Return the order in a page's request.

    Raises:
        UsageError: a picture or a field does not exist.
        RecipeError: a value out of type or range.

    """
    keys = ("content", "styles", "recipe", "settings", "toml", "init", "content_mask", "protect", "vary")
    rest = _table(table, "the request", keys)
    base, recipe, settings = recipe_of(rest)
    if rest.get("content") is None:
        raise UsageError("no photo was given; drop or choose one")
    listed = rest.get("styles") or []
    if not isinstance(listed, list) or not listed:
        raise UsageError("no style picture was given; name at least one")
    if len(listed) > MOST_STYLES:
        raise UsageError(f"{len(listed)} style pictures; at most {MOST_STYLES} at once")
    return Order(
        content=_picture(rest["content"], storage),
        styles=tuple(_style(entry, storage) for entry in listed),
        recipe=recipe,
        base=base,
        settings=settings,
        init=_optional(rest.get("init"), storage),
        content_mask=_optional(rest.get("content_mask"), storage),
        protect=_optional(rest.get("protect"), storage),
        vary=_parse_variations(rest.get("vary") or [], recipe),
    )


def recipe_of(table: ReadOnlyTable) -> tuple[str, Recipe, Table]:
    """Return a recipe's name, the recipe with its changes, and the changes.

    Raises:
        RecipeError: no such recipe, or a value out of type or range.

    """
    base, text, settings = table.get("recipe", "default"), table.get("toml"), table.get("settings") or {}
    if not isinstance(base, str) or not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise UsageError("recipe is a name and settings is a table of values")
    if text is not None and (not isinstance(text, str) or len(text) > LONGEST_RECIPE):
        raise UsageError(f"the recipe's text is over {LONGEST_RECIPE:,} characters, or none")
    if text is not None and _LONG_KEY.search(text):
        raise UsageError("the recipe's text has a dotted key of too many parts")
    # By name only, since `presets.resolve` would open a path.
    recipe = _translate_errors(lambda: (_parse_recipe(text) if text else presets.get(base)).with_settings(settings))
    return ("custom" if text else base), recipe, settings


def _parse_recipe(text: str) -> Recipe:
    table = parse_toml(text)
    check_values(table, "the recipe", LONGEST_RECIPE)
    return Recipe.from_table(table)


def _style(table: object, storage: Storage) -> Style[str]:
    rest = _table(table, "a style", ("picture", "weight", "scale", "part", "mask"))
    weight, scale, part = rest.get("weight", 1.0), rest.get("scale", 1.0), rest.get("part", "all")
    if type(weight) not in (int, float) or type(scale) not in (int, float):
        raise UsageError("a style's weight and scale are numbers")
    if not isinstance(part, str):
        raise UsageError("a style's part is a word")
    return Style(
        _picture(rest.get("picture"), storage),
        float(weight),
        _optional(rest.get("mask"), storage),
        float(scale),
        part,  # type: ignore[arg-type]  # a style refuses others
    )


def _parse_variations(entries: object, recipe: Recipe) -> tuple[tuple[str, tuple[object, ...]], ...]:
    """Return the variations of a sheet, after checking every combination."""
    if not isinstance(entries, list) or len(entries) > 2:
        raise UsageError("a sheet varies one or two settings")
    if not entries:
        return ()
    from impasto.sweeps import RECIPE, STYLE_WEIGHTS, Variation  # imports torch: not before the page is served
    from impasto.sweeps.variations import choices, recipe_with

    def too_many(count: int) -> UsageError:
        return UsageError(f"a sheet of {count} pictures; here up to {MOST_CELLS}, and any number with impasto sweep")

    variations = []
    for entry in entries:
        rest = _table(entry, "what varies", ("name", "values"))
        name, values = rest.get("name"), rest.get("values")
        if not isinstance(name, str) or "." in name or name in (RECIPE, STYLE_WEIGHTS):
            raise UsageError("what varies on a sheet is one of the controls")
        if not isinstance(values, list):
            raise UsageError(f"the values of {printable(name)} are no list")
        if len(values) > MOST_CELLS:
            raise too_many(len(values))
        variations.append(Variation(name, tuple(map(_freeze, values))))
    count = math.prod(len(variation.values) for variation in variations)
    if count > MOST_CELLS:
        raise too_many(count)
    for combination in choices(variations):
        _translate_errors(functools.partial(recipe_with, recipe, {entry.name: entry.value for entry in combination}))
    return tuple((variation.name, tuple(variation.values)) for variation in variations)


def _freeze(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _translate_errors(make: Callable[[], Recipe]) -> Recipe:
    try:
        return make()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        # A malformed table can make the checks fail with other exceptions than a RecipeError.
        raise UsageError(f"the recipe is not valid ({reason(error)})") from error


def _table(table: object, role: str, keys: tuple[str, ...]) -> Table:
    if not isinstance(table, dict):
        raise UsageError(f"{role} is no table")
    for key in table:
        if key not in keys:
            raise UsageError(f"{role} has no field {key!r}; {suggest(key, keys)}")
    return table


def _picture(id: object, storage: Storage) -> str:
    if not isinstance(id, str):
        raise UsageError("a picture is named by a text")
    return storage.known(id).id


def _optional(id: object, storage: Storage) -> str | None:
    return None if id is None else _picture(id, storage)
