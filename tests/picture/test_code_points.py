"""Colours that files name by the code points of ITU-T H.273."""

import itertools
import struct
from typing import Any

import numpy as np
import pytest

from impasto.picture import as_picture
from impasto.picture.code_points import HDR, UNKNOWN, named_colors
from impasto.picture.profiles import to_srgb
from tests.picture.samples import pillow_file, png_chunk, png_file, scene

RGB = scene()
HEIGHT, WIDTH = RGB.shape[:2]
ROWS = b"".join(b"\0" + row.tobytes() for row in RGB)


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
