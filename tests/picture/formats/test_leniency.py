"""Files with damage beside their pixels are read, with a note; files with missing pixels are refused."""

import os
import struct
import tempfile
import zlib

import numpy as np
import pytest
from PIL import Image

from impasto.errors import PictureError
from impasto.picture import Limits, Picture, as_picture, measure
from tests.picture import samples as making

RGB = making.scene(40, 60)
PNG = making.pillow_file(RGB, "PNG")
HEADER_END = 33


def read(data: bytes) -> Picture:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        measured = measure(file.name)
    picture = as_picture(data)
    assert (measured.height, measured.width) == picture.pixels.shape[1:]
    return picture


def painted(data: bytes, words: str) -> Picture:
    """Return the picture of a file that is damaged beside its pixels, after checking that it has one note."""
    picture = read(data)
    assert [words in note for note in picture.notes] == [True], picture.notes
    return picture


def same(picture: Picture, expected: object = RGB) -> bool:
    return np.array_equal(picture.to_numpy(), np.asarray(expected))


def refusal(data: bytes) -> str:
    with pytest.raises(PictureError) as error:
        as_picture(data)
    message = str(error.value)
    assert message.isprintable()
    assert len(message) <= 250
    return message


def with_chunk(
    kind: bytes, content: bytes, png: bytes = PNG, *, sound: bool = True, length: int | None = None
) -> bytes:
    chunk = bytearray(making.png_chunk(kind, content))
    if not sound:
        chunk[-1] ^= 1
    if length is not None:
        chunk[:4] = struct.pack(">I", length)
    return png[:HEADER_END] + bytes(chunk) + png[HEADER_END:]


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (b"tEXt", b"Title\0a cat", "text"),
        (b"tIME", bytes(7), "time"),
        (b"gAMA", struct.pack(">I", 20000), "gamma"),
        (b"iCCP", b"a\0\0" + zlib.compress(making.adobe_rgb()), "colour profile"),
        (b"eXIf", making.exif(6)[6:], "EXIF"),
        (b"tRNS", struct.pack(">HHH", *RGB[0, 0]), "transparency"),
        (b"acTL", struct.pack(">II", 2, 0), "animation"),
        (b"qqQq", b"anything", "other data"),
    ],
)
def test_png_chunks_of_a_wrong_checksum_cost_what_they_say(kind: bytes, content: bytes, words: str) -> None:
    assert same(painted(with_chunk(kind, content, sound=False), words))


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (b"pHYs", b"", "resolution"),
        (b"cHRM", bytes(31), "primaries"),
        (b"gAMA", b"", "gamma"),
        (b"sRGB", b"", "colour space"),
        (b"zTXt", b"Title\0\1x", "text"),
        (b"iCCP", b"name\0\1" + zlib.compress(making.adobe_rgb()), "colour profile"),
        (b"iCCP", b"name\0\0not compressed", "colour profile"),
        (b"acTL", b"", "animation"),
    ],
)
def test_png_chunks_that_say_nothing_of_their_kind_are_left_out(kind: bytes, content: bytes, words: str) -> None:
    assert same(painted(with_chunk(kind, content), words))


def test_a_png_chunk_of_a_wrong_length_does_not_hide_the_pixels() -> None:
    for length in (3, 1000, 2**31):
        assert same(painted(with_chunk(b"tEXt", b"Title\0a cat on a mat", length=length), "text"))


def test_a_png_cut_behind_its_pixels_is_read_and_one_cut_within_them_is_not() -> None:
    pixels_end = len(PNG) - 12
    for end in (len(PNG) - 1, pixels_end + 8, pixels_end + 2, pixels_end, pixels_end - 2, pixels_end - 6):
        assert same(painted(PNG[:end], "cut short behind"))
    for end in (pixels_end - 40, pixels_end - 400, 60):
        assert "damaged or cut short" in refusal(PNG[:end])
    deep = making.deep_scene(40, 60)
    data = making.written(deep, "png", bits=16)
    assert np.array_equal(painted(data[:-14], "cut short").to_numpy(np.uint16), deep)
    assert "incomplete" in refusal(data[: len(data) // 2])


def test_png_pixels_of_a_wrong_checksum_are_read_if_they_prove_to_be_whole() -> None:
    wrong = bytearray(PNG)
    wrong[-13] ^= 1
    assert same(painted(bytes(wrong), "Checksums"))
    for place in range(HEADER_END + 20, len(PNG) - 12, len(PNG) // 7):
        wrong = bytearray(PNG)
        wrong[place] ^= 4
        assert "pixels are" in refusal(bytes(wrong))


def test_png_header_and_palette_have_to_be_sound() -> None:
    palette = making.pillow_file(Image.fromarray(RGB).quantize(16), "PNG")
    for data, letters in ((PNG, b"IHDR"), (palette, b"PLTE"), (PNG, b"IDAT")):
        wrong = bytearray(data)
        wrong[data.index(letters) + 4 + 2] ^= 1
        assert "damaged" in refusal(bytes(wrong))


def test_a_png_may_hold_a_long_text_and_a_long_profile() -> None:
    text = b"Title\0\0" + zlib.compress(b"cat " * 500_000)
    assert same(read(with_chunk(b"zTXt", text)))
    profile = making.adobe_rgb()
    expected = read(with_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile)))
    picture = read(with_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile + os.urandom(1_500_000))))
    assert same(picture, expected.to_numpy())
    assert not same(picture)
    assert not picture.notes


