"""Kills an endpoint repeatedly while four clients change resources, and starts it again.

After each start, every confirmed change must be complete, and the one unconfirmed change of each
client must be complete or absent. TRAFFIC_MIRROR is the program, EC2_ENDPOINT its address
(ADDR:PORT), STATE its state file, DEVICE the source of the sessions, KILLS the number of kills and
SEED the seed of the random choices (optional).
"""

import os
import random
import subprocess
import threading
import time

from kills_calls import ENDPOINT, SEED, Client, fail, id_and_state
from kills_writer import COLLECTOR, MAX_RESOURCES, Writer

WRITERS = 4


def described(client):
    """All resources that the endpoint lists, in its order. All lists must agree."""
    resources, nested = {}, {}
    for kind in MAX_RESOURCES:
        response = client.call(f"DescribeTrafficMirror{kind}s")
        for resource in response[f"trafficMirror{kind}Set"] or []:
            resource_id, state = id_and_state(kind, resource)
            resources[resource_id] = (kind, state)
            for direction in ("ingress", "egress"):
                for rule in resource.get(f"{direction}FilterRuleSet") or []:
                    rule_id, state = id_and_state("FilterRule", rule)
                    nested[rule_id] = ("FilterRule", state)
    rules = {key: one for key, one in resources.items() if one[0] == "FilterRule"}
    if rules != nested:
        fail(f"the list of rules has {rules}, the filters have {nested}")
    tags = client.call("DescribeTags")["tagSet"] or []
    # Network interfaces and instances have tags too.
    tags = [tag for tag in tags if tag["resourceType"].startswith("traffic-mirror-")]
    listed = {(tag["resourceId"], tag["key"], tag["value"]) for tag in tags}
    own = {(key, *tag) for key, (_, state) in resources.items() for tag in state["tagSet"].items()}
    if listed != own:
        fail(f"the list of tags differs from the tags of resources: {listed ^ own}")
    return resources


def by_kind(resources):
    """Resources by kind. The endpoint lists each kind in the order of creation."""
    return {kind: [one for one in resources.items() if one[1][0] == kind] for kind in MAX_RESOURCES}


def difference(expected, found):
    """The resources that differ, by id, each with the expected and the found one."""
    keys = dict.fromkeys([*expected, *found])
    both = {key: (expected.get(key), found.get(key)) for key in keys}
    return {key: pair for key, pair in both.items() if pair[0] != pair[1]}


def check_writer(writer, found, client):
    """Checks the resources of a writer, and removes them from `found`.

    Returns whether its unconfirmed change was made.
    """
    change, is_made = writer.pending, False
    own = {key: one for key, one in found.items() if key in writer.resources}
    expected = [writer.resources]
    if change and change.new:
        # The description of each created resource is unique.
        description = change.new[1]["description"]
        created = [key for key, (_, one) in found.items() if one.get("description") == description]
        [new_id] = created or [None]
        if new_id:
            own[new_id] = found[new_id]
            expected = [change.applied_to(writer.resources, new_id)]
    elif change:
        expected.append(change.applied_to(writer.resources))
    lists = [by_kind(one) for one in expected]
    if by_kind(own) not in lists:
        unconfirmed = (change.action, change.parameters) if change else None
        differences = [difference(one, own) or "in the order of the lists" for one in expected]
        fail(
            f"the unconfirmed change was {unconfirmed}; expected and found differ: "
            f"{' or '.join(map(str, differences))}"
        )
    for key in own:
        del found[key]
    if change and change.new:
        is_made = new_id is not None
        # The client repeats the call, with the same token.
        repeated_id = change.make(client)
        if is_made and repeated_id != new_id:
            fail(f"{change.parameters} created {new_id}, and {repeated_id} when repeated")
        own = change.applied_to(writer.resources, repeated_id)
    elif change:
        is_made = by_kind(own) != lists[0]
    writer.resources, writer.pending = own, None
    return is_made


class Program:
    """The program under test. It ends with this script."""

    def __init__(self):
        command = ["setpriv", "--pdeathsig", "KILL", os.environ["TRAFFIC_MIRROR"], "run"]
        command += ["--ec2-endpoint", ENDPOINT, "--no-authentication"]
        command += ["--state", os.environ["STATE"]]
        command += ["--network-interface", f"{COLLECTOR}=udp:127.0.0.1:4789"]
        command += ["--quota", "sessions-per-interface=100", "--ring-size", "1MiB"]
        self.log = open(os.environ["STATE"] + ".log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log)

    def client(self):
        """A connected client, once the program accepts connections."""
        for _ in range(4_000):
            client = Client()
            try:
                client.connection.connect()
                return client
            except OSError:
                client.connection.close()
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        fail(f"the program accepts no connection: {self.log_text()}")

    def log_text(self):
        self.log.seek(0)
        return self.log.read()

    def kill(self):
        ended = self.process.poll()
        self.process.kill()
        self.process.wait()
        log_text = self.log_text()
        self.log.close()
        if ended is not None or "panicked" in log_text:
            fail(f"the program ended by itself: {log_text}")


def main():
    writers = [Writer(number) for number in range(WRITERS)]
    choices, unconfirmed, made, early = random.Random(SEED), 0, 0, 0
    kills = int(os.environ["KILLS"])
    for kill in range(kills + 1):
        if choices.random() < 0.1:
            # A kill during the start, when the program repairs the state file after the last kill.
            program = Program()
            time.sleep(choices.uniform(0, 0.03))
            program.kill()
            early += 1
        program = Program()
        client = program.client()
        found = described(client)
        for writer in writers:
            unconfirmed += writer.pending is not None
            made += check_writer(writer, found, client)
        if found:
            fail(f"no client created {found}")
        if kill == 0:
            named = {"Filter.1.Name": "tag:Name", "Filter.1.Value.1": os.environ["DEVICE"]}
            [device] = client.call("DescribeNetworkInterfaces", named)["networkInterfaceSet"]
            for writer in writers:
                writer.source = device["networkInterfaceId"]
        if kill == kills:
            program.kill()
            break
        threads = [threading.Thread(target=writer.write) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(choices.uniform(0.01, 0.15))
        killed_at = time.monotonic()
        program.kill()
        for thread in threads:
            thread.join()
        if any(writer.lost_at < killed_at for writer in writers):
            fail(f"the program closed a connection before kill {kill + 1}")
    confirmed = sum(writer.confirmed for writer in writers)
    if kills and not confirmed:
        fail("no change was confirmed")
    count = sum(len(writer.resources) for writer in writers)
    size = os.path.getsize(os.environ["STATE"])
    print(
        f"{kills} kills and {early} during the start; {confirmed} changes confirmed, {unconfirmed} "
        f"unconfirmed, {made} of these made; {count} resources in {size} bytes"
    )


main()
