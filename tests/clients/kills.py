"""Kills an endpoint amid the writes of four clients, again and again, and starts it anew.

Each time, every change that was answered has to be there with all that was said of it, and of the
one change of each client that was under way all or nothing. TRAFFIC_MIRROR names the program,
EC2_ENDPOINT where it is to serve (ADDR:PORT), STATE its file, DEVICE the source of the sessions,
KILLS how often, SEED where chance begins.
"""

import os
import random
import subprocess
import threading
import time

from kills_calls import ENDPOINT, SEED, Client, taken_apart, wrong
from kills_writer import COLLECTOR, MOST, Writer

WRITERS = 4


def described(client):
    """The world as the endpoint describes it, in its order; it has to agree with itself."""
    world, nested = {}, {}
    for kind in MOST:
        answer = client.call(f"DescribeTrafficMirror{kind}s")
        for found in answer[f"trafficMirror{kind}Set"] or []:
            resource_id, state = taken_apart(kind, found)
            world[resource_id] = (kind, state)
            for direction in ("ingress", "egress"):
                for rule in found.get(f"{direction}FilterRuleSet") or []:
                    rule_id, state = taken_apart("FilterRule", rule)
                    nested[rule_id] = ("FilterRule", state)
    rules = {key: one for key, one in world.items() if one[0] == "FilterRule"}
    if rules != nested:
        wrong(f"rules are {rules}, and in their filters {nested}")
    tags = client.call("DescribeTags")["tagSet"] or []
    listed = {(tag["resourceId"], tag["key"], tag["value"]) for tag in tags}
    held = {(key, *tag) for key, (_, state) in world.items() for tag in state["tagSet"].items()}
    if listed != held:
        wrong(f"tags differ: {listed ^ held}")
    return world


def in_order(world):
    """By kind, as every list is in the order of creation."""
    return {kind: [one for one in world.items() if one[1][0] == kind] for kind in MOST}


def difference(expected, found):
    """What either has otherwise."""
    keys = dict.fromkeys([*expected, *found])
    both = {key: (expected.get(key), found.get(key)) for key in keys}
    return {key: pair for key, pair in both.items() if pair[0] != pair[1]}


def settle(writer, found, client):
    """What the writer was answered is there. Whether what it had under way was made."""
    change, is_made = writer.pending, False
    ours = {key: one for key, one in found.items() if key in writer.world}
    expected = [writer.world]
    if change and change.new:
        # Descriptions at creation are all different.
        mark = change.new[1]["description"]
        marked = [key for key, (_, one) in found.items() if one.get("description") == mark]
        [new_id] = marked or [None]
        if new_id:
            ours[new_id] = found[new_id]
            expected = [change.made(writer.world, new_id)]
    elif change:
        expected.append(change.made(writer.world))
    orders = [in_order(one) for one in expected]
    if in_order(ours) not in orders:
        begun = (change.action, change.parameters) if change else None
        differ = [difference(one, ours) or "in the order of the lists" for one in expected]
        wrong(f"under way was {begun}; expected and found differ: {' or '.join(map(str, differ))}")
    for key in ours:
        del found[key]
    if change and change.new:
        is_made = new_id is not None
        # Its client asks again, with the same token.
        again = change.ask(client)
        if is_made and again != new_id:
            wrong(f"{new_id} was made by {change.parameters}, and {again} once more")
        ours = change.made(writer.world, again)
    elif change:
        is_made = in_order(ours) != orders[0]
    writer.world, writer.pending = ours, None
    return is_made


class Program:
    """The program under test; it does not outlive this one."""

    def __init__(self):
        command = ["setpriv", "--pdeathsig", "KILL", os.environ["TRAFFIC_MIRROR"], "run"]
        command += ["--ec2-endpoint", ENDPOINT, "--no-authentication"]
        command += ["--state", os.environ["STATE"]]
        command += ["--network-interface", f"{COLLECTOR}=udp:127.0.0.1:4789"]
        command += ["--quota", "sessions-per-interface=100", "--ring-size", "1MiB"]
        self.said = open(os.environ["STATE"] + ".said", "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.said)

    def client(self):
        """A client, as soon as it serves."""
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
        wrong(f"it does not serve: {self.words()}")

    def words(self):
        self.said.seek(0)
        return self.said.read()

    def kill(self):
        ended = self.process.poll()
        self.process.kill()
        self.process.wait()
        words = self.words()
        self.said.close()
        if ended is not None or "panicked" in words:
            wrong(f"it ended by itself: {words}")


def main():
    writers = [Writer(number) for number in range(WRITERS)]
    chance, in_flight, made, early = random.Random(SEED), 0, 0, 0
    kills = int(os.environ["KILLS"])
    for kill in range(kills + 1):
        if chance.random() < 0.1:
            # Also where it is about to begin, and to mend what the last one left.
            program = Program()
            time.sleep(chance.uniform(0, 0.03))
            program.kill()
            early += 1
        program = Program()
        client = program.client()
        found = described(client)
        for writer in writers:
            in_flight += writer.pending is not None
            made += settle(writer, found, client)
        if found:
            wrong(f"nobody made {found}")
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
        time.sleep(chance.uniform(0.01, 0.15))
        killed_at = time.monotonic()
        program.kill()
        for thread in threads:
            thread.join()
        if any(writer.cut_at < killed_at for writer in writers):
            wrong(f"it hung up before kill {kill + 1}")
    answered = sum(writer.answered for writer in writers)
    held = sum(len(writer.world) for writer in writers)
    size = os.path.getsize(os.environ["STATE"])
    print(
        f"{kills} kills and {early} early ones; {answered} changes answered, {in_flight} under "
        f"way, {made} of these made; {held} resources are held in {size} bytes"
    )


main()
