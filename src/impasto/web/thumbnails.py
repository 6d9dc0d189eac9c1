"""Small JPEGs of pictures, for the page."""

import io
from typing import Final

from PIL import Image

from impasto.picture import Picture

# Ours, px: of inputs and stages in a large window, and of previews, which must cost next to nothing.
LARGE: Final = 1600
PREVIEW: Final = 1024
# Ours: 512 px take 40 to 70 kB; at 80, brushwork shows ringing.
_QUALITY: Final = 88


def jpeg(picture: Picture, longest: int) -> bytes:
    """Return a picture on white as a JPEG of at most `longest` pixels a side."""
    image = picture.to_pil()
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if max(image.size) > longest:
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
