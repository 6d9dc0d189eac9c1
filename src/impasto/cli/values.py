"""Types of what click passes between a command and its options."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

# What click passes for an option is of that option's own type.
OptionValue: TypeAlias = Any
# The values of a command's options by parameter name.
Options: TypeAlias = dict[str, OptionValue]
# A function that becomes a command, as the decorators of options take and return it.
Command = TypeVar("Command", bound=Callable[..., object])


class Decorator(Protocol):
    """What gives a command an option."""

    def __call__(self, function: Command, /) -> Command:
        """Return the command with the option."""
        ...
