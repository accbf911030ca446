"""Frames and copies for the tests."""

from __future__ import annotations

import socket
import struct

ETHERNET = bytes.fromhex("02a73c510e2f 02a73c510e30 0800")


def udp_frame(source: str, destination: str, port: int, payload: bytes = b"") -> bytes:
    """An Ethernet frame with a UDP datagram over IPv4."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    length = 20 + 8 + len(payload)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, 17, 0) + addresses
    udp = struct.pack(">HHHH", 12345, port, 8 + len(payload), 0)
    return ETHERNET + ip + udp + payload


def vxlan(vni: int) -> bytes:
    """A VXLAN header."""
    return b"\x08\0\0\0" + vni.to_bytes(3, "big") + b"\0"


def ipv4_header() -> bytes:
    """An IPv4 header, whose fields are not read, without options."""
    return b"\x45" + bytes(19)


def ipv6_header() -> bytes:
    """An IPv6 header, whose fields are not read."""
    return b"\x60" + bytes(39)


def length_prefixed(frames: list[bytes]) -> bytes:
    """The response to `Accept: application/octet-stream`."""
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)
