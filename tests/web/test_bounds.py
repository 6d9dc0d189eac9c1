"""What a client may send: it is bounded before anything is computed, and nothing that it sends ends the server."""

import asyncio
import itertools
import json
import math
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image
from starlette.routing import Route

from impasto.cli import command
from impasto.errors import PictureError, RecipeError, UsageError
from impasto.jobs.job import Job
from impasto.picture import Picture
from impasto.recipe import Compute, Inputs, Style, presets
from impasto.reports.events import Stepped
from impasto.system.text import command_line
from impasto.web import routes as routes_module
from impasto.web.auth import MOST_REQUEST, Guard, ServerAddress
from impasto.web.bounds import LARGEST, parse_request
from impasto.web.controls import schema
from impasto.web.job import OPEN
from impasto.web.queue import JobQueue
from impasto.web.requests import Order, recipe_of
from impasto.web.routes import Routes
from impasto.web.storage import Storage, StoredPicture
from impasto.web.worker import QueueWorker
from tests.picture.samples import pillow_file
from tests.web.served import QUICK, SLOW, Served, order, running, start, state_of, until, upload

DEEP: Any = []
for _ in range(50):
    DEEP = [DEEP]
# Values of every kind that JSON has, at the places where orders have theirs.
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**40, 1e308, "", "x", "\ud800", "a" * 3000, [], [1] * 3000, {}, {"a": {"b": {}}}, DEEP,
    "/etc/passwd", [[1, 2], [3]], "default", 1.5, ["patches"], {"loss": "gram"},
    10**399, -1e308, math.nan, math.inf, "9" * 400, "x = " + "9" * 4000,
)  # fmt: skip
VERBS = ("cancel", "move", "steer", "pause", "resume")
NAMES = ("content", "styles", "recipe", "settings", "toml", "init", "content_mask", "protect", "vary", "place", "other")


def routes(tmp_path: Path) -> list[tuple[str, str]]:
    """Return method and path of every route, below the secret first part."""
    storage = Storage(tmp_path / "unused")
    application = Routes(storage, JobQueue(storage, 1), lambda: True).application("room")
    storage.close()
    found = [route for route in application.routes if isinstance(route, Route)]
    return [(method, route.path.removeprefix("/room/")) for route in found for method in sorted(route.methods or ())]


def random_order(generator: random.Random, pictures: list[str]) -> Any:
    """Return an order with one to four wrong values, or a value that is no order at all."""
    if generator.random() < 0.1:
        return generator.choice(VALUES)
    settings = {"size": 32, "start_size": 32, "steps": [1]}
    table: dict[str, Any] = {"content": pictures[0], "styles": [{"picture": pictures[1]}], "settings": settings}
    for _ in range(generator.randint(1, 4)):
        where = generator.random()
        if where < 0.4:
            table[generator.choice(NAMES)] = generator.choice(VALUES)
        elif where < 0.7:
            field = generator.choice(["picture", "weight", "scale", "part", "mask"])
            table["styles"] = [{"picture": pictures[1], field: generator.choice(VALUES)}]
        elif where < 0.9:
            name = generator.choice([*presets.get("default").to_table(), "optimizer.history"])
            table["settings"] = {**settings, name: generator.choice(VALUES)}
        else:
            table["vary"] = [{"name": "seed", "values": [generator.choice(VALUES)] * generator.randint(0, 40)}]
    return table


def paint_all(client: httpx.Client) -> None:
    """Wait until nothing is left to paint, and cancel what goes well for two steps."""

    def is_over() -> bool:
        jobs = client.get("api/jobs").json()["jobs"]
        for job in jobs:
            if job["state"] == "running" and job["step"] >= 2:
                client.post(f"api/jobs/{job['id']}/cancel")
        # A job that failed with a checkpoint is paused until somebody asks for it.
        return all(job["state"] not in OPEN or job["error"] for job in jobs)

    until(is_over, 200)


