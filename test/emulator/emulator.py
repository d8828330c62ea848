#!/usr/bin/python3
"""A local SageMaker Runtime: the command line.

doc/emulator.md tells how to use it.
"""

import argparse
import json
import os
import re
import select
import signal
import stat
import sys
import tempfile
import threading
import uuid
from datetime import datetime, timezone

from algorithms import algorithm_endpoints
from asynchronous import Asynchronous
from certificates import KINDS as CERTIFICATE_KINDS
from certificates import Certificates
from chat import chat_endpoints
from connection import MalformedRequest, Reply, standard_headers
from container import Container
from control import PREFIX, Control
from embeddings import embedding_endpoints
from endpoints import built_in_endpoints
from frameworks import framework_endpoints
from imds import Imds
from journal import Entry, Journal
from keystore import Key, KeyStore
from listeners import Listeners, Recorder
from parrot import language_endpoints
from server import Server, server_tls_context
from s3 import HOST as S3_HOST
from s3 import S3
from service import Service
from signature import ReceivedS3RequestAuth, Verifier
from sts import Sts

DEFAULT_KEY = Key("AKIDEMULATOR", "emulator-secret-access-key")
PARENT_POLL_SECONDS = 0.2

# Where AWS has these services; a test may lead such connections here.
AWS_HOSTS = ((re.compile(r"169\.254\.169\.254"), "imds"),
             (re.compile(r"169\.254\.170\.(2|23)"), "container"),
             (re.compile(r"sts(\.[a-z0-9-]+)?\.amazonaws\.com"), "sts"),
             (S3_HOST, "s3"))


class Emulator:
    """What a service port answers with: the service, and beside it S3, credential services
    and the control paths."""

    def __init__(self, service, stand_ins, control):
        self._service = service
        self._stand_ins = stand_ins
        self._control = control
        self._journal = service.journal

    def serve(self, connection, request, is_plain_on_tls):
        if request.target.startswith(PREFIX):
            if connection.requests == 1:
                self._journal.connection_is_control(connection.number)
            self._control.serve(connection, request)
        elif is_plain_on_tls:
            raise MalformedRequest(400, "plain HTTP was sent to an HTTPS port")
        elif stand_in := self._find_stand_in(request):
            stand_in.serve(connection, request)
        else:
            self._service.serve(connection, request)

    def _find_stand_in(self, request):
        """By the host meant, or by the path's first piece, which is cut off."""
        host = request.header("host") or ""
        for pattern, name in AWS_HOSTS:
            if pattern.fullmatch(host):
                return self._stand_ins[name]
        first, slash, rest = request.target[1:].partition("/")
        if first not in self._stand_ins:
            return None
        request.path = slash + rest
        return self._stand_ins[first]

    def malformed(self, connection, error):
        """Answer what was no request, and log it, so that a test sees that something came."""
        entry = Entry(connection.number, connection.requests, str(error), [], "", 0,
                      outcome="refused", code="MalformedRequest", status=error.status,
                      request_id=str(uuid.uuid4()))
        self._journal.enter(entry)
        headers = standard_headers(entry.request_id, datetime.now(timezone.utc))
        return Reply(error.status, [*headers, ("Connection", "close")], f"{error}\n".encode())

    def connection_opened(self):
        return self._journal.connection_opened()

    def connection_closed(self, number):
        self._journal.connection_closed(number)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description="A local SageMaker Runtime endpoint that checks every signature.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port; the default is any free one")
    parser.add_argument("--tls", action="store_true", help="speak HTTPS")
    parser.add_argument("--cert", choices=CERTIFICATE_KINDS, default="good",
                        help="the certificate made for --tls")
    parser.add_argument("--cert-name", action="append", default=[], metavar="NAME",
                        help="another host that the certificate is good for; may be repeated")
    parser.add_argument("--region", default="us-east-1",
                        help="the region signatures must be made for")
    parser.add_argument("--key", action="append", type=Key.parse, metavar="ID:SECRET[:TOKEN]",
                        help="an access key, in place of the default one "
                             f"({DEFAULT_KEY.access_key_id}:{DEFAULT_KEY.secret_access_key}); "
                             "may be repeated")
    parser.add_argument("--ready-file", metavar="FILE",
                        help="write the URLs there as JSON, once they answer")
    parser.add_argument("--log-file", metavar="FILE",
                        help="append each request there as a line of JSON")
    parser.add_argument("--no-models", action="store_true",
                        help="start without scikit-learn and the models made with it")
    parser.add_argument("--exit-with-parent", action="store_true",
                        help="end when the parent process does, or closes the pipe on "
                             "standard input")
    return parser.parse_args(arguments)


