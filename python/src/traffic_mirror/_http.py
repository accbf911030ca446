"""Requests to the laboratory API, which is below `/_traffic-mirror/v1/`."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple, Union
from urllib.parse import quote, urlencode

from ._errors import LabError

PREFIX = "/_traffic-mirror/v1/"
JSON = "application/json"
# Large blocks, because a capture may have hundreds of megabytes.
BLOCK_SIZE = 1 << 20

Query = Mapping[str, Union[str, int, float, bool, None]]


def path_of(*parts: str) -> str:
    """Joins the parts of a path, and escapes each."""
    return "/".join(quote(part, safe="") for part in parts)


class OpenResponse(NamedTuple):
    """A response whose body is not read yet, and the connection on which it arrives."""

    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection
    socket: socket.socket

    def close(self) -> None:
        """Closes the connection."""
        self.response.close()
        self.connection.close()


class ApiClient:
    """Sends requests to one laboratory. Each request has a connection of its own."""

    def __init__(self, host: str, port: int, timeout_s: float | None) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s

    def json(
        self, method: str, path: str, body: object | None = None, query: Query | None = None
    ) -> Any:
        """Sends a JSON body and returns the JSON of the response, None if it is empty."""
        content = None if body is None else json.dumps(body).encode()
        return _parse_json(path, self.send(method, path, content, JSON, JSON, query))

    def post(self, path: str, content: bytes, content_type: str, query: Query) -> Any:
        """Sends a body that is not JSON and returns the JSON of the response."""
        return _parse_json(path, self.send("POST", path, content, content_type, JSON, query))

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        query: Query | None = None,
    ) -> bytes:
        """Sends a request and returns the body of the response."""
        opened = self.open(method, path, content, content_type, accept, query)
        try:
            return opened.response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(method, path, error) from error
        finally:
            opened.close()

    def open(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        query: Query | None = None,
    ) -> OpenResponse:
        """Sends a request and returns the response before its body is read."""
        headers = {"Accept": accept, "Connection": "close"}
        if content is not None:
            headers["Content-Type"] = content_type
        connection = http.client.HTTPConnection(
            self.host, self.port, timeout=self.timeout_s, blocksize=BLOCK_SIZE
        )
        try:
            connection.request(method, PREFIX + path + _query_text(query), content, headers)
            # getresponse() detaches the socket from a connection that the response closes.
            sock: socket.socket = connection.sock
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._failed(method, path, error) from error
        except BaseException:
            connection.close()
            raise
        return OpenResponse(response, connection, sock)

    def _failed(self, method: str, path: str, error: Exception) -> LabError:
        place = f"{method} http://{self.host}:{self.port}{PREFIX}{path}"
        text = str(error) or type(error).__name__
        return LabError("connection_failed", f"{place}: {text}")


def _query_text(query: Query | None) -> str:
    given = {key: value for key, value in (query or {}).items() if value is not None}
    texts = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in given.items()
    }
    return "?" + urlencode(texts) if texts else ""


def _parse_json(path: str, content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        begin = content[:200].decode("utf-8", "replace")
        raise LabError(
            "invalid_response", f"{PREFIX}{path}: expected JSON, received {begin!r}"
        ) from error


def _error(status: int, content: bytes) -> LabError:
    """The error of a response, also if a proxy or another program sent it."""
    try:
        error = json.loads(content)["error"]
        return LabError(str(error["code"]), str(error["message"]), status)
    except (ValueError, KeyError, TypeError):
        text = content[:500].decode("utf-8", "replace").strip()
        return LabError("unexpected_response", f"HTTP status {status}: {text}", status)
