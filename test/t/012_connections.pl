# Which connections there are: kept ones are used again while they are fresh, one
# that dies in the meantime costs nothing, no process shares one with another,
# and a server that only loads the library has none.
#
# Where the library loaded by the postmaster is looked for, it is in the kernel's
# tables of that process (Session.pm).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

plan skip_all => 'reads /proc' unless $^O eq 'linux';

my $http = start_emulator('--no-models');
my $tls = start_emulator('--no-models', '--tls');
my $node = start_node('main', $http,
	"sagemaker_rt.ca_file = '" . $tls->fact('ca_file') . "'",
	# One call at a time: 083 shows what a batched statement has in flight.
	'sagemaker_rt.batch = off',
	'max_worker_processes = 16', 'max_parallel_workers = 8');

sub open_session
{
	my ($emulator, @statements) = @_;
	return Session->new($node,
		"SET sagemaker_rt.endpoint_url = '" . $emulator->fact('url') . "'",
		@statements);
}

sub connections { return $_[0]->control('stats')->{connections_accepted} }

# Calls for the numbers from first to last; gives how many answers were another
# call's.
sub mixed_up
{
	my ($first, $last) = @_;
	return "SELECT count(*) FILTER (WHERE answer IS DISTINCT FROM 'row ' || i)
		FROM (SELECT i,
				sagemaker_body_text(sagemaker_invoke('echo', 'row ' || i)) AS answer
			FROM generate_series($first, $last) i) AS answers";
}

for ([ $http, 'HTTP' ], [ $tls, 'TLS' ])
{
	my ($emulator, $over) = @$_;

	# In ten statements, each its own transaction.
	$emulator->reset;
	my $session = open_session($emulator);
	my @mixed_up =
	  map { $session->must(mixed_up($_ * 100 + 1, $_ * 100 + 100)) } 0 .. 9;
	is_deeply([ grep { $_ } @mixed_up ], [], "1000 calls over $over succeed");
	is($emulator->control('stats')->{verified}, 1000, 'each is one request');
	is(connections($emulator), 1, "and all use one connection over $over");

	# Also an error, a refused argument and a rolled back transaction keep it.
	$session->run("SELECT sagemaker_invoke('model-error', 'x')");
	$session->run("SELECT sagemaker_invoke('../x', 'x')");
	$session->run('BEGIN; ' . mixed_up(1, 1) . '; ROLLBACK');
	is(connections($emulator), 1, 'an error of the model does not end it');

	# A long body is sent in parts.  The next row comes late and is none to send, so
	# that the socket, when looked at again, can still be written to, and has the
	# answer.
	$session->must("SET sagemaker_rt.batch = on");
	$session->must("SELECT count((sagemaker_invoke('mirror', body)).request_id)
		FROM (SELECT CASE WHEN i = 1 THEN repeat('x', 100000) END AS body,
				CASE WHEN i = 2 THEN pg_sleep(0.1) END
			FROM generate_series(1, 2) AS i OFFSET 0) AS rows");
	$session->must('SET sagemaker_rt.batch = off');
	$session->must(mixed_up(1, 1));
	is(connections($emulator), 1, 'nor does a body that is sent in parts');

	# libcurl counts idle time in whole seconds: more than one are two.
	$session->must('SELECT pg_sleep(2.1)');
	$session->must(mixed_up(1, 1));
	is(connections($emulator), 1,
		"a connection over $over is used again within idle_timeout");
	$session->must("SET sagemaker_rt.idle_timeout = '1s'; SELECT pg_sleep(2.1)");
	$session->must(mixed_up(1, 1));
	is(connections($emulator), 2, 'and not after it');
	$session->quit;
}

# A request on a kept connection that the service closes at that moment.
my @deaths = (
	[ 'is closed', { drop => 'always' }, "'x'" ],
	[ 'is reset', { drop => 'always', after => 'reset' }, "'x'" ],
	[ 'is closed before a big body is read',
		{ drop => 'always', read => JSON::PP::false() }, "repeat('x', 8000000)" ],
	[ 'is reset before a big body is read',
		{ drop => 'always', after => 'reset', read => JSON::PP::false() },
		"repeat('x', 8000000)" ]);

for ([ $http, 'HTTP' ], [ $tls, 'TLS' ])
{
	my ($emulator, $over) = @$_;
	my $number = 0;

	for my $death (@deaths)
	{
		my ($what, $step, $body) = @$death;
		my $endpoint = 'dies-' . ++$number;
		my $session = open_session($emulator, 'SET sagemaker_rt.max_attempts = 1');

		$emulator->reset;
		$emulator->script($endpoint, [ {}, $step ]);
		$session->must("SELECT sagemaker_invoke('$endpoint', 'first')");
		my $result = $session->run(
			"SELECT length((sagemaker_invoke('$endpoint', $body)).body)");
		is($result->{errors}, '',
			"a kept connection that $what ($over) fails no call");

		my @requests = $emulator->requests($endpoint);
		is(scalar @requests, 3, 'its request is sent a second time');
		my ($lost, $repeated) = @requests[ 1, 2 ];
		is_deeply(
			[ map { header($repeated, $_) }
				  'amz-sdk-request', 'amz-sdk-invocation-id' ],
			[ 'attempt=1; max=1', header($lost, 'amz-sdk-invocation-id') ],
			'which counts as the same attempt');
		isnt($repeated->{connection}, $lost->{connection},
			'over another connection');
		$session->quit;
	}

	# That is for kept connections only: a new one that dies is a failure.
	my $session = open_session($emulator, 'SET sagemaker_rt.max_attempts = 1');
	$emulator->reset;
	is($session->run("SELECT sagemaker_invoke('drop', 'x')")->{sqlstate},
		'58030', "a new connection that is closed ($over) fails the call");
	is($emulator->request_count('drop'), 1, 'and its request is not sent again');
	$session->quit;
}

sub header
{
	my ($request, $name) = @_;
	my ($value) =
	  map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $request->{headers} };
	return $value;
}