def test_damaged_pixels_of_a_declared_bomb_are_not_inflated() -> None:
    bomb = bytearray(making.png_file(50_000, 50_000, 8, 2, bytes(1000)))
    bomb[-13] ^= 1
    assert "50,000 x 50,000 pixels is over the limit" in refusal(bytes(bomb))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_bits_above_the_depth_of_a_transparent_colour_say_nothing(depth: int) -> None:
    row = bytes(8 * depth // 8)
    key = struct.pack(">H", (0xFFFF << depth) & 0xFFFF)  # level 0 at this depth
    lines = (b"\0" + b"\xff" * len(row)) + (b"\0" + row) * 7
    data = making.png_file(8, 8, depth, 0, lines, making.png_chunk(b"tRNS", key))
    alpha = read(data).alpha
    assert alpha is not None
    assert alpha[0].all()
    assert not alpha[1:].any()


JPEG = making.pillow_file(RGB, "JPEG", quality=90)
JPEGS = {
    "sequential": JPEG,
    "progressive": making.pillow_file(RGB, "JPEG", progressive=True),
    "grey": making.pillow_file(Image.fromarray(RGB).convert("L"), "JPEG"),
    "cmyk": making.pillow_file(Image.fromarray(RGB).convert("CMYK"), "JPEG", progressive=True),
    "restarts": making.pillow_file(RGB, "JPEG", restart_marker_rows=1, subsampling=2),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_is_read_and_one_cut_within_its_pixels_is_not(kind: str) -> None:
    data = JPEGS[kind]
    expected = {*as_picture(data).notes, "The file is cut short behind its pixels, which are whole."}
    for end in (data[:-2], data[:-1], data[:-2] + b"\xff\xed\0\x30Photoshop", data[:-2] + b"\xff\xff"):
        picture = read(end)
        assert same(picture, as_picture(data).to_numpy())
        assert set(picture.notes) == expected
    pixels = data.index(b"\xff\xda")
    for percent in range(5, 96, 10):
        assert "damaged or cut short" in refusal(data[: pixels + (len(data) - pixels) * percent // 100])
    for missing in (4, 6, 9, 20):
        assert "pixels are incomplete" in refusal(data[:-missing])


def test_a_progressive_jpeg_cut_between_scans_is_refused() -> None:
    data = JPEGS["progressive"]
    scans = [at for at in range(len(data)) if data[at : at + 2] in (b"\xff\xc4", b"\xff\xda")]
    for at in scans[1:]:
        assert "damaged or cut short" in refusal(data[:at])


def with_segment(marker: int, content: bytes, length: int | None = None) -> bytes:
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2 if length is None else length) + content
    return JPEG[:2] + segment + JPEG[2:]


@pytest.mark.parametrize(
    ("marker", "content", "words"),
    [
        (0xE0, b"JFIF\0", "resolution"),
        (0xE2, b"ICC_PROFILE\0", "colour profile"),
        (0xE2, b"ICC_PROFILE\0\1\2" + bytes(200), "colour profile"),
        (0xE2, b"ICC_PROFILE\0\1\1" + bytes(200), "colour profile"),
        (0xEE, b"Adobe", "colour model"),
        (0xE1, b"Exif\0\0II", "EXIF"),
        (0xE1, b"Exif\0\0not a directory", "EXIF"),
    ],
)
def test_jpeg_segments_that_are_damaged_cost_what_they_say(marker: int, content: bytes, words: str) -> None:
    assert same(painted(with_segment(marker, content), words), as_picture(JPEG).to_numpy())


def test_jpeg_segments_that_decoding_does_not_need_are_not_looked_at() -> None:
    for marker, content in ((0xED, b"Photoshop 3.0\0" + b"8BIM\4\4"), (0xFE, b""), (0xE2, b"MPF\0"), (0xEC, b"x")):
        picture = read(with_segment(marker, content))
        assert same(picture, as_picture(JPEG).to_numpy())
        assert not picture.notes


def test_an_orientation_in_xmp_is_not_read() -> None:
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><r tiff:Orientation=\"6\"/></x:xmpmeta>"
    exif = Image.Exif()
    exif[0x0131] = "some program"
    for kind in ("JPEG", "WEBP", "AVIF", "TIFF"):
        data = making.pillow_file(RGB, kind, xmp=xmp, exif=exif)
        assert read(data).pixels.shape == (3, 40, 60)
    assert read(with_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)).pixels.shape == (3, 40, 60)
    image = Image.fromarray(RGB)
    image.info["xmp"] = xmp
    assert as_picture(image).pixels.shape == (3, 40, 60)
    assert image.info["xmp"] == xmp


def test_a_webp_of_one_colour_in_28_bytes_is_read() -> None:
    # Lossless, 4 x 3, every code of one symbol: WebP Lossless Bitstream, sections 3 to 6.
    for shape in ((3, 4), (1, 1), (200, 100)):
        colour = np.full((*shape, 3), (40, 90, 200), np.uint8)
        data = making.pillow_file(colour, "WEBP", lossless=True)
        assert len(data) < 50
        assert same(read(data), colour)
    stream = bytes.fromhex("2f63c0181088 8808")
    short = b"RIFF" + struct.pack("<I", 12 + len(stream)) + b"WEBPVP8L" + struct.pack("<I", len(stream)) + stream
    assert len(short) == 28
    assert np.ptp(read(short).pixels, axis=(1, 2)).max() == 0


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}])
def test_a_webp_cut_behind_its_pixels_is_read_and_one_cut_within_them_is_not(options: dict[str, object]) -> None:
    frames = [Image.fromarray(255 - RGB)]
    for extra in ({"exif": making.exif(1), "xmp": b"<x/>" * 20}, {"save_all": True, "append_images": frames}):
        data = making.pillow_file(RGB, "WEBP", **options, **extra)
        whole = as_picture(data)
        end = data.rindex(b"EXIF" if "exif" in extra else b"ANMF")
        for cut in (end, end + 4, end + 8, len(data) - 10):
            assert same(painted(data[:cut], "cut short behind"), whole.to_numpy())
        for cut in (end - 2, end - 30, end // 2, 25):
            assert "damaged or cut short" in refusal(data[:cut])


PALETTED = Image.fromarray(RGB).quantize(64)
GIF = making.pillow_file(PALETTED, "GIF")


def test_a_gif_cut_behind_its_first_picture_is_read_and_one_cut_within_it_is_not() -> None:
    whole = as_picture(GIF).to_numpy()
    frames = [Image.fromarray(np.roll(RGB, shift, 1)).quantize(64) for shift in (5, 10)]
    many = making.pillow_file(PALETTED, "GIF", save_all=True, append_images=frames, duration=100)
    end = many.index(b"!\xf9\4", many.index(b"!\xf9\4") + 8)
    for cut in range(end, len(many), 53):
        picture = read(many[:cut])
        assert same(picture, whole)
        assert len(picture.notes) == 1
    for data in (GIF[:-1], GIF[:-2], many[:end], many[: end + 4]):
        assert same(painted(data, "cut short behind"), whole)
    for missing in (4, 6, 20, 200, 600):
        assert "damaged or cut short" in refusal(GIF[:-missing])
        assert "damaged or cut short" in refusal(many[: end - missing])
    assert same(read(GIF[: 13 + 3 * 64] + b"\0\0" + GIF[13 + 3 * 64 :]), whole)
    wrong = bytearray(many)
    wrong[end + 8 :] = b"\x07" * (len(many) - end - 8)
    assert same(read(bytes(wrong)), whole)


@pytest.mark.parametrize("transparent", [None, 3])
def test_the_canvas_around_a_smaller_first_picture_of_a_gif_is_transparent(transparent: int | None) -> None:
    options = {} if transparent is None else {"transparency": transparent}
    data = bytearray(making.pillow_file(PALETTED, "GIF", **options))
    alone = as_picture(bytes(data))
    data[6:10] = struct.pack("<HH", 100, 90)
    at = data.index(b",", 13 + 3 * 64)
    data[at + 1 : at + 5] = struct.pack("<HH", 30, 20)
    picture = read(bytes(data))
    assert picture.alpha is not None
    expected = np.zeros((90, 100), np.float32)
    expected[20:60, 30:90] = 1 if alone.alpha is None else alone.alpha
    assert np.array_equal(picture.alpha, expected)
    visible = expected[20:60, 30:90] > 0
    assert np.array_equal(picture.to_numpy()[20:60, 30:90, :3][visible], alone.to_numpy()[..., :3][visible])
    assert not picture.notes


def tiff_with_tag(code: int, kind: int, values: bytes, count: int, at: int | None = None) -> bytes:
    """A TIFF of 4 x 3 grey pixels in which one tag is another."""
    numbers = {256: 4, 257: 3, 258: 8, 259: 1, 262: 1, 273: 8, 274: 1, 277: 1, 278: 3, 279: 12, 296: 2}
    pixels = bytes(range(0, 240, 20))
    directory = 8 + len(pixels)
    behind = directory + 2 + 12 * (len(numbers) + (code not in numbers)) + 4
    entries = {n: struct.pack("<HHII", n, 4, 1, value) for n, value in numbers.items()}
    place = values.ljust(4, b"\0")[:4] if len(values) <= 4 else struct.pack("<I", behind if at is None else at)
    entries[code] = struct.pack("<HHI", code, kind, count) + place
    table = struct.pack("<H", len(entries)) + b"".join(entries[n] for n in sorted(entries)) + bytes(4)
    return b"II*\0" + struct.pack("<I", directory) + pixels + table + values


@pytest.mark.parametrize("code", [256, 257, 258, 259, 262, 273, 277, 278, 279])
def test_tiff_tags_of_a_wrong_kind_are_named_in_words(code: int) -> None:
    for kind, values, count in (
        (2, b"A" * 20_000, 20_000),
        (5, bytes(16), 2),
        (12, bytes(8), 1),
        (3, bytes(30), 15),
        (99, b"", 1),
    ):
        if kind == 3 and code in (258, 273, 279):
            continue
        message = refusal(tiff_with_tag(code, kind, values, count))
        assert "is not stored as it has to be" in message
        assert "AAA" not in message
    assert "cut short" in refusal(tiff_with_tag(code, 4, bytes(80), 20, at=90_000)[:-80])


@pytest.mark.parametrize(
    ("code", "words"), [(274, "orientation"), (282, "resolution"), (283, "resolution"), (296, "resolution")]
)
def test_tiff_tags_that_pixels_do_not_need_cost_what_they_say(code: int, words: str) -> None:
    expected = as_picture(np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4)).to_numpy()
    for kind, values, count, at in ((2, b"A" * 20, 20, None), (3, bytes(30), 15, None), (5, bytes(16), 2, 90_000)):
        assert same(painted(tiff_with_tag(code, kind, values, count, at), words), expected)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "lzma", "jpeg", "webp"])
