"""WebP's header, read before anything is allocated."""


def canvas(data: bytes) -> tuple[int, int]:
    """Return the canvas's (width, height) (RFC 9649, sections 2.5 to 2.7).

    Raises:
        ValueError: The header is cut short.

    """
    if len(data) < 30:
        raise ValueError("the header is cut short")
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
