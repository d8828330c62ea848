--
-- The settings: what they are, who may set them, what they refuse.
--
CREATE EXTENSION sagemaker_rt;
LOAD 'sagemaker_rt';
CREATE ROLE regress_sagemaker_plain;

SELECT name, vartype, unit, min_val, max_val, boot_val, context
FROM pg_settings WHERE name LIKE 'sagemaker\_rt.%'
ORDER BY name COLLATE "C";

-- Units.
SET sagemaker_rt.timeout = '2s';
SHOW sagemaker_rt.timeout;
SET sagemaker_rt.total_timeout = '90min';
SHOW sagemaker_rt.total_timeout;
SET sagemaker_rt.idle_timeout = '1min';
SHOW sagemaker_rt.idle_timeout;
SET sagemaker_rt.max_response_size = '2kB';
SHOW sagemaker_rt.max_response_size;
SET sagemaker_rt.connect_timeout = 250;
SHOW sagemaker_rt.connect_timeout;

-- Ranges: one past each end.
CREATE FUNCTION sqlstate_of_setting(name text, value text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config(name, value, true);
    RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END $$;
SELECT name, sqlstate_of_setting(name, min_val) AS least,
       sqlstate_of_setting(name, (min_val::numeric - 1)::text) AS too_little,
       sqlstate_of_setting(name, max_val) AS most,
       sqlstate_of_setting(name, (max_val::numeric + 1)::text) AS too_much
FROM pg_settings WHERE name LIKE 'sagemaker\_rt.%' AND vartype = 'integer'
ORDER BY name COLLATE "C";
RESET ALL;

-- A misspelt name is refused, since PostgreSQL can reserve a prefix.
SELECT sqlstate_of_setting('sagemaker_rt.regoin', 'us-east-1') =
       CASE WHEN current_setting('server_version_num')::int < 150000
            THEN 'accepted' ELSE '42602' END AS as_the_server_can;

--
-- A plain role sets what a call may cost, not where it goes or what it trusts.
--
SELECT array_agg(name ORDER BY name COLLATE "C") AS where_and_trust
FROM pg_settings WHERE name LIKE 'sagemaker\_rt.%' AND context = 'superuser';
SET ROLE regress_sagemaker_plain;
SELECT name, context, sqlstate_of_setting(name, setting || coalesce(unit, '')) AS outcome
FROM pg_settings WHERE name LIKE 'sagemaker\_rt.%'
ORDER BY context, name COLLATE "C";
\set VERBOSITY sqlstate
SET sagemaker_rt.endpoint_url = 'http://127.0.0.1:2';
SET LOCAL sagemaker_rt.endpoint_url = 'http://127.0.0.1:2';
SET sagemaker_rt.endpoint_url TO DEFAULT;
RESET sagemaker_rt.endpoint_url;
ALTER ROLE regress_sagemaker_plain SET sagemaker_rt.endpoint_url = 'http://127.0.0.1:2';
CREATE FUNCTION pg_temp.elsewhere() RETURNS void LANGUAGE sql
SET sagemaker_rt.endpoint_url = 'http://127.0.0.1:2' AS '';
\set VERBOSITY default
RESET ROLE;
SHOW sagemaker_rt.endpoint_url;

--
-- Secrets.
--
CREATE TABLE secret AS
SELECT 'sagemaker_rt.' || name AS name
FROM unnest(ARRAY['access_key_id', 'secret_access_key', 'session_token']) AS name;
GRANT SELECT ON secret TO PUBLIC;

-- Nobody reads them back, neither one by one nor in a list.
SELECT name, set_config(name, 'canary', false), current_setting(name) FROM secret;
SHOW sagemaker_rt.access_key_id;
SHOW sagemaker_rt.secret_access_key;
SHOW sagemaker_rt.session_token;
SELECT count(*) FROM pg_settings WHERE name IN (SELECT name FROM secret);
SELECT count(*) FROM pg_settings WHERE concat(setting, boot_val, reset_val) LIKE '%canary%';
SET ROLE regress_sagemaker_plain;
SELECT name, current_setting(name) FROM secret;

-- Any role sets its own, which set_config() does without an error.
SELECT name, set_config(name, 'mine', false) FROM secret;
RESET sagemaker_rt.session_token;
SHOW sagemaker_rt.session_token;
RESET ROLE;

-- What every role can read does not take them.
ALTER ROLE regress_sagemaker_plain SET sagemaker_rt.access_key_id = 'canary';
ALTER ROLE regress_sagemaker_plain SET sagemaker_rt.secret_access_key = 'canary';
ALTER ROLE regress_sagemaker_plain SET sagemaker_rt.session_token = 'canary';
\set VERBOSITY terse
ALTER ROLE regress_sagemaker_plain SET sagemaker_rt.secret_access_key FROM CURRENT;
ALTER ROLE regress_sagemaker_plain IN DATABASE :"DBNAME" SET sagemaker_rt.secret_access_key = 'canary';
ALTER ROLE ALL SET sagemaker_rt.secret_access_key = 'canary';
ALTER DATABASE :"DBNAME" SET sagemaker_rt.secret_access_key = 'canary';
CREATE FUNCTION keyed() RETURNS void LANGUAGE sql
SET sagemaker_rt.secret_access_key = 'canary' AS '';
CREATE FUNCTION keyed() RETURNS void LANGUAGE sql
SET sagemaker_rt.secret_access_key FROM CURRENT AS '';
CREATE FUNCTION keyed() RETURNS void LANGUAGE sql AS '';
ALTER FUNCTION keyed() SET sagemaker_rt.secret_access_key = 'canary';
ALTER FUNCTION keyed() SET sagemaker_rt.access_key_id FROM CURRENT;
ALTER SYSTEM SET sagemaker_rt.access_key_id = 'canary';
ALTER SYSTEM SET sagemaker_rt.secret_access_key = 'canary';
ALTER SYSTEM SET sagemaker_rt.session_token = 'canary';
\set VERBOSITY default
SELECT count(*) FROM pg_db_role_setting WHERE setconfig::text LIKE '%canary%';
SELECT count(*) FROM pg_proc WHERE proconfig::text LIKE '%canary%';

-- One that is stored can be cleared all the same.
ALTER ROLE regress_sagemaker_plain RESET sagemaker_rt.secret_access_key;
ALTER ROLE regress_sagemaker_plain SET sagemaker_rt.secret_access_key TO DEFAULT;

-- A value that cannot be one is refused, and not repeated.
SET sagemaker_rt.secret_access_key = 'canary with blanks';
SET sagemaker_rt.secret_access_key = E'canary\r\nX-Other: 1';
SET sagemaker_rt.secret_access_key = E'canary\u00e9';
SET sagemaker_rt.session_token = E'canary\t';
SET sagemaker_rt.access_key_id = 'canary ';
SELECT set_config('sagemaker_rt.access_key_id', repeat('A', 129), false);
SELECT set_config('sagemaker_rt.secret_access_key', repeat('A', 257), false);
SELECT set_config('sagemaker_rt.session_token', repeat('A', 16385), false);
SELECT length(set_config('sagemaker_rt.access_key_id', repeat('A', 128), false)),
       length(set_config('sagemaker_rt.secret_access_key', repeat('A', 256), false)),
       length(set_config('sagemaker_rt.session_token', repeat('A', 16384), false));
RESET ALL;

--
-- Regions and URLs.
--
SET sagemaker_rt.region = 'us-east-1a!';
SELECT region, sqlstate_of_setting('sagemaker_rt.region', region)
FROM unnest(ARRAY['', 'us-east-1', 'cn-north-1', 'eusc-de-east-1', 'US-EAST-1', '-us', 'us-',
                  'us_east_1', 'us east', 'us.east', '169.254.169.254/', 'us-east-1#',
                  E'us-east-1\n', E'us-\u00e9', repeat('a', 63)]) AS region;
SELECT sqlstate_of_setting('sagemaker_rt.region', repeat('a', 64));

CREATE TABLE url AS
SELECT * FROM unnest(ARRAY[
    '',
    'https://runtime.sagemaker.us-east-1.amazonaws.com',
    'https://vpce-1.runtime.sagemaker.us-east-1.vpce.amazonaws.com/',
    'https://gateway.example:8443/some/path',
    'HTTPS://[2001:db8::1]:8443',
    'http://127.0.0.1:8080',
    'gateway.example',
    'ftp://gateway.example',
    'file:///etc/passwd',
    'https:/gateway.example',
    'https://',
    'https://:443',
    'https://user@gateway.example',
    'https://user:password@gateway.example',
    'https://gateway.example?x',
    'https://gateway.example#x',
    'https://gateway.example /',
    E'https://gateway.example\r\nX-Other: 1',
    E'https://gateway.\u00e9xample',
    E'https://gateway.example\\@other.example',
    'https://gateway..example',
    'https://-gateway.example',
    'https://gateway.example:0',
    'https://gateway.example:65536',
    'https://gateway.example:x',
    'https://gateway.example/../x',
    'https://gateway.example//x',
    'https://gateway.example/%2',
    'https://0x7f.1',
    'https://017700000001',
    'https://2852039166',
    'https://[::ffff:169.254.169.254]',
    'https://[::1',
    'https://[gateway.example]'
]) WITH ORDINALITY AS url(url, n);
SELECT url, sqlstate_of_setting('sagemaker_rt.endpoint_url', url) AS endpoint_url,
       sqlstate_of_setting('sagemaker_rt.proxy', url) AS proxy
FROM url ORDER BY n;

--
-- What is missing is said, before anything is sent.
--
SET sagemaker_rt.access_key_id = 'AKIDREGRESS';
SET sagemaker_rt.secret_access_key = 'secret';
SET sagemaker_rt.region = '';
SELECT sagemaker_invoke('endpoint', 'body');
SET sagemaker_rt.endpoint_url = '';
SELECT sagemaker_invoke('endpoint', 'body');
RESET sagemaker_rt.region;
RESET sagemaker_rt.endpoint_url;

-- Plain http is for loopback, whatever it is called.
SET sagemaker_rt.endpoint_url = 'http://gateway.example';
SELECT sagemaker_invoke('endpoint', 'body');
\set VERBOSITY terse
SET sagemaker_rt.endpoint_url = 'http://127.0.0.1.example';
SELECT sagemaker_invoke('endpoint', 'body');
SET sagemaker_rt.endpoint_url = 'http://169.254.169.254';
SELECT sagemaker_invoke('endpoint', 'body');
\set VERBOSITY default
RESET sagemaker_rt.endpoint_url;

-- Both halves of a key are needed, and a token is no key.
RESET sagemaker_rt.secret_access_key;
SELECT sagemaker_invoke('endpoint', 'body');
RESET sagemaker_rt.access_key_id;
SET sagemaker_rt.secret_access_key = 'secret';
SELECT sagemaker_invoke('endpoint', 'body');
RESET sagemaker_rt.secret_access_key;
GRANT EXECUTE ON FUNCTION sagemaker_invoke(text, text, text, text, text, text, text, text, text,
    text, text, text, text, text, jsonb) TO regress_sagemaker_plain;
SET ROLE regress_sagemaker_plain;
SET sagemaker_rt.session_token = 'token';
SELECT sagemaker_invoke('endpoint', 'body');
RESET ROLE;

DROP TABLE secret, url;
DROP FUNCTION sqlstate_of_setting, keyed;
DROP EXTENSION sagemaker_rt;
DROP ROLE regress_sagemaker_plain;
