"""Starts the program, waits until it listens, and ends it."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Sequence

from ._errors import LabStartError

LISTENING = re.compile(r"listening on http://(?P<host>\[[^]]*\]|[^:/\s]+):(?P<port>\d+)")
END_TIMEOUT_S = 5.0


class LabProcess:
    """A running `traffic-mirror lab`. It ends with this interpreter at the latest."""

    def __init__(self, command: Sequence[str], start_timeout_s: float) -> None:
        """Starts the command and waits until it prints the address at which it listens."""
        self._command = list(command)
        self._owner = os.getpid()
        # A file, because a pipe that nobody reads blocks the program.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by end())
        self._address: tuple[str, int] | None = None
        # Set when the address is known, or when the program closed its standard output.
        self._is_decided = threading.Event()
        try:
            # --end-with-stdin ends the program when this pipe is closed. The kernel closes it if
            # the interpreter is killed.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
            )
        except OSError as error:
            self._log.close()
            raise LabStartError("start_failed", f"{self._command[0]}: {error}") from error
        atexit.register(self.end)
        threading.Thread(target=self._read_output, name="traffic-mirror lab", daemon=True).start()
        try:
            self._wait_until_ready(start_timeout_s)
        except BaseException:
            self.end()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port at which the program listens."""
        if self._address is None:
            raise LabStartError("start_failed", "the program does not listen")
        return self._address

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code of the program, None while it runs."""
        return self._process.poll()

    def log(self) -> str:
        """What the program wrote to standard error so far."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "replace")

    def end(self) -> None:
        """Ends the program with SIGTERM, and kills it if it does not end within five seconds."""
        if os.getpid() != self._owner:
            return  # A fork of the interpreter does not own the program.
        atexit.unregister(self.end)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._log.close()

    def _read_output(self) -> None:
        """Reads standard output to its end, so that the program never waits for a reader."""
        output = self._process.stdout
        if output is None:
            return
        with output:
            for line in output:
                match = LISTENING.search(line.decode("utf-8", "replace"))
                if match and self._address is None:
                    self._address = match["host"].strip("[]"), int(match["port"])
                    self._is_decided.set()
        self._is_decided.set()

    def _wait_until_ready(self, timeout_s: float) -> None:
        is_decided = self._is_decided.wait(timeout_s)
        if self._address is not None:
            return
        command = " ".join(self._command)
        if is_decided:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_TIMEOUT_S)
            code = self._process.poll()
            ended = "closed its standard output" if code is None else f"exited with code {code}"
            message = f"{command}: {ended} before it listened:\n{self.log()}"
            raise LabStartError("start_failed", message.strip())
        raise LabStartError(
            "start_timeout",
            f"{command}: did not listen within {timeout_s} s:\n{self.log()}".strip(),
        )
