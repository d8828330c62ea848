"""The commonest mishaps by name.

An endpoint of such a name always answers so, and a step of a script may start from one by
`{"use": NAME}`.  This is a table; what its members mean is told in scripts.py.
"""

import json
import re

from errors import ACCOUNT, ModelError

TIMED_OUT = "Your invocation timed out while waiting for a response from container model. " \
            "Review the latency metrics for each container in Amazon CloudWatch, resolve the " \
            "issue, and try again."


def _model_error(status, message):
    error = ModelError("scenario", "primary", status, message, "us-east-1")
    return {"status": 424, "code": error.code, "body": {"json": error.members}}


def json_line(value):
    return json.dumps(value) + "\n"


TOKENS = [json_line({"token": {"id": n, "text": text}}) for n, text in enumerate(["one", " two"])]

SCENARIOS = {
    # Errors of the service.
    "throttling": {"status": 400, "code": "ThrottlingException", "code_tail": True},
    "model-error": _model_error(400, "could not convert string to float: 'abc'"),
    "model-crash": _model_error(500, "Internal Server Error"),
    "model-timeout": _model_error(0, TIMED_OUT),
    "model-not-ready": {"status": 429, "code": "ModelNotReadyException", "body": {"json": {
        "Message": "Model is not ready for inference request."}}},
    "internal-failure": {"status": 500, "code": "InternalFailure", "body": {"json": {
        "Message": "An internal failure occurred."}}},
    "service-unavailable": {"status": 503, "code": "ServiceUnavailable", "body": {"json": {
        "Message": "The service is unavailable. Try your call again."}}},
    "internal-dependency": {"status": 530, "code": "InternalDependencyException", "body": {
        "json": {"Message": "An internal dependency failed."}}},
    "expired-token": {"status": 403, "code": "ExpiredTokenException",
                      "message": "The security token included in the request is expired"},
    "access-denied": {"status": 403, "code": "AccessDeniedException", "body": {"json": {
        "Message": f"User: arn:aws:iam::{ACCOUNT}:user/emulated is not authorized to perform: "
                   "sagemaker:InvokeEndpoint because no identity-based policy allows the "
                   "sagemaker:InvokeEndpoint action"}}},
    "too-large": {"status": 413, "body": "HTTP content length exceeded 26214400 bytes."},

    # Error bodies that are not the service's.
    "error-xml": {"status": 503, "content_type": "text/xml", "body":
                  "<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>Try again."
                  "</Message></Error><RequestId>r</RequestId></ErrorResponse>"},
    "error-html": {"status": 502, "content_type": "text/html", "body":
                   "<html><head><title>502 Bad Gateway</title></head><body>"
                   "<h1>502 Bad Gateway</h1></body></html>"},
    "error-empty": {"status": 500, "body": ""},
    "error-not-utf8": {"status": 500, "code": "InternalFailure",
                       "body": {"base64": "eyJtZXNzYWdlIjogIv/+gCJ9"}},
    "error-long": {"status": 500, "code": "InternalFailure", "body": {"message_of": 1048576}},
    "error-nested": {"status": 500, "code": "InternalFailure", "body": {"nested_json": 100000}},

    # Silence and cuts.
    "hang": {"hang": True},
    "no-read": {"read": False, "hang": True},
    "drop": {"drop": "always"},
    "drop-reused": {"drop": "reused"},
    "reset": {"drop": "always", "after": "reset"},
    "cut": {"body": {"every_byte": 1000}, "cut": 500},
    "cut-reset": {"body": {"every_byte": 1000}, "cut": 500, "after": "reset"},
    "pause": {"body": {"every_byte": 1000}, "pause_at": 500, "pause_ms": 60000},
    "trickle": {"body": {"every_byte": 1000}, "trickle_bytes": 1, "trickle_ms": 100},

    # Lies.
    "length-too-long": {"body": "short", "length_error": 10},
    "length-too-short": {"body": "a body longer than it says", "length_error": -10},
    "chunk-size": {"body": "chunk", "framing": "chunked", "chunk_fault": "size"},
    "chunk-huge": {"body": "chunk", "framing": "chunked", "chunk_fault": "huge"},
    "chunk-end": {"body": "chunk", "framing": "chunked", "chunk_fault": "end"},
    "chunk-last": {"body": "chunk", "framing": "chunked", "chunk_fault": "last"},
    "bad-status-line": {"raw": "HTTP/1.1 two hundred\r\nContent-Length: 0\r\n\r\n"},
    "bad-version": {"raw": "HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"},
    "not-http": {"raw": "220 mail.example ESMTP\r\n"},
    "header-nul": {"raw": "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\nok"},
    "header-no-colon": {"raw": "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok"},

    # Streams that end badly; of plain invocations these do not speak.
    "stream-exception": {"stream": [*TOKENS, {"exception": "ModelStreamError", "members": {
        "ErrorCode": "StreamBroken", "Message": "The model's stream broke."}}]},
    "stream-timeout": {"stream": [*TOKENS, {"exception": "ModelStreamError", "members": {
        "ErrorCode": "ModelInvocationTimeExceeded", "Message": "The model took too long."}}]},
    "stream-failure": {"stream": [*TOKENS, {"exception": "InternalStreamFailure", "members": {
        "Message": "The service failed."}}]},
    "stream-error": {"stream": [*TOKENS, {"error": "StreamCrashed",
                                          "message": "the stream crashed"}]},
    "stream-cut": {"stream": [*TOKENS, {"part": "never whole", "cut": 40}]},
    "stream-damaged": {"stream": [*TOKENS, {"part": "damaged", "damage": "payload"}]},
    "stream-damaged-length": {"stream": [*TOKENS, {"part": "damaged", "damage": "prelude"}]},
    "stream-lost": {"stream": TOKENS, "after": "close"},
    "stream-reset": {"stream": [*TOKENS, {"wait_ms": 200}], "after": "reset"},
    "stream-silent": {"stream": TOKENS, "after": "hang"},
    "stream-unfinished": {"stream": TOKENS},
    "stream-model-error": {"stream": [*TOKENS, json_line({
        "token": {"id": -1, "text": ""}, "details": {"finish_reason": "error"}})]},
    "stream-error-message": {"stream": [*TOKENS, json_line({
        "error": {"message": "out of memory", "type": "server_error"}})]},
    "stream-no-stream": {"status": 200, "content_type": "application/json", "body": {
        "json": {"error": "the container's own", "code": 424}}},

    # Floods.
    "flood-headers": {"flood": "headers"},
    "flood-header": {"flood": "header"},
    "flood-interim": {"flood": "interim"},
    "flood-body": {"flood": "body"},
    "flood-chunks": {"flood": "chunks"},
    "gzip-bomb": {"body": {"gzip_zeros": 104857600}, "headers": {"Content-Encoding": "gzip"}},
}

# Names with a number in them.
PATTERNS = (
    (re.compile(r"status-([2-5][0-9]{2})"),
     lambda n: {"status": n, "body": {"json": {"message": f"status {n}"}}}),
    (re.compile(r"redirect-(30[1278])"), lambda n: {"status": n, "redirect": True}),
    (re.compile(r"delay-([0-9]{1,6})"), lambda n: {"delay_ms": n}),
    (re.compile(r"bytes-([0-9]{1,8})"),
     lambda n: {"body": {"every_byte": n}, "content_type": "application/octet-stream"}),
)


def find_scenario(name):
    """The step of that name, as JSON; None if there is none."""
    if name in SCENARIOS:
        return SCENARIOS[name]
    for pattern, make_step in PATTERNS:
        if match := pattern.fullmatch(name):
            return make_step(int(match[1]))
    return None
