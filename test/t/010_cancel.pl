# A statement that waits for the network ends within a second of being told to,
# wherever it stands, and leaves a usable session.
#
# Two odd means.  Where a call stands is seen from outside, in what the endpoint
# has logged and in the kernel's tables of the server process: its sockets, the
# bytes in their queues, its memory (Session.pm).  And the server's name service
# can be made to hang, and tells which signals a thread that looks up would take
# (SlowResolver.pm).
#
# CANCEL_ROUNDS says how often each stage is ended in each way (default 1).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use SlowResolver;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'reads /proc' unless $^O eq 'linux';

# Longest time from the order to the end.
my $prompt_s = 1.0;

# src/net/exchange.c: lookups that nobody waits for any more.
my $max_parked = 16;

my $http = start_emulator('--no-models');
my $tls = start_emulator('--no-models', '--tls');
my $node = start_slow_node('main', $http,
	"sagemaker_rt.ca_file = '" . $tls->fact('ca_file') . "'",
	'sagemaker_rt.connect_timeout = 60s', 'sagemaker_rt.allow_http = on');
my $admin = Session->new($node);

sub lookups_of
{
	my ($pid) = @_;
	return scalar grep { $_->{pid} == $pid } lookups();
}

# What becomes of the call to an endpoint: nothing yet, "runs", "waits", "over".
sub state_of
{
	my ($pid, $endpoint) = @_;
	return $admin->must(
		"SELECT CASE WHEN state <> 'active' THEN 'over'
				WHEN wait_event_type = 'Extension' THEN 'waits' ELSE 'runs' END
		FROM pg_stat_activity
		WHERE pid = $pid AND query LIKE '%''$endpoint''%'");
}

sub url_of
{
	my ($scheme, $host, $port) = @_;
	return "$scheme://$host:$port";
}

sub listener { return $http->control('listener', { kind => $_[0] })->{port} }

my $slow_url = url_of('http', 'slow.test', $http->fact('port'));
my $full = listener('full');
my $silent = listener('silent');

# Where a call may stand: how to get it there, and whether process pid is there.
# Each call goes to an endpoint of its own name, by which it is known.
my @stages = (
	{ name => 'resolving', url => url_of('https', 'slow.test', $silent),
		prepare => \&hold_lookups, clear => \&release_lookups,
		reached => sub { lookups_of($_[0]) > $_[1] }, before => \&lookups_of },
	{ name => 'connecting', url => url_of('http', '127.0.0.1', $full),
		reached => sub {
			grep { $_->{state} eq 'SYN_SENT' } tcp_sockets($_[0], $full);
		} },
	{ name => 'in the TLS handshake',
		url => url_of('https', '127.0.0.1', $silent),
		reached => sub { grep { $_->{unread} } tcp_sockets($_[0], $silent) } },
	map { my $emulator = $_; stages_of_request($emulator) } $http, $tls);

# The stages once there is a connection, over HTTP and over TLS.
sub stages_of_request
{
	my ($emulator) = @_;
	my $port = $emulator->fact('port');
	my $over = $emulator == $tls ? 'over TLS' : 'over HTTP';
	my @common = (url => $emulator->fact('url'), emulator => $emulator);
	my $mib = 1024 * 1024;

	return (
		{ @common, name => "sending a big body $over",
			step => { use => 'no-read' }, body => "repeat('x', 25000000)",
			reached => sub { grep { $_->{unsent} } tcp_sockets($_[0], $port) } },
		{ @common, name => "waiting for the answer $over",
			step => { use => 'hang' },
			reached => sub { 1 } },
		# Half an answer stands in the process's memory, which grows for that
		# the first time only.
		{ @common, name => "reading the body $over", fresh => 1,
			step => { body => { every_byte => 16 * $mib },
				pause_at => 8 * $mib, pause_ms => 60000 },
			before => \&anonymous_kb,
			reached => sub { anonymous_kb($_[0]) > $_[1] + 6 * 1024 } },
		# It was told to go away and has done so: no connection is left.
		{ @common, name => "backing off between attempts $over",
			step => { use => 'throttling', after => 'close',
				headers =>
				  { 'x-amz-retry-after' => '5000', Connection => 'close' } },
			reached => sub { !tcp_sockets($_[0], $port) } });
}

my $names = 0;

# Starts a call in the session and waits until it stands at the stage.
sub bring_to
{
	my ($session, $stage) = @_;
	my $pid = $session->pid;
	my $emulator = $stage->{emulator};
	my $endpoint = 'call-' . ++$names;
	my $body = $stage->{body} // "'x'";

	$stage->{prepare}->() if $stage->{prepare};
	$emulator->script($endpoint, [], $stage->{step}) if $emulator;
	$session->must("SET sagemaker_rt.endpoint_url = '$stage->{url}'");
	my $before = $stage->{before} ? $stage->{before}->($pid) : 0;
	$session->start("SELECT sagemaker_invoke('$endpoint', $body)");
	return wait_until(sub {
		my $state = state_of($pid, $endpoint);
		die "$endpoint: over too soon" if $state eq 'over';
		return $state eq 'waits'
		  && (!$emulator || $emulator->request_count($endpoint))
		  && $stage->{reached}->($pid, $before);
	});
}

sub usable
{
	my ($session) = @_;
	$session->run('RESET statement_timeout; RESET sagemaker_rt.endpoint_url');
	return $session->run(
		"SELECT sagemaker_body_text(sagemaker_invoke('echo', 'still here'))")
	  ->{output} eq 'still here';
}

sub is_cancelled
{
	my ($result, $why) = @_;
	return ($result->{sqlstate} // '') eq '57014'
	  && $result->{message} eq "canceling statement due to $why";
}

my (@latencies, @seconds);

sub is_prompt
{
	my ($seconds, $what) = @_;
	push @seconds, $seconds;
	push @latencies, sprintf '%6.1f ms  %s', 1000 * $seconds, $what;
	cmp_ok($seconds, '<', $prompt_s, "$what ends it within $prompt_s s");
	return;
}

# One session for all of it, so that what a stage leaves behind meets the next.
my $session = Session->new($node);
ok(usable($session), 'a call works to begin with');

for my $stage ((@stages) x ($ENV{CANCEL_ROUNDS} || 1))
{
	my $name = $stage->{name};
	my $target = $stage->{fresh} ? Session->new($node) : $session;

	my $there = bring_to($target, $stage);
	my $ordered = time;
	$admin->must('SELECT pg_cancel_backend(' . $target->pid . ')');
	my $result = $target->finish;
	ok($there && is_cancelled($result, 'user request'), "$name: is cancelled")
	  || diag($result->{errors});
	is_prompt($result->{at} - $ordered, "$name: pg_cancel_backend()");
	ok(usable($target), "$name: the session is usable after a cancel");

	# Long enough to get to the stage before, on a busy machine too.
	my $timeout_s = 1;
	$target = Session->new($node) if $stage->{fresh};
	$target->must("SET statement_timeout = '${timeout_s}s'");
	$there = bring_to($target, $stage);
	$result = $target->finish;
	ok($there && is_cancelled($result, 'statement timeout'),
		"$name: meets statement_timeout") || diag($result->{errors});
	is_prompt($result->{seconds} - $timeout_s, "$name: statement_timeout");
	ok(usable($target), "$name: the session is usable after a timeout");

	my $doomed = Session->new($node);
	my $pid = $doomed->pid;
	$there = bring_to($doomed, $stage);
	$ordered = time;
	$admin->must("SELECT pg_terminate_backend($pid)");
	wait_until(sub { !process_exists($pid) });
	my $gone = time;
	$result = $doomed->finish;
	ok($there && ($result->{sqlstate} // '') eq '57P01', "$name: is terminated")
	  || diag($result->{errors});
	is_prompt($gone - $ordered, "$name: pg_terminate_backend()");
	$doomed->quit;
	$stage->{clear}->() if $stage->{clear};
}

my @recorded = lookups();
my @in_main_thread = grep { $_->{pid} == $_->{tid} } @recorded;
my @taking_signals = grep { $_->{takes} ne 'none' } @recorded;
ok(@recorded > 0 && @in_main_thread == 0, 'names are looked up in a thread');
is_deeply(\@taking_signals, [],
	'a thread that looks up takes none of the server\'s signals');

# The client goes away and the server looks for that now and then.
SKIP:
{
	skip 'PostgreSQL 13 does not look', 2
	  if major_version($node) < 14;
	my ($resolving) = @stages;
	my $lonely =
	  Session->new($node, "SET client_connection_check_interval = '50ms'");
	my $pid = $lonely->pid;
	my $there = bring_to($lonely, $resolving);
	my $left = time;
	$lonely->kill_client;
	wait_until(sub { !process_exists($pid) });
	ok($there, 'a client leaves during a lookup');
	is_prompt(time - $left, 'resolving: the client\'s disconnect');
	release_lookups();
}

# Signals of every kind that the server handles, while a thread looks up.
{
	my $pid = $session->pid;
	my $before = lookups_of($pid);
	hold_lookups();
	$session->must("SET sagemaker_rt.endpoint_url = '$slow_url'");
	$session->start(
		"SELECT sagemaker_body_text(sagemaker_invoke('echo', 'unmoved'))");
	wait_until(sub { lookups_of($pid) > $before });
	for (1 .. 1000)
	{
		kill $_, $pid for qw(HUP USR1 ALRM);
	}
	is(state_of($pid, 'echo'), 'waits', 'a lookup goes on under 3000 signals');
	release_lookups();
	is($session->finish->{output}, 'unmoved', 'and its call succeeds');
	ok(usable($session), 'and the session is usable');
}

# The alarm clock is PostgreSQL's alone, however often it rings.
{
	my %before = descriptors($session->pid);
	my $result = $session->run("SET statement_timeout = '3ms';\n"
		  . "SELECT sagemaker_invoke('hang', 'x');\n" x 300);
	my $n = () = $result->{errors} =~
	  /^.*ERROR:  57014: canceling statement due to statement timeout$/mg;
	is($n, 300, 'statement_timeout ends 300 calls in a row');
	ok(usable($session), 'and the session is usable');
	my %after = descriptors($session->pid);
	cmp_ok(scalar(keys %after), '<=', scalar(keys %before) + 1,
		'and has no more descriptors than one connection');

	$admin->must('CREATE TABLE held (i int); BEGIN; LOCK TABLE held');
	is( $session->run("SET lock_timeout = '1ms'; DO \$\$
		DECLARE refused int := 0;
		BEGIN
			FOR i IN 1 .. 100 LOOP
				BEGIN
					LOCK TABLE held;
				EXCEPTION WHEN lock_not_available THEN
					refused := refused + 1;
				END;
				PERFORM sagemaker_invoke('delay-2', i::text);
			END LOOP;
			ASSERT refused = 100;
		END \$\$; SELECT 'done'")->{output}, 'done',
		'lock_timeout and calls take turns 100 times');
	$admin->must('COMMIT');
	$session->must('RESET lock_timeout');
}

# Lookups that were given up go on in their threads; there is a limit to them.
# One attempt each, so that a call is a lookup.
{
	my $patient = Session->new($node);
	my $pid = $patient->pid;
	usable($patient);
	my $threads = threads($pid);
	my %before = descriptors($pid);
	my $call = "SELECT sagemaker_body_text(sagemaker_invoke('echo', 'there'))";
	my @given_up;

	$patient->must("SET sagemaker_rt.endpoint_url = '$slow_url'");
	$patient->must('SET sagemaker_rt.max_attempts = 1');
	$patient->must("SET sagemaker_rt.connect_timeout = '20ms'");
	hold_lookups();
	for (1 .. $max_parked)
	{
		my $result = $patient->run($call);
		push @given_up, $result
		  if ($result->{sqlstate} // '') eq '58030'
		  && $result->{message} =~ /could not connect in time/;
	}
	is(scalar @given_up, $max_parked,
		"$max_parked calls fail as the name is not resolved in time");
	# Later versions of libcurl ask for each address family in a thread, of 20 at most.
	my $left = threads($pid) - $threads;
	ok($left >= $max_parked && $left <= 20, 'a thread is left of each')
	  || diag("$left threads");
	for (1 .. 20)
	{
		my $result = $patient->run($call);
		next if ($result->{sqlstate} // '') eq '58030'
		  && $result->{message} =~
		  /could not be resolved: earlier name lookups are still unanswered$/;
		fail("a call beyond the limit: $result->{errors}");
	}
	is(threads($pid), $threads + $left,
		'calls beyond the limit start no thread, and say why');

	release_lookups();
	ok(wait_until(sub { threads($pid) == $threads }),
		'the threads end when the resolver answers');
	is($patient->run($call)->{output}, 'there',
		'and the first call after that works');
	my %after = descriptors($pid);
	cmp_ok(scalar(keys %after), '<=', scalar(keys %before) + 1,
		'of the lookups no descriptor is left, of the call its connection');
	$patient->quit;
}

# A lookup that was given up is answered while the next one hangs.  A call that
# took its address from there would at its end wait for its own.
{
	my $second = Session->new($node,
		"SET sagemaker_rt.endpoint_url = '$slow_url'",
		'SET sagemaker_rt.max_attempts = 1',
		"SET sagemaker_rt.connect_timeout = '20ms'");
	my $pid = $second->pid;
	my $threads = threads($pid);
	hold_lookups();
	$second->run("SELECT sagemaker_invoke('echo', 'first')");
	# Two, where libcurl asks for each address family by itself.
	wait_until(sub { release_one_lookup(); threads($pid) == $threads });
	my $each = lookups_of($pid);
	hold_lookups();

	# What wakes libcurl when a lookup is answered: sockets or, from 8.9 on, an
	# eventfd.  The second has its own, and as many stay when the first is over.
	my $wakers = sub {
		my %open = descriptors($pid);
		return scalar grep { /^socket|eventfd/ } values %open;
	};
	my $before = $wakers->();
	$second->must('RESET sagemaker_rt.connect_timeout');
	$second->start("SELECT sagemaker_invoke('echo', 'second')");
	ok(wait_until(sub { lookups_of($pid) == 2 * $each && $wakers->() == $before }),
		'a lookup that was given up is answered during another one');
	my $ordered = time;
	$admin->must("SELECT pg_cancel_backend($pid)");
	my $result = $second->finish;
	ok(is_cancelled($result, 'user request'), 'the other call is cancelled')
	  || diag($result->{errors});
	is_prompt($result->{at} - $ordered, 'resolving twice: pg_cancel_backend()');
	release_lookups();
	$second->quit;
}

# A transfer that failed to resolve is used again for a connection that exists:
# a cancel must close that, and not wait for a resolver that is long gone.
{
	my ($waiting) = grep { $_->{name} =~ /^waiting.*HTTP$/ } @stages;
	my $again = Session->new($node);
	my $pid = $again->pid;
	my $port = $http->fact('port');

	usable($again);
	$again->must("SET sagemaker_rt.endpoint_url = 'http://nowhere.test'");
	like($again->run("SELECT sagemaker_invoke('echo', 'x')")->{message},
		qr/the host name could not be resolved/, 'a name that does not exist');
	my $there = bring_to($again, $waiting);
	$admin->must("SELECT pg_cancel_backend($pid)");
	ok($there && is_cancelled($again->finish, 'user request'),
		'then a call over a kept connection is cancelled');
	is(scalar tcp_sockets($pid, $port), 0, 'and its connection is closed');
	$again->quit;
}

ok(usable($session), 'the first session is usable at the end');
$session->quit;
$admin->quit;
$node->stop('fast');
unlike(slurp_file($node->logfile),
	qr/PANIC|was terminated by signal|exited with exit code [^1]/,
	'no server process crashed');
# Nor does it outlive the server: nobody would take its answer.
{
	my $orphan = start_node('orphan', $http);
	my $lost = Session->new($orphan);
	my $pid = $lost->pid;

	$http->reset;
	$lost->start("SELECT sagemaker_invoke('hang', 'x')");
	my $there = wait_until(sub { $http->request_count('hang') > 0 });
	$orphan->kill9;
	ok($there && wait_until(sub { !process_exists($pid) }),
		'a call ends when the postmaster has died');
	$lost->kill_client;
}

note("from the order to the end:\n", join "\n", @latencies);
@seconds = sort { $a <=> $b } @seconds;
figure('cancel', sprintf '%d orders at %d stages: p99 %.0f ms, worst %.0f ms', scalar @seconds,
	scalar @stages, 1000 * $seconds[ int(0.99 * $#seconds + 0.5) ], 1000 * $seconds[-1]);

done_testing();
