"""Frames as a player shows them: turned and mirrored by the display matrix of the file."""

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def is_on_its_side(frame: VideoFrame) -> bool:
    """Return whether the frame's height becomes its width when it is shown."""
    return _on_its_side(_matrix(frame))


def turn(pixels: Pixels, frame: VideoFrame) -> Pixels:
    """Return the pixels of a decoded frame, (H, W, 3), as they are shown: any of the eight turns and mirrorings.

    A matrix that turns by another angle is taken as the nearest of these.
    """
    matrix = _matrix(frame)
    # The rows of the matrix say where a step to the right and a step down lead.
    (right_x, right_y), (down_x, down_y) = matrix
    if _on_its_side(matrix):
        pixels, across, down = pixels.swapaxes(0, 1), down_x, right_y
    else:
        across, down = right_x, down_y
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _on_its_side(matrix: NDArray[np.float64]) -> bool:
    return bool(abs(matrix[0, 1]) + abs(matrix[1, 0]) > abs(matrix[0, 0]) + abs(matrix[1, 1]))


def _matrix(frame: VideoFrame) -> NDArray[np.float64]:
    """Return the part of the display matrix that turns and mirrors: (2, 2)."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return np.eye(2)
    # ISO 14496-12: nine numbers of 32 bits, row by row; FFmpeg has them in the order of this computer's bytes.
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2].astype(np.float64)
