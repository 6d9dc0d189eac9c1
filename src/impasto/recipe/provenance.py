"""Provenance: the recipe, the input pictures and the version that a picture was painted with.

It is one JSON document, `{"impasto": 1, "version": ..., "recipe": {...}, "content": {...}, "styles": [...], ...}`,
which `impasto.picture` keeps in files. Anybody may have written the file that it is read from, so every value is
checked, and no name in it is ever opened.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from impasto.errors import ImpastoError, PictureError
from impasto.recipe.inputs import PARTS
from impasto.recipe.recipe import MOST_SCALE, Recipe
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable, reason

SCHEMA: Final = 1

# Ours: a document takes 2 to 4 kB; a thousand styles would fit.
MOST_BYTES: Final = 1_000_000
# Ours: the longest file name of the common file systems is 255 bytes.
_LONGEST_NAME = 255
_BY_STYLE: Final = ("style_scales", "style_parts", "style_masks")
_NAMES: Final = {
    *("impasto", "version", "recipe", "content", "styles", "init", "size", "finished", "content_mask", "protect"),
    *_BY_STYLE,
}
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Input:
    """An input picture.

    Attributes:
        name: its file name without folders; "memory" or "stdin" if it came from no file.
        sha256: of the file in hexadecimal; None if it came from no file.
        weight: of a style in a blend, all of which sum to 1; None for any other picture.

    """

    name: str
    sha256: str | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Drawn:
    """The mask pictures.

    Attributes:
        content: of the photo.
        styles: of the styles in order, None for one without; empty if none has one.
        protect: of the protected pixels.

    """

    content: Input | None = None
    styles: tuple[Input | None, ...] = ()
    protect: Input | None = None

    @property
    def named(self) -> list[tuple[str, Input]]:
        """The masks with their roles in words."""
        of_styles = [(f"mask of style {number}", mask) for number, mask in enumerate(self.styles, 1)]
        pairs = [("content mask", self.content), *of_styles, ("protected", self.protect)]
        return [(role, mask) for role, mask in pairs if mask is not None]


@dataclass(frozen=True)
class Remembered:
    """How a picture was painted.

    Attributes:
        recipe: the whole recipe, with its seed.
        content: the photo; None for a texture.
        styles: the style pictures with their weights.
        init: the picture that it started from; None if that followed the recipe.
        size: width and height, px.
        finished: whether the run reached its end.
        version: of impasto.
        drawn: the masks.
        style_scales: factor on the recipe's style scale for each style; empty if all are 1.
        style_parts: the part of each style, `all`, `fine` or `coarse`; empty if all are `all`.

    """

    recipe: Recipe
    content: Input | None
    styles: tuple[Input, ...]
    init: Input | None
    size: tuple[int, int]
    finished: bool
    version: str
    drawn: Drawn = Drawn()
    style_scales: tuple[float, ...] = ()
    style_parts: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the document: one line of ASCII, equal for equal provenances."""
        return json.dumps(
            {
                "impasto": SCHEMA,
                "version": self.version,
                "recipe": self.recipe.to_table(),
                "content": _table(self.content),
                "styles": [_table(style) for style in self.styles],
                "content_mask": _table(self.drawn.content),
                "style_masks": [_table(mask) for mask in self.drawn.styles],
                "protect": _table(self.drawn.protect),
                "style_scales": list(self.style_scales),
                "style_parts": list(self.style_parts),
                "init": _table(self.init),
                "size": list(self.size),
                "finished": self.finished,
            }
        )

    @classmethod
    def from_json(cls, text: str, name: str) -> "Remembered":
        """Return the provenance in a document from an untrusted source.

        Args:
            text: the document.
            name: of the file, for messages.

        Raises:
            PictureError: it is too long, no JSON, of another schema, or a value is out of type or range.

        """
        where = f"{printable(name)}: what it remembers"
        if len(text) > MOST_BYTES:
            raise PictureError(
                f"{where} is over the limit of {MOST_BYTES:,} bytes and was not read; no impasto wrote it"
            )
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise PictureError(f"{where} is damaged ({reason(error)}); the picture itself may be fine") from error
        if not isinstance(document, dict) or type(document.get("impasto")) is not int:
            raise PictureError(f"{where} is no document of impasto's; the picture itself may be fine")
        if document["impasto"] != SCHEMA:
            raise PictureError(
                f"{where} is in form {printable(document['impasto'])[:20]}, and this impasto reads form {SCHEMA}; "
                "use the version that painted it, or a newer one"
            )
        try:
            return _check(document)
        except (ImpastoError, ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            # A malformed table can make the checks fail with other exceptions than a RecipeError.
            raise PictureError(f"{where} is not valid ({reason(error)}); the picture itself may be fine") from error

    def to_toml(self) -> str:
        """Return the recipe as TOML with the pictures in comments: a recipe file that is safe to print."""
        lines = [f"painted by impasto {printable(self.version)}, {self.size[0]}x{self.size[1]}"]
        if not self.finished:
            lines[0] += ", stopped before the end"
        inputs = [("content", self.content), *(("style", style) for style in self.styles), ("init", self.init)]
        lines += [_line(role, picture) for role, picture in [*inputs, *self.drawn.named] if picture is not None]
        if self.style_scales:
            lines.append(f"style scales: {', '.join(f'{scale:g}' for scale in self.style_scales)}")
        if self.style_parts:
            lines.append(f"style parts: {', '.join(self.style_parts)}")
        return "".join(f"# {line}\n" for line in lines) + "\n" + _escape_controls(self.recipe.to_toml())


def plain_name(source: str) -> str:
    """Return the file name at the end of a path, of any system, so that no folder names are published."""
    return re.split(r"[/\\]", source)[-1][-_LONGEST_NAME:] or "memory"


def _table(picture: Input | None) -> Table | None:
    if picture is None:
        return None
    table: Table = {"name": picture.name, "sha256": picture.sha256}
    return table if picture.weight is None else table | {"weight": picture.weight}


def _line(role: str, picture: Input) -> str:
    weight = "" if picture.weight is None else f", weight {picture.weight:g}"
    digest = "" if picture.sha256 is None else f", sha256 {picture.sha256}"
    return f"{role}: {printable(picture.name)}{weight}{digest}"


def _escape_controls(toml: str) -> str:
    """Return TOML with control characters escaped in TOML's way, so that its content is the same."""
    return "".join(c if c.isprintable() or c == "\n" else _escape(ord(c)) for c in toml)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check(document: ReadOnlyTable) -> Remembered:
    if set(document) != _NAMES:
        odd = sorted(_NAMES.symmetric_difference(document))
        raise ValueError(f"fields missing or unknown: {', '.join(odd)}")
    version, size, finished, styles = (document[name] for name in ("version", "size", "finished", "styles"))
    if not isinstance(version, str) or len(version) > _LONGEST_NAME:
        raise ValueError("version is no short text")
    if not isinstance(document["recipe"], dict):
        raise ValueError("recipe is no table")
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int and 0 < n < 2**31 for n in size)):
        raise ValueError("size is not width and height")
    if not isinstance(finished, bool):
        raise ValueError("finished is neither true nor false")
    if not isinstance(styles, list):
        raise ValueError("styles is no list")
    scales, parts, masks = (_check_per_style(document[name], name, len(styles)) for name in _BY_STYLE)
    if not all(type(scale) in (int, float) and 0 < scale <= MOST_SCALE for scale in scales):
        raise ValueError(f"style_scales are not all above 0 and at most {MOST_SCALE}")
    if not all(isinstance(part, str) and part in PARTS for part in parts):
        raise ValueError(f"style_parts are not all of {', '.join(PARTS)}")
    return Remembered(
        recipe=Recipe.from_table(document["recipe"]),
        content=_input(document["content"], "content"),
        styles=tuple(_style(style) for style in styles),
        drawn=Drawn(
            _input(document["content_mask"], "content_mask"),
            tuple(_input(mask, "a style mask") for mask in masks),
            _input(document["protect"], "protect"),
        ),
        style_scales=tuple(map(float, scales)),
        style_parts=tuple(parts),
        init=_input(document["init"], "init"),
        size=(size[0], size[1]),
        finished=finished,
        version=version,
    )


def _check_per_style(values: object, name: str, styles: int) -> list[Any]:
    """Return the values of all styles; there is one for each, or none."""
    if not isinstance(values, list) or len(values) not in (0, styles):
        raise ValueError(f"{name} is no list with one for each style")
    return values


def _input(table: object, role: str) -> Input | None:
    if table is None:
        return None
    if not isinstance(table, dict) or set(table) != {"name", "sha256"}:
        raise ValueError(f"{role} is no table of name and sha256")
    name, digest = table["name"], table["sha256"]
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or plain_name(name) != name:
        raise ValueError(f"the name of {role} is no plain file name")
    if digest is not None and not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
        raise ValueError(f"the sha256 of {role} is none")
    return Input(name, digest)


def _style(table: object) -> Input:
    if not isinstance(table, dict) or type(table.get("weight")) not in (int, float):
        raise ValueError("a style is no table with a weight")
    rest = {key: value for key, value in table.items() if key != "weight"}
    picture, weight = _input(rest, "a style"), float(table["weight"])
    if picture is None or not 0 <= weight <= 1:
        raise ValueError("the weight of a style is not within 0 to 1")
    return Input(picture.name, picture.sha256, weight)
