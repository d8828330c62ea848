"""Streamed answers: acts of a script put on the wire one after another, and the ledger of it.

An act is a text, which becomes a part, or an object:

    {"part": BODY, "times": 3}       parts; BODY as in bodies.py
    {"part": BODY, "tokens": [3, 2]} one that tells tokens read and written: they are counted
    {"part": BODY, "damage": WHERE}  one whose frame has a flipped bit: prelude, payload
    {"part": BODY, "cut": 20}        so many bytes of its frame
    {"event": "Other", "part": BODY} an event of another type
    {"exception": "ModelStreamError", "members": {...}}
    {"error": "code", "message": "text"}
    {"raw": BODY}                    bytes without a frame
    {"wait_ms": 100}
    {"gate": true}                   wait until POST release names the endpoint

The ledger says how far each stream came, so that a test can tell what a model had not
produced yet when its client had the first part.
"""

import select
import threading
import time
from dataclasses import asdict, dataclass

import eventstream
from bodies import build_body

GATE_POLL_MS = 10


class StreamError(ValueError):
    """The act is no act; the text says what is wrong with it."""


@dataclass
class Ledger:
    """What became of one stream."""

    endpoint: str
    parts: int = 0         # sent whole
    bytes: int = 0         # of all frames, sent
    state: str = "open"    # at a gate: waiting; then ended, or dropped by the client
    changed: float = 0.0


def check_acts(acts):
    """Raise StreamError for what perform() could not do."""
    for act in acts:
        list(frames_of(act))


def frames_of(act):
    """(bytes, number of parts in them) for an act that sends."""
    if isinstance(act, str):
        act = {"part": act}
    if not isinstance(act, dict):
        raise StreamError(f"an act is a text or an object, not {act!r}")
    if "exception" in act:
        yield eventstream.exception(act["exception"], act.get("members", {})), 0
    elif "error" in act:
        yield eventstream.error(act["error"], act.get("message", "")), 0
    elif "raw" in act:
        yield build_body(act["raw"]), 0
    elif "part" in act:
        whole = eventstream.event(build_body(act["part"]), act.get("event", "PayloadPart"))
        for _ in range(act.get("times", 1)):
            yield _damaged(whole, act), 0 if "cut" in act else 1
    elif not ("wait_ms" in act or "gate" in act):
        raise StreamError(f"no act is like {act!r}")


def _damaged(whole, act):
    if "cut" in act:
        return whole[:act["cut"]]
    if "damage" in act:
        place = {"prelude": 3, "payload": len(whole) - 5}[act["damage"]]
        return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:]
    return whole


class Streams:
    """All streams of one emulator, and the gates that hold them."""

    def __init__(self, count_tokens):
        self._count_tokens = count_tokens
        self._lock = threading.Condition()
        self._ledgers = []
        self._released = {}

    def reset(self):
        with self._lock:
            self._ledgers = []
            self._released = {}

    def ledgers(self, endpoint=None):
        with self._lock:
            return [asdict(ledger) for ledger in self._ledgers
                    if endpoint in (None, ledger.endpoint)]

    def release(self, endpoint):
        """Open the gate that the endpoint's streams wait at, or the next one."""
        with self._lock:
            self._released[endpoint] = self._released.get(endpoint, 0) + 1
            self._lock.notify_all()

    def perform(self, endpoint, acts, step, connection):
        """Send the acts; whether all was sent.  The head is out already."""
        ledger = Ledger(endpoint)
        with self._lock:
            self._ledgers.append(ledger)
        try:
            for act in acts:
                self._perform_act(ledger, act, step, connection)
        except OSError:
            self._change(ledger, state="dropped")
            raise
        self._change(ledger, state="ended")

    def _perform_act(self, ledger, act, step, connection):
        if isinstance(act, dict) and "wait_ms" in act:
            self._wait(connection, lambda until=time.time() + act["wait_ms"] / 1000:
                       time.time() >= until)
        elif isinstance(act, dict) and "gate" in act:
            self._change(ledger, state="waiting")
            self._wait(connection, lambda: self._pass_gate(ledger.endpoint))
            self._change(ledger, state="open")
        if isinstance(act, dict) and act.get("tokens") and connection.has_client():
            self._count_tokens(ledger.endpoint, *act["tokens"])
        for data, parts in frames_of(act):
            size = step.trickle_bytes or len(data)
            for start in range(0, len(data), size):
                piece = data[start:start + size]
                connection.send(piece if step.framing == "close" else
                                b"%x\r\n%s\r\n" % (len(piece), piece))
                self._change(ledger, bytes=ledger.bytes + len(piece))
                time.sleep(step.trickle_ms / 1000 if step.trickle_bytes else 0)
            self._change(ledger, parts=ledger.parts + parts)

    def _pass_gate(self, endpoint):
        with self._lock:
            if not self._released.get(endpoint):
                return False
            self._released[endpoint] -= 1
            return True

    @staticmethod
    def _wait(connection, is_over):
        """Until then, or until the client goes away."""
        poller = select.poll()
        poller.register(connection.sock, select.POLLRDHUP)
        while not is_over():
            if poller.poll(GATE_POLL_MS):
                raise ConnectionResetError("the client closed while it was to wait")

    def _change(self, ledger, **values):
        with self._lock:
            for name, value in values.items():
                setattr(ledger, name, value)
            ledger.changed = time.time()
