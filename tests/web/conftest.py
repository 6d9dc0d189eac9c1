"""A real server on the loopback, and a real browser where there is one."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.web.served import Served, start


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests of a file."""
    server = start(tmp_path_factory.mktemp("served") / "state")
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """A client that has the token."""
    with served.client() as client:
        yield client


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser."""
    found = os.environ.get("IMPASTO_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return found or pytest.skip("no Chromium here: apt-get install chromium, or name one in IMPASTO_CHROMIUM")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A browser that sends no requests of its own."""
    api = pytest.importorskip("playwright.sync_api")
    options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()
