"""Pictures that go to object storage or another machine: any URL that fsspec can write to."""

import contextlib
import hashlib
import io
import os
import posixpath
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from impasto.errors import OutputError
from impasto.system.folders import cache_folder
from impasto.system.paths import harmless_name
from impasto.system.tables import Table
from impasto.system.text import printable, reason

# At least two letters: a single one is a Windows drive.
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://.")
# Fields of a store's file information that change with every change of the file; the first one present is used.
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
    name = f"{digest}-{harmless_name(PurePosixPath(url).name)}"
    return cache_folder() / "outgoing" / name


def etags(urls: Iterable[str]) -> dict[str, str]:
    """Return the entity tag of each file that exists, which changes with the file; empty where the store has none.

    Each folder is listed once.

    Raises:
        OutputError: a store cannot be reached, or its protocol is not installed.

    """
    listed: dict[str, dict[str, Table]] = {}
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
    """Return the entity tag of one file, as `etags` does; None if the file does not exist.

    Raises:
        OutputError: the store cannot be reached.

    """
    with _file_system(url) as (store, path):
        store.invalidate_cache()
        try:
            return _etag(store.info(path))
        except FileNotFoundError:
            return None


def _etag(info: Table) -> str:
    tag = next((f"{name} {info[name]}" for name in _ETAG_FIELDS if info.get(name)), None)
    return "" if tag is None else f"{info.get('size')} {tag}"


def _list_siblings(url: str) -> dict[str, Table]:
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
    """Return the content of a file; None if it does not exist.

    Raises:
        OutputError: it cannot be read.

    """
    with _file_system(url) as (store, path):
        try:
            return io.BytesIO(store.cat_file(path))
        except FileNotFoundError:
            return None


def upload(file: Path, url: str) -> None:
    """Copy a file into a store, whole or not at all: readers see the old file or the new one.

    Raises:
        OutputError: it cannot be written.

    """
    import fsspec

    with _file_system(url) as (store, path):
        folder = store._parent(path)
        if path.startswith("/") or PureWindowsPath(path).drive:
            # Object stores have no folders; making one there could create a bucket of a misspelt name.
            store.makedirs(folder, exist_ok=True)
        # Upload under another name, then rename. fsspec's own transactions need a /tmp in some stores.
        unfinished = f"{folder}/.impasto-{secrets.token_hex(8)}.part"
        try:
            store.put_file(os.fspath(file), unfinished)
            if type(store).mv is fsspec.AbstractFileSystem.mv:
                # That one takes brackets and stars in a name for patterns.
                store.cp_file(unfinished, path)
                store.rm_file(unfinished)
            else:
                store.mv(unfinished, path)
        except BaseException:
            # The first error is the one to report.
            with contextlib.suppress(Exception):
                store.rm_file(unfinished)
            raise


@contextlib.contextmanager
def _file_system(url: str) -> Iterator[tuple[Any, str]]:
    """Give the file system of a URL, and the path in it."""
    import fsspec

    try:
        # Not by `url_to_fs`, which splits names at two colons.
        kind = fsspec.get_filesystem_class(urlsplit(url).scheme)
        yield kind(**kind._get_kwargs_from_urls(url)), kind._strip_protocol(url)
    except Exception as error:
        # Each store raises errors of its own, from the packages it is built on.
        raise OutputError(
            f"{printable(without_password(url))}: cannot be reached or written ({reason(error)})"
        ) from error
