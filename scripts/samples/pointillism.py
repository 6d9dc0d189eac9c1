"""A landscape in dots of divided colour."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import map_coordinates
from skimage import color

from samples.paint import HEIGHT, WIDTH, Array, Random, U, V, at, lit, noise, over, ramp, rgb, step

SHORE = 0.52  # v of the far bank


def pointillism(rng: Random) -> Array:
    """A river at dusk in dots of divided colour: each dot is purer than the tone that they make together."""
    target = dusk()
    hsv = color.rgb2hsv(np.clip(target, 0, 1))
    ground = Image.fromarray((color.hsv2rgb(hsv * [1, 0.75, 0.8]) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(ground)
    for count, radius in ((9000, 11), (30000, 7), (52000, 4.4)):
        places = rng.uniform((0, 0), (WIDTH, HEIGHT), (count, 2))
        tones = at(hsv, places).copy()
        kind = rng.random(count)
        tones[:, 0] += np.select([kind < 0.12, kind < 0.34, kind < 0.56], [0.5, 0.07, -0.07], 0.0) + rng.normal(
            0, 0.02, count
        )
        tones[:, 1] = np.clip(tones[:, 1] * np.where(kind < 0.12, 0.7, 1.25) + rng.normal(0, 0.08, count), 0, 1)
        tones[:, 2] = np.clip(tones[:, 2] * rng.choice([0.78, 1.0, 1.18], count) + rng.normal(0, 0.03, count), 0.04, 1)
        inks = (color.hsv2rgb(np.stack([tones[:, 0] % 1, tones[:, 1], tones[:, 2]], -1)[None])[0] * 255).astype(int)
        for (x, y), size, ink in zip(places, radius * rng.uniform(0.7, 1.25, (count, 2)), inks, strict=True):
            pen.ellipse([x - size[0], y - size[1], x + size[0], y + size[1]], fill=tuple(int(part) for part in ink))
    picture = np.asarray(ground) / 255
    return lit(picture, 90 * picture.mean(-1) + 20 * noise(rng, 6, 2), 0.012)


def dusk() -> Array:
    """The scene of the river at dusk, in smooth tones: the sky, the trees before it, and both in the water."""
    rng = np.random.default_rng(11)
    sky = evening(rng)
    crowns = np.full_like(U, -1.0)
    for u, v, size in (
        (0.05, 0.34, 0.15),
        (0.17, 0.40, 0.12),
        (0.27, 0.45, 0.08),
        (0.35, 0.48, 0.055),
        (1.22, 0.36, 0.10),
        (1.13, 0.44, 0.07),
        (0.47, 0.50, 0.03),
        (1.04, 0.49, 0.04),
    ):
        crowns = np.maximum(crowns, size - np.hypot(U - u, (V - v) * 0.85) + 0.05 * (noise(rng, 60, 3) - 0.5))
    for u, high in ((0.42, 0.2), (0.97, 0.16), (1.01, 0.11)):
        crowns = np.maximum(
            crowns, 0.024 * np.sin(np.pi * np.clip((V - SHORE + high) / high, 0, 1)) - np.abs(U - u) - 0.004
        )
    leaf = ramp(
        np.clip(noise(rng, 50, 4) + 0.9 * (SHORE - V) - 0.25 + 0.2 * np.exp(-(((U - 0.8) / 0.3) ** 2)), 0, 1),
        "0d2036 14405a 1f6b52 6f9a3a e0b440",
    )
    bank = over(sky, leaf, np.maximum(step(crowns, 0.008), step(V - SHORE + 0.02, 0.01)))
    ripple = 0.014 * np.sin(150 * V**1.5 + 8 * noise(rng, 240, 3, 4)) * (V - SHORE + 0.1) * 4
    rows = np.clip((2 * SHORE - V - 0.01) * 1.0, 0, 1) * HEIGHT
    water = np.stack(
        [
            map_coordinates(bank[..., c], [rows, np.clip(U + ripple, 0, 1.249) * HEIGHT], order=1, mode="nearest")
            for c in range(3)
        ],
        -1,
    )
    water = 0.86 * water + 0.10 * ramp(np.clip(noise(rng, 50, 3, 6), 0, 1), "2c3f8c a8629f ffd08a")
    scene = over(bank, water, step(V - SHORE, 0.004))
    near = (
        V - 0.88 + 0.17 * np.exp(-(((U - 1.2) / 0.28) ** 2)) + 0.13 * np.exp(-((U / 0.22) ** 2)) + 0.02 * np.sin(9 * U)
    )
    grass = ramp(np.clip(noise(rng, 70, 5), 0, 1), "1b2a4a 1f5a52 4f8a3c b8a83a f0b860")
    return over(scene, grass, step(near, 0.012))


def evening(rng: Random) -> Array:
    """The sky after a hot day, and hills far away."""
    sky = ramp(
        np.clip(V / SHORE + 0.16 * (noise(rng, 260, 4, 3) - 0.5), 0, 1), "2c2a6b 5a4a9c a8629f e77a70 f9a650 ffe08a"
    )
    clouds = step(noise(rng, 240, 5, 3.5) - 0.55 - 0.25 * np.abs(V - 0.22), 0.12) * step(0.42 - V, 0.1)
    sky = over(sky, ramp(np.clip(V / 0.42, 0, 1), "7a5fae d9789a ffb37a"), 0.85 * clouds)
    sun = np.hypot(U - 0.74, V - 0.36)
    sky = over(
        sky,
        np.broadcast_to(rgb("fff2b8"), sky.shape),
        np.clip(np.exp(-((sun / 0.10) ** 2)) + step(0.052 - sun, 0.01), 0, 1),
    )
    for base, swell, tint in ((0.455, 0.05, "8a6fb0 c9809a"), (0.49, 0.035, "4a5a98 7a5f9a")):
        ridge = base - swell * np.sin(4.2 * U + 50 * base) - 0.012 * np.sin(17 * U)
        sky = over(sky, ramp(np.clip((V - ridge) / 0.08, 0, 1), tint), step(V - ridge, 0.006))
    return sky
