"""Faults on the wire, the record of what happened, TLS, and the command line."""

import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import botocore.exceptions

from harness import EMULATOR, PATIENCE_SECONDS, Running

EVERY_BYTE = bytes(range(256))
THOUSAND = (EVERY_BYTE * 4)[:1000]


def setUpModule():
    global running
    running = Running("--no-models")


def tearDownModule():
    running.stop()


class FaultsTest(unittest.TestCase):
    def setUp(self):
        running.control("reset", {})

    def answer_to(self, *steps, **more):
        """The bytes sent for the first step of a script."""
        running.script("x", *steps)
        return running.raw_answer("x", **more)


class Scripts(FaultsTest):
    def test_steps_are_taken_in_turn_and_then_for_ever(self):
        running.script("x", {"status": 503}, {"use": "throttling"}, then={"status": 202})
        self.assertEqual([running.ask("x").status for _ in range(5)], [503, 400, 202, 202, 202])
        self.assertEqual([entry["step"] for entry in running.control("requests?endpoint=x")],
                         [0, 1, 2, 3, 4])

    def test_without_then_the_endpoint_answers_itself(self):
        for endpoint, answer in (("x", b"body"), ("variants", b"answered_by")):
            running.script(endpoint, {"status": 500})
            self.assertEqual(running.ask(endpoint, b"body").status, 500)
            self.assertIn(answer, running.ask(endpoint, b"body").content)

    def test_what_is_no_script_is_refused_with_the_reason(self):
        for step, reason in (({"delay": 1}, "no member 'delay'"),
                             ({"use": "nothing"}, "no scenario"),
                             ({"drop": "never"}, "always, reused"),
                             ({"body": {"what": 1}}, "body is text or"),
                             ({"delay_ms": "1"}, "of type int"),
                             ({"headers": ["a"]}, "headers is")):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                running.script("x", step)
            self.assertEqual(caught.exception.code, 400)
            self.assertIn(reason, json.load(caught.exception)["error"])

    def test_a_refused_request_is_not_answered_by_the_script(self):
        running.script("x", {"status": 202})
        self.assertEqual(running.ask("x", region="eu-west-1").status, 403)

    def test_an_error_in_each_dress(self):
        throttled = running.ask("throttling")
        self.assertEqual(throttled.status, 400)
        self.assertEqual(json.loads(throttled.content), {"message": None})
        self.assertRegex(throttled.getheader("x-amzn-ErrorType"), "^ThrottlingException:http://")
        for name, status in (("model-error", 424), ("model-not-ready", 429), ("too-large", 413),
                             ("internal-failure", 500), ("service-unavailable", 503),
                             ("internal-dependency", 530), ("expired-token", 403),
                             ("access-denied", 403), ("error-xml", 503), ("error-html", 502),
                             ("error-empty", 500), ("error-not-utf8", 500),
                             ("error-nested", 500), ("status-404", 404)):
            self.assertEqual(running.ask(name).status, status, name)
        self.assertGreater(len(running.ask("error-long").content), 1 << 20)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            running.client().invoke_endpoint(EndpointName="model-error", Body=b"")
        self.assertEqual(caught.exception.response["OriginalStatusCode"], 400)

    def test_headers_of_a_step_are_added_or_replace_those_of_the_service(self):
        running.script("x", {"headers": {"x-amz-retry-after": "1500", "Date": "yesterday"}})
        answer = running.ask("x")
        self.assertEqual(answer.getheader("x-amz-retry-after"), "1500")
        self.assertEqual(answer.getheader("Date"), "yesterday")

    def test_a_big_answer(self):
        size = 25 * 1024 * 1024
        self.assertEqual(running.ask(f"bytes-{size}").content, EVERY_BYTE * (size // 256))


class Timing(FaultsTest):
    def test_delay_before_the_status_line(self):
        start = time.monotonic()
        self.assertEqual(running.ask("delay-200").status, 200)
        self.assertGreaterEqual(time.monotonic() - start, 0.2)

    def test_pause_within_the_body_and_trickle(self):
        for step in ({"pause_at": 3, "pause_ms": 200}, {"trickle_bytes": 2, "trickle_ms": 70}):
            start = time.monotonic()
            running.script("x", step)
            self.assertEqual(running.ask("x", b"12345678").content, b"12345678")
            self.assertGreaterEqual(time.monotonic() - start, 0.2)

    def test_silence(self):
        running.script("x", {"hang": True})
        with running.connect() as sock:
            sock.sendall(running.signed("x"))
            sock.settimeout(0.2)
            self.assertRaises(TimeoutError, sock.recv, 1)
        entry, = running.control("requests?endpoint=x")
        self.assertEqual((entry["outcome"], entry["status"]), ("verified", None))

    def test_a_body_that_is_not_read_blocks_the_sender(self):
        request = running.signed("no-read", bytes(20 << 20))
        with running.connect() as sock:
            sock.settimeout(0.3)
            self.assertRaises(TimeoutError, sock.sendall, request)
        self.assertEqual(running.control("stats")["unverified"], 1)

    def test_an_answer_before_the_body_was_read(self):
        running.script("x", {"read": False, "status": 413})
        with running.connect() as sock:
            sock.sendall(running.signed("x", bytes(1 << 20))[:5000])
            self.assertIn(b"413", sock.recv(100))


class Cuts(FaultsTest):
    def test_drop_before_any_byte(self):
        self.assertEqual(self.answer_to({"drop": "always"}), b"")

    def test_drop_only_on_a_connection_that_is_reused(self):
        request = running.signed("drop-reused")
        with running.connect() as sock:
            sock.sendall(request)
            self.assertIn(b" 200 ", sock.recv(4096))
            sock.sendall(request)
            self.assertEqual(sock.recv(4096), b"")

    def test_cut_within_the_body(self):
        received = running.raw_answer("cut")
        self.assertIn(b"Content-Length: 1000\r\n", received)
        self.assertTrue(received.endswith(b"\r\n\r\n" + THOUSAND[:500]))

    def test_reset(self):
        self.assertRaises(ConnectionResetError, running.raw_answer, "reset")
        self.assertRaises(ConnectionResetError, running.raw_answer, "cut-reset")


class Lies(FaultsTest):
    def test_length(self):
        self.assertIn(b"Content-Length: 15\r\n\r\nshort", running.raw_answer("length-too-long"))
        with running.connect() as sock:
            sock.sendall(running.signed("length-too-short"))
            self.assertIn(b"Content-Length: 16\r\n\r\na body longer than it says",
                          sock.recv(4096))

    def test_framing(self):
        received = self.answer_to({"framing": "close", "body": "all"})
        self.assertTrue(received.endswith(b"\r\n\r\nall"))
        running.script("x", {"framing": "chunked", "body": "chunk"})
        self.assertEqual(running.ask("x").content, b"chunk")
        for fault, sent in (("size", b"zz\r\nchunk\r\n0\r\n\r\n"),
                            ("huge", b"ffffffffffffffff\r\nchunk\r\n0\r\n\r\n"),
                            ("end", b"5\r\nchunkthis is no CR LF"),
                            ("last", b"5\r\nchunk\r\n")):
            self.assertTrue(running.raw_answer(f"chunk-{fault}").endswith(b"\r\n\r\n" + sent))

    def test_what_is_no_http(self):
        for name, sent in (("bad-status-line", b"HTTP/1.1 two"), ("bad-version", b"HTTP/9.9 200"),
                           ("not-http", b"220 mail"), ("header-nul", b"X-Nul: a\0b"),
                           ("header-no-colon", b"\r\nno colon\r\n")):
            self.assertIn(sent, running.raw_answer(name))

    def test_redirects_lead_to_a_port_that_records(self):
        for status in (301, 302, 307, 308):
            answer = running.ask(f"redirect-{status}")
            self.assertEqual(answer.status, status)
            location = answer.getheader("Location")
            self.assertTrue(location.startswith(running.facts["recorder_url"]))
        self.assertEqual(running.control("recorded"), [])
        with urllib.request.urlopen(location, b"stolen") as followed:
            self.assertEqual(followed.status, 200)
        self.assertEqual(len(running.control("recorded")), 1)
        self.assertEqual(running.control("stats")["connections_accepted"], 4)

    def test_a_compressed_answer_nobody_asked_for(self):
        running.script("x", {"use": "gzip-bomb", "body": {"gzip_zeros": 1000000}})
        answer = running.ask("x")
        self.assertEqual(answer.getheader("Content-Encoding"), "gzip")
        self.assertEqual(gzip.decompress(answer.content), bytes(1000000))


class Floods(FaultsTest):
    def test_floods_do_not_end(self):
        for flood in ("headers", "header", "interim", "body", "chunks"):
            self.assertGreater(len(running.raw_answer(f"flood-{flood}", at_most=10 << 20)),
                               10 << 20)

    def test_a_flood_may_end_and_then_the_answer_comes(self):
        for flood, end in (("headers", b"\r\n\r\nok"), ("header", b"\r\n\r\nok"),
                           ("interim", b"\r\n\r\nok"), ("body", b"x"),
                           ("chunks", b"\r\n0\r\n\r\n")):
            received = self.answer_to({"flood": flood, "flood_bytes": 1000000, "body": "ok",
                                       "after": "close"}, at_most=10 << 20)
            self.assertGreater(len(received), 1000000)
            self.assertTrue(received.endswith(end), flood)

    def test_interim_answers_come_first(self):
        running.script("x", {"interim": 3, "interim_status": 102, "body": "ok", "after": "close"})
        received = running.raw_answer("x")
        self.assertEqual(received.count(b"HTTP/1.1 102 Interim\r\n\r\n"), 3)
        self.assertTrue(received.endswith(b"\r\n\r\nok"))


class Records(FaultsTest):
    def test_many_requests_use_one_connection_and_control_uses_none_of_it(self):
        with running.connect() as sock:
            for _ in range(100):
                sock.sendall(running.signed("echo"))
                self.assertIn(b" 200 ", sock.recv(4096))
            stats = running.control("stats")
            self.assertEqual(stats["connections_accepted"], 1)
            self.assertEqual(stats["connections_open"], 1)
        entries = running.control("requests")
        self.assertEqual(len({entry["connection"] for entry in entries}), 1)
        self.assertEqual([entry["request_on_connection"] for entry in entries],
                         list(range(1, 101)))

    def test_small_answers_are_not_held_back(self):
        with running.connect() as sock:
            start = time.monotonic()
            for _ in range(50):
                sock.sendall(running.signed("echo", b"1"))
                sock.recv(4096)
            self.assertLess(time.monotonic() - start, 50 * 0.02)

    def test_a_request_is_logged_as_it_came(self):
        answer = running.ask("echo", b"body", {"X-Odd-Name": "a  b "})
        entry, = running.control("requests?endpoint=echo")
        self.assertEqual(entry["line"], "POST /endpoints/echo/invocations HTTP/1.1")
        self.assertIn(["X-Odd-Name", "a  b "], entry["headers"])
        self.assertEqual((entry["body_bytes"], entry["status"]), (4, 200))
        self.assertEqual(entry["request_id"], answer.getheader("x-amzn-RequestId"))
        last_line = running.log_file.read_text().splitlines()[-1]
        self.assertEqual(json.loads(last_line), entry)

    def test_what_is_no_request_is_counted_as_refused(self):
        for request in (b"GET\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n",
                        b"POST / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
                        b"POST / HTTP/1.1\r\nA: b\rc\r\n\r\n",
                        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"):
            with running.connect() as sock:
                sock.sendall(request)
                self.assertRegex(sock.recv(100), rb"^HTTP/1.1 4\d\d ")
        self.assertEqual(running.control("stats")["refused"], 6)


class Ports(FaultsTest):
    def connect(self, kind):
        port = running.control("listener", {"kind": kind})["port"]
        return socket.create_connection(("127.0.0.1", port), 0.3)

    def test_a_silent_port_accepts_and_stalls_a_handshake(self):
        with self.connect("silent") as sock:
            self.assertRaises(TimeoutError, ssl.create_default_context().wrap_socket, sock,
                              server_hostname="localhost")

    def test_a_full_port_does_not_connect(self):
        self.assertRaises(TimeoutError, self.connect, "full")

    def test_a_closed_port_refuses(self):
        self.assertRaises(ConnectionRefusedError, self.connect, "closed")


class Tls(unittest.TestCase):
    def start(self, *options):
        tls = Running("--no-models", "--tls", *options)
        self.addCleanup(tls.stop)
        return tls

    def test_a_call_over_tls_and_control_without(self):
        tls = self.start()
        self.assertEqual(tls.first_line.split(),
                         [tls.facts["url"], f"ca_file={tls.facts['ca_file']}"])
        answer = tls.client().invoke_endpoint(EndpointName="echo", Body=EVERY_BYTE)
        self.assertEqual(answer["Body"].read(), EVERY_BYTE)
        self.assertEqual(tls.control("stats")["verified"], 1)
        with self.assertRaises(botocore.exceptions.ClientError):
            tls.client(endpoint_url=tls.facts["url"].replace("https", "http")) \
               .invoke_endpoint(EndpointName="echo", Body=b"")

    def test_certificates_that_must_be_refused(self):
        for kind, reason in (("expired", "expired"), ("wrong-host", "doesn.t match")):
            tls = self.start("--cert", kind)
            with self.assertRaisesRegex(botocore.exceptions.SSLError, reason):
                tls.client().invoke_endpoint(EndpointName="echo", Body=b"")
        with self.assertRaisesRegex(botocore.exceptions.SSLError, "verify failed"):
            tls.client(verify=None).invoke_endpoint(EndpointName="echo", Body=b"")


class CommandLine(unittest.TestCase):
    def test_it_ends_cleanly_on_sigterm(self):
        other = Running("--no-models")
        os.kill(other.process.pid, signal.SIGTERM)
        self.assertEqual(other.stop(), 0)

    def test_it_ends_when_its_standard_input_closes(self):
        self.assertEqual(Running("--no-models").stop(), 0)

    def test_it_ends_with_its_parent(self):
        with tempfile.TemporaryDirectory() as directory:
            ready = Path(directory, "ready")
            # The shell ends once the emulator is ready; run() returns once all who hold the
            # shell's standard output have ended, which is the emulator.
            subprocess.run(
                ["sh", "-c", f"{sys.executable} {EMULATOR} --no-models --exit-with-parent "
                             f"--ready-file {ready} & until [ -e {ready} ]; do sleep 0.05; done"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE_SECONDS)

    def test_a_bad_key_is_told(self):
        refused = subprocess.run([sys.executable, str(EMULATOR), "--key", "noColon"],
                                 capture_output=True, text=True)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--key", refused.stderr)


if __name__ == "__main__":
    unittest.main()
