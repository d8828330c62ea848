--
-- LANGUAGE sagemaker: who may make model functions, what their definitions may
-- say, and what is said about them.  Nothing is sent anywhere: the endpoint_url of
-- this cluster's configuration is a closed port.
--
CREATE EXTENSION sagemaker_rt;
LOAD 'sagemaker_rt';
CREATE ROLE regress_sagemaker_maker;
CREATE ROLE regress_sagemaker_other;
CREATE SCHEMA models;
GRANT ALL ON SCHEMA models TO regress_sagemaker_maker, regress_sagemaker_other;
SET search_path = models, public;
-- So that a call gets as far as that.
SET sagemaker_rt.access_key_id = 'AKIDREGRESS';
SET sagemaker_rt.secret_access_key = 'secret';

-- What a command does, without doing it.
CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE context text;
BEGIN
    EXECUTE command;
    RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
EXCEPTION
    WHEN SQLSTATE 'ZZZZZ' THEN RETURN 'accepted';
    WHEN SQLSTATE '58030' THEN RETURN 'tries to connect';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
        RETURN SQLSTATE || ' ' || SQLERRM || coalesce('; ' || substring(context FROM '^option "[^\n]*'), '');
END $$;
CREATE FUNCTION declared(signature text, attributes text, body text) RETURNS text LANGUAGE sql AS
$$ SELECT format('CREATE FUNCTION m%s LANGUAGE sagemaker PARALLEL SAFE COST 10000 %s AS %L', signature, attributes, body) $$;
CREATE FUNCTION outcome_of(options text) RETURNS text LANGUAGE sql AS
$$ SELECT outcome(declared('(x int) RETURNS float8', '', '{"endpoint": "e", ' || options || '}')) $$;

--
-- The body: an endpoint's name, or an object of options.
--
SELECT body, outcome(declared('(x int) RETURNS float8', '', body)) AS outcome
FROM unnest(ARRAY['churn-xgb', E'\n  churn-xgb\n', '', '  ', 'two words', 'under_score', repeat('x', 63), repeat('x', 64),
                  '{"endpoint": "churn-xgb"}', '{}', '{"endpoint": "e"', '{"endpoint": "e"} x',
                  '{"endpoint": "e", "endpoint": "e2"}', '{"endpoint": ""}', '{"endpoint": 1}', '{"endpoint": null}',
                  '{"endpoint": ["e"]}', '{"endpoint": {"a": 1}}']) AS body;
CREATE FUNCTION m(x int) RETURNS float8 LANGUAGE sagemaker AS '{"endpoint": "e", "max_row": 10}';

-- All options there are, as the hint lists them, with a value that is good.
CREATE TABLE good AS
SELECT name, value FROM (
    SELECT regexp_split_to_table('endpoint, server, format, header, first_index, answer_format, answer_header, stream, version, predictions, columns, index, dimension, rows_member, shared, constant, system, prompt, parameters, response_format, undecided_is_null, repair, input_tokens, output_tokens, nulls, on_error, deterministic, min_rows, max_rows, max_bytes, concurrency, content_type, accept, custom_attributes, target_model, target_variant, target_container_hostname, inference_id, enable_explanations, inference_component_name, session_id, prefix_aware_id, connect_timeout, timeout, total_timeout, max_attempts, max_response_size, retry_timeouts', ', ') AS name) AS names
LEFT JOIN (VALUES
    ('endpoint', '"e"'), ('server', '"s"'), ('format', '"jsonlines"'), ('header', 'true'), ('first_index', '1'), ('answer_format', '"json"'), ('answer_header', 'true'), ('stream', 'false'), ('version', '"v1"'), ('predictions', '"$.p[*].score"'),
    ('columns', '{}'), ('constant', '{"parameters": {"top_k": 1}}'), ('nulls', '"nan"'), ('on_error', '"warning"'), ('deterministic', 'false'),
    ('min_rows', '2'), ('max_rows', '1000'), ('max_bytes', '"1MB"'), ('concurrency', '32'), ('content_type', '"text/libsvm"'),
    ('accept', '"application/json;verbose=true"'), ('custom_attributes', '"a=b"'), ('target_model', '"m.tar.gz"'),
    ('target_variant', '"blue"'), ('target_container_hostname', '"second"'), ('inference_id', '"i"'),
    ('enable_explanations', '"`true`"'), ('inference_component_name', '"part"'), ('session_id', '"s"'), ('prefix_aware_id', '"p"'),
    ('connect_timeout', '"250ms"'), ('timeout', '5000'), ('total_timeout', '"2min"'), ('max_attempts', '1'),
    ('max_response_size', '"1MB"'), ('retry_timeouts', 'false'), ('system', '"Be brief."'), ('prompt', '"{x}"'),
    ('parameters', '{"max_tokens": 1}'), ('response_format', '"json_schema"'), ('undecided_is_null', 'true'), ('repair', 'true'),
    ('input_tokens', '"$.usage.n"'), ('output_tokens', '"$.usage.m"'),
    ('index', '"$[*].index"'), ('dimension', '384'), ('rows_member', '"texts"'), ('shared', '["q"]')) AS value(name, value) USING (name);
