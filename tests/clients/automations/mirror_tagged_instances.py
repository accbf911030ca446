"""Mirrors the network interfaces of all instances that have a tag.

Each interface gets a session with its first free number. An interface that is already mirrored to the
target is skipped, so the automation can run again for new instances.
"""

MAX_SESSION_NUMBER = 32766
ALIVE = {"Name": "instance-state-name", "Values": ["pending", "running"]}


def all_pages(ec2, action, name, **parameters):
    pages = ec2.get_paginator(action).paginate(**parameters)
    return [item for page in pages for item in page[name]]


def interfaces_with_tag(ec2, key, value):
    """The ids of the interfaces of all instances with this tag that are not stopped."""
    filters = [{"Name": f"tag:{key}", "Values": [value]}, ALIVE]
    reservations = all_pages(ec2, "describe_instances", "Reservations", Filters=filters)
    instances = [one for reservation in reservations for one in reservation["Instances"]]
    return [
        interface["NetworkInterfaceId"]
        for instance in instances
        for interface in instance["NetworkInterfaces"]
    ]


def sessions_of(ec2, interface):
    by_interface = [{"Name": "network-interface-id", "Values": [interface]}]
    action, name = "describe_traffic_mirror_sessions", "TrafficMirrorSessions"
    return all_pages(ec2, action, name, Filters=by_interface)


def free_number(sessions):
    """The first number that no session of an interface has."""
    used = {session["SessionNumber"] for session in sessions}
    return next(number for number in range(1, MAX_SESSION_NUMBER + 1) if number not in used)


def mirror_interface(ec2, interface, target, mirror_filter, tags=()):
    """Creates a session of an interface. Returns None if it has one to the target."""
    sessions = sessions_of(ec2, interface)
    if any(session["TrafficMirrorTargetId"] == target for session in sessions):
        return None
    tags = [{"Key": "Name", "Value": f"mirror-{interface}"}, *tags]
    created = ec2.create_traffic_mirror_session(
        NetworkInterfaceId=interface,
        TrafficMirrorTargetId=target,
        TrafficMirrorFilterId=mirror_filter,
        SessionNumber=free_number(sessions),
        Description=f"automatic mirroring of {interface}",
        TagSpecifications=[{"ResourceType": "traffic-mirror-session", "Tags": tags}],
    )
    return created["TrafficMirrorSession"]


def mirror_tagged_instances(ec2, tag, target, mirror_filter):
    """Returns the created sessions. `tag` is a pair of a key and a value."""
    interfaces = interfaces_with_tag(ec2, *tag)
    created = [mirror_interface(ec2, one, target, mirror_filter) for one in interfaces]
    return [session for session in created if session]
