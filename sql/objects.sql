--
-- What CREATE EXTENSION makes, and who may use it.
--
CREATE EXTENSION sagemaker_rt;

-- Only a superuser installs it, into one schema for good.
SELECT superuser, trusted, relocatable, schema, requires
FROM pg_available_extension_versions
WHERE name = 'sagemaker_rt' AND installed;
CREATE SCHEMA elsewhere;
\set VERBOSITY sqlstate
ALTER EXTENSION sagemaker_rt SET SCHEMA elsewhere;
\set VERBOSITY default

-- Its members, without what comes with a member by itself: array types are
-- members since PostgreSQL 17.
CREATE VIEW member AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend AS d
WHERE refclassid = 'pg_extension'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'sagemaker_rt')
  AND deptype = 'e'
  AND NOT EXISTS (SELECT FROM pg_depend AS i
                  WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i');
SELECT object FROM member ORDER BY object COLLATE "C";

-- Each has a comment, and so has each column: no rows.
SELECT object FROM member
WHERE obj_description(objid, classid::regclass::name) IS NULL;
SELECT object, attname
FROM member
JOIN pg_class ON reltype = objid AND classid = 'pg_type'::regclass
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0
WHERE col_description(attrelid, attnum) IS NULL;

-- A call costs money and may answer differently each time; to read an answer
-- costs nothing.
SELECT proname, proargtypes[1]::regtype AS second_argument, provolatile,
       proparallel, procost, proisstrict, proretset, prosecdef, proconfig
FROM member JOIN pg_proc ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
ORDER BY proname COLLATE "C", proargtypes[1]::regtype::text COLLATE "C";

-- The overloads differ in the type of body alone.
SELECT DISTINCT proargnames, pronargdefaults, prorettype::regtype,
       proargtypes[0]::regtype AS endpoint,
       (proargtypes::oid[])[2:14]::regtype[] AS after_body
FROM member JOIN pg_proc ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
WHERE proname = 'sagemaker_invoke';

-- Members of the API's response in its order, the request id last.
SELECT attname, atttypid::regtype
FROM pg_attribute
WHERE attrelid = 'sagemaker_response'::regclass AND attnum > 0
ORDER BY attnum;

-- As with sagemaker_invoke, but that one overload may go without a body.
SELECT proargtypes[1]::regtype AS body, proargnames, pronargdefaults, prorettype::regtype,
       (proargtypes::oid[])[2:12]::regtype[] AS after_body
FROM member JOIN pg_proc ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
WHERE proname = 'sagemaker_invoke_async'
ORDER BY pronargdefaults, proargtypes[1]::regtype::text COLLATE "C";

-- Streams: again only the body differs.
SELECT DISTINCT proname, proargnames, pronargdefaults, prorettype::regtype, prorows,
       (proargtypes::oid[])[2:14]::regtype[] AS after_body
FROM member JOIN pg_proc ON objid = pg_proc.oid AND classid = 'pg_proc'::regclass
WHERE proname IN ('sagemaker_invoke_stream', 'sagemaker_stream_text')
ORDER BY proname;

-- A plain role may use nothing of it: no rows.  A kind of object that is not
-- known here gives NULL, which is shown as well.
CREATE ROLE regress_sagemaker_plain;
CREATE VIEW privilege AS
SELECT object,
       CASE classid
           WHEN 'pg_proc'::regclass THEN
               has_function_privilege('regress_sagemaker_plain', objid, 'EXECUTE')
           WHEN 'pg_type'::regclass THEN
               has_type_privilege('regress_sagemaker_plain', objid, 'USAGE') OR
               has_type_privilege('regress_sagemaker_plain',
                                  (SELECT typarray FROM pg_type WHERE oid = objid), 'USAGE')
           WHEN 'pg_class'::regclass THEN
               has_table_privilege('regress_sagemaker_plain', objid,
                                   'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR
               has_any_column_privilege('regress_sagemaker_plain', objid,
                                        'SELECT, INSERT, UPDATE, REFERENCES')
           WHEN 'pg_language'::regclass THEN
               has_language_privilege('regress_sagemaker_plain', objid, 'USAGE')
           WHEN 'pg_foreign_data_wrapper'::regclass THEN
               has_foreign_data_wrapper_privilege('regress_sagemaker_plain', objid, 'USAGE')
           WHEN 'pg_foreign_server'::regclass THEN
               has_server_privilege('regress_sagemaker_plain', objid, 'USAGE')
           WHEN 'pg_namespace'::regclass THEN
               has_schema_privilege('regress_sagemaker_plain', objid, 'USAGE, CREATE')
       END AS held
FROM member;
SELECT * FROM privilege WHERE held IS DISTINCT FROM false;
SET ROLE regress_sagemaker_plain;
\set VERBOSITY sqlstate
SELECT sagemaker_invoke('endpoint', NULL::text);
SELECT sagemaker_invoke('endpoint', NULL::bytea);
SELECT sagemaker_invoke('endpoint', NULL::json);
SELECT sagemaker_invoke('endpoint', NULL::jsonb);
SELECT sagemaker_body_text(ROW('1', NULL, NULL, NULL, NULL, NULL, NULL)::sagemaker_response);
SELECT sagemaker_body_json(ROW('1', NULL, NULL, NULL, NULL, NULL, NULL)::sagemaker_response);
SELECT sagemaker_invoke_async('endpoint', NULL::text);
SELECT sagemaker_async_result(NULL);
SELECT sagemaker_rt_version();
\set VERBOSITY default
RESET ROLE;

-- The query above does see a grant.
GRANT EXECUTE ON FUNCTION sagemaker_rt_version() TO PUBLIC;
SELECT * FROM privilege WHERE held;
REVOKE EXECUTE ON FUNCTION sagemaker_rt_version() FROM PUBLIC;

-- EXECUTE on a function is all that a caller needs.
GRANT EXECUTE ON FUNCTION sagemaker_rt_version() TO regress_sagemaker_plain;
SET ROLE regress_sagemaker_plain;
SELECT extension = (SELECT default_version FROM pg_available_extensions
                    WHERE name = 'sagemaker_rt') AS extension,
       postgresql = current_setting('server_version') AS postgresql,
       libcurl_built ~ '^\d+\.\d+\.\d+' AS libcurl_built,
       libcurl ~ '^\d+\.\d+\.\d+' AS libcurl,
       tls_library <> '' AS tls_library
FROM sagemaker_rt_version();
RESET ROLE;

DROP VIEW privilege, member;
DROP EXTENSION sagemaker_rt;
DROP ROLE regress_sagemaker_plain;

--
-- Into a schema of any name, past hostile objects in the search path.
--
CREATE SCHEMA "Models of 2025";
CREATE SCHEMA hostile;
CREATE DOMAIN hostile.bytea AS int;
CREATE DOMAIN hostile.text AS int;
CREATE DOMAIN hostile.jsonb AS int;
CREATE TYPE hostile.sagemaker_response AS (stolen int);
CREATE FUNCTION hostile.sagemaker_invoke(pg_catalog.text, pg_catalog.text)
RETURNS pg_catalog.text LANGUAGE sql AS $$ SELECT 'hostile'::pg_catalog.text $$;
SET search_path = hostile, public, pg_catalog;
CREATE EXTENSION sagemaker_rt SCHEMA "Models of 2025";
RESET search_path;
SELECT p.oid::regprocedure, p.prorettype::regtype
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
  AND p.proname LIKE 'sagemaker%'
ORDER BY p.oid::regprocedure::text COLLATE "C";

SET search_path = hostile, public, pg_catalog;
SELECT "Models of 2025".sagemaker_invoke(NULL, 'body'::pg_catalog.text) IS NULL AS ours;
SELECT "Models of 2025".sagemaker_body_json(
    ROW('{"a": 1}', NULL, NULL, NULL, NULL, NULL, NULL)::"Models of 2025".sagemaker_response);
RESET search_path;
DROP EXTENSION sagemaker_rt;

-- An object that is there already is not taken over.
\set VERBOSITY sqlstate
CREATE EXTENSION sagemaker_rt SCHEMA hostile;
\set VERBOSITY default
SELECT count(*) FROM pg_extension WHERE extname = 'sagemaker_rt';

-- DROP leaves nothing behind, and it can come back.
SELECT count(*) FROM pg_proc WHERE probin LIKE '%sagemaker_rt%';
CREATE EXTENSION sagemaker_rt;
DROP EXTENSION sagemaker_rt;

SET client_min_messages = warning;
DROP SCHEMA hostile, elsewhere, "Models of 2025" CASCADE;
