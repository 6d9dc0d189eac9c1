"""Tables of plain values, as JSON and TOML hold them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

# Texts, numbers, truth values, None, and lists and tables of them, by name.
Table: TypeAlias = dict[str, Any]
ReadOnlyTable: TypeAlias = Mapping[str, Any]
