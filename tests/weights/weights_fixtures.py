"""Fixtures of the tests of weights, loaded as a plugin: a second conftest.py would hide the first."""

from collections.abc import Iterator

import pytest
from weights_making import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running
