# What is tried again, how often, after how long, and what ends it; and that a
# clock that differs from the service's is corrected.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start finish);
use List::Util qw(max uniq);
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;
use Time::Local qw(timegm);

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, 'sagemaker_rt.breaker_failures = 0');

install_outcomes($node);

# Steps of the emulator's own that are used below.
my $failure = { use => 'internal-failure' };
my $throttle = { use => 'throttling' };
my $ok = {};

my $n_endpoints = 0;

# The name of a new endpoint that takes these steps, then the last one for ever.
sub endpoint
{
	my @steps = @_;
	my $name = 'e-' . ++$n_endpoints;
	$emulator->script($name, \@steps, $steps[-1]);
	return $name;
}

sub header
{
	my ($request, $name) = @_;
	my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
	  @{ $request->{headers} };
	return @values > 1 ? 'more than one' : $values[0];
}

# X-Amz-Date and the like, as seconds from 1970.
sub seconds
{
	my ($y, $m, $d, $H, $M, $S) =
	  ($_[0] // '') =~ /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
	  or return undef;
	return timegm($S, $M, $H, $d, $m - 1, $y);
}

# Seconds between the arrival of two requests.
sub gap
{
	my ($name, $first) = @_;
	my @requests = $emulator->requests($name);
	return $requests[ $first + 1 ]{time} - $requests[$first]{time};
}

#
# Whose time it is.  A statement that is busy between its rows for longer than
# timeout finds the answers there.
#

$node->safe_psql('postgres', q{
	CREATE FUNCTION awaited(endpoint text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
		EXECUTE format('CREATE OR REPLACE FUNCTION scored(x int) RETURNS text
			LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS %L', json_build_object('endpoint', endpoint,
			'max_rows', 1, 'timeout', '300ms', 'max_attempts', 1));
	END $$});
# Over connections that are there, for while libcurl makes one its clock has it look
# at all of them.  All rows are sent with the first, and answered after it.
my $warm = q{LOAD 'sagemaker_rt'; SELECT count(scored(-i)) FROM generate_series(1, 4) AS i};
my $busy = q{SELECT scored(i), pg_sleep(0.5) FROM generate_series(1, 4) AS i};
$emulator->script('uneven', [ ({ delay_ms => 50 }) x 4, {}, ({ delay_ms => 100 }) x 3 ]);
$node->safe_psql('postgres', "SELECT awaited('uneven')");
is($node->safe_psql('postgres', "$warm; $busy"), "4\n1|\n2|\n3|\n4|", 'no timeout where nobody waits');
is($emulator->request_count('uneven'), 8, 'nor an attempt more');
$node->safe_psql('postgres', "SELECT awaited('hang')");
fails_with($node, "LOAD 'sagemaker_rt'; $busy", '58030', qr/no answer in time/, 'where one waits in vain there is one');

#
# How many attempts.
#

for my $row (
	[ 'status 500', 3, '58000', { status => 500 } ],
	[ 'status 502', 3, '58000', { status => 502 } ],
	[ 'status 503', 3, '58000', { status => 503 } ],
	[ 'status 504', 3, '58000', { status => 504 } ],
	[ 'InternalFailure', 3, '58000', { use => 'internal-failure' } ],
	[ 'ServiceUnavailable', 3, '58000', { use => 'service-unavailable' } ],
	[ 'RequestTimeout', 3, '58000', { status => 400, code => 'RequestTimeout' } ],
	[ 'RequestTimeoutException', 3, '58000',
		{ status => 400, code => 'RequestTimeoutException' } ],
	[ 'a connection closed', 3, '58030', { use => 'drop' } ],
	[ 'a connection reset', 3, '58030', { use => 'reset' } ],
	[ 'an answer cut off', 3, '58030', { use => 'cut' } ],
	[ 'a timeout', 3, '58030', { use => 'hang' } ],
	[ 'a timeout within the answer', 3, '58030', { use => 'pause' } ],
	[ 'InternalDependencyException', 2, '58000', { use => 'internal-dependency' } ],
	[ 'ModelError', 1, '38000', { use => 'model-error' } ],
	[ 'ModelError with status 500', 1, '38000', { use => 'model-crash' } ],
	[ 'ValidationError', 1, '22023', { status => 400, code => 'ValidationError' } ],
	[ 'status 404', 1, '22023', { status => 404 } ],
	[ '413', 1, '54000', { use => 'too-large' } ],
	[ 'AccessDeniedException', 1, '28000', { use => 'access-denied' } ],
	[ 'ExpiredTokenException', 1, '28000', { use => 'expired-token' } ],
	[ 'a redirect', 1, '38S01', { use => 'redirect-307' } ],
	[ 'no HTTP', 1, '38S01', { use => 'not-http' } ],
	[ 'an answer too large', 1, '54000', { body => { zeros => 2000 } } ])
{
	my ($what, $attempts, $sqlstate, $step) = @$row;
	my $name = endpoint($step);
	my $outcome = outcome($node, call($name),
		settings => [ "timeout = '300ms'", "max_response_size = '1kB'" ]);

	is_failure($outcome, $sqlstate, qr/./,
		qr/(?<!\d)$attempts attempts?, /, "$what: the detail counts $attempts");
	is($emulator->request_count($name), $attempts, 'and so many were sent');
}

for my $kind (qw(closed full))
{
	my $port = $emulator->control('listener', { kind => $kind })->{port};
	is_failure(
		outcome($node, call('echo'), settings =>
			[ "endpoint_url = 'http://127.0.0.1:$port'",
				"connect_timeout = '200ms'" ]),
		'58030', qr/could not connect/, qr/3 attempts, /,
		"a connection to a $kind port is tried three times");
}

for my $row (
	[ "max_attempts = 1", undef, 1, 'setting max_attempts = 1' ],
	[ "max_attempts = 3", '{"max_attempts": 1}', 1, 'option max_attempts = 1' ],
	[ "max_attempts = 1", '{"max_attempts": 5}', 5, 'option max_attempts = 5' ])
{
	my ($setting, $options, $attempts, $what) = @$row;
	my $name = endpoint($failure);
	my $outcome = outcome($node,
		call($name, "''::bytea" . ($options ? ", options => '$options'" : '')),
		settings => [$setting]);
	is($emulator->request_count($name), $attempts, "$what: $attempts in all");
	like($outcome->{detail}, qr/ended by max_attempts/, 'and the detail says so');
}

my $cut = endpoint({ use => 'cut' });
my $hang = endpoint({ use => 'hang' });
my ($timed_out) = outcomes($node, [ call($hang), call($cut) ],
	settings => [ 'retry_timeouts = off', "timeout = '300ms'" ]);
is($emulator->request_count($hang), 1,
	'retry_timeouts = off: a request that timed out is not sent again');
like($timed_out->{detail}, qr/ended by retry_timeouts/, 'and the detail says so');
is($emulator->request_count($cut), 3, 'other broken connections are tried again');

my $mended = endpoint($failure, $failure, { body => 'mended' });
is(outcome($node, call($mended))->{value}, 'mended',
	'a failure that passes is not seen');

my $reused = endpoint({ body => 'first' }, { use => 'drop-reused' }, { body => 'second' });
is( join(' ', map { $_->{value} // $_->{message} } outcomes($node,
			[ call($reused), call($reused) ], settings => ['max_attempts = 1'])),
	'first second',
	'a kept connection that turns out to be dead costs no attempt');

my $refused = endpoint($ok);
outcomes($node,
	[ call($refused, q{''::bytea, target_variant => 'a b'}),
		call($refused, q{''::bytea, options => '{"max_attempts": 0}'}),
		call($refused, q{''::bytea, server => 'x'}), call("$refused/") ]);
is($emulator->request_count($refused), 0, 'a refused argument sends nothing');

#
# What is sent again.
#

my $retried = endpoint($failure, { hang => JSON::PP::true }, $failure, $ok);
outcome($node, call($retried, "'\\x00ff'::bytea, 'text/csv'"), settings =>
	[ 'max_attempts = 4', "timeout = '1500ms'", "total_timeout = '1min'" ]);
my @requests = $emulator->requests($retried);
is(scalar @requests, 4, 'four attempts');
is(join(' ', map { $_->{outcome} } @requests), 'verified ' x 3 . 'verified',
	"each attempt's signature is valid");
is(scalar(uniq map { header($_, 'amz-sdk-invocation-id') } @requests), 1,
	'all have the same invocation id');
like(header($requests[0], 'amz-sdk-invocation-id'),
	qr/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
	'which is a UUID');
is(scalar(uniq map { $_->{body_sha256} } @requests), 1, 'and the same body');
is(header($requests[0], 'amz-sdk-request'), 'attempt=1; max=4',
	'the first attempt says its number');
for my $i (1 .. 3)
{
	my ($ttl, $rest) =
	  header($requests[$i], 'amz-sdk-request') =~ /^ttl=(\w+); (.*)$/;
	my $signed_at = seconds(header($requests[$i], 'X-Amz-Date'));

	is($rest, sprintf('attempt=%d; max=4', $i + 1), 'a later one too');
	ok(defined seconds($ttl) && abs(seconds($ttl) - $signed_at - 1) <= 1,
		'and how long it lives');
}
cmp_ok(seconds(header($requests[2], 'X-Amz-Date')), '>',
	seconds(header($requests[1], 'X-Amz-Date')),
	'an attempt is signed at its own time');
isnt(header($requests[1], 'Authorization'), header($requests[2], 'Authorization'),
	'and so has a signature of its own');

my @ids = map { header($_, 'amz-sdk-invocation-id') } map {
	my $name = endpoint($ok);
	outcomes($node, [ call($name), call($name) ]);
	$emulator->requests($name);
} 1 .. 2;
is(scalar(uniq @ids), 4, 'no two calls have the same invocation id');

#
# How long is waited.  Delays have a random part, so that only what the server
# asked for is a lower bound; the arithmetic is shown by the unit tests.
#

for my $row (
	[ 'x-amz-retry-after', 700, 0.7 ], [ 'Retry-After', 1, 1 ])
{
	my ($header, $value, $seconds) = @$row;
	for my $step (
		{ status => 503, headers => { $header => $value } },
		{ %$throttle, headers => { $header => $value + 1 } })
	{
		my $name = endpoint($step, $ok);
		is(outcome($node, call($name))->{sqlstate}, '00000',
			"$header: the call succeeds");
		cmp_ok(gap($name, 0), '>=', $seconds, 'after the time it asks for');
	}
}
my $date = endpoint({ status => 503, headers => { Date => 'Fri, 31 Dec 1999 23:59:57 GMT',
			'Retry-After' => 'Fri, 31 Dec 1999 23:59:59 GMT' } }, $ok);
is(outcome($node, call($date))->{sqlstate}, '00000', 'Retry-After may be a date');
cmp_ok(gap($date, 0), '>=', 2, "that counts from the answer's own");
my $both = endpoint({ status => 503, headers =>
		{ 'x-amz-retry-after' => 300, 'Retry-After' => 600 } }, $ok);
is(outcome($node, call($both), settings => ["total_timeout = '3s'"])->{sqlstate},
	'00000', 'x-amz-retry-after outranks Retry-After');

# A minute is asked for, 5 s are the most that is given, and 4 s are left.
my $minute = endpoint({ status => 503, headers => { 'Retry-After' => 60 } });
my $too_late = outcome($node, call($minute), settings => ["total_timeout = '4s'"]);
is_failure($too_late, '58000', qr/./, qr/1 attempt, .*ended by total_timeout/,
	'a retry that could not be in time is not waited for');
cmp_ok($too_late->{ms}, '<', 4000, 'and the error comes at once');

#
# Throttling: all codes at the same time, since each may wait a second.
#

my @codes = qw(Throttling ThrottlingException ThrottledException
  RequestThrottledException TooManyRequestsException
  ProvisionedThroughputExceededException TransactionInProgressException
  RequestLimitExceeded BandwidthLimitExceeded LimitExceededException
  RequestThrottled SlowDown PriorRequestNotComplete EC2ThrottledException);
my @sessions;
my %waited;
for my $code (@codes)
{
	my $name = endpoint({ status => 400, code => $code, code_tail => JSON::PP::true },
		{ body => 'passed' });
	my $stdout = '';
	push @sessions,
	  { code => $code, name => $name, stdout => \$stdout,
		run => start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
				'-c', 'SELECT ' . call($name) ], '>', \$stdout, '2>&1') };
}
for my $session (@sessions)
{
	finish($session->{run});
	is(${ $session->{stdout} }, "passed\n",
		"$session->{code} is tried again");
	$waited{ $session->{code} } = gap($session->{name}, 0);
}
# The chance that 14 delays of up to 1 s all stay below 0.1 s is 1e-14; those of
# a transient failure never reach it but on a machine that is at a standstill.
cmp_ok(max(values %waited), '>', 0.1, 'after longer than a transient failure');

