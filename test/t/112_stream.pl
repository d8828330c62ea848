# An answer comes part by part while the model makes it, and is dropped when
# nobody wants more of it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator);
my $port = $emulator->fact('port');

# The emulator's ledger of the last stream of an endpoint.
sub ledger
{
	my ($endpoint) = @_;
	return $emulator->control("streams?endpoint=$endpoint")->[-1] // {};
}

sub state_becomes
{
	my ($endpoint, $state) = @_;
	return wait_until(sub { (ledger($endpoint)->{state} // '') eq $state });
}

sub script
{
	my ($endpoint, @acts) = @_;
	$emulator->script($endpoint, [], { stream => \@acts });
}

# An invocation in the SELECT list, with its columns.
sub rows
{
	my ($call, $columns) = @_;
	return
	  "SELECT $columns FROM (SELECT sagemaker_invoke_stream($call) AS p) AS s";
}

# Parts and headers.

script('s', 'one', { part => { every_byte => 256 } }, { part => '' }, 'two');
is( $node->safe_psql('postgres', rows(q{'s', 'x'}, '(p).part_number, length((p).bytes)')),
	"1|3\n2|256\n3|0\n4|3", 'a row for each part, in order');
is( $node->safe_psql('postgres',
		q{SELECT md5(string_agg(bytes, '' ORDER BY part_number)) = (SELECT md5('one' ||
			string_agg(set_byte('\x00', 0, n), '' ORDER BY n) || 'two') FROM generate_series(0, 255) n)
			FROM sagemaker_invoke_stream('s', 'x')}),
	't', 'every byte comes as it was, in FROM too');
is( $node->safe_psql('postgres', rows(
			q{'echo', '{}'::json, custom_attributes => 'a=1'},
			q{(p).content_type, (p).invoked_production_variant, (p).custom_attributes, (p).request_id ~ '^[0-9a-f-]{36}$'})),
	'application/json|AllTraffic|a=1|t', 'the members of the response stand beside a part');
is( $node->safe_psql('postgres', rows(q{'echo', '\x00ff'::bytea}, '(p).bytes')),
	'\x00ff', 'a body of bytes goes as it is');
is( $node->safe_psql('postgres', rows(q{NULL, 'x'}, '1')), '', 'no endpoint, no row');
is( $node->safe_psql('postgres', rows(q{'echo', NULL::text}, '1')), '', 'no body, no row');
script('none');
is($node->safe_psql('postgres', rows(q{'none', 'x'}, '1')), '', 'no part, no row');
script('odd', { part => 'x', event => 'SomethingNew' }, 'known');
is($node->safe_psql('postgres', rows(q{'odd', 'x'}, q{convert_from((p).bytes, 'UTF8')})),
	'known', 'events that we do not know are passed over');

my %members = (
	content_type => [ 'Content-Type', 'text/csv; label_size=0' ],
	accept => [ 'X-Amzn-SageMaker-Accept', 'application/jsonlines' ],
	custom_attributes => [ 'X-Amzn-SageMaker-Custom-Attributes', 'a=b  c' ],
	target_variant => [ 'X-Amzn-SageMaker-Target-Variant', 'AllTraffic' ],
	target_container_hostname =>
	  [ 'X-Amzn-SageMaker-Target-Container-Hostname', 'container-2' ],
	inference_id => [ 'X-Amzn-SageMaker-Inference-Id', 'row 17' ],
	inference_component_name =>
	  [ 'X-Amzn-SageMaker-Inference-Component', 'ic-1' ],
	session_id => [ 'X-Amzn-SageMaker-Session-Id', 'session-1' ],
	prefix_aware_id => [ 'X-Amzn-SageMaker-Prefix-Aware-Id', 'user-7' ]);

for my $member (sort keys %members)
{
	my ($name, $value) = @{ $members{$member} };
	my $request = decode_json($node->safe_psql('postgres', rows(
		"'mirror', '1', $member => '$value'", q{convert_from((p).bytes, 'UTF8')})));
	my ($sent) = map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $request->{headers} };
	is($sent, $value, "$member travels as $name");
	my ($signature) = map { $_->[1] } grep { $_->[0] eq 'Authorization' } @{ $request->{headers} };
	my ($signed) = $signature =~ /SignedHeaders=([^,]+)/;
	ok((grep { $_ eq lc $name } split /;/, $signed), "$name is signed");
}
fails_with($node, rows(q{'echo', '1', session_id => 'NEW_SESSION'}, '1'),
	'22023', qr/"session_id"/, 'a stream opens no session');
fails_with($node, rows(q{'echo', '1', options => '{"nonsense": 1}'}, '1'),
	'22023', qr/"nonsense"/, 'options are checked');

# The first part is there before the last one is made.

script('slow', 'first', { gate => \1 }, 'last');
my $session = Session->new($node);
$session->must('BEGIN');
$session->must('DECLARE c CURSOR FOR ' . rows(q{'slow', 'x'}, q{convert_from((p).bytes, 'UTF8')}));
is($session->must('FETCH c'), 'first', 'FETCH gives the first part');
ok(state_becomes('slow', 'waiting'), 'while the model waits');
is(ledger('slow')->{parts}, 1, 'and has not made the last one');
$session->start('FETCH c');
$emulator->control('release', { endpoint => 'slow' });
is($session->finish->{output}, 'last', 'which the next FETCH gives');
is($session->must('FETCH c'), '', 'and then there is nothing');
$session->must('COMMIT');
is(ledger('slow')->{state}, 'ended', 'the stream was read to its end');

# The same without a cursor: psql takes rows as they come.
{
	my $log = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'FETCH_COUNT=1', '-d', $node->connstr('postgres'), '-c',
			rows(q{'slow', 'x'}, q{convert_from((p).bytes, 'UTF8')}) ],
		'>', \my $out);
	ok(state_becomes('slow', 'waiting'), 'a statement that streams has begun');
	$emulator->control('release', { endpoint => 'slow' });
	$log->finish;
	is($out, "first\nlast\n", 'and ends');
}

