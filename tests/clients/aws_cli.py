"""The AWS CLI with the endpoint: creating, describing and deleting resources, pages, exit codes.

EC2_ENDPOINT is the URL of a running endpoint without resources, CREDENTIALS a file with its key,
DEVICE a network device of its host that can be a source.
"""

import json
import os
import shlex
import subprocess
import unittest

ARN = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/x/0123456789abcdef"
# Without the profile, the keys and the region of the user who runs the test.
VARIABLES = {
    **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.environ["CREDENTIALS"],
    "AWS_ENDPOINT_URL": os.environ["EC2_ENDPOINT"],
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_PAGER": "",
}


def aws(line):
    """Runs a command line of `aws`; `line` has the words after `aws`."""
    words = ["aws", *shlex.split(line)]
    return subprocess.run(words, env=VARIABLES, capture_output=True, text=True, check=False)


# The exit code of an error of the service: 254, and 255 in version 1 of the AWS CLI (user guides of
# both versions, "Return codes").
REFUSED = 255 if aws("--version").stdout.startswith("aws-cli/1.") else 254


class CommandLine(unittest.TestCase):
    def run_aws(self, line):
        ended = aws(line)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), line)
        return ended.stdout

    def succeed(self, action):
        """Runs an action of EC2 that must succeed. Returns the document that it prints, or None."""
        text = self.run_aws(f"ec2 {action}")
        return json.loads(text) if text.strip() else None

    def words(self, action, query):
        """The words that an action of EC2 prints with `--output text` and this query."""
        return self.run_aws(f"ec2 {action} --output text --query '{query}'").split()

    def fail_with(self, code, action):
        """Runs an action that must fail with this code. Returns the error message."""
        ended = aws(f"ec2 {action}")
        self.assertEqual((ended.returncode, ended.stdout), (REFUSED, ""), ended.stderr)
        called = "".join(word.capitalize() for word in action.split()[0].split("-"))
        start = f"An error occurred ({code}) when calling the {called} operation: "
        self.assertIn(start, ended.stderr)
        message = ended.stderr.partition(start)[2].strip()
        self.assertTrue(message)
        return message

    def create(self, kind, parameters=""):
        """Creates a resource of a kind such as `filter-rule`. Returns its id."""
        name = "".join(word.capitalize() for word in kind.split("-"))
        member = f"TrafficMirror{name}.TrafficMirror{name}Id"
        [made] = self.words(f"create-traffic-mirror-{kind} {parameters}", member)
        return made

    def tagged_target(self):
        tag = "ResourceType=traffic-mirror-target,Tags=[{Key=mirror:address,Value=127.0.0.9}]"
        return self.create(
            "target", f"--network-load-balancer-arn {ARN} --tag-specifications '{tag}'"
        )

    def test_resources_are_created_described_and_deleted(self):
        [identity] = self.run_aws("sts get-caller-identity --output text --query Account").split()
        self.assertEqual(identity, "000000000000")
        target = self.tagged_target()
        named = "ResourceType=traffic-mirror-filter,Tags=[{Key=Name,Value=web}]"
        filter_id = self.create("filter", f"--description 'a & b' --tag-specifications '{named}'")
        rule = self.create_rules(filter_id)
        session = self.create_session(target, filter_id)
        self.describe_by_filters(target, filter_id, rule, session)
        self.change_tags(filter_id, session)
        self.refuse_deletion(target, filter_id, session)
        self.delete_all(target, filter_id, rule, session)

    def create_rules(self, filter_id):
        of_filter = f"--traffic-mirror-filter-id {filter_id}"
        networks = "--source-cidr-block 0.0.0.0/0 --destination-cidr-block 10.0.0.0/8"
        accept = f"{of_filter} {networks} --rule-action accept --rule-number 10"
        rule = self.create(
            "filter-rule",
            f"{accept} --traffic-direction ingress --protocol 6 --description https"
            " --destination-port-range FromPort=443,ToPort=444",
        )
        self.create("filter-rule", f"{accept} --traffic-direction egress")
        self.fail_with(
            "TrafficMirrorFilterRuleAlreadyExists",
            f"create-traffic-mirror-filter-rule {accept} --traffic-direction egress",
        )
        message = self.fail_with(
            "InvalidParameterValue",
            f"create-traffic-mirror-filter-rule {accept} --traffic-direction sideways",
        )
        self.assertIn("sideways", message)
        modify = f"modify-traffic-mirror-filter-rule --traffic-mirror-filter-rule-id {rule}"
        changed = self.succeed(f"{modify} --rule-number 20 --rule-action reject")
        changed = changed["TrafficMirrorFilterRule"]
        self.assertEqual(changed["DestinationPortRange"], {"FromPort": 443, "ToPort": 444})
        self.assertEqual((changed["RuleNumber"], changed["RuleAction"]), (20, "reject"))
        fields = "destination-port-range protocol description"
        changed = self.succeed(f"{modify} --remove-fields {fields}")["TrafficMirrorFilterRule"]
        for removed in ("DestinationPortRange", "Protocol", "Description"):
            self.assertNotIn(removed, changed)
        self.assertEqual((changed["RuleNumber"], changed["RuleAction"]), (20, "reject"))
        return rule

    def create_session(self, target, filter_id):
        [interface] = self.words(
            f"describe-network-interfaces --filters Name=tag:Name,Values={os.environ['DEVICE']}",
            "NetworkInterfaces[].NetworkInterfaceId",
        )
        parts = f"--traffic-mirror-target-id {target} --traffic-mirror-filter-id {filter_id}"
        of_interface = f"--network-interface-id {interface} {parts}"
        session = self.create(
            "session",
            f"{of_interface} --session-number 1 --packet-length 100 --virtual-network-id 4242"
            " --description first",
        )
        message = self.fail_with(
            "InvalidParameterValue",
            f"create-traffic-mirror-session {of_interface} --session-number 32767",
        )
        self.assertIn("32767", message)
        modify = f"modify-traffic-mirror-session --traffic-mirror-session-id {session}"
        changed = self.succeed(f"{modify} --session-number 2 --virtual-network-id 77")
        changed = changed["TrafficMirrorSession"]
        kept = (changed["PacketLength"], changed["Description"])
        self.assertEqual(kept, (100, "first"))
        self.assertEqual((changed["SessionNumber"], changed["VirtualNetworkId"]), (2, 77))
        changed = self.succeed(f"{modify} --remove-fields packet-length description")
        changed = changed["TrafficMirrorSession"]
        self.assertNotIn("Description", changed)
        self.assertEqual((changed["SessionNumber"], changed["VirtualNetworkId"]), (2, 77))
        return session

    def describe_by_filters(self, target, filter_id, rule, session):
        """Describes each kind with filters: only the resources that match are listed."""
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
        message = self.fail_with(
            "InvalidParameterValue",
            "describe-traffic-mirror-sessions --filters Name=colour,Values=red",
        )
        self.assertIn("colour", message)
        [nested] = self.words(
            f"describe-traffic-mirror-filters --traffic-mirror-filter-ids {filter_id}",
            "TrafficMirrorFilters[].IngressFilterRules[].TrafficMirrorFilterRuleId",
        )
        self.assertEqual(nested, rule)

    def change_tags(self, filter_id, session):
        resources = f"--resources {filter_id} {session}"
        self.succeed(f"create-tags {resources} --tags Key=team,Value='net & sec' Key=empty,Value=")
        of_both = f"--filters Name=resource-id,Values={filter_id},{session}"
        tagged = self.words(f"describe-tags {of_both} Name=key,Values=team", "Tags[].ResourceId")
        self.assertEqual(sorted(tagged), sorted([filter_id, session]))
        self.succeed(f"delete-tags {resources} --tags Key=empty Key=team,Value=other")
        tags = self.succeed(f"describe-tags {of_both}")["Tags"]
        left = sorted((tag["ResourceId"], tag["Key"], tag["Value"]) for tag in tags)
        wanted = [(one, "team", "net & sec") for one in (filter_id, session)]
        self.assertEqual(left, sorted([*wanted, (filter_id, "Name", "web")]))
        malformed = self.fail_with("InvalidID", "create-tags --resources i-1 --tags Key=a,Value=b")
        self.assertIn("i-1", malformed)

    def refuse_deletion(self, target, filter_id, session):
        message = self.fail_with(
            "TrafficMirrorFilterInUse",
            f"delete-traffic-mirror-filter --traffic-mirror-filter-id {filter_id}",
        )
        self.assertIn(session, message)
        self.fail_with(
            "TrafficMirrorTargetInUse",
            f"delete-traffic-mirror-target --traffic-mirror-target-id {target}",
        )
        dry = f"delete-traffic-mirror-session --traffic-mirror-session-id {session} --dry-run"
        message = self.fail_with("DryRunOperation", dry)
        self.assertIn("would have succeeded", message)

    def delete_all(self, target, filter_id, rule, session):
        for kind, identifier in (
            ("session", session),
            ("filter-rule", rule),
            ("filter", filter_id),
            ("target", target),
        ):
            name = "".join(word.capitalize() for word in kind.split("-"))
            delete = f"delete-traffic-mirror-{kind} --traffic-mirror-{kind}-id {identifier}"
            self.assertEqual(self.succeed(delete)[f"TrafficMirror{name}Id"], identifier)
            message = self.fail_with(f"InvalidTrafficMirror{name}Id.NotFound", delete)
            self.assertIn(identifier, message)
        self.assertEqual(self.succeed("describe-tags --filters Name=key,Values=team")["Tags"], [])

    def test_pages(self):
        made = [self.create("filter", f"--description 'page {number}'") for number in range(7)]
        ids = "TrafficMirrorFilters[].TrafficMirrorFilterId"
        describe = "describe-traffic-mirror-filters --filters Name=description,Values='page *'"
        self.assertEqual(self.words(f"{describe} --page-size 5", ids), made)
        first = self.succeed(f"{describe} --max-items 3 --page-size 5")
        self.assertEqual(self.ids(first), made[:3])
        # The CLI makes this token from the token of the endpoint and the number of items that it
        # has already returned of the page.
        token = first["NextToken"]
        rest = self.succeed(f"{describe} --page-size 5 --starting-token {token}")
        self.assertEqual(self.ids(rest), made[3:])
        self.assertNotIn("NextToken", rest)
        page = self.succeed(f"{describe} --no-paginate --max-results 5")
        self.assertEqual(self.ids(page), made[:5])
        page = self.succeed(f"{describe} --max-results 5 --next-token {page['NextToken']}")
        self.assertEqual(self.ids(page), made[5:])
        self.fail_with("InvalidNextToken", f"{describe} --next-token nothing")
        for one in made:
            self.succeed(f"delete-traffic-mirror-filter --traffic-mirror-filter-id {one}")

    @staticmethod
    def ids(document):
        return [one["TrafficMirrorFilterId"] for one in document["TrafficMirrorFilters"]]


if __name__ == "__main__":
    unittest.main()
