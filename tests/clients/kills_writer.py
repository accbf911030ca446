"""A client that changes one thing after the other, and knows what it was answered."""

import random
import re
import time
import traceback

from kills_calls import SEED, Client, Cut, capital, name_of_id, parameters_of, taken_apart, wrong

# What all sessions go to.
COLLECTOR = "eni-0123456789abcdef0"
# What a client holds at the most of each kind, and how the type is called where it is tagged.
MOST = {"Filter": 6, "FilterRule": 40, "Target": 4, "Session": 6}
TYPES = {
    "Filter": "traffic-mirror-filter",
    "FilterRule": "traffic-mirror-filter-rule",
    "Target": "traffic-mirror-target",
    "Session": "traffic-mirror-session",
}


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
        self.number, self.chance = number, random.Random(f"{SEED} {number}")
        self.world, self.pending, self.count, self.answered = {}, None, 0, 0
        self.source = self.cut_at = None

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
            self.cut_at = time.monotonic()
        except Exception:
            wrong(traceback.format_exc())

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
            "networkInterfaceId": self.source,
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
