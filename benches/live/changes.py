"""Measures what changes over the EC2 API cost mirroring: sessions of another interface are created and deleted."""
import http.client
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from statistics import median

from lab import TARGET, stop
from measure import CASES, throughput
from techniques import own_command, program

ENDPOINT = "127.0.0.1:4566"
CALLS_PER_SECOND = 100
PACED = 300_000  # packets per second
# Calls per second of each run of the client, in order; below CALLS_PER_SECOND if both cores are busy.
CALL_RATES = []
HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261123/eu-west-1/ec2/aws4_request, "
                     "SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-www-form-urlencoded",
}
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/c/0123456789abcdef"


def search(lab, programs, binary, rounds, seconds, show_progress):
    """Throughput at full load, and delivery of a paced load, with and without changes, in turn."""
    lab.ip(lab.host, "link", "add", "x0", "type", "veth", "peer", "name", "x1")
    for device in ("lo", "x0", "x1"):
        lab.ip(lab.host, "link", "set", device, "up")
    command = own_command(binary, "--ec2-endpoint", ENDPOINT, "--no-authentication",
                          "--load-balancer", f"{BALANCER}={TARGET}")
    quiet = program(command)
    runs = []
    for number in range(1, rounds + 1):
        for name, technique in (("quiet", quiet), ("changing", with_changes(quiet))):
            show_progress(f"round {number} of {rounds}: {name}")
            CALL_RATES.clear()
            full = throughput(lab, programs, technique, CASES[0], seconds)
            paced = throughput(lab, programs, technique, CASES[0], seconds, PACED)
            runs.append({"round": number, "name": name, "full": full, "paced": paced,
                         "calls_per_second": CALL_RATES[:] or [0, 0]})
    return runs


def with_changes(technique):
    """The same technique, while a client changes sessions of x0."""
    @contextmanager
    def running(lab):
        with technique(lab) as mirror:
            client = lab.start(lab.host, [sys.executable, __file__], stdout=subprocess.PIPE)
            client.stdout.readline()  # "ready"
            try:
                yield mirror
            finally:
                printed, _ = stop(client, signal.SIGINT)
                CALL_RATES.append(float(printed or 0))
    return running


def table(runs):
    lines = [f"64-byte frames of one flow, while {CALLS_PER_SECOND} calls per second change sessions of another "
             "interface; medians.", "", "            copies/s       x    calls/s   lost at 300 kpps    calls/s"]
    quiet_runs = {run["round"]: run for run in runs if run["name"] == "quiet"}

    def copies_per_second(run):
        return run["full"]["delivered_by_end"] / run["full"]["seconds"]

    for name in ("quiet", "changing"):
        own_runs = [run for run in runs if run["name"] == name]
        rate = median(map(copies_per_second, own_runs))
        ratio = median(copies_per_second(run) / copies_per_second(quiet_runs[run["round"]]) for run in own_runs)
        loss = median(1 - run["paced"]["delivered"] / run["paced"]["asked"] for run in own_runs)
        full_calls, paced_calls = (median(run["calls_per_second"][i] for run in own_runs) for i in (0, 1))
        lines.append(f"{name:<10} {rate:>9.0f} {ratio:>7.3f} {full_calls:>10.0f} {loss:>18.4%} {paced_calls:>10.0f}")
    return "\n".join(lines)


def main():
    """The client: creates and deletes sessions, CALLS_PER_SECOND calls, until it is interrupted."""
    connection = http.client.HTTPConnection(ENDPOINT)

    def call(element, action, **parameters):
        """The text of the first element with this name in the response."""
        form = {"Action": action, "Version": "2016-11-15", **parameters}
        body = "&".join(f"{key}={value}" for key, value in form.items())
        connection.request("POST", "/", body, HEADERS)
        response = connection.getresponse()
        text = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"{action}: {response.status} {text}")
        return text.partition(f"<{element}>")[2].partition("<")[0]

    interface_id = call("networkInterfaceId", "DescribeNetworkInterfaces",
                        **{"Filter.1.Name": "tag:Name", "Filter.1.Value.1": "x0"})
    target_id = call("trafficMirrorTargetId", "CreateTrafficMirrorTarget", NetworkLoadBalancerArn=BALANCER)
    filter_id = call("trafficMirrorFilterId", "CreateTrafficMirrorFilter")

    def create_session(number):
        return call("trafficMirrorSessionId", "CreateTrafficMirrorSession", NetworkInterfaceId=interface_id,
                    TrafficMirrorTargetId=target_id, TrafficMirrorFilterId=filter_id, SessionNumber=number)

    # This session keeps the ring of the interface open. Otherwise each first session would open it and
    # each last one close it, which takes the kernel tens of milliseconds and is not measured here.
    create_session(1)
    calls, session_id = 0, None
    print("ready", flush=True)
    begin = time.monotonic()
    try:
        while True:
            if session_id:
                call("return", "DeleteTrafficMirrorSession", TrafficMirrorSessionId=session_id)
                session_id = None
            else:
                session_id = create_session(2)
            calls += 1
            time.sleep(max(0, begin + calls / CALLS_PER_SECOND - time.monotonic()))
    except KeyboardInterrupt:
        print(calls / (time.monotonic() - begin))


if __name__ == "__main__":
    main()
