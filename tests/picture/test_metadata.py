"""Metadata in every format: provenance and the photo's credits are kept, everything else is not."""

import dataclasses
import io
import json
import struct
import zlib
from pathlib import Path

import pytest
import tifffile
from PIL import Image

import impasto
from impasto.errors import PictureError
from impasto.picture import Credits, Picture, as_picture, read_picture, remembered, write_picture
from impasto.picture.metadata import LONGEST_TEXT, exif_block
from impasto.recipe import Recipe
from impasto.recipe.provenance import MOST_BYTES, Input, Remembered
from tests.picture import samples as making

WRITTEN = ["png", "jpeg", "webp", "tiff", "avif"]
MEMORY = Remembered(
    Recipe(name="żółć"), Input("photo.jpg", "a" * 64), (Input("s.png", "b" * 64, 1.0),), None, (91, 61), True, "0.1.0"
)
CREDITS = Credits(
    artist="Zażółć Ann",
    copyright="© 2024 Ann",
    description="A cat",
    make="Maker",
    model="Model 1",
    taken="2024:01:02 03:04:05",
    taken_offset="+01:00",
)


def painted(remembered: Remembered | None = MEMORY, credits: Credits = CREDITS) -> Picture:
    return dataclasses.replace(as_picture(making.scene()), remembered=remembered, credits=credits, dpi=(300.0, 300.0))


def recalled(data: bytes) -> Remembered:
    return remembered(io.BytesIO(data))


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_picture_remembers(kind: str, tmp_path: Path) -> None:
    assert impasto.remembered is remembered
    path = tmp_path / f"out.{kind}"
    assert painted().save(path) == ()
    assert remembered(path) == MEMORY
    assert remembered(str(path)) == MEMORY
    assert recalled(path.read_bytes()) == MEMORY
    assert read_picture(path).remembered is None


@pytest.mark.parametrize("kind", WRITTEN)
def test_credits_and_resolution_come_back(kind: str) -> None:
    data = making.written(painted(), kind)
    back = as_picture(data)
    assert back.credits == CREDITS
    assert back.dpi == pytest.approx((300, 300), rel=1e-4)
    # Another reader finds them in their places, too.
    exif = Image.open(io.BytesIO(data)).getexif()
    assert exif[0x8298].encode("latin-1").decode() == "© 2024 Ann"
    assert (exif[0x010E], exif[0x010F], exif[0x0110]) == ("A cat", "Maker", "Model 1")
    taken = exif.get(0x9003) if kind == "tiff" else exif.get_ifd(0x8769).get(0x9003)
    assert taken == "2024:01:02 03:04:05"


@pytest.mark.parametrize("kind", WRITTEN)
def test_metadata_can_be_left_out(kind: str, tmp_path: Path) -> None:
    for data in (making.written(painted(), kind, metadata=False), making.written(painted(remembered=None), kind)):
        with pytest.raises(PictureError, match="remembers nothing"):
            recalled(data)
    bare = making.written(painted(), kind, metadata=False)
    assert b"Ann" not in bare
    assert b"photo.jpg" not in bare
    assert as_picture(bare).credits == Credits()
    assert as_picture(bare).dpi == pytest.approx((300, 300), rel=1e-4)
    painted().save(tmp_path / f"out.{kind}", metadata=False)
    assert (tmp_path / f"out.{kind}").read_bytes() == bare


@pytest.mark.parametrize("kind", WRITTEN)
def test_metadata_change_no_pixel(kind: str) -> None:
    files = [making.written(painted(), kind, metadata=metadata) for metadata in (True, False)]
    assert (as_picture(files[0]).pixels == as_picture(files[1]).pixels).all()


