"""Types of what click passes between a command and its options."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

# The values of a command's options by parameter name, each of its own type.
Options: TypeAlias = dict[str, Any]
# A function that becomes a command, as the decorators of options take and return it.
Command = TypeVar("Command", bound=Callable[..., Any])
