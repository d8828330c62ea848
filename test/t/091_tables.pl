# Table jobs: which rows are sent, stored, remembered as failed, and how often.
#
# The models are identities, so that a prediction on the wrong row shows.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'",
	'sagemaker_rt.max_attempts = 1');

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION same(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION strict(x int) RETURNS int LANGUAGE sagemaker STRICT
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION picky(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'picky';
CREATE FUNCTION one_by_one(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "picky", "max_rows": 1}';
CREATE FUNCTION number(s text) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION slow(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "delay-300", "max_rows": 10, "concurrency": 4}';
CREATE FUNCTION slowish(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'delay-30';
CREATE FUNCTION scaled(x int, s text, OUT a int, OUT b text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "version": "v1"}';
SQL

sub sql { return $node->safe_psql('postgres', $_[0]) }

# The counts of a job: scored|failed|failed before|changed.
sub job { return sql("CALL sagemaker_predict_table($_[0])") }

# A job's counts, and how many requests it made to an endpoint.
sub job_and_requests
{
	my ($arguments, $endpoint) = @_;
	$emulator->reset;
	my $counts = job($arguments);
	return "$counts, " . $emulator->request_count($endpoint // 'echo') . ' requests';
}

sub table { sql("DROP TABLE IF EXISTS t CASCADE; DELETE FROM sagemaker_failed_rows; CREATE TABLE t ($_[0]); $_[1]") }

#
# Rows without a prediction.
#
table('id int PRIMARY KEY, x int, score int', 'INSERT INTO t SELECT i, i * 2, NULL FROM generate_series(1, 2500) i');
is(job_and_requests("'t', 'same', 'score'"), '2500|0|0|0, 25 requests', 'rows without a prediction');
is(sql('SELECT count(*) FROM t WHERE score = x'), 2500, 'each has its own');
is(job_and_requests("'t', 'same', 'score'"), '0|0|0|0, 0 requests', 'and is sent once');
sql('UPDATE t SET score = NULL WHERE id % 100 = 0');
is(job_and_requests("'t', 'same(int)', 'score', rows_per_transaction => 7"), '25|0|0|0, 4 requests', 'a few rows a transaction');
sql('UPDATE t SET score = NULL WHERE id <= 300');
is(job("'t', 'same', 'score', max_rows => 120, rows_per_transaction => 50"), '120|0|0|0', 'no more than max_rows');
is(sql('SELECT count(*) FROM t WHERE score IS NULL'), 180, 'the others are left for the next run');
is(job("'t', 'same', 'score', rows => 'id > 200'"), '2300|0|0|0', 'rows of a condition, scored or not');
is(job("'t', 'same', 'score', rows => 'id = 1 -- and no more'"), '1|0|0|0', 'a condition that ends with a comment');
is(job("'t', 'same', 'score'"), '80|0|0|0', 'the rest');
my ($status, $out, $err) = $node->psql('postgres', "UPDATE t SET score = NULL; CALL sagemaker_predict_table('t', 'same', 'score')");
like($err, qr/NOTICE:  2500 rows scored, 0 failed, 0 left out since they failed before, 0 held or changed by others/, 'a notice tells what was done');

# A time budget ends the job between rounds.
$emulator->reset;
sql('UPDATE t SET score = NULL');
my $counts = job("'t', 'slow', 'score', rows_per_transaction => 20, max_time => '700 ms'");
my ($scored) = $counts =~ /^(\d+)/;
cmp_ok($scored, '>=', 20, 'a time budget lets rounds end');
cmp_ok($scored, '<=', 200, 'and begins no more');
is(sql('SELECT count(score) FROM t'), $scored, 'what was scored is stored');

# NULL that the model does not want.
table('id int PRIMARY KEY, x int, score int', 'INSERT INTO t VALUES (1, 1), (2, NULL), (3, 3)');
is(job_and_requests("'t', 'strict', 'score'"), '2|0|0|0, 1 requests', 'a strict model: rows with a null are left alone');
is(job_and_requests("'t', 'strict', 'score'"), '0|0|0|0, 0 requests', 'also by the next run');

# Keys of several columns, other types, quotes, stamps, partitions.
sql(q{CREATE SCHEMA "a ""b";
	CREATE TABLE "a ""b"."t;" ("k 1" text COLLATE "C", "k""2" timestamptz, x smallint, s varchar(20), "s; DROP" bigint, "from" text, at timestamptz, who text, label text,
		PRIMARY KEY ("k""2", "k 1")) PARTITION BY HASH ("k""2");
	CREATE TABLE "a ""b".p0 PARTITION OF "a ""b"."t;" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE "a ""b".p1 PARTITION OF "a ""b"."t;" FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO "a ""b"."t;" SELECT 'key ' || i % 3, timestamptz '2026-01-01' + i / 3 * interval '1 day', i, 'text ' || i FROM generate_series(1, 100) i});
is(job(q{'"a ""b"."t;"', 'scaled', '"s; DROP", "from"', made_at => 'at', variant => 'who', version => 'label', rows_per_transaction => 9}),
	'100|0|0|0', 'keys of several columns, quoted names, partitions');
is(sql(q{SELECT count(*) FROM "a ""b"."t;" WHERE "s; DROP" = x AND "from" = s AND at > now() - interval '1 minute' AND who = 'AllTraffic' AND label = 'v1'}),
	100, 'each has its prediction and stamps');
is(job(q{'"a ""b"."t;"', 'scaled', '"s; DROP", "from"', version => 'label'}), '0|0|0|0', 'nothing is stale');
sql(q{CREATE OR REPLACE FUNCTION scaled(x int, s text, OUT a int, OUT b text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "version": "v2"}'});
is(job_and_requests(q{'"a ""b"."t;"', 'scaled', '"s; DROP", "from"', version => 'label', rows_per_transaction => 30}),
	'100|0|0|0, 4 requests', 'a new version: each stale row is scored once');
is(sql(q{SELECT count(*) FROM "a ""b"."t;" WHERE label = 'v2'}), 100, 'and has its label');

#
# A source.
#
table('id int PRIMARY KEY, y int, score int', 'INSERT INTO t SELECT i, i FROM generate_series(1, 150) i');
is(job(q{'t', 'same', 'score', source => 'SELECT id, y * 10 AS x FROM public.t WHERE id > 50'}), '100|0|0|0', 'inputs from a query');
is(sql('SELECT count(*) FROM t WHERE score = y * 10'), 100, 'go to the rows with that key');
is(job(q{'t', 'same', 'score', source => 'SELECT id, y * 10 AS x FROM public.t'}), '50|0|0|0', 'those that have a prediction are not wanted');
is(job(q{'t', 'same', 'score', source => 'SELECT id, y AS x FROM public.t', rows => 'id <= 3'}), '3|0|0|0', 'unless a condition says so');
sql('CREATE TABLE scores (id int PRIMARY KEY, score int, at timestamptz)');
is(job(q{'scores', 'same', 'score', source => 'SELECT id, y AS x FROM public.t WHERE id > 100', insert_rows => true, made_at => 'at', rows_per_transaction => 20}),
	'50|0|0|0', 'a table of scores');
is(job_and_requests(q{'scores', 'same', 'score', source => 'SELECT id, y AS x FROM public.t', insert_rows => true}), '100|0|0|0, 1 requests', 'gets what it lacks');
is(sql('SELECT count(*), count(at) FROM scores WHERE score = id'), '150|50', 'each row once');
sql('DROP TABLE scores; CREATE TABLE scores (id int, score int)');
is(job(q{'scores', 'same', 'score', source => 'SELECT id, y AS x FROM public.t', insert_rows => true, key => 'id'}), '150|0|0|0', 'a table without a key, for which one is named');
is(job(q{'scores', 'same', 'score', source => 'SELECT id, y AS x FROM public.t', insert_rows => true, key => 'id'}), '0|0|0|0', 'has each row once, too');
sql('CREATE TABLE parted (id int PRIMARY KEY, x int) PARTITION BY HASH (id);
	CREATE TABLE parted0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parted1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parted SELECT i, i FROM generate_series(1, 150) AS i;
	CREATE TABLE parted_scores (id int PRIMARY KEY, score int) PARTITION BY RANGE (id);
	CREATE TABLE parted_scores0 PARTITION OF parted_scores FOR VALUES FROM (0) TO (70);
	CREATE TABLE parted_scores1 PARTITION OF parted_scores FOR VALUES FROM (70) TO (1000)');
my $parted = q{'parted_scores', 'same', 'score', source => 'SELECT id, x FROM public.parted', insert_rows => true, rows_per_transaction => 40};
is(job($parted), '150|0|0|0', 'inputs and scores in partitioned tables');
is(job_and_requests($parted), '0|0|0|0, 0 requests', 'each row once');
is(sql('SELECT count(*) FROM parted_scores WHERE score = id'), 150, 'and right');

#
# Rows that fail.
#
table('id int PRIMARY KEY, s text, score text', q{INSERT INTO t SELECT i, CASE WHEN i % 100 = 50 THEN 'poison ' || i ELSE 'good ' || i END FROM generate_series(1, 1000) i});
is(job_and_requests("'t', 'one_by_one', 'score'", 'picky'), '990|10|0|0, 1000 requests', 'one percent fails, one request a row: each is sent once');
for my $run (2 .. 10)
{
	is(job_and_requests("'t', 'one_by_one', 'score'", 'picky'), '0|0|10|0, 0 requests', "run $run sends none of them");
}
is(sql('SELECT relation, model, target, count(*), min(key::text), bool_and(permanent), min(sqlstate), min(message), count(request_id), max(attempts)
	FROM sagemaker_failed_rows GROUP BY 1, 2, 3'),
	q(public.t|public.one_by_one(pg_catalog.text)|score|10|{150}|t|38000|endpoint "picky": the model failed with status 400: could not convert string to float: 'poison'|10|1),
	'what is remembered of them') or diag(sql('TABLE sagemaker_failed_rows'));
sql("UPDATE t SET s = 'mended' WHERE id = 50; UPDATE t SET s = s || ' still' WHERE id = 150");
is(job_and_requests("'t', 'one_by_one', 'score'", 'picky'), '1|1|8|0, 2 requests', 'rows whose input has changed are sent by the next run');
is(sql('SELECT count(*) FROM sagemaker_failed_rows'), 9, 'and what was mended is forgotten');
is(sql("SELECT sagemaker_retry_failed('t', key => '{250}')"), 1, 'one is to be tried again');
is(job("'t', 'one_by_one', 'score'"), '0|1|8|0', 'and is');
is(sql("SELECT sagemaker_retry_failed('t', 'one_by_one')"), 9, 'or all');
is(job("'t', 'one_by_one', 'score'"), '0|9|0|0', 'and are');
table('id int PRIMARY KEY, s text, score text', q{INSERT INTO t SELECT i, CASE WHEN i % 100 = 50 THEN 'poison ' || i ELSE 'good ' || i END FROM generate_series(1, 1000) i});
is(job("'t', 'picky', 'score'"), '990|10|0|0', 'one percent fails among others in requests');
is(sql('SELECT count(*) FROM t WHERE score = s'), 990, 'the others have their predictions');
is(job_and_requests("'t', 'picky', 'score'", 'picky'), '0|0|10|0, 0 requests', 'and the bad ones are not sent again');
# Failures that may pass.
table('id int PRIMARY KEY, s text, score text', q{INSERT INTO t VALUES (1, 'a')});
for my $attempt (1 .. 5)
{
	$emulator->reset;
	$emulator->script('picky', [ { use => 'internal-failure' } ]);
	is(job("'t', 'one_by_one', 'score', max_attempts => 3"), $attempt <= 3 ? '0|1|0|0' : '0|0|1|0', "a failure that may pass, run $attempt of at most 3");
	is($emulator->request_count('picky'), $attempt <= 3 ? 1 : 0, $attempt <= 3 ? 'is tried again' : 'is not tried again');
}
is(sql('SELECT permanent, attempts, sqlstate FROM sagemaker_failed_rows'), 'f|3|58000', 'its attempts are counted');
$emulator->reset;
is(job("'t', 'one_by_one', 'score', max_attempts => 4"), '1|0|0|0', 'a greater max_attempts tries it again');
is(sql('SELECT count(*) FROM sagemaker_failed_rows'), 0, 'and success is no failure');
# Answers, values and constraints that do not fit.
table('id int PRIMARY KEY, s text, score int CHECK (score <> 13)', q{INSERT INTO t VALUES (1, '1'), (2, 'two'), (3, '13'), (4, '4'), (5, '99999999999')});
is(job("'t', 'number', 'score'"), '2|3|0|0', 'predictions that do not fit');
is(sql('SELECT key, sqlstate, permanent FROM sagemaker_failed_rows ORDER BY 1'), "{2}|38S01|t\n{3}|23514|t\n{5}|22003|t", 'are failures of their rows');
is(job_and_requests("'t', 'number', 'score'"), '0|0|3|0, 0 requests', 'and not sent again');
table('id int PRIMARY KEY, s text, score text', q{INSERT INTO t VALUES (1, NULL), (2, 'a')});
is(job("'t', 'picky', 'score'"), '1|1|0|0', 'a prediction that is null');
is(sql('SELECT key, sqlstate FROM sagemaker_failed_rows'), '{1}|22004', 'is no prediction');

# Too many failures.
table('id int PRIMARY KEY, s text, score text', q{INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN 'fine' ELSE 'poison' END FROM generate_series(1, 900) i});
fails_with($node, "CALL sagemaker_predict_table('t', 'one_by_one', 'score', rows_per_transaction => 200)", '54000',
	qr/^134 of 200 rows failed, more than max_failed_ratio permits: 134 of 38000$/, 'too great a part fails: the job ends with a summary');
is(sql('SELECT count(score), (SELECT count(*) FROM sagemaker_failed_rows) FROM t'), '66|134', 'what was done stays');
my $failure = failure($node, "CALL sagemaker_predict_table('t', 'one_by_one', 'score', rows_per_transaction => 50, max_failed_rows => 20)");
like($failure->{message}, qr/^\d+ of \d+ rows failed, more than max_failed_rows permits/, 'more than max_failed_rows');
like($failure->{detail}, qr/could not convert string to float/, 'with the messages');
sql('DELETE FROM sagemaker_failed_rows; UPDATE t SET score = NULL');
is(job("'t', 'one_by_one', 'score', max_failed_ratio => 1"), '300|600|0|0', 'as many as are permitted');

#
# The endpoint fails.
#
for (
	[ 'throttling', '53000' ], [ 'access-denied', '28000' ], [ 'expired-token', '28000' ], [ 'drop', '58030' ],
	[ 'no-such', '22023', 'no-such-endpoint' ])
{
	my ($fault, $sqlstate, $name) = @$_;
	table('id int PRIMARY KEY, x int, score int', 'INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i');
	sql('CREATE OR REPLACE FUNCTION failing(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS $${"endpoint": "' . ($name // $fault) . '", "concurrency": 2}$$');
	$emulator->reset;
	fails_with($node, "CALL sagemaker_predict_table('t', 'failing', 'score')", $sqlstate, qr/endpoint "/, "$fault: one error");
	is(sql('SELECT count(score), (SELECT count(*) FROM sagemaker_failed_rows) FROM t'), '0|0', "$fault: no row is marked");
	cmp_ok($emulator->request_count($name // $fault), '<=', 4, "$fault: after a few requests no more are sent");
}
fails_with($node, "SET sagemaker_rt.access_key_id = ''; SET ROLE pg_monitor; CALL sagemaker_predict_table('t', 'same', 'score')", '42501', qr/permission denied for procedure/, 'who was not granted the job may not run it');
fails_with($node, "SET sagemaker_rt.endpoint_url = 'http://127.0.0.1:1'; CALL sagemaker_predict_table('t', 'same', 'score')", '58030', qr/could not connect/, 'nobody listens: one error');
is(sql('SELECT count(score), (SELECT count(*) FROM sagemaker_failed_rows) FROM t'), '0|0', 'and no row is marked');
# It fails in the midst.
$emulator->reset;
$emulator->script('echo', [ ({}) x 3 ], { use => 'access-denied' });
sql('CREATE FUNCTION in_order(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS $${"endpoint": "echo", "concurrency": 1}$$');
fails_with($node, "CALL sagemaker_predict_table('t', 'in_order', 'score')", '28000', qr/access denied/, 'an endpoint that fails in the midst');
is(sql('SELECT count(score) FROM t'), 300, 'what was answered is stored');

#
# Others at work.
#
$emulator->reset;
table('id int PRIMARY KEY, x int, score int', 'INSERT INTO t SELECT i, i FROM generate_series(1, 40) i');
my $holder = Session->new($node, 'BEGIN', 'SELECT * FROM t WHERE id <= 5 FOR UPDATE');
is(job_and_requests("'t', 'same', 'score'"), '35|0|0|0, 1 requests', 'rows that others hold are not waited for, and not sent');
$holder->must('COMMIT');
is(job("'t', 'same', 'score'"), '5|0|0|0', 'the next run takes them');
sql('UPDATE t SET score = NULL');
$emulator->reset;
$emulator->script('delay-300', [ ({ delay_ms => 3000 }) x 4 ]);
my $job = Session->new($node);
# Long enough for what is looked at and done meanwhile, on a busy machine too.
$emulator->script('delay-300', [ { delay_ms => 5000 } ]);
$job->start("CALL sagemaker_predict_table('t', 'slow', 'score')");
ok(wait_until(sub { $emulator->request_count('delay-300') > 0 }), 'a job is at work');
is(sql(q{SELECT count(*) FROM pg_locks WHERE pid = } . $job->pid . q{ AND (locktype <> 'advisory' AND locktype <> 'virtualxid')}), 0, 'while it calls it holds no lock on a table or row');
is(sql('SELECT backend_xid IS NULL AND backend_xmin IS NULL FROM pg_stat_activity WHERE pid = ' . $job->pid), 't', 'and no snapshot');
sql('UPDATE t SET x = x + 1000 WHERE id <= 5; DELETE FROM t WHERE id = 6');
my $result = $job->finish;
like($result->{output}, qr/^39\|0\|0\|6$/, 'rows that are changed meanwhile are not touched, and are sent again');
is(sql('SELECT count(*) FROM t WHERE score = x'), 39, 'with what they are now');
# Two jobs.
sql('TRUNCATE t; INSERT INTO t SELECT i, i FROM generate_series(1, 400) i');
$emulator->reset;
my $other = Session->new($node);
$_->start("CALL sagemaker_predict_table('t', 'slow', 'score', rows_per_transaction => 20)") for $job, $other;
my @outputs = map { $_->finish->{output} } $job, $other;
my @scored = map { /^(\d+)\|0\|0\|/ ? $1 : -1 } @outputs;
is($scored[0] + $scored[1], 400, 'two jobs at once: each row is scored once') or diag("@outputs");
cmp_ok($_, '>=', 100, "one of them did its share: $_ rows") for @scored;
cmp_ok($emulator->request_count('delay-300'), '<=', 40 + 6, 'no more was sent twice than one round');
is(sql('SELECT count(*) FROM t WHERE score = x'), 400, 'and right');
is(sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'jobs that have ended leave no lock');
$result = $job->run("CALL sagemaker_predict_table('t', 'failing', 'score', rows => 'true')");
is(sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'one that failed neither');
# Interrupted, and begun again.
sql('TRUNCATE t; INSERT INTO t SELECT i, i FROM generate_series(1, 10000) i;
	CREATE TABLE history (id int, score int);
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO history VALUES (new.id, new.score); RETURN NULL; END$$;
	CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW WHEN (new.score IS NOT NULL) EXECUTE FUNCTION note()');
my ($interrupted, $tried) = (0, 0);
while ($interrupted < 50 && $tried++ < 200)
{
	$job->start("CALL sagemaker_predict_table('t', 'slowish', 'score', rows_per_transaction => 5)");
	select(undef, undef, undef, rand(0.06));
	# Once may be before it has begun.
	sql('SELECT pg_cancel_backend(' . $job->pid . ')') until $job->is_over;
	my $ended = $job->finish;
	like($ended->{errors}, qr/57014/, 'interrupted, and nothing else') if $ended->{errors} =~ /ERROR/;
	$interrupted++ if ($ended->{sqlstate} // '') eq '57014';
}
is($interrupted, 50, 'interrupted 50 times');
job("'t', 'same', 'score'");
is(sql('SELECT count(*) FROM t WHERE score = x'), 10000, 'every row is scored');
is(sql('SELECT count(*), count(DISTINCT id) FROM history'), '10000|10000', 'none twice');
# Memory.
sql('DROP TRIGGER note ON t; TRUNCATE t; INSERT INTO t SELECT i, i FROM generate_series(1, 20000) i');
$job->start("CALL sagemaker_predict_table('t', 'same', 'score', rows_per_transaction => 100)");
my @kb = map {
	my $rows = $_;
	ok(wait_until(sub { sql('SELECT count(score) FROM t') >= $rows }), "a job has scored $rows rows");
	anonymous_kb($job->pid);
} 4000, 18000;
cmp_ok($kb[1], '<=', $kb[0] + 4000, "a long job takes no more memory: $kb[0] kB, $kb[1] kB");
$job->finish;
$_->quit for $job, $other, $holder;

#
# Where it cannot run.
#
my $catalogs_have_keys = sql("SELECT count(*) FROM pg_index WHERE indrelid = 'pg_class'::regclass AND indisprimary");
fails_with($node, "BEGIN; CALL sagemaker_predict_table('t', 'same', 'score')", '2D000', qr/transaction block/, 'in a transaction block');
fails_with($node, "DO \$\$BEGIN CALL sagemaker_predict_table('t', 'same', 'score'); END\$\$", '42601', qr/not writable|not a variable/, 'in a block without variables');
is(sql("DO \$\$DECLARE a bigint; b bigint; c bigint; d bigint; BEGIN CALL sagemaker_predict_table('t', 'same', 'score', scored => a, failed => b, failed_before => c, changed => d); END\$\$"), '', 'in a block outside of a transaction');
fails_with($node, "SET default_transaction_read_only = on; CALL sagemaker_predict_table('t', 'same', 'score')", '25006', qr/read-only/, 'where nothing can be written');
for (
	[ "NULL, 'same', 'score'", '22004', 'must not be null' ],
	[ "'t', 'none', 'score'", '42883', 'does not exist' ],
	[ "'t', 'same', ','", '42602', 'no list of columns' ],
	[ "'t', 'same', 'score', rows => 'x > '", '42601', 'syntax error' ],
	[ "'t', 'same', 'score', rows => 'true) ; DROP TABLE t; --'", '42601', 'syntax error' ],
	[ "'t', 'same', 'score', insert_rows => true", '22023', 'needs a source' ],
	[ "'t', 'same', 'score', key => 'id'", '22023', 'for insert_rows only' ],
	[ "'t', 'same', 'score', rows_per_transaction => 0", '22023', 'rows_per_transaction' ],
	[ "'t', 'same', 'score', source => 'SELECT 1 AS id'", '42703', 'x' ],
	# A catalog is a table as others, which has a primary key since PostgreSQL 14.
	[ "'pg_class', 'same', 'relname'", $catalogs_have_keys ? ('42703', 'no column "x"') : ('42P10', 'has no primary key') ],
	[ "'pg_stat_activity', 'same', 'score'", '42809', 'is not a table' ])
{
	my ($arguments, $sqlstate, $message) = @$_;
	fails_with($node, "CALL sagemaker_predict_table($arguments)", $sqlstate, qr/\Q$message\E/, "($arguments): $message");
}

#
# Whose rights.
#
sql(<<'SQL');
CREATE ROLE scorer; CREATE ROLE other;
GRANT EXECUTE ON PROCEDURE sagemaker_predict_table TO scorer;
GRANT EXECUTE ON FUNCTION sagemaker_retry_failed, sagemaker_may_read_table TO scorer, other;
GRANT SELECT ON sagemaker_failed_rows TO scorer, other;
DROP TABLE t;
CREATE TABLE t (id int PRIMARY KEY, s text, owner name, score text);
INSERT INTO t VALUES (1, 'poison 1', 'scorer'), (2, 'poison 2', 'other'), (3, 'c', 'scorer');
DELETE FROM sagemaker_failed_rows;
SQL
fails_with($node, "SET ROLE scorer; CALL sagemaker_predict_table('t', 'picky', 'score')", '42501', qr/permission denied for table t/, 'the job needs SELECT');
sql('GRANT SELECT ON t TO scorer');
fails_with($node, "SET ROLE scorer; CALL sagemaker_predict_table('t', 'picky', 'score')", '42501', qr/permission denied for table t/, 'and UPDATE of the target');
sql('GRANT UPDATE (score) ON t TO scorer');
is(sql("SET ROLE scorer; CALL sagemaker_predict_table('t', 'picky', 'score')"), '1|2|0|0', 'and no more');
is(sql('SET ROLE scorer; SELECT count(*) FROM sagemaker_failed_rows'), 2, 'who may read the table sees its failures');
is(sql('SET ROLE other; SELECT count(*) FROM sagemaker_failed_rows'), 0, 'who may not does not');
fails_with($node, "SET ROLE other; SELECT sagemaker_retry_failed('t')", '42501', qr/permission denied for table t/, 'nor makes them be tried again');
fails_with($node, 'SET ROLE scorer; DELETE FROM sagemaker_failed_rows', '42501', qr/permission denied/, 'nobody writes them directly');
sql('ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON t USING (owner = current_user); GRANT SELECT ON t TO other');
is(sql('SET ROLE other; SELECT count(*) FROM sagemaker_failed_rows'), 0, 'whom row-level security keeps from rows sees no failures');
sql('DELETE FROM sagemaker_failed_rows; UPDATE t SET score = NULL');
is(sql("SET ROLE scorer; CALL sagemaker_predict_table('t', 'picky', 'score')"), '1|1|0|0', 'and for the job');

# Nothing in a search_path of a user's has a part in it.
sql(q{CREATE SCHEMA evil;
	CREATE FUNCTION evil.yes(int, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'evil'; END$$;
	CREATE FUNCTION evil.hashtext(text) RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE 'evil'; END$$;
	CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	CREATE OPERATOR evil.> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	CREATE OPERATOR evil.>= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, x int, score int); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;});
is(sql(q{SET search_path = evil, pg_catalog, public; CALL public.sagemaker_predict_table('t', 'same', 'score', rows => 'id > 10', rows_per_transaction => 30)}), '90|0|0|0', 'objects in the search_path of the caller have no part');

# What failed is in a dump.
sql("INSERT INTO t VALUES (1000, 1); DELETE FROM sagemaker_failed_rows;
	INSERT INTO sagemaker_failed_rows VALUES ('public.t', 'public.same(pg_catalog.int4)', 'score', '{7}', true, '38000', 'm', NULL, 1, now(), '')");
$node->command_like([ 'pg_dump', '-d', $node->connstr('postgres') ], qr/^COPY public\.sagemaker_failed_rows .*\npublic\.t\tpublic\.same\(pg_catalog\.int4\)\tscore\t\{7\}\tt\t38000/m, 'failed rows are in pg_dump');

done_testing();
