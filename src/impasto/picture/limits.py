"""How large a picture may be, in every way a file can be large: checked before anything is decoded.

One object for every decoder, and for every surface that reads what strangers send. There is no clock in it: a decoder
cannot be stopped from inside its process. What its time follows (pixels, scans, parts) is counted instead; whoever
needs a clock reads in a process that can be killed. Of an animation one frame is decoded, so frames need no limit.
"""

from dataclasses import dataclass

from impasto.errors import PictureError
from impasto.system.text import printable


@dataclass(frozen=True)
class Limits:
    """The largest picture that is read.

    A file of a few hundred bytes can declare billions of pixels, so the declared size is checked first.

    Attributes:
        max_pixels: Height times width.
        max_side: The longer side, px.
        max_file_bytes: The size of the file.
        max_pixel_bytes: What a pixel takes decoded, in a picture of `max_pixels`; in a smaller one it may be more.
        max_parts: The chunks of a PNG, the segments of a JPEG, the strips or tiles of a TIFF and the numbers in a tag.
        max_scans: The scans of a progressive JPEG, each of which goes over the whole picture.
        max_profile_bytes: An ICC profile; a longer one is ignored, and a note says so.
        max_exif_bytes: EXIF data; longer ones are ignored, and a note says so.
    """

    # Where Pillow, too, stops by default (2 x 1 GiB / 4 / 3). A medium-format frame of 150 million pixels still fits,
    # and float32 pixels at the limit take 2.1 GB. Pillow's own copy of the limit still holds for WebP alone, which is
    # why a WebP above it is refused even where this is raised.
    max_pixels: int = 178_956_970
    # Ours: above the 65,535 of a JPEG; a long thin scroll fits.
    max_side: int = 100_000
    # Ours: an uncompressed 16-bit RGBA picture of max_pixels takes 1.4 GB.
    max_file_bytes: int = 2 * 1024**3
    # Ours: float32 RGBA.
    max_pixel_bytes: int = 16
    # Ours: libpng's chunks of 8 kB hold 1.6 GB in so many; a picture of max_pixels in tiles of 64 x 64 has 44,000.
    max_parts: int = 200_000
    # Ours: encoders make about 10; libjpeg-turbo's own fuzzers give up at 500.
    max_scans: int = 100
    # Ours: the largest CMYK profiles take 3 MB.
    max_profile_bytes: int = 32 * 1024**2
    # Ours: what a painting remembers (1 MB at most) and the photo's credits; cameras stay under a JPEG's 65 kB.
    max_exif_bytes: int = 2 * 1024**2

    def check(self, width: int, height: int, name: str) -> None:
        """Refuse a picture that declares more than the limits, or no pixels at all.

        Args:
            width: in pixels.
            height: in pixels.
            name: of the file, for messages.

        Raises:
            PictureError: The size is outside the limits; the message names the file and the limit.
        """
        if width < 1 or height < 1:
            raise PictureError(f"{printable(name)}: declares {width} x {height} pixels, so it holds no picture")
        size = f"{width:,} x {height:,} pixels"
        if width * height > self.max_pixels:
            raise PictureError(
                f"{printable(name)}: {size} is over the limit of {self.max_pixels:,} pixels; "
                "make it smaller, or raise max_pixels if you trust the file"
            )
        if max(width, height) > self.max_side:
            raise PictureError(
                f"{printable(name)}: {size} is over the limit of {self.max_side:,} pixels a side; "
                "make it smaller, or raise max_side if you trust the file"
            )

    def check_bytes(self, count: int, name: str) -> None:
        """Refuse a file of more than `max_file_bytes` bytes.

        Raises:
            PictureError: The file is too large.
        """
        if count > self.max_file_bytes:
            raise PictureError(
                f"{printable(name)}: the file is over the limit of {self.max_file_bytes:,} bytes; "
                "make it smaller, or raise max_file_bytes if you trust the file"
            )

    def check_decoded(self, count: int, name: str) -> None:
        """Refuse pixels that take more than `max_pixels` x `max_pixel_bytes` bytes as they are stored.

        Raises:
            PictureError: They take more.
        """
        limit = self.max_pixels * self.max_pixel_bytes
        if count > limit:
            raise PictureError(
                f"{printable(name)}: its pixels take {count:,} bytes, over the limit of {limit:,}; "
                "save it with fewer channels or bits, or raise max_pixel_bytes if you trust the file"
            )

    def check_parts(self, count: int, name: str) -> None:
        """Refuse a file of more than `max_parts` chunks, segments, strips or tiles.

        Raises:
            PictureError: It has more.
        """
        if count > self.max_parts:
            raise PictureError(
                f"{printable(name)}: is in more than {self.max_parts:,} parts; "
                "save it anew elsewhere, or raise max_parts if you trust the file"
            )

    def check_scans(self, count: int, name: str) -> None:
        """Refuse a JPEG of more than `max_scans` scans.

        Raises:
            PictureError: It has more.
        """
        if count > self.max_scans:
            raise PictureError(
                f"{printable(name)}: is a JPEG of more than {self.max_scans:,} scans; "
                "save it anew elsewhere, or raise max_scans if you trust the file"
            )


DEFAULT_LIMITS = Limits()
