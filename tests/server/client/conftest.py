from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.running import RunningServer, running
from weft.server.client import Client


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for the tests of this folder. Its queue is empty and not paused when a test begins."""
    with running(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url) as one:
        yield one
