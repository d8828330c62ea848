"""The endpoints there are: what stands behind each name.

A container is a function from an Invocation to an Answer; that is all a model server is to
the service.  An Endpoint says which container answers and which headers it understands; the
rules for those headers are in service.py.
"""

import json
from dataclasses import dataclass, field

from errors import ModelNotReady

DEFAULT_VARIANT = "AllTraffic"


@dataclass(frozen=True)
class Invocation:
    """What the service hands on to a container."""

    endpoint: str
    body: bytes
    members: dict   # the request's members by the names of the API, ContentType and so on
    request: object  # the request as it came, for `mirror`

    def member(self, name):
        return self.members.get(name)


@dataclass
class Answer:
    """What a container gives back, and what the service adds to it as response members."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    custom_attributes: str = None
    parts: list = None  # of the body, as they are streamed; None: it is one
    tokens: tuple = None  # read and written, as the container counts them and says so
    telling_part: int = -1  # the part that says it


class ContainerError(Exception):
    """The container answered with an error status; the service makes a ModelError of it."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Endpoint:
    """One endpoint.  What is left empty, the endpoint does not have, and refuses."""

    name: str
    container: object = None
    variants: dict = field(default_factory=lambda: {DEFAULT_VARIANT: 1})  # name: weight
    models: dict = field(default_factory=dict)      # TargetModel: container
    containers: dict = field(default_factory=dict)  # TargetContainerHostname: container
    components: dict = field(default_factory=dict)  # InferenceComponentName: container
    explainer: object = None     # answers instead, when explanations are asked for
    is_stateful: bool = False    # keeps sessions
    is_captured: bool = False    # keeps requests and answers, as data capture does
    takes_any_member: bool = False


def json_answer(value, **more):
    return Answer(json.dumps(value).encode(), **more)


def echo(invocation):
    """The body, byte for byte, under its own content type."""
    return Answer(invocation.body,
                  invocation.member("ContentType") or "application/octet-stream",
                  custom_attributes=invocation.member("CustomAttributes"))


def picky(invocation):
    """An echo that cannot stand one word."""
    if b"poison" in invocation.body:
        raise ContainerError(400, "could not convert string to float: 'poison'")
    return echo(invocation)


def mirror(invocation):
    """The request as the service saw it."""
    request = invocation.request
    return json_answer({
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body_sha256": request.body_sha256,
        "body_bytes": request.body_bytes,
        "members": invocation.members,
    }, custom_attributes=invocation.member("CustomAttributes"))


def named(name):
    """A container that answers with its own name, to show who was chosen."""
    return lambda invocation: json_answer({"answered_by": name,
                                           "body_bytes": len(invocation.body)})


class SlowlyLoaded:
    """A model that is not ready when it is first asked for, as on a multi-model endpoint."""

    def __init__(self, container):
        self._container = container
        self._is_loaded = False

    def __call__(self, invocation):
        if not self._is_loaded:
            self._is_loaded = True
            raise ModelNotReady(f"Model {invocation.member('TargetModel')} is being loaded. "
                                "Try your call again.")
        return self._container(invocation)


def explained(invocation):
    """An answer in the form of SageMaker Clarify: predictions beside explanations."""
    return json_answer({
        "version": "1.0",
        "predictions": {"content_type": "text/csv", "data": "0.5"},
        "explanations": {"kernel_shap": [[{"attributions": [{"attribution": [0.5]}]}]]},
    })


def built_in_endpoints():
    """The endpoints that need no model, each for one feature of the API."""
    return [
        Endpoint("echo", echo, takes_any_member=True),
        Endpoint("picky", picky, takes_any_member=True),
        Endpoint("mirror", mirror, takes_any_member=True),
        Endpoint("variants", named("primary"), variants={"champion": 9, "challenger": 1}),
        Endpoint("multi-model", models={
            "one.tar.gz": named("one.tar.gz"),
            "two.tar.gz": named("two.tar.gz"),
            "slow.tar.gz": SlowlyLoaded(named("slow.tar.gz")),
        }),
        Endpoint("multi-container", containers={
            "first": named("first"), "second": named("second")}),
        Endpoint("components", components={
            "alpha": named("alpha"), "beta": named("beta")}),
        Endpoint("sessions", named("primary"), is_stateful=True),
        Endpoint("captured", echo, is_captured=True),
        Endpoint("explained", named("primary"), explainer=explained),
    ]
