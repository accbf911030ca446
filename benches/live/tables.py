"""Computes medians of the runs and formats them as text."""
from statistics import median

MAX_STRAY_SHARE = 0.05   # of a core, used by other programs
LIMITED_SHARE = 0.99     # delivered of offered; from this share on, the load is the limit
COLUMNS = ("case", "technique", "offered kpps", "delivered kpps", "x tc", "loss %", "CPU ns/packet", "x tc",
           "by process")


def heading(result):
    machine = result["fingerprint"]
    kind = "virtual" if machine["virtual"] else "not virtual"
    lines = [f"{machine['processor']}, {machine['cores']} cores ({kind}), {machine['memory_gib']} GiB, "
             f"governor {machine['governor']}, load {machine['load_before']:.2f}",
             f"kernel {machine['kernel']}",
             f"{machine['traffic_mirror']}, commit {machine['commit']}; {machine['iproute2']}"]
    return "\n".join(lines + [f"NOT RUN: {line}" for line in result["missing"]]) + "\n"


def group(runs):
    """The runs that did not fail: {(case, round): {technique: run}}."""
    groups = {}
    for run in runs:
        if "failed" not in run:
            groups.setdefault((run["case"], run["round"]), {})[run["technique"]] = run
    return groups


def figures(run, unmirrored):
    """The figures of one run. `unmirrored` is the run without a mirror of the same case and round."""
    return {"offered_kpps": run["offered"] / run["seconds"] / 1e3,
            "delivered_kpps": run["delivered_by_end"] / run["seconds"] / 1e3,
            "loss_percent": 100 * (1 - run["delivered"] / run["offered"]) if run["delivered"] else None,
            "cpu_ns": cost_per_copy(run, unmirrored, "busy_ns"),
            "cpu_by_process_ns": cost_per_copy(run, unmirrored, "known_ns")}


def cost_per_copy(run, unmirrored, clock):
    """CPU time per copy in ns, without what the same number of packets costs if nothing is mirrored."""
    if not unmirrored or not run["delivered"]:
        return None
    return (run[clock] - unmirrored[clock] / unmirrored["offered"] * run["offered"]) / run["delivered"]


def ratio(value, base):
    return value / base if value is not None and base else None


def median_of_known(values):
    known = [value for value in values if value is not None]
    return median(known) if known else None


def summarize(runs):
    """Medians over the rounds, by case and technique. Ratios are those within a round."""
    values = {}
    for (case, _), techniques in group(runs).items():
        if case == "latency":
            for name, run in techniques.items():
                add_values(values, case, name, {"p50_us": run["p50_ns"] / 1e3, "p99_us": run["p99_ns"] / 1e3,
                                                "seen_percent": 100 * run["seen"] / run["offered"]})
            continue
        figures_of = {name: figures(run, techniques.get("nothing")) for name, run in techniques.items()}
        tc_figures = figures_of.get("tc", {})
        for name, run_figures in figures_of.items():
            add_values(values, case, name, run_figures)
            add_values(values, case, name, {key + "_x_tc": ratio(run_figures[key], tc_figures.get(key))
                                            for key in ("delivered_kpps", "cpu_ns")})
    return [{"case": case, "technique": name, **{key: median_of_known(rounds) for key, rounds in row.items()}}
            for (case, name), row in values.items()]


def add_values(values, case, name, figures_of_run):
    row = values.setdefault((case, name), {})
    for key, value in figures_of_run.items():
        row.setdefault(key, []).append(value)


