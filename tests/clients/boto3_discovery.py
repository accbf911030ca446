"""The discovery actions through boto3, and their documents against botocore's model.

EC2_ENDPOINT is the URL of a running endpoint. CREATES is `yes` if clients may create network
interfaces there; otherwise the interfaces are the devices of its host, and one of them has an
address.
"""

import os
import unittest
import xml.etree.ElementTree as ElementTree

import boto3
from botocore.exceptions import ClientError

EC2 = boto3.client(
    "ec2",
    endpoint_url=os.environ["EC2_ENDPOINT"],
    region_name="eu-west-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
CREATES = os.environ["CREATES"] == "yes"


def unknown_elements(element, shape, path):
    """The paths of elements of a document that botocore's model does not have."""
    unknown = []
    if shape.type_name == "list":
        for item in element:
            unknown += unknown_elements(item, shape.member, f"{path}/{item.tag}")
    elif shape.type_name == "structure":
        members = {
            member.serialization.get("name", name): member
            for name, member in shape.members.items()
        }
        for child in element:
            name = child.tag.split("}")[-1]
            if name not in members:
                unknown.append(f"{path}/{name}")
            else:
                unknown += unknown_elements(child, members[name], f"{path}/{name}")
    return unknown


def check_document(http_response, model, **_):
    """Fails for a document with an element that the model does not have."""
    if http_response.status_code != 200 or model.output_shape is None:
        return
    root = ElementTree.fromstring(http_response.content)
    root.remove(root[0])  # requestId
    unknown = unknown_elements(root, model.output_shape, model.name)
    if unknown:
        raise AssertionError(f"elements that are not in the model: {unknown}")


EC2.meta.events.register("after-call.ec2", check_document)


def by(**filters):
    names = {name: name.replace("_", "-") for name in filters}
    return [{"Name": names[name], "Values": [value]} for name, value in filters.items()]


def first_subnet():
    default = EC2.describe_subnets(Filters=by(default_for_az="true"))["Subnets"]
    return sorted(default, key=lambda subnet: subnet["AvailabilityZone"])[0]


def create(**parameters):
    subnet = first_subnet()["SubnetId"]
    made = EC2.create_network_interface(**{"SubnetId": subnet, **parameters})
    return made["NetworkInterface"]


class Discovery(unittest.TestCase):
    def fail_with(self, code, call, **parameters):
        with self.assertRaises(ClientError) as refusal:
            call(**parameters)
        error = refusal.exception.response["Error"]
        self.assertEqual(error["Code"], code, error["Message"])

    def setUp(self):
        if not CREATES:
            return
        tags = [{"Key": "Name", "Value": "web"}, {"Key": "role", "Value": "front end"}]
        specification = [{"ResourceType": "network-interface", "Tags": tags}]
        made = create(Description="a", TagSpecifications=specification)
        self.addCleanup(
            EC2.delete_network_interface, NetworkInterfaceId=made["NetworkInterfaceId"]
        )

    def interfaces(self):
        pages = EC2.get_paginator("describe_network_interfaces").paginate(
            PaginationConfig={"PageSize": 5}
        )
        return [one for page in pages for one in page["NetworkInterfaces"]]

    def test_all_that_an_interface_refers_to_exists(self):
        found = self.interfaces()
        self.assertTrue(any("PrivateIpAddress" in one for one in found))
        for one in found:
            [subnet] = EC2.describe_subnets(SubnetIds=[one["SubnetId"]])["Subnets"]
            self.assertEqual(subnet["VpcId"], one["VpcId"])
            self.assertEqual(subnet["AvailabilityZone"], one["AvailabilityZone"])
            [vpc] = EC2.describe_vpcs(VpcIds=[one["VpcId"]])["Vpcs"]
            self.assertEqual(vpc["State"], "available")
            [table] = EC2.describe_route_tables(
                Filters=[
                    {"Name": "association.main", "Values": ["true"]},
                    {"Name": "vpc-id", "Values": [vpc["VpcId"]]},
                ]
            )["RouteTables"]
            self.assertEqual(table["Routes"][0]["DestinationCidrBlock"], vpc["CidrBlock"])
            support = EC2.describe_vpc_attribute(
                VpcId=vpc["VpcId"], Attribute="enableDnsSupport"
            )
            self.assertTrue(support["EnableDnsSupport"]["Value"])
            groups = [group["GroupId"] for group in one["Groups"]]
            [group] = EC2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
            self.assertEqual((group["GroupName"], group["VpcId"]), ("default", vpc["VpcId"]))
            attachment = one["Attachment"]
            [reservation] = EC2.describe_instances(InstanceIds=[attachment["InstanceId"]])[
                "Reservations"
            ]
            [instance] = reservation["Instances"]
            self.assertEqual(instance["State"], {"Code": 16, "Name": "running"})
            self.assertEqual(instance["Tags"], one["TagSet"])
            self.assertEqual(instance["LaunchTime"], attachment["AttachTime"])
            self.assertEqual(instance.get("PrivateIpAddress"), one.get("PrivateIpAddress"))
            [own] = instance["NetworkInterfaces"]
            self.assertEqual(own["NetworkInterfaceId"], one["NetworkInterfaceId"])
            self.assertEqual(own["Attachment"]["AttachmentId"], attachment["AttachmentId"])
            [again] = EC2.describe_network_interfaces(
                Filters=[
                    {"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]},
                    {"Name": "subnet-id", "Values": [subnet["SubnetId"]]},
                    {"Name": "group-id", "Values": groups},
                ]
            )["NetworkInterfaces"]
            self.assertEqual(again, one)

    def test_instances_by_filters(self):
        instances = EC2.get_paginator("describe_instances")
        pages = instances.paginate(
            Filters=by(instance_state_name="running", tag_key="Name"),
            PaginationConfig={"PageSize": 5},
        )
        found = [one for page in pages for one in page["Reservations"]]
        self.assertTrue(found)
        for reservation in found:
            [instance] = reservation["Instances"]
            [name] = [tag["Value"] for tag in instance["Tags"] if tag["Key"] == "Name"]
            named = EC2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}])
            ids = [one["Instances"][0]["InstanceId"] for one in named["Reservations"]]
            self.assertIn(instance["InstanceId"], ids)
        statuses = EC2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
        self.assertEqual({one["InstanceStatus"]["Status"] for one in statuses}, {"ok"})
        stopped = EC2.describe_instances(Filters=by(instance_state_name="stopped"))
        self.assertEqual(stopped["Reservations"], [])
        self.fail_with("InvalidParameterValue", EC2.describe_instances, Filters=by(colour="red"))
        missing = "i-00000000000000000"
        self.fail_with(
            "InvalidInstanceID.NotFound", EC2.describe_instances, InstanceIds=[missing]
        )

    def test_regions_zones_and_the_default_vpc(self):
        zones = EC2.describe_availability_zones()["AvailabilityZones"]
        names = [zone["ZoneName"] for zone in zones]
        self.assertEqual(names, ["eu-west-1a", "eu-west-1b", "eu-west-1c"])
        regions = [region["RegionName"] for region in EC2.describe_regions()["Regions"]]
        self.assertIn("eu-west-1", regions)
        [vpc] = EC2.describe_vpcs(Filters=by(is_default="true"))["Vpcs"]
        self.assertEqual(vpc["CidrBlock"], "172.31.0.0/16")
        own = EC2.describe_subnets(Filters=by(vpc_id=vpc["VpcId"], default_for_az="true"))
        self.assertEqual(sorted(one["AvailabilityZone"] for one in own["Subnets"]), names)
        self.fail_with("InvalidVpcID.NotFound", EC2.describe_vpcs, VpcIds=["vpc-0"])
        self.fail_with("InvalidSubnetID.NotFound", EC2.describe_subnets, SubnetIds=["subnet-0"])

    @unittest.skipIf(CREATES, "clients may create interfaces")
    def test_interfaces_of_a_host_are_not_created(self):
        subnet = first_subnet()["SubnetId"]
        self.fail_with("UnsupportedOperation", EC2.create_network_interface, SubnetId=subnet)

    @unittest.skipUnless(CREATES, "the interfaces are devices")
    def test_an_interface_is_created_and_deleted(self):
        group = EC2.describe_security_groups(Filters=by(vpc_id=first_subnet()["VpcId"]))
        made = create(
            PrivateIpAddresses=[
                {"PrivateIpAddress": "172.31.1.1", "Primary": True},
                {"PrivateIpAddress": "172.31.1.2"},
            ],
            Ipv6Addresses=[{"Ipv6Address": "2001:db8::1"}],
            Groups=[group["SecurityGroups"][0]["GroupId"]],
            InterfaceType="efa",
            ClientToken="token",
        )
        ids = {"NetworkInterfaceId": made["NetworkInterfaceId"]}
        EC2.get_waiter("network_interface_available").wait(
            NetworkInterfaceIds=[made["NetworkInterfaceId"]]
        )
        self.assertEqual((made["PrivateIpAddress"], made["InterfaceType"]), ("172.31.1.1", "efa"))
        EC2.create_tags(
            Resources=[made["NetworkInterfaceId"], made["Attachment"]["InstanceId"]],
            Tags=[{"Key": "k", "Value": "v"}],
        )
        tags = EC2.describe_tags(Filters=by(key="k"))["Tags"]
        types = {tag["ResourceType"] for tag in tags}
        self.assertEqual(types, {"network-interface", "instance"})
        attachment = {"AttachmentId": made["Attachment"]["AttachmentId"]}
        EC2.detach_network_interface(**attachment, Force=True)
        self.fail_with("InvalidAttachmentID.NotFound", EC2.detach_network_interface, **attachment)
        [detached] = EC2.describe_network_interfaces(
            NetworkInterfaceIds=[made["NetworkInterfaceId"]]
        )["NetworkInterfaces"]
        self.assertEqual(detached["Attachment"]["Status"], "detached")
        self.assertNotIn("InstanceId", detached["Attachment"])
        gone = {"InstanceIds": [made["Attachment"]["InstanceId"]]}
        self.fail_with("InvalidInstanceID.NotFound", EC2.describe_instances, **gone)
        EC2.delete_network_interface(**ids)
        self.fail_with(
            "InvalidNetworkInterfaceID.NotFound", EC2.delete_network_interface, **ids
        )


if __name__ == "__main__":
    unittest.main()
