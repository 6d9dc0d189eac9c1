"""The device that resizes, since CUDA's kernel refuses to shrink pictures by large factors."""

import pytest
import torch

from impasto.ops import resample


@pytest.mark.parametrize(
    ("kind", "factor", "expected"),
    [
        ("cpu", 100.0, "cpu"),
        ("cuda", 0.5, "cuda"),
        ("cuda", 8.0, "cuda"),
        ("cuda", 47.0, "cpu"),  # PyTorch 2.13 refuses 48 and more: "Please reduce the scale factor"
        ("mps", 2.0, "cpu"),
        ("xpu", 2.0, "cpu"),
    ],
)
def test_the_device_that_resizes(kind: str, factor: float, expected: str) -> None:
    assert resample.resizing_device(torch.device(kind), factor).type == expected


@pytest.mark.parametrize(("size", "factor"), [((40, 20), 5), ((16, 90), 9), ((4, 5), 0.5)])
def test_the_larger_factor_decides(size: tuple[int, int], factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[torch.device, float]] = []
    choose = resample.resizing_device
    monkeypatch.setattr(
        resample, "resizing_device", lambda device, factor: asked.append((device, factor)) or choose(device, factor)
    )
    planes = torch.rand(1, 2, *size)
    assert resample.interpolate(planes, 8, 10, "bilinear").shape == (1, 2, 8, 10)
    assert asked == [(planes.device, factor)]