SELECT name, value, outcome(declared(CASE name WHEN 'shared' THEN '(q text, x int) RETURNS float8' ELSE '(x int) RETURNS float8' END, '',
    format('{"endpoint": "e", %s: %s%s}', to_json(name), value, CASE WHEN name IN ('constant', 'rows_member', 'shared') THEN ', "format": "instances"'
    WHEN name IN ('system', 'prompt', 'parameters', 'response_format', 'undecided_is_null', 'repair') THEN ', "format": "chat"' ELSE '' END))) AS outcome
FROM good ORDER BY name COLLATE "C";

-- None takes a list or null, and one alone an object.
SELECT name, given.value FROM good, unnest(ARRAY['[]', 'null', '{}']) AS given(value)
WHERE outcome_of(format('%s: %s', to_json(name), given.value)) NOT LIKE '22023 option "' || name || '" is not valid: it must be a %';
SELECT outcome_of('"timeout": []'), outcome_of('"session_id": null'), outcome_of('"constant": {}, "format": "inputs"');

-- Formats of numbers take nothing else.
SELECT arguments, format, outcome(declared(format('(%s) RETURNS float8', arguments), '', format('{"endpoint": "e", "format": "%s"}', format))) AS outcome
FROM unnest(ARRAY['a int2, b int8, c float4, d float8, e numeric, f bool', 'a float8[], b int', 'a text', 'a int, b date', 'a int, jsonb', 'a text[]', 'a pg_class']) WITH ORDINALITY AS given(arguments, n),
    unnest(ARRAY['libsvm', 'recordio', 'npy', 'lines']) WITH ORDINALITY AS tried(format, m) ORDER BY n, m;

-- Columns that have something else than the prediction.
SELECT columns, outcome(declared('(x int, OUT a float8, OUT b text, OUT "the c" text)', '',
    format('{"endpoint": "e", "columns": %s}', columns))) AS outcome
FROM unnest(ARRAY['{}', '{"b": "$response.request_id", "the c": "$response.request_id"}', '{"a": "$response.content_type"}',
    '{"b": "$response.body"}', '{"b": "request_id"}', '{"b": null}', '{"b": ["$response.request_id"]}', '{"B": "$response.request_id"}',
    '{"x": "$response.request_id"}', '[]', '"$response.request_id"',
    '{"a": "$response.request_id", "b": "$response.request_id", "the c": "$response.request_id"}']) AS columns;

-- Values out of range, of the wrong kind, or none of the words.
SELECT options, outcome_of(options) AS outcome FROM unnest(ARRAY[
    '"format": "CSV"', '"format": ""', '"format": 1', '"header": "perhaps"', '"header": 2', '"header": "yes"',
    '"predictions": "$["', '"predictions": ""', '"predictions": 1', '"constant": [1]', '"constant": "a"', '"constant": {"a": 1}',
    '"columns": "a"', '"columns": {"a": "$response.request_id"}', '"constant": {}, "format": "array"', '"header": true, "format": "array"', '"nulls": "zero"', '"on_error": "ignore"',
    '"on_error": true', '"deterministic": "maybe"', '"min_rows": 0', '"min_rows": 100', '"min_rows": 101', '"min_rows": 2, "format": "single"', '"answer_header": 1.5', '"first_index": 0', '"first_index": 2', '"first_index": 0, "format": "libsvm"', '"answer_format": "parquet"', '"format": "npy", "header": true', '"format": "libsvm"',
    '"max_rows": 0', '"max_rows": 1000000', '"max_rows": 1000001', '"max_rows": 1.5',
    '"max_rows": "many"', '"max_rows": "10kB"', '"max_rows": 1e300', '"max_bytes": 0', '"max_bytes": "100MB"', '"max_bytes": "101MB"', '"max_bytes": "1GB"',
    '"max_bytes": -1', '"concurrency": 0', '"concurrency": 256', '"concurrency": 257', '"timeout": 0', '"timeout": "2d"',
    '"timeout": "soon"', '"connect_timeout": "0"', '"total_timeout": "1 parsec"', '"max_attempts": 101', '"max_response_size": "1TB"',
    '"retry_timeouts": "maybe"', '"server": ""', '"content_type": ""', '"content_type": "a\nb"', '"accept": "\u00e9"',
    '"enable_explanations": ""', '"inference_id": ""', '"target_variant": "two words"',
    '"Format": "csv"', '"region": "eu-west-1"', '"max_rows": 1, "max_rows": 0']) WITH ORDINALITY AS tried(options, n) ORDER BY n;

