"""Pictures in thick paint: bristle strokes along a field of directions, lit from one side."""

import numpy as np
from PIL import Image, ImageDraw

from samples.paint import HEIGHT, WIDTH, Array, Random, U, V, at, lit, noise, over, ramp, step


class Canvas:
    """A canvas: colours and heights of the paint, changed by bristle strokes."""

    def __init__(self, ground: Array, rng: Random) -> None:
        self.rng = rng
        self.colors = Image.fromarray((np.clip(ground, 0, 1) * 255).astype(np.uint8))
        self.height = Image.new("L", (WIDTH, HEIGHT), 60)

    def strokes(
        self, target: Array, angle: Array, *, count: int, length: float, width: float, jitter: float, where: Array
    ) -> None:
        """Lay `count` strokes along `angle` (radians) where `where` is above chance; lengths and widths in px."""
        starts = self.rng.uniform((-0.02 * HEIGHT,) * 2, (1.02 * WIDTH, 1.02 * HEIGHT), (count, 2))
        starts = starts[at(where, starts) > self.rng.random(count)]
        lengths = length * self.rng.uniform(0.5, 1.3, len(starts))
        paths = follow(angle, starts, lengths)
        tones = at(target, paths[:, 3]) + self.rng.normal(0, jitter, (len(starts), 1))
        tones += self.rng.normal(0, jitter * 0.6, (len(starts), 3))
        ink, relief = ImageDraw.Draw(self.colors), ImageDraw.Draw(self.height)
        for path, tone in zip(paths, tones, strict=True):
            self.stroke(ink, relief, path, tone, width * self.rng.uniform(0.6, 1.25), jitter)

    def stroke(
        self,
        ink: ImageDraw.ImageDraw,
        relief: ImageDraw.ImageDraw,
        path: Array,
        tone: Array,
        width: float,
        jitter: float,
    ) -> None:
        """One stroke: bristles side by side, each a little off in colour, ragged at the ends, high at the rims."""
        along = np.gradient(path, axis=0)
        normal = np.stack([-along[:, 1], along[:, 0]], -1) / (np.hypot(*along.T)[:, None] + 1e-6)
        taper = np.array([0.75, 0.95, 1, 1, 1, 0.9, 0.6])[:, None]
        bristles = max(3, round(width / 2))
        base = self.rng.uniform(70, 150)
        for place in np.linspace(-0.5, 0.5, bristles):
            first, last = self.rng.integers(0, 2), 7 - self.rng.integers(0, 2)
            points = [tuple(point) for point in (path + normal * taper * place * width)[first:last]]
            shade = np.clip(tone + self.rng.normal(0, jitter * 0.7), 0, 1) * 255
            ink.line(points, fill=tuple(int(part) for part in shade), width=3, joint="curve")
            rim = 55 * (abs(place) * 2) ** 3
            relief.line(points, fill=int(np.clip(base + rim + self.rng.normal(0, 22), 0, 255)), width=3)

    def pixels(self, relief: float = 0.02) -> Array:
        """Return the finished picture, lit from one side."""
        return lit(np.asarray(self.colors) / 255, np.asarray(self.height, dtype=np.float64), relief)


def follow(angle: Array, starts: Array, lengths: Array) -> Array:
    """Paths (N, 7, 2) through the starting points along a field of angles."""
    middle = [starts]
    for sign in (1, -1):
        here = starts
        for _ in range(3):
            theta = at(angle, here)
            here = here + sign * (lengths / 6)[:, None] * np.stack([np.cos(theta), np.sin(theta)], -1)
            middle = [*middle, here] if sign > 0 else [here, *middle]
    return np.stack(middle, 1)


