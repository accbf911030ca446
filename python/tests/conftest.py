"""Fixtures: programs that stand in for the laboratory, and the real one."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from traffic_mirror import Lab, LabStartError, find_binary

pytest_plugins = ["pytester"]

ENI = "eni-0a1b2c3d4e5f60718"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Returns a function that writes a Python program and returns its path."""

    def write(source: str) -> str:
        path = tmp_path / "program"
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(source)}")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture(scope="session")
def binary(request: pytest.FixtureRequest) -> str:
    """The real program."""
    try:
        return find_binary(request.config.getoption("--traffic-mirror-binary", None))
    except LabStartError as error:
        pytest.skip(f"NOT RUN: {error}")


@pytest.fixture
def lab(binary: str) -> Iterator[Lab]:
    """A laboratory with one network interface."""
    with Lab(binary=binary, network_interfaces={ENI: "10.0.0.5"}, seed=7) as lab:
        yield lab