def photo(kind: str) -> bytes:
    """A photo with a place, a thumbnail, notes of the maker, and an orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "Ann"
    exif[0x8298] = "(c) Ann"
    inner = exif.get_ifd(0x8769)
    inner[0x9003] = "2024:01:02 03:04:05"
    inner[0x927C] = b"notes of the maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 13.0, 48.0)})
    return making.pillow_file(making.scene(), kind, exif=exif.tobytes())


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("kind", WRITTEN)
def test_of_a_photo_the_credits_are_kept_and_the_place_is_not(source: str, kind: str) -> None:
    before = Image.open(io.BytesIO(photo(source))).getexif()
    assert before.get_ifd(0x8825)
    out = making.written(photo(source), kind)
    assert as_picture(out).credits == Credits(artist="Ann", copyright="(c) Ann", taken="2024:01:02 03:04:05")
    exif = Image.open(io.BytesIO(out)).getexif()
    assert not exif.get_ifd(0x8825)
    assert exif.get(0x0112, 1) == 1
    assert 0x927C not in exif.get_ifd(0x8769)
    assert b"notes of the maker" not in out


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    data = making.written(making.scene(), "png")
    (tmp_path / "a.png").write_bytes(data)
    import hashlib

    expected = hashlib.sha256(data).hexdigest()
    assert read_picture(tmp_path / "a.png").sha256 == expected
    assert as_picture(data).sha256 == expected
    assert as_picture(making.scene()).sha256 is None


def test_credits_are_cleaned_and_cut() -> None:
    found = Credits(
        artist="\x1b[31mAnn\u202e\x9b\r",
        copyright="Ann\0Editor\0",
        description="x" * 9000 + "é",
        make="\0 ",
        model=3,  # type: ignore[arg-type]
        taken="yesterday; rm -rf /",
        taken_offset="+01:00\n",
    )
    assert found.artist == "[31mAnn"
    assert found.copyright == "Ann; Editor"
    assert found.description == "x" * LONGEST_TEXT
    assert (found.make, found.model, found.taken, found.taken_offset) == (None, None, None, "+01:00")
    assert Credits(description="é" * 1999).description == "é" * (LONGEST_TEXT // 2)


@pytest.mark.parametrize("kind", WRITTEN)
def test_long_credits_fit_every_format(kind: str) -> None:
    long = Credits(**dict.fromkeys(("artist", "copyright", "description", "make", "model"), "é" * 5000))
    data = making.written(painted(credits=long), kind)
    assert as_picture(data).credits == long
    assert recalled(data) == MEMORY


def test_what_a_jpeg_has_no_room_for_is_left_out_with_a_note() -> None:
    styles = tuple(Input(f"{'s' * 200}{n}.png", "b" * 64, 1 / 300) for n in range(300))
    picture = painted(remembered=dataclasses.replace(MEMORY, styles=styles))
    stream = io.BytesIO()
    notes = write_picture(picture, stream, format="jpeg")
    assert len(notes) == 1
    assert "recipe" in notes[0]
    with pytest.raises(PictureError, match="remembers nothing"):
        recalled(stream.getvalue())
    assert as_picture(stream.getvalue()).credits == CREDITS
    for kind in ("png", "webp", "tiff", "avif"):
        assert recalled(making.written(picture, kind)).styles == styles


@pytest.mark.parametrize("kind", WRITTEN)
def test_text_and_memory_go_together(kind: str) -> None:
    data = making.written(painted(), kind, text={"Title": "Cat"})
    assert recalled(data) == MEMORY
    if kind != "png":
        assert json.loads(Image.open(io.BytesIO(data)).getexif()[0x010E]) == {"Title": "Cat"}


def png_with(kind: bytes, content: bytes) -> bytes:
    plain = making.written(making.scene(), "png")
    return plain[:33] + making.png_chunk(kind, content) + plain[33:]


def test_every_kind_of_png_text_is_read() -> None:
    text = MEMORY.to_json().encode()
    assert b"\0" not in text
    for kind, content in (
        (b"tEXt", text),
        (b"zTXt", b"\0" + zlib.compress(text)),
        (b"iTXt", b"\0\0en\0impasto\0" + text),
        (b"iTXt", b"\1\0\0\0" + zlib.compress(text)),
    ):
        assert recalled(png_with(kind, b"impasto\0" + content)) == MEMORY
    # Before Pillow 6 and elsewhere, text may come after the pixels.
    plain = making.written(making.scene(), "png")
    late = plain[:-12] + making.png_chunk(b"tEXt", b"impasto\0" + text) + plain[-12:]
    assert recalled(late) == MEMORY


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (b"tEXt", b"impasto\0" + b" " * (MOST_BYTES + 1), "over the limit"),
        (b"tEXt", b"impasto\0" + b" " * (8 * MOST_BYTES), "over the limit"),
        (b"zTXt", b"impasto\0\0" + zlib.compress(b" " * 200_000_000, 9), "over the limit"),
        (b"iTXt", b"impasto\0\1\0\0\0" + zlib.compress(b" " * 200_000_000, 9), "over the limit"),
        (b"zTXt", b"impasto\0\0garbage", "damaged"),
        (b"iTXt", b"impasto\0", "damaged"),
        (b"iTXt", b"impasto\0\0\0", "damaged"),
        (b"tEXt", b"impasto\0{\x1b[2J", "damaged"),
        (b"tEXt", b"impasto\0\xff\xfe", "damaged"),
        (b"tEXt", b'impasto\0{"impasto": 7}', "form 7"),
        (b"tEXt", b"Impasto\0{}", "remembers nothing"),
    ],
)
def test_hostile_png_text(kind: bytes, content: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=words) as error:
        recalled(png_with(kind, content))
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def commented(kind: str, value: bytes) -> bytes:
    """A file whose UserComment is `value`, made by Pillow and tifffile."""
    if kind == "TIFF":
        return making.tiff_file(making.scene(), photometric="rgb", extratags=[(0x9286, 7, len(value), value, True)])
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = value
    return making.pillow_file(making.scene(), kind, exif=exif.tobytes())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"ASCII\0\0\0a comment of a camera", "remembers nothing"),
        (b"UNICODE\0{}", "remembers nothing"),
        (b"", "remembers nothing"),
        (b'ASCII\0\0\0{"impasto"', "damaged"),
        (b'ASCII\0\0\0{"impasto": 2}', "form 2"),
        (b'ASCII\0\0\0{"impasto": 1, "version": "\x1b[2J\xff"}', "damaged"),
    ],
)
def test_hostile_comments(kind: str, value: bytes, words: str) -> None:
    with pytest.raises(PictureError, match=words) as error:
        recalled(commented(kind, value))
    assert str(error.value).isprintable()


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "TIFF"])
def test_a_huge_comment(kind: str) -> None:
    with pytest.raises(PictureError, match="over the limit"):
        recalled(commented(kind, b'ASCII\0\0\0{"impasto": 1' + b" " * 3 * MOST_BYTES))


def outcome(data: bytes) -> str:
    """Return the notes or the error of a file."""
    try:
        return " ".join(recalled(data).to_toml().split("\n"))
    except PictureError as error:
        return str(error)


@pytest.mark.parametrize("kind", WRITTEN)
def test_damage_is_an_error_of_one_line_or_harmless(kind: str) -> None:
    data = making.written(painted(), kind)
    start = data.find(b'"impasto"') if kind != "webp" else data.find(b"EXIF")
    for cut in (20, start, start + 100):
        with pytest.raises(PictureError) as error:
            recalled(data[:cut])
        assert str(error.value).isprintable()
    for at in range(max(start - 300, 40), start + 300, 7):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        assert outcome(bytes(broken)).isprintable()


@pytest.mark.parametrize("data", [b"GIF89a", b"BM", b"P5 1 1 255\n\0"])
def test_formats_that_are_never_written_remember_nothing(data: bytes) -> None:
    with pytest.raises(PictureError, match="remembers nothing"):
        recalled(data)


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg"])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(PictureError):
        recalled(data)


def test_damaged_exif_says_nothing_and_refuses_nothing() -> None:
    block = bytearray(exif_block(CREDITS))
    for at in range(6, len(block), 5):
        broken = bytearray(block)
        broken[at] ^= 0xFF
        for kind in ("JPEG", "PNG"):
            found = as_picture(making.pillow_file(making.scene(), kind, exif=bytes(broken)))
            assert all(text.replace("\n", "").replace("\t", "").isprintable() for _, text in found.credits.items())


def test_our_exif_is_what_the_standard_says() -> None:
    block = exif_block(CREDITS, (300.0, 72.5), document="{}")
    assert block.startswith(b"Exif\0\0II*\0")
    with tifffile.TiffFile(io.BytesIO(block[6:])) as file:
        tags = file.pages.first.tags
        codes = [tag.code for tag in tags.values()]
        assert codes == sorted(codes)
        assert tags[0x011B].value == (145, 2)
        assert tags[0x0128].value == 2
        assert tags[0x8769].value["DateTimeOriginal"] == CREDITS.taken
    (kind,) = struct.unpack_from("<H", block, block.index(struct.pack("<H", 0x9286), 100) + 2)
    assert kind == 7
    assert exif_block(Credits()) == b""
