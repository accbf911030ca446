"""The lab: three network namespaces, joined by veth pairs, that only this run uses.

    gen                    host                       mon
    g0 ------------------> h0   mirrored here
                           m0 ----------------------> v0   counted here
"""
import ctypes
import os
import signal
import subprocess
import time

G0_MAC, H0_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
# The load is for another host, so that receiving it costs the mirrored host next to nothing and
# what is measured is the mirror.
OTHER_MAC = "02:00:00:00:01:0a"
M0_MAC, V0_MAC = "02:00:00:00:02:01", "02:00:00:00:02:02"
# The neighbour entry of the target names a MAC that nobody has, so that the far kernel counts a
# copy and drops it at once: nothing answers with ICMP, and little is spent on the far side.
TARGET_MAC = "02:00:00:00:02:ff"
H0_ADDRESS, M0_ADDRESS, TARGET = "10.98.1.1", "10.99.1.1", "10.99.1.2"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None)


def run(*words):
    """Runs a command that has to succeed; what it complained of is in the error."""
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Lab:
    """Builds the namespaces on entry; ends what it started and takes them down on exit."""

    def __init__(self, uso, pin):
        prefix = f"tm-live-{os.getpid()}"
        self.gen, self.host, self.mon = (f"{prefix}-{name}" for name in ("gen", "host", "mon"))
        self.uso = uso
        cores = sorted(os.sched_getaffinity(0))
        apart = pin and len(cores) > 1
        self.load_cores = set(cores[:1]) if apart else set(cores)
        self.mirror_cores = set(cores[1:]) if apart else set(cores)
        self.started = []
        self.sitters = {}

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.tear_down()
            raise
        return self

    def __exit__(self, *_):
        self.tear_down()

    def build(self):
        for name in (self.gen, self.host, self.mon):
            run("ip", "netns", "add", name)
            # before any device is up: no neighbour discovery, no router solicitation
            self.write(name, "net/ipv6/conf/default/disable_ipv6", "1", may_lack=True)
            self.write(name, "net/ipv6/conf/all/disable_ipv6", "1", may_lack=True)
            self.sit(name)
        self.cable(self.gen, "g0", G0_MAC, self.host, "h0", H0_MAC)
        self.cable(self.host, "m0", M0_MAC, self.mon, "v0", V0_MAC)
        self.ip(self.host, "addr", "add", f"{H0_ADDRESS}/24", "dev", "h0")
        self.ip(self.host, "addr", "add", f"{M0_ADDRESS}/24", "dev", "m0")
        self.ip(self.mon, "addr", "add", f"{TARGET}/24", "dev", "v0")
        self.ip(self.host, "neigh", "add", TARGET, "lladdr", TARGET_MAC, "dev", "m0", "nud", "permanent")
        # The load comes from addresses without a way back: once mirrored, the host drops it
        # (RFC 3704), and answers nothing.
        self.write(self.host, "net/ipv4/conf/all/rp_filter", "1")
        self.write(self.host, "net/ipv4/conf/h0/rp_filter", "1")
        self.set_offloads()

    def sit(self, name):
        """Keeps a process in a namespace, through whose /proc its counters can be read cheaply."""
        sitter = self.sitters[name] = self.start(name, ["sleep", "infinity"])
        while sitter.poll() is None:
            with open(f"/proc/{sitter.pid}/comm", encoding="ascii") as comm:
                if comm.read() == "sleep\n":
                    return  # until then it is `ip`, perhaps not yet inside
            time.sleep(0.002)
        raise RuntimeError(f"nothing runs in {name}")

    def cable(self, left, left_device, left_mac, right, right_device, right_mac):
        run("ip", "link", "add", left_device, "netns", left, "address", left_mac, "type", "veth",
            "peer", "name", right_device, "netns", right, "address", right_mac)
        for name, device in ((left, left_device), (right, right_device)):
            self.ip(name, "link", "set", device, "mtu", "1500", "up")

    def set_offloads(self):
        """What a card without segmentation offload for UDP does: GSO is cut before the wire."""
        uso = "on" if self.uso else "off"
        self.inside(self.host, "ethtool", "-K", "m0", "tx-udp-segmentation", uso)
        # The load comes as super-frames, cut and with finished checksums on the wire to the host.
        self.inside(self.gen, "ethtool", "-K", "g0", "tx-udp-segmentation", "off", "tx", "off")
        # GRO would make the veth poll by NAPI on another core and join what was cut.
        self.inside(self.host, "ethtool", "-K", "h0", "gro", "off")
        self.inside(self.mon, "ethtool", "-K", "v0", "gro", "off")

    def tear_down(self):
        for process in reversed(self.started):
            stop(process, signal.SIGKILL)
        for name in (self.gen, self.host, self.mon):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def ip(self, name, *words):
        return run("ip", "-n", name, *words)

    def inside(self, name, *words):
        return run("ip", "netns", "exec", name, *words)

    def write(self, name, path, value, may_lack=False):
        test = f"[ ! -e /proc/sys/{path} ] || " if may_lack else ""
        self.inside(name, "sh", "-c", f"{test}echo {value} > /proc/sys/{path}")

    def start(self, name, words, cores=None, **streams):
        """Starts a program in a namespace; it dies with this one, even where that is killed."""
        def before_exec():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if cores:
                os.sched_setaffinity(0, cores)
        # `ip netns exec` becomes the program, so its pid is the program's
        process = subprocess.Popen(["ip", "netns", "exec", name, *words], text=True,
                                   preexec_fn=before_exec, **streams)
        self.started.append(process)
        return process

    def received(self, name, device):
        """Packets and bytes that a device has received. Costs one read of a file."""
        with open(f"/proc/{self.sitters[name].pid}/net/dev", encoding="ascii") as lines:
            for line in lines:
                found, _, numbers = line.partition(":")
                if found.strip() == device:
                    numbers = numbers.split()
                    return int(numbers[1]), int(numbers[0])
        raise RuntimeError(f"no device {device} in {name}")

    def has_tap(self, timeout):
        """Waits until some program listens on h0 by a packet socket."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with open(f"/proc/{self.sitters[self.host].pid}/net/packet", encoding="ascii") as lines:
                # columns: sk RefCnt Type Proto Iface R Rmem User Inode
                if any(words[4] != "0" and words[5] == "1" for words in map(str.split, list(lines)[1:])):
                    return True
            time.sleep(0.05)
        return False


def stop(process, how=signal.SIGTERM, patience=5):
    """Ends a program that we started, the hard way where it does not end by itself."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()
