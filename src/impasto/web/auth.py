"""Authentication: the checks that every request passes before anything else sees it.

1. The Host must be one of the server's own; a name rebound to its address by DNS is not.
2. The Origin, if there is one, must be the server's own. A request that changes something must have an Origin, or carry
the token in a header, which no other page can make a browser send.
3. The path must begin with the server's secret first part.
4. The token must be there: once in the address that was printed, from then on in a cookie for that path; or as
`Authorization: Bearer`. The address that is handed to a browser, which other users of the machine can read in the list
of processes, has a ticket in place of the token, which is good for one use.
5. The body's bytes and its pace are limited as it arrives.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.web.storage import MOST_UPLOAD

COOKIE: Final = "impasto"
# Ours: an order with a recipe takes some kB.
MOST_REQUEST: Final = 256 * 1024
# Ours: a body that pauses for longer, or, after some grace, comes more slowly than an old modem, is given up.
_SILENCE: Final = 15.0  # seconds
_GRACE: Final = 20.0  # seconds
_SLOWEST: Final = 8_000  # bytes a second
# Ours: bytes that are read and dropped of a body that is refused: some of the longest orders. The rest of a longer one,
# which can only be a picture, is cut off, and its sender may see a reset connection in place of the answer.
_MOST_DROPPED: Final = 4 * MOST_REQUEST
_LONGEST_DROP: Final = 5.0  # seconds

HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)

# With the token in the address, the page is requested again without it.
_WELCOME: Final = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>impasto</title>
<meta http-equiv="refresh" content="0;url=./"><p><a href="./">Go on to impasto</a></p></html>"""


class ServerAddress(NamedTuple):
    """The server's address, and its token."""

    hosts: frozenset[str]  # allowed values of the Host header, with the port
    room: str
    token: str
    ticket: str


class Guard:
    """An ASGI application around another, which passes on only authenticated requests."""

    def __init__(self, app: ASGIApp, place: ServerAddress) -> None:
        self._app = app
        self._place = place
        self._tickets = [place.ticket]  # those that nobody has used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused; pass on any other."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            body = _Body(scope, receive)
            application = self._answer(scope) or self._app
            await application(scope, body.receive, _wrap_send(body, send))

    def _answer(self, scope: Scope) -> Response | None:
        """Return the refusal of a request, or the first page; None for a request that is admitted."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._place.hosts:
            return _refusal("this server does not go by that name")
        if len(origins) > 1 or (origins and origins[0] != f"http://{hosts[0].lower()}"):
            return _refusal("that page may not ask this server for anything")
        home = f"/{self._place.room}/"
        # Compared as bytes: only ASCII texts can be compared in constant time.
        if not path.startswith(home):
            return _refusal("open the address that 'impasto serve' has printed")
        if path == home and method == "GET" and self._is_admitted(scope):
            return self._welcome()
        # Browsers send this header; another page on this computer is "same-site", which is not enough.
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _refusal("that page may not ask this server for anything")
        bearer = self._is_token(headers.get("authorization", "").removeprefix("Bearer "))
        if not bearer and not any(map(self._is_token, _cookies(headers))):
            return _refusal("open the address that 'impasto serve' has printed")
        if method not in ("GET", "HEAD") and not bearer and not origins:
            return _refusal("a request that changes something must say where it comes from")
        return _exceeds_limit(headers, _body_limit(scope))

    def _is_admitted(self, scope: Scope) -> bool:
        """Whether the address has the token, or a ticket, which is used up with that."""
        if self._is_token(_in_query(scope, "token")):
            return True
        ticket = _in_query(scope, "ticket").encode()
        is_good = any(secrets.compare_digest(ticket, good.encode()) for good in self._tickets)
        if is_good:
            self._tickets.clear()
        return is_good

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self._place.token.encode())

    def _welcome(self) -> Response:
        response = Response(_WELCOME, media_type="text/html")
        response.set_cookie(COOKIE, self._place.token, path=f"/{self._place.room}/", httponly=True, samesite="strict")
        return response


def _refusal(message: str, status: int = 403) -> Response:
    return PlainTextResponse(f"impasto: {message}\n", status, {"connection": "close"})


def _cookies(headers: Headers) -> Iterator[str]:
    """Yield the values of our cookie: a browser may send several of one name, for different paths."""
    for header in headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                yield value


def _in_query(scope: Scope, name: str) -> str:
    try:
        query: Mapping[str, list[str]] = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=4)
    except ValueError:
        return ""
    return query.get(name, [""])[0]


def _body_limit(scope: Scope) -> int:
    """Return the largest size of a request's body in bytes."""
    if scope["method"] in ("GET", "HEAD", "DELETE"):
        return 0
    return MOST_UPLOAD if scope["path"].endswith("/api/pictures") else MOST_REQUEST


def _exceeds_limit(headers: Headers, limit: int) -> Response | None:
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 15:
        return _refusal("that is no length", 400)
    return _refusal(f"more than {limit:,} bytes were announced", 413) if int(declared) > limit else None


class _Body:
    """The body of a request, whose bytes and pace are limited as it arrives, whatever length was declared."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._limit = _body_limit(scope)
        self._count = 0
        self._started = time.monotonic()
        self._ended = False

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            HTTPException: the body is too long, too slow, or stopped arriving.

        """
        if self._ended:
            # After the body the next message is the end of the connection, which a stream of events may wait for.
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), _SILENCE)
        except TimeoutError:
            raise _http_error("the body stopped arriving", 408) from None
        self._count += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._count > self._limit:
            raise _http_error(f"more than {self._limit:,} bytes arrived", 413)
        elapsed = time.monotonic() - self._started
        if not self._ended and elapsed > _GRACE and self._count / elapsed < _SLOWEST:
            raise _http_error("the body arrived too slowly", 408)
        return message

    async def drop(self) -> None:
        """Read and forget the rest of the body, up to a limit in bytes and seconds."""
        count = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_DROP):
                while not self._ended and count < _MOST_DROPPED:
                    message = await self._receive()
                    count += len(message.get("body", b""))
                    self._ended = not message.get("more_body", False)


def _wrap_send(body: _Body, send: Send) -> Send:
    """Return a `send` that adds our headers, and closes a connection only after the rest of the request has arrived.

    A connection that is closed while its client still sends is reset, and the answer may be lost with it: RFC 9112,
    section 9.6.
    """
    closes = False

    async def send_wrapped(message: Message) -> None:
        nonlocal closes
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            extra = [(b"cache-control", b"no-store")] if b"cache-control" not in names else []
            closes = (b"connection", b"close") in message["headers"]
            message = {**message, "headers": [*message["headers"], *HEADERS, *extra]}
        elif closes and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await body.drop()
            message = {"type": "http.response.body"}
        await send(message)

    return send_wrapped


def _http_error(message: str, status: int) -> HTTPException:
    return HTTPException(status, message, {"connection": "close"})
