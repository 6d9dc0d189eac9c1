"""The routes: the page, its pictures, the jobs, and a stream of events."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from impasto import __version__
from impasto.errors import ImpastoError, PictureError, UsageError
from impasto.picture import ENDINGS, write_picture
from impasto.picture.formats.registry import WRITERS
from impasto.system.tables import Table
from impasto.web import bounds, preview, requests, shell_command
from impasto.web.controls import schema
from impasto.web.job import WebTask
from impasto.web.queue import JobQueue
from impasto.web.storage import MOST_UPLOAD, Storage, StoredPicture

# Ours, seconds: how often a stream looks for changes, and how often it sends a sign of life.
_LOOK: Final = 0.15
_STILL_HERE: Final = 10.0
# Ours: a browser opens six connections to a server; pages without a stream poll instead.
_MOST_STREAMS: Final = 24
# Ours: uploads in memory at a time.
_MOST_UPLOADS: Final = 4

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}


@dataclass
class Routes:
    """The handlers of all routes.

    Attributes:
        storage: the pictures.
        queue: of the jobs.
        ending: returns whether the server is about to end, so that streams end first.

    """

    storage: Storage
    queue: JobQueue
    ending: Callable[[], bool]

    def __post_init__(self) -> None:
        self._files = _files()
        self._streams = 0
        # Decode one upload at a time: a large picture takes gigabytes.
        self._decoding = threading.Lock()
        self._uploads = asyncio.Semaphore(_MOST_UPLOADS)

    def application(self, room: str) -> Starlette:
        """Return the application, with all routes below the secret first part of the path."""
        jobs = f"/{room}/api/jobs"
        routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", f"/{room}/", self.page),
            ("GET", f"/{room}/api/schema", self.schema),
            ("POST", f"/{room}/api/check", self.check),
            ("POST", f"/{room}/api/pictures", self.upload),
            ("GET", f"/{room}/api/pictures/{{id}}", self.picture),
            ("GET", f"/{room}/api/events", self.events),
            ("GET", jobs, self.jobs),
            ("POST", jobs, self.order),
            ("GET", f"{jobs}/{{id}}", self.job),
            ("DELETE", f"{jobs}/{{id}}", self.remove),
            ("POST", f"{jobs}/{{id}}/{{verb}}", self.command),
            ("GET", f"{jobs}/{{id}}/preview", self.preview),
            ("GET", f"{jobs}/{{id}}/stages/{{number}}", self.stage),
            ("GET", f"{jobs}/{{id}}/result", self.result),
            ("GET", f"/{room}/{{folder}}/{{name}}", self.file),
        ]
        return Starlette(
            routes=[Route(path, handler, methods=[method]) for method, path, handler in routes],
            exception_handlers={
                ImpastoError: _answer_error,
                KeyError: _answer_missing,
                FileNotFoundError: _answer_missing,
                ClientDisconnect: _answer_nobody,
                HTTPException: _answer_http_error,  # type: ignore[dict-item]
            },
        )

    # The page.

    async def page(self, request: Request) -> Response:
        """Answer with the page."""
        del request
        return Response(self._files["page", "index.html"], media_type=_TYPES[".html"])

    async def file(self, request: Request) -> Response:
        """Answer with a file of the page, out of a fixed set."""
        name = request.path_params["name"]
        path = self._files[request.path_params["folder"], name]
        return Response(path, media_type=_TYPES[PurePath(name).suffix])

    async def schema(self, request: Request) -> Response:
        """Answer with the description of the controls."""
        del request
        samples = sorted(name for folder, name in self._files if folder == "samples")
        return JSONResponse(schema() | {"samples": samples, "version": __version__})

    # Pictures.

    async def upload(self, request: Request) -> Response:
        """Store the picture in the request's body; answer with its id."""
        name = request.query_params.get("name", "picture")[:1000]
        # The others wait in their browsers, not in memory.
        async with self._uploads:
            data = bytearray()
            async for chunk in request.stream():
                data += chunk
            stored = await run_in_threadpool(self._add, bytes(data), name)
        return JSONResponse({**_describe(stored), "notes": stored.notes}, 201)

    async def picture(self, request: Request) -> Response:
        """Answer with an uploaded picture as a JPEG."""
        data = await run_in_threadpool(self.storage.view, self._stored(request).id)
        # Stored pictures never change.
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400"})

    # Jobs.

    async def check(self, request: Request) -> Response:
        """Answer with what is wrong with a recipe, if anything."""
        base, recipe, settings = await run_in_threadpool(requests.recipe_of, await _json(request))
        return JSONResponse(
            {"name": base, "changed": len(settings), "digest": recipe.digest, "values": recipe.to_table()}
        )

    async def order(self, request: Request) -> Response:
        """Add a job to the queue."""
        order = await run_in_threadpool(requests.parse_order, await _json(request), self.storage)
        task = await run_in_threadpool(self.queue.add, order)
        return JSONResponse({"id": task.id}, 201)

    async def jobs(self, request: Request) -> Response:
        """Answer with all jobs in brief, for pages without a stream."""
        del request
        return Response(self.queue.shown(), media_type="application/json")

    async def job(self, request: Request) -> Response:
        """Answer with everything about a job."""
        id = request.path_params["id"]
        detail, order = self.queue.detail(id), self.queue.task(id).order
        pictures = {id_: _describe(stored) for id_ in order.pictures if (stored := self.storage.pictures.get(id_))}
        line = shell_command.command(order, self.storage) if len(pictures) == len(order.pictures) else ""
        return JSONResponse(detail | {"pictures": pictures, "command": line, "toml": order.recipe.to_toml()})

    async def remove(self, request: Request) -> Response:
        """Remove a job."""
        await run_in_threadpool(self.queue.remove, request.path_params["id"])
        return Response(status_code=204)

    async def command(self, request: Request) -> Response:
        """Cancel, pause, resume, move or steer a job."""
        id, verb, queue = request.path_params["id"], request.path_params["verb"], self.queue
        table = await _json(request)
        if verb == "move":
            place = table.get("place")
            if type(place) is not int:
                raise UsageError("a place in the queue is a whole number")
            await run_in_threadpool(queue.move, id, place)
        elif verb == "steer":
            order = await run_in_threadpool(requests.parse_order, table, self.storage)
            await run_in_threadpool(queue.steer, id, order)
        else:
            simple = {"cancel": queue.cancel, "pause": queue.pause, "resume": queue.resume}
            await run_in_threadpool(simple[verb], id)
        return Response(status_code=204)

    async def preview(self, request: Request) -> Response:
        """Answer with the newest preview of a job."""
        id = request.path_params["id"]
        jpeg = await run_in_threadpool(self.queue.preview, id)
        if jpeg is None:
            raise KeyError(id)
        tag = f'"{id}-{self.queue.task(id).state}-{jpeg[0]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(jpeg[1], media_type="image/jpeg", headers=headers)

    async def stage(self, request: Request) -> Response:
        """Answer with a stage of a job."""
        task, number = self.queue.task(request.path_params["id"]), request.path_params["number"]
        # Compared as texts: a number of thousands of digits cannot be converted.
        if number not in map(str, range(len(task.stages))):
            raise KeyError(number)
        path = self.storage.job(task.id) / "stages" / f"{number}.jpg"
        return Response(await run_in_threadpool(path.read_bytes), media_type="image/jpeg")

    async def result(self, request: Request) -> Response:
        """Answer with the result of a job as a file, with its provenance."""
        task = self.queue.task(request.path_params["id"])
        if task.size is None:
            raise KeyError(task.id)
        query = request.query_params
        kind = ENDINGS.get("." + query.get("ending", "png"), "png")
        bits, quality = _parse_integer(query.get("bits")) or 8, _parse_integer(query.get("quality"))
        data = await run_in_threadpool(self._encoded, task, kind, bits, quality)
        ending = WRITERS[kind].endings[0]
        headers = {"content-disposition": f'attachment; filename="impasto-{task.id[:6]}{ending}"'}
        return Response(data, media_type=WRITERS[kind].media_type, headers=headers)

    async def events(self, request: Request) -> Response:
        """Answer with a stream of the state in brief, after every change."""
        if request.method == "HEAD":
            # Its client waits for the end of the answer, which a stream has not.
            return Response(media_type="text/event-stream")
        if self._streams >= _MOST_STREAMS:
            raise HTTPException(503, "there are many pages open; this one asks from time to time")
        # Counted before anything is awaited, so that many at once are not too many.
        self._streams += 1
        return _CountedStream(self._stream(request), self._end_stream)

    def _end_stream(self) -> None:
        self._streams -= 1

    async def _stream(self, request: Request) -> AsyncIterator[str]:
        last_version, silent = -1, 0.0
        while not self.ending() and not await request.is_disconnected():
            if self.queue.version != last_version:
                last_version, silent = self.queue.version, 0.0
                yield f"data: {self.queue.shown()}\n\n"
            elif silent > _STILL_HERE:
                silent = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(_LOOK)
            silent += _LOOK

    def _add(self, data: bytes, name: str) -> StoredPicture:
        with self._decoding:
            return self.storage.add(data, name)

    def _encoded(self, task: WebTask, kind: str, bits: int, quality: int | None) -> bytes:
        stream = io.BytesIO()
        write_picture(preview.result(self.storage, task), stream, format=kind, bits=bits, quality=quality)
        return stream.getvalue()

    def _stored(self, request: Request) -> StoredPicture:
        return self.storage.pictures[request.path_params["id"]]