# What nobody wants is dropped.

script('endless', 'one', 'two', { gate => \1 }, 'three');
is($node->safe_psql('postgres', rows(q{'endless', 'x'}, '(p).part_number') . ' LIMIT 2'),
	"1\n2", 'LIMIT needs no more than it gives');
ok(state_becomes('endless', 'dropped'), 'and the transfer is dropped');

sub open_cursor
{
	$session->must('BEGIN');
	$session->must('DECLARE c CURSOR FOR ' . rows(q{'endless', 'x'}, '(p).part_number'));
	$session->must('FETCH 2 FROM c');
	ok(state_becomes('endless', 'waiting'), 'the stream is held');
}
open_cursor();
$session->must('CLOSE c');
ok(state_becomes('endless', 'dropped'), 'a closed cursor drops it');
$session->must('COMMIT');
open_cursor();
$session->must('COMMIT');
ok(state_becomes('endless', 'dropped'), 'so does the end of its transaction');
open_cursor();
$session->run('SELECT 1/0');
ok(state_becomes('endless', 'dropped'), 'so does an error');
$session->must('ROLLBACK');
$session->must('BEGIN; SAVEPOINT s');
$session->must('DECLARE c CURSOR FOR ' . rows(q{'endless', 'x'}, '(p).part_number'));
$session->must('FETCH c');
$session->must('ROLLBACK TO s; COMMIT');
ok(state_becomes('endless', 'dropped'), 'so does a rollback to a savepoint');

$session->start(rows(q{'endless', 'x'}, '(p).part_number'));
ok(state_becomes('endless', 'waiting'), 'a statement waits for the third part');
my $begin = Time::HiRes::time();
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
my $result = $session->finish;
is($result->{sqlstate}, '57014', 'it can be cancelled');
cmp_ok(Time::HiRes::time() - $begin, '<', 1, 'within a second');
ok(state_becomes('endless', 'dropped'), 'and the transfer is dropped');
is($session->must(q{SELECT sagemaker_body_text(sagemaker_invoke('echo', 'still well'))}),
	'still well', 'the session goes on');

# Two cursors at once, and calls between their rows.

script('a', 'a1', { gate => \1 }, 'a2');
script('b', 'b1', { gate => \1 }, 'b2');
$session->must('BEGIN');
$session->must("DECLARE $_ CURSOR FOR " . rows("'$_', 'x'", q{convert_from((p).bytes, 'UTF8')}))
  for qw(a b);
is($session->must("FETCH $_"), "${_}1", "first part of stream $_") for qw(a b);
is($session->must(q{SELECT sagemaker_body_text(sagemaker_invoke('echo', 'between'))}),
	'between', 'other calls go on meanwhile');
for my $name (qw(b a))
{
	$emulator->control('release', { endpoint => $name });
	is($session->must("FETCH $name"), "${name}2", "second part of stream $name");
}
$session->must('COMMIT');

# A reader that stalls holds the transfer back, and memory with it, even when
# other calls of the session keep the network going.

$emulator->script('big', [],
	{ stream => [ { part => { zeros => 100_000 }, times => 2000 } ] });
$session->must('SET sagemaker_rt.max_response_size = "500MB"');
$session->must('BEGIN');
$session->must('DECLARE c CURSOR FOR ' . rows(q{'big', 'x'}, 'length((p).bytes)'));
is($session->must('FETCH 10 FROM c'), join("\n", (100_000) x 10), 'the first parts of 200 MB');
my $before = anonymous_kb($session->pid);
my $sent = -1;
ok( wait_until(sub {
		my $last = $sent;
		$session->must(q{SELECT FROM sagemaker_invoke('delay-200', 'x')});
		$sent = ledger('big')->{bytes};
		return $sent == $last;
	}), 'the model cannot go on while nobody reads');
cmp_ok($sent, '<', 30_000_000, 'it got no further than what sockets hold');
cmp_ok(anonymous_kb($session->pid) - $before, '<', 2000, 'and memory stays as it was');
is($session->must('FETCH 5 FROM c'), join("\n", (100_000) x 5), 'the reader goes on');
is($session->must('MOVE FORWARD ALL FROM c; FETCH c'), '', 'to the end');
cmp_ok(anonymous_kb($session->pid) - $before, '<', 2000, 'in the same memory');
$session->must('COMMIT');
is(ledger('big')->{parts}, 2000, 'of everything');
$session->must('RESET sagemaker_rt.max_response_size');

