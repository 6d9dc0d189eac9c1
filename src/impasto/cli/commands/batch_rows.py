"""The values in a line of a list, parsed by the options of the same names."""

import json
import os
import re
from pathlib import Path
from typing import Final

import click

from impasto.batches.item import Item
from impasto.errors import ImpastoError, UsageError, suggest
from impasto.recipe import INITS
from impasto.recipe.settings import short_repr
from impasto.system.paths import is_url
from impasto.system.tables import ReadOnlyTable, Table

# Options that apply to all pictures together, or to the machine.
_NOT_OF_ONE: Final = {
    *("output", "device", "max_memory", "precision", "dry_run", "as_json", "quiet", "verbose", "force"),
    *("metadata", "checkpoint", "settings"),
}
# The decimals of whole numbers, one or a list of them.
_ZEROS: Final = re.compile(r"(?<=\d)\.0+(?=\s*(?:[],]|$))")
_NUMBERS: Final = re.compile(r"[-+\d.,\s\[\]]*")
_PATHS: Final = {"like", "content_mask", "style_masks", "protect", "profile", "proof", "preview"}


def options_for(item: Item, context: click.Context, defaults: ReadOnlyTable) -> Table:
    """Return the values of a command's options, with those of a line in place of the command's.

    Args:
        item: a line of the list.
        context: of the command.
        defaults: the values of the command's own options.

    Raises:
        UsageError: no option of a single picture has that name, or the option refuses the value; the message names the
        line.

    """
    options = dict(defaults)
    parameters = _parameters(context)
    for key, value in item.settings.items():
        try:
            if "." in key:
                options["settings"] = (*options["settings"], f"{key}={_toml(value)}")
                continue
            name = key.lstrip("-").replace("_", "-")
            if name not in parameters:
                raise UsageError(f"there is no option {key[:80]!r} for a picture; {suggest(name, parameters)}")
            parameter = parameters[name]
            assert parameter.name is not None
            options[parameter.name] = _read(_text(value, item.base, parameter), parameter, context)
            if name in ("recipe", "like"):
                # Only one of them can give the recipe; the line's wins.
                options["like"] = options["like"] if name == "like" else None
        except click.BadParameter as error:
            raise UsageError(f"{item.where}: {' '.join(error.format_message().split())}") from error
        except UsageError as error:
            raise UsageError(f"{item.where}: {error}") from error
    return options


def _read(text: object, parameter: click.Parameter, context: click.Context) -> object:
    """Return the value that an option makes of a text."""
    try:
        return parameter.process_value(context, text)
    except click.BadParameter:
        # Where a cell of a column is empty, pandas and others write whole numbers as 32.0.
        whole = _ZEROS.sub("", text) if isinstance(text, str) else text
        if whole == text:
            raise
        return parameter.process_value(context, whole)


def _parameters(context: click.Context) -> dict[str, click.Parameter]:
    """Return the options that apply to a single picture, by their longest names."""
    return {
        max(parameter.opts, key=len).lstrip("-"): parameter
        for parameter in context.command.params
        if isinstance(parameter, click.Option) and not parameter.is_flag and parameter.name in _of_stylize()
    }


def _of_stylize() -> set[str]:
    from impasto.cli.commands.stylize import stylize

    return {str(parameter.name) for parameter in stylize.params if isinstance(parameter, click.Option)} - _NOT_OF_ONE


def _text(value: object, base: str, parameter: click.Parameter) -> object:
    """Return a value as a person would type it, with paths relative to the working directory."""
    if isinstance(parameter, click.Option) and parameter.multiple:
        return [_path(_plain(part), base, parameter) for part in (value if isinstance(value, list) else [value])]
    if isinstance(value, list):
        return ",".join(_plain(part) for part in value)
    return _path(_plain(value), base, parameter)


def _plain(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{short_repr(value)} is no value of an option; give a text, a number or a list of them")
    return str(value)


def _path(text: str, base: str, parameter: click.Parameter) -> str:
    is_path = (
        parameter.name in _PATHS
        or (parameter.name == "init" and text not in INITS)
        or (parameter.name == "recipe_name" and text.endswith(".toml"))
    )
    return join_path(base, text) if is_path and text != "none" else text


def join_path(base: str, path: str) -> str:
    """Return a path that is relative to the list's folder as relative to the working directory."""
    return os.fspath(Path(base) / path) if base and not is_url(path) else path


def _toml(value: object) -> str:
    # Numbers, texts and lists are written alike in JSON and TOML.
    text = value if isinstance(value, str) else json.dumps(value)
    return _ZEROS.sub("", text) if _NUMBERS.fullmatch(text) else text


def with_row(item: Item, error: ImpastoError) -> UsageError:
    """Return an error that names its line."""
    return UsageError(f"{item.where}: {error}")
