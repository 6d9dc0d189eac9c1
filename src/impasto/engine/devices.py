"""The device of a run, its precision and its memory."""

import ctypes
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psutil
import torch

from impasto.engine import cards
from impasto.errors import DeviceError, UsageError
from impasto.recipe import Precision
from impasto.system import cgroups


class Choice(NamedTuple):
    """Devices chosen, and why others were not, for a person to know."""

    devices: tuple[torch.device, ...]
    notes: tuple[str, ...] = ()


def device(name: str = "auto") -> torch.device:
    """Return the device called `name`.

    Args:
        name: `auto` (CUDA, then XPU, then MPS, then the CPU), `cpu`, `cuda`, `cuda:N`, `xpu` or `mps`.

    Raises:
        UsageError: there is no device of that name.
        DeviceError: this machine does not have it, or this PyTorch cannot compute on it.

    """
    if name == "auto":
        return choose(name).devices[0]
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "xpu", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device {name!r} is unknown; choose auto, cpu, cuda, cuda:N, xpu or mps")
    if kind == "cuda":
        return _cuda(name, int(index or 0))
    if kind == "xpu" and not torch.xpu.is_available():
        raise DeviceError("device 'xpu' is not there: it needs an Intel GPU and PyTorch's build for it; choose cpu")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device 'mps' is not there: it needs a Mac with Metal; choose cpu")
    return torch.device(kind)


