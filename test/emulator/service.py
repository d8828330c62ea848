"""InvokeEndpoint, its streamed and its asynchronous form: the path of a request through the service.

A request is judged first: its signature, its size, its members.  Then it is answered, by a
script if one is set for the endpoint's name, by an endpoint of that name, or by a scenario
of that name.  Every request is entered in the journal before a byte is sent.
"""

import base64
import random
import re
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import eventstream
import faults
from connection import Reply, standard_headers
from endpoints import ContainerError, Endpoint, Invocation, echo
from errors import (ACCOUNT, BodyTooLarge, ModelError, ServiceError, SignatureRefused,
                    UnknownOperation, ValidationError)
from journal import Entry
from members import (INVOKE_ENDPOINT, INVOKE_ENDPOINT_ASYNC, INVOKE_ENDPOINT_STREAM,
                     read_members)
from scenarios import find_scenario
from scripts import ScriptTable, Step
from sessions import Sessions
from streams import Streams

MAX_BODY_BYTES = 25 * 1024 * 1024  # as documented; the API's model still says 6,291,456
ROUTE = re.compile(r"/endpoints/([^/?#]*)/(invocations|async-invocations|invocations-response-stream)")
STREAM = "invocations-response-stream"
MEMBERS = {"invocations": INVOKE_ENDPOINT, "async-invocations": INVOKE_ENDPOINT_ASYNC,
           STREAM: INVOKE_ENDPOINT_STREAM}
PLAIN_STEP = Step()


@dataclass(frozen=True)
class Target:
    """A member that picks one of several containers behind an endpoint."""

    member: str
    table: str          # the attribute of Endpoint that lists the choices
    missing: tuple      # message and ErrorCode when an endpoint needs it
    unsupported: tuple  # message and ErrorCode when an endpoint has no use for it
    unknown: str


TARGETS = (
    Target("TargetModel", "models",
           ("Request to multi-model endpoint {endpoint} is missing a target model header.", None),
           ("Endpoint {endpoint} is not a multi-model endpoint and does not support target "
            "model header.", "TARGET_MODEL_HEADER_NOT_SUPPORTED"),
           "Failed to download model data (key: {value}). Please ensure that there is an object "
           "located at the URL and that the role passed to CreateModel has permissions to "
           "download the object."),
    Target("TargetContainerHostname", "containers",
           ("Endpoint {endpoint} is a multi-container endpoint with direct invocation; the "
            "request is missing a target container hostname header.", None),
           ("Endpoint {endpoint} is not a multi-container endpoint with direct invocation and "
            "does not support target container hostname header.", None),
           "Container {value} of endpoint {endpoint} not found."),
    Target("InferenceComponentName", "components",
           ("Inference Component Name header is required for endpoints to which you plan to "
            "deploy inference components. Please include Inference Component Name header or "
            "consider using SageMaker models.", "INFERENCE_COMPONENT_NAME_MISSING"),
           ("Inference Component Name header is not allowed for endpoints that host no inference "
            "components.", None),
           "Inference Component {value} of account " + ACCOUNT + " not found."),
)


