"""The request members of the operations that travel as headers, and their limits.

A table for each operation, from the published model of the API: the same member may come
under another header there.
"""

import re
from dataclasses import dataclass

from errors import ValidationError


@dataclass(frozen=True)
class Pattern:
    """A pattern as the API's model writes it, for messages, and as Python has it."""

    published: str
    python: str


_NAME = "[a-zA-Z0-9](-*[a-zA-Z0-9])*"
NAME = Pattern(f"^{_NAME}", _NAME)
NAME_LENGTH = 63
SESSION = Pattern(f"^(NEW_SESSION)$|^{_NAME}$", f"NEW_SESSION|{_NAME}")
ASCII = Pattern(r"\p{ASCII}*", r"[\x00-\x7f]*")
PRINTABLE = Pattern(r"\A\S[\p{Print}]*\z", r"[!-~][ -~]*")
ANYTHING = Pattern(".*", ".*")
LOCATION = Pattern("^(https|s3)://([^/]+)/?(.*)$", "(https|s3)://([^/]+)/?(.*)")
PATH = Pattern("^(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]+$", "[a-zA-Z0-9!_.*'()/-]+")
FILENAME = Pattern(r"^(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9-_\.]*$",
                   r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True)
class Member:
    """A member, the header it travels in, and what its value may be."""

    name: str
    header: str
    longest: int
    pattern: Pattern = ASCII
    shortest: int = 0

    def complaints(self, value):
        """What AWS says of this value; an empty list if it is well."""
        said = f"Value '{value}' at '{self.name[0].lower()}{self.name[1:]}' failed to satisfy " \
               "constraint: Member must "
        found = []
        if len(value) > self.longest:
            found.append(f"{said}have length less than or equal to {self.longest}")
        if len(value) < self.shortest:
            found.append(f"{said}have length greater than or equal to {self.shortest}")
        if not re.fullmatch(self.pattern.python, value):
            found.append(f"{said}satisfy regular expression pattern: {self.pattern.published}")
        return found


@dataclass(frozen=True)
class Number:
    """A member that is an integer within bounds."""

    name: str
    header: str
    least: int
    most: int

    def complaints(self, value):
        if re.fullmatch("[0-9]{1,9}", value) and self.least <= int(value) <= self.most:
            return []
        return [f"Value '{value}' at '{self.name[0].lower()}{self.name[1:]}' failed to satisfy "
                f"constraint: Member must have value between {self.least} and {self.most}"]


ENDPOINT_NAME = Member("EndpointName", None, NAME_LENGTH, NAME)  # in the path

INVOKE_ENDPOINT = (
    Member("ContentType", "Content-Type", 1024),
    Member("Accept", "Accept", 1024),
    Member("CustomAttributes", "X-Amzn-SageMaker-Custom-Attributes", 1024),
    Member("TargetModel", "X-Amzn-SageMaker-Target-Model", 1024, PRINTABLE, 1),
    Member("TargetVariant", "X-Amzn-SageMaker-Target-Variant", NAME_LENGTH, NAME),
    Member("TargetContainerHostname", "X-Amzn-SageMaker-Target-Container-Hostname",
           NAME_LENGTH, NAME),
    Member("InferenceId", "X-Amzn-SageMaker-Inference-Id", 64, PRINTABLE, 1),
    Member("EnableExplanations", "X-Amzn-SageMaker-Enable-Explanations", 64, ANYTHING, 1),
    Member("InferenceComponentName", "X-Amzn-SageMaker-Inference-Component", NAME_LENGTH, NAME),
    Member("SessionId", "X-Amzn-SageMaker-Session-Id", 256, SESSION),
    Member("PrefixAwareId", "X-Amzn-SageMaker-Prefix-Aware-Id", 64, PRINTABLE, 1),
)

# An existing session only; neither TargetModel nor EnableExplanations.
INVOKE_ENDPOINT_STREAM = (
    Member("ContentType", "Content-Type", 1024),
    Member("Accept", "X-Amzn-SageMaker-Accept", 1024),
    Member("CustomAttributes", "X-Amzn-SageMaker-Custom-Attributes", 1024),
    Member("TargetVariant", "X-Amzn-SageMaker-Target-Variant", NAME_LENGTH, NAME),
    Member("TargetContainerHostname", "X-Amzn-SageMaker-Target-Container-Hostname",
           NAME_LENGTH, NAME),
    Member("InferenceId", "X-Amzn-SageMaker-Inference-Id", 64, PRINTABLE, 1),
    Member("InferenceComponentName", "X-Amzn-SageMaker-Inference-Component", NAME_LENGTH, NAME),
    Member("SessionId", "X-Amzn-SageMaker-Session-Id", 256, NAME),
    Member("PrefixAwareId", "X-Amzn-SageMaker-Prefix-Aware-Id", 64, PRINTABLE, 1),
)

INVOKE_ENDPOINT_ASYNC = (
    Member("ContentType", "X-Amzn-SageMaker-Content-Type", 1024),
    Member("Accept", "X-Amzn-SageMaker-Accept", 1024),
    Member("CustomAttributes", "X-Amzn-SageMaker-Custom-Attributes", 1024),
    Member("InferenceId", "X-Amzn-SageMaker-Inference-Id", 64, PRINTABLE, 1),
    Member("InputLocation", "X-Amzn-SageMaker-InputLocation", 1024, LOCATION, 1),
    Member("S3OutputPathExtension", "X-Amzn-SageMaker-S3OutputPathExtension", 512, PATH, 1),
    Member("Filename", "X-Amzn-SageMaker-Filename", 32, FILENAME, 1),
    Number("RequestTTLSeconds", "X-Amzn-SageMaker-RequestTTLSeconds", 60, 21600),
    Number("InvocationTimeoutSeconds", "X-Amzn-SageMaker-InvocationTimeoutSeconds", 1, 3600),
)


def read_members(table, endpoint_name, request):
    """The members a request has, by name; ValidationError if one breaks its limits."""
    found = ENDPOINT_NAME.complaints(endpoint_name)
    members = {}
    for member in table:
        value = request.header(member.header)
        if value is not None:
            members[member.name] = value
            found += member.complaints(value)
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise ValidationError(f"{len(found)} validation {errors} detected: {'; '.join(found)}")
    return members
