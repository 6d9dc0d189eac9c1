"""Tensors in a safetensors file, written and read one at a time: a copy of all of them may not fit into memory.

The format is https://github.com/huggingface/safetensors#format: eight bytes of length, a JSON table, the data.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors import safe_open
from torch import Tensor

from impasto.ops.numerics import widest_dtype
from impasto.system import ownership
from impasto.system.tables import Table

_TYPES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.bool: "BOOL",
}
_CHUNK: Final = 1 << 24
# At the start of every file that is written here, so that it can be told from other programs' files of its name.
MARK: Final = b'{"__metadata__": {"impasto": "checkpoint"}'


def write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a new file, synced to the disk, and return its SHA-256.

    Raises:
        OSError: it cannot be written; nothing is left of it.

    """
    # The widest dtypes first, so that every tensor is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    digest = hashlib.sha256()
    with ownership.create(path) as file:
        header = _header(names, tensors)
        start = memoryview(len(header).to_bytes(8, "little") + header)
        for content in itertools.chain([start], (_bytes(tensors[name]) for name in names)):
            for first in range(0, len(content), _CHUNK):
                digest.update(content[first : first + _CHUNK])
                file.write(content[first : first + _CHUNK])
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _header(names: list[str], tensors: Mapping[str, Tensor]) -> bytes:
    table: Table = {"__metadata__": {"impasto": "checkpoint"}}
    end = 0
    for name in names:
        tensor, begin = tensors[name], end
        end += tensor.numel() * tensor.element_size()
        table[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(table).encode()
    return text + b" " * (-len(text) % 8)


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def read(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Return the tensors of a file, on `device`.

    Raises:
        OSError: it cannot be read; or what the safetensors library raises for another kind of file.

    """
    with safe_open(path, framework="pt") as file:
        # Copied: tensors of the file may be aligned differently from PyTorch's own, which can change the last bits.
        return {name: _on_device(file.get_tensor(name).clone(), device) for name in file.keys()}  # noqa: SIM118


def _on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, in float32 if it is float64 and the device has none."""
    if tensor.dtype == torch.float64:
        tensor = tensor.to(widest_dtype(device))
    return tensor.to(device)
