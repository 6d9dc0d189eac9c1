"""Options derived from the fields of recipes, so that each is described in one place."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Callable, Sequence
from typing import Literal

import click

from impasto.cli.values import Command, Options
from impasto.errors import RecipeError
from impasto.recipe import INITS, Inputs, Recipe, pair_styles, presets, settings
from impasto.system.tables import Table

# `stylize` has an option of its own for this field, which takes a picture too.
_OWN_OPTION = ("init",)


def recipe_fields() -> list[dataclasses.Field[object]]:
    """Return the fields of a recipe that become plain options, in order."""
    return [f for f in dataclasses.fields(Recipe) if "setting" in f.metadata and f.name not in _OWN_OPTION]


def recipe_option(default: str) -> Callable[[Command], Command]:
    """Give a command the option `--recipe`."""
    return click.option(
        "-r",
        "--recipe",
        "recipe_name",
        default=default,
        show_default=True,
        metavar="NAME|FILE",
        help="A recipe by name (see 'impasto recipe list') or a .toml file.",
    )


def recipe_options(default: str | None, without: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Give a command an option for every plain field of a recipe, and `--set` for the others.

    Args:
        default: the recipe whose values are shown as defaults, if any; an option that is not given is None.
        without: fields for which the command has an option of its own.

    """

    def decorate(function: Command) -> Command:
        function = _SET(function)
        for field in reversed(recipe_fields()):
            if field.name not in without:
                function = _option(field, presets.get(default) if default else None)(function)
        return function

    return decorate


def settings_options(record: settings.Record) -> Callable[[Command], Command]:
    """Give a command an option for every field of the dataclass instance `record`, with its values as defaults."""

    def decorate(function: Command) -> Command:
        for field in reversed(dataclasses.fields(record)):
            function = _option(field, record, type(record))(function)
        return function

    return decorate


_MASKS = (
    click.option(
        "--content-mask",
        metavar="FILE",
        help="Which parts of the photo are painted after which style: grey, white after the first and black after the "
        "second (with one style: left as they are), or a colour for each style in the order of the rainbow.",
    ),
    click.option(
        "--style-mask",
        "style_masks",
        metavar="FILE",
        multiple=True,
        help="Which parts of a style picture count: grey, or the colours of the content mask. Once for each style, in "
        "their order; 'none' for all of it.",
    ),
    click.option("--protect", metavar="FILE", help="A grey mask of the photo: white stays as it is."),
    click.option(
        "--style-scales",
        callback=lambda *options: _weights(*options),
        metavar="X,X,...",
        help="Sizes of the style pictures relative to each other; --style-scale multiplies all.",
    ),
    click.option(
        "--style-parts",
        metavar="PART,PART,...",
        help="What each style speaks for: 'fine' strokes and colours, 'coarse' forms, or 'all'.",
    ),
)

_SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other value of the recipe as its file has it, such as optimizer.history=20; can be repeated.",
)


def init_option(function: Command) -> Command:
    """Give a command the option `--init`, which takes a value of the recipe's field or the path of a picture."""
    (field,) = (field for field in dataclasses.fields(Recipe) if field.name == "init")
    return click.option(
        "--init",
        metavar=f"{metavar(settings.field_types(Recipe)['init'])}|FILE",
        help=f"{settings.setting_of(field).help}; or a picture [default: {presets.get('default').init}]",
    )(function)


def style_weights_option(function: Command) -> Command:
    """Give a command the option `--style-weights`."""
    return click.option(
        "--style-weights",
        "weights",
        callback=_weights,
        metavar="X,X,...",
        help="How much each style counts in a blend [default: all the same].",
    )(function)


def mask_options(function: Command) -> Command:
    """Give a command the mask options."""
    for option in reversed(_MASKS):
        function = option(function)
    return function


def mask_paths(options: Options) -> list[str]:
    """Return the paths that the mask options name."""
    masks = (options["content_mask"], options["protect"], *options["style_masks"])
    return [name for name in masks if name not in (None, "none")]


