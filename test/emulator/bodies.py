"""Bodies as scripts write them: text, or an object with one of BODIES."""

import base64
import functools
import gzip
import json


class BodyError(ValueError):
    """It is no body; the text says what is wrong with it."""


@functools.lru_cache(maxsize=4)
def _gzipped_zeros(count):
    return gzip.compress(bytes(count))


BODIES = {
    "json": lambda value: json.dumps(value).encode(),
    "base64": base64.b64decode,
    "bytes": bytes,
    "zeros": bytes,
    "every_byte": lambda count: (bytes(range(256)) * (count // 256 + 1))[:count],
    "nested_json": lambda depth: b"[" * depth + b"]" * depth,
    "gzip_zeros": _gzipped_zeros,
    "message_of": lambda length: json.dumps({"message": "x" * length}).encode(),
}


def build_body(body):
    """The bytes a step's body stands for; None if it gives none."""
    if body is None:
        return None
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, dict) and len(body) == 1:
        (kind, argument), = body.items()
        if kind in BODIES:
            try:
                return BODIES[kind](argument)
            except (TypeError, ValueError) as error:
                raise BodyError(f"body {kind}: {error}") from None
    raise BodyError(f"body is text or an object with one of {', '.join(BODIES)}")
