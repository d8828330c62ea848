# The real pg_cron runs table jobs, over a connection and in a background worker.
#
# Its shortest period is a minute, so this waits for the next one.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session qw(wait_until);
use Test::More;

chomp(my $libraries = `$ENV{PG_CONFIG} --pkglibdir`);
plan skip_all => "pg_cron is not installed in $libraries" unless -e "$libraries/pg_cron.so";

my $emulator = start_emulator('--no-models');
my %node;

for my $workers ('off', 'on')
{
	my $node = start_node("workers_$workers", $emulator, "shared_preload_libraries = 'pg_cron, sagemaker_rt'",
		"cron.database_name = 'postgres'", "cron.use_background_workers = $workers", 'max_worker_processes = 16');
	$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
	$node->restart;
	$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_cron;
CREATE FUNCTION same(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION denied(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'access-denied';
CREATE TABLE t (id int PRIMARY KEY, x int, score int, other int);
INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i;
CREATE ROLE scorer LOGIN;
GRANT USAGE ON SCHEMA cron TO scorer;
GRANT SELECT, UPDATE (score, other) ON t TO scorer;
GRANT EXECUTE ON PROCEDURE sagemaker_predict_table TO scorer;
SET ROLE scorer;
SELECT cron.schedule('score', '* * * * *',
	$$CALL sagemaker_predict_table('public.t', 'public.same', 'score', max_time => '50 s')$$);
SELECT cron.schedule('broken', '* * * * *',
	$$CALL sagemaker_predict_table('public.t', 'public.denied', 'other', max_time => '50 s')$$);
SQL
	$node{$workers} = $node;
}

# The first ended run of a job, as { status, message, user }.
sub run_of
{
	my ($node, $job) = @_;
	my @run = split /\t/, $node->safe_psql('postgres', "SELECT concat_ws(E'\\t', d.status, d.username, d.return_message) FROM cron.job_run_details d JOIN cron.job j USING (jobid)
		WHERE j.jobname = '$job' AND d.status IN ('succeeded', 'failed') ORDER BY runid LIMIT 1");
	return @run ? { status => $run[0], user => $run[1], message => $run[2] } : undef;
}

for my $workers ('off', 'on')
{
	my $node = $node{$workers};
	my ($score, $broken);

	ok(wait_until(sub { $score = run_of($node, 'score') and $broken = run_of($node, 'broken') }), "background workers $workers: both jobs ran");
	is($score->{status}, 'succeeded', "background workers $workers: a scheduled job ends well") or diag($score->{message});
	is($score->{user}, 'scorer', "background workers $workers: as the role that scheduled it");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE score = x'), 1000, "background workers $workers: and scores each row");
	is($broken->{status}, 'failed', "background workers $workers: a job whose endpoint fails has failed");
	like($broken->{message}, qr/endpoint "access-denied": access denied/, "background workers $workers: and says why");
	unlike($broken->{message} // '', qr/emulator-secret/, "background workers $workers: without a secret");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM sagemaker_failed_rows'), 0, "background workers $workers: no row is marked");
}

done_testing();
