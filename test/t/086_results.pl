# What a prediction becomes beyond one value: columns bound to the response, which
# are the same batched and row by row, and sets.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");
my ($csv, $json, $lines) = ('text/csv', 'application/json', 'application/jsonlines');

# The SQL that declares m; the options are the members of its JSON body.
sub model
{
	my ($signature, $options) = @_;
	return "DROP FUNCTION IF EXISTS m; CREATE FUNCTION m$signature LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{\"endpoint\": \"m\"" . ($options ? ", $options" : '') . "}';";
}

# What a query gives with every answer the same, of a request of two rows, and of
# two requests of one row.
sub gives
{
	my ($signature, $options, $answers, $query, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for ([ 'on', $answers->[0] ], [ 'off', @$answers[ 1, 2 ] ])
	{
		my ($batch, @steps) = grep { defined } @$_;
		$emulator->reset;
		$emulator->script('m', \@steps);
		my ($status, $stdout, $stderr) = $node->psql('postgres', model($signature, $options)
			. "SET sagemaker_rt.batch = $batch; $query");
		$stderr =~ s/^psql:.*?: //mg;
		is($stdout . ($status ? $stderr : ''), $expected, "$name, batch $batch");
		is($emulator->request_count('m'), scalar @steps, '... in as many requests');
	}
}

#
# Columns that are bound.
#
my $bound = '"columns": {"variant": "$response.invoked_production_variant", "id": "$response.request_id"}';
my $out = '(x int, OUT score float8, OUT variant text, OUT id text)';
my %headers = ('x-Amzn-Invoked-Production-Variant' => 'blue', 'x-amzn-RequestId' => 'r-1');
my $answer = sub { { body => $_[0], content_type => $_[1], headers => \%headers } };
my $scored = 'SELECT m(i) FROM generate_series(1, 2) i';

for (
	[ "0.4\n0.6\n", "0.4\n", "0.6\n", $csv ],
	[ '[0.4, 0.6]', '[0.4]', '[0.6]', $json ],
	[ '[[0.4], {"score": 0.6}]', '[[0.4]]', '[{"score": 0.6}]', $json ],
	[ '[{"score": 0.4, "label": 1}, {"other": 0.6}]', '[{"score": 0.4, "label": 1}]', '[{"other": 0.6}]', $json ],
	[ "0.4\n{\"score\": 0.6}\n", "0.4\n", "{\"score\": 0.6}\n", $lines ])
{
	my ($both, $first, $second, $type) = @$_;
	gives($out, $bound, [ map { $answer->($_, $type) } $both, $first, $second ], $scored,
		"(0.4,blue,r-1)\n(0.6,blue,r-1)", "one column is the prediction: $both" =~ s/\n/\\n/gr);
}
gives('(x int, OUT variant text, OUT a int, OUT id text, OUT b text)', $bound,
	[ map { $answer->($_, $csv) } "1,x\n2,y\n", "1,x\n", "2,y\n" ], $scored,
	"(blue,1,r-1,x)\n(blue,2,r-1,y)", 'the others have the fields of a line in their order');
gives('(x int, OUT variant text, OUT a int, OUT id text, OUT b text)', $bound,
	[ map { $answer->($_, $json) } '[{"b": "x", "a": 1}, [2, "y"]]', '[{"b": "x", "a": 1}]', '[[2, "y"]]' ], $scored,
	"(blue,1,r-1,x)\n(blue,2,r-1,y)", 'and members by their names, or elements in their order');
gives('(x int, OUT score float8, OUT variant text, OUT id text)', $bound,
	[ map { { body => $_, content_type => $csv } } '0.4,0.6', "0.4\n", "0.6\n" ],
	'SELECT (m).score, (m).variant, (m).id IS NULL AS none FROM (SELECT m(i) FROM generate_series(1, 2) i OFFSET 0) s',
	"0.4||f\n0.6||f", 'one line for all rows; what the response does not have is null');
$node->safe_psql('postgres', 'CREATE TYPE scored AS (score real[], attributes text)');
gives('(x int) RETURNS scored', '"columns": {"attributes": "$response.custom_attributes"}',
	[ map { { body => $_, content_type => $csv, headers => { 'X-Amzn-SageMaker-Custom-Attributes' => "a=b \x01" } } }
		"1,2\n3,4\n", "1,2\n", "3,4\n" ], $scored,
	qq(("{1,2}","a=b \\\\x01")\n("{3,4}","a=b \\\\x01")),
	'a row type; what is not visible is escaped');
gives('(x int, OUT score float8, OUT type text, OUT session text, OUT closed text)',
	'"columns": {"type": "$response.content_type", "session": "$response.new_session_id", "closed": "$response.closed_session_id"}',
	[ map { { body => $_, content_type => "$csv; charset=utf-8", headers =>
			{ 'X-Amzn-SageMaker-New-Session-Id' => 's-1; Expires=2030-01-01T00:00:00Z', 'X-Amzn-SageMaker-Closed-Session-Id' => 's-0' } } }
		"1\n2\n", "1\n", "2\n" ], $scored,
	qq((1,"text/csv; charset=utf-8",s-1,s-0)\n(2,"text/csv; charset=utf-8",s-1,s-0)), 'type and sessions');
gives('(x int, OUT score float8, OUT variant int, OUT id text)', $bound,
	[ $answer->("1\n2\n", $csv), $answer->("1\n", $csv) ], '\set VERBOSITY sqlstate' . "\n$scored",
	'ERROR:  22P02', 'a bound value that is not fit for its column');

$emulator->reset;
is($node->safe_psql('postgres', <<'SQL'), 'challenger|2|1', 'an endpoint with variants says which one answered, row by row');
CREATE FUNCTION varied(x json, OUT answer jsonb, OUT variant text) LANGUAGE sagemaker PARALLEL SAFE COST 10000
AS '{"endpoint": "variants", "target_variant": "challenger", "format": "single",
	"columns": {"variant": "$response.invoked_production_variant"}}';
