"""Optical flow between two frames, and where it is reliable.

The flow is dense inverse search, Kroeger, Timofte, Dai and Van Gool 2016, by OpenCV. It is computed in both directions,
so that one can be checked against the other: Ruder, Dosovitskiy and Brox 2016.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from impasto.ops.shapes import Planes

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]  # (H, W, 2): displacement to the right and down, px


@dataclass(frozen=True)
class Motion:
    """The motion from a frame back to an earlier one.

    Attributes:
        back: (H, W, 2) displacement from each pixel of the frame to its place in the earlier one, px.
        seen: (H, W) 1 where the pixel was visible in the earlier frame; 0 where it was hidden or outside.
        reliable: (H, W) 1 where it was visible and does not lie on a motion boundary, else 0.

    """

    back: Field
    seen: Field
    reliable: Field

    @property
    def lost(self) -> float:
        """Fraction of the pixels that were hidden or outside."""
        return 1 - float(self.seen.mean())

    def warp(self, earlier: Planes) -> Planes:
        """Return planes of the earlier frame, (1, C, H, W), warped to this frame.

        The sampling is bicubic: images that are warped again and again blur far less than with bilinear sampling.
        """
        height, width = self.back.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        # The coordinates of grid_sample, in which -1 and 1 are the outer edges of the first and the last pixel.
        x = (2 * (columns + self.back[..., 0]) + 1) / width - 1
        y = (2 * (rows + self.back[..., 1]) + 1) / height - 1
        grid = torch.from_numpy(np.stack([x, y], axis=-1))[None].to(earlier)
        moved = F.grid_sample(earlier, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return moved.clamp(0, 1)


def motion(frame: Pixels, earlier: Pixels) -> Motion:
    """Return the motion from `frame` back to `earlier`, (H, W, 3) sRGB of one size."""
    start, end = _grey(frame), _grey(earlier)
    back, forth = flow(start, end), flow(end, start)
    visible = is_visible(back, forth)
    reliable = visible & ~boundary(back)
    return Motion(back, visible.astype(np.float32), reliable.astype(np.float32))


def flow(start_frame: Pixels, end_frame: Pixels) -> Field:
    """Return the displacement of each pixel of `start_frame`, (H, W), to its place in `end_frame`, (H, W, 2) px."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = start_frame.shape
    # OpenCV's coarsest patches need a minimum size.
    pad = [(0, max(0, _LEAST_SIDE - height)), (0, max(0, _LEAST_SIDE - width))]
    threads = cv2.getNumThreads()
    # With several threads OpenCV searches in as many strips, and the result depends on their number.
    cv2.setNumThreads(1)
    try:
        start, end = (np.pad(frame, pad, mode="edge") for frame in (start_frame, end_frame))
        vectors = search.calc(start, end, np.zeros((*start.shape, 2), np.float32))
    finally:
        cv2.setNumThreads(threads)
    return np.ascontiguousarray(vectors[:height, :width], dtype=np.float32)


def is_visible(back: Field, forth: Field) -> NDArray[np.bool_]:
    """Return where `forth` leads back to the pixel that `back` started from: Sundaram et al. 2010."""
    height, width = back.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = columns + back[..., 0], rows + back[..., 1]
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.square(returned + back).sum(-1)
    sizes = np.square(returned).sum(-1) + np.square(back).sum(-1)
    # Ruder et al. 2016, detection of disocclusions.
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    visible: NDArray[np.bool_] = inside & (apart <= 0.01 * sizes + 0.5)
    return visible


def boundary(back: Field) -> NDArray[np.bool_]:
    """Return the motion boundaries: pixels at which the flow changes. Ruder et al. 2016."""
    changes = sum(np.square(np.gradient(back[..., axis], axis=along)) for axis in (0, 1) for along in (0, 1))
    edge: NDArray[np.bool_] = changes > 0.01 * np.square(back).sum(-1) + 0.002
    return edge


def _grey(frame: Pixels) -> Pixels:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


# The minimum side that OpenCV's error message names.
_LEAST_SIDE: Final = 12
