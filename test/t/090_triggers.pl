# Triggers that predict: what is sent, what is stored, and what is not sent.
#
# The models are identities, so that a prediction on the wrong row shows.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION same(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION scaled(x int, s text, OUT a int, OUT b text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "version": "v1"}';
CREATE FUNCTION number(s text) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION number_or_null(s text) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "on_error": "null"}';
CREATE FUNCTION picky(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "picky", "on_error": "warning"}';
CREATE FUNCTION denied(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "access-denied", "on_error": "null"}';
CREATE FUNCTION explained(s text, OUT score text, OUT why text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "picky", "columns": {"why": "$error.sqlstate"}}';
CREATE FUNCTION whole(s text, x int) RETURNS jsonb LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "format": "jsonlines"}';
SQL

sub sql { return $node->safe_psql('postgres', $_[0]) }

# How many requests to echo a statement made.
sub requests_of
{
	my ($sql) = @_;
	$emulator->reset;
	sql($sql);
	return $emulator->request_count('echo');
}

# A table t with a trigger of each kind on it, one kind at a time.
sub table_with
{
	my ($kind, $columns, @arguments) = @_;
	my $arguments = join ', ', map { "'$_'" } @arguments;
	sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, $columns);");
	sql($kind eq 'row'
		? "CREATE TRIGGER predict BEFORE INSERT OR UPDATE ON t FOR EACH ROW
			EXECUTE FUNCTION sagemaker_predict_row($arguments)"
		: "CREATE TRIGGER predict_new AFTER INSERT ON t REFERENCING NEW TABLE AS n
			FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($arguments);
		CREATE TRIGGER predict_changed AFTER UPDATE ON t REFERENCING NEW TABLE AS n OLD TABLE AS o
			FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($arguments)");
}

my $unscored = 'SELECT count(*) FROM t WHERE score IS DISTINCT FROM x';

