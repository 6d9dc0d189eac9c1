"""A mosaic: square tiles laid in rows along the drawing's lines."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from samples.paint import HEIGHT, WIDTH, Array, Random, U, V, at, lit, noise, over, rgb, step


def mosaic(rng: Random) -> Array:
    """Glass tiles laid along the lines of a sun, its rays, leaves and a running sea."""
    sun = np.hypot(U - 0.45, V - 0.40)
    around = np.arctan2(V - 0.40, U - 0.45)
    rays = sun + 0.06 * np.minimum(sun, 0.35) * np.sin(12 * around)
    label = np.clip((rays * 11).astype(int), 0, 14)
    shades = (
        "fff1a8",
        "ffd23f",
        "f79a1c",
        "e4572e",
        "b3202c",
        "7a1f5c",
        "f79a1c",
        "2a9d8f",
        "1d6fb8",
        "4ab5d6",
        "1f4fa3",
        "17306e",
        "2b7fc4",
        "5a2a82",
        "17306e",
    )
    paint = np.array([rgb(shade) for shade in shades])[label]
    field = rays
    wedge = (np.sin(12 * around + 2 * sun) > 0) & (sun > 0.36) & (sun < 0.66)
    paint[wedge] = np.array([rgb(shade) for shade in shades])[(label[wedge] + 5) % 15]
    for u, v, size, tilt in (
        (1.05, 0.55, 0.30, -1.1),
        (1.12, 0.25, 0.22, -2.3),
        (0.10, 0.72, 0.24, -0.7),
        (0.86, 0.72, 0.2, -1.9),
    ):
        x, y = U - u, V - v
        along, aside = x * np.cos(tilt) + y * np.sin(tilt), -x * np.sin(tilt) + y * np.cos(tilt)
        leaf = size * 0.30 * (1 - (along / size) ** 2) - np.abs(aside + 0.06 * np.sin(7 * along))
        tint = np.where((aside > 0)[..., None], rgb("1f8a4c"), rgb("9ccc3c"))
        tint = np.where((np.abs(aside) < 0.016)[..., None], rgb("ffd23f"), tint)
        tint = np.where((leaf < 0.024)[..., None], rgb("0f4c3a"), tint)
        field, paint = np.where(leaf > 0, leaf, field), np.where((leaf > 0)[..., None], tint, paint)
    crest = 0.80 + 0.05 * np.sin(8 * U) + 0.015 * np.sin(21 * U + 1)
    tide = V - crest
    sea = rgb("e9f5f2 5cc6d0 1486b0 0b4f8a f2efe0 0e7c86 17306e")[np.clip((tide * 24).astype(int), 0, 6)]
    field, paint = np.where(tide > 0, tide, field), np.where((tide > 0)[..., None], sea, paint)
    return tiled(rng, paint, HEIGHT * gaussian_filter(field, 2), 17)


def tiled(rng: Random, paint: Array, field: Array, size: float) -> Array:
    """Square tiles in rows along the field's level lines: centroids under a turned square metric (Hausner 2001)."""
    rows, columns = np.gradient(gaussian_filter(field, 3))
    turn, steep = np.arctan2(rows, columns), np.maximum(rows**2 + columns**2, 0.2)
    count = int(1.06 * WIDTH * HEIGHT / size**2)
    seeds = rng.uniform((0, 0), (WIDTH, HEIGHT), (count, 2))
    pixels = np.stack([U, V], -1).reshape(-1, 2) * HEIGHT
    for sweep in range(13):
        last = sweep == 12
        some = pixels if last else pixels[rng.random(len(pixels)) < 0.2]
        near = cKDTree(seeds).query(some, k=7)[1]
        away, theta = some[:, None] - seeds[near], at(turn, seeds)[near]
        ahead, aside = np.cos(theta), np.sin(theta)
        local = np.stack([away[..., 0] * ahead + away[..., 1] * aside, away[..., 1] * ahead - away[..., 0] * aside], -1)
        reach = np.abs(local).max(-1)
        owner = np.take_along_axis(near, reach.argmin(1)[:, None], 1)[:, 0]
        if not last:
            total = np.maximum(np.bincount(owner, minlength=count), 1)
            seeds = np.stack([np.bincount(owner, some[:, axis], count) / total for axis in (0, 1)], -1)
            level = at(field, seeds)
            climb = (np.floor(level / size) + 0.5) * size - level
            slope = np.stack([at(columns, seeds), at(rows, seeds)], -1)
            seeds = seeds + 0.8 * (climb / at(steep, seeds))[:, None] * slope
    edges = np.sort(reach, 1)
    gap, owner = (edges[:, 1] - edges[:, 0]).reshape(HEIGHT, WIDTH), owner.reshape(HEIGHT, WIDTH)
    return glazed(rng, at(paint, seeds), owner, gap, pixels.reshape(HEIGHT, WIDTH, 2) - seeds[owner])


def glazed(rng: Random, hues: Array, owner: NDArray[np.int64], gap: Array, away: Array) -> Array:
    """Glass of each tile's own shade and tilt, set in dark grout where the gap to the next tile is small."""
    count = len(hues)
    hues = np.clip(hues * rng.uniform(0.75, 1.3, (count, 1)) + rng.normal(0, 0.06, (count, 3)), 0, 1)
    tilt = (rng.normal(0, 1, (count, 2))[owner] * away).sum(-1) / 50
    glass = hues[owner] * (1.05 + tilt + 0.3 * (noise(rng, 14, 3) - 0.5))[..., None]
    grout = rgb("1c1a1f") * (0.7 + 0.7 * noise(rng, 5, 2))[..., None]
    return lit(over(grout, glass, step(gap - 2.2, 2)), 12 * np.clip(gap / 6, 0, 1), 0.07)