def inputs(content: str, styles: Sequence[str], start: str | None, options: Options) -> Inputs[str]:
    """Return the input pictures of a command, with the options on each style.

    Args:
        content: the path of the photo.
        styles: the paths of the style pictures.
        start: the path of the picture to start from, if any.
        options: the values of `style_weights_option` and `mask_options`.

    Raises:
        UsageError: a list has another length than the styles, or there is no such part.

    """
    masks = [None if name == "none" else name for name in options["style_masks"]]
    paired = pair_styles(styles, options["weights"], masks, options["style_scales"] or (), parts(options))
    return Inputs(content, paired, start, options["content_mask"], options["protect"])


def parts(options: Options) -> tuple[str, ...]:
    """Return the value of `--style-parts`."""
    return tuple(part.strip() for part in options["style_parts"].split(",")) if options["style_parts"] else ()


def with_options(recipe: Recipe, options: Options) -> Recipe:
    """Return the recipe with the values from the command line.

    Raises:
        RecipeError: a value is out of type or range, or for something that the recipe does not have.

    """
    plain = {field.name: options[field.name] for field in recipe_fields() if options.get(field.name) is not None}
    recipe = recipe.replace(**plain)
    return recipe.with_settings(set_values(options)) if options["settings"] else recipe


def set_values(options: Options) -> Table:
    """Return the values of `--set` by name."""
    pairs = (text.partition("=") for text in options["settings"])
    return {key.strip(): toml_value(value.strip()) for key, _, value in pairs}


def resolve_start(recipe: Recipe, init: str | None) -> tuple[Recipe, str | None]:
    """Return the recipe with the start that `--init` names, or the path of the picture that it names."""
    if init is None:
        return recipe, None
    if init in INITS:
        return recipe.replace(init=init), None
    return recipe, init


def toml_value(text: str) -> object:
    """Return a text as a TOML value; text that is no TOML stands for itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _weights(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    return parse_weights(value, ",")


def parse_weights(text: str, separator: str) -> tuple[float, ...]:
    """Return the style weights in a text.

    Raises:
        click.BadParameter: it is not a list of numbers.

    """
    try:
        return tuple(float(part) for part in text.split(separator))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 0.7{separator}0.3.") from None


def _option(field: dataclasses.Field[object], defaults: object, owner: type = Recipe) -> Callable[[Command], Command]:
    """Return an option for a field of `owner`; `defaults` gives the values shown as defaults, if any."""
    about = settings.setting_of(field)
    shown = ""
    if defaults is not None:
        default = getattr(defaults, field.name)
        shown = f" [default: {','.join(map(str, default)) if isinstance(default, tuple) else default}]"
    extent = f", {about.range}" if about.range else ""
    names = ["--" + name.replace("_", "-") for name in (field.name, about.also) if name]
    return click.option(
        *names,
        field.name,
        type=FieldType(field, owner),
        metavar=metavar(settings.field_types(owner)[field.name]),
        help=f"{about.help}{extent}{shown}",
    )


class FieldType(click.ParamType[object]):
    """A click type that converts text to the value of a field, with the field's own checks."""

    def __init__(self, field: dataclasses.Field[object], owner: type = Recipe) -> None:
        self._kind = settings.field_types(owner)[field.name]
        self._about = settings.setting_of(field)
        self.name = field.name

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """Return the value, or fail with the message of the field's check."""
        name = param.opts[0] if param else "value"
        try:
            return settings.checked_value(_parse(value, self._kind), self._kind, self._about, name)
        except RecipeError as error:
            self.fail(f"{error}.", param, ctx)


def metavar(kind: object) -> str:
    """Return the placeholder for a value of `kind` in help texts."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "|".join(arguments)
    if origin in (typing.Union, types.UnionType):
        return "|".join(metavar(part) for part in arguments)
    if origin is tuple:
        return "N,N,..."
    return "N" if kind is int else "X"


def _parse(value: object, kind: object) -> object:
    """Return the text as the plain value that it looks like; the caller refuses one that is not of `kind`."""
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