SELECT (v).variant, count(*), min((v).answer ->> 'body_bytes')
FROM (SELECT varied(to_json(i)) AS v FROM generate_series(1, 2) i) s GROUP BY 1;
SQL

#
# Sets: a prediction is a list, each element of it a row.
#
$node->safe_psql('postgres', 'CREATE TYPE pair AS (a int, b text); CREATE DOMAIN small_pair AS pair CHECK ((value).a < 10)');
my %set_of = (
	int => [ '(x int) RETURNS SETOF int', '%s' ],
	named => [ '(x int) RETURNS TABLE (a int)', '%s' ],
	array => [ '(x int) RETURNS SETOF int[]', '%s' ],
	json => [ '(x int) RETURNS SETOF jsonb', '%s' ],
	table => [ '(x int) RETURNS TABLE (a int, b text)', '(%s)' ],
	out => [ '(x int, OUT a int, OUT b text) RETURNS SETOF record', '(%s)' ],
	pair => [ '(x int) RETURNS SETOF pair', '(%s)' ],
	small_pair => [ '(x int) RETURNS SETOF small_pair', '(%s)' ]);
my @modes = (
	[ 'in FROM', 'SELECT m FROM m(7)' ],
	[ 'in the SELECT list', 'SELECT m(7)' ],
	[ 'LATERAL', 'SELECT m FROM generate_series(1, 1) i, m(i)' ]);