# Some hundred pages, so that there is work for each of four workers.
my $setup = Session->new($node);
$setup->must("CREATE TABLE rows (i int, padding text)
	WITH (parallel_workers = 4, autovacuum_enabled = off)");
$setup->must("INSERT INTO rows SELECT i, repeat('p', 1000)
	FROM generate_series(1, 2000) i");
$setup->must('ANALYZE rows');
$setup->quit;

my $wakes_by_signal = major_version($node) < 14;
for ([ $http, 'HTTP' ], [ $tls, 'TLS' ])
{
	my ($emulator, $over) = @$_;
	my $session = open_session($emulator, 'SET parallel_setup_cost = 0',
		'SET parallel_tuple_cost = 0', 'SET min_parallel_table_scan_size = 0',
		'SET max_parallel_workers_per_gather = 4',
		'SET parallel_leader_participation = off');
	my $query = "SELECT count(*) FILTER (WHERE answer IS DISTINCT FROM 'row ' || i)
		FROM (SELECT i,
				sagemaker_body_text(sagemaker_invoke('echo', 'row ' || i)) AS answer
			FROM rows) AS answers";

	# The leader has a connection already.
	$session->must(mixed_up(1, 1));
	$emulator->reset;
	my $plan = $session->must("EXPLAIN (ANALYZE, TIMING off) $query");
	like($plan, qr/Workers Launched: 4/, 'a plan with four parallel workers');
	# PostgreSQL 13 wakes processes by signals that interrupt libcurl when it looks
	# whether a connection lives; 7.74 takes that for its end.
	my $most = $wakes_by_signal ? 400 : 4;
	my $made = connections($emulator);
	ok($made >= 4 && $made <= $most, "each of them makes a connection over $over")
	  || diag("$made connections");
	is($session->must($query), '0', 'and no answer is another row\'s');
	is($emulator->control('stats')->{verified}, 4000,
		'every row is one request, twice');
	$session->quit;
}

# Sessions side by side.
{
	my @sessions = map { open_session($http) } 1 .. 8;
	my $last = 0;

	$http->reset;
	for my $session (@sessions)
	{
		$session->start(mixed_up($last + 1, $last + 300));
		$last += 300;
	}
	is_deeply([ map { $_->finish->{output} } @sessions ], [ ('0') x 8 ],
		'eight sessions at once get their own answers');
	is(connections($http), 8, 'over a connection each');
	$_->quit for @sessions;
}

# A call within the arguments of a call, and in a function used beside it.
{
	my $session = open_session($http);

	$session->must("CREATE FUNCTION scored(i int) RETURNS text
		LANGUAGE plpgsql AS \$\$
		BEGIN
			IF i % 10 = 0 THEN
				PERFORM sagemaker_invoke('model-error', 'x');
			END IF;
			RETURN sagemaker_body_text(sagemaker_invoke('echo', 'inner ' || i));
		EXCEPTION WHEN external_routine_exception THEN
			RETURN sagemaker_body_text(sagemaker_invoke('echo', 'caught ' || i));
		END \$\$");
	$http->reset;
	is( $session->must("WITH answers AS MATERIALIZED (
			SELECT i,
				CASE WHEN i % 10 = 0 THEN 'caught ' ELSE 'inner ' END || i AS want,
				scored(i) AS beside,
				sagemaker_body_text(sagemaker_invoke('echo', 'outer ' || i)) AS outside,
				sagemaker_body_text(sagemaker_invoke('echo', scored(i))) AS within
			FROM generate_series(1, 200) i)
		SELECT count(*) FROM answers
		WHERE beside = want AND outside = 'outer ' || i AND within = want"),
		'200', 'calls in a function called beside and within calls');
	is(connections($http), 1, 'share their session\'s connection');
	$session->quit;
}

# What a process holds, by kind: sockets, event queues, pipes.
sub holdings
{
	my ($pid) = @_;
	my %descriptors = descriptors($pid);
	my %n;
	for my $what (values %descriptors)
	{
		my ($kind) = $what =~ /^(socket|pipe|anon_inode:.*?):?(?:\[\d+\])?$/;
		$n{$kind}++ if defined $kind;
	}
	return { %n, threads => threads($pid) };
}

sub postmaster
{
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	return $pid;
}

{
	my $without = holdings(postmaster());
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'sagemaker_rt'");
	$node->restart;
	ok($without->{threads} == 1 && $without->{socket} > 0,
		'a postmaster has one thread and the socket it listens on');
	is_deeply(holdings(postmaster()), $without,
		'one that preloads the library has nothing more');

	$http->reset;
	my @sessions = map { open_session($http) } 1 .. 2;
	is_deeply([ map { $_->must(mixed_up(1, 100)) } @sessions ], [ '0', '0' ],
		'calls work in the sessions of a server that preloads the library');
	is(connections($http), 2, 'each with a connection of its own');
	is_deeply(holdings(postmaster()), $without,
		'and the postmaster still has nothing more');
	$_->quit for @sessions;
}

done_testing();
