"""Tasks as plain data, the number of workers, and what a pool does if workers die."""

import dataclasses
import json
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from impasto.engine import cards, devices
from impasto.engine.run import Run
from impasto.errors import DeviceError, DeviceLostError, UsageError
from impasto.executors import estimate, processes, ray_cluster, storage, up_to_date
from impasto.executors.base import TaskEvent, TaskFinished
from impasto.executors.estimate import Estimator, plan_workers
from impasto.executors.outcome import Outcome, Status
from impasto.executors.pool import ATTEMPTS, LostError, Pool, Worker, WorkerFactory
from impasto.executors.task import Task
from impasto.jobs.job import Job
from impasto.jobs.output import Output
from impasto.picture import Measure, Picture, measure, read_picture
from impasto.recipe import Compute, Inputs, Style, presets
from impasto.reports.advice import Advice
from impasto.system.paths import find_windows_problem, is_url
from impasto.vgg import network
from impasto.vgg.network import VGG

RECIPE = presets.get("default").replace(size=64)
FULL = Task(
    Inputs(
        "a.png",
        (Style("s.png", 0.25, None, 1.0, "fine"), Style("t.png", 0.75, "n.png", 2.0, "all")),
        "i.png",
        "m.png",
        "k.png",
    ),
    RECIPE,
    Output("o.png", 16, preview="p.png"),
    3,
    Compute("cpu", 10**9, "float32"),
    "kept",
    True,
    1.0,
    2.0,
    {"a.png": "1", "s.png": "2", "t.png": "3", "i.png": "4", "m.png": "5", "n.png": "6", "k.png": "7"},
    1,
)


def test_tasks_and_outcomes_cross_as_json() -> None:
    assert Task.from_table(json.loads(json.dumps(FULL.to_table()))) == FULL
    outcome = Outcome("painted", "", 1.5, 3, 2, (4, 5), 0.5, "ab", ("note",), (Advice("s", "seen", "help"),), True)
    assert Outcome.from_table(json.loads(json.dumps(outcome.to_table()))) == outcome


def test_what_the_identity_says() -> None:
    identity, inputs, (first, second) = FULL.identity, FULL.inputs, FULL.inputs.styles
    others = [
        inputs.with_weights((0.5, 0.5)),
        dataclasses.replace(inputs, start=None),
        dataclasses.replace(inputs, protect=None),
        *(
            dataclasses.replace(inputs, styles=styles)
            for styles in (
                (second, first),
                (dataclasses.replace(first, part="all"), second),
                (first, dataclasses.replace(second, scale=1.0)),
                (dataclasses.replace(first, mask="n.png"), dataclasses.replace(second, mask=None)),
            )
        ),
    ]
    assert len({identity, *(dataclasses.replace(FULL, inputs=other).identity for other in others)}) == len(others) + 1
    different: dict[str, Any] = {
        "compute": Compute("cpu", 10**9), "recipe": RECIPE.replace(seed=1), "output": Output("o.png", 8),
        "digests": {**FULL.digests, "m.png": "8"},
    }  # fmt: skip
    for name, value in different.items():
        assert dataclasses.replace(FULL, **{name: value}).identity != identity, name
    same: dict[str, Any] = {
        "compute": Compute("cuda", None, "float32"), "number": 9, "force": False, "checkpoint": "off",
    }  # fmt: skip
    for name, value in same.items():
        assert dataclasses.replace(FULL, **{name: value}).identity == identity, name
    assert dataclasses.replace(FULL, output=Output("other.png", 16)).identity == identity
    assert dataclasses.replace(FULL, digests={}).identity is None


def test_paths_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = FULL.absolute()
    assert (whole.inputs.photo, whole.inputs.style_masks) == (f"{tmp_path}/a.png", (None, f"{tmp_path}/n.png"))
    assert (whole.output.preview, whole.folder) == (f"{tmp_path}/p.png", f"{tmp_path}/kept")
    assert whole.identity == FULL.identity


def test_sizes_are_told_without_the_pixels(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    for name in ("a.png", "a.jpg", "a.webp", "a.tif", "a.avif"):
        picture(24, 32).save(tmp_path / name)
        read = read_picture(tmp_path / name)
        assert measure(tmp_path / name) == Measure(24, 32, read.sha256 or "")
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (32, 24)).save(tmp_path / "turned.jpg", exif=exif)
    assert measure(tmp_path / "turned.jpg")[:2] == read_picture(tmp_path / "turned.jpg").size == (32, 24)


