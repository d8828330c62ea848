# What all sessions together ask of an endpoint: how many requests are in flight, how
# often they try again, how many a second after a throttle, and that a dead endpoint
# is left alone until it lives.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

# As many sessions as a small machine carries; CONTRIBUTING.md says how to have more.
my $n_sessions = $ENV{GOVERNOR_SESSIONS} || 50;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"shared_preload_libraries = 'sagemaker_rt'",
	'restart_after_crash = on',
	'max_connections = ' . ($n_sessions + 20),
	'sagemaker_rt.breaker_failures = 0');
$node->safe_psql('postgres', q{
	CREATE FUNCTION slow(x int) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "delay-50", "max_rows": 1}';
	CREATE TABLE t AS SELECT i FROM generate_series(1, 60) AS i;
	ALTER TABLE t SET (parallel_workers = 2);
	ANALYZE t});

# A number from the statistics, summed over the rows that fit.
sub counted
{
	my ($what, $where) = @_;
	return $node->safe_psql('postgres',
		"SELECT coalesce(sum($what), 0) FROM sagemaker_stat_endpoints WHERE $where");
}

sub configure
{
	my %settings = @_;
	$node->append_conf('postgresql.conf', "sagemaker_rt.$_ = $settings{$_}\n") for sort keys %settings;
	$node->reload;
	for my $name (sort keys %settings)
	{
		wait_until(sub { $node->safe_psql('postgres', "SHOW sagemaker_rt.$name") eq $settings{$name} })
		  or die "$name did not change";
	}
}

# Runs SQL in so many sessions at once, and waits for their ends.
sub in_sessions
{
	my ($n, $sql) = @_;
	my @runs = map {
		my $out = '';
		start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ], '<', \undef, '>', \$out, '2>', \$out)
	} 1 .. $n;
	finish($_) for @runs;
}

# Many calls, whatever becomes of each.
sub calls
{
	my ($endpoint, $n) = @_;
	return "DO \$\$ BEGIN FOR i IN 1..$n LOOP BEGIN PERFORM sagemaker_invoke('$endpoint', 'x');
		EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$";
}

sub most_at_work { return $emulator->control('stats')->{endpoints}{ $_[0] }{most_at_work} }

#
# Requests in flight.
#

configure(max_in_flight => 5);
my $parallel = q{SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SELECT count(slow(i)) FROM t};
in_sessions(4, $parallel);
is(counted('calls - cancelled', "endpoint = 'delay-50'"), 240, 'four sessions with their workers get all answers');
is(most_at_work('delay-50'), 5, 'never more requests at once than max_in_flight');

# As many sessions as there are, each with several requests.
in_sessions($n_sessions, "SELECT count(sagemaker_invoke('delay-20', 'x' || i)) FROM generate_series(1, 4) AS i");
is(counted('calls - cancelled', "endpoint = 'delay-20' AND errors_unsent = 0"), 4 * $n_sessions,
	"$n_sessions sessions get all answers");
is(most_at_work('delay-20'), 5, 'nor then');

# Who has had an answer does not go before who waits.
configure(max_in_flight => 1);
my @rivals = map {
	my ($out, $who) = ('', $_);
	start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
			"DO \$\$ BEGIN FOR i IN 1..20 LOOP PERFORM sagemaker_invoke('delay-100', '" . 'x' x $who . "'); END LOOP; END \$\$" ],
		'<', \undef, '>', \$out, '2>', \$out)
} 1, 2;
finish($_) for @rivals;
my @turns = map { $_->{body_bytes} } $emulator->requests('delay-100');
is(scalar @turns, 40, 'two sessions share a slot');
my $changes = grep { $turns[$_] != $turns[ $_ - 1 ] } 1 .. $#turns;
cmp_ok($changes, '>', 5, 'and take turns');
configure(max_in_flight => 5);

