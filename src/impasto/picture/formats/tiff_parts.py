"""The strips or tiles that a TIFF's pixels are stored in."""

from typing import TYPE_CHECKING

from impasto.picture.formats.damage import DamagedError

if TYPE_CHECKING:
    from tifffile import TiffPage

# TIFF 6.0, section 8: no compression, planes; and the tags of the lengths
_NONE, _PLANAR = 1, 2
_LENGTHS = {279, 325}


def part_size(page: "TiffPage") -> tuple[int, int]:
    """Return (width, height) of the tiles or strips that the pixels are stored in."""
    if page.is_tiled:
        return int(page.tilewidth), int(page.tilelength)
    return int(page.imagewidth), int(min(page.rowsperstrip or page.imagelength, page.imagelength))


def check_whole(page: "TiffPage", data: bytes, is_packed: bool) -> None:
    """Refuse a TIFF whose strips or tiles are not all in the file; tifffile would make up what is missing.

    Args:
        page: of the TIFF.
        data: the file.
        is_packed: whether every pixel has a sample of every channel.

    Raises:
        DamagedError: something is missing.

    """
    width, height = part_size(page)
    across, down = -(-page.imagewidth // width), -(-page.imagelength // height)
    planes = page.samplesperpixel if page.planarconfig == _PLANAR else 1
    # Old writers leave the lengths out.
    counts = page.databytecounts if _LENGTHS & set(page.tags.keys()) else [1] * len(page.dataoffsets)
    if min(len(page.dataoffsets), len(counts)) < across * down * planes:
        raise DamagedError("the pixels are incomplete")
    row = -(-page.imagewidth * page.bitspersample * (1 if planes > 1 else page.samplesperpixel) // 8)
    for number, (at, count) in enumerate(zip(page.dataoffsets, counts, strict=False)):
        needed = count
        if page.compression == _NONE and not page.is_tiled and is_packed:
            needed = min(count, row * min(height, page.imagelength - number % down * height))
        if count == 0 or at + needed > len(data):
            raise DamagedError("the pixels are incomplete")
