#!/usr/bin/env python3
"""What changes over the EC2 API cost, by the number of mirrored devices.

For each number of devices a network namespace is made with that many veth pairs. Three sessions
are created on each device, then calls of each kind are timed, one client at a time and with many.
As root: benches/endpoint/run.py --binary target/release/traffic-mirror [--before OTHER] [--devices 2,32]
"""
import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ADDRESS = "127.0.0.1:4566"
METRICS = "127.0.0.1:9464"
HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261123/eu-west-1/ec2/aws4_request, "
                     "SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-www-form-urlencoded",
}
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/c/0123456789abcdef"
QUOTAS = ["sessions=100000", "targets=100000", "filters=100000", "rules-per-filter=1000",
          "sources-per-target=100000"]


class Api:
    """A client with one connection."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(ADDRESS, timeout=60)

    def call(self, action, element="return", **parameters):
        words = {"Action": action, "Version": "2016-11-15", **parameters}
        body = "&".join(f"{key}={value}" for key, value in words.items())
        self.connection.request("POST", "/", body, HEADERS)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{action}: {answer.status} {text}")
        return text.partition(f"<{element}>")[2].partition("<")[0]

    def filter(self):
        return self.call("CreateTrafficMirrorFilter", "trafficMirrorFilterId")

    def session(self, source, target, rules, number):
        return self.call("CreateTrafficMirrorSession", "trafficMirrorSessionId",
                         NetworkInterfaceId=source, TrafficMirrorTargetId=target,
                         TrafficMirrorFilterId=rules, SessionNumber=number)

    def end(self, session):
        self.call("DeleteTrafficMirrorSession", TrafficMirrorSessionId=session)

    def rule(self, rules, number):
        self.call("CreateTrafficMirrorFilterRule", TrafficMirrorFilterId=rules,
                  TrafficDirection="ingress", RuleNumber=number, RuleAction="accept",
                  SourceCidrBlock="0.0.0.0/0", DestinationCidrBlock="0.0.0.0/0")

    def devices(self):
        """The network interface of each device, by the name of the device."""
        words = {"Action": "DescribeNetworkInterfaces", "Version": "2016-11-15"}
        body = "&".join(f"{key}={value}" for key, value in words.items())
        self.connection.request("POST", "/", body, HEADERS)
        text = self.connection.getresponse().read().decode()
        ids = re.findall(r"<networkInterfaceId>(eni-[0-9a-f]+)<", text)
        names = re.findall(r"<description>Linux device (\S+) ", text)
        return dict(zip(names, ids))


def ip(*words, **options):
    subprocess.run(["ip", *words], check=True, **options)


def times(calls):
    """Milliseconds: median, 99th percentile, longest."""
    milliseconds = sorted(1000 * one for one in calls)
    last = len(milliseconds) - 1
    return {"n": len(calls), "p50": milliseconds[last // 2], "p99": milliseconds[last * 99 // 100],
            "max": milliseconds[last]}


def timed(act, count):
    spent = []
    for number in range(count):
        begin = time.perf_counter()
        act(number)
        spent.append(time.perf_counter() - begin)
    return times(spent)


def together(act, clients, count):
    """Calls of many clients at the same time: their times, and calls a second."""
    spent, lock = [], threading.Lock()

    def work(client):
        api, own = Api(), []
        for number in range(count):
            begin = time.perf_counter()
            act(api, client, number)
            own.append(time.perf_counter() - begin)
        with lock:
            spent.extend(own)

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**times(spent), "per_second": len(spent) / (time.perf_counter() - begin)}


def ticks(pid):
    columns = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return int(columns[11]) + int(columns[12])


def status(pid, name):
    text = open(f"/proc/{pid}/status", encoding="ascii").read()
    return int(re.search(rf"{name}:\s+(\d+)", text).group(1))


def memory(pid):
    """Resident memory, and that of rings, which the kernel does not count as resident."""
    ring = 0
    for line in open(f"/proc/{pid}/smaps", encoding="ascii"):
        if re.match(r"[0-9a-f]+-", line):
            is_ring = "socket:" in line
            size = line.split()[0].split("-")
        elif line.startswith("Size:") and is_ring:
            ring += int(size[1], 16) - int(size[0], 16)
    return status(pid, "VmRSS") / 1024, ring / (1 << 20)


def client(arguments):
    """Runs inside of the namespace, and prints its results as JSON."""
    api, results = Api(), {}
    devices = [one for name, one in sorted(api.devices().items()) if name.startswith("d")]
    target = api.call("CreateTrafficMirrorTarget", "trafficMirrorTargetId", NetworkLoadBalancerArn=BALANCER)
    rules = api.filter()
    api.rule(rules, 1)
    spare = devices.pop()
    begin = time.perf_counter()
    for number in (1, 2, 3):
        for device in devices:
            api.session(device, target, rules, number)
    results["sessions created"] = {"n": 3 * len(devices), "seconds": time.perf_counter() - begin}
    pid = int(arguments.pid)
    time.sleep(3)
    before, begin = ticks(pid), time.perf_counter()
    time.sleep(5)
    results["idle"] = {"percent of a core": (ticks(pid) - before) / (time.perf_counter() - begin)}
    resident, ring = memory(pid)
    results["memory"] = {"resident MiB": resident, "ring MiB": ring,
                         "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}
    count = int(arguments.calls)
    results["CreateFilter, unused"] = timed(lambda _: api.filter(), count)
    results["CreateRule, used by all"] = timed(lambda n: api.rule(rules, n + 2), min(count, 100))
    held = []
    last = devices[-1]
    mine = api.filter()

    def modify(number):
        api.call("ModifyTrafficMirrorSession", TrafficMirrorSessionId=held[0], PacketLength=number + 100)

    results["CreateSession, new device"] = timed(
        lambda n: (held.append(api.session(spare, target, mine, 1)) if n % 2 == 0 else api.end(held.pop())), 40)
    held.append(api.session(spare, target, mine, 1))
    results["ModifySession"] = timed(modify, count)
    results["CreateRule, used by one"] = timed(lambda n: api.rule(mine, n + 1), min(count, 500))
    api.end(held.pop())
    results["CreateFilter, 64 clients"] = together(lambda own, *_: own.filter(), 64, max(1, count // 20))
    made = {}

    def churn(own, number, turn):
        if turn % 2 == 0:
            made[number] = own.session(last if number == 0 else spare, target, mine, number + 10)
        else:
            own.end(made.pop(number))

    quota = 30
    results["CreateSession and DeleteSession, 8 clients"] = together(churn, 8, quota)
    print(json.dumps(results))


def measure(binary, devices, calls):
    name = f"tm-endpoint-{os.getpid()}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        lines = "".join(f"link add d{n:03} up type veth peer name e{n:03}\n" for n in range(devices + 1))
        ip("-n", name, "-batch", "-", input=lines, text=True)
        inside = ["ip", "netns", "exec", name]
        words = [binary, "run", "--ec2-endpoint", ADDRESS, "--metrics", METRICS,
                 "--load-balancer", f"{BALANCER}=192.0.2.9"]
        help_text = subprocess.run([binary, "run", "--help"], capture_output=True, text=True, check=True).stdout
        words += ["--no-authentication"] if "--no-authentication" in help_text else []
        for quota in QUOTAS + [f"sessions-per-interface=1000"]:
            words += ["--quota", quota]
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen([*inside, *words], stderr=said, stdout=said)
            try:
                time.sleep(2)
                command = [*inside, sys.executable, __file__, "--pid", str(process.pid), "--calls", str(calls)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
                if done.returncode:
                    said.seek(0)
                    raise RuntimeError(done.stderr[-2000:] + said.read()[-2000:])
                return json.loads(done.stdout)
            finally:
                process.terminate()
                process.wait(60)
    finally:
        ip("netns", "del", name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/traffic-mirror")
    parser.add_argument("--before", help="another build, measured in turn")
    parser.add_argument("--devices", default="2,32,100,334")
    parser.add_argument("--calls", default=1000)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--pid", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pid:
        return client(arguments)
    builds = {"before": arguments.before, "now": arguments.binary}
    results = {}
    for devices in map(int, arguments.devices.split(",")):
        for build, binary in builds.items():
            if binary:
                result = measure(os.path.abspath(binary), devices, arguments.calls)
                results[f"{build} {devices}"] = result
                for kind, figures in result.items():
                    text = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
                    print(f"{build:<7} {devices:>4} devices  {kind:<44} {text}", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
