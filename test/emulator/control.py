"""The control paths, by which a test sets scripts and reads what happened.

They are unsigned, so they answer on loopback only.
"""

import ipaddress
import json
from urllib.parse import parse_qs, urlsplit

from bodies import BodyError, build_body
from connection import Reply
from keystore import Key
from listeners import KINDS
from scenarios import PATTERNS, SCENARIOS
from scripts import Script, ScriptError
from standin import SettingError

PREFIX = "/control/"
MAX_BODY_BYTES = 64 * 1024 * 1024


class ControlError(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Control:
    """One method for each path; each takes the JSON body or the query, and returns JSON."""

    def __init__(self, service, stand_ins, keys, listeners):
        self._service = service
        self._stand_ins = stand_ins
        self._keys = keys
        self._listeners = listeners
        self._paths = {
            ("GET", "stats"): self._stats,
            ("GET", "requests"): self._requests,
            ("GET", "recorded"): self._recorded,
            ("GET", "captures"): self._captures,
            ("GET", "endpoints"): self._endpoints,
            ("GET", "streams"): self._streams,
            ("GET", "standin"): self._read_stand_in,
            ("POST", "standin"): self._change_stand_in,
            ("POST", "object"): self._object,
            ("POST", "key"): self._key,
            ("POST", "script"): self._script,
            ("POST", "release"): self._release,
            ("POST", "clock"): self._clock,
            ("POST", "listener"): self._listener,
            ("POST", "reset"): self._reset,
        }

    def serve(self, connection, request):
        """Answer one request to a control path."""
        connection.read_body(request, MAX_BODY_BYTES)
        try:
            status, value = 200, self._answer(connection, request)
        except ControlError as error:
            status, value = error.status, {"error": str(error)}
        body = json.dumps(value, indent=1).encode() + b"\n"
        connection.reply(Reply(status, [("Content-Type", "application/json")], body))

    def _answer(self, connection, request):
        if not ipaddress.ip_address(connection.sock.getpeername()[0]).is_loopback:
            raise ControlError(403, "the control paths are for loopback only")
        target = urlsplit(request.target)
        method = self._paths.get((request.method, target.path.removeprefix(PREFIX)))
        if method is None:
            paths = ", ".join(f"{verb} {PREFIX}{name}" for verb, name in self._paths)
            raise ControlError(404, f"no such control path; there are: {paths}")
        if request.method == "GET":
            return method({name: values[-1] for name, values in parse_qs(target.query).items()})
        try:
            given = json.loads(request.body or b"{}")
        except ValueError as error:
            raise ControlError(400, f"the body is no JSON: {error}") from None
        if not isinstance(given, dict):
            raise ControlError(400, "the body is no JSON object")
        return method(given)

    def _stats(self, _query):
        return self._service.journal.stats()

    def _requests(self, query):
        return self._service.journal.requests(query.get("endpoint"))

    def _recorded(self, _query):
        return self._service.journal.recorded()

    def _captures(self, query):
        return self._service.journal.captures(query.get("inference_id"))

    def _endpoints(self, _query):
        return {"endpoints": list(self._service.endpoints), "scenarios": list(SCENARIOS),
                "patterns": [pattern.pattern for pattern, _ in PATTERNS]}

    def _stand_in(self, name):
        if name not in self._stand_ins:
            raise ControlError(400, f"name is one of {', '.join(self._stand_ins)}")
        return self._stand_ins[name]

    def _read_stand_in(self, query):
        return self._stand_in(query.get("name")).state()

    def _change_stand_in(self, given):
        stand_in = self._stand_in(given.pop("name", None))
        try:
            stand_in.change(given)
        except SettingError as error:
            raise ControlError(400, str(error)) from None
        return stand_in.state()

    def _object(self, given):
        try:
            body = build_body(given.pop("body", ""))
            self._stand_ins["s3"].put(body=body, **given)
        except (BodyError, TypeError) as error:
            raise ControlError(400, f"an object has a location, a body and perhaps content_type "
                                    f"and hidden: {error}") from None
        return {}

    def _key(self, given):
        try:
            self._keys.add(Key(**given))
        except TypeError:
            raise ControlError(400, "a key has access_key_id, secret_access_key and perhaps "
                                    "session_token") from None
        return {}

    def _script(self, given):
        try:
            self._service.scripts.set(Script.parse(given))
        except ScriptError as error:
            raise ControlError(400, str(error)) from None
        return {}

    def _streams(self, query):
        return self._service.streams.ledgers(query.get("endpoint"))

    def _release(self, given):
        self._service.streams.release(given.get("endpoint"))
        return {}

    def _clock(self, given):
        skew = given.get("skew")
        if not isinstance(skew, (int, float)):
            raise ControlError(400, "skew is a number of seconds")
        self._service.clock_skew = skew
        return {}

    def _listener(self, given):
        kind = given.get("kind")
        if kind not in KINDS:
            raise ControlError(400, f"kind is one of {', '.join(KINDS)}")
        return {"port": self._listeners.open(kind)}

    def _reset(self, _given):
        self._service.reset()
        for stand_in in self._stand_ins.values():
            stand_in.reset()
        return {}