@pytest.mark.parametrize("count", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_no_request_ends_the_server_or_takes_its_time(count: int, tmp_path: Path) -> None:
    """Every answer has a status below 500 and takes less than a second of processor time; memory stays bounded."""
    generator = random.Random(count)
    with running(tmp_path / "state") as server, server.client() as client:
        pictures = [upload(client, name) for name in ("chelsea.jpg", "woodcut.jpg")]
        # The first orders import modules and load the network.
        finished = order(client, QUICK, vary=[{"name": "seed", "values": [1, 2]}])
        until(lambda: state_of(client, finished) == "finished")
        # Orders wait behind a paused job, so that the processor time is that of the answers.
        paused = order(client, SLOW)
        until(lambda: client.get(f"api/jobs/{paused}").json()["step"] >= 1)
        client.post(f"api/jobs/{paused}/pause")
        until(lambda: list((tmp_path / "state" / "jobs" / paused / "checkpoint-0").glob("*.json")))
        pool = [finished, order(client, QUICK), *pictures, "0" * 16, "..", "%00", "é", *VERBS, "9" * 30, "9" * 5000]
        before = server.peak_memory()
        # Jobs are deleted last.
        for method, template in sorted(routes(tmp_path), key=lambda route: route[0] == "DELETE"):
            # Fewer streams than may be open at a time: the server needs a moment to see that one was left.
            times = min(count, 20) if template == "api/events" else count * (8 if method == "POST" else 1)
            for _ in range(times):
                path = re.sub(r"{(\w+)(:int)?}", lambda found: generator.choice(pool), template)
                body = json.dumps(random_order(generator, pictures)) if method == "POST" else None
                query = {"bits": generator.choice(["8", "x", "99"]), "quality": generator.choice(["0", "9" * 400])}
                started = server.processor_seconds()
                with client.stream(method, path, content=body, params=query, timeout=20) as answer:
                    # A stream of events never ends.
                    text = next(answer.iter_text(), "")
                assert answer.status_code < 500, (method, path, body, text)
                assert server.processor_seconds() - started < 1, (method, path, body)
                assert server.peak_memory() < before + 10**9, (method, path, body)
        client.post(f"api/jobs/{paused}/cancel")
        paint_all(client)
        assert server.peak_memory() < before + 10**9
        assert client.get("api/jobs").status_code == 200
        assert "Traceback" not in server.messages


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"settings": {"content_weight": 1e308}}', "a number"),
        (b'{"settings": {"content_weight": -1e308}}', "a number"),
        (b'{"settings": {"content_weight": 1e999}}', "a number"),
        (b'{"place": %s}' % (b"9" * 400), "a number"),
        (b'{"place": -%s}' % (b"9" * 400), "a number"),
        (b'{"place": %s}' % (b"9" * 5000), "no JSON"),
        (b'{"place": NaN}', "no JSON"),
        (b'{"place": Infinity}', "no JSON"),
        (b'{"place": -Infinity}', "no JSON"),
        (b'{"other": "%s"}' % (b"x" * 201), "a text"),
        (b'{"%s": 1}' % (b"x" * 201), "a text"),
        (b'{"styles": [{"part": "%s"}]}' % (b"x" * 201), "a text"),
        (b'{"toml": "%s"}' % (b"x" * 50_001), "the recipe's text"),
        (b'{"toml": ["%s"]}' % (b"x" * 201), "a text"),
        (b'{"other": [%s]}' % (b"1," * 2000 + b"1"), "more than 2000 values"),
        (b'{"other": %s1%s}' % (b"[" * 9, b"]" * 9), "nested more than 8 deep"),
        (b'{"other": "\\ud800"}', "no JSON"),
        (b"[]", "no table"),
    ],
)
def test_a_request_over_the_bounds_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_request(body)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e308", "9" * 400, "[" + "1, " * 2000 + "1]"])
def test_a_recipe_over_the_bounds_is_refused(value: str) -> None:
    for name in ("content_weight", "steps", "unknown"):
        with pytest.raises(UsageError, match=r"a number in the recipe|more than 2000 values"):
            recipe_of({"toml": f"{name} = {value}"})


def test_every_value_that_the_page_offers_is_within_the_bounds() -> None:
    offered = schema()
    fields = [*offered["fields"], *itertools.chain(*offered["optimizers"].values())]
    ends = {field["name"]: [field["minimum"], field["maximum"]] for field in fields}
    assert max(maximum or 0 for _, maximum in ends.values()) == LARGEST
    words = {field["name"]: [*field.get("choices", ()), *field.get("words", ())] for field in fields}
    for values in (ends, words):
        parse_request(json.dumps({"settings": values}).encode())
    for recipe in offered["recipes"]:
        table = {"settings": recipe["values"], "toml": recipe["text"]}
        assert parse_request(json.dumps(table).encode()) == table
        assert recipe_of({"toml": recipe["text"]})[1].to_table() == recipe["values"]


