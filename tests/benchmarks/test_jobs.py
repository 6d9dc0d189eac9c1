"""The benchmarks: what they compute from measurements, and one tiny real run of each that is quick."""

import argparse
import dataclasses
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import impasto
from benchmarks import __main__ as entry
from benchmarks import (
    batch,
    breakdown,
    charts,
    control,
    crowsonkb,
    floor,
    gpu,
    launches,
    limits,
    main_job,
    measured,
    page,
    records,
    report,
    sizes,
    throughput,
)
from benchmarks.peers import plain_loop, pystiche, tables
from impasto import Recipe
from impasto.engine import devices
from impasto.engine.networks import load_network
from impasto.recipe import Adam, presets
from impasto.recipe.terms import Content, Gram, weighted_layers

MACHINE = {"cpu": "some CPU", "cores": 2, "gpu": None, "torch": "2.13.0"}


def _size(size: int, step: float, peak: float, gpu_peak: float | None = None, options: str = "") -> dict[str, Any]:
    times = {"step_seconds": step, "first_step_seconds": 2.0}
    return {"options": options, "size": size, **times, "peak_bytes": peak, "device_peak_bytes": gpu_peak}


SIZE_ROWS = [
    _size(100, 0.5, 4e8),
    _size(1000, 20.0, 3e9, 2e9),
    {"options": "", "size": 4000, "failed": "not enough memory"},
    _size(100, 0.6, 3e8, options="--max-memory=2G"),
]
LIMITS_ROW = {
    "size": 100, "canvas": 106, "operations": 2e9, "step_seconds": 0.04, "products_gflops": {"float32": 100.0},
    "copies_gbps": 20.0, "parts": {"convolutions, forward": 0.03, "poolings and ReLU": 0.01},
    "layers": {"convolutions, forward": {"3 to 64 channels, 106 wide": 0.03}}, "rest": {"aten::add": 0.001},
}  # fmt: skip
SCALES = [
    {"height": 100, "width": 128, "steps": 1000, "step_seconds": 0.2},
    {"height": 200, "width": 256, "steps": 500, "step_seconds": 0.8},
]
TURNS = [
    {"scales": SCALES, "projected_seconds": 600.0, "seconds": 60.0},
    {"scales": SCALES, "projected_seconds": 660.0, "seconds": 60.0},
]
LOOP_ROW = {"size": 256, "pair": "photo + painting", "steps_timed": 3, "options": "", "turns": TURNS}


