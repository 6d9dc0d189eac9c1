"""Ways to damage a file, as functions of a seeded random generator: a seed gives the same damage on every machine."""

import random
import re
import struct
import zlib
from collections.abc import Callable

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
            0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip
Part = tuple[int, int]


def place(rng: random.Random, size: int) -> int:
    """Return a position, as often in the first 200 bytes as in the whole file."""
    return rng.randrange(min(size, 200) if rng.random() < 0.5 else size)


def span(rng: random.Random, size: int, longest: int = 64) -> slice:
    start = place(rng, size)
    return slice(start, min(size, start + rng.randint(1, longest)))


def truncate(rng: random.Random, data: bytearray) -> bytearray:
    return data[: rng.randrange(len(data))]


def flip(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[place(rng, len(data))] ^= 1 << rng.randrange(8)
    return data


def overwrite(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 2, 8))):
        data[place(rng, len(data))] = rng.choice((0, 255, rng.randrange(256)))
    return data


def run(rng: random.Random, data: bytearray) -> bytearray:
    where = span(rng, len(data))
    filling = rng.choice((b"\0", b"\xff", b"%", b"A", bytes([rng.randrange(256)])))
    data[where] = filling * (where.stop - where.start)
    return data


def noise(rng: random.Random, data: bytearray) -> bytearray:
    where = span(rng, len(data))
    data[where] = rng.randbytes(where.stop - where.start)
    return data


def delete(rng: random.Random, data: bytearray) -> bytearray:
    del data[span(rng, len(data))]
    return data


def insert(rng: random.Random, data: bytearray) -> bytearray:
    at = place(rng, len(data))
    data[at:at] = rng.choice((rng.randbytes(rng.randint(1, 64)), bytes(rng.randint(1, 5000))))
    return data


def repeat(rng: random.Random, data: bytearray) -> bytearray:
    where = span(rng, len(data), 500)
    data[where.stop : where.stop] = data[where] * rng.choice((1, 1, 3, 200))
    return data


def swap(rng: random.Random, data: bytearray) -> bytearray:
    one, other = span(rng, len(data)), span(rng, len(data))
    data[one], data[other] = data[other], data[one]
    return data


def extreme(rng: random.Random, data: bytearray) -> bytearray:
    """Set a number that may be a length, a count or an offset to an extreme value."""
    size = rng.choice((1, 2, 2, 4, 4, 4, 8))
    number = rng.choice(EXTREMES) + rng.choice((0, 0, 1, -1))
    at = place(rng, len(data))
    data[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, rng.choice(("big", "little")))
    return data


