-- What make demo does in SQL.  Standard input is breast_cancer.csv as
-- scikit-learn ships it: a line of counts, then 30 features and a label a line.

\set QUIET on
\pset footer off

CREATE EXTENSION sagemaker_rt;

CREATE TABLE tumour (
	mean_radius float8 NOT NULL,
	mean_texture float8 NOT NULL,
	mean_perimeter float8 NOT NULL,
	mean_area float8 NOT NULL,
	mean_smoothness float8 NOT NULL,
	mean_compactness float8 NOT NULL,
	mean_concavity float8 NOT NULL,
	mean_concave_points float8 NOT NULL,
	mean_symmetry float8 NOT NULL,
	mean_fractal_dimension float8 NOT NULL,
	radius_error float8 NOT NULL,
	texture_error float8 NOT NULL,
	perimeter_error float8 NOT NULL,
	area_error float8 NOT NULL,
	smoothness_error float8 NOT NULL,
	compactness_error float8 NOT NULL,
	concavity_error float8 NOT NULL,
	concave_points_error float8 NOT NULL,
	symmetry_error float8 NOT NULL,
	fractal_dimension_error float8 NOT NULL,
	worst_radius float8 NOT NULL,
	worst_texture float8 NOT NULL,
	worst_perimeter float8 NOT NULL,
	worst_area float8 NOT NULL,
	worst_smoothness float8 NOT NULL,
	worst_compactness float8 NOT NULL,
	worst_concavity float8 NOT NULL,
	worst_concave_points float8 NOT NULL,
	worst_symmetry float8 NOT NULL,
	worst_fractal_dimension float8 NOT NULL,
	label int NOT NULL CHECK (label IN (0, 1))
);

\copy tumour FROM pstdin WITH (FORMAT csv, HEADER)

ALTER TABLE tumour ADD id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY;

COMMENT ON COLUMN tumour.label IS '1: benign, 0: malignant';

ANALYZE tumour;

\echo 'Table tumour has the 569 rows of the breast-cancer data in scikit-learn: 30 features'
\echo 'and a label, which is 1 for benign.'
\echo
\echo '== A model is a function'
\echo
\set ECHO queries
CREATE FUNCTION benign(VARIADIC features float8[]) RETURNS float8
LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS 'breast-cancer';
REVOKE EXECUTE ON FUNCTION benign FROM PUBLIC;
\set ECHO none
\echo
\echo '== A set is a batch'
\echo
\set ECHO queries
\timing on
CREATE TABLE score AS
SELECT id, label, benign(
    mean_radius, mean_texture, mean_perimeter, mean_area, mean_smoothness,
    mean_compactness, mean_concavity, mean_concave_points, mean_symmetry,
    mean_fractal_dimension, radius_error, texture_error, perimeter_error,
    area_error, smoothness_error, compactness_error, concavity_error,
    concave_points_error, symmetry_error, fractal_dimension_error,
    worst_radius, worst_texture, worst_perimeter, worst_area,
    worst_smoothness, worst_compactness, worst_concavity,
    worst_concave_points, worst_symmetry, worst_fractal_dimension) AS benign
FROM tumour;
\timing off
\set ECHO none
\echo
\echo 'The five it is least sure of:'
\echo
\set ECHO queries
SELECT id, label, round(benign::numeric, 3) AS benign
FROM score ORDER BY abs(benign - 0.5) LIMIT 5;
\set ECHO none
\echo '== One call as it is'
\echo
\echo 'The same five, each a request, with all that InvokeEndpoint tells:'
\echo
-- No column is null here: concat_ws would leave a null out, and shift the rest.
CREATE VIEW unsure AS
SELECT id, concat_ws(',',
	mean_radius, mean_texture, mean_perimeter, mean_area, mean_smoothness,
	mean_compactness, mean_concavity, mean_concave_points, mean_symmetry,
	mean_fractal_dimension, radius_error, texture_error, perimeter_error,
	area_error, smoothness_error, compactness_error, concavity_error,
	concave_points_error, symmetry_error, fractal_dimension_error,
	worst_radius, worst_texture, worst_perimeter, worst_area,
	worst_smoothness, worst_compactness, worst_concavity,
	worst_concave_points, worst_symmetry, worst_fractal_dimension) AS line
FROM (SELECT id FROM score ORDER BY abs(benign - 0.5) LIMIT 5) AS five JOIN tumour USING (id);
\set ECHO queries
CREATE TABLE told AS
SELECT id, rtrim(sagemaker_body_text(answer), E'\n') AS answer, answer.content_type,
       answer.invoked_production_variant AS variant
FROM unsure, LATERAL sagemaker_invoke('breast-cancer-label', line, 'text/csv') AS answer;

SELECT * FROM told;
\set ECHO none
\echo '== Rows that score themselves'
\echo
-- The features as one column, which has the name of the model's argument.
CREATE VIEW measured AS
SELECT id, ARRAY[
	mean_radius, mean_texture, mean_perimeter, mean_area, mean_smoothness,
	mean_compactness, mean_concavity, mean_concave_points, mean_symmetry,
	mean_fractal_dimension, radius_error, texture_error, perimeter_error,
	area_error, smoothness_error, compactness_error, concavity_error,
	concave_points_error, symmetry_error, fractal_dimension_error,
	worst_radius, worst_texture, worst_perimeter, worst_area,
	worst_smoothness, worst_compactness, worst_concavity,
	worst_concave_points, worst_symmetry, worst_fractal_dimension] AS features
FROM tumour;
\set ECHO queries
CREATE FUNCTION verdict(features float8[], OUT predicted_label int, OUT score float8)
LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS 'breast-cancer-label';
REVOKE EXECUTE ON FUNCTION verdict FROM PUBLIC;

CREATE TABLE patient (id int PRIMARY KEY, features float8[], label int, score float8);

CREATE TRIGGER score AFTER INSERT ON patient REFERENCING NEW TABLE AS n
FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.verdict', 'label', 'score');

INSERT INTO patient (id, features) SELECT id, features FROM measured WHERE id <= 100;

SELECT count(*) AS patients, count(score) AS scored FROM patient;
\set ECHO none
\echo '== A job for the night'
\echo
\echo 'Patients that came without the trigger are scored by a job.  A scheduler runs it, for'
\echo 'instance pg_cron, told by SELECT cron.schedule(...) with the statement below:'
\echo
\set ECHO queries
ALTER TABLE patient DISABLE TRIGGER score;
INSERT INTO patient (id, features) SELECT id, features FROM measured WHERE id > 100;

CALL sagemaker_predict_table('public.patient', 'public.verdict', 'label, score');
\set ECHO none