def _results(folder: Path, name: str = "cpu", **parts: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    text = json.dumps({job: {"machine": MACHINE, "rows": rows} for job, rows in parts.items()})
    (folder / f"{name}.json").write_text(text)
    return folder


def test_a_step_is_the_median_after_the_first() -> None:
    assert measured.step_seconds([1.0, 11.0, 13.0, 16.0, 18.5]) == 2.5  # 10 left out; 2, 3, 2.5
    assert measured.step_seconds([1.0, 4.0]) == 3.0
    assert measured.step_seconds([1.0]) is None


def in_bursts(burst: int, steps: int, step: float, start: float, together: float) -> list[float]:
    """The times at which steps are reported that take `step` seconds each after `start`, if the run waits once a burst.

    The steps of a burst are reported `together` seconds apart.
    """
    times = []
    for index in range(steps):
        last_of_burst = min((index // burst + 1) * burst, steps)
        times.append(start + last_of_burst * step + (index % burst) * together)
    return times


@pytest.mark.parametrize("burst", [1, 10])
@pytest.mark.parametrize("steps", [30, 35])
def test_a_step_takes_as_long_however_many_are_reported_at_once(burst: int, steps: int) -> None:
    times = in_bursts(burst, steps, 0.002, start=1.0, together=3e-5)
    assert measured.step_seconds(times) == pytest.approx(0.002)
    assert measured.first_step_seconds(times) == pytest.approx(1.002)
    assert next(count for _, count in measured.bursts(times)) == burst


def test_a_burst_that_warms_up_does_not_count() -> None:
    times = [time + (5.0 if index >= 10 else 0.0) for index, time in enumerate(in_bursts(10, 40, 0.002, 1.0, 3e-5))]
    assert measured.step_seconds(times) == pytest.approx(0.002)


def test_a_single_burst_does_not_say_how_long_a_step_takes() -> None:
    times = in_bursts(10, 10, 0.002, start=1.0, together=3e-5)
    assert measured.step_seconds(times) is None
    assert measured.first_step_seconds(times) == pytest.approx(1.02)


def test_the_second_picture_of_a_process_is_measured_by_itself() -> None:
    def command(seconds: float, step: float) -> list[dict[str, Any]]:
        return [
            *({"event": "stepped", "scale": 0, "seconds": time} for time in in_bursts(10, 30, step, 0.5, 3e-5)),
            {"event": "finished", "loss": 0.5, "seconds": seconds - 0.5},
            {"event": "memory", "seconds": seconds, "peak_bytes": 3, "device_peak_bytes": 4},
        ]

    events = [*command(3.0, 0.01), *command(1.0, 0.002)]
    first, second = measured.read_all("".join(json.dumps(event) + "\n" for event in events), 6.0)
    # The start of Python and the imports count for the first picture.
    assert (first.seconds, second.seconds) == (5.0, 1.0)
    assert [first.step_seconds, second.step_seconds] == pytest.approx([0.01, 0.002])
    assert second.optimisation_seconds == 0.5


def test_memory_is_what_pytorch_holds_on_the_card_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured.device_peak_bytes() is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda index: (0, 7)[index])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *index: 5)
    assert measured.device_peak_bytes() == 7


def test_the_step_taken_apart_is_one_of_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated on the CPU: it reports two steps at once, and every operation takes a second."""
    record = breakdown.record

    def record_seconds(work: Callable[[], object], device: str) -> list[breakdown.Operation]:
        return [dataclasses.replace(operation, seconds=1.0) for operation in record(work, device)]

    monkeypatch.setattr(breakdown, "record", record_seconds)
    monkeypatch.setattr(limits, "STEPS", 2)
    seconds = {}
    for burst in (1, 2):
        monkeypatch.setattr(devices, "steps_per_wait", lambda device, *, is_captured, burst=burst: burst)
        seconds[burst] = sum(limits.step(32, "cpu")["layers"]["convolutions, forward"].values())
    # The operations of one step: not none, as if it had been taken before the profiler began, and not those of two.
    assert seconds[2] == seconds[1] > 5


def test_the_events_are_read_whatever_stands_between_them() -> None:
    events = [
        {"event": "stepped", "scale": 0, "seconds": 1.0},
        {"event": "stepped", "scale": 1, "seconds": 5.0},
        {"event": "stepped", "scale": 1, "seconds": 7.0},
        {"event": "finished", "loss": 0.5, "seconds": 8.0},
        {"event": "memory", "seconds": 8.5, "peak_bytes": 3, "device_peak_bytes": None},
    ]
    (painted,) = measured.read_all("note: a note\n".join(json.dumps(event) + "\n" for event in events), 9.0)
    assert painted == measured.Painted(9.0, 0.5, 8.0, 1.0, 2.0, 3, None)
    assert painted.memory == 3
    assert dataclasses.replace(painted, device_peak_bytes=2).memory == 2


def test_a_row_measured_again_replaces_the_old_one(tmp_path: Path) -> None:
    given = argparse.Namespace(results=tmp_path, name="here", device="cpu")
    for size, seconds in ((512, 1.0), (64, 2.0), (512, 3.0)):
        records.keep(given, "sizes", {"size": size, "seconds": seconds}, ("size",))
    records.keep(given, "batch", {"size": 1}, ("size",))
    (part,) = records.parts("sizes", tmp_path)
    assert part["rows"] == [{"size": 64, "seconds": 2.0}, {"size": 512, "seconds": 3.0}]
    assert part["machine"]["torch"] == torch.__version__


def test_sizes_say_time_by_pixel_and_where_it_ended(tmp_path: Path) -> None:
    text = sizes.section(_results(tmp_path, sizes=SIZE_ROWS))
    assert "| 100 | 0.5 | 50000 | 2.00 | 0.40 |" in text  # 0.5 s / 10^4 px
    assert "| 1000 | 20 | 20000 | 2.00 | 2.00 |" in text  # the memory of the GPU
    assert "| 4000 | not enough memory |" in text
    assert "With `--max-memory=2G`:\n\n| size" in text


def test_a_failed_command_gives_impastos_own_reason() -> None:
    message = "python -m ... failed: note: x\nimpasto: not enough memory on cpu; choose less\n"
    assert sizes.reason(message) == "not enough memory on cpu; choose less"


def test_plots_have_a_line_for_each_machine_and_option(tmp_path: Path) -> None:
    plots = sizes.plots(_results(tmp_path, sizes=SIZE_ROWS))
    assert set(plots) == {"step_seconds.svg", "peak_memory.svg"}
    root = ET.fromstring(plots["step_seconds.svg"])
    lines = [element.get("points") for element in root.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(str(line).split()) for line in lines] == [2, 1]
    assert "2 cores of some CPU --max-memory=2G" in plots["step_seconds.svg"]
    assert sizes.plots(_results(tmp_path / "none")) == {}


def test_an_axis_is_logarithmic_and_whole_decades_long() -> None:
    axis = charts.Axis([20.0, 5000.0], 0, 300)
    assert axis.decades == [1, 2, 3, 4]
    assert [axis(value) for value in (10, 100, 10_000)] == [0, 100, 300]
    assert charts.Axis([10.0], 0, 10).decades == [1, 2]  # a single value has an axis too


def test_the_floor_counts_multiplications_there_and_back() -> None:
    recipe = Recipe(terms=Content("relu1_2") + Gram(["rgb", "relu1_1"]))
    convolutions = (3 * 64 + 64 * 64) * 9 * 20
    statistics = (3**2 + 64**2) * 20
    assert floor.step_operations(recipe, 4, 5) == 2 * 2 * (convolutions + statistics)
    # One pooling, whose size is rounded up. A term of weight 0 needs no operations.
    deeper = Recipe(terms=0.0 * Gram("relu5_1") + Content("relu2_1"))
    assert floor.step_operations(deeper, 4, 5) == 4 * (convolutions + 64 * 128 * 9 * 2 * 3)


def test_limits_relate_the_step_to_the_floor(tmp_path: Path) -> None:
    text = limits.section(_results(tmp_path, limits=[LIMITS_ROW]))
    assert "0.04 s; floor 0.02 s (2 GFLOP); step / floor 2.00" in text
    assert "| convolutions, forward | 30.0 | 75 % |" in text
    assert "| 3 to 64 channels, 106 wide | 30.0 |  |" in text


def test_the_plain_loop_is_projected_from_single_steps(tmp_path: Path) -> None:
    assert crowsonkb.projected(SCALES) == pytest.approx(600)  # 1000 x 0.2 + 500 x 0.8
    assert "10.5 times as fast (10 to 11 in 2 turns)" in crowsonkb.ratio(LOOP_ROW)
    text = crowsonkb.section(_results(tmp_path, crowsonkb=[LOOP_ROW]))
    assert "| 256 x 200 | 500 | 0.8 | 400 |" in text
    assert "Its time is projected" in text


def test_the_plain_loops_objective_is_the_recipes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    # Smooth pictures of sizes that are not rounded by poolings.
    content, style = (
        torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8, generator=generator), (64, 64), mode="bilinear")
        for _ in range(2)
    )
    recipe = presets.get("crowsonkb").replace(size=64)
    with torch.no_grad():
        loop = plain_loop.Loss(recipe, plain_loop.Features(), content, style)(content).item()
    ours = impasto.loss(content, style, content, recipe=recipe, device="cpu").loss
    # The ridges differ: the program's is fixed, ours is relative to the features.
    assert loop == pytest.approx(ours, rel=0.02)


def test_the_plain_loop_descends() -> None:
    content, style = torch.full((1, 3, 16, 16), 0.5), torch.rand(1, 3, 16, 16)
    loss = plain_loop.Loss(presets.get("crowsonkb"), plain_loop.Features(), content, style)
    times, last = plain_loop.descend(loss, content, Adam(), 4)
    assert len(times) == 4
    assert last < loss(content).item()


def test_both_ways_to_a_roots_trace_agree() -> None:
    a = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    matrix = a @ a.T + torch.eye(6)
    assert plain_loop.root(matrix).trace().item() == pytest.approx(plain_loop.root_trace(matrix).item(), rel=1e-4)


def test_pystiches_objective_is_written_as_a_recipe() -> None:
    recipe = pystiche.recipe(7)
    content, style = recipe.terms
    assert isinstance(content.loss, Content)
    assert isinstance(style.loss, Gram)
    assert dict(weighted_layers(style.loss.layers))["relu3_1"] == pytest.approx(1 / 5)
    assert (recipe.steps, recipe.init, recipe.start_size) == ((7,), "content", "final")
    # If features are k times as large, content is k^2 times and the distance of Gram matrices k^4 times as large.
    assert recipe.style_weight / recipe.content_weight**2 == pytest.approx(1e3)


def test_weights_are_divided_so_that_all_features_are(tmp_path: Path) -> None:
    from benchmarks.peers import neural_style_pt

    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    features = []
    for divisor in (1.0, 57.0):
        neural_style_pt.write_weights(tmp_path / "weights.pth", divisor=divisor)
        state = torch.load(tmp_path / "weights.pth", weights_only=True)
        y = x
        for place in (0, 2):
            y = torch.relu(torch.conv2d(y, state[f"features.{place}.weight"], state[f"features.{place}.bias"]))
        features.append(y)
    assert torch.allclose(features[0], 57 * features[1], rtol=1e-4, atol=1e-2)


def test_the_peer_of_a_case_is_found_by_name(tmp_path: Path) -> None:
    loss = {"total": 9.0, "content": 1.0, "style": [8.0], "smoothness": 0.0}
    run = {"steps": 5, "peak_bytes": 1e9, "loss": loss, "free": None}
    case = {
        "peer": "pystiche", "content": "a", "style": "b", "pixels": [8, 8], "init": "content", "threads": 1,
        "machine": MACHINE,
        "rows": [{"program": "ours", "seconds": 2.0, **run}, {"program": "pystiche", "seconds": 6.0, **run}],
    }  # fmt: skip
    (tmp_path / "pystiche.json").write_text(json.dumps({"cases": [case]}))
    text = tables.section(tmp_path)
    assert "## Compared with pystiche" in text
    assert "neural-style-pt\n" not in text
    assert text.index("| pystiche |") < text.index("| ours |")
    assert "3.0 times as fast" in text


def test_without_cuda_the_gpu_job_refuses_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device was found") as refused:
        entry.main(["gpu"])
    assert "\n" not in str(refused.value)


def test_an_unknown_job_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match="no job 'size'; choose main, sizes"):
        entry.main(["size"])


def test_a_gpus_name_names_its_file() -> None:
    assert gpu.name_of("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"
    assert gpu.doubled(2048) == [128, 256, 512, 1024, 2048]


def test_the_report_has_a_section_of_every_job(tmp_path: Path) -> None:
    main = {
        "recipe": "default",
        "size": 256,
        "pair": "night",
        "seconds": 17.0,
        "peak_bytes": 5e8,
        "style": 0.1,
        "content": 0.7,
    }
    on_gpu = {
        "size": 512, "run": 2, "seconds": 4.0, "optimisation_seconds": 1.5, "first_step_seconds": 0.5,
        "step_seconds": 0.012, "device_peak_bytes": 2e9,
    }  # fmt: skip
    warm = on_gpu | {"run": 3, "step_seconds": None}
    many = {"count": 4, "size": 64, "one_process_seconds": 8.0, "processes_seconds": 12.0}
    regions = {"what": "regions", "content": "a", "styles": "b c", "size": 512, "nearer": [0.97, 1.0]}
    colors = {
        "what": "colors match", "content": "a", "styles": "b", "size": 256, "mean_difference": 0.0123, "clipped": 0.015,
        "clipped_inputs": 0.5,
    }  # fmt: skip
    turns = [(9.0, 2.0), (9.0, 2.2)], [(9.0, 2.1), (9.0, 2.2)], [(9.0, 1.75), (9.0, 2.0)]
    batched = {"count": 6, "size": 64, "load": 2.0, **dict(zip(("loop", "inline", "workers"), turns, strict=True))}
    seen = {"size": 512, "shown": [30.6, 30.0, 30.3], "plain": [30.0] * 3, "cold": 4.0, "warm": [1.5, 2.0], "load": 1.0}
    rows: dict[str, Any] = {
        page.JOB: [seen],
        control.JOB: [regions, colors],
        throughput.JOB: [batched],
        main_job.JOB: [main],
        gpu.JOB: [on_gpu, warm],
        batch.JOB: [many],
        sizes.JOB: SIZE_ROWS,
        limits.JOB: [LIMITS_ROW],
        crowsonkb.JOB: [LOOP_ROW],
    }
    folder = _results(tmp_path / "results", **rows)
    report.write(folder, tmp_path / "docs")
    text = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert "| default | 256 | night | 17.0 | 0.50 | 0.100 | 0.700 |" in text
    assert "| 512 | second | 4.00 | 1.50 | 0.50 | 12.0 | 2.00 |" in text
    assert "| 512 | second of its process | 4.00 | 1.50 | 0.50 |  | 2.00 |" in text
    assert "| 2 cores of some CPU, torch 2.13.0 | 4 of 64 px | 8.0 | 12.0 | 1.50 |" in text
    assert "| regions | a | b c | 512 | 97% | 100% |" in text
    assert "| colors match | a | b | 256 | 0.0123 | 1.5% | 50.0% |" in text
    assert "| 1.025 (1.000 to 1.050) | 1.15 (1.10 to 1.20) | 2.0 |" in text
    assert "| 512 | +1.0% (+0.0% to +2.0%) | 30.0 | 4.0 | 2.0 | 1.0 |" in text
    for name in ("step_seconds.svg", "peak_memory.svg"):
        assert f"](pictures/{name})" in text
        assert (tmp_path / "docs" / "pictures" / name).exists()


def test_the_page_in_docs_is_that_of_the_results() -> None:
    assert (report.DOCS / "benchmarks.md").read_text() == report.text()


def test_half_of_a_picture_is_judged_where_it_sees_nothing_of_the_other() -> None:
    network = load_network(presets.DEFAULT, torch.device("cpu"))
    picture = torch.rand(1, 3, 64, 512, generator=torch.Generator().manual_seed(0))
    other = picture.clone()
    other[..., 256:] = 0.5
    with torch.inference_mode():
        for name in ("rgb", "relu1_1", "relu4_1", "relu5_1"):
            one, two = (network(each, [name])[name] for each in (picture, other))
            difference = (one - two).abs().amax((0, 1, 2)) / one.abs().max()
            width = control.half(one, name, True).shape[3]
            assert control.half(one, name, False).shape[3] == width
            # Inside there are only rounding errors; two columns further the other half has an effect.
            assert difference[:width].max() < 1e-5
            assert difference[width + 1] > 1e-4


def test_a_tiny_size_is_measured_for_real(tmp_path: Path) -> None:
    sizes.main(["--size", "32", "--steps", "3", "--results", str(tmp_path), "--option=--quiet"])
    (part,) = records.parts("sizes", tmp_path)
    (row,) = part["rows"]
    assert row["options"] == "--quiet"
    assert 0 < row["step_seconds"] < row["first_step_seconds"] < row["seconds"]
    assert 1e8 < row["peak_bytes"] < 2e9


def test_launches_are_counted_without_a_gpu() -> None:
    recipe = presets.get("draft")
    plain = launches.count(recipe, 64, fused=False, mixed=False)
    fast = launches.count(recipe, 64, fused=True, mixed=True)
    assert 0 < fast["launches"] < plain["launches"]
    assert 0 < fast["gigabytes"] < plain["gigabytes"]
