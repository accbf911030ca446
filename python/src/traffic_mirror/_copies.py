"""Copies of frames, as slices of the bytes that the laboratory returned."""

from __future__ import annotations

import base64
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from ._errors import LabError

# What the laboratory knows of one copy besides its bytes: session, rule, timestamp_ns.
Details = Mapping[str, Any]

ETHERNET_LENGTH = 14
IPV6_LENGTH = 40
UDP_LENGTH = 8
VXLAN_LENGTH = 8
GENEVE_LENGTH = 8
LENGTH_PREFIX = struct.Struct(">I")


class CopyBatch:
    """Copies of one target, in the order in which they were made, in one buffer."""

    def __init__(
        self,
        target: str,
        buffer: bytes,
        session_by_vni: Mapping[int, str] | None = None,
        fetch_details: Callable[[], Sequence[Details]] | None = None,
    ) -> None:
        """Finds the copies in `buffer`, which has length-prefixed frames.

        `session_by_vni` has the sessions whose VirtualNetworkId no other session has.
        `fetch_details` returns the details of these copies, and of later ones.
        """
        self.target = target
        self.buffer = buffer
        self.starts = _starts(target, buffer)
        self.session_by_vni = session_by_vni or {}
        self._fetch_details = fetch_details
        self._details: Sequence[Details] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def outer(self, index: int) -> bytes:
        """The bytes of a copy, from its outer Ethernet header on."""
        starts = self.starts
        return self.buffer[starts[index] : starts[index + 1] - LENGTH_PREFIX.size]

    def details(self, index: int) -> Details:
        """What the laboratory knows of a copy besides its bytes. Fetched once, when it is used."""
        if self._details is None:
            self._details = self._read_details()
        return self._details[index]

    def _read_details(self) -> Sequence[Details]:
        found = self._fetch_details() if self._fetch_details else []
        count = len(self)
        is_same = len(found) >= count and all(
            self.outer(index).startswith(base64.b64decode(found[index]["outer"]))
            for index in (0, count - 1)
        )
        if not is_same:
            raise LabError(
                "copies_removed",
                f"target {self.target}: the laboratory was reset, or its copies were deleted, "
                "before the rule or the timestamp of a copy was read",
            )
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
        outer = self.outer
        return outer[vxlan_offset(outer) + VXLAN_LENGTH :]

    @property
    def vni(self) -> int:
        """The VXLAN network identifier, which is the VirtualNetworkId of the session."""
        outer = self.outer
        at = vxlan_offset(outer) + 4
        return int.from_bytes(outer[at : at + 3], "big")

    @property
    def target(self) -> str:
        """The id of the target."""
        return self._batch.target

    @property
    def session(self) -> str:
        """The id of the session that mirrored the frame."""
        known = self._batch.session_by_vni
        return (known.get(self.vni) if known else None) or str(self._details["session"])

    @property
    def rule(self) -> int | None:
        """The RuleNumber of the rule that accepted the frame. None if a network service did."""
        return self._details.get("rule")

    @property
    def rule_id(self) -> str | None:
        """The id of the rule that accepted the frame, if it has one."""
        return self._details.get("traffic_mirror_filter_rule_id")

    @property
    def reason(self) -> str:
        """Why the frame was mirrored: the session and the rule, for a message of a test."""
        rule = self.rule
        by = "network service amazon-dns" if rule is None else f"rule {rule}"
        return f"mirrored by session {self.session}, {by}"

    @property
    def timestamp_ns(self) -> int:
        """The time of the frame, in nanoseconds since 1970."""
        return int(self._details["timestamp_ns"])

    @property
    def _details(self) -> Details:
        return self._batch.details(self._index)

    def __bytes__(self) -> bytes:
        return self.outer

    def __repr__(self) -> str:
        inner = len(self.inner)
        return f"<Copy to {self.target}: VNI {self.vni}, {inner} bytes of the frame>"


def vxlan_offset(outer: bytes) -> int:
    """The index of the VXLAN header of a copy, also of one inside GENEVE."""
    at = _udp_payload(outer, ETHERNET_LENGTH)
    # The protocol in a GENEVE header is IP. In a VXLAN header, these bytes are reserved and zero.
    if outer[at + 2 : at + 4] in (b"\x08\x00", b"\x86\xdd"):
        options_length = (outer[at] & 0x3F) * 4
        at = _udp_payload(outer, at + GENEVE_LENGTH + options_length)
    return at


def _udp_payload(packet: bytes, ip: int) -> int:
    first = packet[ip]
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
        prefix = LENGTH_PREFIX.size
        frames: list[bytes] = []
        for batch in self._batches:
            buffer, starts = batch.buffer, batch.starts
            ends = iter(starts)
            next(ends)
            frames += [buffer[start : end - prefix] for start, end in zip(starts, ends)]
        return frames

    def inner_frames(self) -> list[bytes]:
        """The mirrored frames of all copies, which is faster than the attribute of each."""
        return [outer[vxlan_offset(outer) + VXLAN_LENGTH :] for outer in self.outer_frames()]

    def __repr__(self) -> str:
        targets = ", ".join(f"{len(batch)} to {batch.target}" for batch in self._batches)
        return f"<Copies: {targets or 'none'}>"
