"""What a process keeps for its next picture: bounded, the least used goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Remembers the last results by their key.

    Args:
        size: how many.

    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what is known by `key`, or `make` it."""
        value = self._known[key] if key in self._known else make()
        self._known[key] = value
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
