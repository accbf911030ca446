"""One run: offers load while a technique mirrors, and says what came of it."""
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from lab import G0_MAC, H0_ADDRESS, OTHER_MAC, stop

OUTER_LEN = 50        # Ethernet 14, IPv4 20, UDP 8, VXLAN 8 (RFC 7348)
VXLAN_LEN = 8
DATAGRAM_HEADERS = OUTER_LEN - VXLAN_LEN
MIX_MEAN = (7 * 64 + 4 * 570 + 1400) / 12
LATENCY_RATE, LATENCY_SIZE = 10_000, 128
CORE_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PROBE_PATIENCE = 30


@dataclass(frozen=True)
class Case:
    """What is offered: a frame size or `mix`, flows, and the PacketLength asked of ours."""
    name: str
    size: str
    flows: int
    packet_len: int = 0

    def copy_len(self, cut):
        """Mean length of a copy on the wire."""
        frame_len = MIX_MEAN if self.size == "mix" else int(self.size)
        return OUTER_LEN + (min(frame_len, self.packet_len) if cut else frame_len)


CASES = [Case("64", "64", 1), Case("512", "512", 1), Case("1400", "1400", 1), Case("mix", "mix", 1000),
         Case("1400/128", "1400", 1, 128)]


def build(folder):
    """Compiles the load and the probe; returns their paths by name."""
    here = os.path.dirname(os.path.abspath(__file__))
    for name in ("load", "probe"):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-o", os.path.join(folder, name),
                        os.path.join(here, f"{name}.c")], check=True)
    return {name: os.path.join(folder, name) for name in ("load", "probe")}


def busy_ns():
    """Time that all cores were busy since boot: user, nice, system, irq and softirq."""
    with open("/proc/stat", encoding="ascii") as lines:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, lines.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * CORE_TICK_NS


def process_ns(pid):
    """User and system time of a process that still runs, of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as line:
        fields = line.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * CORE_TICK_NS


def children_ns():
    """Time of this program, and of the loads that it has waited for."""
    times = os.times()
    return int((times.children_user + times.children_system + times.user + times.system) * 1e9)


class Meter:
    """Reads all counters at once, and what they moved by since."""

    def __init__(self, lab, mirror):
        self.lab, self.mirror = lab, mirror
        self.begin = self.read()

    def read(self):
        arrived, _ = self.lab.received(self.lab.host, "h0")
        copies, copy_bytes = self.lab.received(self.lab.mon, "v0")
        known = children_ns()
        if self.mirror.process:
            known += process_ns(self.mirror.process.pid)
        return {"arrived": arrived, "copies": copies, "copy_bytes": copy_bytes,
                "busy_ns": busy_ns(), "known_ns": known}

    def moved(self):
        return {name: value - self.begin[name] for name, value in self.read().items()}

    def drained(self, patience=3):
        """What moved once no copy came for a while: buffers are empty, or the mirror hangs."""
        end = time.monotonic() + patience
        before = self.moved()
        while time.monotonic() < end:
            time.sleep(0.1)
            now = self.moved()
            if now["copies"] == before["copies"]:
                return now
            before = now
        return before


def load_words(programs, case, rate, seconds):
    return [programs["load"], "g0", G0_MAC, OTHER_MAC, H0_ADDRESS, case.size, str(case.flows),
            str(rate), str(seconds)]


def offer(lab, programs, case, rate, seconds, more=()):
    """Runs the load to its end; it bounds itself."""
    words = [*load_words(programs, case, rate, seconds), *more]
    process = lab.start(lab.gen, words, lab.load_cores, stdout=subprocess.PIPE)
    printed, _ = process.communicate()
    lab.started.remove(process)
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}")
    return json.loads(printed)


def copies_in(moved, case, uso, copy_len):
    """How many copies arrived. A super-frame of USO has one set of headers for many of them."""
    if not uso or case.size == "mix":
        return moved["copies"]
    payload = moved["copy_bytes"] - DATAGRAM_HEADERS * moved["copies"]
    return round(payload / (copy_len - DATAGRAM_HEADERS))


def throughput(lab, programs, technique, case, seconds, rate=0, cut=False):
    """One run of a technique under load; raw numbers, nothing subtracted."""
    with technique(lab) as mirror:
        meter = Meter(lab, mirror)
        load = offer(lab, programs, case, rate, seconds)
        at_end = meter.moved()
        after = meter.drained()
        died = mirror.process and mirror.process.poll() is not None
    if died:
        raise RuntimeError(f"the mirror ended by itself with {mirror.process.returncode}: {mirror.said}")
    copy_len = case.copy_len(cut)
    delivered = copies_in(after, case, lab.uso, copy_len)
    return {
        "asked": load["asked"], "offered": load["sent"], "refused": load["refused"],
        "arrived": after["arrived"], "seconds": load["nanoseconds"] / 1e9,
        "delivered": delivered,
        "delivered_by_end": copies_in(at_end, case, lab.uso, copy_len),
        "mean_copy_len": after["copy_bytes"] / after["copies"] if after["copies"] else None,
        "expected_copy_len": copy_len,
        "busy_ns": after["busy_ns"], "known_ns": after["known_ns"],
        "stray_ns": after["busy_ns"] - after["known_ns"],
        "report": mirror.said,
    }


def latency(lab, programs, technique, name, seconds):
    """From just before the send in gen until the kernel has the copy in mon (for `nothing`: in host)."""
    case = Case("latency", str(LATENCY_SIZE), 1)
    place = (lab.host, "h0", 0) if name == "nothing" else (lab.mon, "v0", OUTER_LEN)
    with technique(lab) as mirror:
        words = [programs["probe"], place[1], str(place[2]), str(PROBE_PATIENCE + int(seconds))]
        probe = lab.start(place[0], words, lab.mirror_cores, stdout=subprocess.PIPE)
        probe.stdout.readline()  # "ready"
        load = offer(lab, programs, case, LATENCY_RATE, seconds, ["stamp"])
        time.sleep(0.2)
        printed, _ = stop(probe, signal.SIGTERM)
        lab.started.remove(probe)
    found = json.loads(printed)
    return {"offered": load["sent"], **found, "report": mirror.said}
