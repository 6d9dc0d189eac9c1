"""Who may come in: the door that every request passes, before anything else looks at it.

1. The Host must be one of the server's own, which a name that was rebound to its address is not.
2. The Origin, where there is one, must be the server's own; what changes something must have one, or carry the token
   as a header, which no other page can make a browser do.
3. The path must begin with the server's room.
4. The token must be there: in the address that was printed, once, and from then on in a cookie that only the room sees;
   or as `Authorization: Bearer`.
5. A body is counted as it arrives, and may neither be long nor dawdle.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.web.storage import MOST_UPLOAD

COOKIE: Final = "impasto"
# Ours: an order with a recipe in it takes some kB.
MOST_REQUEST: Final = 256 * 1024
# Ours: a body that pauses for longer, or comes slower than an old modem once it has had a while, is given up.
_SILENCE: Final = 15.0  # seconds
_GRACE: Final = 20.0  # seconds
_SLOWEST: Final = 8_000  # bytes a second

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

# Once the token has been seen in the address, the page is asked for again without it.
_WELCOME: Final = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>impasto</title>
<meta http-equiv="refresh" content="0;url=./"><p><a href="./">Go on to impasto</a></p></html>"""


class ServerAddress(NamedTuple):
    """Where the server is, and what opens its door."""

    hosts: frozenset[str]  # as in the Host header, with the port
    room: str
    token: str


class Guard:
    """An ASGI application around another, which is reached by those only who may."""

    def __init__(self, app: ASGIApp, place: ServerAddress) -> None:
        self._app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                extra = [(b"cache-control", b"no-store")] if b"cache-control" not in names else []
                message = {**message, "headers": [*message["headers"], *HEADERS, *extra]}
            await send(message)

        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            response = self._answer(scope)
            if response is None:
                await self._app(scope, _bounded_receive(scope, receive), sealed)
            else:
                await response(scope, receive, sealed)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what is said at the door; None for those who may come in."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._place.hosts:
            return _refusal("this server does not go by that name")
        if len(origins) > 1 or (origins and origins[0] != f"http://{hosts[0].lower()}"):
            return _refusal("that page may not ask this server for anything")
        home = f"/{self._place.room}/"
        # In UTF-8, as the path of a request may be anything, and only ASCII texts can be compared in constant time.
        if not path.startswith(home):
            return _refusal("open the address that 'impasto serve' has printed")
        if path == home and method == "GET" and self._is_token(_token_in_query(scope)):
            return self._welcome()
        # A browser says so; another page on this computer is "same-site", and no friend for that.
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _refusal("that page may not ask this server for anything")
        bearer = self._is_token(headers.get("authorization", "").removeprefix("Bearer "))
        if not bearer and not self._is_token(cookie_parser(headers.get("cookie", "")).get(COOKIE, "")):
            return _refusal("open the address that 'impasto serve' has printed")
        if method not in ("GET", "HEAD") and not bearer and not origins:
            return _refusal("a request that changes something must say where it comes from")
        return _exceeds_limit(headers, _body_limit(scope))

    def _is_token(self, text: str) -> bool:
        return secrets.compare_digest(text.encode(), self._place.token.encode())

    def _welcome(self) -> Response:
        response = Response(_WELCOME, media_type="text/html")
        response.set_cookie(COOKIE, self._place.token, path=f"/{self._place.room}/", httponly=True, samesite="strict")
        return response


def _refusal(message: str, status: int = 403) -> Response:
    return PlainTextResponse(f"impasto: {message}\n", status, {"connection": "close"})


def _token_in_query(scope: Scope) -> str:
    try:
        query: Mapping[str, list[str]] = parse_qs(scope["query_string"].decode("ascii"), max_num_fields=4)
    except ValueError:
        return ""
    return query.get("token", [""])[0]


def _body_limit(scope: Scope) -> int:
    """Return how many bytes the body of a request may have."""
    if scope["method"] in ("GET", "HEAD", "DELETE"):
        return 0
    return MOST_UPLOAD if scope["path"].endswith("/api/pictures") else MOST_REQUEST


def _exceeds_limit(headers: Headers, limit: int) -> Response | None:
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 15:
        return _refusal("that is no length", 400)
    return _refusal(f"more than {limit:,} bytes were announced", 413) if int(declared) > limit else None


def _bounded_receive(scope: Scope, receive: Receive) -> Receive:
    """Return `receive` for a body that is counted as it arrives; what was announced is believed by nobody."""
    limit, count, started, ended = _body_limit(scope), 0, time.monotonic(), False

    async def counted() -> Message:
        nonlocal count, ended
        if ended:
            # What comes after the body is the end of the connection, for which a stream of events may wait long.
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), _SILENCE)
        except TimeoutError:
            raise _http_error("the body stopped arriving", 408) from None
        count += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if count > limit:
            raise _http_error(f"more than {limit:,} bytes arrived", 413)
        elapsed = time.monotonic() - started
        if not ended and elapsed > _GRACE and count / elapsed < _SLOWEST:
            raise _http_error("the body arrived too slowly", 408)
        return message

    return counted


def _http_error(message: str, status: int) -> HTTPException:
    return HTTPException(status, message, {"connection": "close"})
