"""Which GPUs are usable: kernels, drivers and a first computation, on simulated cards."""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.engine import cards, devices
from impasto.errors import DeviceError
from impasto.jobs.job import Job
from impasto.picture import Picture
from impasto.recipe import Compute, Inputs, presets

# The kernels in PyTorch's wheels: 2.10 for CUDA 12.8, 2.11 for CUDA 13, and any version for CUDA 12.6.
CU128 = "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"
CU130 = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"
CU126 = "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90"
KEPLER, PASCAL, VOLTA, TURING, ADA, HOPPER, BLACKWELL = (3, 5), (6, 1), (7, 0), (7, 5), (8, 9), (9, 0), (12, 0)

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A function that simulates a machine, with the cards' capabilities, PyTorch's kernels and the cards that fail."""

    def make(capabilities: Sequence[tuple[int, int]], kernels: str = CU130, faulty: Sequence[int] = ()) -> None:
        def find_fault(device: torch.device) -> str | None:
            return "it fails at its first kernel (ECC error)" if device.index in faulty else None

        for name, value in {
            "is_available": lambda: bool(capabilities),
            "device_count": lambda: len(capabilities),
            "get_device_capability": lambda card: capabilities[card.index],
            "get_device_name": lambda card: f"Card {card.index}",
            "get_arch_list": kernels.split,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        monkeypatch.setattr(torch.version, "cuda", "13.0")
        monkeypatch.setattr(cards, "find_fault", find_fault)
        monkeypatch.setattr(devices, "_TOLD", set())

    return make


@pytest.mark.parametrize(
    ("capability", "kernels", "usable"),
    [
        (PASCAL, CU130, False),
        (PASCAL, CU128, False),
        (PASCAL, CU126, True),
        (VOLTA, CU128, True),
        (VOLTA, CU130, False),
        (TURING, CU130, True),
        (ADA, CU130, True),
        (HOPPER, CU130, True),
        (BLACKWELL, CU126, False),
        (BLACKWELL, f"{CU126} compute_90", True),  # the driver compiles for newer cards
        (TURING, "sm_80 compute_80", False),
        (HOPPER, "sm_90a", True),
        (BLACKWELL, "sm_90a compute_90a", False),
        (HOPPER, "", True),  # PyTorch names no kernels
        (HOPPER, "gfx90a", False),
    ],
)
def test_a_card_is_usable_where_pytorch_has_kernels_for_it(
    capability: tuple[int, int], kernels: str, usable: bool, machine: Machine
) -> None:
    machine([capability], kernels)
    assert (cards.find_missing_kernels(torch.device("cuda", 0)) is None) == usable
    assert devices.device("auto").type == ("cuda" if usable else "cpu")


def test_rocm_names_its_architectures_otherwise(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine([(10, 3)], "gfx1030 gfx90a")
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert devices.device("cuda") == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("capability", "kernels", "remedy"),
    [
        (PASCAL, CU130, "pip install torch --index-url https://download.pytorch.org/whl/cu126"),
        (BLACKWELL, CU126, "pip install --upgrade torch"),
        (KEPLER, CU130, "no build of today has them"),
    ],
)
def test_a_card_asked_for_by_name_says_what_would_help(
    capability: tuple[int, int], kernels: str, remedy: str, machine: Machine
) -> None:
    machine([HOPPER, capability], kernels + " sm_90")
    with pytest.raises(DeviceError, match="cannot be used: Card 1 has compute capability") as caught:
        devices.device("cuda:1")
    assert remedy in str(caught.value)
    assert "choose cpu" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_auto_takes_the_cards_that_work_and_says_what_of_the_others(machine: Machine) -> None:
    machine([PASCAL, HOPPER, HOPPER, ADA, HOPPER], faulty=[1])
    choice = devices.choose("auto")
    # The first card fails at a kernel, and an Ada card cannot share tiles with a Hopper card.
    assert choice.devices == (torch.device("cuda", 2), torch.device("cuda", 4))
    assert [note.partition(" is not used: ")[0] for note in choice.notes] == ["cuda:0", "cuda:1"]
    assert "cu126" in choice.notes[0]
    assert "first kernel" in choice.notes[1]
    assert devices.device("auto") == torch.device("cuda", 2)
    # A process that does not compute tries no card, and workers share no tiles.
    assert [card.index for card in devices.choose("auto", computes=False).devices] == [1, 2, 3, 4]


def test_where_no_card_works_the_cpu_does(machine: Machine) -> None:
    machine([HOPPER, HOPPER], faulty=[0, 1])
    choice = devices.choose("auto")
    assert choice.devices == (torch.device("cpu"),)
    assert len(choice.notes) == 2
    # A card that is named is used, and its error is raised.
    assert devices.devices("cuda:1") == (torch.device("cuda", 1),)


def test_a_run_tells_once_which_cards_it_does_not_use(machine: Machine, picture: Callable[..., Picture]) -> None:
    machine([PASCAL])
    job = Job(Inputs.of(picture(), [picture(seed=1)]), presets.get("draft").replace(size=16), Compute("auto"))
    (note,) = job.start().notes
    assert note.startswith("cuda:0 is not used: Card 0 has compute capability 6.1")
    assert job.start().notes == ()


@pytest.mark.parametrize(
    ("supported", "built_for", "message"),
    [
        ((12, 4), "13.0", "is for CUDA 12.4, too old for PyTorch .*, which needs CUDA 13; .*whl/cu126"),
        ((11, 8), "12.6", "is for CUDA 11.8, too old"),
        ((12, 2), "12.8", "gives PyTorch no device; see what nvidia-smi"),
        ((12, 4), None, "a build without CUDA; pip install torch"),
        (None, "13.0", None),
    ],
)
def test_a_driver_that_does_not_fit_is_named(
    supported: tuple[int, int] | None,
    built_for: str | None,
    message: str | None,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine([])
    monkeypatch.setattr(cards, "find_driver_version", lambda: supported)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    with pytest.raises(DeviceError, match=message or "no CUDA device was found; choose cpu"):
        devices.device("cuda")
    choice = devices.choose("auto")
    assert choice.devices == (torch.device("cpu"),)
    # A CPU build was chosen by the user and needs no note.
    assert len(choice.notes) == (message is not None and built_for is not None)


class Driver:
    """A simulated libcuda that supports CUDA 12.4."""

    def cuDriverGetVersion(self, number: Any) -> int:  # noqa: N802
        number._obj.value = 12040  # noqa: SLF001
        return 0


def test_the_version_is_asked_of_the_driver_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert cards.find_driver_version() == (12, 4)

    def fail(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", fail)
    assert cards.find_driver_version() is None


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n", "580.65.06"),
        ("something else\n", None),
        (None, None),
    ],
)
def test_the_release_of_the_driver_is_read(text: str | None, release: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "version").write_text(text)
    assert cards.read_driver_release(tmp_path / "version") == release


def test_a_device_is_tried_by_computing_on_it() -> None:
    assert cards.find_fault(torch.device("cpu")) is None
    # The meta device computes no values.
    assert "first kernel" in str(cards.find_fault(torch.device("meta")))
