"""Stateful sessions: opened by NEW_SESSION, closed by a body that asks for it."""

import json
import threading
import uuid
from datetime import timedelta

from errors import ValidationError

LIFETIME = timedelta(hours=1)


class Sessions:
    """The sessions that are open, each bound to its endpoint."""

    def __init__(self):
        self._lock = threading.Lock()
        self._open = set()

    def clear(self):
        with self._lock:
            self._open.clear()

    def headers(self, endpoint, session_id, body, now):
        """Open, use or close a session; the headers by which the answer tells of it."""
        if session_id is None:
            return []
        with self._lock:
            if session_id == "NEW_SESSION":
                session_id = str(uuid.uuid4())
                self._open.add((endpoint, session_id))
                return [("X-Amzn-SageMaker-New-Session-Id",
                         f"{session_id}; Expires={now + LIFETIME:%Y-%m-%dT%H:%M:%SZ}")]
            if (endpoint, session_id) not in self._open:
                raise ValidationError(f"Session {session_id} of endpoint {endpoint} does not "
                                      "exist or is closed.")
            if not _asks_to_close(body):
                return []
            self._open.remove((endpoint, session_id))
            return [("X-Amzn-SageMaker-Closed-Session-Id", session_id)]


def _asks_to_close(body):
    try:
        request = json.loads(body)
    except ValueError:
        return False
    return isinstance(request, dict) and request.get("requestType") == "CLOSE"
