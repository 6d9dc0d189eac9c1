"""Paint and paper: colours, noise, edges and light, as arrays over one canvas.

Everything is painted at twice the size of the file and halved, which smooths every edge. Positions are in units of the
picture's height: u runs from 0 to 1.25 to the right, v from 0 to 1 downwards.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]  # (H, W) maps, (H, W, 3) sRGB colours in [0, 1], (N, 2) points as x, y in px
Random = np.random.Generator

WIDTH, HEIGHT = 1280, 1024  # px, twice the size of the files
V, U = np.mgrid[0:HEIGHT, 0:WIDTH] / HEIGHT


def rgb(text: str) -> Array:
    """Colours (N, 3) of space-separated hex words, or (3,) of one."""
    rows = np.array([[int(word[i : i + 2], 16) / 255 for i in (0, 2, 4)] for word in text.split()])
    return rows if len(rows) > 1 else rows[0]


def ramp(t: Array, stops: str) -> Array:
    """Colour of each value in [0, 1], the stops being evenly spaced."""
    table = rgb(stops)
    return np.stack([np.interp(t, np.linspace(0, 1, len(table)), table[:, i]) for i in range(3)], -1)


def noise(rng: Random, scale: float, octaves: int = 4, stretch: float = 1.0) -> Array:
    """Cloudy noise, mean 0.5, mostly in [0, 1]; `scale` is the largest blob in px, `stretch` its width over height."""
    total = np.zeros((HEIGHT, WIDTH))
    for octave in range(octaves):
        cell = scale / 2**octave
        rows, columns = int(HEIGHT / cell) + 3, int(WIDTH / cell / stretch) + 3
        small = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        total += np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 2**octave
    return 0.5 + 0.22 * (total - total.mean()) / total.std()


def step(f: Array, width: float | Array) -> Array:
    """0 to 1 as f rises through 0, over about `width`."""
    return 1 / (1 + np.exp(-np.clip(4 * f / width, -40, 40)))


def over(below: Array, above: Array, cover: Array) -> Array:
    """`above` laid over `below` where `cover` is 1."""
    return below + (above - below) * cover[..., None]


def at(field: Array, points: Array) -> Array:
    """Values of a map at points (N, 2) given as x, y in px; outside, the nearest."""
    x = np.clip(points[:, 0].astype(int), 0, WIDTH - 1)
    y = np.clip(points[:, 1].astype(int), 0, HEIGHT - 1)
    return field[y, x]


def lit(colors: Array, height: Array, relief: float) -> Array:
    """Return colours of thick paint lit from the upper left: slopes are shaded, ridges have highlights."""
    rows, columns = np.gradient(gaussian_filter(height, 0.9))
    slope = np.clip((rows + columns) * relief, -1, 1)
    shaded = colors * (1 + 0.55 * slope[..., None])
    return np.clip(shaded + 0.22 * np.clip(slope - 0.35, 0, 1)[..., None], 0, 1)


def halved(pixels: Array) -> Image.Image:
    """The picture at the size of its file."""
    large = Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))
    return large.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.LANCZOS)