def _cuda(name: str, index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        if problem := cards.find_driver_problem():
            raise DeviceError(f"device {name!r} cannot be used: {problem}; or choose cpu")
        built = "" if torch.version.cuda or torch.version.hip else " (this PyTorch is a build without CUDA)"
        raise DeviceError(f"device {name!r} is not there: no CUDA device was found{built}; choose cpu")
    if index >= count:
        raise DeviceError(f"device {name!r} is not there: the last one is cuda:{count - 1}")
    card = torch.device("cuda", index)
    if missing := cards.find_missing_kernels(card):
        raise DeviceError(f"device {name!r} cannot be used: {missing}; or choose cpu")
    return card


def devices(names: str) -> tuple[torch.device, ...]:
    """Return the devices of a comma-separated list; the first one holds the image. See `choose`."""
    return choose(names).devices


def choose(names: str, *, computes: bool = True) -> Choice:
    """Return the devices of a comma-separated list, and notes on those that `auto` did not take.

    `auto` is all CUDA devices of the machine that this PyTorch has kernels for; without any, the first of XPU, MPS and
    CPU that is there.

    Args:
        names: as `--device` takes them.
        computes: whether this process will compute on them. If so, `auto` tries the device that holds the image with a
            small computation, takes the next one if that fails, and leaves out cards of another architecture than the
            first one's, which would share its tiles. Otherwise no device gets a context of this process.

    Raises:
        UsageError: as `device`, or the devices are of different kinds.
        DeviceError: as `device`.

    """
    if names == "auto":
        return _choose_best(computes)
    parsed = tuple(device(name) for name in names.split(","))
    if len({parsed_device.type for parsed_device in parsed}) > 1:
        raise UsageError(f"devices {names!r} are of different kinds; give several of one, such as cuda:0,cuda:1")
    return Choice(parsed)


def _choose_best(computes: bool) -> Choice:
    usable: list[torch.device] = []
    notes: list[str] = []
    for found in list_gpus():
        if usable and found.type != "cuda":
            break
        problem = cards.find_missing_kernels(found) if found.type == "cuda" else None
        if computes and problem is None:
            if not usable:
                problem = cards.find_fault(found)
            elif _capability(found) != _capability(usable[0]):
                continue
        if problem is None:
            usable.append(found)
        else:
            notes.append(f"{found} is not used: {problem}")
    if not torch.cuda.is_available() and torch.version.cuda and (problem := cards.find_driver_problem()):
        notes.append(f"no CUDA device is used: {problem}")
    return Choice(tuple(usable) or (torch.device("cpu"),), tuple(notes))


def _capability(card: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(card)


def list_gpus() -> tuple[torch.device, ...]:
    """Return every GPU that PyTorch sees, the fastest kind first, whether it works or not."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [torch.device("cuda", index) for index in range(count)]
    if torch.xpu.is_available():
        found.append(torch.device("xpu"))
    if torch.backends.mps.is_available():
        found.append(torch.device("mps"))
    return tuple(found)


def untold(notes: Iterable[str]) -> tuple[str, ...]:
    """Return those notes on devices that this process has not told yet, so that each picture does not repeat them."""
    fresh = tuple(note for note in notes if note not in _TOLD)
    _TOLD.update(fresh)
    return fresh


_TOLD: Final[set[str]] = set()


def total_memory(device: torch.device) -> int | None:
    """Return the bytes that a CUDA device has in all, without making a context on it; None for other devices."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None


def dtype(precision: Precision, on: torch.device) -> torch.dtype:
    """Return the dtype of features; statistics, losses and the image are always float32.

    `auto` is bfloat16 on CUDA devices that are fast in it, where it doubles the speed without a visible difference
    (docs/deviations.md), and float32 elsewhere.

    Raises:
        DeviceError: bfloat16 was asked for on a CUDA device that does not have it.

    """
    if precision == "float32":
        return torch.float32
    has = on.type == "cuda" and torch.cuda.is_available() and _has_fast_bfloat16(on)
    if precision == "bfloat16":
        if on.type == "cuda" and not has:
            raise DeviceError(f"{on} has no bfloat16; choose --precision float32")
        return torch.bfloat16
    return torch.bfloat16 if has else torch.float32


def _has_fast_bfloat16(on: torch.device) -> bool:
    if torch.version.hip:
        # On ROCm the capability is the number of the architecture, which says nothing of the kind.
        architecture = torch.cuda.get_device_properties(on).gcnArchName
        return architecture.startswith(_BFLOAT16_ARCHITECTURES)
    return torch.cuda.get_device_capability(on) >= _BFLOAT16_CAPABILITY


# NVIDIA's Ampere, the first architecture with bfloat16 matrix products.
_BFLOAT16_CAPABILITY = (8, 0)
# AMD's Instinct MI200, MI300 and MI350. The convolution library of ROCm is slow in bfloat16 on other cards.
_BFLOAT16_ARCHITECTURES = ("gfx90a", "gfx94", "gfx95")


def steps_per_wait(on: torch.device, *, is_captured: bool) -> int:
    """Return the largest number of steps between two waits for the device.

    Args:
        on: the device.
        is_captured: whether the steps will be replays of a captured graph. Others wait for the device anyway.

    """
    # Ours: a wait every ten steps costs nothing measurable.
    return 10 if on.type == "cuda" and is_captured else 1


def uses_graphs(on: torch.device) -> bool:
    """Whether steps are captured in a CUDA graph on this device."""
    return on.type == "cuda"


@contextmanager
def float32_precision(on: torch.device, *, exact: bool) -> Iterator[None]:
    """Allow or forbid CUDA to multiply float32 matrices in TF32, while the context lasts.

    TF32 keeps all digits of bfloat16, so that statistics of bfloat16 features lose nothing.
    """
    if on.type != "cuda":
        yield
        return
    before, is_by_new_names = tf32_settings(), _uses_new_tf32_names()
    _set_tf32(("ieee" if exact else "tf32",) * 2 if is_by_new_names else (not exact,) * 2)
    try:
        yield
    finally:
        _set_tf32(before)


def tf32_settings() -> tuple[bool, bool] | tuple[str, str]:
    """Return whether CUDA uses TF32 now: for matrix products, and for convolutions."""
    if _uses_new_tf32_names():
        return torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def _uses_new_tf32_names() -> bool:
    """Whether the program around us set TF32 by its new names, after which PyTorch refuses to read the old ones."""
    try:
        _ = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return True
    return False


def _set_tf32(settings: tuple[bool, bool] | tuple[str, str]) -> None:
    name = "allow_tf32" if isinstance(settings[0], bool) else "fp32_precision"
    convolutions = torch.backends.cudnn
    if name == "fp32_precision":
        convolutions = convolutions.conv  # type: ignore[attr-defined]
    for switch, value in zip((torch.backends.cuda.matmul, convolutions), settings, strict=True):
        setattr(switch, name, value)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the device or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(spelling in text for spelling in _OUT_OF_MEMORY)


# How plain RuntimeErrors say it: the CPU's allocator, CUDA's and Metal's, cuBLAS and cuDNN, Metal's buffers.
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "alloc_failed", "invalid buffer size")


def available_memory(device: torch.device) -> int | None:
    """Return the bytes that this process can still allocate on `device`; None where that is unknown."""
    if device.type == "cuda" and torch.cuda.is_available():
        # What PyTorch keeps reserved for this process is not free on the device, but can be used again.
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    if device.type == "mps" and torch.backends.mps.is_available():
        # Metal shares the main memory, and the system swaps before Metal refuses.
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    if device.type != "cpu":
        return None
    process = psutil.Process().memory_info()
    bounds = [psutil.virtual_memory().available + process.rss]
    if sys.platform != "win32":
        import resource

        address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
        if address_space != resource.RLIM_INFINITY:
            # Libraries and stacks reserve addresses without using memory.
            bounds.append(address_space - (process.vms - process.rss))
    group = cgroups.memory_limit()
    return min(bounds if group is None else [*bounds, group])


def reserved_share(device: torch.device) -> float:
    """Return the fraction of a GPU's memory that this process holds, after freeing what it only keeps for later."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return 0.0
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device) / torch.cuda.get_device_properties(device).total_memory


@contextmanager
def keep_freed_memory(device: torch.device) -> Iterator[None]:
    """Keep freed memory in the process for its next use, while the context lasts; on the CPU and with glibc only.

    A step allocates and frees the same hundreds of megabytes again and again. By default glibc returns each large
    block to the system at once, which clears every page anew: a tenth of a step's time, measured.
    """
    library = glibc() if device.type == "cpu" else None
    if library is None:
        yield
        return
    library.mallopt(_M_TRIM_THRESHOLD, -1)
    library.mallopt(_M_MMAP_MAX, 0)
    try:
        yield
    finally:
        library.mallopt(_M_TRIM_THRESHOLD, 128 * 1024)
        library.mallopt(_M_MMAP_MAX, 65536)
        library.malloc_trim(0)


def glibc() -> ctypes.CDLL | None:
    """Return the C library if it is the GNU one, whose allocator can be told to keep freed memory."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


# The parameters of mallopt in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
