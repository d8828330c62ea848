/* sagemaker_rt_aurora--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION sagemaker_rt_aurora" to load this file. \quit

CREATE FUNCTION @extschema@.invoke_endpoint(
	endpoint_name varchar,
	max_rows_per_batch int,
	VARIADIC model_input "any",
	OUT model_output varchar)
AS 'MODULE_PATHNAME', 'sagemaker_aurora_invoke_endpoint'
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL SAFE COST 10000;

COMMENT ON FUNCTION @extschema@.invoke_endpoint(varchar, int, "any") IS
'prediction of a SageMaker endpoint for one row, as in Aurora: CSV both ways, at most so many rows a request';

REVOKE ALL ON FUNCTION @extschema@.invoke_endpoint(varchar, int, "any") FROM PUBLIC;
