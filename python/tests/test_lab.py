"""The client against the real program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ENI
from documents import ROOT
from frames import udp_frame

from traffic_mirror import Frame, Lab, LabError
from traffic_mirror._capture import PlayInput, pcap

QUICKSTART = ROOT / "pcaps" / "quickstart"
DNS = udp_frame("10.0.0.9", "10.0.0.5", 53, b"query")
NTP = udp_frame("10.0.0.9", "10.0.0.5", 123, b"time")
MIRROR = f"""
network_interface = [{{ network_interface_id = "{ENI}", private_ip_addresses = ["10.0.0.5"] }}]
traffic_mirror_target = [
    {{ traffic_mirror_target_id = "tmt-dns", address = "192.0.2.10" }},
    {{ traffic_mirror_target_id = "tmt-rest", address = "2001:db8::10" }},
]

[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-dns"
rule = [{{ traffic_mirror_filter_rule_id = "tmfr-dns", traffic_direction = "ingress",
    rule_number = 100, rule_action = "accept", protocol = 17,
    destination_port_range = {{ from_port = 53, to_port = 53 }},
    source_cidr_block = "0.0.0.0/0", destination_cidr_block = "0.0.0.0/0" }}]

[[traffic_mirror_filter]]
traffic_mirror_filter_id = "tmf-rest"
rule = [{{ traffic_direction = "ingress", rule_number = 7, rule_action = "accept",
    source_cidr_block = "10.0.0.9/32", destination_cidr_block = "0.0.0.0/0" }}]

[[traffic_mirror_session]]
traffic_mirror_session_id = "tms-dns"
network_interface_id = "{ENI}"
traffic_mirror_target_id = "tmt-dns"
traffic_mirror_filter_id = "tmf-dns"
session_number = 1
virtual_network_id = 1001

[[traffic_mirror_session]]
traffic_mirror_session_id = "tms-rest"
network_interface_id = "{ENI}"
traffic_mirror_target_id = "tmt-rest"
traffic_mirror_filter_id = "tmf-rest"
session_number = 2
virtual_network_id = 1002
"""


@pytest.fixture
def mirror(binary: str, tmp_path: Path) -> Iterator[Lab]:
    """A laboratory with two sessions."""
    (tmp_path / "mirror.toml").write_text(MIRROR)
    with Lab(binary=binary, config=tmp_path / "mirror.toml") as lab:
        yield lab


def test_copies_have_vni_session_rule_reason_inner_and_outer(mirror: Lab) -> None:
    other = udp_frame("10.0.0.7", "10.0.0.5", 123)
    played = mirror.play(ENI, [DNS, Frame(NTP, 5_000_000_001), other], explain=True)
    assert (played.received, played.mirrored, len(played)) == (3, 2, 2)
    assert played.not_mirrored == {"no_session_matched": 1}
    assert played.dropped == {}
    assert [copy.inner for copy in played] == [DNS, NTP] == played.copies.inner_frames()
    assert [copy.vni for copy in played] == [1001, 1002]
    assert [copy.session for copy in played] == ["tms-dns", "tms-rest"]
    assert [copy.target for copy in played] == ["tmt-dns", "tmt-rest"]
    assert [copy.rule for copy in played] == [100, 7]
    assert played[0].rule_id == "tmfr-dns"
    assert [copy.timestamp_ns for copy in played] == [0, 5_000_000_001]
    assert played[0].reason == "mirrored by session tms-dns, rule 100"
    assert played[0].outer[30:34] == bytes([192, 0, 2, 10])
    assert played[1].outer[14] >> 4 == 6
    assert [one.number for one in played.decisions] == [1, 2, 3]
    assert [one.reason for one in played.decisions] == [None, None, "no_session_matched"]
    assert [one.session for one in played.decisions] == ["tms-dns", "tms-rest", None]
    assert played.decisions[0].direction == "ingress"
    assert played.decisions[1].rule_number == 7


def test_a_play_returns_only_its_own_copies(mirror: Lab) -> None:
    first = mirror.play(ENI, [DNS] * 3)
    second = mirror.play(ENI, [Frame(DNS, 7_000)])
    assert (len(first), len(second)) == (3, 1)
    assert second[0].timestamp_ns == 7_000
    assert len(mirror.copies("tmt-dns")) == 4
    assert mirror.copies("tmt-dns")[3].session == "tms-dns"
    mirror.delete_copies("tmt-dns")
    assert len(mirror.copies("tmt-dns")) == 0
    assert len(mirror.play(ENI, DNS)) == 1
    # The rules of few copies were fetched by play().
    assert first[2].rule == 100


def test_all_inputs_give_the_same_copies(mirror: Lab, tmp_path: Path) -> None:
    capture = pcap([DNS])
    (tmp_path / "trace.pcap").write_bytes(capture)
    inputs: list[PlayInput] = [
        tmp_path / "trace.pcap",
        str(tmp_path / "trace.pcap"),
        capture,
        DNS,
        iter([DNS]),
    ]
    for played in inputs:
        assert mirror.play(ENI, played).copies.inner_frames() == [DNS]
    mirror.pin_network_interface(ENI, capture=tmp_path / "trace.pcap")
    assert mirror.play(ENI).copies.inner_frames() == [DNS]


def test_direction_and_speed_are_applied(mirror: Lab) -> None:
    assert mirror.play(ENI, DNS, direction="egress").not_mirrored == {"no_session_matched": 1}
    assert mirror.play(ENI, [DNS, DNS], speed="1000pps").mirrored == 2
    with pytest.raises(LabError, match="speed") as caught:
        mirror.play(ENI, DNS, speed="fast")
    assert caught.value.status == 400
    with pytest.raises(LabError, match="direction"):
        mirror.play(ENI, DNS, direction="up")


def test_errors_of_the_laboratory_have_its_code(mirror: Lab) -> None:
    with pytest.raises(LabError) as caught:
        mirror.play("eni-unknown", DNS)
    assert caught.value.code == "InvalidNetworkInterfaceID.NotFound"
    assert caught.value.status == 404
    with pytest.raises(LabError, match="tmt-none"):
        mirror.copies("tmt-none")


def test_a_capture_that_ends_early_is_a_warning(mirror: Lab) -> None:
    with pytest.warns(UserWarning, match="the capture ended early, after 1 frames"):
        played = mirror.play(ENI, pcap([DNS, DNS])[:-5])
    assert played.mirrored == 1
    assert played.error is not None


def test_copies_can_be_saved_as_captures(mirror: Lab) -> None:
    played = mirror.play(ENI, DNS)
    assert mirror.capture("tmt-dns")[40:] == played[0].outer
    assert mirror.capture("tmt-dns", "pcapng").startswith(b"\x0a\x0d\x0d\x0a")
    with pytest.raises(ValueError, match="expected 'pcap' or 'pcapng'"):
        mirror.capture("tmt-dns", "erf")


def test_explain_answers_without_mirroring(mirror: Lab) -> None:
    decision = mirror.explain(ENI, "ingress", flow="udp 10.0.0.9:5353 > 10.0.0.5:53")
    assert decision.is_mirrored
    assert (decision.session, decision.rule_number, decision.vni) == ("tms-dns", 100, 1001)
    decision = mirror.explain(ENI, frame=udp_frame("10.0.0.7", "10.0.0.5", 1))
    assert (decision.is_mirrored, decision.reason) == (False, "no_session_matched")
    assert [one["traffic_mirror_session_id"] for one in decision["sessions"]] == [
        "tms-dns",
        "tms-rest",
    ]
    with pytest.raises(ValueError, match="either flow or frame"):
        mirror.explain(ENI, "ingress")
    with pytest.raises(LabError, match="flow"):
        mirror.explain(ENI, "ingress", flow="everything")


def test_a_reset_removes_copies_and_pins(mirror: Lab) -> None:
    mirror.play(ENI, DNS)
    mirror.pin_network_interface("eni-new", private_ip_addresses=["10.0.0.6"])
    assert mirror.play("eni-new", DNS).received == 1
    mirror.reset()
    assert len(mirror.copies("tmt-dns")) == 0
    with pytest.raises(LabError, match="eni-new"):
        mirror.play("eni-new", DNS)


def test_pins_are_in_the_snapshot(mirror: Lab) -> None:
    mirror.pin_target("tmt-dns", "192.0.2.99:4790")
    mirror.pin_network_interface(ENI, mac_address="02:29:23:74:c7:7d")
    snapshot = mirror.snapshot()
    assert "192.0.2.99:4790" in json.dumps(snapshot)
    assert "02:29:23:74:c7:7d" in json.dumps(snapshot)
    assert mirror.play(ENI, DNS, direction="ingress")[0].outer[30:34] == bytes([192, 0, 2, 99])
    with pytest.raises(LabError, match="address"):
        mirror.pin_target("tmt-dns", "no address")


def test_health_clock_and_seed(mirror: Lab) -> None:
    assert mirror.health().startswith("ok")
    mirror.clock(1_700_000_000)
    assert mirror.snapshot()["now_s"] == 1_700_000_000
    mirror.clock(None)
    assert mirror.snapshot()["now_s"] > 1_700_000_000
    mirror.seed(7)
    with pytest.raises(LabError):
        mirror.seed(-1)


def test_events_are_snapshots(mirror: Lab) -> None:
    with mirror.events() as events:
        assert next(events).content["received"] == 0
        mirror.play(ENI, DNS)
        assert next(events).content["received"] == 1


def test_the_quickstart_is_mirrored_as_by_replay(binary: str) -> None:
    with Lab(binary=binary, config=QUICKSTART / "mirror.toml") as lab:
        played = lab.play(ENI, QUICKSTART / "input.pcap", explain=True)
        assert played.received == 165 == len(played.decisions)
        assert played.mirrored == len(played)
        assert played.received == played.mirrored + sum(played.not_mirrored.values())
        mirrored = [one.session for one in played.decisions if one.is_mirrored]
        assert sorted(str(one) for one in mirrored) == sorted(copy.session for copy in played)


def test_a_wrong_option_is_reported_at_start(binary: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no-such-file.toml"):
        Lab(binary=binary, config=tmp_path / "no-such-file.toml").start()


def test_state_survives_the_end(binary: str, tmp_path: Path) -> None:
    state = tmp_path / "lab.state"
    for _ in range(2):
        with Lab(binary=binary, state=state, network_interfaces={ENI: "10.0.0.5"}) as lab:
            assert lab.play(ENI, DNS).received == 1
    assert state.exists()


def test_an_interface_with_a_capture_plays_it(binary: str, tmp_path: Path) -> None:
    (tmp_path / "trace.pcap").write_bytes(pcap([DNS, NTP]))
    interfaces = {ENI: f"pcap:{tmp_path / 'trace.pcap'}"}
    with Lab(binary=binary, network_interfaces=interfaces) as lab:
        assert lab.play(ENI).received == 2
