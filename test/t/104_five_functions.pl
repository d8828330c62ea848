# Five functions that a user would write, each one CREATE FUNCTION, in one plain
# SELECT: right results, and as few requests as packing and merging promise.
#
# 10,000 rows with 1500 texts among them, of which each is asked for once; and 2000
# rows that are all different, since the local endpoint answers some thousand chats
# a second.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(<<'SQL');
CREATE TYPE fields AS ("order" int, bye text);
CREATE TYPE mood AS ENUM ('praise', 'question', 'complaint');
CREATE FUNCTION is_complaint(body text) RETURNS boolean LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "chat", "format": "chat", "concurrency": 32, "response_format": "json_schema"}';
CREATE FUNCTION fields_of(body text) RETURNS fields LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "chat", "format": "chat", "concurrency": 32, "response_format": "json_schema"}';
CREATE FUNCTION classify(body text) RETURNS mood LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "chat", "format": "chat", "concurrency": 32}';
CREATE FUNCTION summarise(body text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "chat", "format": "chat", "concurrency": 32}';
CREATE FUNCTION rerank(query text, passage text) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "reranker", "format": "inputs", "shared": ["query"], "rows_member": "texts",
	"predictions": "$[*].score", "index": "$[*].index", "concurrency": 32}';

CREATE FUNCTION mail(n int, different int) RETURNS TABLE (id int, body text, mood mood, "order" int) LANGUAGE sql AS $$
	SELECT i, (ARRAY['What a lovely kettle', 'My kettle broke, money back', 'Does the kettle come in red'])[i % 3 + 1] || ', order ' || i % different || '. Bye, Alice.',
		(ARRAY['praise', 'complaint', 'question'])[i % 3 + 1]::mood, i % different FROM generate_series(0, n - 1) i
$$;
SQL

# The reranker's own scores, asked for without a model function.
sub scores
{
	return <<'SQL';
CREATE TABLE score AS
SELECT body, score FROM (SELECT part, array_agg(body ORDER BY body) AS bodies FROM (SELECT body, (row_number() OVER (ORDER BY body) - 1) / 100 AS part FROM (SELECT DISTINCT body FROM mails) d) p GROUP BY part) parts,
	LATERAL (SELECT bodies[(e->>'index')::int + 1] AS body, (e->>'score')::float8 AS score
		FROM jsonb_array_elements(sagemaker_body_json(sagemaker_invoke('reranker', jsonb_build_object('query', 'a broken kettle', 'texts', bodies)))::jsonb) e) s;
SQL
}

for ([ 10000, 500, 1500, 'equal texts are asked for once' ], [ 2000, 2000, 2000, 'all of them different' ])
{
	my ($n, $different, $texts, $name) = @$_;
	sql("DROP TABLE IF EXISTS mails, score; CREATE TABLE mails AS SELECT * FROM mail($n, $different); " . scores());
	is(sql('SELECT count(*), count(DISTINCT body) FROM mails'), "$n|$texts", "$n rows, $name");
	is(sql('SELECT count(*) FROM score'), $texts, '... each with a score of its own');
	$emulator->reset;
	is(sql(<<'SQL'), "$n|0", '... and five results each, the right ones');
SET sagemaker_rt.reuse_size = '256MB';
CREATE TEMP TABLE judged (LIKE mails, c boolean, f fields, k mood, s text, r float8);
INSERT INTO judged SELECT *, is_complaint(body) AS c, fields_of(body) AS f, classify(body) AS k, summarise(body) AS s, rerank('a broken kettle', body) AS r FROM mails;
SELECT count(*), count(*) FILTER (WHERE (c = (mood = 'complaint') AND (f)."order" = "order" AND (f).bye = 'Alice' AND k = mood
	AND s <> '' AND strpos(body, s) > 0 AND r = score) IS NOT TRUE) FROM judged JOIN score USING (body);
SQL
	is($emulator->request_count('chat'), 4 * $texts, '... in a chat for each text and function');
	is($emulator->request_count('reranker'), $texts / 100, '... and full requests to the reranker');
}
my $stats = $emulator->control('stats')->{endpoints};
cmp_ok($stats->{chat}{most_at_work}, '<=', 4 * 32, 'not more than 32 of a function are in flight');
cmp_ok($stats->{chat}{most_at_work}, '>', 8, '... and not few');

# How far a model is asked ahead for another one's sake: no further than memory
# permits, and not beyond what a consumer may want.
$emulator->reset;
is(sql(q{SELECT count(c), count(r) FROM (SELECT is_complaint(body) AS c, CASE WHEN id % 1000 = 0 THEN rerank('a kettle', body) END AS r FROM mails OFFSET 0) s}), '2000|2', 'a model that few rows reach');
is($emulator->request_count('reranker'), 2, '... is not waited for until these fill a request');
$emulator->reset;
is(sql(q{BEGIN; DECLARE c CURSOR FOR SELECT id, is_complaint(body), rerank('a kettle', body) > -2 FROM mails; FETCH 3 FROM c; COMMIT}), "0|f|t\n1|t|t\n2|f|t", 'who reads three rows');
cmp_ok($emulator->request_count('chat'), '<=', 16, '... has not paid for many');

done_testing();
