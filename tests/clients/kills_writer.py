"""A client that makes one change after the other and records the changes that were confirmed."""

import random
import re
import time
import traceback

from kills_calls import (
    SEED,
    Client,
    ConnectionLost,
    capital,
    fail,
    id_and_state,
    name_of_id,
    parameters_of,
)

# The interface that is the target of all sessions.
COLLECTOR = "eni-0123456789abcdef0"
# The maximum number of resources of each kind that a client has at one time.
MAX_RESOURCES = {"Filter": 6, "FilterRule": 40, "Target": 4, "Session": 6}
# The resource types of tag specifications.
TYPES = {
    "Filter": "traffic-mirror-filter",
    "FilterRule": "traffic-mirror-filter-rule",
    "Target": "traffic-mirror-target",
    "Session": "traffic-mirror-session",
}


class Change:
    """A call that changes resources, and the resources after it is confirmed."""

    def __init__(self, action, parameters, after=None, new=None):
        self.action, self.parameters = action, parameters
        # By id: kind and state, or None if the resource is deleted.
        self.after = after or {}
        # Kind and state of a created resource, whose id is not known yet.
        self.new = new

    def applied_to(self, resources, new_id=None):
        """The resources after the change."""
        resources = dict(resources)
        for resource_id, resource in self.after.items():
            if resource is None:
                del resources[resource_id]
            else:
                resources[resource_id] = resource
        if self.new:
            resources[new_id] = self.new
        return resources

    def make(self, client):
        """Makes the change. Returns the id of the created resource, or None."""
        response = client.call(self.action, self.parameters)
        if not self.new:
            return None
        kind, state = self.new
        new_id, created = id_and_state(kind, response[f"trafficMirror{kind}"])
        if created != state:
            fail(f"requested {state}, the response has {created}")
        return new_id


