# What becomes of rows of the queue that cannot be answered, and of a worker whose
# tables, roles and functions go away or are hostile.
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
my $node = start_queue('main', $emulator, "sagemaker_rt.queue_max_attempts = 2");
my $pid = wait_for_worker();

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub forget
{
	drained($node);
	sql('ALTER TABLE t DISABLE TRIGGER enqueue; TRUNCATE t; ALTER TABLE t ENABLE TRIGGER enqueue; DELETE FROM sagemaker_queue');
	$emulator->reset;
}

sub wait_for_worker
{
	my $pid;
	wait_until(sub { $pid = worker_pid($node) });
	return $pid;
}

# "id state sqlstate" of all rows, and the message of the last one.
sub told
{
	return sql(q{SELECT string_agg(concat_ws(' ', key[1], state, sqlstate), ', ' ORDER BY id) FROM sagemaker_queue});
}
sub message { return sql('SELECT message FROM sagemaker_queue ORDER BY id DESC LIMIT 1') }

# A row is taken only after that, which happens between its writing and its end.
sub after_enqueueing
{
	my ($write, $change) = @_;
	kill STOP => $pid;
	sql($write);
	sql($change);
	kill CONT => $pid;
	return drained($node);
}

#
# Whose failure it is.
#

my $bad = { use => 'model-error' };
$emulator->script('echo', [ $bad, {}, $bad, {}, $bad ]);
sql(q{CREATE FUNCTION one_by_one(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
	AS '{"endpoint": "echo", "concurrency": 1}';
	ALTER TABLE t DISABLE TRIGGER enqueue; INSERT INTO t (id, x) SELECT n, n FROM generate_series(1, 4) AS n; ALTER TABLE t ENABLE TRIGGER enqueue;
	SELECT sagemaker_enqueue('t', 'one_by_one', ARRAY[id::text], 'y') FROM t});
drained($node);
is(told(), '1 done, 2 done, 3 done, 4 dead 38000', 'a row that the model refuses is dead, and no other');
like(message(), qr/could not convert string to float/, 'with what the model said');
is(sql('SELECT count(*) FROM t WHERE y = x'), '3', 'the others are predicted');
is($emulator->request_count('echo'), 5, 'it is not sent again');

forget();
$emulator->script('echo', [ { use => 'access-denied' }, { use => 'access-denied' }, { use => 'access-denied' } ]);
sql('INSERT INTO t (id, x) SELECT n, n FROM generate_series(1, 3) AS n');
ok(wait_until(sub { told() eq '1 failed 28000, 2 failed 28000, 3 failed 28000' }), 'a failure of the endpoint as a whole is told');
is(sql('SELECT max(attempts) FROM sagemaker_queue'), '0', 'and held against no row');
ok(drained($node), 'which is tried again');
is(told(), '1 done, 2 done, 3 done', 'more often than a row may fail');

forget();
$emulator->script('echo', [ ({ use => 'service-unavailable' }) x 2 ]);
sql('INSERT INTO t (id, x) VALUES (1, 1)');
ok(wait_until(sub { told() eq '1 failed 58000' }), 'what may pass is tried again');
is(sql('SELECT due_at > finished_at FROM sagemaker_queue'), 't', 'after a pause');
drained($node);
is(told(), '1 dead 58000', 'up to queue_max_attempts');
sql('CREATE ROLE other; GRANT EXECUTE ON FUNCTION sagemaker_requeue TO other');
is(sql('SET ROLE other; SELECT sagemaker_requeue(max(id)) FROM (SELECT 1) AS one, (VALUES (' . sql('SELECT id FROM sagemaker_queue') . ')) AS v(id)'),
	'f', 'another role cannot have it tried again');
is(sql('SELECT sagemaker_requeue(id) FROM sagemaker_queue'), 't', 'its own can');
drained($node);
is(told(), '1 done', 'and it is done');
is(sql('SELECT sagemaker_requeue(id) FROM sagemaker_queue'), 'f', 'what is not dead is left alone');

forget();
sql(q{CREATE FUNCTION forgiving(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000
	AS '{"endpoint": "refuses", "on_error": "null"}'; UPDATE t SET y = 0});
$emulator->script('refuses', [ { use => 'internal-failure' } ], $bad);
sql("ALTER TABLE t DISABLE TRIGGER enqueue; INSERT INTO t VALUES (1, 1, '', 5); ALTER TABLE t ENABLE TRIGGER enqueue;
	SELECT sagemaker_enqueue('t', 'forgiving', '{1}', 'y')");
drained($node);
is(told(), '1 done 38000', 'where the model gives null for a failure, the row is done');
is(sql('SELECT y IS NULL FROM t'), 't', 'and gets it');

forget();
sql('ALTER TABLE t ADD CONSTRAINT small CHECK (y < 3)');
sql('INSERT INTO t (id, x) SELECT n, n FROM generate_series(1, 4) AS n');
drained($node);
is(told(), '1 done, 2 done, 3 dead 23514, 4 dead 23514', 'what a constraint refuses is dead, and nothing else');
sql('ALTER TABLE t DROP CONSTRAINT small');

#
# What goes away.
#

forget();
sql('CREATE ROLE leaving; GRANT INSERT, SELECT, UPDATE ON t TO leaving');
after_enqueueing('SET ROLE leaving; INSERT INTO t (id, x) VALUES (1, 1)', 'DROP OWNED BY leaving; DROP ROLE leaving');
is(told(), '1 dead 42704', 'a role that is gone makes a dead row');
like(message(), qr/role "leaving" does not exist/, 'which says so');

sql('CREATE ROLE limited; GRANT INSERT, SELECT ON t TO limited');
for ([ 'SELECT 1', '42501', 'without UPDATE', 't' ],
	[ 'GRANT UPDATE (other) ON t TO limited', '42501', 'with UPDATE of another column', 't' ],
	[ 'GRANT UPDATE (y) ON t TO limited; REVOKE SELECT ON t FROM limited', '42501', 'without SELECT', 't' ],
	[ 'GRANT SELECT ON t TO limited; REVOKE EXECUTE ON FUNCTION score FROM PUBLIC', '42501', 'without EXECUTE', 't' ])
{
	my ($change, $sqlstate, $what) = @$_;
	forget();
	after_enqueueing('SET ROLE limited; INSERT INTO t (id, x) VALUES (1, 1)', $change);
	is(told(), "1 dead $sqlstate", "dead: $what");
}
sql('GRANT EXECUTE ON FUNCTION score TO limited');
forget();
after_enqueueing('SET ROLE limited; INSERT INTO t (id, x) VALUES (1, 1)', 'ALTER TABLE t ENABLE ROW LEVEL SECURITY');
is(sql('SELECT state || \': \' || message FROM sagemaker_queue'), 'done: the row is not there, or cannot be seen by its role',
	'row-level security holds');
sql('ALTER TABLE t DISABLE ROW LEVEL SECURITY; GRANT EXECUTE ON FUNCTION score TO PUBLIC');

for ([ 'ALTER TABLE u DROP COLUMN y', '42703', 'a target' ],
	[ 'ALTER TABLE u DROP COLUMN x', '42703', 'an input' ],
	[ 'ALTER TABLE u DROP CONSTRAINT u_pkey', '42P10', 'a primary key' ],
	[ 'DROP TABLE u', '42P01', 'a table' ],
	[ 'DROP FUNCTION v', '42883', 'a model' ],
	[ 'DROP FUNCTION v; CREATE FUNCTION v(x float8) RETURNS float8 LANGUAGE sql AS \'SELECT 1.0::float8\'', '42883', 'a function that is no model' ],
	[ 'DROP TABLE u; CREATE VIEW u AS SELECT 1 AS id, 1.0::float8 AS x, 1.0::float8 AS y', '42809', 'a view in its place' ])
{
	my ($change, $sqlstate, $what) = @$_;
	forget();
	sql(q{CREATE TABLE u (id int PRIMARY KEY, x float8, y float8); INSERT INTO u VALUES (1, 1);
		CREATE FUNCTION v(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo'});
	after_enqueueing("SELECT sagemaker_enqueue('u', 'v', '{1}', 'y')", $change);
	is(told(), "1 dead $sqlstate", "dead: $what");
	sql('DROP FUNCTION IF EXISTS v');
	$node->psql('postgres', 'DROP TABLE IF EXISTS u') if $sqlstate ne '42809';
}
sql('DROP VIEW u');

# While the model is asked.
for ([ 'ALTER TABLE u ALTER y TYPE numeric', '1 failed 40001', 'its type changes' ],
	[ 'ALTER TABLE u ALTER x TYPE float4', '1 failed 40001', 'the type of an input changes' ],
	[ 'DROP TABLE u; CREATE TABLE u (id int PRIMARY KEY, x float8, y float8); INSERT INTO u VALUES (1, 1)', '1 failed 40001', 'it is replaced' ],
	[ 'DROP TABLE u', '1 dead 42P01', 'it is dropped' ])
{
	my ($change, $told, $what) = @$_;
	forget();
	sql('CREATE TABLE u (id int PRIMARY KEY, x float8, y float8); INSERT INTO u VALUES (1, 1)');
	$emulator->script('echo', [ { delay_ms => 800 } ]);
	sql("SELECT sagemaker_enqueue('u', 'score', '{1}', 'y')");
	wait_until(sub { $emulator->request_count('echo') > 0 });
	sql($change);
	ok(wait_until(sub { told() eq $told }), "while the model is asked for a row of a table, $what");
	drained($node);
	is(sql('SELECT y FROM u'), '1', 'in the end it is predicted') if $told !~ /dead/;
	sql('DROP TABLE IF EXISTS u');
}

forget();
$emulator->script('echo', [ { delay_ms => 800 } ]);
sql('INSERT INTO t (id, x) VALUES (1, 1)');
wait_until(sub { $emulator->request_count('echo') > 0 });
sql('DROP EXTENSION sagemaker_rt CASCADE');
ok(wait_until(sub { sql("SELECT state FROM pg_stat_activity WHERE pid = $pid") eq 'idle' }), 'a worker outlives its extension');
sql(q{CREATE SCHEMA models; CREATE EXTENSION sagemaker_rt SCHEMA models;
	CREATE FUNCTION score(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_attempts": 1}';
	CREATE TRIGGER enqueue AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION models.sagemaker_enqueue_row('public.score', 'y');
	UPDATE t SET x = 2});
ok(wait_until(sub { sql('SELECT y FROM t') eq '2' }), 'and serves the next one');
sql('DROP EXTENSION sagemaker_rt CASCADE; DROP SCHEMA models; CREATE EXTENSION sagemaker_rt');
sql(q{CREATE FUNCTION score(x float8) RETURNS float8 LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_attempts": 1}';
	CREATE TRIGGER enqueue AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row('public.score', 'y')});
is(worker_pid($node), $pid, 'it is the same worker all the time');
forget();

#
# What is hostile.
#

# Before PostgreSQL 15 everybody might create tables in the schema public.
sql(q{REVOKE CREATE ON SCHEMA public FROM PUBLIC;
	CREATE ROLE mallory LOGIN; CREATE SCHEMA lair AUTHORIZATION mallory;
	GRANT EXECUTE ON FUNCTION sagemaker_enqueue, sagemaker_enqueue_row TO mallory;
	CREATE TABLE lair.booty (who text, outcome text); GRANT INSERT, SELECT ON lair.booty TO mallory});

# What his code tries wherever it is run.  Each attempt is noted with who it ran as.
sql(q{SET ROLE mallory;
	CREATE FUNCTION lair.attempt(what text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE what;
		INSERT INTO lair.booty VALUES (current_user, 'succeeded: ' || what);
		RETURN true;
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO lair.booty VALUES (current_user, SQLSTATE);
		RETURN true;
	END $$;
	CREATE FUNCTION lair.rob() RETURNS boolean LANGUAGE sql AS $$
		SELECT bool_and(lair.attempt(what)) FROM unnest(ARRAY[
			'SET ROLE postgres', 'RESET ROLE', 'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
			'ALTER ROLE mallory SUPERUSER', 'CREATE TABLE public.stolen ()', 'UPDATE sagemaker_queue SET role = ''postgres''',
			'CREATE TEMP TABLE stolen (a int)', 'PREPARE theft AS SELECT 1', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1']) AS what
	$$;
	CREATE FUNCTION lair.strike() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM lair.rob();
		-- What should not outlive this.
		SET search_path = lair, pg_catalog;
		SET sagemaker_rt.timeout = '1ms';
		SET enable_indexscan = off;
		PERFORM pg_advisory_lock(4711);
		RETURN NEW;
	END $$;
	CREATE FUNCTION lair.always(text, text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN RETURN lair.rob(); END $$;
	CREATE OPERATOR lair.= (FUNCTION = lair.always, LEFTARG = text, RIGHTARG = text);
	CREATE FUNCTION lair.now() RETURNS timestamptz LANGUAGE plpgsql AS $$
	BEGIN PERFORM lair.rob(); RETURN pg_catalog.now(); END $$});

# His own session may do what a session may; the worker does nothing meanwhile.
sub as_mallory
{
	kill STOP => $pid;
	$node->safe_psql('postgres', $_[0], extra_params => [ '-U', 'mallory' ]);
	sql('DELETE FROM lair.booty');
	kill CONT => $pid;
	return drained($node);
}

sub robbed
{
	my ($what) = @_;
	drained($node);
	is(sql("SELECT string_agg(DISTINCT who, ',') FROM lair.booty"), 'mallory', "$what runs as the role of the row");
	is(sql("SELECT coalesce(string_agg(DISTINCT outcome, '; '), '') FROM lair.booty WHERE outcome LIKE 'succeeded%'"), '',
		'in a restricted operation');
	is(sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"), 'f', 'and gains nothing');
	is(sql("SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype = 'advisory'"), '0', 'it leaves no lock');
	sql('DELETE FROM lair.booty');
	forget();
	sql('INSERT INTO t (id, x) VALUES (1, 1)');
	drained($node);
	is(told(), '1 done', 'and the worker goes on');
	forget();
}

for my $kind ('BEFORE UPDATE', 'AFTER UPDATE')
{
	as_mallory(qq{CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
		CREATE TRIGGER strike $kind ON lair.bait FOR EACH ROW EXECUTE FUNCTION lair.strike();
		INSERT INTO lair.bait VALUES (1, 1), (2, 2);
		SELECT sagemaker_enqueue('lair.bait', 'score', ARRAY[id::text], 'y') FROM lair.bait});
	is(told(), '1 done, 2 done', 'a trigger of the table is run');
	robbed("a trigger $kind");
	sql('DROP TABLE lair.bait');
}

as_mallory(q{ CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
	CREATE CONSTRAINT TRIGGER strike AFTER UPDATE ON lair.bait DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION lair.strike();
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
is(told(), '1 done', 'a deferred trigger fires with the write');
robbed('a deferred trigger');
sql('DROP TABLE lair.bait');

as_mallory(q{
	CREATE FUNCTION lair.postpone() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NEW; END $$;
	CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
	CREATE TRIGGER postpone BEFORE UPDATE ON lair.bait FOR EACH ROW EXECUTE FUNCTION lair.postpone();
	CREATE CONSTRAINT TRIGGER strike AFTER UPDATE ON lair.bait DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION lair.strike();
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
is(told(), '1 dead 42501', 'one that is deferred by another trigger is refused');
is(sql('SELECT count(*) FROM lair.booty'), '0', 'and never runs');
sql('DROP TABLE lair.bait');
forget();

as_mallory(q{ CREATE DOMAIN lair.greedy AS float8 CHECK (lair.rob());
	CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y lair.greedy);
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
is(told(), '1 done', 'a domain of his is checked');
robbed('a domain\'s check');
sql('DROP TABLE lair.bait');

as_mallory(q{ CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
	ALTER TABLE lair.bait ENABLE ROW LEVEL SECURITY; ALTER TABLE lair.bait FORCE ROW LEVEL SECURITY;
	CREATE POLICY strike ON lair.bait USING (lair.rob());
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
is(told(), '1 done', 'a policy of his is asked');
robbed('a policy');
sql('DROP TABLE lair.bait');

as_mallory(q{ CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
	CREATE FUNCTION lair.raise() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.id = 2 THEN RAISE 'not this one%', repeat('!', 10000000); END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER strike BEFORE UPDATE ON lair.bait FOR EACH ROW EXECUTE FUNCTION lair.raise();
	INSERT INTO lair.bait VALUES (1, 1), (2, 2), (3, 3);
	SELECT sagemaker_enqueue('lair.bait', 'score', ARRAY[id::text], 'y') FROM lair.bait});
is(told(), '1 done, 2 dead P0001, 3 done', 'what a trigger raises is of its row');
is(sql('SELECT max(length(message)) FROM sagemaker_queue'), '2000', 'and is not kept beyond measure');
sql('DROP TABLE lair.bait');
forget();

# A rule's actions have its owner's rights to tables, and no others.
as_mallory(q{ CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8); CREATE TABLE lair.log (robbed boolean);
	CREATE RULE also AS ON UPDATE TO lair.bait DO ALSO INSERT INTO lair.log SELECT lair.rob();
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
is(told(), '1 done', 'a rule that does something besides');
robbed('a rule');
sql('DROP TABLE lair.bait');
as_mallory(q{ CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
	CREATE RULE instead AS ON UPDATE TO lair.bait DO INSTEAD SELECT lair.rob();
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
is(told(), '1 dead 0A000', 'a rule in place of the update: the row is dead');
is(sql('SELECT count(*) FROM lair.booty'), '0', 'and the rule never runs');
sql('DROP TABLE lair.bait, lair.log');
forget();

# A key whose equality is his own function, and a generated column that is an input.
as_mallory(q{ CREATE TYPE lair.secret AS (v int);
	CREATE FUNCTION lair.note() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN INSERT INTO lair.booty VALUES (current_user, 'compared'); END $$;
	CREATE FUNCTION lair.cmp(a lair.secret, b lair.secret) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN PERFORM lair.note(); RETURN pg_catalog.btint4cmp((a).v, (b).v); END $$;
	CREATE FUNCTION lair.eq(a lair.secret, b lair.secret) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT lair.cmp(a, b) OPERATOR(pg_catalog.=) 0';
	CREATE FUNCTION lair.lt(a lair.secret, b lair.secret) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT lair.cmp(a, b) OPERATOR(pg_catalog.<) 0';
	CREATE FUNCTION lair.gt(a lair.secret, b lair.secret) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT lair.cmp(a, b) OPERATOR(pg_catalog.>) 0';
	CREATE OPERATOR lair.=== (FUNCTION = lair.eq, LEFTARG = lair.secret, RIGHTARG = lair.secret);
	CREATE OPERATOR lair.<<< (FUNCTION = lair.lt, LEFTARG = lair.secret, RIGHTARG = lair.secret);
	CREATE OPERATOR lair.>>> (FUNCTION = lair.gt, LEFTARG = lair.secret, RIGHTARG = lair.secret);});
# Who makes operator classes is a superuser; whose functions they call need not be.
# A comparison holds a page, so that it cannot have an attempt fail, but it can tell.
sql('CREATE OPERATOR CLASS lair.secret_ops DEFAULT FOR TYPE lair.secret USING btree AS
	OPERATOR 1 lair.<<<, OPERATOR 3 lair.===, OPERATOR 5 lair.>>>, FUNCTION 1 lair.cmp(lair.secret, lair.secret)');
as_mallory(q{ CREATE FUNCTION lair.twice(v float8) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN PERFORM lair.rob(); RETURN 2 * v; END $$;
	CREATE TABLE lair.bait (id lair.secret PRIMARY KEY, v float8, x float8 GENERATED ALWAYS AS (lair.twice(v)) STORED, y float8);
	INSERT INTO lair.bait VALUES (ROW(1), 1), (ROW(2), 2);
	SELECT sagemaker_enqueue('lair.bait', 'score', ARRAY[id::text], 'y') FROM lair.bait});
is(states($node), 'done 2', 'a key with operators of his, and a generated input');
is(sql('SELECT count(*) FROM lair.bait WHERE y = x AND x = 2 * v'), '2', 'are read and written');
robbed('an operator');
sql('DROP TABLE lair.bait');
as_mallory(q{ CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8 GENERATED ALWAYS AS (x + 1) STORED);
	INSERT INTO lair.bait VALUES (1, 1)});
fails_with($node, "SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')", '428C9', qr/is generated/, 'a generated column takes no prediction');
sql('DROP TABLE lair.bait');
forget();

# Whatever a search_path of the row's role, the database or the caller has.
sql(q{CREATE SCHEMA trap AUTHORIZATION mallory; SET ROLE mallory;
	CREATE FUNCTION trap.fooled(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM lair.rob(); RETURN true; END $$;
	CREATE OPERATOR trap.= (FUNCTION = trap.fooled, LEFTARG = anyelement, RIGHTARG = anyelement);
	CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN PERFORM lair.rob(); RETURN pg_catalog.now(); END $$;
	CREATE FUNCTION trap.score(x float8) RETURNS float8 LANGUAGE plpgsql AS $$BEGIN PERFORM lair.rob(); RETURN 13; END $$;
	CREATE TABLE trap.t (id int PRIMARY KEY, x float8, y float8); CREATE TABLE trap.sagemaker_queue (id int)});
sql('ALTER DATABASE postgres SET search_path = trap, pg_catalog, public');
$node->safe_psql('postgres', q{INSERT INTO public.t (id, x) VALUES (1, 1)});
ok(wait_until(sub { sql('SELECT y FROM public.t WHERE id = 1') eq '1' }), 'objects in a search_path have no part in enqueueing and answering');
is(sql('SELECT count(*) FROM lair.booty'), '0', 'and are not run');
sql('ALTER DATABASE postgres RESET search_path; DROP SCHEMA trap CASCADE');
forget();

#
# Other names, and other owners, while rows wait.
#

sql(q{CREATE ROLE heir; GRANT SELECT, INSERT, UPDATE ON t TO heir;
	CREATE TABLE u (id int PRIMARY KEY, x float8, y float8); INSERT INTO u VALUES (1, 1)});
for ([ 'ALTER TABLE u RENAME TO renamed', 'ALTER TABLE renamed RENAME TO u', '42P01', 'a table' ],
	[ 'ALTER TABLE u RENAME y TO renamed', 'ALTER TABLE u RENAME renamed TO y', '42703', 'a column' ],
	[ 'ALTER FUNCTION score RENAME TO renamed', 'ALTER FUNCTION renamed RENAME TO score', '42883', 'a model' ],
	[ 'ALTER ROLE heir RENAME TO renamed', 'ALTER ROLE renamed RENAME TO heir', '42704', 'a role' ])
{
	my ($change, $back, $sqlstate, $what) = @$_;
	after_enqueueing(($what eq 'a role' ? "SET ROLE heir; INSERT INTO t (id, x) VALUES (1, 1)" : "SELECT sagemaker_enqueue('u', 'score', '{1}', 'y')"), $change);
	is(told(), "1 dead $sqlstate", "rows hold names: $what is renamed, and its rows are dead");
	sql($back);
	is(sql('SELECT sagemaker_requeue(id) FROM sagemaker_queue'), 't', 'until the name is back');
	drained($node);
	is(told(), '1 done', 'and they are tried again');
	forget();
}
after_enqueueing("SELECT sagemaker_enqueue('u', 'score', '{1}', 'y')", 'ALTER TABLE u OWNER TO heir; REASSIGN OWNED BY heir TO other');
is(told(), '1 done', 'REASSIGN OWNED of the table makes no difference to whoever enqueued');
forget();
after_enqueueing('SET ROLE heir; INSERT INTO t (id, x) VALUES (1, 1)', 'DROP OWNED BY heir');
is(told(), '1 dead 42501', 'DROP OWNED of the role takes its rights');
sql('DROP TABLE u');
forget();

# Names.
sql(q{CREATE ROLE "Ro le"; CREATE SCHEMA "S p" AUTHORIZATION "Ro le"; GRANT EXECUTE ON FUNCTION sagemaker_enqueue_row TO "Ro le";
	GRANT USAGE ON LANGUAGE sagemaker TO "Ro le";
	SET ROLE "Ro le"; CREATE DOMAIN "S p"."D""om" AS float8;
	CREATE FUNCTION "S p"."m'x"("X y';" "S p"."D""om") RETURNS "S p"."D""om" LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo';
	CREATE TABLE "S p"."T""a'b;" ("i d" text, "$1" int, "X y';" "S p"."D""om", "Y""z'" float8, PRIMARY KEY ("$1", "i d"));
	CREATE TRIGGER e AFTER INSERT ON "S p"."T""a'b;" FOR EACH ROW
		EXECUTE FUNCTION sagemaker_enqueue_row('"S p"."m''x"', 'Y"z''');
	INSERT INTO "S p"."T""a'b;" VALUES ('one "; DROP', 1, 1.5), ('{two, \\}', 2, 2.5)});
drained($node);
is(states($node), 'done 2', 'names and keys that need quotes');
is(sql(q{SELECT count(*) FROM "S p"."T""a'b;" WHERE "X y';" = "Y""z'"}), '2', 'are quoted');
forget();

#
# What takes too long.
#

$node->append_conf('postgresql.conf', "sagemaker_rt.queue_lease = '1s'");
$node->reload;
sql(q{SET ROLE mallory; CREATE TABLE lair.bait (id int PRIMARY KEY, x float8, y float8);
	CREATE FUNCTION lair.sleep() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$;
	CREATE TRIGGER strike BEFORE UPDATE ON lair.bait FOR EACH ROW EXECUTE FUNCTION lair.sleep();
	INSERT INTO lair.bait VALUES (1, 1);
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
ok(wait_until(sub { told() =~ /^1 failed 57014/ }), 'what a table\'s code takes is cancelled when the lease ends');
ok(drained($node), 'and again');
is(told(), '1 dead 57014', 'until its row is dead');
is(worker_pid($node), $pid, 'the worker goes on');
forget();

sql(q{SET ROLE mallory;
	CREATE OR REPLACE FUNCTION lair.sleep() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(3600);
			EXCEPTION WHEN query_canceled THEN
			END;
		END LOOP;
	END $$;
	SELECT sagemaker_enqueue('lair.bait', 'score', '{1}', 'y')});
ok(drained($node), 'code that does not let itself be cancelled ends with the worker');
is(told(), '1 dead 58000', 'and in the end its row is dead');
isnt(wait_for_worker(), $pid, 'another worker is there');
forget();
sql('INSERT INTO t (id, x) VALUES (1, 1)');
drained($node);
is(told(), '1 done', 'and goes on');

done_testing();
