"""The values that a process keeps for its next picture."""

import pytest

from impasto.system.cache import Cache


class Maker:
    """Makes a value of a name, and counts how often."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def of(self, cache: Cache[str], name: str) -> str:
        def make() -> str:
            self.made.append(name)
            return name.upper()

        return cache.get(name, make)


def test_what_is_known_is_not_made_again() -> None:
    cache, maker = Cache[str](2), Maker()
    assert [maker.of(cache, name) for name in "abab"] == ["A", "B", "A", "B"]
    assert maker.made == ["a", "b"]


def test_the_least_used_goes_first() -> None:
    cache, maker = Cache[str](2), Maker()
    for name in "abac":  # b was used least recently
        maker.of(cache, name)
    maker.made.clear()
    for name in "ac":
        maker.of(cache, name)
    assert maker.made == []
    maker.of(cache, "b")
    assert maker.made == ["b"]


def test_no_more_is_kept_than_was_said() -> None:
    cache, maker = Cache[str](3), Maker()
    names = [str(number) for number in range(20)]
    for name in names:
        maker.of(cache, name)
    maker.made.clear()
    for name in reversed(names):
        maker.of(cache, name)
    assert maker.made == [str(number) for number in range(16, -1, -1)]


def test_nothing_is_kept_of_what_could_not_be_made() -> None:
    cache = Cache[int](2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: 5) == 5


def test_a_value_that_is_none_is_known_as_well() -> None:
    cache, calls = Cache[None](2), []
    for _ in range(2):
        cache.get("a", lambda: calls.append(1))
    assert calls == [1]


def test_cleared_means_made_anew() -> None:
    cache, maker = Cache[str](2), Maker()
    maker.of(cache, "a")
    cache.clear()
    maker.of(cache, "a")
    assert maker.made == ["a", "a"]


def test_the_weight_of_all_values_is_bounded() -> None:
    cache = Cache[float](10, lambda value: value, most=1.0)
    for name, weight in {"a": 0.5, "b": 0.25, "c": 0.5}.items():
        cache.put(name, weight)
    assert cache.take("a") is None
    assert len(cache) == 2
    # A value larger than the limit removes all others and is not kept itself.
    cache.put("d", 2.0)
    assert len(cache) == 0