# Who waits can be cancelled, and is seen to wait.
my $hog = Session->new($node, "SET sagemaker_rt.timeout = '300s'");
$hog->start("SELECT count(sagemaker_invoke('hang', 'x' || i)) FROM generate_series(1, 5) AS i");
ok(wait_until(sub { $emulator->request_count('hang') == 5 }), 'one session has all slots');
my $waiter = Session->new($node);
$waiter->start("SELECT sagemaker_invoke('hang', 'x')");
ok(wait_until(sub { $node->safe_psql('postgres',
		'SELECT wait_event_type FROM pg_stat_activity WHERE pid = ' . $waiter->pid) eq 'Extension' }),
	'another one is seen to wait');
is($node->safe_psql('postgres', 'SELECT wait_event FROM pg_stat_activity WHERE pid = ' . $waiter->pid),
	major_version($node) < 17 ? 'Extension' : 'SageMakerTurn', 'and for what');
is($node->safe_psql('postgres', q{
	SELECT in_flight FROM sagemaker_stat_governor WHERE endpoint = 'hang'}), '5', 'and why');
is($emulator->request_count('hang'), 5, 'it sends nothing');
my $cancelled = time;
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $waiter->pid . ')');
is($waiter->finish->{sqlstate}, '57014', 'it can be cancelled');
cmp_ok(time - $cancelled, '<', 1, 'at once');
is($waiter->run("SET sagemaker_rt.total_timeout = '200ms'; SELECT sagemaker_invoke('hang', 'x')")->{sqlstate},
	'53400', 'it does not wait longer than total_timeout');
is($waiter->run(q{SET sagemaker_rt.total_timeout = '5min';
	SELECT sagemaker_body_text(sagemaker_invoke('echo', 'x'))})->{output}, 'x', 'other endpoints are free');

# Slots come back, however a session ends.
for my $end ('cancel', 'terminate')
{
	$node->safe_psql('postgres', "SELECT pg_${end}_backend(" . $hog->pid . ')');
	$hog->finish;
	ok(wait_until(sub { $node->safe_psql('postgres',
			q{SELECT in_flight FROM sagemaker_stat_governor WHERE endpoint = 'hang'}) eq '0' }),
		"after pg_${end}_backend its slots are free");
	last if $end eq 'terminate';
	my $before = $emulator->request_count('hang');
	$hog->start("SELECT count(sagemaker_invoke('hang', 'x' || i)) FROM generate_series(1, 5) AS i");
	ok(wait_until(sub { $emulator->request_count('hang') == $before + 5 }), 'it has them all again');
}

# Who does not look at its answers keeps nobody waiting for longer than timeout.
my $idle = Session->new($node, "SET sagemaker_rt.timeout = '2s'", 'BEGIN',
	"DECLARE c CURSOR FOR SELECT sagemaker_invoke('delay-1', 'x' || i) FROM generate_series(1, 100) AS i",
	'FETCH 1 FROM c');
my $other = $waiter->run("SELECT count(sagemaker_invoke('delay-1', 'x' || i)) FROM generate_series(1, 20) AS i");
is($other->{output}, 20, 'a cursor that is not read on gives way');
$idle->must('ROLLBACK');

#
# Retries of a dead endpoint, and of one that throttles.
#

configure(max_in_flight => 0);
for my $row ([ 'service-unavailable', 35 ], [ 'throttling', 100 ])
{
	my ($endpoint, $most_retries) = @$row;
	# 500 tokens at 14 or 5 each, full again after a restart.
	$node->restart;
	$emulator->reset;
	$emulator->script('quick', [], { use => $endpoint, headers => { 'x-amz-retry-after' => '0' } });
	in_sessions($n_sessions, calls('quick', 10));
	my $requests = $emulator->request_count('quick');
	my $calls = $n_sessions * 10;
	cmp_ok($requests - $calls, '<=', $most_retries, "$endpoint: all sessions share the quota of retries");
	cmp_ok($requests - $calls, '>', 20, "$endpoint: and use it");
	$emulator->reset;
	$emulator->script('quick', [], { use => $endpoint, headers => { 'x-amz-retry-after' => '0' } });
	in_sessions($n_sessions, calls('quick', 10));
	figure("retries ($endpoint)", sprintf '%d sessions, %d calls, quota spent: %.3f requests a call', $n_sessions, $calls,
		$emulator->request_count('quick') / $calls);
	cmp_ok($emulator->request_count('quick'), '<=', 1.1 * $calls,
		"$endpoint: then at most 1.1 requests a call");
	note(sprintf '%d sessions, %s: %.2f requests a call, then %.2f', $n_sessions, $endpoint,
		$requests / $calls, $emulator->request_count('quick') / $calls);
}

