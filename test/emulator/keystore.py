"""The access keys that are known: those given at the start, and those handed out since.

A key that was handed out ends: at a time, after so many uses, or when it is told to.  An
ended one is refused as expired, not as unknown.
"""

import itertools
import secrets
import threading
import time
from dataclasses import dataclass

ISSUED_KEPT = 20_000


@dataclass(frozen=True)
class Key:
    """An access key; one with a token is temporary, and no use without its token."""

    access_key_id: str
    secret_access_key: str
    session_token: str = None

    @classmethod
    def parse(cls, text):
        """`ID:SECRET` or `ID:SECRET:TOKEN`."""
        parts = text.split(":", 2)
        if len(parts) < 2 or not all(parts):
            raise ValueError("a key is ID:SECRET or ID:SECRET:TOKEN")
        return cls(*parts)


@dataclass
class Issued:
    """A temporary key and what is left of it."""

    key: Key
    expires_at: int               # seconds since 1970
    uses_left: int = None         # None: any number

    def described(self):
        """What a log says of it; the secret opens nothing, and tests look for it."""
        return {"access_key_id": self.key.access_key_id,
                "secret_access_key": self.key.secret_access_key}

    def has_ended(self, ahead=0):
        """Whether it has, or will in so many seconds."""
        return self.uses_left == 0 or time.time() + ahead >= self.expires_at


class KeyStore:
    """All keys of one emulator; called from many connection threads."""

    def __init__(self, keys):
        self._lock = threading.Lock()
        self._keys = {key.access_key_id: key for key in keys}
        self._issued = {}
        self._numbers = itertools.count(1)

    def add(self, key):
        """Know one more key, which does not end."""
        with self._lock:
            self._keys[key.access_key_id] = key

    def issue(self, service, lifetime, uses=None):
        """A new temporary key of that service."""
        with self._lock:
            key_id = f"ASIA{service.upper():X<8.8}{next(self._numbers):08}"
            key = Key(key_id, secrets.token_urlsafe(30), secrets.token_urlsafe(90))
            issued = Issued(key, int(time.time()) + lifetime, uses)
            self._issued[key_id] = issued
            if len(self._issued) > ISSUED_KEPT:
                del self._issued[next(iter(self._issued))]
            return issued

    def find(self, access_key_id):
        """The key, or None."""
        with self._lock:
            issued = self._issued.get(access_key_id)
            return issued.key if issued else self._keys.get(access_key_id)

    def use(self, access_key_id):
        """Count one use; False if the key has ended."""
        with self._lock:
            issued = self._issued.get(access_key_id)
            if issued is None:
                return True
            if issued.has_ended():
                return False
            if issued.uses_left is not None:
                issued.uses_left -= 1
            return True

    def end(self, access_key_id):
        """Let a key end now, before its time."""
        with self._lock:
            self._issued[access_key_id].uses_left = 0
