# Where a failed row is NULL, or a warning: how many may fail before the statement
# does, and that it tells of them in a few words.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

# What an echo gives back is no number for each third row.
$node->safe_psql('postgres', q{
	CREATE FUNCTION number_of(line text) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10}';
	CREATE FUNCTION few_numbers_of(line text) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10, "on_error": "null", "max_failed_rows": 3}';
	CREATE FUNCTION half_numbers_of(line text) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10, "on_error": "null", "max_failed_ratio": 0.25}';
	CREATE FUNCTION of_the_dead(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "model-error", "max_rows": 1, "concurrency": 8, "on_error": "null"}';
	CREATE FUNCTION with_its_error(line text, OUT n int, OUT state text) LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "max_rows": 10, "max_failed_rows": 3, "columns": {"state": "$error.sqlstate"}}';
	CREATE TABLE lines AS SELECT CASE WHEN i % 3 = 0 THEN 'word ' || i ELSE i::text END AS line
		FROM generate_series(1, 150) AS i;
	ANALYZE lines});

#
# The budget.
#

for my $batch ('on', 'off')
{
	my $set = "SET sagemaker_rt.batch = $batch; SET sagemaker_rt.on_error = 'null';";
	is($node->safe_psql('postgres', "$set SELECT count(*), count(number_of(line)) FROM lines"), '150|100',
		"batch = $batch: without a budget, failed rows are NULL");
	is($node->safe_psql('postgres', "$set SET sagemaker_rt.max_failed_rows = 50; SELECT count(number_of(line)) FROM lines"),
		100, "batch = $batch: as many as may fail");
	fails_with($node, "$set SET sagemaker_rt.max_failed_rows = 49; SELECT count(number_of(line)) FROM lines", '54000',
		qr/model public.number_of: too many rows have failed, the last one so: .*not of type integer/, "batch = $batch: one more ends the statement");
	like(failure($node, "$set SET sagemaker_rt.max_failed_rows = 9; SELECT count(number_of(line)) FROM lines")->{detail},
		qr/^10 of 30 rows have failed \(38S01: 10\), max_failed_rows is 9\.$/, "batch = $batch: the detail has the figures");
	is($node->safe_psql('postgres', "$set SET sagemaker_rt.max_failed_ratio = 0.4; SELECT count(number_of(line)) FROM lines"),
		100, "batch = $batch: a ratio that is not reached");
	like(failure($node, "$set SET sagemaker_rt.max_failed_ratio = 0.3; SELECT count(number_of(line)) FROM lines")->{detail},
		qr/^34 of 102 rows have failed .* max_failed_ratio is 0\.3\.$/, "batch = $batch: one that is, after a hundred rows");
	fails_with($node, "$set SELECT count(few_numbers_of(line)) FROM lines", '54000', qr/too many/,
		"batch = $batch: a model's own budget");
	fails_with($node, "$set SELECT count(half_numbers_of(line)) FROM lines", '54000', qr/too many/,
		"batch = $batch: a model's own ratio");
	fails_with($node, "$set SELECT count((with_its_error(line)).state) FROM lines", '54000', qr/too many/,
		"batch = $batch: failures that are data have a budget too");
	is($node->safe_psql('postgres', "$set SELECT count(few_numbers_of(line)) FROM (SELECT * FROM lines LIMIT 9) AS l;
		SELECT count(few_numbers_of(line)) FROM (SELECT * FROM lines LIMIT 9) AS l"),
		$batch eq 'on' ? "6\n6" : "6\n6", "batch = $batch: each statement has its own budget");
}

# A dead model.
fails_with($node, q{SET sagemaker_rt.max_failed_rows = 20; SELECT of_the_dead(i) FROM generate_series(1, 5000) AS i},
	'54000', qr/too many rows have failed, the last one so: .*could not convert/, 'a dead model ends the statement');
cmp_ok($emulator->request_count('model-error'), '<=', 21 + 16, 'after its budget and what was in flight');

#
# Warnings.
#

for my $batch ('on', 'off')
{
	my ($status, $out, $warnings) = $node->psql('postgres', "SET sagemaker_rt.batch = $batch;
		SET sagemaker_rt.on_error = 'warning'; SELECT count(number_of(line)) FROM lines");
	is($out, 100, "batch = $batch: with warnings");
	my @warnings = $warnings =~ /WARNING:  (.*)/g;
	is(scalar @warnings, 6, "batch = $batch: five, and one for the others");
	is($warnings[-1], 'model public.number_of: 50 of 150 rows have failed', "batch = $batch: how many they were");
	my ($detail) = $warnings =~ /rows have failed\nDETAIL:  (.*)/;
	like($detail, qr/^38S01: 50\. /, "batch = $batch: which they were");
	my @said = split /; /, $detail =~ s/^38S01: 50\. //r;
	is(scalar(grep { /not of type integer/ } @said), $batch eq 'on' ? 5 : 1,
		"batch = $batch: and what they said, five different messages at most");
}
my (undef, undef, $quiet) = $node->psql('postgres', q{SET sagemaker_rt.on_error = 'warning';
	SELECT number_of(line) FROM lines LIMIT 9});
is(scalar(() = $quiet =~ /WARNING/g), 3, 'a few are told by themselves only');
(undef, undef, $quiet) = $node->psql('postgres', q{SET sagemaker_rt.on_error = 'warning';
	DO $$ BEGIN FOR i IN 1..20 LOOP PERFORM number_of('no number'); END LOOP; RAISE EXCEPTION 'stop'; END $$;
	SELECT number_of('1')}, on_error_stop => 0);
is(scalar(() = $quiet =~ /WARNING/g), 5, 'a statement that fails leaves nothing to be told later');
(undef, undef, $quiet) = $node->psql('postgres', q{SET sagemaker_rt.on_error = 'warning';
	DO $$ DECLARE n int; BEGIN FOR i IN 1..20 LOOP n := number_of('no number'); END LOOP; END $$});
like($quiet, qr/WARNING:  model public.number_of: 20 of 20 rows have failed/, 'calls without a scan are told of at the end');

#
# EXPLAIN ANALYZE.
#

my $plan = $node->safe_psql('postgres', q{SET sagemaker_rt.on_error = 'null';
	EXPLAIN (ANALYZE, TIMING off, COSTS off) SELECT number_of(line) FROM lines});
like($plan, qr/Rows Failed: 50$/m, 'EXPLAIN ANALYZE has the number');
like($plan, qr/Failures by SQLSTATE: 38S01: 50$/m, 'which they were');
is(scalar(() = $plan =~ /not of type integer/g), 5, 'and what five of them said');

#
# Over parallel workers, where memory is shared.
#

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'sagemaker_rt'");
$node->restart;
$node->safe_psql('postgres', q{
	CREATE TABLE many AS SELECT line FROM lines, generate_series(1, 20);
	ALTER TABLE many SET (parallel_workers = 4);
	CREATE TABLE numbers AS SELECT i FROM generate_series(1, 20000) AS i;
	ALTER TABLE numbers SET (parallel_workers = 4);
	ANALYZE});
for my $leads ('on', 'off')
{
	my $set = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SET max_parallel_workers_per_gather = 4; SET parallel_leader_participation = $leads; SET sagemaker_rt.reuse_size = 0;";
	my $null = "$set SET sagemaker_rt.on_error = 'null';";
	my $name = "four workers, leader $leads";
	is($node->safe_psql('postgres', "$null SET sagemaker_rt.max_failed_rows = 1000; SELECT count(number_of(line)) FROM many"),
		2000, "$name: as many as may fail in all of them");
	like(failure($node, "$null SET sagemaker_rt.max_failed_rows = 999; SELECT count(number_of(line)) FROM many")->{detail},
		qr/^1000 of \d+ rows have failed/, "$name: one more ends the statement");
	is($node->safe_psql('postgres', "$null SET sagemaker_rt.max_failed_ratio = 0.4; SELECT count(number_of(line)) FROM many"),
		2000, "$name: a ratio that is not reached");
	fails_with($node, "$null SET sagemaker_rt.max_failed_ratio = 0.3; SELECT count(number_of(line)) FROM many",
		'54000', qr/too many/, "$name: one that is");
	$emulator->reset;
	# Each of five processes may find one row more, before it hears of an end.
	like(failure($node, "$set SET sagemaker_rt.max_failed_rows = 200; SELECT count(of_the_dead(i)) FROM numbers")->{detail},
		qr/^(20[1-5]) of \1 rows have failed \(38000: \1\)/, "$name: a dead model ends the statement");
	cmp_ok($emulator->request_count('model-error'), '<=', 205 + 5 * 16, "$name: after its budget and what was in flight");
	my (undef, $out, $warnings) = $node->psql('postgres',
		"$set SET sagemaker_rt.on_error = 'warning'; SELECT count(number_of(line)) FROM many");
	my @warnings = $warnings =~ /WARNING:  (.*)/g;
	is(scalar @warnings, 6, "$name: five warnings, and one for the others") or diag($warnings);
	is($warnings[-1], 'model public.number_of: 1000 of 3000 rows have failed', "$name: how many they were");
	like($warnings, qr/DETAIL:  38S01: 1000\. /, "$name: and which");
	my $plan = $node->safe_psql('postgres', "$null EXPLAIN (ANALYZE, TIMING off, COSTS off) SELECT count(number_of(line)) FROM many");
	like($plan, qr/Workers Launched: 4/, "$name: there were four");
	like($plan, qr/Rows Failed: 1000$/m, "$name: EXPLAIN ANALYZE has the number");
	like($plan, qr/Failures by SQLSTATE: 38S01: 1000$/m, "$name: and which they were");
}

# What the options may be.
for my $option ('"max_failed_rows": -1', '"max_failed_ratio": 1.5', '"max_failed_ratio": "NaN"')
{
	fails_with($node, qq{CREATE FUNCTION f(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", $option}'}, '22023', qr/is not valid/, "not: $option");
}

done_testing();
