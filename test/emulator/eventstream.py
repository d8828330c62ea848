"""Frames of application/vnd.amazon.eventstream, as the service writes them."""

import json
import struct
import zlib

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7


def frame(headers, payload):
    """A frame of string headers and a payload."""
    head = b"".join(bytes([len(name)]) + name.encode() + bytes([STRING])
                    + struct.pack(">H", len(value)) + value.encode()
                    for name, value in headers.items())
    lengths = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = lengths + struct.pack(">I", zlib.crc32(lengths)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(payload, kind="PayloadPart"):
    return frame({":event-type": kind, ":content-type": "application/octet-stream",
                  ":message-type": "event"}, payload)


def exception(kind, members):
    return frame({":exception-type": kind, ":content-type": "application/json",
                  ":message-type": "exception"}, json.dumps(members).encode())


def error(code, message):
    return frame({":message-type": "error", ":error-code": code, ":error-message": message}, b"")
