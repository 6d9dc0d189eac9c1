"""Limits on clips: checked before frames are decoded, and again while they are."""

from dataclasses import dataclass

from impasto.errors import FilmError
from impasto.system.text import printable


@dataclass(frozen=True)
class FilmLimits:
    """The largest clip that is read.

    Attributes:
        max_pixels: height times width of a frame.
        max_side: the longer side of a frame, px.
        max_file_bytes: of the file.
        max_seconds: of the duration.
        max_frames: number of frames.
        max_streams: number of streams of any kind.

    """

    # Ours: 8192 x 4320, the largest format of cameras.
    max_pixels: int = 8192 * 4320
    # Ours: the limit of H.264 and HEVC at their highest levels.
    max_side: int = 16384
    # Ours: four hours at 35 Mbit/s.
    max_file_bytes: int = 64 * 1024**3
    # Ours: a long feature film.
    max_seconds: float = 4 * 3600.0
    # Ours: four hours at 60 frames a second.
    max_frames: int = 4 * 3600 * 60
    # Ours: a disc with many languages has about fifty.
    max_streams: int = 100

    def check_bytes(self, count: int, name: str) -> None:
        """Refuse a file over the limit."""
        self._check(count, self.max_file_bytes, "bytes", name)

    def check_size(self, width: int, height: int, name: str) -> None:
        """Refuse frames over the limits, or of no size.

        Args:
            width: in pixels.
            height: in pixels.
            name: of the film, for messages.

        Raises:
            FilmError: the size is outside the limits.

        """
        if width < 1 or height < 1:
            raise FilmError(f"{printable(name)}: declares frames of {width} x {height} pixels, so it shows nothing")
        self._check(width * height, self.max_pixels, "pixels a frame", name)
        self._check(max(width, height), self.max_side, "pixels a side", name)

    def check_length(self, seconds: float, name: str) -> None:
        """Refuse a clip whose duration is over the limit."""
        self._check(seconds, self.max_seconds, "seconds", name)

    def check_frames(self, count: int, name: str) -> None:
        """Refuse a clip with too many frames."""
        self._check(count, self.max_frames, "frames", name)

    def _check(self, value: float, limit: float, quantity: str, name: str) -> None:
        if not value <= limit:
            raise FilmError(
                f"{printable(name)}: {value:,.0f} {quantity} are over the limit of {limit:,.0f}; cut the clip shorter"
            )


DEFAULT_LIMITS = FilmLimits()
