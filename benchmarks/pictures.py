"""Square pictures of any size, made from the samples, so that the size alone decides the number of pixels."""

from pathlib import Path

from PIL import Image

from benchmarks.records import SAMPLES

CONTENT = SAMPLES / "astronaut.jpg"
STYLE = SAMPLES / "autumn_knife.jpg"


def square(source: Path, out: Path, size: int) -> Path:
    """Write the middle square of a picture, `size` pixels wide, as JPEG at `out`, and return that."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    picture.resize((size, size), Image.Resampling.BICUBIC, box).save(out, quality=95)
    return out


def pair(folder: Path, size: int) -> tuple[str, str]:
    """Write a photo and a painting into `folder` and return their paths."""
    content = square(CONTENT, folder / f"content-{size}.jpg", size)
    style = square(STYLE, folder / f"style-{size}.jpg", size)
    return str(content), str(style)
