"""S3, as far as asynchronous answers need it: objects that are put by this emulator or by a
test, and GetObject, signed as botocore's signer for S3 does it.

An object may stay hidden for some looks, as answers do that a model is still working on.
"""

import hashlib
import re
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from connection import Reply
from errors import ACCOUNT, SignatureRefused
from standin import SettingError, Settings, StandIn

OBJECTS_KEPT = 1_000

# AWS's hosts of S3: a bucket that stands in the host's name is not in the path.
HOST = re.compile(r"(?:([a-z0-9-]+)\.)?s3(?:-fips)?(?:\.dualstack)?\.[a-z0-9-]+"
                  r"\.amazonaws\.com(?:\.cn)?")

# S3's own names of what the front door refuses.
REFUSALS = {
    "MissingAuthenticationTokenException": (403, "AccessDenied"),
    "IncompleteSignatureException": (400, "AuthorizationHeaderMalformed"),
    "UnrecognizedClientException": (403, "InvalidAccessKeyId"),
    "ExpiredTokenException": (400, "ExpiredToken"),
    "InvalidSignatureException": (403, "SignatureDoesNotMatch"),
}
SKEWED = re.compile("Signature (expired|not yet current)")

NO_SUCH_KEY = {"status": 404, "code": "NoSuchKey",
               "message": "The specified key does not exist."}
DENIED = {"status": 403, "code": "AccessDenied", "message": "Access Denied"}


def _may_not_list(bucket):
    return {"status": 403, "code": "AccessDenied",
            "message": f"User: arn:aws:iam::{ACCOUNT}:user/emulated is not authorized to perform: "
                       f's3:ListBucket on resource: "arn:aws:s3:::{bucket}" because no '
                       "identity-based policy allows the s3:ListBucket action"}


# What S3 says of an object that is not there, by what the key may do.
MISSING = {"list": lambda _bucket: NO_SUCH_KEY,
           "get": _may_not_list,
           "get-elsewhere": lambda _bucket: DENIED}


@dataclass(frozen=True)
class S3Settings(Settings):
    hidden: int = 0        # looks at a new object that do not find it
    may: str = "list"      # what keys may do beside reading; see MISSING
    region: str = None     # where the buckets are, if elsewhere than here
    skew: float = 0        # seconds by which the clock is wrong


@dataclass
class Object:
    body: bytes
    content_type: str
    hidden: int


class S3(StandIn):
    name = "s3"
    settings_type = S3Settings

    def __init__(self, keys, verifier):
        self._verifier = verifier
        super().__init__(keys)

    def reset(self):
        super().reset()
        self._objects = OrderedDict()

    def change(self, given):
        if given.get("may", "list") not in MISSING:
            raise SettingError(f"may is one of {', '.join(MISSING)}")
        super().change(given)

    def put(self, location, body, content_type=None, hidden=None):
        """Store an object at `s3://bucket/key`."""
        hidden = self.settings.hidden if hidden is None else hidden
        with self._lock:
            self._objects[location] = Object(body, content_type or "binary/octet-stream", hidden)
            if len(self._objects) > OBJECTS_KEPT:
                self._objects.popitem(last=False)

    def find(self, location):
        """An object, be it hidden or not; None if there is none."""
        with self._lock:
            return self._objects.get(location)

    def _look(self, location):
        """An object if it is there; each look brings a hidden one nearer."""
        with self._lock:
            found = self._objects.get(location)
            if found is None or found.hidden == 0:
                return found
            found.hidden -= 1
            return None

    def kind_of(self, request):
        return "GetObject" if request.method == "GET" else "other"

    def answer(self, kind, request, log):
        bucket, key = _bucket_and_key(request)
        log.update(bucket=bucket, key=key, target=request.target)
        fault = self._misplacement() or self._refusal(request, log)
        if fault is None and kind != "GetObject":
            fault = {"status": 405, "code": "MethodNotAllowed",
                     "message": "The specified method is not allowed against this resource."}
        found = None if fault else self._look(f"s3://{bucket}/{key}")
        if found is None:
            fault = fault or MISSING[self.settings.may](bucket)
            log["code"] = fault["code"]
            return self.fault_reply(fault)
        etag = hashlib.md5(found.body, usedforsecurity=False).hexdigest()
        return Reply(200, [*self._headers(), ("Content-Type", found.content_type),
                           ("ETag", f'"{etag}"')], found.body)

    def _refusal(self, request, log):
        if request.header("x-amz-content-sha256") is None:
            return {"status": 400, "code": "InvalidRequest",
                    "message": "Missing required header for this request: x-amz-content-sha256"}
        try:
            log["signed_by"] = self._verifier.verify(request, self._now())
        except SignatureRefused as error:
            status, code = REFUSALS[error.code]
            message = error.members["message"]
            if SKEWED.match(message):
                code = "RequestTimeTooSkewed"
            return {"status": status, "code": code, "message": message}
        return None

    def _misplacement(self):
        region = self.settings.region
        return region and {
            "status": 301, "code": "PermanentRedirect",
            "message": "The bucket you are attempting to access must be addressed using the "
                       f"specified endpoint, in region {region}."}

    def fault_reply(self, fault):
        code, message = fault.get("code", "InternalError"), fault.get("message", "")
        body = ('<?xml version="1.0" encoding="UTF-8"?>\n'
                f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
                f"<RequestId>{_request_id()}</RequestId><HostId>emulator</HostId></Error>")
        return Reply(fault["status"], [*self._headers(), ("Content-Type", "application/xml")],
                     fault.get("body", body).encode())


    def _now(self):
        return datetime.now(timezone.utc) + timedelta(seconds=self.settings.skew)

    def _headers(self):
        return [("x-amz-request-id", _request_id()),
                ("Date", format_datetime(self._now(), usegmt=True))]


def _bucket_and_key(request):
    """From the host and the raw path, or from the path below the stand-in's place alone."""
    path = request.path.removeprefix("/").partition("?")[0]
    match = HOST.fullmatch(request.header("host") or "")
    if match and match[1]:
        return match[1], unquote(path)
    bucket, _, key = path.partition("/")
    return bucket, unquote(key)


def _request_id():
    return uuid.uuid4().hex[:16].upper()
