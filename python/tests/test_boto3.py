"""boto3 against the real program, alone and with moto behind it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from conftest import ENI
from frames import udp_frame

from traffic_mirror import Lab

FRAME = udp_frame("10.0.0.9", "10.0.0.5", 53)
LOAD_BALANCER = (
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/ids/0123456789abcdef"
)


def create_session(ec2: Any, eni: str, session_number: int = 1) -> tuple[str, str]:
    """Creates a session for all ingress traffic. Returns its id and that of its target."""
    tags = [{"Key": "mirror:address", "Value": "192.0.2.10"}]
    target = ec2.create_traffic_mirror_target(
        NetworkLoadBalancerArn=LOAD_BALANCER,
        TagSpecifications=[{"ResourceType": "traffic-mirror-target", "Tags": tags}],
    )["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    all_ingress = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]
    ec2.create_traffic_mirror_filter_rule(
        TrafficMirrorFilterId=all_ingress["TrafficMirrorFilterId"],
        TrafficDirection="ingress",
        RuleNumber=100,
        RuleAction="accept",
        SourceCidrBlock="0.0.0.0/0",
        DestinationCidrBlock="0.0.0.0/0",
    )
    session = ec2.create_traffic_mirror_session(
        NetworkInterfaceId=eni,
        TrafficMirrorTargetId=target,
        TrafficMirrorFilterId=all_ingress["TrafficMirrorFilterId"],
        SessionNumber=session_number,
    )["TrafficMirrorSession"]
    return session["TrafficMirrorSessionId"], target


@pytest.fixture
def ec2(lab: Lab) -> Any:
    pytest.importorskip("boto3", reason="NOT RUN: boto3 is not installed")
    return lab.client("ec2")


def test_sessions_of_boto3_mirror_what_is_played(lab: Lab, ec2: Any) -> None:
    session, target = create_session(ec2, ENI)
    (copy,) = lab.play(ENI, FRAME)
    assert (copy.session, copy.target, copy.rule) == (session, target, 100)
    described = ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"][0]
    assert copy.vni == described["VirtualNetworkId"]
    assert copy.rule_id is not None
    assert copy.rule_id.startswith("tmfr-")
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
    assert len(lab.play(ENI, FRAME)) == 0


def test_a_reset_repeats_ids_and_network_identifiers(lab: Lab, ec2: Any) -> None:
    ids = set()
    for _ in range(2):
        lab.reset()
        ids.add((create_session(ec2, ENI), lab.play(ENI, FRAME)[0].outer))
    assert len(ids) == 1


def test_clients_of_two_regions_and_of_sts(lab: Lab, ec2: Any) -> None:
    assert ec2.meta.region_name == "us-east-1"
    assert lab.client("ec2", region="eu-west-1").meta.region_name == "eu-west-1"
    assert lab.client("sts").get_caller_identity()["Account"]


def test_options_reach_boto3(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pytest.importorskip("botocore.config", reason="NOT RUN: boto3 is not installed")
    # A proxy that does not exist is not used.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    ec2 = lab.client("ec2", config=config.Config(user_agent_extra="test"))
    assert "test" in ec2.meta.config.user_agent_extra
    assert ec2.describe_network_interfaces()["NetworkInterfaces"]


def test_the_environment_is_that_of_a_client(lab: Lab) -> None:
    pytest.importorskip("boto3", reason="NOT RUN: boto3 is not installed")
    source = "import boto3; print(boto3.client('ec2').describe_traffic_mirror_filters())"
    environment = {"PATH": "", "HOME": "/nonexistent", **lab.environment()}
    subprocess.run([sys.executable, "-c", source], env=environment, check=True)


def test_without_boto3_the_error_says_what_to_install(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ["boto3", "boto3.session", "botocore.config"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'traffic-mirror\[boto3\]'"):
        lab.client("ec2")


def test_copies_of_a_target_without_an_address_are_dropped_until_it_has_one(
    lab: Lab, ec2: Any
) -> None:
    session, target = create_session(ec2, ENI)
    ec2.delete_tags(Resources=[target], Tags=[{"Key": "mirror:address"}])
    played = lab.play(ENI, FRAME)
    assert (len(played), played.dropped) == (0, {"no_target_address": 1})
    assert target in lab.health()
    lab.pin_target(target, "192.0.2.11", "192.0.2.12:4790")
    (copy,) = lab.play(ENI, FRAME)
    assert (copy.session, copy.target) == (session, target)
    tags = ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"][0]["Tags"]
    assert tags == []
    lab.pin_target(target)
    assert lab.play(ENI, FRAME).dropped == {"no_target_address": 1}


def test_options_for_targets_and_faults(binary: str) -> None:
    pytest.importorskip("boto3", reason="NOT RUN: boto3 is not installed")
    interfaces = {ENI: "10.0.0.5"}
    arguments = ["--impair", "duplicate=100%"]
    with Lab(
        binary=binary,
        network_interfaces=interfaces,
        default_target="192.0.2.77",
        arguments=arguments,
    ) as lab:
        ec2 = lab.client("ec2")
        _, target = create_session(ec2, ENI)
        ec2.delete_tags(Resources=[target], Tags=[{"Key": "mirror:address"}])
        played = lab.play(ENI, FRAME)
        assert [copy.inner for copy in played] == [FRAME, FRAME]
        assert played[0].outer[30:34] == bytes([192, 0, 2, 77])
    with Lab(binary=binary, network_interfaces=interfaces, strict_targets=True) as lab:
        exceptions = pytest.importorskip("botocore.exceptions")
        with pytest.raises(exceptions.ClientError):
            lab.client("ec2").create_traffic_mirror_target(NetworkLoadBalancerArn=LOAD_BALANCER)
