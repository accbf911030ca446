#!/usr/bin/env python3
"""DPDK's packet classifier (librte_acl, through Debian's dpdk-test-acl) against ours.

    cargo build --release
    benches/peers/rte_acl.sh ../shared/classbench/acl1_1k.xz ../shared/classbench/acl1_1k_trace.xz

Takes pairs of rules and traces in the format of ClassBench, plain or packed with xz. Both programs
get the same files and run pinned to one processor, in turn, several rounds; the figure of either is
its lowest, and the ratio is that of DPDK's best method to ours.

dpdk-test-acl reports cycles a packet over all iterations, counted by the time stamp counter; they
become nanoseconds by the seconds that it reports beside them. Its rules stand in a trie of four
categories at most; one is built and asked, in groups of 256 packets.
"""

import argparse
import json
import lzma
import math
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

METHODS = ["scalar", "sse", "avx2", "avx512x16", "avx512x32"]
FOUND = re.compile(r"(\d+) pkts, 1 categories, (\d+) cycles \([\d.]+ sec\), ([\d.]+) cycles/pkt, ([\d.]+) pkt/sec")
LONGEST = 180  # seconds for one run of either


def text_of(path):
    raw = pathlib.Path(path).read_bytes()
    return (lzma.decompress(raw) if path.endswith(".xz") else raw).decode()


def half_random(lines, seed):
    """Every second header replaced by uniformly random fields."""
    draw = random.Random(seed)
    for place, line in enumerate(lines):
        if place % 2 == 0:
            yield line
            continue
        protocol = draw.choice([6, 17, 1, draw.randrange(256)])
        ends = [draw.getrandbits(32), draw.getrandbits(32), draw.getrandbits(16), draw.getrandbits(16)]
        yield [str(field) for field in ends + [protocol]]


def prepare(rules, trace, folder, arguments):
    """The files that both read: five columns, which is what both understand."""
    lines = [line.split("\t")[:5] for line in text_of(rules).splitlines() if line.strip()]
    (folder / "rules").write_text("".join("\t".join(line) + "\n" for line in lines))
    headers = [line.split()[:5] for line in text_of(trace).splitlines() if line.strip()]
    if arguments.half_random:
        headers = list(half_random(headers, arguments.seed))
    (folder / "trace").write_text("".join("\t".join(line) + "\n" for line in headers))
    return len(lines), len(headers)


def pinned(command, cpu):
    done = subprocess.run(["taskset", "-c", str(cpu), *command], capture_output=True, text=True, timeout=LONGEST)
    return done.returncode, done.stdout + done.stderr


def of_dpdk(method, folder, sizes, arguments):
    rules, headers = sizes
    # Long enough that the start does not count: two million packets and more.
    iterations = max(2, math.ceil(2_000_000 / headers))
    command = ["dpdk-test-acl", "--no-huge", "--no-pci", "--no-telemetry", "-l", str(arguments.cpu), "-m",
               str(arguments.memory), "--", f"--rulesf={folder / 'rules'}", f"--tracef={folder / 'trace'}",
               f"--rulenum={rules + 16}", f"--tracenum={headers + 16}", f"--alg={method}",
               f"--iter={iterations}", "--verbose=1"]
    try:
        _, said = pinned(command, arguments.cpu)
    except subprocess.TimeoutExpired:
        return None
    found = FOUND.search(said)
    return 1e9 / float(found.group(4)) if found else None


def of_ours(folder, arguments):
    command = [arguments.ours, "bench", "--classbench", str(folder / "rules"), "--trace", str(folder / "trace"),
               "--sessions", str(arguments.sessions), "--engine", arguments.engine, "--stages", "classify",
               "--rounds", "9", "--format", "json"]
    status, said = pinned(command, arguments.cpu)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed:\n{said}")
    run = json.loads(said)["runs"][0]
    return run["engine"], run["stages"][0]["ns_per_packet"]["min"]


def compare(rules, trace, arguments):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sizes = prepare(rules, trace, folder, arguments)
        theirs, ours, engine = {}, [], ""
        for _ in range(arguments.rounds):
            for method in METHODS:
                taken = of_dpdk(method, folder, sizes, arguments)
                if taken is not None:
                    theirs.setdefault(method, []).append(taken)
            engine, taken = of_ours(folder, arguments)
            ours.append(taken)
    if not theirs:
        sys.exit(f"dpdk-test-acl gave no figure for {rules}: is there memory enough (--memory MiB)?")
    lowest = {method: min(times) for method, times in theirs.items()}
    best = min(lowest, key=lowest.get)
    middle = statistics.median(theirs[best]) / statistics.median(ours)
    return {"rules_file": rules, "rules": sizes[0], "headers": sizes[1], "dpdk_ns": lowest, "best": best,
            "ours_ns": min(ours), "engine": engine, "ratio": lowest[best] / min(ours), "ratio_of_medians": middle}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="RULES TRACE", help="pairs of files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", type=int, default=0)
    parser.add_argument("--sessions", type=int, default=1, help="ours: over how many sessions the rules go")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--half-random", action="store_true", help="replace every second header by a random one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", type=int, default=8192, help="MiB that DPDK may take")
    parser.add_argument("--ours", default="target/release/traffic-mirror", help="our binary")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    if len(arguments.files) % 2:
        parser.error("RULES TRACE: files come in pairs")
    pairs = list(zip(arguments.files[::2], arguments.files[1::2]))
    print(f"{'rules':>16} {'number':>7} " + " ".join(f"{method:>9}" for method in METHODS)
          + f" {'ours':>7} {'engine':>8} {'best/ours':>9} {'medians':>8}")
    results = []
    for rules, trace in pairs:
        result = compare(rules, trace, arguments)
        results.append(result)
        theirs = [result["dpdk_ns"].get(method) for method in METHODS]
        cells = " ".join(f"{'-' if ns is None else format(ns, '.1f'):>9}" for ns in theirs)
        print(f"{pathlib.Path(rules).name:>16} {result['rules']:>7} {cells} {result['ours_ns']:>7.1f} "
              f"{result['engine']:>8} {result['ratio']:>8.2f}x {result['ratio_of_medians']:>7.2f}x", flush=True)
    mean = math.exp(statistics.fmean(math.log(result["ratio"]) for result in results))
    print(f"geometric mean of the ratios: {mean:.2f}x, lowest {min(r['ratio'] for r in results):.2f}x")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps({"results": results, "geometric_mean": mean}, indent=1))


if __name__ == "__main__":
    main()
