"""Makes a tap device and writes frames to it as the guest of a virtual machine would.

usage: tap_feeder.py DEVICE

Reads records from standard input: a length of four bytes, little-endian, and so many bytes of a
virtio_net_hdr (ten bytes) and a frame. Prints `up` once the device exists, and the number of
frames that the device took at a record of length zero. The device goes away with the program,
which ends with its standard input.
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
    taken = 0
    while len(head := records.read(4)) == 4:
        (length,) = struct.unpack("<I", head)
        if length == 0:
            print(taken, flush=True)
            continue
        taken += os.write(tap, records.read(length)) == length


main()
