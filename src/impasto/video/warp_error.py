"""The warp error: how much a film flickers. Lai et al. 2018, "Learning Blind Video Temporal Consistency".

Each frame is compared with the frame before, warped to it. The error of the clip itself is that of noise, light and the
flow; the painted film's is compared with it.
"""

import math
from dataclasses import dataclass

import torch

from impasto.ops.shapes import Image
from impasto.video.flow import Motion


@dataclass
class WarpError:
    """Warp errors, summed over the frames of a film; the caller leaves out scene cuts.

    Attributes:
        pixels: number of pixels compared.
        painted: sum of squared differences in the painted film.
        filmed: sum of squared differences in the clip.

    """

    pixels: float = 0.0
    painted: float = 0.0
    filmed: float = 0.0

    def add(self, motion: Motion, painted: tuple[Image, Image], filmed: tuple[Image, Image]) -> None:
        """Compare two frames, each pair as (present, before), where the motion between them is reliable.

        Args:
            motion: from the frame before to the present one, and where it is reliable.
            painted: the painted frames.
            filmed: the film's own.

        """
        certain = torch.from_numpy(motion.reliable)
        self.pixels += float(certain.sum())
        self.painted += _squared_error(motion, *painted)
        self.filmed += _squared_error(motion, *filmed)

    @property
    def of_painted(self) -> float:
        """Root mean square warp error of the painted film, in levels of 255; 0 if nothing was compared."""
        return self._levels(self.painted)

    @property
    def of_filmed(self) -> float:
        """Root mean square warp error of the clip, likewise."""
        return self._levels(self.filmed)

    def _levels(self, total: float) -> float:
        return 255 * math.sqrt(total / (3 * self.pixels)) if self.pixels else 0.0


def _squared_error(motion: Motion, frame: Image, before: Image) -> float:
    certain = torch.from_numpy(motion.reliable)
    return float((certain * (frame - motion.warp(before)).square()).sum(dtype=torch.float64))