class Service:
    """One emulated SageMaker Runtime in one region."""

    def __init__(self, verifier, endpoints, journal, asynchronous):
        self.verifier = verifier
        self._asynchronous = asynchronous
        self.journal = journal
        self.scripts = ScriptTable()
        self.streams = Streams(journal.count_tokens)
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self.clock_skew = 0
        self.recorder_url = None  # known once its port is open
        self._sessions = Sessions()

    def reset(self):
        """Forget scripts, sessions, the clock's error and all that was logged."""
        self.scripts.clear()
        self._sessions.clear()
        self.streams.reset()
        self.clock_skew = 0
        self.journal.reset()

    def serve(self, connection, request):
        """Judge, answer and log one request whose body is still on the wire."""
        match = ROUTE.fullmatch(request.target)
        name = unquote(match[1]) if match and request.method == "POST" else None
        operation = match[2] if match else None
        step, number, skew = self._next_step(name)
        now = datetime.now(timezone.utc) + timedelta(seconds=skew)
        if step.read:
            connection.read_body(request, MAX_BODY_BYTES)
        entry = Entry.of(connection, request, endpoint=name, step=number)
        try:
            members = self._judge(request, name, operation, now, entry) if step.read else {}
            invocation = Invocation(name, request.body, members, request)
            reply = faults.answer(step, lambda: self._own_answer(operation, invocation, now),
                                  self.recorder_url + request.target)
        except ServiceError as error:
            step, reply = PLAIN_STEP, _error_reply(error)
        if operation == STREAM:
            _make_stream(step, reply)
        entry.request_id = str(uuid.uuid4())
        reply.add_missing(standard_headers(entry.request_id, now))
        if step.sends_reply(connection.requests):
            entry.status = reply.status
        self.journal.enter(entry)
        with self.journal.at_work(name):
            time.sleep(step.delay_ms / 1000)
        if reply.tokens and reply.acts is None and step.sends_all(connection.requests) \
                and connection.has_client():
            self.journal.count_tokens(name, *reply.tokens)
        faults.perform(step, reply, connection,
                       lambda acts: self.streams.perform(name, acts, step, connection))

    def _next_step(self, name):
        turn = self.scripts.take(name)
        if turn:
            step, number, skew = turn
            return step, number, self.clock_skew + skew
        scenario = None
        if name is not None and name not in self.endpoints:
            scenario = find_scenario(name)
        return Step.parse(scenario) if scenario else PLAIN_STEP, None, self.clock_skew

    def _judge(self, request, name, operation, now, entry):
        """The request's members; ServiceError if they or the signature are not in order."""
        try:
            self.verifier.verify(request, now)
        except SignatureRefused as error:
            entry.outcome, entry.code = "refused", error.code
            raise
        entry.outcome = "verified"
        if name is None:
            raise UnknownOperation()
        if request.body_bytes > MAX_BODY_BYTES:
            raise BodyTooLarge(MAX_BODY_BYTES)
        return read_members(MEMBERS[operation], name, request)

    def _own_answer(self, operation, invocation, now):
        """What the endpoint itself says, be it an error."""
        try:
            if operation == "async-invocations":
                self._find_endpoint(invocation.endpoint)  # before anything is accepted
                return self._asynchronous.accept(
                    invocation, lambda given: self._own_answer("invocations", given, now))
            return self._invoke(self._find_endpoint(invocation.endpoint), invocation, now)
        except ServiceError as error:
            return _error_reply(error)

    def _find_endpoint(self, name):
        if name in self.endpoints:
            return self.endpoints[name]
        if self.scripts.has(name) or find_scenario(name):
            return Endpoint(name, echo, takes_any_member=True)
        raise ValidationError(f"Endpoint {name} of account {ACCOUNT} not found.")

    def _invoke(self, endpoint, invocation, now):
        variant = _choose_variant(endpoint, invocation)
        container, container_name = _choose_container(endpoint, invocation)
        session_headers = []
        if endpoint.is_stateful:
            session_headers = self._sessions.headers(
                endpoint.name, invocation.member("SessionId"), invocation.body, now)
        try:
            answer = container(invocation)
        except ContainerError as error:
            raise ModelError(endpoint.name, container_name, error.status, error.message,
                             self.verifier.region) from None
        if endpoint.is_captured:
            self.journal.capture(_capture(invocation, answer, now))
        headers = [("Content-Type", answer.content_type),
                   ("x-Amzn-Invoked-Production-Variant", variant), *session_headers]
        if answer.custom_attributes is not None:
            headers.append(("X-Amzn-SageMaker-Custom-Attributes", answer.custom_attributes))
        return Reply(answer.status, headers, answer.body, parts=answer.parts,
                     tokens=answer.tokens, telling_part=answer.telling_part)


def _make_stream(step, reply):
    """What a script says of the stream, or the endpoint's own answer, in frames."""
    if reply.status != 200 or not (step.stream is not None or step.is_own_answer()):
        return
    reply.acts = step.stream
    if reply.acts is None:
        reply.acts = [{"part": {"bytes": part}} for part in reply.parts or [reply.body]]
        reply.acts[reply.telling_part]["tokens"] = reply.tokens
    reply.headers = [("X-Amzn-SageMaker-Content-Type", step.content_type or value)
                     if name == "Content-Type" else (name, value)
                     for name, value in reply.headers]
    reply.headers.append(("Content-Type", eventstream.CONTENT_TYPE))


def _error_reply(error):
    return Reply(error.status, error.headers(), error.body())


def _choose_variant(endpoint, invocation):
    wanted = invocation.member("TargetVariant")
    if wanted is None:
        return random.choices(list(endpoint.variants), list(endpoint.variants.values()))[0]
    if wanted not in endpoint.variants and not endpoint.takes_any_member:
        raise ValidationError(f"Variant {wanted} of endpoint {endpoint.name} not found.")
    return wanted


def _choose_container(endpoint, invocation):
    """The container that is to answer, and the name errors give it."""
    container, name = endpoint.container, "primary"
    for target in TARGETS:
        choices = getattr(endpoint, target.table)
        value = invocation.member(target.member)
        told = {"endpoint": endpoint.name, "value": value}
        if choices and value is None:
            message, code = target.missing
            raise ValidationError(message.format(**told), code)
        if choices and value not in choices:
            raise ValidationError(target.unknown.format(**told))
        if choices:
            container, name = choices[value], value
        elif value is not None and not endpoint.takes_any_member:
            message, code = target.unsupported
            raise ValidationError(message.format(**told), code)
    if not endpoint.takes_any_member:
        if invocation.member("SessionId") and not endpoint.is_stateful:
            raise ValidationError(f"Endpoint {endpoint.name} does not support sessions.")
        if invocation.member("EnableExplanations") and endpoint.explainer:
            container = endpoint.explainer
    return container, name


def _capture(invocation, answer, now):
    """A record in the form of SageMaker's data capture files."""
    def side(mode, content_type, body):
        return {"observedContentType": content_type, "mode": mode,
                "data": base64.b64encode(body).decode(), "encoding": "BASE64"}
    return {
        "captureData": {
            "endpointInput": side("INPUT", invocation.member("ContentType"), invocation.body),
            "endpointOutput": side("OUTPUT", answer.content_type, answer.body),
        },
        "eventMetadata": {
            "eventId": str(uuid.uuid4()),
            "inferenceId": invocation.member("InferenceId"),
            "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        },
        "eventVersion": "0",
    }