for (
	# What it returns, options, the answer to one row, the rows or an error.
	[ 'int', '', $json, '[[1, 2, 3]]', '1', '2', '3' ],
	[ 'named', '', $json, '[[1, 2]]', '1', '2' ],
	[ 'int', '', $json, '[[]]' ],
	[ 'int', '', $json, '[null]' ],
	[ 'int', '', $json, '[[1, null]]', '1', '' ],
	[ 'int', '', $json, '{"predictions": [{"ids": [1, 2]}]}', '1', '2' ],
	[ 'int', '"predictions": "$.p[*].ids"', $json, '{"p": [{"ids": [1, 2], "n": 2}]}', '1', '2' ],
	[ 'int', '', $lines, "[1, 2]\n", '1', '2' ],
	[ 'int', '"format": "single"', $json, '[1, 2]', '1', '2' ],
	[ 'int', '"format": "single", "predictions": "$.n"', $json, '{"n": [1, 2]}', '1', '2' ],
	[ 'int', '', $csv, "1,2,3\n", '1', '2', '3' ],
	[ 'int', '', $csv, "1,,3\n", '1', '', '3' ],
	[ 'int', '', $csv, "\n" ],
	[ 'array', '', $json, '[[[1, 2], [3]]]', '{1,2}', '{3}' ],
	[ 'json', '', $json, '[[{"a": 1}, 2]]', '{"a": 1}', '2' ],
	(map { [ $_, '', $json, '[[{"b": "x", "a": 1}, [2, "y"]]]', '1,x', '2,y' ], [ $_, '', $json, '[[]]' ],
		[ $_, '', $csv, "1,x\n", \'38S01', 'has 1 fields, 2 are wanted' ],
		[ $_, '', $json, '[[{"a": 1}]]', \'38S01', 'has no member "b"' ] } 'table', 'out', 'pair', 'small_pair'),
	[ 'small_pair', '', $json, '[[[1, "x"], [12, "y"]]]', \'23514', 'small_pair' ],
	[ 'int', '', $json, '[1]', \'38S01', 'prediction for row 1 of the request is no list' ],
	[ 'int', '', $json, '[{"a": [1], "b": [2]}]', \'38S01', 'is no list' ],
	[ 'int', '', $json, '[[1], [2]]', \'38S01', '1 rows were sent, 2 predictions came back' ],
	[ 'int', '', $json, '[[1, "x"]]', \'38S01', 'is not of type integer' ])
{
	my ($kind, $options, $type, $body, @rows) = @$_;
	my ($signature, $shape) = @{ $set_of{$kind} };
	for (@modes)
	{
		my ($mode, $query) = @$_;
		my $name = "$signature $mode, $type " . $body =~ s/\n/\\n/gr;
		$emulator->reset;
		$emulator->script('m', [], { body => $body, content_type => $type });
		my $sql = model($signature, $options) . $query;
		if (ref $rows[0])
		{
			fails_with($node, $sql, ${ $rows[0] }, qr/\Q$rows[1]\E/, $name);
			next;
		}
		is($node->safe_psql('postgres', $sql), join("\n", map { sprintf $shape, $_ } @rows), $name);
		is($emulator->request_count('m'), 1, 'in one request');
	}
}
{
	my $of = '(x int, s text) RETURNS TABLE (n int, id text)';
	my $options = '"format": "array", "columns": {"id": "$response.request_id"}';
	my %answers = map { my @bodies = @$_; (scalar @bodies => [ map { { body => $_, content_type => $json, headers => \%headers } } @bodies ]) }
		[ '[[1, 2], [], [3]]' ], [ '[[1, 2]]', '[[]]', '[[3]]' ];
	my $rows = "(VALUES (10, 'a'), (20, 'b'), (30, 'c')) v(x, s)";
	for ([ 1, "SELECT x, m.* FROM $rows, m(x, s)", "10|1|r-1\n10|2|r-1\n30|3|r-1" ],
		[ 3, "SELECT x, (m).n FROM (SELECT x, m(x, s) FROM $rows) q", "10|1\n10|2\n30|3" ],
		[ 1, "SELECT x, n FROM $rows LEFT JOIN LATERAL m(x, s) ON true", "10|1\n10|2\n20|\n30|3" ],
		[ 3, "SELECT x, n, i FROM $rows, ROWS FROM (m(x, s), generate_series(1, 2)) r(n, id, i)",
			"10|1|1\n10|2|2\n20||1\n20||2\n30|3|1\n30||2" ],
		[ 1, "SELECT sum(n) FROM $rows, m(x, s)", '6' ])
	{
		my ($n_batched, $query, $expected) = @$_;
		for ([ on => $n_batched ], [ off => 3 ])
		{
			my ($batch, $n) = @$_;
			$emulator->reset;
			$emulator->script('m', $answers{$n});
			is($node->safe_psql('postgres', model($of, $options) . "SET sagemaker_rt.batch = $batch; $query"), $expected, "batch $batch: $query");
			is($emulator->request_count('m'), $n, "in as many requests as $n");
		}
	}
	$emulator->reset;
	is($node->safe_psql('postgres', model('(x int) RETURNS SETOF int', '"nulls": "skip"') . 'SELECT m(NULL::int)'), '', 'a null that is skipped has no rows');
	is($node->safe_psql('postgres', model('(x int) RETURNS SETOF int STRICT') . 'SELECT * FROM m(NULL::int)'), '', 'nor has one of a strict function');
	is($emulator->request_count('m'), 0, 'and is not sent');
	$emulator->script('m', [ { body => '[[1, "x"], [2, 3]]', content_type => $json } ]);
	is($node->safe_psql('postgres', model('(x int) RETURNS SETOF int', '"on_error": "null"') . 'SELECT x, m(x) FROM generate_series(1, 2) x'),
		"1|\n2|2\n2|3", 'a prediction that failed is one null row');
	fails_with($node, model('(x int) RETURNS SETOF int') . 'SELECT 1 WHERE 1 IN (m(1))', '0A000', qr/set/, 'no set where none can be');
}