def test_tiffs_of_which_pixels_are_missing_are_refused(compression: str | None) -> None:
    data = making.tiff_file(RGB, photometric="rgb", compression=compression, rowsperstrip=10)
    assert not as_picture(data).notes
    for missing in (1, 3, 12, 40, 400, len(data) - 100, len(data) - 10):
        assert "cut short" in refusal(data[:-missing])
    at_end = making.pillow_file(RGB, "TIFF")
    assert same(as_picture(at_end))
    for missing in (5, 30, 100, len(at_end) - 9, len(at_end) - 6):
        assert "cut short" in refusal(at_end[:-missing])


def test_a_tiff_with_strips_of_no_bytes_is_refused() -> None:
    data = bytearray(making.tiff_file(RGB, photometric="rgb", rowsperstrip=10))
    entry = data.index(struct.pack("<HHI", 279, 3, 4))
    at = int.from_bytes(data[entry + 8 : entry + 12], "little")
    data[at + 2 : at + 4] = bytes(2)
    assert "incomplete" in refusal(bytes(data))
    data[at + 2 : at + 4] = struct.pack("<H", 60 * 3 * 10)
    data[at + 6 : at + 8] = struct.pack("<H", 60_000)  # writers count more than there is
    assert same(as_picture(bytes(data)))


def test_a_tiff_of_jpeg_in_its_first_form_is_named() -> None:
    message = refusal(tiff_with_tag(259, 4, struct.pack("<I", 6), 1))
    assert "JPEG in the form of 1992 is not read" in message


def test_messages_hold_no_words_about_code() -> None:
    files = making.every_format()
    random = np.random.default_rng(11)
    for number in range(1500):
        kind = list(files)[number % len(files)]
        damaged = bytearray(files[kind])
        for place in random.integers(4, min(len(damaged), 400), 3):
            damaged[place] = random.integers(256)
        try:
            as_picture(bytes(damaged), limits=Limits(max_pixels=1_000_000))
        except PictureError as error:
            message = str(error)
            assert len(message) <= 250
            for words in (
                "operand",
                "NoneType",
                "returned",
                "index out of",
                "argument",
                "unpack",
                "broadcast",
                "reshape",
            ):
                assert words not in message
