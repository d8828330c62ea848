# A model function over a streaming endpoint gives the whole text, or, as a set,
# its pieces as they come.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

sub ledger
{
	my ($endpoint) = @_;
	return $emulator->control("streams?endpoint=$endpoint")->[-1] // {};
}

# A model function of that name, endpoint and result.
sub declare
{
	my ($name, $endpoint, $result, $more) = @_;
	my $options = '{"endpoint": "' . $endpoint . '", "stream": true' . ($more // '') . '}';
	$node->safe_psql('postgres',
		"CREATE OR REPLACE FUNCTION $name(inputs text, stream boolean DEFAULT true)
			RETURNS $result LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '$options'");
}

declare('story', 'parrot', 'text');
declare('pieces', 'parrot', 'SETOF text');
declare('events', 'parrot', 'SETOF text', ', "accept": "text/event-stream"');

my $prompt = 'say "this", and that';
is($node->safe_psql('postgres', "SELECT story('$prompt')"), $prompt, 'the whole text');
is( $node->safe_psql('postgres', "SELECT pieces('$prompt')"),
	"say\n \"this\",\n and\n that", 'its pieces');
is( $node->safe_psql('postgres', "SELECT string_agg(p, '|') FROM events('$prompt') AS p"),
	'say| "this",| and| that', 'events, in FROM');
is($node->safe_psql('postgres', "SELECT story('$prompt', false)"), $prompt,
	'a model that does not stream all the same');
like(($emulator->requests('parrot'))[0]{line}, qr{/invocations-response-stream },
	'the operation is the streaming one');

# Sets of rows: requests go at the same time, answers come in row order.

$emulator->reset;
is( $node->safe_psql('postgres', q{
		SELECT string_agg(story('n ' || i), ',' ORDER BY i) FROM generate_series(1, 20) i}),
	join(',', map { "n $_" } 1 .. 20), 'many rows');
is($emulator->request_count('parrot'), 20, 'each is a request');
is( $node->safe_psql('postgres', q{
		SELECT i, pieces('n ' || i) FROM generate_series(1, 2) i}),
	"1|n\n1| 1\n2|n\n2| 2", 'a set for each row');

# The first piece is there before the last one is made.

$emulator->script('slow', [], { stream => [
	qq({"outputs": ["one"]}\n), { gate => \1 }, qq({"outputs": [" two"]}\n) ] });
declare('slow', 'slow', 'SETOF text');
my $session = Session->new($node);
$session->must(q{BEGIN; DECLARE c CURSOR FOR SELECT slow('x')});
is($session->must('FETCH c'), 'one', 'FETCH gives the first piece');
ok(wait_until(sub { ledger('slow')->{state} eq 'waiting' }), 'while the model waits');
$session->must('CLOSE c; COMMIT');
ok(wait_until(sub { ledger('slow')->{state} eq 'dropped' }), 'a closed cursor drops the stream');
is($node->safe_psql('postgres', q{SELECT slow('x') LIMIT 1}), 'one', 'so does LIMIT');
ok(wait_until(sub { ledger('slow')->{state} eq 'dropped' }), 'of a SELECT');

# As its owner: the caller has no right to the function that it could call instead.

$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE FUNCTION owned(inputs text) RETURNS SETOF text LANGUAGE sagemaker
		SECURITY DEFINER PARALLEL SAFE COST 10000 AS '{"endpoint": "slow", "stream": true}';
	REVOKE EXECUTE ON FUNCTION owned FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION owned TO reader});
is($node->safe_psql('postgres', q{SET ROLE reader; SELECT owned('x') LIMIT 1}), 'one',
	'a set of a SECURITY DEFINER model');
ok(wait_until(sub { ledger('slow')->{state} eq 'dropped' }), 'is dropped as well');

# timeout bounds each wait, not the whole.

$emulator->script('drip', [], { stream => [
	(map { (qq({"outputs": ["$_"]}\n), { wait_ms => 150 }) } 1 .. 8) ] });
