"""Three network namespaces that only this run uses, connected by veth pairs.

    gen                    host                       mon
    g0 ------------------> h0   mirrored here
                           m0 ----------------------> v0   copies counted here
"""
import ctypes
import os
import signal
import subprocess
import time

G0_MAC, H0_MAC = "02:00:00:00:01:01", "02:00:00:00:01:02"
# The load has the MAC of another host, so that the mirrored host spends almost nothing on receiving
# it and the cost of the mirror is measured.
OTHER_MAC = "02:00:00:00:01:0a"
M0_MAC, V0_MAC = "02:00:00:00:02:01", "02:00:00:00:02:02"
# The neighbour entry of the target has a MAC that no device has. So the kernel of mon counts a copy
# and drops it at once, without an ICMP error and at little cost.
TARGET_MAC = "02:00:00:00:02:ff"
H0_ADDRESS, M0_ADDRESS, TARGET = "10.98.1.1", "10.99.1.1", "10.99.1.2"
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None)


def run(*command):
    """Runs a command and returns its output; raises RuntimeError with its errors if it fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Lab:
    """Creates the namespaces on entry. Ends the processes that it started and deletes them on exit."""

    def __init__(self, uso, pin):
        prefix = f"tm-live-{os.getpid()}"
        self.gen, self.host, self.mon = (f"{prefix}-{name}" for name in ("gen", "host", "mon"))
        self.uso = uso
        cores = sorted(os.sched_getaffinity(0))
        is_split = pin and len(cores) > 1
        self.load_cores = set(cores[:1]) if is_split else set(cores)
        self.mirror_cores = set(cores[1:]) if is_split else set(cores)
        self.started = []
        self.holders = {}

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
            self.write_sysctl(name, "net/ipv6/conf/default/disable_ipv6", "1", ignore_missing=True)
            self.write_sysctl(name, "net/ipv6/conf/all/disable_ipv6", "1", ignore_missing=True)
            self.start_holder(name)
        self.connect((self.gen, "g0", G0_MAC), (self.host, "h0", H0_MAC))
        self.connect((self.host, "m0", M0_MAC), (self.mon, "v0", V0_MAC))
        self.ip(self.host, "addr", "add", f"{H0_ADDRESS}/24", "dev", "h0")
        self.ip(self.host, "addr", "add", f"{M0_ADDRESS}/24", "dev", "m0")
        self.ip(self.mon, "addr", "add", f"{TARGET}/24", "dev", "v0")
        self.ip(self.host, "neigh", "add", TARGET, "lladdr", TARGET_MAC, "dev", "m0", "nud", "permanent")
        # The host has no route to the source addresses of the load. So it drops the load after it
        # was mirrored (strict reverse path filtering, RFC 3704), and sends no response.
        self.write_sysctl(self.host, "net/ipv4/conf/all/rp_filter", "1")
        self.write_sysctl(self.host, "net/ipv4/conf/h0/rp_filter", "1")
        self.set_offloads()

    def start_holder(self, name):
        """Starts a process in a namespace. Its /proc gives access to the counters at little cost."""
        holder = self.holders[name] = self.start(name, ["sleep", "infinity"])
        while holder.poll() is None:
            with open(f"/proc/{holder.pid}/comm", encoding="ascii") as comm:
                if comm.read() == "sleep\n":
                    return  # before, it is `ip`, perhaps not yet in the namespace
            time.sleep(0.002)
        raise RuntimeError(f"the process in the namespace {name} ended with {holder.returncode}")

    def connect(self, left, right):
        """Connects two (namespace, device, MAC) by a veth pair."""
        (name, device, mac), (peer_name, peer_device, peer_mac) = left, right
        run("ip", "link", "add", device, "netns", name, "address", mac, "type", "veth",
            "peer", "name", peer_device, "netns", peer_name, "address", peer_mac)
        self.ip(name, "link", "set", device, "mtu", "1500", "up")
        self.ip(peer_name, "link", "set", peer_device, "mtu", "1500", "up")

    def set_offloads(self):
        """Makes the devices behave like cards without UDP segmentation offload: the kernel cuts
        super-frames before they are sent."""
        uso = "on" if self.uso else "off"
        self.inside(self.host, "ethtool", "-K", "m0", "tx-udp-segmentation", uso)
        # The super-frames of the load are cut, and their checksums completed, before h0 gets them.
        self.inside(self.gen, "ethtool", "-K", "g0", "tx-udp-segmentation", "off", "tx", "off")
        # With GRO, the veth would use NAPI, poll on another core and join the cut frames again.
        self.inside(self.host, "ethtool", "-K", "h0", "gro", "off")
        self.inside(self.mon, "ethtool", "-K", "v0", "gro", "off")

    def tear_down(self):
        for process in reversed(self.started):
            stop(process, signal.SIGKILL)
        for name in (self.gen, self.host, self.mon):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def ip(self, name, *arguments):
        return run("ip", "-n", name, *arguments)

    def inside(self, name, *command):
        return run("ip", "netns", "exec", name, *command)

    def write_sysctl(self, name, path, value, ignore_missing=False):
        test = f"[ ! -e /proc/sys/{path} ] || " if ignore_missing else ""
        self.inside(name, "sh", "-c", f"{test}echo {value} > /proc/sys/{path}")

    def start(self, name, command, cores=None, **streams):
        """Starts a program in a namespace. It ends when this program ends, even by SIGKILL."""
        def before_exec():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if cores:
                os.sched_setaffinity(0, cores)
        # `ip netns exec` replaces itself by the program, so its pid is that of the program
        process = subprocess.Popen(["ip", "netns", "exec", name, *command], text=True,
                                   preexec_fn=before_exec, **streams)
        self.started.append(process)
        return process

    def received(self, name, device):
        """Packets and bytes that a device has received. Costs one read of a file."""
        with open(f"/proc/{self.holders[name].pid}/net/dev", encoding="ascii") as lines:
            for line in lines:
                line_device, _, numbers = line.partition(":")
                if line_device.strip() == device:
                    numbers = numbers.split()
                    return int(numbers[1]), int(numbers[0])
        raise RuntimeError(f"no device {device} in {name}")

    def wait_for_capture(self, timeout):
        """Waits until a program captures a device of the host, by a packet socket or by programs of
        the kernel tier, which has a pad. Returns whether one does within `timeout` seconds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            with open(f"/proc/{self.holders[self.host].pid}/net/packet", encoding="ascii") as lines:
                # columns: sk RefCnt Type Proto Iface R Rmem User Inode
                if any(columns[4] != "0" and columns[5] == "1" for columns in map(str.split, list(lines)[1:])):
                    return True
            with open(f"/proc/{self.holders[self.host].pid}/net/dev", encoding="ascii") as lines:
                if any(line.split(":")[0].strip().endswith("-pad") for line in lines):
                    time.sleep(0.5)  # the programs are attached after the pad is there
                    return True
            time.sleep(0.05)
        return False


def stop(process, how=signal.SIGTERM, timeout=5):
    """Ends a program by a signal, and by SIGKILL if it runs for `timeout` more seconds. Returns its
    output and errors, as far as they are pipes."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()