def digits(rng: random.Random, data: bytearray) -> bytearray:
    """Replace a number in a text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data[:4000]))
    if not found:
        return extreme(rng, data)
    match = rng.choice(found)
    other = rng.choice(
        (b"0", b"-1", b"1e999", b"nan", b"99999999999999999999", b"65537", b"true", b'"x"', b"[]", b"{}")
    )
    data[match.start() : match.end()] = other
    return data


BLIND = (
    truncate,
    flip,
    flip,
    overwrite,
    overwrite,
    run,
    noise,
    delete,
    insert,
    repeat,
    swap,
    extreme,
    extreme,
    extreme,
)


def png_parts(data: bytes | bytearray) -> list[Part]:
    return _walk(data, 8, lambda at: 12 + int.from_bytes(data[at : at + 4], "big"))


def riff_parts(data: bytes) -> list[Part]:
    return _walk(data, 12, lambda at: 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1 & ~1))


def box_parts(data: bytes) -> list[Part]:
    parts = _walk(data, 0, lambda at: int.from_bytes(data[at : at + 4], "big"))
    inner = [
        (start, end)
        for match in re.finditer(rb"iprp|ipco|iinf|iloc|ispe|pixi|av1C|hvcC|colr|infe|ipma|pitm|iref|irot|auxC", data)
        for start in [match.start() - 4]
        for end in [start + int.from_bytes(data[start : start + 4], "big")]
        if 0 <= start < end <= len(data)
    ]
    return parts + inner


def jpeg_parts(data: bytes) -> list[Part]:
    return _walk(data, 2, lambda at: 2 + int.from_bytes(data[at + 2 : at + 4], "big") if data[at] == 0xFF else 0)


def tiff_parts(data: bytes) -> list[Part]:
    """The entries of the first directory of a classic TIFF."""
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8 or struct.unpack_from(order + "H", data, 2)[0] != 42:
        return []
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return []
    (count,) = struct.unpack_from(order + "H", data, at)
    return [(at + 2 + 12 * i, at + 14 + 12 * i) for i in range(count) if at + 14 + 12 * i <= len(data)]


def line_parts(data: bytes) -> list[Part]:
    return [match.span() for match in re.finditer(rb"[^\n]*\n", data[:4000])]


def _walk(data: bytes | bytearray, at: int, length: Callable[[int], int]) -> list[Part]:
    parts = []
    while at + 8 <= len(data):
        step = length(at)
        if step < 2:
            break
        parts.append((at, min(len(data), at + step)))
        at += step
    return parts


PARTS: dict[str, Callable[[bytes], list[Part]]] = {
    "png": png_parts, "document": line_parts, "webp": riff_parts, "avif": box_parts, "heic": box_parts,
    "jpeg": jpeg_parts, "tiff": tiff_parts, "exif": tiff_parts, "pnm": line_parts, "recipe": line_parts,
}  # fmt: skip


def structured(rng: random.Random, data: bytearray, parts: list[Part]) -> bytearray:
    """Remove, repeat, move or exchange parts, or set a number in one to an extreme value."""
    (start, end), (first, last) = rng.choice(parts), rng.choice(parts)
    how = rng.randrange(6)
    part = bytes(data[start:end])
    if how == 0:
        del data[start:end]
    elif how == 1:
        data[start:start] = part * rng.choice((1, 1, 2, 50))
    elif how == 2 and (end <= first or last <= start):
        (a, b), (c, d) = sorted([(start, end), (first, last)])
        data[a:d] = data[c:d] + data[b:c] + data[a:b]
    elif how == 3:
        data[first:first] = part
    else:
        inside = bytearray(part)
        inside = (extreme if how == 4 else rng.choice(BLIND))(rng, inside) if inside else inside
        data[start:end] = inside
    return data


def inflated(rng: random.Random, data: bytearray) -> bytearray:
    """Damage a PNG's scanlines instead of their compressed form."""
    for start, end in png_parts(data):
        kind = bytes(data[start + 4 : start + 8])
        if kind in (b"IDAT", b"iCCP"):
            skip = 8 if kind == b"IDAT" else 8 + data[start + 8 : end].find(b"\0") + 2
            try:
                plain = bytearray(zlib.decompress(bytes(data[start + skip : end - 4])))
            except zlib.error:
                continue
            body = bytes(data[start + 4 : start + skip]) + zlib.compress(bytes(rng.choice(BLIND)(rng, plain or plain)))
            data[start:end] = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
            if rng.random() < 0.5:
                break
    return data


def with_sums(data: bytearray) -> bytearray:
    """Correct a PNG's checksums, so that they do not reveal the damage."""
    for start, end in png_parts(data):
        if end - start >= 12:
            data[end - 4 : end] = struct.pack(">I", zlib.crc32(data[start + 4 : end - 4]))
    return data


def spliced(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Join the beginning of one file and the end of another, often of another format."""
    return data[: place(rng, len(data))] + other[place(rng, len(other)) :]


def mutated(kind: str, seed: int, files: list[bytes], others: list[bytes]) -> bytes:
    """Return damaged file number `seed` of a kind, made from one of `files`, perhaps with parts of `others`."""
    rng = random.Random(f"{kind} {seed}")
    data = rng.choice(files)
    if rng.random() < 0.06:
        return spliced(rng, data, rng.choice(others))
    damaged = bytearray(data)
    text = kind in ("recipe", "document", "pnm")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not damaged:
            break
        parts = [part for part in PARTS[kind](bytes(damaged)) if part[0] < part[1]] if kind in PARTS else []
        choice = rng.random()
        if text and choice < 0.3:
            damaged = digits(rng, damaged)
        elif kind == "png" and choice < 0.2:
            damaged = inflated(rng, damaged)
        elif parts and choice < 0.6:
            damaged = structured(rng, damaged, parts)
        else:
            damaged = rng.choice(BLIND)(rng, damaged)
    return bytes(with_sums(damaged) if kind == "png" and rng.random() < 0.8 else damaged)
