# sagemaker_stat_progress: who is at work, what is counted, who may see it, and that
# whoever ends is gone from it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_queue('main', $emulator, 'restart_after_crash = on', 'sagemaker_rt.max_attempts = 1');
my $minute = { delay_ms => 60000 };
my $model = 'public.one_by_one(pg_catalog.text)';

sub sql { return $node->safe_psql('postgres', $_[0]) }

# What the view says of table jobs, or of workers.
sub shown
{
	my ($columns, $work) = @_;
	return sql("SELECT $columns FROM sagemaker_stat_progress WHERE work = '" . ($work // 'table job') . "'");
}

# Waits until something is shown, and says whether it was.
sub comes_to
{
	my ($expected, $columns, $work) = @_;
	my $last;
	return 1 if wait_until(sub { ($last = shown($columns, $work)) eq $expected });
	diag("it is $last");
	return 0;
}

sql(q{CREATE ROLE scorer; CREATE ROLE stranger; CREATE ROLE watcher; GRANT pg_read_all_stats TO watcher;
	CREATE FUNCTION one_by_one(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "picky", "max_rows": 1}';
	CREATE FUNCTION denied(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'access-denied';
	CREATE TABLE u (id int PRIMARY KEY, s text, score text, other text);
	INSERT INTO u SELECT i, CASE WHEN i IN (3, 5) THEN 'poison' ELSE 's' || i END FROM generate_series(1, 25) AS i;
	GRANT SELECT, UPDATE ON u TO scorer; GRANT EXECUTE ON PROCEDURE sagemaker_predict_table TO scorer});
is(shown('count(*)'), '0', 'no job runs');

#
# A table job.
#

# One row fails before the job that is looked at, so that this leaves it out: nine rows
# are sent in its first round, and the second one waits for the model.
sql("CALL sagemaker_predict_table('u', 'one_by_one', 'score', rows => 'id = 5', max_failed_ratio => NULL)");
$emulator->script('picky', [ ({}) x 9 ], $minute);
my $job = "CALL sagemaker_predict_table('public.u', 'public.one_by_one', 'score', rows_per_transaction => 10)";
my $session = Session->new($node, 'SET ROLE scorer');
$session->start($job);
ok(comes_to('20|8|1|1|9', 'seen, scored, failed, skipped, requests'), 'a job is counted round by round');
is(shown('pid'), $session->pid, 'under the process that runs it');
is(shown('database, role, relation, model'), "postgres|scorer|public.u|$model", 'with what it works on');
ok(comes_to('asking', 'phase'), 'and what it does');
is(shown("started_at BETWEEN now() - interval '10 minutes' AND now()"), 't', 'since when');

# Who may see it.
fails_with($node, 'SET ROLE stranger; SELECT * FROM sagemaker_stat_progress', '42501', qr/permission denied for view sagemaker_stat_progress/,
	'nobody sees the view who is not granted it');
fails_with($node, 'SET ROLE stranger; SELECT * FROM sagemaker_progress()', '42501', qr/permission denied for function sagemaker_progress/,
	'nor calls the function');
sql('GRANT SELECT ON sagemaker_stat_progress TO scorer, stranger, watcher; GRANT EXECUTE ON FUNCTION sagemaker_progress TO scorer, stranger, watcher');
is(sql('SET ROLE stranger; SELECT count(*) FROM sagemaker_stat_progress'), '0', "others' work is hidden");
is(sql('SET ROLE scorer; SELECT work, role FROM sagemaker_stat_progress'), 'table job|scorer', "one's own is not");
is(sql('SET ROLE watcher; SELECT work FROM sagemaker_stat_progress ORDER BY work'), "queue worker\ntable job", 'pg_read_all_stats shows all');

# Numbers of objects mean something else in another database.
sql('CREATE DATABASE elsewhere');
$node->safe_psql('elsewhere', 'CREATE EXTENSION sagemaker_rt');
is($node->safe_psql('elsewhere', "SELECT database, role, relation IS NULL, model IS NULL, seen FROM sagemaker_stat_progress WHERE work = 'table job'"),
	'postgres|scorer|t|t|20', 'in another database names of objects are not shown');

#
# However it ends, it is gone.
#

sql('SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'the job is cancelled');
is(shown('count(*)'), '0', 'a job that was cancelled is gone');

$session->start($job);
ok(comes_to('asking', 'phase'), 'another one runs');
sql('SELECT pg_terminate_backend(' . $session->pid . ')');
ok(comes_to('0', 'count(*)'), 'a job whose session was terminated is gone');

# There are 128 places.
my ($status, $out, $err) = $node->psql('postgres',
	join("\n", ("CALL sagemaker_predict_table('u', 'denied', 'other');") x 130), on_error_stop => 0);
is(scalar(() = $err =~ /access denied/g), 130, 'many jobs fail');
is(shown('count(*)'), '0', 'and are gone');

$session = Session->new($node);
$session->start($job);
ok(comes_to('asking', 'phase'), 'there is room for another');
kill KILL => $session->pid;
my $connstr = $node->connstr('postgres');
ok(wait_until(sub { !process_exists($session->pid) && system("psql -XAtq -d '$connstr' -c 'SELECT sagemaker_progress()' >/dev/null 2>&1") == 0 }), 'a crash is recovered from');
is(shown('count(*)'), '0', 'a job that was killed is gone');
$emulator->reset;
sql($job);
is(shown('count(*)'), '0', 'a job that is done is gone');

#
# The worker.
#

ok(comes_to('waiting||', 'phase, relation, model', 'queue worker'), 'a worker with nothing to do waits');
$emulator->script('echo', [ {} ], $minute);
sql('INSERT INTO t (id, x) SELECT n, n FROM generate_series(1, 7) AS n');
ok(comes_to('7|7|0|0|1', 'seen, scored, failed, skipped, requests', 'queue worker'), 'it counts what it has answered');
sql('INSERT INTO t (id, x) VALUES (8, 8)');
ok(comes_to('asking|public.t|public.score(double precision)', 'phase, relation, model', 'queue worker'), 'and says what it is at');
is(shown('pid', 'queue worker'), worker_pid($node), 'under its process');
my $before = worker_pid($node);
sql("SELECT pg_terminate_backend($before)");
ok(wait_until(sub { my $pid = shown('pid', 'queue worker'); $pid ne '' && $pid !~ /^$before$/m }), 'one that comes after takes its place');
is(shown('count(*)', 'queue worker'), '1', 'and is the only one');

#
# Where the postmaster has not loaded the library.
#

my $plain = start_node('plain', $emulator, "session_preload_libraries = 'sagemaker_rt'");
fails_with($plain, 'SELECT * FROM sagemaker_stat_progress', '55000', qr/must be loaded via shared_preload_libraries/, 'elsewhere the view says what it needs');
$plain->safe_psql('postgres', q{CREATE TABLE u (id int PRIMARY KEY, s text, score text); INSERT INTO u VALUES (1, 's');
	CREATE FUNCTION one_by_one(s text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'picky'});
is($plain->safe_psql('postgres', $job), '1|0|0|0', 'while jobs run');

done_testing();
