"""Fetch weights from their publisher into the cache."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from impasto.errors import WeightsError
from impasto.system.folders import VARIABLE
from impasto.system.locks import hold_lock
from impasto.system.text import printable
from impasto.vgg.weights import store
from impasto.vgg.weights.download import DownloadListener, Patience, discard, download
from impasto.vgg.weights.files import digests, not_written
from impasto.vgg.weights.importing import convert, intact, keep_converted
from impasto.vgg.weights.spec import Official, WeightsSpec, find

__all__ = ["DownloadListener", "Fetched", "Patience", "fetch", "offline"]


class Fetched(NamedTuple):
    """What became of a request for weights."""

    entry: store.CacheEntry
    already: bool  # they were here, and whole


def offline() -> bool:
    """Whether the person forbids any connection: `IMPASTO_OFFLINE` is set, to anything but 0."""
    return os.environ.get("IMPASTO_OFFLINE", "0") not in ("", "0")


def fetch(
    which: str | WeightsSpec,
    *,
    force: bool = False,
    listener: DownloadListener | None = None,
    patience: Patience | None = None,
) -> Fetched:
    """Bring weights into the cache, downloaded from their publisher unless they are there already.

    What was received before it broke off is gone on with the next time. Of several processes one downloads, and the
    others wait for it.

    Args:
        which: which weights.
        force: download them even if they are here.
        listener: hears how it goes.
        patience: how long to keep trying.

    Raises:
        WeightsError: they cannot be had; the message says how to do it by hand.

    """
    spec = find(which) if isinstance(which, str) else which
    if spec.official is None:
        raise WeightsError(f"{spec.name}: comes inside the package; there is nothing to fetch")
    listener = listener or DownloadListener()
    place = store.prepare()
    try:
        with hold_lock(
            place / f"{spec.name}.lock", lambda: listener.note("another process is fetching; waiting for it")
        ):
            existing = None if force else intact(spec)
            new = existing or _download_and_convert(spec, spec.official, place, listener, patience or Patience())
    except OSError as error:
        raise not_written(place, error) from error
    return Fetched(new, already=existing is not None)


def _download_and_convert(
    spec: WeightsSpec, file: Official, place: Path, listener: DownloadListener, patience: Patience
) -> store.CacheEntry:
    part = place / f"{spec.name}-{file.digest[:16]}.part"
    if offline():
        raise WeightsError(f"{spec.name}: IMPASTO_OFFLINE is set, so nothing was fetched; {spec.by_hand()}")
    if file.extra and importlib.util.find_spec("h5py") is None:
        raise WeightsError(f"{spec.name}: reading its file needs h5py; run pip install 'impasto[{file.extra}]'")
    _check_space(spec, file, part)
    try:
        download(file, part, listener, patience)
    except WeightsError as error:
        raise WeightsError(f"{error}; {spec.by_hand()}") from error
    with part.open("rb") as file_on_disk:
        hashes = digests(file_on_disk)
        tensors = convert(file_on_disk, printable(part), spec)
    entry = keep_converted(spec, tensors, file.url.rpartition("/")[2], hashes, official=True)
    discard(part)
    return entry


def _check_space(spec: WeightsSpec, file: Official, part: Path) -> None:
    """Refuse before minutes are spent if the disk cannot take the download and what is made of it."""
    numbers = sum(9 * layer.in_channels * layer.out_channels for layer in spec.convolutions)
    have = part.stat().st_size if part.exists() else 0
    needed = file.bytes - have + 4 * numbers  # float32
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise WeightsError(
            f"{printable(part.parent)}: {needed / 2**20:.0f} MiB are needed and {free / 2**20:.0f} MiB free; free some "
            f"space, or set {VARIABLE} to a folder elsewhere"
        )
