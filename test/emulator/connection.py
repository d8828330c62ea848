"""One client connection: requests are read from it and replies written to it byte by byte.

The standard library's request handler is not used, because it tidies up: it folds white
space, forgets the order of headers and forgives bare line feeds.  A test of a client has
to see what was really sent, and has to be able to send what no sane server would.
"""

import hashlib
import http.client
import re
import select
import socket
import ssl
import struct
from dataclasses import dataclass, field
from email.utils import format_datetime

MAX_HEAD_BYTES = 64 * 1024  # more than all members of the API at full length
DISCARD_BYTES = 1024 * 1024
REQUEST_LINE = re.compile(r"([A-Z]+) ([!-~]+) (HTTP/1\.[01])")
HEADER_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([ \t\x21-\x7e\x80-\xff]*)")


class MalformedRequest(Exception):
    """The bytes are no HTTP request; the connection ends after the answer to it."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


@dataclass
class Request:
    """A request as it came: header values are verbatim, but for one blank after the colon."""

    line: str
    headers: list = field(default_factory=list)  # (name, value) pairs in order of arrival
    body: bytes = b""
    body_bytes: int = 0
    body_sha256: str = hashlib.sha256(b"").hexdigest()

    def __post_init__(self):
        match = REQUEST_LINE.fullmatch(self.line)
        if not match:
            raise MalformedRequest(400, "malformed request line")
        self.method, self.target, self.version = match.groups()
        self.path = self.target  # below the place of a stand-in, if one gets it

    def all_values(self, name):
        """Values of every header of that name, without the optional white space around."""
        return [value.strip(" \t") for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The value of a header that may come once; None if it is absent."""
        values = self.all_values(name)
        if len(values) > 1:
            raise MalformedRequest(400, f"header {name} came {len(values)} times")
        return values[0] if values else None

    def content_length(self):
        if self.all_values("transfer-encoding"):
            # SigV4 signs the hash of a whole body; AWS takes no chunked one here either.
            raise MalformedRequest(411, "a Content-Length is required")
        value = self.header("content-length") or "0"
        if not re.fullmatch(r"[0-9]{1,15}", value):
            raise MalformedRequest(400, "malformed Content-Length")
        return int(value)


@dataclass
class Reply:
    """A well-formed answer; what is ill-formed is made from one by faults.py."""

    status: int = 200
    headers: list = field(default_factory=list)
    body: bytes = b""
    reason: str = None
    parts: list = None   # of the body, if it comes in parts
    acts: list = None    # of a stream, instead of a body; see streams.py
    tokens: tuple = None  # as in Answer
    telling_part: int = -1

    def status_line(self):
        reason = self.reason
        if reason is None:
            reason = http.client.responses.get(self.status, "Unknown")
        return f"HTTP/1.1 {self.status} {reason}"

    def head(self, extra=()):
        lines = [self.status_line()]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *extra)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def add_missing(self, headers):
        """Put headers in front, but for those that are there already."""
        given = {name.lower() for name, _ in self.headers}
        self.headers[:0] = [item for item in headers if item[0].lower() not in given]

    def has_body(self):
        return self.status not in (204, 304)


def standard_headers(request_id, now):
    """What stands on every answer of the service."""
    return [("x-amzn-RequestId", request_id), ("Date", format_datetime(now, usegmt=True))]


class Connection:
    """A socket with its place in the log: a number, and how many requests it has carried."""

    def __init__(self, sock, number):
        self.sock = sock
        self.number = number
        self.requests = 0
        self.open = True
        self.is_tls = isinstance(sock, ssl.SSLSocket)
        # A reply that waits for the ACK of an earlier one costs 40 ms on a kept connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = sock.makefile("rb", 64 * 1024)

    def read_head(self):
        """The next request without its body; None when the client has closed."""
        first = self._read_line()
        if first is None:
            return None
        self.requests += 1
        request = Request(first)
        size = len(first)
        while line := self._read_line():
            size += len(line)
            match = HEADER_LINE.fullmatch(line)
            if not match:
                raise MalformedRequest(400, f"malformed header line {line[:80]!r}")
            if size > MAX_HEAD_BYTES:
                raise MalformedRequest(431, "the request head is too long")
            name, value = match.groups()
            request.headers.append((name, value.removeprefix(" ")))
        if line is None:
            raise ConnectionResetError("the client closed within a request head")
        return request

    def _read_line(self):
        line = self._reader.readline(MAX_HEAD_BYTES + 2)
        if not line:
            return None
        if not line.endswith(b"\r\n"):
            raise MalformedRequest(400, "a line does not end in CR LF, or is too long")
        return line[:-2].decode("latin-1")

    def read_body(self, request, limit):
        """Fill in the request's body; past the limit it is counted and thrown away."""
        request.body_bytes = request.content_length()
        if request.body_bytes <= limit:
            request.body = self._reader.read(request.body_bytes)
            if len(request.body) < request.body_bytes:
                raise ConnectionResetError("the client closed within a request body")
            request.body_sha256 = hashlib.sha256(request.body).hexdigest()
            return
        digest = hashlib.sha256()
        left = request.body_bytes
        while left and (piece := self._reader.read(min(left, DISCARD_BYTES))):
            digest.update(piece)
            left -= len(piece)
        request.body_sha256 = digest.hexdigest()

    def send(self, data):
        self.sock.sendall(data)

    def has_client(self):
        """Whether the client is still there, as far as is known."""
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP)
        return not poller.poll(0)

    def reply(self, reply):
        """Send a whole answer in one write, so that it leaves in as few packets as can be."""
        if reply.has_body():
            self.send(reply.head([("Content-Length", len(reply.body))]) + reply.body)
        else:
            self.send(reply.head())

    def finish(self):
        """End it as a well-behaved server does: over TLS, with a close_notify."""
        if self.is_tls:
            self.sock.settimeout(1)  # the client need not answer the close_notify
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass
        self.close()

    def close(self):
        """Drop it: a plain FIN, which over TLS is a truncation."""
        self.open = False
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the client was first
        self._reader.close()
        self.sock.close()

    def reset(self):
        """Drop it with a RST, as a crashed peer or a firewall does."""
        self.open = False
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._reader.close()
        self.sock.close()

    def linger(self):
        """Say that nothing more will come, and read on until the client closes.

        Closing with unread bytes would send a RST, which can overtake the reply.
        """
        self.sock.shutdown(socket.SHUT_WR)
        self.await_close(discard=True)

    def await_close(self, discard):
        """Sleep until the client goes away; with discard, take what it still sends."""
        if discard:
            while self._reader.read1(DISCARD_BYTES):
                pass
        else:
            poller = select.poll()
            poller.register(self.sock, select.POLLRDHUP)  # not woken by bytes left unread
            poller.poll()
        self.close()
