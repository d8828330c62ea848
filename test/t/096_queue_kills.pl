# The queue loses nothing: workers, backends and the postmaster are killed at random
# moments, under load.  Then what else ends a worker, or keeps one from starting.
#
# QUEUE_KILLS says how many kills (default 12), WORKER_ENDS how often a worker is
# terminated (default 5).  A row of the queue that was accepted
# is one whose transaction is known to have committed: each writes its number into a
# table of its own, too.
#
# Rows of t are sent many in a request, and those of u one by one: so the emulator's
# log has each row that was sent, as the inference id of its request, over and over.
# After each kill a request of our own stands in it as a mark.  A worker that was
# killed had its connections before the mark, and the next one has them after it.
use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use JSON::PP;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

my $kills = $ENV{QUEUE_KILLS} || 12;
my $log = "$PostgreSQL::Test::Utils::tmp_check/requests.log";
my $emulator = start_emulator('--no-models', '--log-file', $log);
my $node = start_queue('main', $emulator,
	"sagemaker_rt.queue_max_attempts = 1000",
	'restart_after_crash = on',
	'max_worker_processes = 8',
	'wal_level = logical', 'max_wal_senders = 5', 'hot_standby = on');

sub sql { return $node->safe_psql('postgres', $_[0]) }

# A client that writes rows into t, one statement each, until it is told to stop, or
# the test is gone.
# What it could not write, it tries again: nothing is written twice, as ids are its
# own.
sub start_writer
{
	my ($number) = @_;
	my $connstr = $node->connstr('postgres');
	my $test = $$;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;

	my $stop = 0;
	local $SIG{TERM} = sub { $stop = 1 };
	for (my $n = 0; !$stop && getppid() == $test; $n++)
	{
		my $from = $number * 10_000_000 + 10 * $n;
		my $sql = "BEGIN; INSERT INTO t (id, x) SELECT n, n FROM generate_series($from, $from + 9) AS n; "
		  . "INSERT INTO u (id, x) VALUES ($from, $from), ($from + 1, $from + 1); "
		  . "INSERT INTO accepted SELECT generate_series($from, $from + 9); COMMIT";
		system("psql -XAtq -d '$connstr' -c \"$sql\" >/dev/null 2>&1");
		sleep 0.02;
	}
	require POSIX;
	POSIX::_exit(0);
}

# One value, or nothing while the server is away.  psql gets no pipe: it may end before
# it has read.
sub asked
{
	my ($sql) = @_;
	my $connstr = $node->connstr('postgres');
	chomp(my $answer = `psql -XAtq -d '$connstr' -c "$sql" 2>&1 </dev/null`);
	return $? == 0 ? $answer : undef;
}

sub a_backend
{
	return asked(q{SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1});
}

sub a_worker { return asked("SELECT pid FROM pg_stat_activity WHERE backend_type = 'sagemaker_rt queue worker'") }

sub is_up { return defined asked('SELECT 1') }

# A process that is ending by itself is none to kill: one that is stopped is not.
sub kill_running
{
	my ($pid) = @_;
	my $state;
	kill STOP => $pid or return 0;
	wait_until(sub {
		my $stat = -e "/proc/$pid/stat" ? slurp_file("/proc/$pid/stat") : '0 (gone) X';
		($state) = $stat =~ /\) (\w)/;
		$state =~ /[TZX]/ });
	return $state eq 'T' && kill KILL => $pid;
}

# Kills one of these, and has the server come back.  A backend may have ended before
# it is killed: then another one is looked for.
sub kill_one
{
	my ($what) = @_;
	my $worker = a_worker();
	my $victim = sub
	{
		return $what eq 'postmaster' ? $node->{_pid}
		  : $what eq 'worker' ? a_worker()
		  : a_backend();
	};

	wait_until(sub { my $pid = $victim->(); $pid && kill_running($pid) }) or die "no $what to kill";
	# With any process all others end.
	wait_until(sub { !process_exists($worker) }) or die "a worker outlives a $what" if $worker;
	HTTP::Tiny->new->get($emulator->fact('url') . '/mark');
	if ($what eq 'postmaster')
	{
		# What it leaves behind ends by itself, and holds the data until then.
		$node->{_pid} = undef;
		unlink $node->data_dir . '/postmaster.pid';
		wait_until(sub { $node->start(fail_ok => 1) }) or die 'no server';
	}
	return wait_until(sub { is_up() }) || die 'no server';
}

