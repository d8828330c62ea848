# What the TAP tests share: the local endpoint as an object, a cluster that
# points at it, and questions about how a statement failed.
package SageMakerTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Temp;
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(start_emulator start_node major_version failure fails_with figure);

my $emulator_program = dirname(__FILE__) . '/../emulator/emulator.py';
my $python = $ENV{PYTHON} || '/usr/bin/python3';
my $seconds_to_start = 30;

# A running emulator.  It ends with this process.
sub start_emulator
{
	my @options = @_;
	my $ready = File::Temp->new;
	my $log = "$PostgreSQL::Test::Utils::log_path/emulator.log";

	pipe(my $read_end, my $write_end) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		close $write_end;
		open(STDIN, '<&', $read_end) or die;
		open(STDOUT, '>>', $log) or die;
		open(STDERR, '>>', $log) or die;
		exec($python, $emulator_program, '--exit-with-parent',
			'--ready-file', $ready->filename, @options)
		  or die "exec: $!";
	}
	close $read_end;

	my $self = bless { pid => $pid, stdin => $write_end, ready => $ready },
	  __PACKAGE__;
	my $deadline = time + $seconds_to_start;
	until (-s $ready->filename)
	{
		die "the emulator did not start: see $log" if time > $deadline;
		select(undef, undef, undef, 0.02);
	}
	$self->{facts} = decode_json(slurp_file($ready->filename));
	return $self;
}

# url, port, region, ca_file, access_key_id, ...: as in the ready file.
sub fact
{
	my ($self, $name) = @_;
	return $self->{facts}{$name};
}

# GET a control path, or POST a Perl structure to it as JSON.
sub control
{
	my ($self, $path, $body) = @_;
	my $url = "$self->{facts}{control_url}/$path";
	my $answer =
	  defined $body
	  ? HTTP::Tiny->new->post($url, { content => encode_json($body) })
	  : HTTP::Tiny->new(verify_SSL => 0)->get($url);
	die "control $path: $answer->{status} $answer->{content}"
	  unless $answer->{success};
	return length $answer->{content} ? decode_json($answer->{content}) : undef;
}

# The next requests to an endpoint are answered by these steps.
sub script
{
	my ($self, $endpoint, $steps, $then) = @_;
	$self->control('script',
		{ endpoint => $endpoint, steps => $steps,
			defined $then ? (then => $then) : () });
}

# Forgets what was counted, recorded and scripted.
sub reset
{
	my ($self) = @_;
	$self->control('reset', {});
}

# How many requests an endpoint got since the reset.
sub request_count
{
	my ($self, $endpoint) = @_;
	my $stats = $self->control('stats');
	return $stats->{endpoints}{$endpoint}{requests} // 0;
}

# What it got: a list of hashes.
sub requests
{
	my ($self, $endpoint) = @_;
	return @{ $self->control("requests?endpoint=$endpoint") };
}

sub stop
{
	my ($self) = @_;
	return unless $self->{stdin};
	close delete $self->{stdin};
	waitpid $self->{pid}, 0;
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	$self->stop;
}

# PostgreSQL's, of a node that runs.
sub major_version
{
	my ($node) = @_;
	return int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);
}

# A cluster with the extension, its settings naming the emulator and its key.
sub start_node
{
	my ($name, $emulator, @configuration) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', join "\n",
		"sagemaker_rt.region = '" . $emulator->fact('region') . "'",
		"sagemaker_rt.endpoint_url = '" . $emulator->fact('url') . "'",
		"sagemaker_rt.access_key_id = '" . $emulator->fact('access_key_id') . "'",
		"sagemaker_rt.secret_access_key = '"
		  . $emulator->fact('secret_access_key') . "'",
		defined $emulator->fact('ca_file')
		? "sagemaker_rt.ca_file = '" . $emulator->fact('ca_file') . "'"
		: (),
		@configuration, '');
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION sagemaker_rt');
	return $node;
}

# What a statement's error said: { sqlstate, message, detail, hint }, or undef
# when it succeeded.
sub failure
{
	my ($node, $sql, %params) = @_;
	my ($status, $stdout, $stderr) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$sql",
		on_error_stop => 1, %params);

	return undef if $status == 0;
	my %failure = (stderr => $stderr);
	($failure{sqlstate}, $failure{message}) =
	  $stderr =~ /^(?:psql:.*?: )?(?:ERROR|FATAL):  (\w{5}): (.*)$/m;
	($failure{detail}) = $stderr =~ /^DETAIL:  (.*)$/m;
	($failure{hint}) = $stderr =~ /^HINT:  (.*)$/m;
	return \%failure;
}

# One test: the statement fails with that SQLSTATE and a fitting message.
sub fails_with
{
	my ($node, $sql, $sqlstate, $message, $name, %params) = @_;
	my $failure = failure($node, $sql, %params);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return fail("$name: it succeeded") unless $failure;
	return ok( ($failure->{sqlstate} // '') eq $sqlstate
			  && $failure->{message} =~ $message,
			$name)
	  || diag($failure->{stderr});
}

# What was measured, for test/score, which knows it by that name.
sub figure
{
	my ($name, $value) = @_;
	note("figure $name: $value");
}

1;
