"""Real models, trained on the data scikit-learn brings along, in about a second.

They speak as SageMaker's own containers do: CSV without a header, one row a line, an empty
field for a missing value; or `{"instances": ...}` in and `{"predictions": ...}` out.
"""

import io
import json
import math

import numpy
from sklearn import datasets
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from endpoints import Answer, ContainerError, Endpoint
from media import CSV, JSON, NPY, choose_types, media_type

BROKEN_OFF = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<title>500 Internal Server Error</title>
<h1>Internal Server Error</h1>
"""


class TabularContainer:
    """A model server for rows of numbers."""

    def __init__(self, predict, features, names):
        self._predict = predict    # rows of features to rows of outputs
        self._features = features  # how many numbers a row has
        self._names = names        # of the outputs, for JSON; None: no names, a bare number
                                   # for one output and an array for several

    def __call__(self, invocation):
        content_type = media_type(invocation.member("ContentType"), CSV)
        accept = media_type(invocation.member("Accept"), content_type)
        if accept == "*/*":
            accept = content_type
        if not invocation.body.strip():
            return Answer(b"", accept, status=204)
        readers, writers = {CSV: _read_csv, JSON: _read_json}, {CSV: _csv, JSON: self._json}
        if content_type not in readers:
            raise ContainerError(415, f"Content type {content_type} is not supported.")
        if accept not in writers:
            raise ContainerError(406, f"Accept type {accept} is not supported.")
        try:
            rows = readers[content_type](invocation.body.decode())
        except (KeyError, TypeError, ValueError) as error:
            raise ContainerError(415, f"Loading the payload failed: {error}") from None
        for row in rows:
            if len(row) != self._features:
                raise ContainerError(400, f"The model expects {self._features} features, a row "
                                          f"has {len(row)}.")
        return Answer(writers[accept](self._predict(rows)).encode(), accept)

    def _json(self, outputs):
        if self._names:
            predictions = [dict(zip(self._names, row)) for row in outputs]
        elif len(outputs[0]) == 1:
            predictions = [value for value, in outputs]
        else:
            predictions = outputs
        return json.dumps({"predictions": predictions})


class ToolkitContainer:
    """SageMaker's image for scikit-learn with its default handlers.  One line of CSV is a vector
    there and no matrix, which breaks the model; so does whatever else is wrong with a row."""

    READERS = {
        CSV: lambda body: numpy.genfromtxt(io.StringIO(body.decode()), delimiter=","),
        JSON: lambda body: numpy.array(json.loads(body), dtype=float),
        NPY: lambda body: numpy.load(io.BytesIO(body)),
    }

    def __init__(self, predict):
        self._predict = predict

    def __call__(self, invocation):
        types = tuple(self.READERS)
        content_type, accept = choose_types(invocation, types, types)
        try:
            outputs = self._predict(self.READERS[content_type](invocation.body))
        except (TypeError, ValueError):
            raise ContainerError(500, BROKEN_OFF) from None
        if accept == JSON:
            return Answer(json.dumps(outputs.tolist()).encode(), accept)
        body = io.BytesIO()
        if accept == CSV:
            numpy.savetxt(body, outputs, delimiter=",", fmt="%s")
        else:
            numpy.save(body, outputs)
        return Answer(body.getvalue(), accept)


def _read_csv(text):
    return [[float(field) if field.strip() else math.nan for field in line.split(",")]
            for line in text.strip().split("\n")]


def _read_json(text):
    """Rows from `{"instances": [...]}`, each an array or an object with `features`."""
    instances = json.loads(text)["instances"]
    rows = [row["features"] if isinstance(row, dict) else row for row in instances]
    return [[math.nan if value is None else float(value) for value in row] for row in rows]


def _csv(outputs):
    return "".join(",".join(map(str, row)) + "\n" for row in outputs)


def trained_endpoints():
    """The endpoints with a model behind them."""
    cancer = datasets.load_breast_cancer()
    wine = datasets.load_wine()
    diabetes = datasets.load_diabetes()
    tumour, cultivar = _classifier(cancer), _classifier(wine)
    progress = _pipeline(LinearRegression()).fit(diabetes.data, diabetes.target)

    def is_benign(rows):
        return tumour.predict_proba(rows)[:, 1:].tolist()

    def label_and_score(rows):
        return [[int(score > 0.5), score] for score, in is_benign(rows)]

    def endpoint(name, data, predict, names=None):
        return Endpoint(name, TabularContainer(predict, data.data.shape[1], names))

    return [
        endpoint("breast-cancer", cancer, is_benign),
        endpoint("breast-cancer-label", cancer, label_and_score, ("predicted_label", "score")),
        endpoint("wine", wine, lambda rows: cultivar.predict_proba(rows).tolist()),
        endpoint("diabetes", diabetes, lambda rows: progress.predict(rows).reshape(-1, 1).tolist()),
        Endpoint("scikit-learn", ToolkitContainer(progress.predict)),
        Endpoint("scikit-learn-classes", ToolkitContainer(cultivar.predict)),
        Endpoint("scikit-learn-chances", ToolkitContainer(cultivar.predict_proba)),
    ]


def _classifier(data):
    return _pipeline(LogisticRegression(max_iter=1000)).fit(data.data, data.target)


def _pipeline(estimator):
    # A missing value becomes the mean, so that a NULL of SQL can be scored.
    return make_pipeline(SimpleImputer(), StandardScaler(), estimator)
