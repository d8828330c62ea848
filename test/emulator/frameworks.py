"""Containers of frameworks that are not in this process: XGBoost, TensorFlow Serving, Hugging
Face, language models.  What they take, give and refuse, with the oddities that clients meet.

The models are small enough to be checked by hand, and their arithmetic is real.
"""

import csv
import io
import json
import math

from endpoints import Answer, ContainerError, Endpoint
from media import (CSV, JSON, LIBSVM, LINES, RECORDIO, choose_types, features_of, media_type,
                   number, read_rows)
from recordio import write_records

N_FEATURES = 4


class XGBoost:
    """Two trees on four features; what is missing goes its own way in each."""

    READABLE = (CSV, LIBSVM, "text/x-libsvm", RECORDIO)
    WRITABLE = (CSV, JSON, LINES, RECORDIO)

    def __init__(self, on_one_line=False, is_selectable=False):
        self._on_one_line = on_one_line      # as before April 2022
        self._is_selectable = is_selectable  # several outputs, some of them lists

    def __call__(self, invocation):
        body = invocation.body.strip()
        if not body:
            return Answer(b"", CSV, status=204)
        content_type, accept = choose_types(invocation, self.READABLE, self.WRITABLE, CSV)
        try:
            rows = (read_libsvm(body.decode()) if "libsvm" in content_type
                    else read_sniffed(body.decode()) if content_type == CSV
                    else read_rows(content_type, invocation.body))
        except (IndexError, KeyError, ValueError) as error:
            raise ContainerError(415, f"Loading {content_type} data failed with Exception, please "
                                      f"ensure data is in {content_type} format: {error}") from None
        if any(len(row) != N_FEATURES for row in rows):
            raise ContainerError(400, "Unable to evaluate payload provided: Feature shape "
                                      f"mismatch, expected: {N_FEATURES}")
        scores = [score_of(row) for row in rows]
        if self._is_selectable:
            return selected(accept, scores)
        return self._plain(accept, scores)

    def _plain(self, accept, scores):
        records = [{"score": score} for score in scores]
        if accept == CSV:
            separator = "," if self._on_one_line else "\n"
            body = separator.join(map(str, scores)) + ("" if self._on_one_line else "\n")
        elif accept == JSON:
            body = json.dumps({"predictions": records})
        elif accept == LINES:
            body = "".join(json.dumps(record) + "\n" for record in records)
        else:
            return Answer(write_records(records), accept)
        return Answer(body.encode(), accept)


def selected(accept, scores):
    """Selectable inference: lists stand in quotes in CSV, whose last line has no end; and
    records of RecordIO have all that came before them."""
    records = [{"predicted_label": int(score > 0.5), "probabilities": [1 - score, score]}
               for score in scores]
    if accept == CSV:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for record in records:
            writer.writerow([record["predicted_label"], json.dumps(record["probabilities"])])
        return Answer(text.getvalue().rstrip("\n").encode(), accept)
    if accept == JSON:
        return Answer(json.dumps({"predictions": records}).encode(), accept)
    if accept == LINES:
        return Answer("".join(json.dumps(record) + "\n" for record in records).encode(), accept)
    return Answer(write_records(records, reuses_buffer=True), accept)


def score_of(row):
    first = 0.25 if row[0] < 1 or math.isnan(row[0]) else -0.5
    second = 0.75 if row[1] > 10 and not math.isnan(row[1]) else row[2] / 100
    return 1 / (1 + math.exp(-(first + second + 0.01 * (0 if math.isnan(row[3]) else row[3]))))


def read_sniffed(text):
    """Lines end in LF only.  The delimiter is what the first line looks like."""
    lines = text.split("\n")
    try:
        delimiter = csv.Sniffer().sniff(lines[0][:512]).delimiter
    except csv.Error:
        delimiter = ","
    delimiter = "," if delimiter.isalnum() else delimiter
    return [[number(field or None) for field in line.split(delimiter)] for line in lines]


def read_libsvm(text):
    """A label, then columns by number; those that are not there are missing."""
    rows = []
    for line in text.split("\n"):
        label, *pairs = line.split()
        float(label)
        row = [math.nan] * N_FEATURES
        for pair in pairs:
            column, value = pair.split(":")
            row[int(column) - 1] = float(value)
        rows.append(row)
    return rows


