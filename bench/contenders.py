"""
Who scores sets of rows, by case.  `score` and `scores` are made anew in every
session, for each case has its own limits.
"""

import json
from dataclasses import dataclass

import needs
from ground import BOTO3_CONNECT, BOTO3_CREATE, CONNECT, HERE, Contender

FLOOR = "libcurl multi + SigV4"
MODEL = "model function"
INVOKE = "sagemaker_invoke"
PER_ROW = "plpython3u + boto3"
POOL = "boto3, 32 threads"
HTTP = "pgsql-http + string_agg"
INSERT = "INSERT of the score"

THREADS = 32


@dataclass(frozen=True)
class Source:
    """A table of rows, as one text or in ten columns."""
    table: str
    columns: str            # with types
    arguments: str          # of the model
    line: str               # of CSV, as the peer makes it
    format: str             # of the model

    @staticmethod
    def of_ten(table, kind):
        names = [f"c{i}" for i in range(10)]
        return Source(table, ", ".join(f"{name} {kind}" for name in names),
                      ", ".join(names), f"concat_ws(',', {', '.join(names)})", "csv")


TEXT = Source("rows", "body text", "body", "body", "lines")
NUMERIC = Source.of_ten("numerics", "numeric")
FLOAT8 = Source.of_ten("floats", "float8")
SOURCES = (TEXT, NUMERIC, FLOAT8)


@dataclass(frozen=True)
class Case:
    title: str
    latency: int            # ms
    in_flight: int
    rows_a_request: int
    who: tuple
    source: Source = TEXT
    stored: bool = False    # INSERT ... SELECT of the whole table


def contender(case, name):
    return MAKERS[name](case)


def floor(case):
    return Contender(FLOOR, program=("floor_set",),
                     arguments=(str(case.in_flight), str(case.rows_a_request)))


def model(case):
    options = json.dumps({"endpoint": "echo", "max_rows": case.rows_a_request,
                          "concurrency": case.in_flight,
                          "format": case.source.format})
    create = f"""CREATE FUNCTION pg_temp.score({case.source.columns})
        RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
        AS '{options}';"""
    return Contender(
        MODEL, create="CREATE EXTENSION sagemaker_rt;",
        connect=f"LOAD 'sagemaker_rt'; {CONNECT} {create}",
        ask=ask(case, f"pg_temp.score({case.source.arguments})"))


def invoke(case):
    return Contender(
        INVOKE,
        connect=f"""LOAD 'sagemaker_rt'; {CONNECT}
            SET sagemaker_rt.concurrency = {case.in_flight};""",
        ask=ask(case, """(sagemaker_invoke(:'endpoint', body, 'text/csv',
                                           'text/csv')).request_id"""))


def per_row(case):
    return Contender(
        PER_ROW, create=BOTO3_CREATE, connect=BOTO3_CONNECT,
        ask=ask(case, "boto3_invoke(:'endpoint', body, 'text/csv', 'text/csv')"))


def pool(case):
    return Contender(POOL, program=("/usr/bin/python3", "-B",
                                    f"{HERE}/boto3_pool.py"),
                     arguments=(str(THREADS),))


def http(case):
    """Without LOAD it forgets the setting when its library comes."""
    return Contender(
        HTTP, create="CREATE EXTENSION http;",
        connect="LOAD 'http'; SET http.curlopt_tcp_keepalive = 1;",
        ask=store(f"""SELECT u.id, u.score::float8
            FROM (SELECT array_agg(id) AS ids,
                         string_agg({case.source.line}, E'\\n') AS body
                  FROM {case.source.table}
                  GROUP BY (id - 1) / {case.rows_a_request}) AS batch,
                LATERAL http_post(:'url', batch.body, 'text/csv') AS answer,
                LATERAL unnest(ids, string_to_array(rtrim(answer.content, E'\\n'),
                                                    E'\\n')) AS u (id, score)"""))


def insert(case):
    return Contender(
        INSERT, ask=store(f"SELECT id, 0.9731::float8 FROM {case.source.table}"))


MAKERS = {FLOOR: floor, MODEL: model, INVOKE: invoke, PER_ROW: per_row,
          POOL: pool, HTTP: http, INSERT: insert}


def are_there():
    """All, but for peers that are no package everywhere."""
    return [name for name in MAKERS
            if name != HTTP or needs.has_extension("http")]


def ask(case, call):
    if case.stored:
        return store(f"SELECT id, {call} FROM {case.source.table}")
    return f"SELECT count({call}) FROM {case.source.table} WHERE id <= {{n}};"


def store(select):
    """Of the whole table; psql tells how many."""
    return (f"TRUNCATE scores; INSERT INTO scores {select};\n"
            "\\echo :ROW_COUNT")
