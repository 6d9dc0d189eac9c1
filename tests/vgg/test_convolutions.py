"""The choice between two methods of convolution, which is made once for a machine and then kept."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from impasto.engine.networks import load_network
from impasto.errors import UsageError
from impasto.recipe import presets
from impasto.vgg import convolutions, layers
from impasto.vgg.convolutions import Seconds


@pytest.fixture(autouse=True)
def new_machine(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """An empty cache folder, and a process that has not timed anything yet."""
    monkeypatch.delenv("IMPASTO_CONVOLUTIONS")
    convolutions.forget()
    convolutions.time_methods.cache_clear()


def times(monkeypatch: pytest.MonkeyPatch, default: float, winograd: float) -> None:
    monkeypatch.setattr(convolutions, "time_methods", lambda: (Seconds(default, default), Seconds(winograd, winograd)))


def test_a_machine_without_nnpack_lays_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "_nnpack_available", lambda: False)
    assert not layers.prefers_nchw()
    assert 0 < convolutions.flops_per_second() < math.inf
    kernel = layers.to_fast_layout(torch.zeros(1, 4, 3, 3), convolutions.method())
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setenv("IMPASTO_CONVOLUTIONS", "winograd")
    assert convolutions.method() == "default"
    monkeypatch.delenv("IMPASTO_CONVOLUTIONS")
    assert convolutions.available("winograd") == "default"


def test_other_work_on_the_machine_does_not_change_the_choice() -> None:
    # By the clock one method is faster, by the time of the process the other.
    assert convolutions.faster(Seconds(elapsed=1.0, own=1.0), Seconds(elapsed=4.0, own=0.5)) == "winograd"


def test_later_processes_choose_as_the_first(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    times(monkeypatch, 2.0, 1.0)
    assert convolutions.method() == "winograd"
    convolutions.forget()
    times(monkeypatch, 1.0, 2.0)
    assert convolutions.method() == "winograd"
    # Another number of threads counts as another machine.
    convolutions.forget()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 97)
    assert convolutions.method() == "default"
    assert sorted(json.loads((cache.parent / "convolutions.json").read_text()).values()) == ["default", "winograd"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"a": 3}'])
def test_a_damaged_note_costs_a_timing(content: bytes, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    (cache.parent / "convolutions.json").write_bytes(content)
    times(monkeypatch, 2.0, 1.0)
    assert convolutions.method() == "winograd"


def test_a_cache_that_takes_nothing_costs_a_timing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "file"))
    times(monkeypatch, 2.0, 1.0)
    assert convolutions.method() == "winograd"


def test_the_variable_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    times(monkeypatch, 2.0, 1.0)
    monkeypatch.setenv("IMPASTO_CONVOLUTIONS", "default")
    assert convolutions.method() == "default"
    monkeypatch.setenv("IMPASTO_CONVOLUTIONS", "winnograd")
    with pytest.raises(UsageError, match="did you mean 'winograd'"):
        convolutions.method()


def test_nothing_is_timed_for_a_device_that_is_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "time_methods", lambda: pytest.fail("timed"))
    meta = torch.device("meta")
    assert convolutions.method(meta) == "default"
    vgg = load_network(presets.get("draft"), meta)
    assert vgg.device == meta


# In a process of its own: other tests have initialized NNPACK already.
REMEMBERED = """
import torch
from impasto.vgg import convolutions, layers
convolutions.time_methods = lambda: 1 / 0  # the choice is in the cache folder
x, weight = torch.ones(1, 16, 64, 64), torch.ones(16, 16, 3, 3)
method = convolutions.method()
kernel = layers.Kernel(weight, torch.zeros(16), method)
print(method, layers.convolve(x, kernel, 1)[0, 0, 5, 5].item())
"""


def test_a_choice_from_the_cache_folder_works_in_a_new_process(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    times(monkeypatch, 2.0, 1.0)
    choice = convolutions.method()
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }  # the choice is stored for this number
    command = [sys.executable, "-c", REMEMBERED]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.stdout.split() == [choice, "144.0"], result.stderr
