"""A geometric print: translucent shapes in a warm and a cool family of inks."""

import numpy as np
from PIL import Image, ImageDraw
from skimage import color

from samples.paint import HEIGHT, WIDTH, Array, Random, U, V, lit, noise, over, ramp, rgb, step

BOXES = (  # left, top, width, height, inks
    (0, 0, 0.42, 0.55, "e9b44c f4e1a6"),
    (0.42, 0, 0.83, 0.31, "6f9c9a d9d3b4"),
    (0.85, 0.31, 0.4, 0.69, "22395c 5d86a3"),
    (0, 0.55, 0.32, 0.45, "a83a2a e08a5a"),
    (0.32, 0.76, 0.53, 0.24, "24565c 82a898"),
)
DISCS = (  # centre, radius, radius of the hole, inks
    (0.50, 0.47, 0.31, 0.0, "c8321f f08a3c"),
    (0.26, 0.30, 0.19, 0.0, "1d4e89 4aa3c7"),
    (0.80, 0.62, 0.21, 0.0, "f2b705 f7dc7a"),
    (0.50, 0.47, 0.20, 0.15, "161a2b 3a3550"),
    (1.02, 0.18, 0.14, 0.0, "d9481c f2a33c"),
    (0.66, 0.30, 0.09, 0.0, "f4e7c8 e9c9a0"),
    (0.16, 0.78, 0.13, 0.09, "f4e7c8 f2b705"),
    (1.10, 0.80, 0.12, 0.0, "b3202c e4572e"),
    (1.10, 0.80, 0.065, 0.0, "f4e7c8 f7dc7a"),
    (0.26, 0.30, 0.07, 0.0, "161a2b 1d2f57"),
    (0.95, 0.93, 0.16, 0.135, "161a2b 161a2b"),
)
BARS = (  # centre, length, half width, tilt in radians, inks
    (0.62, 0.50, 1.5, 0.016, 2.45, "161a2b 2b2438"),
    (0.45, 0.62, 0.50, 0.045, 2.45, "1d6f6b 7fc2a8"),
    (0.85, 0.40, 0.36, 0.028, 2.45, "b3202c e4572e"),
    (0.30, 0.55, 1.4, 0.007, 0.30, "161a2b 161a2b"),
    (0.86, 0.20, 0.30, 0.020, 0.88, "1d4e89 2a9d8f"),
    (0.20, 0.62, 0.24, 0.030, 0.88, "f2b705 f08a3c"),
    (0.68, 0.86, 0.34, 0.018, 0.0, "d9481c f2b705"),
    (0.75, 0.91, 0.20, 0.010, 0.0, "f4e7c8 f4e7c8"),
)
CORNERS = (  # three corners, clockwise, inks
    ((0.05, 0.52), (0.44, 0.95), (0.02, 0.97), "274060 5aa9c4"),
    ((0.70, 0.04), (0.98, 0.44), (0.60, 0.40), "e9b44c f08a3c"),
    ((0.92, 0.46), (1.22, 0.62), (0.98, 0.74), "7a1f5c d9481c"),
    ((0.05, 0.04), (0.22, 0.02), (0.09, 0.20), "d9481c b3202c"),
    ((0.36, 0.80), (0.56, 0.97), (0.34, 0.98), "f4e7c8 e9b44c"),
)


def bauhaus(rng: Random) -> Array:
    """Circles, bars and triangles of translucent colour over each other, screen-printed with grain."""
    out = ramp(np.clip(0.2 + 0.5 * V + 0.6 * (noise(rng, 500, 5) - 0.5), 0, 1), "f3dfb4 eac891 d9a877")
    for u, v, wide, high, tints in BOXES:
        inside = np.minimum(np.minimum(U - u, u + wide - U), np.minimum(V - v, v + high - V))
        out = pressed(rng, out, inside, tints, 0.85)
    for u, v, radius, hole, tints in DISCS:
        distance = np.hypot(U - u, V - v)
        out = pressed(rng, out, np.minimum(radius - distance, distance - hole if hole else radius), tints, 0.82)
    for u, v, length, half, tilt, tints in BARS:
        along = (U - u) * np.cos(tilt) + (V - v) * np.sin(tilt)
        aside = (V - v) * np.cos(tilt) - (U - u) * np.sin(tilt)
        out = pressed(rng, out, np.minimum(half - np.abs(aside), length / 2 - np.abs(along)), tints, 0.9)
    for *points, tints in CORNERS:
        sides = [
            (U - a[0]) * (a[1] - b[1]) + (V - a[1]) * (b[0] - a[0])
            for a, b in zip(points, points[1:] + points[:1], strict=True)
        ]
        out = pressed(rng, out, np.minimum.reduce(sides) * 3, tints, 0.82)
    return inked(rng, out)


