"""Authentication through boto3: signatures, session tokens, presigned URLs and TLS.

EC2_ENDPOINT is the URL of a running endpoint with the two credentials below that allows targets in
127.0.0.0/8 only. If it is an https URL, CA_BUNDLE is a file with its certificate.
"""

import os
import ssl
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.exceptions import ClientError

KEY = ("AKIDEXAMPLE", "SECRETEXAMPLE", None)
TEMPORARY = ("ASIAEXAMPLE", "OTHERSECRET", "token+/=")
BUNDLE = os.environ.get("CA_BUNDLE")
NLB = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:loadbalancer/net/x/0123456789abcdef"


def client(service, key):
    identifier, secret, token = key
    return boto3.client(
        service,
        endpoint_url=os.environ["EC2_ENDPOINT"],
        region_name="eu-west-1",
        aws_access_key_id=identifier,
        aws_secret_access_key=secret,
        aws_session_token=token,
        verify=BUNDLE,
    )


def fetch(url, **parts):
    context = ssl.create_default_context(cafile=BUNDLE) if BUNDLE else None
    return urllib.request.urlopen(urllib.request.Request(url, **parts), context=context)


class Signatures(unittest.TestCase):
    def fail_with(self, code, status, call, *arguments, **parameters):
        with self.assertRaises(ClientError) as caught:
            call(*arguments, **parameters)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], status)

    def test_each_key_acts_for_its_account(self):
        for key, account in [(KEY, "111122223333"), (TEMPORARY, "444455556666")]:
            self.assertEqual(client("sts", key).get_caller_identity()["Account"], account)
            made = client("ec2", key).create_traffic_mirror_filter(Description="é a+b&c~d")
            made = made["TrafficMirrorFilter"]
            self.assertEqual(made["Description"], "é a+b&c~d")
            other = TEMPORARY if key is KEY else KEY
            seen = client("ec2", other).describe_traffic_mirror_filters()["TrafficMirrorFilters"]
            ids = [one["TrafficMirrorFilterId"] for one in seen]
            self.assertNotIn(made["TrafficMirrorFilterId"], ids)

    def test_each_failure_has_its_code(self):
        describe = lambda key: client("ec2", key).describe_traffic_mirror_filters
        identity = lambda key: client("sts", key).get_caller_identity
        self.fail_with("SignatureDoesNotMatch", 403, describe((KEY[0], "wrong", None)))
        self.fail_with("AuthFailure", 401, describe(("AKIDOTHER", "x", None)))
        self.fail_with("AuthFailure", 401, describe(TEMPORARY[:2] + (None,)))
        self.fail_with("AuthFailure", 401, describe(TEMPORARY[:2] + ("other",)))
        self.fail_with("InvalidClientTokenId", 403, identity(("AKIDOTHER", "x", None)))

    def test_presigned_urls(self):
        sign = client("ec2", KEY).generate_presigned_url
        url = sign("describe_traffic_mirror_filters", {"MaxResults": 5}, 60, HttpMethod="GET")
        self.assertEqual(fetch(url).status, 200)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            fetch(url.replace("MaxResults=5", "MaxResults=6"))
        self.assertEqual(caught.exception.code, 403)

    def test_unsigned_requests_and_requests_of_web_pages_are_refused(self):
        url = os.environ["EC2_ENDPOINT"] + "/?Action=DescribeTags&Version=2016-11-15"
        with self.assertRaises(urllib.error.HTTPError) as caught:
            fetch(url)
        self.assertIn(b"MissingAuthenticationToken", caught.exception.read())
        with self.assertRaises(urllib.error.HTTPError) as caught:
            fetch(url, headers={"Origin": "https://example.org"})
        self.assertEqual(caught.exception.code, 403)

    def test_targets_outside_the_allowed_network_are_refused(self):
        def target(address):
            tags = [{"Key": "mirror:address", "Value": address}]
            specification = [{"ResourceType": "traffic-mirror-target", "Tags": tags}]
            return client("ec2", KEY).create_traffic_mirror_target(
                NetworkLoadBalancerArn=NLB, TagSpecifications=specification
            )

        self.fail_with("InvalidTrafficMirrorTarget", 400, target, "192.0.2.1")
        self.fail_with("InvalidTrafficMirrorTarget", 400, target, "127.0.0.1 192.0.2.1")
        target("127.0.0.1 127.0.0.2:4790")


if __name__ == "__main__":
    unittest.main()
