"""What containers read and write, by media type: rows of numbers in, records of outputs out."""

import json
import math

from endpoints import Answer, ContainerError
from recordio import read_features, write_records

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
RECORDIO, LIBSVM, NPY = "application/x-recordio-protobuf", "text/libsvm", "application/x-npy"


def media_type(header, default):
    """The type without its parameters."""
    return header.split(";")[0].strip().lower() if header else default


def choose_types(invocation, readable, writable, default=None):
    """Content type and Accept, or the container's refusal.  Anything goes for `*/*`."""
    content_type = media_type(invocation.member("ContentType"), readable[0])
    accept = media_type(invocation.member("Accept"), "*/*")
    if content_type not in readable:
        raise ContainerError(415, f"Content-type {content_type} not supported. Supported "
                                  f"content-types: {', '.join(readable)}")
    if accept == "*/*":
        accept = default or (content_type if content_type in writable else writable[0])
    if accept not in writable:
        raise ContainerError(406, f"Accept type {accept} is not supported. Supported accept "
                                  f"types: {', '.join(writable)}")
    return content_type, accept


def number(value):
    """A feature: null and "NaN" are missing."""
    return math.nan if value is None else float(value)


def read_csv(text):
    return [[number(field.strip() or None) for field in line.split(",")]
            for line in text.strip("\n").split("\n")]


def features_of(instance):
    """The vector of an instance: the short dense form, the long one, or the sparse one."""
    features = instance.get("features") or instance["data"]["features"]
    if isinstance(features, list):
        return [number(value) for value in features]
    if "keys" not in features:
        return [number(value) for value in features["values"]]
    row = [0.0] * features["shape"][0]
    for key, value in zip(features["keys"], features["values"]):
        row[key] = number(value)
    return row


def read_rows(content_type, body):
    """Rows of numbers, whatever they come as; ValueError and the like if they are none."""
    if content_type == RECORDIO:
        return read_features(body)
    text = body.decode()
    if content_type == CSV:
        return read_csv(text)
    if content_type == LINES:
        return [features_of(json.loads(line)) for line in text.splitlines() if line.strip()]
    return [features_of(instance) for instance in json.loads(text)["instances"]]


def write_outputs(accept, records, key="predictions"):
    """A dict of outputs for each row."""
    if accept == RECORDIO:
        body = write_records(records)
    elif accept == LINES:
        body = "".join(json.dumps(record) + "\n" for record in records)
    elif accept == JSON:
        body = json.dumps({key: records})
    else:
        body = "".join(",".join(map(str, record.values())) + "\n" for record in records)
    return Answer(body if isinstance(body, bytes) else body.encode(), accept)
