"""The emulator, judged by botocore's own client and by raw sockets.

    /usr/bin/python3 -m unittest discover -s test/emulator
"""

import base64
import json
import unittest

import botocore.exceptions

from harness import Running

try:
    from sklearn import datasets
except ImportError:
    datasets = None

EVERY_BYTE = bytes(range(256))
PREFIX = "X-Amzn-SageMaker-"


def setUpModule():
    global running, client
    running = Running(*([] if datasets else ["--no-models"]))
    client = running.client()


def tearDownModule():
    running.stop()


def invoke(endpoint, body=b"1,2\n", **members):
    """Body and headers of a successful call."""
    answer = client.invoke_endpoint(EndpointName=endpoint, Body=body, **members)
    return answer["Body"].read(), answer["ResponseMetadata"]["HTTPHeaders"]


class EmulatorTest(unittest.TestCase):
    def setUp(self):
        running.control("reset", {})

    def assert_refused(self, code, text, *arguments, **more):
        answer = running.ask(*arguments, **more)
        self.assertEqual((answer.status, answer.getheader("x-amzn-ErrorType")), (403, code))
        self.assertIn(text, json.loads(answer.content)["message"])

    def assert_error(self, code, text, call, *arguments, **members):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(*arguments, **members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        self.assertIn(text, caught.exception.response["Error"]["Message"] or "")
        return caught.exception.response


class Answers(EmulatorTest):
    def test_echo_returns_every_byte(self):
        body, headers = invoke("echo", EVERY_BYTE, ContentType="application/x-any",
                               CustomAttributes="a=b  c")
        self.assertEqual(body, EVERY_BYTE)
        self.assertEqual(headers["content-type"], "application/x-any")
        self.assertEqual(headers["x-amzn-sagemaker-custom-attributes"], "a=b  c")
        self.assertEqual(headers["x-amzn-invoked-production-variant"], "AllTraffic")
        self.assertIn("x-amzn-requestid", headers)

    def test_25_megabytes_pass_both_ways_and_one_more_byte_does_not(self):
        largest = EVERY_BYTE * (25 * 4096)
        self.assertEqual(invoke("echo", largest)[0], largest)
        response = self.assert_error("413", "", invoke, "echo", largest + b"x")
        self.assertEqual(response["ResponseMetadata"]["HTTPStatusCode"], 413)

    def test_mirror_shows_the_request_as_sent(self):
        headers = {"Content-Type": "text/csv", "Accept": "*/*",
                   PREFIX + "Custom-Attributes": "a=b  c ", PREFIX + "Target-Model": "m",
                   PREFIX + "Target-Variant": "v", PREFIX + "Session-Id": "s",
                   PREFIX + "Target-Container-Hostname": "c", PREFIX + "Inference-Id": "i",
                   PREFIX + "Enable-Explanations": "`true`", PREFIX + "Prefix-Aware-Id": "p",
                   PREFIX + "Inference-Component": "n"}
        seen = json.loads(running.ask("mirror", EVERY_BYTE, headers).content)
        self.assertEqual(seen["target"], "/endpoints/mirror/invocations")
        self.assertEqual(seen["body_bytes"], 256)
        self.assertEqual(len(seen["members"]), len(headers))
        self.assertIn([PREFIX + "Custom-Attributes", "a=b  c "], seen["headers"])

    def test_variants_are_drawn_by_weight_or_chosen(self):
        drawn = {invoke("variants")[1]["x-amzn-invoked-production-variant"] for _ in range(100)}
        self.assertEqual(drawn, {"champion", "challenger"})
        chosen = invoke("variants", TargetVariant="challenger")[1]
        self.assertEqual(chosen["x-amzn-invoked-production-variant"], "challenger")
        self.assert_error("ValidationError", "not found", invoke, "variants", TargetVariant="x")

    def test_targets_are_needed_where_there_is_a_choice_and_refused_elsewhere(self):
        cases = (("multi-model", "Target-Model", "two.tar.gz"),
                 ("multi-container", "Target-Container-Hostname", "second"),
                 ("components", "Inference-Component", "beta"))
        for endpoint, header, choice in cases:
            with self.subTest(endpoint):
                answer = running.ask(endpoint, headers={PREFIX + header: choice})
                self.assertEqual(json.loads(answer.content)["answered_by"], choice)
                for name, headers in ((endpoint, {}), (endpoint, {PREFIX + header: "other"}),
                                      ("variants", {PREFIX + header: choice})):
                    answer = running.ask(name, headers=headers)
                    self.assertEqual(answer.getheader("x-amzn-ErrorType"), "ValidationError")

    def test_a_model_that_must_be_loaded_is_not_ready_at_first(self):
        self.assert_error("ModelNotReadyException", "loaded", invoke, "multi-model",
                          TargetModel="slow.tar.gz")
        self.assertIn(b"slow.tar.gz", invoke("multi-model", TargetModel="slow.tar.gz")[0])

    def test_a_session_is_opened_used_and_closed(self):
        def ask(session, body=b""):
            return running.ask("sessions", body, {PREFIX + "Session-Id": session})
        opened = ask("NEW_SESSION").getheader(PREFIX + "New-Session-Id")
        self.assertRegex(opened, r"^[0-9a-f-]{36}; Expires=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        session = opened.split(";")[0]
        self.assertEqual(ask(session).status, 200)
        closed = ask(session, b'{"requestType":"CLOSE"}')
        self.assertEqual(closed.getheader(PREFIX + "Closed-Session-Id"), session)
        self.assertEqual(ask(session).getheader("x-amzn-ErrorType"), "ValidationError")

    def test_explanations_change_the_answer(self):
        self.assertNotIn(b"explanations", invoke("explained")[0])
        self.assertIn(b"explanations", invoke("explained", EnableExplanations="`true`")[0])

    def test_captured_data_is_found_by_inference_id(self):
        invoke("captured", b"other", InferenceId="other")
        invoke("captured", b"body", InferenceId="mine")
        captured, = running.control("captures?inference_id=mine")
        self.assertEqual(captured["captureData"]["endpointInput"]["data"],
                         base64.b64encode(b"body").decode())

    def test_limits_of_the_model_are_enforced_in_the_words_of_the_service(self):
        self.assert_error("ValidationError", "Endpoint nobody of account 123456789012 not found.",
                          invoke, "nobody")
        self.assert_error("ValidationError", "length less than or equal to 63", invoke, "x" * 64)
        self.assert_error("ValidationError", "1 validation error detected: Value 'a b' at "
                          "'targetVariant' failed to satisfy constraint: Member must satisfy "
                          "regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*",
                          invoke, "echo", TargetVariant="a b")
        self.assert_error("ValidationError", "less than or equal to 1024", invoke, "echo",
                          CustomAttributes="x" * 1025)
        for name in ("a/b", "../x", "a%2Fb", ""):
            self.assertIn(running.ask(name).status, (400, 404))


@unittest.skipUnless(datasets, "python3-sklearn is not installed")
class Models(EmulatorTest):
    def csv(self, rows):
        return "\n".join(",".join(map(str, row)) for row in rows).encode()

    def test_breast_cancer_is_told_from_the_rows(self):
        data = datasets.load_breast_cancer()
        body, headers = invoke("breast-cancer", self.csv(data.data), ContentType="text/csv")
        scores = [float(line) for line in body.splitlines()]
        right = sum((score > 0.5) == label for score, label in zip(scores, data.target))
        self.assertGreater(right / len(data.target), 0.97)
        self.assertEqual(headers["content-type"], "text/csv")

    def test_the_shapes_of_answers(self):
        two = datasets.load_breast_cancer().data[:2].tolist()
        wine = datasets.load_wine().data[:2].tolist()
        diabetes = datasets.load_diabetes().data[:2].tolist()

        def predictions(endpoint, instances):
            body = json.dumps({"instances": instances}).encode()
            return json.loads(invoke(endpoint, body,
                                     ContentType="application/json")[0])["predictions"]
        self.assertTrue(all(0 <= score <= 1 for score in predictions("breast-cancer", two)))
        labelled = predictions("breast-cancer-label", [{"features": row} for row in two])
        self.assertEqual(labelled[0].keys(), {"predicted_label", "score"})
        self.assertEqual([len(row) for row in predictions("wine", wine)], [3, 3])
        self.assertEqual(len(predictions("diabetes", diabetes)), 2)
        lines = invoke("wine", self.csv(wine), ContentType="text/csv")[0].splitlines()
        self.assertEqual([line.count(b",") for line in lines], [2, 2])

    def test_a_missing_value_is_scored(self):
        row = ["" for _ in range(30)]
        self.assertEqual(len(invoke("breast-cancer", self.csv([row, row]))[0].splitlines()), 2)

    def test_no_rows_are_answered_by_204(self):
        answer = running.ask("wine", b"", {"Content-Type": "text/csv"})
        self.assertEqual((answer.status, answer.content), (204, b""))

    def test_what_the_container_refuses_is_a_model_error(self):
        for status, body, members in ((400, b"1,2", {}), (415, b"a,b", {}),
                                      (415, b"1,2", {"ContentType": "image/png"}),
                                      (406, b"1,2", {"Accept": "image/png"})):
            response = self.assert_error("ModelError", f"client error ({status})", invoke,
                                         "wine", body, **members)
            self.assertEqual(response["OriginalStatusCode"], status)
            self.assertIn("/aws/sagemaker/Endpoints/wine", response["LogStreamArn"])


class Signatures(EmulatorTest):
    def test_every_request_is_counted_as_verified_or_refused(self):
        invoke("echo")
        running.ask("echo", region="eu-west-1")
        stats = running.control("stats")["endpoints"]["echo"]
        self.assertEqual(stats, {"requests": 2, "verified": 1, "refused": 1, "unverified": 0,
                                 "most_at_work": 1})

    def test_no_authorization(self):
        def change(headers):
            del headers["Authorization"]
        self.assert_refused("MissingAuthenticationTokenException", "Missing Authentication Token",
                            "echo", change=change)

    def test_what_was_signed_is_what_must_arrive(self):
        def change(headers):
            headers.replace_header("Content-Type", "text/plain")
        self.assert_refused("InvalidSignatureException", "The Canonical String for this request",
                            "echo", headers={"Content-Type": "text/csv"}, change=change)
        request = running.signed("echo", b"body")
        with running.connect() as sock:
            sock.sendall(request[:-1] + b"!")
            self.assertIn(b" 403 ", sock.recv(100))

    def test_scope(self):
        self.assert_refused("InvalidSignatureException", "Credential should be scoped to a valid "
                            "region, not 'eu-west-1'.", "echo", region="eu-west-1")
        self.assert_refused("InvalidSignatureException", "scoped to correct service: 'sagemaker'",
                            "echo", service="sagemaker-runtime")

    def test_the_time_signed_is_within_five_minutes(self):
        self.assertEqual(running.ask("echo", late=-290).status, 200)
        self.assertEqual(running.ask("echo", late=290).status, 200)
        self.assert_refused("InvalidSignatureException", "Signature expired: ", "echo", late=-310)
        self.assert_refused("InvalidSignatureException", "Signature not yet current: ", "echo",
                            late=310)

    def test_a_wrong_clock_judges_by_its_own_time_and_tells_it(self):
        running.script("late", clock_skew=600)
        self.assert_refused("InvalidSignatureException", "Signature expired: ", "late")
        answer = running.ask("late", late=600)
        self.assertEqual(answer.status, 200)
        running.control("clock", {"skew": -86400})
        self.assert_refused("InvalidSignatureException", "Signature not yet current: ", "echo")

    def test_no_header_that_means_something_is_left_unsigned(self):
        for name in ("Content-Type", "Accept", "amz-sdk-request", PREFIX + "Inference-Id"):
            with self.subTest(name):
                def change(headers):
                    headers[name] = "x"
                self.assert_refused("InvalidSignatureException", f"'{name.lower()}' must be a "
                                    "'SignedHeader'", "echo", change=change)

    def test_a_client_that_waits_for_100_continue_is_refused(self):
        def change(headers):
            headers["Expect"] = "100-continue"
        self.assert_refused("InvalidSignatureException", "'expect' must not be sent", "echo",
                            change=change)

    def test_a_signed_header_that_did_not_arrive(self):
        def change(headers):
            del headers["Content-Type"]
        self.assert_refused("InvalidSignatureException", "did not arrive", "echo",
                            headers={"Content-Type": "text/csv"}, change=change)

    def test_keys(self):
        self.assert_error("UnrecognizedClientException", "security token", running.client(
            aws_access_key_id="AKIDOTHER").invoke_endpoint, EndpointName="echo", Body=b"")
        self.assert_error("InvalidSignatureException", "does not match", running.client(
            aws_secret_access_key="other").invoke_endpoint, EndpointName="echo", Body=b"")

    def test_temporary_keys_need_their_token(self):
        other = Running("--no-models", "--key", "ASIAX:secret:token", "--region", "eu-west-1")
        self.addCleanup(other.stop)
        call = {"EndpointName": "echo", "Body": b""}
        self.assertEqual(other.client().invoke_endpoint(**call)["ContentType"],
                         "application/octet-stream")
        self.assert_error("ExpiredTokenException", "expired", other.client(
            aws_session_token="old").invoke_endpoint, **call)
        self.assert_error("UnrecognizedClientException", "invalid", other.client(
            aws_session_token=None).invoke_endpoint, **call)


if __name__ == "__main__":
    unittest.main()
