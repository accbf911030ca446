"""AWS VPC Traffic Mirroring in tests, without AWS and without root.

`Lab` starts the command `traffic-mirror lab`, an EC2 endpoint whose network interfaces exist only
in memory. Create sessions in it with boto3, play a capture through an interface, and compare the
copies that the sessions make::

    with Lab(network_interfaces={"eni-0a1b2c3d4e5f60718": "10.0.0.5"}) as lab:
        ec2 = lab.client("ec2")
        ...
        for copy in lab.play("eni-0a1b2c3d4e5f60718", "trace.pcap"):
            print(copy.vni, copy.inner)
"""

from __future__ import annotations

from ._binary import find_binary
from ._capture import Frame
from ._copies import Copies, Copy
from ._errors import LabError, LabStartError
from ._events import Event, EventStream
from ._lab import Lab
from ._play import Decision, PlayResult

__all__ = [
    "Copies",
    "Copy",
    "Decision",
    "Event",
    "EventStream",
    "Frame",
    "Lab",
    "LabError",
    "LabStartError",
    "PlayResult",
    "find_binary",
]
