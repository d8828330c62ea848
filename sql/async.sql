--
-- What the functions for asynchronous calls take and refuse.  Nothing is sent:
-- what would be, fails at the closed port that this cluster's settings name.
--
CREATE EXTENSION sagemaker_rt;
SET sagemaker_rt.access_key_id = 'AKIDREGRESS';
SET sagemaker_rt.secret_access_key = 'secret';

-- NULL for what is called or looked for gives NULL, whatever else is given.
SELECT sagemaker_invoke_async(NULL, 'body') IS NULL AS text,
       sagemaker_invoke_async(NULL) IS NULL AS nothing,
       sagemaker_invoke_async(NULL, server => 'x', options => '[]') IS NULL AS not_looked_at,
       sagemaker_async_result(NULL) IS NULL AS result,
       sagemaker_async_result(NULL, '', '-1 s', 'x', '[]') IS NULL AS result_not_looked_at;

CREATE FUNCTION refusal(call text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE 'SELECT ' || call;
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(hint, ''));
END $$;

-- Which overload an expression means: only one goes without a body.
CREATE FUNCTION overload(arguments text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    type text;
BEGIN
    EXECUTE 'CREATE TEMP VIEW v AS SELECT sagemaker_invoke_async(''endpoint''' || arguments || ')';
    SELECT proargtypes[1]::regtype INTO STRICT type
    FROM pg_depend JOIN pg_proc ON pg_proc.oid = refobjid AND refclassid = 'pg_proc'::regclass
    WHERE classid = 'pg_rewrite'::regclass
      AND objid = (SELECT oid FROM pg_rewrite WHERE ev_class = 'v'::regclass);
    DROP VIEW v;
    RETURN type;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT arguments, overload(arguments)
FROM unnest(ARRAY['', ', ''1,2''', ', NULL', ', ''\x00''::bytea', ', ''{}''::json', ', ''{}''::jsonb',
                  ', input_location => ''s3://b/k''', ', NULL, input_location => ''s3://b/k''',
                  ', body => ''a''', ', 1']) WITH ORDINALITY AS a(arguments, n)
ORDER BY n;

-- A body or its place, and not both.
SELECT arguments, refusal('sagemaker_invoke_async(''endpoint''' || arguments || ')')
FROM unnest(ARRAY['', ', NULL::text', ', ''body'', input_location => ''s3://b/k''',
                  ', ''''::bytea, input_location => ''s3://b/k''']) WITH ORDINALITY AS a(arguments, n)
ORDER BY n;

-- A body that is given has the service's limit.
SELECT refusal('sagemaker_invoke_async(''endpoint'', repeat(''x'', 128001))');
SELECT left(refusal('sagemaker_invoke_async(''endpoint'', repeat(''x'', 128000))'), 5) AS sent;

-- Bytes written as text are told from bytes.
SELECT sagemaker_invoke_async('-', '\x00');

-- One header would become two, or another: every control character and whatever
-- is not ASCII, in every argument that travels in a header.
CREATE TABLE member AS
SELECT name, n
FROM (SELECT proargnames FROM pg_proc WHERE proname = 'sagemaker_invoke_async' LIMIT 1) AS p,
     unnest(proargnames) WITH ORDINALITY AS a(name, n)
WHERE n > 2 AND name NOT IN ('server', 'options') AND name NOT LIKE '%\_seconds';
SELECT name, left(refusal, 5) AS sqlstate, count(*)
FROM member,
     generate_series(1, 255) AS code,
     LATERAL refusal(format('sagemaker_invoke_async(''endpoint'', %s, %I => %L)',
                            CASE name WHEN 'input_location' THEN 'NULL' ELSE '''body''' END,
                            name, CASE name WHEN 'input_location' THEN 's3://b/' ELSE 'a' END ||
                            chr(code) || 'a')) AS refusal
WHERE code < 32 OR code >= 127
GROUP BY name, n, left(refusal, 5)
ORDER BY n;

-- Lengths, patterns and bounds are those of the API.
SELECT left(argument, 60) AS argument,
       refusal(format('sagemaker_invoke_async(''endpoint'', %s, %s)',
                      CASE WHEN argument LIKE 'input%' THEN 'NULL' ELSE '''body''' END, argument))
FROM unnest(ARRAY[
    'inference_id => ''''', 'inference_id => '' a''', 'inference_id => repeat(''a'', 65)',
    'content_type => repeat(''a'', 1025)', 'accept => repeat(''a'', 1025)',
    'custom_attributes => repeat(''a'', 1025)',
    'input_location => ''''', 'input_location => ''s3:/b/k''', 'input_location => ''s3://''',
    'input_location => ''s3:///k''', 'input_location => ''http://b/k''',
    'input_location => ''s3://b/'' || repeat(''k'', 1018)',
    's3_output_path_extension => ''''', 's3_output_path_extension => ''a b''',
    's3_output_path_extension => ''s3://b/k''', 's3_output_path_extension => repeat(''a'', 513)',
    'filename => ''''', 'filename => ''.a''', 'filename => ''-a''', 'filename => ''a.b.c''',
    'filename => ''a/b''', 'filename => repeat(''a'', 33)',
    'request_ttl_seconds => 59', 'request_ttl_seconds => 21601', 'request_ttl_seconds => -60',
    'request_ttl_seconds => 2147483647', 'request_ttl_seconds => -2147483648',
    'invocation_timeout_seconds => 0', 'invocation_timeout_seconds => 3601'])
    WITH ORDINALITY AS a(argument, n)
ORDER BY n;
-- What the API permits is sent.
SELECT argument, left(refusal(format('sagemaker_invoke_async(''endpoint'', %s, %s)',
                      CASE WHEN argument LIKE 'input%' THEN 'NULL' ELSE '''body''' END, argument)), 5) AS sent
FROM unnest(ARRAY[
    'input_location => ''s3://b''', 'input_location => ''https://b.s3.amazonaws.com/k?x''',
    's3_output_path_extension => ''aZ09!_.*''''()/-''', 'filename => ''9A-_.z''',
    'request_ttl_seconds => 60', 'request_ttl_seconds => 21600',
    'invocation_timeout_seconds => 1', 'invocation_timeout_seconds => 3600'])
    WITH ORDINALITY AS a(argument, n)
ORDER BY n;

-- Members of other operations are none, and those of this one have arguments.
SELECT header, refusal(format('sagemaker_invoke_async(''endpoint'', ''body'', options => %L)',
                              json_build_object('headers', json_build_object(header, 'x'))))
FROM unnest(ARRAY['X-Amzn-SageMaker-InputLocation', 'x-amzn-sagemaker-content-type', 'Accept'])
    WITH ORDINALITY AS h(header, n)
ORDER BY n;

-- Locations of answers.
SELECT left(location, 60) AS location,
       refusal(format('sagemaker_async_result(%L)', location))
FROM unnest(ARRAY['', 'key', 's3://', 's3://bucket', 's3://bucket/', 's3:///key', 's3://b/key',
                  'https://bucket.s3.amazonaws.com/key', 's3://user@host/key', 's3://host:80/key',
                  's3://bucket/' || repeat('k', 1025)]) WITH ORDINALITY AS l(location, n)
ORDER BY n;
SELECT refusal('sagemaker_async_result(''s3://bucket/key'', ''key'')');

-- How long is waited.
SELECT wait, refusal(format('sagemaker_async_result(''s3://bucket/key'', wait => %L)', wait))
FROM unnest(ARRAY['-1 s', '1 day 1 s', '1 month', '-1 day', '2000000000 days', '178000000 years',
                  '-178000000 years']) WITH ORDINALITY AS w(wait, n)
ORDER BY n;
SELECT left(refusal('sagemaker_async_result(''s3://bucket/key'', wait => ''1 day'',
    options => ''{"max_attempts": 1}'')'), 5) AS asked;

-- Servers and options.
SELECT call, refusal(call)
FROM unnest(ARRAY[
    'sagemaker_invoke_async(''endpoint'', ''body'', server => ''there is none'')',
    'sagemaker_invoke_async(''endpoint'', ''body'', options => ''{"timout": 1}'')',
    'sagemaker_async_result(''s3://bucket/key'', server => ''there is none'')',
    'sagemaker_async_result(''s3://bucket/key'', options => ''{"timout": 1}'')',
    'sagemaker_async_result(''s3://bucket/key'', options => ''{"headers": {"X-Amzn-SageMaker-New": "1"}}'')'])
    WITH ORDINALITY AS c(call, n)
ORDER BY n;

-- The URL of S3 is chosen as the one of the endpoints is.
SELECT refusal('set_config(''sagemaker_rt.s3_endpoint_url'', ''ftp://host'', false)');
CREATE SERVER s FOREIGN DATA WRAPPER sagemaker
    OPTIONS (region 'us-east-1', s3_endpoint_url 'http://s3.example');
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (access_key_id 'x', secret_access_key 'y');
SELECT refusal('sagemaker_async_result(''s3://bucket/key'', server => ''s'')');
ALTER SERVER s OPTIONS (DROP s3_endpoint_url, ADD use_fips 'true');
SELECT refusal('sagemaker_async_result(''s3://bucket/key'', server => ''s'')');
SET sagemaker_rt.s3_endpoint_url = '';
ALTER SERVER s OPTIONS (SET region 'cn-north-1');
SELECT refusal('sagemaker_async_result(''s3://bucket/key'', server => ''s'')');

DROP TABLE member;
DROP FUNCTION refusal, overload;
SET client_min_messages = warning;
DROP SERVER s CASCADE;
DROP EXTENSION sagemaker_rt;
