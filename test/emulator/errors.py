"""The errors the service answers with, in the shape AWS gives them.

AWS has two habits, and clients must survive both.  The front door, which checks
signatures and throttles, writes the text as `message`.  The service behind it writes
`Message`, as its published model says, and often an `ErrorCode` that is *not* the code
of the error: that stands in the header `x-amzn-ErrorType` only.
"""

import json

ACCOUNT = "123456789012"


class ServiceError(Exception):
    """A refusal or failure that becomes a JSON reply with `x-amzn-ErrorType`."""

    def __init__(self, status, code, members):
        super().__init__(f"{code}: {members}")
        self.status = status
        self.code = code
        self.members = members

    def body(self):
        return json.dumps(self.members).encode()

    def headers(self):
        return [("Content-Type", "application/json"), ("x-amzn-ErrorType", self.code)]


class SignatureRefused(ServiceError):
    """The front door's 403: nothing of the request is looked at beyond this."""

    def __init__(self, code, message):
        super().__init__(403, code, {"message": message})


class ValidationError(ServiceError):
    def __init__(self, message, error_code=None):
        members = {"Message": message}
        if error_code:
            members["ErrorCode"] = error_code
        super().__init__(400, "ValidationError", members)


class ModelNotReady(ServiceError):
    def __init__(self, message):
        super().__init__(429, "ModelNotReadyException", {"Message": message})


class ModelError(ServiceError):
    """What the service makes of a container that answered with an error status."""

    def __init__(self, endpoint, container, status, message, region):
        blame = "server" if status >= 500 or status == 0 else "client"
        logs = f"/aws/sagemaker/Endpoints/{endpoint}"
        console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        super().__init__(424, "ModelError", {
            "ErrorCode": f"{blame.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{logs}",
            "Message": f"Received {blame} error ({status}) from {container} with message "
                       f"\"{message}\". See {console}#logEventViewer:group={logs} "
                       f"in account {ACCOUNT} for more information.",
            "OriginalMessage": message,
            "OriginalStatusCode": status,
        })


class BodyTooLarge(ServiceError):
    """Comes from a proxy in front of the service: plain text, and no code."""

    def __init__(self, limit):
        super().__init__(413, "413", {})
        self._text = f"HTTP content length exceeded {limit} bytes."

    def body(self):
        return self._text.encode()

    def headers(self):
        return [("Content-Type", "text/plain")]


class UnknownOperation(ServiceError):
    def __init__(self):
        super().__init__(404, "UnknownOperationException", {"message": None})
