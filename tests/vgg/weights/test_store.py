"""The cache never holds half a file, is checked completely at every load, and is shared by any number of processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from impasto.errors import WeightsError
from impasto.vgg import weights
from impasto.vgg.weights import store
from impasto.vgg.weights.importing import keep_converted
from impasto.vgg.weights.reading import pack
from tests.conftest import PROJECT
from tests.vgg.weights import samples

pytestmark = pytest.mark.usefixtures("cache")

SPEC = samples.specs()["small"]
HASHES = {"sha256": "0" * 64, "md5": "0" * 32}


def fill(seed: int = 0) -> store.CacheEntry:
    store.prepare()
    return keep_converted(SPEC, samples.tensors(seed=seed), "x.pth", HASHES, official=False)


def test_what_was_kept_is_loaded_bit_for_bit_with_its_convention() -> None:
    fill()
    found = weights.load(SPEC)
    assert found.convention == SPEC.convention
    assert found.keys() == samples.tensors().keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in samples.tensors().items())
    assert weights.verify(SPEC).startswith("small, SHA-256")


def test_equal_weights_make_equal_files() -> None:
    # A file's name depends on its content, and must not depend on the order of keys in safetensors.
    content = {pack(SPEC, samples.tensors(), {"file": "x", "official": False}) for _ in range(20)}
    assert len(content) == 1


@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_flipped_bit_is_refused(place: int) -> None:
    path = fill().path
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    for use in (weights.load, weights.verify):
        with pytest.raises(WeightsError, match=r"damaged or replaced .*; run 'impasto weights fetch small'"):
            use(SPEC)


@pytest.mark.parametrize("change", ["truncated", "longer", "empty", "pickle", "gone", "folder"])
def test_any_other_file_is_refused(change: str) -> None:
    path = fill().path
    content = path.read_bytes()
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change != "gone":
        new = {"truncated": content[:-1], "longer": content + b"x", "empty": b"", "pickle": b"\x80\x04K\x01."}[change]
        path.write_bytes(new)
    with pytest.raises(WeightsError, match=r"damaged or replaced|has gone|cannot be read") as caught:
        weights.load(SPEC)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        b'{"format": 1, "name": "small", "sha256": "../../../secret", "bytes": 1, "source": {}}',
        b'{"format": 1, "name": "small", "sha256": 5, "bytes": 1, "source": {}}',
        b'{"format": 9, "name": "small", "sha256": "%s", "bytes": 1, "source": {}}' % (b"0" * 64),
        b'{"format": 1, "name": "other", "sha256": "%s", "bytes": 1, "source": {}}' % (b"0" * 64),
    ],
)
def test_a_damaged_note_is_refused(cache: Path, note: bytes) -> None:
    fill()
    (cache / "small.json").write_bytes(note)
    with pytest.raises(WeightsError, match=r"small\.json: damaged; run 'impasto weights fetch small'"):
        weights.load(SPEC)


def test_the_note_of_other_weights_does_not_make_them_these(cache: Path) -> None:
    fill()
    other = samples.specs()["small-caffe"]
    keep_converted(other, samples.tensors(), "x.pth", HASHES, official=False)
    table = json.loads((cache / "small-caffe.json").read_text())
    entry = store.entry("small-caffe")
    assert entry is not None
    (cache / f"small-{table['sha256'][:16]}.safetensors").write_bytes(entry.path.read_bytes())
    (cache / "small.json").write_text(json.dumps(table | {"name": "small"}))
    with pytest.raises(WeightsError, match="holds other weights than small"):
        weights.load(SPEC)


def test_replacing_removes_the_old_and_what_a_killed_process_left_but_nothing_else(cache: Path) -> None:
    old = fill(0)
    (cache / ".small-0123456789abcdef.tmp").write_bytes(b"half")
    kept = [cache / "small-caffe-0123456789abcdef.safetensors", cache / ".small-caffe-0123456789abcdef.tmp"]
    for path in kept:
        path.write_bytes(b"of other weights")
    new = fill(1)
    assert not old.path.exists()
    assert {path.name for path in cache.iterdir()} == {new.path.name, "small.json", *(path.name for path in kept)}


def test_a_full_disk_leaves_what_was_there(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(0)
    before = sorted(cache.iterdir())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WeightsError, match=r"could not be written .No space left on device.; free some space"):
        fill(1)
    assert sorted(cache.iterdir()) == before
    assert torch.equal(weights.load(SPEC)["conv1_1.bias"], samples.tensors(seed=0)["conv1_1.bias"])


def test_a_reader_between_note_and_replacement_gets_the_new(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(0)
    first = store.entry("small")
    fill(1)
    answers = iter([first])
    real = store.entry
    monkeypatch.setattr(store, "entry", lambda name: next(answers, None) or real(name))
    assert torch.equal(weights.load(SPEC)["conv1_1.bias"], samples.tensors(seed=1)["conv1_1.bias"])


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMPASTO_CACHE", "some/where")
    with pytest.raises(WeightsError, match="IMPASTO_CACHE: some/where is not an absolute path"):
        weights.folder()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("IMPASTO_CACHE", "~/pictures")
    assert weights.folder() == tmp_path / "pictures" / "weights"
    monkeypatch.setenv("IMPASTO_CACHE", "")
    assert weights.folder().parts[-2:] == ("impasto", "weights")
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"could not be written .*IMPASTO_CACHE"):
        store.prepare()


WORKER = """
import sys
sys.path.insert(0, {folder!r})
from tests.vgg.weights import samples
from pathlib import Path
from impasto.vgg import weights
number, url, content = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]).read_bytes()
specs = samples.specs({{"small": samples.official(url, content)}})
if number % 2:
    weights.fetch(specs["small"])
    found = weights.load(specs["small"])
    assert found["conv1_1.bias"].sum() == samples.tensors(seed=0)["conv1_1.bias"].sum()
else:
    mine = samples.tensors(seed=number)
    for turn in range(5):
        weights.import_file(Path(sys.argv[4 + number]), force=True, specs=specs)
        # Whoever was last: always one of the four, whole.
        found = weights.load(specs["small-caffe"])["conv1_1.bias"].sum()
        assert found in [samples.tensors(seed=seed)["conv1_1.bias"].sum() for seed in (0, 2, 4, 6)]
"""


@pytest.mark.slow
def test_eight_processes_at_once(cache: Path, tmp_path: Path, server: samples.Server) -> None:
    path = samples.pth(tmp_path / "small.pth", samples.by_places(samples.tensors(corner=samples.RGB_CORNER)))
    content = path.read_bytes()

    def answer(visit: samples.Visit) -> None:
        visit.stop.wait(0.5)  # long enough for all requests to arrive
        visit.file(content)

    server.answer = answer
    files = [samples.pth(tmp_path / f"{n}.pth", samples.tensors(seed=n, corner=samples.BGR_CORNER)) for n in range(7)]
    code = WORKER.format(folder=str(PROJECT))
    arguments = [server.url, str(path), *map(str, files)]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(n), *arguments], stderr=subprocess.PIPE) for n in range(8)
    ]
    errors = [process.communicate(timeout=200)[1].decode() for process in processes]
    assert not any(errors), "".join(errors)
    assert len(server.visits) == 1
    endings = sorted(entry.name.rpartition(".")[2] for entry in cache.iterdir())
    assert endings == ["json", "json", "lock", "lock", "safetensors", "safetensors"]
