# The cost guard: what a statement may send, with all of its functions and parallel
# workers, and what a role may within an hour.  And the dry run: how much would be
# sent, while nothing is.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(sum0);
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "shared_preload_libraries = 'sagemaker_rt'");

$node->safe_psql('postgres', q{
	CREATE ROLE payer LOGIN;
	CREATE ROLE friend;
	GRANT friend TO payer;
	GRANT USAGE ON LANGUAGE sagemaker TO payer;
	GRANT EXECUTE ON FUNCTION sagemaker_invoke(text, text, text, text, text, text, text, text, text,
		text, text, text, text, text, jsonb) TO payer, friend;
	CREATE FUNCTION echoed(x int) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10}';
	CREATE FUNCTION echoed_or_not(x int) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10, "on_error": "null"}';
	CREATE FUNCTION echoed_inside(n int) RETURNS bigint LANGUAGE plpgsql
		AS $$ BEGIN RETURN (SELECT count(echoed(i)) FROM generate_series(1, n) AS i); END $$;
	CREATE FUNCTION rich() RETURNS bigint LANGUAGE sql SECURITY DEFINER
		AS $$ SELECT count(sagemaker_invoke('echo', 'x')) $$;
	CREATE TABLE t AS SELECT i FROM generate_series(1, 2000) AS i;
	CREATE TABLE scores (i int, score text);
	ALTER TABLE t SET (parallel_workers = 4);
	ANALYZE t});

# Rows and bytes that the endpoint got since the last reset.
sub rows_sent
{
	return sum0(map { $_->{body_bytes} } $emulator->requests('echo')) if $_[0] && $_[0] eq 'bytes';
	return $emulator->request_count('echo');
}

#
# A statement.
#

for my $row ([ 'requests', 7, 7, qr/statement_max_requests is 7, this statement has sent 7, and this request is 1 more/ ],
	[ 'rows', 35, 3, qr/statement_max_rows is 35, this statement has sent 30, and this request is 10 more/ ])
{
	my ($what, $limit, $sent, $message) = @$row;
	for my $on_error ('error', 'null', 'warning')
	{
		$emulator->reset;
		fails_with($node, "SET sagemaker_rt.on_error = '$on_error';
			SET sagemaker_rt.statement_max_$what = $limit; SELECT count(echoed(i)) FROM generate_series(1, 200) AS i",
			'54000', $message, "$what: the limit ends the statement, on_error = $on_error");
		is(rows_sent(), $sent, "$what: what it permits was sent");
	}
}
$emulator->reset;
fails_with($node, q{SET sagemaker_rt.statement_max_bytes = '1kB';
	SELECT count(sagemaker_invoke('echo', repeat('x', 100))) FROM generate_series(1, 20)},
	'54000', qr/statement_max_bytes is 1024, this statement has sent 1000/, 'bytes: the limit ends the statement');
is(rows_sent('bytes'), 1000, 'bytes: what it permits was sent');

# All that the statement does is its own.
$emulator->reset;
fails_with($node, q{SET sagemaker_rt.statement_max_rows = 100;
	SELECT echoed_inside(40), echoed_inside(40), echoed_inside(40)},
	'54000', qr/is 100, this statement has sent 100/, 'functions within count');
is(rows_sent(), 10, 'so many requests were sent');
$emulator->reset;
fails_with($node, q{SET sagemaker_rt.statement_max_rows = 500;
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 4; SELECT count(echoed(i)) FROM t},
	'54000', qr/is 500, this statement has sent \d+/, 'so do four parallel workers');
my @bodies = $emulator->requests('echo');
cmp_ok(scalar @bodies, '<=', 50, 'no row too many was sent');
cmp_ok(scalar @bodies, '>=', 40, 'and what was in flight is all that was not sent');
is($node->safe_psql('postgres', q{SET sagemaker_rt.statement_max_rows = 30;
	SELECT count(echoed(i)) FROM generate_series(1, 30) AS i;
	SELECT count(echoed(i)) FROM generate_series(1, 30) AS i}), "30\n30", 'another statement is another purse')
  or diag('one that is sent with it is not');