# What came before a connection ended is read first, also if it ended while
# nobody read.

$emulator->script('ended', [],
	{ stream => [ { part => { zeros => 1000 }, times => 200 } ], after => 'close' });
$session->must('BEGIN');
$session->must('DECLARE c CURSOR FOR ' . rows(q{'ended', 'x'}, '(p).part_number'));
$session->must('FETCH c');
ok(state_becomes('ended', 'ended'), 'a connection ends');
$session->must(q{SELECT FROM sagemaker_invoke('delay-100', 'x')});
is((split /\n/, $session->must('FETCH 199 FROM c'))[-1], '200', 'all parts are there');
is($session->run('FETCH c')->{sqlstate}, '38S03', 'and then the error');
$session->must('ROLLBACK');

# TLS keeps bytes of its own, which no socket tells of.
{
	my $tls = start_emulator('--tls', '--no-models');
	my $over_tls = Session->new($node, map { "SET sagemaker_rt.$_->[0] = '$_->[1]'" }
		[ endpoint_url => $tls->fact('url') ], [ ca_file => $tls->fact('ca_file') ],
		[ access_key_id => $tls->fact('access_key_id') ],
		[ secret_access_key => $tls->fact('secret_access_key') ]);

	$tls->script('tls', [], { stream => [ { part => { every_byte => 3333 }, times => 3000 } ] });
	$over_tls->must('BEGIN');
	$over_tls->must('DECLARE c CURSOR FOR ' . rows(q{'tls', 'x'}, 'md5((p).bytes)'));
	$over_tls->must('FETCH c');
	$over_tls->must(q{SELECT FROM sagemaker_invoke('delay-100', 'x')});
	my $rest = $over_tls->must('FETCH 1000 FROM c');
	$over_tls->must(q{SELECT FROM sagemaker_invoke('delay-100', 'x')});
	$rest .= "\n" . $over_tls->must('FETCH ALL FROM c');
	my %digests = map { $_ => 1 } my @digests = split /\n/, $rest;
	is(scalar @digests, 2999, 'over TLS every part comes, paused or not');
	is(scalar keys %digests, 1, 'each as it was');
	$over_tls->must('COMMIT');
	$over_tls->quit;
}

# Nothing is left of streams that were dropped.

$emulator->script('many', [], { stream => [ { part => { zeros => 100_000 }, times => 3 } ] });
sub drop_streams
{
	my ($n) = @_;
	$session->must("SELECT count(part) FROM generate_series(1, $n) i,
		LATERAL (SELECT sagemaker_invoke_stream('many', i::text) AS part LIMIT 1) AS first");
}
drop_streams(30);
$before = anonymous_kb($session->pid);
is(drop_streams(300), '300', '300 streams are dropped after their first part');
cmp_ok(anonymous_kb($session->pid) - $before, '<', 500, 'and leave no memory behind');

# timeout bounds each wait, not the stream.

script('drip', (map { ("part $_", { wait_ms => 150 }) } 1 .. 8), 'end');
is( $node->safe_psql('postgres',
		rows(q{'drip', 'x', options => '{"timeout": "600ms", "total_timeout": "700ms"}'}, 'count(*)')),
	'9', 'a stream may take longer than timeout and total_timeout');
script('gap', 'one', { wait_ms => 60000 }, 'two');
$session->start(rows(q{'gap', 'x', options => '{"timeout": "500ms"}'}, '(p).part_number'));
$result = $session->finish;
is($result->{sqlstate}, '58030', 'but each wait ends after timeout');
like($result->{message}, qr/no answer in time/, 'with the reason');
cmp_ok($result->{seconds}, '<', 10, 'soon');
is($emulator->request_count('gap'), 1, 'and is not tried again once a part was given out');

# A reader may take longer than timeout: only waiting counts.
script('idle', 'one', { gate => \1 }, 'two');
$session->must('BEGIN; SET LOCAL sagemaker_rt.timeout = "300ms"');
$session->must('DECLARE c CURSOR FOR ' . rows(q{'idle', 'x'}, '(p).part_number'));
is($session->must('FETCH c'), '1', 'a part');
$session->must('SELECT pg_sleep(0.5)');
$emulator->control('release', { endpoint => 'idle' });
ok(state_becomes('idle', 'ended'), 'a reader that idles');
is($session->must('FETCH c'), '2', 'finds what came meanwhile');
$session->must('COMMIT');

# Limits.

fails_with($node, rows(q{'big', 'x', options => '{"max_response_size": "1MB"}'}, 'count(*)'),
	'54000', qr/too large/, 'max_response_size counts the whole stream');

# Connections are used again after a stream, and not after a broken one.

$emulator->reset;
$session->must(rows(q{'echo', 'x'}, '(p).part_number')) for 1 .. 3;
is($emulator->control('stats')->{connections_accepted} <= 1, 1, 'streams share a connection');

$session->quit;
done_testing();
