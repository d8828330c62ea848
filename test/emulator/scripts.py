"""Scripts: what an endpoint shall answer, request by request.

A script is a list of steps; each request to its endpoint takes the next one, and when all
are taken, `then` answers for ever.  A step is a flat JSON object, written by a test or
taken from the table in scenarios.py; this module only reads and checks it.  How a step
reaches the wire is told in faults.py.
"""

import threading
from dataclasses import dataclass, field, fields

from bodies import BodyError, build_body
from scenarios import find_scenario
from streams import StreamError, check_acts

CHOICES = {
    "drop": ("always", "reused"),
    "framing": ("length", "chunked", "close"),
    "chunk_fault": ("size", "huge", "end", "last"),
    "flood": ("headers", "header", "interim", "body", "chunks"),
    "after": ("keep", "close", "reset", "hang"),
}


class ScriptError(ValueError):
    """The script is no script; the text says what is wrong with it."""


@dataclass(frozen=True)
class Step:
    """One answer and its faults.  An empty step is the endpoint's own answer."""

    # What is answered; without status, code, message and body: the endpoint's own answer.
    status: int = None
    reason: str = None
    code: str = None            # becomes x-amzn-ErrorType
    code_tail: bool = False     # with the ":http://..." some services append to it
    message: str = None         # the body is {"message": ...}, null if only a code is given
    body: object = None         # text, or one of BODIES as {"kind": argument}
    content_type: str = None
    headers: object = field(default_factory=dict)  # an object, or a list of [name, value]
    redirect: bool = False      # Location is the port that records

    stream: list = None         # InvokeEndpointWithResponseStream: acts; see streams.py

    # Before the answer, in this order.
    read: bool = True           # false: the request's body is left unread, and unjudged
    delay_ms: int = 0
    drop: str = None            # close with no byte sent: always, or on a reused connection
    hang: bool = False          # say nothing until the client goes away
    raw: str = None             # send these characters as bytes instead of an answer
    interim: int = 0            # so many 1xx answers first
    interim_status: int = 100
    flood: str = None           # what to send without end
    flood_bytes: int = None     # or up to so many bytes, and then the answer

    # How the answer's body is sent.
    framing: str = "length"
    length_error: int = 0       # added to the true Content-Length
    chunk_fault: str = None     # what is broken in the last chunk
    pause_at: int = None        # stop after so many bytes of body
    pause_ms: int = 0
    trickle_bytes: int = None   # send the body in pieces of so many bytes
    trickle_ms: int = 0         # with so long between them
    cut: int = None             # send only so many bytes of body
    after: str = None           # what becomes of the connection; see faults.py

    @classmethod
    def parse(cls, given):
        """A checked step from JSON; `use` names a scenario to start from."""
        if not isinstance(given, dict):
            raise ScriptError(f"a step is an object, not {given!r}")
        members = dict(given)
        if "use" in members:
            name = members.pop("use")
            scenario = find_scenario(name)
            if scenario is None:
                raise ScriptError(f"no scenario is named {name!r}")
            members = {**scenario, **members}
        types = {item.name: item.type for item in fields(cls)}
        for name, value in members.items():
            if name not in types:
                raise ScriptError(f"a step has no member {name!r}")
            if value is not None and not isinstance(value, types[name]):
                raise ScriptError(f"{name} is of type {types[name].__name__}, not {value!r}")
            if name in CHOICES and value not in CHOICES[name]:
                raise ScriptError(f"{name} is one of {', '.join(CHOICES[name])}, not {value!r}")
        return cls(**members)

    def is_own_answer(self):
        return (self.status, self.code, self.message, self.body) == (None,) * 4 \
            and not self.redirect

    def sends_reply(self, request_on_connection):
        """Whether a well-formed head is sent at all."""
        is_dropped = self.drop == "always" or self.drop == "reused" and request_on_connection > 1
        return not (is_dropped or self.hang or self.raw is not None)

    def sends_all(self, request_on_connection):
        """Whether a client can make the whole answer of what is sent."""
        return self.sends_reply(request_on_connection) and self.cut is None \
            and not (self.flood or self.length_error or self.chunk_fault)

    def check(self):
        """Raise ScriptError now rather than when a request comes."""
        self.header_pairs()
        try:
            build_body(self.body)
            check_acts(self.stream or [])
        except (BodyError, StreamError) as error:
            raise ScriptError(str(error)) from None
        return self

    def header_pairs(self):
        pairs = self.headers.items() if isinstance(self.headers, dict) else self.headers
        try:
            return [(str(name), str(value)) for name, value in pairs]
        except (TypeError, ValueError):
            raise ScriptError("headers is an object, or a list of [name, value]") from None


class Script:
    """Steps, and how far they have been taken."""

    MEMBERS = {"endpoint": str, "steps": list, "then": dict, "clock_skew": (int, float)}

    def __init__(self, endpoint, steps=(), then=None, clock_skew=0):
        self.endpoint = endpoint
        self.clock_skew = clock_skew
        self._steps = [Step.parse(step).check() for step in steps]
        self._then = Step.parse(then or {}).check()
        self._taken = 0

    @classmethod
    def parse(cls, given):
        """A checked script from JSON."""
        for name, value in given.items():
            if name not in cls.MEMBERS:
                raise ScriptError(f"a script has no member {name!r}")
            if not isinstance(value, cls.MEMBERS[name]):
                raise ScriptError(f"{name} of a script cannot be {value!r}")
        if "endpoint" not in given:
            raise ScriptError("a script needs the name of its endpoint")
        return cls(**given)

    def take(self):
        """The next step and its number, from 0."""
        number = self._taken
        self._taken += 1
        return (self._steps[number] if number < len(self._steps) else self._then), number


class ScriptTable:
    """The scripts set by tests, by the name of their endpoint."""

    def __init__(self):
        self._lock = threading.Lock()
        self._scripts = {}

    def set(self, script):
        """Set a script in place of one that its endpoint may have."""
        with self._lock:
            self._scripts[script.endpoint] = script

    def clear(self):
        with self._lock:
            self._scripts.clear()

    def has(self, endpoint):
        with self._lock:
            return endpoint in self._scripts

    def take(self, endpoint):
        """(step, number, clock skew) for a request; None if the endpoint has no script."""
        with self._lock:
            script = self._scripts.get(endpoint)
            if script:
                return (*script.take(), script.clock_skew)
        return None
