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
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO regress_sagemaker_plain', f);
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
SELECT place, name, substring(hint_of(command(place, option(name, '1'))) FROM '^.*?[;.] |^.*') AS hint
FROM (VALUES ('server', 'regoin'), ('server', 'Region'), ('server', 'endpoint'),
             ('server', 'endpoint_uri'), ('server', 'use_fip'), ('server', 'max_attemps'),
             ('server', 'secret_access_key'), ('mapping', 'secret_acces_key'),
             ('mapping', 'access_key'), ('mapping', 'endpoint_url'), ('mapping', ''),
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
    ('sts_endpoint_url', 'https://sts.example'), ('profile', 'production'),
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

-- Turning off what nobody turned on is no way round that.
SELECT name, outcome(command('server', option(name, 'off'))) AS outcome
FROM good WHERE name IN ('allow_http', 'use_fips') ORDER BY name COLLATE "C";
RESET ROLE;

--
-- Values.
--
SELECT name, value, outcome(command(CASE WHEN places ~ 'server' THEN 'server' ELSE 'mapping' END,
                                    option(name, bad.value))) AS outcome
FROM (VALUES
    ('region', ''), ('region', 'US-EAST-1'), ('region', '-us'), ('region', 'us-'),
    ('region', 'us_east_1'), ('region', 'us-east-1.example'), ('region', '169.254.169.254/'),
    ('region', E'us-east-1\n'), ('region', repeat('a', 64)), ('region', repeat('a', 63)),
    ('endpoint_url', ''), ('endpoint_url', 'gateway.example'), ('endpoint_url', 'ftp://gateway.example'),
    ('endpoint_url', 'https://user@gateway.example'), ('endpoint_url', 'https://gateway.example?x'),
    ('endpoint_url', 'https://2852039166'), ('endpoint_url', 'https://[::ffff:169.254.169.254]'),
    ('endpoint_url', 'https://gateway.example/../x'), ('endpoint_url', 'http://127.0.0.1:8080'),
    ('sts_endpoint_url', 'sts.example'), ('sts_endpoint_url', 'https://0xa9fea9fe'),
    ('proxy', 'proxy.example'), ('proxy', 'socks5://proxy.example'),
    ('ca_file', ''), ('ca_file', E'/etc/\n'), ('profile', ''), ('profile', E'a\tb'),
    ('role_arn', ''), ('external_id', E'\u00e9'), ('role_session_name', ''),
    ('use_fips', ''), ('use_fips', 'maybe'), ('use_fips', '1'), ('use_dualstack', '2'),
    ('allow_http', 'yes'), ('allow_http', 'o'), ('use_server_identity', 'maybe'),
    ('access_key_id', ''), ('secret_access_key', ''), ('session_token', ''),
    ('access_key_id', 'CANARY ID'), ('secret_access_key', 'canary '),
    ('secret_access_key', E'canary\r\nX-Other: 1'), ('session_token', E'canary\u00e9'),
    ('timeout', '0'), ('timeout', '2d'), ('timeout', 'soon'), ('timeout', '1'), ('timeout', ''),
    ('connect_timeout', '-1'), ('total_timeout', '1 parsec'), ('max_attempts', '0'),
    ('max_attempts', '101'), ('max_attempts', '1s'), ('max_response_size', '1TB'),
    ('max_response_size', '0'), ('retry_timeouts', 'maybe')) AS bad(name, value)
JOIN good USING (name, value)
UNION ALL SELECT 'none', NULL, NULL WHERE false;
