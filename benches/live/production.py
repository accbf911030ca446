"""What mirroring costs the mirrored host's own traffic: a TCP flow through h0 that is mirrored."""
import json
import os
import subprocess
import sys
from statistics import median

from lab import H0_ADDRESS

G0_ADDRESS = "10.98.1.2"
PORT = "5001"
FLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flow.py")
TECHNIQUES = ("nothing", "tc", "ours")


def search(lab, found, rounds, seconds, tell):
    """Bulk and round trips under each technique, in turn, in each round."""
    lab.ip(lab.gen, "addr", "add", f"{G0_ADDRESS}/24", "dev", "g0")
    server = lab.start(lab.host, [sys.executable, FLOW, "serve", H0_ADDRESS, PORT], stdout=subprocess.PIPE)
    server.stdout.readline()
    runs = []
    for number in range(1, rounds + 1):
        for name in filter(found.get, TECHNIQUES):
            tell(f"round {number} of {rounds}: {name}")
            with found[name](lab) as mirror:
                run = {"round": number, "technique": name,
                       "bulk": flow(lab, "bulk", seconds), "paced": flow(lab, "paced", seconds)}
                trips = flow(lab, "turns", seconds)
                run["p50_ns"], run["p99_ns"] = trips[len(trips) // 2], trips[len(trips) * 99 // 100]
            run["said"] = mirror.said
            runs.append(run)
    return runs


def flow(lab, what, seconds):
    process = lab.start(lab.gen, [sys.executable, FLOW, what, H0_ADDRESS, PORT, str(seconds)], stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=seconds + 30)
    return json.loads(out)


def table(runs):
    lines = ["A TCP flow through the mirrored interface; ratios to `nothing` of the same round, medians.", "",
             "technique   Gbit/s       x   paced       x  round trip p50 us       x  p99 us       x"]
    free = {run["round"]: run for run in runs if run["technique"] == "nothing"}
    for name in TECHNIQUES:
        own = [run for run in runs if run["technique"] == name]
        if own:
            cells = [cell for key, unit in (("bulk", 8e-9), ("paced", 8e-9), ("p50_ns", 1e-3), ("p99_ns", 1e-3))
                     for cell in (median(run[key] for run in own) * unit,
                                  median(run[key] / free[run["round"]][key] for run in own))]
            lines.append("{:<10} {:>7.2f} {:>7.2f} {:>7.2f} {:>7.2f}  {:>17.1f} {:>7.2f} {:>7.1f} {:>7.2f}".format(name, *cells))
    return "\n".join(lines)
