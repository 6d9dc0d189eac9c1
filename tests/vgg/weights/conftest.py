"""Fixtures for the tests of weights."""

from collections.abc import Iterator

import pytest

from tests.vgg.weights.samples import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running
