"""Download of one file from its publisher: resumable, bounded in time, size and tries, and hashed in full. No torch."""

import contextlib
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Final, final
from urllib.parse import urlsplit

from impasto import __version__
from impasto.errors import WeightsError
from impasto.system import ownership
from impasto.system.text import printable, reason
from impasto.vgg.weights.files import BLOCK, digests, not_written
from impasto.vgg.weights.spec import Official

# Status codes that may be others after a while (RFC 9110, sections 15.5.9 and 15.6; RFC 6585, section 4).
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


@final
@dataclass(frozen=True)
class Patience:
    """How long to keep trying. Ours: a router that restarts is back within a minute, a wrong address never is."""

    tries: int = 6  # without progress
    timeout: float = 30.0  # seconds in which fewer bytes arrive than
    least: int = 2**15  # bytes
    pause: float = 1.0  # seconds before the second try, doubled for each one after
    progress: int = 2**20  # bytes that count as progress
    sleep: Callable[[float], None] = time.sleep


@final
class DownloadListener:
    """Callbacks for the progress of a download."""

    def __init__(
        self, got: Callable[[int, int], None] = lambda _, __: None, note: Callable[[str], None] = lambda _: None
    ) -> None:
        self.got = got  # takes bytes received and bytes in all
        self.note = note  # takes one line for a person


@final
class TransientFailure(Exception):  # noqa: N818
    """One try failed; the next one may succeed."""


@final
class PermanentFailure(Exception):  # noqa: N818
    """Further tries cannot succeed."""


def download(file: Official, part: Path, listener: DownloadListener, patience: Patience) -> None:
    """Download `file` to `part`, continuing what is there.

    Args:
        file: address, size and SHA-256.
        part: the file that is written.
        listener: hears of progress and pauses.
        patience: how often and how long to try.

    Raises:
        WeightsError: it cannot be downloaded, differs from the recorded file, or the disk is full. What was received
        stays
            for the next time, unless it is wrong.

    """
    _check_address(file.url)
    failures, furthest, again = 0, _size(part), False
    while True:
        try:
            pieced = _receive(file, part, listener, patience)
            fault = _find_fault(file, part)
            if fault is None:
                return
            _forget(part)
            if again or not pieced:
                raise PermanentFailure(fault)
            # The parts may be of two different files; try once more from the start.
            again = True
            listener.note(f"{fault}; starting again")
        except TransientFailure as error:
            size = _size(part)
            failures = 0 if size >= furthest + patience.progress else failures + 1
            furthest = max(furthest, size)
            if failures >= patience.tries:
                raise WeightsError(f"{file.url}: {error}, {failures} times in a row") from error
            pause = patience.pause * 2 ** max(failures - 1, 0)
            listener.note(f"{error}; trying again in {pause:g} s")
            patience.sleep(pause)
        except PermanentFailure as error:
            raise WeightsError(f"{file.url}: {error}") from error
        except OSError as error:
            raise not_written(part, error) from error


def _receive(file: Official, part: Path, listener: DownloadListener, patience: Patience) -> bool:
    """Request what is missing and write it; return whether there was something before."""
    start = _size(part)
    if start == file.bytes:
        return True
    if start > file.bytes:
        _forget(part)
        start = 0
    with _open(_request(file, part, start), part, patience.timeout) as response:
        start = _start(response, file, part, start)
        pieced = start > 0
        _expect(response, file, start)
        if start == 0:
            _remember(part, response.headers)
        mark, due = start, time.monotonic() + patience.timeout
        with part.open("ab" if start else "wb") as out:
            while block := _block(response):
                if start == 0 and block.lstrip().startswith(b"<"):
                    raise PermanentFailure(
                        "a web page came instead of the file; perhaps a login or an error page is in the way"
                    )
                start += len(block)
                if start > file.bytes:
                    out.close()
                    _forget(part)
                    raise PermanentFailure(f"more than the expected {file.bytes} bytes came; it is another file now")
                out.write(block)
                out.flush()  # a kill loses nothing of what came
                listener.got(start, file.bytes)
                if time.monotonic() >= due:
                    if start - mark < patience.least:
                        raise TransientFailure("next to nothing came for too long")
                    mark, due = start, time.monotonic() + patience.timeout
    if start < file.bytes:
        raise TransientFailure(f"the connection ended after {start} of {file.bytes} bytes")
    return pieced


