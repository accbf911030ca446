"""The result of playing frames: the report, the copies, and the decision about each frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from ._copies import Copies, Copy


class Decision:
    """Why a frame was or was not mirrored, as `traffic-mirror explain --format json` prints it."""

    __slots__ = ("content",)

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    @property
    def number(self) -> int:
        """The number of the frame, from 1."""
        return int(self.content.get("number", 1))

    @property
    def is_mirrored(self) -> bool:
        """Whether a session mirrored the frame."""
        return self.content.get("verdict") == "mirrored"

    @property
    def reason(self) -> str | None:
        """Why the frame was not mirrored, for example `no_session_matched`."""
        return self.content.get("reason")

    @property
    def session(self) -> str | None:
        """The id of the session that mirrored the frame."""
        return self.content.get("traffic_mirror_session_id")

    @property
    def rule_number(self) -> int | None:
        """The number of the rule that accepted the frame."""
        return self.content.get("rule_number")

    @property
    def vni(self) -> int | None:
        """The VirtualNetworkId of the session that mirrored the frame."""
        return self.content.get("virtual_network_id")

    @property
    def direction(self) -> str | None:
        """`ingress` or `egress`."""
        return self.content.get("direction")

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __repr__(self) -> str:
        by = f"session {self.session}" if self.is_mirrored else f"not mirrored, {self.reason}"
        return f"<Decision about frame {self.number}: {by}>"


class PlayResult(Sequence[Copy]):
    """What one call of `Lab.play` caused. It is a sequence of its copies."""

    def __init__(
        self, report: Mapping[str, Any], copies: Copies, decisions: Sequence[Decision]
    ) -> None:
        self.report = report
        """The report, as `traffic-mirror replay --report json` prints it."""
        self.copies = copies
        """The copies, target after target, in the order of their frames."""
        self.decisions = decisions
        """The decision about each frame, if `explain=True`."""

    @property
    def error(self) -> str | None:
        """The error at which the capture ended early. The frames before it were played."""
        return self.report.get("error")

    @property
    def warnings(self) -> list[str]:
        """What is unusual about the capture."""
        return list(self.report.get("warnings", ()))

    @property
    def received(self) -> int:
        """The number of frames."""
        return int(self.report["received"])

    @property
    def mirrored(self) -> int:
        """The number of frames that a session mirrored and whose copies were sent."""
        return int(self.report["mirrored"])

    @property
    def not_mirrored(self) -> dict[str, int]:
        """The number of frames that were not mirrored, by reason."""
        return dict(self.report["not_mirrored"])

    @property
    def dropped(self) -> dict[str, int]:
        """The number of copies that were not sent, by cause."""
        return dict(self.report["dropped"])

    def __len__(self) -> int:
        return len(self.copies)

    @overload
    def __getitem__(self, index: int) -> Copy: ...

    @overload
    def __getitem__(self, index: slice) -> list[Copy]: ...

    def __getitem__(self, index: int | slice) -> Copy | list[Copy]:
        return self.copies[index]

    def __iter__(self) -> Iterator[Copy]:
        return iter(self.copies)

    def __repr__(self) -> str:
        return (
            f"<PlayResult: received {self.received}, mirrored {self.mirrored}, "
            f"not mirrored {self.not_mirrored}, dropped {self.dropped}>"
        )
