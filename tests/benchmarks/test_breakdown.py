"""Operations of a step are classified by the names and shapes that PyTorch records."""

import pytest
import torch
from torch.nn import functional as F

from benchmarks import breakdown, limits, rates
from benchmarks.breakdown import Operation

BACK = "autograd::engine::evaluate_function: SomethingBackward0"
IMAGE = 3 * 10 * 10


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        (Operation("aten::mkldnn_convolution", (), ((1, 3, 10, 10), (64, 3, 3, 3)), 1.0), breakdown.FORWARD),
        (Operation("aten::_nnpack_spatial_convolution", (BACK,), (), 1.0), breakdown.BACKWARD),
        (Operation("aten::mm", ("aten::convolution",), (), 1.0), breakdown.FORWARD),
        (Operation("aten::mm", (), ((64, 27), (27, 100)), 1.0), breakdown.FORWARD),
        (Operation("aten::mm", (), ((64, 100), (100, 64)), 1.0), breakdown.PRODUCTS),
        (Operation("aten::mul", ("_RectifiedMaximumBackward", BACK), (), 1.0), breakdown.POOLING),
        (Operation("aten::threshold_backward", (BACK,), ((1, 64, 5, 5),), 1.0), breakdown.POOLING),
        (Operation("aten::dot", (), ((300,), (300,)), 1.0), breakdown.IMAGE),
        (Operation("aten::mul", (), ((1, 64, 10, 10),), 1.0), breakdown.REST),
        (Operation("sm80_xmma_dgrad_implicit_gemm_tf32", (), (), 1.0), breakdown.BACKWARD),
        (Operation("sm80_xmma_fprop_implicit_gemm_tf32", (), (), 1.0), breakdown.FORWARD),
        (Operation("sm90_xmma_gemm_f32f32", (), (), 1.0), breakdown.PRODUCTS),
    ],
)
def test_an_operation_belongs_to_a_part(operation: Operation, part: str) -> None:
    assert breakdown.kind(operation, IMAGE) == part


def test_a_layer_has_one_name_there_and_back() -> None:
    there = Operation("aten::conv2d", (), ((1, 64, 20, 30), (128, 64, 3, 3), (128,)), 1.0)
    back = Operation("aten::conv2d", (BACK,), ((1, 128, 20, 30), (64, 128, 3, 3)), 2.0)
    name = "64 to 128 channels, 30 wide"
    assert breakdown.by_layer([there, back], IMAGE) == {breakdown.FORWARD: {name: 1.0}, breakdown.BACKWARD: {name: 2.0}}


def test_what_pytorch_records_is_understood() -> None:
    image = torch.rand(1, 3, 40, 40, requires_grad=True)
    weights = [torch.randn(out, into, 3, 3) for out, into in ((8, 3), (16, 8))]

    def work() -> None:
        x = F.relu(F.conv2d(image, weights[0], padding=1))
        x = F.max_pool2d(F.relu(F.conv2d(x, weights[1], padding=1)), 2)
        flat = x.flatten(2)[0]
        torch.autograd.grad((flat @ flat.T).square().sum() + image.diff(dim=3).square().sum(), image)

    operations = breakdown.record(work, "cpu")
    parts = breakdown.parts(operations, image.numel())
    for part in (breakdown.FORWARD, breakdown.BACKWARD, breakdown.POOLING, breakdown.PRODUCTS):
        assert parts[part] > 0
    layers = breakdown.by_layer(operations, image.numel())
    assert "8 to 16 channels, 40 wide" in layers[breakdown.FORWARD]


def test_a_real_step_is_taken_apart() -> None:
    row = limits.step(32, "cpu")
    assert row["canvas"] == 34
    assert row["parts"][breakdown.FORWARD] > 0
    assert row["parts"][breakdown.BACKWARD] > 0
    assert "64 to 64 channels, 34 wide" in row["layers"][breakdown.FORWARD]


def test_rates_are_operations_by_the_shortest_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "seconds", lambda work, device: 0.5)
    assert rates.products("cpu", 100) == {"float32": 2 * 100**3 / 0.5 / 1e9}
    assert rates.copies("cpu", 4000) == 2 * 4000 / 0.5 / 1e9
