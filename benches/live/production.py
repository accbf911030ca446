"""Measures what mirroring costs the traffic of the mirrored host itself: a TCP flow through h0."""
import json
import os
import subprocess
import sys
from statistics import median

from lab import H0_ADDRESS

G0_ADDRESS = "10.98.1.2"
PORT = "5001"
FLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flow.py")
TECHNIQUES = ("nothing", "tc", "ours", "kernel")
# The columns of the table: the key of a run, and the factor to the unit of the column.
COLUMNS = (("bulk", 8e-9), ("paced", 8e-9), ("p50_ns", 1e-3), ("p99_ns", 1e-3))


def search(lab, available, rounds, seconds, show_progress):
    """Bulk data and round trips with each technique, in turn, in each round."""
    lab.ip(lab.gen, "addr", "add", f"{G0_ADDRESS}/24", "dev", "g0")
    server = lab.start(lab.host, [sys.executable, FLOW, "serve", H0_ADDRESS, PORT], stdout=subprocess.PIPE)
    server.stdout.readline()  # "ready"
    runs = []
    for number in range(1, rounds + 1):
        for name in filter(available.get, TECHNIQUES):
            show_progress(f"round {number} of {rounds}: {name}")
            with available[name](lab) as mirror:
                run = {"round": number, "technique": name,
                       "bulk": run_flow(lab, "bulk", seconds), "paced": run_flow(lab, "paced", seconds)}
                times_ns = run_flow(lab, "round-trips", seconds)
                run["p50_ns"], run["p99_ns"] = times_ns[len(times_ns) // 2], times_ns[len(times_ns) * 99 // 100]
            run["report"] = mirror.report
            runs.append(run)
    return runs


def run_flow(lab, mode, seconds):
    """What flow.py prints for a mode."""
    process = lab.start(lab.gen, [sys.executable, FLOW, mode, H0_ADDRESS, PORT, str(seconds)], stdout=subprocess.PIPE)
    printed, _ = process.communicate(timeout=seconds + 30)
    return json.loads(printed)


def table(runs):
    lines = ["A TCP flow through the mirrored interface; medians, x is the ratio to `nothing` in the same round.", "",
             "technique   Gbit/s       x   paced       x  round trip p50 us       x  p99 us       x"]
    unmirrored = {run["round"]: run for run in runs if run["technique"] == "nothing"}
    for name in TECHNIQUES:
        own_runs = [run for run in runs if run["technique"] == name]
        if own_runs:
            cells = [cell for key, factor in COLUMNS
                     for cell in (median(run[key] for run in own_runs) * factor,
                                  median(run[key] / unmirrored[run["round"]][key] for run in own_runs))]
            row = "{:<10} {:>7.2f} {:>7.2f} {:>7.2f} {:>7.2f}  {:>17.1f} {:>7.2f} {:>7.1f} {:>7.2f}"
            lines.append(row.format(name, *cells))
    return "\n".join(lines)
