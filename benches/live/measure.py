"""Measures one run: sends a load while a technique mirrors, and reads all counters before and after."""
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from lab import G0_MAC, H0_ADDRESS, OTHER_MAC, stop

OUTER_LEN = 50        # Ethernet 14, IPv4 20, UDP 8, VXLAN 8 (RFC 7348)
VXLAN_LEN = 8
DATAGRAM_HEADERS_LEN = OUTER_LEN - VXLAN_LEN
MIX_MEAN = (7 * 64 + 4 * 570 + 1400) / 12
LATENCY_RATE, LATENCY_SIZE = 10_000, 128
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PROBE_MARGIN_SECONDS = 30


@dataclass(frozen=True)
class Case:
    """A load: a frame size in bytes or `mix`, the number of flows, and the PacketLength of ours."""
    name: str
    size: str
    flows: int
    packet_len: int = 0

    def copy_len(self, is_truncated):
        """The mean length in bytes of a copy on the wire."""
        frame_len = MIX_MEAN if self.size == "mix" else int(self.size)
        return OUTER_LEN + (min(frame_len, self.packet_len) if is_truncated else frame_len)


CASES = [Case("64", "64", 1), Case("512", "512", 1), Case("1400", "1400", 1), Case("mix", "mix", 1000),
         Case("1400/128", "1400", 1, 128)]


def build(folder):
    """Compiles the load and the probe. Returns their paths by name."""
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("load", "probe"):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-o", os.path.join(folder, name),
                        os.path.join(here, f"{name}.c")], check=True)
    return {name: os.path.join(folder, name) for name in ("load", "probe")}


def busy_ns():
    """Time that all cores were busy since boot: user, nice, system, irq and softirq."""
    with open("/proc/stat", encoding="ascii") as lines:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, lines.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * TICK_NS


def process_ns(pid):
    """User and system time of a running process, of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as line:
        fields = line.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_NS


def own_ns():
    """User and system time of this program and of the ended processes that it started, such as loads."""
    times = os.times()
    return int((times.children_user + times.children_system + times.user + times.system) * 1e9)


class Meter:
    """Reads all counters, and how much they have grown since the meter was created."""

    def __init__(self, lab, mirror):
        self.lab, self.mirror = lab, mirror
        self.begin = self.read()

    def read(self):
        arrived, _ = self.lab.received(self.lab.host, "h0")
        copies, copy_bytes = self.lab.received(self.lab.mon, "v0")
        known_ns = own_ns()
        if self.mirror.process:
            known_ns += process_ns(self.mirror.process.pid)
        return {"arrived": arrived, "copies": copies, "copy_bytes": copy_bytes,
                "busy_ns": busy_ns(), "known_ns": known_ns}

    def growth(self):
        return {name: value - self.begin[name] for name, value in self.read().items()}

    def growth_when_drained(self, timeout=3):
        """The growth once no copy has arrived for 100 ms, or after `timeout` seconds."""
        end = time.monotonic() + timeout
        before = self.growth()
        while time.monotonic() < end:
            time.sleep(0.1)
            now = self.growth()
            if now["copies"] == before["copies"]:
                return now
            before = now
        return before


def run_load(lab, programs, case, rate, seconds, stamp=False):
    """Runs the load, which ends by itself. Returns what it prints."""
    command = [programs["load"], "g0", G0_MAC, OTHER_MAC, H0_ADDRESS, case.size, str(case.flows),
               str(rate), str(seconds), *(["stamp"] if stamp else [])]
    process = lab.start(lab.gen, command, lab.load_cores, stdout=subprocess.PIPE)
    printed, _ = process.communicate()
    lab.started.remove(process)
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}")
    return json.loads(printed)


def number_of_copies(growth, case, uso, copy_len):
    """The number of copies that arrived. A super-frame of USO has one set of headers for many copies."""
    if not uso or case.size == "mix":
        return growth["copies"]
    payload_len = growth["copy_bytes"] - DATAGRAM_HEADERS_LEN * growth["copies"]
    return round(payload_len / (copy_len - DATAGRAM_HEADERS_LEN))


def throughput(lab, programs, technique, case, seconds, rate=0, is_truncated=False):
    """One run of a technique with load. The numbers include the cost of the load."""
    with technique(lab) as mirror:
        meter = Meter(lab, mirror)
        load = run_load(lab, programs, case, rate, seconds)
        at_end = meter.growth()
        after = meter.growth_when_drained()
        has_died = mirror.process and mirror.process.poll() is not None
    if has_died:
        raise RuntimeError(f"the mirror ended by itself with {mirror.process.returncode}: {mirror.report}")
    copy_len = case.copy_len(is_truncated)
    return {
        "asked": load["asked"], "offered": load["sent"], "refused": load["refused"],
        "arrived": after["arrived"], "seconds": load["nanoseconds"] / 1e9,
        "delivered": number_of_copies(after, case, lab.uso, copy_len),
        "delivered_by_end": number_of_copies(at_end, case, lab.uso, copy_len),
        "mean_copy_len": after["copy_bytes"] / after["copies"] if after["copies"] else None,
        "expected_copy_len": copy_len,
        "busy_ns": after["busy_ns"], "known_ns": after["known_ns"],
        "stray_ns": after["busy_ns"] - after["known_ns"],
        "report": mirror.report,
    }


def latency(lab, programs, technique, name, seconds):
    """The time from just before a frame is sent in gen until the kernel of mon has received its copy
    (for `nothing`: until the kernel of host has received the frame)."""
    case = Case("latency", str(LATENCY_SIZE), 1)
    namespace, device, offset = (lab.host, "h0", 0) if name == "nothing" else (lab.mon, "v0", OUTER_LEN)
    with technique(lab) as mirror:
        command = [programs["probe"], device, str(offset), str(PROBE_MARGIN_SECONDS + int(seconds))]
        probe = lab.start(namespace, command, lab.mirror_cores, stdout=subprocess.PIPE)
        probe.stdout.readline()  # "ready"
        load = run_load(lab, programs, case, LATENCY_RATE, seconds, stamp=True)
        time.sleep(0.2)
        printed, _ = stop(probe, signal.SIGTERM)
        lab.started.remove(probe)
    return {"offered": load["sent"], **json.loads(printed), "report": mirror.report}