def test_what_is_foreseen_is_what_the_run_says(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    for name, size in {"a.png": (24, 32), "s.png": (40, 30)}.items():
        picture(*size).save(tmp_path / name)
    paths = [str(tmp_path / name) for name in ("a.png", "s.png")]
    task = Task(Inputs.of(*paths), RECIPE, Output("o.png"), compute=Compute("cpu"))
    need = Estimator({path: measure(path) for path in paths}).cost(task)
    run: Run = task.job().start()
    assert need == estimate.TaskCost(run.scales, run.expected_memory, run.expected_seconds)
    assert estimate.step_pixels(run.scales) == sum(scale.height * scale.width * scale.steps for scale in run.scales)
    assert Estimator({}).cost(task) is None
    with pytest.raises(DeviceError, match="not enough memory"):
        Estimator({path: measure(path) for path in paths}).cost(dataclasses.replace(task, compute=Compute("cpu", 1000)))
    assert not up_to_date.is_up_to_date(task)


@pytest.mark.parametrize(
    ("asked", "tasks", "memory", "workers", "threads", "note"),
    [
        (None, 100, 10**9, 8, 1, ""),
        (None, 3, 10**9, 3, 2, ""),
        (None, 100, 4 * 10**9, 4, 2, ""),
        (6, 100, 4 * 10**9, 4, 2, "4 workers, not 6: no more fit into memory"),
        (20, 100, 10**8, 8, 1, "8 workers, not 20: as many as there are cores"),
        (2, 100, None, 2, 4, ""),
        (2, 100, 10**12, 1, 8, "1 worker, not 2: no more fit into memory"),
    ],
)
def test_workers_fit_cores_and_memory(
    asked: int | None,
    tasks: int,
    memory: int | None,
    workers: int,
    threads: int,
    note: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimate, "count_cores", lambda: 8)
    monkeypatch.setattr(devices, "available_memory", lambda device: 20 * 10**9)
    found = plan_workers("cpu", asked, tasks, memory)
    assert (found.devices, found.threads, found.note) == (("cpu",) * workers, threads, note)


def test_one_worker_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    four = devices.Choice(tuple(torch.device("cuda", index) for index in range(4)))
    monkeypatch.setattr(devices, "choose", lambda names, *, computes: four)
    assert plan_workers("auto", None, 100, None).devices == ("cuda:0", "cuda:1", "cuda:2", "cuda:3")
    assert plan_workers("auto", 2, 100, None).devices == ("cuda:0", "cuda:1")
    assert plan_workers("auto", 9, 100, None).note == "4 workers, not 9: one a device"
    assert plan_workers("auto", None, 1, None).devices == ("cuda:0",)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two simulated cards that allow only calls that make no context on them."""
    import torch

    def refuse(*_: object) -> None:
        raise AssertionError("this makes a context on the card")

    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_arch_list": lambda: ["sm_80"],
        "get_device_capability": lambda device: ((8, 6), (7, 0))[device.index],
        "get_device_name": lambda device: "GeForce",
        "get_device_properties": lambda device: SimpleNamespace(total_memory=8 * 10**9),
        **dict.fromkeys(("mem_get_info", "memory_reserved", "memory_allocated"), refuse),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(cards, "find_fault", refuse)


@pytest.mark.usefixtures("two_gpus")
def test_planning_for_a_gpu_makes_no_context_on_it(tmp_path: Path, picture: Callable[..., Picture]) -> None:
    for name in ("a.png", "s.png"):
        picture(24, 32).save(tmp_path / name)
    paths = [str(tmp_path / name) for name in ("a.png", "s.png")]
    measures = {path: measure(path) for path in paths}
    for device in ("auto", "cuda:0"):
        task = Task(Inputs.of(*paths), RECIPE, Output("o.png"), compute=Compute(device))
        cost = Estimator(measures).cost(task)
        assert cost is not None
        assert cost.memory is None
    # The planner uses the memory of the card: 20,000 px do not fit into 8 GB.
    huge = dataclasses.replace(task, recipe=RECIPE.replace(size=20_000))
    with pytest.raises(DeviceError, match=r"there are 7\.2 GB"):
        Estimator(measures).cost(huge)


@pytest.mark.usefixtures("two_gpus")
def test_a_card_without_kernels_gets_no_worker_and_a_note() -> None:
    plan = plan_workers("auto", 2, 100, None)
    assert plan.devices == ("cuda:0",)
    assert "cuda:1 is not used: GeForce has compute capability 7.0" in plan.note
    assert plan.note.endswith("; 1 worker, not 2: one a device")


NODES = st.lists(
    st.fixed_dictionaries({"CPU": st.integers(0, 64), "memory": st.integers(0, 10**12), "GPU": st.integers(0, 8)}),
    min_size=1, max_size=6,
)  # fmt: skip


@given(NODES, st.integers(1, 300), st.one_of(st.none(), st.integers(1, 10**11)), st.sampled_from([0.0, 0.25, 1.0]))
def test_a_cluster_has_room_for_what_is_asked_of_it(
    nodes: list[dict[str, float]], wanted: int, memory: int | None, gpus: float
) -> None:
    if ray_cluster.count_fitting(nodes, 1, memory, gpus) == 0:
        with pytest.raises(DeviceError, match="no node of the cluster has 1 CPU"):
            ray_cluster.divide_cluster(nodes, wanted, memory, gpus)
        return
    count, each = ray_cluster.divide_cluster(nodes, wanted, memory, gpus)
    assert 1 <= count <= wanted
    assert each["num_gpus"] == gpus
    assert sum(ray_cluster.count_fitting([node], int(each["num_cpus"]), memory, gpus) for node in nodes) >= count
    assert count * each["num_cpus"] <= sum(node["CPU"] for node in nodes)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    with pytest.raises(UsageError, match=r"pip install 'impasto\[ray\]'"):
        ray_cluster.make_pool(None, device="cpu", workers=1, tasks=1, memory=None, gpus=None)


# How a worker ends a task, for each attempt, by the task's number; tasks that are not named are painted.
Script = dict[int, list[Status | Literal["dies"]]]


class ScriptedWorker(Worker):
    """A worker that paints nothing: a script says for each task whether it dies, fails, stops or paints."""

    def __init__(self, script: Script, log: list[str]) -> None:
        self._script, self._log = script, log
        self._task: Task | None = None
        self.asked = False

    def submit(self, task: Task) -> None:
        self._log.append(f"submit {task.number}.{task.attempt}")
        self._task = task

    def poll(self) -> list[dict[str, Any]]:
        assert self._task is not None
        ends = self._script.get(self._task.number, [])
        end = "stopped" if self.asked else ends.pop(0) if ends else "painted"
        if end == "dies":
            raise LostError("signal 9")
        return [{"event": "stepped"}, {"outcome": Outcome(end).to_table()}]

    def stop(self) -> None:
        self.asked = True

    def kill(self) -> None:
        self._log.append("kill")


class ScriptedFactory(WorkerFactory):
    def __init__(self, script: Script) -> None:
        self.script, self.log = script, list[str]()

    def spawn(self, place: int) -> ScriptedWorker:
        self.log.append(f"spawn {place}")
        return ScriptedWorker(self.script, self.log)

    def wait(self, hands: Sequence[Worker], seconds: float) -> None:
        assert hands

    def close(self) -> None:
        self.log.append("close")


def tasks(count: int, taken: list[int] | None = None) -> Iterator[Task]:
    for number in range(1, count + 1):
        if taken is not None:
            taken.append(number)
        yield Task(Inputs.of("a.png", "s.png"), RECIPE, Output(f"{number}.png"), number)


def test_no_more_tasks_are_under_way_than_there_are_workers() -> None:
    taken: list[int] = []
    ended = 0
    with Pool(ScriptedFactory({}), 3) as pool:
        for message in pool.run(tasks(20, taken)):
            ended += isinstance(message, TaskFinished)
            assert len(taken) - ended <= 3
    assert ended == 20


def test_a_task_is_tried_again_and_given_up_in_the_end() -> None:
    factory = ScriptedFactory({1: ["dies"], 2: ["dies"] * 10, 3: ["failed"]})
    with Pool(factory, 1) as pool:
        said = list(pool.run(tasks(4)))
    ends = {each.task.number: each.outcome for each in said if isinstance(each, TaskFinished)}
    assert {number: outcome.status for number, outcome in ends.items()} == {
        1: "painted", 2: "failed", 3: "failed", 4: "painted",
    }  # fmt: skip
    assert ends[2].reason == f"its worker died {ATTEMPTS} times (signal 9)"
    assert sum(isinstance(each, TaskEvent) and each.event["event"] == "lost" for each in said) == 1 + ATTEMPTS - 1
    assert factory.log.count("submit 2.0") == factory.log.count("submit 2.3") == 1
    assert factory.log.count("spawn 0") == 1 + 1 + ATTEMPTS
    assert factory.log[-1] == "close"


def test_a_worker_ends_where_its_device_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All later pictures would fail in that process; a new process can use the device again."""

    def fail(job: Job) -> Run:
        raise DeviceLostError("cuda:0 failed")

    ours, theirs = multiprocessing.Pipe()
    for name in ("a", "s"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    (task,) = tasks(1)
    ours.send_bytes(json.dumps({"task": task.to_table()}).encode())
    monkeypatch.setattr(Job, "start", fail)
    with pytest.raises(SystemExit, match="cuda:0 failed"):
        processes.serve(theirs, "cpu", 1)
    assert not ours.poll()


def test_stopped_no_more_are_begun() -> None:
    factory = ScriptedFactory({})
    with Pool(factory, 2) as pool:
        said = []
        for message in pool.run(tasks(9)):
            said.append(message)
            if isinstance(message, TaskEvent) and message.event["event"] == "begun" and message.task.number == 2:
                pool.stop()
    ends = [each.outcome.status for each in said if isinstance(each, TaskFinished)]
    assert ends == ["stopped", "stopped"]


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "127.0.0.1:99999"])
def test_an_address_where_nobody_listens_is_said_at_once(form: str) -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but does not listen
        address = form.format(taken.getsockname()[1])
        with pytest.raises(DeviceError, match=f"no cluster answers at {address}"):
            ray_cluster.make_pool(address, device="cpu", workers=1, tasks=1, memory=None, gpus=None)


