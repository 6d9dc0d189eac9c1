"""Pictures that go to object storage or another machine: any URL that fsspec can write to."""

import contextlib
import hashlib
import io
import os
import posixpath
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import platformdirs

from impasto.errors import OutputError
from impasto.system.text import printable, reason

# Two letters at least: a single one is a Windows drive.
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://.")
# What a store says of a file that is another one after every change; the first of them that it says counts.
_ETAG_FIELDS: Final = (
    *("ETag", "etag", "md5Hash", "content_md5"),
    *("mtime", "modify", "LastModified", "last_modified", "created"),
)


def is_url(path: str | None) -> bool:
    """Whether a path is a URL, such as `s3://bucket/out.png`."""
    return path is not None and _URL.match(path) is not None


def without_password(url: str) -> str:
    """Return a URL without user and password, for messages and logs."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def staging_path(url: str) -> Path:
    """Return the path on this machine where a picture is made, with its checkpoints, before it goes to `url`."""
    digest = hashlib.sha256(without_password(url).encode()).hexdigest()[:16]
    name = f"{digest}-{PurePosixPath(url).name}"
    return platformdirs.user_cache_path("impasto", appauthor=False) / "outgoing" / name


def etags(urls: Iterable[str]) -> dict[str, str]:
    """Return a mark of each file that is there, another one after every change; empty where the store knows none.

    Each folder is listed once.

    Raises:
        OutputError: a store cannot be reached, or its protocol is not known here.

    """
    listed: dict[str, dict[str, dict[str, Any]]] = {}
    tags = {}
    for url in urls:
        folder = posixpath.dirname(url)
        if folder not in listed:
            listed[folder] = _list_siblings(url)
        info = listed[folder].get(PurePosixPath(url).name)
        if info is not None:
            tags[url] = _etag(info)
    return tags


def etag(url: str) -> str | None:
    """Return the mark of one file, as `marks` would; None where it is not there.

    Raises:
        OutputError: the store cannot be reached.

    """
    with _file_system(url) as (store, path):
        store.invalidate_cache()
        try:
            return _etag(store.info(path))
        except FileNotFoundError:
            return None


def _etag(info: dict[str, Any]) -> str:
    tag = next((f"{name} {info[name]}" for name in _ETAG_FIELDS if info.get(name)), None)
    return "" if tag is None else f"{info.get('size')} {tag}"


def _list_siblings(url: str) -> dict[str, dict[str, Any]]:
    """Return what a store says of the files beside one, by name."""
    with _file_system(url) as (store, path):
        folder = store._parent(path)
        store.invalidate_cache()
        try:
            infos = store.ls(folder, detail=True)
        except FileNotFoundError:
            bucket = path.partition("/")[0]
            if bucket and not store.exists(bucket):
                raise FileNotFoundError(f"there is no {bucket}") from None
            return {}
        return {PurePosixPath(info["name"]).name: info for info in infos if info["type"] == "file"}


def read(url: str) -> io.BytesIO | None:
    """Return all of a file; None where it is not there.

    Raises:
        OutputError: it cannot be read.

    """
    with _file_system(url) as (store, path):
        try:
            return io.BytesIO(store.cat_file(path))
        except FileNotFoundError:
            return None


def upload(file: Path, url: str) -> None:
    """Write a copy of a file: who looks sees what was there before, or all of the new one.

    Raises:
        OutputError: it cannot be written.

    """
    with _file_system(url) as (store, path):
        folder = store._parent(path)
        if path.startswith("/"):
            # Elsewhere there are no folders, and what would be made is a bucket that was misspelt.
            store.makedirs(folder, exist_ok=True)
        # The name is given when all of it is there. fsspec's own transactions need a /tmp in some stores.
        unfinished = f"{folder}/.impasto-{secrets.token_hex(8)}.part"
        try:
            store.put_file(os.fspath(file), unfinished)
            store.mv(unfinished, path)
        except BaseException:
            # What went wrong is more than that this does.
            with contextlib.suppress(Exception):
                store.rm_file(unfinished)
            raise


@contextlib.contextmanager
def _file_system(url: str) -> Iterator[tuple[Any, str]]:
    """Give the file system of a URL, and the path in it."""
    import fsspec

    try:
        yield fsspec.core.url_to_fs(url)
    except Exception as error:
        # Each store has errors of its own, of the packages that it is made with.
        raise OutputError(
            f"{printable(without_password(url))}: cannot be reached or written ({reason(error)})"
        ) from error
