"""An emulator in a process of its own, and the ways a test talks to it.

Well-formed calls go through botocore's client.  Where that is too kind, a request is signed
by botocore's signer, changed at will, and sent as bytes.
"""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import botocore.config
import botocore.session
from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

EMULATOR = Path(__file__).with_name("emulator.py")
SECONDS_TO_START = 30
PATIENCE_SECONDS = 5


class Running:
    """One run of the emulator; it ends with stop(), or with this process."""

    def __init__(self, *options):
        self._directory = tempfile.TemporaryDirectory()
        self.log_file = Path(self._directory.name, "log")
        ready_file = Path(self._directory.name, "ready")
        self.process = subprocess.Popen(
            [sys.executable, str(EMULATOR), "--exit-with-parent",
             "--ready-file", str(ready_file), "--log-file", str(self.log_file), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + SECONDS_TO_START
        while not ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the emulator did not start with {options}")
            time.sleep(0.01)
        self.facts = json.loads(ready_file.read_text())
        self._clients = []
        self.first_line = self.process.stdout.readline()

    def stop(self):
        """End it by closing its standard input; its exit status."""
        for client in self._clients:
            client.close()
        self.process.stdin.close()
        status = self.process.wait(PATIENCE_SECONDS)
        self.process.stdout.close()
        self._directory.cleanup()
        return status

    def control(self, path, body=None):
        """GET a control path, or POST to it when there is a body."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.facts['control_url']}/{path}", data) as answer:
            return json.load(answer)

    def script(self, endpoint, *steps, **more):
        self.control("script", {"endpoint": endpoint, "steps": steps, **more})

    def client(self, service="sagemaker-runtime", **more):
        """botocore's client, which sends once: retries would hide what is tested."""
        config = botocore.config.Config(retries={"total_max_attempts": 1},
                                        connect_timeout=PATIENCE_SECONDS,
                                        read_timeout=PATIENCE_SECONDS)
        settings = {"region_name": self.facts["region"],
                    "endpoint_url": self.facts["url"],
                    "aws_access_key_id": self.facts["access_key_id"],
                    "aws_secret_access_key": self.facts["secret_access_key"],
                    "aws_session_token": self.facts["session_token"],
                    "verify": self.facts["ca_file"],
                    "config": config, **more}
        client = botocore.session.get_session().create_client(service, **settings)
        self._clients.append(client)
        return client

    def signed(self, endpoint, body=b"", headers=None, change=None, late=0, region=None,
               service="sagemaker", operation="invocations"):
        """The bytes of a request; change(headers) is called between signing and sending."""
        host = f"127.0.0.1:{self.facts['port']}"
        path = f"/endpoints/{endpoint}/{operation}"
        request = AWSRequest("POST", f"http://{host}{path}", data=body,
                             headers={"Host": host, **(headers or {})})
        key = Credentials(self.facts["access_key_id"], self.facts["secret_access_key"],
                          self.facts["session_token"])
        signer = _Signer(key, service, region or self.facts["region"])
        signer.sign_at(request, datetime.now(timezone.utc) + timedelta(seconds=late))
        if change:
            change(request.headers)
        lines = [f"POST {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + body

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.facts["port"]), PATIENCE_SECONDS)

    def ask(self, *arguments, **more):
        """Send a signed request; the answer, read by the standard library's client."""
        with self.connect() as sock:
            sock.sendall(self.signed(*arguments, **more))
            answer = http.client.HTTPResponse(sock, method="POST")
            answer.begin()
            answer.content = answer.read()
            return answer

    def raw_answer(self, *arguments, at_most=1 << 20, **more):
        """Send a signed request; the bytes that come until the server closes."""
        with self.connect() as sock:
            sock.sendall(self.signed(*arguments, **more))
            received = b""
            while len(received) < at_most and (piece := sock.recv(1 << 16)):
                received += piece
            return received


class _Signer(SigV4Auth):
    """botocore's signer with a clock that can be wrong."""

    def sign_at(self, request, moment):
        request.context["timestamp"] = moment.strftime(SIGV4_TIMESTAMP)
        self._modify_request_before_signing(request)
        string_to_sign = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(string_to_sign, request))
