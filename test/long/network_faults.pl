# The network fails at every byte of an answer, in four ways, under every kind of call:
# each ends in success or in one clean error within its deadline, and the session goes on.
#
# FAULT_STEP says how many bytes lie between two faults (default 16; 1: at every byte).
use strict;
use warnings;

use Compress::Zlib qw(crc32);
use FindBin;
use lib "$FindBin::RealBin/../t";
use Outcomes;
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Session;
use Test::More;

my $step = $ENV{FAULT_STEP} || 16;

# An answer that never goes on is given up after this, and anything after that.
my $timeout_ms = 200;
my $deadline_ms = 5000;

# What a fault may come to: a bit that is flipped makes other statuses and values, too.
my $clean = '^(00000|22|28|38|53|54|58)';

my $emulator = start_emulator('--no-models');
my $node = start_queue('main', $emulator,
	"sagemaker_rt.timeout = '${timeout_ms}ms'",
	'sagemaker_rt.max_attempts = 1',
	'sagemaker_rt.breaker_failures = 0',
	'sagemaker_rt.queue_max_attempts = 1',
	"sagemaker_rt.queue_retry_delay = '1h'");
install_outcomes($node);
$node->safe_psql('postgres', q{
	CREATE FUNCTION batch(x int) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "faulty", "max_rows": 3, "max_attempts": 1}';
	CREATE FUNCTION alone(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "worked", "max_rows": 1, "concurrency": 1, "max_attempts": 1}';
	CREATE TABLE q (id int PRIMARY KEY, x float8, y float8);
	CREATE TABLE three AS SELECT i FROM generate_series(1, 3) AS i});

sub answer
{
	my ($type, $body) = @_;
	return "HTTP/1.1 200 OK\r\nContent-Type: $type\r\nContent-Length: "
	  . length($body)
	  . "\r\nx-amzn-RequestId: 4f5a7a3e-7a56-4c1d-9d0e-2f0c5f3b9a61\r\n\r\n$body";
}

# One frame of the event stream encoding.
sub frame
{
	my ($event, $payload) = @_;
	my $headers = join '', map { pack('C/a* C n/a*', $_->[0], 7, $_->[1]) }
	  [ ':message-type', 'event' ], [ ':event-type', $event ],
	  [ ':content-type', 'application/octet-stream' ];
	my $prelude = pack 'N N', 16 + length($headers) + length($payload), length $headers;
	my $most = $prelude . pack('N', crc32($prelude)) . $headers . $payload;
	return $most . pack 'N', crc32($most);
}

# Ways to fail at byte i: a step of the emulator, whose strings are bytes.
my %faults = (
	closed => sub { { raw => substr($_[0], 0, $_[1]), after => 'close' } },
	reset => sub { { raw => substr($_[0], 0, $_[1]), after => 'reset' } },
	silent => sub { { raw => substr($_[0], 0, $_[1]), after => 'hang' } },
	'a bit flipped' => sub {
		my ($answer, $i) = @_;
		substr($answer, $i, 1) ^= chr(1 << $i % 8);
		return { raw => $answer, after => 'close' };
	});

# What is called, and what is answered without a fault.
my %paths = (
	'one call' => [ "sagemaker_invoke('faulty', 'x')", answer('text/csv', '0.5') ],
	batch => [ '(SELECT sum(batch(i)) FROM three)', answer('text/csv', "1\n2\n3\n") ],
	stream => [ "(SELECT string_agg(bytes, '' ORDER BY part_number) FROM sagemaker_invoke_stream('faulty', 'x'))",
		answer('application/vnd.amazon.eventstream', frame('PayloadPart', 'one') . frame('PayloadPart', 'two')) ]);

my ($n, $slowest_ms) = (0, 0);

for my $path (sort keys %paths)
{
	my ($call, $answer) = @{ $paths{$path} };
	is(outcome_of_step($call, { raw => $answer })->{sqlstate}, '00000', "$path: succeeds without a fault");
	for my $fault (sort keys %faults)
	{
		my @steps = map { $faults{$fault}->($answer, $step * $_) } 0 .. (length($answer) - 1) / $step;
		$emulator->script('faulty', \@steps, {});
		my (@outcomes) = outcomes($node, [ ($call) x @steps, "sagemaker_body_text(sagemaker_invoke('echo', 'good'))" ]);
		my $last = pop @outcomes;
		my @wrong = grep { $_->{sqlstate} !~ /$clean/ || $_->{ms} > $deadline_ms } @outcomes;
		is_deeply(\@wrong, [], "$path, $fault: success or a clean error within the deadline, " . @steps . ' times');
		is($emulator->request_count('faulty'), scalar @steps, "$path, $fault: each was met once");
		is($last->{value}, 'good', "$path, $fault: the session goes on");
		$n += @steps;
		for (@outcomes) { $slowest_ms = $_->{ms} if $_->{ms} > $slowest_ms }
		$emulator->reset;
	}
}

sub outcome_of_step
{
	my ($call, $given) = @_;
	$emulator->script('faulty', [$given], {});
	my $outcome = outcome($node, $call);
	$emulator->reset;
	return $outcome;
}

# The queue worker meets them one row at a time: the row says what became of it.
my $answer = answer('text/csv', '0.5');
my @steps = map { my $fault = $_; map { $faults{$fault}->($answer, $step * $_) } 0 .. (length($answer) - 1) / $step } sort keys %faults;
$emulator->script('worked', \@steps, {});
$node->safe_psql('postgres', 'INSERT INTO q SELECT i, i FROM generate_series(1, ' . @steps . ') AS i');
my $worker = worker_pid($node);
$node->safe_psql('postgres', q{SELECT count(sagemaker_enqueue('q', 'alone', ARRAY[id::text], 'y')) FROM q});
ok(wait_until(sub { states($node) !~ /waiting|running/ }), 'queue worker: no row is left over');
is($node->safe_psql('postgres', 'SELECT count(*) FROM sagemaker_queue'), scalar @steps, 'queue worker: nor lost');
is($node->safe_psql('postgres', q{SELECT count(*) FROM sagemaker_queue WHERE state = 'done' AND
	(SELECT y IS NULL FROM q WHERE ARRAY[q.id::text] = key)}), '0', 'queue worker: what is done is written');
is($node->safe_psql('postgres', q{SELECT count(*) FROM sagemaker_queue WHERE state <> 'done' AND
	sqlstate !~ '} . $clean . q{'}), '0', 'queue worker: what failed says so cleanly');
is(worker_pid($node), $worker, 'queue worker: it is the same process');
$n += @steps;

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no process crashed');
figure('network faults', sprintf '%d in %d ways under %d kinds of call: each a success or one clean error, the slowest after %.1f s',
	$n, scalar keys %faults, 1 + keys %paths, $slowest_ms / 1000);
done_testing();
