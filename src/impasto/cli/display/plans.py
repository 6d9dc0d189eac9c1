"""What the plans of `--dry-run` have in common."""

from collections.abc import Sequence

from impasto.cli.display.progress import format_duration


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a line for each row, with its entries in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def describe_memory(amount: int | None, unknown: str = "not known for this device") -> str:
    """Return bytes in words."""
    return f"about {amount / 1e9:.1f} GB" if amount else unknown


def describe_time(seconds: float | None, unknown: str = "not known for this device") -> str:
    """Return an expected length of time in words."""
    return f"about {format_duration(seconds)}" if seconds else unknown
