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

-- No column is null here: concat_ws would leave a null out, and shift the rest.
CREATE VIEW tumour_csv AS
SELECT id, concat_ws(',',
	mean_radius, mean_texture, mean_perimeter, mean_area, mean_smoothness,
	mean_compactness, mean_concavity, mean_concave_points, mean_symmetry,
	mean_fractal_dimension, radius_error, texture_error, perimeter_error,
	area_error, smoothness_error, compactness_error, concavity_error,
	concave_points_error, symmetry_error, fractal_dimension_error,
	worst_radius, worst_texture, worst_perimeter, worst_area,
	worst_smoothness, worst_compactness, worst_concavity,
	worst_concave_points, worst_symmetry, worst_fractal_dimension) AS line
FROM tumour;

ANALYZE tumour;

\echo 'Table tumour has the 569 rows of the breast-cancer data in scikit-learn: 30 features'
\echo 'and a label, which is 1 for benign.  View tumour_csv has the features as CSV.'
\echo
\echo '== One request a row'
\echo
\set ECHO queries
\timing on
CREATE TABLE score AS
SELECT id, sagemaker_body_text(answer)::float8 AS benign,
       answer.invoked_production_variant AS variant
FROM tumour_csv,
     LATERAL sagemaker_invoke('breast-cancer', line, 'text/csv') AS answer;
\timing off
\set ECHO none
\echo
\echo 'The five it is least sure of:'
\echo
\set ECHO queries
SELECT id, mean_radius, worst_area, round(benign::numeric, 3) AS benign, label, variant
FROM score JOIN tumour USING (id) ORDER BY abs(benign - 0.5) LIMIT 5;
\set ECHO none
\echo '== A hundred rows a request'
\echo
\set ECHO queries
\timing on
CREATE TABLE packed_score AS
WITH packed AS (
    SELECT array_agg(id ORDER BY id) AS ids, string_agg(line, E'\n' ORDER BY id) AS body
    FROM tumour_csv GROUP BY id / 100)
SELECT scored.*
FROM packed,
     LATERAL sagemaker_invoke('breast-cancer', body, 'text/csv') AS answer,
     LATERAL unnest(ids, string_to_array(rtrim(sagemaker_body_text(answer), E'\n'),
                                         E'\n')::float8[]) AS scored (id, benign);
\timing off
\set ECHO none