for my $kind ('row', 'statement')
{
	# Requests that n new rows make.
	my $cost = sub { $kind eq 'row' ? $_[0] : int(($_[0] + 99) / 100) };

	table_with($kind, 'x int, note text, score int', 'public.same', 'score');
	is(requests_of('INSERT INTO t SELECT i, i * 2 FROM generate_series(1, 250) i'), $cost->(250), "$kind: INSERT");
	is(sql($unscored), 0, "$kind: INSERT scores each row");
	is(requests_of("UPDATE t SET note = 'seen'"), 0, "$kind: update of another column: no call");
	is(requests_of('UPDATE t SET x = x'), 0, "$kind: update of an input to what it is: no call");
	is(requests_of('UPDATE t SET score = NULL WHERE id = 1'), 0, "$kind: update of the score: no call");
	sql('UPDATE t SET score = x WHERE id = 1');
	is(requests_of('UPDATE t SET x = x + 1 WHERE id <= 5'), $cost->(5), "$kind: UPDATE of an input");
	is(sql($unscored), 0, "$kind: UPDATE scores what changed");
	is(requests_of('UPDATE t SET x = x + (id % 2) WHERE id <= 10'), $kind eq 'row' ? 5 : 1,
		"$kind: of an UPDATE's rows only those that changed");
	is(sql($unscored), 0, "$kind: and they are scored");
	is(requests_of('DELETE FROM t WHERE id > 200'), 0, "$kind: DELETE: no call");
	is(requests_of("COPY t (id, x) FROM PROGRAM 'seq 1001 1120 | sed \"s/.*/&\\t&/\"'"), $cost->(120), "$kind: COPY");
	is(sql($unscored), 0, "$kind: COPY scores each row");
	is(requests_of('INSERT INTO t VALUES (1, 70), (2000, 71) ON CONFLICT (id) DO UPDATE SET x = excluded.x'),
		$kind eq 'row' ? 3 : 2, "$kind: ON CONFLICT" . ($kind eq 'row' ? ', which fires the INSERT trigger before it knows' : ''));
	is(sql($unscored), 0, "$kind: ON CONFLICT scores both");
	is(requests_of('INSERT INTO t VALUES (1, 90) ON CONFLICT (id) DO NOTHING'),
		$kind eq 'row' ? 1 : 0, "$kind: ON CONFLICT DO NOTHING");
	is(sql($unscored), 0, "$kind: and leaves the row alone");
  SKIP:
	{
		skip 'no MERGE', 2 if $major < 15;
		is(requests_of('MERGE INTO t USING (VALUES (1, 5), (2, (SELECT x FROM t WHERE id = 2)), (3000, 6)) AS v (id, x)
			ON t.id = v.id WHEN MATCHED THEN UPDATE SET x = v.x WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.x)'),
			2, "$kind: MERGE");
		is(sql($unscored), 0, "$kind: MERGE scores what it changed");
	}
	is(requests_of('UPDATE t SET id = 5000 WHERE id = 3'), $kind eq 'row' ? 0 : 1,
		"$kind: a changed key" . ($kind eq 'row' ? '' : ' is a new row'));
	is(requests_of('BEGIN; INSERT INTO t VALUES (6000, 1); ROLLBACK; SELECT 1'), 1, "$kind: a call that was rolled back was made");
	is(sql('SELECT count(*) FROM t WHERE id = 6000'), 0, "$kind: and left nothing");
	is(requests_of('UPDATE t SET x = x + 1 WHERE false'), 0, "$kind: a statement without rows: no call");

	table_with($kind, 'x smallint, s varchar(20), a bigint, b varchar(10), at timestamptz, who text, label text',
		'public.scaled(integer, text)', 'a', 'b', 'made_at=at', 'variant=who', 'version=label');
	sql("INSERT INTO t VALUES (1, 7, 'seven'), (2, NULL, 'none')");
	is(sql("SELECT id, a, b, at BETWEEN now() - interval '1 minute' AND now() + interval '1 minute', who, label FROM t ORDER BY id"),
		"1|7|seven|t|AllTraffic|v1\n2||none|t|AllTraffic|v1", "$kind: columns of a result, other types, stamps");
	fails_with($node, "INSERT INTO t VALUES (3, 1, 'longer than b')", '22001', qr/too long/, "$kind: a prediction that does not fit its column");

	table_with($kind, 'x int, s text, score jsonb', 'public.whole', 'score');
	sql(q{INSERT INTO t VALUES (1, 3, 'a "quoted" text')});
	is(sql('SELECT score FROM t'), '{"s": "a \"quoted\" text", "x": 3}', "$kind: a value that is a whole object");

	# Failures.
	table_with($kind, 's text, score int', 'public.number', 'score');
	fails_with($node, "INSERT INTO t VALUES (1, '4'), (2, 'bad')", '38S01', qr/prediction for row/, "$kind: on_error error: the statement fails");
	is(sql('SELECT count(*) FROM t'), 0, "$kind: and stores nothing");
	table_with($kind, 's text, score int', 'public.number_or_null', 'score');
	sql("INSERT INTO t VALUES (1, '4'), (2, 'bad'), (3, '5')");
	is(sql('SELECT score FROM t ORDER BY id'), "4\n\n5", "$kind: on_error null: the others have their predictions");
	sql("UPDATE t SET s = 'bad' WHERE id = 1");
	is(sql('SELECT score FROM t WHERE id = 1'), '', "$kind: and an old score does not stay");
	table_with($kind, 's text, score text', 'public.picky', 'score');
	my ($status, $out, $err) = $node->psql('postgres', "INSERT INTO t VALUES (1, 'a'), (2, 'poison'), (3, 'b')");
	like($err, qr/WARNING:.*the model failed/, "$kind: on_error warning warns");
	is(sql('SELECT score FROM t ORDER BY id'), "a\n\nb", "$kind: and the others have their predictions");

	table_with($kind, 'x int, score int', 'public.denied', 'score');
	fails_with($node, 'INSERT INTO t VALUES (1, 1)', '28000', qr/access denied/, "$kind: what fails all rows is an error whatever on_error says");
	table_with($kind, 's text, score text, why text', 'public.explained', 'score', 'why');
	sql("INSERT INTO t VALUES (1, 'a'), (2, 'poison'), (3, 'b')");
	is(sql('SELECT score, why FROM t ORDER BY id'), "a|\n|38000\nb|", "$kind: errors are data where the model says so");

	# Names that need quotes, and keys of several columns.
	sql(q{DROP SCHEMA IF EXISTS "a ""b" CASCADE; CREATE SCHEMA "a ""b";
		CREATE FUNCTION "a ""b"."f '(x"("select" int, "X y" text, OUT a int, OUT b text) LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo';
		CREATE TABLE "a ""b"."t;" ("k 1" text COLLATE "C", "k""2" int, "select" int, "X y" text, "s; DROP" int, "from" text,
			PRIMARY KEY ("k""2", "k 1"));});
	my $arguments = q{'"a ""b"."f ''(x"(integer,text)', 's; DROP', 'from'};
	sql($kind eq 'row'
		? qq{CREATE TRIGGER t BEFORE INSERT OR UPDATE ON "a ""b"."t;" FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row($arguments)}
		: qq{CREATE TRIGGER t AFTER INSERT ON "a ""b"."t;" REFERENCING NEW TABLE AS "n n" FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($arguments)});
	sql(q{INSERT INTO "a ""b"."t;" VALUES ('a', 1, 1, 'one'), ('b', 1, 2, 'two')});
	is(sql(q{SELECT "s; DROP", "from" FROM "a ""b"."t;" ORDER BY 1}), "1|one\n2|two", "$kind: names that need quotes");

	# Partitions.
	sql("DROP TABLE t; CREATE TABLE t (id int, x int, score int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
		CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100);
		CREATE TABLE t2 (score int, dropped int, id int NOT NULL, x int); ALTER TABLE t2 DROP dropped;
		ALTER TABLE t ATTACH PARTITION t2 FOR VALUES FROM (100) TO (200);");
	sql($kind eq 'row'
		? "CREATE TRIGGER predict BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row('public.same', 'score')"
		: "CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.same', 'score')");
	sql('INSERT INTO t (id, x) VALUES (1, 10), (101, 20)');
	is(sql('SELECT id, score FROM t ORDER BY id'), "1|10\n101|20", "$kind: partitions with columns in another order");

	# What a trigger cannot be.
	for (
		[ "x int, score int", "'public.same'", '22023', 'too few arguments' ],
		[ "x int, score int", "'public.none', 'score'", '42883', 'does not exist' ],
		[ "x int, score int", "'same', 'score'", '42883', 'does not exist' ],
		[ "x int, score int", "'pg_catalog.abs(integer)', 'score'", '42883', 'is not a model' ],
		[ "x int, score int", "'public.same', 'scores'", '42703', 'no column "scores"' ],
		[ "y int, score int", "'public.same', 'score'", '42703', 'no column "x"' ],
		[ "x text, score int", "'public.same', 'score'", '42804', 'is of type text' ],
		[ "x int, score point", "'public.same', 'score'", '42804', 'does not take type integer' ],
		[ "x int, score int", "'public.same', 'score', 'score'", '42804', 'there are 2 columns' ],
		[ "x int, score int", "'public.same', 'x'", '22023', 'both input and output' ],
		[ "x int, score text", "'public.same', 'score', 'version=score'", '42701', 'named twice' ],
		[ "x int, score int GENERATED ALWAYS AS (1) STORED", "'public.same', 'score'", '428C9', 'is generated' ])
	{
		my ($columns, $given, $sqlstate, $message) = @$_;
		sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, $columns);");
		sql($kind eq 'row'
			? "CREATE TRIGGER predict BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row($given)"
			: "CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($given)");
		fails_with($node, 'INSERT INTO t (id) VALUES (1)', $sqlstate, qr/\Q$message\E/, "$kind: ($columns), $given: $message");
	}
}

