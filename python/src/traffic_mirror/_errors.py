"""The errors of a laboratory."""

from __future__ import annotations


class LabError(Exception):
    """A request that the laboratory rejected, or that did not reach it.

    `code` is the error code of the laboratory, for example `unknown_network_interface`.
    `connection_failed` means that there was no response. `status` is the HTTP status of the
    response, or None if there was none.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class LabStartError(LabError):
    """The laboratory did not start.

    `code` is `binary_not_found`, `start_failed` or `start_timeout`. The message contains what the
    program wrote to standard error.
    """
