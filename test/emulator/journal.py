"""What happened, for tests to read: counters, and the last requests in full.

Everything here is called from many connection threads, so one lock guards all of it.
"""

import json
import threading
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import time as seconds_since_1970

REQUESTS_KEPT = 20_000  # about 40 MB; a benchmark must not make the emulator grow for ever
CAPTURES_KEPT = 1_000
TOKENS = ("input_tokens", "output_tokens")  # counted where containers say so


@dataclass
class Entry:
    """One request, entered before it is answered: one that hangs is seen as well."""

    connection: int
    request_on_connection: int
    line: str
    headers: list
    body_sha256: str
    body_bytes: int
    endpoint: str = None
    outcome: str = "unverified"  # or verified, or refused
    code: str = None             # why it was refused
    step: int = None             # which step of a script answered; counts on in `then`
    status: int = None           # as answered; null when no well-formed reply was
    request_id: str = None
    time: float = field(default_factory=seconds_since_1970)

    @classmethod
    def of(cls, connection, request, **more):
        return cls(connection.number, connection.requests, request.line, request.headers,
                   request.body_sha256, request.body_bytes, **more)


class Journal:
    """Counters and logs of one emulator."""

    def __init__(self, log_file=None):
        self._lock = threading.Lock()
        self._log_file = log_file
        self._last_connection = 0
        self._open = set()
        self._at_work = Counter()
        self.reset()

    def reset(self):
        """Forget all but the connections that are open, and go on numbering them."""
        with self._lock:
            self._accepted = 0
            self._counted_from = self._last_connection + 1
            self._totals = Counter()
            self._by_endpoint = defaultdict(Counter)
            self._most_at_work = Counter()
            self._requests = deque(maxlen=REQUESTS_KEPT)
            self._recorded = deque(maxlen=REQUESTS_KEPT)
            self._captures = deque(maxlen=CAPTURES_KEPT)

    def connection_opened(self):
        """Count a connection and give it its number."""
        with self._lock:
            self._last_connection += 1
            self._accepted += 1
            self._open.add(self._last_connection)
            return self._last_connection

    def connection_is_control(self, number):
        """Take a connection out of the count: reading the counters must not change them."""
        with self._lock:
            if number in self._open:
                self._open.remove(number)
                self._accepted -= number >= self._counted_from

    def connection_closed(self, number):
        with self._lock:
            self._open.discard(number)

    def enter(self, entry):
        """Log a request that has been judged, and count it."""
        with self._lock:
            self._requests.append(entry)
            for counter in (self._totals, self._by_endpoint[entry.endpoint]):
                counter["requests"] += 1
                counter[entry.outcome] += 1
            if self._log_file:
                json.dump(asdict(entry), self._log_file)
                self._log_file.write("\n")
                self._log_file.flush()

    @contextmanager
    def at_work(self, endpoint):
        """Count a request as long as its model works: over before a byte is answered."""
        with self._lock:
            self._at_work[endpoint] += 1
            self._most_at_work[endpoint] = max(self._most_at_work[endpoint],
                                               self._at_work[endpoint])
        try:
            yield
        finally:
            with self._lock:
                self._at_work[endpoint] -= 1

    def count_tokens(self, endpoint, read, written):
        """Keep the ledger of an endpoint whose container counts tokens."""
        with self._lock:
            self._by_endpoint[endpoint]["input_tokens"] += read
            self._by_endpoint[endpoint]["output_tokens"] += written

    def record(self, entry):
        """Log a request to the port where redirects lead."""
        with self._lock:
            self._recorded.append(entry)

    def capture(self, item):
        with self._lock:
            self._captures.append(item)

    def stats(self):
        def counts(counter):
            return {name: counter[name] for name in ("requests", "verified", "refused",
                                                     "unverified", *TOKENS)
                    if name in counter or name not in TOKENS}
        with self._lock:
            return {
                **counts(self._totals),
                "connections_accepted": self._accepted,
                "connections_open": len(self._open),
                "recorded": len(self._recorded),
                "endpoints": {name: counts(counter) | {"most_at_work": self._most_at_work[name]}
                              for name, counter in self._by_endpoint.items() if name},
            }

    def requests(self, endpoint=None):
        with self._lock:
            return [asdict(entry) for entry in self._requests
                    if endpoint in (None, entry.endpoint)]

    def recorded(self):
        with self._lock:
            return [asdict(entry) for entry in self._recorded]

    def captures(self, inference_id=None):
        with self._lock:
            return [item for item in self._captures
                    if inference_id in (None, item["eventMetadata"].get("inferenceId"))]
