"""Kills an endpoint amid the writes of four clients, again and again, and starts it anew.

Each time, every change that was answered has to be there with all that was said of it, and of the
one change of each client that was under way all or nothing. TRAFFIC_MIRROR names the program,
EC2_ENDPOINT where it is to serve (ADDR:PORT), STATE its file, DEVICE the source of the sessions,
KILLS how often, SEED where chance begins.
"""

import http.client
import os
import random
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree

ENDPOINT = os.environ["EC2_ENDPOINT"]
COLLECTOR = "eni-0123456789abcdef0"
CREDENTIAL = "Credential=test/20261123/eu-west-1/ec2/aws4_request"
HEADERS = {
    "Authorization": f"AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
}
WRITERS = 4
# What a client holds at the most of each kind, and how the type is called where it is tagged.
MOST = {"Filter": 6, "FilterRule": 40, "Target": 4, "Session": 6}
TYPES = {
    "Filter": "traffic-mirror-filter",
    "FilterRule": "traffic-mirror-filter-rule",
    "Target": "traffic-mirror-target",
    "Session": "traffic-mirror-session",
}


class Cut(Exception):
    """The connection ended before the answer."""


class Client:
    """A connection that is kept."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(ENDPOINT, timeout=20)

    def call(self, action, parameters=()):
        form = {"Action": action, "Version": "2016-11-15", **dict(parameters)}
        try:
            self.connection.request("POST", "/", urllib.parse.urlencode(form), HEADERS)
            response = self.connection.getresponse()
            document = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Cut(repr(error)) from error
        if response.status != 200:
            wrong(f"{form} was refused: {document.decode()}")
        return plain(xml.etree.ElementTree.fromstring(document))


def wrong(what):
    sys.stderr.write(f"seed {SEED}: {what}\n")
    sys.stderr.flush()
    os._exit(1)


def plain(element):
    """A document as lists, dictionaries and texts."""
    children = list(element)
    names = [child.tag.split("}")[-1] for child in children]
    if not children:
        return element.text or ""
    if set(names) == {"item"}:
        return [plain(child) for child in children]
    return {name: plain(child) for name, child in zip(names, children)}


def name_of_id(kind):
    return f"trafficMirror{kind}Id"


def taken_apart(kind, found):
    """The id of a resource, and its state: what a client chooses, by the names of the answer."""
    state = dict(found)
    resource_id = state.pop(name_of_id(kind))
    for name in ("ownerId", "type", "ingressFilterRuleSet", "egressFilterRuleSet", "clientToken"):
        state.pop(name, None)
    state["tagSet"] = {tag["key"]: tag["value"] for tag in state.get("tagSet") or []}
    if kind == "Filter":
        state["networkServiceSet"] = state["networkServiceSet"] or []
    return resource_id, state


def capital(name):
    return name[0].upper() + name[1:]


def parameters_of(state):
    """A state as the parameters that ask for it, but for tags."""
    parameters = {}
    for name, value in state.items():
        if name.endswith("Range"):
            parameters[f"{capital(name)}.FromPort"] = value["fromPort"]
            parameters[f"{capital(name)}.ToPort"] = value["toPort"]
        elif not name.endswith("Set"):
            parameters[capital(name)] = value
    return parameters


class Change:
    """A call that changes something, and what is so when it is answered."""

    def __init__(self, action, parameters, after=None, new=None):
        self.action, self.parameters = action, parameters
        # By id: a kind and a state, or nothing where the resource is gone.
        self.after = after or {}
        # The kind and the state of a resource of which nobody knows the id yet.
        self.new = new

    def made(self, world, new_id=None):
        """The world with it."""
        world = dict(world)
        for resource_id, resource in self.after.items():
            if resource is None:
                del world[resource_id]
            else:
                world[resource_id] = resource
        if self.new:
            world[new_id] = self.new
        return world

    def ask(self, client):
        """Has it made; the id of what is new."""
        answer = client.call(self.action, self.parameters)
        if not self.new:
            return None
        kind, state = self.new
        new_id, answered = taken_apart(kind, answer[f"trafficMirror{kind}"])
        if answered != state:
            wrong(f"asked for {state}, and {answered} was answered")
        return new_id


class Writer:
    """A client with resources that it alone changes."""

    def __init__(self, number):
        self.number, self.chance = number, random.Random(SEED * WRITERS + number)
        self.world, self.pending, self.count, self.answered = {}, None, 0, 0

    def write(self):
        """Changes one thing after the other, until the connection is cut."""
        client = Client()
        try:
            while True:
                self.pending = self.next_change()
                new_id = self.pending.ask(client)
                self.world = self.pending.made(self.world, new_id)
                self.pending = None
                self.answered += 1
        except Cut:
            pass

    def next_change(self):
        ways = [self.create] * 4 + [self.delete, self.modify_rule, self.modify_session]
        ways += [self.modify_services, self.create_tags, self.delete_tags]
        while not (change := self.chance.choice(ways)()):
            pass
        return change

    def of_kind(self, kind):
        return {key: state for key, (its, state) in self.world.items() if its == kind}

    def any_of(self, kind):
        """The id and the state of one, or nothing twice."""
        known = self.of_kind(kind)
        return self.chance.choice(list(known.items())) if known else (None, None)

    def text(self):
        self.count += 1
        return f"{self.number}.{self.count} <&> \u00fc{'.' * self.chance.randrange(100)}"

    def create(self):
        kind = self.chance.choice(list(MOST))
        if len(self.of_kind(kind)) >= MOST[kind]:
            return None
        state = {
            "Filter": lambda: {"networkServiceSet": []},
            "FilterRule": self.rule,
            "Target": lambda: {"networkInterfaceId": COLLECTOR},
            "Session": self.session,
        }[kind]()
        if state is None:
            return None
        tags = {f"k{number}": self.text() for number in range(self.chance.randrange(4))}
        state = {**state, "description": self.text(), "tagSet": tags}
        parameters = parameters_of(state)
        for number, (key, value) in enumerate(tags.items(), 1):
            parameters["TagSpecification.1.ResourceType"] = TYPES[kind]
            parameters[f"TagSpecification.1.Tag.{number}.Key"] = key
            parameters[f"TagSpecification.1.Tag.{number}.Value"] = value
        parameters["ClientToken"] = f"token-{self.number}-{self.count}"
        return Change(f"CreateTrafficMirror{kind}", parameters, new=(kind, state))

    def number_for(self, taken, lowest, highest):
        while (number := str(self.chance.randint(lowest, highest))) in taken:
            pass
        return number

    def rule(self):
        of, _ = self.any_of("Filter")
        rules = self.of_kind("FilterRule").values()
        rules = [one for one in rules if one["trafficMirrorFilterId"] == of]
        if of is None or len(rules) >= 10:
            return None
        state = {
            "trafficMirrorFilterId": of,
            "trafficDirection": self.chance.choice(["ingress", "egress"]),
            "ruleNumber": self.number_for([one["ruleNumber"] for one in rules], 1, 32766),
            "ruleAction": self.chance.choice(["accept", "reject"]),
            "sourceCidrBlock": f"10.1.{self.chance.randrange(256)}.0/24",
            "destinationCidrBlock": f"10.2.{self.chance.randrange(256)}.0/24",
        }
        if self.chance.random() < 0.5:
            low = self.chance.randrange(60_000)
            ports = {"fromPort": str(low), "toPort": str(low + self.chance.randrange(5_000))}
            state |= {"protocol": "17", "destinationPortRange": ports}
        return state

    def session_number(self):
        # All writers share one source, on which no number can be there twice.
        taken = [one["sessionNumber"] for one in self.of_kind("Session").values()]
        return self.number_for(taken, 1_000 * self.number + 1, 1_000 * self.number + 999)

    def session(self):
        of, _ = self.any_of("Filter")
        to, _ = self.any_of("Target")
        if of is None or to is None:
            return None
        return {
            "networkInterfaceId": SOURCE,
            "trafficMirrorTargetId": to,
            "trafficMirrorFilterId": of,
            "sessionNumber": self.session_number(),
            "packetLength": str(self.chance.randint(60, 1_500)),
            "virtualNetworkId": str(self.chance.randrange(1 << 24)),
        }

    def delete(self):
        if not self.world:
            return None
        resource_id, (kind, _) = self.chance.choice(list(self.world.items()))
        users = [
            one
            for one in self.of_kind("Session").values()
            if resource_id in (one["trafficMirrorTargetId"], one["trafficMirrorFilterId"])
        ]
        if users:
            return None
        # The rules of a filter go with it.
        gone = [
            one
            for one, state in self.of_kind("FilterRule").items()
            if state["trafficMirrorFilterId"] == resource_id
        ]
        parameters = {capital(name_of_id(kind)): resource_id}
        after = dict.fromkeys([resource_id, *gone])
        return Change(f"DeleteTrafficMirror{kind}", parameters, after)

    def modify(self, kind, resource_id, state, changed, removed=None):
        parameters = {capital(name_of_id(kind)): resource_id, **parameters_of(changed)}
        state = {**state, **changed}
        if removed in state and removed not in changed:
            del state[removed]
            parameters["RemoveField.1"] = re.sub("[A-Z]", lambda one: f"-{one[0].lower()}", removed)
        action = f"ModifyTrafficMirror{kind}"
        return Change(action, parameters, {resource_id: (kind, state)})

    def some_of(self, changes):
        names = self.chance.sample(list(changes), self.chance.randint(1, len(changes)))
        return {name: changes[name]() for name in names}

    def modify_rule(self):
        rule_id, state = self.any_of("FilterRule")
        if rule_id is None:
            return None
        taken = [one["ruleNumber"] for one in self.of_kind("FilterRule").values()]
        changed = self.some_of(
            {
                "ruleNumber": lambda: self.number_for(taken, 1, 32766),
                "ruleAction": lambda: self.chance.choice(["accept", "reject"]),
                "sourceCidrBlock": lambda: f"172.16.{self.chance.randrange(256)}.0/24",
                "description": self.text,
            }
        )
        removed = self.chance.choice(["description", "destinationPortRange", None])
        return self.modify("FilterRule", rule_id, state, changed, removed)

    def modify_session(self):
        session_id, state = self.any_of("Session")
        if session_id is None:
            return None
        changed = self.some_of(
            {
                "sessionNumber": self.session_number,
                "packetLength": lambda: str(self.chance.randint(60, 1_500)),
                "virtualNetworkId": lambda: str(self.chance.randrange(1 << 24)),
                "trafficMirrorFilterId": lambda: self.any_of("Filter")[0],
                "trafficMirrorTargetId": lambda: self.any_of("Target")[0],
                "description": self.text,
            }
        )
        removed = self.chance.choice(["description", "packetLength", None])
        return self.modify("Session", session_id, state, changed, removed)

    def modify_services(self):
        filter_id, state = self.any_of("Filter")
        if filter_id is None:
            return None
        way = self.chance.choice(["Add", "Remove"])
        parameters = {"TrafficMirrorFilterId": filter_id, f"{way}NetworkService.1": "amazon-dns"}
        state = {**state, "networkServiceSet": ["amazon-dns"] if way == "Add" else []}
        action = "ModifyTrafficMirrorFilterNetworkServices"
        return Change(action, parameters, {filter_id: ("Filter", state)})

    def create_tags(self):
        tags = {f"k{self.chance.randrange(6)}": self.text() for _ in range(2)}
        return self.tagged("CreateTags", tags, lambda old: {**old, **tags})

    def delete_tags(self):
        tags = {f"k{self.chance.randrange(6)}": None}

        def left(old):
            return {key: value for key, value in old.items() if key not in tags}

        return self.tagged("DeleteTags", tags, left)

    def tagged(self, action, tags, change):
        """Tags of up to five resources, in one call."""
        if not self.world:
            return None
        count = min(len(self.world), self.chance.randint(1, 5))
        parameters, after = {}, {}
        for number, resource_id in enumerate(self.chance.sample(list(self.world), count), 1):
            kind, state = self.world[resource_id]
            parameters[f"ResourceId.{number}"] = resource_id
            after[resource_id] = (kind, {**state, "tagSet": change(state["tagSet"])})
        for number, (key, value) in enumerate(tags.items(), 1):
            parameters[f"Tag.{number}.Key"] = key
            if value is not None:
                parameters[f"Tag.{number}.Value"] = value
        return Change(action, parameters, after)


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
        wrong(f"under way was {begun}\nexpected {orders}\nfound {in_order(ours)}")
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
        command += ["--ec2-endpoint", ENDPOINT, "--state", os.environ["STATE"]]
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
    global SOURCE
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
            SOURCE = device["networkInterfaceId"]
        if kill == kills:
            program.kill()
            break
        threads = [threading.Thread(target=writer.write) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.01, 0.15))
        program.kill()
        for thread in threads:
            thread.join()
    answered = sum(writer.answered for writer in writers)
    held = sum(len(writer.world) for writer in writers)
    size = os.path.getsize(os.environ["STATE"])
    print(
        f"{kills} kills and {early} early ones; {answered} changes answered, {in_flight} under way, "
        f"{made} of these made; {held} resources are held in {size} bytes"
    )


SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
SOURCE = None
main()
