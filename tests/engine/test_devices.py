import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from impasto.engine import cards, devices
from impasto.errors import DeviceError, UsageError
from impasto.recipe import Precision
from impasto.system import cgroups

CPU, CUDA, MPS = (torch.device(kind) for kind in ("cpu", "cuda", "mps"))
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="memory is asked for on Linux only")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that simulates a machine with some CUDA devices."""

    def make(count: int, *capabilities: tuple[int, int]) -> None:
        by_index = [*capabilities, *[capabilities[-1] if capabilities else (9, 0)] * count]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda device: by_index[torch.device(device).index or 0]
        )
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
        monkeypatch.setattr(cards, "find_fault", lambda device: None)

    return make


def test_the_cpu_is_always_there() -> None:
    assert devices.device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("gpus", "xpu", "mps", "expected"),
    [
        (2, True, True, "cuda:0"),
        (0, True, True, "xpu"),
        (0, False, True, "mps"),
        (0, False, False, "cpu"),
    ],
)
def test_auto_takes_the_fastest_there_is(
    gpus: int, xpu: bool, mps: bool, expected: str, cuda: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda(gpus)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: xpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert devices.device("auto") == torch.device(expected)
    if expected in ("xpu", "mps"):
        assert devices.device(expected) == torch.device(expected)


def test_a_device_by_number(cuda: Callable[..., None]) -> None:
    cuda(2)
    assert devices.device("cuda") == torch.device("cuda", 0)
    assert devices.device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="the last one is cuda:1"):
        devices.device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:1", "mps:0", "xpu:0", "", "CUDA"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="choose auto, cpu"):
        devices.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "xpu", "mps"])
def test_a_device_that_is_not_there_says_what_to_choose(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="choose cpu"):
        devices.device(name)


@pytest.mark.parametrize(
    ("count", "names", "expected"),
    [
        (0, "auto", ["cpu"]),
        (1, "auto", ["cuda:0"]),
        (3, "auto", ["cuda:0", "cuda:1", "cuda:2"]),
        (2, "cpu", ["cpu"]),
        (0, "cpu,cpu", ["cpu", "cpu"]),
        (2, "cuda", ["cuda:0"]),
        (2, "cuda:1", ["cuda:1"]),
        (2, "cuda:1,cuda:0", ["cuda:1", "cuda:0"]),
    ],
)
def test_several_devices(count: int, names: str, expected: list[str], cuda: Callable[..., None]) -> None:
    cuda(count)
    assert devices.devices(names) == tuple(torch.device(name) for name in expected)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ("cpu,cuda", UsageError, "are of different kinds; give several of one, such as cuda:0,cuda:1"),
        ("auto,cpu", UsageError, "are of different kinds"),
        ("cuda:0,cuda:5", DeviceError, "the last one is cuda:1"),
        ("cuda:0,gpu", UsageError, "device 'gpu' is unknown"),
        ("cuda:0, cuda:1", UsageError, "device ' cuda:1' is unknown"),
        ("cpu,", UsageError, "device '' is unknown"),
        ("", UsageError, "device '' is unknown"),
    ],
)
def test_several_devices_that_cannot_work_together(
    names: str, error: type[Exception], message: str, cuda: Callable[..., None]
) -> None:
    cuda(2)
    with pytest.raises(error, match=message) as caught:
        devices.devices(names)
    assert "\n" not in str(caught.value)


AMPERE, VOLTA = (8, 0), (7, 0)


@pytest.mark.parametrize(
    ("precision", "device", "capability", "expected"),
    [
        ("auto", CPU, AMPERE, torch.float32),
        ("auto", MPS, AMPERE, torch.float32),
        ("auto", CUDA, AMPERE, torch.bfloat16),
        ("auto", CUDA, (9, 0), torch.bfloat16),
        ("auto", CUDA, VOLTA, torch.float32),
        ("float32", CPU, AMPERE, torch.float32),
        ("float32", CUDA, AMPERE, torch.float32),
        ("bfloat16", CPU, AMPERE, torch.bfloat16),
        ("bfloat16", CUDA, AMPERE, torch.bfloat16),
    ],
)
def test_in_what_features_are_computed(
    precision: Precision,
    device: torch.device,
    capability: tuple[int, int],
    expected: torch.dtype,
    cuda: Callable[..., None],
) -> None:
    cuda(1, capability)
    assert devices.dtype(precision, device) == expected


def test_bfloat16_where_there_is_none_is_refused(cuda: Callable[..., None]) -> None:
    cuda(1, VOLTA)
    with pytest.raises(DeviceError, match=r"has no bfloat16; choose --precision float32"):
        devices.dtype("bfloat16", CUDA)


def test_cuda_is_waited_for_seldom_and_captured() -> None:
    assert [devices.steps_per_wait(device, is_captured=True) == 1 for device in (CPU, MPS, CUDA)] == [True, True, False]
    assert devices.steps_per_wait(CUDA, is_captured=False) == 1
    assert [devices.uses_graphs(device) for device in (CPU, MPS, CUDA)] == [False, False, True]


@pytest.mark.parametrize("exact", [True, False])
def test_arithmetic_is_as_before_afterwards(exact: bool) -> None:
    def flags() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before = flags()
    with devices.float32_precision(CPU, exact=exact):
        assert flags() == before

    def fails() -> None:
        with devices.float32_precision(CUDA, exact=exact):
            assert flags() == (not exact, not exact)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert flags() == before


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 12 bytes"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5.20 GB)"), True),
        (RuntimeError("Invalid buffer size: 20.00 GB"), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_faults(error: Exception, expected: bool) -> None:
    assert devices.is_out_of_memory(error) == expected


@LINUX
def test_a_fault_of_the_real_allocator_is_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)
    assert devices.is_out_of_memory(caught.value)


@LINUX
def test_available_memory_is_some_of_the_machine_s() -> None:
    found = devices.available_memory(CPU)
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert found is not None
    assert 100e6 < found <= total


def test_nobody_says_what_other_devices_have(cuda: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(0)
    assert devices.available_memory(MPS) is None
    assert devices.available_memory(CUDA) is None
    cuda(1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 * 10**9, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * 10**9)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 10**9)
    # Memory that PyTorch has reserved and no tensor uses counts as free.
    assert devices.available_memory(CUDA) == 7 * 10**9


@pytest.mark.parametrize("limit", [300_000_000, None])
def test_the_limit_of_a_container_counts(limit: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "memory_limit", lambda: limit)
    assert (devices.available_memory(CPU) == 300_000_000) == (limit is not None)


LIMITED = """
import psutil, resource, torch
from impasto.engine import devices
size = psutil.Process().memory_info()
limit = size.vms + 500_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found = devices.available_memory(torch.device("cpu"))
assert abs(found - size.rss - 500_000_000) < 50_000_000, found
left = found - size.rss
torch.ones((left - 50_000_000) // 4)
try:
    torch.ones((left + 50_000_000) // 4)
except RuntimeError:
    print("as said")
"""


@LINUX
def test_an_address_space_limit_counts() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.stdout == "as said\n", done.stderr


# In a process of its own, because memory that other tests left in the heap would be used first.
KEPT = """
from pathlib import Path
from types import SimpleNamespace
import torch
from impasto.engine import devices
CPU = torch.device("cpu")


def resident():
    # Counted page by page: since Linux 6.2, what statm says may be off by pages of every processor.
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def left_after_use(size=50_000_000):
    "The part of a block's memory that the process still has after it was freed."
    before = resident()
    block = torch.ones(size)
    del block
    return (resident() - before) / (4 * size)


before = resident()
assert left_after_use() < 0.1
for _ in range(2):
    with devices.keep_freed_memory(CPU):
        assert left_after_use() > 0.8
    assert resident() - before < 50e6
    # Larger than all that was freed, whose addresses glibc may keep, without their pages, and use again.
    assert left_after_use(150_000_000) < 0.1
try:
    with devices.keep_freed_memory(CPU):
        left_after_use()
        raise ZeroDivisionError
except ZeroDivisionError:
    assert resident() - before < 50e6
    assert left_after_use(150_000_000) < 0.1
    print("as said")
"""


@LINUX
@pytest.mark.skipif(devices.glibc() is None, reason="another C library")
def test_freed_memory_is_kept_inside_and_given_back_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=False)
    assert done.stdout == "as said\n", done.stderr


def test_memory_of_other_devices_and_libraries_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "glibc", lambda: None)
    with devices.keep_freed_memory(CPU), devices.keep_freed_memory(CUDA):
        pass


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("gfx90a:sramecc+:xnack-", torch.bfloat16),
        ("gfx942", torch.bfloat16),
        ("gfx1030", torch.float32),  # a Radeon; PyTorch reports its capability as 10.3
        ("gfx906", torch.float32),
    ],
)
def test_rocm_has_rules_of_its_own(
    architecture: str, expected: torch.dtype, cuda: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda(1, (10, 3))
    monkeypatch.setattr(torch.version, "hip", "7.0")
    properties = SimpleNamespace(gcnArchName=architecture)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert devices.dtype("auto", CUDA) == expected


NEW_NAMES = """
import torch
from impasto.engine import devices
torch.backends.fp32_precision = "tf32"
before = devices.tf32_settings()
assert before == ("tf32", "tf32"), before
with devices.float32_precision(torch.device("cuda"), exact=True):
    assert devices.tf32_settings() == ("ieee", "ieee")
assert devices.tf32_settings() == before
print("as said")
"""


def test_a_program_may_have_set_tf32_by_its_new_names() -> None:
    """In a process of its own, because PyTorch refuses the old names after the new ones were used."""
    ended = subprocess.run([sys.executable, "-c", NEW_NAMES], capture_output=True, text=True, check=False)
    assert ended.stdout == "as said\n", ended.stderr


def test_metal_says_how_much_memory_it_recommends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 9 * 10**9)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 2 * 10**9)
    assert devices.available_memory(MPS) == 7 * 10**9


def test_the_share_of_a_gpu_that_is_held(cuda: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(1)
    freed: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(True))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2 * 10**9)
    properties = SimpleNamespace(total_memory=8 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert devices.reserved_share(CUDA) == 0.25
    assert freed == [True]
    assert devices.reserved_share(CPU) == 0


def test_intels_gpus_go_the_plain_way(cuda: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    cuda(0)
    with pytest.raises(DeviceError, match="device 'xpu' is not there"):
        devices.device("xpu")
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    xpu = torch.device("xpu")
    assert devices.device("xpu") == devices.device("auto") == xpu
    assert devices.dtype("auto", xpu) == torch.float32
    assert not devices.uses_graphs(xpu)
    assert devices.steps_per_wait(xpu, is_captured=False) == 1
    assert devices.available_memory(xpu) is None
