"""InvokeEndpointAsync: a request is accepted at once, and answered by an object in S3."""

import json
import uuid
from dataclasses import replace

from connection import Reply
from errors import ValidationError

BUCKET = "sagemaker-emulator"
MAX_INLINE_BYTES = 128_000


class Asynchronous:
    """Where accepted requests go; the emulator has no queue, so they are answered now."""

    def __init__(self, objects):
        self._objects = objects

    def accept(self, invocation, answer):
        """The reply to a request; answer(invocation) is what the endpoint would say to it."""
        given = invocation.member("InputLocation")
        if (given is None) == (not invocation.body):
            raise ValidationError("Body and InputLocation are mutually exclusive. Provide exactly "
                                  "one of them.")
        if len(invocation.body) > MAX_INLINE_BYTES:
            raise ValidationError("1 validation error detected: Value at 'body' failed to satisfy "
                                  "constraint: Member must have length less than or equal to "
                                  f"{MAX_INLINE_BYTES}")
        inference_id = invocation.member("InferenceId") or str(uuid.uuid4())
        output, failure = _locations(invocation, inference_id)
        self._store(output, failure, self._run(invocation, given, answer))
        return Reply(202, [("Content-Type", "application/json"),
                           ("X-Amzn-SageMaker-OutputLocation", output),
                           ("X-Amzn-SageMaker-FailureLocation", failure)],
                     json.dumps({"InferenceId": inference_id}).encode())

    def _run(self, invocation, location, answer):
        if location is not None:
            found = self._objects.find(location)
            if found is None:
                return Reply(424, body=json.dumps({
                    "Message": f"Failed to download input data from {location}."}).encode())
            invocation = replace(invocation, body=found.body)
        return answer(invocation)

    def _store(self, output, failure, reply):
        if reply.status < 300:
            types = [value for name, value in reply.headers if name == "Content-Type"]
            self._objects.put(output, reply.body, *types)
        else:
            self._objects.put(failure, json.loads(reply.body)["Message"].encode(), "text/plain")


def _locations(invocation, inference_id):
    pieces = [invocation.endpoint, invocation.member("S3OutputPathExtension"),
              invocation.member("Filename") or f"{inference_id}.out"]
    output = "/".join(piece for piece in pieces if piece)
    return (f"s3://{BUCKET}/answers/{output}",
            f"s3://{BUCKET}/failures/{invocation.endpoint}/{inference_id}-error.out")
