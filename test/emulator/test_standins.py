"""The stand-ins for credential services, judged by botocore's own providers where it has them.

    /usr/bin/python3 -m unittest discover -s test/emulator
"""

import json
import unittest
import urllib.error
import urllib.request

import botocore.exceptions
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher

from harness import PATIENCE_SECONDS, Running

ROLE = "arn:aws:iam::123456789012:role/some/role"


def setUpModule():
    global running
    running = Running("--no-models")


def tearDownModule():
    running.stop()


def change(name, **settings):
    return running.control("standin", {"name": name, **settings})


def state(name):
    return running.control(f"standin?name={name}")


def sts(**more):
    return running.client("sts", endpoint_url=running.facts["url"] + "/sts", **more)


def assume(**more):
    return sts().assume_role(RoleArn=ROLE, RoleSessionName="someone", **more)["Credentials"]


def ask(method, path, **headers):
    """Status and body of a request that nobody signs."""
    request = urllib.request.Request(running.facts["url"] + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def call_with(key):
    """The error code of a call of the endpoint with these keys; None when it is answered."""
    client = running.client(aws_access_key_id=key["AccessKeyId"],
                            aws_secret_access_key=key["SecretAccessKey"],
                            aws_session_token=key["SessionToken"])
    try:
        client.invoke_endpoint(EndpointName="echo", Body=b"1")
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]


class StandInTest(unittest.TestCase):
    def setUp(self):
        running.control("reset", {})

    def refused(self, code, function, *arguments, **more):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            function(*arguments, **more)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)


class StsTest(StandInTest):
    def test_a_role_has_keys_that_the_endpoint_knows(self):
        self.assertIsNone(call_with(assume()))

    def test_each_assumption_gives_keys_of_its_own(self):
        self.assertNotEqual(assume()["AccessKeyId"], assume()["AccessKeyId"])

    def test_who_asked_for_what_is_logged(self):
        key = assume(ExternalId="partner")
        log = state("sts")["requests"][-1]
        self.assertEqual(log["signed_by"], running.facts["access_key_id"])
        self.assertEqual(log["access_key_id"], key["AccessKeyId"])
        self.assertEqual(log["parameters"], {"RoleArn": ROLE, "RoleSessionName": "someone",
                                             "ExternalId": "partner"})

    def test_a_role_is_assumed_by_the_keys_of_another(self):
        key = assume()
        second = sts(aws_access_key_id=key["AccessKeyId"],
                     aws_secret_access_key=key["SecretAccessKey"],
                     aws_session_token=key["SessionToken"])
        second.assume_role(RoleArn=ROLE, RoleSessionName="chained")
        self.assertEqual(state("sts")["requests"][-1]["signed_by"], key["AccessKeyId"])

    def test_keys_end_after_so_many_uses(self):
        change("sts", uses=2)
        key = assume()
        self.assertEqual([call_with(key) for _ in range(3)],
                         [None, None, "ExpiredTokenException"])

    def test_keys_end_in_time(self):
        change("sts", lifetime=0)
        self.assertEqual(call_with(assume()), "ExpiredTokenException")

    def test_a_wrong_signature_is_refused(self):
        wrong = sts(aws_secret_access_key="wrong")
        self.refused("SignatureDoesNotMatch", wrong.assume_role, RoleArn=ROLE,
                     RoleSessionName="someone")
        unknown = sts(aws_access_key_id="AKIDNOBODY")
        self.refused("InvalidClientTokenId", unknown.assume_role, RoleArn=ROLE,
                     RoleSessionName="someone")

    def test_a_wrong_external_id_is_refused(self):
        change("sts", external_id="right")
        self.refused("AccessDenied", assume, ExternalId="wrong")
        self.refused("AccessDenied", assume)
        assume(ExternalId="right")

    def test_a_web_identity_needs_no_signature(self):
        key = sts(aws_access_key_id=None, aws_secret_access_key=None)
        answer = key.assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="pod", WebIdentityToken="ey.a.b")
        self.assertIsNone(call_with(answer["Credentials"]))

    def test_a_web_identity_token_may_be_invalid(self):
        change("sts", web_tokens=["valid"])
        self.refused("InvalidIdentityToken", sts().assume_role_with_web_identity,
                     RoleArn=ROLE, RoleSessionName="pod", WebIdentityToken="other")

    def test_an_error_is_in_sts_xml(self):
        change("sts", queue=[{"status": 400, "code": "IDPCommunicationError", "message": "<x>"}])
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            assume()
        self.assertEqual(caught.exception.response["Error"],
                         {"Type": "Sender", "Code": "IDPCommunicationError", "Message": "<x>"})
        assume()