def test_a_worker_keeps_a_checkpoint_where_windows_says_that_its_parent_died(
    tmp_path: Path,
    picture: Callable[..., Picture],
    monkeypatch: pytest.MonkeyPatch,
    small_network: Callable[..., VGG],
) -> None:
    """On Windows the end of a pipe raises an error in `poll`, elsewhere in `recv_bytes`."""
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    for name in ("a.png", "s.png"):
        picture(24, 32).save(tmp_path / name)
    recipe = RECIPE.replace(size=32, steps=(9,)).with_layers("content", "relu4_1")
    output = Output(str(tmp_path / "o.png"))
    inputs = Inputs.of(str(tmp_path / "a.png"), str(tmp_path / "s.png"))
    task = Task(inputs, recipe, output, compute=Compute("cpu"), every=0.0, over=0.0)
    waiting, said = [json.dumps({"task": task.to_table()}).encode()], []

    class Pipe:
        def recv_bytes(self) -> bytes:
            if not waiting:
                raise EOFError
            return waiting.pop()

        def send_bytes(self, data: bytes) -> None:
            said.append(json.loads(data))

        def poll(self) -> bool:
            if said[-1]["event"] == "stepped":
                raise BrokenPipeError(109, "The pipe has been ended")
            return False

    processes.serve(cast(Any, Pipe()), "cpu", 1)
    assert (said[-1]["outcome"]["status"], said[-1]["outcome"]["kept"]) == ("stopped", True)
    assert list((tmp_path / "o.png.impasto").glob("*.json"))