class Writer:
    """A client that changes only its own resources."""

    def __init__(self, number):
        self.number, self.random = number, random.Random(f"{SEED} {number}")
        self.resources, self.pending, self.text_count, self.confirmed = {}, None, 0, 0
        self.source = self.lost_at = None

    def write(self):
        """Makes one change after the other until the connection is lost."""
        client = Client()
        try:
            while True:
                self.pending = self.next_change()
                new_id = self.pending.make(client)
                self.resources = self.pending.applied_to(self.resources, new_id)
                self.pending = None
                self.confirmed += 1
        except ConnectionLost:
            self.lost_at = time.monotonic()
        except Exception:
            fail(traceback.format_exc())

    def next_change(self):
        methods = [self.create] * 4 + [self.delete, self.modify_rule, self.modify_session]
        methods += [self.modify_services, self.create_tags, self.delete_tags]
        while not (change := self.random.choice(methods)()):
            pass
        return change

    def of_kind(self, kind):
        return {key: state for key, (other, state) in self.resources.items() if other == kind}

    def any_of(self, kind):
        """The id and the state of a random resource of a kind, or (None, None)."""
        known = self.of_kind(kind)
        return self.random.choice(list(known.items())) if known else (None, None)

    def text(self):
        self.text_count += 1
        return f"{self.number}.{self.text_count} <&> \u00fc{'.' * self.random.randrange(100)}"

    def create(self):
        kind = self.random.choice(list(MAX_RESOURCES))
        if len(self.of_kind(kind)) >= MAX_RESOURCES[kind]:
            return None
        state = {
            "Filter": lambda: {"networkServiceSet": []},
            "FilterRule": self.rule,
            "Target": lambda: {"networkInterfaceId": COLLECTOR},
            "Session": self.session,
        }[kind]()
        if state is None:
            return None
        tags = {f"k{number}": self.text() for number in range(self.random.randrange(4))}
        state = {**state, "description": self.text(), "tagSet": tags}
        parameters = parameters_of(state)
        for number, (key, value) in enumerate(tags.items(), 1):
            parameters["TagSpecification.1.ResourceType"] = TYPES[kind]
            parameters[f"TagSpecification.1.Tag.{number}.Key"] = key
            parameters[f"TagSpecification.1.Tag.{number}.Value"] = value
        parameters["ClientToken"] = f"token-{self.number}-{self.text_count}"
        return Change(f"CreateTrafficMirror{kind}", parameters, new=(kind, state))

    def number_for(self, taken, lowest, highest):
        while (number := str(self.random.randint(lowest, highest))) in taken:
            pass
        return number

    def rule(self):
        filter_id, _ = self.any_of("Filter")
        rules = self.of_kind("FilterRule").values()
        rules = [one for one in rules if one["trafficMirrorFilterId"] == filter_id]
        if filter_id is None or len(rules) >= 10:
            return None
        state = {
            "trafficMirrorFilterId": filter_id,
            "trafficDirection": self.random.choice(["ingress", "egress"]),
            "ruleNumber": self.number_for([one["ruleNumber"] for one in rules], 1, 32766),
            "ruleAction": self.random.choice(["accept", "reject"]),
            "sourceCidrBlock": f"10.1.{self.random.randrange(256)}.0/24",
            "destinationCidrBlock": f"10.2.{self.random.randrange(256)}.0/24",
        }
        if self.random.random() < 0.5:
            low = self.random.randrange(60_000)
            ports = {"fromPort": str(low), "toPort": str(low + self.random.randrange(5_000))}
            state |= {"protocol": "17", "destinationPortRange": ports}
        return state

    def session_number(self):
        # All writers share one source, on which each number can be used once.
        taken = [one["sessionNumber"] for one in self.of_kind("Session").values()]
        return self.number_for(taken, 1_000 * self.number + 1, 1_000 * self.number + 999)

    def session(self):
        filter_id, _ = self.any_of("Filter")
        target_id, _ = self.any_of("Target")
        if filter_id is None or target_id is None:
            return None
        return {
            "networkInterfaceId": self.source,
            "trafficMirrorTargetId": target_id,
            "trafficMirrorFilterId": filter_id,
            "sessionNumber": self.session_number(),
            "packetLength": str(self.random.randint(60, 1_500)),
            "virtualNetworkId": str(self.random.randrange(1 << 24)),
        }

    def delete(self):
        if not self.resources:
            return None
        resource_id, (kind, _) = self.random.choice(list(self.resources.items()))
        users = [
            one
            for one in self.of_kind("Session").values()
            if resource_id in (one["trafficMirrorTargetId"], one["trafficMirrorFilterId"])
        ]
        if users:
            return None
        # The rules of a filter are deleted with it.
        rules = [
            one
            for one, state in self.of_kind("FilterRule").items()
            if state["trafficMirrorFilterId"] == resource_id
        ]
        parameters = {capital(name_of_id(kind)): resource_id}
        after = dict.fromkeys([resource_id, *rules])
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
        names = self.random.sample(list(changes), self.random.randint(1, len(changes)))
        return {name: changes[name]() for name in names}

    def modify_rule(self):
        rule_id, state = self.any_of("FilterRule")
        if rule_id is None:
            return None
        taken = [one["ruleNumber"] for one in self.of_kind("FilterRule").values()]
        changed = self.some_of(
            {
                "ruleNumber": lambda: self.number_for(taken, 1, 32766),
                "ruleAction": lambda: self.random.choice(["accept", "reject"]),
                "sourceCidrBlock": lambda: f"172.16.{self.random.randrange(256)}.0/24",
                "description": self.text,
            }
        )
        removed = self.random.choice(["description", "destinationPortRange", None])
        return self.modify("FilterRule", rule_id, state, changed, removed)

    def modify_session(self):
        session_id, state = self.any_of("Session")
        if session_id is None:
            return None
        changed = self.some_of(
            {
                "sessionNumber": self.session_number,
                "packetLength": lambda: str(self.random.randint(60, 1_500)),
                "virtualNetworkId": lambda: str(self.random.randrange(1 << 24)),
                "trafficMirrorFilterId": lambda: self.any_of("Filter")[0],
                "trafficMirrorTargetId": lambda: self.any_of("Target")[0],
                "description": self.text,
            }
        )
        removed = self.random.choice(["description", "packetLength", None])
        return self.modify("Session", session_id, state, changed, removed)

    def modify_services(self):
        filter_id, state = self.any_of("Filter")
        if filter_id is None:
            return None
        verb = self.random.choice(["Add", "Remove"])
        parameters = {"TrafficMirrorFilterId": filter_id, f"{verb}NetworkService.1": "amazon-dns"}
        state = {**state, "networkServiceSet": ["amazon-dns"] if verb == "Add" else []}
        action = "ModifyTrafficMirrorFilterNetworkServices"
        return Change(action, parameters, {filter_id: ("Filter", state)})

    def create_tags(self):
        tags = {f"k{self.random.randrange(6)}": self.text() for _ in range(2)}
        return self.tagged("CreateTags", tags, lambda old: {**old, **tags})

    def delete_tags(self):
        tags = {f"k{self.random.randrange(6)}": None}

        def without_tags(old):
            return {key: value for key, value in old.items() if key not in tags}

        return self.tagged("DeleteTags", tags, without_tags)

    def tagged(self, action, tags, change):
        """A change of the tags of one to five resources in one call."""
        if not self.resources:
            return None
        count = min(len(self.resources), self.random.randint(1, 5))
        parameters, after = {}, {}
        for number, resource_id in enumerate(self.random.sample(list(self.resources), count), 1):
            kind, state = self.resources[resource_id]
            parameters[f"ResourceId.{number}"] = resource_id
            after[resource_id] = (kind, {**state, "tagSet": change(state["tagSet"])})
        for number, (key, value) in enumerate(tags.items(), 1):
            parameters[f"Tag.{number}.Key"] = key
            if value is not None:
                parameters[f"Tag.{number}.Value"] = value
        return Change(action, parameters, after)
