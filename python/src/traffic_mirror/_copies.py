"""Copies of frames, as slices of the bytes that the laboratory returned."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from ._errors import LabError

# What the laboratory knows of copies besides their bytes: the sessions and rules (`origins`), and
# columns with the index of the origin and the time of each copy.
Columns = Mapping[str, Any]

ETHERNET_LENGTH = 14
IPV6_LENGTH = 40
UDP_LENGTH = 8
VXLAN_LENGTH = 8
GENEVE_LENGTH = 8
LENGTH_PREFIX = struct.Struct(">I")
# The columns of fewer copies are fetched at once, so that they remain after a reset.
SMALL = 10_000


class CopyBatch:
    """Copies of one target, in the order in which they were made, in one buffer."""

    def __init__(
        self, target: str, first: int, buffer: bytes, fetch_columns: Callable[[], Columns]
    ) -> None:
        """Finds the copies in `buffer`, which has length-prefixed frames.

        `first` is the number of the first copy. `fetch_columns` returns the columns of these
        copies, and of later ones.
        """
        self.target = target
        self.buffer = buffer
        self.starts = _starts(target, buffer)
        self._first = first
        self._fetch_columns = fetch_columns
        self._columns: Columns | None = None
        if 0 < len(self) <= SMALL:
            self._read_columns()

    def __len__(self) -> int:
        return len(self.starts) - 1

    def outer(self, index: int) -> bytes:
        """The bytes of a copy, from its outer Ethernet header on."""
        starts = self.starts
        return self.buffer[starts[index] : starts[index + 1] - LENGTH_PREFIX.size]

    def inner(self, index: int) -> bytes:
        """The mirrored frame of a copy."""
        starts, buffer = self.starts, self.buffer
        at = vxlan_offset(buffer, starts[index]) + VXLAN_LENGTH
        return buffer[at : starts[index + 1] - LENGTH_PREFIX.size]

    def vni(self, index: int) -> int:
        """The VXLAN network identifier of a copy."""
        at = vxlan_offset(self.buffer, self.starts[index]) + 4
        return int.from_bytes(self.buffer[at : at + 3], "big")

    def origin(self, index: int) -> Mapping[str, Any]:
        """The session and rule of a copy."""
        columns = self._columns or self._read_columns()
        origin: Mapping[str, Any] = columns["origins"][columns["origin"][index]]
        return origin

    def timestamp_ns(self, index: int) -> int:
        """The time of the frame."""
        columns = self._columns or self._read_columns()
        return int(columns["timestamp_ns"][index])

    def _read_columns(self) -> Columns:
        found = self._fetch_columns()
        last = len(self) - 1
        is_same = found["first"] == self._first and len(found["origin"]) > last
        if is_same:
            origins = [found["origins"][found["origin"][index]] for index in (0, last)]
            is_same = [one["vni"] for one in origins] == [self.vni(0), self.vni(last)]
        if not is_same:
            raise LabError(
                "copies_removed",
                f"target {self.target}: the laboratory was reset, or its copies were deleted, "
                "before the session, the rule or the time of a copy was read",
            )
        self._columns = found
        return found


def _starts(target: str, buffer: bytes) -> array[int]:
    """The index of the first byte of each frame, and that of a frame after the last one."""
    unpack, prefix, end = LENGTH_PREFIX.unpack_from, LENGTH_PREFIX.size, len(buffer)
    starts = array("Q")
    append = starts.append
    at = prefix
    while at <= end:
        append(at)
        at += unpack(buffer, at - prefix)[0] + prefix
    append(at)
    if at != end + prefix:
        raise LabError(
            "invalid_response",
            f"copies of target {target}: the response ends within a frame, after {end} bytes",
        )
    return starts


class Copy:
    """One copy of a frame, as it was sent to a target."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: CopyBatch, index: int) -> None:
        self._batch = batch
        self._index = index

    @property
    def outer(self) -> bytes:
        """The whole copy: Ethernet, IP, UDP, VXLAN, and the mirrored frame."""
        return self._batch.outer(self._index)

    @property
    def inner(self) -> bytes:
        """The mirrored frame, from its destination MAC address on, truncated to PacketLength."""
        return self._batch.inner(self._index)

    @property
    def vni(self) -> int:
        """The VXLAN network identifier, which is the VirtualNetworkId of the session."""
        return self._batch.vni(self._index)

    @property
    def target(self) -> str:
        """The id of the target."""
        return self._batch.target

    @property
    def session(self) -> str:
        """The id of the session that mirrored the frame."""
        return str(self._origin["session"])

    @property
    def rule(self) -> int | None:
        """The RuleNumber of the rule that accepted the frame. None if a network service did."""
        rule: int | None = self._origin["rule"]
        return rule

    @property
    def rule_id(self) -> str | None:
        """The id of the rule that accepted the frame, if it has one."""
        return self._origin.get("traffic_mirror_filter_rule_id")

    @property
    def reason(self) -> str:
        """Why the frame was mirrored: the session and the rule, for a message of a test."""
        rule = self.rule
        by = "network service amazon-dns" if rule is None else f"rule {rule}"
        return f"mirrored by session {self.session}, {by}"

    @property
    def timestamp_ns(self) -> int:
        """The time of the frame, in nanoseconds since 1970."""
        return self._batch.timestamp_ns(self._index)

    @property
    def _origin(self) -> Mapping[str, Any]:
        return self._batch.origin(self._index)

    def __bytes__(self) -> bytes:
        return self.outer

    def __repr__(self) -> str:
        inner = len(self.inner)
        return f"<Copy to {self.target}: VNI {self.vni}, {inner} bytes of the frame>"


