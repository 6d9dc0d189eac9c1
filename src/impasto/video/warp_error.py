"""How much a film flickers: what its frames differ by from those before them, moved to where they are now.

The warp error of Lai et al. 2018, "Learning Blind Video Temporal Consistency", of the painted film and of the clip
itself, whose own is what noise, light and the flow's errors make of it.
"""

import math
from dataclasses import dataclass

import torch

from impasto.ops.shapes import Image
from impasto.video.flow import Motion


@dataclass
class WarpError:
    """Warp errors, added up as the film goes; scene cuts are left out by whoever adds.

    Attributes:
        pixels: how many were compared.
        painted: sum of the squared differences in the painted film.
        filmed: the same in the clip.

    """

    pixels: float = 0.0
    painted: float = 0.0
    filmed: float = 0.0

    def add(self, motion: Motion, painted: tuple[Image, Image], filmed: tuple[Image, Image]) -> None:
        """Compare two frames, each as (now, before), where the motion between them is certain."""
        certain = torch.from_numpy(motion.reliable)
        self.pixels += float(certain.sum())
        self.painted += _squared_error(motion, *painted)
        self.filmed += _squared_error(motion, *filmed)

    @property
    def of_painted(self) -> float:
        """Root of the mean squared warp error of the painted film, in levels of 255; 0 if nothing was compared."""
        return self._levels(self.painted)

    @property
    def of_filmed(self) -> float:
        """The same of the clip."""
        return self._levels(self.filmed)

    def _levels(self, total: float) -> float:
        return 255 * math.sqrt(total / (3 * self.pixels)) if self.pixels else 0.0


def _squared_error(motion: Motion, frame: Image, before: Image) -> float:
    certain = torch.from_numpy(motion.reliable)
    return float((certain * (frame - motion.warp(before)).square()).sum(dtype=torch.float64))