def tensorflow(invocation):
    """TensorFlow Serving: the sum and the product of each instance.  It always answers in JSON,
    a line of CSV without a comma is a scalar, and one line alone has no brackets around it."""
    content_type, accept = choose_types(
        invocation, (JSON, LINES, "application/jsons", CSV), (JSON, LINES, CSV, "*/*"))
    text = invocation.body.decode()
    try:
        if content_type == CSV:
            lines = text.strip("\n").split("\n")
            instances = [[float(field) for field in line.split(",")] if "," in line
                         else float(line) for line in lines]
        elif content_type in (LINES, "application/jsons"):
            lines = [json.loads(line) for line in text.splitlines() if line.strip()]
            instances = lines[0] if len(lines) == 1 else lines
        else:
            body = json.loads(text)
            instances = body.get("instances", body.get("inputs")) if isinstance(body, dict) \
                else body
        predictions = [[sum(row), math.prod(row)] for row in map(vector_of, instances)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContainerError(400, json.dumps({"error": f"JSON Value: {error}"})) from None
    answer = json.dumps({"predictions": predictions}, indent=4)
    if accept in (JSON, LINES):
        answer = answer.replace("\n", "")
    return Answer(answer.encode(), JSON)


def vector_of(instance):
    if isinstance(instance, (int, float)):
        return [float(instance)]
    if isinstance(instance, list):
        return [float(value) for value in instance]
    return features_of(instance)


def hugging_face(invocation):
    """A text classifier: how glad a text is.  CSV has a header, in both directions."""
    content_type, accept = choose_types(invocation, (JSON, CSV), (JSON, CSV))
    try:
        if content_type == CSV:
            rows = list(csv.DictReader(io.StringIO(invocation.body.decode())))
            inputs = [row["inputs"] for row in rows]
        else:
            inputs = json.loads(invocation.body)["inputs"]
    except (KeyError, TypeError, ValueError) as error:
        raise ContainerError(400, json.dumps({
            "code": 400, "type": "InternalServerException",
            "message": f"You need to provide the correct CSV with Header columns to use it with "
                       f"the inference toolkit default handler: {error!r}"})) from None
    results = [gladness(text) for text in (inputs if isinstance(inputs, list) else [inputs])]
    if accept == JSON:
        return Answer(json.dumps(results).encode())
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(results[0]))
    writer.writeheader()
    writer.writerows(results)
    return Answer(text.getvalue().encode(), CSV)


def gladness(text):
    words = text.lower().replace(",", " ").split()
    score = (1 + words.count("good")) / (2 + words.count("good") + words.count("bad"))
    return {"label": "POSITIVE" if score >= 0.5 else "NEGATIVE", "score": max(score, 1 - score)}


def embedding(invocation):
    """A text or a list of them; a vector each."""
    inputs = json.loads(invocation.body)["inputs"]
    vectors = [[len(text) / 10, text.count(" ") / 10] for text in
               ([inputs] if isinstance(inputs, str) else inputs)]
    return Answer(json.dumps(vectors[0] if isinstance(inputs, str) else vectors).encode())


def language_model(in_array):
    """One prompt, one text: its words backwards, as many as were asked for.  A word is a
    token; they are counted if details are asked for, and the prompt's if they are, too."""
    def answer(invocation):
        body = json.loads(invocation.body)
        if not isinstance(body.get("inputs"), str):
            raise ContainerError(424, json.dumps({"error": "inputs must be a string",
                                                  "code": 424}))
        parameters = body.get("parameters", {})
        prompt = body["inputs"].split()
        words = prompt[::-1][:parameters.get("max_new_tokens", 30)]
        result = {"generated_text": " ".join(words)}
        tokens = None
        if parameters.get("details"):
            finish_reason = "length" if len(words) < len(prompt) else "eos_token"
            result["details"] = {"finish_reason": finish_reason, "generated_tokens": len(words),
                                 "prefill": []}
            tokens = (0, len(words))
        if parameters.get("decoder_input_details"):
            result["details"]["prefill"] = [{"text": word} for word in prompt]
            tokens = (len(prompt), len(words))
        return Answer(json.dumps([result] if in_array else result).encode(), tokens=tokens)
    return answer


def deep_java_handler(invocation):
    """DJL's handlers for scikit-learn and XGBoost: the sum of each row."""
    content_type = media_type(invocation.member("ContentType"), JSON)
    if content_type == CSV:
        rows = read_rows(CSV, invocation.body)
    else:
        body = json.loads(invocation.body)
        rows = body["inputs"] if isinstance(body, dict) else body
    sums = [sum(row) for row in rows]
    if media_type(invocation.member("Accept"), JSON) == CSV:
        return Answer("".join(f"{value}\n" for value in sums).encode(), CSV)
    return Answer(json.dumps({"predictions": sums}).encode())


def framework_endpoints():
    containers = {
        "xgboost": XGBoost(),
        "xgboost-old": XGBoost(on_one_line=True),
        "xgboost-selectable": XGBoost(is_selectable=True),
        "tensorflow": tensorflow,
        "hugging-face": hugging_face,
        "embedder": embedding,
        "llm": language_model(in_array=False),
        "tgi": language_model(in_array=True),
        "djl": deep_java_handler,
    }
    return [Endpoint(name, container) for name, container in containers.items()]
