"""The techniques that are compared: each is a context in which frames on h0 are mirrored."""
import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import time

from lab import M0_ADDRESS, TARGET, stop

NETWORK_ID = "42"
PORT = "4789"


class Mirror:
    """A technique while it runs: the process, where there is one, and what it said at its end."""

    def __init__(self, process=None):
        self.process = process
        self.said = None


@contextlib.contextmanager
def nothing(_lab):
    yield Mirror()


@contextlib.contextmanager
def traffic_control(lab):
    """The kernel's own way: u32 takes all of both directions, as ours does, and mirred copies to a
    vxlan device that learns nothing."""
    lab.ip(lab.host, "link", "add", "vx0", "type", "vxlan", "id", NETWORK_ID, "local", M0_ADDRESS,
           "remote", TARGET, "dstport", PORT, "dev", "m0", "nolearning", "noudpcsum")
    try:
        lab.ip(lab.host, "link", "set", "vx0", "up")
        lab.inside(lab.host, "tc", "qdisc", "add", "dev", "h0", "clsact")
        for direction in ("ingress", "egress"):
            lab.inside(lab.host, "tc", "filter", "add", "dev", "h0", direction, "protocol", "all",
                       "u32", "match", "u32", "0", "0", "action", "mirred", "egress", "mirror",
                       "dev", "vx0")
        yield Mirror()
    finally:
        subprocess.run(["tc", "-n", lab.host, "qdisc", "del", "dev", "h0", "clsact"],
                       stderr=subprocess.DEVNULL, check=False)
        lab.ip(lab.host, "link", "del", "vx0")


def program(words):
    """A technique that is a program which taps h0 and ends at SIGTERM."""
    @contextlib.contextmanager
    def running(lab):
        with tempfile.TemporaryFile("w+") as out:
            process = lab.start(lab.host, words, lab.mirror_cores, stdout=out, stderr=out)
            mirror = Mirror(process)
            try:
                if not lab.has_tap(5) or process.poll() is not None:
                    raise RuntimeError(f"{shlex.join(words)}: opens no tap on h0: {said(out)[-500:]}")
                time.sleep(0.3)
                yield mirror
            finally:
                stop(process, signal.SIGTERM)
                mirror.said = report(said(out))
    return running


def said(out):
    out.seek(0)
    return out.read().strip()


def report(text):
    """What a program printed: parsed where it is JSON."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text[-2000:]


# More options of ours, as --busy-poll; set by --options.
OWN_OPTIONS = []


def own_words(binary, *more):
    return [binary, "run", "--interface", "h0", "--target", TARGET, "--virtual-network-id", NETWORK_ID,
            "--report", "json", *OWN_OPTIONS, *more]


def own_help(binary):
    """What `run --help` says, or why there is none."""
    if not os.access(binary, os.X_OK):
        return None, f"{binary} is not there: cargo build --release, or --binary PATH"
    done = subprocess.run([binary, "run", "--help"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        return None, f"{binary} has no command `run`"
    return done.stdout, None


def agent_words(path, arguments):
    """packet-agent sends VXLAN by its extension; other versions want other arguments."""
    extension = {"ext_file_path": "libproto_vxlan.so",
                 "ext_params": {"remoteips": [TARGET], "bind_device": "m0", "pmtudisc_option": "dont",
                                "use_default_header": False, "vni": int(NETWORK_ID)}}
    own = ["-i", "h0", "--nofilter", "--proto-config", json.dumps(extension)]
    return [path, *(shlex.split(arguments) if arguments else own)]


def available(binary, agent, agent_arguments, before=None):
    """All techniques that can run here, by name, and a line about each that cannot."""
    found, missing = {"nothing": nothing, "tc": traffic_control}, []
    manual, why_not = own_help(binary)
    wanted = {"pnet": ("--capture", "pnet"), "ours": (), "ours/128": ("--packet-length", "128")}
    for name, more in wanted.items():
        if manual is None or (more and more[0] not in manual):
            missing.append(f"{name}: {why_not or f'{binary} run has no {more[0]}'}")
        else:
            found[name] = program(own_words(binary, *more))
    if before:
        found["before"] = program(own_words(before))
        found["before/128"] = program(own_words(before, "--packet-length", "128"))
    if agent:
        found["packet-agent"] = program(agent_words(agent, agent_arguments))
    return found, missing
