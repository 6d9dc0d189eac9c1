"""Reading weights from the package or the cache, refusing everything that is not exactly as recorded."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Final, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from impasto.errors import WeightsError
from impasto.system.tables import ReadOnlyTable, Table
from impasto.system.text import printable, reason
from impasto.vgg.weights import store
from impasto.vgg.weights.spec import Embedded, PixelConvention, WeightsSpec, find

# A single metadata key: safetensors writes several in any order, and equal weights should give equal files.
KEY: Final = "impasto"

_DTYPES: Final = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@final
class LoadedWeights(Mapping[str, Tensor]):
    """Tensors by key, with the pixel convention that they were trained for.

    `conv{block}_{index}.weight` (out, in, 3, 3) and `.bias` (out,) for every convolution, float32 on the CPU, as
    published: for input in `convention`.
    """

    def __init__(self, spec: WeightsSpec, tensors: Mapping[str, Tensor]) -> None:
        self.spec = spec
        self._tensors = dict(tensors)

    @property
    def convention(self) -> PixelConvention:
        """The form of the pixels."""
        return self.spec.convention

    def __getitem__(self, key: str) -> Tensor:
        return self._tensors[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def load(which: str | WeightsSpec) -> LoadedWeights:
    """Return weights that are on this machine, checked to the last bit. Nothing is downloaded.

    Args:
        which: which weights, such as `vgg19`.

    Raises:
        WeightsError: they are not on this machine; their SHA-256 differs from the recorded one; or the file holds
            other layers or was made for other pixels than its name says. The message says which and what to do.

    """
    spec = find(which) if isinstance(which, str) else which
    return _read_embedded(spec, spec.embedded) if spec.embedded else _read_cached(spec)


def verify(which: str | WeightsSpec) -> str:
    """Check weights in full and return a line that says so.

    Raises:
        WeightsError: as `load`.

    """
    spec = load(which).spec
    if spec.embedded:
        return f"{spec.name}, SHA-256 {spec.embedded.sha256[:12]}... as expected"
    entry = store.entry(spec.name)
    if entry is None:
        raise WeightsError(spec.not_here())
    origin = "official file" if entry.source.get("official") else "a file of your own"
    return f"{spec.name}, SHA-256 {entry.sha256[:12]}... as expected, from {origin}"


def _read_embedded(spec: WeightsSpec, embedded: Embedded) -> LoadedWeights:
    again = "install impasto again"
    try:
        blob = (resources.files("impasto.vgg.weights") / "data" / embedded.file).read_bytes()
    except OSError as error:
        raise WeightsError(f"{embedded.file}: cannot be read ({reason(error)}); {again}") from error
    tensors, _ = parse(blob, embedded.file, embedded.sha256, again)
    if problem := find_misfit(tensors, spec):
        raise WeightsError(f"{embedded.file}: {problem}; {again}")
    return LoadedWeights(spec, {name: tensor.float() for name, tensor in tensors.items()})


def _read_cached(spec: WeightsSpec) -> LoadedWeights:
    entry = store.entry(spec.name)
    if entry is None:
        raise WeightsError(spec.not_here())
    name, again = printable(entry.path), store.repair_hint(spec.name)
    try:
        blob = _content(entry)
    except FileNotFoundError:
        # Another process replaced them after the entry was read; read the entry again.
        current = store.entry(spec.name)
        if current is not None and current.sha256 != entry.sha256:
            return _read_cached(spec)
        raise WeightsError(f"{name}: has gone; {again}") from None
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read ({reason(error)}); see to its permissions") from error
    tensors, about = parse(blob, name, entry.sha256, again)
    if about.get("name") != spec.name or about.get("convention") != spec.convention.table():
        raise WeightsError(f"{name}: holds other weights than {spec.name}; {again}")
    if problem := find_misfit(tensors, spec):
        raise WeightsError(f"{name}: {problem}; {again}")
    return LoadedWeights(spec, tensors)


def _content(entry: store.CacheEntry) -> bytes:
    with entry.path.open("rb") as file:
        # One byte more than recorded is enough to refuse the file.
        return file.read(max(entry.bytes, 0) + 1)


def parse(blob: bytes, name: str, sha256: str, again: str) -> tuple[dict[str, Tensor], Table]:
    """Return the tensors in `blob`, the content of the safetensors file `name`, and impasto's metadata in it.

    Args:
        blob: content of the file.
        name: of the file, for messages.
        sha256: that it must have.
        again: what to do about a damaged file, the end of the message.

    Raises:
        WeightsError: its SHA-256 is not `sha256`, or it is no safetensors file; the message ends in `again`.

    """
    # The hash is checked before a byte is parsed: a parser is only as safe as its input.
    digest = hashlib.sha256(blob).hexdigest()
    if digest != sha256:
        raise WeightsError(
            f"{name}: damaged or replaced (SHA-256 is {digest[:12]}..., expected {sha256[:12]}...); {again}"
        )
    return unpack(blob, name, again)


def pack(spec: WeightsSpec, tensors: Mapping[str, Tensor], source: ReadOnlyTable) -> bytes:
    """Return the content of a file in impasto's own form: safetensors that know their name and convention.

    Args:
        spec: of the weights.
        tensors: by impasto's names.
        source: where they came from, as JSON has it.

    """
    about = {
        "format": store.FORMAT,
        "name": spec.name,
        "convention": spec.convention.table(),
        "attribution": spec.attribution,
        "source": dict(source),
    }
    return save_safetensors(dict(tensors), {KEY: json.dumps(about, sort_keys=True)})


def unpack(blob: bytes, name: str, again: str) -> tuple[dict[str, Tensor], Table]:
    """Return the tensors of a safetensors file and what impasto noted in it, empty where it is not impasto's.

    Args:
        blob: content of the file.
        name: of the file, for messages.
        again: what to do about a damaged file, the end of the message.

    Raises:
        WeightsError: it is no safetensors file.

    """
    try:
        tensors = load_safetensors(blob)
        # Eight bytes of length, then a JSON table: the format's own description.
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        about = json.loads(header.get("__metadata__", {}).get(KEY, "{}"))
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{name}: is no safetensors file ({reason(error)}); {again}") from error
    return tensors, about if isinstance(about, dict) else {}


def find_misfit(tensors: Mapping[str, Tensor], spec: WeightsSpec) -> str | None:
    """Return why `tensors` are not weights of the architecture of `spec`, or None if they are."""
    expected = spec.tensor_shapes()
    for key, shape in expected.items():
        if key not in tensors:
            return f"holds other layers than {spec.name} has: {key} is missing"
        if tuple(tensors[key].shape) != shape:
            return f"holds other layers than {spec.name} has: {key} is {_size(tensors[key].shape)}, not {_size(shape)}"
        if tensors[key].dtype not in _DTYPES:
            return f"holds {key} as {tensors[key].dtype}, not as real numbers"
        if not bool(tensors[key].isfinite().all()):
            return f"holds numbers in {key} that are not finite"
    extra = sorted(tensors.keys() - expected.keys())
    return f"holds other layers than {spec.name} has: {printable(extra[0])[:60]}" if extra else None


def _size(shape: torch.Size | tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