def _files() -> dict[tuple[str, str], bytes]:
    """Return the files of the page by folder and name, read once."""
    package_files = resources.files("impasto.web")
    return {
        (folder, file.name): file.read_bytes()
        for folder in ("page", "samples")
        for file in (package_files / folder).iterdir()
        if PurePath(file.name).suffix in _TYPES
    }


def _describe(stored: StoredPicture) -> Table:
    return {"id": stored.id, "name": stored.name, "width": stored.width, "height": stored.height}


def _parse_integer(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 3:
        raise UsageError(f"{text[:20]!r} is no whole number")
    return int(text)


async def _json(request: Request) -> Table:
    """Return the table in a request's body, parsed outside of the event loop, in which all other requests wait."""
    return await run_in_threadpool(bounds.parse_request, await request.body())


class _CountedStream(StreamingResponse):
    """A stream of events that tells when it has ended, also if it never began."""

    def __init__(self, content: AsyncIterator[str], ended: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


async def _answer_error(request: Request, error: Exception) -> Response:
    """Answer with an error's message, as the command line would print it."""
    del request
    status = 413 if isinstance(error, PictureError) and f"{MOST_UPLOAD:,}" in str(error) else 422
    return JSONResponse({"error": " ".join(str(error).split())}, status)


async def _answer_missing(request: Request, error: Exception) -> Response:
    del request, error
    return JSONResponse({"error": "there is nothing of that name here"}, 404)


async def _answer_nobody(request: Request, error: Exception) -> Response:
    """Answer a request whose sender left before it was complete."""
    del request, error
    return Response(status_code=400)


async def _answer_http_error(request: Request, error: HTTPException) -> Response:
    del request
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
