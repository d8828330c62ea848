# A statement gives the same rows, errors and refusals whether its predictions
# are batched or made row by row.
#
# The models are identities: their endpoint echoes what it is sent, so that a
# prediction handed to the wrong row shows.  Two sessions run each statement, one
# with sagemaker_rt.batch on, one with it off.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes ();

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"session_preload_libraries = 'sagemaker_rt'", 'jit = off',
	'max_parallel_workers = 8', 'max_worker_processes = 16');
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE reader;
CREATE FUNCTION f(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION f2(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fs(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fstrict(x int) RETURNS int LANGUAGE sagemaker STRICT
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fc(x int, s text, OUT a int, OUT c text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fj(x int, s text) RETURNS jsonb LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "format": "jsonlines"}';
CREATE FUNCTION fa(v int[]) RETURNS int[] LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fr(y float8) RETURNS float8 LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_rows": 3}';
CREATE FUNCTION fsingle(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "format": "single", "predictions": "$.s"}';
CREATE FUNCTION fv(VARIADIC v int[]) RETURNS int[] LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fd(x int, s text DEFAULT 'default', OUT a int, OUT c text)
	LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS 'echo';
-- Fails for what is no number.
CREATE FUNCTION fbad(s text) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fbadnull(s text) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "on_error": "null"}';
-- Fails for NULL, for a long text.
CREATE FUNCTION fnn(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "nulls": "error"}';
CREATE FUNCTION fskip(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "nulls": "skip"}';
CREATE FUNCTION fshort(s text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_bytes": 30}';
CREATE FUNCTION fdefiner(x int) RETURNS int LANGUAGE sagemaker SECURITY DEFINER
	PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION fset(x int) RETURNS int LANGUAGE sagemaker
	SET work_mem = '1MB' PARALLEL SAFE COST 10000 AS 'echo';
CREATE FUNCTION funsafe(x int) RETURNS int LANGUAGE sagemaker COST 10000 AS 'echo';
CREATE FUNCTION fsecret(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'echo';
REVOKE EXECUTE ON FUNCTION fsecret FROM PUBLIC;
-- Calls of models in other functions.
CREATE FUNCTION wraps(x int) RETURNS int LANGUAGE sql AS 'SELECT f($1)';
CREATE FUNCTION computes(x int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN RETURN f(x) + f2(x); END $$;
CREATE FUNCTION selects(x int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE r int;
BEGIN SELECT sum(f(t.x)) INTO r FROM t WHERE t.id <= selects.x; RETURN r; END $$;
CREATE FUNCTION reads(n int) RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
	FOR r IN SELECT f(t.x) AS p FROM t ORDER BY id LOOP
		RETURN NEXT r.p;
		EXIT WHEN r.p > n;
	END LOOP;
END $$;
CREATE FUNCTION survives(n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	seen int := 0;
BEGIN
	FOR r IN SELECT fbad(t.s) AS p FROM t WHERE id <= n ORDER BY id LOOP
		seen := seen + 1;
	END LOOP;
	RETURN 'all ' || seen;
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' after ' || seen;
END $$;
CREATE FUNCTION noise(x int) RETURNS int LANGUAGE plpgsql VOLATILE AS
'BEGIN RETURN x; END';

CREATE TABLE t (id int PRIMARY KEY, x int, y float8, g int, s text, b int, n int);
INSERT INTO t SELECT i, i * 7 % 31, i / 3.0::float8, i % 4,
	CASE WHEN i % 8 = 5 THEN NULL WHEN i % 8 = 6 THEN '' WHEN i = 15 THEN 'no "number", é'
		ELSE (i * 3)::text END,
	i % 5, CASE WHEN i % 3 = 0 THEN i END
FROM generate_series(1, 22) i;
UPDATE t SET x = NULL WHERE id IN (4, 9);
CREATE TABLE u (k int, t int, w int);
INSERT INTO u SELECT i, i % 11 + 1, i FROM generate_series(1, 16) i;
CREATE TABLE empty (LIKE t);
CREATE TABLE big (id int PRIMARY KEY, x int, s text);
INSERT INTO big SELECT i, i, 'text ' || i FROM generate_series(1, 1000) i;
CREATE TABLE target (id int PRIMARY KEY, score int, c text);
INSERT INTO target SELECT i, NULL, 'c' FROM generate_series(1, 10) i;
CREATE TABLE p (LIKE t) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (6);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (6) TO (14);
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (14) TO (100);
INSERT INTO p SELECT * FROM t;
CREATE INDEX ON p (x);
CREATE VIEW v AS SELECT id, x, f(x) AS score, b FROM t;
CREATE VIEW vc AS SELECT id, (fc(x, s)).* FROM t;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM t WHERE g = 1;
CREATE VIEW scored_barrier WITH (security_barrier) AS
	SELECT id, f(x) AS score, s FROM t WHERE g <> 1;
CREATE TABLE r (LIKE t);
INSERT INTO r SELECT * FROM t;
ALTER TABLE r ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON r USING (id % 2 = 0) WITH CHECK (id % 2 = 0);
CREATE TYPE pair AS (a int, b text);
ANALYZE;
GRANT ALL ON ALL TABLES IN SCHEMA public TO reader;
SQL

my @setup = ("\\pset null '(null)'");
my %session = (
	on => Session->new($node, @setup),
	off => Session->new($node, @setup, 'SET sagemaker_rt.batch = off'));

# What can be compared of what a statement did.
sub outcome
{
	my ($session, $sql) = @_;
	my $result = $session->run($sql);
	my $errors = join "\n", grep { /(?:ERROR|WARNING|NOTICE):/ }
	  split /\n/, $result->{errors};
	# Which request a row went in, and which place it had in there.
	$errors =~ s/row \d+ of the request/row N of the request/g;
	$errors =~ s/psql:\S+ //g;
	return "$result->{output}\n$errors";
}

my ($n_shapes, $n_batched) = (0, 0);

sub same
{
	my ($sql, $name) = @_;
	my ($on, $off) = map { outcome($session{$_}, $sql) } qw(on off);

	$n_shapes++;
	($name //= $sql) =~ s/\s+/ /g;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($on, $off, "same: $name");
	# A shape that is no statement at all shows nothing.
	fail("meant: $name\n$on") if $on =~ /ERROR:  42(?!501|P13)/;
	return $on;
}

# Also explained, in full, which must neither fail nor send.
sub same_query
{
	my ($sql) = @_;
	same($sql);
	my $plan = $session{on}->run("EXPLAIN (VERBOSE, COSTS OFF) $sql");
	$n_batched++ if $plan->{output} =~ /Custom Scan \(SageMaker Predict\)/;
	if ($plan->{errors} =~ /ERROR/)
	{
		my $off = $session{off}->run("EXPLAIN (VERBOSE, COSTS OFF) $sql");
		fail("explained: $sql") && diag($plan->{errors})
		  unless ($off->{sqlstate} // '') eq $plan->{sqlstate};
	}
	return $plan->{output};
}

#
# Calls in the target list of many kinds of query.
#
my @calls = (
	'f(x)', 'f(x) + f2(b) * 2', 'fs(s), s', 'fstrict(x)', 'fc(x, s)',
	'(fc(x, s)).*', 'fj(x, s)', 'fr(y), y', 'f(f2(x))', 'f(b), f(b)',
	'CASE WHEN b > 0 THEN f(20 / b) END', 'COALESCE(n, f(x))',
	'b > 2 AND f(x) > 3', 'fa(ARRAY[x, b])');
my @sources = (
	'FROM t', 'FROM t WHERE id > 5 AND id <= 9', 'FROM t ORDER BY id DESC',
	'FROM t ORDER BY s, id LIMIT 7', 'FROM t WHERE id = 3',
	'FROM t LIMIT 3 OFFSET 2', 'FROM empty', 'FROM t WHERE false',
	'FROM t JOIN u ON u.t = t.id', 'FROM t LEFT JOIN u ON u.t = t.id + 9',
	'FROM (SELECT * FROM t ORDER BY y DESC LIMIT 5) t',
	'FROM (SELECT * FROM t UNION ALL SELECT * FROM t WHERE id < 4) t',
	'FROM p WHERE id > 3 ORDER BY id', 'FROM barrier',
	'FROM (VALUES (1, 1, 1.5::float8, 0, \'a\', 2, NULL::int), (2, NULL, NULL, 1, NULL, 0, 1)) t(id, x, y, g, s, b, n)',
	'FROM t, LATERAL (SELECT 1 FROM u WHERE u.t = t.id LIMIT 1) l');

for my $source (@sources)
{
	same_query("SELECT id, $_ $source") for @calls;
}

#
# Where else a call may stand.
#
same_query($_) for (
	# Where there are no columns, or no rows of a table.
	'SELECT f(1) FROM t', 'SELECT f(1), f(2)', 'SELECT f(NULL)',
	'SELECT f(g) FROM generate_series(1, 20) g',
	'SELECT f(x), generate_series(1, 2) FROM t',
	'SELECT f(generate_series(1, x)) FROM t WHERE id < 4',
	"SELECT f(a), c FROM ROWS FROM (generate_series(1, 4), unnest(ARRAY['a', 'b'])) AS r(a, c)",
	'SELECT f(x) FROM t TABLESAMPLE SYSTEM (100)',
	"SELECT f(x) FROM t WHERE ctid = '(0,3)'",
	'SELECT f(x) FROM ONLY t WHERE id IN (1, 5, 9)',
	'TABLE v', 'TABLE vc', 'SELECT score FROM v WHERE id < 6',
	'SELECT * FROM v WHERE score > 10', 'SELECT id FROM v',
	'SELECT * FROM scored_barrier WHERE score > 4',
	'SELECT count(*) FROM v', 'SELECT v FROM v', 'SELECT (v).score FROM v',
	# Quals.
	'SELECT id FROM t WHERE f(x) = 7', 'SELECT f(x) FROM t WHERE f(x) > 7',
	'SELECT id FROM t WHERE f(x) > 3 AND noise(b) > 1',
	'SELECT id FROM t WHERE b > 0 AND f(100 / b) > 30',
	'SELECT id FROM t WHERE b = 0 OR f(100 / b) > 30',
	'SELECT id FROM t WHERE NOT f(x) > 3', 'SELECT id FROM t WHERE f(x) IS NULL',
	'SELECT id FROM t WHERE f(x) IN (1, 2, 3, NULL)',
	'SELECT id FROM t WHERE f(x) = ANY (ARRAY[7, 14, 21]) ORDER BY id LIMIT 2',
	'SELECT id FROM t WHERE f(id) = x', 'SELECT id FROM p WHERE f(x) > 9 ORDER BY 1',
	'SELECT t.id FROM t JOIN u ON f(t.id) = u.t AND u.w > 3',
	'SELECT t.id, u.k FROM t LEFT JOIN u ON u.t = t.id AND f(u.w) > 4',
	'SELECT t.id, u.k FROM t FULL JOIN u ON u.t = t.id WHERE f(coalesce(u.w, 0)) > 4',
	'SELECT id FROM t WHERE EXISTS (SELECT FROM u WHERE u.t = t.id AND f(u.w) > t.b)',
	'SELECT id FROM t WHERE id IN (SELECT f(u.t) FROM u)',
	'SELECT id FROM t WHERE id NOT IN (SELECT f(u.t) FROM u WHERE u.t < 9)',
	'SELECT id FROM t WHERE f(x) IN (SELECT w FROM u)',
	'SELECT id FROM t WHERE f(x) NOT IN (SELECT w FROM u)',
	'SELECT id FROM t WHERE f(x) > ALL (SELECT w FROM u WHERE u.t = t.id)',
	# Sorting, grouping, windows.
	'SELECT id FROM t ORDER BY f(x), id', 'SELECT id, f(x) FROM t ORDER BY f(x), id LIMIT 4',
	'SELECT id, f(x) AS p FROM t ORDER BY p DESC NULLS LAST, id FETCH FIRST 3 ROWS WITH TIES',
	'SELECT DISTINCT f(g) FROM t ORDER BY 1', 'SELECT DISTINCT ON (g) g, f(x) FROM t ORDER BY g, id',
	'SELECT f(x), count(*) FROM t GROUP BY f(x) ORDER BY 1',
	'SELECT f(g), count(*) FROM t GROUP BY g ORDER BY g',
	'SELECT g, f(count(*)::int), sum(x) FROM t GROUP BY g ORDER BY g',
	'SELECT g, f(g) + sum(x) FROM t GROUP BY g HAVING f(count(*)::int) > 5 ORDER BY g',
	'SELECT f(max(x)), count(*) FROM t', 'SELECT f(max(x)), count(*) FROM empty',
	'SELECT sum(f(x)), count(f(x)) FROM t', 'SELECT f(3), count(f(3)) FROM t WHERE x > 100',
	'SELECT count(f(3)) FROM t WHERE x > 100 HAVING f(3) > 0', 'SELECT x, f(x), sum(f(x)) FROM t GROUP BY ROLLUP (x) ORDER BY 1, 3',
	'SELECT f(3), sum(f(3)) OVER () FROM t WHERE id < 4', 'SELECT f(min(x)), sum(f(x)), f(min(x)) + sum(f(x)) FROM t HAVING sum(f(x)) > f(min(x))',
	'SELECT g, array_agg(f(x) ORDER BY id) FROM t GROUP BY g ORDER BY g',
	'SELECT array_agg(id ORDER BY f(x), id) FROM t', 'SELECT sum(f(x)) FILTER (WHERE b > 2) FROM t',
	'SELECT sum(id) FILTER (WHERE f(b) > 2), f(max(g)) FROM t',
	'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY f(x)) FROM t',
	'SELECT g, b, f(sum(x)::int), grouping(g, b) FROM t GROUP BY GROUPING SETS ((g), (b), ()) ORDER BY 1, 2',
	'SELECT g, f(grouping(g)) FROM t GROUP BY ROLLUP (g) ORDER BY 1',
	'SELECT f(x), row_number() OVER (ORDER BY id) FROM t',
	'SELECT f(row_number() OVER (ORDER BY id)::int), id FROM t',
	'SELECT sum(f(x)) OVER (PARTITION BY g ORDER BY id), id FROM t ORDER BY id',
	'SELECT id, lag(x) OVER w, f(lag(x) OVER w), f(sum(b) OVER w::int) FROM t WINDOW w AS (PARTITION BY g ORDER BY id) ORDER BY id',
	'SELECT * FROM (SELECT id, f(x) AS p, row_number() OVER (ORDER BY id) AS n FROM t) s WHERE n <= 3',
	'SELECT * FROM (SELECT f(x) AS p, g, x, row_number() OVER (PARTITION BY g ORDER BY id) AS n FROM t) s WHERE n = 1 ORDER BY g',
	'SELECT * FROM (SELECT id, f(x) AS p, rank() OVER (ORDER BY b) AS n, count(*) OVER (ORDER BY id) AS c FROM t) s WHERE n <= 5 AND c < 9 ORDER BY id',
	'SELECT rank() OVER (ORDER BY f(x)), id FROM t ORDER BY id',
	'SELECT lag(f(x)) OVER (ORDER BY id), first_value(f(b)) OVER (PARTITION BY g ORDER BY id), id FROM t',
	'SELECT lag(x, 1, f(20 / (id - 2))) OVER (ORDER BY id), id FROM t',
	'SELECT first_value(f(20 / (id - 2))) OVER (ORDER BY id), id FROM t',
	'SELECT sum(f(x)) FILTER (WHERE b > 0) OVER (ORDER BY id), id FROM t',
	'SELECT sum(f(20 / b)) FILTER (WHERE b > 0) OVER (ORDER BY id ROWS 2 PRECEDING), id FROM t',
	'SELECT g, sum(f(20 / b)) FILTER (WHERE b > 0), f(g) FROM t GROUP BY g ORDER BY g',
	'SELECT g, f(g), sum(f(g)), sum(f(g)) FROM t GROUP BY g ORDER BY g',
	'SELECT g, count(DISTINCT f(x)), string_agg(fs(s), \',\' ORDER BY id), min(f(x) + f(b)) FROM t GROUP BY g HAVING max(f(x)) > 3 ORDER BY g',
	'SELECT g, b, sum(f(x)) FROM t GROUP BY CUBE (g, b) ORDER BY 1, 2',
	'SELECT sum(sum(f(x))) OVER (ORDER BY g), g FROM t GROUP BY g ORDER BY g',
	'SELECT sum(f(x)) FROM t HAVING sum(f(x)) > 3', 'SELECT sum(f(f2(x))) FROM t', 'SELECT count(*) FILTER (WHERE f(x) > 4) FROM t',
	'SELECT sum(CASE WHEN b > 0 THEN f(20 / b) END), avg(COALESCE(n, f(x))) FROM t',
	'SELECT (SELECT sum(f(u.w + t.id)) FROM u WHERE u.t = t.id), id FROM t',
	'SELECT id FROM t WHERE f(x) > 3 AND f2(b) > 1 AND f(id) > 5', 'SELECT id FROM t WHERE f(f2(x)) > 3 AND b > 1',
	'SELECT f(x), f(x), f(x) + 1 FROM t WHERE f(x) > 3 ORDER BY f(x)',
	"SELECT sagemaker_predict('echo', x, b), id FROM t", "SELECT sagemaker_predict('echo', s) FROM t WHERE sagemaker_predict('echo', b) > '1'",
	"SELECT CASE WHEN b > 0 THEN sagemaker_predict('echo', 20 / b) END FROM t", "SELECT sagemaker_predict('ec' || left(s, 0) || 'ho', x) FROM t",
	# Subqueries.
	'SELECT id, (SELECT f(u.w) FROM u WHERE u.t = t.id ORDER BY u.k LIMIT 1) FROM t',
	'SELECT id, (SELECT f(t.x) FROM u WHERE u.t = t.id ORDER BY u.k LIMIT 1) FROM t',
	'SELECT id, (SELECT sum(f(u.w)) FROM u WHERE u.t = t.id) FROM t',
	'SELECT f((SELECT max(w) FROM u WHERE u.t = t.id)), id FROM t',
	'SELECT f(x), (SELECT max(w) FROM u) FROM t', 'SELECT f((SELECT max(w) FROM u)), id FROM t',
	'SELECT f(x), CASE WHEN b > 0 THEN (SELECT max(w * 0 + 100 / t.b) FROM u) END FROM t',
	'SELECT f(x), CASE WHEN b > 0 THEN (SELECT max(w / t.b) FROM u WHERE u.t = t.id) END FROM t',
	'SELECT f(x), CASE WHEN b > 0 THEN (SELECT max(f2(u.w * 0 + 100 / t.b)) FROM u WHERE u.t = t.id) END FROM t',
	'SELECT CASE WHEN b > 0 THEN f((SELECT max(u.w * 0 + 100 / t.b) FROM u WHERE u.t = t.id)) END FROM t',
	'SELECT CASE WHEN b > 0 THEN f((SELECT 100 / t.b)) END FROM t',
	'SELECT f(x), ARRAY(SELECT u.w FROM u WHERE u.t = t.id ORDER BY 1) FROM t',
	'SELECT f(x), x IN (SELECT w FROM u WHERE u.t > t.b) FROM t',
	'SELECT f(x) IN (SELECT w FROM u) FROM t', 'SELECT x IN (SELECT f(w) FROM u), f(b) FROM t',
	'SELECT f(x), EXISTS (SELECT FROM u WHERE u.t = t.id AND f(u.w) > 3) FROM t',
	'SELECT (SELECT (SELECT f(t.x + u.w)) FROM u WHERE u.k = t.id) FROM t',
	'SELECT l.p, id FROM t, LATERAL (SELECT f(t.x) AS p) l',
	'SELECT l.* FROM t, LATERAL fc(t.x, t.s) l', 'SELECT l.* FROM t LEFT JOIN LATERAL fc(t.x, t.s) l ON true',
	'SELECT l.* FROM t JOIN LATERAL fc(t.x, t.s) l ON l.a > 5', 'SELECT * FROM fc(1, \'one\')',
	'SELECT * FROM t, f(t.x) p WHERE t.id < 5',
	'SELECT id, l.p FROM t, LATERAL (SELECT f(u.w + t.id) AS p FROM u WHERE u.t = t.id OFFSET 0) l',
	'SELECT t.id, l.p FROM t LEFT JOIN LATERAL (SELECT f(u.w) AS p, u.t FROM u WHERE u.t <= t.b ORDER BY u.k LIMIT 2) l ON true',
	# Common table expressions, set operations.
	'WITH c AS (SELECT id, f(x) AS p FROM t) SELECT * FROM c WHERE p > 5',
	'WITH c AS MATERIALIZED (SELECT id, f(x) AS p FROM t) SELECT a.id, a.p, b.p FROM c a JOIN c b USING (id)',
	'WITH c AS MATERIALIZED (SELECT id, x FROM t) SELECT f(x) FROM c ORDER BY id',
	'WITH c AS (SELECT id, f(x) AS p FROM t) SELECT 1',
	'WITH RECURSIVE c(i, p) AS (SELECT 1, f(1) UNION ALL SELECT i + 1, f(i + 1) FROM c WHERE i < 6) SELECT * FROM c',
	'WITH RECURSIVE c(i, p) AS (SELECT id, f(x) FROM t WHERE id < 3 UNION ALL SELECT t.id, f(t.x) FROM c JOIN t ON t.id = c.i + 6) SELECT * FROM c',
	'SELECT f(x) FROM t UNION SELECT f(b) FROM t ORDER BY 1', 'SELECT f(x) FROM t EXCEPT SELECT f(b) FROM t ORDER BY 1',
	'SELECT f(x) FROM t INTERSECT ALL SELECT f(b) FROM t ORDER BY 1', '(SELECT f(x) FROM t ORDER BY id LIMIT 2) UNION ALL (SELECT f(b) FROM t ORDER BY id LIMIT 3)',
	'VALUES (f(1), 2), (3, f(4))', 'SELECT a + f(a) FROM (VALUES (f(1)), (3)) v(a)',
	# Rows of more than columns.
	'SELECT f(x), t FROM t WHERE id < 4', 'SELECT f(x), ctid, tableoid::regclass FROM p ORDER BY id',
	'SELECT f(x), p.*::p FROM p ORDER BY id', 'SELECT to_jsonb(t) || to_jsonb(f(x)) FROM t',
	'SELECT row(f(x), s, row(f2(b), y)) FROM t', 'SELECT (fc(x, s)).a, (fc(x, s)).c, id FROM t',
	'SELECT ((fc(x, s)).a + 1)::text || (fc(x, s)).c FROM t', 'SELECT fd(x), fd(s => s, x => b) FROM t',
	'SELECT fv(x, b, id), fv(VARIADIC ARRAY[x, b]) FROM t', 'SELECT fsingle(s) FROM t WHERE s > \'\'',
	'SELECT f(x) IS DISTINCT FROM b, nullif(f(x), 7), greatest(f(x), b), f(x) IS NULL FROM t',
	'SELECT (ARRAY[1, 2, 3])[f(b)], (ARRAY[f(x), f(b)])[1] FROM t',
	'SELECT (NULL::int[])[f(10 / b)] FROM t WHERE b >= 0',
	'SELECT row(b, f(10 / b)) < row(0, 1) FROM t WHERE b > 0',
	'SELECT row(1, f(10 / b)) < row(0, 1) FROM t',
	'SELECT f(x)::numeric(5, 2), f(x)::text COLLATE "C", -f(x) FROM t',
	"SELECT format('%s of %s', f(x), fs(s)), fs(s) || fs('x') FROM t",
	# Guards.
	'SELECT CASE WHEN b > 0 THEN f(20 / b) ELSE f2(x) END FROM t',
	'SELECT CASE f(b) WHEN 1 THEN f2(x) WHEN 2 THEN f2(b) ELSE -1 END FROM t',
	'SELECT CASE WHEN f(b) > 2 THEN f2(20 / b) END FROM t',
	'SELECT CASE WHEN x IS NULL THEN -1 WHEN b = 0 THEN 0 WHEN 100 / b > 30 THEN f(x) END FROM t',
	'SELECT CASE b WHEN 0 THEN 0 ELSE f(20 / b) END FROM t',
	'SELECT COALESCE(n, f(x), f2(b)) FROM t', 'SELECT COALESCE(f(x), 10 / b) FROM t WHERE b > 0 OR x IS NOT NULL',
	'SELECT b > 0 AND f(20 / b) > 5 AND f2(10 / (b - 5)) < 0 FROM t', 'SELECT b = 0 OR f(20 / b) > 5 FROM t',
	'SELECT NOT (b > 0 AND f(20 / b) > 5) FROM t', 'SELECT (b > 0 AND 20 / b > 5) OR f(x) > 4 FROM t',
	'SELECT f(CASE WHEN b > 0 THEN 20 / b END) FROM t', 'SELECT f(COALESCE(n, x)) FROM t',
	'SELECT CASE WHEN random() < 2 THEN f(x) END FROM t', 'SELECT CASE WHEN noise(b) > 0 THEN f(20 / b) END FROM t',
	'SELECT f(x), CASE WHEN b > 0 THEN 20 / b END FROM t',
	'SELECT CASE WHEN b > 0 THEN CASE WHEN 20 / b > 5 THEN f(x) ELSE f2(20 / b) END END FROM t',
	'SELECT COALESCE(CASE WHEN b > 0 THEN f(20 / b) END, f2(x)) FROM t',
	# Other functions around and inside.
	'SELECT f(noise(x)) FROM t', 'SELECT noise(f(x)) FROM t', 'SELECT f(x), noise(b) FROM t',
	'SELECT f(f2(f(x))) FROM t', 'SELECT f(f2(x) + f(b)) FROM t', 'SELECT fs(f(x)::text || s) FROM t',
	'SELECT wraps(x) FROM t', 'SELECT wraps(x), wraps(x), wraps(b) FROM t', 'SELECT computes(x), f(b) FROM t',
	'SELECT selects(id), f(x) FROM t WHERE id < 6', 'SELECT f(selects(id)) FROM t WHERE id < 4',
	'SELECT reads(10)', 'SELECT * FROM reads(1000)', 'SELECT f(reads) FROM reads(12)', 'SELECT survives(14), survives(22)',
	'SELECT fdefiner(x), fset(x), f(x) FROM t', 'SELECT fdefiner(f(x)), f(fset(x)) FROM t', 'SELECT funsafe(x) FROM t',
	# Failures.
	'SELECT id, fbad(s) FROM t ORDER BY id', 'SELECT id, fbad(s) FROM t WHERE id < 15 ORDER BY id',
	'SELECT fbad(s) FROM t ORDER BY id LIMIT 3', 'SELECT fbad(s) FROM t WHERE id = 15', 'SELECT id FROM t WHERE fbad(s) > 0',
	'SELECT fbadnull(s) FROM t', 'SELECT fnn(x) FROM t ORDER BY id', 'SELECT fnn(x) FROM t WHERE x IS NOT NULL',
	'SELECT fskip(x), fskip(b) FROM t', 'SELECT fshort(s) FROM t WHERE id <> 15',
	"SELECT fshort(s || repeat('x', id)) FROM t ORDER BY id DESC", 'SELECT f(10 / b) FROM t', 'SELECT 10 / f(b) FROM t',
	'SELECT f(x) / b FROM t', 'SELECT f(2147483647 + x) FROM t', 'SELECT sum(fbad(s)) FROM t');

#
# What changes tables.  In a transaction that is rolled back.
#
for my $sql (
	'UPDATE t SET x = f(x) + 1', 'UPDATE t SET x = f(x) + 1 WHERE id < 9 RETURNING id, x, f2(x)',
	'UPDATE t SET x = f(b), b = f2(x) WHERE f(id) > 5', 'UPDATE t SET (x, s) = (SELECT f(u.w), fs(t.s) FROM u WHERE u.k = t.id)',
	'UPDATE t SET (x, b) = (SELECT u.w, u.t FROM u WHERE u.k = t.id), n = f(x)', 'UPDATE t SET (x, s) = ROW(f(b), fs(s))',
	'UPDATE t SET (x, s) = (SELECT (fc(t.id, t.s)).*)', 'UPDATE t SET x = f(u.w) FROM u WHERE u.t = t.id AND u.k < 9',
	'UPDATE p SET x = f(id) + 100', 'UPDATE p SET id = f(id) + 8 WHERE id < 14', 'UPDATE v SET x = f(id) WHERE id < 4',
	'UPDATE t SET x = fbad(s)', 'UPDATE t SET s = COALESCE(s, fs(id::text))',
	'INSERT INTO target SELECT id + 100, f(x), fs(s) FROM t', 'INSERT INTO target (id, score) SELECT id + 100, f(x) FROM t RETURNING *, f2(score)',
	'INSERT INTO target VALUES (100, f(1), fs(\'a\'))', 'INSERT INTO target VALUES (100, f(1)), (101, f(2)), (102, 3) RETURNING id, score',
	'INSERT INTO target SELECT id, f(x) FROM t ON CONFLICT (id) DO UPDATE SET score = f2(excluded.score) + 1000',
	'INSERT INTO target SELECT id, f(x) FROM t ON CONFLICT (id) DO NOTHING RETURNING id', 'INSERT INTO p SELECT f(id) + 30, x FROM t',
	'DELETE FROM t WHERE f(x) > 10 RETURNING id, f2(b)', 'DELETE FROM t USING u WHERE u.t = t.id AND f(u.w) < 5 RETURNING t.id, u.k',
	'DELETE FROM p WHERE f(x) > 10 RETURNING tableoid::regclass, id',
	'WITH d AS (DELETE FROM t WHERE id < 5 RETURNING *) SELECT f(x), id FROM d',
	'WITH i AS (INSERT INTO target SELECT id + 50, f(x) FROM t RETURNING *) SELECT f2(score), id FROM i',
	'CREATE TABLE made AS SELECT id, f(x) AS p FROM t', 'CREATE MATERIALIZED VIEW made AS SELECT id, f(x) AS p FROM t',
	'SELECT id, f(x) INTO made FROM t', "COPY (SELECT id, f(x), fs(s) FROM t) TO STDOUT",
	'SELECT f(x), id FROM t WHERE id < 5 FOR UPDATE', 'SELECT f(x), id FROM t ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED',
	'SELECT f(t.x), u.k FROM t JOIN u ON u.t = t.id FOR SHARE OF t',
	'SELECT f(x) FROM (SELECT * FROM t WHERE id < 4 FOR UPDATE) t',
	$major < 15 ? () : (
		'MERGE INTO target USING (SELECT id, f(x) AS p FROM t WHERE id < 14) s ON s.id = target.id
			WHEN MATCHED AND s.p > 10 THEN DELETE WHEN MATCHED THEN UPDATE SET score = s.p
			WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.p, fs(s.id::text))',
		'MERGE INTO target USING t ON t.id = target.id AND f(t.x) > 4
			WHEN MATCHED THEN UPDATE SET score = f(t.b) WHEN NOT MATCHED AND t.id > 10 THEN INSERT VALUES (t.id + 100, f(t.x))'))
{
	same("BEGIN; $sql;
		SELECT 't', id, x, b, s, n FROM t ORDER BY id; SELECT 'target', * FROM target ORDER BY id;
		SELECT 'p', tableoid::regclass, id, x FROM p ORDER BY id;
		SELECT 'made', count(*) FROM pg_class WHERE relname = 'made'; ROLLBACK", $sql);
}

#
# Cursors, prepared statements, PL/pgSQL, roles.
#
same($_) for (
	'BEGIN; DECLARE c CURSOR FOR SELECT id, f(x) FROM t ORDER BY id; FETCH 3 c; FETCH c; FETCH 5 c; MOVE 2 c; FETCH ALL c; FETCH c; COMMIT',
	'BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id, f(x) FROM t ORDER BY id; FETCH 3 c; FETCH BACKWARD 2 c; FETCH LAST c; FETCH ABSOLUTE 2 c; FETCH BACKWARD ALL c; FETCH ALL c; COMMIT',
	'BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT id, f(x) FROM t; FETCH 3 c; FETCH BACKWARD 2 c; COMMIT',
	'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id, f(x) FROM t ORDER BY id; FETCH 2 c; COMMIT; FETCH 3 c; FETCH ALL c; CLOSE c',
	'BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id, f(x) FROM t; FETCH 2 c; COMMIT; FETCH BACKWARD 1 c; FETCH ALL c; CLOSE c',
	'BEGIN; DECLARE a CURSOR FOR SELECT f(x) FROM t; DECLARE b CURSOR FOR SELECT f2(id) FROM t; FETCH 2 a; FETCH 2 b; FETCH 3 a; CLOSE a; FETCH ALL b; COMMIT',
	'BEGIN; DECLARE c CURSOR FOR SELECT fbad(s), id FROM t ORDER BY id; FETCH 4 c; FETCH c; FETCH c; ROLLBACK',
	'BEGIN; DECLARE c CURSOR FOR SELECT fbad(s), id FROM t ORDER BY id; FETCH 14 c; FETCH 2 c; FETCH c; ROLLBACK',
	'BEGIN; SAVEPOINT a; DECLARE c CURSOR FOR SELECT f(x) FROM t; FETCH 2 c; ROLLBACK TO a; FETCH 2 c; COMMIT',
	'BEGIN; DECLARE c CURSOR FOR SELECT id, x FROM t FOR UPDATE; FETCH 3 c; UPDATE t SET x = f(x) + 1 WHERE CURRENT OF c RETURNING id, x; ROLLBACK',
	'PREPARE q(int) AS SELECT id, f(x + $1) FROM t WHERE b > $1; EXECUTE q(1); EXECUTE q(2); EXECUTE q(NULL); DEALLOCATE q',
	"SET plan_cache_mode = force_generic_plan; PREPARE q(int, int) AS SELECT id, f(x + \$1), \$1 FROM t LIMIT \$2; EXECUTE q(1, 3); EXECUTE q(2, 4); DEALLOCATE q; RESET plan_cache_mode",
	"SET plan_cache_mode = force_generic_plan; PREPARE q(int) AS UPDATE t SET x = f(\$1) WHERE id = \$1 RETURNING x; BEGIN; EXECUTE q(1); EXECUTE q(2); ROLLBACK; DEALLOCATE q; RESET plan_cache_mode",
	'PREPARE q AS SELECT f(x) FROM t WHERE id < 4; EXECUTE q; BEGIN; CREATE OR REPLACE FUNCTION f(x int) RETURNS int LANGUAGE sql AS \'SELECT -$1\'; EXECUTE q; ROLLBACK; EXECUTE q; DEALLOCATE q',
	'DO $$ DECLARE r int; BEGIN r := f(5); RAISE NOTICE \'%\', r; r := r + f(r) * f2(3); RAISE NOTICE \'%\', r; IF f(r) > 3 THEN RAISE NOTICE \'more\'; END IF; END $$',
	'DO $$ DECLARE r record; n int := 0; BEGIN FOR r IN SELECT id, f(x) AS p FROM t ORDER BY id LOOP n := n + coalesce(r.p, 0) * r.id; EXIT WHEN r.id = 20; END LOOP; RAISE NOTICE \'%\', n; END $$',
	'DO $$ DECLARE c CURSOR (m int) FOR SELECT id, f(x) AS p FROM t WHERE id < m ORDER BY id; r record; BEGIN OPEN c(6); FETCH c INTO r; RAISE NOTICE \'%\', r; MOVE 2 IN c; FETCH c INTO r; RAISE NOTICE \'%\', r; CLOSE c; FOR q IN c(4) LOOP RAISE NOTICE \'%\', q; END LOOP; END $$',
	'DO $$ DECLARE i int; p int; BEGIN FOR i IN 1 .. 5 LOOP SELECT f(x) INTO STRICT p FROM t WHERE id = i; RAISE NOTICE \'%\', p; END LOOP; END $$',
	'DO $$ DECLARE i int; p int; BEGIN FOR i IN 1 .. 5 LOOP EXECUTE format(\'SELECT f(x) FROM t WHERE id = %s\', i) INTO p; RAISE NOTICE \'%\', p; END LOOP; END $$',
	'DO $$ BEGIN PERFORM fbad(s) FROM t; EXCEPTION WHEN OTHERS THEN RAISE NOTICE \'% %\', sqlstate, (SELECT sum(f(x)) FROM t); END $$',
	'DO $$ DECLARE r record; BEGIN FOR r IN SELECT f(x) AS p, id FROM t ORDER BY id LOOP RAISE NOTICE \'% %\', r.p, computes(r.id); END LOOP; END $$',
	'DO $$ DECLARE r record; BEGIN FOR r IN SELECT f(x) AS p, id FROM t ORDER BY id LIMIT 5 LOOP BEGIN PERFORM fbad(\'x\'); EXCEPTION WHEN OTHERS THEN RAISE NOTICE \'% %\', r.p, sqlstate; END; END LOOP; END $$',
	'BEGIN; CREATE FUNCTION changes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.score := f(NEW.id) + f2(NEW.id); RETURN NEW; END $$; CREATE TRIGGER c BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION changes(); INSERT INTO target SELECT id + 20, f(x) FROM t RETURNING *; ROLLBACK',
	'BEGIN; CREATE TABLE checked (x int CHECK (f(x) > 3)); INSERT INTO checked SELECT f(x) FROM t WHERE x > 3 RETURNING x; INSERT INTO checked SELECT f(x) FROM t; ROLLBACK',
	'BEGIN; CREATE TABLE filled (id int, p int DEFAULT f(9)); INSERT INTO filled SELECT f(id) FROM t RETURNING *; ROLLBACK',
	'SET ROLE reader; SELECT f(x), id FROM r; SELECT f(x), id FROM r WHERE fbad(s) > 0; RESET ROLE',
	'SET ROLE reader; BEGIN; UPDATE r SET x = f(id) + 1 RETURNING id, x; INSERT INTO r (id, x) SELECT f(id) + 1, x FROM r; ROLLBACK; RESET ROLE',
	'SET ROLE reader; SELECT id FROM r WHERE f(x) > 4; SELECT sum(f(x)) FROM r; SELECT * FROM barrier WHERE f(x) > 4; RESET ROLE',
	'SET ROLE reader; SELECT fsecret(x) FROM t; RESET ROLE', 'SET ROLE reader; SELECT fsecret(1); RESET ROLE',
	'SET ROLE reader; SELECT fsecret(x) FROM empty; RESET ROLE', 'SET ROLE reader; SELECT id FROM t WHERE fsecret(x) > 4; RESET ROLE',
	'SET ROLE reader; EXPLAIN (COSTS OFF) SELECT x FROM t WHERE fsecret(x) > 4; RESET ROLE',
	'SET ROLE reader; SELECT CASE WHEN false THEN fsecret(x) END FROM t; SELECT CASE WHEN b > 9 THEN fsecret(x) END FROM t; RESET ROLE',
	'SET ROLE reader; UPDATE t SET x = fsecret(x); INSERT INTO target SELECT fsecret(x) FROM t; RESET ROLE',
	'SET ROLE reader; SELECT * FROM t, fsecret(t.x) p; RESET ROLE', 'SET ROLE reader; SELECT sum(fsecret(x)) FROM t; RESET ROLE',
	'SET TRANSACTION READ ONLY; SELECT f(x) FROM t WHERE id < 3', 'BEGIN READ ONLY; SELECT f(x) FROM t WHERE id < 3; COMMIT',
	'BEGIN; ALTER FUNCTION f(int) STABLE; SELECT f(x) FROM t; ROLLBACK', 'BEGIN; ALTER FUNCTION f(int) IMMUTABLE; SELECT f(x) FROM empty; SELECT f(x) FROM t; ROLLBACK',
	"BEGIN; SET LOCAL check_function_bodies = off; CREATE FUNCTION broken(x int) RETURNS int LANGUAGE sagemaker AS '{\"nonesuch\": 1}'; SELECT broken(x) FROM empty; SELECT id, broken(x) FROM t; ROLLBACK",
	# Joins of every kind, with rescans.
	(map { my $off = $_; map { "BEGIN; SET LOCAL enable_hashjoin = off; SET LOCAL $off = off; SET LOCAL enable_material = off; SET LOCAL enable_memoize = off; $_; COMMIT" }
		'SELECT a.id, b.p FROM t a JOIN (SELECT id, f(x) AS p FROM t OFFSET 0) b ON a.id = b.id ORDER BY 1',
		'SELECT a.id, b.p FROM t a LEFT JOIN (SELECT id, f(x) AS p FROM t WHERE id < 7 OFFSET 0) b ON a.id = b.id ORDER BY 1',
		'SELECT a.k, f(a.w), b.p FROM u a, LATERAL (SELECT f2(x) AS p FROM t WHERE t.id = a.t OFFSET 0) b ORDER BY 1',
		'SELECT a.k, b.p FROM u a JOIN (SELECT x, f(x) AS p FROM t OFFSET 0) b ON a.w = b.p ORDER BY 1, 2',
		'SELECT a.k FROM u a WHERE EXISTS (SELECT FROM (SELECT x, f(x) AS p FROM t OFFSET 0) b WHERE a.w < b.p AND b.x > a.t) ORDER BY 1',
		'SELECT f(a.w), f2(b.x) FROM u a JOIN t b ON a.t = b.id ORDER BY a.k, b.id' }
		'enable_mergejoin', 'enable_nestloop'));

#
# A role that may not execute a model is refused whatever runs, also what was
# planned while it might.
#
{
	my $owner = $session{off};
	for my $mode (qw(on off))
	{
		my $s = $session{$mode};
		my @again = map { "EXECUTE $_" } qw(of_list of_qual of_update of_cursor);
		$owner->must('GRANT EXECUTE ON FUNCTION fsecret TO reader');
		$s->must($_) for 'SET ROLE reader',
		  'SET plan_cache_mode = force_generic_plan',
		  'PREPARE of_list AS SELECT fsecret(x) FROM t WHERE id < 4',
		  'PREPARE of_qual AS SELECT id FROM t WHERE id < 4 AND fsecret(x) > 2',
		  'PREPARE of_update AS UPDATE t SET x = fsecret(x) WHERE id < 4',
		  'PREPARE of_cursor AS SELECT sum(fsecret(x)) FROM t WHERE id < 4',
		  'BEGIN', @again, 'ROLLBACK', 'RESET ROLE';
		$owner->must('REVOKE EXECUTE ON FUNCTION fsecret FROM reader');
		$s->must('SET ROLE reader');
		my @refused = grep { ($s->run($_)->{sqlstate} // '') eq '42501' } @again;
		is_deeply(\@refused, \@again,
			"batch $mode: statements prepared before a REVOKE are refused after it");
		$s->must('RESET ROLE; RESET plan_cache_mode; DEALLOCATE ALL');
	}
}

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
CREATE FUNCTION inlined(s text) RETURNS text LANGUAGE sql AS 'SELECT guess($1)';
ANALYZE wide; ANALYZE parts;
SQL

# How many rows the requests of a statement had, the small ones first.
sub sizes
{
	my ($sql, $session) = @_;
	$emulator->reset;
	($session // $session{on})->must($sql);
	return sort { $a <=> $b } map { $_->{body_bytes} / 5 } $emulator->requests('echo');
}

sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

# Those who stop early have few rows sent; the more are taken, the more follow.
my @thousand = (16, 16, 28, 32, 56, 64, 88, (100) x 7);

for (
	[ 'SELECT fs(s) FROM wide', @thousand ],
	[ "SELECT id FROM wide WHERE fs(s) > '0500'", @thousand ],
	[ 'SELECT sum(length(fs(s))) FROM wide', @thousand ],
	[ "CREATE TEMP TABLE kept AS SELECT fs(s) FROM wide; DROP TABLE kept", @thousand ],
	[ 'SELECT fs(s), fs(s) FROM wide ORDER BY fs(s)', @thousand ],
	[ 'SELECT fs50(s) FROM wide WHERE id <= 300', 14, 16, 16, 28, 32, 44, (50) x 3 ],
	[ 'SELECT fs40b(s) FROM wide WHERE id <= 22', (6), (8) x 2 ],
	[ 'SELECT fs1(s) FROM wide WHERE id <= 100', (1) x 100 ],
	# A limit that cannot be meant is the largest one.
	[ "SELECT aws_sagemaker.invoke_endpoint('echo', 2147483647, s) FROM wide WHERE id <= 100", 16, 16, 32, 36 ],
	[ 'SELECT fs(s) FROM wide LIMIT 10', 10 ],
	[ 'SELECT fs(s) FROM wide LIMIT 10 OFFSET 3', 13 ],
	[ 'SELECT fs(s) FROM wide WHERE id <= 12 LIMIT 10', 10 ],
	[ 'SELECT fs(s) FROM wide ORDER BY id DESC LIMIT 100', 16, 16, 32, 36 ],
	[ 'SELECT fs(s) FROM wide ORDER BY 1 LIMIT 10', @thousand ],
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
	[ 'UPDATE wide SET s = fs(s) WHERE id <= 40', 8, 16, 16 ],
	[ 'INSERT INTO parts SELECT id, fs(s) FROM wide WHERE id < 4', 3 ],
	[ 'DO $$ DECLARE r record; BEGIN FOR r IN SELECT fs(s) FROM wide LOOP EXIT; END LOOP; END $$', 16 ])
{
	my ($sql, @wanted) = @$_;
	is_deeply([ sizes($sql) ], [ sort { $a <=> $b } @wanted ],
		"$sql sends " . (@wanted ? "rows @wanted" : 'nothing'));
}
# What was read ahead may not have arrived when the cursor is closed.
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

#
# A cancel ends what is in flight, and leaves nothing.
#
for my $statement ('SELECT count(fs1(s)) FROM wide', "SELECT id FROM wide WHERE fs1(s) > ''",
	'UPDATE wide SET s = fs1(s)', 'SELECT fs1(fs1(s)) FROM wide')
{
	my $s = Session->new($node);
	$s->must('SELECT count(fs1(s)) FROM wide WHERE id <= 32');
	my %before = descriptors($s->pid);
	$emulator->reset;
	$emulator->script('echo', [ ({}) x 32 ], { use => 'hang' });
	$s->start($statement);
	my $there = wait_until(sub { $emulator->request_count('echo') >= 32 + 16 });
	my $ordered = Time::HiRes::time();
	$session{off}->must('SELECT pg_cancel_backend(' . $s->pid . ')');
	my $result = $s->finish;
	ok($there && $result->{sqlstate} eq '57014', "$statement is cancelled with requests in flight");
	cmp_ok($result->{at} - $ordered, '<', 1, 'within a second');
	my %after = descriptors($s->pid);
	cmp_ok(scalar(keys %after), '<=', scalar(keys %before), 'and leaves no descriptor');
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

#
# Concurrent writers.  One session has changed rows when the other meets them;
# under READ COMMITTED the other waits, and sees what the first has left.
#
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE c (id int PRIMARY KEY, x int, score int);
CREATE TABLE d (id int PRIMARY KEY, w int);
CREATE TABLE moved (id int, x int, score int) PARTITION BY RANGE (id);
CREATE TABLE moved1 PARTITION OF moved FOR VALUES FROM (0) TO (10);
CREATE TABLE moved2 PARTITION OF moved FOR VALUES FROM (10) TO (100);
CREATE TABLE taken (id int, score int);
SQL
my $refill = 'TRUNCATE c, d, moved, taken; INSERT INTO c SELECT i, i, 0 FROM generate_series(1, 6) i;
	INSERT INTO d SELECT i, i * 100 FROM generate_series(1, 6) i; INSERT INTO moved SELECT i, i, 0 FROM generate_series(1, 6) i';
my $state = "SELECT 'c', * FROM c ORDER BY id; SELECT 'moved', * FROM moved ORDER BY id; SELECT 'taken', * FROM taken ORDER BY id";

my ($n_races, $n_waited) = (0, 0);

sub race
{
	my ($mode, $change, $end, $statement) = @_;
	my $second = $session{$mode};
	my $watcher = $session{watcher} //= Session->new($node);
	my $first = $session{first} //= Session->new($node);

	$watcher->must($refill);
	$first->must("BEGIN; $change");
	$second->start($statement);
	my $waits = sub { $watcher->must('SELECT wait_event_type FROM pg_stat_activity WHERE pid = ' . $second->pid) eq 'Lock' };
	wait_until(sub { $second->is_over || $waits->() });
	$n_waited++ if $mode eq 'on' && $waits->();
	$first->must($end);
	my $result = $second->finish;
	$second->run('ROLLBACK') if $statement =~ /BEGIN/;
	return join "\n", $result->{output}, $result->{sqlstate} // '', $result->{message} // '', $watcher->must($state);
}

my @changes = (
	'UPDATE c SET x = x + 10 WHERE id IN (2, 4); UPDATE moved SET x = x + 10 WHERE id IN (2, 4)',
	'DELETE FROM c WHERE id IN (2, 4); DELETE FROM moved WHERE id IN (2, 4)',
	'UPDATE c SET x = -5 WHERE id IN (2, 4); UPDATE moved SET x = -5 WHERE id IN (2, 4); UPDATE moved SET id = 20 WHERE id = 6',
	'UPDATE c SET score = f(x) * 2, x = 3; UPDATE d SET w = 7');
my @statements = (
	'UPDATE c SET score = f(x) + 1', 'UPDATE c SET score = f(x) WHERE f(x) > 1 AND x > 0 RETURNING id, score',
	'UPDATE c SET score = f(c.x) + f2(d.w) FROM d WHERE d.id = c.id RETURNING *', 'UPDATE c SET score = f(f2(x))',
	'UPDATE c SET score = f((SELECT max(w) FROM d WHERE d.id = c.id)) + x', 'UPDATE c SET (x, score) = (SELECT f(w), f2(c.x) FROM d WHERE d.id = c.id)',
	'UPDATE c SET score = CASE WHEN x <> 2 THEN f(60 / (x - 2)) END', 'DELETE FROM c WHERE f(x) = 2 OR f(x) = 14',
	'DELETE FROM c USING d WHERE d.id = c.id AND f(d.w) > 300 RETURNING f(c.x)', 'UPDATE moved SET score = f(x)',
	'SELECT id, f(x), score FROM c WHERE x > 0 ORDER BY id FOR UPDATE', 'SELECT id, f(x) FROM c WHERE f(x) > 1 FOR UPDATE',
	'SELECT id, f(x) FROM c ORDER BY id FOR UPDATE SKIP LOCKED', 'SELECT id, f(x) FROM c ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED',
	'SELECT id, f(x) FROM c FOR UPDATE NOWAIT', 'SELECT c.id, f(c.x), f2(d.w) FROM c JOIN d USING (id) FOR UPDATE OF c',
	'SELECT c, f(c.x) FROM c WHERE id IN (SELECT f(id) FROM d) ORDER BY id FOR SHARE', 'SELECT s.id, f(s.x) FROM (SELECT * FROM c WHERE x > 0 FOR UPDATE) s',
	'INSERT INTO taken SELECT id, f(x) FROM c WHERE id < 5 FOR UPDATE', 'WITH u AS (UPDATE c SET score = f(x) RETURNING *) SELECT id, f2(score) FROM u ORDER BY id',
	'INSERT INTO c SELECT id, x, f(x) FROM c ON CONFLICT (id) DO UPDATE SET score = f(excluded.score) + c.x',
	'BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE c SET score = f(x); COMMIT',
	$major < 15 ? () : (
		'MERGE INTO c USING (SELECT id, f(w) AS p FROM d) s ON s.id = c.id WHEN MATCHED AND c.x > 3 THEN UPDATE SET score = s.p + f2(c.x) WHEN MATCHED THEN DELETE'));

for my $change (@changes)
{
	for my $end ($change =~ /SET x = -5|DELETE/ ? ('COMMIT') : ('COMMIT', 'ROLLBACK'))
	{
		for my $statement (@statements)
		{
			my ($on, $off) = map { race($_, $change, $end, $statement) } qw(on off);
			$n_races++;
			is($on, $off, "same: $statement meets $change; $end");
		}
	}
}
like(race('on', $changes[0], 'COMMIT', $statements[0]), qr/^c\|2\|12\|13\nc\|3\|3\|4\nc\|4\|14\|15$/m,
	'what is predicted is the row that the first has left');
note("$n_races races, $n_waited of them waited");
cmp_ok($n_waited, '>', 100, 'most of these statements wait');

note("$n_shapes shapes, $n_batched of them with a batched plan");
cmp_ok($n_shapes, '>=', 300, 'there are at least 300 shapes');

$_->quit for values %session;
$node->stop('fast');
unlike(slurp_file($node->logfile),
	qr/PANIC|was terminated by signal|exited with exit code [^1]/,
	'no server process crashed');

done_testing();
