#!/usr/bin/env python3
"""The live benchmark: mirrors real interfaces of three network namespaces, and compares.

    cargo build --release && sudo benches/live/run.py

See README.md beside this file for what is measured and what to beware of.
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
import measure
import production
import tables
import techniques
from fingerprint import fingerprint
from lab import Lab
from lossless import search

# Techniques that cut copies to a PacketLength.
OURS = ("before", "ours")

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="rounds; all techniques run in turn in each (5)")
    add("--seconds", type=float, default=2, help="seconds of load in each run (2)")
    add("--binary", default=os.path.join(ROOT, "target/release/traffic-mirror"), metavar="PATH",
        help="traffic-mirror (target/release/traffic-mirror)")
    add("--before", metavar="PATH", help="also measure an earlier traffic-mirror, in the same rounds")
    add("--packet-agent", metavar="PATH", help="also measure packet-agent's pktminerg")
    add("--packet-agent-arguments", metavar="WORDS", help="what to call it with, instead of our guess")
    add("--options", metavar="WORDS", default="", help="more options of ours, as '--busy-poll'")
    add("--only", metavar="NAMES", help="techniques, by comma: nothing,tc,pnet,packet-agent,before,ours")
    add("--cases", metavar="NAMES", help="cases, by comma: 64,512,1400,mix,1400/128")
    add("--uso", choices=["on", "off"], default="off",
        help="UDP segmentation offload of the egress (off, as a card without it)")
    add("--no-latency", action="store_true", help="leave latency out")
    add("--no-pin", action="store_true", help="do not keep load and mirror on cores of their own")
    add("--lossless", action="store_true", help="search for the largest rate without loss instead")
    add("--production", action="store_true", help="measure a TCP flow through the mirrored interface instead")
    add("--changes", action="store_true", help="change sessions over the EC2 API meanwhile instead")
    add("--json", metavar="FILE", help="write every number of every run")
    return parser.parse_args()


def need_tools():
    """Says all that is missing at once, before anything is built."""
    lacking = [name for name in ("ip", "tc", "ethtool", os.environ.get("CC", "cc")) if not shutil.which(name)]
    if lacking:
        sys.exit(f"run.py: not installed: {', '.join(lacking)} (Debian: iproute2 ethtool gcc libc6-dev)")


def plan_of(options, found):
    """What runs in a round: pairs of case and technique, `nothing` first in each case."""
    cases = options.cases.split(",") if options.cases else [case.name for case in measure.CASES]
    only = options.only.split(",") if options.only else ["nothing", "tc", "pnet", "packet-agent", "before", "ours"]
    for case in measure.CASES:
        for name in only:
            if case.name not in cases or (case.packet_len and name not in ("nothing", "tc", *OURS)):
                continue
            if key_of(case, name) in found:
                yield case, name


def key_of(case, name):
    return f"{name}/128" if case.packet_len and name in OURS else name


def run_rounds(lab, programs, found, options):
    """All runs, each with its round, case and technique."""
    plan = list(plan_of(options, found))
    runs = []
    for number in range(1, options.rounds + 1):
        for case, name in plan:
            tell(f"round {number} of {options.rounds}: {case.name:>8} {name}")
            key = key_of(case, name)
            outcome = attempt(measure.throughput, lab, programs, found[key], case, options.seconds,
                              cut=key.endswith("/128"))
            runs.append({"round": number, "case": case.name, "technique": name, **outcome})
        if not options.no_latency:
            runs += run_latency(lab, programs, found, number, dict.fromkeys(name for _, name in plan))
    return runs


def run_latency(lab, programs, found, number, names):
    for name in names:
        if name in found:
            tell(f"round {number}: latency {name}")
            outcome = attempt(measure.latency, lab, programs, found[name], name, 1)
            yield {"round": number, "case": "latency", "technique": name, **outcome}


def attempt(measurement, *arguments, **more):
    """A technique that fails is said to fail; the others go on."""
    try:
        return measurement(*arguments, **more)
    except (RuntimeError, ValueError, OSError) as error:
        tell(f"FAILED: {error}", end="\n")
        return {"failed": str(error)}


def tell(text, end=""):
    if sys.stderr.isatty() or end:
        print(f"\r{text:60}", end=end, file=sys.stderr, flush=True)


def end_by_signal(number, _frame):
    """Leaves by way of every `finally`; a second signal does not interrupt the tearing down."""
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main():
    options = read_arguments()
    if os.geteuid():
        sys.exit("run.py: needs root, for namespaces and packet sockets")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
    need_tools()
    techniques.OWN_OPTIONS[:] = options.options.split()
    found, missing = techniques.available(options.binary, options.packet_agent, options.packet_agent_arguments,
                                          options.before)
    result = {"fingerprint": fingerprint(options), "missing": missing}
    print(tables.heading(result))
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Lab(options.uso == "on", not options.no_pin) as lab:
        programs = measure.build(folder)
        if options.lossless:
            result["lossless"] = search(lab, programs, found, options.seconds, tell)
        elif options.production:
            result["production"] = production.search(lab, found, options.rounds, options.seconds, tell)
        elif options.changes:
            runs = changes.search(lab, programs, options.binary, options.rounds, options.seconds, tell)
            result["changes"] = runs
        else:
            result["runs"] = run_rounds(lab, programs, found, options)
    tell("")
    result["took_seconds"] = round(time.monotonic() - begin)
    if options.lossless:
        print(tables.lossless(result["lossless"]))
    elif options.production:
        print(production.table(result["production"]))
    elif options.changes:
        print(changes.table(result["changes"]))
    else:
        result["summary"] = tables.summarize(result["runs"])
        print(tables.summary(result["summary"], result["runs"]))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(result, out, indent=1)


if __name__ == "__main__":
    main()
