"""Judge the signature of a request that has arrived.

botocore's own signer does the arithmetic, on what came over the wire: the raw target, the
hash of the bytes read, and exactly the headers named in `SignedHeaders`.  Around it stand
the checks that arithmetic cannot make: which key, region, service and time were signed
for, and whether a header that means something was left outside the signature.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.client import HTTPMessage

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from errors import SignatureRefused

TERMINATOR = "aws4_request"
TIMESTAMP = "%Y%m%dT%H%M%SZ"
TOLERANCE = timedelta(minutes=5)
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]{64})")

ALWAYS_SIGNED = ("host", "x-amz-date")
SIGNED_WHEN_PRESENT = re.compile(r"content-type|accept|x-amz-.*|x-amzn-sagemaker-.*")
SIGNED_BY_NEWER_SDKS = re.compile(r"amz-sdk-.*")
# HTTP libraries add it behind the signer's back, and then wait a second for an answer to it.
NEVER_SENT = "expect"
# These add the amz-sdk-* headers after signing, and AWS lets them; here nobody else may.
OLDER_SDKS = re.compile(r"(Botocore|Boto3|aws-cli)/")


class Received:
    """One of botocore's signers, told what to sign instead of choosing it."""

    def __init__(self, key, scope, request, signed_headers):
        super().__init__(Credentials(key.access_key_id, key.secret_access_key),
                         scope.service, scope.region)
        self._received = request
        self._signed_headers = signed_headers

    def headers_to_sign(self, request):
        chosen = HTTPMessage()
        for name, value in self._received.headers:
            if name.lower() in self._signed_headers:
                chosen[name.lower()] = value
        return chosen

    def payload(self, request):
        return self._received.body_sha256


class ReceivedRequestAuth(Received, SigV4Auth):
    pass


class ReceivedS3RequestAuth(Received, S3SigV4Auth):
    pass


@dataclass(frozen=True)
class Scope:
    """The five parts of `Credential=`."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str


class Verifier:
    """Judges for one service in one region, and refuses in AWS's own words."""

    def __init__(self, keys, region, service, signer=ReceivedRequestAuth):
        self.region = region
        self._signer = signer
        self._keys = keys
        self._service = service  # the signing name; SageMaker's host says runtime.sagemaker

    def verify(self, request, now):
        """The id of the key that signed all of the request, now, for here.

        SignatureRefused if there is none.
        """
        scope, signed_headers, signature = self._read_authorization(request)
        key = self._find_key(scope, request)
        self._check_scope(scope)
        timestamp = self._check_time(request, scope, now)
        self._check_signed_headers(request, signed_headers)
        self._check_signature(request, key, scope, timestamp, signed_headers, signature)
        return key.access_key_id

    def _read_authorization(self, request):
        value = request.header("authorization")
        if value is None:
            raise SignatureRefused("MissingAuthenticationTokenException",
                                   "Missing Authentication Token")
        match = AUTHORIZATION.fullmatch(value)
        parts = match[1].split("/") if match else []
        if len(parts) != 5:
            raise SignatureRefused("IncompleteSignatureException",
                                   "Authorization header requires 'Credential' (of five parts), "
                                   f"'SignedHeaders' and 'Signature'. Authorization={value}")
        return Scope(*parts), match[2].split(";"), match[3]

    def _find_key(self, scope, request):
        key = self._keys.find(scope.access_key_id)
        token = request.header("x-amz-security-token")
        if key is None or (key.session_token is None) != (token is None):
            raise SignatureRefused("UnrecognizedClientException",
                                   "The security token included in the request is invalid.")
        if key.session_token != token or not self._keys.use(scope.access_key_id):
            raise SignatureRefused("ExpiredTokenException",
                                   "The security token included in the request is expired")
        return key

    def _check_scope(self, scope):
        complaints = []
        if scope.region != self.region:
            complaints.append("Credential should be scoped to a valid region, "
                              f"not '{scope.region}'. ")
        if scope.service != self._service:
            complaints.append(f"Credential should be scoped to correct service: '{self._service}'. ")
        if scope.terminator != TERMINATOR:
            complaints.append("Credential should be scoped with a valid terminator: "
                              f"'{TERMINATOR}', not '{scope.terminator}'. ")
        if complaints:
            raise SignatureRefused("InvalidSignatureException", "".join(complaints))

    def _check_time(self, request, scope, now):
        timestamp = request.header("x-amz-date")
        try:
            signed_at = datetime.strptime(timestamp or "", TIMESTAMP)
        except ValueError:
            raise SignatureRefused("IncompleteSignatureException",
                                   "Date must be in ISO-8601 'basic format'. "
                                   f"Got '{timestamp}'.") from None
        if scope.date != timestamp[:8]:
            raise SignatureRefused(
                "InvalidSignatureException",
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{scope.date}' != '{timestamp[:8]}', from '{timestamp}'.")
        signed_at = signed_at.replace(tzinfo=timezone.utc)
        oldest, newest = now - TOLERANCE, now + TOLERANCE
        if signed_at < oldest:
            raise SignatureRefused(
                "InvalidSignatureException",
                f"Signature expired: {timestamp} is now earlier than {oldest:{TIMESTAMP}} "
                f"({now:{TIMESTAMP}} - 5 min.)")
        if signed_at > newest:
            raise SignatureRefused(
                "InvalidSignatureException",
                f"Signature not yet current: {timestamp} is still later than "
                f"{newest:{TIMESTAMP}} ({now:{TIMESTAMP}} + 5 min.)")
        return timestamp

    def _check_signed_headers(self, request, signed_headers):
        present = [name.lower() for name, _ in request.headers]
        if NEVER_SENT in present:
            raise SignatureRefused("InvalidSignatureException",
                                   f"The header '{NEVER_SENT}' must not be sent.")
        must = [*ALWAYS_SIGNED, *filter(SIGNED_WHEN_PRESENT.fullmatch, present)]
        if not OLDER_SDKS.match(request.header("user-agent") or ""):
            must += filter(SIGNED_BY_NEWER_SDKS.fullmatch, present)
        for name in must:
            if name not in signed_headers:
                raise SignatureRefused("InvalidSignatureException",
                                       f"'{name}' must be a 'SignedHeader' in the AWS "
                                       "Authorization.")
        if signed_headers != sorted(set(signed_headers)):
            raise SignatureRefused("IncompleteSignatureException",
                                   "SignedHeaders must be sorted, in lower case and each once.")
        for name in signed_headers:
            if name not in present:
                raise SignatureRefused("InvalidSignatureException",
                                       f"The header '{name}' was signed but did not arrive.")

    def _check_signature(self, request, key, scope, timestamp, signed_headers, signature):
        announced = request.header("x-amz-content-sha256")
        if announced not in (None, request.body_sha256):
            raise SignatureRefused("InvalidSignatureException",
                                   "The provided 'x-amz-content-sha256' header does not match "
                                   "what was computed.")
        auth = self._signer(key, scope, request, signed_headers)
        arrived = AWSRequest(method=request.method, url="http://host" + request.target)
        arrived.context["timestamp"] = timestamp
        canonical = auth.canonical_request(arrived)
        string_to_sign = auth.string_to_sign(arrived, canonical)
        if not hmac.compare_digest(auth.signature(string_to_sign, arrived), signature):
            raise SignatureRefused(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service "
                "documentation for details.\n\n"
                f"The Canonical String for this request should have been\n'{canonical}'\n\n"
                f"The String-to-Sign should have been\n'{string_to_sign}'\n")
