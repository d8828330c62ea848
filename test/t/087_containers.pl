# SageMaker's own containers, in each format that they take and give: the local
# endpoint has one of each, with arithmetic that SQL can do as well.  Requests have
# two rows, the last one; batched and row by row the same comes back.
use strict;
use warnings;

use FindBin;
use MIME::Base64 qw(encode_base64);
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator();
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE point (id int, x float8, y float8);
INSERT INTO point VALUES (1, 1, 2), (2, 0.5, -0.25), (3, 3, 3.5), (4, 0.125, 9), (5, -2, 1);
-- The formats' floats have 32 bits.
CREATE FUNCTION near(a float8, b float8) RETURNS boolean LANGUAGE sql AS 'SELECT abs(a - b) <= 1e-6 * greatest(1, abs(b))';
CREATE FUNCTION near(a float8[], b float8[]) RETURNS boolean LANGUAGE sql AS
	'SELECT array_length(a, 1) = array_length(b, 1) AND (SELECT bool_and(near(e, b[i])) FROM unnest(a) WITH ORDINALITY AS u(e, i))';
CREATE TYPE features AS (features float8[]);
SQL

# One container: the rows of a table as arguments; a condition that holds of m, the
# result, for each of them.
sub speaks
{
	my ($endpoint, $signature, $options, $arguments, $condition, %more) = @_;
	my $from = $more{from} // 'point';
	$options = join ', ', "\"endpoint\": \"$endpoint\", \"max_rows\": 2", $options || ();
	$node->safe_psql('postgres', "DROP FUNCTION IF EXISTS m; CREATE FUNCTION m($signature LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{$options}'");
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $batch ('on', 'off')
	{
		$emulator->reset;
		my ($status, $stdout, $stderr) = $node->psql('postgres', "SET sagemaker_rt.batch = $batch;
			SELECT count(*) || ' ' || coalesce(string_agg(CASE WHEN $condition THEN '' ELSE id || ': ' || coalesce(m::text, 'NULL') END, ' '), '')
			FROM (SELECT *, m($arguments) AS m FROM $from OFFSET 0) s");
		$stdout =~ s/\s+/ /g;
		is("$stdout$stderr", ($more{rows} // 5) . ' ', "$endpoint {$options}" =~ s/"(\w+)":/$1/gr . ", batch $batch");
		is($emulator->request_count($endpoint), $more{requests}{$batch}, 'in so many requests') if $more{requests};
	}
}

my @all = ('"format": "csv"', '"format": "instances"', '"format": "jsonlines"', '"format": "recordio"');
my %accept = (json => '"accept": "application/json"', lines => '"accept": "application/jsonlines"',
	recordio => '"accept": "application/x-recordio-protobuf"', csv => '"accept": "text/csv"', npy => '"accept": "application/x-npy"');

# What takes two numbers, in every way that they can be sent and answered.
sub speaks_all
{
	my ($endpoint, $result, $condition, %more) = @_;
	my @formats = grep { !$more{no_csv} || !/"csv"/ } @all;
	for my $format (@formats)
	{
		# JSON instances are {"features": [...]}.
		my ($signature, $arguments) = $format =~ /instances|jsonlines/ ? ('f features, ', 'row(ARRAY[x, y])::features') : ('x float8, y float8, ', 'x, y');
		$signature =~ s/, $// if $result =~ /^\)/;
		speaks($endpoint, "$signature$result", join(', ', $format, $_), $arguments, $condition)
		  for @accept{ 'json', 'lines', 'recordio', $more{csv} ? 'csv' : () };
	}
}

my $logit = '(1 / (1 + exp(-(0.25 + x - 2 * y))))';
speaks_all('linear-learner', 'OUT score float8, OUT predicted_label int)', "near((m).score, $logit) AND (m).predicted_label = ($logit > 0.5)::int");
speaks_all('linear-learner-classes', 'OUT predicted_label int, OUT score float8[])',
	'near((m).score, ARRAY[exp(x) / (exp(x) + exp(y) + 1), exp(y) / (exp(x) + exp(y) + 1), 1 / (exp(x) + exp(y) + 1)])');
my ($near, $far) = ('sqrt(x^2 + y^2)', 'sqrt((x - 3)^2 + (y - 4)^2)');
speaks_all('k-means', 'OUT closest_cluster int, OUT distance_to_cluster float8)',
	"(m).closest_cluster = ($far < $near)::int AND near((m).distance_to_cluster, least($near, $far))", csv => 1);
speaks_all('pca', ') RETURNS float8[]', 'near(m, ARRAY[(x + y) / 2, (x - y) / 2])');
speaks_all('factorization-machines', 'OUT score float8, OUT predicted_label int)', 'near((m).score, 0.5 + x - y + 0.25 * x * y)', no_csv => 1);
speaks_all('k-nn', ') RETURNS float8', "m = (SELECT l FROM (VALUES (0, 0, 0), (1, 1, 1), (3, 4, 2)) p(px, py, l) ORDER BY (x - px)^2 + (y - py)^2 LIMIT 1)");
speaks('k-nn', 'x float8, y float8, OUT labels float8[], OUT distances float8[])', "\"accept\": \"$_;verbose=true\"", 'x, y',
	"near((m).distances[1], least($near, $far, sqrt((x - 1)^2 + (y - 1)^2))) AND array_length((m).labels, 1) = 2")
  for 'application/json', 'application/jsonlines', 'application/x-recordio-protobuf';
speaks('random-cut-forest', 'x float8) RETURNS float8', join(', ', @$_), 'x', 'near(m, abs(x - 10) / 4)')
  for [ $all[0], $accept{json} ], [ $all[3] ], [ $all[3], $accept{lines} ];
speaks('ntm', 'x float8, y float8, z float8) RETURNS float8[]', join(', ', @$_), 'x, y + 3, 1', 'near(m, ARRAY[x / (x + y + 4), (y + 3) / (x + y + 4), 1 / (x + y + 4)])')
  for [ $all[0], $accept{json} ], [ $all[3] ];
speaks('ntm', 'data jsonb) RETURNS float8[]', '"format": "instances"',
	q(jsonb_build_object('data', jsonb_build_object('features', jsonb_build_object('keys', jsonb_build_array(1), 'shape', jsonb_build_array(3), 'values', jsonb_build_array(2))))),
	'near(m, ARRAY[0, 1, 0])');

# Time series, tokens and words.
$node->safe_psql('postgres', <<'SQL');
CREATE TYPE series AS (start timestamp, target float8[]);
CREATE TABLE sales (id int, target float8[]);
INSERT INTO sales VALUES (1, '{1,2,3,4}'), (2, '{10,NULL,30}'), (3, '{5}');
CREATE TABLE said (id int, said text);
INSERT INTO said VALUES (1, 'good day'), (2, 'bad, so bad, "worse"'), (3, 'so it is');
SQL
my $known = '(SELECT avg(v) FROM unnest(target) v)';
my $deepar = '"format": "instances", "nulls": "nan", "constant": {"configuration": {"num_samples": 1, "output_types": ["mean", "quantiles"], "quantiles": ["0.5"]}}';
speaks('deepar', 'x series) RETURNS float8[]', "$deepar, \"predictions\": \"\$.predictions[*].mean\"", "row('2024-01-01', target)::series", "near(m, array_fill($known, ARRAY[3]))", from => 'sales', rows => 3);
speaks('deepar', 'start timestamp, target float8[], OUT mean float8[], OUT quantiles jsonb)', $deepar, "'2024-01-01', target", "near((m).mean[3], $known) AND (m).quantiles ? '0.5'", from => 'sales', rows => 3);
speaks('object2vec', 'in0 int[], in1 int[]) RETURNS float8[]', "\"format\": \"$_\"", 'ARRAY[1, 2, id], ARRAY[id, 7]', "near(m[1] + m[2], 1) AND near(m[1], CASE WHEN id IN (1, 2) THEN 1.0 / 3 ELSE 0.25 END)")
  for 'instances', 'jsonlines';
speaks('word2vec', 'text, OUT word text, OUT vector real[])', '"format": "instances"', 'said', "(m).word = said AND (m).vector[1] = length(said)", from => 'said', rows => 3);
speaks('text-classification', 'text, OUT label text[], OUT prob float8[])', '"format": "instances", "constant": {"configuration": {"k": 2}}', 'said',
	"(m).label @> '{__label__short,__label__long}' AND near((m).prob[1] + (m).prob[2], 1)", from => 'said', rows => 3);

#
# XGBoost.
#
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE client (id int, a float8, b int, c numeric, d float8);
INSERT INTO client VALUES (1, 1.5, 16, 14, 23.0), (2, 2.0, NULL, 9, 1.0), (3, 0.1, 4, 7, 8.8), (4, NULL, NULL, 2, NULL), (5, -3, 11, 0, 0);
CREATE FUNCTION trees(a float8, b int, c numeric, d float8) RETURNS float8 LANGUAGE sql AS $$
	SELECT 1 / (1 + exp(-(CASE WHEN a IS NULL OR a < 1 THEN 0.25 ELSE -0.5 END
		+ CASE WHEN b > 10 THEN 0.75 ELSE c / 100 END + 0.01 * coalesce(d, 0)))) $$;
SQL
my @trees = ('near(m, trees(a, b, c, d))', from => 'client');
my $trees = 'a float8, b int, c numeric, d float8';
for my $format ('csv', 'libsvm', 'recordio')
{
	speaks('xgboost', "$trees) RETURNS float8", join(', ', "\"format\": \"$format\"", $_ || ()), 'a, b, c, d', @trees) for '', @accept{ 'csv', 'json', 'lines', 'recordio' };
	speaks('xgboost-selectable', "$trees, OUT predicted_label int, OUT probabilities float8[])", "\"format\": \"$format\", $_", 'a, b, c, d',
		'near((m).probabilities[2], trees(a, b, c, d)) AND (m).predicted_label = (trees(a, b, c, d) > 0.5)::int', from => 'client')
	  for @accept{ 'csv', 'json', 'lines', 'recordio' };
}
speaks('xgboost', "VARIADIC f float8[]) RETURNS float8", '"format": "csv"', 'a, b, c, d', @trees);
speaks('xgboost', "f float8[]) RETURNS float8", "\"format\": \"$_\"", 'ARRAY[a, b, c, d]', @trees) for 'libsvm', 'recordio';
speaks('xgboost-old', "$trees) RETURNS float8", '"format": "csv"', 'a, b, c, d', @trees);
speaks('xgboost-old', "$trees, OUT score float8, OUT variant text)", '"columns": {"variant": "$response.invoked_production_variant"}', 'a, b, c, d',
	"near((m).score, trees(a, b, c, d)) AND (m).variant = 'AllTraffic'", from => 'client');
fails_with($node, "DROP FUNCTION m; CREATE FUNCTION m(a int) RETURNS float8 LANGUAGE sagemaker AS '{\"endpoint\": \"xgboost\", \"format\": \"instances\"}'; SELECT m(1)",
	'38000', qr/Content-type application\/json not supported. Supported content-types: text\/csv/, 'XGBoost takes no JSON, and says what it takes');
fails_with($node, "DROP FUNCTION m; CREATE FUNCTION m(a int) RETURNS float8 LANGUAGE sagemaker AS 'xgboost'; SELECT m(NULL)",
	'38S01', qr/1 rows were sent, 0 predictions came back/, 'of nothing it makes nothing');

#
# scikit-learn.  Its image breaks over one line of CSV.
#
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE wine (id int, f float8[]);
INSERT INTO wine SELECT id, f::float8[] FROM (VALUES
	(1, '{14.23,1.71,2.43,15.6,127,2.8,3.06,0.28,2.29,5.64,1.04,3.92,1065}'), (2, '{12.37,0.94,1.36,10.6,88,1.98,0.57,0.28,0.42,1.95,1.05,1.82,520}'),
	(3, '{13.71,5.65,2.45,20.5,95,1.68,0.61,0.52,1.06,7.7,0.64,1.74,740}'), (4, '{14.23,1.71,2.43,15.6,127,2.8,3.06,0.28,2.29,5.64,1.04,NULL,1065}'),
	(5, '{12.33,1.1,2.28,16,101,2.05,1.09,0.63,0.41,3.27,1.25,1.67,680}')) v(id, f);
SQL
my @wine = ('m = (ARRAY[0, 1, 2, 0, 1])[id]', from => 'wine');
for my $answer (@accept{ 'csv', 'json', 'npy' })
{
	speaks('scikit-learn-classes', 'VARIADIC f float8[]) RETURNS int', "$_, $answer", 'VARIADIC f', @wine) for '"format": "csv"', '"format": "npy"', '"format": "array"';
	speaks('scikit-learn-chances', 'VARIADIC f float8[]) RETURNS float8[]', "$_, $answer", 'VARIADIC f', 'near(m[1] + m[2] + m[3], 1) AND m[(ARRAY[1, 2, 3, 1, 2])[id]] > 0.5', from => 'wine') for '"format": "csv"', '"format": "npy"';
}
speaks('scikit-learn-classes', 'VARIADIC f float8[]) RETURNS int', '"format": "csv"', 'VARIADIC f', @wine, requests => { on => 4, off => 10 });
speaks('scikit-learn-classes', 'VARIADIC f float8[]) RETURNS int', '"format": "csv", "min_rows": 2', 'VARIADIC f', @wine, requests => { on => 3, off => 5 });
speaks('scikit-learn-classes', 'VARIADIC f float8[]) RETURNS int', '"format": "npy"', 'VARIADIC f', @wine, requests => { on => 3, off => 5 });
# 101 rows: the last one alone.
my $many = "SELECT count(m(VARIADIC f)) FROM wine, generate_series(1, %d) n WHERE id = 1";
my $varied = "SELECT count(m(VARIADIC f || n::float8)) FROM (SELECT id, f[1:12] AS f FROM wine) w, generate_series(1, %d) n WHERE id = 1";
$node->safe_psql('postgres', "DROP FUNCTION m; CREATE FUNCTION m(VARIADIC f float8[]) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{\"endpoint\": \"scikit-learn-classes\", \"format\": \"csv\"}'");
$emulator->reset;
is($node->safe_psql('postgres', sprintf $varied, 101), 101, 'the 101st row has its prediction');
is($node->safe_psql('postgres', sprintf $many, 101), 101, 'so have 101 equal ones');
# As it is told of Aurora: ten batches are scored, and the next row fails.
$node->safe_psql('postgres', 'CREATE EXTENSION sagemaker_rt_aurora');
for ("sagemaker_predict('scikit-learn-classes', f || n::float8)", "aws_sagemaker.invoke_endpoint('scikit-learn-classes', 10, f || n::float8)")
{
	is($node->safe_psql('postgres', "SELECT count($_) FROM (SELECT f[1:12] AS f FROM wine WHERE id = 1) w, generate_series(1, 101) n"), 101, "with $_, too");
}
# A row that no copy makes good.
fails_with($node, "SELECT m(1)", '38000', qr/the model failed with status 500/, 'what breaks the container with a copy, too, is an error');
$emulator->reset;
$node->psql('postgres', 'SELECT m(1)');
is($emulator->request_count('scikit-learn-classes'), 2, 'after two requests');
is($node->safe_psql('postgres', "ALTER DATABASE postgres SET sagemaker_rt.on_error = 'null'") . $node->safe_psql('postgres',
		"SELECT string_agg(coalesce(m(VARIADIC f)::text, 'NULL'), ' ' ORDER BY id) FROM (SELECT id, CASE WHEN id IN (2, 5) THEN '{1}' ELSE f END AS f FROM wine) w"),
	'0 NULL 2 0 NULL', 'bad rows are found among good ones although it takes no row alone');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET sagemaker_rt.on_error');

#
# TensorFlow, Hugging Face, DJL, language models.
#
my $sums = 'near(m, ARRAY[x + y, x * y])';
speaks('tensorflow', "$_->[0]) RETURNS float8[]", $_->[1], $_->[2], $sums)
  for [ 'float8[]', '"format": "instances"', 'ARRAY[x, y]' ], [ 'f features', '"format": "instances"', 'row(ARRAY[x, y])::features' ],
  [ 'f float8[]', '"format": "inputs"', 'ARRAY[x, y]' ], [ 'f float8[]', '"format": "array"', 'ARRAY[x, y]' ],
  [ 'x float8, y float8', '"format": "csv", "accept": "application/json"', 'x, y' ], [ 'x float8, y float8', '"format": "csv"', 'x, y' ],
  [ 'f float8[]', '"format": "jsonlines", "min_rows": 2', 'ARRAY[x, y]' ];
fails_with($node, "DROP FUNCTION m; CREATE FUNCTION m(f features) RETURNS float8[] LANGUAGE sagemaker AS '{\"endpoint\": \"tensorflow\", \"format\": \"jsonlines\"}'; SELECT m(row(ARRAY[1, 2])::features)",
	'38000', qr/the model failed with status 400/, 'TensorFlow takes no JSON line alone');
my $glad = "(m).label = (ARRAY['POSITIVE', 'NEGATIVE', 'POSITIVE'])[id] AND near((m).score, (ARRAY[2.0 / 3, 0.75, 0.5])[id])";
my @said = (from => 'said', rows => 3);
speaks('hugging-face', "inputs text, OUT label text, OUT score float8)", $_, 'said', $glad, @said)
  for '"format": "inputs"', '"format": "inputs", "constant": {"parameters": {"truncation": true}}', '"format": "csv", "header": true, "answer_header": true',
  '"format": "csv", "header": true, "accept": "application/json"';
speaks('hugging-face', "inputs text, OUT score float8, OUT label text)", '"format": "csv", "header": true, "answer_header": true', 'said', $glad, @said);
speaks('embedder', 'passage text) RETURNS real[]', '"format": "inputs"', 'said', 'm[1] = (length(said) / 10.0)::real', @said);
my $backwards = "m = (SELECT string_agg(w, ' ' ORDER BY n DESC) FROM (SELECT * FROM regexp_split_to_table(said, ' +') WITH ORDINALITY u(w, n) ORDER BY n DESC LIMIT 2) w)";
speaks($_, 'prompt jsonb) RETURNS text', '"format": "single", "deterministic": false, "predictions": "$.generated_text"',
	q(jsonb_build_object('inputs', said, 'parameters', jsonb_build_object('max_new_tokens', 2))), $backwards, @said, requests => { on => 3, off => 3 })
  for 'llm', 'tgi';
speaks('djl', "$_->[0]) RETURNS float8", $_->[1], $_->[2], 'near(m, x + y)')
  for [ 'f float8[]', '"format": "inputs"', 'ARRAY[x, y]' ], [ 'f float8[]', '"format": "array"', 'ARRAY[x, y]' ], [ 'x float8, y float8', '"format": "csv"', 'x, y' ];

#
# Answers that are not what they should be: one error that names counts and the
# row, or NULL with on_error.
#
sub varint { my $n = shift; my $s = ''; for (; $n > 127; $n >>= 7) { $s .= chr($n & 127 | 128) } return $s . chr $n }
sub field { my ($number, $content) = @_; return chr($number << 3 | 2) . varint(length $content) . $content }
sub label { my ($name, $content, $type) = @_; return field(2, field(1, $name) . field(2, field($type // 2, $content))) }
sub floats { return field(1, pack 'f<*', @_) }
sub frame { my $record = join '', @_; return pack('V2', 0xCED7230A, length $record) . $record . "\0" x (-length($record) % 4) }
sub npy { my ($type, $shape, $data) = @_; my $header = "{'descr': '$type', 'fortran_order': False, 'shape': $shape, }\n"; return "\x93NUMPY\1\0" . pack('v', length $header) . $header . $data }

my ($recordio, $npy) = ('application/x-recordio-protobuf', 'application/x-npy');
my @one = (frame(label(score => floats(0.5))), frame(label(score => floats(0.25))));
my $two = '(x float8, OUT score float8, OUT predicted_label int)';
for (
	[ 'float8', $recordio, "$one[0]$one[1]", "0.5\n0.25" ],
	[ 'float8', $recordio, substr("$one[0]$one[1]", 0, -1), "0.5\n0.25", 'the last zero left out' ],
	[ 'float8', "$recordio; a=b", "$one[0]$one[1]", "0.5\n0.25" ],
	[ 'float8', $recordio, $one[0], '38S01', '2 rows were sent, 1 predictions came back' ],
	[ 'float8', $recordio, "@one[0, 1]$one[0]" =~ s/ //r, '38S01', '2 rows were sent, 3 predictions came back' ],
	[ 'float8', $recordio, '', '38S01', '2 rows were sent, 0 predictions came back' ],
	[ 'float8', $recordio, substr("$one[0]$one[1]", 0, -7), '38S01', qr/a record of 19 bytes ends after 13/ ],
	[ 'float8', $recordio, "0.5\n0.25\n", '38S01', 'no record begins where one should' ],
	[ 'float8', $recordio, $one[0] . frame("\x12\x05a"), '38S01', 'a record is not protobuf' ],
	[ 'float8', $recordio, $one[0] . frame(label(score => field(2, "\1"))), '38S01', '"score" is sparse' ],
	[ 'float8', $recordio, $one[0] . frame(label("a\xff" => floats(1))), '38S01', 'not UTF-8' ],
	[ 'float8', $recordio, $one[0] . frame(label("a\xff" => 'x', 4)), '38S01', '"a\\xff" has no numbers' ],
	[ 'float8', $recordio, $one[0] . frame(''), '38S01', 'prediction for row 2 of the request has several values' ],
	[ 'float8', $recordio, $one[0] . frame(label(score => floats(1, 2))), '38S01', 'prediction for row 2 of the request has several values' ],
	[ 'int', $recordio, frame(label(n => floats(7))) . $one[1], '38S01', 'prediction for row 2 of the request is not a whole number' ],
	[ 'float8', $recordio, frame(label(n => floats('nan'))) . frame(label(n => floats('-inf'))), "NaN\n-Infinity" ],
	[ 'text', $recordio, frame(label('a"b' => floats(1.5))) . frame(label(n => field(1, pack('d<', 0.1)), 3), label(w => field(1, "\x96\1\x7f"), 7)),
		qq({"a\\"b": [1.5]}\n{"n": [0.1], "w": [150, 127]}) ],
	[ $two, $recordio, frame(label(predicted_label => floats(1)), label(score => floats(0.75)), label(other => floats(1, 2))) . frame(label(score => floats(0.5)), label(predicted_label => floats(0))), "(0.75,1)\n(0.5,0)" ],
	[ $two, $recordio, "$one[0]$one[1]", '38S01', 'prediction for row 1 of the request has no member "predicted_label"' ],
	[ 'float8', $npy, npy('<f8', '(2,)', pack 'd<2', 0.5, 0.1), "0.5\n0.1" ],
	[ 'float8', $npy, npy('<f4', '(2, 1)', pack 'f<2', 0.5, 0.1), "0.5\n0.1" ],
	[ 'float8[]', $npy, npy('>f4', '(2, 2)', pack 'f>4', 1, 'nan', 'inf', -2), "{1,NaN}\n{Infinity,-2}" ],
	[ 'int[]', $npy, npy('|i1', '(2, 1, 2)', pack 'c4', 1, -2, 3, 4), "{{1,-2}}\n{{3,4}}" ],
	[ 'bigint', $npy, npy('<i8', '(2,)', pack 'q<2', 9223372036854775807, -1), "9223372036854775807\n-1" ],
	[ $two, $npy, npy('<f8', '(2, 2)', pack 'd<4', 0.5, 1, 0.25, 0), "(0.5,1)\n(0.25,0)" ],
	[ 'float8', $npy, npy('<f8', '(3,)', pack 'd<3', 1, 2, 3), '38S01', '2 rows were sent, 3 predictions came back' ],
	[ 'float8', $npy, npy('<f8', '(1,)', pack 'd<', 1), '38S01', '2 rows were sent, 1 predictions came back' ],
	[ 'float8', $npy, npy('<f8', '(0,)', ''), '38S01', '2 rows were sent, 0 predictions came back' ],
	[ 'float8', $npy, npy('<f8', '(2,)', pack 'd<', 1), '38S01', 'the NPY array is cut short: it has 8 bytes' ],
	[ 'float8', $npy, npy('<U3', '(2,)', 'x' x 24), '38S01', q(the elements of the NPY array are of type '<U3') ],
	[ 'float8', $npy, npy('<f8', '()', pack 'd<', 1), '38S01', 'the header of the NPY array cannot be read' ],
	[ 'float8', $npy, '[1, 2]', '38S01', 'the answer is no NPY array' ],
	[ 'int', $npy, npy('<f8', '(2,)', pack 'd<2', 1, 0.5), '38S01', 'prediction for row 2 of the request is not a whole number' ],
	[ 'float8', 'application/json', '[0.5, 0.25]', "0.5\n0.25", 'JSON, although something else was asked for' ],
	[ 'float8', 'text/html', '<p>sorry</p>', '38S01', qr/no record|no NPY/, 'what is of no known type' ])
{
	my ($result, $type, $body, $expected, $message, $more) = @$_;
	my ($format) = $type =~ /(npy)/ ? 'npy' : 'recordio';
	my $name = "$result from $type: " . ($more // (defined $message && $expected eq '38S01' ? $message : ''));
	my $returns = $result =~ /^\(/ ? $result : "(x float8) RETURNS $result";
	my $declare = sub { "DROP FUNCTION IF EXISTS m; CREATE FUNCTION m$returns LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{\"endpoint\": \"m\", \"format\": \"$format\"$_[0]}'; SELECT coalesce(m(i)::text, 'NULL') FROM generate_series(1, 2) i" };
	$emulator->reset;
	$emulator->script('m', [], { body => { base64 => encode_base64($body, '') }, content_type => $type });
	if ($expected ne '38S01')
	{
		is($node->safe_psql('postgres', $declare->('')), $expected, $name);
		next;
	}
	fails_with($node, $declare->(''), '38S01', ref $message ? $message : qr/\Q$message\E/, $name);
	my ($status, $stdout, $stderr) = $node->psql('postgres', $declare->(', "on_error": "null"'));
	# One prediction too few for two rows is right for one.
	like($stdout, ref $message || $message !~ /, 1 predictions/ ? qr/^(NULL\n|\S+\n)?NULL$/ : qr/^(\S+)\n\1$/, '... or NULL') || diag $stderr;
	is($status, 0, '... with no error');
}
$emulator->script('m', [], { body => '<p>sorry</p>', content_type => 'text/html' });
$node->safe_psql('postgres', "DROP FUNCTION m; CREATE FUNCTION m(x float8) RETURNS int LANGUAGE sagemaker AS '{\"endpoint\": \"m\", \"format\": \"npy\"}'");
like(failure($node, 'SELECT m(1)')->{detail}, qr/content type text\/html. The answer begins with: <p>sorry/, 'the detail says what came');

# A type that is wrong, or says too little.
for (
	[ 'csv', 'application/json', "1\n2\n", '1,2' ], [ 'json', 'text/csv', '[1, 2]', '1,2' ], [ 'jsonlines', 'application/json', "1\n2\n", '1,2' ],
	[ 'npy', 'application/octet-stream', npy('<f8', '(2,)', pack 'd<2', 1, 2), '1,2' ], [ 'recordio', undef, $one[0] =~ s/\0\0\0\x3f/\0\0\x80\x3f/r x 2, '1,1' ],
	[ 'json', 'text/csv', "1\n2\n", '38S01', 'the answer is not JSON' ], [ 'csv', 'text/html', "<p>\n</p>\n", '38S01', 'the answer is of type "text/html"' ])
{
	my ($told, $type, $body, $expected, $message) = @$_;
	my $sql = "DROP FUNCTION m; CREATE FUNCTION m(x float8) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{\"endpoint\": \"m\", \"answer_format\": \"$told\"}'; SELECT string_agg(m(i)::text, ',') FROM generate_series(1, 2) i";
	$emulator->script('m', [], { body => { base64 => encode_base64($body, '') }, $type ? (content_type => $type) : () });
	my $name = "$told, told, from " . ($type // 'no type') . ($message ? ": $message" : '');
	if ($message) { fails_with($node, $sql, $expected, qr/\Q$message\E/, $name) }
	else { is($node->safe_psql('postgres', $sql), $expected, $name) }
}

# A header in answers.
for (
	[ '(x float8, OUT a int, OUT b text)', "b,x,a\n\"say \"\"hi\"\"\",,1\n,2,2\n", qq((1,"say ""hi"""),(2,)) ],
	[ '(x float8) RETURNS int', "score\n1\n2\n", '1,2' ],
	[ '(x float8) RETURNS text', "\"the, score\"\r\n\"a, b\"\r\nc\r\n", 'a, b,c' ],
	[ '(x float8) RETURNS int', "score\n1\n", '38S01', '2 rows were sent, 1 predictions came back' ],
	[ '(x float8) RETURNS int', "score\n1,2\n", '38S01', '2 rows were sent, 1 predictions came back' ],
	[ '(x float8) RETURNS int', '', '38S01', '2 rows were sent, 0 predictions came back' ],
	[ '(x float8, OUT a int, OUT b text)', "a,c\n1,2\n3,4\n", '38S01', 'has no member "b"' ],
	[ '(x float8, OUT a int, OUT b text)', "a,b\n1,2\n3\n", '38S01', 'line 3 has not as many fields as the header' ],
	[ '(x float8, OUT a int, OUT b text)', "a,b\n1,2,3\n3,4\n", '38S01', 'line 2 has not as many fields as the header' ])
{
	my ($signature, $body, $expected, $message) = @$_;
	my $sql = "DROP FUNCTION m; CREATE FUNCTION m$signature LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{\"endpoint\": \"m\", \"answer_header\": true}';
		SELECT string_agg(coalesce(m(i)::text, 'NULL'), ',') FROM generate_series(1, 2) i";
	$emulator->script('m', [], { body => $body, content_type => 'text/csv' });
	my $name = "$signature with a header: " . $body =~ s/\n/\\n/gr;
	if ($message) { fails_with($node, $sql, $expected, qr/\Q$message\E/, $name) }
	else { is($node->safe_psql('postgres', $sql), $expected, $name) }
}

done_testing();
