"""Where a file's pixels are whole it is read, with a note; where they are not it is refused. see docs/formats.md."""

import io
import itertools
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto.errors import PictureError
from impasto.picture import Picture, as_picture
from impasto.picture.code_points import HDR, UNKNOWN, named_colors
from impasto.picture.formats import bmp, gif, jpeg, png
from impasto.picture.profiles import to_srgb
from tests.picture.samples import pillow_file, png_chunk, png_file, scene

RGB = scene()
HEIGHT, WIDTH = RGB.shape[:2]
ROWS = b"".join(b"\0" + row.tobytes() for row in RGB)
SPOILT = png_chunk(b"tEXt", b"Title\0x")[:-1] + b"?"


def levels(picture: Picture) -> Any:
    return np.moveaxis(np.round(picture.pixels * 255).astype(int), 0, -1)


@pytest.mark.parametrize(
    "chunk",
    [
        SPOILT,
        png_chunk(b"tIME", b"\0" * 7)[:-4] + b"\0\0\0\0",
        png_chunk(b"pHYs", b""),
        png_chunk(b"cHRM", b"\0" * 8),
        png_chunk(b"gAMA", b"\0"),
        png_chunk(b"zTXt", b"Title\0\x78" + zlib.compress(b"x")),
        png_chunk(b"iCCP", b"name\0\x01" + zlib.compress(b"x")),
        png_chunk(b"cLLI", b"\0" * 8)[:-1] + b"?",
    ],
)
def test_a_png_with_damaged_metadata_is_read_with_a_note(chunk: bytes) -> None:
    picture = as_picture(png_file(WIDTH, HEIGHT, 8, 2, ROWS, chunk))
    assert (levels(picture) == RGB).all()
    assert picture.notes == (png.DAMAGED,)


def test_a_png_without_its_end_is_read_and_one_without_pixels_is_not() -> None:
    data = png_file(WIDTH, HEIGHT, 8, 2, ROWS)
    for missing in (12, 8, 3, 1):
        picture = as_picture(data[:-missing])
        assert (levels(picture) == RGB).all()
        assert picture.notes == (png.DAMAGED,)
    for cut in (data[: len(data) // 2], data[:-40]):
        with pytest.raises(PictureError, match="damaged or cut short"):
            as_picture(cut)


def test_long_texts_of_a_png_are_no_fault() -> None:
    text = png_chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"x" * 3_000_000))
    picture = as_picture(png_file(WIDTH, HEIGHT, 8, 2, ROWS, text))
    assert (levels(picture) == RGB).all()
    assert picture.notes == ()