# Events.
sql('DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, x int, score int)');
for (
	[ 'AFTER INSERT', '', 'ROW', 'row' ],
	[ 'BEFORE INSERT', '', 'STATEMENT', 'row' ],
	[ 'BEFORE INSERT', '', 'STATEMENT', 'rows' ],
	[ 'AFTER INSERT', '', 'ROW', 'rows' ],
	[ 'AFTER INSERT', '', 'STATEMENT', 'rows' ])
{
	my ($when, $referencing, $each, $function) = @$_;
	sql("CREATE OR REPLACE TRIGGER wrong $when ON t $referencing FOR EACH $each EXECUTE FUNCTION sagemaker_predict_$function('public.same', 'score')") if $major >= 14;
	next if $major < 14;
	fails_with($node, 'INSERT INTO t VALUES (1, 1)', '39P01', qr/must be fired|has no transition tables/, "$when EACH $each is nothing for sagemaker_predict_$function()");
}
sql('DROP TABLE t; CREATE TABLE t (id int, x int, score int);
	CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($$public.same$$, $$score$$)');
fails_with($node, 'INSERT INTO t VALUES (1, 1)', '42P10', qr/has no primary key/, 'statement: a table without a primary key');
sql('ALTER TABLE t ADD PRIMARY KEY (id) DEFERRABLE');
fails_with($node, 'INSERT INTO t VALUES (1, 1)', '42P10', qr/has no primary key/, 'statement: a deferrable key is none');
sql('DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, y int, x int GENERATED ALWAYS AS (y + 1) STORED, score int);
	CREATE TRIGGER predict BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row($$public.same$$, $$score$$)');
fails_with($node, 'INSERT INTO t (id, y) VALUES (1, 1)', '0A000', qr/is generated/, 'row: a generated column has no value yet');
sql('DROP TRIGGER predict ON t; CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($$public.same$$, $$score$$)');
sql('INSERT INTO t (id, y) VALUES (1, 1)');
is(sql('SELECT score FROM t'), 2, 'statement: a generated column is an input');

#
# Models that feed each other, and triggers that never end.
#
sql('DROP TABLE t; CREATE FUNCTION second(score int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS $$echo$$;
	CREATE TABLE t (id int PRIMARY KEY, x int, score int, score2 int);
	CREATE TRIGGER a AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($$public.same$$, $$score$$);
	CREATE TRIGGER b AFTER UPDATE ON t REFERENCING NEW TABLE AS n OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($$public.second$$, $$score2$$)');
is(requests_of('INSERT INTO t VALUES (1, 10), (2, 20)'), 2, 'a prediction that is the input of another model is a change');
is(sql('SELECT score, score2 FROM t ORDER BY id'), "10|10\n20|20", 'and is scored');
sql('CREATE FUNCTION disturb() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE t SET x = x + 1; RETURN NULL; END$$;
	CREATE TRIGGER c AFTER UPDATE OF score ON t FOR EACH STATEMENT EXECUTE FUNCTION disturb();
	CREATE TRIGGER d AFTER UPDATE ON t REFERENCING NEW TABLE AS n OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows($$public.same$$, $$score$$)');
$emulator->reset;
fails_with($node, 'UPDATE t SET x = 1 WHERE id = 1', '54001', qr/triggers deep/, 'triggers that change inputs for ever end');
cmp_ok($emulator->request_count('echo'), '<=', 40, 'after a bounded number of calls');

#
# Who writes, signs.
#
sql(<<'SQL');
DROP TABLE t;
CREATE ROLE writer LOGIN;
CREATE ROLE modeller;
CREATE FUNCTION secret(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo';
REVOKE EXECUTE ON FUNCTION secret FROM PUBLIC;
CREATE TABLE t (id int PRIMARY KEY, x int, score int);
GRANT INSERT (id, x), UPDATE (x), SELECT ON t TO writer;
CREATE TRIGGER predict BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row('public.secret', 'score');
SQL
fails_with($node, 'SET ROLE writer; INSERT INTO t VALUES (1, 1)', '42501', qr/permission denied for function secret/, 'row: who writes needs EXECUTE on the model');
sql('GRANT EXECUTE ON FUNCTION secret TO writer');
sql('SET ROLE writer; INSERT INTO t VALUES (1, 1)');
is(sql('SELECT score FROM t'), 1, 'row: a column that the writer may not write takes the prediction');
sql(q{DROP TRIGGER predict ON t; CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.secret', 'score')});
fails_with($node, 'SET ROLE writer; INSERT INTO t VALUES (2, 2)', '42501', qr/permission denied for table t/, 'statement: who writes needs UPDATE on the column');
sql('GRANT UPDATE (score) ON t TO writer');
sql('SET ROLE writer; INSERT INTO t VALUES (2, 2)');
is(sql('SELECT score FROM t WHERE id = 2'), 2, 'statement: with it, it is written');
# A definer's model signs with the definer's mapping.
sql('CREATE SERVER elsewhere FOREIGN DATA WRAPPER sagemaker OPTIONS (region $$us-east-1$$, endpoint_url $$' . $emulator->fact('url') . q{$$);
	GRANT USAGE ON FOREIGN SERVER elsewhere TO modeller;
	CREATE USER MAPPING FOR modeller SERVER elsewhere OPTIONS (access_key_id 'AKIDEMULATOR', secret_access_key 'emulator-secret-access-key');
	CREATE FUNCTION lent(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "server": "elsewhere"}';
	CREATE TRIGGER lent AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.lent', 'score');});
fails_with($node, 'SET ROLE writer; INSERT INTO t VALUES (3, 3)', '42501', qr/elsewhere/, 'statement: the writer has no key on the server');
sql('ALTER FUNCTION lent(int) OWNER TO modeller; ALTER FUNCTION lent(int) SECURITY DEFINER');
sql('SET ROLE writer; INSERT INTO t VALUES (3, 3)');
is(sql('SELECT score FROM t WHERE id = 3'), 3, 'statement: a SECURITY DEFINER model signs for its owner');
# Row-level security holds while writing back.
sql(q{ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON t FOR ALL TO writer USING (true) WITH CHECK (score IS DISTINCT FROM 13)});
fails_with($node, 'SET ROLE writer; INSERT INTO t VALUES (13, 13)', '42501', qr/row-level security/, 'statement: policies hold for what is written back');

# A search_path of the writer's does not choose the model, the operator or the table.
sql(q{DROP TABLE t; CREATE SCHEMA evil;
	CREATE FUNCTION evil.same(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'mirror';
	CREATE FUNCTION evil.yes(int, int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'evil'; END$$;
	CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	CREATE OPERATOR evil.>= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	CREATE TABLE evil.sagemaker_rows (n int); CREATE TABLE evil.n (id int);
	CREATE TABLE t (id int PRIMARY KEY, x int, score int);
	CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.same', 'score');});
sql('SET search_path = evil, pg_catalog, public; INSERT INTO t VALUES (1, 1)');
is(sql('SELECT score FROM t'), 1, 'objects in the search_path of the writer have no part');

# A large input that lies out of line.
sql(q{DROP TABLE t; CREATE FUNCTION long(s text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo';
	CREATE TABLE t (id int PRIMARY KEY, s text, score text); ALTER TABLE t ALTER s SET STORAGE EXTERNAL;
	CREATE TRIGGER predict AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.long', 'score');
	INSERT INTO t SELECT i, repeat(md5(i::text), 5000) FROM generate_series(1, 20) i});
is(sql('SELECT count(*) FROM t WHERE score = s'), 20, 'inputs that lie out of line');

done_testing();