my $throttled = endpoint($throttle);
is_failure(outcome($node, call($throttled)), '53000', qr/throttled/,
	qr/3 attempts, [1-9]\d* ms waited between them, ended by max_attempts/,
	'throttling lasts: three attempts, and the detail adds up the waits');

#
# A model that is being loaded.
#

my $loading = endpoint(({ use => 'model-not-ready' }) x 2, { body => 'loaded' });
is(outcome($node, call($loading), settings => ['max_attempts = 2'])->{value},
	'loaded', 'a model that is not ready is waited for beyond max_attempts');

my $never_ready = endpoint({ use => 'model-not-ready' });
my $given_up = outcome($node, call($never_ready),
	settings => ["total_timeout = '1500ms'"]);
is_failure($given_up, '53000', qr/the model is not ready/,
	qr/ended by total_timeout/, 'until total_timeout');
# The first delay is at most 1 s.
cmp_ok($emulator->request_count($never_ready), '>=', 2, 'which it has tried again');

my $impatient = endpoint({ use => 'model-not-ready' });
outcome($node, call($impatient), settings => ['max_attempts = 1']);
is($emulator->request_count($impatient), 1, 'and not when one attempt is wanted');

#
# What ends it.
#

my $slow = endpoint({ use => 'hang' });
# An attempt that is under way ends with it: alone it would have 70 s.
my $short = outcome($node, call('hang'), settings => [ "total_timeout = '300ms'", 'max_attempts = 1' ]);
is_failure($short, '58030', qr/./, qr/./, 'total_timeout ends an attempt that is under way');
cmp_ok($short->{ms}, '<', 30_000, 'and does not wait for its own timeout');

