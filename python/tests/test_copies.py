"""Copies are slices of the response."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from frames import ETHERNET, ipv4_header, ipv6_header, length_prefixed, vxlan

from traffic_mirror import Copies, LabError
from traffic_mirror._copies import CopyBatch

UDP = bytes(8)
IPV4_COPY = ETHERNET + ipv4_header() + UDP + vxlan(42) + b"first"
IPV6_COPY = ETHERNET + ipv6_header() + UDP + vxlan(0xFFFFFF) + b"second frame"
# GENEVE with eight bytes of options, around IPv4.
GENEVE = b"\x02\x00\x08\x00" + bytes(4) + bytes(8)
GENEVE_COPY = ETHERNET + ipv4_header() + UDP + GENEVE + IPV4_COPY[14:]


def test_inner_and_vni_are_found_in_ipv4_ipv6_and_geneve() -> None:
    outer = [IPV4_COPY, IPV6_COPY, GENEVE_COPY]
    copies = Copies([CopyBatch("tmt-1", length_prefixed(outer))])
    assert [copy.outer for copy in copies] == outer == copies.outer_frames()
    assert [bytes(copy) for copy in copies] == outer
    inner = [b"first", b"second frame", b"first"]
    assert [copy.inner for copy in copies] == inner == copies.inner_frames()
    assert [copy.vni for copy in copies] == [42, 0xFFFFFF, 42]
    assert repr(copies[0]) == "<Copy to tmt-1: VNI 42, 5 bytes of the frame>"


def test_copies_of_several_targets_are_one_sequence() -> None:
    first = CopyBatch("tmt-1", length_prefixed([IPV4_COPY]))
    second = CopyBatch("tmt-2", length_prefixed([IPV6_COPY, IPV4_COPY]))
    copies = Copies([first, CopyBatch("tmt-none", b""), second])
    assert len(copies) == 3
    assert [copy.target for copy in copies] == ["tmt-1", "tmt-2", "tmt-2"]
    assert copies[-1].inner == b"first"
    assert [copy.vni for copy in copies[1:]] == [0xFFFFFF, 42]
    assert repr(copies) == "<Copies: 1 to tmt-1, 2 to tmt-2>"
    with pytest.raises(IndexError, match="copy 3: there are 3"):
        copies[3]
    with pytest.raises(IndexError):
        copies[-4]


def test_no_copies() -> None:
    copies = Copies([CopyBatch("tmt-1", b"")])
    assert not copies
    assert copies.inner_frames() == []
    assert repr(copies) == "<Copies: none>"


@pytest.mark.parametrize("cut", [1, 3, 4, 10])
def test_a_response_that_ends_early_is_an_error(cut: int) -> None:
    buffer = length_prefixed([IPV4_COPY, IPV4_COPY])
    with pytest.raises(LabError, match="ends within a frame"):
        CopyBatch("tmt-1", buffer[:-cut])
    with pytest.raises(LabError, match="ends within a frame"):
        CopyBatch("tmt-1", buffer[:cut])


def details(outer: bytes, rule: int | None) -> dict[str, Any]:
    text = base64.b64encode(outer).decode()
    return {"session": "tms-web", "rule": rule, "timestamp_ns": 5, "outer": text}


def test_details_are_fetched_once_when_they_are_used() -> None:
    fetched: list[int] = []

    def fetch() -> list[dict[str, Any]]:
        fetched.append(1)
        later = details(IPV6_COPY, 3)
        return [details(IPV4_COPY, 100), details(IPV4_COPY, None), later]

    buffer = length_prefixed([IPV4_COPY, IPV4_COPY])
    copies = Copies([CopyBatch("tmt-1", buffer, {42: "tms-web"}, fetch)])
    assert [copy.session for copy in copies] == ["tms-web", "tms-web"]
    assert not fetched
    assert [copy.rule for copy in copies] == [100, None]
    assert copies[0].rule_id is None
    assert copies[0].reason == "mirrored by session tms-web, rule 100"
    assert copies[1].reason == "mirrored by session tms-web, network service amazon-dns"
    assert copies[0].timestamp_ns == 5
    assert len(fetched) == 1
    # Two sessions have this VirtualNetworkId, so that it does not determine the session.
    assert Copies([CopyBatch("tmt-1", buffer, {}, fetch)])[0].session == "tms-web"


@pytest.mark.parametrize("now", [[], [details(IPV6_COPY, 1)]])
def test_details_of_copies_that_were_removed_are_an_error(now: list[dict[str, Any]]) -> None:
    copies = Copies([CopyBatch("tmt-1", length_prefixed([IPV4_COPY]), {}, lambda: now)])
    with pytest.raises(LabError, match="copies_removed"):
        _ = copies[0].rule
