"""Amounts of memory as people write them."""

import pytest

from impasto.errors import UsageError
from impasto.system import units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3GB", 3 * 10**9),
        ("3gb", 3 * 10**9),
        ("3G", 3 * 10**9),
        ("800M", 800 * 10**6),
        ("800 MB", 800 * 10**6),
        ("64k", 64_000),
        ("1TB", 10**12),
        ("2.5 GiB", 5 * 2**29),
        ("2.5gi", 5 * 2**29),
        ("512MiB", 2**29),
        ("1KiB", 1024),
        ("1 TiB", 2**40),
        (".5G", 5 * 10**8),
        ("5.G", 5 * 10**9),
        ("  3 GB\n", 3 * 10**9),
        ("3000000000", 3 * 10**9),
        ("300b", 300),
        (3_000_000_000, 3 * 10**9),
    ],
)
def test_amounts(text: str | int, expected: int) -> None:
    assert units.parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "GB", "lots", "0", "0GB", "0.0", "-1", "-3GB", "+3GB", "1e9", "1_000", "1,5GB", "3 G B", "3GBs",
        "3Gib/s", "3i", "3PB", "nan", "inf", "∞", "½GB", "3ГБ", "3\nGB 4", ".", 0, -1, None, True,
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text: object) -> None:
    with pytest.raises(UsageError, match="is not an amount of memory; give one such as 3GB or 800MB") as caught:
        units.parse_bytes(text)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_more_than_there_is_anywhere_is_an_amount() -> None:
    assert units.parse_bytes("9" * 30) == pytest.approx(1e30)


@pytest.mark.parametrize("text", ["9" * 400, "1" * 309 + "T"])
def test_more_than_a_number_can_say_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an amount of memory") as caught:
        units.parse_bytes(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["0.5", "0.9b", ".0001k"])
def test_less_than_a_byte_is_no_amount(text: str) -> None:
    with pytest.raises(UsageError, match="is not an amount of memory"):
        units.parse_bytes(text)
