"""TIFF's directories, read by ourselves: of a stranger's file, tifffile gets to see the tags it needs and no others.

Some four thousand tags may point at the same megabytes, directories may lead to others and back, and tifffile has
readers for the metadata of many microscopes, XML included. So a picture's first directory is written anew, with each
known tag once, and texts are read here.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from impasto.picture.formats.damage import DamagedError
from impasto.picture.limits import Limits

# TIFF 6.0, section 2, its first supplement and BigTIFF: bytes that a value of each type takes
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BYTES, _TEXT, _UNDEFINED = 1, 2, 7
_MOST_TAGS = 4096  # where tifffile stops, too

# What says where the pixels are and what they mean: TIFF 6.0, its supplements, and Technical Notes 1 and 2.
_NEEDED = frozenset(
    [
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 292, 293, 296, 317, 320),
        *(322, 323, 324, 325, 332, 333, 334, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530),
        *(531, 532, 32997, 32998, 34675),
    ]
)
_ICC_PROFILE = 34675
# Types of whole numbers that tifffile takes for numbers, and of fractions; tags of one number, of fractions, of neither
_WHOLE, _FRACTIONS = frozenset([3, 4, 13, 16, 18]), frozenset([3, 4, 5])
_SINGLE = frozenset(
    [254, 255, 256, 257, 259, 262, 266, 274, 277, 278, 282, 283, 284, 292, 293, 296, 317, 322, 323, 332]
)
_FRACTION_TAGS, _OTHER_TAGS = frozenset([282, 283, 529, 532]), frozenset([333, 347, _ICC_PROFILE])
_SUBJECTS = {256: "width", 257: "height", 258: "depth", 259: "compression", 262: "colour model"}
# Without these a picture is the same; what they tell, for notes.
_METADATA = {266: "fill order", 274: "orientation", 282: "resolution", 283: "resolution", 296: "resolution"}
# EXIF 2.32, tables 3 and 4: where EXIF's own directory and the interoperability directory are
_EXIF, _INTEROPERABILITY = 0x8769, 0xA005
_MOST_PLACES = 3
_OVERLAP = 4  # ours: makers' notes are counted with what is in them


@dataclass(frozen=True)
class Tag:
    """An entry of a directory.

    Attributes:
        code: what it says.
        kind: the type of its values.
        count: how many there are.
        at: where in the file they are.
        entry: the entry as it stands in the file.

    """

    code: int
    kind: int
    count: int
    at: int
    entry: bytes

    @property
    def length(self) -> int:
        """The bytes of all values; 0 for a type that does not exist."""
        return self.count * _SIZES.get(self.kind, 0)


class Directories:
    """The directories of a TIFF, or of EXIF data, which are one."""

    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            DamagedError: it is cut short.

        """
        self._data = data
        self._order = "<" if data[:2] == b"II" else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        # Number of entries, one entry (code, type, count, value or its place), offset
        self._count, self._entry, self._offset = ("Q", "HHQ8s", "Q") if self._big else ("H", "HHI4s", "I")
        self._at = 8 if self._big else 4
        self.first = self._unpacked(self._offset, self._at)[0]

    def read(self, at: int) -> tuple[dict[int, Tag], int]:
        """Return the tags of the directory at `at`, of equal ones the first, and where the next directory is or 0.

        Raises:
            DamagedError: it is cut short, or has more tags than any picture.

        """
        (count,) = self._unpacked(self._count, at)
        if count > _MOST_TAGS:
            raise DamagedError(f"it has {count} tags, more than any picture")
        tags: dict[int, Tag] = {}
        for tag in self.entries(at):
            tags.setdefault(tag.code, tag)
        at += struct.calcsize("<" + self._count) + count * struct.calcsize("<" + self._entry)
        # Some writers leave the last offset out.
        end = at + struct.calcsize("<" + self._offset)
        return tags, self._unpacked(self._offset, at)[0] if end <= len(self._data) else 0

    def entries(self, at: int) -> Iterator[Tag]:
        """Yield the tags of the directory at `at`, as many as it says it has.

        Raises:
            DamagedError: it is cut short.

        """
        (count,) = self._unpacked(self._count, at)
        at += struct.calcsize("<" + self._count)
        size = struct.calcsize("<" + self._entry)
        for _ in range(count):
            code, kind, number, value = self._unpacked(self._entry, at)
            inside = number * _SIZES.get(kind, 0) <= len(value)
            place = at + size - len(value) if inside else struct.unpack(self._order + self._offset, value)[0]
            yield Tag(code, kind, number, place, self._data[at : at + size])
            at += size

    def bytes_of(self, tag: Tag, longest: int) -> bytes | None:
        """Return the bytes of a text or of data without a form, `longest` at most; None for numbers."""
        if tag.kind not in (_BYTES, _TEXT, _UNDEFINED):
            return None
        return self._data[tag.at : tag.at + min(tag.length, longest)]

    def number_of(self, tag: Tag) -> int | None:
        """Return the value of a tag that is one whole number, such as the place of another directory."""
        form = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(tag.kind)
        if form is None or tag.count != 1 or tag.at + tag.length > len(self._data):
            return None
        return int(self._unpacked(form, tag.at)[0])

    def sound(self, tags: dict[int, Tag]) -> tuple[dict[int, Tag], list[str]]:
        """Return the tags that a decoder can be given, and what those told that are damaged and left out.

        Raises:
            DamagedError: a tag that says where the pixels are and what they mean holds no numbers, or not one number.

        """
        kept, damaged = {}, []
        for code, tag in tags.items():
            kinds = _FRACTIONS if code in _FRACTION_TAGS else _WHOLE
            is_number = tag.kind in kinds and tag.count > 0 and (tag.count == 1 or code not in _SINGLE)
            if code not in _NEEDED or code in _OTHER_TAGS or (is_number and tag.at + tag.length <= len(self._data)):
                kept[code] = tag
            elif code in _METADATA:
                damaged.append(_METADATA[code])
            elif is_number:
                raise DamagedError("it ends too early")
            else:
                raise DamagedError(f"its {_SUBJECTS.get(code, f'tag {code}')} is not stored as it has to be")
        return kept, damaged

    def plain(self, tags: dict[int, Tag], name: str, limits: Limits) -> bytes:
        """Return the file with one directory, of those tags that a decoder needs, behind everything else.

        Raises:
            PictureError: more numbers in a tag than `max_parts`.

        """
        needed = [tag for code, tag in sorted(tags.items()) if code in _NEEDED]
        needed = [tag for tag in needed if tag.code != _ICC_PROFILE or tag.length <= limits.max_profile_bytes]
        for tag in needed:
            if tag.code != _ICC_PROFILE:
                limits.check_parts(tag.count, name)
        order = self._order
        body = struct.pack(order + self._count, len(needed)) + b"".join(tag.entry for tag in needed)
        body += bytes(struct.calcsize(order + self._offset))
        # Directories begin at even places (TIFF 6.0, section 2).
        gap = bytes(len(self._data) % 2)
        start = struct.pack(order + self._offset, len(self._data) + len(gap))
        # A view, so that there is one copy of the file, not two.
        view = memoryview(self._data)
        return b"".join([view[: self._at], start, view[self._at + len(start) :], gap, body])

    def _unpacked(self, form: str, at: int) -> tuple[Any, ...]:
        if at + struct.calcsize(self._order + form) > len(self._data):
            raise DamagedError("it ends too early")
        return struct.unpack_from(self._order + form, self._data, at)


def overlapping(exif: bytes) -> bool:
    """Tell whether the values of EXIF data take much more together than there is, as they do in nothing but a bomb."""
    data = exif.removeprefix(b"Exif\0\0")
    total, places = 0, []
    with contextlib.suppress(DamagedError):
        directories = Directories(data)
        places.append(directories.first)
        for place in places:
            for tag in directories.entries(place):
                total += tag.length
                inner = directories.number_of(tag) if tag.code in (_EXIF, _INTEROPERABILITY) else None
                if inner is not None and len(places) < _MOST_PLACES:
                    places.append(inner)
    # Cut-off data end the loop above; a reader may have kept what came before.
    return total > _OVERLAP * len(data)
