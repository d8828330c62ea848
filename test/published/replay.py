#!/usr/bin/python3
"""Plays the answers of a recorded conversation with credential services, in its order.

A case is set by POST /control/case: `traffic`, the content of a http-traffic.json of
smithy-rs, and `key`, the key that is to come out of it.  Whatever then arrives, for
whatever host, must be what was recorded at that point: method and URL.  Dates of expiry are
moved to the future.  A call of SageMaker may come at any time; it is judged whether it is
signed by that key.  GET /control/case tells how it went.
"""

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "emulator"))

from certificates import Certificates  # noqa: E402
from connection import Reply  # noqa: E402
from errors import SignatureRefused  # noqa: E402
from keystore import Key, KeyStore  # noqa: E402
from server import Server, server_tls_context  # noqa: E402
from signature import AUTHORIZATION, Verifier  # noqa: E402

NAMES = [f"sts.{region}.amazonaws.com" for region in ("us-east-1", "us-east-2", "eu-west-1")]
EXPIRY = re.compile(r'(Expiration(?:>|"\s*:\s*"))[0-9T:Z-]+')
MAX_BODY_BYTES = 1024 * 1024
UNEXPECTED = 421


def read_traffic(recorded):
    """What was asked and answered, in order: (method, url, status, body)."""
    order, exchanges = [], {}
    for event in recorded["events"]:
        exchange = exchanges.get(event["connection_id"])
        (kind, value), = event["action"].items()
        if kind == "Request":
            exchange = {"status": None, "body": ""}
            exchange["method"] = value["request"]["method"]
            exchange["url"] = value["request"]["uri"]
            order.append(exchange)
            exchanges[event["connection_id"]] = exchange
        elif kind == "Response":
            exchange["status"] = value["response"]["Ok"]["status"]
        elif kind == "Data" and value["direction"] == "Response":
            exchange["body"] += value["data"]["Utf8"]
    future = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    return [(exchange["method"], exchange["url"].rstrip("/"), exchange["status"],
             EXPIRY.sub(rf"\g<1>{future}", exchange["body"])) for exchange in order]


class Replay:
    """What both ports, plain and TLS, answer with."""

    def __init__(self):
        self._lock = threading.Lock()
        self._set({})

    def _set(self, case):
        self._left = read_traffic(case.get("traffic", {"events": []}))
        self._key = case.get("key")
        self._unexpected = []
        self._calls = []

    def serve(self, connection, request, is_plain_on_tls):
        connection.read_body(request, MAX_BODY_BYTES)
        with self._lock:
            if request.target == "/control/case":
                reply = self._control(request)
            elif request.target.startswith("/endpoints/"):
                reply = self._judge(request)
            else:
                reply = self._play(request, "https" if connection.is_tls else "http")
        connection.reply(reply)

    def _control(self, request):
        if request.method == "POST":
            self._set(json.loads(request.body))
        return Reply(200, [("Content-Type", "application/json")], json.dumps({
            "left": [f"{method} {url}" for method, url, _, _ in self._left],
            "unexpected": self._unexpected, "calls": self._calls}).encode())

    def _judge(self, request):
        region = AUTHORIZATION.fullmatch(request.header("authorization"))[1].split("/")[2]
        keys = KeyStore([Key(**self._key)] if self._key else [])
        try:
            key_id = Verifier(keys, region, "sagemaker").verify(
                request, datetime.now(timezone.utc))
        except SignatureRefused as error:
            self._calls.append(error.code)
            return Reply(error.status, error.headers(), error.body())
        self._calls.append(key_id)
        return Reply(200, [("Content-Type", "text/plain")], key_id.encode())

    def _play(self, request, scheme):
        got = request.method, f"{scheme}://{request.header('host')}{request.target}".rstrip("/")
        if not self._left or self._left[0][:2] != got:
            self._unexpected.append(" ".join(got))
            return Reply(UNEXPECTED)
        _, _, status, body = self._left.pop(0)
        return Reply(status, [], body.encode())

    def malformed(self, _connection, error):
        return Reply(error.status)

    def connection_opened(self):
        return 0

    def connection_closed(self, number):
        """Connections are not counted here."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready-file", required=True)
    options = parser.parse_args()
    replay = Replay()
    with tempfile.TemporaryDirectory(prefix="replay-") as directory:
        certificates = Certificates(directory, "good", NAMES)
        http = Server("127.0.0.1", 0, replay)
        https = Server("127.0.0.1", 0, replay, server_tls_context(certificates))
        http.start()
        https.start()
        ready = Path(options.ready_file)
        temporary = ready.with_suffix(".new")
        temporary.write_text(json.dumps({"url": f"http://127.0.0.1:{http.port}",
                                         "port": http.port, "tls_port": https.port,
                                         "ca_file": certificates.ca_file}))
        temporary.rename(ready)
        sys.stdin.read()  # it ends with whoever holds the other end


if __name__ == "__main__":
    main()
