"""The Security Token Service: other keys for a role, by the Query protocol.

A form comes in, XML goes out.  AssumeRole must be signed by a key that is known;
AssumeRoleWithWebIdentity is not signed, and its token counts.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from connection import Reply
from errors import SignatureRefused
from standin import Settings, StandIn, iso_time

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
VERSION = "2011-06-15"
ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]+):role/([\w+=,.@/-]+)")
SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")

# STS's own names of what the front door refuses, which differ from SageMaker's.
REFUSALS = {
    "MissingAuthenticationTokenException": (403, "MissingAuthenticationToken"),
    "IncompleteSignatureException": (400, "IncompleteSignature"),
    "UnrecognizedClientException": (403, "InvalidClientTokenId"),
    "ExpiredTokenException": (403, "ExpiredToken"),
    "InvalidSignatureException": (403, "SignatureDoesNotMatch"),
}


@dataclass(frozen=True)
class StsSettings(Settings):
    external_id: str = None  # what the role's trust policy wants; None: anything
    web_tokens: list = None  # those that are valid; None: any that is not empty


class StsError(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.fault = {"status": status, "code": code, "message": message}


class Sts(StandIn):
    name = "sts"
    settings_type = StsSettings

    def __init__(self, keys, verifier):
        self._verifier = verifier
        super().__init__(keys)

    def kind_of(self, request):
        return dict(parse_qsl(request.body.decode("latin-1"))).get("Action", "other")

    def answer(self, kind, request, log):
        given = dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
        log["parameters"] = {name: value for name, value in given.items()
                             if name not in ("Action", "Version")}
        try:
            self._check_protocol(request, given)
            if kind == "AssumeRole":
                log["signed_by"] = self._verify(request)
                self._check_external_id(given)
            elif kind == "AssumeRoleWithWebIdentity":
                self._check_web_token(given)
            else:
                raise StsError(400, "InvalidAction",
                               f"Could not find operation {kind} for version {VERSION}")
            account, role = self._check_role(given)
            session = self._check_form(given, "RoleSessionName", SESSION_NAME)
            lifetime = int(given.get("DurationSeconds", self.settings.lifetime))
        except StsError as error:
            log["code"] = error.fault["code"]
            return self.fault_reply(error.fault)
        issued = self.keys.issue(self.name, lifetime, self.settings.uses)
        log.update(issued.described())
        return _xml(200, f"{kind}Response", f"""\
  <{kind}Result>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLEEXAMPLEEXA:{escape(session)}</AssumedRoleId>
      <Arn>arn:aws:sts::{account}:assumed-role/{escape(role)}/{escape(session)}</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>{issued.key.access_key_id}</AccessKeyId>
      <SecretAccessKey>{issued.key.secret_access_key}</SecretAccessKey>
      <SessionToken>{issued.key.session_token}</SessionToken>
      <Expiration>{iso_time(issued.expires_at)}</Expiration>
    </Credentials>
  </{kind}Result>
  <ResponseMetadata>
    <RequestId>{uuid.uuid4()}</RequestId>
  </ResponseMetadata>
""")

    def _check_protocol(self, request, given):
        if request.method != "POST" or request.path not in ("", "/"):
            raise StsError(404, "NotFound", f"{request.method} {request.target}")
        if given.get("Version") != VERSION:
            raise StsError(400, "InvalidAction", "no such version")

    def _verify(self, request):
        try:
            return self._verifier.verify(request, datetime.now(timezone.utc))
        except SignatureRefused as error:
            status, code = REFUSALS[error.code]
            raise StsError(status, code, error.members["message"]) from None

    def _check_external_id(self, given):
        if "ExternalId" in given:
            self._check_form(given, "ExternalId", EXTERNAL_ID)
        wanted = self.settings.external_id
        if wanted is not None and given.get("ExternalId") != wanted:
            raise StsError(403, "AccessDenied", "User is not authorized to perform: "
                           f"sts:AssumeRole on resource: {given.get('RoleArn')}")

    def _check_web_token(self, given):
        token = given.get("WebIdentityToken", "")
        valid = self.settings.web_tokens
        if not token or valid is not None and token not in valid:
            raise StsError(400, "InvalidIdentityToken",
                           "The web identity token provided could not be validated")

    def _check_role(self, given):
        self._check_form(given, "RoleArn", ROLE_ARN)
        return ROLE_ARN.fullmatch(given["RoleArn"]).groups()

    def _check_form(self, given, name, pattern):
        value = given.get(name, "")
        if not pattern.fullmatch(value):
            raise StsError(400, "ValidationError", f"1 validation error detected: Value "
                           f"'{value}' at '{name[0].lower()}{name[1:]}' failed to satisfy "
                           f"constraint: Member must match {pattern.pattern}")
        return value

    def fault_reply(self, fault):
        code = escape(fault.get("code", "InternalFailure"))
        blame = "Sender" if fault["status"] < 500 else "Receiver"
        return _xml(fault["status"], "ErrorResponse", f"""\
  <Error>
    <Type>{blame}</Type>
    <Code>{code}</Code>
    <Message>{escape(fault.get("message", ""))}</Message>
  </Error>
  <RequestId>{uuid.uuid4()}</RequestId>
""")


def _xml(status, element, inner):
    body = f'<{element} xmlns="{NAMESPACE}">\n{inner}</{element}>\n'
    return Reply(status, [("Content-Type", "text/xml")], body.encode())
