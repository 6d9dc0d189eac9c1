"""Importing files: recognised by content in every form, and refused with one line otherwise."""

import builtins
import io
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from impasto.errors import WeightsError
from impasto.recipe.vgg_layers import NETWORKS
from impasto.vgg import weights
from impasto.vgg.weights.containers import contents
from tests.vgg.weights import samples

pytestmark = pytest.mark.usefixtures("cache")

SPECS = samples.specs()
RGB = samples.tensors(corner=samples.RGB_CORNER)
BGR = samples.tensors(corner=samples.BGR_CORNER)
PLAIN = samples.tensors()


def import_weights(path: Path, name: str | None = None, *, force: bool = False) -> weights.Imported:
    return weights.import_file(path, name=name, force=force, specs=SPECS)


def refused(path: Path, message: str, name: str | None = None) -> str:
    before = sorted(weights.folder().iterdir()) if weights.folder().exists() else []
    with pytest.raises(WeightsError, match=message) as caught:
        import_weights(path, name)
    said = str(caught.value)
    assert "\n" not in said
    assert "; " in said  # between what happened and what to do
    assert before == (sorted(weights.folder().iterdir()) if weights.folder().exists() else [])
    return said


def assert_stored(done: weights.Imported, made: dict[str, torch.Tensor], name: str) -> None:
    assert done.name == name
    found = weights.load(SPECS[name])
    assert found.keys() == made.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in made.items())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("made", "name"), [(RGB, "small"), (BGR, "small-caffe")])
@pytest.mark.parametrize("file", ["vgg.pth", "vgg.safetensors", "vgg.h5", "no ending"])
def test_torch_files_are_told_apart_by_their_numbers(
    tmp_path: Path, made: dict[str, torch.Tensor], name: str, legacy: bool, file: str
) -> None:
    table = samples.by_places(made) | {"classifier.0.weight": torch.zeros(4, 4)}
    done = import_weights(samples.pth(tmp_path / file, table, legacy=legacy))
    assert (done.recognized_by, done.official, done.already) == ("the numbers in its first layer", False, False)
    assert_stored(done, made, name)


def test_a_float16_copy_is_recognised_too(tmp_path: Path) -> None:
    half = {key: tensor.half() for key, tensor in RGB.items()}
    done = import_weights(samples.pth(tmp_path / "x.pth", samples.by_places(half)))
    assert_stored(done, {key: tensor.float() for key, tensor in half.items()}, "small")


def test_parameters_and_odd_strides_are_tensors_like_others(tmp_path: Path) -> None:
    odd = {key: nn.Parameter(tensor.transpose(0, -1).contiguous().transpose(0, -1)) for key, tensor in RGB.items()}
    assert_stored(import_weights(samples.pth(tmp_path / "x.pth", samples.by_places(odd))), RGB, "small")


def test_a_file_that_does_not_say_is_refused_until_somebody_does(tmp_path: Path) -> None:
    path = samples.pth(tmp_path / "x.pth", samples.by_places(PLAIN))
    said = refused(path, "does not say for which pixels")
    assert "add --as small (RGB in 0..1) or --as small-caffe (BGR in 0..255)" in said
    for name in SPECS:
        done = import_weights(path, name)
        assert done.recognized_by == f"--as {name}"
        assert_stored(done, PLAIN, name)


def test_what_the_numbers_say_is_not_overruled(tmp_path: Path) -> None:
    refused(samples.pth(tmp_path / "x.pth", samples.by_places(RGB)), "holds small, .*leave out --as", "small-caffe")


def test_caffes_own_names_are_of_the_original_weights(tmp_path: Path) -> None:
    # Gatys' vgg_conv.pth, and a copy with the fully connected layers.
    done = import_weights(samples.pth(tmp_path / "vgg_conv.pth", PLAIN | {"fc6.weight": torch.zeros(2)}))
    assert done.recognized_by == "the names of its layers"
    assert_stored(done, PLAIN, "small-caffe")
    # The values of the weights count more than the names.
    assert_stored(import_weights(samples.pth(tmp_path / "renamed.pth", RGB)), RGB, "small")


@pytest.mark.parametrize("top", [False, True])
@pytest.mark.parametrize("naming", ["{layer}_{old}_1:0", "{new}:0", "{layer}/{new}:0", "{layer}/{layer}_{old}:0"])
def test_keras_files(tmp_path: Path, naming: str, top: bool) -> None:
    done = import_weights(samples.h5(tmp_path / "x.pth", PLAIN, naming, top=top))
    assert_stored(done, PLAIN, "small-caffe")


def test_a_whole_keras_model(tmp_path: Path) -> None:
    path = samples.h5(tmp_path / "weights.h5", PLAIN)
    with h5py.File(path) as file, h5py.File(tmp_path / "model.h5", "w") as model:
        for key in file:
            file.copy(key, model.require_group("model_weights"))
    assert_stored(import_weights(tmp_path / "model.h5"), PLAIN, "small-caffe")


