"""The settings of a film beyond the recipe of its frames. No torch."""

from dataclasses import dataclass
from typing import Final

from impasto.recipe import settings
from impasto.recipe.settings import setting
from impasto.system.tables import Table


@dataclass(frozen=True)
class FilmSettings:
    """How a frame follows from those before it.

    Raises:
        RecipeError: a field is out of type or range.

    """

    # Ours, measured: docs/video.md.
    temporal_weight: float = setting(
        15.0, help="how much a frame is kept like those before it, where it shows the same", minimum=0
    )
    frame_steps: int = setting(8, help="steps of a frame that goes on from the one before it", minimum=1)
    long_term: tuple[int, ...] = setting(
        (1, 4, 8),
        help="how many frames back each is compared: the first of them where a pixel was in sight counts",
        minimum=1,
        maximum=64,
    )
    cut: float = setting(
        0.6,
        help="a scene is over where a larger share of pixels than this is in none of the frame before",
        above=0,
        maximum=1,
    )

    def __post_init__(self) -> None:
        settings.check(self)

    @property
    def lags(self) -> tuple[int, ...]:
        """Distances in frames to the earlier frames compared with, nearest first; always with the frame before."""
        return tuple(sorted({1, *self.long_term}))

    def to_table(self) -> Table:
        """Return the settings as a table of plain values."""
        return settings.to_table(self)


# The formats that a film can be written in, by ending: those that take H.264 and most audio codecs.
OUTPUTS: Final = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
