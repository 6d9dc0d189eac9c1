"""Sizes are counted before a decoder runs, on valid and on damaged files."""

import dataclasses
import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from impasto.errors import PictureError
from impasto.picture import Limits, as_picture
from impasto.picture.formats import jpeg, jpeg_segments, tags
from impasto.picture.formats.pillow import LONG_EXIF
from impasto.picture.profiles import TOO_LONG
from tests.picture import samples as making

WHOLE = making.pillow_file(making.scene(), "JPEG")


def test_every_limit_is_checked_somewhere() -> None:
    # Every field of the limits is used somewhere.
    files = making.every_format()
    names = [field.name for field in dataclasses.fields(Limits)]
    files["jpeg exif"] = making.pillow_file(making.scene(), "JPEG", exif=making.exif(6))
    files["jpeg profile"] = making.pillow_file(making.scene(), "JPEG", icc_profile=making.adobe_rgb())
    for name in names:
        limits = Limits(**{name: 1})
        ends = []
        for data in files.values():
            try:
                ends.append(bool(as_picture(data, limits=limits).notes))
            except PictureError as error:
                ends.append("limit" in str(error) or "more than 1" in str(error))
        assert any(ends), name


def test_segments_are_counted() -> None:
    found = [marker for marker, *_ in jpeg_segments.segments(WHOLE)]
    assert found[0] == 0xE0
    assert found.count(0xDA) == 1
    assert jpeg.size(WHOLE) == (91, 61)
    image = Image.fromarray(making.scene())
    progressive = making.pillow_file(image, "JPEG", progressive=True, restart_marker_rows=1)
    scans = sum(marker == 0xDA for marker, *_ in jpeg_segments.segments(progressive))
    assert scans == 10  # libjpeg's own script
    assert jpeg.check(progressive, "a", Limits(max_scans=10)) == (progressive, False)
    with pytest.raises(PictureError, match="more than 9 scans"):
        as_picture(progressive, limits=Limits(max_scans=9))
    # A picture inside the metadata is not a scan of this one.
    thumbnail = b"\xff\xe2" + struct.pack(">H", len(progressive) + 2) + progressive
    nested = WHOLE[:2] + thumbnail + WHOLE[2:]
    assert sum(marker == 0xDA for marker, *_ in jpeg_segments.segments(nested)) == 1
    assert jpeg.size(nested) == (91, 61)
    assert jpeg.size(b"\xff\xd8\xff") is None


def test_long_exif_is_left_out_and_said_so() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = making.pillow_file(making.scene(), kind, exif=making.exif(6))
        assert as_picture(data).size == (91, 61)
        found = as_picture(data, limits=Limits(max_exif_bytes=10))
        assert found.size == (61, 91)
        assert found.notes == (LONG_EXIF,)


def test_overlapping_values_are_told_from_real_ones() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0x927C] = bytes(5000)
    exif.get_ifd(0x8825)[1] = "N"
    real = exif.tobytes()
    assert not tags.overlapping(real)
    assert not tags.overlapping(real[6:])
    entries = b"".join(struct.pack("<HHII", 0x9000 + i, 7, 900, 100) for i in range(30))
    bomb = b"II*\0\x08\0\0\0" + struct.pack("<H", 30) + entries + bytes(600)
    assert tags.overlapping(bomb)
    assert tags.overlapping(b"Exif\0\0" + bomb)
    # A picture in the inner directory, and a file cut off after its entries.
    outer = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)
    assert tags.overlapping(outer + bomb[8:])
    assert tags.overlapping(b"II*\0\x08\0\0\0" + struct.pack("<H", 60000) + entries + bytes(600))
    for odd in (b"", b"II", b"nothing of the kind", b"MM\0*" + b"\xff" * 20):
        assert not tags.overlapping(odd)


def test_long_profiles_are_ignored_and_said_so() -> None:
    profile = making.adobe_rgb()
    for data in (
        making.pillow_file(making.scene(), "PNG", icc_profile=profile),
        making.tiff_file(making.scene(), photometric="rgb", iccprofile=profile),
    ):
        assert as_picture(data).icc_profile == profile
        found = as_picture(data, limits=Limits(max_profile_bytes=len(profile) - 1))
        assert found.icc_profile is None
        assert TOO_LONG in found.notes
        assert np.array_equal(found.to_numpy(), making.scene())


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}])
def test_only_known_tags_get_through(options: making.TiffLayout) -> None:
    extra = [(315, 2, 4, "Ann", True), (34118, 2, 10, "<xml/>sem!", True), (50838, 4, 2, (1, 2), True)]
    whole = making.tiff_file(making.scene(), photometric="rgb", extratags=extra, description="told", **options)
    directories = tags.Directories(whole)
    found, following = directories.read(directories.first)
    assert following == 0
    assert {315, 34118, 50838, 270} <= set(found)
    plain = directories.plain(found, "a", Limits())
    with tifffile.TiffFile(io.BytesIO(plain)) as file:
        assert {315, 34118, 50838, 270}.isdisjoint(tag.code for tag in file.pages.first.tags)
        assert np.array_equal(file.pages.first.asarray(), making.scene())
    read = as_picture(whole)
    assert np.array_equal(read.to_numpy(), making.scene())
    assert (read.credits.artist, read.credits.description) == ("Ann", "told")


def test_credits_of_a_nested_directory() -> None:
    mark = 0x12345678
    data = making.tiff_file(making.scene(), photometric="rgb", extratags=[(65000, 4, 1, mark, True)])
    data = data.replace(struct.pack("<HHI", 65000, 4, 1), struct.pack("<HHI", 34665, 4, 1))
    at = len(data) + len(data) % 2
    data = data.replace(struct.pack("<I", mark), struct.pack("<I", at)).ljust(at, b"\0")
    taken = b"2024:01:02 03:04:05\0"
    nested = struct.pack("<HHHII", 1, 0x9003, 2, len(taken), at + 18) + bytes(4) + taken
    assert as_picture(data + nested).credits.taken == "2024:01:02 03:04:05"
    # If it is cut short or its offset is invalid, the pixels are still complete.
    for broken in (data + nested[:10], data, data.replace(struct.pack("<I", at), b"\xff\xff\xff\x7f")):
        found = as_picture(broken)
        assert found.credits.taken is None
        assert np.array_equal(found.to_numpy(), making.scene())


def test_plain_numbers_are_read_whatever_lies_between() -> None:
    data = b"P2 3 2 255\n  0\t10 \n# a comment 7\n 20\r\n30 40  250"
    assert as_picture(data).to_numpy()[:, :, 0].tolist() == [[0, 10, 20], [30, 40, 250]]
    for wrong in (
        b"P2 3 2 255\n0 10 20 30 40",
        b"P2 3 2 255\n0 10 20 30 40 x50",
        b"P2 3 2 255\n0 10 20 30 40 1234567890",
    ):
        with pytest.raises(PictureError, match="damaged"):
            as_picture(wrong)
    assert as_picture(b"P1\n3 2\n101\n0 1\t0").to_numpy()[:, :, 0].tolist() == [[0, 255, 0], [255, 0, 255]]
