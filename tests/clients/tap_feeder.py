"""Creates a tap device and writes frames to it as the guest of a virtual machine would.

usage: tap_feeder.py DEVICE

Reads records from standard input: a length (four bytes, little-endian), then a virtio_net_hdr (ten
bytes) and a frame, which have that length together. Prints `up` once the device exists, and, for a
record of length zero, the number of frames that the device accepted. The program ends at the end of
its standard input, and the device is then removed.
"""

import fcntl
import os
import struct
import sys

TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def main():
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR)
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        request = struct.pack("16sH22x", sys.argv[1].encode(), flags)
        fcntl.ioctl(tap, TUNSETIFF, request)
    except OSError as error:
        print(f"no tap device: {error}", flush=True)
        return
    print("up", flush=True)
    records = sys.stdin.buffer
    accepted = 0
    while len(head := records.read(4)) == 4:
        (length,) = struct.unpack("<I", head)
        if length == 0:
            print(accepted, flush=True)
            continue
        accepted += os.write(tap, records.read(length)) == length


main()
