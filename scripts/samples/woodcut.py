"""A wood-block print: lines cut along the form of the land and the waves."""

import numpy as np

from samples.paint import HEIGHT, Array, Random, U, V, noise, over, ramp, rgb, step


def woodcut(rng: Random) -> Array:
    """A sea under a red sun, cut in wood: one dark block, one blue, one red, on cream paper."""
    wobble = 0.012 * (noise(rng, 120) - 0.5)
    sun = np.hypot(U - 0.86, V - 0.27)
    tone = 0.30 + 0.5 * np.clip(0.35 - V, 0, 1) + 0.35 * (noise(rng, 260, 3) - 0.5)
    phase = (V + 0.05 * np.sin(5 * U + 2) + 0.03 * np.sin(11 * U) + wobble) * 62
    near = step(0.30 - sun, 0.02)
    phase, tone = phase + (sun * 60 - phase) * (near > 0.5), tone - 0.2 * near * step(sun - 0.17, 0.02)
    blue, red = 0.55 * step(0.33 - V + 0.1 * np.sin(3 * U), 0.12), step(0.155 - sun + wobble, 0.003)
    tone, blue = np.where(sun < 0.155, 0.12, tone), blue * (1 - red)
    for base, swell, turn in ((0.46, 0.085, 0.9), (0.53, 0.07, 2.7)):
        ridge = base - swell * np.abs(np.sin(2.6 * U + turn)) - 0.02 * np.sin(13 * U + turn) + wobble
        land, slope = ridge < V, np.gradient(ridge, axis=1) * HEIGHT
        tone = np.where(land, np.clip(0.55 - 0.8 * slope - 1.2 * (V - ridge), 0.12, 0.95), tone)
        phase = np.where(land, (U * 1.1 + (V - ridge) * (0.9 * np.sign(slope) + 0.2) + wobble) * 75, phase)
        tone = np.where(np.abs(V - ridge) < 0.005, 1.0, tone)
        blue, red = np.where(land, 0.0, blue), np.where(land, 0.0, red)
    for row, base in enumerate((0.57, 0.66, 0.77, 0.90)):
        size = 0.035 + 0.02 * row
        x = (U + 0.37 * row + 0.02 * np.sin(7 * U)) / (0.20 + 0.11 * row) * 2 * np.pi
        crest = base + size * (1.25 * np.abs(np.cos(x / 2 + 0.3 * np.sin(x))) ** 0.8 - 0.75) + wobble
        sea, depth = crest < V, (V - crest) / size
        foam = noise(rng, 26, 2) - 0.15 * depth * 2
        shade = np.clip(0.28 + 0.24 * depth + 0.28 * np.sin(x + 0.8), 0.1, 0.92)
        shade = np.where((depth < 0.5) & (foam > 0.42), 0.0, shade)
        phase = np.where(sea, (depth * size * (1 + 0.12 * np.sin(x)) + 0.25 * size * np.sin(x / 2 + depth)) * 62, phase)
        tone = np.where(sea, np.where(depth < 0.09, 1.0, shade), tone)
        blue = np.where(sea, np.where((depth < 0.5) & (foam > 0.42), 0.0, step(depth - 0.25, 0.3)), blue)
        red = np.where(sea, 0.0, red)
    return printed(rng, phase, tone, blue, red)


def printed(rng: Random, phase: Array, tone: Array, blue: Array, red: Array) -> Array:
    """Cut lines of the given phase and blackness (0 to 1), printed from three worn blocks on laid paper."""
    cuts = np.abs((phase % 1) * 2 - 1)
    swing = tone + 0.34 * (noise(rng, 46, 3, 2) - 0.5) + 0.12 * (noise(rng, 9, 2) - 0.5)
    black = np.maximum(step(swing - 0.08 - 0.84 * cuts, 0.09), step(tone - 0.99, 0.01))
    worn = step(noise(rng, 5, 2) - 0.06 + 0.25 * (noise(rng, 240) - 0.5), 0.08) * (0.86 + 0.14 * noise(rng, 200))
    chatter = step(0.04 - np.abs((phase * 0.5) % 1 - 0.5), 0.05) * step(noise(rng, 34, 2, 3) - 0.72, 0.06)
    paper = rgb("f1e4c6") * (0.93 + 0.10 * noise(rng, 8, 3, 4) + 0.04 * (noise(rng, 400) - 0.5))[..., None]
    grain = 0.75 + 0.35 * (noise(rng, 60, 5, 12) - 0.5)
    out = over(paper, ramp(noise(rng, 300), "2f6f8f 3f86a0 5b9fae"), np.clip(blue * grain * worn * 1.15, 0, 1))
    out = over(out, ramp(noise(rng, 150), "c2331f d8472a"), np.clip(red * grain * worn * 1.25, 0, 1))
    return over(out, np.broadcast_to(rgb("17161c"), out.shape), np.maximum(black, 0.8 * chatter * tone) * worn)
