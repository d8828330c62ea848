"""Ports beside the service's own, where a client must not come, or comes in vain."""

import socket

from connection import Reply
from journal import Entry
from server import Server

MAX_RECORDED_BODY = 1024 * 1024


class Recorder:
    """Where redirects lead: answers 200 to all that comes, and records it."""

    def __init__(self, host, journal):
        self._journal = journal
        self._server = Server(host, 0, self)
        self.url = f"http://{host}:{self._server.port}"

    def start(self):
        self._server.start()

    def serve(self, connection, request, _is_plain_on_tls):
        connection.read_body(request, MAX_RECORDED_BODY)
        self._journal.record(Entry.of(connection, request, status=200))
        connection.reply(Reply(200, body=b"recorded\n"))

    def malformed(self, _connection, error):
        return Reply(error.status)

    def connection_opened(self):
        return 0  # these are not the service's connections: they are neither numbered

    def connection_closed(self, number):
        """Nor counted."""


def _silent(host):
    """Accepts, by the kernel, and never speaks: a TLS handshake stalls on it."""
    return [socket.create_server((host, 0), backlog=128)]


def _full(host):
    """Its backlog is full, so that the kernel drops what would connect: connect() hangs."""
    listener = socket.create_server((host, 0), backlog=0)
    sockets = [listener]
    while True:
        filler = socket.socket()
        filler.settimeout(0.1)
        sockets.append(filler)
        try:
            filler.connect(listener.getsockname())
        except socket.timeout:  # TimeoutError from Python 3.10 on
            return sockets


def _closed(host):
    """Bound but not listening: connect() is refused, and nobody else can get the port."""
    sock = socket.socket()
    sock.bind((host, 0))
    return [sock]


KINDS = {"silent": _silent, "full": _full, "closed": _closed}


class Listeners:
    """Useless ports, opened on demand and kept until the emulator ends."""

    def __init__(self, host):
        self._host = host
        self._sockets = []

    def open(self, kind):
        """The number of a new port of that kind."""
        sockets = KINDS[kind](self._host)
        self._sockets += sockets
        return sockets[0].getsockname()[1]
