"""OKLab compared with published values and NumPy, and colours brought back into sRGB without clipping a channel."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.ops import oklab

# CSS Color Module Level 4, samples of oklab(); they agree with Ottosson 2020 to the digits given there.
PUBLISHED = {
    (1, 0, 0): (0.62796, 0.22486, 0.12585),
    (0, 1, 0): (0.86644, -0.23389, 0.17950),
    (0, 0, 1): (0.45201, -0.03246, -0.31153),
    (1, 1, 1): (1, 0, 0),
    (0, 0, 0): (0, 0, 0),
}


def colors(*rows: Any) -> torch.Tensor:
    """Turn rows of three numbers into a picture of one column."""
    return torch.tensor(np.asarray(rows, np.float64)).T[None, :, :, None]


def reference(rgb: np.ndarray) -> np.ndarray:
    """OKLab of (N, 3) sRGB through XYZ, as in Ottosson 2020."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    first = [
        [0.8189330101, 0.3618667424, -0.1288597137],
        [0.0329845436, 0.9293118715, 0.0361456387],
        [0.0482003018, 0.2643662691, 0.6338517070],
    ]
    second = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.asarray(np.cbrt(linear @ np.transpose(to_xyz) @ np.transpose(first)) @ np.transpose(second))


def test_published_values() -> None:
    found = oklab.from_srgb(colors(*PUBLISHED))[0, :, :, 0].T.numpy()
    np.testing.assert_allclose(found, list(PUBLISHED.values()), atol=2e-5)


def test_as_numpy_has_it_and_back() -> None:
    rgb = np.random.default_rng(0).random((500, 3))
    lab = oklab.from_srgb(colors(*rgb))
    np.testing.assert_allclose(lab[0, :, :, 0].T.numpy(), reference(rgb), atol=5e-4)
    torch.testing.assert_close(oklab.lightness(colors(*rgb)), lab[:, :1])
    # In float32, as in pictures: to a fiftieth of a level of 8 bits.
    again = oklab.to_srgb(lab.float())
    np.testing.assert_allclose(again[0, :, :, 0].T.numpy(), rgb, atol=8e-5)


def test_a_grey_has_the_lightness_it_was_made_of() -> None:
    wanted = torch.linspace(0, 1, 256)[None, None, :, None]
    greys = oklab.grey(wanted)
    assert torch.equal(greys[:, 0], greys[:, 2])
    torch.testing.assert_close(oklab.lightness(greys), wanted, atol=1e-5, rtol=0)


def test_with_a_knee_no_colour_reaches_the_surface_and_none_changes_places() -> None:
    lab = oklab.from_srgb(colors((0.8, 0.3, 0.2))).expand(1, 3, 60, 1).clone()
    lab[:, 1:] *= torch.linspace(0, 4, 60)[:, None]
    cut, found = (oklab.from_srgb(oklab.to_srgb(lab, knee))[0, :, :, 0] for knee in (1.0, 0.8))
    wanted = lab[0, :, :, 0]
    lengths = [each[1:].norm(dim=0) for each in (wanted, cut, found)]
    room = float(lengths[1].max())
    assert float(lengths[0].max()) > 2 * room
    below = lengths[0] < 0.8 * room
    torch.testing.assert_close(found[:, below], wanted[:, below], atol=1e-6, rtol=0)
    assert bool((lengths[2].diff() > 0).all())
    assert 0.95 * room < float(lengths[2][-1]) < room
    torch.testing.assert_close(found[0], wanted[0], atol=1e-6, rtol=0)
    assert float((found[1] * wanted[2] - found[2] * wanted[1]).abs().max()) < 1e-6


def test_channels_keep_away_from_the_ends_as_far_as_the_lightness_lets_them() -> None:
    rng = np.random.default_rng(2)
    lab = oklab.from_srgb(colors(*rng.random((2000, 3))))
    lab[:, 1:] *= 3
    found = oklab.to_srgb(lab, ends=0.02)
    assert float(oklab.to_srgb(lab).min()) < 1e-3
    greys = oklab.grey(lab[:, :1])
    inside = (greys[:, 0] > 0.02) & (greys[:, 0] < 0.98)
    assert float(found.amin(1)[inside].min()) > 0.0199
    assert float(found.amax(1)[inside].max()) < 0.9801


def test_any_lightness_with_any_chroma_comes_back_with_its_lightness_and_hue() -> None:
    rng = np.random.default_rng(1)
    light = oklab.lightness(colors(*rng.random((4000, 3))).float())
    chroma = oklab.from_srgb(colors(*rng.random((4000, 3))).float())[:, 1:]
    lab = torch.cat([light, chroma], 1)
    # Without clipping, many of them are outside.
    assert float((~oklab.is_in_gamut(oklab.to_linear(lab))).float().mean()) > 0.2
    inside = oklab.to_srgb(lab)
    assert float(inside.min()) >= 0
    assert float(inside.max()) <= 1
    found = oklab.from_srgb(inside)
    np.testing.assert_allclose(found[:, 0], light[:, 0], atol=2e-4)
    # The chroma has the same direction and is never larger; the part at right angles to the hue is zero.
    across = found[:, 1] * chroma[:, 1] - found[:, 2] * chroma[:, 0]
    np.testing.assert_allclose(across / chroma.square().sum(1).sqrt(), 0, atol=2e-4)
    assert (found[:, 1:].square().sum(1).sqrt() <= chroma.square().sum(1).sqrt() + 2e-4).all()
    # The chroma is as large as possible: with a hundredth more the colour is outside again.
    cut = ~oklab.is_in_gamut(oklab.to_linear(lab)) & (found[:, 1:].square().sum(1) > 1e-4)
    more = torch.cat([light, 1.01 * found[:, 1:]], 1)
    assert not oklab.is_in_gamut(oklab.to_linear(more))[cut].any()


@given(st.floats(0, 1), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_whatever_is_asked_for_is_a_colour(light: float, a: float, b: float) -> None:
    found = oklab.to_srgb(colors((light, a, b)).float())
    assert found.isfinite().all()
    assert float(oklab.lightness(found)) == pytest.approx(light, abs=5e-4)


def test_pictures_of_several_at_once() -> None:
    lab = torch.cat([colors((0.5, 0.3, 0.0), (0.5, 0.0, 0.0)), colors((0.5, 0.0, 0.3), (0.5, 0.01, 0.0))])
    together = oklab.to_srgb(lab)
    torch.testing.assert_close(together, torch.cat([oklab.to_srgb(one[None]) for one in lab]))
