# The queue: a row is there exactly when its transaction committed, and is answered
# afterwards, with no transaction open while the model is asked.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Session;
use JSON::PP ();
use Test::More;

my $emulator = start_emulator('--no-models');
# The worker's timer hides nothing.
my $node = start_queue('main', $emulator, 'max_prepared_transactions = 5', "sagemaker_rt.queue_interval = '1h'");

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Ids of t whose y is not their x.
sub unscored { return sql('SELECT coalesce(string_agg(id::text, \',\' ORDER BY id), \'\') FROM t WHERE y IS DISTINCT FROM x') }

sub forget
{
	drained($node);
	sql('TRUNCATE t; DELETE FROM sagemaker_queue');
	$emulator->reset;
}

#
# What comes in.
#

sql('INSERT INTO t (id, x) SELECT n, n FROM generate_series(1, 300) AS n');
ok(drained($node), 'rows of one INSERT are answered');
is(unscored(), '', 'and written back');
is(states($node), 'done 300', 'each is done');
is($emulator->request_count('echo'), 3, 'in packed requests');
is(sql('SELECT count(*) FROM sagemaker_queue WHERE attempts = 1 AND role = \'postgres\' AND due_at IS NULL
		AND enqueued_at < sent_at AND sent_at < finished_at AND sqlstate IS NULL AND message IS NULL'),
	300, 'with what there is to tell of each');

forget();
sql('INSERT INTO t (id, x) VALUES (1, 1), (2, 2)');
drained($node);
sql("UPDATE t SET other = 'new'; UPDATE t SET x = x; UPDATE t SET y = 0 WHERE id = 2");
is(states($node), 'done 2', 'an update of another column enqueues nothing');
sql('UPDATE t SET x = 3 WHERE id = 1');
drained($node);
is(states($node), 'done 3', 'an update of an input does');
is(unscored(), '2', 'and only that row is predicted again');
sql('UPDATE t SET id = 5 WHERE id = 2');
drained($node);
is(states($node), 'done 4', 'as does a new key');
is(unscored(), '', 'under which it is predicted');

forget();
$node->psql('postgres', "COPY t (id, x) FROM stdin;\n1\t1\n2\t2\n\\.\n");
sql('INSERT INTO t (id, x) VALUES (2, 20), (3, 3) ON CONFLICT (id) DO UPDATE SET x = EXCLUDED.x');
ok(drained($node), 'COPY and ON CONFLICT enqueue');
is(unscored(), '', 'and their rows are predicted');
my $before = states($node);
sql('DELETE FROM t');
is(states($node), $before, 'DELETE does not');

#
# Only what was committed.
#

forget();
sql('BEGIN; INSERT INTO t (id, x) VALUES (1, 1); ROLLBACK');
is(states($node), 'none', 'what is rolled back was never enqueued');
sql(q{BEGIN; INSERT INTO t (id, x) VALUES (1, 1); SAVEPOINT s; INSERT INTO t (id, x) VALUES (2, 2);
	ROLLBACK TO s; INSERT INTO t (id, x) VALUES (3, 3); COMMIT});
drained($node);
is(sql('SELECT string_agg(key[1], \',\' ORDER BY id) FROM sagemaker_queue'), '1,3',
	'nor what a savepoint took back');

forget();
sql("BEGIN; INSERT INTO t (id, x) VALUES (1, 1); PREPARE TRANSACTION 'one'");
sql("BEGIN; INSERT INTO t (id, x) VALUES (2, 2); PREPARE TRANSACTION 'two'");
is(states($node), 'none', 'a prepared transaction has enqueued nothing yet');
sql("COMMIT PREPARED 'one'; ROLLBACK PREPARED 'two'");
is(sql('SELECT string_agg(key[1], \',\') FROM sagemaker_queue'), '1', 'it has once it is committed');
ok(drained($node), 'and its row is answered, as its commit wakes the worker');
is(unscored(), '', 'like any other');
sql("CREATE TABLE plain (id int); BEGIN; INSERT INTO plain VALUES (1); PREPARE TRANSACTION 'three'");
sql("COMMIT PREPARED 'three'");
is(sql('SELECT count(*) FROM plain'), 1, 'one that has enqueued nothing is committed as ever');

forget();
sql('INSERT INTO t (id, x) VALUES (1, 1)');
drained($node);
my $first = Session->new($node);
my $second = Session->new($node);
$_->must('BEGIN ISOLATION LEVEL SERIALIZABLE') for $first, $second;
$_->must('SELECT sum(x) FROM t') for $first, $second;
$first->must('INSERT INTO t (id, x) VALUES (2, 2)');
$second->must('INSERT INTO t (id, x) VALUES (3, 3)');
$first->must('COMMIT');
is($second->run('COMMIT')->{sqlstate}, '40001', 'of two transactions one cannot be serialised');
drained($node);
is(sql('SELECT string_agg(key[1], \',\' ORDER BY id) FROM sagemaker_queue'), '1,2', 'and has enqueued nothing');

#
# One waits for a target.
#

forget();
$first->must('BEGIN; INSERT INTO t (id, x) VALUES (1, 1)');
$first->must("UPDATE t SET x = $_") for 2 .. 5;
$first->must('COMMIT');
drained($node);
is(states($node), 'done 1', 'what is changed often is predicted once');
is(unscored(), '', 'with its last input');

# The row is locked by who changes it: it is not taken with an input that he has
# not seen.
forget();
$emulator->script('echo', [ { delay_ms => 1500 } ]);
sql('INSERT INTO t (id, x) VALUES (1, 1)');
wait_until(sub { $emulator->request_count('echo') > 0 });
sql('INSERT INTO t (id, x) VALUES (2, 2)');
$first->must('BEGIN');
my $id = $first->must("SELECT sagemaker_enqueue('t', 'score', '{2}', 'y')");
is($id, $first->must("SELECT id FROM sagemaker_queue WHERE key = '{2}'"), 'enqueueing again gives the row that waits');
ok(wait_until(sub { states($node) eq 'done 1, waiting 1' }), 'which no worker takes meanwhile');
$first->must('ALTER TABLE t DISABLE TRIGGER enqueue; UPDATE t SET x = 22 WHERE id = 2; ALTER TABLE t ENABLE TRIGGER enqueue; COMMIT');
ok(drained($node), 'until that transaction is over');
is(sql('SELECT y FROM t WHERE id = 2'), '22', 'so that what it did is seen');

#
# While the model is asked.
#

forget();
my $pid = worker_pid($node);
$emulator->script('echo', [ { delay_ms => 5000 } ]);
sql('INSERT INTO t (id, x) VALUES (1, 1), (2, 2)');
wait_until(sub { $emulator->request_count('echo') > 0 });
my ($samples, @held) = (0);
while ($first->must("SELECT count(*) FROM sagemaker_queue WHERE state = 'running'") == 2 && $samples < 100)
{
	# A slow machine may come to see the transaction that follows, which has all of these.
	my $held = $first->must(qq{SELECT concat_ws(' ', backend_xid, backend_xmin,
			(SELECT string_agg(locktype || ' ' || mode, ',') FROM pg_locks WHERE pid = $pid))
		FROM pg_stat_activity WHERE pid = $pid AND EXISTS (SELECT FROM sagemaker_queue WHERE state = 'running')});
	push @held, $held if $held ne '';
	$samples++;
}
cmp_ok($samples, '>', 5, 'while a model is slow');
cmp_ok(scalar @held, '<=', 1, 'the worker has no transaction, no snapshot and no lock') || diag "@held";
ok(wait_until(sub { sql("SELECT count(*) FROM sagemaker_queue WHERE due_at > now() + interval '14 min'") == 0 }),
	'leases end with the answer');
drained($node);

$emulator->script('echo', [ { delay_ms => 2000 } ]);
sql('UPDATE t SET x = 10 WHERE id = 1');
wait_until(sub { $emulator->request_count('echo') > 1 });
is(states($node), 'done 2, running 1', 'a row that is asked for is running');
sql("SET lock_timeout = '500ms'; ALTER TABLE t ADD extra int");
pass('its table can be altered');
$first->must('BEGIN; UPDATE t SET x = 11 WHERE id = 1');
ok(wait_until(sub { sql("SELECT sqlstate FROM sagemaker_queue WHERE state = 'failed'") eq '40001' }), 'a worker does not wait for who holds the row');
is(sql('SELECT y FROM t WHERE id = 1'), '1', 'a prediction for an input that is changed is not written');
$first->must('COMMIT');
ok(drained($node), 'but the row is predicted again');
is(unscored(), '', 'with the new input');
is(sql('SELECT sum(attempts) FROM sagemaker_queue'), '4', 'which is not held against it');

# Attempts of one row have one inference id.
forget();
$emulator->script('echo', [ { use => 'service-unavailable' }, { use => 'service-unavailable' } ]);
sql('INSERT INTO t (id, x) VALUES (1, 1)');
ok(drained($node), 'what failed is tried again');
is(states($node), 'done 1', 'until it succeeds');
is(sql('SELECT attempts FROM sagemaker_queue'), '3', 'attempts are counted');
my @ids = map { my %h = map { lc $_->[0] => $_->[1] } @{ $_->{headers} }; $h{'x-amzn-sagemaker-inference-id'} } $emulator->requests('echo');
is(join(',', @ids), join(',', (sql('SELECT inference_id FROM sagemaker_queue')) x 3), 'and have the inference id of the row');

# What is answered while a table's triggers take their time is not late.
forget();
sql(q{CREATE FUNCTION hurried(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
	AS '{"endpoint": "delay-300", "max_rows": 1, "concurrency": 2, "timeout": "1s", "max_attempts": 1}';
	CREATE TABLE slow (id int PRIMARY KEY, x float8, y float8);
	CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(1.5); RETURN new; END$$;
	CREATE TRIGGER dawdle BEFORE UPDATE ON slow FOR EACH ROW EXECUTE FUNCTION dawdle();
	INSERT INTO slow SELECT n, n FROM generate_series(1, 4) AS n;
	SELECT sagemaker_enqueue('slow', 'hurried', ARRAY[id::text], 'y') FROM slow});
drained($node);
is(states($node, 'attempts = 1'), 'done 4', 'what is answered while a slow trigger runs is not late');
is($emulator->request_count('delay-300'), 4, 'and is not sent again');
is(sql('SELECT count(*) FROM sagemaker_queue a JOIN sagemaker_queue b ON b.id = a.id + 1 WHERE b.sent_at > a.sent_at'), 3,
	'each row has the time at which it was sent');
is(sql("SELECT max(finished_at) - min(finished_at) > interval '1 s' FROM sagemaker_queue"), 't', 'and is done when it is written, not when all are');

#
# By hand.
#

forget();
sql('ALTER TABLE t DISABLE TRIGGER enqueue; INSERT INTO t (id, x) VALUES (1, 1.5), (2, NULL); ALTER TABLE t ENABLE TRIGGER enqueue');
$id = sql("SELECT sagemaker_enqueue('t', 'score', ARRAY['1'])");
ok(drained($node), 'a row is enqueued by its key');
is(sql("SELECT result FROM sagemaker_queue WHERE id = $id"), '1.5', 'the queue keeps the result');
is(sql('SELECT y IS NULL FROM t WHERE id = 1'), 't', 'and no column has it');
sql("SELECT sagemaker_enqueue('t', 'score(float8)', '{01}', 'y')");
drained($node);
is(sql('SELECT y FROM t WHERE id = 1'), '1.5', 'or a column gets it');
is(sql('SELECT key FROM sagemaker_queue ORDER BY id DESC LIMIT 1'), '{1}', 'one key has one text');
sql("SELECT sagemaker_enqueue('t', 'score', '{77}', 'y')");
drained($node);
is(sql('SELECT state || \': \' || message FROM sagemaker_queue ORDER BY id DESC LIMIT 1'),
	'done: the row is not there, or cannot be seen by its role', 'for a row that is not there nothing is asked');
is(sql("SELECT sagemaker_enqueue('t', 'score', NULL) IS NULL"), 't', 'no key, no row');
for ([ "'t', 'score', '{1,2}'", '22023', 'another number of columns' ],
	[ "'t', 'score', '{one}'", '22P02', 'no key of that type' ],
	[ "'t', 'score', '{1}', 'z'", '42703', 'no such column' ],
	[ "'t', 'score', '{1}', 'x'", '22023', 'an input as target' ],
	[ "'t', 'score', '{1}', 'y, '", '42602', 'no name of a column' ],
	[ "'t', 'score', '{1}', made_at => 'other'", '22023', 'a stamp without a target' ],
	[ "'t', 'lower(text)', '{1}', 'y'", '42883', 'no model' ],
	[ "'pg_stat_activity', 'score', '{1}', 'y'", '42809', 'a view' ])
{
	my ($arguments, $sqlstate, $what) = @$_;
	fails_with($node, "SELECT sagemaker_enqueue($arguments)", $sqlstate, qr/./, "refused at once: $what");
}
fails_with($node, 'CREATE TEMP TABLE u (a int); CREATE TRIGGER e BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row(\'public.score\', \'y\'); INSERT INTO u VALUES (1)',
	'39P01', qr/AFTER INSERT OR UPDATE FOR EACH ROW/, 'the trigger says where it belongs');
fails_with($node, 'CREATE TEMP TABLE u (state int, due_at int); CREATE TRIGGER e BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION sagemaker_queue_restore(); INSERT INTO u VALUES (1, 1)',
	'39P01', qr/is for table sagemaker_queue/, 'that of the queue is for no other table');
fails_with($node, 'SELECT sagemaker_queue_restore()', '39P01', qr/trigger/, 'a trigger function is called by triggers only');

#
# Bounds.
#

forget();
my $paused = worker_pid($node);
kill STOP => $paused;
sql('INSERT INTO t (id, x) SELECT n, n FROM generate_series(1, 7) AS n');
my $failure = failure($node, 'SET sagemaker_rt.queue_max_rows = 10; INSERT INTO t (id, x) SELECT n, n FROM generate_series(11, 14) AS n');
is($failure->{sqlstate}, '54000', 'a full queue takes no more');
like($failure->{detail}, qr/sagemaker_rt.queue_max_rows permits 10 rows/, 'and names the limit');
is(states($node), 'waiting 7', 'the statement enqueued nothing');
sql('SET sagemaker_rt.queue_max_rows = 10; INSERT INTO t (id, x) SELECT n, n FROM generate_series(11, 13) AS n');
is(states($node), 'waiting 10', 'what fits is taken');
kill CONT => $paused;
ok(drained($node), 'and answered');

$node->append_conf('postgresql.conf', "sagemaker_rt.queue_retention = '0s'\nsagemaker_rt.queue_interval = '1s'");
$node->reload;
ok(wait_until(sub { states($node) eq 'none' }), 'what is done is deleted after its retention');
$node->append_conf('postgresql.conf', "sagemaker_rt.queue_retention = '1d'");
$node->reload;

#
# Whose it is.
#

sql(q{CREATE ROLE plain; CREATE ROLE other; GRANT USAGE, CREATE ON SCHEMA public TO plain;
	GRANT SELECT ON sagemaker_queue TO plain, other});
fails_with($node, "SET ROLE plain; SELECT sagemaker_enqueue('t', 'score', '{1}')", '42501', qr/permission denied for function sagemaker_enqueue/,
	'nobody enqueues who is not granted it');
sql('GRANT EXECUTE ON FUNCTION sagemaker_enqueue, sagemaker_requeue TO plain, other');
sql('GRANT SELECT, INSERT, UPDATE ON t TO plain');
sql('SET ROLE plain; INSERT INTO t (id, x) VALUES (100, 1)');
drained($node);
is(sql("SELECT role FROM sagemaker_queue WHERE key = '{100}'"), 'plain', 'a row is of the role that wrote it');
is(sql("SET ROLE plain; SELECT count(*) FROM sagemaker_queue WHERE key = '{100}'"), '1', 'who may see it');
is(sql('SET ROLE other; SELECT count(*) FROM sagemaker_queue'), '0', 'while others see none');
fails_with($node, "SET ROLE plain; $_", '42501', qr/permission denied for table sagemaker_queue/, "the table is not his: $_")
  for "INSERT INTO sagemaker_queue (role, model, relation, key) VALUES ('postgres', 'score', 't', '{1}')",
  "UPDATE sagemaker_queue SET role = 'postgres'", 'DELETE FROM sagemaker_queue';

#
# A kept column: from mode to mode while rows come in, each of which has its score.
#

forget();
sql('CREATE TABLE kept (id int PRIMARY KEY, x float8, y float8); CREATE TABLE stop (now int)');
my $keep = "CALL sagemaker_keep('kept', 'y', 'score', mode => '%s', fill => false)";
sql(sprintf $keep, 'queue');
$first->start('DO $$DECLARE i int := 0; BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		i := i + 1;
		INSERT INTO kept VALUES (i, i);
		UPDATE kept SET x = x + 1000000 WHERE id = i - 3;
		COMMIT;
	END LOOP; END$$');
for my $mode ('row', 'queue', 'statement', 'queue', 'row', 'queue')
{
	my $rows = sql('SELECT max(id) FROM kept');
	sql(sprintf $keep, $mode);
	wait_until(sub { sql('SELECT max(id) FROM kept') > $rows + 10 });
}
sql('INSERT INTO stop VALUES (1)');
is($first->finish->{errors}, '', 'the mode is changed while rows come in: they do');
ok(drained($node), 'what was enqueued is answered');
cmp_ok(sql('SELECT count(*) FROM kept'), '>', 60, 'of many rows');
is(sql('SELECT count(*) FROM kept WHERE y IS DISTINCT FROM x'), 0, 'none is lost');
is(states($node, "state <> 'done'"), 'none', 'nor dead');

#
# Where no worker is.
#

my ($status, $stdout, $stderr) = (0);
sql('CREATE DATABASE elsewhere');
$node->psql('elsewhere', q{CREATE EXTENSION sagemaker_rt;
	CREATE FUNCTION score(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo';
	CREATE TABLE t (id int PRIMARY KEY, x float8, y float8);
	INSERT INTO t SELECT n, n FROM generate_series(1, 5) AS n});
$node->psql('elsewhere', "SELECT sagemaker_enqueue('t', 'score', ARRAY[id::text], 'y') FROM t", stderr => \$stderr);
is(() = $stderr =~ /WARNING:  no worker is configured for the queue of database "elsewhere"/g, 1,
	'without a worker there is one warning');
$node->append_conf('postgresql.conf', "sagemaker_rt.queue_databases = 'nosuch, elsewhere, postgres'");
$node->reload;
ok($node->poll_query_until('elsewhere', 'SELECT count(*) = 5 FROM t WHERE y = x'), 'a worker comes with a reload, and takes what waits');
ok(worker_pid($node), 'the others stay');

#
# Dump and restore.
#

forget();
$emulator->script('echo', [ { hang => JSON::PP::true } ]);
sql('INSERT INTO t (id, x) VALUES (1, 1)');
wait_until(sub { states($node) eq 'running 1' });
kill STOP => worker_pid($node);
sql('INSERT INTO t (id, x) VALUES (2, 2); UPDATE t SET x = 3 WHERE id = 1');
sql("INSERT INTO sagemaker_queue (state, role, model, relation, key, columns, due_at) VALUES ('done', 'postgres', 'score', 't', '{9}', '{y}', NULL)");
my $dump = "$PostgreSQL::Test::Utils::tmp_check/queue.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'the database is dumped');
my $archive = "$PostgreSQL::Test::Utils::tmp_check/queue.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $archive, $node->connstr('postgres') ], 'also as an archive');
kill CONT => worker_pid($node);
sql('CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '--exit-on-error', "--section=$_", '-d', $node->connstr('restored'), $archive ], "which is restored: $_")
  for 'pre-data', 'data', 'post-data';
my $waiting = "SELECT string_agg(key[1] || ' ' || state, ',' ORDER BY id) FROM sagemaker_queue";
is($node->safe_psql('restored', $waiting), '2 waiting,1 waiting', 'and what waited waits, once');
sql('DROP DATABASE restored');
sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'and restored');
is($node->safe_psql('restored', $waiting), '2 waiting,1 waiting', 'what waited waits; of two for a target one; what is done is done');
$node->safe_psql('restored', 'INSERT INTO t (id, x) VALUES (3, 3)');
is($node->safe_psql('restored', 'SELECT count(*) FROM sagemaker_queue'), '3', 'numbers go on from where they were');
sql('DROP DATABASE restored');

$first->quit;
$second->quit;
done_testing();
