#!/usr/bin/env python3
"""Compares traffic-mirror with tcpdump, editcap and tcprewrite, from capture file to capture file.

    cargo build --release && benches/peers/file_to_file.py [ROUNDS] [PACKETS]

Writes captures of 64, 512 and 1,400-byte frames to /dev/shm (in memory, no disk) and runs the
programs on them in turn, as whole processes. Each does the work that comes closest to mirroring:
tcpdump filters by the same ports and writes 50 bytes less per packet, because it does not
encapsulate; editcap truncates, tcprewrite rewrites ports, cp only copies. The floor (floor.c, built
here with cc) only walks and copies records. traffic-mirror writes with one thread and with two.
Prints minimum and median in nanoseconds per packet, and the ratio of each minimum to that of
traffic-mirror with one thread.
"""
import os
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
PACKETS = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
BINARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../target/release/traffic-mirror")
PORTS = [80, 443, 22, 8080, 5432, 3306, 6379, 9200, 25, 110]
EXPRESSION = "tcp and (" + " or ".join(f"dst port {port}" for port in PORTS) + ")"


def write_capture(path, frame_len):
    """A pcap file of many flows: nine in ten packets are TCP to one of PORTS, the others UDP."""
    rng = random.Random(1)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for start in range(0, PACKETS, 10_000):
            block = bytearray()
            for number in range(start, min(start + 10_000, PACKETS)):
                protocol = 17 if rng.random() < 0.1 else 6
                headers = struct.pack(">6s6sHBBHHHBBH4s4sHH", b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 0x0800,
                                      0x45, 0, frame_len - 14, 0, 0x4000, 64, protocol, 0,
                                      bytes([10, rng.randrange(32), rng.randrange(256), 1]),
                                      b"\x0a\0\0\5", rng.randrange(1024, 65536), rng.choice(PORTS))
                block += struct.pack("<IIII", 1_700_000_000 + number // 1000, number % 1000, frame_len, frame_len)
                block += headers.ljust(frame_len, b"x")
            out.write(block)


def write_configuration(path):
    """Three sessions of ten rules each. Together they accept what EXPRESSION accepts."""
    with open(path, "w", encoding="ascii") as out:
        out.write('[[network_interface]]\nnetwork_interface_id = "eni"\n'
                  '[[traffic_mirror_target]]\ntraffic_mirror_target_id = "t"\naddress = "192.0.2.10"\n')
        for session in range(1, 4):
            out.write(f'[[traffic_mirror_session]]\nnetwork_interface_id = "eni"\n'
                      f'traffic_mirror_target_id = "t"\ntraffic_mirror_filter_id = "f{session}"\n'
                      f'session_number = {session}\nvirtual_network_id = {session}\n'
                      f'[[traffic_mirror_filter]]\ntraffic_mirror_filter_id = "f{session}"\n')
            source_cidr_block = ["10.0.0.0/13", "10.8.0.0/13", "0.0.0.0/0"][session - 1]
            for number, port in enumerate(PORTS, 1):
                out.write(f'[[traffic_mirror_filter.rule]]\ntraffic_direction = "ingress"\n'
                          f'rule_number = {number}\nrule_action = "accept"\nprotocol = 6\n'
                          f'source_cidr_block = "{source_cidr_block}"\ndestination_cidr_block = "0.0.0.0/0"\n'
                          f'destination_port_range = {{ from_port = {port}, to_port = {port} }}\n')


def ns_per_packet(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1e9 / PACKETS


def build_floor(folder):
    """The compiled floor.c; a name that does not exist if there is no C compiler."""
    floor = os.path.join(folder, "floor")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "floor.c")
    if shutil.which("cc"):
        subprocess.run(["cc", "-O3", "-march=native", "-o", floor, source], check=True)
    return floor


def compare(capture, configuration, out, floor):
    """Runs the programs in turn; returns the times of each by its name and its output."""

    def replay_with(workers):
        options = ["--config", configuration, "--workers", str(workers)]
        return [BINARY, "replay", capture, *options, "--write"]

    replay = replay_with(1)
    commands = {
        ("traffic-mirror", "/dev/null"): replay + ["/dev/null"],
        ("floor", "/dev/null"): [floor, capture, "/dev/null"],
        ("tcpdump", "/dev/null"): ["tcpdump", "-r", capture, "-w", "/dev/null", EXPRESSION],
        ("traffic-mirror", "tmpfs"): replay + [out],
        ("two threads", "tmpfs"): replay_with(2) + [out],
        ("floor", "tmpfs"): [floor, capture, out],
        ("tcpdump", "tmpfs"): ["tcpdump", "-r", capture, "-w", out, EXPRESSION],
        ("editcap -s 128", "tmpfs"): ["editcap", "-F", "pcap", "-s", "128", capture, out],
        ("tcprewrite", "tmpfs"): ["tcprewrite", "--portmap=1:2", f"--infile={capture}", f"--outfile={out}"],
        ("cp", "tmpfs"): ["cp", capture, out],
    }
    commands = {key: command for key, command in commands.items() if shutil.which(command[0])}
    times = {key: [] for key in commands}
    for _ in range(ROUNDS):
        for key, command in commands.items():
            if os.path.exists(out):
                os.remove(out)
            times[key].append(ns_per_packet(command))
    return times


def main():
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} does not exist: run cargo build --release first")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        configuration = os.path.join(folder, "mirror.toml")
        write_configuration(configuration)
        floor = build_floor(folder)
        for frame_len in (64, 512, 1400):
            capture = os.path.join(folder, "in.pcap")
            write_capture(capture, frame_len)
            times = compare(capture, configuration, os.path.join(folder, "out.pcap"), floor)
            print(f"{frame_len}-byte frames, {PACKETS} packets, {ROUNDS} rounds: ns per packet, min / median")
            for (program, output), program_times in times.items():
                own_min = min(times[("traffic-mirror", output)])
                lowest, median = min(program_times), statistics.median(program_times)
                print(f"  {program:16} to {output:10} {lowest:7.0f} / {median:7.0f}   {lowest / own_min:5.2f}x")


if __name__ == "__main__":
    main()