def cell(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def throughput_row(row):
    is_unmirrored = row["technique"] == "nothing"
    return [row["case"], row["technique"], cell(row["offered_kpps"]),
            cell(None if is_unmirrored else row["delivered_kpps"]),
            cell(None if is_unmirrored else row["delivered_kpps_x_tc"], 2),
            cell(row["loss_percent"], 2), cell(row["cpu_ns"]), cell(row["cpu_ns_x_tc"], 2),
            cell(row["cpu_by_process_ns"])]


def latency_row(row):
    return [row["technique"], cell(row["p50_us"], 1), cell(row["p99_us"], 1), cell(row["seen_percent"], 1)]


def grid(columns, rows):
    """Text with aligned columns: words to the left, numbers to the right."""
    widths = [max(len(line[i]) for line in [list(columns), *rows]) for i in range(len(columns))]
    left = {i for i, name in enumerate(columns) if name in ("case", "technique")}
    lines = []
    for line in [list(columns), ["-" * width for width in widths], *rows]:
        lines.append("  ".join(text.ljust(width) if i in left else text.rjust(width)
                               for i, (text, width) in enumerate(zip(line, widths))).rstrip())
    return "\n".join(lines)


def summary(rows, runs):
    """The tables, how to read them, and warnings."""
    throughput_rows = [throughput_row(row) for row in rows if row["case"] != "latency"]
    latency_rows = [latency_row(row) for row in rows if row["case"] == "latency"]
    parts = [grid(COLUMNS, throughput_rows),
             "Medians over rounds; x tc is the median of the ratios within a round. CPU: busy time of all cores per\n"
             "delivered copy, without what the same number of offered packets costs if nothing is mirrored\n"
             "(`nothing`, same round). By process: the same for the processes of load and mirror alone; use it if\n"
             "other programs run on the machine."]
    if latency_rows:
        parts.append(grid(("technique", "p50 us", "p99 us", "seen %"), latency_rows))
        parts.append("Latency at 10 kpps, 128 bytes, until the kernel of mon has the copy; `nothing`: until the\n"
                     "kernel of host has the frame.")
    return "\n\n".join(parts + warnings(runs))


def warnings(runs):
    """Reasons to doubt results, as at most one text."""
    throughput_runs = [run for run in runs if run["case"] != "latency" and "failed" not in run]
    lines = [f"FAILED: {place(run)}: {run['failed']}" for run in runs if "failed" in run]
    lines += [f"BEWARE: {place(run)}: {text}" for run in throughput_runs for text in doubts(run)]
    lines += limited_by_load(throughput_runs)
    stray_shares = [run["stray_ns"] / run["seconds"] / 1e9 for run in throughput_runs]
    noisy_runs = sum(share > MAX_STRAY_SHARE for share in stray_shares)
    if noisy_runs:
        lines.append(f"BEWARE: other programs used {100 * median(stray_shares):.0f} % of a core (median), and more "
                     f"than {100 * MAX_STRAY_SHARE:.0f} % in {noisy_runs} of {len(stray_shares)} runs: the CPU time "
                     "of all cores is not reliable")
    return ["\n".join(lines)] if lines else []


def place(run):
    return f"round {run['round']}, {run['case']}, {run['technique']}"


def limited_by_load(runs):
    """Notes for programs that deliver everything: they might deliver more than the load sends. There is
    no note for tc, which works on the core of the load and slows it down, so it always delivers all."""
    limited = {(run["case"], run["technique"]) for run in runs if run["technique"] not in ("nothing", "tc")
               and run["delivered_by_end"] >= LIMITED_SHARE * run["offered"]}
    return [f"NOTE: {case}, {name}: delivered all that was offered; the load may be the limit"
            for case, name in sorted(limited)]


def doubts(run):
    mean, expected = run["mean_copy_len"], run["expected_copy_len"]
    # If frames of the mix are lost, the mean length of the others is not known.
    is_comparable = run["case"] != "mix" or run["delivered"] > LIMITED_SHARE * run["offered"]
    if mean and is_comparable and run["technique"] != "nothing" and abs(mean - expected) > 0.02 * expected:
        yield f"copies have {mean:.0f} bytes, expected {expected:.0f}"
    if abs(run["arrived"] - run["offered"]) > 0.001 * run["offered"]:
        yield f"{run['offered']} packets were sent, and {run['arrived']} arrived at the host"
    if run["refused"] > 0.001 * run["offered"]:
        yield f"the device of the load refused {run['refused']} packets"


def lossless(outcome):
    """The results of the search as text."""
    lines = [f"load without a mirror: {outcome['fastest_load'] / 1e3:,.0f} kpps (95 % of what was offered)"]
    for name in ("tc", "ours"):
        if name in outcome:
            lines.append(f"{name}: {outcome[name]['lossless_rate'] / 1e3:,.0f} kpps of 64 bytes "
                         "with at most 0.1 % loss")
    if "ours_at_twice_tc" in outcome:
        run = outcome["ours_at_twice_tc"]
        lines.append(f"ours at twice the rate of tc ({run['rate'] / 1e3:,.0f} kpps): {run['loss']:.2%} lost")
    return "\n".join(lines)
