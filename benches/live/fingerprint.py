"""Describes the machine and the tools of a run, because numbers of different machines cannot be compared."""
import os
import platform
import subprocess


def first_line(*command):
    """The first line that a program prints, or `not installed`."""
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError:
        return "not installed"
    return done.stdout.strip().partition("\n")[0]


def cpu_fields():
    """The fields of /proc/cpuinfo; of all processors, the last one."""
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        pairs = (line.partition(":") for line in lines)
        return {name.strip(): value.strip() for name, _, value in pairs}


def read(path):
    """The text of a file, or `unknown` if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def fingerprint(options):
    """Machine, kernel, versions of the tools and the options of this run, by name."""
    cpu = cpu_fields()
    here = os.path.dirname(os.path.abspath(__file__))
    return {
        "processor": cpu.get("model name", platform.machine()),
        "cores": os.cpu_count(),
        "virtual": "hypervisor" in cpu.get("flags", "").split(),
        "memory_gib": memory_gib(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "kernel": f"{platform.release()} {platform.version()}",
        "load_before": os.getloadavg()[0],
        "iproute2": first_line("ip", "-V"),
        "compiler": first_line(os.environ.get("CC", "cc"), "--version"),
        "traffic_mirror": first_line(options.binary, "--version"),
        "commit": first_line("git", "-C", here, "describe", "--always", "--dirty"),
        "options": vars(options),
    }
