"""What has moved where between two frames, and how far that can be believed.

Optical flow: dense inverse search, Kroeger, Timofte, Dai and Van Gool 2016, by OpenCV; both ways, so that what one way
says can be checked by the other. Ruder, Dosovitskiy and Brox 2016.
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
Field = NDArray[np.float32]  # (H, W, 2): how far to the right and down, px


@dataclass(frozen=True)
class Motion:
    """Where what a frame shows was in an earlier one.

    Attributes:
        back: (H, W, 2) from each pixel of the frame to where it was, px.
        seen: (H, W) 1 where it was in sight; 0 where it was hidden or outside.
        certain: (H, W) 1 where that can be relied on: where it was in sight, and not at the border of a motion.

    """

    back: Field
    seen: Field
    reliable: Field

    @property
    def lost(self) -> float:
        """Share of the pixels that were hidden or outside."""
        return 1 - float(self.seen.mean())

    def warp(self, earlier: Planes) -> Planes:
        """Return planes of the earlier frame, (1, C, H, W), moved to where they are now.

        Bicubic: what is warped again and again is blurred far less than by bilinear sampling.
        """
        height, width = self.back.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        # To grid_sample's units, in which -1 and 1 are the outer edges of the first and last pixel.
        x = (2 * (columns + self.back[..., 0]) + 1) / width - 1
        y = (2 * (rows + self.back[..., 1]) + 1) / height - 1
        grid = torch.from_numpy(np.stack([x, y], axis=-1))[None].to(earlier)
        moved = F.grid_sample(earlier, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return moved.clamp(0, 1)


def motion(frame: Pixels, earlier: Pixels) -> Motion:
    """Return where what is seen `frame` was `earlier`: frames (H, W, 3) of one size, sRGB."""
    start, end = _grey(frame), _grey(earlier)
    back, forth = flow(start, end), flow(end, start)
    visible = is_visible(back, forth)
    certain = visible & ~boundary(back)
    return Motion(back, visible.astype(np.float32), certain.astype(np.float32))


def flow(start_frame: Pixels, end_frame: Pixels) -> Field:
    """Return how far each pixel of `start_frame`, (H, W), is from where it is in `end_frame`, (H, W, 2) px."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = start_frame.shape
    # Its coarsest patches need some pixels to be in.
    pad = [(0, max(0, _LEAST_SIDE - height)), (0, max(0, _LEAST_SIDE - width))]
    threads = cv2.getNumThreads()
    # It searches in as many strips as there are threads, and each strip comes out a little different.
    cv2.setNumThreads(1)
    try:
        start, end = (np.pad(frame, pad, mode="edge") for frame in (start_frame, end_frame))
        vectors = search.calc(start, end, np.zeros((*start.shape, 2), np.float32))
    finally:
        cv2.setNumThreads(threads)
    return np.ascontiguousarray(vectors[:height, :width], dtype=np.float32)


def is_visible(back: Field, forth: Field) -> NDArray[np.bool_]:
    """Return where `back` leads to a place in the frame from which `forth` leads back again: Sundaram et al. 2010."""
    height, width = back.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = columns + back[..., 0], rows + back[..., 1]
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = np.square(returned + back).sum(-1)
    sizes = np.square(returned).sum(-1) + np.square(back).sum(-1)
    # Ruder et al. 2016, on the detection of disocclusion.
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    visible: NDArray[np.bool_] = inside & (apart <= 0.01 * sizes + 0.5)
    return visible


def boundary(back: Field) -> NDArray[np.bool_]:
    """Return where the motion changes from one pixel to the next: Ruder et al. 2016."""
    changes = sum(np.square(np.gradient(back[..., axis], axis=along)) for axis in (0, 1) for along in (0, 1))
    edge: NDArray[np.bool_] = changes > 0.01 * np.square(back).sum(-1) + 0.002
    return edge


def _grey(frame: Pixels) -> Pixels:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey, np.uint8)


# What it says itself when it fails, of one side or the other.
_LEAST_SIDE: Final = 12
