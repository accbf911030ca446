"""Responses and events of the laboratory API, from a program that answers whatever is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from traffic_mirror import Event, Lab, LabError

FAKE_LAB = '''
import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = b"""\\
: a comment

event: reset
data: {"number": 1}

data: two
data: lines

event: without content

"""


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/events"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EVENTS)
            self.wfile.flush()
            self.rfile.read(1)  # until the client closes the connection
            return
        status, body = ANSWERS.get(self.path.rpartition("/")[2], (404, b"nothing here"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + (self.path.endswith("snapshot"))))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


ANSWERS = {
    "reset": (400, b'{"error": {"code": "busy", "message": "a play is active"}}'),
    "seed": (502, b"<html>bad gateway</html>"),
    "explain": (200, b"<html>"),
    "snapshot": (200, b"{"),
    "clock": (204, b""),
}
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
'''


@pytest.fixture
def fake(program: Callable[[str], str]) -> Iterator[Lab]:
    with Lab(binary=program(FAKE_LAB)) as lab:
        yield lab


def test_an_error_has_code_message_and_status(fake: Lab) -> None:
    with pytest.raises(LabError) as caught:
        fake.reset()
    error = caught.value
    assert (error.code, error.message, error.status) == ("busy", "a play is active", 400)
    assert str(error) == "busy: a play is active"


def test_a_response_of_another_program_is_an_error(fake: Lab) -> None:
    with pytest.raises(LabError, match="HTTP status 502: <html>bad gateway</html>") as caught:
        fake.seed(1)
    assert (caught.value.code, caught.value.status) == ("unexpected_response", 502)
    with pytest.raises(LabError, match="explain: expected JSON, received '<html>'"):
        fake.explain("eni-1", flow="tcp 10.0.0.6:1 > 10.0.0.5:443")


def test_an_empty_response_is_accepted(fake: Lab) -> None:
    fake.clock(1_700_000_000)


def test_a_connection_that_fails_is_an_error(fake: Lab) -> None:
    with pytest.raises(LabError, match="IncompleteRead") as caught:
        fake.snapshot()
    assert (caught.value.code, caught.value.status) == ("connection_failed", None)


def test_events_are_parsed_and_end_with_close(fake: Lab) -> None:
    with fake.events() as events:
        assert next(events) == Event("reset", {"number": 1})
        assert next(events) == Event("message", "two\nlines")
        threading.Timer(0.2, events.close).start()
        assert list(events) == []
    assert next(events, None) is None


def test_events_end_with_the_program(fake: Lab) -> None:
    events = fake.events()
    assert next(events).name == "reset"
    fake.close()
    assert [event.content for event in events] == ["two\nlines"]
