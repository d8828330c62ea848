--
-- What the functions take and refuse.  Nothing is sent: what would be, fails at
-- the closed port that this cluster's settings name.
--
CREATE EXTENSION sagemaker_rt;

-- NULL for endpoint or body gives NULL, whatever else is given or not set.
SELECT sagemaker_invoke(NULL, 'body') IS NULL AS endpoint,
       sagemaker_invoke('endpoint', NULL::text) IS NULL AS text,
       sagemaker_invoke('endpoint', NULL::bytea) IS NULL AS bytea,
       sagemaker_invoke('endpoint', NULL::json) IS NULL AS json,
       sagemaker_invoke('endpoint', NULL::jsonb) IS NULL AS jsonb,
       sagemaker_invoke(NULL, NULL) IS NULL AS neither;
SELECT sagemaker_invoke('../x', NULL::bytea, server => 'x', options => '[]') IS NULL AS not_looked_at;
SELECT (sagemaker_invoke('endpoint', NULL::bytea)).*;

SET sagemaker_rt.access_key_id = 'AKIDREGRESS';
SET sagemaker_rt.secret_access_key = 'secret';

-- Which overload an expression means.
CREATE FUNCTION overload(body text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    type text;
BEGIN
    EXECUTE 'CREATE TEMP VIEW v AS SELECT sagemaker_invoke(''endpoint'', ' || body || ')';
    SELECT proargtypes[1]::regtype INTO STRICT type
    FROM pg_depend JOIN pg_proc ON pg_proc.oid = refobjid AND refclassid = 'pg_proc'::regclass
    WHERE classid = 'pg_rewrite'::regclass
      AND objid = (SELECT oid FROM pg_rewrite WHERE ev_class = 'v'::regclass);
    DROP VIEW v;
    RETURN type;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT body, overload(body)
FROM unnest(ARRAY['''1,2''', 'NULL', '''\x00''', '''\x00''::bytea', '''{}''::json', '''{}''::jsonb',
                  '''a''::varchar', '''a''::name', 'to_jsonb(1)', 'row_to_json(row(1))',
                  'convert_to(''a'', ''UTF8'')', 'body => ''a''', '1', 'ARRAY[1]', 'row(1)']) AS body;

-- Bytes written as text are told from bytes.
SELECT sagemaker_invoke('-', '\x00');
\set VERBOSITY terse
SELECT sagemaker_invoke('-', '\x00'::bytea);
SELECT sagemaker_invoke('-', ' \x00');
SELECT sagemaker_invoke('-', '"\\x00"'::json);
\set VERBOSITY default

-- A refused argument is named.
CREATE FUNCTION refusal(arguments text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT sagemaker_invoke(' || arguments || ')';
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

SELECT name, refusal(format('%L, ''body''', name))
FROM unnest(ARRAY['', '../x', 'a/b', 'a.b', 'a_b', 'a b', '-a', 'a-', 'a%2fb', 'a?b', 'a#b', 'a@b',
                  E'a\r\nb', E'a\tb', E'\u00e9', repeat('a', 64)]) AS name;

-- One header would become two, or another: every control character and whatever
-- is not ASCII, in every argument that travels in a header.
CREATE TABLE member AS
SELECT name, n
FROM (SELECT proargnames FROM pg_proc WHERE proname = 'sagemaker_invoke' LIMIT 1) AS p,
     unnest(proargnames) WITH ORDINALITY AS a(name, n)
WHERE n > 2 AND name NOT IN ('server', 'options');
SELECT name, left(refusal, 5) AS sqlstate, count(*)
FROM member,
     generate_series(1, 255) AS code,
     LATERAL refusal(format('''endpoint'', ''body'', %I => %L', name, 'a' || chr(code) || 'a'))
WHERE code < 32 OR code >= 127
GROUP BY name, n, left(refusal, 5)
ORDER BY n;
SELECT name, refusal(format('''endpoint'', ''body'', %I => %L', name, E'a\r\nX-Other: 1'))
FROM member ORDER BY n;

-- Lengths are those of the API.  Where empty is permitted, no refusal is asked for.
SELECT name, refusal(format('''endpoint'', ''body'', %I => ''''', name))
FROM member
WHERE name NOT IN ('content_type', 'accept', 'custom_attributes')
ORDER BY n;
SELECT name, refusal(format('''endpoint'', ''body'', %I => %L', name, repeat('a', too_long)))
FROM member
JOIN (VALUES ('content_type', 1025), ('accept', 1025), ('custom_attributes', 1025),
             ('target_model', 1025), ('target_variant', 64), ('target_container_hostname', 64),
             ('inference_id', 65), ('enable_explanations', 65), ('inference_component_name', 64),
             ('session_id', 257), ('prefix_aware_id', 65)) AS v(name, too_long) USING (name)
ORDER BY n;

-- Patterns.
SELECT arguments, refusal('''endpoint'', ''body'', ' || arguments)
FROM unnest(ARRAY[
    'target_variant => ''a/b''',
    'target_variant => ''-a''',
    'target_container_hostname => ''a.b''',
    'inference_component_name => ''a_b''',
    'session_id => ''NEW_SESSIONS''',
    'session_id => ''new_session''',
    'target_model => '' a''',
    'inference_id => '' a''',
    'prefix_aware_id => '' a''']) WITH ORDINALITY AS a(arguments, n)
ORDER BY n;

-- Servers.
SELECT refusal('''endpoint'', ''body'', server => ''there is none''');
SELECT refusal('''endpoint'', ''body'', server => ''''');

-- Options.
SELECT options, refusal(format('''endpoint'', ''body'', options => %L', options))
FROM unnest(ARRAY[
    '[]',
    'null',
    '1',
    '"timeout"',
    '{"timout": "1s"}',
    '{"timeout": null}',
    '{"timeout": {}}',
    '{"timeout": ["1s"]}',
    '{"timeout": true}',
    '{"timeout": "soon"}',
    '{"timeout": "1 parsec"}',
    '{"timeout": 0}',
    '{"timeout": "-1s"}',
    '{"timeout": "2d"}',
    '{"timeout": 1e30}',
    '{"connect_timeout": "0"}',
    '{"total_timeout": "x"}',
    '{"max_attempts": 0}',
    '{"max_attempts": 101}',
    '{"max_attempts": "3s"}',
    '{"max_response_size": -1}',
    '{"max_response_size": "1TB"}',
    '{"retry_timeouts": "maybe"}',
    '{"timeout": "1s", "endpoint_url": "http://127.0.0.1:2"}',
    '{"region": "us-east-1"}',
    '{"secret_access_key": "x"}',
    '{"headers": null}',
    '{"headers": []}',
    '{"headers": "X-Amzn-SageMaker-New: 1"}',
    '{"headers": {"X-Amzn-SageMaker-New": null}}',
    '{"headers": {"X-Amzn-SageMaker-New": {"a": 1}}}',
    '{"headers": {"X-Amzn-SageMaker-New": "a\r\nb"}}',
    '{"headers": {"X-Amzn-SageMaker-New": "\u00e9"}}',
    '{"headers": {"X-Amzn-SageMaker-N\u00e9w": "1"}}',
    '{"headers": {"X-Amzn-SageMaker-New:": "1"}}',
    '{"headers": {"X-Amzn-SageMaker-": "1"}}',
    '{"headers": {"X-Amz-Date": "1"}}',
    '{"headers": {"Authorization": "1"}}',
    '{"headers": {"Host": "other.example"}}',
    '{"headers": {"": "1"}}',
    '{"headers": {"x-amzn-sagemaker-target-model": "a"}}',
    '{"headers": {"X-Amzn-SageMaker-New": "1", "x-amzn-sagemaker-new": "2"}}']) WITH ORDINALITY AS o(options, n)
ORDER BY n;

--
-- The body of an answer, decoded.
--
CREATE FUNCTION answer(body bytea, content_type text DEFAULT NULL) RETURNS sagemaker_response
LANGUAGE sql AS $$ SELECT ROW(body, content_type, NULL, NULL, NULL, NULL, NULL)::sagemaker_response $$;

-- The charset of the content type, else UTF-8.
SELECT content_type, sagemaker_body_text(answer('\x63f47ee9', content_type))
FROM unnest(ARRAY['text/plain; charset=iso-8859-1', 'text/plain;charset=latin1', 'TEXT/PLAIN; CHARSET=Latin1',
                  'text/plain; charset="windows-1252"', 'text/csv; header=absent; charset=latin-1; x=y']) AS content_type;
SELECT sagemaker_body_text(answer('\x88ea', 'text/plain; charset=shift_jis')) = U&'\4E00' AS shift_jis;
SELECT left(content_type, 45) AS content_type, sagemaker_body_text(answer('\xc3a9', content_type))
FROM unnest(ARRAY[NULL, '', 'text/plain', 'application/json', 'text/plain; charset=utf-8',
                  'text/plain; charset="UTF-8"', 'text/plain; charset=', 'text/plain; charset=x-klingon',
                  'text/plain; charset=' || repeat('latin1', 50),
                  'text/plain; xcharset=latin1', 'multipart/mixed; boundary="charset=latin1"']) AS content_type;

-- Nothing in, nothing out.
SELECT sagemaker_body_text(NULL::sagemaker_response) IS NULL AS text,
       sagemaker_body_json(NULL::sagemaker_response) IS NULL AS json,
       sagemaker_body_text(answer(NULL)) IS NULL AS text_of_no_body,
       sagemaker_body_json(answer(NULL)) IS NULL AS json_of_no_body,
       sagemaker_body_text(answer('')) = '' AS text_of_empty_body;

-- Bytes that text cannot hold.
\set VERBOSITY sqlstate
SELECT sagemaker_body_text(answer('\xff'));
SELECT sagemaker_body_text(answer('\xc3'));
SELECT sagemaker_body_text(answer('\xeda080'));
SELECT sagemaker_body_text(answer('\x610062'));
SELECT sagemaker_body_text(answer('\x610062', 'text/plain; charset=latin1'));
SELECT sagemaker_body_text(answer('\xff', 'text/plain; charset=sql_ascii'));
\set VERBOSITY default

-- JSON is UTF-8 whatever the content type says.
SELECT sagemaker_body_json(answer(convert_to(U&'{"caf\00e9": [1, 2.50, true, null, "\\u20ac"]}', 'UTF8'),
                                  'application/json; charset=latin1'));
SELECT sagemaker_body_json(answer('12345678901234567890.123456789012345678901234567890')) AS digits,
       sagemaker_body_json(answer('1e-400')) = to_jsonb(1e-400) AS small,
       sagemaker_body_json(answer('1e400')) = to_jsonb(1e400) AS large;
SELECT sagemaker_body_json(answer('{"a": 1}')) -> 'a' AS a;

-- What is not JSON is shown by its beginning.
SELECT sagemaker_body_json(answer('<html>502</html>', 'text/html'));
SELECT sagemaker_body_json(answer(convert_to(repeat('nope ', 100), 'UTF8')));
SELECT sagemaker_body_json(answer(''));
SELECT sagemaker_body_json(answer('{"a": 1'));
SELECT sagemaker_body_json(answer('\xff00610a62'));
SELECT sagemaker_body_json(answer('0.5,0.5'));
SELECT sagemaker_body_json(answer('NaN'));

-- What is JSON, and more than jsonb can hold.
\set VERBOSITY sqlstate
SELECT sagemaker_body_json(answer(convert_to(repeat('[', 200000) || repeat(']', 200000), 'UTF8')));
SELECT sagemaker_body_json(answer('1e1000000'));
SELECT sagemaker_body_json(answer('"\\u0000"'));
\set VERBOSITY default
SELECT 'the session goes on' AS state;

DROP TABLE member;
DROP FUNCTION overload, refusal, answer;
DROP EXTENSION sagemaker_rt;
