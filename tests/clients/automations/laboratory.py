"""What the tests of automations use: instances in `lab` alone or in front of moto, plays and copies.

EC2_ENDPOINT is the URL of a running `lab`, HAS_UPSTREAM is `yes` if moto is behind it.
"""

import base64
import json
import os
import struct
import urllib.request

import boto3

ENDPOINT = os.environ["EC2_ENDPOINT"]
HAS_UPSTREAM = os.environ["HAS_UPSTREAM"] == "yes"
EC2 = boto3.client(
    "ec2",
    endpoint_url=ENDPOINT,
    region_name="eu-west-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)


class Instance:
    """An instance with one network interface. In `lab` alone, it exists because the interface does, and
    both have the same tags."""

    def __init__(self, subnet, **tags):
        tags = [{"Key": key, "Value": value} for key, value in {"Name": "web", **tags}.items()]
        kind = "instance" if HAS_UPSTREAM else "network-interface"
        common = {"SubnetId": subnet, "TagSpecifications": [{"ResourceType": kind, "Tags": tags}]}
        if HAS_UPSTREAM:
            run = EC2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **common)
            [interface] = run["Instances"][0]["NetworkInterfaces"]
        else:
            interface = EC2.create_network_interface(**common)["NetworkInterface"]
        self.interface = interface["NetworkInterfaceId"]
        self.address = interface["PrivateIpAddress"]
        named = EC2.describe_network_interfaces(NetworkInterfaceIds=[self.interface])
        self.id = named["NetworkInterfaces"][0]["Attachment"]["InstanceId"]

    def terminate(self):
        if HAS_UPSTREAM:
            EC2.terminate_instances(InstanceIds=[self.id])
        else:
            EC2.delete_network_interface(NetworkInterfaceId=self.interface)


def send(method, path, body=None, accept="application/json"):
    url = f"{ENDPOINT}/_traffic-mirror/v1/{path}"
    headers = {"Accept": accept, "Content-Type": "application/octet-stream"}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    with urllib.request.urlopen(request) as response:
        return response.read()


def packed(address):
    return bytes(int(octet) for octet in address.split("."))


def udp_to(address, port=7000):
    """An Ethernet frame with a UDP datagram of 198.51.100.7 to this address and port."""
    datagram = struct.pack(">HHHH", 40000, port, 12, 0) + b"abcd"
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0)
    packet = header + packed("198.51.100.7") + packed(address) + datagram
    return bytes(12) + b"\x08\x00" + packet


def play(instance, *frames):
    """Plays frames through an interface. Returns the report."""
    body = b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)
    return json.loads(send("POST", f"network-interfaces/{instance.interface}/frames", body))


def take_copies(target):
    """Pairs of the session and the inner frame of each copy of a target. They are then removed."""
    lines = send("GET", f"targets/{target}/copies", accept="application/x-ndjson").splitlines()
    send("DELETE", f"targets/{target}/copies")
    copies = [json.loads(line) for line in lines]
    return [(copy["session"], base64.b64decode(copy["inner"])) for copy in copies]


def snapshot():
    return json.loads(send("GET", "snapshot"))


def reset():
    send("POST", "reset")
