"""Command-line options made of the recipe's fields, so that each is described in one place."""

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import click

from impasto import fields, presets
from impasto.errors import RecipeError
from impasto.recipe import Recipe

F = TypeVar("F", bound=Callable[..., Any])

# Options of `stylize` itself, which also takes a picture here.
_OWN_OPTION = ("init",)


def recipe_fields() -> list[dataclasses.Field[Any]]:
    """Return the fields of a recipe that are options and nothing more, in order."""
    return [f for f in dataclasses.fields(Recipe) if "setting" in f.metadata and f.name not in _OWN_OPTION]


def recipe_options(function: F) -> F:
    """Give a command an option for every plain field of a recipe; each is None unless it was given."""
    for field in reversed(recipe_fields()):
        function = _option(field)(function)
    return function


def init_option(function: F) -> F:
    """Give a command the option `--init`, which takes what the recipe's field takes or the path of a picture."""
    (field,) = (field for field in dataclasses.fields(Recipe) if field.name == "init")
    return click.option(
        "--init",
        metavar=f"{metavar(fields.field_types(Recipe)['init'])}|FILE",
        help=f"{fields.setting_of(field).help}; or a picture [default: {presets.get('default').init}]",
    )(function)


def changes(given: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe fields that were given, by name."""
    return {field.name: given[field.name] for field in recipe_fields() if given.get(field.name) is not None}


def _option(field: dataclasses.Field[Any]) -> Callable[[F], F]:
    about = fields.setting_of(field)
    default = getattr(presets.get("default"), field.name)
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    extent = f", {about.range}" if about.range else ""
    return click.option(
        "--" + field.name.replace("_", "-"),
        field.name,
        type=FieldType(field),
        metavar=metavar(fields.field_types(Recipe)[field.name]),
        help=f"{about.help}{extent} [default: {shown}]",
    )


class FieldType(click.ParamType[Any]):
    """Text on the command line to the value of a recipe's field, checked as the recipe checks it."""

    def __init__(self, field: dataclasses.Field[Any]) -> None:
        self._kind = fields.field_types(Recipe)[field.name]
        self._about = fields.setting_of(field)
        self.name = field.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or fail with the recipe's own message."""
        name = param.opts[0] if param else "value"
        try:
            return fields.checked_value(_parsed(value, self._kind), self._kind, self._about, name)
        except RecipeError as error:
            self.fail(f"{error}.", param, ctx)


def metavar(kind: Any) -> str:
    """Return what stands for a value of `kind` in help texts."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "|".join(arguments)
    if origin in (typing.Union, types.UnionType):
        return "|".join(metavar(part) for part in arguments)
    if origin is tuple:
        return "N,N,..."
    return "N" if kind is int else "X"


def _parsed(value: Any, kind: Any) -> Any:
    """Return the text as the plain value it looks like; what does not fit `kind` is refused by the caller."""
    if not isinstance(value, str):
        return value
    if typing.get_origin(kind) is tuple:
        return tuple(_number(part) for part in value.split(","))
    return _number(value)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
