#!/usr/bin/env python3
"""Compares DPDK's packet classifier (librte_acl, by Debian's dpdk-test-acl) with traffic-mirror.

    cargo build --release
    benches/peers/rte_acl.sh acl1_1k.xz acl1_1k_trace.xz

Takes pairs of rules and traces in the format of ClassBench, plain or compressed with xz. Both
programs get the same files and run in turn, several rounds, pinned to one processor. The figure of
each is its lowest time; the ratio is that of DPDK's fastest method to traffic-mirror.

dpdk-test-acl prints packets per second over all iterations; this becomes nanoseconds per packet. Its
tries can hold up to four categories of rules; one category is built and looked up, in groups of 256
packets.
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
DPDK_RESULT = re.compile(
    r"\d+ pkts, 1 categories, \d+ cycles \([\d.]+ sec\), [\d.]+ cycles/pkt, (?P<packets_per_second>[\d.]+) pkt/sec")
MIN_LOOKUPS = 2_000_000  # packets of one run of DPDK, so that its start does not count
TIMEOUT_SECONDS = 180


def read_text(path):
    content = pathlib.Path(path).read_bytes()
    return (lzma.decompress(content) if path.endswith(".xz") else content).decode()


def replace_every_second(headers, seed):
    """Replaces every second header by one with uniformly random fields."""
    rng = random.Random(seed)
    for index, header in enumerate(headers):
        if index % 2 == 0:
            yield header
            continue
        protocol = rng.choice([6, 17, 1, rng.randrange(256)])
        fields = [rng.getrandbits(32), rng.getrandbits(32), rng.getrandbits(16), rng.getrandbits(16), protocol]
        yield [str(field) for field in fields]


def write_inputs(rules_file, trace_file, folder, arguments):
    """Writes the five columns that both programs understand: addresses, ports and the protocol.

    Returns the numbers of rules and of headers.
    """
    rules = [line.split("\t")[:5] for line in read_text(rules_file).splitlines() if line.strip()]
    (folder / "rules").write_text("".join("\t".join(rule) + "\n" for rule in rules))
    headers = [line.split()[:5] for line in read_text(trace_file).splitlines() if line.strip()]
    if arguments.half_random:
        headers = list(replace_every_second(headers, arguments.seed))
    (folder / "trace").write_text("".join("\t".join(header) + "\n" for header in headers))
    return len(rules), len(headers)


def run_pinned(command, cpu):
    """The exit code of a command on one processor, and its output and errors together."""
    done = subprocess.run(["taskset", "-c", str(cpu), *command], capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS, check=False)
    return done.returncode, done.stdout + done.stderr


def measure_dpdk(method, folder, counts, arguments):
    """Nanoseconds per packet; None if DPDK does not have the method here, or fails, or takes too long."""
    rules, headers = counts
    iterations = max(2, math.ceil(MIN_LOOKUPS / headers))
    command = ["dpdk-test-acl", "--no-huge", "--no-pci", "--no-telemetry", "-l", str(arguments.cpu), "-m",
               str(arguments.memory), "--", f"--rulesf={folder / 'rules'}", f"--tracef={folder / 'trace'}",
               f"--rulenum={rules + 16}", f"--tracenum={headers + 16}", f"--alg={method}",
               f"--iter={iterations}", "--verbose=1"]
    try:
        _, output = run_pinned(command, arguments.cpu)
    except subprocess.TimeoutExpired:
        return None
    result = DPDK_RESULT.search(output)
    return 1e9 / float(result.group("packets_per_second")) if result else None


def measure_ours(folder, arguments):
    """The engine that traffic-mirror used, and nanoseconds per packet."""
    command = [arguments.ours, "bench", "--classbench", str(folder / "rules"), "--trace", str(folder / "trace"),
               "--sessions", str(arguments.sessions), "--engine", arguments.engine, "--stages", "classify",
               "--rounds", "9", "--format", "json"]
    status, output = run_pinned(command, arguments.cpu)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed with exit code {status}:\n{output}")
    run = json.loads(output)["runs"][0]
    return run["engine"], run["stages"][0]["ns_per_packet"]["min"]


def compare(rules_file, trace_file, arguments):
    """The lowest times of both programs for a pair of files, in nanoseconds per packet, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        counts = write_inputs(rules_file, trace_file, folder, arguments)
        dpdk_times, our_times, engine = {}, [], ""
        for _ in range(arguments.rounds):
            for method in METHODS:
                ns_per_packet = measure_dpdk(method, folder, counts, arguments)
                if ns_per_packet is not None:
                    dpdk_times.setdefault(method, []).append(ns_per_packet)
            engine, ns_per_packet = measure_ours(folder, arguments)
            our_times.append(ns_per_packet)
    if not dpdk_times:
        sys.exit(f"dpdk-test-acl printed no result for {rules_file}: give it more memory with --memory MIB "
                 f"(now {arguments.memory})")
    lowest = {method: min(times) for method, times in dpdk_times.items()}
    best = min(lowest, key=lowest.get)
    ratio_of_medians = statistics.median(dpdk_times[best]) / statistics.median(our_times)
    return {"rules_file": rules_file, "rules": counts[0], "headers": counts[1], "dpdk_ns": lowest, "best": best,
            "ours_ns": min(our_times), "engine": engine, "ratio": lowest[best] / min(our_times),
            "ratio_of_medians": ratio_of_medians}