my $out_of_time = outcome($node, call($slow), settings =>
	[ "timeout = '400ms'", "total_timeout = '1s'", 'max_attempts = 100' ]);
is_failure($out_of_time, '58030', qr/no answer in time/,
	qr/ended by total_timeout/, 'total_timeout ends retries');
cmp_ok($out_of_time->{ms}, '<', 3000, 'in time');
my $n_slow = $emulator->request_count($slow);
ok($n_slow >= 2 && $n_slow <= 20, 'after several attempts');

# A bucket of 500, 14 for each retry.  It is the session's, so calls share it.
my $hopeless = endpoint($failure);
my $good = endpoint($ok);
my $slow_model = endpoint({ use => 'model-not-ready' }, { body => 'loaded' });
my @outcomes = outcomes($node,
	[ (call($hopeless)) x 20, call($slow_model), (call($good)) x 7,
		call($hopeless) ]);
like($outcomes[0]{detail}, qr/3 attempts, .*ended by max_attempts/,
	'at first the attempts at a host that keeps failing are counted');
like($outcomes[18]{detail}, qr/1 attempt, .*ended by the host's retry quota/,
	"at last its retry quota is spent");
is($outcomes[20]{value}, 'loaded', 'waiting for a model needs none of it');
like($outcomes[-1]{detail}, qr/2 attempts, .*ended by the host's retry quota/,
	'each success pays a little back');
