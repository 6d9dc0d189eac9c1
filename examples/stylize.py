"""The shortest program: a photo, a painting, a picture.

python examples/stylize.py [OUT]
"""

import sys
from pathlib import Path

import impasto

PICTURES = Path(__file__).parent / "pictures"


def main(out: str = "cat.png", size: int = 256) -> None:
    """Paint the cat as a watercolour."""
    picture = impasto.stylize(PICTURES / "chelsea.jpg", PICTURES / "watercolor.jpg", size=size)
    picture.save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