def vxlan_offset(buffer: bytes, start: int) -> int:
    """The index of the VXLAN header of the copy that begins at `start`, also inside GENEVE."""
    # Nearly all copies: IPv4 without options, and not GENEVE, see below.
    if buffer[start + 14] == 0x45 and not buffer[start + 44]:
        return start + 42
    at = _udp_payload(buffer, start + ETHERNET_LENGTH)
    # The protocol in a GENEVE header is IP. In a VXLAN header, these bytes are reserved and zero.
    if buffer[at + 2 : at + 4] in {b"\x08\x00", b"\x86\xdd"}:
        options_length = (buffer[at] & 0x3F) * 4
        at = _udp_payload(buffer, at + GENEVE_LENGTH + options_length)
    return at


def _udp_payload(buffer: bytes, ip: int) -> int:
    first = buffer[ip]
    ip_length = (first & 0x0F) * 4 if first >> 4 == 4 else IPV6_LENGTH
    return ip + ip_length + UDP_LENGTH


class Copies(Sequence[Copy]):
    """Copies of one or more targets. A `Copy` is made when it is used."""

    def __init__(self, batches: Sequence[CopyBatch]) -> None:
        self._batches = [batch for batch in batches if len(batch)]
        # The number of copies before each batch, and of all.
        self._totals = [0]
        for batch in self._batches:
            self._totals.append(self._totals[-1] + len(batch))

    def __len__(self) -> int:
        return self._totals[-1]

    @overload
    def __getitem__(self, index: int) -> Copy: ...

    @overload
    def __getitem__(self, index: slice) -> list[Copy]: ...

    def __getitem__(self, index: int | slice) -> Copy | list[Copy]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"copy {index}: there are {len(self)}")
        batch = bisect_right(self._totals, at) - 1
        return Copy(self._batches[batch], at - self._totals[batch])

    def __iter__(self) -> Iterator[Copy]:
        for batch in self._batches:
            for index in range(len(batch)):
                yield Copy(batch, index)

    def outer_frames(self) -> list[bytes]:
        """The bytes of all copies, which is faster than the attribute of each."""
        return [batch.outer(index) for batch in self._batches for index in range(len(batch))]

    def inner_frames(self) -> list[bytes]:
        """The mirrored frames of all copies, which is faster than the attribute of each."""
        return [batch.inner(index) for batch in self._batches for index in range(len(batch))]

    def __repr__(self) -> str:
        targets = ", ".join(f"{len(batch)} to {batch.target}" for batch in self._batches)
        return f"<Copies: {targets or 'none'}>"
