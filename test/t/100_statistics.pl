# What sagemaker_stat_endpoints counts is what the endpoint got: after successes,
# failures, retries, cancelled statements and sessions that were ended.  Who may see
# it, that it outlives a restart, and that it is bounded.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(sum0);
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"shared_preload_libraries = 'sagemaker_rt'",
	'restart_after_crash = on',
	'sagemaker_rt.stat_max = 20',
	'sagemaker_rt.max_attempts = 2',
	'sagemaker_rt.timeout = 300s');

$node->safe_psql('postgres', q{
	CREATE ROLE reader LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_read_all_stats;
	GRANT EXECUTE ON FUNCTION sagemaker_stat_endpoints() TO reader;
	GRANT SELECT ON sagemaker_stat_endpoints TO reader;
	GRANT EXECUTE ON FUNCTION sagemaker_invoke(text, text, text, text, text, text, text, text, text,
		text, text, text, text, text, jsonb) TO reader;
	CREATE FUNCTION echoed(x int) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10}';
	CREATE TABLE t AS SELECT i FROM generate_series(1, 95) AS i;
	ALTER TABLE t SET (parallel_workers = 2);
	ANALYZE t});

# A number from the statistics, summed over the rows that fit.
sub counted
{
	my ($what, $where) = @_;
	return $node->safe_psql('postgres',
		"SELECT coalesce(sum($what), 0) FROM sagemaker_stat_endpoints WHERE $where");
}

sub call { return "SELECT count(sagemaker_invoke('$_[0]', '$_[1]'))" }

#
# A mixed load.
#

my @sessions = map { Session->new($node, "SET sagemaker_rt.timeout = '2s'") } 1 .. 3;

# Batches, some of them in parallel workers.
$sessions[0]->start('SET max_parallel_workers_per_gather = 0; SELECT sum(length(echoed(i))) FROM t');
$sessions[1]->start(q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SELECT sum(length(echoed(i))) FROM t});
$sessions[2]->start("SET ROLE reader; " . call('echo', 'as a reader') . "; RESET ROLE");
is($_->finish->{sqlstate}, undef, 'a call succeeds') for @sessions;

# Failures of each kind.
$emulator->script('busy', [ { use => 'throttling' } ], {});
is($sessions[0]->run(call('busy', 'a'))->{sqlstate}, undef, 'throttled once, it succeeds');
for my $row ([ 'throttling', '53000' ], [ 'internal-failure', '58000' ],
	[ 'model-error', '38000' ], [ 'access-denied', '28000' ],
	[ 'cut', '58030' ], [ 'hang', '58030' ], [ 'nowhere', '22023' ],
	[ 'flood-body', '54000' ])
{
	my ($endpoint, $sqlstate) = @$row;
	is($sessions[1]->run("SET sagemaker_rt.retry_timeouts = off; SET sagemaker_rt.max_response_size = '1MB'; "
			. call($endpoint, 'body' x 10))->{sqlstate}, $sqlstate, "$endpoint fails");
}

# Statements that are cancelled, sessions that are ended, while requests are out.
for my $row ([ 'pg_cancel_backend', 'pause' ], [ 'pg_terminate_backend', 'trickle' ],
	[ 'pg_cancel_backend', 'hang' ], [ 'pg_terminate_backend', 'hang' ])
{
	my ($end, $endpoint) = @$row;
	my $session = Session->new($node);
	my $before = $emulator->request_count($endpoint);
	$session->start("SELECT count(sagemaker_invoke('$endpoint', 'body ' || i)) FROM generate_series(1, 5) AS i");
	ok(wait_until(sub { $emulator->request_count($endpoint) == $before + 5 }),
		"five requests to $endpoint are out");
	is($node->safe_psql('postgres', "SELECT $end(" . $session->pid . ')'), 't', $end);
	$session->finish;
	ok(wait_until(sub { counted('cancelled', "endpoint = '$endpoint'") >= 5 }),
		"$end is counted as the end of five calls");
}

