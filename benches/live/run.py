#!/usr/bin/env python3
"""The live benchmark: mirrors a real interface between network namespaces, and compares techniques.

    cargo build --release && sudo benches/live/run.py

README.md in this folder says what is measured and how to read the results.
"""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import changes
import lossless
import measure
import production
import tables
import techniques
from fingerprint import fingerprint
from lab import Lab

TECHNIQUES = ("nothing", "tc", "pnet", "packet-agent", "before", "ours", "kernel")

# Techniques that truncate copies to a PacketLength.
TRUNCATING = ("before", "ours", "kernel")

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="rounds; each runs all techniques in turn (5)")
    add("--seconds", type=float, default=2, help="seconds of load in each run (2)")
    add("--binary", default=os.path.join(ROOT, "target/release/traffic-mirror"), metavar="PATH",
        help="traffic-mirror (target/release/traffic-mirror)")
    add("--before", metavar="PATH", help="also measure an earlier traffic-mirror, in the same rounds")
    add("--packet-agent", metavar="PATH", help="also measure packet-agent's pktminerg")
    add("--packet-agent-arguments", metavar="WORDS", help="arguments for packet-agent, instead of the default ones")
    add("--options", metavar="WORDS", default="", help="more options for traffic-mirror run, such as '--busy-poll'")
    add("--only", metavar="NAMES", help=f"techniques, by comma: {','.join(TECHNIQUES)}")
    add("--cases", metavar="NAMES", help=f"cases, by comma: {','.join(case.name for case in measure.CASES)}")
    add("--uso", choices=["on", "off"], default="off",
        help="UDP segmentation offload of the egress device (off, as a card without it)")
    add("--no-latency", action="store_true", help="do not measure latency")
    add("--no-pin", action="store_true", help="do not pin load and mirror to separate cores")
    add("--lossless", action="store_true", help="instead, search for the largest rate without loss")
    add("--production", action="store_true", help="instead, measure a TCP flow through the mirrored interface")
    add("--changes", action="store_true", help="instead, measure while sessions change over the EC2 API")
    add("--json", metavar="FILE", help="write all numbers of all runs to this file")
    options = parser.parse_args()
    check_names(parser, "--only", options.only, TECHNIQUES)
    check_names(parser, "--cases", options.cases, [case.name for case in measure.CASES])
    return options


def check_names(parser, option, names, known):
    """Ends the program if one of the names is not known."""
    for name in names.split(",") if names else []:
        if name not in known:
            parser.error(f"{option} {name}: expected some of {', '.join(known)}")


def check_tools():
    """Ends the program with the names of all missing tools, before anything is built."""
    missing = [name for name in ("ip", "tc", "ethtool", os.environ.get("CC", "cc")) if not shutil.which(name)]
    if missing:
        sys.exit(f"run.py: not installed: {', '.join(missing)} (Debian: iproute2 ethtool gcc libc6-dev)")


def runs_of_a_round(options, available):
    """Pairs of a case and a technique, `nothing` first in each case."""
    cases = options.cases.split(",") if options.cases else [case.name for case in measure.CASES]
    names = options.only.split(",") if options.only else TECHNIQUES
    for case in measure.CASES:
        for name in names:
            if case.name not in cases or (case.packet_len and name not in ("nothing", "tc", *TRUNCATING)):
                continue
            if key_of(case, name) in available:
                yield case, name


def key_of(case, name):
    """The key in techniques.available; a truncating technique has one of its own for a PacketLength."""
    return f"{name}/128" if case.packet_len and name in TRUNCATING else name


def run_rounds(lab, programs, available, options):
    """All runs, each with its round, case and technique."""
    pairs = list(runs_of_a_round(options, available))
    runs = []
    for number in range(1, options.rounds + 1):
        for case, name in pairs:
            show_progress(f"round {number} of {options.rounds}: {case.name:>8} {name}")
            key = key_of(case, name)
            outcome = attempt(measure.throughput, lab, programs, available[key], case, options.seconds,
                              is_truncated=key.endswith("/128"))
            runs.append({"round": number, "case": case.name, "technique": name, **outcome})
        if not options.no_latency:
            runs += run_latency(lab, programs, available, number, dict.fromkeys(name for _, name in pairs))
    return runs


def run_latency(lab, programs, available, number, names):
    for name in names:
        if name in available:
            show_progress(f"round {number}: latency {name}")
            outcome = attempt(measure.latency, lab, programs, available[name], name, 1)
            yield {"round": number, "case": "latency", "technique": name, **outcome}


def attempt(measurement, *arguments, **options):
    """The result of a measurement, or its error, so that the other measurements go on."""
    try:
        return measurement(*arguments, **options)
    except (RuntimeError, ValueError, OSError) as error:
        show_progress(f"FAILED: {error}", end="\n")
        return {"failed": str(error)}


def show_progress(text, end=""):
    """Replaces the current line of a terminal. Prints only complete lines if standard error is not one."""
    if sys.stderr.isatty() or end:
        print(f"\r{text:60}", end=end, file=sys.stderr, flush=True)


def end_by_signal(number, _frame):
    """Ends the program through every `finally`. More signals do not interrupt the deletion of the namespaces."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def run_measurements(options, available, result):
    """Adds the numbers of the chosen benchmark to `result`. Returns them as text."""
    with tempfile.TemporaryDirectory() as folder, Lab(options.uso == "on", not options.no_pin) as lab:
        programs = measure.build(folder)
        if options.lossless:
            result["lossless"] = lossless.search(lab, programs, available, options.seconds, show_progress)
            return tables.lossless(result["lossless"])
        if options.production:
            result["production"] = production.search(lab, available, options.rounds, options.seconds, show_progress)
            return production.table(result["production"])
        if options.changes:
            result["changes"] = changes.search(lab, programs, options.binary, options.rounds, options.seconds,
                                               show_progress)
            return changes.table(result["changes"])
        result["runs"] = run_rounds(lab, programs, available, options)
        result["summary"] = tables.summarize(result["runs"])
        return tables.summary(result["summary"], result["runs"])


def main():
    options = read_arguments()
    if os.geteuid():
        sys.exit("run.py: needs root, for network namespaces and packet sockets")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    check_tools()
    techniques.MORE_OPTIONS[:] = options.options.split()
    available, missing = techniques.available(options.binary, options.packet_agent, options.packet_agent_arguments,
                                              options.before)
    result = {"fingerprint": fingerprint(options), "missing": missing}
    print(tables.heading(result))
    begin = time.monotonic()
    text = run_measurements(options, available, result)
    show_progress("")
    result["took_seconds"] = round(time.monotonic() - begin)
    print(text)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
