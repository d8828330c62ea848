"""What the stand-ins for AWS's other services have in common.

Each is off the path of InvokeEndpoint.  Most hand out keys that the endpoint then knows.  A
test sets how long those last and what goes wrong, and reads who asked for what.
"""

import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field, fields, replace

from connection import Reply

MAX_BODY_BYTES = 256 * 1024
REQUESTS_KEPT = 20_000
ANY = "*"
OUTAGES = ("hang", "drop")


class SettingError(Exception):
    pass


@dataclass(frozen=True)
class Settings:
    """What POST /control/standin sets; a stand-in adds its own."""

    lifetime: int = 3600                        # seconds that keys last
    uses: int = None                            # signatures that keys last; None: any number
    ahead: int = 0                              # seconds before its end, a shared key is replaced
    delay_ms: int = 0                           # before each answer
    faults: dict = field(default_factory=dict)  # by kind of request, or ANY, until changed
    queue: list = field(default_factory=list)   # faults of the next requests, one each

    @classmethod
    def names(cls):
        return [item.name for item in fields(cls)]


class StandIn:
    """One service: serve() answers a request, whatever the thread."""

    name = None
    settings_type = Settings

    def __init__(self, keys):
        self.keys = keys
        self._lock = threading.Lock()
        self.reset()

    def reset(self):
        """Forget settings and counts; keys that were handed out stay good."""
        with self._lock:
            self.settings = self.settings_type()
            self._queue = deque()
            self._counts = Counter()
            self._requests = deque(maxlen=REQUESTS_KEPT)
            self._current = None

    def change(self, given):
        """Settings by name; `rotate`: the next answer has new keys; `end`: the present ones end."""
        given = dict(given)
        rotate, end = given.pop("rotate", False), given.pop("end", False)
        unknown = [name for name in given if name not in self.settings_type.names()]
        if unknown:
            raise SettingError(f"no such setting: {', '.join(unknown)}; there are: rotate, end, "
                               + ", ".join(self.settings_type.names()))
        for fault in [*given.get("faults", {}).values(), *given.get("queue", [])]:
            if fault not in OUTAGES and not isinstance(fault, (int, dict)):
                raise SettingError("a fault is \"hang\", \"drop\", a status or an object")
        with self._lock:
            self.settings = replace(self.settings, **given)
            if "queue" in given:
                self._queue = deque(given["queue"])
            if end and self._current:
                self.keys.end(self._current.key.access_key_id)
            if rotate or end:
                self._current = None

    def state(self):
        """What tests read."""
        with self._lock:
            current = self._current
            return {"settings": asdict(self.settings), "counts": dict(self._counts),
                    "requests": list(self._requests),
                    "access_key_id": current.key.access_key_id if current else None}

    def serve(self, connection, request):
        """Answer one request whose body is still on the wire."""
        connection.read_body(request, MAX_BODY_BYTES)
        kind = self.kind_of(request)
        # Logged before it is judged, so that one that hangs is seen as well.
        log = {"kind": kind, "time": time.time(), "line": request.line}
        with self._lock:
            self._counts[kind] += 1
            self._requests.append(log)
            fault = self._queue.popleft() if self._queue else None
        if fault is None:
            fault = self.settings.faults.get(kind, self.settings.faults.get(ANY))
        time.sleep(self.settings.delay_ms / 1000)
        if fault == "hang":
            connection.await_close(discard=False)
        elif fault == "drop":
            connection.close()
        elif fault is not None:
            connection.reply(self.fault_reply(fault if isinstance(fault, dict)
                                              else {"status": fault}))
        else:
            connection.reply(self.answer(kind, request, log))

    def kind_of(self, request):
        """The name under which a request is counted."""
        raise NotImplementedError

    def answer(self, kind, request, log):
        """The reply to a request; what it was about is added to log."""
        raise NotImplementedError

    def fault_reply(self, fault):
        """An error with `status`, `code` and `message`."""
        return Reply(fault["status"], [("Content-Type", "text/plain")],
                     fault.get("message", "").encode())

    def shared_keys(self):
        """The same keys for all who ask, until they have ended."""
        with self._lock:
            ahead = self.settings.ahead
            if self._current is None or self._current.has_ended(ahead):
                self._current = self.keys.issue(self.name, self.settings.lifetime,
                                                self.settings.uses)
            return self._current



def iso_time(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
