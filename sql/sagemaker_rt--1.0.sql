/* sagemaker_rt--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION sagemaker_rt" to load this file. \quit

--
-- The answer of an endpoint
--

CREATE TYPE @extschema@.sagemaker_response AS (
	body bytea,
	content_type text,
	invoked_production_variant text,
	custom_attributes text,
	new_session_id text,
	closed_session_id text,
	request_id text
);

COMMENT ON TYPE @extschema@.sagemaker_response IS
'answer of a SageMaker endpoint: body and the other members of the API''s response';

COMMENT ON COLUMN @extschema@.sagemaker_response.body IS
'the model''s answer, byte for byte';
COMMENT ON COLUMN @extschema@.sagemaker_response.content_type IS
'media type of body, as the model container says';
COMMENT ON COLUMN @extschema@.sagemaker_response.invoked_production_variant IS
'production variant that answered';
COMMENT ON COLUMN @extschema@.sagemaker_response.custom_attributes IS
'what the model container set as custom attributes';
COMMENT ON COLUMN @extschema@.sagemaker_response.new_session_id IS
'id of the stateful session that this request opened, without its expiry';
COMMENT ON COLUMN @extschema@.sagemaker_response.closed_session_id IS
'id of the stateful session that this request closed';
COMMENT ON COLUMN @extschema@.sagemaker_response.request_id IS
'id of the request, which AWS Support asks for';

CREATE FUNCTION @extschema@.sagemaker_body_text(response @extschema@.sagemaker_response)
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_body_text(@extschema@.sagemaker_response) IS
'body of an answer as text, read in the charset of its content type, else as UTF-8';

CREATE FUNCTION @extschema@.sagemaker_body_json(response @extschema@.sagemaker_response)
RETURNS jsonb
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_body_json(@extschema@.sagemaker_response) IS
'body of an answer as jsonb';

--
-- InvokeEndpoint.  Everything after body defaults to NULL, which is: not sent.
-- A NULL endpoint or body gives NULL and sends nothing.  VOLATILE, as every
-- evaluation is a request that costs and may answer differently.
--
CREATE FUNCTION @extschema@.sagemaker_invoke(
	endpoint text,
	body bytea,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_model text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	enable_explanations text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke(text, bytea, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) IS
'sends body, byte for byte, to a SageMaker endpoint and returns its answer';

CREATE FUNCTION @extschema@.sagemaker_invoke(
	endpoint text,
	body text,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_model text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	enable_explanations text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke(text, text, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) IS
'sends body, as UTF-8, to a SageMaker endpoint and returns its answer';

CREATE FUNCTION @extschema@.sagemaker_invoke(
	endpoint text,
	body json,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_model text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	enable_explanations text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke(text, json, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) IS
'sends body, as application/json unless told otherwise, to a SageMaker endpoint and returns its answer';

CREATE FUNCTION @extschema@.sagemaker_invoke(
	endpoint text,
	body jsonb,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_model text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	enable_explanations text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke(text, jsonb, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) IS
'sends body, as application/json unless told otherwise, to a SageMaker endpoint and returns its answer';

--
-- Asynchronous calls: what says where the answer will be, and the answer
--

CREATE TYPE @extschema@.sagemaker_async_response AS (
	inference_id text,
	output_location text,
	failure_location text,
	request_id text
);

COMMENT ON TYPE @extschema@.sagemaker_async_response IS
'where the answer to an asynchronous call of a SageMaker endpoint will be';

COMMENT ON COLUMN @extschema@.sagemaker_async_response.inference_id IS
'id of the inference: the one that was sent, else one that the service made';
COMMENT ON COLUMN @extschema@.sagemaker_async_response.output_location IS
'place in S3 where the model''s answer will be';
COMMENT ON COLUMN @extschema@.sagemaker_async_response.failure_location IS
'place in S3 where the reason will be if the call fails';
COMMENT ON COLUMN @extschema@.sagemaker_async_response.request_id IS
'id of the request, which AWS Support asks for';

CREATE TYPE @extschema@.sagemaker_async_answer AS (
	state text,
	body bytea,
	content_type text
);

COMMENT ON TYPE @extschema@.sagemaker_async_answer IS
'answer to an asynchronous call of a SageMaker endpoint, as far as there is one';

COMMENT ON COLUMN @extschema@.sagemaker_async_answer.state IS
'pending: there is nothing yet; done: body is the model''s answer; failed: body is the reason';
COMMENT ON COLUMN @extschema@.sagemaker_async_answer.body IS
'the object in S3, byte for byte';
COMMENT ON COLUMN @extschema@.sagemaker_async_answer.content_type IS
'media type of body, as S3 has it';

CREATE FUNCTION @extschema@.sagemaker_body_text(answer @extschema@.sagemaker_async_answer)
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_body_text(@extschema@.sagemaker_async_answer) IS
'body of an asynchronous answer as text, read in the charset of its content type, else as UTF-8';

CREATE FUNCTION @extschema@.sagemaker_body_json(answer @extschema@.sagemaker_async_answer)
RETURNS jsonb
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_body_json(@extschema@.sagemaker_async_answer) IS
'body of an asynchronous answer as jsonb';

--
-- InvokeEndpointAsync.  Its body is given, or lies at input_location.  Only one
-- overload may go without a body, or a call without one would fit them all.
--
CREATE FUNCTION @extschema@.sagemaker_invoke_async(
	endpoint text,
	body bytea DEFAULT NULL,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	input_location text DEFAULT NULL,
	s3_output_path_extension text DEFAULT NULL,
	filename text DEFAULT NULL,
	request_ttl_seconds int DEFAULT NULL,
	invocation_timeout_seconds int DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_async_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke_async'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_async(text, bytea, text, text, text, text, text, text, text,
	int, int, text, jsonb) IS
'hands body, byte for byte, or an object of S3 to a SageMaker endpoint, and returns where the answer will be';

CREATE FUNCTION @extschema@.sagemaker_invoke_async(
	endpoint text,
	body text,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	input_location text DEFAULT NULL,
	s3_output_path_extension text DEFAULT NULL,
	filename text DEFAULT NULL,
	request_ttl_seconds int DEFAULT NULL,
	invocation_timeout_seconds int DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_async_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke_async'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_async(text, text, text, text, text, text, text, text, text,
	int, int, text, jsonb) IS
'hands body, as UTF-8, to a SageMaker endpoint, and returns where the answer will be';

CREATE FUNCTION @extschema@.sagemaker_invoke_async(
	endpoint text,
	body json,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	input_location text DEFAULT NULL,
	s3_output_path_extension text DEFAULT NULL,
	filename text DEFAULT NULL,
	request_ttl_seconds int DEFAULT NULL,
	invocation_timeout_seconds int DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_async_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke_async'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_async(text, json, text, text, text, text, text, text, text,
	int, int, text, jsonb) IS
'hands body, as application/json unless told otherwise, to a SageMaker endpoint, and returns where the answer will be';

CREATE FUNCTION @extschema@.sagemaker_invoke_async(
	endpoint text,
	body jsonb,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	input_location text DEFAULT NULL,
	s3_output_path_extension text DEFAULT NULL,
	filename text DEFAULT NULL,
	request_ttl_seconds int DEFAULT NULL,
	invocation_timeout_seconds int DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_async_response
AS 'MODULE_PATHNAME', 'sagemaker_invoke_async'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_async(text, jsonb, text, text, text, text, text, text, text,
	int, int, text, jsonb) IS
'hands body, as application/json unless told otherwise, to a SageMaker endpoint, and returns where the answer will be';

CREATE FUNCTION @extschema@.sagemaker_async_result(
	output_location text,
	failure_location text DEFAULT NULL,
	wait interval DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS @extschema@.sagemaker_async_answer
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_async_result(text, text, interval, text, jsonb) IS
'fetches the answer to an asynchronous call from S3, if it is there or comes while it waits';

--
-- InvokeEndpointWithResponseStream.  A row comes as soon as its part has come,
-- where the caller takes rows one by one: in the SELECT list, or through a cursor.
--

CREATE TYPE @extschema@.sagemaker_part AS (
	part_number int,
	bytes bytea,
	content_type text,
	invoked_production_variant text,
	custom_attributes text,
	request_id text
);

COMMENT ON TYPE @extschema@.sagemaker_part IS
'part of a streamed answer, with the members of the API''s response';

COMMENT ON COLUMN @extschema@.sagemaker_part.part_number IS
'number of the part, from 1';
COMMENT ON COLUMN @extschema@.sagemaker_part.bytes IS
'the part, byte for byte; where parts are cut means nothing';
COMMENT ON COLUMN @extschema@.sagemaker_part.content_type IS
'media type of all parts together, as the model container says';
COMMENT ON COLUMN @extschema@.sagemaker_part.invoked_production_variant IS
'production variant that answers';
COMMENT ON COLUMN @extschema@.sagemaker_part.custom_attributes IS
'what the model container set as custom attributes';
COMMENT ON COLUMN @extschema@.sagemaker_part.request_id IS
'id of the request, which AWS Support asks for';

CREATE FUNCTION @extschema@.sagemaker_invoke_stream(
	endpoint text,
	body bytea,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_part
AS 'MODULE_PATHNAME', 'sagemaker_invoke_stream'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_stream(text, bytea, text, text, text, text, text, text, text,
	text, text, text, jsonb) IS
'sends body, byte for byte, to a SageMaker endpoint and returns its answer part by part, as it comes';

CREATE FUNCTION @extschema@.sagemaker_invoke_stream(
	endpoint text,
	body text,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_part
AS 'MODULE_PATHNAME', 'sagemaker_invoke_stream'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_stream(text, text, text, text, text, text, text, text, text,
	text, text, text, jsonb) IS
'sends body, as UTF-8, to a SageMaker endpoint and returns its answer part by part, as it comes';

CREATE FUNCTION @extschema@.sagemaker_invoke_stream(
	endpoint text,
	body json,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_part
AS 'MODULE_PATHNAME', 'sagemaker_invoke_stream'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_stream(text, json, text, text, text, text, text, text, text,
	text, text, text, jsonb) IS
'sends body, as application/json unless told otherwise, to a SageMaker endpoint and returns its answer part by part, as it comes';

CREATE FUNCTION @extschema@.sagemaker_invoke_stream(
	endpoint text,
	body jsonb,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_part
AS 'MODULE_PATHNAME', 'sagemaker_invoke_stream'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_invoke_stream(text, jsonb, text, text, text, text, text, text, text,
	text, text, text, jsonb) IS
'sends body, as application/json unless told otherwise, to a SageMaker endpoint and returns its answer part by part, as it comes';

CREATE TYPE @extschema@.sagemaker_delta AS (
	delta text,
	finish_reason text,
	usage jsonb,
	sqlstate text,
	error text
);

COMMENT ON TYPE @extschema@.sagemaker_delta IS
'piece of a language model''s text';

COMMENT ON COLUMN @extschema@.sagemaker_delta.delta IS
'text to be appended to what came before; NULL where a message has none';
COMMENT ON COLUMN @extschema@.sagemaker_delta.finish_reason IS
'why the model stopped, in its last message';
COMMENT ON COLUMN @extschema@.sagemaker_delta.usage IS
'what the model counted, as it says it';
COMMENT ON COLUMN @extschema@.sagemaker_delta.sqlstate IS
'in the last row, if it failed and on_error says so: the error''s code';
COMMENT ON COLUMN @extschema@.sagemaker_delta.error IS
'and its message';

CREATE FUNCTION @extschema@.sagemaker_stream_text(
	endpoint text,
	body bytea,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	path jsonpath DEFAULT NULL,
	on_error text DEFAULT 'error',
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_delta
AS 'MODULE_PATHNAME', 'sagemaker_stream_text'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_stream_text(text, bytea, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) IS
'sends body, byte for byte, to a language model and returns its text piece by piece, as it comes';

CREATE FUNCTION @extschema@.sagemaker_stream_text(
	endpoint text,
	body text,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	path jsonpath DEFAULT NULL,
	on_error text DEFAULT 'error',
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_delta
AS 'MODULE_PATHNAME', 'sagemaker_stream_text'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_stream_text(text, text, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) IS
'sends body, as UTF-8, to a language model and returns its text piece by piece, as it comes';

CREATE FUNCTION @extschema@.sagemaker_stream_text(
	endpoint text,
	body json,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	path jsonpath DEFAULT NULL,
	on_error text DEFAULT 'error',
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_delta
AS 'MODULE_PATHNAME', 'sagemaker_stream_text'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_stream_text(text, json, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) IS
'sends body, as application/json unless told otherwise, to a language model and returns its text piece by piece, as it comes';

CREATE FUNCTION @extschema@.sagemaker_stream_text(
	endpoint text,
	body jsonb,
	content_type text DEFAULT NULL,
	accept text DEFAULT NULL,
	custom_attributes text DEFAULT NULL,
	target_variant text DEFAULT NULL,
	target_container_hostname text DEFAULT NULL,
	inference_id text DEFAULT NULL,
	inference_component_name text DEFAULT NULL,
	session_id text DEFAULT NULL,
	prefix_aware_id text DEFAULT NULL,
	path jsonpath DEFAULT NULL,
	on_error text DEFAULT 'error',
	server text DEFAULT NULL,
	options jsonb DEFAULT NULL)
RETURNS SETOF @extschema@.sagemaker_delta
AS 'MODULE_PATHNAME', 'sagemaker_stream_text'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000 ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_stream_text(text, jsonb, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) IS
'sends body, as application/json unless told otherwise, to a language model and returns its text piece by piece, as it comes';

--
-- Servers and user mappings: where requests go, and with whose keys
--

CREATE FUNCTION @extschema@.sagemaker_fdw_validator(options text[], catalog oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_fdw_validator(text[], oid) IS
'checks the options of servers and user mappings of foreign-data wrapper sagemaker';

CREATE FOREIGN DATA WRAPPER sagemaker
	NO HANDLER
	VALIDATOR @extschema@.sagemaker_fdw_validator;

COMMENT ON FOREIGN DATA WRAPPER sagemaker IS
'servers say where SageMaker requests go, user mappings with whose keys';

--
-- A model is a function
--

CREATE FUNCTION @extschema@.sagemaker_call_handler()
RETURNS language_handler
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_call_handler() IS
'calls functions of language sagemaker';

CREATE FUNCTION @extschema@.sagemaker_validator(function oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_validator(oid) IS
'checks definitions of functions of language sagemaker';

CREATE TRUSTED LANGUAGE sagemaker
	HANDLER @extschema@.sagemaker_call_handler
	VALIDATOR @extschema@.sagemaker_validator;

COMMENT ON LANGUAGE sagemaker IS
'a function''s body is a SageMaker endpoint''s name, or a JSON object of options';

CREATE FUNCTION @extschema@.sagemaker_predict(
	endpoint text,
	VARIADIC features "any")
RETURNS text
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_predict(text, "any") IS
'prediction of an endpoint''s model for one row, as text: features go as CSV, by the default server';

--
-- Rows that score themselves.  The arguments of a trigger are the model and the
-- columns that take its prediction.
--

CREATE FUNCTION @extschema@.sagemaker_predict_row()
RETURNS trigger
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_predict_row() IS
'trigger BEFORE INSERT OR UPDATE FOR EACH ROW: predicts the row when an input changed';

CREATE FUNCTION @extschema@.sagemaker_predict_rows()
RETURNS trigger
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 10000;

COMMENT ON FUNCTION @extschema@.sagemaker_predict_rows() IS
'trigger AFTER INSERT or UPDATE FOR EACH STATEMENT, with transition tables: predicts the rows of which an input changed, in batches';

--
-- Table jobs.  What could not be predicted is remembered by names, not by OIDs,
-- so that it can be dumped; the job writes it, whoever runs it.
--

CREATE TABLE @extschema@.sagemaker_failed_rows (
	relation text NOT NULL,
	model text NOT NULL,
	target text NOT NULL,
	key text[] NOT NULL,
	permanent boolean NOT NULL,
	sqlstate text NOT NULL,
	message text NOT NULL,
	request_id text,
	attempts int NOT NULL,
	failed_at timestamptz NOT NULL,
	input_digest bytea NOT NULL,
	PRIMARY KEY (relation, model, target, key)
);

COMMENT ON TABLE @extschema@.sagemaker_failed_rows IS
'rows that table jobs could not predict, and will not send again for now';

COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.relation IS
'table, with its schema';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.model IS
'model function, with its schema and argument types';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.target IS
'columns that take the prediction';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.key IS
'primary key of the row, as text';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.permanent IS
'true: not sent again with the same input; false: not more often than max_attempts';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.sqlstate IS
'SQLSTATE of the last failure';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.message IS
'message of the last failure';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.request_id IS
'id of the last request, which AWS Support asks for';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.attempts IS
'how many jobs have sent the row with this input';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.failed_at IS
'time of the last failure';
COMMENT ON COLUMN @extschema@.sagemaker_failed_rows.input_digest IS
'SHA-256 of the input as it is sent';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sagemaker_failed_rows', '');

CREATE FUNCTION @extschema@.sagemaker_may_read_table(relation text)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL UNSAFE COST 1000;

COMMENT ON FUNCTION @extschema@.sagemaker_may_read_table(text) IS
'whether the current role may read all rows of that table';

ALTER TABLE @extschema@.sagemaker_failed_rows ENABLE ROW LEVEL SECURITY;

CREATE POLICY readers_of_the_table ON @extschema@.sagemaker_failed_rows FOR SELECT
	USING (@extschema@.sagemaker_may_read_table(relation));

CREATE FUNCTION @extschema@.sagemaker_retry_failed(
	relation regclass,
	model text DEFAULT NULL,
	key text[] DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 1000;

COMMENT ON FUNCTION @extschema@.sagemaker_retry_failed(regclass, text, text[]) IS
'forgets rows that failed, of a table, a model, or a key, so that table jobs send them again; gives how many';

CREATE PROCEDURE @extschema@.sagemaker_predict_table(
	relation regclass,
	model text,
	target text,
	rows text DEFAULT NULL,
	source text DEFAULT NULL,
	key text DEFAULT NULL,
	insert_rows boolean DEFAULT false,
	made_at text DEFAULT NULL,
	variant text DEFAULT NULL,
	version text DEFAULT NULL,
	rows_per_transaction bigint DEFAULT 1000,
	max_rows bigint DEFAULT NULL,
	max_time interval DEFAULT NULL,
	max_attempts bigint DEFAULT 3,
	max_failed_rows bigint DEFAULT NULL,
	max_failed_ratio float8 DEFAULT 0.5,
	INOUT scored bigint DEFAULT NULL,
	INOUT failed bigint DEFAULT NULL,
	INOUT failed_before bigint DEFAULT NULL,
	INOUT changed bigint DEFAULT NULL)
AS 'MODULE_PATHNAME'
LANGUAGE C;

COMMENT ON PROCEDURE @extschema@.sagemaker_predict_table IS
'predicts the rows of a table that have no prediction, and commits as it goes';

--
-- Kept columns: declared once, filled and kept by the above.
--

CREATE TABLE @extschema@.sagemaker_kept_columns (
	relation text NOT NULL,
	target text NOT NULL,
	model text NOT NULL,
	mode text NOT NULL,
	made_at text,
	variant text,
	version text,
	PRIMARY KEY (relation, target)
);

COMMENT ON TABLE @extschema@.sagemaker_kept_columns IS
'columns that hold a model''s predictions, as declared by sagemaker_keep()';

COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.relation IS
'table, with its schema';
COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.target IS
'columns that take the prediction';
COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.model IS
'model function, with its schema and argument types';
COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.mode IS
'which triggers keep it: row, statement, queue, or off for none';
COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.made_at IS
'column that takes the time of the prediction';
COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.variant IS
'column that takes the production variant that predicted';
COMMENT ON COLUMN @extschema@.sagemaker_kept_columns.version IS
'column that takes the label of the model''s version';

SELECT pg_catalog.pg_extension_config_dump('@extschema@.sagemaker_kept_columns', '');

CREATE PROCEDURE @extschema@.sagemaker_keep(
	relation regclass,
	target text,
	model text,
	mode text DEFAULT 'statement',
	made_at text DEFAULT NULL,
	variant text DEFAULT NULL,
	version text DEFAULT NULL,
	fill boolean DEFAULT true,
	INOUT scored bigint DEFAULT NULL,
	INOUT failed bigint DEFAULT NULL,
	INOUT failed_before bigint DEFAULT NULL,
	INOUT changed bigint DEFAULT NULL)
AS 'MODULE_PATHNAME'
LANGUAGE C;

COMMENT ON PROCEDURE @extschema@.sagemaker_keep IS
'declares that columns hold a model''s predictions: makes the triggers of the mode, commits, and predicts the rows that are there';

CREATE FUNCTION @extschema@.sagemaker_coverage(
	OUT relation text,
	OUT target text,
	OUT model text,
	OUT mode text,
	OUT version text,
	OUT scored bigint,
	OUT missing bigint,
	OUT stale bigint,
	OUT failed bigint,
	OUT waiting interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 10000 ROWS 10;

COMMENT ON FUNCTION @extschema@.sagemaker_coverage() IS
'how well each kept column is kept: what sagemaker_stat_coverage shows';

CREATE VIEW @extschema@.sagemaker_stat_coverage AS
	SELECT * FROM @extschema@.sagemaker_coverage();

COMMENT ON VIEW @extschema@.sagemaker_stat_coverage IS
'kept columns of tables that the current role may read, or of all for members of pg_read_all_stats, and how many of their rows are predicted; counts the tables'' rows';

COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.relation IS
'table, with its schema';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.target IS
'columns that take the prediction';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.model IS
'model function, with its schema and argument types';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.mode IS
'which triggers keep it';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.version IS
'label of the model''s present version';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.scored IS
'rows with a prediction, of that version where it is stamped';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.missing IS
'rows without';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.stale IS
'rows with a prediction of another version';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.failed IS
'rows in sagemaker_failed_rows';
COMMENT ON COLUMN @extschema@.sagemaker_stat_coverage.waiting IS
'how long the oldest row in sagemaker_queue waits';

--
-- Rows that are scored after their transaction
--

CREATE SEQUENCE @extschema@.sagemaker_queue_id;

COMMENT ON SEQUENCE @extschema@.sagemaker_queue_id IS
'numbers of rows of the queue';

CREATE TABLE @extschema@.sagemaker_queue (
	id bigint PRIMARY KEY DEFAULT pg_catalog.nextval('@extschema@.sagemaker_queue_id'),
	state text NOT NULL DEFAULT 'waiting'
		CHECK (state IN ('waiting', 'running', 'failed', 'done', 'dead')),
	role name NOT NULL,
	model text NOT NULL,
	relation text NOT NULL,
	key text[] NOT NULL,
	columns text[],
	stamps text[],
	result json,
	attempts int NOT NULL DEFAULT 0,
	inference_id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	enqueued_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	due_at timestamptz DEFAULT pg_catalog.clock_timestamp(),
	sent_at timestamptz,
	finished_at timestamptz,
	sqlstate text,
	message text
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

COMMENT ON TABLE @extschema@.sagemaker_queue IS
'rows that wait for a prediction, and what became of them; written by functions only';
COMMENT ON COLUMN @extschema@.sagemaker_queue.id IS
'number, in the order of enqueueing';
COMMENT ON COLUMN @extschema@.sagemaker_queue.state IS
'waiting, running (a worker has it until due_at), failed (tried again from due_at on), done, or dead (given up)';
COMMENT ON COLUMN @extschema@.sagemaker_queue.role IS
'role that enqueued it: reads the inputs, signs, and writes the result';
COMMENT ON COLUMN @extschema@.sagemaker_queue.model IS
'model function, with its argument types';
COMMENT ON COLUMN @extschema@.sagemaker_queue.relation IS
'table that has the inputs';
COMMENT ON COLUMN @extschema@.sagemaker_queue.key IS
'primary key of the row in that table, a text for each column';
COMMENT ON COLUMN @extschema@.sagemaker_queue.columns IS
'columns of that row that get the prediction; null: the column result gets it';
COMMENT ON COLUMN @extschema@.sagemaker_queue.stamps IS
'columns that get when the prediction was made, by which variant and under which version label; null: none does';
COMMENT ON COLUMN @extschema@.sagemaker_queue.result IS
'the prediction, where no column of the table was to get it';
COMMENT ON COLUMN @extschema@.sagemaker_queue.attempts IS
'how often a worker took it, failures of the endpoint as a whole not counted';
COMMENT ON COLUMN @extschema@.sagemaker_queue.inference_id IS
'sent as inference id of the request that begins with this row; the same in every attempt';
COMMENT ON COLUMN @extschema@.sagemaker_queue.enqueued_at IS
'when it was put into the queue';
COMMENT ON COLUMN @extschema@.sagemaker_queue.due_at IS
'when it is taken next; of a running row: when its lease ends; null when done or dead';
COMMENT ON COLUMN @extschema@.sagemaker_queue.sent_at IS
'when the last attempt was sent';
COMMENT ON COLUMN @extschema@.sagemaker_queue.finished_at IS
'when the last attempt ended';
COMMENT ON COLUMN @extschema@.sagemaker_queue.sqlstate IS
'SQLSTATE of the last failure';
COMMENT ON COLUMN @extschema@.sagemaker_queue.message IS
'what the last failure said, or why there was nothing to do';

-- What may be taken; what is out with a worker; what is kept for a while.
CREATE INDEX sagemaker_queue_due ON @extschema@.sagemaker_queue (due_at, id)
	WHERE state IN ('waiting', 'failed');
CREATE INDEX sagemaker_queue_leased ON @extschema@.sagemaker_queue (due_at, id)
	WHERE state = 'running';
CREATE INDEX sagemaker_queue_finished ON @extschema@.sagemaker_queue (finished_at)
	WHERE state IN ('done', 'dead');
-- What monitoring counts again and again, and are few.
CREATE INDEX sagemaker_queue_dead ON @extschema@.sagemaker_queue (finished_at)
	WHERE state = 'dead';

-- One waits for a target at most: for each role, as one may not do what another may.
-- Those that failed are not in it, or else a worker would wait for transactions that
-- enqueue.
CREATE UNIQUE INDEX sagemaker_queue_target
	ON @extschema@.sagemaker_queue (role, relation, key, model, columns)
	WHERE state = 'waiting' AND columns IS NOT NULL;

CREATE FUNCTION @extschema@.sagemaker_queue_restore()
RETURNS trigger
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_queue_restore() IS
'trigger of sagemaker_queue: rows that were running when they were dumped wait again';

CREATE TRIGGER sagemaker_queue_restore BEFORE INSERT ON @extschema@.sagemaker_queue
	FOR EACH ROW WHEN (NEW.state = 'running')
	EXECUTE FUNCTION @extschema@.sagemaker_queue_restore();

-- Of two that would wait for one target, the later one is dumped.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sagemaker_queue', $$
	WHERE state IN ('waiting', 'failed', 'running') AND (columns IS NULL OR state = 'failed' OR NOT EXISTS (
		SELECT FROM @extschema@.sagemaker_queue w
		WHERE w.id > sagemaker_queue.id AND w.state IN ('waiting', 'running')
		AND (w.role, w.relation, w.key, w.model, w.columns) =
			(sagemaker_queue.role, sagemaker_queue.relation, sagemaker_queue.key,
			 sagemaker_queue.model, sagemaker_queue.columns)))$$);
SELECT pg_catalog.pg_extension_config_dump('@extschema@.sagemaker_queue_id', '');

-- Who is granted SELECT sees the rows of the roles that he may be.
ALTER TABLE @extschema@.sagemaker_queue ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON @extschema@.sagemaker_queue FOR SELECT
	USING (EXISTS (SELECT FROM pg_catalog.pg_roles r
				   WHERE r.rolname = role AND pg_catalog.pg_has_role(r.oid, 'USAGE')));

CREATE FUNCTION @extschema@.sagemaker_enqueue(
	relation regclass,
	model text,
	key text[],
	target text DEFAULT NULL,
	made_at text DEFAULT NULL,
	variant text DEFAULT NULL,
	version text DEFAULT NULL)
RETURNS bigint
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_enqueue(regclass, text, text[], text, text, text, text) IS
'has a row of a table predicted after this transaction; the result goes into target, or stays in sagemaker_queue';

CREATE FUNCTION @extschema@.sagemaker_enqueue_row()
RETURNS trigger
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_enqueue_row() IS
'AFTER INSERT OR UPDATE trigger for each row, arguments (model, column, ...): has new or changed rows predicted after the transaction';

CREATE FUNCTION @extschema@.sagemaker_requeue(id bigint)
RETURNS boolean
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_requeue(bigint) IS
'a dead row of sagemaker_queue is tried again';

--
-- What is at work
--

CREATE FUNCTION @extschema@.sagemaker_progress(
	OUT pid int,
	OUT work text,
	OUT database name,
	OUT role name,
	OUT relation text,
	OUT model text,
	OUT started_at timestamptz,
	OUT phase text,
	OUT seen bigint,
	OUT scored bigint,
	OUT failed bigint,
	OUT skipped bigint,
	OUT requests bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 100 ROWS 10;

COMMENT ON FUNCTION @extschema@.sagemaker_progress() IS
'what table jobs and queue workers are at: what sagemaker_stat_progress shows';

CREATE VIEW @extschema@.sagemaker_stat_progress AS
	SELECT * FROM @extschema@.sagemaker_progress();

COMMENT ON VIEW @extschema@.sagemaker_stat_progress IS
'table jobs that run now, and queue workers, of the roles that the current one may see in pg_stat_activity; needs shared_preload_libraries';

COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.pid IS
'process, as in pg_stat_activity';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.work IS
'table job, or queue worker';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.database IS
'database in which it works';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.role IS
'role that runs the job, or the worker';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.relation IS
'table, with its schema; null in another database, and while a worker has no rows';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.model IS
'model function, with its schema and argument types; null as relation';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.started_at IS
'when the job, or the worker, began';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.phase IS
'waiting (for rows), reading, asking (the model), or writing';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.seen IS
'rows taken in hand so far, as often as they were';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.scored IS
'rows whose prediction is committed';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.failed IS
'rows that failed';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.skipped IS
'rows that were left out, since they failed before, or were held, changed or deleted by others';
COMMENT ON COLUMN @extschema@.sagemaker_stat_progress.requests IS
'requests that were answered';

-- Numbers only: who may see everybody's statistics may not see rows, whose keys and
-- messages are others'.  Views read as their owner.

CREATE VIEW @extschema@.sagemaker_stat_failed_rows AS
SELECT relation, model, target, permanent, sqlstate, pg_catalog.count(*) AS rows,
	pg_catalog.max(failed_at) AS last_failed_at
FROM @extschema@.sagemaker_failed_rows
GROUP BY relation, model, target, permanent, sqlstate;

COMMENT ON VIEW @extschema@.sagemaker_stat_failed_rows IS
'how many rows table jobs could not predict, and will not send again for now';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.relation IS 'table, with its schema';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.model IS 'model function, with its schema and argument types';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.target IS 'columns that take the prediction';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.permanent IS 'whether they are not sent again with the same input';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.sqlstate IS 'SQLSTATE of the last failure';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.rows IS 'how many rows';
COMMENT ON COLUMN @extschema@.sagemaker_stat_failed_rows.last_failed_at IS 'when the last of them failed';

-- Each part has an index, so that those that are done, which may be millions, are
-- passed over.
CREATE VIEW @extschema@.sagemaker_stat_queue AS
SELECT role, model, relation, state, sqlstate, pg_catalog.count(*) AS rows,
	pg_catalog.min(enqueued_at) AS oldest_enqueued_at
FROM (SELECT role, model, relation, state, sqlstate, enqueued_at
	  FROM @extschema@.sagemaker_queue WHERE state IN ('waiting', 'failed')
	  UNION ALL
	  SELECT role, model, relation, state, sqlstate, enqueued_at
	  FROM @extschema@.sagemaker_queue WHERE state = 'running'
	  UNION ALL
	  SELECT role, model, relation, state, sqlstate, enqueued_at
	  FROM @extschema@.sagemaker_queue WHERE state = 'dead') AS q
GROUP BY role, model, relation, state, sqlstate;

COMMENT ON VIEW @extschema@.sagemaker_stat_queue IS
'how many rows of sagemaker_queue are not done, and for how long';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.role IS 'role that enqueued them';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.model IS 'model function, with its argument types';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.relation IS 'table that has the inputs';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.state IS 'waiting, running, failed or dead';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.sqlstate IS 'SQLSTATE of the last failure; NULL: none yet';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.rows IS 'how many rows';
COMMENT ON COLUMN @extschema@.sagemaker_stat_queue.oldest_enqueued_at IS 'when the oldest of them was enqueued';

--
-- What would happen
--

CREATE FUNCTION @extschema@.sagemaker_check(
	endpoint text DEFAULT NULL,
	server text DEFAULT NULL,
	send boolean DEFAULT false,
	OUT step text,
	OUT outcome text,
	OUT found text,
	OUT hint text)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 10000 ROWS 10;

COMMENT ON FUNCTION @extschema@.sagemaker_check(text, text, boolean) IS
'what a call would find, step by step: settings, region, credentials, host, name lookup, connection, clock and, if asked to send, the service''s word on the endpoint';

CREATE FUNCTION @extschema@.sagemaker_dry_run(
	statement text,
	OUT server text,
	OUT endpoint text,
	OUT model text,
	OUT requests bigint,
	OUT rows bigint,
	OUT bytes bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000 ROWS 10;

COMMENT ON FUNCTION @extschema@.sagemaker_dry_run(text) IS
'what a statement would send to which endpoint: runs it without its calls, whose results are null, and undoes it';

--
-- What happened
--

CREATE FUNCTION @extschema@.sagemaker_stat_endpoints(
	OUT database oid,
	OUT role oid,
	OUT server text,
	OUT endpoint text,
	OUT model text,
	OUT calls bigint,
	OUT rows bigint,
	OUT requests bigint,
	OUT retries bigint,
	OUT throttles bigint,
	OUT errors_refused bigint,
	OUT errors_denied bigint,
	OUT errors_model bigint,
	OUT errors_throttled bigint,
	OUT errors_service bigint,
	OUT errors_network bigint,
	OUT errors_timeout bigint,
	OUT errors_reply bigint,
	OUT errors_unsent bigint,
	OUT cancelled bigint,
	OUT bytes_sent bigint,
	OUT bytes_received bigint,
	OUT input_tokens bigint,
	OUT output_tokens bigint,
	OUT connections_opened bigint,
	OUT connections_reused bigint,
	OUT request_time float8,
	OUT request_p50 float8,
	OUT request_p95 float8,
	OUT request_p99 float8,
	OUT request_histogram bigint[],
	OUT last_sqlstate text,
	OUT last_error text,
	OUT last_error_at timestamptz,
	OUT since timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 100;

COMMENT ON FUNCTION @extschema@.sagemaker_stat_endpoints() IS
'statistics of calls, by the oids of database and role; of one''s own role, or of all for members of pg_read_all_stats';

CREATE VIEW @extschema@.sagemaker_stat_endpoints AS
SELECT d.datname AS database, r.rolname AS role, s.server, s.endpoint, s.model,
	s.calls, s.rows, s.requests, s.retries, s.throttles,
	s.errors_refused, s.errors_denied, s.errors_model, s.errors_throttled, s.errors_service,
	s.errors_network, s.errors_timeout, s.errors_reply, s.errors_unsent, s.cancelled, s.bytes_sent,
	s.bytes_received, s.input_tokens, s.output_tokens, s.connections_opened, s.connections_reused,
	s.request_time, s.request_p50, s.request_p95, s.request_p99, s.request_histogram,
	s.last_sqlstate, s.last_error, s.last_error_at, s.since
FROM @extschema@.sagemaker_stat_endpoints() AS s
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.database
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.role;

COMMENT ON VIEW @extschema@.sagemaker_stat_endpoints IS
'what was asked of endpoints, by whom and through which model, and what came of it: of the whole server if shared_preload_libraries has the library, else of this session';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.database IS 'whose calls: NULL if it was dropped';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.role IS 'who called: NULL if it was dropped';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.server IS 'foreign server that they went by; NULL: none';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.endpoint IS 'name of the endpoint';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.model IS 'model function; NULL: a call without one';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.calls IS 'calls begun; a batch of rows is one';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.rows IS 'rows in these calls';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.requests IS 'HTTP requests that were sent as a whole, retries among them';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.retries IS 'attempts beyond the first of a call';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.throttles IS 'attempts that the service throttled';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_refused IS 'calls that failed: refused as wrong or too large';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_denied IS 'calls that failed: key, signature or permission';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_model IS 'calls that failed: the model';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_throttled IS 'calls that failed: throttled, or the model not ready';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_service IS 'calls that failed: the service';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_network IS 'calls that failed: name, connection, TLS, cut off';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_timeout IS 'calls that failed: no answer in time';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_reply IS 'calls that failed: an answer that is none, or too large';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.errors_unsent IS 'calls that failed unsent: the endpoint fails, or no turn came in time';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.cancelled IS 'calls that nobody waited for to the end';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.bytes_sent IS 'bytes of bodies sent';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.bytes_received IS 'bytes of bodies received';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.input_tokens IS 'tokens read, as answers tell; NULL: none tells';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.output_tokens IS 'tokens written, the same';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.connections_opened IS 'requests that opened a connection';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.connections_reused IS 'requests that reused one';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.request_time IS 'time of all answered requests, in milliseconds';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.request_p50 IS 'median time of an answered request, in milliseconds, within a tenth';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.request_p95 IS '95th percentile of it';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.request_p99 IS '99th percentile of it';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.request_histogram IS 'how many requests took up to 64 microseconds times 2^((i - 1) / 4), and longer than the one before';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.last_sqlstate IS 'SQLSTATE of the last failed call';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.last_error IS 'the services code for it, or what happened';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.last_error_at IS 'when that was';
COMMENT ON COLUMN @extschema@.sagemaker_stat_endpoints.since IS 'when counting began';

CREATE FUNCTION @extschema@.sagemaker_stat_governor(
	OUT host text,
	OUT endpoint text,
	OUT in_flight int,
	OUT failures int,
	OUT breaker_open boolean,
	OUT rate float8,
	OUT retry_tokens int)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION @extschema@.sagemaker_stat_governor() IS
'what holds requests back now';

CREATE VIEW @extschema@.sagemaker_stat_governor AS
SELECT host, endpoint, in_flight, failures, breaker_open, rate, retry_tokens
FROM @extschema@.sagemaker_stat_governor();

COMMENT ON VIEW @extschema@.sagemaker_stat_governor IS
'what holds requests back now: of the whole server if shared_preload_libraries has the library, else of this session';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.host IS 'host, with its port';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.endpoint IS 'name of the endpoint; NULL: the host as a whole';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.in_flight IS 'requests in flight';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.failures IS 'requests that failed since the last success';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.breaker_open IS 'whether it is asked by a probe only';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.rate IS 'requests a second that it is asked at most; NULL: no limit';
COMMENT ON COLUMN @extschema@.sagemaker_stat_governor.retry_tokens IS 'what the host''s quota of retries still has';

CREATE FUNCTION @extschema@.sagemaker_stat_connections(
	OUT address text,
	OUT port int,
	OUT opened_at timestamptz,
	OUT used_at timestamptz,
	OUT requests bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10;

COMMENT ON FUNCTION @extschema@.sagemaker_stat_connections() IS
'connections that this session keeps';

CREATE VIEW @extschema@.sagemaker_stat_connections AS
SELECT address, port, opened_at, used_at, requests
FROM @extschema@.sagemaker_stat_connections();

COMMENT ON VIEW @extschema@.sagemaker_stat_connections IS
'connections that this session keeps for its next calls';
COMMENT ON COLUMN @extschema@.sagemaker_stat_connections.address IS 'address of the host, or of the proxy';
COMMENT ON COLUMN @extschema@.sagemaker_stat_connections.port IS 'its port';
COMMENT ON COLUMN @extschema@.sagemaker_stat_connections.opened_at IS 'when it was opened';
COMMENT ON COLUMN @extschema@.sagemaker_stat_connections.used_at IS 'when the last request over it ended';
COMMENT ON COLUMN @extschema@.sagemaker_stat_connections.requests IS 'requests answered over it';

CREATE FUNCTION @extschema@.sagemaker_stat_reset()
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_stat_reset() IS
'forgets the statistics of all endpoints, databases and roles';

--
-- What is running
--

CREATE FUNCTION @extschema@.sagemaker_rt_version(
	OUT extension text,
	OUT postgresql text,
	OUT libcurl_built text,
	OUT libcurl text,
	OUT tls_library text)
AS 'MODULE_PATHNAME'
LANGUAGE C STABLE STRICT PARALLEL SAFE;

COMMENT ON FUNCTION @extschema@.sagemaker_rt_version() IS
'versions of the extension, PostgreSQL, libcurl (built with and running) and its TLS library';

--
-- Nothing is for everybody: an administrator grants EXECUTE.
--

REVOKE ALL ON FUNCTION @extschema@.sagemaker_body_text(@extschema@.sagemaker_response) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_body_json(@extschema@.sagemaker_response) FROM PUBLIC;
REVOKE ALL ON LANGUAGE sagemaker FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_call_handler() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_validator(oid) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_predict(text, "any") FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_predict_row() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_predict_rows() FROM PUBLIC;
REVOKE ALL ON TABLE @extschema@.sagemaker_failed_rows FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_may_read_table(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_retry_failed(regclass, text, text[]) FROM PUBLIC;
REVOKE ALL ON PROCEDURE @extschema@.sagemaker_predict_table FROM PUBLIC;
REVOKE ALL ON TABLE @extschema@.sagemaker_kept_columns FROM PUBLIC;
REVOKE ALL ON TABLE @extschema@.sagemaker_stat_coverage FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_coverage() FROM PUBLIC;
REVOKE ALL ON PROCEDURE @extschema@.sagemaker_keep FROM PUBLIC;
REVOKE ALL ON TABLE @extschema@.sagemaker_stat_progress FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_progress() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_enqueue(regclass, text, text[], text, text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_enqueue_row() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_requeue(bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_queue_restore() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_check(text, text, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_fdw_validator(text[], oid) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_rt_version() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke(text, bytea, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke(text, text, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke(text, json, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke(text, jsonb, text, text, text, text, text, text, text,
	text, text, text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_async(text, bytea, text, text, text, text, text, text, text,
	int, int, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_async(text, text, text, text, text, text, text, text, text,
	int, int, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_async(text, json, text, text, text, text, text, text, text,
	int, int, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_async(text, jsonb, text, text, text, text, text, text, text,
	int, int, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_async_result(text, text, interval, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_body_text(@extschema@.sagemaker_async_answer) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_body_json(@extschema@.sagemaker_async_answer) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_stream(text, bytea, text, text, text, text, text, text, text,
	text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_stream(text, text, text, text, text, text, text, text, text,
	text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_stream(text, json, text, text, text, text, text, text, text,
	text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_invoke_stream(text, jsonb, text, text, text, text, text, text, text,
	text, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stream_text(text, bytea, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stream_text(text, text, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stream_text(text, json, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stream_text(text, jsonb, text, text, text, text, text, text, text,
	text, text, jsonpath, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON TYPE @extschema@.sagemaker_part FROM PUBLIC;
REVOKE ALL ON TYPE @extschema@.sagemaker_delta FROM PUBLIC;
REVOKE ALL ON TYPE @extschema@.sagemaker_response FROM PUBLIC;
REVOKE ALL ON TYPE @extschema@.sagemaker_async_response FROM PUBLIC;
REVOKE ALL ON TYPE @extschema@.sagemaker_async_answer FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stat_endpoints() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_dry_run(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stat_governor() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stat_connections() FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.sagemaker_stat_reset() FROM PUBLIC;

-- Who may see everybody's statistics sees these.
GRANT EXECUTE ON FUNCTION @extschema@.sagemaker_stat_endpoints() TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION @extschema@.sagemaker_stat_governor() TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION @extschema@.sagemaker_progress() TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION @extschema@.sagemaker_coverage() TO pg_read_all_stats;
GRANT EXECUTE ON FUNCTION @extschema@.sagemaker_rt_version() TO pg_read_all_stats;
GRANT SELECT ON @extschema@.sagemaker_stat_endpoints, @extschema@.sagemaker_stat_governor,
	@extschema@.sagemaker_stat_progress, @extschema@.sagemaker_stat_coverage,
	@extschema@.sagemaker_stat_queue, @extschema@.sagemaker_stat_failed_rows TO pg_read_all_stats;