def night_swirls(rng: Random) -> Array:
    """A night sky that turns in eddies round its stars, over hills and a lake that mirrors the lights."""
    eddies = [(0.52, 0.30, 0.21, 2.6), (0.86, 0.40, 0.13, -2.2), (0.20, 0.13, 0.12, -1.8), (0.98, 0.62, 0.1, 1.5)]
    stars = [(1.06, 0.14, 0.085), (0.16, 0.36, 0.05), (0.36, 0.10, 0.04), (0.74, 0.12, 0.045), (0.33, 0.55, 0.04)]
    stars += [(1.16, 0.40, 0.04), (0.68, 0.52, 0.035), (0.05, 0.12, 0.035), (0.90, 0.24, 0.028), (0.06, 0.58, 0.03)]
    across, down = 0.8 * np.ones_like(U), 0.3 * np.sin(5 * U + 3 * V) + 0.12
    swirl = 3 * V + 0.5 * noise(rng, 300)
    for u, v, radius, turn in [*eddies, *((u, v, 1.1 * r, 2.5) for u, v, r in stars)]:
        pull = turn * np.exp(-((np.hypot(U - u, V - v) / radius) ** 2))
        across, down = across - pull * (V - v) / radius, down + pull * (U - u) / radius
        swirl = swirl + np.sign(turn) * 0.8 * np.exp(-((np.hypot(U - u, V - v) / radius) ** 2))
    angle = np.arctan2(down, across)
    bands = 0.5 + 0.33 * np.sin(9 * swirl) + 0.5 * (noise(rng, 60) - 0.5)
    sky = ramp(bands, "0a1436 12256b 1d47a0 2f74c4 6fb3d6 cfe6d8")
    for u, v, radius in stars:
        distance = np.hypot(U - u, V - v) / radius
        halo = ramp(
            np.clip(distance / 2.6 + 0.12 * np.sin(9 * distance), 0, 1), "fffbe0 ffe680 f7b733 c8b65a 5f9bb0 2a5fae"
        )
        sky = over(sky, halo, np.exp(-((distance / 1.9) ** 4)))
    shore = 0.80
    mirror = np.clip(((2 * shore - V) * HEIGHT - 40).astype(int), 0, HEIGHT - 1)
    glints = np.zeros_like(U)
    for u, v, radius in stars:
        glints += radius * 20 * np.exp(-(((U - u - 0.012 * np.sin(90 * V)) / (0.35 * radius + 0.006)) ** 2)) * (v > 0.1)
    lake = 0.55 * sky[mirror, (U * HEIGHT).astype(int)] + 0.1 * ramp(noise(rng, 30, 3, 5), "0a1436 1d47a0 6fb3d6")
    lake = over(
        lake, ramp(noise(rng, 20), "f7b733 ffe680 fffbe0"), np.clip(glints * noise(rng, 24, 2, 4) * 1.6, 0, 0.95)
    )
    target, angle = over(sky, lake, step(V - shore, 0.004)), np.where(shore < V, 0.12 * np.sin(18 * U + 40 * V), angle)
    for base, swell, tint in ((0.70, 0.07, "1b3f6b 24597d 3d7f8f"), (0.75, 0.05, "0d2440 14405a 2d6a5c 6f9650")):
        ridge = base - swell * np.sin(3.3 * U + 40 * base) - 0.3 * swell * np.sin(9 * U + base * 90)
        hill = step(V - ridge, 0.004) * step(shore - V, 0.004)
        slope = -swell * 3.3 * np.cos(3.3 * U + 40 * base) - 2.7 * swell * np.cos(9 * U + base * 90)
        target = over(target, ramp(noise(rng, 50, 3, 3), tint), hill)
        angle = np.where(hill > 0.5, np.arctan(slope) + 0.5 * (V - ridge) / 0.1, angle)
    canvas, everywhere = Canvas(target, rng), np.ones_like(U)
    canvas.strokes(target, angle, count=5000, length=90, width=22, jitter=0.045, where=everywhere)
    canvas.strokes(target, angle, count=9000, length=64, width=12, jitter=0.06, where=everywhere)
    bright = np.clip(target.mean(-1) * 1.5 - 0.35, 0.12, 1)
    canvas.strokes(
        np.clip(target * 1.12 + 0.03, 0, 1), angle, count=9000, length=44, width=8, jitter=0.07, where=bright
    )
    return canvas.pixels(0.024)


def autumn_knife(rng: Random) -> Array:
    """An avenue in autumn after rain, laid on with a palette knife."""
    glow = np.exp(-(((U - 0.62) / 0.22) ** 2) - (((V - 0.50) / 0.24) ** 2))
    target = ramp(np.clip(0.75 * glow + 0.5 * noise(rng, 220), 0, 1), "1d2f57 3b5b8c 8a7fa8 e8a86b ffd98a fff3c4")
    leaves = noise(rng, 130, 4) + 0.55 * np.abs(U - 0.62) - 0.75 * np.clip(V - 0.38, 0, 1) - 0.2 * glow
    foliage = ramp(
        np.clip(noise(rng, 60, 3) * 1.3 - 0.15 + 0.25 * glow, 0, 1), "5a1020 a81e1a d9421a f0801e f9b52c ffe06a"
    )
    target = over(target, foliage, step(leaves - 0.47, 0.12))
    wet = ramp(
        np.clip(noise(rng, 90, 4, 3) + 0.6 * np.exp(-(((U - 0.62) / 0.12) ** 2)) - 0.1, 0, 1),
        "1a1c3c 35345e 7a3b45 c4622c f2a24a ffe3a0",
    )
    ground = step(V - 0.62 - 0.02 * np.sin(8 * U), 0.02)
    target = over(target, wet, ground)
    angle = np.where(ground > 0.5, 0.1 * np.sin(9 * U), 3.0 * noise(rng, 160, 3))
    canvas = Canvas(target, rng)
    everywhere = np.ones_like(U)
    canvas.strokes(target, angle, count=2600, length=80, width=44, jitter=0.05, where=everywhere)
    for u, wide, top in (
        (0.08, 0.030, 0.0),
        (0.27, 0.020, 0.05),
        (0.41, 0.012, 0.2),
        (0.84, 0.014, 0.18),
        (0.97, 0.022, 0.05),
        (1.17, 0.034, 0.0),
    ):
        lean = u + 0.02 * np.sin(6 * V + 9 * u) + (u - 0.62) * 0.08 * (0.6 - V)
        trunk = step(wide * (0.5 + V) - np.abs(U - lean), 0.004) * (top < V) * step(0.63 + 0.9 * wide * 4 - V, 0.01)
        bark = ramp(
            np.clip((U - lean) / wide / 2 + 0.5 + 0.4 * (noise(rng, 30) - 0.5), 0, 1), "140d1c 33202c 6b3b34 d98a4e"
        )
        upright = np.full_like(U, np.pi / 2) + 0.12 * np.cos(6 * V + 9 * u)
        canvas.strokes(bark, upright, count=26000, length=60, width=14, jitter=0.04, where=trunk)
        image = step(wide * 0.8 - np.abs(U - lean - 0.01 * np.sin(60 * V)), 0.01) * step(V - 0.66, 0.02)
        canvas.strokes(bark * 0.9 + 0.05, 0 * U, count=9000, length=34, width=10, jitter=0.05, where=0.6 * image)
    where = np.clip(step(leaves - 0.44, 0.1) * (1 - ground) + 0.25 * ground, 0, 1)
    canvas.strokes(target, angle, count=5200, length=38, width=22, jitter=0.08, where=where)
    canvas.strokes(
        np.clip(foliage * 1.15, 0, 1), angle + 0.7, count=2600, length=24, width=14, jitter=0.08, where=0.7 * where
    )
    return canvas.pixels(0.03)
