"""Whether a GPU works with this PyTorch: its kernels, its driver, and one product and convolution computed on it."""

import ctypes
import functools
import re
import sys
from pathlib import Path
from typing import Final

import torch
from torch.nn import functional as F

# PyTorch's builds for CUDA 12.6 have kernels for cards from Maxwell on, and work with drivers from 525 on.
OLDER_BUILD: Final = "pip install torch --index-url https://download.pytorch.org/whl/cu126"

Capability = tuple[int, int]


def find_missing_kernels(card: torch.device) -> str | None:
    """Return why this PyTorch cannot compute on a CUDA card, and what to do; None where it has kernels for it.

    Nothing is computed, and no context is made on the card.
    """
    # ROCm's names of architectures are others, and it translates none of them.
    kernels = [] if torch.version.hip else torch.cuda.get_arch_list()
    # A build that does not say what it has is not refused.
    if not kernels:
        return None
    capability = torch.cuda.get_device_capability(card)
    if any(_runs_on(kernel, capability) for kernel in kernels):
        return None
    built_for = [version for kernel in kernels if (version := _version(kernel)) is not None]
    if capability > max(built_for, default=capability):
        remedy = "a newer one may have them: pip install --upgrade torch"
    elif capability >= _OLDEST:
        remedy = f"an older build has them: {OLDER_BUILD}"
    else:
        remedy = "no build of today has them"
    return (
        f"{torch.cuda.get_device_name(card)} has compute capability {capability[0]}.{capability[1]}, and PyTorch "
        f"{torch.__version__} has kernels for {', '.join(kernels)} only; {remedy}"
    )


# The oldest architecture that PyTorch's builds for CUDA 12.6 have kernels for: Maxwell.
_OLDEST: Final[Capability] = (5, 0)


def _version(kernel: str) -> Capability | None:
    """Return the architecture of `sm_86` or `compute_90`: (8, 6), (9, 0)."""
    match = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[a-z]?", kernel)
    return None if match is None else (int(match[1]), int(match[2]))


def _runs_on(kernel: str, capability: Capability) -> bool:
    """Whether a card of a capability runs a kernel.

    Machine code (`sm_`) runs on cards of its major version and no older minor one, code to be compiled by the driver
    (`compute_`) on all that are no older. Either with a letter, as in `sm_90a`, runs on its own architecture alone.
    """
    version = _version(kernel)
    if version is None:
        return False
    if kernel[-1].isalpha():
        return version == capability
    if kernel.startswith("compute_"):
        return version <= capability
    return version[0] == capability[0] and version[1] <= capability[1]


def find_driver_problem() -> str | None:
    """Return why PyTorch finds no CUDA device although NVIDIA's driver is there, and what to do; None without a driver.

    Only to be asked where `torch.cuda.is_available()` is False.
    """
    supported = find_driver_version()
    if supported is None or torch.version.hip:
        return None
    if torch.version.cuda is None:
        return f"NVIDIA's driver is there, but PyTorch {torch.__version__} is a build without CUDA; {OLDER_BUILD}"
    # A driver runs all builds of its own major version of CUDA.
    needed = int(torch.version.cuda.partition(".")[0])
    if supported[0] < needed:
        return (
            f"NVIDIA's driver is for CUDA {supported[0]}.{supported[1]}, too old for PyTorch {torch.__version__}, "
            f"which needs CUDA {needed}; install a newer driver, or an older build: {OLDER_BUILD}"
        )
    return "NVIDIA's driver is there, but gives PyTorch no device; see what nvidia-smi and CUDA_VISIBLE_DEVICES say"


def find_driver_version() -> tuple[int, int] | None:
    """Return the newest version of CUDA that NVIDIA's driver supports, such as (12, 4); None without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    number = ctypes.c_int()
    # This works before CUDA is initialised, and with drivers that are too old for that.
    if driver.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return None
    return number.value // 1000, number.value % 1000 // 10


def read_driver_release(file: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """Return the release of NVIDIA's driver, such as 580.65.06, as Linux says it; None where it does not."""
    try:
        match = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", file.read_text("utf-8"))
    except OSError:
        return None
    return None if match is None else match[1]


@functools.cache
def find_fault(device: torch.device) -> str | None:
    """Return what is wrong with a device, after a small matrix product and a convolution on it; None if nothing is.

    Computed once a process for each device.
    """
    generator = torch.Generator().manual_seed(0)
    image, weight = (torch.rand(shape, generator=generator) for shape in ((1, 8, 16, 16), (8, 8, 3, 3)))
    expected = _compute(image, weight)
    try:
        products = _compute(image.to(device), weight.to(device)).cpu()
    except Exception as error:
        # What a device cannot do raises errors of all kinds. All lines of PyTorch's but the first are about debugging
        # its kernels.
        return f"it fails at its first kernel ({str(error).partition(chr(10))[0] or type(error).__name__})"
    # In TF32, the least precise way to compute this, numbers have 11 bits.
    if not torch.allclose(products, expected, rtol=0.01):
        return "it computes wrong numbers"
    return None


def _compute(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    features = F.conv2d(image, weight, padding=1).flatten(2)[0]
    return features @ features.T
