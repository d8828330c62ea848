--
-- Servers and user mappings: their options, who may set them, who may use them.
-- Nothing is sent anywhere: the endpoint_url of this cluster's configuration is a
-- closed port.
--
CREATE EXTENSION sagemaker_rt;
LOAD 'sagemaker_rt';
CREATE ROLE regress_sagemaker_plain;
CREATE ROLE regress_sagemaker_other;
GRANT USAGE ON FOREIGN DATA WRAPPER sagemaker TO regress_sagemaker_plain;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc WHERE proname LIKE 'sagemaker%' LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO regress_sagemaker_plain', f);
    END LOOP;
END $$;

-- What a command does, without doing it.
CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
EXCEPTION
    WHEN SQLSTATE 'ZZZZZ' THEN RETURN 'accepted';
    WHEN SQLSTATE '58030' THEN RETURN 'tries to connect';
    WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION hint_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    EXECUTE command;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || SQLERRM || '; ' || hint;
END $$;

-- The commands that give an object of that kind these options.
CREATE SERVER regress_sagemaker FOREIGN DATA WRAPPER sagemaker;
CREATE FUNCTION command(place text, options text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE place
        WHEN 'server' THEN 'CREATE SERVER new FOREIGN DATA WRAPPER sagemaker'
        WHEN 'mapping' THEN 'CREATE USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker'
        WHEN 'wrapper' THEN 'ALTER FOREIGN DATA WRAPPER sagemaker'
        WHEN 'table' THEN 'CREATE FOREIGN TABLE new (i int) SERVER regress_sagemaker'
    END || format(' OPTIONS (%s)', options)
$$;
CREATE FUNCTION option(name text, value text) RETURNS text LANGUAGE sql AS
$$ SELECT format('%I %L', name, value) $$;

--
-- Names.
--
SELECT place, hint_of(command(place, 'nonesuch ''1'''))
FROM unnest(ARRAY['server', 'mapping', 'wrapper', 'table']) AS place;
SELECT place, name,
       substring(hint_of(command(place, option(name, '1'))) FROM 'meant the option "(.*?)"') AS nearest
FROM (VALUES ('server', 'regoin'), ('server', 'Region'), ('server', 'endpoint'),
             ('server', 'endpoint_uri'), ('server', 'use_fip'), ('server', 'max_attemps'),
             ('server', 'secret_access_key'), ('mapping', 'secret_acces_key'),
             ('mapping', 'access_key'), ('mapping', 'endpoint_url'),
             ('mapping', repeat('x', 63))) AS name(place, name);
CREATE SERVER new FOREIGN DATA WRAPPER sagemaker OPTIONS (regoin 'us-east-1');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker OPTIONS (acces_key_id 'AKIDREGRESS');

-- All there are, as the hints list them, with a value that is good.
CREATE TABLE good AS
SELECT name, value, string_agg(place, ', ' ORDER BY place) AS places
FROM (SELECT place, regexp_split_to_table(
                 substring(hint_of(command(place, 'nonesuch ''1''')) FROM 'are: (.*)\.$'), ', ') AS name
      FROM unnest(ARRAY['server', 'mapping']) AS place) AS valid
LEFT JOIN (VALUES
    ('region', 'eu-west-1'), ('endpoint_url', 'https://gateway.example:8443/path'),
    ('use_fips', 'on'), ('use_dualstack', 'false'), ('ca_file', '/etc/ssl/certs/ca.pem'),
    ('proxy', 'http://proxy.example:3128'), ('allow_http', 'true'),
    ('sts_endpoint_url', 'https://sts.example'), ('s3_endpoint_url', 'https://s3.example'),
    ('profile', 'production'),
    ('role_arn', 'arn:aws:iam::123456789012:role/scorer'), ('external_id', 'of this account'),
    ('role_session_name', 'database'), ('access_key_id', 'AKIDREGRESS'),
    ('secret_access_key', 'secret/of+regress='), ('session_token', 'token/of+regress=='),
    ('use_server_identity', 'true'), ('connect_timeout', '250ms'), ('timeout', '5s'),
    ('total_timeout', '2min'), ('max_attempts', '1'), ('max_response_size', '1MB'),
    ('retry_timeouts', 'off')) AS value(name, value) USING (name)
GROUP BY name, value;
GRANT SELECT ON good TO PUBLIC;

-- Where each may stand.
SELECT name, value, places,
       left(outcome(command('server', option(name, value))), 8) AS server,
       left(outcome(command('mapping', option(name, value))), 8) AS mapping,
       left(outcome(command('wrapper', option(name, value))), 8) AS wrapper,
       left(outcome(command('table', option(name, value))), 8) AS "table"
FROM good ORDER BY name COLLATE "C";

-- What only a superuser may set.
SET ROLE regress_sagemaker_plain;
CREATE SERVER regress_sagemaker_own FOREIGN DATA WRAPPER sagemaker;
SELECT name, places,
       outcome(command(place, option(name, value))) AS outcome
FROM good, regexp_split_to_table(places, ', ') AS place
WHERE value IS NOT NULL AND place = 'server'
ORDER BY name COLLATE "C";
SELECT name, outcome(format('CREATE USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own
                             OPTIONS (%I %L)', name, value)) AS outcome
FROM good WHERE value IS NOT NULL AND places ~ 'mapping'
ORDER BY name COLLATE "C";

-- Whatever its value.
SELECT outcome(command('server', option('allow_http', 'off')));
RESET ROLE;

--
-- Values.
--
SELECT name, value,
       outcome(command(CASE WHEN places ~ 'server' THEN 'server' ELSE 'mapping' END,
                       option(name, value))) AS outcome
FROM (SELECT name, places FROM good) AS good
JOIN (VALUES
    (1, 'region', ''), (2, 'region', 'US-EAST-1'), (3, 'region', '-us'), (4, 'region', 'us-'),
    (5, 'region', 'us_east_1'), (6, 'region', 'us-east-1.example'),
    (7, 'region', '169.254.169.254/'), (8, 'region', E'us-east-1\n'),
    (9, 'region', repeat('a', 64)), (10, 'region', repeat('a', 63)),
    (11, 'endpoint_url', ''), (12, 'endpoint_url', 'gateway.example'),
    (13, 'endpoint_url', 'ftp://gateway.example'), (14, 'endpoint_url', 'https://user@gateway.example'),
    (15, 'endpoint_url', 'https://gateway.example?x'), (16, 'endpoint_url', 'https://2852039166'),
    (17, 'endpoint_url', 'https://[::ffff:169.254.169.254]'),
    (18, 'endpoint_url', 'https://gateway.example/../x'), (19, 'endpoint_url', 'http://127.0.0.1:8080'),
    (20, 'sts_endpoint_url', 'sts.example'), (21, 'sts_endpoint_url', 'https://0xa9fea9fe'),
    (22, 'proxy', 'proxy.example'), (23, 'proxy', 'socks5://proxy.example'),
    (24, 'ca_file', ''), (25, 'ca_file', E'/etc/\n'), (26, 'profile', ''), (27, 'profile', E'a\tb'),
    (28, 'role_arn', ''), (29, 'external_id', E'\u00e9'), (30, 'role_session_name', ''),
    (31, 'use_fips', ''), (32, 'use_fips', 'maybe'), (33, 'use_fips', '1'), (34, 'use_dualstack', '2'),
    (35, 'allow_http', 'yes'), (36, 'allow_http', 'o'), (37, 'use_server_identity', 'maybe'),
    (38, 'access_key_id', ''), (39, 'secret_access_key', ''), (40, 'session_token', ''),
    (41, 'access_key_id', 'CANARY ID'), (42, 'secret_access_key', 'canary '),
    (43, 'secret_access_key', E'canary\r\nX-Other: 1'), (44, 'session_token', E'canary\u00e9'),
    (45, 'connect_timeout', '-1'), (46, 'timeout', '0'), (47, 'timeout', '2d'),
    (48, 'timeout', 'soon'), (49, 'timeout', '1'), (50, 'timeout', ''),
    (51, 'total_timeout', '1 parsec'), (52, 'max_attempts', '0'), (53, 'max_attempts', '101'),
    (54, 'max_attempts', '1s'), (55, 'max_response_size', '1TB'), (56, 'max_response_size', '0'),
    (57, 'retry_timeouts', 'maybe'), (58, 's3_endpoint_url', 'https://0xa9fea9fe')) AS tried(n, name, value) USING (name)
ORDER BY n;

-- Given twice, or without a value.
CREATE SERVER new FOREIGN DATA WRAPPER sagemaker OPTIONS (region 'us-east-1', region 'us-east-1');
\set VERBOSITY sqlstate
SELECT sagemaker_fdw_validator(ARRAY['region'], 'pg_foreign_server'::regclass);
SELECT sagemaker_fdw_validator(ARRAY[NULL], 'pg_foreign_server'::regclass);
SELECT sagemaker_fdw_validator(ARRAY[repeat('x', 10000) || '=1'], 'pg_foreign_server'::regclass);
\set VERBOSITY default

--
-- FIPS and dual stack choose between AWS's own hosts: there is none to choose
-- beside a URL, whichever comes first.
--
SELECT url, flag, value,
       outcome(command('server', option(url, 'https://gateway.example') || ', ' ||
                                 option(flag, value))) AS outcome
FROM unnest(ARRAY['endpoint_url', 'sts_endpoint_url', 's3_endpoint_url']) AS url,
     unnest(ARRAY['use_fips', 'use_dualstack']) AS flag, unnest(ARRAY['on', 'off']) AS value
ORDER BY url, flag, value;
ALTER SERVER regress_sagemaker OPTIONS (ADD use_fips 'on');
ALTER SERVER regress_sagemaker OPTIONS (ADD endpoint_url 'https://gateway.example');
-- The URL may be a setting.
SELECT sagemaker_invoke('endpoint', 'body', server => 'regress_sagemaker');
ALTER SERVER regress_sagemaker OPTIONS (SET use_fips 'off', ADD use_dualstack 'on');
SELECT sagemaker_invoke('endpoint', 'body', server => 'regress_sagemaker');
ALTER SERVER regress_sagemaker OPTIONS (DROP use_dualstack);

--
-- role_arn: a plain role's own keys may assume it, the server's identity may not.
--
SET ROLE regress_sagemaker_plain;
SELECT options,
       outcome('CREATE USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own OPTIONS (' ||
               options || ')')
FROM unnest(ARRAY[
    $$role_arn 'r'$$,
    $$role_arn 'r', access_key_id 'AKIDREGRESS'$$,
    $$role_arn 'r', secret_access_key 'secret'$$,
    $$role_arn 'r', external_id 'e', role_session_name 's'$$,
    $$role_arn 'r', access_key_id 'AKIDREGRESS', secret_access_key 'secret'$$,
    $$role_arn 'r', access_key_id 'AKIDREGRESS', secret_access_key 'secret', profile 'p'$$,
    $$role_arn 'r', access_key_id 'AKIDREGRESS', secret_access_key 'secret', use_server_identity 'no'$$
]) AS options;
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own
OPTIONS (access_key_id 'AKIDREGRESS', secret_access_key 'secret', role_arn 'r');
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own
OPTIONS (DROP access_key_id, DROP secret_access_key);
\set VERBOSITY terse
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own OPTIONS (DROP secret_access_key);
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own OPTIONS (ADD profile 'p');
ALTER SERVER regress_sagemaker_own OPTIONS (ADD role_arn 'r');
\set VERBOSITY default
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own
OPTIONS (DROP access_key_id, DROP secret_access_key, DROP role_arn);
RESET ROLE;

-- What a superuser gave stays as it is: its role cannot change what is beside
-- it, only drop the whole.
ALTER USER MAPPING FOR regress_sagemaker_plain SERVER regress_sagemaker_own
OPTIONS (ADD use_server_identity 'true', ADD role_arn 'r');
SET ROLE regress_sagemaker_plain;
\set VERBOSITY terse
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own OPTIONS (DROP role_arn);
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own OPTIONS (SET role_arn 'other');
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own OPTIONS (ADD external_id 'e');
\set VERBOSITY default
DROP USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker_own;
DROP SERVER regress_sagemaker_own;
RESET ROLE;

--
-- Who sees the secrets of a mapping: its own role if it has USAGE, of PUBLIC's
-- the server's owner, superusers.
--
CREATE USER MAPPING FOR regress_sagemaker_plain SERVER regress_sagemaker
OPTIONS (access_key_id 'AKIDREGRESS', secret_access_key 'canary');
CREATE USER MAPPING FOR PUBLIC SERVER regress_sagemaker
OPTIONS (access_key_id 'AKIDPUBLIC', secret_access_key 'canary');
CREATE FUNCTION readable() RETURNS SETOF text LANGUAGE sql AS
$$ SELECT usename || ': ' || coalesce(umoptions::text, 'not shown') FROM pg_user_mappings
   WHERE srvname = 'regress_sagemaker' ORDER BY usename COLLATE "C" $$;
SET ROLE regress_sagemaker_other;
SELECT readable();
\set VERBOSITY sqlstate
SELECT umoptions FROM pg_user_mapping;
\set VERBOSITY default
SET ROLE regress_sagemaker_plain;
SELECT readable();
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER regress_sagemaker TO regress_sagemaker_plain;
SET ROLE regress_sagemaker_plain;
SELECT readable();
RESET ROLE;

--
-- Calls: server and USAGE.
--
CREATE FUNCTION outcome_of_call(server text) RETURNS text LANGUAGE sql AS
$$ SELECT outcome(format('SELECT sagemaker_invoke(''endpoint'', ''body'', server => %L,
                                                  options => ''{"max_attempts": 1}'')', server)) $$;
CREATE FOREIGN DATA WRAPPER regress_sagemaker_foreign;
CREATE SERVER regress_sagemaker_foreign FOREIGN DATA WRAPPER regress_sagemaker_foreign;
SELECT server, outcome_of_call(server)
FROM unnest(ARRAY['regress_sagemaker', 'nonesuch', '', 'regress_sagemaker_foreign']) AS server;
SELECT sagemaker_invoke('endpoint', 'body', server => 'regress_sagemaker_foreign');
SET ROLE regress_sagemaker_plain;
SELECT outcome_of_call('regress_sagemaker');
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER regress_sagemaker FROM regress_sagemaker_plain;
SET ROLE regress_sagemaker_plain;
SELECT server, outcome_of_call(server)
FROM unnest(ARRAY['regress_sagemaker', 'nonesuch', '', 'regress_sagemaker_foreign']) AS server;
RESET ROLE;

-- The same by way of the default server.
SET sagemaker_rt.default_server = 'nonesuch';
SELECT outcome_of_call(NULL), outcome_of_call('regress_sagemaker');
SET sagemaker_rt.default_server = 'regress_sagemaker_foreign';
SELECT outcome_of_call(NULL);
SET sagemaker_rt.default_server = 'regress_sagemaker';
SHOW sagemaker_rt.default_server;
SELECT outcome_of_call(NULL), outcome_of_call('nonesuch');
SET ROLE regress_sagemaker_plain;
SELECT outcome_of_call(NULL) AS not_of_this_role;
SET sagemaker_rt.default_server = 'regress_sagemaker';
SELECT outcome_of_call(NULL);
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER regress_sagemaker TO regress_sagemaker_plain;
SET ROLE regress_sagemaker_plain;
SELECT outcome_of_call(NULL);
RESET ROLE;
RESET sagemaker_rt.default_server;

--
-- Calls: what is missing is said.
--
\set call 'SELECT sagemaker_invoke(''endpoint'', ''body'', server => ''regress_sagemaker'');'
DROP USER MAPPING FOR PUBLIC SERVER regress_sagemaker;
DROP USER MAPPING FOR regress_sagemaker_plain SERVER regress_sagemaker;
SET ROLE regress_sagemaker_plain;
SELECT sagemaker_invoke('endpoint', 'body');
:call
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker;
:call
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker OPTIONS (ADD access_key_id 'AKIDREGRESS');
:call
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker
OPTIONS (DROP access_key_id, ADD secret_access_key 'canary');
:call
ALTER USER MAPPING FOR CURRENT_USER SERVER regress_sagemaker
OPTIONS (DROP secret_access_key, ADD session_token 'canary');
:call
RESET ROLE;
ALTER USER MAPPING FOR regress_sagemaker_plain SERVER regress_sagemaker
OPTIONS (DROP session_token, ADD use_server_identity 'false');
SET ROLE regress_sagemaker_plain;
:call
RESET ROLE;

--
-- Of URLs, the server's comes before the setting's.
--
ALTER USER MAPPING FOR regress_sagemaker_plain SERVER regress_sagemaker
OPTIONS (DROP use_server_identity, ADD access_key_id 'AKIDREGRESS', ADD secret_access_key 'canary');
ALTER SERVER regress_sagemaker OPTIONS (ADD endpoint_url 'http://gateway.example');
SET ROLE regress_sagemaker_plain;
:call
RESET ROLE;
ALTER SERVER regress_sagemaker OPTIONS (DROP endpoint_url);
SET sagemaker_rt.endpoint_url = 'http://other.example';
SET ROLE regress_sagemaker_plain;
:call
RESET ROLE;
ALTER SERVER regress_sagemaker OPTIONS (ADD endpoint_url 'http://127.0.0.1:1');
SET ROLE regress_sagemaker_plain;
SELECT outcome_of_call('regress_sagemaker');
RESET ROLE;
RESET sagemaker_rt.endpoint_url;

-- So do its limits, and a call's come before both.
ALTER SERVER regress_sagemaker OPTIONS (ADD max_attempts '1');
CREATE FUNCTION attempts(options jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
    PERFORM sagemaker_invoke('endpoint', 'body', server => 'regress_sagemaker', options => options);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ': ' || substring(detail FROM '\d+ attempts?');
END $$;
SET ROLE regress_sagemaker_plain;
SET sagemaker_rt.max_attempts = 3;
SELECT attempts(NULL), attempts('{"max_attempts": 2}');
RESET sagemaker_rt.max_attempts;
RESET ROLE;

--
-- What is in use is dropped by the usual rules only.
--
\set VERBOSITY sqlstate
DROP SERVER regress_sagemaker;
DROP EXTENSION sagemaker_rt;
DROP ROLE regress_sagemaker_plain;
\set VERBOSITY default
SET client_min_messages = warning;
DROP SERVER regress_sagemaker CASCADE;
SELECT outcome_of_call('regress_sagemaker');
DROP FOREIGN DATA WRAPPER regress_sagemaker_foreign CASCADE;
DROP FUNCTION attempts, outcome_of_call, readable, command, option, hint_of, outcome;
DROP TABLE good;
DROP EXTENSION sagemaker_rt;
DROP ROLE regress_sagemaker_plain, regress_sagemaker_other;
