"""Frames become a pcap file."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from traffic_mirror import Frame
from traffic_mirror._capture import capture_bytes, pcap

FRAME = bytes(range(60))


def records(file: bytes) -> list[tuple[int, bytes]]:
    assert struct.unpack_from("<IHHiIII", file) == (0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    found, at = [], 24
    while at < len(file):
        seconds, nanoseconds, captured, length = struct.unpack_from("<IIII", file, at)
        assert captured == length
        found.append((seconds * 10**9 + nanoseconds, file[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def test_frames_without_a_time_are_one_microsecond_apart() -> None:
    assert records(pcap([FRAME, FRAME])) == [(0, FRAME), (1000, FRAME)]
    timed: list[Frame | bytearray] = [Frame(FRAME, 5_000_000_123), bytearray(FRAME)]
    assert records(pcap(timed)) == [(5_000_000_123, FRAME), (5_000_001_123, FRAME)]


def test_a_million_frames_without_a_time_last_a_second() -> None:
    file = pcap([FRAME[:14]] * 1_000_001)
    assert len(file) == 24 + 1_000_001 * 30
    assert struct.unpack_from("<IIII", file, 24 + 999_999 * 30) == (0, 999_999_000, 14, 14)
    assert struct.unpack_from("<IIII", file, 24 + 1_000_000 * 30) == (1, 0, 14, 14)


def test_a_capture_is_played_as_it_is(tmp_path: Path) -> None:
    capture = pcap([FRAME])
    assert capture_bytes(capture) == capture
    assert capture_bytes(memoryview(capture)) == capture
    compressed = gzip.compress(capture)
    assert capture_bytes(compressed) == compressed
    (tmp_path / "trace.pcap").write_bytes(capture)
    assert capture_bytes(tmp_path / "trace.pcap") == capture
    assert capture_bytes(str(tmp_path / "trace.pcap")) == capture


def test_bytes_that_are_no_capture_are_one_frame() -> None:
    assert records(capture_bytes(FRAME)) == [(0, FRAME)]
    assert records(capture_bytes(Frame(FRAME, 7))) == [(7, FRAME)]


def test_an_object_that_converts_to_bytes_is_a_frame() -> None:
    class Packet:
        def __bytes__(self) -> bytes:
            return FRAME

    assert records(capture_bytes(Packet())) == [(0, FRAME)]
    packets: list[Packet | bytes] = [Packet(), FRAME]
    assert records(capture_bytes(iter(packets))) == [(0, FRAME), (1000, FRAME)]


def test_what_is_no_frame_is_an_error() -> None:
    with pytest.raises(TypeError, match="frame 5: expected bytes"):
        capture_bytes([5])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="frame None"):
        capture_bytes(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a frame is empty"):
        capture_bytes([b""])
    with pytest.raises(ValueError, match="timestamp_ns -1"):
        capture_bytes([Frame(FRAME, -1)])
    with pytest.raises(FileNotFoundError):
        capture_bytes("no-such-file.pcap")
