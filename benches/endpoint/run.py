#!/usr/bin/env python3
"""Measures what changes over the EC2 API cost, by the number of mirrored devices.

For each number of devices it creates a network namespace with that many veth pairs and one spare
pair, starts `traffic-mirror run --ec2-endpoint` in it, and creates three sessions on each device.
Then it times calls of each kind, from one client and from several at the same time.
As root: benches/endpoint/run.py --binary target/release/traffic-mirror [--before OTHER] [--devices 2,32]
"""
import argparse
import http.client
import json
import os
import re
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
QUOTAS = ["sessions=100000", "sessions-per-interface=1000", "targets=100000", "filters=100000",
          "rules-per-filter=1000", "sources-per-target=100000"]


class Api:
    """A client of the EC2 API with one connection."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(ADDRESS, timeout=60)

    def request(self, action, **parameters):
        """The XML of the response; raises RuntimeError if its status is not 200."""
        form = {"Action": action, "Version": "2016-11-15", **parameters}
        body = "&".join(f"{key}={value}" for key, value in form.items())
        self.connection.request("POST", "/", body, HEADERS)
        response = self.connection.getresponse()
        text = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"{action}: {response.status} {text}")
        return text

    def call(self, action, element="return", **parameters):
        """The text of the first element with this name in the response."""
        return self.request(action, **parameters).partition(f"<{element}>")[2].partition("<")[0]

    def create_filter(self):
        return self.call("CreateTrafficMirrorFilter", "trafficMirrorFilterId")

    def create_session(self, interface_id, target_id, filter_id, number):
        return self.call("CreateTrafficMirrorSession", "trafficMirrorSessionId",
                         NetworkInterfaceId=interface_id, TrafficMirrorTargetId=target_id,
                         TrafficMirrorFilterId=filter_id, SessionNumber=number)

    def delete_session(self, session_id):
        self.call("DeleteTrafficMirrorSession", TrafficMirrorSessionId=session_id)

    def create_rule(self, filter_id, number):
        self.call("CreateTrafficMirrorFilterRule", TrafficMirrorFilterId=filter_id,
                  TrafficDirection="ingress", RuleNumber=number, RuleAction="accept",
                  SourceCidrBlock="0.0.0.0/0", DestinationCidrBlock="0.0.0.0/0")

    def interface_ids(self):
        """The id of the network interface of each device, by the name of the device."""
        text = self.request("DescribeNetworkInterfaces")
        ids = re.findall(r"<networkInterfaceId>(eni-[0-9a-f]+)<", text)
        names = re.findall(r"<description>Linux device (\S+) ", text)
        return dict(zip(names, ids))


def ip(*arguments, **options):
    subprocess.run(["ip", *arguments], check=True, **options)


def distribution(durations):
    """The number of calls, and their median, 99th percentile and maximum in milliseconds."""
    milliseconds = sorted(1000 * seconds for seconds in durations)
    last = len(milliseconds) - 1
    return {"n": len(durations), "p50": milliseconds[last // 2], "p99": milliseconds[last * 99 // 100],
            "max": milliseconds[last]}


def time_calls(act, count):
    """The distribution of the times of `count` calls from one client."""
    durations = []
    for number in range(count):
        begin = time.perf_counter()
        act(number)
        durations.append(time.perf_counter() - begin)
    return distribution(durations)


def time_concurrent_calls(act, clients, calls_per_client):
    """The same from several clients at the same time, and the number of calls per second."""
    durations, lock = [], threading.Lock()

    def work(client):
        api, own_durations = Api(), []
        for number in range(calls_per_client):
            begin = time.perf_counter()
            act(api, client, number)
            own_durations.append(time.perf_counter() - begin)
        with lock:
            durations.extend(own_durations)

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**distribution(durations), "per_second": len(durations) / (time.perf_counter() - begin)}


def cpu_ticks(pid):
    """User and system time of a process, in ticks of USER_HZ, which is 100 per second."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_mib(pid):
    """Resident memory, and that of rings, which the kernel does not count as resident, in MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        resident_kib = int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    ring_bytes = 0
    with open(f"/proc/{pid}/smaps", encoding="ascii") as lines:
        for line in lines:
            if re.match(r"[0-9a-f]+-", line) and "socket:" in line:
                start, end = line.split()[0].split("-")
                ring_bytes += int(end, 16) - int(start, 16)
    return resident_kib / 1024, ring_bytes / (1 << 20)


def client(arguments):
    """Measures from inside the namespace, and prints the results as JSON."""
    api, results = Api(), {}
    devices = [eni for name, eni in sorted(api.interface_ids().items()) if name.startswith("d")]
    target = api.call("CreateTrafficMirrorTarget", "trafficMirrorTargetId", NetworkLoadBalancerArn=BALANCER)
    shared_filter = api.create_filter()
    api.create_rule(shared_filter, 1)
    spare = devices.pop()
    begin = time.perf_counter()
    for number in (1, 2, 3):
        for device in devices:
            api.create_session(device, target, shared_filter, number)
    results["sessions created"] = {"n": 3 * len(devices), "seconds": time.perf_counter() - begin}
    pid = int(arguments.pid)
    time.sleep(3)
    ticks, begin = cpu_ticks(pid), time.perf_counter()
    time.sleep(5)
    results["idle"] = {"percent of a core": (cpu_ticks(pid) - ticks) / (time.perf_counter() - begin)}
    resident, ring = memory_mib(pid)
    results["memory"] = {"resident MiB": resident, "ring MiB": ring,
                         "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}
    results.update(time_all_calls(api, arguments.calls, (devices[-1], spare), target, shared_filter))
    print(json.dumps(results))


def time_all_calls(api, count, interfaces, target, shared_filter):
    """Times each kind of call. `interfaces` is one that has sessions, and one that has none."""
    used, spare = interfaces
    results = {
        "CreateFilter, unused": time_calls(lambda _: api.create_filter(), count),
        "CreateRule, used by all": time_calls(lambda n: api.create_rule(shared_filter, n + 2), min(count, 100)),
    }
    own_filter = api.create_filter()
    sessions = []

    def open_or_close(turn):
        """The first session of a device opens its ring, and the last one closes it."""
        if turn % 2 == 0:
            sessions.append(api.create_session(spare, target, own_filter, 1))
        else:
            api.delete_session(sessions.pop())

    results["CreateSession and DeleteSession, new device"] = time_calls(open_or_close, 40)
    session = api.create_session(spare, target, own_filter, 1)
    results["ModifySession"] = time_calls(
        lambda n: api.call("ModifyTrafficMirrorSession", TrafficMirrorSessionId=session, PacketLength=n + 100), count)
    results["CreateRule, used by one"] = time_calls(lambda n: api.create_rule(own_filter, n + 1), min(count, 500))
    api.delete_session(session)
    results["CreateFilter, 64 clients"] = time_concurrent_calls(
        lambda own_api, *_: own_api.create_filter(), 64, max(1, count // 20))
    session_of_client = {}

    def create_or_delete(own_api, number, turn):
        if turn % 2 == 0:
            device = used if number == 0 else spare
            session_of_client[number] = own_api.create_session(device, target, own_filter, number + 10)
        else:
            own_api.delete_session(session_of_client.pop(number))

    results["CreateSession and DeleteSession, 8 clients"] = time_concurrent_calls(create_or_delete, 8, 30)
    return results


def measure(binary, devices, calls):
    """The results of one build with this number of devices."""
    namespace = f"tm-endpoint-{os.getpid()}"
    ip("netns", "add", namespace)
    try:
        ip("-n", namespace, "link", "set", "lo", "up")
        lines = "".join(f"link add d{n:03} up type veth peer name e{n:03}\n" for n in range(devices + 1))
        ip("-n", namespace, "-batch", "-", input=lines, text=True)
        inside = ["ip", "netns", "exec", namespace]
        command = [binary, "run", "--ec2-endpoint", ADDRESS, "--metrics", METRICS,
                   "--load-balancer", f"{BALANCER}=192.0.2.9"]
        help_text = subprocess.run([binary, "run", "--help"], capture_output=True, text=True, check=True).stdout
        command += ["--no-authentication"] if "--no-authentication" in help_text else []
        for quota in QUOTAS:
            command += ["--quota", quota]
        with tempfile.TemporaryFile("w+") as output:
            mirror = subprocess.Popen([*inside, *command], stderr=output, stdout=output)
            try:
                time.sleep(2)
                client_command = [*inside, sys.executable, __file__, "--pid", str(mirror.pid), "--calls", str(calls)]
                done = subprocess.run(client_command, capture_output=True, text=True, timeout=900, check=False)
                if done.returncode:
                    output.seek(0)
                    raise RuntimeError(done.stderr[-2000:] + output.read()[-2000:])
                return json.loads(done.stdout)
            finally:
                mirror.terminate()
                mirror.wait(60)
    finally:
        ip("netns", "del", namespace)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/traffic-mirror", metavar="PATH",
                        help="traffic-mirror (target/release/traffic-mirror)")
    parser.add_argument("--before", metavar="PATH", help="an earlier build, measured in turn with this one")
    parser.add_argument("--devices", default="2,32,100,334", help="numbers of devices, by comma (2,32,100,334)")
    parser.add_argument("--calls", type=int, default=1000, help="calls of each kind (1000)")
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
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
    return None


if __name__ == "__main__":
    main()