def test_a_body_is_parsed_outside_of_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def parse(body: bytes) -> Any:
        threads.append(threading.get_ident())
        return parse_request(body)

    monkeypatch.setattr("impasto.web.bounds.parse_request", parse)
    storage = Storage(tmp_path / "state")
    application = Routes(storage, JobQueue(storage, 1), lambda: True).application("room")

    async def ask(path: str) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url="http://h") as client:
            return (await client.post(f"/room/api/{path}", json={})).status_code

    assert [asyncio.run(ask(path)) for path in ("check", "jobs", "jobs/x/move", "jobs/x/cancel")] == [
        200,
        422,
        422,
        404,
    ]
    assert len(threads) == 4
    assert threading.get_ident() not in threads
    storage.close()


def test_the_head_of_the_stream_of_events_has_an_end(client: httpx.Client) -> None:
    answer = client.head("api/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_a_number_of_thousands_of_digits_in_an_address(client: httpx.Client) -> None:
    job = order(client, QUICK)
    assert client.get(f"api/jobs/{job}/stages/{'9' * 5000}").status_code == 404
    until(lambda: state_of(client, job) == "finished")


def waits_in(file: str) -> bool:
    """Whether a thread beside that of the event loop stands in a line of `file`, for instance waiting for a lock."""
    frames = sys._current_frames().items()  # noqa: SLF001  # the only way to see where other threads are
    return any(frame.f_code.co_filename == file for thread, frame in frames if thread != threading.main_thread().ident)


def test_two_uploads_are_never_decoded_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(tmp_path / "state")
    routes = Routes(storage, JobQueue(storage, 1), lambda: True)
    guard = threading.Lock()
    decoding, most = 0, 0
    decoded: list[str] = []

    def add(self: Storage, data: bytes, name: str) -> StoredPicture:
        nonlocal decoding, most
        with guard:
            decoding += 1
            most = max(most, decoding)
        # Hold the first until another upload stands in the routes, before its own decoding, or is decoded beside it.
        until(lambda: decoded or most > 1 or waits_in(routes_module.__file__))
        with guard:
            decoding -= 1
            decoded.append(name)
        return StoredPicture("id", name, None, 1, 1)

    monkeypatch.setattr(Storage, "add", add)

    async def send_all() -> list[int]:
        transport = httpx.ASGITransport(app=routes.application("room"))
        async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
            asked = [client.post("/room/api/pictures", params={"name": f"{n}"}, content=b"x") for n in range(4)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(send_all()) == [201] * 4
    assert sorted(decoded) == ["0", "1", "2", "3"]
    assert most == 1
    storage.close()


@pytest.mark.parametrize(
    "text",
    [
        "a." * 20_000 + "a=1",
        "x = {" + "a." * 20_000 + "a=1}",
        ("." + " " * 50) * 11 + "x",
        ", a." * 10_000,
        "[" * 20_000,
    ],
)
def test_a_recipe_of_endless_names_is_refused(text: str) -> None:
    with pytest.raises((UsageError, RecipeError)):
        recipe_of({"toml": text})


def test_dots_in_a_recipe_are_no_fault() -> None:
    text = "# ............... see https://a.b.c.d.e.f.g.h.i.j.k.l.m.n\n" + presets.text("default")
    assert recipe_of({"toml": text})[1] == presets.get("default")


def test_deleted_pictures_of_a_job_are_missing_and_no_fault(client: httpx.Client, served: Served) -> None:
    job = order(client, QUICK)
    until(lambda: state_of(client, job) == "finished")
    for file in served.state.joinpath("jobs", job).rglob("*"):
        if file.suffix in (".jpg", ".png"):
            file.unlink()
    for path in ("preview", "stages/0"):
        assert client.get(f"api/jobs/{job}/{path}").status_code == 404
    assert client.get(f"api/jobs/{job}/result").status_code == 422


def test_an_uploaded_picture_of_more_pixels_than_the_page_takes(client: httpx.Client) -> None:
    answer = client.post(
        "api/pictures", params={"name": "huge.png"}, content=pillow_file(Image.new("1", (12_000, 6_000)), "PNG")
    )
    assert answer.status_code == 422
    assert "over the limit" in answer.json()["error"]


def test_the_address_for_the_browser_is_good_for_one_use() -> None:
    async def inner(*_: object) -> None:
        raise AssertionError("admitted without a cookie")

    guard = Guard(inner, ServerAddress(frozenset({"h:1"}), "room", "t" * 43, "k" * 43))
    transport = httpx.ASGITransport(app=guard)

    async def ask() -> list[int]:
        codes = []
        for key in ("x", "k" * 43, "k" * 43):
            async with httpx.AsyncClient(transport=transport, base_url="http://h:1") as client:
                answer = await client.get("/room/?ticket=" + key)
                assert ("impasto" in answer.cookies) == (answer.status_code == 200)
                codes.append(answer.status_code)
        return codes

    assert asyncio.run(ask()) == [403, 200, 403]


def test_any_good_cookie_is_enough(served: Served) -> None:
    for cookies in ("impasto=old; impasto={}", "impasto={}; impasto=old", "other=1;impasto={}"):
        headers = {"Cookie": cookies.format(served.token)}
        assert httpx.get(served.base + "api/jobs", headers=headers, trust_env=False).status_code == 200


def test_a_client_that_leaves_in_the_midst_of_a_body(served: Served, client: httpx.Client) -> None:
    path = "/" + served.base.split("/", 3)[3]
    for route in ("api/pictures", "api/jobs"):
        head = f"POST {path}{route} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Length: 5000\r\n"
        with socket.create_connection(("127.0.0.1", served.port)) as line:
            line.sendall(f"{head}Authorization: Bearer {served.token}\r\n\r\n".encode() + b"x" * 100)
    assert client.get("api/jobs").status_code == 200
    assert "Traceback" not in served.messages


@pytest.mark.parametrize(("token", "length", "status"), [("wrong", 100_000, 403), ("", MOST_REQUEST + 100_000, 413)])
def test_a_refused_body_is_answered_while_it_arrives(served: Served, token: str, length: int, status: int) -> None:
    """A client that sends its body after the refusal reads the answer, and sees no reset connection."""
    path = "/" + served.base.split("/", 3)[3]
    head = f"POST {path}api/check HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Length: {length}\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(f"{head}Authorization: Bearer {token or served.token}\r\n\r\n".encode())
        # Of the answer everything is there before the first byte of the body.
        answer = b""
        while not answer.endswith(b"\n") or b"impasto: " not in answer:
            answer += line.recv(65536)
        # A closed connection is reset by the first part, and then refuses the others with an error.
        for _ in range(10):
            line.sendall(b"x" * (length // 10))
        line.sendall(b"x" * (length % 10))
        assert line.recv(1) == b""
    assert int(answer.split()[1]) == status


def test_many_streams_at_once_are_not_too_many(tmp_path: Path) -> None:
    server = start(tmp_path / "state")
    path = "/" + server.base.split("/", 3)[3]
    head = f"GET {path}api/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"Authorization: Bearer {server.token}\r\n\r\n"
    lines = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
    for line in lines:
        line.sendall(head.encode())
    codes = [line.recv(4096).split(b" ")[1] for line in lines]
    assert (codes.count(b"200"), codes.count(b"503")) == (24, 16)
    for line in lines:
        line.close()
    with server.client() as client:
        until(lambda: client.stream("GET", "api/events").__enter__().status_code == 200)
    server.stop()


@pytest.mark.parametrize(
    ("name", "content"),
    [("room", b"\xff\xfe"), ("jobs/0123456789abcdef/job.json", b"[" * 100_000), ("pictures/x.json", b"{}"),
     ("jobs/0123456789abcdef/job.json", b'{"order": {}, "created": "x"}'), ("pictures/y.json", b"\0")],
)  # fmt: skip
def test_what_cannot_be_read_is_set_aside_and_named(name: str, content: bytes, tmp_path: Path) -> None:
    Storage(tmp_path / "state").close()
    file = tmp_path / "state" / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_bytes(content)
    storage = Storage(tmp_path / "state")
    queue = JobQueue(storage, 10**9)
    assert json.loads(queue.shown())["jobs"] == []
    assert [file.name in note and "unreadable" in note for note in storage.notes] == [True]
    assert file.with_name(f"{file.name}.unreadable").read_bytes() == content
    storage.close()


def test_a_folder_of_somebody_else_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match=r"since mine\.txt is in it"):
        Storage(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs", "mine.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="it has no modes")
def test_a_state_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    Storage(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_token_file_that_is_there_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("mine")
    run = ["serve", "--no-browser", "--state", str(tmp_path / "state"), "--token-file", str(file)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.web.server.serve", lambda settings, ready: ready("http://h/?token=x", "", []))
        result = CliRunner().invoke(command, run)
    assert isinstance(result.exception, UsageError)
    assert file.read_text() == "mine"


def furnished(tmp_path: Path, picture: Callable[..., Picture]) -> tuple[Storage, str, str]:
    storage = Storage(tmp_path / "state")
    ids = []
    for seed in (1, 2):
        picture(24, 32, seed).save(tmp_path / f"{seed}.png")
        ids.append(storage.add((tmp_path / f"{seed}.png").read_bytes(), f"{seed}.png").id)
    return storage, ids[0], ids[1]


def test_a_full_disk_costs_previews_and_no_checkpoint(
    tmp_path: Path, picture: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, photo, style = furnished(tmp_path, picture)
    full = threading.Event()
    put = Storage.put

    def put_if_free(self: Storage, path: Path, data: bytes) -> None:
        if full.is_set() and path.suffix == ".jpg":
            raise PictureError(f"{path}: could not be written (No space left on device); free some space")
        put(self, path, data)

    monkeypatch.setattr(Storage, "put", put_if_free)
    queue = JobQueue(storage, 10**9)
    worker = QueueWorker(queue, Compute("cpu"))
    full.set()
    worker.start()
    recipe = presets.get("draft").replace(size=32, start_size=16, steps=(12, 2))
    task = queue.add(Order(photo, (Style(style),), recipe))
    until(lambda: task.step > 3)
    queue.pause(task.id)
    until(lambda: list(storage.job(task.id).glob("checkpoint-0/*.json")))
    queue.resume(task.id)
    # The result cannot be written either: the job waits, with its checkpoint, until somebody asks for it again.
    until(lambda: task.state == "paused" and task.error)
    assert "No space left" in task.error
    assert any("could not be kept" in note for note in task.notes)
    assert list(storage.job(task.id).glob("checkpoint-0/*.json"))
    # Others are painted meanwhile.
    full.clear()
    other = queue.add(Order(photo, (Style(style),), recipe))
    until(lambda: other.state == "finished")
    queue.resume(task.id)
    until(lambda: task.state == "finished")
    assert task.error == ""
    assert worker.close(10)
    storage.close()


@pytest.mark.slow
def test_what_a_crash_interrupted_waits_until_somebody_asks(tmp_path: Path) -> None:
    server = start(tmp_path / "state")
    with server.client() as client:
        job = order(client, SLOW)
        until(lambda: client.get(f"api/jobs/{job}").json()["step"] > 2)
    server.stop(signal.SIGKILL)
    server = start(tmp_path / "state")
    with server.client() as client:
        found = client.get(f"api/jobs/{job}").json()
        assert found["state"] == "paused"
        assert "go on when you like" in found["error"]
        client.post(f"api/jobs/{job}/resume")
        until(lambda: client.get(f"api/jobs/{job}").json()["step"] > 2)
        assert state_of(client, job) == "running"
    # Left on purpose, it goes on by itself.
    server.stop(signal.SIGTERM)
    server = start(tmp_path / "state")
    with server.client() as client:
        until(lambda: state_of(client, job) == "running")
    server.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="its shells have no such quotes")
def test_a_command_moves_no_cursor() -> None:
    line = command_line(["impasto", "a\nb\x1b[31m'\\.png", "plain name"])
    assert line == "impasto $'a\\x0ab\\x1b[31m\\'\\\\.png' 'plain name'"
    words = subprocess.run(["bash", "-c", f"printf '%s|' {line}"], capture_output=True, check=True, text=True).stdout
    assert words == "impasto|a\nb\x1b[31m'\\.png|plain name|"


def test_memory_does_not_grow_with_steps(picture: Callable[..., Picture]) -> None:

    recipe = presets.get("draft").replace(size=16, start_size=16, steps=(1_000_000_000,))
    run = Job(Inputs.of(picture(24, 32, 1), [picture(24, 32, 2)]), recipe, Compute("cpu")).start()
    before = psutil.Process().memory_info().rss
    # More of them than are logged at a time.
    losses = [event.loss for event in itertools.islice(run, 72) if isinstance(event, Stepped)]
    assert len(losses) > 64
    assert losses[-1] < losses[0]
    assert psutil.Process().memory_info().rss < before + 10**9
    run.close()