#
# Errors as data.
#
my $errors = '"columns": {"state": "$error.sqlstate", "error": "$error.message", "id": "$response.request_id"}, "max_attempts": 1';
my $judged = '(x int, OUT score int, OUT state text, OUT error text, OUT id text)';
# Whether the message is as expected, and all of the rest.
my $columns = sub { "SELECT (m).score, (m).state, (m).error ~ '$_[0]', (m).id FROM (SELECT m(i) FROM generate_series(1, 2) i OFFSET 0) s" };
gives($judged, $errors, [ map { $answer->($_, $csv) } "1\n2\n", "1\n", "2\n" ], $columns->(''), "1|||r-1\n2|||r-1", 'no error is null');
gives($judged, $errors, [ map { $answer->($_, $csv) } "1\nx\n", "1\n", "x\n" ],
	$columns->('^model public.m: the prediction for row \\d of the request is not of type integer$'), "1|||r-1\n|38S01|t|r-1", 'a prediction that does not fit its type');
gives($judged, $errors, [ map { $answer->($_, $csv) } "1\n99999999999\n", "1\n", "99999999999\n" ], $columns->('is out of range for type integer$'),
	"1|||r-1\n|22003|t|r-1", 'nor its range');
for ([ 'throttling', '53000', 'the service throttled' ], [ 'access-denied', '28000', 'access denied: User' ],
	[ 'model-error', '38000', 'the model failed with status' ], [ 'too-large', '54000', 'the request.s body is too large' ])
{
	my ($use, $sqlstate, $message) = @$_;
	for my $batch ('on', 'off')
	{
		$emulator->reset;
		$emulator->script('m', [], { use => $use, headers => { 'x-amzn-RequestId' => 'r-2' } });
		is($node->safe_psql('postgres', model($judged, $errors) . "SET sagemaker_rt.batch = $batch; " . $columns->("^endpoint .m.: $message")),
			"|$sqlstate|t|r-2\n|$sqlstate|t|r-2", "$use is data, batch $batch");
	}
}
$emulator->script('m', [ { body => "1\n2\n3\n", content_type => $csv } ], $answer->("7\n", $csv));
is($node->safe_psql('postgres', model($judged, $errors) . $columns->('')), "7|||r-1\n7|||r-1", 'a request whose answer does not fit is halved');
$emulator->script('m', [], { body => "1\n2\n3\n", content_type => $csv, headers => { 'x-amzn-RequestId' => 'r-3' } });
is($node->safe_psql('postgres', model($judged, $errors) . $columns->('1 rows were sent, 3 predictions came back$')), "|38S01|t|r-3\n|38S01|t|r-3", 'until the row is alone');
$emulator->script('m', [], { use => 'model-error' });
is($node->safe_psql('postgres', model('(x int) RETURNS TABLE (n int, state text)', '"columns": {"state": "$error.sqlstate"}')
		. 'SELECT i, n, state FROM generate_series(1, 2) i, m(i)'),
	"1||38000\n2||38000", 'in a set it is a row');
is($node->safe_psql('postgres', model('(x int, OUT n int, OUT state text)', '"columns": {"state": "$error.sqlstate"}, "nulls": "skip"')
		. 'SELECT m(NULL::int) IS NULL'), 't', 'what was not sent has no error');
my $warned = [ $node->psql('postgres', model('(x int, OUT n int, OUT state text)', '"on_error": "warning", "columns": {"state": "$error.sqlstate"}')
		. 'SELECT m(1)') ];
is($warned->[1], '(,38000)', 'on_error warning beside it');
like($warned->[2], qr/WARNING:  endpoint "m": the model failed/, 'warns as well');
fails_with($node, model($judged, "$errors, \"on_error\": \"error\""), '22023', qr/option "on_error" is not valid: errors go into a column/, 'on_error error beside it is refused');
fails_with($node, model('(x int, OUT n int, OUT state varchar)', '"columns": {"state": "$error.sqlstate"}'),
	'22023', qr/column "state" must be of type text/, 'a column that may be too short for an error is refused');

