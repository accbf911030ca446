"""Turns raw runs into medians, and medians into text."""
from statistics import median

STRAY_SHARE = 0.05   # of a core, taken by others
ALL_OF_IT = 0.99     # delivered of offered, from where on the load is the limit
COLUMNS = ("case", "technique", "offered kpps", "delivered kpps", "x tc", "loss %", "CPU ns/packet", "x tc",
           "by process")


def heading(result):
    mark = result["fingerprint"]
    kind = "virtual" if mark["virtual"] else "not virtual"
    lines = [f"{mark['processor']}, {mark['cores']} cores ({kind}), {mark['memory_gib']} GiB, "
             f"governor {mark['governor']}, load {mark['load_before']:.2f}",
             f"kernel {mark['kernel']}", f"{mark['traffic_mirror']}, commit {mark['commit']}; {mark['iproute2']}"]
    return "\n".join(lines + [f"NOT RUN: {line}" for line in result["missing"]]) + "\n"


def group(runs):
    """Runs that did not fail: {(case, round): {technique: run}}."""
    found = {}
    for run in runs:
        if "failed" not in run:
            found.setdefault((run["case"], run["round"]), {})[run["technique"]] = run
    return found


def figures(run, base):
    """What one run says; `base` is the run without a mirror of the same case and round."""
    return {"offered_kpps": run["offered"] / run["seconds"] / 1e3,
            "delivered_kpps": run["delivered_by_end"] / run["seconds"] / 1e3,
            "loss_percent": 100 * (1 - run["delivered"] / run["offered"]) if run["delivered"] else None,
            "cpu_ns": own_ns(run, base, "busy_ns"), "cpu_by_process_ns": own_ns(run, base, "known_ns")}


def own_ns(run, base, clock):
    """Time a copy cost, less what the same packets cost where nothing is mirrored."""
    if not base or not run["delivered"]:
        return None
    return (run[clock] - base[clock] / base["offered"] * run["offered"]) / run["delivered"]


def ratio(part, whole):
    return part / whole if part is not None and whole else None


def middle(values):
    values = [value for value in values if value is not None]
    return median(values) if values else None


def summarize(runs):
    """Medians over rounds, by case and technique; ratios are taken within a round."""
    rows = {}
    for (case, _), techniques in group(runs).items():
        if case == "latency":
            for name, run in techniques.items():
                note(rows, case, name, {key: run[key] / 1e3 for key in ("p50_ns", "p99_ns")})
                note(rows, case, name, {"seen_percent": 100 * run["seen"] / run["offered"]})
            continue
        told = {name: figures(run, techniques.get("nothing")) for name, run in techniques.items()}
        kernel = told.get("tc", {})
        for name, values in told.items():
            note(rows, case, name, values)
            note(rows, case, name, {key + "_x_tc": ratio(values[key], kernel.get(key))
                                    for key in ("delivered_kpps", "cpu_ns")})
    return [{"case": case, "technique": name, **{key: middle(values) for key, values in row.items()}}
            for (case, name), row in rows.items()]


def note(rows, case, name, values):
    row = rows.setdefault((case, name), {})
    for key, value in values.items():
        row.setdefault(key, []).append(value)