sql(q{CREATE TABLE accepted (id int);
	CREATE FUNCTION single(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
	AS '{"endpoint": "delay-30", "max_rows": 1, "concurrency": 8, "max_attempts": 1}';
	CREATE TABLE u (LIKE t INCLUDING ALL);
	CREATE TRIGGER enqueue AFTER INSERT OR UPDATE ON u
		FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row('public.single', 'y')});
$emulator->script('echo', [], { delay_ms => 30 });
my @writers = map { start_writer($_) } 1 .. 2;
# They hold the emulator's pipe, too.
END { kill TERM => @writers if @writers }
my %count = (worker => 0, backend => 0, postmaster => 0);
my @order = ('worker', 'backend', 'worker', 'postmaster');
srand(4711);
for my $n (1 .. $kills)
{
	sleep(0.2 + rand);
	my $what = $order[ $n % @order ];
	kill_one($what);
	$count{$what}++;
}
kill TERM => @writers;
waitpid $_, 0 for @writers;
@writers = ();
note join ', ', map { "$_ $count{$_}" } sort keys %count;
cmp_ok($count{$_}, '>', 0, "a $_ was killed under load") for sort keys %count;

ok(drained($node), 'everything that waits is answered in the end');
my $accepted = sql('SELECT count(*) FROM accepted');
cmp_ok($accepted, '>', 100, "$accepted rows were accepted");
is(sql('SELECT count(*) FROM t'), $accepted, 'each is there');
is(sql("SELECT count(*) FROM sagemaker_queue WHERE relation = 'public.t'"), $accepted, 'and was enqueued once');
is(states($node, "relation = 'public.t'"), "done $accepted", 'and is done');
is(sql('SELECT count(*) FROM t WHERE y IS DISTINCT FROM x'), '0', 'and predicted');
my $singles = sql('SELECT count(*) FROM u');
is($singles, $accepted / 5, 'so are those that are sent one by one');
is(states($node, "relation = 'public.u'"), "done $singles", 'which are done');
is(sql('SELECT count(*) FROM u WHERE y IS DISTINCT FROM x'), '0', 'and predicted');

# Twice is what was with a worker that was killed, and nothing else.
my %sent;
my @requests = map { decode_json($_) } split /\n/, slurp_file($log);
my @marks = sort { $a <=> $b } map { $_->{line} =~ m{ /mark } ? $_->{connection} : () } @requests;
for my $request (grep { ($_->{endpoint} // '') eq 'delay-30' } @requests)
{
	my %header = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };
	my $kills_before = grep { $_ < $request->{connection} } @marks;
	$sent{ $header{'x-amzn-sagemaker-inference-id'} }{$kills_before}++;
}
is(@marks, $kills, 'each kill is marked');
is(keys %sent, $singles, 'each row was sent');
is((grep { $_ > 1 } map { values %$_ } values %sent), 0, 'no row is sent twice by one worker');
# Of each row that was sent again, the kill after which it had to be.
my %again;
for my $workers (values %sent)
{
	my @workers = sort { $a <=> $b } keys %$workers;
	pop @workers;
	$again{ $_ + 1 }++ for @workers;
}
my $in_flight = 8;
my $one_write = 4;
my @too_many = grep { $again{$_} > $in_flight + $one_write } keys %again;
is(@too_many, 0, 'no kill has more sent again than was in flight and one write') or diag(explain(\%again));
note join ', ', map { "kill $_: $again{$_} again" } sort { $a <=> $b } keys %again;
note sql('SELECT sum(attempts - 1) FROM sagemaker_queue') . ' rows were taken again';

#
# Terminated, and back.
#

my $ends = $ENV{WORKER_ENDS} || 5;
my $longest = 0;

for my $n (1 .. $ends)
{
	my $pid = worker_pid($node);
	my $since = time;
	sql("SELECT pg_terminate_backend($pid)");
	my $next;
	ok(wait_until(sub { ($next = worker_pid($node)) && $next != $pid }), 'a worker that is terminated comes back');
	my $away = time - $since;
	$longest = $away if $away > $longest;
	cmp_ok($away, '<', 3, 'soon');
	sql("INSERT INTO t (id, x) VALUES (-1000 - $n, -$n)");
	ok(drained($node), 'and works');
}
figure('kills', "$kills: $accepted rows accepted, none lost");
figure('worker back', sprintf '%d of %d times, after %.2f s at most', $ends, $ends, $longest);

my $launcher = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'sagemaker_rt launcher'");
my $worker = worker_pid($node);
sql("SELECT pg_terminate_backend($launcher)");
ok(wait_until(sub { sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sagemaker_rt launcher' AND pid <> $launcher") eq '1' }),
	'so does the launcher');
is(worker_pid($node), $worker, 'which leaves the worker alone');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sagemaker_rt queue worker'"), '1', 'and starts no other');

# While the model is asked.
$emulator->script('echo', [ { delay_ms => 60000 } ], {});
sql('INSERT INTO t (id, x) VALUES (-10, -10)');
wait_until(sub { states($node) =~ /running 1/ });
my $since = time;
sql("SELECT pg_terminate_backend($worker)");
ok(wait_until(sub { !process_exists($worker) }), 'a worker ends while a model is asked');
cmp_ok(time - $since, '<', 1, 'within a second');
ok(drained($node), 'and the next one takes its rows at once');
is(sql('SELECT attempts FROM sagemaker_queue ORDER BY id DESC LIMIT 1'), '2', 'as a second attempt');

#
# DROP DATABASE.
#

$node->append_conf('postgresql.conf', "sagemaker_rt.queue_databases = 'postgres, doomed'");
sql('CREATE DATABASE doomed');
$node->reload;
for my $round (1 .. 2)
{
	ok(wait_until(sub { worker_pid($node, 'doomed') }), 'a database that comes has a worker');
	$node->safe_psql('doomed', q{CREATE EXTENSION sagemaker_rt;
		CREATE TABLE t (id int PRIMARY KEY, x float8, y float8); INSERT INTO t VALUES (1, 1);
		CREATE FUNCTION slow(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'delay-60000';
		SELECT sagemaker_enqueue('t', 'slow', '{1}', 'y')});
	wait_until(sub { $node->safe_psql('doomed', "SELECT count(*) FROM sagemaker_queue WHERE state = 'running'") eq '1' });
	$since = time;
	sql('DROP DATABASE doomed WITH (FORCE)');
	cmp_ok(time - $since, '<', 5, 'and can be dropped while a model is asked');
	sql('CREATE DATABASE doomed') if $round == 1;
	# The launcher looks for databases that are missing now and then, and at a reload.
	$node->reload;
}
sql('INSERT INTO t (id, x) VALUES (-11, -11)');
ok(drained($node), 'the other worker goes on');

sql('CREATE DATABASE doomed');
$node->reload;
ok(wait_until(sub { worker_pid($node, 'doomed') }), 'a database has a worker');
$node->append_conf('postgresql.conf', "sagemaker_rt.queue_databases = 'postgres'");
$node->reload;
ok(wait_until(sub { !worker_pid($node, 'doomed') }), 'until it is taken off the list');
sql('DROP DATABASE doomed');
pass('and can be dropped without force');

#
# No slot: PostgreSQL's own launcher has one, ours the other.
#

$node->append_conf('postgresql.conf', "max_worker_processes = 2");
$node->restart;
ok(wait_until(sub { slurp_file($node->logfile) =~ /could not start the queue worker of database "postgres"/ }),
	'a worker for which there is no slot is missed');
$node->append_conf('postgresql.conf', "max_worker_processes = 8");
$node->restart;
sql('INSERT INTO t (id, x) VALUES (-12, -12)');
ok(drained($node), 'until there is one');

#
# A subscriber whose trigger is enabled always.
#

my $subscriber = start_queue('subscriber', $emulator, 'wal_level = logical');
sql('CREATE TABLE published (id int PRIMARY KEY, x float8, y float8); CREATE PUBLICATION p FOR TABLE published');
$subscriber->safe_psql('postgres', q{
	CREATE TABLE published (id int PRIMARY KEY, x float8, y float8);
	CREATE TRIGGER enqueue AFTER INSERT OR UPDATE ON published
		FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row('public.score', 'y');
	ALTER TABLE published ENABLE ALWAYS TRIGGER enqueue;
	CREATE SUBSCRIPTION s CONNECTION '} . ($node->connstr('postgres') =~ s/'/''/gr) . q{' PUBLICATION p});
sql('INSERT INTO published SELECT n, n FROM generate_series(1, 10) AS n');
sql('BEGIN; INSERT INTO published VALUES (11, 11); ROLLBACK');
ok($subscriber->poll_query_until('postgres', 'SELECT count(*) = 10 FROM published WHERE y = x'),
	'what is replicated into a table with such a trigger is answered there');
is(states($subscriber), 'done 10', 'and nothing else');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');
$subscriber->stop;

#
# Standby and promotion.
#

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my $stopped = worker_pid($node);
kill STOP => $stopped;
sql("INSERT INTO t (id, x) SELECT n, n FROM generate_series(-30, -21) AS n");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'sagemaker_rt%'"), '0',
	'a standby has no launcher and no worker');
fails_with($standby, "SELECT sagemaker_enqueue('t', 'score', '{-21}', 'y')", '25006', qr/read-only/, 'and takes no rows');
is(states($standby), states($node), 'it has the queue');
kill KILL => $node->{_pid};
$node->{_pid} = undef;
# It finds its postmaster dead, and ends.
kill CONT => $stopped;
$standby->promote;
ok(drained($standby), 'which is worked off once it is promoted');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM t WHERE id BETWEEN -30 AND -21 AND y = x'), '10', 'row by row');
$standby->stop;
done_testing();
