# A cluster whose backends can be made to fail at the n-th allocation or system
# call (injector.c), statements that are run so, and what became of them.
package Injector;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP qw(decode_json);
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

our @EXPORT = qw(start_injected inject tell);

# Between arming and disarming is the statement alone, its subtransaction, and
# what PL/pgSQL does for it.  A statement that is not disturbed any more shows
# that there is no n-th.
my $functions = <<'SQL';
CREATE FUNCTION injector_arm(kind text, nth int, fault text) RETURNS void
	LANGUAGE C AS :'injector', 'injector_arm';
CREATE FUNCTION injector_disarm() RETURNS boolean
	LANGUAGE C AS :'injector', 'injector_disarm';
CREATE FUNCTION injector_heap() RETURNS bigint
	LANGUAGE C AS :'injector', 'injector_heap';

CREATE FUNCTION inject(kind text, fault text, statement text, first int, last int)
RETURNS SETOF json LANGUAGE plpgsql AS $$
DECLARE
	value text;
	state text;
	said text;
	fired boolean;
	next text;
	begun timestamptz;
BEGIN
	FOR nth IN first .. last LOOP
		state := '00000';
		value := NULL;
		said := NULL;
		begun := clock_timestamp();
		BEGIN
			PERFORM injector_arm(kind, nth, fault);
			EXECUTE statement INTO value;
			fired := injector_disarm();
		EXCEPTION WHEN OTHERS THEN
			fired := injector_disarm();
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT;
		END;
		BEGIN
			EXECUTE statement INTO next;
		EXCEPTION WHEN OTHERS THEN
			next := sqlstate || ': ' || sqlerrm;
		END;
		RETURN NEXT json_build_object('nth', nth, 'fired', fired, 'sqlstate', state,
			'message', said, 'value', value, 'next', next,
			'ms', extract(epoch FROM clock_timestamp() - begun) * 1000,
			'descriptors', (SELECT count(*) FROM pg_ls_dir('/proc/self/fd')));
		EXIT WHEN NOT fired;
	END LOOP;
END $$;
SQL

# Longer than a call's total_timeout, and no statement waits so long.
my $hang_ms = 8000;

# Connections that a session keeps for requests at the same time.
my $most_kept = 4;

# At so many at a time, a session's memory is looked at.
my $at_once = 50;

sub start_injected
{
	my ($name, $emulator, @configuration) = @_;
	my $node = start_node($name, $emulator,
		"session_preload_libraries = 'sagemaker_rt'", 'log_min_messages = log',
		'sagemaker_rt.breaker_failures = 0', 'sagemaker_rt.max_attempts = 1',
		"sagemaker_rt.total_timeout = '5s'", @configuration);

	$node->safe_psql('postgres', "\\set injector '$ENV{INJECTOR}'\n$functions");
	return $node;
}

# What all runs together came to.
my %total;

# Makes each call of a kind fail in turn, from the first to the limit-th: in one
# session, or each in a new one.  Options: kind, fault, statement, permitted (a
# pattern of SQLSTATEs), limit, cold, may_be_unused (it need not occur), may_stay
# (what the next statement may come to, too).  One test.
sub inject
{
	my ($node, $name, %options) = @_;
	my ($kind, $fault, $statement) = @options{qw(kind fault statement)};
	my ($nth, $limit) = (1, $options{limit} // 1_000_000);
	my $step = $options{cold} ? 1 : $at_once;
	my ($session, $expected, $descriptors, @faults);
	my ($fired, %states) = (0);

	while ($nth <= $limit)
	{
		$session->quit if $session && $options{cold};
		$session = Session->new($node) if !$session || $options{cold};
		$expected //= $session->must($statement) unless $options{cold} && $nth > 1;
		if ($options{cold} && $nth == 1)
		{
			$session->quit;
			$session = Session->new($node);
		}
		my $last = $nth + $step - 1;
		my $result = $session->run(
			"SELECT inject('$kind', '$fault', \$inject\$$statement\$inject\$, $nth, $last)");
		if ($result->{errors} =~ /server closed|connection to server|FATAL/)
		{
			push @faults, "$nth: the backend died: $result->{errors}";
			$total{crashes}++;
			undef $session;
			$nth++;
			next;
		}
		push @faults, "$nth: $result->{errors}" if $result->{errors} =~ /ERROR/;
		my @outcomes = map { decode_json($_) } split /\n/, $result->{output};
		for my $outcome (@outcomes)
		{
			my $at = "$outcome->{nth}: $outcome->{sqlstate} " . ($outcome->{message} // '');

			$states{ $outcome->{sqlstate} }++ if $outcome->{fired};
			$fired++ if $outcome->{fired};
			push @faults, $at
			  if $outcome->{sqlstate} !~ /^(?:00000|$options{permitted})$/;
			push @faults, "$at: gave $outcome->{value}, not $expected"
			  if $outcome->{sqlstate} eq '00000' && ($outcome->{value} // '') ne $expected;
			push @faults, "$at: the next one: " . ($outcome->{next} // 'nothing')
			  if ($outcome->{next} // '') ne $expected
		  && !($options{may_stay} && ($outcome->{next} // '') =~ /^$options{may_stay}: /);
			push @faults, "$at: took $outcome->{ms} ms" if $outcome->{ms} > $hang_ms;
			# Later ones may open more that are kept.
			$descriptors //= $outcome->{descriptors} + $most_kept;
			push @faults, "$at: $outcome->{descriptors} descriptors, not $descriptors"
			  if $outcome->{descriptors} > $descriptors;
		}
		last unless @outcomes && $outcomes[-1]{fired};
		$nth += @outcomes;
	}
	$session->quit if $session;

	$total{fired} += $fired;
	$total{paths}++;
	$total{states}{$_} += $states{$_} for keys %states;
	$total{faults} += @faults;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(($fired > 0 || $options{may_be_unused}) && !@faults, "$name: $fired, "
		  . join(', ', map { "$_ $states{$_}" } sort keys %states))
	  || diag(join "\n", @faults[ 0 .. ($#faults < 20 ? $#faults : 20) ]);
	return;
}

# The figures, and the test that no backend crashed.
sub tell
{
	my ($node, $what) = @_;
	my $log = slurp_file($node->logfile);
	my $signals = () = $log =~ /terminated by signal|PANIC/g;
	my $crashes = max($signals, $total{crashes} // 0);

	is($crashes, 0, 'no backend crashed');
	diag("$what: $total{fired} made to fail on $total{paths} paths ("
		  . join(', ', map { "$_ $total{states}{$_}" } sort keys %{ $total{states} })
		  . "), crashes $crashes, otherwise wrong " . ($total{faults} // 0));
	return;
}

1;