--
-- Labels, arguments and results.
--
CREATE TYPE pair AS (a int, b text);
CREATE TYPE holed AS (a int, gone int, b text);
ALTER TYPE holed DROP ATTRIBUTE gone;
CREATE TYPE outer_pair AS (p pair);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN good_pair AS pair CHECK ((value).a > 0);
SELECT signature, attributes, outcome(declared(signature, attributes, 'e')) AS outcome FROM (VALUES
    (1, '(x int) RETURNS int', 'STABLE'), (2, '(x int) RETURNS int', 'IMMUTABLE'), (3, '(x int) RETURNS int', 'VOLATILE STRICT LEAKPROOF'),
    (4, '() RETURNS int', ''), (5, '(OUT a int, OUT b int)', ''), (6, '(x int) RETURNS SETOF int', ''),
    (7, '(x int) RETURNS TABLE (a int, b int)', ''), (8, '(x int) RETURNS SETOF pair', ''), (9, '(x anyelement) RETURNS int', ''),
    (10, '(x anyarray) RETURNS int', ''), (11, '(int, x anyelement) RETURNS anyelement', ''), (12, '(x int, anyelement) RETURNS int', ''),
    (13, '(x record) RETURNS int', ''), (14, '(VARIADIC "any") RETURNS int', ''), (15, '(VARIADIC x float8[]) RETURNS int', ''),
    (16, '(x cstring) RETURNS int', ''), (17, '(x internal) RETURNS int', ''), (18, '(x int) RETURNS void', ''),
    (19, '(x int) RETURNS record', ''), (20, '(x int) RETURNS trigger', ''), (21, '() RETURNS trigger', ''), (22, '() RETURNS event_trigger', ''),
    (23, '(x int) RETURNS cstring', ''), (24, '(x int) RETURNS pair', ''), (25, '(x int) RETURNS holed', ''),
    (26, '(x int) RETURNS outer_pair', ''), (27, '(x int) RETURNS pair[]', ''), (28, '(x int) RETURNS positive', ''),
    (29, '(x int) RETURNS good_pair', ''), (30, '(x int, OUT a int)', ''), (31, '(x int, OUT a int, OUT p pair)', ''),
    (32, '(INOUT x int, OUT b text)', ''), (33, '(x pair, y pair[], z json, d good_pair) RETURNS jsonb', ''), (34, '(x int DEFAULT 7) RETURNS int', ''),
    (35, '(x int) RETURNS float8', 'WINDOW'), (36, '(x int) RETURNS float8', 'SET work_mem = ''1MB'''),
    (37, '(x holed) RETURNS float8', ''), (38, '(x int) RETURNS SETOF record', ''), (39, '(x int) RETURNS SETOF holed', '')) AS tried(n, signature, attributes)
ORDER BY n;
SELECT outcome($$CREATE PROCEDURE m(x int) LANGUAGE sagemaker AS 'e'$$);
SELECT outcome($$CREATE FUNCTION m(x int) RETURNS int LANGUAGE sagemaker AS 'e', 'e'$$);
DO LANGUAGE sagemaker 'e';

