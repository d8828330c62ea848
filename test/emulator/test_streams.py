"""Streamed answers, judged by botocore's reader of event streams.

The operation itself is younger than the botocore of some distributions, so requests are made
by hand and signed by botocore.
"""

import http.client
import json
import threading
import time
import unittest

from botocore.eventstream import ChecksumMismatch, EventStreamBuffer

from harness import Running

PREFIX = "X-Amzn-SageMaker-"
STREAM = "invocations-response-stream"


def setUpModule():
    global running
    running = Running("--no-models")


def tearDownModule():
    running.stop()


class Stream:
    """One streamed call: the head of its answer, and its events as they come."""

    def __init__(self, endpoint, body=b"{}", **headers):
        self.sock = running.connect()
        self.sock.sendall(running.signed(endpoint, body, operation=STREAM, headers={
            name.replace("_", "-"): value for name, value in headers.items()}))
        self.answer = http.client.HTTPResponse(self.sock, method="POST")
        self.answer.begin()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.sock.close()

    def events(self):
        """(headers, payload) of each event."""
        buffer = EventStreamBuffer()
        while piece := self.answer.read1(65536):
            buffer.add_data(piece)
            for event in buffer:
                yield event.headers, event.payload


def parts(*arguments, **headers):
    with Stream(*arguments, **headers) as stream:
        return [payload for head, payload in stream.events()
                if head[":event-type"] == "PayloadPart"]


class Streams(unittest.TestCase):
    def setUp(self):
        running.control("reset", {})

    def script(self, *acts, **more):
        running.control("script", {"endpoint": "s", "steps": [], "then": {"stream": acts, **more}})

    def test_answer_comes_in_parts_with_its_headers(self):
        self.script("one", {"part": {"every_byte": 300}}, {"part": "x", "times": 3},
                    content_type="text/plain")
        with Stream("s", X_Amzn_SageMaker_Custom_Attributes="a=1") as stream:
            self.assertEqual([payload for _, payload in stream.events()],
                             [b"one", bytes(range(256)) + bytes(range(44)), b"x", b"x", b"x"])
            headers = [stream.answer.getheader(name) for name in (
                "Content-Type", PREFIX + "Content-Type", "x-Amzn-Invoked-Production-Variant",
                PREFIX + "Custom-Attributes")]
        self.assertEqual(headers, ["application/vnd.amazon.eventstream", "text/plain",
                                   "AllTraffic", "a=1"])

    def test_members_travel_under_the_headers_of_this_operation(self):
        seen = json.loads(b"".join(parts("mirror", Content_Type="text/csv",
                                         X_Amzn_SageMaker_Accept="a/b",
                                         X_Amzn_SageMaker_Session_Id="s-1")))
        self.assertEqual(seen["members"], {"ContentType": "text/csv", "Accept": "a/b",
                                           "SessionId": "s-1"})

    def test_a_session_cannot_be_opened(self):
        with Stream("echo", X_Amzn_SageMaker_Session_Id="NEW_SESSION") as stream:
            self.assertEqual(stream.answer.status, 400)

    def test_a_signature_is_checked(self):
        answer = running.ask("echo", b"{}", operation=STREAM, region="eu-nowhere-1")
        self.assertEqual(answer.status, 403)

    def test_exceptions_and_errors_are_frames(self):
        for name, kind, code in (
                ("stream-exception", ":exception-type", "ModelStreamError"),
                ("stream-failure", ":exception-type", "InternalStreamFailure"),
                ("stream-error", ":error-code", "StreamCrashed")):
            with Stream(name) as stream:
                *_, (head, _) = stream.events()
            self.assertEqual(head[kind], code)

    def test_damage_is_seen(self):
        for name in ("stream-damaged", "stream-damaged-length"):
            with Stream(name) as stream, self.assertRaises(ChecksumMismatch):
                list(stream.events())

    def test_a_cut_is_seen(self):
        with Stream("stream-lost") as stream, self.assertRaises(http.client.IncompleteRead):
            list(stream.events())

    def test_ledger_tells_what_was_not_sent_yet(self):
        self.script("one", {"gate": True}, "two")
        with Stream("s") as stream:
            events = stream.events()
            self.assertEqual(next(events)[1], b"one")
            self._await(lambda ledger: ledger["state"] == "waiting" and ledger["parts"] == 1)
            threading.Timer(0.1, running.control, ("release", {"endpoint": "s"})).start()
            self.assertEqual(next(events)[1], b"two")
            self._await(lambda ledger: ledger["state"] == "ended" and ledger["parts"] == 2)

    def test_client_that_leaves_is_noted(self):
        self.script("one", {"gate": True})
        with Stream("s") as stream:
            next(stream.events())
        self._await(lambda ledger: ledger["state"] == "dropped")

    def test_parrot_speaks_in_three_forms(self):
        lines = b"".join(parts("parrot", json.dumps(
            {"inputs": "h\u00e9 you there", "stream": True,
             "parameters": {"max_new_tokens": 2}}).encode()))
        messages = [json.loads(line) for line in lines.decode().splitlines()]
        self.assertEqual([message["token"]["text"] for message in messages], ["h\u00e9", " you"])
        self.assertEqual(messages[-1]["details"]["finish_reason"], "length")
        self.assertEqual(messages[-1]["generated_text"], "h\u00e9 you")

        events = b"".join(parts("parrot", b'{"inputs":"a b","stream":true}',
                                X_Amzn_SageMaker_Accept="text/event-stream"))
        self.assertTrue(events.startswith(b'data:{"token"') and events.endswith(b"}\n\n"))

        chat = b"".join(parts("parrot", json.dumps(
            {"messages": [{"role": "user", "content": "a b"}], "stream": True}).encode()))
        chunks = [json.loads(event[len("data: "):])
                  for event in chat.decode().split("\n\n")[:-2]]
        self.assertEqual("".join(choice["delta"].get("content", "")
                                 for chunk in chunks for choice in chunk["choices"]), "a b")
        self.assertTrue(chat.endswith(b"data: [DONE]\n\n"))

    def _await(self, condition):
        deadline = time.time() + 30
        while not condition(running.control("streams?endpoint=s")[-1]):
            self.assertLess(time.time(), deadline)
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()