def load_endpoints(options):
    endpoints = (built_in_endpoints() + algorithm_endpoints() + framework_endpoints()
                 + language_endpoints() + chat_endpoints() + embedding_endpoints())
    if options.no_models:
        return endpoints
    try:
        from models import trained_endpoints
    except ImportError as error:
        sys.exit(f"emulator: {error}; install python3-sklearn, or start with --no-models")
    return endpoints + trained_endpoints()


def write_ready_file(path, facts):
    """All at once: who waits for the file must not read half of it."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    os.replace(temporary, path)


def watch_parent(stop):
    """Set stop when the parent is gone.

    A pipe on standard input is watched as well: it closes even if the parent is killed while
    an intermediate shell lives on.  /dev/null and terminals tell nothing.
    """
    parent = os.getppid()
    poller = select.poll()
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        mode = 0  # started without a standard input
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        poller.register(0, select.POLLHUP | select.POLLRDHUP)

    def watch():
        while os.getppid() == parent and not poller.poll(PARENT_POLL_SECONDS * 1000):
            pass
        stop.set()

    threading.Thread(target=watch, daemon=True).start()


def main(arguments=None):
    options = parse_arguments(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.exit_with_parent:
        watch_parent(stop)
    keys = options.key or [DEFAULT_KEY]
    log_file = open(options.log_file, "a", encoding="utf-8") if options.log_file else None
    journal = Journal(log_file)
    store = KeyStore(keys)
    s3 = S3(store, Verifier(store, options.region, "s3", ReceivedS3RequestAuth))
    service = Service(Verifier(store, options.region, "sagemaker"), load_endpoints(options),
                      journal, Asynchronous(s3))
    stand_ins = {stand_in.name: stand_in for stand_in in (
        Sts(store, Verifier(store, options.region, "sts")), Imds(store), Container(store), s3)}
    with tempfile.TemporaryDirectory(prefix="sagemaker-emulator-") as directory:
        tls_context = ca_file = None
        if options.tls:
            certificates = Certificates(directory, options.cert, options.cert_name)
            tls_context, ca_file = server_tls_context(certificates), certificates.ca_file
        recorder = Recorder(options.host, journal)
        service.recorder_url = recorder.url
        emulator = Emulator(service, stand_ins,
                            Control(service, stand_ins, store, Listeners(options.host)))
        server = Server(options.host, options.port, emulator, tls_context)
        recorder.start()
        server.start()

        address = f"{options.host}:{server.port}"
        url = f"{'https' if options.tls else 'http'}://{address}"
        print(f"{url} ca_file={ca_file}" if ca_file else url, flush=True)
        if options.ready_file:
            write_ready_file(options.ready_file, {
                "url": url, "control_url": f"http://{address}{PREFIX}".rstrip("/"),
                "port": server.port, "pid": os.getpid(), "region": options.region,
                "ca_file": ca_file, "recorder_url": recorder.url,
                "access_key_id": keys[0].access_key_id,
                "secret_access_key": keys[0].secret_access_key,
                "session_token": keys[0].session_token,
            })
        stop.wait()


if __name__ == "__main__":
    main()
