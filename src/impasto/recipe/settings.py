"""Settings: dataclass fields with a range and a help text, their checks, and tables for TOML and JSON.

A default, a choice, a range or a help text is written once, with its field. The command line, the documentation and the
error messages derive from it.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from impasto.errors import RecipeError, suggest
from impasto.system.tables import ReadOnlyTable, Table


class Record(Protocol):
    """An instance of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]


T = TypeVar("T", bound=Record)

# Ours: larger than any number that is needed, within the range of a float. NaN does not compare below it.
_ENDLESS = 1e300
# Ours: a line of a terminal.
_LONGEST = 80


@dataclasses.dataclass(frozen=True)
class Setting:
    """The range, help text and other name of a field."""

    help: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None  # an exclusive minimum
    also: str = ""  # an alternative name on the command line

    @property
    def range(self) -> str:
        """The range in words; empty if every value is allowed."""
        if self.above is not None:
            low = f"above {self.above:g}"
        elif self.minimum is not None:
            low = f"at least {self.minimum:g}"
        else:
            low = ""
        high = f"at most {self.maximum:g}" if self.maximum is not None else ""
        return " and ".join(part for part in (low, high) if part)

    def allows(self, number: float) -> bool:
        """Whether `number` lies in the range."""
        return (
            abs(number) < _ENDLESS
            and (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
            and (self.above is None or number > self.above)
        )


def setting(
    default: object = dataclasses.MISSING,
    *,
    help: str,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    also: str = "",
) -> Any:
    """Declare a dataclass field with its help text, its range, and an alternative name for the command line.

    Args:
        default: of the field.
        help: for the command line, the page and the docs.
        minimum: the least value allowed.
        maximum: the largest value allowed.
        above: an exclusive minimum.
        also: the alternative name.

    """
    about = Setting(help, minimum, maximum, above, also)
    return dataclasses.field(default=default, metadata={"setting": about})


def setting_of(field: dataclasses.Field[object]) -> Setting:
    """Return what was declared for `field`."""
    about: Setting = field.metadata.get("setting", Setting(""))
    return about


def field_types(cls: type) -> dict[str, object]:
    """Return the type of every field of the dataclass `cls`, with annotations resolved."""
    return _field_types(cls)


# Cached: every new recipe is checked, and finding the largest size that fits into memory makes thousands.
@functools.cache
def _field_types(cls: Hashable) -> dict[str, object]:
    assert isinstance(cls, type)
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def check(instance: Record) -> None:
    """Check every field of a frozen dataclass against its type and range; convert whole numbers to floats as declared.

    Raises:
        RecipeError: a value is not valid; the message names the field and what it should hold.

    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        checked = checked_value(value, field_types(type(instance))[field.name], setting_of(field), field.name)
        object.__setattr__(instance, field.name, checked)


def checked_value(value: object, kind: object, about: Setting, name: str) -> Any:
    """Return `value` as a `kind`, or refuse it.

    Args:
        value: to check.
        kind: a type, also a union, a literal or a tuple.
        about: the range.
        name: of the field, for messages.


    Raises:
        RecipeError: it is of another type or out of range.

    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return _choice(value, arguments, name)
    if origin in (typing.Union, types.UnionType):
        return _alternative(value, arguments, about, name)
    if origin is tuple and isinstance(value, tuple | list):
        if arguments[-1] is Ellipsis:
            return tuple(checked_value(item, arguments[0], about, name) for item in value)
        if len(value) == len(arguments):
            return tuple(checked_value(v, k, about, name) for v, k in zip(value, arguments, strict=True))
    elif kind in (int, float):
        return _number(value, kind, about, name)
    elif origin is None and isinstance(kind, type) and isinstance(value, kind):
        return value
    raise RecipeError(f"{name} is {short_repr(value)}; expected {describe(kind)}")


def _choice(value: object, choices: tuple[object, ...], name: str) -> object:
    if value not in choices:
        raise RecipeError(
            f"{name} is {short_repr(value)}; "
            f"{suggest(value if isinstance(value, str) else short_repr(value), map(str, choices))}"
        )
    return value


def _alternative(value: object, kinds: tuple[object, ...], about: Setting, name: str) -> object:
    for kind in kinds:
        if kind is type(None) and value is None:
            return None
    last: RecipeError | None = None
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return checked_value(value, kind, about, name)
        except RecipeError as error:
            # "out of range" is more helpful than "not one of the choices".
            last = error if last is None or isinstance(value, int | float) == (kind in (int, float)) else last
    assert last is not None
    raise last


def _number(value: object, kind: type, about: Setting, name: str) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or (kind is int and isinstance(value, float)):
        raise RecipeError(f"{name} is {short_repr(value)}; expected {describe(kind)}")
    if not about.allows(value):
        raise RecipeError(f"{name} is {short_repr(value)}; expected {describe(kind)} {about.range}".rstrip())
    return kind(value)


def short_repr(value: object) -> str:
    """Return `repr(value)`, cut so that it fits into one line of a message."""
    if isinstance(value, int) and abs(value) >= _ENDLESS:
        return f"a number of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a long number, or lists in lists without end, somewhere inside
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def describe(kind: object) -> str:
    """Return the type in words, for messages and help texts."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(part) for part in arguments if part is not type(None))
    if origin is tuple:
        return f"a list of {describe(arguments[0])}"
    words: dict[object, str] = {int: "a whole number", float: "a number", str: "a text"}
    return words.get(kind, getattr(kind, "__name__", str(kind)))


def to_table(instance: Record) -> Table:
    """Return a dataclass as plain values, nested ones as tables, without fields that are None."""
    table = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if value is not None:
            table[field.name] = _plain(value)
    return table


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_table(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def from_table(cls: type[T], table: ReadOnlyTable, where: str) -> T:
    """Return the dataclass that a table of plain values describes.

    Args:
        cls: a dataclass whose fields hold plain values and tuples of them.
        table: values by field name; fields with defaults may be missing.
        where: the name of the table, for messages.

    Raises:
        RecipeError: a key is unknown or missing, or a value is out of type or range.

    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            raise RecipeError(f"{where} has no field {short_repr(key)}; {suggest(key, fields)}")
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in table]
    if missing:
        raise RecipeError(f"{where} lacks {', '.join(missing)}")
    return cls(**table)
