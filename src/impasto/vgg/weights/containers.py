"""Reading files of weights; the first bytes tell the kind of file, not its name."""

import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeAlias, final

import torch
from torch import Tensor

from impasto.errors import WeightsError
from impasto.system.tables import ReadOnlyTable
from impasto.system.text import reason
from impasto.vgg.weights.reading import unpack

# Ours: nearly twice the largest known file of a VGG-19, torchvision's 548 MiB with its fully connected layers.
LARGEST: Final = 2**30

_ZIP: Final = b"PK\x03\x04"
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
# torch/serialization.py: MAGIC_NUMBER, pickled with protocol 2, with which torch.save's older form begins.
_LEGACY: Final = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

# A group or an array in a file of Keras: h5py has no types.
_Node: TypeAlias = Any

_ACCEPTED: Final = "give a .pth of torch, a .h5 of Keras or a .safetensors"


@final
@dataclass(frozen=True)
class Contents:
    """What a file holds, by the names it uses; kernels (out, in, height, width) as in torch."""

    tensors: Mapping[str, Tensor]
    about: ReadOnlyTable = field(default_factory=dict)  # what impasto noted, if the file is impasto's


def contents(file: BinaryIO, name: str) -> Contents:
    """Return what is in `file`, an open file called `name` in messages.

    Nothing in it is executed: a pickle is read with torch's `weights_only`, and there is no fallback.

    Raises:
        WeightsError: it is of no accepted kind, damaged, or would run code.

    """
    head = file.read(4096)
    size = file.seek(0, 2)
    file.seek(0)
    if size > LARGEST:
        raise WeightsError(f"{name}: has {size / 2**20:.0f} MiB, more than any VGG; {_ACCEPTED}")
    if head.startswith(_ZIP):
        _check_zip(file, name)
        return Contents(_torch(file, name))
    if head.startswith(_LEGACY):
        return Contents(_torch(file, name))
    if head.startswith(_HDF5):
        return Contents(_keras(file, name))
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return Contents(*unpack(file.read(), name, _ACCEPTED))
    if not head:
        kind = "an empty file"
    elif head.lstrip().startswith(b"<"):
        kind = "a web page or XML, not weights: perhaps an error page was saved in their place"
    elif head.startswith(b"\x80"):
        kind = "a pickle that torch.save did not write; it was not opened, for that could run any program"
    else:
        kind = "no file of weights that is known here"
    raise WeightsError(f"{name}: is {kind}; {_ACCEPTED}")


def _check_zip(file: BinaryIO, name: str) -> None:
    """Refuse an archive that torch.save did not write, or that would be more in memory than on disk."""
    size = file.seek(0, 2)
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(f"{name}: damaged or cut off ({reason(error)}); get it again") from error
    finally:
        file.seek(0)
    is_uncompressed = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
    # Parts that share their bytes are no archive of torch.save's either.
    is_complete = sum(part.file_size for part in parts) <= size
    if not (is_uncompressed and is_complete and any(part.filename.endswith("/data.pkl") for part in parts)):
        raise WeightsError(f"{name}: is a zip archive that torch.save did not write; {_ACCEPTED}")


def _torch(file: BinaryIO, name: str) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the file's form
            table = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file makes of the parser
        raise WeightsError(
            f"{name}: cannot be read as tensors alone ({type(error).__name__}): damaged, or it holds more than "
            "weights; get it again from its publisher"
        ) from error
    plain = isinstance(table, dict) and all(isinstance(key, str) and _is_plain(value) for key, value in table.items())
    if not plain:
        raise WeightsError(f"{name}: holds no table of tensors by name; save the network's state_dict() alone")
    return {key: value.detach() for key, value in table.items()}


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def _keras(file: BinaryIO, name: str) -> dict[str, Tensor]:
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(f"{name}: reading Keras' files needs h5py; run pip install 'impasto[keras]'") from error
    tensors: dict[str, Tensor] = {}
    try:
        with h5py.File(file, "r") as root:
            for layer, group in _members(root.get("model_weights", root), h5py.Group):
                if re.fullmatch(r"block\d_conv\d", layer):
                    tensors |= _keras_layer(layer, group)
    except WeightsError as error:
        raise WeightsError(f"{name}: {error}; {_ACCEPTED}") from error
    except Exception as error:  # whatever a damaged or hostile file makes of the parser
        raise WeightsError(f"{name}: damaged or cut off ({type(error).__name__}); get it again") from error
    return tensors


def _keras_layer(layer: str, group: _Node) -> dict[str, Tensor]:
    """Return kernel and bias of one layer; Keras has named them in four ways over the years."""
    tensors = {}
    for path, array in _datasets(group, depth=3):
        # block1_conv1_W_1:0, kernel:0, block1_conv1/kernel:0, kernel
        match = re.fullmatch(r"(?:.*_)?(W|kernel|b|bias)(?:_\d+)?(?::0)?", path)
        if match is None or array.dtype.kind != "f" or array.size > 3 * 3 * 512 * 512:
            raise WeightsError(f"{layer} is no convolution of a VGG")
        key = f"{layer}.{'weight' if match[1] in ('W', 'kernel') else 'bias'}"
        if key in tensors:
            raise WeightsError(f"{layer} has two kernels or biases")
        tensor = torch.from_numpy(array[()].astype("float32"))
        # Keras: (height, width, in, out).
        tensors[key] = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor
    return tensors


def _datasets(group: _Node, depth: int) -> Iterator[tuple[str, _Node]]:
    import h5py

    for key, array in _members(group, h5py.Dataset):
        if array.is_virtual or array.external:
            raise WeightsError("its numbers lie in other files")
        yield key, array
    if depth:
        for _, inner in _members(group, h5py.Group):
            yield from _datasets(inner, depth - 1)


def _members(group: _Node, kind: type) -> Iterator[tuple[str, _Node]]:
    """Yield the members of one kind that are in this file itself: a link may lead to any other file."""
    import h5py

    for key in group:
        if isinstance(group.get(key, getlink=True), h5py.HardLink) and isinstance(group[key], kind):
            yield key, group[key]
