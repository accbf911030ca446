"""The pytest plugin: a laboratory for the session, and one that is reset before each test."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from ._lab import Lab

ARGUMENTS = "traffic_mirror_arguments"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the plugin."""
    group = parser.getgroup("traffic-mirror")
    group.addoption(
        "--traffic-mirror-binary",
        metavar="PATH",
        default=None,
        help="the program traffic-mirror; by default the one that pip installed",
    )
    parser.addini(
        ARGUMENTS,
        "arguments of `traffic-mirror lab`, for example: --config mirror.toml --seed 7",
        default="",
    )


@pytest.fixture(scope="session")
def traffic_mirror_server(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A laboratory that runs until the tests end. Each worker of pytest-xdist has its own."""
    arguments = shlex.split(str(request.config.getini(ARGUMENTS)))
    binary = request.config.getoption("--traffic-mirror-binary")
    with Lab(binary=binary, arguments=arguments) as lab:
        yield lab


@pytest.fixture
def traffic_mirror(traffic_mirror_server: Lab) -> Lab:
    """The laboratory of the session, reset before the test."""
    traffic_mirror_server.reset()
    return traffic_mirror_server
