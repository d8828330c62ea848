# What a batched statement sends: how many rows in how many requests, whatever
# scans them, until when, and for whom.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use BothWays;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;
use Time::HiRes ();

begin_both_ways();

#
# What is sent.  Rows of texts of four characters: with the line's end, five
# bytes a row.
#
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION sagemaker_rt_aurora;
CREATE TABLE wide (id int PRIMARY KEY, s text);
INSERT INTO wide SELECT i, to_char(i, 'FM0000') FROM generate_series(1, 1000) i;
CREATE TABLE parts (id int, s text) PARTITION BY RANGE (id);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (2000);
CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (2000) TO (3000);
CREATE TABLE parts3 PARTITION OF parts FOR VALUES FROM (3000) TO (9000);
CREATE TABLE parts4 PARTITION OF parts FOR VALUES FROM (9000) TO (10000);
INSERT INTO parts SELECT i, to_char(i, 'FM0000') FROM generate_series(0, 9999) i;
CREATE FUNCTION fs50(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_rows": 50}';
CREATE FUNCTION fs1(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_rows": 1, "concurrency": 32}';
CREATE FUNCTION fs40b(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_bytes": 40}';
CREATE FUNCTION fs1by1(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_rows": 30, "concurrency": 1}';
CREATE FUNCTION guess(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "deterministic": false}';
CREATE FUNCTION guesses(x int, s text, OUT a int, OUT c text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "deterministic": false}';
CREATE FUNCTION definer(s text) RETURNS text LANGUAGE sagemaker SECURITY DEFINER
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION pieces(s text) RETURNS SETOF text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 1 AS 'echo';
CREATE FUNCTION guessed_pieces(s text) RETURNS SETOF text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 1 AS '{"endpoint": "echo", "deterministic": false}';
CREATE VIEW scored AS SELECT id, fs(s) AS p FROM wide;
CREATE FUNCTION inlined(s text) RETURNS text LANGUAGE sql AS 'SELECT guess($1)';
ANALYZE wide; ANALYZE parts;
SQL

# Those who stop early have few rows sent; the more are taken, the more follow.
my @thousand = (16, 16, 28, 32, 56, 64, 88, (100) x 7);

for (
	[ 'SELECT fs(s) FROM wide', @thousand ],
	[ "SELECT id FROM wide WHERE fs(s) > '0500'", @thousand ],
	[ "CREATE TEMP TABLE kept AS SELECT fs(s) FROM wide; DROP TABLE kept", @thousand ],
	# Nobody stops before the end of these.
	[ 'SELECT sum(length(fs(s))) FROM wide', (100) x 10 ],
	[ 'SELECT fs(s), fs(s) FROM wide ORDER BY fs(s)', (100) x 10 ],
	[ 'SELECT length(fs(s)), count(*) FROM wide GROUP BY 1', (100) x 10 ],
	[ 'UPDATE wide SET s = s WHERE fs(s) > \'\' RETURNING id', (100) x 10 ],
	[ 'SELECT fs50(s) FROM wide WHERE id <= 300', 14, 16, 16, 28, 32, 44, (50) x 3 ],
	[ 'SELECT fs40b(s) FROM wide WHERE id <= 22', (6), (8) x 2 ],
	[ 'SELECT fs1(s) FROM wide WHERE id <= 100', (1) x 100 ],
	# Each model's requests are full by its own measure, whatever is beside it.
	[ 'SELECT count(fs1(s)), count(fs50(s)), count(fs(s)) FROM wide WHERE id <= 300', (1) x 300, (50) x 6, (100) x 3 ],
	# A limit that cannot be meant is the largest one.
	[ "SELECT aws_sagemaker.invoke_endpoint('echo', 2147483647, s) FROM wide WHERE id <= 100", 16, 16, 32, 36 ],
	[ 'SELECT fs(s) FROM wide LIMIT 10', 10 ],
	[ "SELECT fs(to_char(i % 10000, 'FM0000')) FROM generate_series(1, 1000000) i LIMIT 10", 10 ],
	[ 'SELECT fs(s) FROM wide LIMIT 10 OFFSET 3', 13 ],
	[ 'SELECT fs(s) FROM wide WHERE id <= 12 LIMIT 10', 10 ],
	[ 'SELECT fs(s) FROM wide ORDER BY id DESC LIMIT 100', 16, 16, 32, 36 ],
	[ 'SELECT fs(s) FROM wide ORDER BY 1 LIMIT 10', (100) x 10 ],
	[ 'SELECT fs(s) FROM wide WHERE id > 1000' ],
	[ 'SELECT fs(s) FROM wide LIMIT 0' ],
	[ "SELECT EXISTS (SELECT FROM wide WHERE fs(s) > '')", 16 ],
	[ 'EXPLAIN SELECT fs(s), sagemaker_predict(\'echo\', s) FROM wide WHERE fs1(s) > \'\'' ],
	[ 'EXPLAIN (ANALYZE) SELECT fs(s) FROM wide WHERE id <= 3', 3 ],
	# One call of many copies; as many calls of a model that guesses.
	[ 'SELECT (fc(id, s)).*, id FROM (SELECT id / 100 AS id, s FROM wide WHERE id IN (100, 200, 300)) w', 21 / 5 ],
	[ 'SELECT fs(s), fs(s) FROM wide WHERE fs(s) > \'\' AND id < 4', 3 ],
	[ 'SELECT guess(s), guess(s) FROM wide WHERE id < 4', 3, 3 ],
	[ 'SELECT (guesses(id, s)).* FROM (SELECT id / 100 AS id, s FROM wide WHERE id IN (100, 200, 300)) w', 21 / 5 ],
	[ 'SELECT guess(s), inlined(s) FROM wide WHERE id < 4', 3, 3 ],
	[ 'SELECT inlined(s), inlined(s) FROM wide WHERE id < 4', 3, 3 ],
	[ "SELECT guess('0000') FROM wide WHERE id < 4", 3 ],
	[ "SELECT fs('0000') FROM wide WHERE id < 4", 1 ],
	# Equal rows of a request are one, unless the model guesses.
	[ "SELECT fs(to_char(id % 3, 'FM0000')) FROM wide WHERE id <= 12", 3 ],
	[ "SELECT guess(to_char(id % 3, 'FM0000')) FROM wide WHERE id <= 12", 12 ],
	[ "SELECT CASE WHEN id % 2 = 0 THEN fs(s) END FROM wide WHERE id < 10", 4 ],
	[ "SELECT COALESCE(CASE WHEN id > 3 THEN 'known' END, fs(s)) FROM wide WHERE id < 10", 3 ],
	[ "SELECT id FROM wide WHERE id < 10 AND fs(s) > '0005' AND fs50(s) > '0007'", 4, 9 ],
	[ "SELECT fs(s) FROM wide WHERE id < 4 UNION ALL SELECT fs(s) FROM wide WHERE id < 6", 3, 5 ],
	[ 'UPDATE wide SET s = fs(s) WHERE id <= 40', 40 ],
	[ "SELECT count(*) FILTER (WHERE fs(s) > '0007') FROM wide WHERE id <= 40", 40 ],
	[ "SELECT string_agg(fs50(s), ',') FILTER (WHERE fs(s) > '0038') FROM wide WHERE id <= 40", 2, 40 ],
	[ 'SELECT id % 2, max(fs(s)) FROM wide WHERE id <= 40 GROUP BY ROLLUP (1)', 8, 16, 16 ],
	[ 'SELECT id, max(fs(s)) FROM wide GROUP BY GROUPING SETS ((id), (id % 5)) LIMIT 1', 16 ],
	[ 'SELECT fs(s), generate_series(1, 2) FROM wide WHERE id <= 8', 8 ],
	[ 'SELECT guess(s), generate_series(1, 2) FROM wide WHERE id <= 4', 8 ],
	[ 'SELECT fs(s), unnest(\'{}\'::int[]) FROM wide' ],
	[ 'SELECT generate_series(1, fs(s)::int) FROM wide WHERE id <= 40', 8, 16, 16 ],
	[ "SELECT a.id FROM wide a JOIN wide b ON b.id = a.id + 1 AND fs(a.s) < fs50(b.s) WHERE a.id <= 10", 10, 10 ],
	[ "SELECT w.id, p FROM wide w, LATERAL fs(w.s) p WHERE w.id <= 40 AND p > '0003'", 8, 16, 16 ],
	[ 'SELECT w.id, p FROM wide w LEFT JOIN LATERAL fs(w.s) p ON true LIMIT 10', 10 ],
	[ "SELECT w.id, p FROM wide w, LATERAL fs(w.s) p WHERE w.id <= 10 AND fs50(p) > '0003'", 10, 10 ],
	[ "SELECT l.* FROM (SELECT id / 100 AS id, s FROM wide WHERE id IN (100, 200, 300)) w, LATERAL guesses(w.id, w.s) l", 21 / 5 ],
	[ 'SELECT id, (SELECT fs(w.s)) FROM wide w WHERE id <= 40', 8, 16, 16 ],
	# Sets go like single values.
	[ 'SELECT pieces(s), id FROM wide WHERE id <= 40', 8, 16, 16 ],
	[ 'SELECT pieces(s), pieces(s) FROM wide WHERE id < 4', 3 ],
	[ 'SELECT guessed_pieces(s), guessed_pieces(s) FROM wide WHERE id < 4', 3, 3 ],
	[ 'SELECT count(p) FROM wide, LATERAL pieces(s) p', (100) x 10 ],
	[ "SELECT w.id, p FROM wide w LEFT JOIN LATERAL pieces(w.s) p ON p > '0003' WHERE w.id <= 40", 8, 16, 16 ],
	[ 'SELECT w.id, p, n FROM wide w, LATERAL fs(w.s) WITH ORDINALITY r(p, n) WHERE w.id <= 40', 8, 16, 16 ],
	[ 'SELECT w.id, n FROM wide w, LATERAL generate_series(1, fs(w.s)::int) n WHERE w.id <= 40 AND n = 1', 8, 16, 16 ],
	[ "SELECT w.id, p FROM wide w, LATERAL pieces('0000') p WHERE w.id < 4", 1 ],
	[ "INSERT INTO parts VALUES (1, fs('0001')), (2, fs('0002')), (3, '0003')", 2 ],
	[ "VALUES (1, fs('0001') || 'a'), (2, fs('0002') || 'a'), (3, fs('0003') || 'b')", 1, 2 ],
	[ 'SELECT count(*) FROM (SELECT id, fs(s) FROM wide) q' ],
	[ 'SELECT id FROM (SELECT id, fs(s) AS p, fs50(s) AS q FROM wide WHERE id < 4 ORDER BY 3, 1 LIMIT 9) q', 3 ],
	[ 'SELECT id FROM (SELECT id, guess(s) FROM wide WHERE id < 4) q', 3 ],
	[ 'SELECT id FROM scored WHERE id < 4' ],
	[ 'WITH c AS MATERIALIZED (SELECT id, fs(s) AS p, fs50(s) AS q FROM wide WHERE id < 4) SELECT a.id, b.q FROM c a JOIN c b USING (id)', 3 ],
	[ 'WITH c AS MATERIALIZED (SELECT id, fs(s) AS p FROM wide) SELECT count(*) FROM c' ],
	[ 'WITH c AS MATERIALIZED (SELECT id, fs(s) AS p FROM wide), d AS MATERIALIZED (SELECT id, p FROM c) SELECT a.id FROM d a JOIN d b USING (id)' ],
	[ 'WITH c AS MATERIALIZED (SELECT id, fs(s) AS p FROM wide WHERE id < 4) SELECT c FROM c', 3 ],
	[ 'WITH c AS MATERIALIZED (SELECT id, guess(s) AS p FROM wide WHERE id < 4) SELECT id FROM c', 3 ],
	[ 'SELECT w.id FROM (SELECT id, fs(s) AS p FROM wide OFFSET 0) q JOIN wide w USING (id)' ],
	[ 'SELECT id, p FROM scored WHERE id < 4', 3 ],
	[ 'SELECT definer(s) FROM wide WHERE id <= 40', 8, 16, 16 ],
	# A request a row, one for all fields of it.
	[ "SELECT (sagemaker_invoke('echo', s || E'\\n')).* FROM wide WHERE id <= 20", (1) x 20 ],
	[ "SELECT r.content_type, r.request_id FROM wide, LATERAL sagemaker_invoke('echo', s || E'\\n') r WHERE id <= 20", (1) x 20 ],
	[ "SELECT sagemaker_invoke('echo', s || E'\\n') FROM wide LIMIT 10", (1) x 10 ],
	[ "SELECT sagemaker_invoke_async('echo', s || E'\\n', request_ttl_seconds => 60 + id) FROM wide WHERE id <= 20", (1) x 20 ],
	[ "EXPLAIN SELECT sagemaker_invoke_async('echo', s) FROM wide" ],
	[ "EXPLAIN SELECT sagemaker_invoke('echo', s || E'\\n') FROM wide" ],
	[ 'INSERT INTO parts SELECT id, fs(s) FROM wide WHERE id < 4', 3 ],
	[ 'DO $$ DECLARE r record; BEGIN FOR r IN SELECT fs(s) FROM wide LOOP EXIT; END LOOP; END $$', 16 ])
{
	my ($sql, @wanted) = @$_;
	is_deeply([ sizes($sql) ], [ sort { $a <=> $b } @wanted ],
		"$sql sends " . (@wanted ? "rows @wanted" : 'nothing'));
}
# Which side of a semi join is hashed, so that it is read to its end, is a matter of
# costs, and from 18 on it may be the other one.
{
	my $sql = 'SELECT id FROM wide WHERE s IN (SELECT fs(s) FROM wide WHERE id <= 40)';
	my $streams = $session{on}->must("EXPLAIN (COSTS OFF) $sql") =~ /^Hash Right Semi Join$/m;
	is_deeply([ sizes($sql) ], $streams ? [ 8, 16, 16 ] : [40],
		"$sql sends " . ($streams ? 'few rows at first' : 'all rows at once'));
}
# What was read ahead may not have arrived when the statement ends, or the cursor
# is closed.
{
	my $sent = sum(sizes('SELECT * FROM (SELECT fs(s) FROM wide ORDER BY id OFFSET 0) w LIMIT 10'));
	ok($sent >= 10 && $sent <= 32, 'somebody may stop somewhere above: at most 32 rows are sent') || diag("$sent rows");
}
for ([ 1, 16, 'fs(s)' ], [ 8, 16, 'fs(s)' ], [ 10, 32, 'fs(s)' ], [ 32, 64, 'fs(s)' ], [ 10, 32 + 64, 'fs(fs(s))' ])
{
	my ($n, $most, $call) = @$_;
	my $sent = sum(sizes("BEGIN; DECLARE c CURSOR FOR SELECT $call FROM wide; FETCH $n c; COMMIT"));
	ok($sent >= $n && $sent <= $most, "a cursor over $call that fetches $n sends $most rows at most")
	  || diag("$sent rows");
}

$session{on}->must('TRUNCATE parts; INSERT INTO parts SELECT i, to_char(i, \'FM0000\') FROM generate_series(0, 9999) i; ANALYZE parts');
is($session{on}->must("SELECT count(fs1by1(s)), count(fs(s)) FROM wide"), '1000|1000', 'one request at a time loses no row');
is($session{on}->must("SELECT count(*) FROM (SELECT fs1by1(s), fs(s) FROM wide OFFSET 0) q"), '1000', 'nor beside a faster model');
is_deeply([ sizes('SELECT fs(s) FROM wide', $session{off}) ], [ (1) x 1000 ], 'batch off: each row is sent alone');

#
# Functions are counted whoever makes their calls; their cost is no reason to
# compile expressions.
#
for ('SELECT f(x), fstrict(x), f2(b) FROM t', 'SELECT CASE WHEN b > 0 THEN f(20 / b) END FROM t', 'SELECT sum(f(x)) FROM t WHERE f2(b) > 1')
{
	my $query = $_;
	my $counts = 'SELECT funcname, calls FROM pg_stat_xact_user_functions ORDER BY funcname';
	my %called;
	for my $mode (qw(on off))
	{
		my $output = $session{$mode}->must("BEGIN; SET LOCAL track_functions = 'all'; $counts; SELECT 'then';
			CREATE TEMP TABLE counted ON COMMIT DROP AS $query; $counts; COMMIT");
		my ($before, $after) = map { my %calls = /^(\w+)\|(\d+)$/mg; \%calls } split /^then$/m, $output;
		$called{$mode} = join ' ', map { "$_:" . ($after->{$_} - ($before->{$_} // 0)) } sort keys %$after;
		$called{$mode} =~ s/ ?\w+:0//g;
	}
	is($called{on}, $called{off}, "$query counts its calls");
	isnt($called{on}, '', 'which are some');
}
for my $query ('SELECT fs(s) FROM parts', 'SELECT sum(length(fs(s))) FROM parts', "SELECT id FROM parts WHERE fs(s) > '0'")
{
	unlike($session{on}->must("SET jit = on; EXPLAIN $query; RESET jit"), qr/JIT:/, "$query is not compiled");
}

#
# Parallel workers: each row once, whoever scans it.
#
{
	my @parallel = ('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
		'SET min_parallel_table_scan_size = 0', 'SET max_parallel_workers_per_gather = 4');
	my $s = Session->new($node, @parallel,
		'ALTER TABLE parts1 SET (parallel_workers = 4); ALTER TABLE parts3 SET (parallel_workers = 4)');
	for ([ 'SELECT id, fs(s) FROM parts' ],
		[ "SELECT id, fs(s) FROM parts WHERE fs(s) >= ''" ],
		[ 'SELECT sum(fs(s)::int), count(*) FROM parts' ],
		[ 'SELECT sum(p::int), count(*) FROM parts, LATERAL pieces(s) p' ],
		[ 'SELECT id, CASE WHEN id >= 0 THEN fs(s) END AS fs FROM parts ORDER BY id' ])
	{
		my ($sql) = @$_;
		my $plan = $s->must("EXPLAIN (COSTS OFF) $sql");
		like($plan, qr/Workers Planned: 4.*SageMaker Predict/s, "$sql has 4 workers below which it predicts");
		my $check = $sql =~ /sum/ ? "SELECT sum = 49995000 AND count = 10000 FROM ($sql) q"
		  : "SELECT count(*) FILTER (WHERE fs = to_char(id, 'FM0000')) = 10000 AND count(*) = 10000 FROM ($sql) q";
		$emulator->reset;
		is($s->must($check), 't', 'and gives every row its own prediction');
		is(sum(map { $_->{body_bytes} / 5 } $emulator->requests('echo')),
			10000, 'and sends it once');
	}
	like($s->must('EXPLAIN (ANALYZE, COSTS OFF) SELECT fs(s) FROM parts'), qr/Workers Launched: [1-4]/, 'workers are launched');
	$s->quit;
}

# Tables have descriptors too, which stay open.
sub sockets
{
	my %descriptors = descriptors($_[0]);
	return scalar grep { /^socket/ } values %descriptors;
}

#
# A cancel ends what is in flight, and leaves nothing.
#
for ([ 32, 'SELECT count(fs1(s)) FROM wide' ], [ 16, "SELECT id FROM wide WHERE fs1(s) > ''" ],
	[ 32, 'UPDATE wide SET s = fs1(s)' ], [ 16, 'SELECT fs1(fs1(s)) FROM wide' ],
	[ 32, "SELECT count(sagemaker_invoke('echo', s)) FROM wide" ], [ 32, "SELECT count(sagemaker_invoke_async('echo', s)) FROM wide" ])
{
	my ($n, $statement) = @$_;
	my $s = Session->new($node);
	$s->must('SET sagemaker_rt.concurrency = 32; SELECT count(fs1(s)) FROM wide WHERE id = 1');
	my $before = sockets($s->pid);
	$emulator->reset;
	$emulator->script('echo', [], { use => 'hang' });
	$s->start($statement);
	my $there = wait_until(sub { $emulator->request_count('echo') >= $n });
	my $ordered = Time::HiRes::time();
	$session{off}->must('SELECT pg_cancel_backend(' . $s->pid . ')');
	my $result = $s->finish;
	ok($there && $result->{sqlstate} eq '57014', "$statement is cancelled with $n requests in flight");
	cmp_ok($result->{at} - $ordered, '<', 1, 'within a second');
	cmp_ok(sockets($s->pid), '<=', $before, 'and leaves no connection');
	$emulator->reset;
	is($s->run('SELECT count(fs1(s)) FROM wide')->{output}, 1000, 'and the next statement works');
	$s->quit;
}

# An error in the middle likewise.
{
	my $s = $session{on};
	$emulator->reset;
	$emulator->script('echo', [ ({}) x 40, { use => 'model-error' } ]);
	my $result = $s->run('SELECT count(fs1(s)) FROM wide');
	is($result->{sqlstate}, '38000', 'a request fails in the middle');
	$emulator->reset;
	is($s->run('SELECT count(fs1(s)) FROM wide')->{output}, 1000, 'and the next statement works');
}

#
# A cursor that is read on by another role sends for that role, as a call would.
#
{
	my ($region, $url, $id, $secret) = map { $emulator->fact($_) } qw(region url access_key_id secret_access_key);
	$node->safe_psql('postgres', <<"SQL");
CREATE ROLE seller;
CREATE ROLE buyer;
CREATE SERVER priced FOREIGN DATA WRAPPER sagemaker OPTIONS (region '$region', endpoint_url '$url');
CREATE USER MAPPING FOR seller SERVER priced OPTIONS (access_key_id '$id', secret_access_key '$secret');
GRANT USAGE ON FOREIGN SERVER priced TO seller, buyer;
GRANT SELECT ON wide TO seller;
CREATE FUNCTION fpriced(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "server": "priced", "max_rows": 10, "concurrency": 2}';
CREATE FUNCTION opens(c refcursor) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS
	'DECLARE first text; BEGIN OPEN c FOR SELECT fpriced(s) FROM wide; FETCH c INTO first; RETURN c; END';
ALTER FUNCTION opens(refcursor) OWNER TO seller;
SQL
	my @refused;
	for my $mode (qw(on off))
	{
		my $s = $session{$mode};
		$s->must("SET ROLE buyer; BEGIN; SELECT opens('c')");
		my $result = $s->run('FETCH ALL FROM c');
		push @refused, "$result->{sqlstate} $result->{message}";
		$s->run('ROLLBACK; RESET ROLE');
	}
	like($refused[0], qr/^(28|42)/, "a role does not buy with another one's keys");
	is($refused[0], $refused[1], 'be it batched or not');
	is($session{on}->must("SET ROLE seller; BEGIN; SELECT opens('c'); RESET ROLE; SET ROLE seller; FETCH ALL FROM c; COMMIT; RESET ROLE") =~ tr/\n//,
		1000 - 1, 'and the owner reads all of it');
}

#
# Memory does not grow with the number of rows, nor with that of failures.
#
{
	$node->safe_psql('postgres', q{CREATE FUNCTION fails(s text) RETURNS text LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '{"endpoint": "model-error", "max_rows": 1, "on_error": "null"}'});
	for my $call ('fails(s)', q{sagemaker_predict(CASE id % 2 WHEN 0 THEN 'echo' ELSE 'captured' END, s)})
	{
		my $s = Session->new($node);
		$s->must("BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT $call FROM (SELECT wide.* FROM generate_series(1, 9), wide) r");
		$s->must('MOVE 1000 c');
		my $first = anonymous_kb($s->pid);
		$s->must('MOVE 3000 c');
		cmp_ok(anonymous_kb($s->pid), '<', $first + 512, "3000 more of $call keep less than 512 kB");
		$s->must('COMMIT');
		$s->quit;
	}
}
{
	my $bound_kb = 1024;
	my $s = Session->new($node);
	$s->must('BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT fs(s) FROM (SELECT a.id || s AS s FROM generate_series(1, 300) a(id), wide) r');
	$s->must('MOVE 50000 c');
	my $first = anonymous_kb($s->pid);
	$s->must('MOVE 50000 c');
	my $second = anonymous_kb($s->pid);
	$s->must('MOVE 100000 c');
	my $third = anonymous_kb($s->pid);
	$s->must('COMMIT');
	note("kB after 50,000, 100,000 and 200,000 rows: $first $second $third");
	cmp_ok($third, '<', $first + $bound_kb, "200,000 rows need no $bound_kb kB more than 50,000");
	$s->quit;
}

end_both_ways();
