"""One line of a list."""

import dataclasses
from dataclasses import dataclass

from impasto.system.tables import ReadOnlyTable, Table


@dataclass(frozen=True)
class Item:
    """A photo, its styles, and the settings of this picture.

    Attributes:
        content: the path of the photo.
        styles: the paths of the style pictures, which are blended; empty for the command's styles.
        output: the picture's path, possibly with placeholders; None for the command's.
        settings: values by option, or by a dotted name as `--set` takes it.
        where: the line, for messages.
        base: the folder that its paths are relative to; empty for the working directory.

    """

    content: str
    styles: tuple[str, ...] = ()
    output: str | None = None
    settings: ReadOnlyTable = dataclasses.field(default_factory=dict)
    where: str = ""
    base: str = ""

    def to_table(self) -> Table:
        """Return the item as plain values for JSON."""
        return dataclasses.asdict(self) | {"styles": list(self.styles), "settings": dict(self.settings)}

    @classmethod
    def from_table(cls, table: ReadOnlyTable) -> "Item":
        """Return the item that `to_table` made a table of."""
        return cls(**{**table, "styles": tuple(table["styles"])})
