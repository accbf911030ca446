"""The stream of server-sent events of a laboratory."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple

from ._http import OpenResponse


class Event(NamedTuple):
    """An event: its name and its content, parsed if it is JSON."""

    name: str
    content: Any


class EventStream(Iterator[Event]):
    """Iterates over events as they happen. `close` ends the iteration, also from another thread."""

    def __init__(self, opened: OpenResponse) -> None:
        opened.socket.settimeout(None)
        self._opened = opened
        self._is_closed = False

    def __next__(self) -> Event:
        name, lines = "message", []
        while True:
            line = self._read_line()
            if line is None:
                raise StopIteration
            field, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "event":
                name = value
            elif field == "data":
                lines.append(value)
            elif not line and lines:
                return Event(name, _content("\n".join(lines)))

    def _read_line(self) -> str | None:
        """The next line without its end, None at the end of the stream."""
        if self._is_closed:
            return None
        try:
            line = self._opened.response.readline()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            # The program ended, or `close` was called while this thread waited.
            line = b""
        if not line:
            self.close()
            return None
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def close(self) -> None:
        """Ends the stream."""
        self._is_closed = True
        # Shut down first: a thread that reads holds the lock that closing the response needs.
        with contextlib.suppress(OSError):
            self._opened.socket.shutdown(socket.SHUT_RDWR)
        self._opened.close()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _content(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
