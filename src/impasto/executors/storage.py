"""Pictures that go to object storage or another machine: any URL that fsspec can write to.

What follows the host or the bucket of a URL is a name, and literal: `[1]`, `*`, `?`, `#` and `::` are characters of it.
"""

import contextlib
import hashlib
import io
import os
import posixpath
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from impasto.errors import OutputError
from impasto.system.folders import cache_folder
from impasto.system.paths import fold_name, harmless_name, is_url
from impasto.system.tables import Table
from impasto.system.text import printable, reason

_LOCAL: Final = re.compile(r"(?:file|local)://")
_DRIVE: Final = re.compile(r"/[A-Za-z]:[/\\]")
# What is before an @ in their URLs is no user: a container of Azure, abfss://container@account.net, or part of a name.
_WITHOUT_USERS: Final = ("abfs", "abfss", "az", "memory")
_PORTS: Final = {"ftp": ":21", "sftp": ":22", "ssh": ":22", "smb": ":445"}
# Ours, bytes: leaves room for a digest before the name and for the endings of checkpoints and temporary files after it.
_LONGEST_NAME: Final = 100
# Fields of a store's file information that change with every change of the file; the first one present is used.
_ETAG_FIELDS: Final = (
    *("ETag", "etag", "md5Hash", "content_md5"),
    *("mtime", "modify", "LastModified", "last_modified", "created"),
)


def local_path(url: str) -> str | None:
    """Return the path of a file on this machine that a URL names, such as `file:///out.png`; None for other URLs."""
    if not is_url(url) or (found := _LOCAL.match(url)) is None:
        return None
    path = url[found.end() :]
    return path[1:] if sys.platform == "win32" and _DRIVE.match(path) else path


def without_password(url: str) -> str:
    """Return a URL without user and password, for messages and logs."""
    protocol, root, name = _split(url)
    return f"{protocol}://{root if protocol in _WITHOUT_USERS else root.rpartition('@')[2]}{name}"


def file_identity(url: str) -> str:
    """Return a text that is equal for URLs that name one file, as far as can be told without asking the store."""
    from fsspec.registry import known_implementations

    protocol, root, name = _split(without_password(url))
    # Some stores have several protocols: s3 and s3a.
    store = known_implementations.get(protocol, {}).get("class", protocol)
    place = posixpath.normpath(f"/{root.removesuffix(_PORTS.get(protocol, ''))}/{name}")
    return fold_name(f"{store}:/{place.lstrip('/')}")


def _split(url: str) -> tuple[str, str, str]:
    """Return the protocol of a URL, the host or bucket with its user, and the rest from the first slash on."""
    protocol, _, place = url.partition("://")
    root, slash, name = place.partition("/")
    return protocol, root, slash + name


def staging_path(url: str) -> Path:
    """Return the path on this machine where a picture is made, with its checkpoints, before it goes to `url`."""
    digest = hashlib.sha256(os.fsencode(without_password(url))).hexdigest()[:16]
    name = PurePosixPath(harmless_name(url.rpartition("/")[2]))
    stem = os.fsencode(name.stem)[:_LONGEST_NAME].decode(errors="ignore")
    folder = cache_folder() / "outgoing"
    return folder / f"{digest}-{stem}{name.suffix}"


def etags(urls: Iterable[str]) -> dict[str, str]:
    """Return the entity tag of each file that exists, which changes with the file; empty where the store has none.

    Each folder is listed once.

    Raises:
        OutputError: a store cannot be reached, or its protocol is not installed.

    """
    listed: dict[str, dict[str, Table]] = {}
    tags = {}
    for url in urls:
        folder, _, name = url.rpartition("/")
        if folder not in listed:
            listed[folder] = _list_siblings(url)
        info = listed[folder].get(name)
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
        store.invalidate_cache()
        try:
            infos = store.ls(path.rpartition("/")[0] or "/", detail=True)
        except FileNotFoundError:
            bucket = path.partition("/")[0]
            if bucket and not store.exists(bucket):
                raise FileNotFoundError(f"there is no {bucket}") from None
            return {}
        return {posixpath.basename(info["name"]): info for info in infos if info["type"] == "file"}


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
    with _file_system(url) as (store, path):
        folder = path.rpartition("/")[0]
        if folder.startswith("/") or local_path(url) is not None:
            # Object stores have no folders; making one there could create a bucket of a misspelt name.
            store.makedirs(folder, exist_ok=True)
        # Upload under another name, then rename. fsspec's own transactions need a /tmp in some stores.
        unfinished = f"{folder}/.impasto-{secrets.token_hex(8)}.part"
        try:
            store.put_file(os.fspath(file), unfinished)
            _rename(store, unfinished, path)
        except BaseException:
            # The first error is the one to report.
            with contextlib.suppress(Exception):
                store.rm_file(unfinished)
            raise


def _rename(store: Any, source: str, target: str) -> None:
    from fsspec import AbstractFileSystem

    if getattr(type(store), "mv", None) is AbstractFileSystem.mv:
        # The general one takes a path with an asterisk or a bracket for a pattern.
        store.cp_file(source, target)
        store.rm_file(source)
    else:
        store.mv(source, target)


@contextlib.contextmanager
def _file_system(url: str) -> Iterator[tuple[Any, str]]:
    """Give the file system of a URL, and the path in it."""
    try:
        yield _locate(url)
    except Exception as error:
        # Each store raises errors of its own, from the packages it is built on.
        raise OutputError(
            f"{printable(without_password(url))}: cannot be reached or written ({reason(error)})"
        ) from error


def _locate(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    import fsspec

    local = local_path(url)
    if local is not None:
        return fsspec.filesystem("file"), os.path.abspath(local)  # noqa: PTH100
    protocol, root, name = _split(url)
    if not name or "::" in root:
        # A name in a store that has neither hosts nor buckets.
        root, name = "", root + name
    # fsspec sees no more of the URL than host or bucket: in a name, :: would begin another URL, and # end this one.
    store, folder = fsspec.core.url_to_fs(f"{protocol}://{root}")
    return store, f"{folder.rstrip('/')}/{name.removeprefix('/')}"
