"""Which device a run uses."""

import torch

from impasto.errors import DeviceError, UsageError


def device(name: str = "auto") -> torch.device:
    """Return the device called `name`.

    Args:
        name: `auto` (CUDA, then MPS, then the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        UsageError: there is no device of that name.
        DeviceError: it is not in this machine.

    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, colon, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"device {name!r} is unknown; choose auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda":
        return _cuda(name, int(index or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device 'mps' is not there: it needs a Mac with Metal; choose cpu")
    return torch.device(kind)


def _cuda(name: str, index: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        built = "" if torch.version.cuda else " (this PyTorch is a build without CUDA)"
        raise DeviceError(f"device {name!r} is not there: no CUDA device was found{built}; choose cpu")
    if index >= count:
        raise DeviceError(f"device {name!r} is not there: the last one is cuda:{count - 1}")
    return torch.device("cuda", index)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch gave up for lack of memory, of the device or of the machine."""
    # The CPU's allocator has no exception of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