--
-- Notices.
--
CREATE FUNCTION plain(x int) RETURNS float8 LANGUAGE sagemaker AS 'e';
CREATE FUNCTION unsafe(x int) RETURNS float8 LANGUAGE sagemaker COST 10000 AS 'e';
CREATE FUNCTION cheap(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE AS 'e';
CREATE FUNCTION restricted(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL RESTRICTED COST 10000 AS 'e';
CREATE FUNCTION advised(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'e';
CREATE FUNCTION definer(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 SECURITY DEFINER AS 'e';
REVOKE EXECUTE ON FUNCTION definer FROM PUBLIC;
CREATE OR REPLACE FUNCTION definer(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 SECURITY DEFINER AS 'e';
GRANT EXECUTE ON FUNCTION definer TO regress_sagemaker_other;
CREATE OR REPLACE FUNCTION definer(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 SECURITY DEFINER AS 'e';

--
-- Who may make one, and who may call it.
--
SELECT lanname, lanpltrusted, lanacl IS NOT NULL AS has_acl, has_language_privilege('regress_sagemaker_maker', lanname, 'USAGE') AS maker
FROM pg_language WHERE lanname = 'sagemaker';
SET ROLE regress_sagemaker_maker;
CREATE FUNCTION made(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'e';
RESET ROLE;
GRANT USAGE ON LANGUAGE sagemaker TO regress_sagemaker_maker;
SET ROLE regress_sagemaker_maker;
CREATE FUNCTION made(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'e';
REVOKE EXECUTE ON FUNCTION made FROM PUBLIC;
\set VERBOSITY terse
SELECT sagemaker_validator('made'::regproc);
SELECT sagemaker_call_handler();
RESET ROLE;
SET ROLE regress_sagemaker_other;
CREATE FUNCTION other(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'e';
SELECT made(1);
SELECT made(i) FROM generate_series(1, 3) i;
SELECT i FROM generate_series(1, 3) i WHERE made(i) > 1;
EXPLAIN (COSTS OFF) SELECT made(i) FROM generate_series(1, 3) i;
\set VERBOSITY default
RESET ROLE;

--
-- The validator is not all: a call checks as well.
--
SET check_function_bodies = off;
CREATE FUNCTION late(x int) RETURNS int LANGUAGE sagemaker AS '{"endpoint": "e", "max_rows": 0}';
CREATE FUNCTION late_set(x int) RETURNS SETOF int LANGUAGE sagemaker AS 'e';
CREATE FUNCTION late_stable(x int) RETURNS int LANGUAGE sagemaker STABLE AS 'e';
CREATE PROCEDURE late_procedure(x int) LANGUAGE sagemaker AS 'e';
CREATE FUNCTION late_trigger() RETURNS trigger LANGUAGE sagemaker AS 'e';
RESET check_function_bodies;
SELECT call, outcome(call) AS outcome FROM unnest(ARRAY[
    'SELECT late(1)', 'SELECT late(i) FROM generate_series(1, 3) i', 'SELECT i FROM generate_series(1, 3) i WHERE late(i) > 1',
    'SELECT late(i) FROM generate_series(1, 0) i', 'SELECT late_set(1)', 'SELECT * FROM late_set(1)', 'SELECT late_stable(1)',
    'SELECT late_stable(i) FROM generate_series(1, 3) i', 'CALL late_procedure(1)',
    'CREATE TABLE t (i int); CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION late_trigger(); INSERT INTO t VALUES (1)']) AS call;

-- ALTER FUNCTION asks no validator.
SELECT outcome('SELECT advised(1)'), outcome('SELECT advised(i) FROM generate_series(1, 3) i');
ALTER FUNCTION advised(int) IMMUTABLE;
SELECT advised(1);
SELECT advised(i) FROM generate_series(1, 3) i;
EXPLAIN (COSTS OFF) SELECT advised(1), advised(i) FROM generate_series(1, 3) i;
ALTER FUNCTION advised(int) VOLATILE;
-- What makes a function's result stand still refuses it.
\set VERBOSITY terse
CREATE TABLE generated (x int, y float8 GENERATED ALWAYS AS (advised(x)) STORED);
CREATE TABLE indexed (x int);
CREATE INDEX ON indexed (advised(x));
\set VERBOSITY default

--
-- Plans.
--
EXPLAIN (VERBOSE, COSTS OFF) SELECT advised(x) FROM indexed WHERE x > 3;
EXPLAIN (COSTS OFF) SELECT count(*) FROM indexed WHERE advised(x) > 0.5;
SET sagemaker_rt.batch = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT advised(x) FROM indexed WHERE x > 3;
RESET sagemaker_rt.batch;

--
-- A definition that was read back is the same.
--
CREATE FUNCTION whole(a int, b text DEFAULT 'it''s', VARIADIC c float8[] DEFAULT '{}', OUT score float8, OUT label text)
LANGUAGE sagemaker STRICT PARALLEL SAFE COST 10000 SET work_mem = '1MB'
AS $body$ {"endpoint": "e", "constant": {"quote": "it's"}, "format": "instances"} $body$;
COMMENT ON FUNCTION whole IS 'a model';
SELECT pg_get_functiondef('whole'::regproc) AS definition \gset
\echo :definition
DROP FUNCTION whole;
:definition;
SELECT pg_get_functiondef('whole'::regproc) = :'definition' AS same;

-- The language goes with the extension, the functions with the language.
DROP FUNCTION late, late_set, late_stable, late_trigger;
DROP PROCEDURE late_procedure;
DROP FUNCTION unsafe, cheap, restricted, plain, whole, made;
DROP EXTENSION sagemaker_rt;
DROP LANGUAGE sagemaker;
DROP EXTENSION sagemaker_rt CASCADE;
SELECT count(*) FROM pg_language WHERE lanname = 'sagemaker';
SET client_min_messages = warning;
DROP SCHEMA models CASCADE;
DROP ROLE regress_sagemaker_maker, regress_sagemaker_other;