declare('drip', 'drip', 'text', ', "timeout": "600ms"');
is($node->safe_psql('postgres', q{SELECT drip('x')}), '12345678',
	'a text may take longer than timeout');

# Failures.

my %failures = (
	'stream-exception' => [ '38S03', qr/StreamBroken/ ],
	'stream-cut' => [ '38S03', qr/within a frame/ ],
	'stream-damaged' => [ '38S03', qr/checksum/ ],
	'stream-failure' => [ '58000', qr/The service failed/ ],
	'stream-unfinished' => [ '38S03', qr/reason to finish/ ],
	'stream-error-message' => [ '38S03', qr/out of memory/ ],
	'stream-no-stream' => [ '38S03', qr/the container's own/ ]);
for my $endpoint (sort keys %failures)
{
	my ($sqlstate, $message) = @{ $failures{$endpoint} };

	declare('failing', $endpoint, 'text', ', "max_attempts": 1');
	fails_with($node, q{SELECT failing('x')}, $sqlstate, $message, "$endpoint: whole");
	like(failure($node, q{SELECT failing('x')})->{detail}, qr/Request id [0-9a-f-]{36}/,
		'with the request');
	declare('failing_set', $endpoint, 'SETOF text', ', "max_attempts": 1');
	fails_with($node, q{SELECT failing_set('x')}, $sqlstate, $message, 'in pieces');
	declare('failing', $endpoint, 'text', ', "max_attempts": 1, "on_error": "null"');
	is($node->safe_psql('postgres', q{SELECT failing('x') IS NULL}), 't', 'or NULL');
	declare('failing_set', $endpoint, 'SETOF text', ', "max_attempts": 1, "on_error": "null"');
	like($node->safe_psql('postgres', q{SELECT coalesce(f, 'NULL') FROM failing_set('x') AS f}),
		qr/^(one\n two\n)?NULL$/, 'or a last piece that is NULL');
}
$emulator->script('again', [ { stream => [ qq({"outputs": ["x"]}\n) ], after => 'close' } ],
	{ stream => [ qq({"outputs": ["good"]}\n) ] });
declare('again', 'again', 'text');
is($node->safe_psql('postgres', q{SELECT again('x')}), 'good',
	'a whole text is tried again even after parts');

# Definitions.

for my $wrong (
	[ 'json', '', '42P13', qr/must return text or SETOF text/ ],
	[ 'SETOF int', '', '42P13', qr/must return text or SETOF text/ ],
	[ 'text', ', "format": "inputs", "min_rows": 2', '22023', qr/"min_rows"/ ],
	[ 'text', ', "target_model": "m"', '22023', qr/"target_model"/ ],
	[ 'text', ', "session_id": "NEW_SESSION"', '22023', qr/"session_id"/ ])
{
	my ($result, $more, $sqlstate, $message) = @$wrong;
	fails_with($node,
		"CREATE FUNCTION wrong(x text) RETURNS $result LANGUAGE sagemaker PARALLEL SAFE COST 10000
			AS '{\"endpoint\": \"e\", \"stream\": true$more}'",
		$sqlstate, $message, "a definition is checked: $result$more");
}
declare('bytes', 'parrot', 'text', ', "max_bytes": 20');
fails_with($node, q{SELECT bytes('a long prompt, too long')}, '54000', qr/larger than a request/, 'max_bytes');
declare('bytes_set', 'parrot', 'SETOF text', ', "max_bytes": 20');
fails_with($node, q{SELECT bytes_set('a long prompt, too long')}, '54000', qr/larger than a request/, 'of a set');
$emulator->script('path', [], { stream => [ qq({"a": "1"}\n{"a": "2"}\n) ] });
declare('by_path', 'path', 'text', ', "predictions": "$.a"');
is($node->safe_psql('postgres', q{SELECT by_path('x')}), '12', 'predictions is the path of the text');

$session->quit;
done_testing();
