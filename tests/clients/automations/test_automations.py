"""The automations of this folder: the sessions that they make, and the copies of frames that are played
through the interfaces. See `laboratory` for the environment."""

import unittest

from laboratory import EC2, HAS_UPSTREAM, Instance, play, reset, snapshot, take_copies, udp_to
from mirror_subnets import mirror_subnets
from mirror_tagged_instances import mirror_tagged_instances, sessions_of
from reconcile_sessions import OWN, own_sessions, reconcile

TAG = ("mirror", "yes")
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/ids/0123456789abcdef"


def subnets():
    """A VPC and its subnets."""
    if not HAS_UPSTREAM:
        [vpc] = EC2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        of_vpc = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        listed = EC2.describe_subnets(Filters=of_vpc)["Subnets"]
        return vpc["VpcId"], [one["SubnetId"] for one in listed]
    vpc = EC2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    blocks = ["10.0.1.0/24", "10.0.2.0/24"]
    made = [EC2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"] for block in blocks]
    return vpc, [one["SubnetId"] for one in made]


def create_target(address="192.0.2.10"):
    tags = [{"Key": "mirror:address", "Value": address}]
    created = EC2.create_traffic_mirror_target(
        NetworkLoadBalancerArn=BALANCER,
        TagSpecifications=[{"ResourceType": "traffic-mirror-target", "Tags": tags}],
    )
    return created["TrafficMirrorTarget"]["TrafficMirrorTargetId"]


def create_filter():
    created = EC2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    EC2.create_traffic_mirror_filter_rule(
        TrafficMirrorFilterId=created,
        RuleNumber=100,
        RuleAction="accept",
        TrafficDirection="ingress",
        SourceCidrBlock="0.0.0.0/0",
        DestinationCidrBlock="0.0.0.0/0",
    )
    return created


class Automations(unittest.TestCase):
    def setUp(self):
        reset()
        self.vpc, self.subnets = subnets()
        self.instances = []

    def tearDown(self):
        for instance in self.instances:
            instance.terminate()
        self.assertEqual(snapshot()["sessions"], [])

    def launch(self, subnet=0, **tags):
        instance = Instance(self.subnets[subnet], **tags)
        self.instances.append(instance)
        return instance

    def terminate(self, instance):
        self.instances.remove(instance)
        instance.terminate()

    def mirrors(self, instance, target):
        """Whether a frame to an instance arrives at the target."""
        frame = udp_to(instance.address)
        self.assertEqual(play(instance, frame)["received"], 1)
        inner = [inner for _, inner in take_copies(target)]
        self.assertIn(inner, ([], [frame]))
        return inner == [frame]

    def test_instances_with_a_tag_get_free_session_numbers(self):
        web, api, other = self.launch(mirror="yes"), self.launch(mirror="yes"), self.launch()
        target, mirror_filter, manual = create_target(), create_filter(), create_target()
        for number in (1, 3):
            EC2.create_traffic_mirror_session(
                NetworkInterfaceId=web.interface,
                TrafficMirrorTargetId=manual,
                TrafficMirrorFilterId=EC2.create_traffic_mirror_filter()["TrafficMirrorFilter"][
                    "TrafficMirrorFilterId"
                ],
                SessionNumber=number,
            )
        created = mirror_tagged_instances(EC2, TAG, target, mirror_filter)
        numbers = {one["NetworkInterfaceId"]: one["SessionNumber"] for one in created}
        self.assertEqual(numbers, {web.interface: 2, api.interface: 1})
        self.assertEqual(mirror_tagged_instances(EC2, TAG, target, mirror_filter), [])
        for instance, is_mirrored in ((web, True), (api, True), (other, False)):
            self.assertEqual(self.mirrors(instance, target), is_mirrored)

    def test_a_manager_reconciles_sessions_with_instances(self):
        target, mirror_filter = create_target(), create_filter()
        web, api, other = self.launch(mirror="yes"), self.launch(mirror="yes"), self.launch()

        def step():
            return reconcile(EC2, TAG, target, mirror_filter)

        self.assertEqual(step(), ({web.interface, api.interface}, set()))
        self.assertTrue(self.mirrors(web, target) and self.mirrors(api, target))

        # The sessions of a terminated instance end with it, so they are not surplus.
        self.terminate(web)
        new = self.launch(mirror="yes")
        EC2.delete_tags(Resources=[api.id], Tags=[{"Key": "mirror"}])
        self.assertEqual(step(), ({new.interface}, {api.interface}))
        self.assertTrue(self.mirrors(new, target))
        self.assertFalse(self.mirrors(api, target) or self.mirrors(other, target))

        EC2.create_tags(Resources=[other.id], Tags=[{"Key": "mirror", "Value": "yes"}])
        self.assertEqual(step(), ({other.interface}, set()))
        self.assertEqual(own_sessions(EC2).keys(), {new.interface, other.interface})
        self.assertEqual(step(), (set(), set()))
        self.assertTrue(self.mirrors(other, target))
        [session] = sessions_of(EC2, other.interface)
        self.assertIn(OWN, session["Tags"])

    def test_every_subnet_gets_a_target_and_a_filter(self):
        instances = [self.launch(number) for number in range(len(self.subnets))]
        targets = mirror_subnets(EC2, self.vpc)
        self.assertEqual(targets.keys(), set(self.subnets))
        for subnet, instance in zip(self.subnets, instances):
            [session] = sessions_of(EC2, instance.interface)
            frame = udp_to(instance.address, 53)
            self.assertEqual(play(instance, frame)["mirrored"], 1)
            copies = take_copies(targets[subnet])
            self.assertEqual(copies, [(session["TrafficMirrorSessionId"], frame)])
        others = snapshot()["targets"]
        self.assertEqual({one["copies"] for one in others}, {0})
        self.assertEqual(len(others), len(self.subnets))
        self.assertTrue(all(one["addresses"] for one in others), others)

    @unittest.skipUnless(HAS_UPSTREAM, "needs an upstream")
    def test_interfaces_and_the_account_are_those_of_the_upstream(self):
        instance = self.launch()
        self.assertEqual(snapshot()["account_id"], "123456789012")
        # An interface without a session or target can be played through too.
        report = play(instance, udp_to(instance.address))
        self.assertEqual(report["not_mirrored"], {"no_session_matched": 1})


if __name__ == "__main__":
    unittest.main()
