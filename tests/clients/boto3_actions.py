"""Every action of traffic mirroring through boto3, with valid and invalid parameters.

EC2_ENDPOINT is the URL of a running endpoint with AWS's quotas and without resources, DEVICE a
network device of its host that can be a source, OTHER_DEVICE one that can be a target.
"""

import os
import unittest

import boto3
from botocore.exceptions import ClientError

NLB = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/x/0123456789abcdef"


def client(service):
    return boto3.client(
        service,
        endpoint_url=os.environ["EC2_ENDPOINT"],
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


EC2 = client("ec2")


def interface(device):
    named = [{"Name": "tag:Name", "Values": [device]}]
    [found] = EC2.describe_network_interfaces(Filters=named)["NetworkInterfaces"]
    return found["NetworkInterfaceId"]


def tagged(kind, **tags):
    pairs = [{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": pairs}]


class Actions(unittest.TestCase):
    def setUp(self):
        self.made = []

    def tearDown(self):
        for delete, ids in reversed(self.made):
            try:
                delete(**ids)
            except ClientError:
                pass

    def fail_with(self, code, call, **parameters):
        with self.assertRaises(ClientError) as refusal:
            call(**parameters)
        error = refusal.exception.response["Error"]
        self.assertEqual(error["Code"], code, error["Message"])
        self.assertTrue(error["Message"])
        return error["Message"]

    def filter(self, **parameters):
        made = EC2.create_traffic_mirror_filter(**parameters)["TrafficMirrorFilter"]
        ids = {"TrafficMirrorFilterId": made["TrafficMirrorFilterId"]}
        self.made.append((EC2.delete_traffic_mirror_filter, ids))
        return made

    def rule(self, filter_id, **parameters):
        wanted = {
            "TrafficMirrorFilterId": filter_id,
            "TrafficDirection": "ingress",
            "RuleNumber": 1,
            "RuleAction": "accept",
            "SourceCidrBlock": "0.0.0.0/0",
            "DestinationCidrBlock": "10.0.0.0/8",
        }
        made = EC2.create_traffic_mirror_filter_rule(**{**wanted, **parameters})
        return made["TrafficMirrorFilterRule"]

    def target(self, **parameters):
        wanted = {
            "NetworkLoadBalancerArn": NLB,
            "TagSpecifications": tagged("traffic-mirror-target", mirror__address="127.0.0.9"),
        }
        made = EC2.create_traffic_mirror_target(**(parameters or wanted))["TrafficMirrorTarget"]
        ids = {"TrafficMirrorTargetId": made["TrafficMirrorTargetId"]}
        self.made.append((EC2.delete_traffic_mirror_target, ids))
        return made

    def session(self, filter_id, target_id, number=1, **parameters):
        made = EC2.create_traffic_mirror_session(
            NetworkInterfaceId=interface(os.environ["DEVICE"]),
            TrafficMirrorFilterId=filter_id,
            TrafficMirrorTargetId=target_id,
            SessionNumber=number,
            **parameters,
        )["TrafficMirrorSession"]
        ids = {"TrafficMirrorSessionId": made["TrafficMirrorSessionId"]}
        self.made.append((EC2.delete_traffic_mirror_session, ids))
        return made

    def test_identity(self):
        identity = client("sts").get_caller_identity()
        self.assertEqual(identity["Account"], "000000000000")

    def test_filters(self):
        made = self.filter(
            Description="a b & <c>", TagSpecifications=tagged("traffic-mirror-filter", Name="x")
        )
        self.assertRegex(made["TrafficMirrorFilterId"], "^tmf-[0-9a-f]{17}$")
        self.assertEqual(made["Description"], "a b & <c>")
        self.assertEqual(made["Tags"], [{"Key": "Name", "Value": "x"}])
        for empty in ("IngressFilterRules", "EgressFilterRules", "NetworkServices"):
            self.assertEqual(made[empty], [])
        filter_id = made["TrafficMirrorFilterId"]
        services = EC2.modify_traffic_mirror_filter_network_services
        changed = services(TrafficMirrorFilterId=filter_id, AddNetworkServices=["amazon-dns"])
        self.assertEqual(changed["TrafficMirrorFilter"]["NetworkServices"], ["amazon-dns"])
        changed = services(TrafficMirrorFilterId=filter_id, RemoveNetworkServices=["amazon-dns"])
        self.assertEqual(changed["TrafficMirrorFilter"]["NetworkServices"], [])
        self.fail_with(
            "InvalidParameterValue",
            services,
            TrafficMirrorFilterId=filter_id,
            AddNetworkServices=["ntp"],
        )
        deleted = EC2.delete_traffic_mirror_filter(TrafficMirrorFilterId=filter_id)
        self.assertEqual(deleted["TrafficMirrorFilterId"], filter_id)
        not_found = "InvalidTrafficMirrorFilterId.NotFound"
        self.fail_with(
            not_found, EC2.delete_traffic_mirror_filter, TrafficMirrorFilterId=filter_id
        )
        self.fail_with(
            not_found, EC2.describe_traffic_mirror_filters, TrafficMirrorFilterIds=[filter_id]
        )

    def test_rules(self):
        filter_id = self.filter()["TrafficMirrorFilterId"]
        ports = {"FromPort": 443, "ToPort": 444}
        made = self.rule(
            filter_id,
            Protocol=6,
            DestinationPortRange=ports,
            Description="d",
            TagSpecifications=tagged("traffic-mirror-filter-rule", a="1"),
        )
        self.assertEqual(made["DestinationPortRange"], ports)
        self.assertEqual(made["Tags"], [{"Key": "a", "Value": "1"}])
        self.assertNotIn("SourcePortRange", made)
        rule_id = made["TrafficMirrorFilterRuleId"]
        self.fail_with("TrafficMirrorFilterRuleAlreadyExists", self.rule, filter_id=filter_id)
        self.rule(filter_id, TrafficDirection="egress")
        changed = EC2.modify_traffic_mirror_filter_rule(
            TrafficMirrorFilterRuleId=rule_id,
            RuleNumber=7,
            RuleAction="reject",
            RemoveFields=[
                "destination-port-range",
                "source-port-range",
                "protocol",
                "description",
            ],
        )["TrafficMirrorFilterRule"]
        self.assertEqual((changed["RuleNumber"], changed["RuleAction"]), (7, "reject"))
        for removed in ("DestinationPortRange", "Protocol", "Description"):
            self.assertNotIn(removed, changed)
        described = EC2.describe_traffic_mirror_filter_rules(
            TrafficMirrorFilterId=filter_id,
            Filters=[{"Name": "rule-action", "Values": ["reject"]}],
        )["TrafficMirrorFilterRules"]
        self.assertEqual([one["TrafficMirrorFilterRuleId"] for one in described], [rule_id])
        for wrong in (
            {"RuleNumber": 0},
            {"RuleNumber": 2, "TrafficDirection": "sideways"},
            {"RuleNumber": 2, "SourceCidrBlock": "10.0.0.0"},
            {"RuleNumber": 2, "SourceCidrBlock": "::/0"},
            {"RuleNumber": 2, "Protocol": 256},
            {"RuleNumber": 2, "Protocol": -1},
            {"RuleNumber": 2, "DestinationPortRange": ports},
            {"RuleNumber": 2, "Protocol": 17, "SourcePortRange": {"FromPort": 2, "ToPort": 1}},
            {"RuleNumber": 2, "Protocol": 17, "SourcePortRange": {"FromPort": 2}},
        ):
            with self.subTest(**wrong):
                self.fail_with("InvalidParameterValue", self.rule, filter_id=filter_id, **wrong)
        for number in range(100, 108):
            self.rule(filter_id, RuleNumber=number)
        self.fail_with(
            "TrafficMirrorFilterRuleLimitExceeded",
            self.rule,
            filter_id=filter_id,
            RuleNumber=200,
        )
        EC2.delete_traffic_mirror_filter_rule(TrafficMirrorFilterRuleId=rule_id)
        self.fail_with(
            "InvalidTrafficMirrorFilterRuleId.NotFound",
            EC2.delete_traffic_mirror_filter_rule,
            TrafficMirrorFilterRuleId=rule_id,
        )

    def test_targets(self):
        create = EC2.create_traffic_mirror_target
        self.fail_with("MissingParameter", create)
        eni = interface(os.environ["OTHER_DEVICE"])
        self.fail_with(
            "InvalidParameterCombination",
            create,
            NetworkInterfaceId=eni,
            NetworkLoadBalancerArn=NLB,
        )
        message = self.fail_with(
            "InvalidTrafficMirrorTarget", create, NetworkInterfaceId="eni-00000000000000000"
        )
        self.assertIn("'eni-00000000000000000' does not exist", message)
        # The address of a load balancer may become known later.
        unknown = create(NetworkLoadBalancerArn=NLB)["TrafficMirrorTarget"]
        self.assertEqual(unknown["NetworkLoadBalancerArn"], NLB)
        EC2.delete_traffic_mirror_target(TrafficMirrorTargetId=unknown["TrafficMirrorTargetId"])
        self.fail_with(
            "InvalidNetworkLoadBalancerArn.Malformed", create, NetworkLoadBalancerArn="x"
        )
        self.fail_with(
            "InvalidVpcEndpointId.Malformed", create, GatewayLoadBalancerEndpointId="x"
        )
        made = self.target(NetworkInterfaceId=eni)
        self.assertEqual((made["Type"], made["NetworkInterfaceId"]), ("network-interface", eni))
        made = self.target()
        self.assertEqual(made["Type"], "network-load-balancer")
        by_arn = [{"Name": "network-load-balancer-arn", "Values": [NLB]}]
        described = EC2.describe_traffic_mirror_targets(Filters=by_arn)["TrafficMirrorTargets"]
        self.assertEqual(described, [made])

    def test_sessions(self):
        filter_id = self.filter()["TrafficMirrorFilterId"]
        other_filter = self.filter()["TrafficMirrorFilterId"]
        target_id = self.target()["TrafficMirrorTargetId"]
        made = self.session(
            filter_id,
            target_id,
            PacketLength=100,
            VirtualNetworkId=4242,
            Description="d",
            TagSpecifications=tagged("traffic-mirror-session", Name="s"),
        )
        self.assertEqual(
            (made["PacketLength"], made["VirtualNetworkId"], made["OwnerId"]),
            (100, 4242, "000000000000"),
        )
        session_id = made["TrafficMirrorSessionId"]
        modify = EC2.modify_traffic_mirror_session
        changed = modify(
            TrafficMirrorSessionId=session_id,
            TrafficMirrorFilterId=other_filter,
            SessionNumber=5,
            RemoveFields=["packet-length", "description", "virtual-network-id"],
        )["TrafficMirrorSession"]
        self.assertEqual(changed["TrafficMirrorFilterId"], other_filter)
        self.assertEqual(changed["PacketLength"], 8500, "the default of load balancers")
        self.assertNotIn("Description", changed)
        self.assertIn("VirtualNetworkId", changed)
        for wrong in (
            {"SessionNumber": 0},
            {"SessionNumber": 32767},
            {"PacketLength": 8501},
            {"PacketLength": 0},
            {"VirtualNetworkId": 16777216},
            {"RemoveFields": ["colour"]},
        ):
            with self.subTest(**wrong):
                self.fail_with(
                    "InvalidParameterValue", modify, TrafficMirrorSessionId=session_id, **wrong
                )
        self.fail_with(
            "InvalidParameterValue",
            self.session,
            filter_id=filter_id,
            target_id=target_id,
            number=5,
        )
        self.fail_with(
            "InvalidTrafficMirrorFilterId.NotFound",
            self.session,
            filter_id="tmf-00000000000000000",
            target_id=target_id,
        )
        self.fail_with(
            "InvalidNetworkInterfaceID.NotFound",
            EC2.create_traffic_mirror_session,
            NetworkInterfaceId="eni-00000000000000000",
            TrafficMirrorFilterId=filter_id,
            TrafficMirrorTargetId=target_id,
            SessionNumber=1,
        )
        for number in (6, 7):
            self.session(filter_id, target_id, number)
        self.fail_with(
            "TrafficMirrorSessionsPerInterfaceLimitExceeded",
            self.session,
            filter_id=filter_id,
            target_id=target_id,
            number=8,
        )
        message = self.fail_with(
            "TrafficMirrorFilterInUse",
            EC2.delete_traffic_mirror_filter,
            TrafficMirrorFilterId=other_filter,
        )
        self.assertIn(session_id, message)
        message = self.fail_with(
            "TrafficMirrorTargetInUse",
            EC2.delete_traffic_mirror_target,
            TrafficMirrorTargetId=target_id,
        )
        self.assertIn("Cannot delete", message)
        source_as_target = self.fail_with(
            "InvalidTrafficMirrorTarget",
            EC2.create_traffic_mirror_target,
            NetworkInterfaceId=made["NetworkInterfaceId"],
        )
        self.assertIn("in use", source_as_target)

    def test_dry_run_changes_nothing(self):
        before = EC2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
        create = EC2.create_traffic_mirror_filter
        self.fail_with("DryRunOperation", create, DryRun=True, ClientToken="dry")
        self.fail_with("DryRunOperation", EC2.describe_traffic_mirror_filters, DryRun=True)
        self.assertEqual(EC2.describe_traffic_mirror_filters()["TrafficMirrorFilters"], before)
        # The dry run did not use the token.
        self.filter(ClientToken="dry", Description="other")

    def test_client_tokens(self):
        first = self.filter(ClientToken="once", Description="a")
        again = EC2.create_traffic_mirror_filter(ClientToken="once", Description="a")
        self.assertEqual(again["TrafficMirrorFilter"], first)
        self.assertEqual(again["ClientToken"], "once")
        self.fail_with(
            "IdempotentParameterMismatch",
            EC2.create_traffic_mirror_filter,
            ClientToken="once",
            Description="b",
        )

    def test_tags(self):
        one = self.filter()["TrafficMirrorFilterId"]
        two = self.target()["TrafficMirrorTargetId"]
        EC2.create_tags(
            Resources=[one, two], Tags=[{"Key": "k", "Value": "v"}, {"Key": "e", "Value": ""}]
        )
        of_both = [{"Name": "resource-id", "Values": [one, two]}, {"Name": "key", "Values": ["k"]}]
        described = EC2.describe_tags(Filters=of_both)["Tags"]
        self.assertEqual({tag["ResourceId"] for tag in described}, {one, two})
        types = {tag["ResourceType"] for tag in described}
        self.assertEqual(types, {"traffic-mirror-filter", "traffic-mirror-target"})
        EC2.delete_tags(Resources=[one], Tags=[{"Key": "k", "Value": "other"}, {"Key": "e"}])
        [left] = EC2.describe_traffic_mirror_filters(TrafficMirrorFilterIds=[one])[
            "TrafficMirrorFilters"
        ]
        self.assertEqual(left["Tags"], [{"Key": "k", "Value": "v"}])
        EC2.delete_tags(Resources=[one])
        by_tag = [{"Name": "tag:k", "Values": ["?"]}]
        self.assertEqual(
            EC2.describe_traffic_mirror_filters(Filters=by_tag)["TrafficMirrorFilters"], []
        )
        found = EC2.describe_traffic_mirror_targets(Filters=by_tag)["TrafficMirrorTargets"]
        self.assertEqual([target["TrafficMirrorTargetId"] for target in found], [two])
        self.fail_with(
            "InvalidParameterValue",
            EC2.create_tags,
            Resources=[one],
            Tags=[{"Key": "aws:x", "Value": ""}],
        )
        self.fail_with(
            "InvalidID", EC2.create_tags, Resources=["i-1"], Tags=[{"Key": "k", "Value": ""}]
        )
        many = [{"Key": str(number), "Value": ""} for number in range(51)]
        self.fail_with("TagLimitExceeded", EC2.create_tags, Resources=[one], Tags=many)

    def test_pages(self):
        made = [self.filter(Description=f"page {n}")["TrafficMirrorFilterId"] for n in range(12)]
        wanted = [{"Name": "description", "Values": ["page *"]}]
        pages = EC2.get_paginator("describe_traffic_mirror_filters").paginate(
            Filters=wanted, PaginationConfig={"PageSize": 5}
        )
        listed = [
            [one["TrafficMirrorFilterId"] for one in page["TrafficMirrorFilters"]]
            for page in pages
        ]
        self.assertEqual([len(page) for page in listed], [5, 5, 2])
        self.assertEqual(sum(listed, []), made)
        describe = EC2.describe_traffic_mirror_filters
        self.fail_with("InvalidNextToken", describe, NextToken="nothing")
        self.fail_with("InvalidParameterValue", describe, MaxResults=1001)
        self.fail_with(
            "InvalidParameterCombination",
            describe,
            TrafficMirrorFilterIds=made[:1],
            MaxResults=5,
        )
        self.fail_with(
            "InvalidParameterValue", describe, Filters=[{"Name": "colour", "Values": ["red"]}]
        )

    def test_other_actions_are_refused(self):
        self.fail_with("InvalidAction", EC2.describe_images)
        self.fail_with("InvalidAction", client("sts").get_session_token)


if __name__ == "__main__":
    unittest.main()
