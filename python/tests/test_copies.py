"""Copies are slices of the response."""

from __future__ import annotations

from typing import Any

import pytest
from frames import ETHERNET, ipv4_header, ipv6_header, length_prefixed, vxlan

from traffic_mirror import Copies, LabError, _copies
from traffic_mirror._copies import CopyBatch

UDP = bytes(8)
IPV4_COPY = ETHERNET + ipv4_header() + UDP + vxlan(42) + b"first"
IPV6_COPY = ETHERNET + ipv6_header() + UDP + vxlan(0xFFFFFF) + b"second frame"
# GENEVE with eight bytes of options, around IPv4.
GENEVE = b"\x02\x00\x08\x00" + bytes(4) + bytes(8)
GENEVE_COPY = ETHERNET + ipv4_header() + UDP + GENEVE + IPV4_COPY[14:]


def batch(target: str, outer: list[bytes]) -> CopyBatch:
    vnis = [42 if copy[14] >> 4 == 4 else 0xFFFFFF for copy in outer]
    found = columns(0, vnis, [None] * len(vnis))
    return CopyBatch(target, 0, length_prefixed(outer), lambda: found)


def test_inner_and_vni_are_found_in_ipv4_ipv6_and_geneve() -> None:
    outer = [IPV4_COPY, IPV6_COPY, GENEVE_COPY]
    copies = Copies([batch("tmt-1", outer)])
    assert [copy.outer for copy in copies] == outer == copies.outer_frames()
    assert [bytes(copy) for copy in copies] == outer
    inner = [b"first", b"second frame", b"first"]
    assert [copy.inner for copy in copies] == inner == copies.inner_frames()
    assert [copy.vni for copy in copies] == [42, 0xFFFFFF, 42]
    assert repr(copies[0]) == "<Copy to tmt-1: VNI 42, 5 bytes of the frame>"


def test_copies_of_several_targets_are_one_sequence() -> None:
    first = batch("tmt-1", [IPV4_COPY])
    second = batch("tmt-2", [IPV6_COPY, IPV4_COPY])
    copies = Copies([first, batch("tmt-none", []), second])
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
    copies = Copies([batch("tmt-1", [])])
    assert not copies
    assert copies.inner_frames() == []
    assert repr(copies) == "<Copies: none>"


@pytest.mark.parametrize("cut", [1, 3, 4, 10])
def test_a_response_that_ends_early_is_an_error(cut: int) -> None:
    buffer = length_prefixed([IPV4_COPY, IPV4_COPY])
    with pytest.raises(LabError, match="ends within a frame"):
        CopyBatch("tmt-1", 0, buffer[:-cut], dict)
    with pytest.raises(LabError, match="ends within a frame"):
        CopyBatch("tmt-1", 0, buffer[:cut], dict)


def columns(first: int, vnis: list[int], rules: list[int | None]) -> dict[str, Any]:
    origins = [{"session": "tms-web", "vni": vni, "rule": rule} for vni, rule in zip(vnis, rules)]
    return {
        "first": first,
        "origins": origins,
        "origin": list(range(len(vnis))),
        "timestamp_ns": [5] * len(vnis),
    }


def test_columns_of_few_copies_are_fetched_at_once() -> None:
    now = [columns(7, [42, 42, 3], [100, None, 1])]
    buffer = length_prefixed([IPV4_COPY, IPV4_COPY])
    copies = Copies([CopyBatch("tmt-1", 7, buffer, now.pop)])
    assert not now
    assert [copy.session for copy in copies] == ["tms-web", "tms-web"]
    assert [copy.rule for copy in copies] == [100, None]
    assert copies[0].rule_id is None
    assert copies[0].reason == "mirrored by session tms-web, rule 100"
    assert copies[1].reason == "mirrored by session tms-web, network service amazon-dns"
    assert copies[0].timestamp_ns == 5


def test_columns_of_many_copies_are_fetched_when_they_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_copies, "SMALL", 0)
    now = [columns(0, [42], [100])]
    copies = Copies([CopyBatch("tmt-1", 0, length_prefixed([IPV4_COPY]), now.pop)])
    assert now
    assert [copies[0].rule, copies[0].session] == [100, "tms-web"]
    assert not now


@pytest.mark.parametrize(
    "now", [columns(0, [], []), columns(1, [42], [100]), columns(0, [43], [100])]
)
def test_columns_of_copies_that_were_removed_are_an_error(
    now: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_copies, "SMALL", 0)
    copies = Copies([CopyBatch("tmt-1", 0, length_prefixed([IPV4_COPY]), lambda: now)])
    with pytest.raises(LabError, match="copies_removed"):
        _ = copies[0].rule
