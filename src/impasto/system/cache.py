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
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        """Remember a result."""
        self._known[key] = value
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)

    def take(self, key: Hashable) -> Value | None:
        """Return what is known by `key`, which is then known no more; None where nothing is."""
        return self._known.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
