"""A bounded cache of a process, which drops what was used longest ago."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Keeps the most recently used values by key.

    Args:
        size: largest number of values.
        weigh: returns the weight of a value.
        most: largest weight of all values together.

    """

    def __init__(self, size: int, weigh: Callable[[Value], float] = lambda value: 0.0, most: float = 0.0) -> None:
        self._size = size
        self._weigh = weigh
        self._most = most
        self._known: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of `key`; if there is none, `make` it and keep it."""
        value = self._known[key] if key in self._known else make()
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value."""
        self._known[key] = value
        self._known.move_to_end(key)
        while len(self._known) > self._size or sum(map(self._weigh, self._known.values())) > self._most:
            self._known.popitem(last=False)

    def take(self, key: Hashable) -> Value | None:
        """Return the value of `key` and drop it from the cache; None if there is none."""
        return self._known.pop(key, None)

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._known)

    def clear(self) -> None:
        """Drop all values."""
        self._known.clear()