def test_keras_without_h5py_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> object:
        if name == "h5py":
            raise ImportError
        return real(name, *rest)

    path = samples.h5(tmp_path / "x.h5", PLAIN)
    monkeypatch.setattr(builtins, "__import__", without)
    refused(path, r"needs h5py; run pip install 'impasto\[keras\]'")


def test_impastos_own_files_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = import_weights(samples.pth(tmp_path / "x.pth", samples.by_places(PLAIN)), "small-caffe")
    carried = Path(shutil.copy(done.path, tmp_path / "carried"))
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "another"))
    assert import_weights(carried).recognized_by == "impasto's note in it"
    assert_stored(import_weights(carried), PLAIN, "small-caffe")
    refused(carried, "holds small-caffe, as impasto noted", "small")


def test_other_safetensors_with_torchvisions_names(tmp_path: Path) -> None:
    save_file(samples.by_places(RGB), tmp_path / "x")
    assert_stored(import_weights(tmp_path / "x"), RGB, "small")


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_an_official_file_is_known_by_its_hash(tmp_path: Path, algorithm: Literal["sha256", "md5"]) -> None:
    path = samples.pth(tmp_path / "x.pth", samples.by_places(PLAIN))
    known = samples.official("https://example.org/x", path.read_bytes(), algorithm)
    done = weights.import_file(path, specs=samples.specs({"small": known}))
    assert done.official
    entry = weights.entry("small")
    assert entry is not None
    assert entry.source["official"] is True
    assert "official" in weights.verify(SPECS["small"])


def test_the_published_file_named_after_its_hash_is_recognised(tmp_path: Path) -> None:
    import dataclasses
    import hashlib

    path = samples.pth(tmp_path / "x.pth", samples.by_places(PLAIN))
    prefix = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    known = SPECS | {"small-caffe": dataclasses.replace(SPECS["small-caffe"], prefixes=(prefix,))}
    assert weights.import_file(path, specs=known).name == "small-caffe"


def test_other_weights_are_replaced_only_by_force(tmp_path: Path) -> None:
    one = samples.pth(tmp_path / "1.pth", samples.by_places(RGB))
    other = samples.pth(tmp_path / "2.pth", samples.by_places(samples.tensors(seed=1, corner=samples.RGB_CORNER)))
    import_weights(one)
    assert import_weights(one).already
    with pytest.raises(WeightsError, match="small: other weights are here already; add --force"):
        import_weights(other)
    assert_stored(import_weights(one), RGB, "small")
    assert not import_weights(other, force=True).already
    assert store_is_whole()


def test_damaged_weights_are_replaced_without(tmp_path: Path) -> None:
    path = samples.pth(tmp_path / "1.pth", samples.by_places(RGB))
    done = import_weights(path)
    done.path.write_bytes(b"")
    assert not import_weights(path).already
    assert_stored(import_weights(path), RGB, "small")


def store_is_whole() -> bool:
    return sum(path.suffix == ".safetensors" for path in weights.folder().iterdir()) == 1


def _broken(kind: str) -> dict[str, torch.Tensor]:
    made = samples.by_places(samples.tensors(corner=samples.RGB_CORNER))
    if kind == "missing layer":
        del made["features.5.weight"]
    elif kind == "another layer":
        made["features.7.weight"] = torch.zeros(6, 6, 3, 3)
    elif kind == "batch norm":
        made["features.1.running_mean"] = torch.zeros(4)
    elif kind == "shape":
        made["features.5.weight"] = torch.zeros(6, 5, 3, 3)
    elif kind == "bias":
        made["features.5.bias"] = torch.zeros(())
    elif kind == "NaN":
        made["features.5.weight"][1, 1, 1, 1] = torch.nan
    elif kind == "infinite":
        made["features.0.bias"][0] = torch.inf
    elif kind == "integers":
        made["features.5.bias"] = torch.zeros(6, dtype=torch.int64)
    else:
        made["features.5.bias"] = torch.zeros(6, dtype=torch.complex64)
    return made


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing layer", r"conv2_1.weight is missing"),
        ("another layer", r"features.7.weight"),
        ("batch norm", r"features.1.running_mean"),
        ("shape", r"conv2_1.weight is 6 x 5 x 3 x 3, not 6 x 4 x 3 x 3"),
        ("bias", r"conv2_1.bias is a single number, not 6"),
        ("NaN", r"conv2_1.weight that are not finite"),
        ("infinite", r"conv1_1.bias that are not finite"),
        ("integers", r"not as real numbers"),
        ("complex", r"not as real numbers"),
    ],
)
def test_other_networks_and_broken_numbers_are_refused(tmp_path: Path, kind: str, message: str) -> None:
    path = samples.pth(tmp_path / "x.pth", _broken(kind))
    refused(path, message)
    refused(path, message, "small")


def test_a_resnet_is_refused(tmp_path: Path) -> None:
    path = samples.pth(tmp_path / "resnet.pth", {"conv1.weight": torch.zeros(2), "layer1.0.bn1.bias": torch.zeros(2)})
    refused(path, r"resnet.pth: holds conv1.weight and no layers of a VGG")


