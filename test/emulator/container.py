"""The agent that gives a container its keys, as ECS and EKS Pod Identity run one."""

import json
from dataclasses import dataclass

from connection import Reply
from errors import ACCOUNT
from standin import Settings, StandIn, iso_time


@dataclass(frozen=True)
class ContainerSettings(Settings):
    token: str = None  # what Authorization must be; None: nothing is asked for


class Container(StandIn):
    name = "container"
    settings_type = ContainerSettings

    def kind_of(self, request):
        return "credentials"

    def answer(self, kind, request, log):
        log["authorization"] = given = request.header("authorization")
        if request.method != "GET":
            return self.fault_reply({"status": 405, "code": "MethodNotAllowed"})
        if self.settings.token is not None and given != self.settings.token:
            return self.fault_reply({"status": 401, "code": "InvalidAuthorizationToken",
                                     "message": "the token is not valid"})
        issued = self.shared_keys()
        log.update(issued.described())
        return _json(200, {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/task-role",
                           "AccessKeyId": issued.key.access_key_id,
                           "SecretAccessKey": issued.key.secret_access_key,
                           "Token": issued.key.session_token,
                           "Expiration": iso_time(issued.expires_at)})

    def fault_reply(self, fault):
        # As these services tell of a failure of theirs inside an answer.
        if fault["status"] == 200:
            return _json(200, {"Code": fault.get("code", "Failed"),
                               "Message": fault.get("message", "")})
        return _json(fault["status"], {"code": fault.get("code", "InternalServerError"),
                                       "message": fault.get("message", "")})


def _json(status, value):
    return Reply(status, [("Content-Type", "application/json")], json.dumps(value).encode())