# 35 retries leave 10; 8 successes give 8, and one retry more is paid.
is($emulator->request_count($hopeless), 20 + int(500 / 14) + 1 + 1,
	'so many requests were sent: retries end, first attempts go on');

#
# Clocks.
#

# What one session sends in two calls while the service's clock is off.
sub skewed_calls
{
	my ($seconds, @settings) = @_;
	my $name = 'e-' . ++$n_endpoints;
	$emulator->control('script', { endpoint => $name, clock_skew => $seconds });
	my @results = outcomes($node, [ call($name), call($name) ],
		settings => \@settings);
	return (\@results, [ $emulator->requests($name) ]);
}

for my $skew (6 * 60, -6 * 60, 60 * 60, -60 * 60)
{
	my ($results, $sent) = skewed_calls($skew);

	is(join(' ', map { $_->{sqlstate} } @$results), '00000 00000',
		"a clock off by $skew s: calls succeed");
	is(join(' ', map { $_->{outcome} } @$sent), 'refused verified verified',
		'the first with one attempt more, later ones at once');
	for my $i (1, 2)
	{
		my $off = seconds(header($sent->[$i], 'X-Amz-Date')) - $sent->[$i]{time};
		ok(abs($off - $skew) < 5, 'signed by the clock of the service');
	}
	is(header($sent->[0], 'amz-sdk-invocation-id'),
		header($sent->[1], 'amz-sdk-invocation-id'), 'as the same call');
}