#
# The setting.
#
$emulator->script('m', [], { use => 'model-error' });
my $count = 'SELECT count(*), count(m(i)) FROM generate_series(1, 2) i';
for my $batch ('on', 'off')
{
	my $with = sub { model('(x int) RETURNS int', $_[1]) . "SET sagemaker_rt.batch = $batch; SET sagemaker_rt.on_error = '$_[0]'; $count" };
	fails_with($node, $with->('error'), '38000', qr/the model failed/, "on_error error, batch $batch");
	is($node->safe_psql('postgres', $with->('null')), '2|0', 'null');
	my ($status, $stdout, $stderr) = $node->psql('postgres', $with->('warning'));
	is($stdout . scalar(() = $stderr =~ /WARNING/g), '2|02', 'warning');
	fails_with($node, $with->('null', '"on_error": "error"'), '38000', qr/the model failed/, 'what the model says counts more');
}
is($node->safe_psql('postgres', "SET sagemaker_rt.on_error = 'null'; SELECT sagemaker_predict('m', 1) IS NULL"), 't', 'it counts where nothing is declared');
fails_with($node, "SET sagemaker_rt.on_error = 'ignore'", '22023', qr/invalid value for parameter "sagemaker_rt.on_error"/, 'other words are refused');
is($node->safe_psql('postgres', 'SHOW sagemaker_rt.on_error'), 'error', 'it is error at first');

# Workers know it as well, and have what is bound.
$emulator->reset;
$emulator->script('m', [], { use => 'model-error', headers => { 'x-amzn-RequestId' => 'r-4' } });
$node->safe_psql('postgres', 'CREATE TABLE many AS SELECT i FROM generate_series(1, 3000) i; ALTER TABLE many SET (parallel_workers = 2); ANALYZE many');
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off;';
for ([ '(x int) RETURNS int', '', "SET sagemaker_rt.on_error = 'null'", 'm(i) IS NULL' ],
	[ '(x int, OUT n int, OUT state text, OUT id text)', '"columns": {"state": "$error.sqlstate", "id": "$response.request_id"}', '',
		"(m(i)).state = '38000' AND (m(i)).id = 'r-4'" ])
{
	my ($signature, $options, $setting, $condition) = @$_;
	my $query = "SELECT count(*) FILTER (WHERE $condition) FROM many";
	my $sql = model($signature, join ', ', '"max_rows": 1000', $options || ()) . "$parallel $setting;";
	like($node->safe_psql('postgres', "$sql EXPLAIN (COSTS OFF) $query"), qr/Gather.*SageMaker Predict/s, 'a parallel plan');
	is($node->safe_psql('postgres', "$sql $query"), 3000, "$signature, $setting: workers do the same");
}

# A caller cannot make NULL of a failure in somebody else's function.
$node->safe_psql('postgres', model('(x int) RETURNS int') . <<'SQL');
CREATE ROLE caller;
CREATE FUNCTION check_it() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN coalesce(m(1)::text, 'unknown'); END $$;
CREATE FUNCTION softly() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET sagemaker_rt.on_error = 'null' AS $$ BEGIN RETURN coalesce(m(1)::text, 'unknown'); END $$;
SQL
fails_with($node, "SET ROLE caller; SET sagemaker_rt.on_error = 'null'; SELECT check_it()", '38000', qr/the model failed/, 'a caller\'s setting does not count in a SECURITY DEFINER function');
is($node->safe_psql('postgres', 'SET ROLE caller; SELECT softly()'), 'unknown', 'that of the function does');
is($node->safe_psql('postgres', "SET ROLE caller; SET sagemaker_rt.on_error = 'null'; SELECT coalesce(m(1)::text, 'unknown')"), 'unknown', 'and that of the caller in his own query');
$node->safe_psql('postgres', 'ALTER FUNCTION m(int) SECURITY DEFINER');
fails_with($node, "SET ROLE caller; SET sagemaker_rt.on_error = 'null'; SET sagemaker_rt.batch = $_; $count", '38000', qr/the model failed/, "nor in a model that is SECURITY DEFINER, batch $_")
  for 'on', 'off';
$node->safe_psql('postgres', 'ALTER FUNCTION m(int) SECURITY INVOKER');
$node->append_conf('postgresql.conf', "sagemaker_rt.on_error = 'null'");
$node->reload;
is($node->safe_psql('postgres', 'SET ROLE caller; SELECT check_it()'), 'unknown', 'the configuration counts for everybody');

done_testing();
