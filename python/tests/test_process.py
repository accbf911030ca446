"""The program is waited for, and ends with its user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import pytest

from traffic_mirror import Lab, LabError, LabStartError, _process

Program = Callable[[str], str]

LISTEN_AND_WAIT = """
    import sys, time
    print("listening on http://127.0.0.1:4566", flush=True)
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_a_program_that_exits_is_reported_with_its_standard_error(program: Program) -> None:
    path = program('import sys; sys.exit("error: --config x.toml: no such file")')
    with pytest.raises(LabStartError) as caught:
        Lab(binary=path).start()
    assert caught.value.code == "start_failed"
    assert "exited with code 1 before it listened" in caught.value.message
    assert "error: --config x.toml: no such file" in caught.value.message


def test_a_program_that_does_not_listen_is_ended(program: Program) -> None:
    path = program("""
        import os, sys, time
        print(os.getpid(), file=sys.stderr, flush=True)
        time.sleep(600)
    """)
    with pytest.raises(LabStartError) as caught:
        Lab(binary=path, start_timeout_s=1).start()
    assert caught.value.code == "start_timeout"
    assert "did not listen within 1 s" in caught.value.message
    wait_until_ended(int(caught.value.message.split()[-1]))


def test_a_file_that_cannot_be_executed_is_reported(program: Program) -> None:
    path = program("")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/no/such/interpreter\n")
    with pytest.raises(LabStartError) as caught:
        Lab(binary=path).start()
    assert caught.value.code == "start_failed"


def test_options_become_arguments(program: Program) -> None:
    path = program("""
        import sys, time
        print(sys.argv[1:], file=sys.stderr, flush=True)
        print("listening on http://127.0.0.1:4566", flush=True)
        time.sleep(600)
    """)
    lab = Lab(
        binary=path,
        network_interfaces={"eni-1": "10.0.0.5", "eni-2": "pcap:trace.pcap"},
        config=["a.toml", "b.json"],
        upstream="http://127.0.0.1:5000",
        default_target="192.0.2.10",
        strict_targets=True,
        state="lab.state",
        seed=0,
        arguments=["--account-id", "123456789012"],
    )
    with lab:
        assert lab.url == "http://127.0.0.1:4566"
        words = (
            "lab --listen 127.0.0.1:0 --end-with-stdin --network-interface eni-1=10.0.0.5 "
            "--network-interface eni-2=pcap:trace.pcap --config a.toml --config b.json "
            "--upstream http://127.0.0.1:5000 --default-target 192.0.2.10 --state lab.state "
            "--seed 0 --strict-targets --account-id 123456789012"
        )
        assert lab.log.strip() == str(words.split())
    assert "'--config', 'a.toml']" in str(Lab(config="a.toml")._arguments)


def test_an_ipv6_address_has_brackets_in_the_url(program: Program) -> None:
    path = program(LISTEN_AND_WAIT.replace("127.0.0.1:4566", "[::1]:4566"))
    with Lab(binary=path) as lab:
        assert lab.url == "http://[::1]:4566"


def test_the_end_of_the_block_ends_the_program(program: Program) -> None:
    with Lab(binary=program(LISTEN_AND_WAIT)) as lab:
        pid = lab.pid
        assert is_running(pid)
    assert not is_running(pid)
    with pytest.raises(LabError, match="not_started"):
        _ = lab.url
    lab.close()


def test_a_program_that_ignores_sigterm_is_killed(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_process, "END_TIMEOUT_S", 0.2)
    path = program(f"""
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        {textwrap.indent(textwrap.dedent(LISTEN_AND_WAIT), " " * 8).strip()}
    """)
    with Lab(binary=path) as lab:
        pid = lab.pid
    assert not is_running(pid)


def test_a_laboratory_can_be_started_again(program: Program) -> None:
    lab = Lab(binary=program(LISTEN_AND_WAIT))
    pids = set()
    for _ in range(2):
        with lab:
            pids.add(lab.start().pid)
    assert len(pids) == 2


def test_a_program_that_ended_is_reported_with_its_log(program: Program) -> None:
    path = program("""
        import sys
        print("listening on http://127.0.0.1:4566", flush=True)
        sys.exit("fatal: disk full")
    """)
    with Lab(binary=path) as lab:
        wait_until_ended(lab.pid)
        with pytest.raises(LabError, match="fatal: disk full") as caught:
            lab.health()
        assert caught.value.code == "not_running"


def pid_of_lab_of_interpreter(binary: str, last: str) -> tuple[subprocess.Popen[str], int]:
    """Starts an interpreter that starts a laboratory, and then executes `last`."""
    source = f"""
import os, signal, sys, time
from traffic_mirror import Lab
lab = Lab(binary={binary!r}).start()
print(lab.pid, flush=True)
{last}
"""
    child = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, int(child.stdout.readline())


def test_the_program_ends_with_the_interpreter(program: Program) -> None:
    child, pid = pid_of_lab_of_interpreter(program(LISTEN_AND_WAIT), "")
    with child:
        assert child.wait(20) == 0
    wait_until_ended(pid)


def test_a_fork_of_the_interpreter_does_not_end_the_program(program: Program) -> None:
    last = """
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
assert lab._process.exit_code() is None
"""
    child, pid = pid_of_lab_of_interpreter(program(LISTEN_AND_WAIT), last)
    with child:
        assert child.wait(20) == 0
    wait_until_ended(pid)


@pytest.mark.parametrize("killed_by", [signal.SIGTERM, signal.SIGKILL])
def test_the_program_ends_when_the_interpreter_is_killed(
    binary: str, killed_by: signal.Signals
) -> None:
    child, pid = pid_of_lab_of_interpreter(binary, "time.sleep(600)")
    with child:
        child.send_signal(killed_by)
        child.wait(20)
    wait_until_ended(pid)
