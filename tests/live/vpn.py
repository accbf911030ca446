"""A VPN client such as OpenVPN or tailscaled: sends packets of a tun device as encrypted UDP.

Usage: vpn.py DEVICE PEER PORT; ends after 30 seconds.
"""
import fcntl
import os
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 1
IFF_NO_PI = 0x1000

device, peer, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI) + b"\0" * 22)
outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("up", flush=True)
end = time.monotonic() + 30
while time.monotonic() < end:
    if select.select([tun], [], [], 0.1)[0]:
        packet = os.read(tun, 65536)
        # XOR replaces encryption: the packet inside cannot be recognised.
        outer.sendto(bytes(byte ^ 0x5A for byte in packet), (peer, port))
