# The rules that the planner step keeps to, a test each.  That rows and errors are
# the same, for many more shapes, is shown by 081 and 084; this says which rule
# would be broken.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use BothWays;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

begin_both_ways();

my $on = $session{on};
my $scan = qr/Custom Scan \(SageMaker Predict\)/;

$on->must(q{
	CREATE TABLE wide (id int PRIMARY KEY, s text);
	INSERT INTO wide SELECT i, to_char(i, 'FM0000') FROM generate_series(1, 1000) i;
	CREATE FUNCTION guess(s text) RETURNS text LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "deterministic": false}';
	CREATE FUNCTION guesses(s text, OUT a text, OUT b text) LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '{"endpoint": "captured", "deterministic": false}';
	CREATE FUNCTION pair(s text, i text, OUT a text, OUT b text) LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "deterministic": false}';
	CREATE FUNCTION inlined(s text) RETURNS text LANGUAGE sql AS 'SELECT guess($1)';
	CREATE FUNCTION leak(x int) RETURNS boolean LANGUAGE plpgsql COST 1000000 AS
		$$BEGIN RAISE NOTICE 'saw %', x; RETURN true; END$$;
	ANALYZE wide});

sub plan_of
{
	my ($sql, $session) = @_;
	return ($session // $on)->must("EXPLAIN (VERBOSE, COSTS OFF) $sql");
}

sub requests_of { my ($sql) = @_; $emulator->reset; $on->must($sql); return scalar(() = $emulator->requests) }

sub sqlstate_of
{
	my ($sql) = @_;
	my $result = $on->run($sql);
	note($result->{errors}) if $result->{errors};
	return $result->{sqlstate} // '00000';
}

subtest 'rule 1: EXECUTE is checked, the access hook told, calls are counted' => sub {
	plan tests => 4;
	$on->must('SET ROLE reader');
	is(sqlstate_of('SELECT fsecret(x) FROM t'), '42501', 'in a scan');
	is(sqlstate_of('EXPLAIN SELECT fsecret(x) FROM t'), '42501', 'in EXPLAIN');
	is(sqlstate_of('SELECT fsecret(x) FROM empty'), '42501', 'of no rows');
	$on->must('RESET ROLE');
	like($on->must("BEGIN; SET LOCAL track_functions = 'all'; SELECT count(f(id)) FROM t;
		SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'f'; COMMIT"), qr/^22\n22$/, 'a row is a call');
};

subtest 'rule 2: conditions keep their order' => sub {
	plan tests => 2;
	my $result = $on->run('SELECT id FROM t WHERE f(x) = 7 AND leak(id)');
	cmp_ok(scalar(() = $result->{errors} =~ /saw/g), '<', 5, 'what comes after a model does not see what that refuses');
	$on->must('SET ROLE reader');
	$result = $on->run('SELECT id FROM r WHERE f(x) > 3 AND leak(id)');
	unlike($result->{errors}, qr/saw \d*[13579]\b/, 'nor what row security hides');
	$on->must('RESET ROLE');
};

subtest 'rule 3: a changed row is predicted anew' => sub {
	plan tests => 1;
	$on->must('CREATE TABLE changed (id int PRIMARY KEY, x int, p int); INSERT INTO changed VALUES (1, 10, 0)');
	my $other = Session->new($node);
	$other->must('BEGIN; UPDATE changed SET x = 20');
	$on->start('UPDATE changed SET p = f(x) RETURNING p');
	wait_until(sub { $session{off}->must('SELECT wait_event_type FROM pg_stat_activity WHERE pid = ' . $on->pid) eq 'Lock' });
	$other->must('COMMIT');
	is($on->finish->{output}, 20, 'and not lost');
	$other->quit;
};

subtest 'rule 4: an expression stays one' => sub {
	plan tests => 2;
	unlike(plan_of('SELECT f(1)'), $scan, 'of a query without FROM');
	is($on->must('DO $$ DECLARE r int; BEGIN r := f(5); IF r <> 5 THEN RAISE; END IF; END $$; SELECT 1'), 1, 'in PL/pgSQL');
};

subtest 'rule 5: what goes back has something above that can' => sub {
	plan tests => 3;
	is($on->must('BEGIN; DECLARE c SCROLL CURSOR FOR SELECT f(id) FROM t ORDER BY id; FETCH 3 c; FETCH BACKWARD 1 c; COMMIT'),
		"1\n2\n3\n2", 'a scrolling cursor scrolls');
	my $merge = 'SELECT a.id, b.p FROM t a JOIN (SELECT id, f(id) AS p FROM t ORDER BY id OFFSET 0) b ON a.id = b.p ORDER BY 1 LIMIT 2';
	$on->must('SET enable_hashjoin = off; SET enable_nestloop = off');
	like(plan_of($merge), qr/Merge Join.*\bSort\b.*$scan/s, 'below the inner side of a merge join');
	is($on->must($merge), "1|1\n2|2", 'which gives its rows');
	$on->must('RESET enable_hashjoin; RESET enable_nestloop');
};

subtest 'rule 6: only rows that reach a call are sent, and their arguments evaluated' => sub {
	plan tests => 4;
	is(sum(sizes("SELECT CASE WHEN id % 2 = 0 THEN fs(s) END FROM wide WHERE id <= 10")), 5, 'CASE');
	is(sum(sizes("SELECT coalesce(CASE WHEN id > 3 THEN 'known' END, fs(s)) FROM wide WHERE id <= 10")), 3, 'COALESCE');
	is(sum(sizes("SELECT id > 4 AND fs(s) > '' FROM wide WHERE id <= 10")), 6, 'AND');
	is(sqlstate_of('SELECT CASE WHEN b > 0 THEN f(20 / b) END FROM t'), '00000', 'nothing is divided by zero');
};

subtest 'rule 7: which calls are one' => sub {
	plan tests => 5;
	is_deeply([ sizes('SELECT guess(s), guess(s) FROM wide WHERE id < 4') ], [ 3, 3 ], 'two calls of a model that guesses are two');
	is_deeply([ sizes('SELECT fs(s), fs(s) FROM wide WHERE id < 4') ], [ 3 ], 'of one that does not, one');
	is_deeply([ sizes('SELECT inlined(s), inlined(s) FROM wide WHERE id < 4') ], [ 3, 3 ], 'those of inlined functions are two');
	is(requests_of(q{SELECT (pair(s, s)).* FROM wide WHERE id < 4}), 1, 'the copies of (f(x)).* are one');
	is(sqlstate_of('SELECT f(noise(x)), f(x + noise(b)) FROM t'), '00000', 'volatile arguments are evaluated once a row, row by row');
};

subtest 'rule 8: a model is VOLATILE' => sub {
	plan tests => 3;
	is(sqlstate_of("CREATE FUNCTION stable(x int) RETURNS int LANGUAGE sagemaker STABLE AS 'echo'"), '42P13', 'the validator says so');
	$on->must('ALTER FUNCTION f2(int) STABLE');
	$emulator->reset;
	$on->run('EXPLAIN SELECT f2(1)');
	is(scalar(() = $emulator->requests), 0, 'EXPLAIN of a relabelled one sends nothing');
	is(sqlstate_of('SELECT f2(x) FROM t'), '42P13', 'and it is not called');
	$on->must('ALTER FUNCTION f2(int) VOLATILE');
};

subtest 'rule 9: leaves are what the node below computes' => sub {
	plan tests => 5;
	for ('SELECT f(x), ctid, tableoid, t FROM t', 'SELECT f(max(x)) FROM t', 'SELECT sum(f(x)) FROM t',
		'SELECT f(row_number() OVER (ORDER BY id)::int) FROM t', 'SELECT f(generate_series(1, 3)), f(x) FROM t')
	{
		like(plan_of($_), $scan, $_);
	}
};

subtest 'rule 10: what ModifyTable evaluates is row by row, its source is not' => sub {
	plan tests => 7;
	my $returning = 'INSERT INTO wide SELECT id + 1000, fs(s) FROM wide WHERE id <= 3 RETURNING guess(s)';
	like($on->run("EXPLAIN $returning")->{errors}, qr/NOTICE:.*row by row: public.guess$/m, 'which EXPLAIN says');
	is($on->run('EXPLAIN SELECT fs(s), (SELECT fs(w.s) WHERE w.id > 1) FROM wide w')->{errors} =~ /NOTICE/ ? 1 : 0, 1, 'of subqueries, too');
	unlike($on->run($_)->{errors}, qr/NOTICE/, "not in: $_") for "EXPLAIN SELECT fs('one')", 'EXPLAIN SELECT fs(s) FROM wide';
	is_deeply([ sizes("BEGIN; INSERT INTO wide SELECT id + 1000, fs(s) FROM wide WHERE id <= 3 RETURNING fs(s); ROLLBACK") ],
		[ 1, 1, 1, 3 ], 'RETURNING');
	SKIP: {
		skip 'no MERGE', 2 if $major < 15;
		like($on->run('EXPLAIN MERGE INTO wide USING t ON t.id = wide.id WHEN MATCHED THEN UPDATE SET s = fs(wide.s)')->{errors},
			qr/NOTICE:.*row by row: public.fs$/m, 'nor does it pass over MERGE');
		is_deeply([ sizes(q{BEGIN; MERGE INTO wide USING (SELECT id, fs(s) AS p FROM wide WHERE id <= 3) n ON n.id = wide.id
			WHEN MATCHED THEN UPDATE SET s = fs(p); ROLLBACK}) ], [ 1, 1, 1, 3 ], 'MERGE');
	}
};

subtest 'rule 11: LATERAL, and calls of calls' => sub {
	plan tests => 5;
	my $lateral = q{SELECT w.id, r.a, r.b FROM wide w, LATERAL pair(w.s, w.s) r WHERE w.id < 4};
	like(plan_of($lateral), $scan, 'a loop around one call is the node');
	unlike(plan_of($lateral), qr/Nested Loop/, 'and no loop');
	is(requests_of($lateral), 1, 'with one call a row');
	is(requests_of(q{SELECT w.id, r.body FROM wide w LEFT JOIN LATERAL sagemaker_invoke('echo', 'the same') r ON true WHERE w.id < 4}),
		1, 'what depends on no row is asked once');
	is_deeply([ sizes('SELECT fs(fs(s)) FROM wide WHERE id < 4') ], [ 3, 3 ], 'f(f(x)) is two scans');
};

subtest 'rule 12: what the function manager would have done' => sub {
	plan tests => 6;
	like(plan_of('SELECT fdefiner(x) FROM t'), $scan, 'SECURITY DEFINER is batched, as the owner');
	unlike(plan_of('SELECT fset(x) FROM t'), $scan, 'a function with SET clauses is not');
	is_deeply([ sizes("SELECT fstrict((NULLIF(id, 2) * 1000)::int) FROM wide WHERE id < 4") ], [ 2 ], 'a NULL of a STRICT model is not sent');
	is(sqlstate_of("BEGIN; SET LOCAL check_function_bodies = off;
		CREATE FUNCTION broken(x int) RETURNS int LANGUAGE sagemaker AS '{\"nonesuch\": 1}'; SELECT broken(x) FROM t"), '22023', 'what the validator has not seen is checked');
	$on->run('ROLLBACK');
	like($on->must("BEGIN; SET LOCAL check_function_bodies = off;
		CREATE FUNCTION broken(x int) RETURNS int LANGUAGE sagemaker AS '{\"nonesuch\": 1}'; EXPLAIN SELECT broken(x), broken(x) FROM t"),
		qr/Definition Not Valid: there is no option "nonesuch"/, 'which EXPLAIN says and does not raise');
	is(sqlstate_of('SELECT broken(x), broken(x) FROM empty'), '00000', 'nor does a statement without rows');
	$on->run('ROLLBACK');
};

subtest 'rule 13: bookkeeping' => sub {
	plan tests => 4;
	like($on->must('EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) SELECT f(x), f2(f(x)) FROM t WHERE f(b) > 0'), qr/(?:$scan.*){3}/s, 'each node has its own number');
	unlike($on->must('SET jit = on; EXPLAIN SELECT fs(s) FROM big; RESET jit'), qr/JIT:/, 'the cost of calls compiles nothing');
	my $s = Session->new($node, 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
		'SET min_parallel_table_scan_size = 0', 'SET max_parallel_workers_per_gather = 2', 'SET parallel_leader_participation = off');
	my $result = $s->run('EXPLAIN (ANALYZE, COSTS OFF) SELECT id, fs(s) FROM big');
	like($result->{output}, qr/Gather.*$scan.*Rows Sent: 1000\n/s, 'what workers sent is counted');
	unlike($result->{errors}, qr/WARNING/, 'and no shared memory is left');
	$s->quit;
};

subtest 'rule 14: an error comes when its row is reached' => sub {
	plan tests => 2;
	$on->must('BEGIN; DECLARE c CURSOR FOR SELECT fbad(s) FROM t ORDER BY id');
	is(sqlstate_of('FETCH 5 c'), '00000', 'those before it are read');
	isnt(sqlstate_of('FETCH 1 c'), '00000', 'then it is raised');
	$on->run('ROLLBACK');
};

subtest 'rule 15: scores that nobody reads are not bought' => sub {
	plan tests => 5;
	$on->must('CREATE VIEW scored AS SELECT id, fs(s) AS p, guess(s) AS q FROM wide');
	is_deeply([ sizes('SELECT id, q FROM scored WHERE id < 4') ], [ 3 ], 'of a deterministic model');
	is_deeply([ sizes('SELECT count(*) FROM (SELECT fs(s) FROM wide) w') ], [], 'also where rows are only counted');
	is_deeply([ sizes('SELECT id, p FROM scored WHERE id < 4') ], [ 3, 3 ], 'a model that guesses is asked all the same');
	$on->must('PREPARE counted AS SELECT count(*) FROM (SELECT fsecret(x) FROM t OFFSET 0) q');
	is($on->must('EXECUTE counted'), 22, 'nor by a prepared statement');
	$on->must('SET ROLE reader');
	is(sqlstate_of('EXECUTE counted'), '42501', 'which refuses a role that may not call');
	$on->must('RESET ROLE');
};

#
# Without the library, from the second row on.
#
{
	local $ENV{PGOPTIONS} = '-c session_preload_libraries=';
	my $s = Session->new($node);
	my $result = $s->run('SELECT fs(s) FROM wide WHERE id < 4');
	is($result->{output}, "0001\n0002\n0003", 'before the library is loaded, a set is right');
	like($result->{errors}, qr/NOTICE:.*row by row.*session_preload_libraries/s, 'and a notice says how to make it fast');
	unlike($s->run('SELECT fs(s) FROM wide WHERE id < 4')->{errors}, qr/NOTICE/, 'once');
	$s->must('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off');
	$s->must('CREATE FUNCTION calls(s text) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS $$BEGIN RETURN fs(s); END$$');
	$result = $s->run('SELECT count(calls(s)) FROM wide WHERE id < 50');
	unlike($result->{errors}, qr/NOTICE/, 'nor in a worker, which loads it late');
	like($s->must('EXPLAIN (ANALYZE, COSTS OFF) SELECT count(calls(s)) FROM wide WHERE id < 50'), qr/Workers Launched: [1-9]/, 'and there was one');
	$s->quit;
	$s = Session->new($node);
	is($s->run('SELECT fs(s) FROM wide WHERE id = 1')->{errors}, '', 'a row alone is no set');
	$s->quit;
}

#
# EXPLAIN.
#
{
	my $text = $on->must(q{EXPLAIN (ANALYZE, COSTS OFF) SELECT fs(s) FROM wide WHERE id <= 40;
		EXPLAIN (ANALYZE, COSTS OFF) SELECT sagemaker_invoke('echo', s) FROM wide WHERE id <= 40});
	like($text, qr/$_/, "EXPLAIN ANALYZE tells: $_") for 'Endpoint: echo', 'Format: csv', 'Max Rows per Request: 100', 'Max Bytes per Request: \d+',
	  'Max Requests in Flight: 8', 'Rows Sent: 40', 'Requests: 3', 'Rows per Request: 13.3', 'Retries: 0', 'Rows Sent Again: 0',
	  'Bytes Sent: 200', '(?s:Min Request Time: [\d.]+ ms.*Average Request Time: [\d.]+ ms.*Max Request Time: [\d.]+ ms)', 'Function: sagemaker_invoke', 'Requests: 40';
	for my $format (qw(json xml yaml))
	{
		like($on->must("EXPLAIN (ANALYZE, COSTS OFF, FORMAT $format) SELECT fs(s) FROM wide WHERE id <= 40"),
			qr/Rows[- ]Sent["<>:\/a-zA-Z -]*\s*:?\s*40/, "$format too");
	}
}

end_both_ways();
