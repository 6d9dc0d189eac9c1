"""How large a picture may be. Checked against the header, before anything is decoded."""

from dataclasses import dataclass

from impasto.errors import PictureError
from impasto.messages import shown


@dataclass(frozen=True)
class Limits:
    """The largest picture that is read.

    A file of a few hundred bytes can declare billions of pixels, so the declared size is checked first.

    Attributes:
        max_pixels: Height times width.
        max_side: The longer side, px.
        max_file_bytes: The size of the file.
    """

    # Where Pillow, too, stops by default (2 x 1 GiB / 4 / 3). A medium-format frame of 150 million pixels still fits,
    # and float32 pixels at the limit take 2.1 GB. Pillow's own copy of the limit still holds for WebP alone, which is
    # why a WebP above it is refused even where this is raised.
    max_pixels: int = 178_956_970
    # Ours: above the 65,535 of a JPEG; a long thin scroll fits.
    max_side: int = 100_000
    # Ours: an uncompressed 16-bit RGBA picture of max_pixels takes 1.4 GB.
    max_file_bytes: int = 2 * 1024**3

    def check(self, width: int, height: int, name: str) -> None:
        """Refuse a picture that declares more than the limits, or no pixels at all.

        Raises:
            PictureError: The size is outside the limits; the message names the file and the limit.
        """
        if width < 1 or height < 1:
            raise PictureError(f"{shown(name)}: declares {width} x {height} pixels, so it holds no picture")
        size = f"{width:,} x {height:,} pixels"
        if width * height > self.max_pixels:
            raise PictureError(
                f"{shown(name)}: {size} is over the limit of {self.max_pixels:,} pixels; "
                "make it smaller, or raise max_pixels if you trust the file"
            )
        if max(width, height) > self.max_side:
            raise PictureError(
                f"{shown(name)}: {size} is over the limit of {self.max_side:,} pixels a side; "
                "make it smaller, or raise max_side if you trust the file"
            )

    def check_bytes(self, count: int, name: str) -> None:
        """Refuse a file of more than `max_file_bytes` bytes.

        Raises:
            PictureError: The file is too large.
        """
        if count > self.max_file_bytes:
            raise PictureError(
                f"{shown(name)}: the file is over the limit of {self.max_file_bytes:,} bytes; "
                "make it smaller, or raise max_file_bytes if you trust the file"
            )


DEFAULT_LIMITS = Limits()
