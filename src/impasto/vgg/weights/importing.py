"""Import of a file of weights into the cache, recognised by its content."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, final

from torch import Tensor

from impasto.errors import WeightsError, suggest
from impasto.system.locks import hold_lock
from impasto.system.tables import Table
from impasto.system.text import printable, reason
from impasto.vgg.weights import store
from impasto.vgg.weights.containers import Contents, contents
from impasto.vgg.weights.files import digests, not_written
from impasto.vgg.weights.layouts import ArrangedTensors, arrange, by_corner, by_layout
from impasto.vgg.weights.reading import find_misfit, load, pack
from impasto.vgg.weights.spec import SPECS, WeightsSpec

OFFICIAL: Final = "the official file"


@final
@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    name: str
    path: Path
    sha256: str  # of the file given
    recognized_by: str  # how it was recognised
    already: bool  # the same file had been imported before

    @property
    def official(self) -> bool:
        """Whether its hash is the publisher's."""
        return self.recognized_by == OFFICIAL


def import_file(
    path: Path, *, name: str | None = None, force: bool = False, specs: Mapping[str, WeightsSpec] = SPECS
) -> Imported:
    """Bring the weights in the file at `path` into the cache.

    Args:
        path: torchvision's or a Caffe-derived .pth, Keras' .h5 (with the extra `keras`), or a .safetensors of impasto's
            or with the same names; the file's name does not count.
        name: whose weights they are, where the file does not say.
        force: replace other weights of that name.
        specs: the weights that there are.

    Raises:
        WeightsError: the file cannot be read, holds other weights than impasto knows, or does not say which of two.

    """
    offered = {key: spec for key, spec in specs.items() if spec.embedded is None}
    if name is not None and name not in offered:
        raise WeightsError(f"{name}: is not imported from files; {suggest(name, offered)}")
    shown_path = printable(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise WeightsError(f"{shown_path}: is not a regular file; give a file of weights")
        with path.open("rb") as file:
            hashes = digests(file)
            stored = contents(file, shown_path)
    except OSError as error:
        raise WeightsError(f"{shown_path}: cannot be read ({reason(error)}); give a file of weights") from error
    spec, recognized_by, tensors = _recognize(stored, hashes, name, offered, shown_path)
    place = store.prepare()
    try:
        with hold_lock(place / f"{spec.name}.lock"):
            existing = None if force else intact(spec)
            if existing and existing.source.get("sha256") != hashes["sha256"]:
                raise WeightsError(f"{spec.name}: other weights are here already; add --force to replace them")
            new = existing or keep_converted(spec, tensors, path.name, hashes, official=recognized_by == OFFICIAL)
    except OSError as error:
        raise not_written(place, error) from error
    return Imported(spec.name, new.path, hashes["sha256"], recognized_by, already=existing is not None)


def intact(spec: WeightsSpec) -> store.CacheEntry | None:
    """Return the cache's entry for these weights if its file is complete and unchanged."""
    try:
        load(spec)
        return store.entry(spec.name)
    except WeightsError:
        return None


def keep_converted(
    spec: WeightsSpec, tensors: Mapping[str, Tensor], file: str, hashes: Mapping[str, str], *, official: bool
) -> store.CacheEntry:
    """Put arranged tensors into the cache; the caller holds the lock.

    Args:
        spec: of the weights.
        tensors: by impasto's names.
        file: name of the file that they came from.
        hashes: of that file, by algorithm.
        official: whether it is the published file.

    """
    source: Table = {"file": printable(file), **hashes, "official": official}
    return store.keep(spec.name, pack(spec, tensors, source), source)


def convert(file: BinaryIO, name: str, spec: WeightsSpec) -> dict[str, Tensor]:
    """Return the tensors in `file`, known to be those of `spec`, by impasto's names.

    Args:
        file: open for reading.
        name: of the file, for messages.
        spec: of the weights.

    Raises:
        WeightsError: they are not.

    """
    arranged = arrange(contents(file, name).tensors, spec)
    if arranged.problem:
        raise WeightsError(f"{name}: {arranged.problem}")
    return arranged.tensors


def _recognize(
    stored: Contents, hashes: Mapping[str, str], name: str | None, specs: Mapping[str, WeightsSpec], path: str
) -> tuple[WeightsSpec, str, dict[str, Tensor]]:
    """Return the spec of the weights, how they were recognised, and the tensors by impasto's names."""
    if stored.about:
        return _read_own_form(stored, name, specs, path)
    candidates = [specs[name]] if name else list(specs.values())
    # Weights of one architecture are arranged alike.
    arranged: dict[str, ArrangedTensors] = {spec.name: arrange(stored.tensors, spec) for spec in specs.values()}
    fitting = [spec for spec in specs.values() if arranged[spec.name].problem is None]
    if not any(spec in fitting for spec in candidates):
        raise WeightsError(
            f"{path}: {arranged[candidates[0].name].problem}; give a file of {candidates[0].architecture}"
        )
    layout, tensors, _ = arranged[fitting[0].name]
    spec, recognized_by = _by_hash(hashes, fitting), OFFICIAL
    if spec is None:
        spec, recognized_by = by_corner(tensors, fitting), "the numbers in its first layer"
    if spec is not None and name not in (None, spec.name):
        raise WeightsError(f"{path}: holds {spec.name}, as {recognized_by} says; leave out --as {name}")
    if spec is None and name is not None:
        spec, recognized_by = specs[name], f"--as {name}"
    if spec is None:
        matching = [spec_ for spec_ in fitting if hashes["sha256"].startswith(spec_.prefixes or ("-",))]
        spec, recognized_by = matching[0] if matching else None, "the beginning of its hash"
    if spec is None:
        spec, recognized_by = by_layout(layout, fitting), "the names of its layers"
    if spec is None:
        choices = " or ".join(f"--as {spec_.name} ({_describe_pixels(spec_)})" for spec_ in fitting)
        raise WeightsError(f"{path}: does not say for which pixels its weights were made; add {choices}")
    return spec, recognized_by, arranged[spec.name].tensors


def _by_hash(hashes: Mapping[str, str], specs: list[WeightsSpec]) -> WeightsSpec | None:
    for spec in specs:
        if spec.official and hashes[spec.official.algorithm] == spec.official.digest:
            return spec
    return None


def _read_own_form(
    stored: Contents, name: str | None, specs: Mapping[str, WeightsSpec], path: str
) -> tuple[WeightsSpec, str, dict[str, Tensor]]:
    """Return what a file in impasto's own form says of itself."""
    says = stored.about.get("name")
    spec = specs.get(says) if isinstance(says, str) else None
    if spec is None or stored.about.get("convention") != spec.convention.table():
        raise WeightsError(f"{path}: was written by another version of impasto; import the file it was made from")
    if name not in (None, spec.name):
        raise WeightsError(f"{path}: holds {spec.name}, as impasto noted in it; leave out --as {name}")
    if problem := find_misfit(stored.tensors, spec):
        raise WeightsError(f"{path}: {problem}; give a file of {spec.architecture}")
    return spec, "impasto's note in it", {key: tensor.float() for key, tensor in stored.tensors.items()}


def _describe_pixels(spec: WeightsSpec) -> str:
    convention = spec.convention
    return f"{convention.order} in 0..{convention.white:g}"
