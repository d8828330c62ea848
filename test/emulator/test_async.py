"""InvokeEndpointAsync and S3, judged by botocore's own clients.

    /usr/bin/python3 -m unittest discover -s test/emulator
"""

import json
import unittest
import urllib.error
import urllib.request

import botocore.config
import botocore.exceptions

from harness import PATIENCE_SECONDS, Running

EVERY_BYTE = bytes(range(256))


def setUpModule():
    global running, client, s3
    running = Running("--no-models")
    client = running.client()
    s3 = s3_client()


def tearDownModule():
    running.stop()


def s3_client(**more):
    config = botocore.config.Config(retries={"total_max_attempts": 1},
                                    connect_timeout=PATIENCE_SECONDS,
                                    read_timeout=PATIENCE_SECONDS,
                                    s3={"addressing_style": "path"})
    return running.client("s3", endpoint_url=running.facts["url"] + "/s3", config=config, **more)


def change(**settings):
    return running.control("standin", {"name": "s3", **settings})


def put(location, body, **more):
    running.control("object", {"location": location, "body": body, **more})


def get(location, client=None):
    """Body and content type of an object."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    answer = (client or s3).get_object(Bucket=bucket, Key=key)
    return answer["Body"].read(), answer["ContentType"]


def unsigned(path, **headers):
    """The status of the refusal of a request that nobody signed."""
    request = urllib.request.Request(running.facts["url"] + path, headers=headers)
    try:
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def call(endpoint, body=b"", **members):
    """Status, InferenceId, and the locations of output and failure, of a call by hand: older
    botocores do not know all members."""
    headers = {f"X-Amzn-SageMaker-{name.replace('_', '-')}": value
               for name, value in members.items()}
    answer = running.ask(endpoint, body, operation="async-invocations", headers=headers)
    return (answer.status, json.loads(answer.content).get("InferenceId"),
            *(answer.getheader(f"X-Amzn-SageMaker-{kind}Location")
              for kind in ("Output", "Failure")))


class AsyncTest(unittest.TestCase):
    def setUp(self):
        running.control("reset", {})

    def refused(self, code, function, *arguments, **more):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            function(*arguments, **more)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response["Error"]


class Calls(AsyncTest):
    def test_an_object_goes_in_and_an_object_comes_out(self):
        put("s3://in/x y", {"every_byte": 256})
        answer = client.invoke_endpoint_async(EndpointName="echo", InputLocation="s3://in/x y",
                                              ContentType="application/x-any")
        self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 202)
        self.assertTrue(answer["InferenceId"])
        self.assertEqual(get(answer["OutputLocation"]), (EVERY_BYTE, "application/x-any"))

    def test_names_are_chosen(self):
        status, inference_id, output, failure = call(
            "echo", b"1", Inference_Id="row 17", S3OutputPathExtension="2026/a", Filename="x.csv")
        self.assertEqual((status, inference_id), (202, "row 17"))
        self.assertTrue(output.endswith("/2026/a/x.csv"))
        self.refused("NoSuchKey", get, failure)

    def test_a_body_is_given_inline(self):
        _, _, output, _ = call("mirror", b"1,2", Content_Type="text/csv")
        self.assertEqual(json.loads(get(output)[0])["members"], {"ContentType": "text/csv"})

    def test_a_body_or_a_location_and_not_both(self):
        self.assertEqual(call("echo")[0], 400)
        self.assertEqual(call("echo", b"1", InputLocation="s3://in/x")[0], 400)

    def test_an_inline_body_has_a_limit(self):
        self.assertEqual(call("echo", b"x" * 128_000)[0], 202)
        self.assertEqual(call("echo", b"x" * 128_001)[0], 400)

    def test_a_failure_is_an_object(self):
        _, _, output, failure = call("echo", InputLocation="s3://in/none")
        self.refused("NoSuchKey", get, output)
        self.assertIn(b"Failed to download", get(failure)[0])

    def test_no_such_endpoint(self):
        self.refused("ValidationError", client.invoke_endpoint_async, EndpointName="none",
                     InputLocation="s3://in/x")

    def test_members_have_bounds(self):
        for name, value in (("RequestTTLSeconds", "59"), ("InvocationTimeoutSeconds", "3601"),
                            ("S3OutputPathExtension", "a b"), ("Filename", "a.b.c")):
            self.assertEqual(call("echo", b"1", **{name: value})[0], 400, name)

    def test_scripts_answer_the_call_itself(self):
        running.script("jobs", {"use": "throttling"})
        self.refused("ThrottlingException", client.invoke_endpoint_async, EndpointName="jobs",
                     InputLocation="s3://in/x")


class Objects(AsyncTest):
    def test_keys_of_every_kind(self):
        for key in ("a b", "a+b", "ü/ß", "a//b", "/a", "./a", "a/../b", "~", "%41", "a?b#c&d=e",
                    "!_.*'()", "日本", "a\"\\b"):
            put(f"s3://in/{key}", key)
            self.assertEqual(get(f"s3://in/{key}")[0].decode(), key)

    def test_an_object_appears_after_some_looks(self):
        put("s3://in/x", "1", hidden=2, content_type="text/csv")
        for _ in range(2):
            self.refused("NoSuchKey", get, "s3://in/x")
        self.assertEqual(get("s3://in/x"), (b"1", "text/csv"))

    def test_what_is_missing_is_denied_to_those_who_may_not_list(self):
        change(may="get")
        self.assertIn("s3:ListBucket", self.refused("AccessDenied", get, "s3://in/x")["Message"])
        change(may="get-elsewhere")
        self.assertEqual(self.refused("AccessDenied", get, "s3://in/x")["Message"],
                         "Access Denied")

    def test_a_wrong_signature_is_refused(self):
        put("s3://in/x", "1")
        self.refused("SignatureDoesNotMatch", get, "s3://in/x",
                     s3_client(aws_secret_access_key="wrong"))
        self.refused("InvalidAccessKeyId", get, "s3://in/x",
                     s3_client(aws_access_key_id="AKIDNOBODY"))
        self.refused("SignatureDoesNotMatch", get, "s3://in/x", s3_client(region_name="eu-west-3"))

    def test_a_signature_is_needed(self):
        self.assertEqual(unsigned("/s3/in/x"), 400)

    def test_faults_are_xml(self):
        change(queue=[{"status": 503, "code": "SlowDown", "message": "<&>"}])
        self.assertEqual(self.refused("SlowDown", get, "s3://in/x")["Message"], "<&>")

    def test_a_bucket_of_another_region(self):
        change(region="eu-west-3")
        self.assertEqual(unsigned("/s3/in/x"), 301)

    def test_a_bucket_stands_in_the_host(self):
        unsigned("/x%20y", Host="in.s3.us-east-1.amazonaws.com")
        log = running.control("standin?name=s3")["requests"][-1]
        self.assertEqual((log["bucket"], log["key"]), ("in", "x y"))


if __name__ == "__main__":
    unittest.main()
