"""A landscape in watercolour: transparent washes that pool, run and settle into the paper."""

import numpy as np

from samples.paint import HEIGHT, WIDTH, Array, Random, U, V, lit, noise, over, rgb, step


def watercolor(rng: Random) -> Array:
    """Mountains in mist over a lake with a flowering bank, in washes that run into each other."""
    out = (
        np.broadcast_to(rgb("fffaf0"), (HEIGHT, WIDTH, 3))
        * np.clip(0.98 + 0.05 * (noise(rng, 10, 3) - 0.5), 0, 1)[..., None]
    )
    tooth = noise(rng, 9, 3)
    inks = dict(
        zip(
            ("indigo", "rose", "gold", "sap", "violet", "teal"),
            rgb("20356e c8335f eda51c 5f7f1e 6a3f8c 0f6f7c"),
            strict=True,
        )
    )

    def mark(inside: Array, ink: str, strength: float | Array, wet: float, wander: float) -> None:
        nonlocal out
        out = wash(rng, out, inside, inks[ink], tooth, strength, wet, wander)

    mark(0.30 - V, "indigo", 0.8, 0.22, 0.55)
    mark(0.10 - np.abs(V - 0.16 - 0.08 * np.sin(3 * U)), "teal", 0.45, 0.12, 0.45)
    mark(0.11 - np.abs(V - 0.31 - 0.06 * np.sin(4 * U)), "rose", 0.75, 0.12, 0.30)
    mark(0.12 - np.abs(V - 0.42), "gold", 1.0, 0.16, 0.25)
    for k, ink in enumerate(("violet", "indigo", "teal", "indigo")):
        profile = noise(rng, 440, 6)[300]
        ridge = 0.33 + 0.075 * k - 0.20 * (1 - 0.16 * k) * (profile - 0.4)[None]
        fade = np.clip(1.15 - (V - ridge) / 0.11, 0.03, 1)
        mark(np.minimum(V - ridge, 0.62 - V), ink, (0.62 + 0.20 * k) * fade, 0.004, 0.012)
    bank = V - 0.90 + 0.16 * np.exp(-((U / 0.5) ** 2)) + 0.10 * np.exp(-(((U - 1.25) / 0.3) ** 2))
    waves = 0.45 + 0.55 * np.sin(75 * V**1.6 + 7 * noise(rng, 260, 3, 5)) ** 2
    mark(np.minimum(V - 0.605, -bank), "teal", 0.6 * waves, 0.01, 0.012)
    mark(np.minimum(V - 0.61, 0.09 - np.abs(V - 0.70)), "rose", 0.5, 0.10, 0.2)
    mark(np.minimum(V - 0.61, 0.06 - np.abs(V - 0.66)), "gold", 0.6, 0.08, 0.2)
    mark(bank, "gold", 0.8, 0.05, 0.06)
    mark(bank, "sap", 1.5 * np.clip(noise(rng, 70), 0.1, 1) ** 1.5, 0.012, 0.03)
    for trunk, high in ((0.07, 0.42), (0.17, 0.30), (0.24, 0.20), (1.16, 0.34), (1.06, 0.19)):
        foot = 0.80 if trunk < 0.5 else 0.86
        t = np.clip((V - foot + high) / high, 0, 1)
        fir = 0.16 * high * t * (0.55 + 0.45 * np.abs(np.sin(26 * t**0.8 + 9 * trunk))) - np.abs(U - trunk)
        mark(np.minimum(np.minimum(fir, foot - V), V - foot + high), "indigo", 1.1, 0.004, 0.02)
        mark(np.minimum(fir + 0.004, foot + 0.02 - V), "sap", 1.0 * (foot - high < V), 0.02, 0.02)
    for _ in range(46):
        u, v, size = rng.uniform(0, 1.25), 1.02 - 0.24 * rng.random() ** 1.3, rng.uniform(0.010, 0.030)
        if bank[min(int(v * HEIGHT), HEIGHT - 1), min(int(u * HEIGHT), WIDTH - 1)] > -0.03:
            bloom = size - np.hypot(U - u, (V - v) * 1.2)
            out = over(out, np.broadcast_to(rgb("fffaf0"), out.shape), 0.85 * step(bloom, 0.02))
            mark(bloom, rng.choice(["rose", "rose", "violet", "gold"]), 1.3, 0.005, 0.03)
    return splashed(rng, out, tooth)


def wash(
    rng: Random,
    below: Array,
    inside: Array,
    ink: Array,
    tooth: Array,
    strength: float | Array,
    wet: float,
    wander: float,
) -> Array:
    """One wash: pigment pools at the rim as it dries, flows in the wet, and settles into the paper's hollows.

    `inside` is the signed distance to the outline, in heights; `wet` the softness of the edge; `wander` how far the
    outline strays. Light passes pigment, paper and pigment again: transmittance exp(-density * absorption).
    """
    f = inside + wander * (noise(rng, 1200 * max(wander, 0.03), 5) - 0.5)
    cover = step(f, wet)
    rim = cover * np.exp(-((f / 0.004) ** 2)) * (0.0 if wet > 0.03 else 0.55)
    flow = np.clip(2.4 * noise(rng, 210, 5) - 0.35, 0.08, 2)
    grains = np.clip(1 + 0.75 * (0.5 - tooth), 0.5, 1.6)
    density = strength * (0.62 * cover * flow * grains + rim)
    return below * np.exp(np.log(np.clip(ink, 0.03, 1)) * density[..., None])


def splashed(rng: Random, out: Array, tooth: Array) -> Array:
    """Backruns where a drop fell into the damp paint, spatter, and the light on the tooth of the paper."""
    for _ in range(26):
        u, v, size = rng.uniform(0, 1.25), rng.uniform(0, 1), rng.uniform(0.02, 0.075)
        f = size - np.hypot(U - u, V - v) + 0.6 * size * (noise(rng, 900 * size, 5) - 0.5)
        lifted = 0.16 * step(f, 0.01) * np.clip(0.4 + f / size, 0, 1)
        out = (
            over(out, np.broadcast_to(rgb("fff6e8"), out.shape), lifted)
            * (1 - 0.10 * np.exp(-((f / 0.003) ** 2)))[..., None]
        )
    for _ in range(170):
        x, y, size = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.exponential(2.2) + 1.2
        r = slice(max(int(y) - 20, 0), int(y) + 20), slice(max(int(x) - 20, 0), int(x) + 20)
        spot = step(size - np.hypot(U[r] * HEIGHT - x, V[r] * HEIGHT - y), 2)
        out[r] *= np.exp(np.log(rgb("6a3f6c c8335f 20456e")[rng.integers(0, 3)]) * 0.5 * spot[..., None])
    return lit(out * 1.06, 26 * tooth, 0.018)
