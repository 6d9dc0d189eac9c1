import pytest
import torch

from impasto import backends
from impasto.errors import DeviceError, UsageError


def test_the_cpu_is_always_there() -> None:
    assert backends.device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("cuda", "mps", "expected"), [(2, True, "cuda:0"), (0, True, "mps"), (0, False, "cpu")])
def test_auto_takes_the_fastest_there_is(cuda: int, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert backends.device("auto") == torch.device(expected)


def test_a_device_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert backends.device("cuda") == torch.device("cuda", 0)
    assert backends.device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="the last one is cuda:1"):
        backends.device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:1", "mps:0", "", "CUDA"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="choose auto, cpu"):
        backends.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_there_says_what_to_choose(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="choose cpu"):
        backends.device(name)