@pytest.mark.parametrize(("depth", "key"), [(1, 0xFFF1), (2, 0xFF03), (8, 0x01FF)])
def test_bits_above_the_depth_of_a_transparent_colour_say_nothing(depth: int, key: int) -> None:
    white = b"\0" + b"\xff" * (8 * depth // 8) + b"\0" + b"\0" * (8 * depth // 8)
    picture = as_picture(png_file(8, 2, depth, 0, white, png_chunk(b"tRNS", struct.pack(">H", key))))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0.0] * 8, [1.0] * 8]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_is_read_if_its_pixels_are_there(progressive: bool) -> None:
    data = pillow_file(RGB, "JPEG", quality=90, progressive=progressive)
    whole = as_picture(data)
    for ending in (data[:-1], data[:-2], data[:-2] + b"\xff\xff"):
        picture = as_picture(ending)
        assert (picture.pixels == whole.pixels).all()
        assert picture.notes == (jpeg.NO_END,)
    for cut in (data[:-40], data[: len(data) * 2 // 3]):
        with pytest.raises(PictureError, match="damaged or cut short"):
            as_picture(cut)


def test_a_progressive_jpeg_that_lacks_whole_scans_is_refused() -> None:
    data = pillow_file(RGB, "JPEG", progressive=True)
    starts = [start for marker, start, _, _ in jpeg.segments(data) if marker == 0xDA]
    tables = [start for marker, start, _, _ in jpeg.segments(data) if marker == 0xC4 and start > starts[-2]]
    with pytest.raises(PictureError, match="damaged or cut short"):
        as_picture(data[: min([*tables, starts[-1]])])


def test_a_webp_of_one_colour() -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (100, 100), (0, 0, 0, 0)).save(stream, "WEBP", lossless=True)
    data = stream.getvalue()
    short = data[: 20 + int.from_bytes(data[16:20], "little")] if data[12:16] == b"VP8L" else data
    assert as_picture(short).size == (100, 100)


def bitfields(
    depth: int, masks: tuple[int, ...], numbers: Any, header: int = 124, kind: int = 0, rest: bytes = b""
) -> bytes:
    """A BMP of one row of numbers, whose bits the masks of red, green, blue and alpha share."""
    row: bytes = numbers.astype("<u2" if depth == 16 else "<u4").tobytes()
    row += b"\0" * (-len(row) % 4)
    fields = struct.pack("<IiiHHIIiiII", header, len(numbers), 1, 1, depth, 3, len(row), 0, 0, 0, 0)
    fields += struct.pack("<4I", *masks) if header > 40 else b""
    fields += struct.pack("<I", kind) if header > 56 else b""
    fields += b"\0" * (header - len(fields))
    if rest:
        fields = fields[:112] + struct.pack("<II", header + len(row), len(rest)) + fields[120:]
    after = struct.pack("<3I", *masks[:3]) if header == 40 else b""
    start = 14 + header + len(after)
    return struct.pack("<2sIHHI", b"BM", start + len(row), 0, 0, start) + fields + after + row + rest


@pytest.mark.parametrize("header", [40, 56, 108, 124])
@pytest.mark.parametrize(
    ("depth", "masks"),
    [
        (16, (0xC000, 0x3800, 0x07FF, 0)),
        (16, (0x0F00, 0x00F0, 0x000F, 0xF000)),
        (16, (0x7C00, 0x03E0, 0x001F, 0x8000)),
        (32, (0x3FF00000, 0x000FFC00, 0x000003FF, 0xC0000000)),
        (32, (0xFFE00000, 0x001FFC00, 0x000003FF, 0)),
    ],
)
def test_a_bmp_of_any_bits(depth: int, masks: tuple[int, ...], header: int) -> None:
    full, none = sum(masks), masks[3]
    picture = as_picture(
        bitfields(depth, masks, np.array([full, none, masks[0] | none, masks[1], masks[2] | none]), header)
    )
    expected = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    has_alpha = header > 40 and masks[3]
    visible = [0, 1, 2, 4] if has_alpha else range(5)
    assert np.abs(picture.pixels[:, 0, visible].T - expected[visible]).max() < 1e-6
    assert (picture.alpha is None) == (not has_alpha)
    if picture.alpha is not None:
        assert picture.alpha.tolist() == [[1, 1, 1, 0, 1]]


def test_the_colours_of_a_bmp_are_converted_or_noted() -> None:
    from tests.picture.samples import adobe_rgb

    masks = (0xFF0000, 0xFF00, 0xFF, 0)
    numbers = np.array([0x20C020] * 4)
    plain = as_picture(bitfields(32, masks, numbers))
    assert plain.notes == ()
    embedded = as_picture(bitfields(32, masks, numbers, kind=0x4D424544, rest=adobe_rgb()))
    assert embedded.icc_profile == adobe_rgb()
    assert np.abs(embedded.pixels - plain.pixels).max() > 0.05
    assert as_picture(bitfields(32, masks, numbers, kind=0x4C494E4B)).notes == (bmp.LINKED,)


def test_a_bmp_whose_pixels_are_missing_is_refused() -> None:
    data = bitfields(16, (0x0F00, 0x00F0, 0x000F, 0xF000), np.arange(64))
    with pytest.raises(PictureError, match="the pixels are incomplete"):
        as_picture(data[:-9])


def test_what_the_first_frame_of_a_gif_does_not_cover_is_transparent() -> None:
    data = bytearray(pillow_file(Image.new("RGB", (8, 8), (200, 10, 10)), "GIF"))
    assert as_picture(bytes(data)).notes == ()
    struct.pack_into("<2H", data, 6, 20, 10)
    picture = as_picture(bytes(data))
    assert picture.notes == (gif.OUTSIDE,)
    assert picture.alpha is not None
    assert (picture.alpha.sum(), picture.alpha[:8, :8].min()) == (64, 1)


@pytest.mark.parametrize(
    ("start", "name"),
    [(b"P7\nWIDTH 1\n", "PAM"), (b"\0\0\2\0\1\0", "cursor"), (b"qoif\0", "QOI"), (b"DDS |", "DDS"),
     (b"\xff\x4f\xff\x51\0", "JPEG 2000")],
)  # fmt: skip
def test_kinds_that_are_not_read_are_named(start: bytes, name: str) -> None:
    with pytest.raises(PictureError, match=f"is a {name}"):
        as_picture(start + b"\0" * 50)


def test_messages_are_short_and_in_words_about_the_picture() -> None:
    from tests.picture.samples import tiff_file

    data = tiff_file(RGB)
    (first,) = struct.unpack_from("<I", data, 4)
    for tag in (259, 262):
        at = data.index(struct.pack("<H", tag), first)
        spoilt = data[: at + 2] + struct.pack("<HII", 2, 20_000, len(data)) + data[at + 12 :] + b"A" * 20_000
        with pytest.raises(PictureError) as caught:
            as_picture(spoilt)
        assert len(str(caught.value)) < 250


def test_an_orientation_in_xmp_is_not_read() -> None:
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    assert as_picture(pillow_file(RGB, "JPEG", xmp=xmp)).size == (HEIGHT, WIDTH)
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    assert as_picture(png_file(WIDTH, HEIGHT, 8, 2, ROWS, chunk)).size == (HEIGHT, WIDTH)


class TestCodePoints:
    # H.273: BT.709 and sRGB's curve; Display P3; BT.2020.
    def color(self, primaries: int, transfer: int, rgb: tuple[float, ...]) -> Any:
        profile, _ = named_colors(primaries, transfer)
        return to_srgb(np.array([[rgb]], np.float32), "rgb", profile)[0][0, 0]

    def test_those_of_srgb_and_of_video_change_nothing(self) -> None:
        for primaries, transfer in ((1, 13), (2, 2), (1, 1), (2, 13), (1, 6)):
            assert named_colors(primaries, transfer) == (None, ())

    @pytest.mark.parametrize(
        ("primaries", "rgb", "expected"),
        # sRGB's red, and a grey, as Display P3 and BT.2020 with sRGB's curve have them (Lindbloom's matrices).
        [(12, (0.91749, 0.20029, 0.13856), (1, 0, 0)), (9, (0.8116, 0.2909, 0.1364), (1, 0, 0)),
         (12, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), (9, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))],
    )  # fmt: skip
    def test_primaries(self, primaries: int, rgb: tuple[float, ...], expected: tuple[float, ...]) -> None:
        assert np.abs(self.color(primaries, 13, rgb) - expected).max() < 0.04

    def test_hdr_is_compressed_with_a_note_and_keeps_its_order(self) -> None:
        for transfer in (16, 18):
            assert named_colors(9, transfer).notes == (HDR,)
            curve = [self.color(1, transfer, (code,) * 3)[0] for code in np.linspace(0, 1, 21)]
            assert all(later >= earlier for earlier, later in itertools.pairwise(curve))
            assert curve[0] < 0.01
            assert curve[-1] > 0.97
        # BT.2408: PQ's 0.58 and HLG's 0.75 are white; 26 cd/m2, PQ's 0.38, is grey.
        assert 0.75 < self.color(1, 16, (0.58,) * 3)[0] < 1
        assert 0.75 < self.color(1, 18, (0.75,) * 3)[0] < 1
        assert 0.3 < self.color(1, 16, (0.38,) * 3)[0] < 0.5

    def test_what_is_not_known_is_noted(self) -> None:
        assert named_colors(99, 13) == (None, (UNKNOWN,))
        assert named_colors(1, 99) == (None, (UNKNOWN,))

    def test_png_and_avif_are_converted_alike(self) -> None:
        plain = as_picture(png_file(WIDTH, HEIGHT, 8, 2, ROWS))
        named = as_picture(png_file(WIDTH, HEIGHT, 8, 2, ROWS, png_chunk(b"cICP", bytes([12, 13, 0, 1]))))
        data = pillow_file(RGB, "AVIF", quality=100, subsampling="4:4:4")
        at = data.find(b"colrnclx")
        assert at > 0
        avif = as_picture(data[: at + 8] + struct.pack(">HH", 12, 13) + data[at + 12 :])
        assert np.abs(named.pixels - plain.pixels).mean() > 0.01
        assert np.abs(avif.pixels - named.pixels).mean() < 0.01
