# Load: many sessions at once, a batch with many requests in flight, a long queue.  No call
# fails, none gets another's answer, and what a process takes does not grow with the calls.
#
# LOAD_SESSIONS (default 64), LOAD_SECONDS (20), LOAD_QUEUE_ROWS (20000).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t";
use IPC::Run qw(start finish);
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'reads /proc' unless $^O eq 'linux';

my $n_sessions = $ENV{LOAD_SESSIONS} || 64;
my $seconds = $ENV{LOAD_SECONDS} || 20;
my $n_rows = $ENV{LOAD_QUEUE_ROWS} || 20000;

# The goal for a session is 1 kB for each 1000 calls.  An allocator that takes its next
# piece in between is no growth: so much is passed over.
my $piece_kb = 256;

my $emulator = start_emulator('--no-models');
my $node = start_queue('main', $emulator, 'max_connections = ' . ($n_sessions + 20),
	"sagemaker_rt.timeout = '60s'", "sagemaker_rt.total_timeout = '5min'",
	'sagemaker_rt.queue_max_rows = ' . 2 * $n_rows);

#
# Sessions: each call's answer must be its own.
#

my $script = "$PostgreSQL::Test::Utils::tmp_check/call.sql";
append_to_file($script, q{\set n random(1, 1000000000)
SELECT 1 / (sagemaker_body_text(sagemaker_invoke('echo', (:n)::text)) = (:n)::text)::int;
});
my ($out, $err) = ('', '');
$ENV{PGAPPNAME} = 'load';
my $load = start([ 'pgbench', '-n', '-f', $script, '-c', $n_sessions, '-j', 2, '-T', $seconds, '-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \undef, '>', \$out, '2>', \$err);

sub backends
{
	return split /\n/, $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE application_name = 'load' AND pid <> pg_backend_pid()});
}

# Of all backends together.
sub taken
{
	my ($kb, $files) = (0, 0);
	for my $pid (@_)
	{
		$kb += anonymous_kb($pid);
		$files += descriptors($pid);
	}
	return ($kb, $files);
}

sub answered { return $emulator->request_count('echo') }

ok(wait_until(sub { backends() == $n_sessions }), "$n_sessions sessions at once");
# Caches have their size after a third of the time.
sleep($seconds / 3);
my @pids = backends();
my ($kb_before, $files_before) = taken(@pids);
my $calls_before = answered();
sleep($seconds / 2);
my ($kb, $files) = taken(@pids);
my $calls = answered() - $calls_before;
ok(finish($load), 'no call fails, and each answer is its own') || diag($err);
my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
is(answered(), $transactions, 'each was sent once');
my $slope = ($kb - $kb_before - $piece_kb) / ($calls / 1000);
cmp_ok($slope, '<', 1, 'anonymous memory does not grow by a kilobyte for each 1000 calls');
is($files, $files_before, 'nor do descriptors');
figure('load of sessions', sprintf '%d sessions, %d calls: 0 errors, 0 mixed answers; %+d kB and %+d descriptors over %d of them',
	$n_sessions, $transactions, $kb - $kb_before, $files - $files_before, $calls);

#
# A batch.
#

$node->safe_psql('postgres', q{
	CREATE FUNCTION same(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 1, "concurrency": 64}';
	CREATE TABLE numbers AS SELECT i FROM generate_series(1, 10000) AS i;
	ANALYZE numbers});
$emulator->reset;
is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE same(i) = i) FROM numbers'), '10000|10000',
	'10000 rows, 64 requests in flight: each has its own answer');
is(answered(), 10000, 'of its own request');
my $at_work = $emulator->control('stats')->{endpoints}{echo}{most_at_work};
cmp_ok($at_work, '<=', 64, 'no more than 64 at once');
figure('load of a batch', "10000 rows, a request each, $at_work at work at once: 0 errors, 0 mixed answers");

#
# A queue.
#

my $worker = worker_pid($node);
$node->safe_psql('postgres', "INSERT INTO t (id, x) SELECT i, i FROM generate_series(1, $n_rows) AS i");

sub done { return $node->safe_psql('postgres', q{SELECT coalesce(sum(scored), 0) FROM sagemaker_stat_progress WHERE work = 'queue worker'}) }

my $patience = time + 60 + $n_rows / 100;
sleep(0.1) until done() >= $n_rows / 2 || time > $patience;
my ($half_kb, $half_files) = taken($worker);
sleep(0.1) until done() >= $n_rows || time > $patience;
my ($end_kb, $end_files) = taken($worker);
ok(drained($node), "$n_rows rows of the queue are answered");
is(states($node), "done $n_rows", 'all of them');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE y IS DISTINCT FROM x'), '0', 'each with its own prediction');
is(worker_pid($node), $worker, 'by one process');
cmp_ok($end_kb - $half_kb, '<', 8 * 1024, 'whose memory does not grow with the rows');
cmp_ok($end_files, '<=', $half_files, 'nor its descriptors');
figure('load of the queue', sprintf '%d rows: 0 lost, 0 wrong; the second half took the worker %+d kB and %+d descriptors',
	$n_rows, $end_kb - $half_kb, $end_files - $half_files);
done_testing();
