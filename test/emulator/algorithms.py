"""SageMaker's own algorithms as their containers speak: the formats and names of each.

The models are small enough to be checked by hand, and their arithmetic is real.
"""

import json
import math

from endpoints import Answer, ContainerError, Endpoint
from media import (CSV, JSON, LINES, RECORDIO, choose_types, number, read_rows,
                   write_outputs)


class Algorithm:
    """One that takes rows of numbers and gives named outputs for each."""

    def __init__(self, outputs, key="predictions", n_features=2,
                 readable=(CSV, JSON, LINES, RECORDIO), writable=(JSON, LINES, RECORDIO)):
        self._outputs = outputs  # of a row, and whether all of them were asked for
        self._key = key          # of the list in a JSON answer
        self._n_features = n_features
        self._readable = readable
        self._writable = writable

    def __call__(self, invocation):
        content_type, accept = choose_types(invocation, self._readable, self._writable)
        try:
            rows = read_rows(content_type, invocation.body)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ContainerError(400, f"unable to evaluate payload provided: {error!r}") from None
        for row in rows:
            if len(row) != self._n_features:
                raise ContainerError(400, f"the model has {self._n_features} features, "
                                          f"a row has {len(row)}")
        is_verbose = "verbose=true" in (invocation.member("Accept") or "").replace(" ", "")
        return write_outputs(accept, [self._outputs(row, is_verbose) for row in rows], self._key)


def linear_learner(row, _):
    score = 1 / (1 + math.exp(-(0.25 + row[0] - 2 * row[1])))
    return {"score": score, "predicted_label": int(score > 0.5)}


def linear_learner_classes(row, _):
    powers = [math.exp(row[0]), math.exp(row[1]), 1.0]
    scores = [power / sum(powers) for power in powers]
    return {"score": scores, "predicted_label": scores.index(max(scores))}


def k_means(row, _):
    centers = ((0, 0), (3, 4))
    distances = [math.dist(row, center) for center in centers]
    return {"closest_cluster": float(distances.index(min(distances))),
            "distance_to_cluster": min(distances)}


def k_nn(row, is_verbose):
    points = (((0, 0), 0.0), ((1, 1), 1.0), ((3, 4), 2.0))
    nearest = sorted((math.dist(row, point), label) for point, label in points)[:2]
    outputs = {"predicted_label": nearest[0][1]}
    if is_verbose:
        outputs.update(distances=[distance for distance, _ in nearest],
                       labels=[label for _, label in nearest])
    return outputs


def pca(row, _):
    return {"projection": [(row[0] + row[1]) / 2, (row[0] - row[1]) / 2]}


def random_cut_forest(row, _):
    return {"score": abs(row[0] - 10) / 4}


def topics(row, _):
    return {"topic_weights": [value / sum(row) for value in row]}


def factorization_machine(row, _):
    score = 0.5 + row[0] - row[1] + 0.25 * row[0] * row[1]
    return {"score": score, "predicted_label": int(score > 0)}


def read_instances(invocation):
    """The instances and the rest of the body, of JSON or JSON lines; and the type to answer."""
    content_type, accept = choose_types(invocation, (JSON, LINES), (JSON, LINES))
    try:
        if content_type == LINES:
            lines = invocation.body.decode().splitlines()
            return [json.loads(line) for line in lines if line.strip()], {}, accept
        body = json.loads(invocation.body)
        return body.pop("instances"), body, accept
    except (KeyError, TypeError, ValueError) as error:
        raise ContainerError(400, f"unable to evaluate payload provided: {error!r}") from None


def deep_ar(invocation):
    """A forecast of three steps: the mean of what is known, and its quantiles."""
    instances, rest, accept = read_instances(invocation)
    if accept != JSON or "configuration" not in rest:
        raise ContainerError(400, "a configuration is needed")
    configuration = rest["configuration"]
    forecasts = []
    for instance in instances:
        if "start" not in instance or None in instance["target"]:
            raise ContainerError(400, "start is missing, or a gap is not \"NaN\"")
        known = sorted(value for value in map(number, instance["target"])
                       if not math.isnan(value))
        forecast = {"mean": [sum(known) / len(known)] * 3,
                    "quantiles": {quantile: [known[int(float(quantile) * (len(known) - 1))]] * 3
                                  for quantile in configuration["quantiles"]},
                    "samples": [known[:3]] * configuration.get("num_samples", 1)}
        forecasts.append({kind: forecast[kind] for kind in configuration["output_types"]})
    return Answer(json.dumps({"predictions": forecasts}).encode())


def object2vec(invocation):
    """How alike two lists of tokens are, and how unlike."""
    instances, _, accept = read_instances(invocation)
    records = []
    for instance in instances:
        first, second = set(instance["in0"]), set(instance["in1"])
        alike = len(first & second) / len(first | second)
        records.append({"scores": [alike, 1 - alike]})
    return write_outputs(accept, records)


def word_vectors(invocation):
    """BlazingText's word2vec: a vector for each word, at the top of the answer."""
    instances, _, _ = read_instances(invocation)
    return Answer(json.dumps([{"vector": [float(len(word)), float(word.count("e"))],
                               "word": word} for word in instances]).encode())


def text_classes(invocation):
    """BlazingText's classifier: the k likeliest labels of each text."""
    instances, rest, accept = read_instances(invocation)
    k = rest.get("configuration", {}).get("k", 1)
    records = []
    for instance in instances:
        text = instance["source"] if isinstance(instance, dict) else instance
        is_short = 1 / (1 + len(text.split()))
        likely = sorted([("__label__short", is_short), ("__label__long", 1 - is_short)],
                        key=lambda pair: -pair[1])[:k]
        records.append({"label": [label for label, _ in likely],
                        "prob": [chance for _, chance in likely]})
    if accept == LINES:
        return write_outputs(accept, records)
    return Answer(json.dumps(records).encode())


def algorithm_endpoints():
    numbers = {
        "linear-learner": Algorithm(linear_learner),
        "linear-learner-classes": Algorithm(linear_learner_classes),
        "k-means": Algorithm(k_means, writable=(JSON, LINES, RECORDIO, CSV)),
        "k-nn": Algorithm(k_nn),
        "pca": Algorithm(pca, "projections"),
        "random-cut-forest": Algorithm(random_cut_forest, "scores", 1),
        "ntm": Algorithm(topics, n_features=3),
        "factorization-machines": Algorithm(factorization_machine,
                                            readable=(JSON, LINES, RECORDIO)),
    }
    others = {"deepar": deep_ar, "object2vec": object2vec, "word2vec": word_vectors,
              "text-classification": text_classes}
    return [Endpoint(name, container) for name, container in {**numbers, **others}.items()]
