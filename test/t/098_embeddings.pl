# Embeddings and rerankers: arguments that a request has once, answers in another
# order than rows, lists of vectors in each shape.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

sub model
{
	my ($signature, $options) = @_;
	my ($name) = $signature =~ /^(\w+)/;
	return "DROP FUNCTION IF EXISTS $name; CREATE FUNCTION $signature LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{$options}';";
}

sub must
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', $_[0], on_error_stop => 1);
	return $status == 0 ? $stdout : "$stdout$stderr";
}

must(<<'SQL');
CREATE TABLE question AS SELECT i AS id, 'which kettle is the ' || (ARRAY['red', 'blue', 'loud', 'cheap', 'small'])[i % 5 + 1] || ' one ' || i AS question FROM generate_series(1, 50) i;
CREATE TABLE passage AS SELECT i AS id, (ARRAY['The red kettle', 'A blue pot', 'One loud and cheap kettle', 'Small things'])[i % 4 + 1] || ' number ' || i AS passage FROM generate_series(1, 100) i;
SQL

#
# A reranker.
#
my $rerank = '"endpoint": "reranker", "format": "inputs", "shared": ["query"], "rows_member": "texts", "predictions": "$[*].score", "index": "$[*].index"';
must(model('rerank(query text, passage text) RETURNS float8', $rerank));
my $pairs = '(SELECT q.id AS q, p.id AS p, question, passage FROM question q, passage p ORDER BY q.id, p.id OFFSET 0) pairs';
$emulator->reset;
is(must("CREATE TABLE ranked AS SELECT q, p, question, passage, rerank(question, passage) AS score FROM $pairs ORDER BY score; SELECT count(*) FROM ranked WHERE score IS NOT NULL"), 5000, '100 passages for each of 50 questions');
is($emulator->request_count('reranker'), 50, '... in 50 requests');
# The endpoint's own words for each question, asked without a model.
is(must(<<'SQL'), '0|50', '... with the scores that the reranker gives');
SELECT count(*) FILTER (WHERE r.score IS DISTINCT FROM own.score), count(DISTINCT r.q)
FROM (SELECT q, (e->>'index')::int AS n, (e->>'score')::float8 AS score
	  FROM (SELECT q, sagemaker_body_json(sagemaker_invoke('reranker', jsonb_build_object('query', question, 'texts', jsonb_agg(passage ORDER BY p)))) AS answer
			FROM ranked GROUP BY q, question) a, jsonb_array_elements(answer::jsonb) e) own
RIGHT JOIN ranked r ON r.q = own.q AND r.p = own.n + 1;
SQL
is(must("SELECT count(DISTINCT score) > 5 FROM ranked"), 't', '... which differ');
is(must("SET sagemaker_rt.batch = off; SELECT count(*), count(*) FILTER (WHERE rerank(question, passage) IS DISTINCT FROM score) FROM ranked"), '5000|0', 'row by row it gives the same');
for my $order ('p, q', 'md5(p::text || q)')
{
	$emulator->reset;
	is(must("SELECT count(*), count(*) FILTER (WHERE s IS DISTINCT FROM score) FROM (SELECT score, rerank(question, passage) AS s FROM (SELECT * FROM ranked WHERE q <= 8 ORDER BY $order OFFSET 0) r OFFSET 0) t"), '800|0', "whatever the order: $order");
	cmp_ok($emulator->request_count('reranker'), '<=', 16, '... rows of one question are packed together');
}
is(must('SELECT passage FROM ranked WHERE q = 5 ORDER BY rerank(question, passage) DESC, p LIMIT 1'), must('SELECT passage FROM ranked WHERE q = 5 ORDER BY score DESC, p LIMIT 1'), 'it orders a query');
$emulator->reset;
must(model('seen(query text, k int, a text, b int) RETURNS jsonb', '"endpoint": "captured", "shared": ["k", "query"], "format": "instances", "constant": {"c": 1}')
	. q(SELECT count(seen('say "hi"', 3, s, i)) FROM (VALUES ('x', 1), ('y', NULL)) v(s, i)));