$emulator->script('echo', [ ({ use => 'internal-failure' }) x 2 ], {});
fails_with($node, q{SET sagemaker_rt.statement_max_requests = 2; SELECT sagemaker_invoke('echo', 'x')},
	'54000', qr/has sent 2/, 'retries are requests');

#
# A role.
#

my @as_payer = (extra_params => [ '-U', 'payer' ]);
$node->safe_psql('postgres', 'ALTER ROLE payer SET sagemaker_rt.role_max_requests = 10');
my $one = "SELECT count(sagemaker_invoke('echo', 'x'))";
is($node->safe_psql('postgres', "$one FROM generate_series(1, 4)", @as_payer), 4, 'a role pays');
is($node->safe_psql('postgres', "$one FROM generate_series(1, 4)", @as_payer), 4, 'in each of its sessions');
is($node->safe_psql('postgres', "SET ROLE friend; $one", @as_payer), 1, 'as another role');
is($node->safe_psql('postgres', 'SELECT rich()', @as_payer), 1, 'and in functions of others');
fails_with($node, "$one", '54000', qr/role_max_requests is 10, the role has, in this hour, sent 10/,
	'until its purse is empty', @as_payer);
is($node->safe_psql('postgres', $one), 1, 'others are not concerned');
for my $sql ('SET sagemaker_rt.role_max_requests = 0', 'RESET sagemaker_rt.role_max_requests; SET sagemaker_rt.statement_max_rows = 0')
{
	fails_with($node, $sql, '42501', qr/permission denied to set/, "a plain role may not: $sql", @as_payer);
}

#
# The dry run.
#

$emulator->reset;
my $dry = sub {
	my ($sql, %more) = @_;
	return $node->safe_psql('postgres',
		"SELECT server, endpoint, model, requests, rows, bytes FROM sagemaker_dry_run(\$dry\$$sql\$dry\$) ORDER BY model", %more);
};
$node->safe_psql('postgres', 'SELECT echoed(i) FROM generate_series(1, 95) AS i');
my @sent = $emulator->requests('echo');
my $bytes = sum0(map { $_->{body_bytes} } @sent);
$emulator->reset;
is($dry->('SELECT echoed(i) FROM generate_series(1, 95) AS i'),
	'|echo|public.echoed|' . @sent . "|95|$bytes", 'a dry run tells what the statement sends');
is($dry->(q{INSERT INTO scores SELECT i, echoed(i) FROM t}), '|echo|public.echoed|200|2000|' .
	  $node->safe_psql('postgres', 'SELECT sum(length(i::text)) + 1800 + 200 FROM t'),
	'of a statement that writes')
  or diag('each line ends in a newline');
is($node->safe_psql('postgres', 'SELECT count(*) FROM scores'), 0, 'which writes nothing');
is($dry->(q{SELECT sagemaker_invoke('echo', 'abc'), echoed_inside(20)}), "|echo|public.echoed|2|20|"
	  . $node->safe_psql('postgres', 'SELECT sum(length(i::text) + 1) FROM generate_series(1, 20) AS i')
	  . "\n|echo||1|1|3", 'of functions within, and of calls without a model');
is(rows_sent(), 0, 'nothing was sent');
fails_with($node, q{SELECT * FROM sagemaker_dry_run('SELECT 1/0')}, '22012', qr/division by zero/, 'its errors are errors');
is($node->safe_psql('postgres', $one), 1, 'after it, calls are made again');
is(rows_sent(), 1, 'and arrive');

#
# Who gives another value before the library is loaded gets nothing by it.
#

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->append_conf('postgresql.conf', 'sagemaker_rt.statement_max_requests = 1');
$node->restart;
$node->safe_psql('postgres', 'ALTER ROLE payer RESET ALL');
fails_with($node, "$one FROM generate_series(1, 2)", '54000', qr/statement_max_requests is 1/,
	'the configured limit holds', @as_payer);
{
	local $ENV{PGOPTIONS} = '-c sagemaker_rt.statement_max_requests=0';
	fails_with($node, "$one FROM generate_series(1, 2)", '55000', qr/statement_max_requests" is not known/,
		'in place of one that cannot be known, nothing is sent', @as_payer);
}

done_testing();
