"""Whether the end of a file is missing, by the lengths that its outermost parts declare."""

from pathlib import Path

import pytest

from impasto.video.survey import is_cut_short


def box(size: int, name: bytes, content: bytes = b"") -> bytes:
    return size.to_bytes(4, "big") + name + content


def element(name: bytes, size: bytes, content: bytes) -> bytes:
    return name + size + content


HEAD = element(b"\x1aE\xdf\xa3", b"\x84", b"head")
SEGMENT = b"\x18\x53\x80\x67"


@pytest.mark.parametrize(
    ("kind", "data", "is_cut"),
    [
        ("mov", box(12, b"ftyp", b"isom") + box(16, b"mdat", b"12345678"), False),
        ("mov", box(12, b"ftyp", b"isom") + box(17, b"mdat", b"12345678"), True),
        ("mov", box(1, b"mdat", (20).to_bytes(8, "big") + b"1234"), False),
        ("mov", box(1, b"mdat", (1 << 40).to_bytes(8, "big") + b"1234"), True),
        # Length 0: up to the end of the file.
        ("mov", box(0, b"mdat", b"1234"), False),
        ("avi", b"RIFF\x08\0\0\0AVI 1234", False),
        ("avi", b"RIFF\x08\0\0\0AVI 1234RIFF\x05\0\0\0AVIX1\0", False),
        ("avi", b"RIFF\x08\0\0\0AVI 1234RIFF\x09\0\0\0AVIX1234", True),
        ("avi", b"RIFF\x09\0\0\0AVI 1234", True),
        ("matroska", HEAD + element(SEGMENT, b"\x84", b"1234"), False),
        ("matroska", HEAD + element(SEGMENT, b"\x01\0\0\0\0\0\0\x04", b"1234"), False),
        ("matroska", HEAD + element(SEGMENT, b"\x01\0\0\0\0\0\0\x05", b"1234"), True),
        # A live recording declares no length.
        ("matroska", HEAD + element(SEGMENT, b"\x01" + 7 * b"\xff", b"1234"), False),
        ("gif", b"GIF89a;", False),
        ("gif", b"GIF89a;\0\0", False),
        ("gif", b"GIF89a", True),
    ],
)
def test_a_file_whose_end_is_missing(kind: str, data: bytes, is_cut: bool, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(data)
    assert is_cut_short(tmp_path / "film", kind) == is_cut


@pytest.mark.parametrize("kind", ["mov", "avi", "matroska", "gif"])
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 40, b"RIFF", b"\0\0\0\x01mdat"])
def test_files_that_are_none(kind: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(data)
    assert is_cut_short(tmp_path / "film", kind) in (True, False)
