"""What changes over the EC2 API cost mirroring: sessions of another interface come and go."""
import http.client
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from statistics import median

from lab import TARGET, stop
from measure import CASES, throughput
from techniques import own_words, program

ENDPOINT = "127.0.0.1:4566"
RATE = 100
PACED = 300_000
# Changes a second, of each run of a client: on two busy cores they are fewer than asked for.
MADE = []
HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261123/eu-west-1/ec2/aws4_request, "
                     "SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-www-form-urlencoded",
}
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/c/0123456789abcdef"


def search(lab, programs, binary, rounds, seconds, tell):
    """Throughput at full load, and delivery of a paced load, with and without changes, in turn."""
    lab.ip(lab.host, "link", "add", "x0", "type", "veth", "peer", "name", "x1")
    for device in ("lo", "x0", "x1"):
        lab.ip(lab.host, "link", "set", device, "up")
    words = own_words(binary, "--ec2-endpoint", ENDPOINT, "--no-authentication",
                      "--load-balancer", f"{BALANCER}={TARGET}")
    quiet = program(words)
    runs = []
    for number in range(1, rounds + 1):
        for name, technique in (("quiet", quiet), ("changing", with_changes(quiet))):
            tell(f"round {number} of {rounds}: {name}")
            full = throughput(lab, programs, technique, CASES[0], seconds)
            paced = throughput(lab, programs, technique, CASES[0], seconds, PACED)
            made, MADE[:] = MADE[:], []
            runs.append({"round": number, "name": name, "full": full, "paced": paced, "made": made or [0, 0]})
    return runs


def with_changes(technique):
    """The same technique, while a client changes sessions of x0."""
    @contextmanager
    def running(lab):
        with technique(lab) as mirror:
            client = lab.start(lab.host, [sys.executable, __file__], stdout=subprocess.PIPE)
            client.stdout.readline()
            try:
                yield mirror
            finally:
                said, _ = stop(client, signal.SIGINT)
                MADE.append(float(said or 0))
    return running


def table(runs):
    lines = [f"64-byte frames of one flow, while {RATE} calls a second change sessions of another "
             "interface; medians.", "", "            copies/s       x  changes/s   lost at 300 kpps  changes/s"]
    of_round = {run["round"]: run for run in runs if run["name"] == "quiet"}

    def rate(run):
        return run["full"]["delivered_by_end"] / run["full"]["seconds"]

    for name in ("quiet", "changing"):
        own = [run for run in runs if run["name"] == name]
        ratio = median(rate(run) / rate(of_round[run["round"]]) for run in own)
        lost = median(1 - run["paced"]["delivered"] / run["paced"]["asked"] for run in own)
        made = [median(run["made"][place] for run in own) for place in (0, 1)]
        lines.append(f"{name:<10} {median(map(rate, own)):>9.0f} {ratio:>7.3f} {made[0]:>10.0f} {lost:>18.4%} "
                     f"{made[1]:>10.0f}")
    return "\n".join(lines)


def main():
    """The client: makes sessions and takes them away, RATE calls a second, until it is interrupted."""
    connection = http.client.HTTPConnection(ENDPOINT)

    def call(element, action, **parameters):
        words = {"Action": action, "Version": "2016-11-15", **parameters}
        body = "&".join(f"{key}={value}" for key, value in words.items())
        connection.request("POST", "/", body, HEADERS)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(text)
        return text.partition(f"<{element}>")[2].partition("<")[0]

    source = call("networkInterfaceId", "DescribeNetworkInterfaces",
                  **{"Filter.1.Name": "tag:Name", "Filter.1.Value.1": "x0"})
    target = call("trafficMirrorTargetId", "CreateTrafficMirrorTarget", NetworkLoadBalancerArn=BALANCER)
    rules = call("trafficMirrorFilterId", "CreateTrafficMirrorFilter")

    def create(number):
        return call("trafficMirrorSessionId", "CreateTrafficMirrorSession", NetworkInterfaceId=source,
                    TrafficMirrorTargetId=target, TrafficMirrorFilterId=rules, SessionNumber=number)

    # The first session of an interface opens its ring, the last one closes it: tens of milliseconds
    # of the kernel, which this is not about.
    create(1)
    made, session = 0, None
    print("ready", flush=True)
    begin = time.monotonic()
    try:
        while True:
            if session:
                call("return", "DeleteTrafficMirrorSession", TrafficMirrorSessionId=session)
                session = None
            else:
                session = create(2)
            made += 1
            time.sleep(max(0, begin + made / RATE - time.monotonic()))
    except KeyboardInterrupt:
        print(made / (time.monotonic() - begin))


if __name__ == "__main__":
    main()
