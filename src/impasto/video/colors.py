"""Decoded frames as sRGB, by the code points of ITU-T H.273 that the clip names its colours with."""

from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class ColorConverter:
    """Converts the frames of one clip.

    FFmpeg converts P3, BT.2020, PQ and HLG by a table, which takes it some seconds to make and is kept here.
    """

    def __init__(self) -> None:
        self._converter = VideoReformatter()

    def pixels(self, frame: VideoFrame) -> Pixels:
        """Return a frame as (H, W, 3) sRGB.

        Of HDR, what is brighter than the white of paper (203 cd/m2, ITU-R BT.2408) becomes white.
        """
        if not (is_hdr(frame) or int(frame.color_primaries) in _WIDE):
            return np.asarray(_array(frame, "rgb24"), np.uint8)
        # By an array, which forgets how bright the film at its brightest is: FFmpeg would darken all for that.
        wide = VideoFrame.from_ndarray(_array(frame, "rgb48le"), format="rgb48le")
        named = int(frame.color_primaries)
        wide.color_primaries = ColorPrimaries.BT2020 if named == ColorPrimaries.UNSPECIFIED else named
        curve = int(frame.color_trc)
        wide.color_trc = ColorTrc.BT709 if curve == ColorTrc.UNSPECIFIED else curve
        # The other curves stay, as those of usual films do.
        own = ColorTrc.IEC61966_2_1 if is_hdr(frame) else wide.color_trc
        converted = self._converter.reformat(
            wide, format="rgb24", dst_color_trc=own, dst_color_primaries=ColorPrimaries.BT709
        )
        return np.asarray(converted.to_ndarray(), np.uint8)


def is_hdr(frame: VideoFrame) -> bool:
    """Return whether a frame's transfer characteristics are PQ or HLG."""
    return int(frame.color_trc) in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


def _array(frame: VideoFrame, layout: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    matrix = None
    if int(frame.colorspace) == _UNSPECIFIED and not frame.format.is_rgb:
        # As players do, which take what is larger than a DVD for HD.
        is_large = frame.width > 1024 or frame.height > 576
        usual = Colorspace.ITU709 if is_large else Colorspace.ITU601
        matrix = Colorspace.BT2020 if is_hdr(frame) else usual
    array = frame.to_ndarray(format=layout, src_colorspace=matrix)
    return np.asarray(array, np.uint16) if layout == "rgb48le" else np.asarray(array, np.uint8)


# Wider than BT.709: BT.2020, P3 with the white of cinemas and of screens.
_WIDE: Final = (ColorPrimaries.BT2020, ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432)
_UNSPECIFIED: Final = 2
