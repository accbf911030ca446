"""The fixtures and options of the pytest plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

TESTS = """
import os

def name(lab):
    return os.environ.get("PYTEST_XDIST_WORKER", "main") + "-" + str(lab.pid)

def check(lab):
    open("pid-" + name(lab), "w").close()
    assert lab.health()

def test_one(traffic_mirror):
    check(traffic_mirror)

def test_two(traffic_mirror):
    check(traffic_mirror)

def test_three(traffic_mirror, traffic_mirror_server):
    assert traffic_mirror is traffic_mirror_server
    check(traffic_mirror)

def test_four(traffic_mirror_server):
    check(traffic_mirror_server)
"""
RESETS = """
from traffic_mirror import Lab

resets = []

def test_the_server_is_not_reset(traffic_mirror_server, monkeypatch):
    monkeypatch.setattr(Lab, "reset", lambda lab: resets.append(lab))

class TestReset:
    import pytest

    @pytest.fixture(autouse=True)
    def count(self, traffic_mirror_server, monkeypatch):
        monkeypatch.setattr(Lab, "reset", lambda lab: resets.append(lab))

    def test_one(self, count, traffic_mirror):
        assert resets == [traffic_mirror]

    def test_two(self, count, traffic_mirror):
        assert resets == [traffic_mirror] * 2
"""


@pytest.fixture
def run(pytester: pytest.Pytester, request: pytest.FixtureRequest, binary: str) -> Run:
    """Runs pytest in a process of its own with the plugin, also if the wheel is not installed."""
    is_installed = request.config.pluginmanager.has_plugin("traffic_mirror")
    plugin = [] if is_installed else ["-p", "traffic_mirror.pytest_plugin"]

    def run(*arguments: str) -> pytest.RunResult:
        option = f"--traffic-mirror-binary={binary}"
        return pytester.runpytest_subprocess(*plugin, option, *arguments)

    return run


def pids(pytester: pytest.Pytester) -> set[str]:
    return {path.name for path in Path(pytester.path).glob("pid-*")}


def test_all_tests_use_one_server(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(TESTS)
    run().assert_outcomes(passed=4)
    assert len(pids(pytester)) == 1


def test_each_worker_of_xdist_has_its_own_server(pytester: pytest.Pytester, run: Run) -> None:
    pytest.importorskip("xdist", reason="NOT RUN: pytest-xdist is not installed")
    pytester.makepyfile(TESTS)
    run("-n", "2", "--dist", "each").assert_outcomes(passed=8)
    workers = sorted(name.split("-")[1] for name in pids(pytester))
    assert workers == ["gw0", "gw1"]
    assert len({name.split("-")[2] for name in pids(pytester)}) == 2


def test_each_test_starts_with_a_reset(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(RESETS)
    run().assert_outcomes(passed=3)


def test_arguments_come_from_the_settings(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeini("[pytest]\ntraffic_mirror_arguments = --network-interface eni-a=10.0.0.5")
    pytester.makepyfile("""
        def test_settings(traffic_mirror):
            assert traffic_mirror.play("eni-a", bytes(60)).received == 1
    """)
    run().assert_outcomes(passed=1)


def test_a_binary_that_does_not_exist_is_an_error(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_one(traffic_mirror): pass")
    result = run("--traffic-mirror-binary=/no/such/file")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*binary '/no/such/file': no such file*"])
