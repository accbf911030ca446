"""Searches for the largest rate that a technique mirrors without loss."""
from measure import CASES, throughput

MOST_LOSS = 0.001     # 0.1 %
MOST_LATE = 0.01      # still in a buffer when the load ended: more would grow without end
LOWEST, STEPS = 10_000, 8
FASTEST_SHARE = 0.95  # of what the load can do at all


def trial(lab, programs, technique, rate, seconds):
    """Loss is of the packets asked for: where the kernel mirrors on the core of the load, it holds
    the load up, and a packet that could not be sent in time is one that a card would have dropped."""
    run = throughput(lab, programs, technique, CASES[0], seconds, round(rate))
    lost = 1 - min(1, run["delivered"] / run["asked"])
    late = 1 - min(1, run["delivered_by_end"] / run["asked"])
    return {"rate": round(rate), "loss": lost, "late": late, "offered": run["offered"],
            "offered_rate": run["offered"] / run["seconds"],
            "passed": lost <= MOST_LOSS and late <= MOST_LATE}


def best_of_two(*arguments):
    """One hiccup of the machine is no limit of the technique: what fails is tried once more."""
    first = trial(*arguments)
    if first["passed"]:
        return first
    return min(first, trial(*arguments), key=lambda run: (not run["passed"], run["loss"]))


def bisect(lab, programs, technique, fastest, seconds, tell):
    """The largest rate that passed, with every trial; 0 where none did."""
    low, high, trials = 0, fastest, []
    for step in range(STEPS):
        rate = LOWEST if step == 0 else (max(low, LOWEST) + high) / 2
        trials.append(best_of_two(lab, programs, technique, rate, seconds))
        tell(f"{rate / 1000:.0f} kpps: {trials[-1]['loss']:.2%} lost")
        if trials[-1]["passed"]:
            low = rate
        elif step == 0:
            break  # not even the lowest
        else:
            high = rate
    return {"lossless_rate": round(low), "trials": trials}


def search(lab, programs, found, seconds, tell):
    """Bisects for tc and ours at 64 bytes, and tries ours at twice the rate of tc."""
    free = throughput(lab, programs, found["nothing"], CASES[0], seconds)
    fastest = FASTEST_SHARE * free["offered"] / free["seconds"]
    outcome = {"fastest_load": round(fastest)}
    for name in ("tc", "ours"):
        if name in found:
            tell(f"lossless rate of {name}", end="\n")
            outcome[name] = bisect(lab, programs, found[name], fastest, seconds, tell)
    if "ours" in outcome and outcome["tc"]["lossless_rate"]:
        double = min(2 * outcome["tc"]["lossless_rate"], fastest)
        outcome["ours_at_twice_tc"] = best_of_two(lab, programs, found["ours"], double, seconds)
    return outcome
