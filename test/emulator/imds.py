"""The instance metadata service, version 2: nothing without a session token."""

import json
import re
import secrets
import time
from dataclasses import dataclass

from connection import Reply
from standin import Settings, StandIn, iso_time

TOKEN_PATH = "/latest/api/token"
ROLES_PATH = "/latest/meta-data/iam/security-credentials"
REGION_PATH = "/latest/meta-data/placement/region"
MAX_TTL = 21600
MISSING = Reply(404, [("Content-Type", "text/html")], b"<html>404 - Not Found</html>\n")


@dataclass(frozen=True)
class ImdsSettings(Settings):
    role: str = "instance-role"  # None: the instance has none
    region: str = None           # None: there is no such path
    # With a hop limit of 1 the answer to the PUT does not reach a container: see faults.


class Imds(StandIn):
    name = "imds"
    settings_type = ImdsSettings

    def reset(self):
        super().reset()
        self._sessions = {}

    def kind_of(self, request):
        path = request.path
        if path == TOKEN_PATH:
            return "token"
        if path.rstrip("/") == ROLES_PATH:
            return "roles"
        if path.startswith(ROLES_PATH + "/"):
            return "credentials"
        return "region" if path == REGION_PATH else "other"

    def answer(self, kind, request, log):
        if kind == "token":
            return self._open_session(request)
        if request.method != "GET":
            return Reply(405)
        if time.time() >= self._sessions.get(request.header("x-aws-ec2-metadata-token"), 0):
            return Reply(401, [("Content-Type", "text/html")], b"<html>401 - Unauthorized</html>\n")
        role = self.settings.role
        if kind == "roles" and role:
            return Reply(200, [("Content-Type", "text/plain")], role.encode())
        if kind == "credentials" and role and request.path == f"{ROLES_PATH}/{role}":
            return self._credentials(log)
        if kind == "region" and self.settings.region:
            return Reply(200, [("Content-Type", "text/plain")], self.settings.region.encode())
        return MISSING

    def _open_session(self, request):
        ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds") or ""
        if request.method != "PUT":
            return Reply(405)
        if request.all_values("x-forwarded-for"):
            return Reply(403)
        if not re.fullmatch(r"[0-9]{1,5}", ttl) or not 1 <= int(ttl) <= MAX_TTL:
            return Reply(400)
        token = secrets.token_urlsafe(40) + "=="
        self._sessions[token] = time.time() + int(ttl)
        return Reply(200, [("Content-Type", "text/plain"),
                           ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl)], token.encode())

    def _credentials(self, log):
        issued = self.shared_keys()
        log.update(issued.described())
        return Reply(200, [("Content-Type", "text/plain")], json.dumps({
            "Code": "Success", "LastUpdated": iso_time(time.time()), "Type": "AWS-HMAC",
            "AccessKeyId": issued.key.access_key_id,
            "SecretAccessKey": issued.key.secret_access_key,
            "Token": issued.key.session_token,
            "Expiration": iso_time(issued.expires_at)}, indent=2).encode())