# One whose statement is over before the request is.
$emulator->script('deaf', [], { read => JSON::PP::false(), hang => JSON::PP::true() });
my $deaf = Session->new($node, "SET statement_timeout = '500ms'");
is($deaf->run("SELECT count(sagemaker_invoke('deaf', repeat('x', 20000000)))")->{sqlstate}, '57014',
	'a body that nobody reads');
is(counted('requests', "endpoint = 'deaf'"), 0, 'a request that was not sent as a whole is none');
is(counted('calls', "endpoint = 'deaf'"), 1, 'but its call is');
is(counted('bytes_sent', "endpoint = 'deaf'"), 0, 'and its bytes are not counted');

my $stats = $emulator->control('stats');
my $unread = delete $stats->{endpoints}{deaf};
for my $endpoint (sort keys %{ $stats->{endpoints} })
{
	my @ledger = $emulator->requests($endpoint);
	is(counted('requests', "endpoint = '$endpoint'"), scalar @ledger, "requests to $endpoint are the ledger's");
	is(counted('bytes_sent', "endpoint = '$endpoint'"), sum0(map { $_->{body_bytes} } @ledger),
		"bytes sent to $endpoint are the ledger's");
	is(counted('connections_opened', "endpoint = '$endpoint'"),
		scalar(grep { $_->{request_on_connection} == 1 } @ledger),
		"connections opened for $endpoint are the ledger's");
	is(counted('requests - connections_opened - connections_reused', "endpoint = '$endpoint'"), 0,
		"each of them opened a connection or reused one");
}
is(counted('requests', 'true'), $stats->{requests} - $unread->{requests}, 'so are all requests');
is(counted('calls', 'true'),
	counted('errors_refused + errors_denied + errors_model + errors_throttled + errors_service
		+ errors_network + errors_timeout + errors_reply + errors_unsent + cancelled', 'true')
	  + counted('calls', "endpoint IN ('echo', 'busy')"),
	'a call that has not succeeded has failed in one class, or was cancelled');
is(counted('rows', "endpoint = 'echo' AND model = 'public.echoed'"), 190, 'rows of a model');
is(counted('bytes_received', "model = 'public.echoed'"), counted('bytes_sent', "model = 'public.echoed'"),
	'an echo gives the bytes back');
is(counted('throttles', 'true'), 3, 'attempts that were throttled');
is(counted('retries', "endpoint IN ('busy', 'throttling', 'internal-failure')"), 3, 'retries');
for my $row ([ 'throttling', 'errors_throttled', '53000', 'ThrottlingException' ],
	[ 'internal-failure', 'errors_service', '58000', 'InternalFailure' ],
	[ 'model-error', 'errors_model', '38000', 'ModelError' ],
	[ 'access-denied', 'errors_denied', '28000', 'AccessDeniedException' ],
	[ 'cut', 'errors_network', '58030', 'the connection ended before the answer did' ],
	[ 'nowhere', 'errors_refused', '22023', 'ValidationError' ],
	[ 'flood-body', 'errors_reply', '54000', 'the answer is too large' ],
	[ 'hang', 'errors_timeout', '58030', 'no answer in time' ])
{
	my ($endpoint, $class, $sqlstate, $error) = @$row;
	is($node->safe_psql('postgres', "SELECT $class, last_sqlstate, last_error, last_error_at > since
			FROM sagemaker_stat_endpoints WHERE endpoint = '$endpoint'"),
		"1|$sqlstate|$error|t", "the last error of $endpoint");
}
is($node->safe_psql('postgres', q{
		SELECT bool_and((SELECT sum(n) FROM unnest(request_histogram) AS n) <= requests
			AND request_p50 <= request_p95 AND request_p95 <= request_p99
			AND request_p99 <= request_time * 1.1)
		FROM sagemaker_stat_endpoints WHERE request_time > 0}), 't', 'times and histogram fit');

#
# Who sees what.
#

my $mine = "SELECT string_agg(DISTINCT role, ',') FROM sagemaker_stat_endpoints";
is($node->safe_psql('postgres', $mine, extra_params => [ '-U', 'reader' ]), 'reader',
	"a role sees its own");
like($node->safe_psql('postgres', $mine, extra_params => [ '-U', 'watcher' ]),
	qr/reader/, 'a member of pg_read_all_stats sees all');
for my $sql ('SELECT sagemaker_stat_reset()', 'SELECT * FROM sagemaker_stat_connections')
{
	fails_with($node, "SET ROLE watcher; $sql", '42501', qr/permission denied/, "a plain role may not: $sql");
}

#
# It outlives a restart, and is bounded.
#

my $all = q{SELECT * FROM sagemaker_stat_endpoints ORDER BY role, endpoint, model};
my $before = $node->safe_psql('postgres', $all);
$node->restart;
is($node->safe_psql('postgres', $all), $before, 'a restart changes nothing');
$node->safe_psql('postgres', "SELECT sagemaker_stat_reset()");
is($node->safe_psql('postgres', $all), '', 'after a reset there is nothing');
$node->safe_psql('postgres', q{
	SELECT sagemaker_invoke('echo', 'x') FROM generate_series(1, 5);
	SET sagemaker_rt.max_attempts = 1; SET sagemaker_rt.on_error = 'null';
	DO $$ BEGIN FOR i IN 1..40 LOOP BEGIN
		PERFORM sagemaker_invoke('model-error-' || i, 'x');
	EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$});
my $kept = $node->safe_psql('postgres', 'SELECT count(*) FROM sagemaker_stat_endpoints');
cmp_ok($kept, '<=', 20, 'no more entries than stat_max');
cmp_ok($kept, '>', 15, 'nor many fewer');
is(counted('requests', "endpoint = 'echo'"), 5, 'what is used most stays');

# A file that is not ours.
$node->stop;
append_to_file($node->data_dir . '/pg_stat/sagemaker_rt.stat', 'x');
my $path = $node->data_dir . '/pg_stat/sagemaker_rt.stat';
open(my $file, '+<', $path) or die;
print $file 'not a file of statistics';
close $file;
$node->start;
is($node->safe_psql('postgres', $all), '', 'a broken file is ignored');
ok(!-e $path, 'and gone');

#
# A crash gives a server that counts anew.
#

my $victim = Session->new($node);
$victim->start("SELECT sagemaker_invoke('hang', 'x')");
ok(wait_until(sub { $node->safe_psql('postgres', "SELECT calls FROM sagemaker_stat_endpoints") eq '1' }),
	'a call is counted when it begins');
kill 'KILL', $victim->pid;
$victim->kill_client;
ok(wait_until(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }), 'the server is back');
is($node->safe_psql('postgres', $all), '', 'nothing is counted');
$node->safe_psql('postgres', call('echo', 'x'));
is(counted('calls', 'true'), 1, 'and it counts');

#
# Without shared memory: this session's own, and its connections.
#

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is($node->safe_psql('postgres', call('echo', 'x') . ' FROM generate_series(1, 3);'
		. q{SELECT calls, requests, connections_opened, connections_reused
		FROM sagemaker_stat_endpoints}), "3\n3|3|1|2", 'a session counts for itself');
is($node->safe_psql('postgres', 'SELECT count(*) FROM sagemaker_stat_endpoints'), '0',
	'another one does not see it');
my $port = $emulator->fact('port');
is($node->safe_psql('postgres', call('echo', 'x') . ' FROM generate_series(1, 3);'
		. q{SELECT address, port, requests, used_at >= opened_at FROM sagemaker_stat_connections}),
	"3\n127.0.0.1|$port|3|t", 'the connection that it keeps');

done_testing();