def cell(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def throughput_row(row):
    idle = row["technique"] == "nothing"
    return [row["case"], row["technique"], cell(row["offered_kpps"]),
            cell(None if idle else row["delivered_kpps"]), cell(None if idle else row["delivered_kpps_x_tc"], 2),
            cell(row["loss_percent"], 2), cell(row["cpu_ns"]), cell(row["cpu_ns_x_tc"], 2),
            cell(row["cpu_by_process_ns"])]


def latency_row(row):
    return [row["technique"], cell(row["p50_ns"], 1), cell(row["p99_ns"], 1), cell(row["seen_percent"], 1)]


def grid(columns, rows):
    """Columns as wide as they have to be: words to the left, numbers to the right."""
    widths = [max(len(line[i]) for line in [list(columns), *rows]) for i in range(len(columns))]
    left = {i for i, name in enumerate(columns) if name in ("case", "technique")}
    lines = []
    for line in [list(columns), ["-" * width for width in widths], *rows]:
        lines.append("  ".join(text.ljust(width) if i in left else text.rjust(width)
                               for i, (text, width) in enumerate(zip(line, widths))).rstrip())
    return "\n".join(lines)


def summary(rows, runs):
    """The tables and what has to be known to read them."""
    loads = [throughput_row(row) for row in rows if row["case"] != "latency"]
    delays = [latency_row(row) for row in rows if row["case"] == "latency"]
    parts = [grid(COLUMNS, loads),
             "Medians over rounds; x tc is the median of ratios within a round. CPU: busy time of all cores, less\n"
             "what as many offered packets cost with no mirror running (`nothing`, same round), per copy delivered;\n"
             "by process: the same of load and mirror alone, for machines where others run too."]
    if delays:
        parts.append(grid(("technique", "p50 us", "p99 us", "seen %"), delays))
        parts.append("Latency at 10 kpps, 128 bytes, until the copy is in the far kernel; `nothing`: until\n"
                     "the frame itself is in the host.")
    return "\n\n".join(parts + warnings(runs))


def warnings(runs):
    """What should not be believed without a second look."""
    loads = [run for run in runs if run["case"] != "latency" and "failed" not in run]
    lines = [f"FAILED: {where(run)}: {run['failed']}" for run in runs if "failed" in run]
    lines += [f"BEWARE: {where(run)}: {text}" for run in loads for text in doubts(run)]
    lines += limited_by_load(loads)
    stray = [run["stray_ns"] / run["seconds"] / 1e9 for run in loads]
    noisy = sum(share > STRAY_SHARE for share in stray)
    if noisy:
        lines.append(f"BEWARE: others took {100 * median(stray):.0f} % of a core (median) while this ran, too much "
                     f"in {noisy} of {len(stray)} runs: the CPU of all cores is not to be believed")
    return ["\n".join(lines)] if lines else []


def where(run):
    return f"round {run['round']}, {run['case']}, {run['technique']}"


def limited_by_load(loads):
    """User space that delivers all it is offered might deliver more. tc is left out: it works on the
    core of the load and holds it up, so it always delivers all."""
    able = {(run["case"], run["technique"]) for run in loads if run["technique"] not in ("nothing", "tc")
            and run["delivered_by_end"] >= ALL_OF_IT * run["offered"]}
    return [f"NOTE: {case}, {name}: delivered all that was offered; the load may be the limit"
            for case, name in sorted(able)]


def doubts(run):
    found, wanted = run["mean_copy_len"], run["expected_copy_len"]
    whole = run["case"] != "mix" or run["delivered"] > ALL_OF_IT * run["offered"]  # loss picks sizes
    if found and whole and run["technique"] != "nothing" and abs(found - wanted) > 0.02 * wanted:
        yield f"copies are {found:.0f} bytes long, not {wanted:.0f}"
    if abs(run["arrived"] - run["offered"]) > 0.001 * run["offered"]:
        yield f"{run['offered']} packets were sent, and {run['arrived']} came to the host"
    if run["refused"] > 0.001 * run["offered"]:
        yield f"the wire to the host refused {run['refused']} packets"


def lossless(outcome):
    """What the search found."""
    lines = [f"load without a mirror: {outcome['fastest_load'] / 1e3:,.0f} kpps (95 % of what was offered)"]
    for name in ("tc", "ours"):
        if name in outcome:
            lines.append(f"{name}: {outcome[name]['lossless_rate'] / 1e3:,.0f} kpps of 64 bytes "
                         "with at most 0.1 % loss")
    if "ours_at_twice_tc" in outcome:
        run = outcome["ours_at_twice_tc"]
        lines.append(f"ours at twice the rate of tc ({run['rate'] / 1e3:,.0f} kpps): {run['loss']:.2%} lost")
    return "\n".join(lines)