class ImdsTest(StandInTest):
    base = "/imds/latest/"

    def token(self):
        return ask("PUT", self.base + "api/token",
                   **{"X-aws-ec2-metadata-token-ttl-seconds": "60"})[1]

    def get(self, path, token):
        return ask("GET", self.base + path, **{"X-aws-ec2-metadata-token": token})

    def test_botocore_finds_keys(self):
        fetcher = InstanceMetadataFetcher(
            timeout=PATIENCE_SECONDS, num_attempts=2, env={},
            config={"ec2_metadata_service_endpoint": running.facts["url"] + "/imds/"})
        found = InstanceMetadataProvider(fetcher).load()
        self.assertIsNotNone(found, state("imds"))
        found = found.get_frozen_credentials()
        self.assertIsNone(call_with({"AccessKeyId": found.access_key,
                                     "SecretAccessKey": found.secret_key,
                                     "SessionToken": found.token}))

    def test_nothing_is_told_without_a_token(self):
        path = self.base + "meta-data/iam/security-credentials/"
        self.assertEqual(ask("GET", path)[0], 401)
        self.assertEqual(self.get("meta-data/iam/security-credentials/", "made-up")[0], 401)

    def test_a_token_needs_a_lifetime(self):
        for lifetime in ("", "0", "21601", "x"):
            status, _ = ask("PUT", self.base + "api/token",
                            **{"X-aws-ec2-metadata-token-ttl-seconds": lifetime})
            self.assertEqual(status, 400, lifetime)

    def test_a_token_is_not_given_through_a_proxy(self):
        status, _ = ask("PUT", self.base + "api/token", **{
            "X-Forwarded-For": "192.0.2.1", "X-aws-ec2-metadata-token-ttl-seconds": "60"})
        self.assertEqual(status, 403)

    def test_an_instance_without_a_role_has_no_list_of_them(self):
        change("imds", role=None)
        self.assertEqual(self.get("meta-data/iam/security-credentials/", self.token())[0], 404)

    def test_region(self):
        self.assertEqual(self.get("meta-data/placement/region", self.token())[0], 404)
        change("imds", region="eu-south-1")
        self.assertEqual(self.get("meta-data/placement/region", self.token()),
                         (200, "eu-south-1"))

    def test_keys_are_the_same_until_they_are_rotated(self):
        def key():
            path = "meta-data/iam/security-credentials/instance-role"
            return json.loads(self.get(path, self.token())[1])["AccessKeyId"]
        first = key()
        self.assertEqual(key(), first)
        change("imds", rotate=True)
        self.assertNotEqual(key(), first)
        self.assertEqual(state("imds")["counts"], {"token": 3, "credentials": 3})

    def test_a_hop_limit_of_one_is_no_answer_to_the_put(self):
        change("imds", faults={"token": "hang"})
        with self.assertRaises((TimeoutError, urllib.error.URLError)):
            urllib.request.urlopen(urllib.request.Request(
                running.facts["url"] + self.base + "api/token", method="PUT"), timeout=0.2)
        self.assertEqual(state("imds")["counts"], {"token": 1})

    def test_the_link_local_host_is_this_service(self):
        self.assertEqual(ask("GET", "/latest/api/token", Host="169.254.169.254")[0], 405)


class ContainerTest(StandInTest):
    def get(self, **headers):
        return ask("GET", "/container/v2/credentials/1", **headers)

    def test_botocore_finds_keys(self):
        found = ContainerMetadataFetcher().retrieve_full_uri(
            running.facts["url"] + "/container/x")
        self.assertIsNone(call_with({**found, "SessionToken": found["Token"]}))

    def test_authorization_is_checked(self):
        change("container", token="Basic abc")
        self.assertEqual(self.get()[0], 401)
        self.assertEqual(self.get(Authorization="Basic xyz")[0], 401)
        self.assertEqual(self.get(Authorization="Basic abc")[0], 200)
        self.assertEqual([log["authorization"] for log in state("container")["requests"]],
                         [None, "Basic xyz", "Basic abc"])

    def test_an_outage(self):
        change("container", faults={"*": 500})
        self.assertEqual(self.get()[0], 500)
        change("container", faults={})
        self.assertEqual(self.get()[0], 200)

    def test_keys_that_are_ended_are_followed_by_others(self):
        key = json.loads(self.get()[1])
        change("container", end=True)
        self.assertEqual(call_with({**key, "SessionToken": key["Token"]}),
                         "ExpiredTokenException")
        self.assertNotEqual(json.loads(self.get()[1])["AccessKeyId"], key["AccessKeyId"])


    def test_keys_are_replaced_ahead_of_their_end(self):
        change("container", lifetime=60, ahead=61)
        first, second = (json.loads(self.get()[1])["AccessKeyId"] for _ in range(2))
        self.assertNotEqual(first, second)


class ControlTest(StandInTest):
    def test_a_wrong_setting_is_told(self):
        for wrong in ({"name": "nobody"}, {"name": "sts", "speed": 1},
                      {"name": "sts", "queue": ["sing"]}):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                running.control("standin", wrong)
            caught.exception.close()
            self.assertEqual(caught.exception.code, 400)

    def test_a_key_can_be_added(self):
        running.control("key", {"access_key_id": "AKIDADDED", "secret_access_key": "s"})
        self.assertIsNone(call_with({"AccessKeyId": "AKIDADDED", "SecretAccessKey": "s",
                                     "SessionToken": None}))

    def test_credential_requests_are_no_calls_of_the_endpoint(self):
        assume()
        self.assertEqual(running.control("stats")["requests"], 0)


if __name__ == "__main__":
    unittest.main()