def test_pictures_for_a_store_are_made_under_names_that_every_system_takes() -> None:
    place = storage.staging_path("https://host/dir/a:b?c=1.png")
    assert find_windows_problem(place.name) is None
    assert place.suffix == ".png"
    # Stores allow longer names than disks, and checkpoints add an ending.
    long = storage.staging_path(f"s3://bucket/{'é' * 200}.png")
    assert len(os.fsencode(long.name)) < 200
    assert long.suffix == ".png"


def test_the_url_of_a_file_here_is_a_path_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.local_path("file:///d[1]/IMG::1 #2?.png") == "/d[1]/IMG::1 #2?.png"
    assert storage.local_path("local:///C:/a.png") == "/C:/a.png"
    assert storage.local_path("s3://bucket/a.png") is None
    assert storage.local_path("out/a.png") is None
    monkeypatch.setattr(storage, "sys", SimpleNamespace(platform="win32"))
    assert storage.local_path("file:///C:/out/a.png") == "C:/out/a.png"


def test_windows_waits_for_fewer_than_64_workers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waited_for: list[int] = []
    wait = SimpleNamespace(wait=lambda pipes, seconds: waited_for.append(len(pipes)))
    monkeypatch.setattr(processes, "connection", wait)
    hands = [processes.ProcessWorker(cast(Any, None), cast(Any, None)) for _ in range(70)]
    for platform in ("linux", "win32"):
        monkeypatch.setattr(processes, "sys", SimpleNamespace(platform=platform))
        processes.ProcessFactory(["cpu"], 1).wait(hands, 0)
    assert waited_for[0] == 70
    assert waited_for[1] < 64


def test_drives_of_windows_are_no_protocols() -> None:
    for path in (r"C:\out\a.png", "C:/out/a.png", "c://out/a.png", "out:a.png", r"\\server\share\a.png"):
        assert not is_url(path)
    assert is_url("s3://bucket/a.png")
