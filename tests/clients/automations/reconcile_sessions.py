"""Keeps the sessions equal to the instances that have a tag. `reconcile` is the body of a loop that
runs every minute.

The sessions of this automation have a tag of their own; others are not changed.
"""

from mirror_tagged_instances import all_pages, interfaces_with_tag, mirror_interface

OWN = {"Key": "managed-by", "Value": "reconcile-sessions"}


def own_sessions(ec2):
    """The ids of the own sessions, by network interface."""
    own = [{"Name": f"tag:{OWN['Key']}", "Values": [OWN["Value"]]}]
    action, name = "describe_traffic_mirror_sessions", "TrafficMirrorSessions"
    sessions = all_pages(ec2, action, name, Filters=own)
    return {one["NetworkInterfaceId"]: one["TrafficMirrorSessionId"] for one in sessions}


def reconcile(ec2, tag, target, mirror_filter):
    """Creates the missing sessions and deletes the surplus ones. Returns the interfaces of both."""
    wanted, present = set(interfaces_with_tag(ec2, *tag)), own_sessions(ec2)
    missing, surplus = wanted - present.keys(), present.keys() - wanted
    for interface in surplus:
        ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=present[interface])
    for interface in missing:
        mirror_interface(ec2, interface, target, mirror_filter, [OWN])
    return missing, surplus
