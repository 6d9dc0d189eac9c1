"""Frames as a player shows them: turned and mirrored by the display matrix of the file."""

from typing import cast

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


# Where a step to the right and a step down of the decoded frame lead: ((x, y), (x, y)).
Matrix = NDArray[np.float64]


def display_matrix(frame: VideoFrame) -> Matrix:
    """Return the part of a frame's display matrix that turns and mirrors, (2, 2).

    PyAV frees the frame later than others after this, so it is not for every frame of a film.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.eye(2)
    # ISO 14496-12: nine numbers of 32 bits, row by row; FFmpeg has them in the order of this computer's bytes.
    return np.frombuffer(cast(bytes, data), np.int32).reshape(3, 3)[:2, :2].astype(np.float64)


def is_on_its_side(matrix: Matrix) -> bool:
    """Return whether a frame's height becomes its width when it is shown."""
    return bool(abs(matrix[0, 1]) + abs(matrix[1, 0]) > abs(matrix[0, 0]) + abs(matrix[1, 1]))


def turn(pixels: Pixels, matrix: Matrix) -> Pixels:
    """Return the pixels of a decoded frame, (H, W, 3), as they are shown: any of the eight turns and mirrorings.

    A matrix that turns by another angle is taken as the nearest of these.
    """
    (right_x, right_y), (down_x, down_y) = matrix
    if is_on_its_side(matrix):
        pixels, across, down = pixels.swapaxes(0, 1), down_x, right_y
    else:
        across, down = right_x, down_y
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