#
# The breaker.
#

configure(breaker_failures => 20);
$emulator->reset;
$emulator->script('dead', [], { use => 'service-unavailable' });
in_sessions($n_sessions, calls('dead', 50));
my $sent = $emulator->request_count('dead');
cmp_ok($sent, '<', $n_sessions * 3, 'a dead endpoint is soon left alone');
fails_with($node, "SELECT sagemaker_invoke('dead', 'x') FROM generate_series(1, 2)", '53400',
	qr/not asked for now: \d+ requests in a row have failed, the last one so: the service failed/,
	'the error says so');
is($node->safe_psql('postgres', "SELECT breaker_open FROM sagemaker_stat_governor WHERE endpoint = 'dead'"),
	't', 'and so does the view');
is($node->safe_psql('postgres', "SELECT sagemaker_body_text(sagemaker_invoke('echo', 'x'))"), 'x',
	'other endpoints are asked');
$emulator->script('dead', [], {});
my $recovered = time;
ok(wait_until(sub { !failure($node, "SELECT sagemaker_invoke('dead', 'x')") }), 'it recovers');
my $took = time - $recovered;
cmp_ok($took, '<', 5, 'within five seconds');
note(sprintf '%d sessions: %d requests for %d calls of a dead endpoint, recovered after %.1f s',
	$n_sessions, $sent, $n_sessions * 50, $took);
in_sessions($n_sessions, calls('dead', 1));
is($node->safe_psql('postgres', "SELECT breaker_open FROM sagemaker_stat_governor WHERE endpoint = 'dead'"),
	'f', 'and is asked by all');

#
# The rate after a throttle.
#

configure(adaptive_rate => 'on');
$emulator->script('busy', [ ({}) x 20, ({ use => 'throttling' }) x 3 ], {});
$node->safe_psql('postgres', "SET sagemaker_rt.batch = off; " . calls('busy', 20));
is($node->safe_psql('postgres', "SELECT rate IS NULL FROM sagemaker_stat_governor WHERE endpoint = 'busy'"),
	't', 'before a throttle there is no limit');
$node->safe_psql('postgres', "SET sagemaker_rt.max_attempts = 1; " . calls('busy', 1));
my $rate = $node->safe_psql('postgres', "SELECT rate FROM sagemaker_stat_governor WHERE endpoint = 'busy'");
cmp_ok($rate, '>=', 0.5, 'after one there is');
my $begun = time;
in_sessions(4, "SET sagemaker_rt.max_attempts = 1; " . calls('busy', 1));
cmp_ok(time - $begun, '<', 20, 'but everybody gets a turn');

#
# A session that is killed takes nothing with it.
#

configure(max_in_flight => 5);
my $victim = Session->new($node);
$victim->start("SELECT count(sagemaker_invoke('hang', 'x' || i)) FROM generate_series(1, 5) AS i");
ok(wait_until(sub { $node->safe_psql('postgres',
		q{SELECT in_flight FROM sagemaker_stat_governor WHERE endpoint = 'hang'}) eq '5' }), 'a session has all slots');
kill 'KILL', $victim->pid;
$victim->kill_client;
ok(wait_until(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }), 'the server is back after a kill');
is($node->safe_psql('postgres', q{SELECT coalesce(sum(in_flight), 0) FROM sagemaker_stat_governor}), '0', 'and all slots');

done_testing();
