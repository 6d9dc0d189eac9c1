"""The controls of the page, derived from the recipe's fields: names, types, ranges, help."""

import dataclasses
import types
import typing
from typing import Final, Literal

from impasto.picture.formats.registry import WRITERS
from impasto.recipe import OPTIMIZERS, PARTS, Recipe, presets, settings
from impasto.system.tables import Table

# Shown at once; the others are in a drawer.
FIRST: Final = ("size", "strength", "content_weight", "style_scale", "colors", "smoothness", "init", "seed")


def schema() -> Table:
    """Return all that the page needs to build its controls."""
    return {
        "first": FIRST,
        "fields": [_field(field, Recipe, "") for field in dataclasses.fields(Recipe) if "setting" in field.metadata],
        "optimizers": {
            name: [_field(field, kind, "optimizer.") for field in dataclasses.fields(kind)]
            for name, kind in OPTIMIZERS.items()
        },
        "recipes": [_recipe(name) for name in presets.NAMES if presets.get(name).compares("style")],
        "parts": PARTS,
        "formats": [
            {"ending": writer.endings[0], "name": name, "deep": 16 in writer.depths, "quality": writer.has_quality}
            for name, writer in reversed(WRITERS.items())
        ],
    }


def _recipe(name: str) -> Table:
    recipe = presets.get(name)
    return {
        "name": name,
        "description": recipe.description,
        "values": recipe.to_table(),
        "text": presets.text(name),
    }


def _field(field: "dataclasses.Field[object]", owner: type, prefix: str) -> Table:
    about, kind = settings.setting_of(field), settings.field_types(owner)[field.name]
    return {
        "name": prefix + field.name,
        "help": about.help,
        "range": about.range,
        "minimum": about.minimum,
        "maximum": about.maximum,
        "above": about.above,
        **_kind(kind),
    }


def _kind(kind: object) -> Table:
    """Return the kind of control for a type."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return {"kind": "choice", "choices": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        # A number, or one of some words.
        words = [word for part in arguments if typing.get_origin(part) is Literal for word in typing.get_args(part)]
        numbers = [part for part in arguments if part in (int, float)]
        return {**_kind(numbers[0]), "words": words}
    if origin is tuple:
        return {"kind": "list", "whole": arguments[0] is int}
    return {"kind": "number", "whole": kind is int}
