"""The techniques that are compared. Each is a context manager that mirrors the frames of h0."""
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
    """A running technique: its process, if it has one, and what the process printed, once it ended."""

    def __init__(self, process=None):
        self.process = process
        self.report = None


@contextlib.contextmanager
def nothing(_lab):
    yield Mirror()


@contextlib.contextmanager
def traffic_control(lab):
    """Mirroring by the kernel: u32 matches all frames of both directions, as ours does, and mirred
    copies them to a vxlan device that does not learn addresses."""
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


def program(command):
    """A technique that is a program which captures h0 and ends at SIGTERM."""
    @contextlib.contextmanager
    def running(lab):
        with tempfile.TemporaryFile("w+") as file:
            process = lab.start(lab.host, command, lab.mirror_cores, stdout=file, stderr=file)
            mirror = Mirror(process)
            try:
                if not lab.wait_for_capture(5) or process.poll() is not None:
                    raise RuntimeError(f"{shlex.join(command)}: does not capture h0: {read_all(file)[-500:]}")
                time.sleep(0.3)
                yield mirror
            finally:
                stop(process, signal.SIGTERM)
                mirror.report = parse_report(read_all(file))
    return running


def read_all(file):
    file.seek(0)
    return file.read().strip()


def parse_report(text):
    """The value if a program printed JSON, else the end of the text."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text[-2000:]


# More options of ours, such as --busy-poll; set by --options.
MORE_OPTIONS = []


def own_command(binary, *more):
    return [binary, "run", "--interface", "h0", "--target", TARGET, "--virtual-network-id", NETWORK_ID,
            "--report", "json", *MORE_OPTIONS, *more]


def help_of_run(binary):
    """The text of `run --help` and None, or None and why there is none."""
    if not os.access(binary, os.X_OK):
        return None, f"{binary} does not exist: run cargo build --release, or use --binary PATH"
    done = subprocess.run([binary, "run", "--help"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        return None, f"{binary} has no command `run`"
    return done.stdout, None


def agent_command(path, arguments):
    """packet-agent sends VXLAN by an extension. `arguments` replace ours, for other versions of it."""
    extension = {"ext_file_path": "libproto_vxlan.so",
                 "ext_params": {"remoteips": [TARGET], "bind_device": "m0", "pmtudisc_option": "dont",
                                "use_default_header": False, "vni": int(NETWORK_ID)}}
    default = ["-i", "h0", "--nofilter", "--proto-config", json.dumps(extension)]
    return [path, *(shlex.split(arguments) if arguments else default)]


def available(binary, agent, agent_arguments, before=None):
    """The techniques that can run here, by name, and a line about each that cannot."""
    techniques, missing = {"nothing": nothing, "tc": traffic_control}, []
    help_text, why_not = help_of_run(binary)
    options_of = {"pnet": ("--capture", "pnet"), "ours": (), "ours/128": ("--packet-length", "128"),
                  "kernel": ("--tier", "kernel"), "kernel/128": ("--tier", "kernel", "--packet-length", "128")}
    for name, options in options_of.items():
        if help_text is None or (options and options[0] not in help_text):
            missing.append(f"{name}: {why_not or f'{binary} run has no option {options[0]}'}")
        else:
            techniques[name] = program(own_command(binary, *options))
    if before:
        techniques["before"] = program(own_command(before))
        techniques["before/128"] = program(own_command(before, "--packet-length", "128"))
    if agent:
        techniques["packet-agent"] = program(agent_command(agent, agent_arguments))
    return techniques, missing
