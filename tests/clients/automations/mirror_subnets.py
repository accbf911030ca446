"""Creates a target and a filter for every subnet, and mirrors the network interfaces of the subnet to it.

The target of a subnet is a network interface for its collector, which is created too. The filter
accepts the traffic of the VPC, except SSH, and of its DNS.
"""

from mirror_tagged_instances import all_pages, mirror_interface

EVERYWHERE = "0.0.0.0/0"
SSH = {"FromPort": 22, "ToPort": 22}


def specification(kind, subnet):
    tags = [{"Key": "subnet", "Value": subnet}, {"Key": "Name", "Value": f"mirror-{subnet}"}]
    return [{"ResourceType": kind, "Tags": tags}]


def create_target(ec2, subnet):
    """Returns the ids of the target and of its network interface."""
    collector = ec2.create_network_interface(
        SubnetId=subnet,
        Description=f"collector of {subnet}",
        TagSpecifications=specification("network-interface", subnet),
    )["NetworkInterface"]["NetworkInterfaceId"]
    target = ec2.create_traffic_mirror_target(
        NetworkInterfaceId=collector,
        TagSpecifications=specification("traffic-mirror-target", subnet),
    )["TrafficMirrorTarget"]
    return target["TrafficMirrorTargetId"], collector


def create_filter(ec2, subnet, vpc_cidr):
    created = ec2.create_traffic_mirror_filter(
        Description=f"traffic of {vpc_cidr}",
        TagSpecifications=specification("traffic-mirror-filter", subnet),
    )["TrafficMirrorFilter"]["TrafficMirrorFilterId"]

    def add_rule(number, action, direction, cidrs, **more):
        ec2.create_traffic_mirror_filter_rule(
            TrafficMirrorFilterId=created,
            RuleNumber=number,
            RuleAction=action,
            TrafficDirection=direction,
            SourceCidrBlock=cidrs[0],
            DestinationCidrBlock=cidrs[1],
            **more,
        )

    into, out_of = (EVERYWHERE, vpc_cidr), (vpc_cidr, EVERYWHERE)
    add_rule(10, "reject", "ingress", into, Protocol=6, DestinationPortRange=SSH)
    add_rule(10, "reject", "egress", out_of, Protocol=6, SourcePortRange=SSH)
    add_rule(100, "accept", "ingress", into)
    add_rule(100, "accept", "egress", out_of)
    ec2.modify_traffic_mirror_filter_network_services(
        TrafficMirrorFilterId=created, AddNetworkServices=["amazon-dns"]
    )
    return created


def mirror_subnets(ec2, vpc):
    """Returns the id of the target of each subnet of a VPC."""
    [described] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    targets = {}
    for one in all_pages(ec2, "describe_subnets", "Subnets", Filters=of_vpc):
        subnet = one["SubnetId"]
        target, collector = create_target(ec2, subnet)
        mirror_filter = create_filter(ec2, subnet, described["CidrBlock"])
        by_subnet = [{"Name": "subnet-id", "Values": [subnet]}]
        action, name = "describe_network_interfaces", "NetworkInterfaces"
        for interface in all_pages(ec2, action, name, Filters=by_subnet):
            if interface["NetworkInterfaceId"] != collector:
                mirror_interface(ec2, interface["NetworkInterfaceId"], target, mirror_filter)
        targets[subnet] = target
    return targets
