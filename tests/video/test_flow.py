"""Optical flow, hidden pixels, and the warp error."""

import numpy as np
import pytest
import torch

from impasto.video import flow
from impasto.video.warp_error import WarpError
from tests.video import clips


def as_image(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32) / 255)[None]


def test_a_known_translation() -> None:
    wide = clips.texture(100, 120)
    now, earlier = wide[10:90, 13:109], wide[8:88, 10:106]
    found = flow.motion(np.ascontiguousarray(now), np.ascontiguousarray(earlier))
    # The pixel at (x, y) was three pixels further right and two further down.
    inner = found.back[8:-8, 8:-8]
    assert np.abs(inner - [3, 2]).mean() < 0.3
    assert found.reliable[8:-8, 8:-8].mean() > 0.85
    # Pixels at the right and lower border were outside.
    assert found.reliable[:, -2:].mean() < 0.1
    moved = found.warp(as_image(earlier))
    apart = (moved - as_image(now)).abs()[..., 8:-8, 8:-8].mean()
    assert apart < 0.2 * (as_image(earlier) - as_image(now)).abs().mean()


def test_whole_pixels_are_moved_without_loss() -> None:
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(1))
    back = np.zeros((20, 30, 2), np.float32)
    back[..., 0] = 3
    moved = flow.Motion(back, *[np.ones((20, 30), np.float32)] * 2).warp(image)
    torch.testing.assert_close(moved[..., :27], image[..., 3:], atol=2e-5, rtol=0)


def test_what_a_layer_uncovers_is_not_certain() -> None:
    ground, layer = clips.texture(96, 128, 1), clips.texture(40, 40, 2)
    earlier, now = ground.copy(), ground.copy()
    earlier[30:70, 40:80] = layer
    now[30:70, 50:90] = layer
    found = flow.motion(now, earlier)
    uncovered = found.reliable[30:70, 40:50]
    assert uncovered.mean() < 0.25
    assert found.reliable[36:64, 58:82].mean() > 0.6
    assert found.reliable[:20].mean() > 0.95


def test_another_scene_is_lost() -> None:
    assert flow.motion(clips.texture(96, 128, 1), clips.texture(96, 128, 2)).lost > 0.6
    same = clips.texture(96, 128, 1)
    still = flow.motion(same, same)
    assert still.lost == 0
    assert still.reliable.all()


@pytest.mark.parametrize(("height", "width"), [(2, 16), (16, 2), (7, 9)])
def test_small_frames(height: int, width: int) -> None:
    frame = clips.texture(height, width)
    assert flow.motion(frame, frame).back.shape == (height, width, 2)


def test_shimmer_is_what_the_motion_does_not_explain() -> None:
    wide = clips.texture(64, 100)
    now, earlier = (np.ascontiguousarray(part) for part in (wide[:, 4:84], wide[:, :80]))
    found = flow.motion(now, earlier)
    noise = np.random.default_rng(0).normal(0, 12, now.shape)
    noisy = np.clip(now + noise, 0, 255).astype(np.uint8)
    shimmer = WarpError()
    assert shimmer.of_painted == 0
    shimmer.add(found, (as_image(noisy), as_image(earlier)), (as_image(now), as_image(earlier)))
    assert shimmer.of_filmed < 6
    assert 11 < shimmer.of_painted < 15
