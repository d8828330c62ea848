# Each fault of the local endpoint meets each way on which requests go out: one
# clean error in time, or what is right all the same; then the session goes on.
# With attempts left, a fault that is over by the next one fails nothing that may
# be tried again.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t";
use JSON::PP qw(decode_json);
use Operations;
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes qw(time);

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"sagemaker_rt.s3_endpoint_url = '" . $emulator->fact('url') . "/s3'",
	"session_preload_libraries = 'sagemaker_rt'", 'log_min_messages = log',
	'sagemaker_rt.breaker_failures = 0', "sagemaker_rt.timeout = '500ms'",
	"sagemaker_rt.total_timeout = '3s'");
install_operations($node, $emulator);

# Longer than any deadline above.
my $too_long_s = 5;

my @endpoints = qw(echo parrot chat-parrot);

# Name of the fault, and what a statement may come to.  Some libcurls forgive some
# of what is no proper HTTP, and a body of the fault's own is an answer to some
# statements and none to others.
my $transport = '58030';
my $reply = '58030|38S01';
my @faults = (
	(map { [ $_, '38000' ] } qw(model-error model-crash model-timeout)),
	[ 'throttling', '53000' ], [ 'model-not-ready', '53000' ],
	(map { [ $_, '58000' ] } qw(internal-failure service-unavailable
		  internal-dependency error-xml error-html error-empty error-not-utf8
		  error-long error-nested status-500 status-503 status-599)),
	[ 'expired-token', '28000' ], [ 'access-denied', '28000' ],
	[ 'too-large', '54000' ], [ 'status-404', '22023' ],
	(map { [ $_, $transport ] } qw(hang no-read drop reset cut cut-reset pause
		  trickle length-too-long chunk-last)),
	[ 'drop-reused', "$transport|00000" ], [ 'length-too-short', '38S01|22...|00000' ],
	(map { [ $_, $reply ] } qw(chunk-size chunk-huge chunk-end bad-status-line
		  bad-version not-http header-nul header-no-colon redirect-307)),
	(map { [ $_, '54000|58030|38S01' ] } qw(flood-headers flood-header flood-interim
		  flood-body flood-chunks)),
	[ 'gzip-bomb', '38S01|22...|54000|00000' ],
	(map { [ $_, '38S03|38S01|38S02|38000|58000|58030|00000' ] } qw(stream-exception
		  stream-timeout stream-failure stream-error stream-cut stream-damaged
		  stream-damaged-length stream-lost stream-reset stream-silent
		  stream-unfinished stream-model-error stream-error-message
		  stream-no-stream)));

my ($cases, $failed, %states) = (0, 0);
# Not what asks S3, nor a check, which asks for no endpoint.
my @operations = grep { $_->[0] !~ /^(?:its result|a check)$/ } operations();
my $session = Session->new($node, '\set VERBOSITY verbose');
my $pid = $session->pid;
my %expected = map { $_->[0] => $session->must($_->[1]) } @operations;

sub set_fault
{
	my ($fault, $times) = @_;
	for (@endpoints)
	{
		$fault
		  ? $emulator->script($_, [ ({ use => $fault }) x ($times // 0) ],
			$times ? {} : { use => $fault })
		  : $emulator->script($_, []);
	}
	return;
}

# Runs each operation under the fault; returns what went wrong.
sub run_all
{
	my ($fault, $permitted, $times) = @_;
	my @wrong;

	for (@operations)
	{
		my ($name, $statement) = @$_;
		my $is_stream = $name =~ /stream/;
		# An answer that is no stream is over before its end is missed.
		my $states = $is_stream ? "$permitted|38S03" : $permitted;

		next if $fault =~ /^stream-/ && !$is_stream;
		# A stream may take its time, as long as something comes.
		next if $fault eq 'trickle' && $is_stream;

		set_fault($fault, $times);
		my $begun = time;
		my $result = $session->run($statement);
		my $seconds = time - $begun;
		set_fault();
		my $state = $result->{sqlstate} // '00000';
		my $next = $session->run($statement);

		$cases++;
		$states{$state}++;
		push @wrong, "$name: $state " . substr($result->{message} // $result->{output}, 0, 150)
		  unless $state =~ /^(?:$states)$/;
		push @wrong, "$name: took $seconds s" if $seconds > $too_long_s;
		push @wrong, "$name: the next one: $next->{output}$next->{errors}"
		  unless $next->{output} eq $expected{$name};
	}
	$failed += @wrong;
	return @wrong;
}

sub no_fault
{
	my ($name, @wrong) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(!@wrong, $name) || diag(join "\n", @wrong);
}

$session->must('SET sagemaker_rt.max_attempts = 1');
for (@faults)
{
	my ($fault, $permitted) = @$_;
	no_fault("$fault, for ever", run_all($fault, $permitted));
}

# Those that the service may be over soon.
$session->must('SET sagemaker_rt.max_attempts = 3');
for my $fault (qw(internal-failure service-unavailable error-xml error-html drop
	reset cut cut-reset chunk-last))
{
	no_fault("$fault, once", run_all($fault, '00000|58030', 1));
}

is($session->must('SELECT pg_backend_pid()'), $pid, 'one session has lived through all');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no backend crashed');
diag("network faults: $cases cases ("
	  . join(', ', map { "$_ $states{$_}" } sort keys %states)
	  . "), otherwise wrong $failed");
done_testing();
