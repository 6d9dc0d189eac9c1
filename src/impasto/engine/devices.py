"""The device of a run, its precision and its memory."""

import ctypes
import functools
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from torch.nn import functional as F

from impasto.errors import DeviceError, UsageError
from impasto.recipe import Precision
from impasto.system.text import reason


def device(name: str = "auto") -> torch.device:
    """Return the device called `name`.

    Args:
        name: `auto` (CUDA, then XPU, then MPS, then the CPU; the first that PyTorch can use), `cpu`, `cuda`, `cuda:N`,
            `xpu` or `mps`.

    Raises:
        UsageError: there is no device of that name.
        DeviceError: this machine does not have it, or this PyTorch cannot use it.

    """
    if name == "auto":
        return devices("auto")[0]
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
        raise DeviceError(f"device {name!r} is not there: {_why_no_cuda()}; choose cpu")
    if index >= count:
        raise DeviceError(f"device {name!r} is not there: the last one is cuda:{count - 1}")
    problem = cuda_problem(index)
    if problem is not None:
        raise DeviceError(f"device {name!r} cannot be used: {problem}; or choose cpu")
    return torch.device("cuda", index)


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return "no CUDA device was found (this PyTorch is a build without CUDA)"
    if shutil.which("nvidia-smi") is None:
        return "no CUDA device was found"
    # PyTorch's builds for CUDA 13 need driver 580; those for 12.6 take 560.
    return (
        f"there is an NVIDIA driver, but this PyTorch, built for CUDA {torch.version.cuda}, cannot use it; update the "
        f"driver, or {_OLDER_BUILD}"
    )


def cuda_problem(index: int) -> str | None:
    """Return why this PyTorch cannot use a CUDA device, and what to do about it; None if it has kernels for it."""
    architectures = torch.cuda.get_arch_list()
    if torch.version.hip or not architectures:
        return None
    major, minor = torch.cuda.get_device_capability(index)
    for architecture in architectures:
        kind, _, number = architecture.partition("_")
        built_major, built_minor = divmod(int("".join(filter(str.isdecimal, number))), 10)
        # Kernels run on cards of the same generation and later models; PTX is compiled for every later card.
        if kind == "sm" and built_major == major and built_minor <= minor:
            return None
        if kind == "compute" and (built_major, built_minor) <= (major, minor):
            return None
    return (
        f"this PyTorch has no kernels for {torch.cuda.get_device_name(index)}, of compute capability {major}.{minor}; "
        f"{_OLDER_BUILD}"
    )


_OLDER_BUILD = (
    "install the build for older cards and drivers: pip install --force-reinstall torch "
    "--index-url https://download.pytorch.org/whl/cu126"
)


def devices(names: str) -> tuple[torch.device, ...]:
    """Return the devices of a comma-separated list; the first one holds the image.

    `auto` is all CUDA devices that this PyTorch has kernels for and that are of the first one's capability; without
    any, the device that `device("auto")` returns.

    Raises:
        UsageError: as `device`, or the devices are of different kinds.
        DeviceError: as `device`.

    """
    if names == "auto":
        return automatic_devices()[0]
    parsed = tuple(device(name) for name in names.split(","))
    if len({parsed_device.type for parsed_device in parsed}) > 1:
        raise UsageError(f"devices {names!r} are of different kinds; give several of one, such as cuda:0,cuda:1")
    return parsed


def automatic_devices() -> tuple[tuple[torch.device, ...], tuple[str, ...]]:
    """Return the devices that `auto` stands for, and why faster ones were passed over."""
    problems: list[str] = []
    if torch.cuda.is_available():
        usable = []
        for index in range(torch.cuda.device_count()):
            problem = cuda_problem(index)
            if problem is None:
                usable.append(index)
            else:
                problems.append(f"cuda:{index} is not used: {problem}")
        # Others would compute in another precision, or hold up the first.
        alike = [index for index in usable if _capability(index) == _capability(usable[0])]
        if alike:
            return tuple(torch.device("cuda", index) for index in alike), tuple(problems)
    elif torch.version.cuda is not None and shutil.which("nvidia-smi") is not None:
        problems.append(f"the NVIDIA GPU is not used: {_why_no_cuda()}")
    others = (("xpu", torch.xpu.is_available()), ("mps", torch.backends.mps.is_available()))
    kind = next((kind for kind, is_there in others if is_there), "cpu")
    return (torch.device(kind),), tuple(problems)


def working_devices(names: str) -> tuple[tuple[torch.device, ...], tuple[str, ...]]:
    """Return the devices of a list, and what a person should know about them.

    Of those that `auto` stands for, each computes a small convolution first; those that fail are left out, and the CPU
    remains. Devices that were asked for by name are taken as they are.

    Raises:
        UsageError: as `devices`.
        DeviceError: as `devices`.

    """
    if names != "auto":
        return devices(names), ()
    chosen, problems = automatic_devices()
    failures = {candidate: failure(candidate) for candidate in chosen}
    working = tuple(candidate for candidate, problem in failures.items() if problem is None)
    notes = [f"{candidate} is not used: it fails ({problem})" for candidate, problem in failures.items() if problem]
    return working or (torch.device("cpu"),), (*problems, *notes)


@functools.cache
def failure(on: torch.device) -> str | None:
    """Return how a device fails at a small convolution and a matrix product; None if it computes both."""
    if on.type == "cpu":
        return None
    try:
        image = torch.ones(1, 4, 8, 8, device=on)
        features = F.conv2d(image, torch.ones(4, 4, 3, 3, device=on)).flatten(2)
        total = float((features @ features.mT).sum())
    except RuntimeError as error:
        return reason(error)
    # 16 products of 36 positions, each of them 36 times 36.
    return None if total == 16 * 36 * 36**2 else f"it computes {total:g} where {16 * 36 * 36**2} is right"


def _capability(index: int) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


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
    group = Path("/sys/fs/cgroup/memory.max")
    if group.exists() and (text := group.read_text().strip()).isdecimal():
        bounds.append(int(text))
    return min(bounds)


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
