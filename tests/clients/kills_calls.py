"""Calls of the endpoint, and the state of resources as a client knows it."""

import http.client
import os
import random
import sys
import urllib.parse
import xml.etree.ElementTree

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
ENDPOINT = os.environ["EC2_ENDPOINT"]
CREDENTIAL = "Credential=test/20261123/eu-west-1/ec2/aws4_request"
HEADERS = {
    "Authorization": f"AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host, Signature=0",
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
}


class ConnectionLost(Exception):
    """The connection ended before the response."""


class Client:
    """A client that sends all its calls on one connection."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(ENDPOINT, timeout=20)

    def call(self, action, parameters=()):
        """Calls an action. Returns the response as lists, dictionaries and texts."""
        form = {"Action": action, "Version": "2016-11-15", **dict(parameters)}
        try:
            self.connection.request("POST", "/", urllib.parse.urlencode(form), HEADERS)
            response = self.connection.getresponse()
            document = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise ConnectionLost(repr(error)) from error
        if response.status != 200:
            fail(f"{form} was refused: {document.decode()}")
        return plain(xml.etree.ElementTree.fromstring(document))


def fail(complaint):
    """Ends the process, from any thread, with a complaint that names the seed."""
    sys.stderr.write(f"seed {SEED}: {complaint}\n")
    sys.stderr.flush()
    os._exit(1)


def plain(element):
    """An XML element as lists, dictionaries and texts."""
    children = list(element)
    names = [child.tag.split("}")[-1] for child in children]
    if not children:
        return element.text or ""
    if set(names) == {"item"}:
        return [plain(child) for child in children]
    return {name: plain(child) for name, child in zip(names, children)}


def name_of_id(kind):
    return f"trafficMirror{kind}Id"


def id_and_state(kind, resource):
    """The id of a resource, and its state: the fields that a client chooses, by XML names."""
    state = dict(resource)
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
    """The parameters of a call that sets this state, without tags."""
    parameters = {}
    for name, value in state.items():
        if name.endswith("Range"):
            parameters[f"{capital(name)}.FromPort"] = value["fromPort"]
            parameters[f"{capital(name)}.ToPort"] = value["toPort"]
        elif not name.endswith("Set"):
            parameters[capital(name)] = value
    return parameters