for my $skew (0, 3 * 60, -3 * 60)
{
	my ($results, $sent) = skewed_calls($skew);

	is(join(' ', map { $_->{outcome} } @$sent), 'verified verified',
		"a clock off by $skew s needs no correction");
	ok(abs(seconds(header($_, 'X-Amz-Date')) - $_->{time}) < 5, 'and gets none')
	  for @$sent;
}

my ($results, $sent) = skewed_calls(60 * 60, 'max_attempts = 1');
is(join(' ', map { $_->{sqlstate} } @$results), '28000 00000',
	'where one attempt is wanted, the next call is right');
is(scalar @$sent, 2, 'and no attempt is added');

sub http_date
{
	my @t = gmtime $_[0];
	return sprintf '%s, %02d %s %04d %02d:%02d:%02d GMT',
	  qw(Sun Mon Tue Wed Thu Fri Sat) [ $t[6] ], $t[3],
	  qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec) [ $t[4] ],
	  $t[5] + 1900, @t[ 2, 1, 0 ];
}

# A refused signature whose Date is off by so many seconds.
sub refusal
{
	my ($off, %headers) = @_;
	return { status => 403, code => 'InvalidSignatureException',
		headers => { Date => http_date(time + $off), %headers } };
}

for my $row (
	[ 'a Date that is right', refusal(0) ],
	[ 'a Date under the threshold', refusal(3 * 60 + 50) ],
	[ 'an old Date from a cache, with Age', refusal(-3600, Age => 3600) ],
	[ 'a Date that is none', refusal(0, Date => 'yesterday') ])
{
	my ($what, $step) = @$row;
	my $name = endpoint($step);
	is_failure(outcome($node, call($name)), '28000', qr/access denied/, qr/./,
		"$what with a refusal is an error");
	is($emulator->request_count($name), 1, 'after one attempt');
}

# The first request to each is refused for its time, and takes no step's answer.
my $restless = 'e-' . ++$n_endpoints;
$emulator->control('script', { endpoint => $restless, clock_skew => 3600,
		then => refusal(7200) });
is_failure(outcome($node, call($restless)), '28000', qr/access denied/, qr/./,
	'a clock that differs again is an error');
is($emulator->request_count($restless), 2, 'after one attempt more');

my $skewed_and_failing = 'e-' . ++$n_endpoints;
$emulator->control('script', { endpoint => $skewed_and_failing,
		clock_skew => 3600, then => $failure });
is_failure(outcome($node, call($skewed_and_failing)), '58000', qr/./, qr/3 attempts/,
	'the attempt that the clock cost counts among max_attempts');
like(header(($emulator->requests($skewed_and_failing))[-1], 'amz-sdk-request'),
	qr/attempt=3; max=3$/, 'so that none is announced beyond them');

my $model_error = endpoint({ use => 'model-error',
		headers => { Date => http_date(time + 3600) } });
outcome($node, call($model_error));
is($emulator->request_count($model_error), 1,
	'a Date that differs matters only where the signature was refused');

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/,
	'no backend crashed');

done_testing();