def test_a_vgg16_is_named(tmp_path: Path) -> None:
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    made = {f"features.{place}.{part}": torch.zeros(1) for place in places for part in ("weight", "bias")}
    for layer, place in zip(NETWORKS["vgg16"], places, strict=True):
        made[f"features.{place}.weight"] = torch.zeros(layer.out_channels, layer.in_channels, 3, 3)[:, :, :1, :1]
    path = samples.pth(tmp_path / "x.pth", made)
    with pytest.raises(WeightsError, match="holds VGG-16, not VGG-19; give a file of VGG-19"):
        weights.import_file(path)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("file", ["x.pth", "x.safetensors", "x.h5"])
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle", "nested"])
def test_no_program_in_a_file_is_run(tmp_path: Path, form: str, file: str) -> None:
    marker = tmp_path / "marker"
    table = samples.by_places(RGB)
    if form == "pickle":
        (tmp_path / file).write_bytes(pickle.dumps(table | {"x": Payload(marker)}))
    elif form == "nested":
        samples.pth(tmp_path / file, Payload(marker))
    else:
        samples.pth(tmp_path / file, table | {"x": Payload(marker)}, legacy=form == "legacy")
    refused(tmp_path / file, "could run any program" if form == "pickle" else "more than weights")
    assert not marker.exists()
    # Another loader runs the payload, which shows that it works.
    content = (tmp_path / file).read_bytes()
    pickle.loads(content) if form == "pickle" else torch.load(io.BytesIO(content), weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"PK\x03\x04", "damaged or cut off"),
        (b"PK\x03\x04" + b"x" * 5000, "damaged or cut off"),
        (b"\x89HDF\r\n\x1a\n" + b"x" * 5000, "damaged or cut off"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + b"x" * 50, "cannot be read as tensors alone"),
        (b"\x08\0\0\0\0\0\0\0{bad...}", "is no safetensors file"),
        (b"\x08\0\0\0\0\0\0\0[1,2,3,]" * 9, "no file of weights"),
        (b"\x89PNG\r\n\x1a\n", "no file of weights"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    refused(path, message)


@pytest.mark.parametrize("form", ["zip", "legacy", "h5", "safetensors"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "whole"
    if form == "h5":
        samples.h5(path, BGR)
    elif form == "safetensors":
        save_file(samples.by_places(RGB), path)
    else:
        samples.pth(path, samples.by_places(RGB), legacy=form == "legacy")
    whole = path.read_bytes()
    for share in range(1, 20):
        path.write_bytes(whole[: len(whole) * share // 20])
        refused(path, r"damaged|is no safetensors file|no file of weights|no layers of a VGG")


def test_archives_that_torch_did_not_write_are_not_opened(tmp_path: Path) -> None:
    for name, inside, compression in [
        ("other", "data.txt", zipfile.ZIP_STORED),
        # A few kilobytes that would take a gigabyte of memory.
        ("bomb", "x/data.pkl", zipfile.ZIP_DEFLATED),
    ]:
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            archive.writestr(inside, bytes(10_000))
        refused(tmp_path / name, "a zip archive that torch.save did not write")


def test_hdf5_never_leads_to_another_file(tmp_path: Path) -> None:
    whole = samples.h5(tmp_path / "whole.h5", PLAIN)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        for layer in ("block1_conv1", "block1_conv2", "block2_conv1"):
            file[layer] = h5py.ExternalLink(str(whole), layer)
    refused(tmp_path / "link.h5", "no layers of a VGG")
    (tmp_path / "secret").write_bytes(np.zeros((3, 3, 3, 4), np.float32).tobytes())
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        place = [(str(tmp_path / "secret"), 0, 432)]
        file.require_group("block1_conv1").create_dataset("kernel:0", (3, 3, 3, 4), "float32", external=place)
    refused(tmp_path / "raw.h5", "its numbers lie in other files")


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.require_group("block1_conv1").create_dataset("kernel:0", (3, 3, 10**6, 10**6), "float32", chunks=(1,) * 4)
    refused(tmp_path / "x.h5", "no convolution of a VGG")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere\n.pth", r"nowhere\\n.pth: cannot be read .No such file")
    refused(tmp_path, "is not a regular file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is not a regular file")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**30 + 1)
    with (tmp_path / "huge").open("rb") as file, pytest.raises(WeightsError, match="1024 MiB, more than any VGG"):
        contents(file, "huge")


def test_not_for_the_network_inside_the_package(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="vgg16: is not imported from files"):
        weights.import_file(tmp_path / "x", name="vgg16")


@pytest.mark.parametrize("table", [[1, 2], {"a": 5}, {1: torch.zeros(1)}, torch.zeros(3), {"state_dict": {}}])
def test_torch_files_without_a_table_of_tensors(tmp_path: Path, table: object) -> None:
    refused(samples.pth(tmp_path / "x.pth", table), "holds no table of tensors by name")
