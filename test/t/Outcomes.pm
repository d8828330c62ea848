# Many calls in one session, each with what became of it: a PL/pgSQL function
# catches the error and hands out its parts.  So that one session lives through
# all of them is shown by the way.
package Outcomes;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(install_outcomes outcomes outcome call is_value
  is_failure);

# How many expressions were evaluated.
our $evaluated = 0;

# peak_kb is the most memory that the backend has had so far, as Linux counts.
my $function = <<'SQL';
CREATE FUNCTION outcome_of(call text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz := clock_timestamp();
	value text;
	state text := '00000';
	said text;
	details text;
	advice text;
BEGIN
	BEGIN
		EXECUTE format('SELECT (%s)::text', call) INTO value;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE,
			said = MESSAGE_TEXT,
			details = PG_EXCEPTION_DETAIL,
			advice = PG_EXCEPTION_HINT;
	END;
	RETURN json_build_object('sqlstate', state, 'value', value,
		'message', said, 'detail', details, 'hint', advice,
		'ms', extract(epoch FROM clock_timestamp() - begun) * 1000,
		'peak_kb', substring(pg_read_file('/proc/self/status', 0, 100000, true)
			FROM 'VmHWM:\s*(\d+)')::int);
END $$;
SQL

sub install_outcomes
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', $function);
}

# The expression that calls an endpoint and gives its body as text.
sub call
{
	my ($endpoint, $arguments) = @_;
	return "sagemaker_body_text(sagemaker_invoke('$endpoint', "
	  . ($arguments // "''::bytea") . '))';
}

# One hash for each expression, evaluated in turn in one session.  Options:
# database, settings (a list of "name = value"), loaded (true: settings are
# checked from the first one on, not when the first call loads the library).
sub outcomes
{
	my ($node, $expressions, %options) = @_;
	my $sql = join '', "SET client_encoding = 'UTF8';\n",
	  $options{loaded} ? "LOAD 'sagemaker_rt';\n" : '',
	  (map { "SET sagemaker_rt.$_;\n" } @{ $options{settings} // [] }),
	  (map { "SELECT outcome_of(\$call\$$_\$call\$);\n" } @$expressions);
	$evaluated += @$expressions;
	my @lines = split /\n/,
	  $node->safe_psql($options{database} // 'postgres', $sql);

	die 'not as many outcomes as calls' unless @lines == @$expressions;
	return map { decode_json($_) } @lines;
}

sub outcome
{
	my ($node, $expression, @options) = @_;
	my ($outcome) = outcomes($node, [$expression], @options);
	return $outcome;
}

# One test: it succeeded with that value.
sub is_value
{
	my ($outcome, $value, $name) = @_;
	my $fits = $outcome->{sqlstate} eq '00000' && ($outcome->{value} // '') eq $value;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($fits, $name) || diag(explain($outcome));
}

# One test: it failed with that SQLSTATE, and each pattern of message and detail
# fits.
sub is_failure
{
	my ($outcome, $sqlstate, $message, $detail, $name) = @_;
	my $all_fit = $outcome->{sqlstate} eq $sqlstate;

	$all_fit &&= ($outcome->{message} // '') =~ $_
	  for ref $message eq 'ARRAY' ? @$message : $message;
	$all_fit &&= ($outcome->{detail} // '') =~ $_
	  for ref $detail eq 'ARRAY' ? @$detail : $detail;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($all_fit, $name) || diag(explain($outcome));
}

1;
