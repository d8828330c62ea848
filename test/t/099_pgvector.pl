# Embeddings into the types of pgvector: through their input functions, with the
# dimension checked, into columns that are kept, and found again by an index.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Test::More;

chomp(my $share = `$ENV{PG_CONFIG} --sharedir`);
plan skip_all => "pgvector is not installed in $share" unless -e "$share/extension/vector.control";

my $emulator = start_emulator('--no-models');
my $node = start_queue('main', $emulator, "sagemaker_rt.queue_retry_delay = '100ms'");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# An embedding model: its result, more options than it needs.
sub model
{
	my ($name, $result, $options, $endpoint) = @_;
	return "DROP FUNCTION IF EXISTS $name; CREATE FUNCTION $name(passage text) RETURNS $result
		LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{\"endpoint\": \"" . ($endpoint // 'embed-tei') . "\", \"format\": \"inputs\", \"max_rows\": 32" . ($options ? ", $options" : '') . "}'; ";
}

sql(<<'SQL' . model('embed', 'real[]', ''));
CREATE EXTENSION vector;
CREATE DOMAIN vector16 AS vector(16);
CREATE DOMAIN halfvec16 AS halfvec(16);
CREATE DOMAIN vector8 AS vector(8);
CREATE TYPE embedded AS (v vector(16), h halfvec(16));
CREATE TABLE passage AS SELECT i AS id, (ARRAY['The red kettle', 'A blue pot', 'One loud and cheap kettle', 'Small things'])[i % 4 + 1] || ' number ' || i || ' of ' || i / 7 AS passage FROM generate_series(1, 100) i;
SQL

#
# Types.
#
my %requests = ('embed-tei' => 8, 'embed-openai' => 4);	# the plain model asks embed-tei, too
for my $type ('vector', 'vector16', 'halfvec', 'halfvec16')
{
	my $within = $type =~ /half/ ? 1e-3 : 1e-6;
	for my $endpoint (sort keys %requests)
	{
		my $shape = $endpoint eq 'embed-tei' ? '' : ', "rows_member": "input", "predictions": "$.data[*].embedding", "index": "$.data[*].index"';
		$emulator->reset;
		is(sql(model('m', $type, '"dimension": 16' . $shape, $endpoint)
				. "SELECT count(*), count(DISTINCT passage) FROM (SELECT passage, m(passage) AS v, embed(passage) AS a FROM passage OFFSET 0) e WHERE v::vector <-> a::vector <= $within"),
			'100|100', "$type, $endpoint: each text has the vector that it has as real[]");
		is($emulator->request_count($endpoint), $requests{$endpoint}, '... in full requests');
		fails_with($node, model('m', $type, '"dimension": 8' . $shape, $endpoint) . "SELECT m('a')", '38S01', qr/has 16 numbers, but the option "dimension" says 8/, "$type, $endpoint: the option's dimension is checked");
	}
}
fails_with($node, model('m', 'vector8', '') . "SELECT m('a')", '22000', qr/expected 8 dimensions, not 16/, "a domain's dimension is checked by its type");
sql(model('m', 'vector', ''));
fails_with($node, "CREATE TABLE narrow (v vector(8)); INSERT INTO narrow SELECT m(passage) FROM passage", '22000', qr/expected 8 dimensions, not 16/, "... and a column's");
sql('CREATE TABLE both_of (id int, v vector(16), h halfvec(16))');
is(sql(model('m', 'SETOF vector16', '"predictions": "$"') . "SELECT count(*), count(DISTINCT vector_dims(v)) FROM m('a red kettle') v"), '1|1', 'a set of vectors');

# What the types refuse is their own error, or one row's NULL.
$emulator->script('odd', [], { body => { json => [ [ 1, 2 ], [ 1e6, 2 ], [ 3, undef ], [ 'x', 1 ], [ 5, 6 ] ] } });
my $odd = 'FROM (SELECT i, m(passage) AS v FROM (SELECT id AS i, passage FROM passage WHERE id <= 5 ORDER BY id OFFSET 0) p OFFSET 0) e';
for ([ 'vector', '22P02', qr/invalid input syntax for type vector/, '1,2,5' ], [ 'halfvec', '22003', qr/is out of range for type halfvec/, '1,5' ])
{
	my ($type, $sqlstate, $message, $read) = @$_;
	fails_with($node, model('m', $type, '', 'odd') . "SELECT v $odd", $sqlstate, $message, "$type: what it does not take is its own error");
	is(sql(model('m', $type, '"on_error": "null"', 'odd') . "SELECT string_agg(i::text, ',') FILTER (WHERE v IS NOT NULL) $odd"), $read, "$type: ... or NULL, and its neighbours have their own");
}

#
# A column, kept in each way, holds each passage's vector, and never one of
# another model.
#
sql(<<'SQL' . model('embed_vector', 'vector', '"dimension": 16') . model('embed_half', 'halfvec', '"dimension": 16'));
CREATE TABLE library (id int PRIMARY KEY, passage text, embedding vector(16), half halfvec(16));
INSERT INTO library (id, passage) SELECT id, passage FROM passage;
SQL
my $wrong = 'SELECT count(*) FROM (SELECT *, embed(passage)::vector AS a FROM library OFFSET 0) l WHERE (embedding <-> a <= 1e-6 AND half::vector <-> a <= 1e-3) IS NOT TRUE';
sql("CALL sagemaker_predict_table('library', 'embed_half', 'half')");
for my $mode ('statement', 'row', 'queue')
{
	$emulator->reset;
	sql("UPDATE library SET embedding = NULL; UPDATE library SET half = NULL; CALL sagemaker_keep('library', 'embedding', 'embed_vector', mode => '$mode'); CALL sagemaker_keep('library', 'half', 'embed_half', mode => '$mode')");
	is(sql($wrong), 0, "mode $mode: the table is filled");
	sql("INSERT INTO library VALUES (1000, 'A green lamp'); UPDATE library SET passage = passage || ' again' WHERE id <= 10");
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM sagemaker_queue WHERE state <> 'done')") if $mode eq 'queue';
	is(sql($wrong), 0, "mode $mode: and follows what is written");
	sql('DELETE FROM library WHERE id >= 1000');
}
sql("CALL sagemaker_keep('library', 'half', 'embed_half', mode => 'off', fill => false); CALL sagemaker_keep('library', 'embedding', 'embed_vector', mode => 'off', fill => false)");
sql(model('embed_half', 'halfvec', '"dimension": 8, "on_error": "null"') . 'UPDATE library SET half = NULL');
fails_with($node, "CALL sagemaker_predict_table('library', 'embed_half', 'half')", '54000', qr/100 of 100 rows failed.*100 of 38S01/, 'a job of a model with another dimension ends');
is(sql("SELECT count(*) FILTER (WHERE half IS NOT NULL), count(*) FROM library"), '0|100', '... and has stored none of its vectors');

#
# Search and rerank in one query, through an index.
#
sql(<<'SQL');
INSERT INTO library (id, passage) SELECT i, (ARRAY['kettle', 'pot', 'lamp', 'chair', 'shoe'])[i % 5 + 1] || ' of ' || (ARRAY['red', 'blue', 'green', 'black', 'white', 'pink', 'old'])[i % 7 + 1] || ' ' || (ARRAY['iron', 'wood', 'glass', 'wool'])[i % 4 + 1] || ' ' || i FROM generate_series(101, 5000) i;
CALL sagemaker_predict_table('library', 'embed_vector', 'embedding');
CREATE INDEX library_embedding ON library USING hnsw (embedding vector_cosine_ops);
ANALYZE library;
CREATE FUNCTION rerank(query text, passage text) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "reranker", "format": "inputs", "shared": ["query"], "rows_member": "texts", "predictions": "$[*].score", "index": "$[*].index"}';
SQL
my $near = q{SELECT id, passage FROM library ORDER BY embedding <=> (SELECT embed_vector('a red kettle of iron')) LIMIT 40};
my $best = "SELECT id FROM ($near) AS near ORDER BY rerank('a red kettle of iron', passage) DESC, id LIMIT 10";
my $plan = sql("EXPLAIN (COSTS OFF) $best");
like($plan, qr/Index Scan using library_embedding/, 'the index finds candidates, if the question is embedded in a subquery');
$emulator->reset;
my $found = sql("SET hnsw.ef_search = 400; $best");
is($emulator->request_count('embed-tei'), 1, '... the question is embedded once');
is($emulator->request_count('reranker'), 1, '... and candidates are reranked in one request');
# The reranker's score is the cosine: an exact search gives the same.
is($found, sql("SET enable_indexscan = off; SELECT id FROM (SELECT id, passage, embed_vector('a red kettle of iron') <=> embedding AS d FROM library ORDER BY d LIMIT 40) n ORDER BY round(d::numeric, 6), id LIMIT 10"), '... and the best are those of an exact search')
  || diag($plan);

done_testing();
