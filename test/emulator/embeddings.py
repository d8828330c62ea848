"""Embeddings, a reranker and a classifier: words hashed into a few dimensions, and the angle
between two texts.  In the shapes of OpenAI, of text-embeddings-inference (TEI), of LMI and of the
Hugging Face toolkit.
"""

import json
import math
import re
import zlib

from endpoints import Answer, ContainerError, Endpoint

DIMENSION = 16
MAX_BATCH = 128  # texts in a request


def embed(text):
    """A vector of length 1; of no words, of 0."""
    vector = [0.0] * DIMENSION
    for word in re.findall(r"\w+", text.lower()):
        hashed = zlib.crc32(word.encode())
        vector[hashed % DIMENSION] += 1 if hashed & 0x80000000 else -1
    length = math.sqrt(sum(x * x for x in vector)) or 1
    return [x / length for x in vector]


def likeness(one, other):
    return sum(x * y for x, y in zip(embed(one), embed(other)))


def texts_of(body, member):
    texts = body[member]
    texts = [texts] if isinstance(texts, str) else texts
    if not all(isinstance(text, str) for text in texts):
        raise ContainerError(422, json.dumps({"error": "texts are strings", "error_type":
                                              "Validation"}))
    if len(texts) > MAX_BATCH:
        raise ContainerError(413, json.dumps({
            "error": f"batch size {len(texts)} > maximum allowed batch size {MAX_BATCH}",
            "error_type": "Validation"}))
    return texts


def tei(invocation):
    """TEI's /embed: a bare array."""
    texts = texts_of(json.loads(invocation.body), "inputs")
    return Answer(json.dumps([embed(text) for text in texts]).encode())


def openai(invocation):
    """The last one comes first: what belongs to which is in the index."""
    texts = texts_of(json.loads(invocation.body), "input")
    data = [{"object": "embedding", "index": i, "embedding": embed(text)}
            for i, text in enumerate(texts)]
    words = sum(len(text.split()) for text in texts)
    return Answer(json.dumps({
        "object": "list", "data": data[::-1],
        "usage": {"prompt_tokens": words, "total_tokens": words}}).encode(), tokens=(words, 0))


def reranker(invocation):
    """TEI's /rerank: the likest first."""
    body = json.loads(invocation.body)
    scores = [{"index": i, "score": likeness(body["query"], text)}
              for i, text in enumerate(texts_of(body, "texts"))]
    return Answer(json.dumps(sorted(scores, key=lambda pair: -pair["score"])).encode())


def zero_shot(invocation):
    """The toolkit's zero-shot-classification: for each text the labels, the likest first."""
    body = json.loads(invocation.body)
    labels = body["parameters"]["candidate_labels"]
    results = []
    for text in texts_of(body, "inputs"):
        weights = {label: math.exp(likeness(label, text)) for label in labels}
        order = sorted(labels, key=lambda label, weights=weights: -weights[label])
        results.append({"sequence": text, "labels": order,
                        "scores": [weights[label] / sum(weights.values()) for label in order]})
    return Answer(json.dumps(results).encode())


def embedding_endpoints():
    containers = {"embed-tei": tei, "embed-openai": openai, "reranker": reranker,
                  "zero-shot": zero_shot}
    return [Endpoint(name, container) for name, container in containers.items()]
