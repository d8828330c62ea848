"""Put a step of a script on the wire: late, broken, cut short or without end."""

import time

from bodies import build_body
from connection import Reply

CODE_TAIL = ":http://internal.amazon.com/coral/com.amazon.coral.service/"
BLOCK_BYTES = 64 * 1024


def answer(step, own_answer, recorder_url):
    """The reply a step describes; own_answer is called if that is the endpoint's own."""
    reply = own_answer() if step.is_own_answer() else _described(step)
    reply.headers += step.header_pairs()
    if step.redirect:
        reply.headers.append(("Location", recorder_url))
    if step.reason is not None:
        reply.reason = step.reason
    return reply


def _described(step):
    reply = Reply(step.status or 200)
    body = build_body(step.body)
    content_type = step.content_type
    if step.code is not None or step.message is not None:
        body = build_body({"json": {"message": step.message}}) if body is None else body
        content_type = content_type or "application/json"
    reply.body = body or b""
    if content_type:
        reply.headers.append(("Content-Type", content_type))
    if step.code:
        reply.headers.append(("x-amzn-ErrorType", step.code + CODE_TAIL * step.code_tail))
    return reply


def perform(step, reply, connection, send_acts=None):
    """Send the reply as the step will have it, then end the connection or keep it."""
    if step.drop == "always" or step.drop == "reused" and connection.requests > 1:
        _end(connection, step.after or "close", step.read)
    elif step.hang:
        connection.await_close(discard=step.read)
    elif step.raw is not None:
        connection.send(step.raw.encode("latin-1"))
        _end(connection, step.after or "close", step.read)
    elif step.flood:
        _flood(step, reply, connection)
    elif reply.acts is not None:
        _stream(step, reply, connection, send_acts)
    else:
        connection.send(_interim(step.interim_status) * step.interim)
        head, body = _frame(step, reply)
        _send(step, head, body, connection)
        _end(connection, step.after or _natural_end(step), step.read)


def _stream(step, reply, connection, send_acts):
    """Send the head, the acts and, unless the step breaks it off, the end of the body."""
    is_open_ended = step.framing == "close"
    connection.send(reply.head([("Connection", "close") if is_open_ended else
                                ("Transfer-Encoding", "chunked")]))
    send_acts(reply.acts)
    if step.after in (None, "keep") and not is_open_ended:
        connection.send(b"0\r\n\r\n")
    _end(connection, step.after or ("finish" if is_open_ended else "keep"), step.read)


def _interim(status):
    return f"HTTP/1.1 {status} Interim\r\n\r\n".encode()


def _frame(step, reply):
    """Head and body of a reply in the step's framing, with the step's lies in it."""
    if not reply.has_body():
        return reply.head(), b""
    if step.framing == "close":
        return reply.head([("Connection", "close")]), reply.body
    if step.framing == "chunked":
        return reply.head([("Transfer-Encoding", "chunked")]), _chunked(step, reply.body)
    return reply.head([("Content-Length", len(reply.body) + step.length_error)]), reply.body


def _chunked(step, body):
    size = {"size": b"zz", "huge": b"ffffffffffffffff"}.get(step.chunk_fault, b"%x" % len(body))
    chunk = size + b"\r\n" + body
    if step.chunk_fault == "end":
        return chunk + b"this is no CR LF"
    if step.chunk_fault == "last":
        return chunk + b"\r\n"
    return chunk + b"\r\n0\r\n\r\n"


def _send(step, head, body, connection):
    """Send head and body; in one write unless the step asks for time between bytes."""
    if step.cut is not None:
        body = body[:step.cut]
    if step.trickle_bytes:
        connection.send(head)
        for start in range(0, len(body), step.trickle_bytes):
            connection.send(body[start:start + step.trickle_bytes])
            time.sleep(step.trickle_ms / 1000)
    elif step.pause_at is not None:
        connection.send(head + body[:step.pause_at])
        time.sleep(step.pause_ms / 1000)
        connection.send(body[step.pause_at:])
    else:
        connection.send(head + body)


def _natural_end(step):
    """What a step that does not say leaves: close where the client would wait in vain."""
    if step.cut is not None or step.length_error > 0 or step.chunk_fault:
        return "close"
    return "finish" if step.framing == "close" else "keep"


def _end(connection, how, was_read):
    """Do what `after` says; "finish" is the close of a server that has said all."""
    if how == "hang":
        connection.await_close(discard=was_read)
    elif how == "reset":
        connection.reset()
    elif how == "finish":
        connection.finish()
    elif not was_read:
        connection.linger()
    elif how == "close":
        connection.close()


def _flood(step, reply, connection):
    """Send a block over and over, for ever or up to flood_bytes, then the rest of the reply."""
    # Without the empty line, so that there is room for more headers.
    open_head = reply.head()[:-2]
    rest = b"Content-Length: %d\r\n\r\n" % len(reply.body) + reply.body
    x = b"x" * BLOCK_BYTES
    start, block, rest = {
        "headers": (open_head, b"X-Flood: " + x[:1000] + b"\r\n", rest),
        "header": (open_head + b"X-Flood: ", x, b"\r\n" + rest),
        "interim": (b"", _interim(103) * 1000, open_head + rest),
        "body": (open_head + b"Connection: close\r\n\r\n", x, b""),
        "chunks": (open_head + b"Transfer-Encoding: chunked\r\n\r\n",
                   b"%x\r\n%s\r\n" % (len(x), x), b"0\r\n\r\n"),
    }[step.flood]
    connection.send(start)
    sent = 0
    while step.flood_bytes is None or sent < step.flood_bytes:
        connection.send(block)
        sent += len(block)
    connection.send(rest)
    _end(connection, step.after or ("finish" if step.flood == "body" else "keep"), step.read)
