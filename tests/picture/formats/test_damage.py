"""Damaged, hostile and foreign files: one line that names the file, never another exception, never a line printed."""

import os
import socket
import struct
import time
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import PictureError
from impasto.picture import Limits, as_picture, read_picture
from impasto.system.text import printable
from tests.picture import samples as making

FILES = making.every_format()
SMALL = Limits(max_pixels=1_000_000)


def refused(data: bytes, limits: Limits = SMALL) -> str | None:
    """The message, or None where the file could be read."""
    try:
        picture = as_picture(data, limits=limits)
    except PictureError as error:
        message = str(error)
        assert message.startswith("memory: ")
        assert message.isprintable()
        return message
    assert np.isfinite(picture.pixels).all()
    return None


def refusal(data: bytes, limits: Limits = SMALL) -> str:
    """The message about a file that has to be refused."""
    message = refused(data, limits)
    assert message is not None
    return message


@pytest.mark.parametrize("kind", list(FILES))
def test_cut_at_every_5_percent(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = FILES[kind]
    messages = [refused(data[: len(data) * percent // 100]) for percent in range(0, 100, 5)]
    assert refused(data) is None
    # Half a file holds half a picture at most; only a format without an end mark could seem complete.
    assert all(messages[:6])
    assert capfd.readouterr() == ("", "")


def with_sums(data: bytes) -> bytes:
    """Put the PNG's checksums right, so that the damage gets past them."""
    fixed, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        fixed += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return fixed


@pytest.mark.parametrize("kind", list(FILES))
def test_flipped_bytes(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, random = FILES[kind], np.random.default_rng(7)
    for trial in range(60):
        damaged = bytearray(data)
        end = len(data) if trial % 2 else min(len(data), 300)
        for place in random.integers(4, end, 4):
            damaged[place] = random.integers(256)
        refused(with_sums(bytes(damaged)) if kind.startswith("png") else bytes(damaged))
    assert capfd.readouterr() == ("", "")


def test_a_program_that_has_set_up_nothing_prints_nothing(tmp_path: Path) -> None:
    # In a process of its own, because pytest takes over warnings and logging, which otherwise print.
    random = np.random.default_rng(8)
    for number in range(400):
        kind = list(FILES)[number % len(FILES)]
        damaged = bytearray(FILES[kind])
        for place in random.integers(4, min(len(damaged), 400), 3):
            damaged[place] = random.integers(256)
        data = with_sums(bytes(damaged)) if kind.startswith("png") else bytes(damaged)
        (tmp_path / f"{number}").write_bytes(data)
    (tmp_path / "a").write_bytes(FILES["tiff"][: len(FILES["tiff"]) // 2])
    exif = making.pillow_file(making.scene(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    (tmp_path / "b").write_bytes(exif)
    code = """
        from pathlib import Path
        for path in Path(sys.argv[1]).iterdir():
            try:
                read_picture(path)
            except PictureError:
                pass
    """
    assert making.run(code, tmp_path) == ("", "")


@given(st.binary(max_size=300), st.sampled_from([b"", *(data[:12] for data in FILES.values())]))
def test_random_bytes(tail: bytes, head: bytes) -> None:
    refused(head + tail)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "EPS"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40), "EPS"),
        (b"%PDF-1.7\n", "PDF"),
        (b'\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"8BPS\0\1", "Photoshop"),
        (b"just some text", "not a picture"),
        (b"\0", "not a picture"),
        (b"P", "not a picture"),
    ],
)
def test_other_files_named_png(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with pytest.raises(PictureError, match=words) as error:
        read_picture(path)
    assert str(path) in str(error.value)
    assert "convert it to PNG" in str(error.value)


def declared(width: int, height: int) -> dict[str, bytes]:
    """Small files of each kind that declare a size."""
    png = making.png_file(width, height, 8, 2, bytes(100))
    gif = b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b","
    gif += struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x01\x44\0;"
    bmp = b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
    jpeg = bytearray(making.written(np.zeros((8, 8, 3), np.uint8), "jpeg"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", height, width)
    webp = b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<II", 10, 0)
    webp += max(width - 1, 0).to_bytes(3, "little") + max(height - 1, 0).to_bytes(3, "little")
    avif = bytearray(making.written(np.zeros((8, 8, 3), np.uint8), "avif"))
    at = avif.index(b"ispe")
    avif[at + 8 : at + 16] = struct.pack(">II", width, height)
    return {
        "png": png,
        "png 16": making.png_file(width, height, 16, 6, bytes(100)),
        "gif": gif,
        "bmp": bmp + bytes(100),
        "jpeg": bytes(jpeg),
        "webp": webp + bytes(20),
        "avif": bytes(avif),
        "ppm": b"P6 %d %d 255\n" % (width, height) + bytes(100),
        "pbm": b"P1 %d %d\n" % (width, height) + b"1",
        "tiff": bare_tiff(width, height),
        "tiff deflated": bare_tiff(width, height, compression=8),
    }


def bare_tiff(width: int, height: int, compression: int = 1, extra: Sequence[tuple[int, int]] = ()) -> bytes:
    entries = [(256, width), (257, height), (258, 8), (259, compression), (262, 1), (273, 8), (277, 1), (278, height)]
    entries = sorted([*entries, (279, 8), *extra])
    body = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", code, 4, 1, value) for code, value in entries
    )
    return b"II*\0" + struct.pack("<I", 8) + body + b"\0\0\0\0"


@pytest.mark.parametrize("kind", list(declared(1, 1)))
def test_declared_bombs_are_refused_before_decoding(kind: str) -> None:
    data = declared(50_000, 50_000)[kind]
    assert len(data) < 2000
    start = time.perf_counter()
    message = refusal(data, Limits())
    assert time.perf_counter() - start < 0.5
    if kind == "avif":
        # libavif's own limit comes first.
        assert message
    else:
        assert "50,000 x 50,000 pixels is over the limit of 178,956,970" in message


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "gif", "bmp", "ppm", "tiff"])
def test_our_limits_are_the_ones_that_count(kind: str) -> None:
    whole = FILES[kind]
    assert refused(whole, Limits(max_pixels=61 * 91, max_side=91)) is None
    assert "limit of 5,550 pixels;" in refusal(whole, Limits(max_pixels=61 * 91 - 1))
    assert "pixels a side" in refusal(whole, Limits(max_side=90))
    assert "bytes" in refusal(whole, Limits(max_file_bytes=len(whole) - 1))


def test_pillow_s_bomb_limit_neither_warns_nor_stops(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("png", "jpeg", "bmp", "gif", "avif", "tiff"):
        assert refused(FILES[kind]) is None
    assert len(recwarn) == 0


def test_more_hidden_bombs() -> None:
    # A tile far larger than the picture; more channels than any picture has; pixels that inflate without end.
    tiled = bare_tiff(16, 16, extra=[(322, 50_000), (323, 50_000)])
    assert "over the limit" in refusal(tiled)
    channels = bare_tiff(16, 16).replace(struct.pack("<HHII", 277, 4, 1, 1), struct.pack("<HHII", 277, 4, 1, 60_000))
    assert "channels" in refusal(channels)
    endless = making.png_file(2, 1, 16, 2, bytes(50_000_000))
    assert len(endless) < 100_000
    tracemalloc.start()
    assert refused(endless) is None
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert refused(b"P3 30000 30 255\n1") is not None


def test_a_header_of_only_whitespace_and_comments_takes_no_time() -> None:
    start = time.perf_counter()
    for data in (b"P6" + b" " * 200_000 + b"x", b"P6 " + b"# #\n" * 100_000 + b"x", b"P6 " + b"#" * 200_000):
        assert refused(data) is not None
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_no_pixels(size: tuple[int, int]) -> None:
    for kind in ("png", "gif", "ppm", "tiff"):
        assert refused(declared(*size)[kind]) is not None


def test_raw_files_thumbnails_and_volumes_are_not_taken_for_the_picture() -> None:
    assert "thumbnail" in refusal(bare_tiff(4, 1, extra=[(254, 1)]))
    assert "flat" in refusal(making.tiff_file(np.zeros((3, 8, 8), np.uint8), photometric="minisblack", volumetric=True))
    assert "signed" in refusal(making.tiff_file(np.zeros((8, 8), np.int16)))
    assert "colour model" in refusal(
        bare_tiff(4, 1).replace(struct.pack("<HHII", 262, 4, 1, 1), struct.pack("<HHII", 262, 4, 1, 32803))
    )


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyError, AssertionError, SystemError])
def test_whatever_a_decoder_raises(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    from PIL import PngImagePlugin

    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "_open", fail)
    assert refused(FILES["png"]) is not None


def test_ctrl_c_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import PngImagePlugin

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "_open", interrupt)
    with pytest.raises(KeyboardInterrupt):
        as_picture(FILES["png"])


def one_line(path: str | Path, words: str) -> None:
    with pytest.raises(PictureError, match=words) as error:
        read_picture(path)
    assert str(error.value).startswith(printable(os.fspath(path)) + ": ")
    assert str(error.value).isprintable()


def test_paths_without_a_picture(tmp_path: Path) -> None:
    one_line(tmp_path / "missing.png", "no such file")
    one_line(tmp_path, "is a folder")
    (tmp_path / "empty.png").touch()
    one_line(tmp_path / "empty.png", "is empty")
    one_line(tmp_path / "empty.png" / "a.png", "cannot be read|no such file")
    one_line(tmp_path / ("a" * 300), "cannot be read")
    one_line("a\0b.png", "cannot be read")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    one_line(tmp_path / "loop.png", "cannot be read")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    one_line(tmp_path / "dangling.png", "no such file")


def test_pipes_and_sockets_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    one_line(tmp_path / "pipe.png", "pipe or a device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        one_line(tmp_path / "s", "pipe or a device")
    one_line("/dev/zero", "pipe or a device")


def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(FILES["png"])
    path.chmod(0)
    making.let_everybody_in(tmp_path)
    code = """
        try:
            read_picture(sys.argv[1])
        except PictureError as error:
            print(error)
    """
    assert "may not be read" in making.as_nobody(code, path)


NAMES = [
    "a\nb.png",
    "-rf.png",
    "caf\u00e9.png",
    "cafe\u0301.png",
    "\x1b[31mred.png",
    "a b.png",
    "\u65e5\u672c.png",
    "\u202egnp.exe.png",
]


@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"\xff\xfe.png"), "a" * 251 + ".png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    as_picture(making.scene()).save(path)
    picture = read_picture(path)
    assert np.array_equal(picture.to_numpy(), making.scene())
    assert picture.source == str(path)
    path.write_bytes(b"no picture")
    one_line(path, "not a picture")


def test_messages_show_control_characters_harmlessly() -> None:
    assert printable("a\n\x1b[31m\u202eb\udcff") == "a\\n\\x1b[31m\\u202eb\\udcff"
    assert printable("caf\u00e9 \u65e5\u672c.png") == "caf\u00e9 \u65e5\u672c.png"