def _request(file: Official, part: Path, start: int) -> urllib.request.Request:
    headers = {"User-Agent": f"impasto/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        with contextlib.suppress(OSError):
            headers["If-Range"] = _tag(part).read_text("ascii", "ignore").strip()
    return urllib.request.Request(file.url, headers={key: value for key, value in headers.items() if value})


def _open(request: urllib.request.Request, part: Path, timeout: float) -> HTTPResponse:
    opener = urllib.request.build_opener(Redirects())
    try:
        response: HTTPResponse = opener.open(request, timeout=timeout)
        return response
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                _forget(part)
                raise TransientFailure("the server has another file than the one begun; starting again") from error
            if error.code < http.HTTPStatus.BAD_REQUEST:
                raise PermanentFailure("the server redirects without end") from error
            problem = f"the server answered {error.code} {printable(error.reason)[:60]}".rstrip()
            raise (TransientFailure if error.code in _PASSING else PermanentFailure)(problem) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise PermanentFailure(f"the server's certificate is not to be trusted ({reason(cause)})") from error
        problem_text = reason(cause) if isinstance(cause, BaseException) else printable(cause)[:160]
        raise TransientFailure(f"the server cannot be reached ({problem_text})") from error


def _start(response: HTTPResponse, file: Official, part: Path, offset: int) -> int:
    """Return the position of the first byte that will arrive."""
    if not offset or response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0  # a server may ignore ranges, or say so that the file has changed
    content_range = response.headers.get("Content-Range", "")
    if content_range.replace(" ", "") not in (
        f"bytes{offset}-{file.bytes - 1}/{file.bytes}",
        f"bytes{offset}-{file.bytes - 1}/*",
    ):
        _forget(part)
        raise TransientFailure(f"the server sends another part than asked for ({printable(content_range)[:60]})")
    return offset


def _expect(response: HTTPResponse, file: Official, start: int) -> None:
    """Refuse an answer whose announced length is not what is missing."""
    length = response.headers.get("Content-Length")
    if length is not None and length.strip() != str(file.bytes - start):
        page = " and sends a web page" if "html" in response.headers.get("Content-Type", "") else ""
        raise PermanentFailure(
            f"the server announces {printable(length)[:20]} bytes{page} where {file.bytes - start} are missing"
        )


def _block(response: HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)
    except TimeoutError as error:
        raise TransientFailure("nothing came for too long") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransientFailure(f"the connection broke ({reason(error)})") from error


def _find_fault(file: Official, part: Path) -> str | None:
    """Return what is wrong with a file of the right length, if anything."""
    with part.open("rb") as file_on_disk:
        digest = digests(file_on_disk)[file.algorithm]
    if digest == file.digest:
        return None
    return f"a file of the right length but another content came ({file.algorithm} {digest}, not {file.digest})"


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    # Within this machine nobody listens in.
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname == "127.0.0.1"):
        raise WeightsError(f"{printable(url)}: is not https; nothing was fetched")


@final
class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, never to an address that is read along or that is not the web."""

    max_redirections = 5  # ours; publishers use none or one
    max_repeats = 2

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Refuse to leave https."""
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            fp.close()
            raise PermanentFailure(f"the server sends us to an address that is not https ({printable(newurl)[:80]})")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _tag(part: Path) -> Path:
    return part.with_suffix(".etag")


def _remember(part: Path, headers: Message) -> None:
    tag = headers.get("ETag", "")
    # A weak one says nothing about bytes (RFC 9110, section 13.1.5).
    _tag(part).write_text("" if tag.startswith("W/") else tag, "ascii", "ignore")


def _forget(part: Path) -> None:
    ownership.remove(part)
    ownership.remove(_tag(part))


def discard(part: Path) -> None:
    """Remove a download that has been used."""
    with contextlib.suppress(OSError):
        _forget(part)


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0
