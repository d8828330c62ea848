# Equal inputs of a deterministic model are sent once, as long as their answers
# are kept; and what that must not change.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

sub model
{
	my ($options) = @_;
	return "DROP FUNCTION IF EXISTS m; CREATE FUNCTION m(s text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{$options}';";
}

# What a query gives, and in how many requests.
sub asks
{
	my ($sql, $gives, $requests, $name, %more) = @_;
	$emulator->reset;
	$emulator->script('m', @{ $more{script} }) if $more{script};
	is($node->safe_psql('postgres', $sql), $gives, $name);
	my $count = $emulator->request_count($more{endpoint} // 'echo');
	ok(ref $requests ? $count > $requests->[0] && $count < $requests->[1] : $count == $requests, "... in $count requests");
}

my $wrong = 'SELECT count(*), count(*) FILTER (WHERE m IS DISTINCT FROM s)';
my $hundred = "FROM (SELECT s, m(s) FROM (SELECT 'n' || i % 100 AS s FROM generate_series(1, 10000) i) r OFFSET 0) q";
my $one = '"endpoint": "echo", "max_rows": 1';
asks(model($one) . "$wrong $hundred", '10000|0', 100, '10,000 rows with 100 different inputs');
asks(model("$one, \"deterministic\": false") . "$wrong $hundred", '10000|0', 10000, 'each for itself, if the model is not deterministic');
asks(model($one) . "SET sagemaker_rt.reuse_size = 0; $wrong $hundred", '10000|0', 10000, 'nor if nothing is kept');
asks(model($one) . "SET sagemaker_rt.reuse_size = '64kB'; $wrong $hundred", '10000|0', [ 5000, 10001 ], 'the oldest go when there is no room for all');
asks(model($one) . "SET sagemaker_rt.reuse_size = '64kB'; $wrong " . ($hundred =~ s/'n' \|\| i % 100/'n' || i \/ 100/r), '10000|0', 101, 'what follows soon needs little room');
asks(model('"endpoint": "echo", "max_rows": 30, "concurrency": 3') . "$wrong $hundred", '10000|0', [ 3, 7 ], 'requests of many rows gain, too');
asks(model('"endpoint": "chat-parrot", "format": "chat"') . "$wrong $hundred", '10000|0', 100, 'and chats', endpoint => 'chat-parrot');
like($node->safe_psql('postgres', model($one) . 'EXPLAIN (ANALYZE, COSTS OFF) SELECT m(s) ' . ($hundred =~ s/^FROM \(SELECT s, m\(s\) (.*) OFFSET 0\) q$/$1/r)),
	qr/Rows Sent: 100\n\s+Rows Not Sent: 0\n\s+Rows Merged: 9900\n/, 'EXPLAIN shows how many were not sent again');

# A row with its own answer stays where it is, whichever came first.
asks(model('"endpoint": "echo", "max_rows": 3, "nulls": "skip"') . "SELECT string_agg(coalesce(m, 'NULL'), ',' ORDER BY i) FROM (SELECT i, m(s) FROM (VALUES (1, 'a'), (2, 'b'), (3, 'a'), (4, 'c'), (5, NULL), (6, 'b'), (7, 'a'), (8, 'e')) v(i, s)) q",
	'a,b,a,c,NULL,b,a,e', 2, 'rows stay in their order');

# A failure is not kept: the next row asks again.
my $retry = [ [ { use => 'model-error' } ], { body => "fine\n", content_type => 'text/csv' } ];
asks(model('"endpoint": "m", "max_rows": 1, "concurrency": 1, "on_error": "null"') . "SELECT string_agg(coalesce(m, 'NULL'), ',') FROM (SELECT m(s) FROM (SELECT 'a' AS s FROM generate_series(1, 5)) r OFFSET 0) q",
	'NULL,fine,fine,fine,fine', 2, 'what failed is asked again', endpoint => 'm', script => $retry);

# Halves of a request, and rows that wait for them.
asks(model('"endpoint": "echo", "on_error": "null"') =~ s/RETURNS text/RETURNS int/r . "SELECT count(m), count(*) FROM (SELECT m(s) FROM (SELECT CASE WHEN i % 20 = 7 THEN 'x' ELSE (i % 20)::text END AS s FROM generate_series(1, 200) i) r OFFSET 0) q",
	'190|200', [ 0, 12 ], 'a bad row among equal ones costs these nothing');
$emulator->reset;
is($node->safe_psql('postgres', model('"endpoint": "xgboost", "max_rows": 8, "on_error": "null", "format": "csv"') =~ s/\(s text\) RETURNS text/(VARIADIC f float8[]) RETURNS float8/r .
	"SELECT count(m), count(*) FROM (SELECT m(VARIADIC CASE WHEN i % 5 = 0 THEN '{1}' ELSE ARRAY[i % 5, 2, 3, 4] END) FROM generate_series(1, 200) i OFFSET 0) q"), '160|200', 'requests that were halved give equal rows their answers');

# Another role gets none of what the one before was told.
$emulator->reset;
$node->safe_psql('postgres', model($one) . "CREATE ROLE other; GRANT EXECUTE ON FUNCTION m TO other; BEGIN;
	DECLARE c NO SCROLL CURSOR FOR SELECT m('same' || i * 0) FROM generate_series(1, 200) i; FETCH 100 FROM c; SET LOCAL ROLE other; FETCH 100 FROM c; COMMIT");
cmp_ok($emulator->request_count('echo'), '>=', 2, 'another role asks for itself');

done_testing();