def print_row(result):
    dpdk_ns = [result["dpdk_ns"].get(method) for method in METHODS]
    cells = " ".join(f"{'-' if ns is None else format(ns, '.1f'):>9}" for ns in dpdk_ns)
    print(f"{pathlib.Path(result['rules_file']).name:>16} {result['rules']:>7} {cells} {result['ours_ns']:>7.1f} "
          f"{result['engine']:>8} {result['ratio']:>8.2f}x {result['ratio_of_medians']:>7.2f}x", flush=True)


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("files", nargs="+", metavar="RULES TRACE", help="pairs of files")
    add("--rounds", type=int, default=5, help="runs of each method and of traffic-mirror (5)")
    add("--cpu", type=int, default=0, help="processor that both programs run on (0)")
    add("--sessions", type=int, default=1, help="traffic-mirror: number of sessions that share the rules (1)")
    add("--engine", default="auto", help="traffic-mirror: engine for the rules (auto)")
    add("--half-random", action="store_true", help="replace every second header by a random one")
    add("--seed", type=int, default=1, help="seed of the random headers (1)")
    add("--memory", type=int, default=8192, metavar="MIB", help="memory for DPDK in MiB (8192)")
    add("--ours", default="target/release/traffic-mirror", metavar="PATH",
        help="traffic-mirror (target/release/traffic-mirror)")
    add("--json", metavar="FILE", help="write the results to this file")
    arguments = parser.parse_args()
    if len(arguments.files) % 2:
        parser.error(f"RULES TRACE: expected pairs of files, and these are {len(arguments.files)}")
    return arguments


def main():
    arguments = read_arguments()
    print(f"{'rules':>16} {'number':>7} " + " ".join(f"{method:>9}" for method in METHODS)
          + f" {'ours':>7} {'engine':>8} {'best/ours':>9} {'medians':>8}")
    results = []
    for rules_file, trace_file in zip(arguments.files[::2], arguments.files[1::2]):
        results.append(compare(rules_file, trace_file, arguments))
        print_row(results[-1])
    mean = math.exp(statistics.fmean(math.log(result["ratio"]) for result in results))
    print(f"geometric mean of the ratios: {mean:.2f}x, lowest {min(result['ratio'] for result in results):.2f}x")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps({"results": results, "geometric_mean": mean}, indent=1))


if __name__ == "__main__":
    main()
