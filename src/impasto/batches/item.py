"""What one line of a list says."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Item:
    """A photo, its styles, and what is different for this picture.

    Attributes:
        content: the path of the photo.
        styles: the paths of the style pictures, which blend; none for those of the command.
        output: where the picture goes, possibly with placeholders; None for what the command says.
        settings: values by the name of an option, or by a dotted name as `--set` takes it.
        where: how messages call it.
        base: the folder that its paths are relative to; empty for the working directory.

    """

    content: str
    styles: tuple[str, ...] = ()
    output: str | None = None
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    where: str = ""
    base: str = ""

    def to_table(self) -> dict[str, Any]:
        """Return the item as plain values, as JSON holds them."""
        return dataclasses.asdict(self) | {"styles": list(self.styles), "settings": dict(self.settings)}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "Item":
        """Make an item of what `to_table` returned."""
        return cls(**{**table, "styles": tuple(table["styles"])})
