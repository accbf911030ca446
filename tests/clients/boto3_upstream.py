"""boto3 with an endpoint in front of moto's server, which are used as one.

EC2_ENDPOINT is the URL of the endpoint without resources of clients, with the key AKIDEXAMPLE.
UPSTREAM is the URL of moto's server, which has no resources.
"""

import os
import unittest
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KEYS = {
    "region_name": "eu-west-1",
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "SECRETEXAMPLE",
    "config": Config(retries={"total_max_attempts": 1}),
}


def client(service, url="EC2_ENDPOINT"):
    return boto3.client(service, endpoint_url=os.environ[url], **KEYS)


ec2 = client("ec2")
ACCOUNT = "123456789012"


def all_pages(action, name, **parameters):
    pages = ec2.get_paginator(action).paginate(**parameters)
    return [item for page in pages for item in page[name]]


class Upstream(unittest.TestCase):
    def setUp(self):
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.1.0/24")
        self.subnet = subnet["Subnet"]["SubnetId"]

    def fail_with(self, code, call, **parameters):
        with self.assertRaises(ClientError) as raised:
            call(**parameters)
        self.assertEqual(raised.exception.response["Error"]["Code"], code)
        return raised.exception.response["Error"]["Message"]

    def run_instance(self, name="web"):
        tag = {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}
        run = ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=self.subnet, TagSpecifications=[tag]
        )
        instance = run["Instances"][0]
        return instance["InstanceId"], instance["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def create_target(self, address="192.0.2.10"):
        arn = f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:loadbalancer/net/x/01"
        tag = {"Key": "mirror:address", "Value": address}
        created = ec2.create_traffic_mirror_target(
            NetworkLoadBalancerArn=arn,
            TagSpecifications=[{"ResourceType": "traffic-mirror-target", "Tags": [tag]}],
        )
        return created["TrafficMirrorTarget"]["TrafficMirrorTargetId"]

    def create_session(self, interface, number=1):
        created = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]
        session = ec2.create_traffic_mirror_session(
            NetworkInterfaceId=interface,
            TrafficMirrorTargetId=self.create_target(),
            TrafficMirrorFilterId=created["TrafficMirrorFilterId"],
            SessionNumber=number,
        )
        return session["TrafficMirrorSession"]

    def sessions_of(self, interface):
        by_interface = {"Name": "network-interface-id", "Values": [interface]}
        found = ec2.describe_traffic_mirror_sessions(Filters=[by_interface])
        return found["TrafficMirrorSessions"]

    def test_everything_has_the_account_of_the_emulator(self):
        self.assertEqual(client("sts").get_caller_identity()["Account"], ACCOUNT)
        _, interface = self.run_instance()
        session = self.create_session(interface)
        self.assertEqual(session["OwnerId"], ACCOUNT)
        by_owner = {"Name": "owner-id", "Values": [ACCOUNT]}
        found = ec2.describe_traffic_mirror_sessions(Filters=[by_owner])
        self.assertIn(session["TrafficMirrorSessionId"], str(found))

    def test_an_instance_loses_its_sessions_when_it_is_terminated(self):
        instance, interface = self.run_instance()
        self.create_session(interface)
        self.assertEqual(len(self.sessions_of(interface)), 1)
        ec2.terminate_instances(InstanceIds=[instance])
        self.assertEqual(self.sessions_of(interface), [])

    def test_a_deleted_interface_loses_its_sessions(self):
        created = ec2.create_network_interface(SubnetId=self.subnet)["NetworkInterface"]
        interface = created["NetworkInterfaceId"]
        self.create_session(interface)
        ec2.delete_network_interface(NetworkInterfaceId=interface)
        self.assertEqual(self.sessions_of(interface), [])
        create = ec2.create_traffic_mirror_target
        self.fail_with("InvalidTrafficMirrorTarget", create, NetworkInterfaceId=interface)

    def test_sessions_are_not_those_of_the_emulator(self):
        _, interface = self.run_instance()
        self.create_session(interface)
        upstream = client("ec2", "UPSTREAM")
        self.assertEqual(upstream.describe_traffic_mirror_filters()["TrafficMirrorFilters"], [])

    def test_interfaces_of_both_are_listed(self):
        _, interface = self.run_instance()
        listed = all_pages("describe_network_interfaces", "NetworkInterfaces")
        ids = [one["NetworkInterfaceId"] for one in listed]
        self.assertIn(interface, ids)
        self.assertEqual(ids.count("eni-00000001"), 1)
        self.assertEqual({one["OwnerId"] for one in listed}, {ACCOUNT})
        both = [interface, "eni-00000001"]
        named = ec2.describe_network_interfaces(NetworkInterfaceIds=both)["NetworkInterfaces"]
        self.assertEqual([one["NetworkInterfaceId"] for one in named], both)
        by_subnet = {"Name": "subnet-id", "Values": [self.subnet]}
        of_subnet = ec2.describe_network_interfaces(Filters=[by_subnet])["NetworkInterfaces"]
        self.assertEqual([one["NetworkInterfaceId"] for one in of_subnet], [interface])

    def test_tags_of_both_are_changed_and_listed(self):
        instance, _ = self.run_instance()
        created = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]
        mirror_filter = created["TrafficMirrorFilterId"]
        value = uuid.uuid4().hex
        both = [instance, mirror_filter]
        ec2.create_tags(Resources=both, Tags=[{"Key": "run", "Value": value}])
        by_value = [{"Name": "value", "Values": [value]}]
        tags = all_pages("describe_tags", "Tags", Filters=by_value, PaginationConfig={"PageSize": 5})
        self.assertEqual({tag["ResourceId"] for tag in tags}, set(both))
        message = self.fail_with(
            "InvalidID",
            ec2.create_tags,
            Resources=["unknown-1", mirror_filter],
            Tags=[{"Key": "b", "Value": ""}],
        )
        self.assertIn(f"The tags of {mirror_filter} were not changed.", message)
        self.fail_with(
            "DryRunOperation", ec2.delete_tags, Resources=both, Tags=[{"Key": "run"}], DryRun=True
        )
        ec2.delete_tags(Resources=both, Tags=[{"Key": "run"}])
        self.assertEqual(all_pages("describe_tags", "Tags", Filters=by_value), [])

    def test_a_load_balancer_of_the_emulator_is_a_target(self):
        instance, interface = self.run_instance()
        balancing = client("elbv2")
        balancer = balancing.create_load_balancer(
            Name=f"lb-{uuid.uuid4().hex[:8]}", Subnets=[self.subnet], Type="network"
        )["LoadBalancers"][0]["LoadBalancerArn"]
        group = balancing.create_target_group(
            Name=f"tg-{uuid.uuid4().hex[:8]}", Protocol="UDP", Port=4789, VpcId=self.vpc,
            TargetType="instance", HealthCheckProtocol="TCP", HealthCheckPort="80",
        )["TargetGroups"][0]["TargetGroupArn"]
        balancing.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
        balancing.create_listener(
            LoadBalancerArn=balancer, Protocol="UDP", Port=4789,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        target = ec2.create_traffic_mirror_target(NetworkLoadBalancerArn=balancer)
        target = target["TrafficMirrorTarget"]
        self.assertEqual(target["NetworkLoadBalancerArn"], balancer)
        created = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=self.run_instance("other")[1],
            TrafficMirrorTargetId=target["TrafficMirrorTargetId"],
            TrafficMirrorFilterId=created["TrafficMirrorFilterId"],
            SessionNumber=1,
        )
        tags = ec2.describe_traffic_mirror_targets(
            TrafficMirrorTargetIds=[target["TrafficMirrorTargetId"]]
        )
        self.assertEqual(tags["TrafficMirrorTargets"][0].get("Tags", []), [])
        self.assertTrue(interface)

    def test_other_services_pass(self):
        s3 = client("s3")
        s3.create_bucket(
            Bucket="copies", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        content = bytes(range(256)) * 8192
        s3.put_object(Bucket="copies", Key="a b/\u00e9.pcap", Body=content, Metadata={"vni": "7"})
        fetched = s3.get_object(Bucket="copies", Key="a b/\u00e9.pcap")
        self.assertEqual((fetched["Body"].read(), fetched["Metadata"]), (content, {"vni": "7"}))
        head = s3.head_object(Bucket="copies", Key="a b/\u00e9.pcap")
        self.assertEqual(head["ContentLength"], len(content))
        self.fail_with("404", s3.head_object, Bucket="copies", Key="missing")
        self.fail_with("NoSuchKey", s3.get_object, Bucket="copies", Key="missing")
        tables = client("dynamodb").list_tables()
        self.assertEqual(tables["TableNames"], [])
        queues = client("sqs")
        url = queues.create_queue(QueueName="events")["QueueUrl"]
        self.assertTrue(url.startswith(os.environ["EC2_ENDPOINT"]), url)
        queues.send_message(QueueUrl=url, MessageBody="x & y")
        received = queues.receive_message(QueueUrl=url)["Messages"]
        self.assertEqual(received[0]["Body"], "x & y")
        wrong = boto3.client(
            "s3", endpoint_url=os.environ["EC2_ENDPOINT"],
            **{**KEYS, "aws_secret_access_key": "WRONG"},
        )
        self.fail_with("SignatureDoesNotMatch", wrong.list_buckets)


if __name__ == "__main__":
    unittest.main()
