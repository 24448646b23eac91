"""What the tests of the server share: a running one."""

from collections.abc import Iterator

import pytest

from tests.support.server import RunningServer, make_project, run_server


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the usual settings for all tests of a module."""
    with run_server(make_project(tmp_path_factory.mktemp("project"))) as running:
        yield running


@pytest.fixture
def server(module_server: RunningServer, loopback: None) -> RunningServer:
    """The server of the module, as if nothing had been stored and logged."""
    return module_server.begin_test()
