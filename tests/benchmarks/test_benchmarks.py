"""The comparison with neural-style-pt, as far as it can be tested without that program."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import neural_style_pt as benchmark
from benchmarks import processes
from benchmarks.peers import neural_style_pt, tables
from benchmarks.peers.stand_in.torchvision import transforms
from impasto.vgg import weights

PRINTED = """\
Setting up content layer 21: relu4_2
Iteration 50 / 100
  Content 1 loss: 3.0
  Style 1 loss: 1.5
  Style 2 loss: 2e1
  Total loss: 25.0
Iteration 100 / 100
  Content 1 loss: 2.0
  Style 1 loss: 1.0
  Style 2 loss: 3.0
  Total loss: 6.25
"""


def test_what_the_peer_prints_is_read_term_by_term() -> None:
    assert neural_style_pt.parse(PRINTED) == {
        50: {"total": 25.0, "content": 3.0, "style": [1.5, 20.0], "smoothness": 0.5},
        100: {"total": 6.25, "content": 2.0, "style": [1.0, 3.0], "smoothness": 0.25},
    }


@pytest.mark.parametrize("output", ["", "No model selected.\n", PRINTED.replace("6.25", "nan")])
def test_no_objective_ends_the_benchmark(output: str) -> None:
    with pytest.raises(SystemExit):
        neural_style_pt.parse(output)


def test_the_weights_stand_where_the_peers_layers_are(tmp_path: Path) -> None:
    neural_style_pt.write_weights(tmp_path / neural_style_pt.MODEL)
    state = torch.load(tmp_path / neural_style_pt.MODEL, weights_only=True)
    ours = weights.load(weights.EMBEDDED["vgg16"])
    # The indices of the convolutions in VGG-16: each is followed by a ReLU, each block by a pooling.
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert set(state) == {f"features.{place}.{part}" for place in places for part in ("weight", "bias")}
    assert torch.equal(state["features.24.weight"], ours["conv5_1.weight"])
    assert torch.equal(state["features.14.bias"], ours["conv3_3.bias"])


def test_the_stand_in_saves_as_torchvision_does() -> None:
    tensor = torch.tensor([0.0, 0.999 / 255, 254.9 / 255, 1.0]).expand(3, 1, 4)
    picture = transforms.ToPILImage()(tensor)
    assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 254, 255]  # truncated
    assert torch.allclose(transforms.ToTensor()(picture)[:, 0] * 255, torch.tensor([0.0, 0.0, 254.0, 255.0]))


def test_the_stand_in_prepares_as_torchvision_does() -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[..., 0] = 255
    prepare = transforms.Compose(
        [
            transforms.Resize((2, 3)),
            transforms.ToTensor(),
            transforms.Lambda(lambda x: x.flip(0)),
            transforms.Normalize(mean=[0.0, 0.0, 0.5], std=[1, 1, 2]),
        ]
    )
    bgr = prepare(Image.fromarray(pixels))
    assert bgr.shape == (3, 2, 3)
    assert bgr[:, 0, 0].tolist() == [0.0, 0.0, 0.25]


def test_both_are_given_pictures_that_neither_resizes(tmp_path: Path) -> None:
    Image.new("RGB", (451, 300)).save(tmp_path / "photo.png")
    size = benchmark.bring_to_size(tmp_path / "photo.png", tmp_path / "out.png", 256)
    assert size == (256, 170)
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == size
        # The peer's own rule for sizes does not change it again.
        assert tuple(int(256 / max(picture.size) * side) for side in picture.size) == size


def test_a_picture_of_another_size_is_not_judged(tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "content.png")
    Image.new("RGB", (6, 8)).save(tmp_path / "result.png")
    content = tmp_path / "content.png"
    peer = neural_style_pt.Peer(content, content, 8, tmp_path, {})
    with pytest.raises(SystemExit, match="nothing to compare"):
        peer.judge(tmp_path / "result.png")


def test_a_process_that_fails_says_what_it_printed() -> None:
    with pytest.raises(SystemExit, match="no model"):
        processes.run([sys.executable, "-c", "print('no model'); raise SystemExit(3)"], {})


def _case(*rows: tuple[str, int, float, float]) -> dict[str, object]:
    return {
        "content": "photo", "style": "painting", "pixels": [256, 170], "init": "default", "iterations": 100,
        "threads": 2, "machine": {"cpu": "some CPU", "gpu": None, "torch": "2.13.0"}, "versions": {},
        "rows": [
            {"program": program, "steps": steps, "seconds": seconds, "peak_bytes": 1e9, "free": None,
             "loss": {"total": total, "content": total / 2, "style": [total / 4, total / 8], "smoothness": total / 8}}
            for program, steps, seconds, total in rows
        ],
    }  # fmt: skip


def test_the_fewest_steps_that_are_as_good_are_named() -> None:
    peers = [(tables.PEER, 100, 59.0, 10.0), (tables.PEER, 100, 61.0, 12.0)]  # medians: 60 s, 11
    ours = [("impasto x", 50, 20.0, 9.0), ("impasto x", 20, 10.0, 11.0), ("impasto x", 10, 5.0, 11.5)]
    assert "after 20 steps" in tables.reached(_case(*peers, *ours))
    assert "10.0 s instead of 60.0 s, 6.0 times as fast" in tables.reached(_case(*peers, *ours))
    assert "not as good" in tables.reached(_case(*peers, ours[2]))


def test_a_case_measured_again_replaces_the_old_one(tmp_path: Path) -> None:
    assert tables.section(tmp_path) == ""
    file = tmp_path / "peers" / "results.json"
    for seconds in (60.0, 70.0):
        benchmark.keep(_case((tables.PEER, 100, seconds, 10.0), ("impasto x", 20, 5.0, 20.0)), file)
    assert len(json.loads(file.read_text())["cases"]) == 1
    section = tables.section(file.parent)
    assert "| neural-style-pt | 100 | 70.0 | 1.00 | 10 | 5 | 3.75 | 1.25 |  |" in section
    assert "not as good" in section
