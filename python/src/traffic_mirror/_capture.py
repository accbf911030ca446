"""Converts what `Lab.play` accepts into the bytes of a capture."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from itertools import chain, count, repeat
from typing import NamedTuple, SupportsBytes, Union, cast

# The first bytes of pcap (both byte orders, microseconds and nanoseconds), pcapng, gzip and zstd.
MAGIC_NUMBERS = (
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x0a\x0d\x0d\x0a",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
)
# The header of a record: seconds, nanoseconds, captured length, length.
RECORD = struct.Struct("<IIII")
ETHERNET = 1
SNAP_LENGTH = 262_144
NANOSECONDS_PER_SECOND = 1_000_000_000
# Frames without a timestamp are this far apart, the first one at 0.
INTERVAL_NS = 1_000


class Frame(NamedTuple):
    """An Ethernet frame, from its destination MAC address on, and its time."""

    content: bytes | bytearray | memoryview | SupportsBytes
    timestamp_ns: int


# A frame: its bytes, an object that bytes() converts, such as a packet of scapy, or a `Frame`.
FrameLike = Union[bytes, bytearray, memoryview, SupportsBytes, Frame]
# A path, the bytes of a capture or of one frame, or frames.
PlayInput = Union[str, "os.PathLike[str]", FrameLike, Iterable[FrameLike]]


def capture_bytes(played: PlayInput) -> bytes:
    """Returns a pcap or pcapng file with the frames of `played`."""
    if isinstance(played, (str, os.PathLike)):
        with open(played, "rb") as file:
            return file.read()
    if isinstance(played, (bytes, bytearray, memoryview)):
        content = bytes(played)
        return content if content.startswith(MAGIC_NUMBERS) else pcap([content])
    if isinstance(played, Frame) or not isinstance(played, Iterable):
        return pcap([played])
    return pcap(played)


def pcap(frames: Iterable[FrameLike]) -> bytes:
    """Returns a pcap file with nanosecond timestamps."""
    header = struct.pack("<IHHiIII", 0xA1B2_3C4D, 2, 4, 0, 0, SNAP_LENGTH, ETHERNET)
    listed = list(frames)
    if set(map(type, listed)) <= {bytes} and all(listed):
        return header + _records_without_times(cast("list[bytes]", listed))
    parts = [header]
    next_ns = 0
    for frame in listed:
        content, timestamp_ns = _with_timestamp(frame, next_ns)
        next_ns = timestamp_ns + INTERVAL_NS
        length = len(content)
        seconds, nanoseconds = divmod(timestamp_ns, NANOSECONDS_PER_SECOND)
        parts += [RECORD.pack(seconds, nanoseconds, length, length), content]
    return b"".join(parts)


def _records_without_times(frames: list[bytes]) -> bytes:
    """The records of frames that are INTERVAL_NS apart. A test may play a million of them, so that
    all loops over frames are those of builtin functions."""
    per_second = NANOSECONDS_PER_SECOND // INTERVAL_NS
    parts: list[bytes] = []
    for second, begin in enumerate(range(0, len(frames), per_second)):
        chunk = frames[begin : begin + per_second]
        lengths = list(map(len, chunk))
        headers = map(RECORD.pack, repeat(second), count(0, INTERVAL_NS), lengths, lengths)
        parts.append(b"".join(chain.from_iterable(zip(headers, chunk))))
    return b"".join(parts)


def _with_timestamp(frame: FrameLike, next_ns: int) -> tuple[bytes, int]:
    content, timestamp_ns = frame if isinstance(frame, Frame) else (frame, next_ns)
    if not isinstance(content, (bytes, bytearray, memoryview)) and not hasattr(
        type(content), "__bytes__"
    ):
        raise TypeError(
            f"frame {content!r}: expected bytes, Frame(content, timestamp_ns), or an object that "
            "bytes() converts"
        )
    if not 0 <= timestamp_ns < NANOSECONDS_PER_SECOND << 32:
        raise ValueError(f"timestamp_ns {timestamp_ns}: expected 0 to 2**32 seconds")
    content = bytes(content)
    if not content:
        raise ValueError("a frame is empty: expected at least an Ethernet header of 14 bytes")
    return content, timestamp_ns
