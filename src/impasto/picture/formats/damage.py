"""Damage to a file, in words about the picture: the one policy of all formats, which docs/formats.md states.

A picture whose pixels are all there is read, whatever else is damaged, and a note says what was not read. One whose
pixels are missing or damaged is refused.
"""

from collections.abc import Iterable


class DamagedError(ValueError):
    """A file is damaged or cut short. The text says how, in words about the picture, for the end of a sentence."""


CUT_BEHIND = "The file is cut short behind its pixels, which are whole."
DAMAGED_SUMS = "Checksums in the file are wrong, but the pixels proved to be whole."


def damaged_metadata(subjects: Iterable[str]) -> str:
    """Return the note on metadata that were not read.

    Args:
        subjects: what they are about, such as "EXIF data"; repeated ones are named once.

    """
    return f"Damaged metadata were not read ({', '.join(dict.fromkeys(subjects))}); the pixels are whole."