def pressed(rng: Random, below: Array, inside: Array, tints: str, strength: float) -> Array:
    """A shape printed in a gradient of two inks, a little see-through, often hatched, dotted or ringed."""
    turn = rng.uniform(0, 2 * np.pi)
    t = 0.5 + 0.9 * ((U - 0.62) * np.cos(turn) + (V - 0.5) * np.sin(turn)) + 0.5 * (noise(rng, 200, 5) - 0.5)
    t = np.clip(t + 0.35 * (rng.random(t.shape) - 0.5), 0, 1)
    tint = ramp(t, tints)
    pitch, kind = rng.uniform(0.012, 0.02), rng.integers(0, 5)
    x, y = U * np.cos(turn) + V * np.sin(turn), V * np.cos(turn) - U * np.sin(turn)
    pattern = {
        0: np.sin(2 * np.pi * x / pitch),
        1: np.sin(2 * np.pi * inside / pitch / 1.5),
        2: np.sin(2 * np.pi * x / pitch) + np.sin(2 * np.pi * y / pitch) - 0.4,
    }.get(int(kind), np.full_like(U, -1.0))
    tint = tint * (1 - 0.30 * step(pattern, 0.5) * step(0.75 - t, 0.5))[..., None]
    worn = strength * (0.75 + 0.5 * noise(rng, 7, 2)) * (0.88 + 0.24 * noise(rng, 160))
    shadow = below * (1 - 0.22 * np.exp(-((np.minimum(inside, 0) / 0.012) ** 2)) * (inside < 0))[..., None]
    mixed = 0.62 * tint + 0.38 * np.sqrt(tint * np.clip(below, 0, 1))
    return over(shadow, mixed, np.clip(worn, 0, 0.97) * step(inside + 0.003 * (noise(rng, 10, 2) - 0.5), 0.0025))


def inked(rng: Random, out: Array) -> Array:
    """Thin black lines over the shapes, a board of squares, and the tooth of the paper."""
    ink = Image.new("L", (WIDTH, HEIGHT), 0)
    pen = ImageDraw.Draw(ink)
    for i in range(7):
        pen.line([(0, 300 + 13 * i), (520, 90 + 13 * i)], fill=255, width=3 + 3 * (i % 3 == 0))
        pen.arc(
            [560 - 44 * i, 440 - 44 * i, 760 + 44 * i, 640 + 44 * i],
            200 - 9 * i,
            262 + 7 * i,
            fill=255,
            width=3 + i % 3,
        )
        pen.arc([930 + 16 * i, 60 + 16 * i, 1230 - 16 * i, 360 - 16 * i], 90, 270, fill=255, width=4)
        pen.line([(880 + 34 * i, 470), (1240, 640 + 50 * i)], fill=255, width=3)
        for j in range(5):
            if (i + j) % 2:
                pen.rectangle([60 + 28 * i, 900 + 28 * j, 88 + 28 * i, 928 + 28 * j], fill=255)
                pen.rectangle([780 + 18 * i, 30 + 18 * j, 798 + 18 * i, 48 + 18 * j], fill=255)
    cover = np.asarray(ink) / 255 * np.clip(0.55 + 0.9 * noise(rng, 6, 2), 0, 1)
    out = over(out, np.broadcast_to(rgb("15131c"), out.shape), cover * 0.92)
    out = np.clip(out * (0.96 + 0.18 * noise(rng, 3, 2))[..., None], 0, 1)
    vivid = color.hsv2rgb(color.rgb2hsv(out) * [1, 1.28, 1.0])
    return lit(np.clip((vivid - 0.5) * 1.22 + 0.53, 0, 1), 14 * noise(rng, 10, 4), 0.028)
