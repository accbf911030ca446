"""The main road with the AWS CLI: what is typed, what is printed, pages, and exit codes.

EC2_ENDPOINT names a running endpoint with nothing created; DEVICE a network device of its host that
can be a source.
"""

import json
import os
import shlex
import subprocess
import unittest

ARN = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/x/0123456789abcdef"
# Nothing of whoever runs the test: no profile, no keys, no region.
VARIABLES = {
    **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.environ["CREDENTIALS"],
    "AWS_ENDPOINT_URL": os.environ["EC2_ENDPOINT"],
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_PAGER": "",
}


def aws(line):
    """One command as it is typed behind `aws`."""
    words = ["aws", *shlex.split(line)]
    return subprocess.run(words, env=VARIABLES, capture_output=True, text=True, check=False)


# What a client error ends with: 254, and with version 1 of the AWS CLI 255 as any other failure
# (the user guides of both, "Return codes").
REFUSED = 255 if aws("--version").stdout.startswith("aws-cli/1.") else 254


class CommandLine(unittest.TestCase):
    def printed(self, line):
        ended = aws(line)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), line)
        return ended.stdout

    def done(self, action):
        """The document that an action of EC2 prints, if any."""
        text = self.printed(f"ec2 {action}")
        return json.loads(text) if text.strip() else None

    def words(self, action, query):
        """What a query leaves of the document, as a shell script would take it."""
        return self.printed(f"ec2 {action} --output text --query '{query}'").split()

    def refused(self, code, action):
        """The message, where it ends as an error of that code."""
        ended = aws(f"ec2 {action}")
        self.assertEqual((ended.returncode, ended.stdout), (REFUSED, ""), ended.stderr)
        called = "".join(word.capitalize() for word in action.split()[0].split("-"))
        start = f"An error occurred ({code}) when calling the {called} operation: "
        self.assertIn(start, ended.stderr)
        message = ended.stderr.partition(start)[2].strip()
        self.assertTrue(message)
        return message

    def new(self, kind, parameters=""):
        """Creates one of a kind as in `filter-rule`; its id."""
        name = "".join(word.capitalize() for word in kind.split("-"))
        member = f"TrafficMirror{name}.TrafficMirror{name}Id"
        [made] = self.words(f"create-traffic-mirror-{kind} {parameters}", member)
        return made

    def tagged_target(self):
        tag = "ResourceType=traffic-mirror-target,Tags=[{Key=mirror:address,Value=127.0.0.9}]"
        return self.new(
            "target", f"--network-load-balancer-arn {ARN} --tag-specifications '{tag}'"
        )

    def test_the_main_road(self):
        [identity] = self.printed("sts get-caller-identity --output text --query Account").split()
        self.assertEqual(identity, "000000000000")
        target = self.tagged_target()
        named = "ResourceType=traffic-mirror-filter,Tags=[{Key=Name,Value=web}]"
        filter_id = self.new("filter", f"--description 'a & b' --tag-specifications '{named}'")
        rule = self.rules(filter_id)
        session = self.session(target, filter_id)
        self.found(target, filter_id, rule, session)
        self.tags(filter_id, session)
        self.not_yet_deleted(target, filter_id, session)
        self.end(target, filter_id, rule, session)

    def rules(self, filter_id):
        of_filter = f"--traffic-mirror-filter-id {filter_id}"
        networks = "--source-cidr-block 0.0.0.0/0 --destination-cidr-block 10.0.0.0/8"
        accept = f"{of_filter} {networks} --rule-action accept --rule-number 10"
        rule = self.new(
            "filter-rule",
            f"{accept} --traffic-direction ingress --protocol 6 --description https"
            " --destination-port-range FromPort=443,ToPort=444",
        )
        self.new("filter-rule", f"{accept} --traffic-direction egress")
        self.refused(
            "TrafficMirrorFilterRuleAlreadyExists",
            f"create-traffic-mirror-filter-rule {accept} --traffic-direction egress",
        )
        said = self.refused(
            "InvalidParameterValue",
            f"create-traffic-mirror-filter-rule {accept} --traffic-direction sideways",
        )
        self.assertIn("sideways", said)
        modify = f"modify-traffic-mirror-filter-rule --traffic-mirror-filter-rule-id {rule}"
        changed = self.done(f"{modify} --rule-number 20 --rule-action reject")
        changed = changed["TrafficMirrorFilterRule"]
        self.assertEqual(changed["DestinationPortRange"], {"FromPort": 443, "ToPort": 444})
        self.assertEqual((changed["RuleNumber"], changed["RuleAction"]), (20, "reject"))
        fields = "destination-port-range protocol description"
        changed = self.done(f"{modify} --remove-fields {fields}")["TrafficMirrorFilterRule"]
        for removed in ("DestinationPortRange", "Protocol", "Description"):
            self.assertNotIn(removed, changed)
        self.assertEqual((changed["RuleNumber"], changed["RuleAction"]), (20, "reject"))
        return rule

    def session(self, target, filter_id):
        [interface] = self.words(
            f"describe-network-interfaces --filters Name=tag:Name,Values={os.environ['DEVICE']}",
            "NetworkInterfaces[].NetworkInterfaceId",
        )
        parts = f"--traffic-mirror-target-id {target} --traffic-mirror-filter-id {filter_id}"
        of_interface = f"--network-interface-id {interface} {parts}"
        session = self.new(
            "session",
            f"{of_interface} --session-number 1 --packet-length 100 --virtual-network-id 4242"
            " --description first",
        )
        said = self.refused(
            "InvalidParameterValue",
            f"create-traffic-mirror-session {of_interface} --session-number 32767",
        )
        self.assertIn("32767", said)
        modify = f"modify-traffic-mirror-session --traffic-mirror-session-id {session}"
        changed = self.done(f"{modify} --session-number 2 --virtual-network-id 77")
        changed = changed["TrafficMirrorSession"]
        kept = (changed["PacketLength"], changed["Description"])
        self.assertEqual(kept, (100, "first"))
        self.assertEqual((changed["SessionNumber"], changed["VirtualNetworkId"]), (2, 77))
        changed = self.done(f"{modify} --remove-fields packet-length description")
        changed = changed["TrafficMirrorSession"]
        self.assertNotIn("Description", changed)
        self.assertEqual((changed["SessionNumber"], changed["VirtualNetworkId"]), (2, 77))
        return session

    def found(self, target, filter_id, rule, session):
        """Each kind by its filters, and only so."""
        for kind, wanted, found in (
            ("targets", f"Name=network-load-balancer-arn,Values={ARN}", [target]),
            ("targets", "Name=network-interface-id,Values=eni-1", []),
            ("filters", "Name=description,Values='a ? b'", [filter_id]),
            ("filters", "Name=tag:Name,Values=other,w*", [filter_id]),
            ("filters", "Name=tag-key,Values=Name Name=description,Values=x", []),
            ("filter-rules", "Name=traffic-direction,Values=ingress", [rule]),
            ("sessions", "Name=virtual-network-id,Values=77", [session]),
            ("sessions", f"Name=traffic-mirror-target-id,Values={target}", [session]),
        ):
            with self.subTest(kind=kind, wanted=wanted):
                name = "".join(word.capitalize() for word in kind.split("-"))
                query = f"TrafficMirror{name}[].TrafficMirror{name[:-1]}Id"
                describe = f"describe-traffic-mirror-{kind} --filters {wanted}"
                self.assertEqual(self.words(describe, query), found)
        said = self.refused(
            "InvalidParameterValue",
            "describe-traffic-mirror-sessions --filters Name=colour,Values=red",
        )
        self.assertIn("colour", said)
        [nested] = self.words(
            f"describe-traffic-mirror-filters --traffic-mirror-filter-ids {filter_id}",
            "TrafficMirrorFilters[].IngressFilterRules[].TrafficMirrorFilterRuleId",
        )
        self.assertEqual(nested, rule)

    def tags(self, filter_id, session):
        resources = f"--resources {filter_id} {session}"
        self.done(f"create-tags {resources} --tags Key=team,Value='net & sec' Key=empty,Value=")
        of_both = f"--filters Name=resource-id,Values={filter_id},{session}"
        [*counted] = self.words(f"describe-tags {of_both} Name=key,Values=team", "Tags[].ResourceId")
        self.assertEqual(sorted(counted), sorted([filter_id, session]))
        self.done(f"delete-tags {resources} --tags Key=empty Key=team,Value=other")
        tags = self.done(f"describe-tags {of_both}")["Tags"]
        left = sorted((tag["ResourceId"], tag["Key"], tag["Value"]) for tag in tags)
        wanted = [(one, "team", "net & sec") for one in (filter_id, session)]
        self.assertEqual(left, sorted([*wanted, (filter_id, "Name", "web")]))
        malformed = self.refused("InvalidID", "create-tags --resources i-1 --tags Key=a,Value=b")
        self.assertIn("i-1", malformed)

    def not_yet_deleted(self, target, filter_id, session):
        said = self.refused(
            "TrafficMirrorFilterInUse",
            f"delete-traffic-mirror-filter --traffic-mirror-filter-id {filter_id}",
        )
        self.assertIn(session, said)
        self.refused(
            "TrafficMirrorTargetInUse",
            f"delete-traffic-mirror-target --traffic-mirror-target-id {target}",
        )
        dry = f"delete-traffic-mirror-session --traffic-mirror-session-id {session} --dry-run"
        said = self.refused("DryRunOperation", dry)
        self.assertIn("would have succeeded", said)

    def end(self, target, filter_id, rule, session):
        for kind, identifier in (
            ("session", session),
            ("filter-rule", rule),
            ("filter", filter_id),
            ("target", target),
        ):
            name = "".join(word.capitalize() for word in kind.split("-"))
            delete = f"delete-traffic-mirror-{kind} --traffic-mirror-{kind}-id {identifier}"
            self.assertEqual(self.done(delete)[f"TrafficMirror{name}Id"], identifier)
            said = self.refused(f"InvalidTrafficMirror{name}Id.NotFound", delete)
            self.assertIn(identifier, said)
        self.assertEqual(self.done("describe-tags --filters Name=key,Values=team")["Tags"], [])

    def test_pages(self):
        made = [self.new("filter", f"--description 'page {number}'") for number in range(7)]
        ids = "TrafficMirrorFilters[].TrafficMirrorFilterId"
        describe = "describe-traffic-mirror-filters --filters Name=description,Values='page *'"
        self.assertEqual(self.words(f"{describe} --page-size 5", ids), made)
        first = self.done(f"{describe} --max-items 3 --page-size 5")
        self.assertEqual(self.ids(first), made[:3])
        # The token is the CLI's own: it has that of the endpoint and what was cut off in it.
        token = first["NextToken"]
        rest = self.done(f"{describe} --page-size 5 --starting-token {token}")
        self.assertEqual(self.ids(rest), made[3:])
        self.assertNotIn("NextToken", rest)
        page = self.done(f"{describe} --no-paginate --max-results 5")
        self.assertEqual(self.ids(page), made[:5])
        page = self.done(f"{describe} --max-results 5 --next-token {page['NextToken']}")
        self.assertEqual(self.ids(page), made[5:])
        self.refused("InvalidNextToken", f"{describe} --next-token nothing")
        for one in made:
            self.done(f"delete-traffic-mirror-filter --traffic-mirror-filter-id {one}")

    @staticmethod
    def ids(document):
        return [one["TrafficMirrorFilterId"] for one in document["TrafficMirrorFilters"]]


if __name__ == "__main__":
    unittest.main()
