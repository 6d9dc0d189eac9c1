"""The option `--vary`, whose values are parsed by the options of the varied settings."""

import dataclasses
import typing
from pathlib import Path
from typing import NamedTuple

import click
from click.core import ParameterSource

from impasto.cli.options import recipe as recipe_options
from impasto.cli.values import Options
from impasto.errors import UsageError
from impasto.recipe import Recipe, presets, settings
from impasto.system.text import printable

_RECIPE, _STYLE_WEIGHTS = "recipe", "style_weights"
# The parameter names of settings that differ from the setting's name.
_DESTINATIONS = {_RECIPE: "recipe_name", _STYLE_WEIGHTS: "weights"}


class VariedSetting(NamedTuple):
    """A setting that varies, by its name in the recipe, with its values, and labels where the values give none."""

    name: str
    values: list[object]
    labels: list[str]


def parse_vary(texts: tuple[str, ...], context: click.Context, options: Options) -> list[VariedSetting]:
    """Return the settings in the texts of `--vary`: `content-weight=0.03,0.1`, `recipe=default,fine`.

    Args:
        texts: of the option.
        context: of a command with an option for each setting.
        options: the values of the command's options.

    Raises:
        click.BadParameter: a value that the setting's option would refuse, with that option's message.
        UsageError: a text of another form, or a setting that was also given an option.

    """
    return [_parse_setting(text, context, options) for text in texts]


def _parse_setting(text: str, context: click.Context, options: Options) -> VariedSetting:
    name, equals, listed = text.partition("=")
    name = name.strip().removeprefix("--")
    parts = [part.strip() for part in listed.split(",")]
    if not (name and equals):
        raise UsageError(f"--vary {printable(text)}: is no setting with values, such as content-weight=0.03,0.1")
    if not all(parts):
        raise UsageError(f"--vary {printable(text)}: a value is empty; write them with one comma between each two")
    if "." not in name:
        name = name.replace("-", "_")
        # By any of its names.
        name = next(
            (field.name for field in recipe_options.recipe_fields() if settings.setting_of(field).also == name), name
        )
    if _is_given(name, context, options):
        raise UsageError(f"{name if '.' in name else name.replace('_', '-')} is given and varied; leave one out")
    return VariedSetting(name, *_values(name, parts, context, options))


def _values(name: str, parts: list[str], context: click.Context, options: Options) -> tuple[list[object], list[str]]:
    if name == _RECIPE:
        return [_recipe(part, options) for part in parts], [Path(part).name for part in parts]
    if name == _STYLE_WEIGHTS:
        return [recipe_options.parse_weights(part, ":") for part in parts], parts
    if "." in name:
        return [recipe_options.toml_value(part) for part in parts], parts
    field = next((field for field in dataclasses.fields(Recipe) if field.name == name), None)
    if field is None or "setting" not in field.metadata:
        # An unknown name is refused later, with all the others.
        if field is not None:
            raise UsageError(f"{name} cannot be varied here; write recipe files, and vary recipe=a.toml,b.toml")
        return list(parts), parts
    parameter = next(parameter for parameter in context.command.params if parameter.name == name)
    kind = recipe_options.FieldType(field)
    return [kind.convert(_as_list_item(part, field), parameter, context) for part in parts], []


def _as_list_item(part: str, field: dataclasses.Field[object]) -> str:
    """Return a value as the option takes it: a list inside the list of values has colons."""
    is_list = typing.get_origin(settings.field_types(Recipe)[field.name]) is tuple
    return part.replace(":", ",") if is_list else part


def _recipe(name: str, options: Options) -> Recipe:
    recipe, _ = recipe_options.resolve_start(
        recipe_options.with_options(presets.resolve(name), options), options["init"]
    )
    return recipe


def _is_given(name: str, context: click.Context, options: Options) -> bool:
    source = context.get_parameter_source(_DESTINATIONS.get(name, name))
    return source is ParameterSource.COMMANDLINE or name in recipe_options.set_values(options)