my ($last) = reverse @{ $emulator->control('captures') };
is(decode_base64($last->{captureData}{endpointInput}{data}), '{"instances":[{"a":"x","b":1},{"a":"y","b":null}],"c": 1,"query":"say \"hi\"","k":3}', 'what is shared stands beside the rows');
for (
	[ '"shared": ["no"], "format": "inputs"', qr/option "shared" is not valid: there is no argument "no"/ ],
	[ '"shared": "query", "format": "inputs"', qr/option "shared" is not valid: it must be a JSON array/ ],
	[ '"shared": ["query", "passage"], "format": "inputs"', qr/option "shared" is not valid: it leaves no argument for the rows/ ],
	[ '"shared": ["query"], "format": "csv"', qr/option "shared" is not valid: only the formats instances and inputs/ ],
	[ '"rows_member": "texts", "format": "array"', qr/option "rows_member" is not valid: only the formats instances and inputs/ ],
	[ '"dimension": 0', qr/option "dimension" is not valid: it must be between 1 and 65536/ ])
{
	fails_with($node, model('m(query text, passage text) RETURNS float8', "\"endpoint\": \"e\", $_->[0]"), '22023', $_->[1], "refused: $_->[0]");
}
# Row numbers that are none.
my $numbered = sub { return { body => { json => [ map { { index => $_, score => 1 } } @_ ] } } };
for ([ 0, 0 ], [ 0, 2 ], [ -1, 0 ], [ 0.5, 1 ], [ 'a', 0 ], [ undef, 1 ])
{
	$emulator->script('m', [], $numbered->(@$_));
	fails_with($node, model('m(query text, passage text) RETURNS float8', $rerank =~ s/reranker/m/r) . "SELECT m('q', p) FROM (VALUES ('a'), ('b')) v(p)", '38S01',
		qr/the answer's row numbers are not those of 2 rows, each once/, 'row numbers: ' . join(', ', map { $_ // 'null' } @$_));
}
$emulator->script('m', [], { body => { json => [ { index => 0, score => 1 }, { score => 1 } ] } });
fails_with($node, "SELECT m('q', p) FROM (VALUES ('a'), ('b')) v(p)", '38S01', qr/the answer has 1 row numbers for 2 rows/, 'a row number is missing');

#
# The same where rows are written: what is shared goes with its rows, whatever
# order they come in, and a row whose question changes is asked for again.
#
my $unlike = 'SELECT count(*), count(*) FILTER (WHERE h.score IS DISTINCT FROM r.score) FROM hit h LEFT JOIN ranked r ON r.question = h.query AND r.p = h.p';
my $some = 'INSERT INTO hit SELECT q, p, question, passage FROM ranked WHERE q <= 4 ORDER BY p, q';
my $other = 'UPDATE hit SET query = (SELECT question FROM ranked WHERE q = 5 LIMIT 1) WHERE q = 1';
for my $kind ('row', 'statement')
{
	must('DROP TABLE IF EXISTS hit; CREATE TABLE hit (q int, p int, query text, passage text, score float8, PRIMARY KEY (q, p)); ' . ($kind eq 'row'
			? "CREATE TRIGGER score BEFORE INSERT OR UPDATE ON hit FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row('public.rerank', 'score')"
			: "CREATE TRIGGER score_new AFTER INSERT ON hit REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.rerank', 'score');
			CREATE TRIGGER score_changed AFTER UPDATE ON hit REFERENCING NEW TABLE AS new OLD TABLE AS old FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.rerank', 'score')"));
	$emulator->reset;
	is(must("$some; $unlike"), '400|0', "$kind trigger: shared arguments are columns");
	is($emulator->request_count('reranker'), $kind eq 'row' ? 400 : 4, '... in a request ' . ($kind eq 'row' ? 'a row' : 'a question'));
	$emulator->reset;
	is(must("$other; $unlike"), '400|0', '... one that changes counts');
	is($emulator->request_count('reranker'), $kind eq 'row' ? 100 : 1, '... for its rows alone');
}
must('TRUNCATE hit; DROP TRIGGER score_new ON hit; DROP TRIGGER score_changed ON hit; ALTER TABLE hit ADD n serial; ALTER TABLE hit DROP CONSTRAINT hit_pkey; ALTER TABLE hit ADD PRIMARY KEY (n);
	INSERT INTO hit SELECT q, p, question, passage FROM ranked ORDER BY p, q');
$emulator->reset;
is(must("CALL sagemaker_predict_table('hit', 'rerank', 'score', rows_per_transaction => 2500); $unlike"), "5000|0|0|0\n5000|0", 'a table job: so are its');
is($emulator->request_count('reranker'), 2 * 50, '... in a request for each question of a transaction');
my $in_queue = start_queue('queue', $emulator);
$in_queue->safe_psql('postgres', model('rerank(query text, passage text) RETURNS float8', $rerank) . 'CREATE TABLE hit (n serial PRIMARY KEY, query text, passage text, score float8);
	CREATE TRIGGER score AFTER INSERT OR UPDATE ON hit FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row(\'public.rerank\', \'score\');
	ALTER TABLE hit ADD seen text; CREATE TRIGGER seen AFTER INSERT OR UPDATE ON hit FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row(\'public.seen\', \'seen\');'
	. model('seen(query text, passage text) RETURNS text', '"endpoint": "captured", "format": "inputs", "shared": ["query"], "rows_member": "texts", "predictions": "$.texts[*]"'));
$emulator->reset;
$in_queue->safe_psql('postgres', "INSERT INTO hit (query, passage) SELECT 'which kettle is the ' || q || ' one', p || ' kettles' FROM generate_series(1, 100) p, generate_series(1, 4) q ORDER BY p, q");
ok(drained($in_queue), 'the queue is worked off');
my $n_requests = $emulator->request_count('reranker');
is($in_queue->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE rerank(query, passage) IS DISTINCT FROM score) FROM hit'), '400|0', '... each row with the score of its own question');
cmp_ok($n_requests, '<=', 40, '... packed by question');
my %query_of = map { split /\t/ } split /\n/, $in_queue->safe_psql('postgres', "SELECT q.inference_id || E'\t' || h.query FROM sagemaker_queue q JOIN hit h ON h.n = q.key[1]::int");
my @captures = map { [ $_->{eventMetadata}{inferenceId}, decode_json(decode_base64($_->{captureData}{endpointInput}{data}))->{query} ] } @{ $emulator->control('captures') };
cmp_ok(scalar @captures, '>=', 4, 'requests of the queue ...');
is(scalar(grep { $query_of{ $_->[0] } ne $_->[1] } @captures), 0, '... have the inference id of a row with their question');
$in_queue->stop;

#
# Embeddings.
#
my %shape = (
	'embed-tei' => '"format": "inputs"',
	'embed-openai' => '"format": "inputs", "rows_member": "input", "constant": {"model": "m"}, "predictions": "$.data[*].embedding", "index": "$.data[*].index"');
must('CREATE TABLE text_vector AS SELECT passage, NULL::real[] AS v FROM passage');
for my $endpoint (sort keys %shape)
{
	$emulator->reset;
	is(must(model('embed(passage text) RETURNS real[]', "\"endpoint\": \"$endpoint\", $shape{$endpoint}, \"max_rows\": 32, \"dimension\": 16") . 'UPDATE text_vector SET v = NULL; UPDATE text_vector SET v = embed(passage); SELECT count(*) FROM text_vector WHERE array_length(v, 1) = 16'), 100, "$endpoint: a vector for each text");
	is($emulator->request_count($endpoint), 4, '... in requests of so many rows');
	is(must('SELECT count(*) FROM (SELECT passage, (SELECT sum(a * a) FROM unnest(v) a) AS length FROM text_vector) t WHERE abs(length - 1) > 1e-5'), 0, '... all of length 1');
	# Cosine with itself is what the reranker says of the two texts.
	is(must(q{SELECT count(*) FROM (SELECT t.passage, (SELECT sum(a * b) FROM unnest(t.v, o.v) u(a, b)) AS dot, rerank(o.passage, t.passage) AS score FROM text_vector t, (SELECT * FROM text_vector ORDER BY passage LIMIT 1) o) d WHERE abs(dot - score) > 1e-5}), 0, '... which is the right one');
	fails_with($node, model('embed(passage text) RETURNS real[]', "\"endpoint\": \"$endpoint\", $shape{$endpoint}, \"dimension\": 8") . "SELECT embed('a')", '38S01', qr/has 16 numbers, but the option "dimension" says 8/, '... and its dimension is checked');
}
like(must(model('embed(passage text) RETURNS real[]', "\"endpoint\": \"embed-openai\", $shape{'embed-openai'}") . 'EXPLAIN (ANALYZE, COSTS OFF) SELECT embed(passage) FROM passage WHERE id <= 4'), qr/Input Tokens: \d\d\n/, 'tokens are told');
is(must(model('embed(passage text) RETURNS real[]', '"endpoint": "embed-tei", "format": "inputs", "max_rows": 200') . 'SELECT count(embed(passage || n)) FROM passage, generate_series(1, 2) n'), 200, 'requests that are too large for the server are halved');

done_testing();
