# A statement gives the same rows, errors and refusals whether its predictions
# are batched or made row by row: many shapes of statements.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use BothWays;
use PostgreSQL::Test::Utils;
use Session;
use Test::More;

begin_both_ways();

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
	# What a set is beside, below or in.
	'SELECT f(x), generate_series(1, b) FROM t', 'SELECT f(x), generate_series(1, f2(b)) FROM t WHERE id < 9',
	'SELECT generate_series(1, 2), f(generate_series(3, 4)) FROM t WHERE id < 4',
	'SELECT f(x), unnest(ARRAY[f2(b), f(id)]) FROM t', 'SELECT f(x), generate_series(1, 2) FROM t ORDER BY 1, 2 LIMIT 5', 'SELECT f(x), generate_series(1, 3) FROM t LIMIT 4',
	'SELECT count(*) FILTER (WHERE f(x) > 4), sum(f2(b)) FILTER (WHERE f(x) > 4) FROM t', 'SELECT g, sum(f(20 / b)) FILTER (WHERE f2(b) > 0) FROM t GROUP BY g ORDER BY g',
	'SELECT sum(f(x)) FILTER (WHERE f2(f(x)) > 4), count(*) FILTER (WHERE f(x) > 4 AND b > 1) FROM t',
	'SELECT count(*) FILTER (WHERE f(x) > 4) OVER (ORDER BY id), id FROM t', 'SELECT g, b, sum(f(x)), count(*) FILTER (WHERE f(x) > 3) FROM t GROUP BY ROLLUP (g, b) ORDER BY 1, 2, 3',
	'SELECT g, b, max(f(x) + g) FROM t GROUP BY GROUPING SETS ((g, b), (b), (g), ()) HAVING sum(f(id)) > 9 ORDER BY 1, 2, 3', 'SELECT sum(f(f2(x))), max(f2(f(b))) FROM t',
	'SELECT g, f(g), sum(f(x)) FROM t GROUP BY ROLLUP (g) ORDER BY 1, 3',
	# Conditions over several tables.
	'SELECT t.id, u.k FROM t JOIN u ON f(t.x + u.w) > 20 ORDER BY 1, 2', 'SELECT t.id, u.k FROM t JOIN u ON u.t = t.id AND f(t.x + u.w) > 20 AND u.w > 3 ORDER BY 1, 2',
	'SELECT t.id, u.k FROM t, u WHERE t.g = u.k AND f(t.x) <> f2(u.w) AND t.b > 0 ORDER BY 1, 2', 'SELECT t.id FROM t LEFT JOIN u ON u.t = t.id AND f(t.x + u.w) > 20 ORDER BY 1, u.k',
	'SELECT t.id FROM t LEFT JOIN u ON u.t = t.id WHERE f(t.x + coalesce(u.w, 0)) > 20 ORDER BY 1, u.k', 'SELECT t.id FROM t JOIN (SELECT DISTINCT t, w FROM u) u ON u.t = t.id AND f(t.x + u.w) > 20 ORDER BY 1, u.w',
	'SELECT a.id FROM t a JOIN t b ON a.id = b.id AND f(a.x) < f2(b.id) ORDER BY 1', 'SELECT a.id FROM t a WHERE EXISTS (SELECT FROM u WHERE u.t = a.id AND f(a.x + u.w) > 20) ORDER BY 1',
	'SELECT a.id FROM t a WHERE NOT EXISTS (SELECT FROM u WHERE u.t = a.id AND f(a.x + u.w) > 20) ORDER BY 1', 'SELECT a.id, b.id FROM t a JOIN t b ON f(a.x) = f(b.id) ORDER BY 1, 2',
	'SELECT t.id, u.k FROM t JOIN u ON u.t = t.id AND fbad(t.s) > 0 AND f(u.w) > t.g ORDER BY 1, 2',
	# LATERAL.
	'SELECT id, l.a, l.c, l.a + 1 FROM t, LATERAL fc(t.x, t.s) l', 'SELECT id, l FROM t, LATERAL fc(t.x, t.s) l', 'SELECT id, p FROM t, LATERAL f(t.x) p', 'SELECT id, p, f(t.x) FROM t, LATERAL f(t.x) p WHERE p > 3',
	'SELECT id, l.a FROM t LEFT JOIN LATERAL fc(t.x, t.s) l ON true WHERE l.a IS NULL', 'SELECT id, l.a FROM t LEFT JOIN LATERAL fc(t.x, t.s) l ON l.a > 5', 'SELECT id, l.a, m.a FROM t, LATERAL fc(t.x, t.s) l, LATERAL fc(l.a, l.c) m',
	'SELECT t.id, u.k, l.a FROM t JOIN u ON u.t = t.id, LATERAL fc(t.x + u.w, t.s) l ORDER BY 1, 2', 'SELECT f2(l.a), l.c FROM t, LATERAL fc(f(t.x), t.s) l', 'SELECT id, l.a FROM t, LATERAL fc(noise(t.x), t.s) l',
	'SELECT id, l.a, o FROM t, LATERAL fc(t.x, t.s) WITH ORDINALITY l(a, c, o)', 'SELECT id, l.y FROM t, LATERAL fc(t.x, t.s) l(y, z) ORDER BY l.z, id', 'SELECT max(l.a), count(l.c) FROM t, LATERAL fc(t.x, t.s) l', 'SELECT id, l.a FROM t, LATERAL fc((SELECT max(w) FROM u WHERE u.t = t.id), t.s) l',
	'SELECT id, l.a FROM t, LATERAL fc(t.x, t.s) l ORDER BY id LIMIT 3', 'SELECT id FROM t WHERE EXISTS (SELECT FROM fc(t.x, t.s) l WHERE l.a > 5)', 'SELECT id, (SELECT l.a FROM fc(t.x, t.s) l) FROM t', 'SELECT * FROM u, LATERAL (SELECT l.* FROM t, fc(t.x + u.w, t.s) l WHERE t.id = u.t) q ORDER BY 1',
	'SELECT id, l.a FROM t CROSS JOIN LATERAL fc(t.x, t.s) l WHERE l.a > 3 AND noise(l.a) > 5 AND f(l.a) > 7', "SELECT id, p FROM t, LATERAL sagemaker_predict('echo', t.x, t.b) p",
	'SELECT id, p FROM t LEFT JOIN f(5) p ON true', 'SELECT t.id, l.c, l.a FROM t, LATERAL (SELECT (SELECT count(*) FROM u WHERE u.t IN (t.id, fc.a)) AS c, a FROM fc(t.x, t.s) OFFSET 0) l ORDER BY 1',
	'SELECT t.id, l.a FROM t, LATERAL (SELECT a FROM fc(t.x, t.s) fc WHERE a > (SELECT count(*) FROM u WHERE u.t IN (t.id, fc.a)) OFFSET 0) l ORDER BY 1',
	'SELECT id, l.n - l.n, l.a FROM t, LATERAL (SELECT random() AS n, a FROM fc(t.id, t.s) OFFSET 0) l',
	# A request a row.
	"SELECT id, sagemaker_body_text(sagemaker_invoke('echo', s, 'text/csv')) FROM t", "SELECT id, r.content_type, sagemaker_body_text(r) FROM t, LATERAL sagemaker_invoke('echo', s, 'text/csv') r",
	"SELECT id, sagemaker_body_text(r), r IS NULL FROM t LEFT JOIN LATERAL sagemaker_invoke('echo', convert_to(s, 'UTF8'), 'text/csv', inference_id => 'i' || id) r ON true", "SELECT (sagemaker_invoke('echo', s, 'text/csv')).content_type, id FROM t",
	"SELECT id, sagemaker_body_json(sagemaker_invoke('echo', jsonb_build_object('x', x))) FROM t", "SELECT id, sagemaker_body_json(r)->'s' FROM t, LATERAL sagemaker_invoke('echo', json_build_object('s', s), options => '{\"timeout\": \"9s\"}') r",
	"SELECT CASE WHEN b > 0 THEN sagemaker_body_text(sagemaker_invoke('echo', (20 / b)::text)) END FROM t", "SELECT id FROM t WHERE sagemaker_body_text(sagemaker_invoke('echo', s)) > '3' ORDER BY id", "SELECT sagemaker_invoke(CASE WHEN b > 0 THEN 'echo' END, s) IS NULL FROM t",
	"SELECT count(sagemaker_body_text(sagemaker_invoke('echo', s))) FROM t", "SELECT id, sagemaker_body_text(sagemaker_invoke('echo', s, options => CASE WHEN id = 7 THEN '{\"timeout\": \"soon\"}'::jsonb ELSE jsonb_build_object('max_attempts', b + 1) END)) FROM t ORDER BY id",
	"SELECT id, sagemaker_body_text(sagemaker_invoke(CASE id WHEN 9 THEN 'no such' ELSE 'echo' END, s)) FROM t ORDER BY id", "SELECT id, sagemaker_body_text(sagemaker_invoke('echo', s, server => CASE id WHEN 9 THEN 'nonesuch' END)) FROM t ORDER BY id",
	"SELECT sagemaker_body_text(sagemaker_invoke('echo', repeat(s, 3000))) = repeat(s, 3000) FROM t", "SELECT sagemaker_body_text(sagemaker_invoke('echo', '\\x' || s)) FROM t WHERE id < 3",
	map({ "SELECT id, (sagemaker_invoke_async('echo', $_, 'text/plain', inference_id => 'i' || id, invocation_timeout_seconds => 60 + id)).output_location FROM t ORDER BY id" }
		"coalesce(s, 'x')", 's', 'to_jsonb(s)', "repeat('x', id * 10000)"), "SELECT sagemaker_invoke_async(nullif('echo', 'echo'), s) FROM t",
	"SELECT id, r.output_location FROM t, LATERAL sagemaker_invoke_async('echo', input_location => 's3://sagemaker-emulator/' || id, inference_id => 'i' || id) r",
	# Sets, in the list and in FROM.
	'SELECT fset(x, b), id FROM t', 'SELECT fset(x, b), fset(x, b), fset(b, id), generate_series(1, 3), id FROM t WHERE id < 9',
	'SELECT fset(f(x), b), f(b) FROM t', 'SELECT fset(generate_series(1, 2), b) FROM t WHERE id < 5', 'SELECT generate_series(1, fset(b, id)) FROM t WHERE id < 5',
	'SELECT ftable(some_of(b)), id FROM t', 'SELECT (ftable(some_of(b))).*, id FROM t', 'SELECT (fpairs(some_of(b))).c, id FROM t ORDER BY id DESC, 1 LIMIT 5',
	'SELECT fpairs(some_of(nullif(b, 2))), id FROM t', 'SELECT farrays(\'[[1,2],[3]]\'), id FROM t', 'SELECT fsetbad(s), id FROM t', 'SELECT fsetnull(s), id FROM t',
	'SELECT fset(x, b) FROM t LIMIT 3', 'SELECT fset(1, 2)', 'SELECT * FROM fset(1, 2)', 'SELECT fset(x, b) FROM empty', 'SELECT DISTINCT fset(x, b) FROM t ORDER BY 1',
	'SELECT fset(g, count(*)::int), g FROM t GROUP BY g ORDER BY g', 'SELECT fset(noise(b), 3), id FROM t',
	'SELECT CASE WHEN b > 0 THEN 1 END, fset(x, b) FROM t',
	'SELECT id, q FROM t, LATERAL fset(t.x, t.b) q', 'SELECT id, r.* FROM t, LATERAL ftable(some_of(t.b)) r', 'SELECT id, r.a, r FROM t, LATERAL fpairs(some_of(t.b)) r WHERE r.a > 1',
	'SELECT id, r.* FROM t LEFT JOIN LATERAL ftable(some_of(t.b)) r ON r.a <> t.b', 'SELECT id, r.* FROM t LEFT JOIN LATERAL ftable(some_of(t.b)) WITH ORDINALITY r(a, c, n) ON true',
	'SELECT id, r, (r).a, (r).c FROM t, LATERAL ftable(some_of(t.b)) r', 'SELECT id, r FROM t, LATERAL fset(f(t.x), t.b) r', 'SELECT id, r FROM t, LATERAL generate_series(1, f(t.b)) r',
	'SELECT id, r, q FROM t, LATERAL ftable(some_of(t.b)) r, LATERAL fset(r.a, t.b) q', 'SELECT id FROM t WHERE EXISTS (SELECT FROM fset(t.x, t.b) q WHERE q > 3)',
	'SELECT id FROM t WHERE NOT EXISTS (SELECT FROM fset(t.x, t.b) q WHERE q > 3)', 'SELECT id, r.p, r.n FROM t, LATERAL f(t.x) WITH ORDINALITY AS r(p, n)', 'SELECT id, r.* FROM t LEFT JOIN LATERAL fc(t.x, t.s) r ON r.a > t.b',
	'SELECT id, r FROM t, LATERAL fc(t.x, t.s) r', "SELECT id, r.content_type, r.n FROM t, LATERAL sagemaker_invoke('echo', s, 'text/csv') WITH ORDINALITY r(body, content_type, a, b, c, d, e, n)",
	'SELECT id, r.* FROM t, LATERAL farrays(jsonb_build_array(jsonb_build_array(t.b))) r', 'SELECT id, r.* FROM t, LATERAL ROWS FROM (fset(t.x, t.b), generate_series(1, t.b)) r', 'SELECT id, r.* FROM t, LATERAL ftable(some_of((SELECT count(*)::int FROM u WHERE u.t = t.b))) r',
	'SELECT id, (SELECT sum(q) FROM fset(t.x, t.b) q) FROM t', 'SELECT id, r FROM t, LATERAL fset(1, 2) r WHERE id < 3', 'SELECT u.k, l.q FROM u, LATERAL (SELECT q FROM t, LATERAL fset(t.x, u.w) q WHERE t.id = u.t OFFSET 0) l',
	'SELECT id, q FROM t, LATERAL fsetbad(t.s) q', 'SELECT id, q FROM t, LATERAL fset(t.x, t.b) q WHERE f(q) > 3 AND f2(t.b) > 1', 'SELECT id, r.a FROM t, LATERAL (SELECT a FROM ftable(some_of(t.b)) WHERE a > 1 LIMIT 1) r',
	'SELECT r.x, s FROM (VALUES (1, 2), (3, 4), (1, 2)) r(x, y), LATERAL fset(r.x, r.y) s ORDER BY 1, 2',
	'SELECT a.id, b.q FROM t a JOIN LATERAL (SELECT q FROM t b, LATERAL fset(b.x, a.id) q WHERE b.id < 4 OFFSET 0) b ON true WHERE a.id < 6 ORDER BY 1, 2',
	'SELECT a.id, (SELECT sum(q) FROM t b, LATERAL fset(b.x, a.id) q WHERE b.id < 4) FROM t a ORDER BY 1',
	'SELECT a.id, (SELECT string_agg(r.c, a.s) FROM t b, LATERAL ftable(some_of(b.b + a.b)) r WHERE b.id < 4) FROM t a ORDER BY 1',
	'SELECT a.id FROM t a WHERE a.id IN (SELECT q FROM t b, LATERAL fset(b.x, a.b) q) ORDER BY 1',
	'SELECT p.id, q FROM p, LATERAL fset(p.x, p.b) q ORDER BY 1, 2',
	'SELECT sum(q) FROM big, LATERAL fset(big.x, big.id) q',
	'SELECT id, q FROM t, LATERAL fset(t.x, t.b) q ORDER BY id DESC, q LIMIT 4',
	'SELECT id, q FROM t, LATERAL fset(t.x, t.b) q LIMIT 4',
	'SELECT fset(x, b) AS q FROM t ORDER BY q LIMIT 4',
	'SELECT DISTINCT ON (id) id, fset(x, b) FROM t ORDER BY id',
	'SELECT id, unnest(ARRAY[f(x), f(b)]), fset(x, b) FROM t',
	'SELECT id, row_number() OVER (ORDER BY id), fset(x, b) FROM t',
	'SELECT g, fset(sum(x)::int, g), sum(f(x)) FROM t GROUP BY g ORDER BY g',
	'SELECT q, count(*) FROM t, LATERAL fset(t.x, t.b) q GROUP BY q ORDER BY q',
	'SELECT * FROM r, LATERAL fset(r.x, r.id) q ORDER BY id, q',
	'SELECT * FROM barrier t, LATERAL fset(t.x, t.id) q ORDER BY id, q',
	'SELECT id, q FROM t, LATERAL (SELECT * FROM fset(t.x, t.b) q) z(q)',
	'SELECT id, q, z FROM t, LATERAL fset(t.x, t.b) q, LATERAL fset(q, t.b) z, LATERAL fc(z, t.s) w WHERE w.a > 3',
	'SELECT t.id, u.k, q FROM t JOIN u ON u.t = t.id, LATERAL fset(t.x, u.w) q WHERE q <> 5 ORDER BY 1, 2, 3',
	'SELECT t.id, q FROM t LEFT JOIN u ON u.t = t.id + 9 LEFT JOIN LATERAL fset(t.x, u.w) q ON q > 4 ORDER BY 1, 2',
	'SELECT fset(x, b) FROM t UNION ALL SELECT fset(w, t) FROM u',
	'WITH c AS MATERIALIZED (SELECT id, fset(x, b) AS q, f(x) AS z FROM t) SELECT id, q FROM c',
	'WITH c AS MATERIALIZED (SELECT id, fset(x, b) AS q FROM t) SELECT id FROM c',
	'SELECT id FROM (SELECT id, fset(x, b) AS q FROM t) s ORDER BY 1',
	'SELECT id, (SELECT count(*) FROM (SELECT fset(t.x, u.w) FROM u) z) FROM t',
	'SELECT t.id, z.* FROM t, LATERAL ftable(some_of(t.b)) WITH ORDINALITY z ORDER BY id, ordinality',
	'SELECT t.id, z FROM t, LATERAL fpairs(some_of(t.b)) z(aa, cc) ORDER BY id',
	'SELECT t.id, z.aa, (z).cc FROM t, LATERAL fpairs(some_of(t.b)) z(aa, cc) WHERE z IS NOT NULL ORDER BY id',
	'SELECT t.id, z.id IS NULL FROM t LEFT JOIN LATERAL (SELECT q AS id FROM fset(t.x, t.b) q WHERE q > 5) z ON true',
	'SELECT fset(x, b) IS NULL FROM t', 'SELECT -fset(x, b), abs(fset(b, id)) FROM t', 'SELECT id, CASE WHEN true THEN 2 END * fset(x, b) FROM t',
	'SELECT t.id, z FROM t, LATERAL unnest(ARRAY[f(t.x), f2(t.b)]) z', 'SELECT t.id, z FROM t, LATERAL jsonb_array_elements(fj(t.x, t.s)) z', 'SELECT t.id, z FROM t, LATERAL coalesce(f(t.x), 3) z',
	# Subqueries that are no more than an expression, and some that are.
	'SELECT id, (SELECT f(t.x)) FROM t', 'SELECT id, (SELECT f(t.x)), (SELECT f(t.x)), f(x) FROM t', 'SELECT id, (SELECT f(t.x + t.b)) + 1, (SELECT fc(t.x, t.s)) FROM t',
	'SELECT id FROM t WHERE (SELECT f(t.x)) > 4 AND b > 0', 'SELECT id, CASE WHEN b > 0 THEN (SELECT f(20 / t.b)) END FROM t', 'SELECT id, coalesce(n, (SELECT f(t.x))) FROM t',
	'SELECT id, (SELECT (SELECT f(t.x))) FROM t', 'SELECT id, (SELECT f2((SELECT f(t.x)))) FROM t', 'SELECT id, f2((SELECT f(t.x) + t.b)) FROM t', 'SELECT sum((SELECT f(t.x))) FROM t',
	'SELECT g, (SELECT f(t.g)), sum((SELECT f(t.x))) FROM t GROUP BY g ORDER BY g', 'SELECT id, (SELECT f(t.x) WHERE t.b > 0) FROM t', 'SELECT id, (SELECT noise(f(t.x))) FROM t', 'SELECT id, (SELECT f(noise(t.x))) FROM t',
	'SELECT id, (SELECT (SELECT f(u.w + t.x)) FROM u WHERE u.k = t.id) FROM t', 'SELECT id FROM t ORDER BY (SELECT f(t.x)), id', 'SELECT id, (SELECT f((SELECT max(w) FROM u WHERE u.t = t.id))) FROM t', 'SELECT id, ARRAY(SELECT f(t.x)), (SELECT f(t.x)) IN (SELECT w FROM u), EXISTS (SELECT f(t.x)) FROM t',
	'SELECT id, (SELECT ROW(f(t.x), t.b)) FROM t', 'SELECT id, (SELECT fbad(t.s)) FROM t', 'SELECT id, (SELECT fset(t.x, 1) LIMIT 1) FROM t', 'SELECT t.id, u.k FROM t JOIN u ON u.t = t.id AND (SELECT f(t.x + u.w)) > 20 ORDER BY 1, 2', 'SELECT id, (SELECT f(noise(1) + t.x)), (SELECT f(t.x)) FROM t', 'SELECT id, (SELECT f(z.q)) FROM (SELECT id, noise(x) AS q FROM t OFFSET 0) z',
	# CTEs and joins of which little is read.
	'WITH c AS MATERIALIZED (SELECT id, f(x) AS p, f2(b) AS q FROM t) SELECT id, q FROM c ORDER BY id', 'WITH c AS MATERIALIZED (SELECT id, f(x) AS p, f2(b) AS q FROM t) SELECT count(*), max(q) FROM c', 'WITH c AS MATERIALIZED (SELECT id, f(x) AS p, f2(b) AS q FROM t) SELECT c FROM c',
	'WITH c AS MATERIALIZED (SELECT id, f(x) AS p, f2(b) AS q FROM t), d AS MATERIALIZED (SELECT id, p FROM c) SELECT a.id, b.p FROM d a JOIN d b USING (id)', 'WITH c AS MATERIALIZED (SELECT id, f(x) AS p, f2(b) AS q FROM t) SELECT u.k, (SELECT q FROM c WHERE c.id = u.t) FROM u',
	'WITH c AS MATERIALIZED (SELECT id, f(x) AS p, f2(b) AS q FROM t ORDER BY p LIMIT 9) SELECT u.k FROM c JOIN u ON u.t = c.id ORDER BY 1', 'WITH c AS MATERIALIZED (SELECT id, f(x) AS p FROM t UNION ALL SELECT k, f2(w) FROM u) SELECT a.id FROM c a LEFT JOIN c b ON a.id = b.p ORDER BY 1',
	'SELECT u.k, q.p FROM (SELECT id, f(x) AS p, f2(b) AS r FROM t OFFSET 0) q JOIN u ON u.t = q.id AND u.w > q.r ORDER BY 1', 'SELECT u.k FROM u LEFT JOIN (SELECT id, f(x) AS p, f2(b) AS r FROM t OFFSET 0) q ON u.t = q.id WHERE q.r > 1 ORDER BY 1', 'SELECT q.id FROM (SELECT id, f(x) AS p FROM t OFFSET 0) q, LATERAL fc(q.id, q.p::text) r WHERE r.a > 3',
	'WITH RECURSIVE c(i, p, q) AS (SELECT 1, f(1), f2(1) UNION ALL SELECT i + 1, f(i + 1), f2(q) FROM c WHERE i < 6) SELECT i FROM c',
	# VALUES lists, views and subqueries of which little is read.
	'SELECT * FROM (VALUES (1, f(1)), (2, f(2)), (3, NULL), (4, f(4))) v', 'SELECT b, a FROM (VALUES (f(1), 5), (f(NULL), 6), (f(3), 7)) v(a, b) WHERE a > 1', 'SELECT v FROM (VALUES (1, f(1)), (2, f(2))) v', "VALUES (f(1), fs('a')), (f(2) + 1, fs('b')), (f2(3), fs('c'))",
	'VALUES (f(1) + 1, 1), (f(2) + 1, 2), (f(3) + 2, 3)', "SELECT * FROM (VALUES (fc(1, 'a')), (fc(2, 'b'))) v(r)", 'SELECT t.id, v.p FROM t, LATERAL (VALUES (f(t.x)), (f(t.b)), (0)) v(p) ORDER BY 1, 2', "SELECT * FROM (VALUES (sagemaker_predict('echo', 1, 2)), (sagemaker_predict('echo', 3, 4)), (sagemaker_predict('echo', 5))) v",
	'SELECT * FROM (VALUES (CASE WHEN false THEN f(1) END), (f(2)), (f(3))) v', 'SELECT * FROM (VALUES (1 / (f(1) - 1)), (1 / (f(2) - 1))) v',
	'SELECT id FROM (SELECT id, f(x) AS p, g FROM t ORDER BY g, id LIMIT 6) q', 'SELECT id FROM (SELECT id, f(x) AS p FROM t ORDER BY p, id LIMIT 6) q', 'SELECT count(*) FROM (SELECT f(x), f2(b) FROM t) q', 'SELECT q.id FROM (SELECT id, f(x) AS p FROM t UNION ALL SELECT k, f(w) FROM u) q ORDER BY 1',
	'SELECT q.id, u.k FROM (SELECT id, f(x) AS p, f2(b) AS r FROM t OFFSET 0) q JOIN u ON u.t = q.id WHERE q.r > 1 ORDER BY 2', 'SELECT id FROM (SELECT id, f(x) AS p, noise(x) FROM t OFFSET 0) q', 'SELECT id FROM (SELECT id, max(f(x)) AS p FROM t GROUP BY id) q ORDER BY id',
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
	'INSERT INTO target VALUES (100, f(1), fs(\'a\'))', 'INSERT INTO target VALUES (100, f(1)), (101, f(2)), (102, 3) RETURNING id, score', 'INSERT INTO target VALUES (100, fr(1.6)), (101, fr(2.4)), (102, fr(NULL)) RETURNING id, score',
	"INSERT INTO target (id, c) VALUES (100, (sagemaker_invoke('echo', 'a')).content_type), (101, (sagemaker_invoke('echo', 'b')).content_type)", "UPDATE t SET s = sagemaker_body_text(r) FROM u, LATERAL sagemaker_invoke('echo', u.w::text) r WHERE u.t = t.id AND u.k < 9",
	'INSERT INTO target SELECT id, f(x) FROM t ON CONFLICT (id) DO UPDATE SET score = f2(excluded.score) + 1000',
	'INSERT INTO target SELECT id, f(x) FROM t ON CONFLICT (id) DO NOTHING RETURNING id', 'INSERT INTO p SELECT f(id) + 30, x FROM t',
	'DELETE FROM t WHERE f(x) > 10 RETURNING id, f2(b)', 'DELETE FROM t USING u WHERE u.t = t.id AND f(u.w) < 5 RETURNING t.id, u.k',
	'DELETE FROM p WHERE f(x) > 10 RETURNING tableoid::regclass, id',
	'WITH d AS (DELETE FROM t WHERE id < 5 RETURNING *) SELECT f(x), id FROM d',
	'WITH i AS (INSERT INTO target SELECT id + 50, f(x) FROM t RETURNING *) SELECT f2(score), id FROM i',
	'INSERT INTO target (id, score) SELECT id + 100 * q, q FROM t, LATERAL fset(t.b, t.id) q ON CONFLICT DO NOTHING RETURNING id, score',
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
	'SET ROLE reader; SELECT * FROM t, fsecret(t.x) p; RESET ROLE', 'SET ROLE reader; SELECT id FROM (SELECT id, fsecret(x) AS p FROM t OFFSET 0) q; RESET ROLE', 'SET ROLE reader; VALUES (fsecret(1)), (fsecret(2)); RESET ROLE',
	"SET ROLE reader; SELECT sagemaker_invoke('echo', s) FROM t; RESET ROLE", "SET ROLE reader; SELECT r.content_type FROM t, sagemaker_invoke('echo', s) r; RESET ROLE", 'SET ROLE reader; SELECT sum(fsecret(x)) FROM t; RESET ROLE',
	'SET TRANSACTION READ ONLY; SELECT f(x) FROM t WHERE id < 3', 'BEGIN READ ONLY; SELECT f(x) FROM t WHERE id < 3; COMMIT',
	'BEGIN; ALTER FUNCTION f(int) STABLE; SELECT f(x) FROM t; ROLLBACK', 'BEGIN; ALTER FUNCTION f(int) IMMUTABLE; SELECT f(x) FROM empty; SELECT f(x) FROM t; ROLLBACK',
	"BEGIN; SET LOCAL check_function_bodies = off; CREATE FUNCTION broken(x int) RETURNS int LANGUAGE sagemaker AS '{\"nonesuch\": 1}'; SELECT broken(x) FROM empty; SELECT id, broken(x) FROM t; ROLLBACK",
	map({ "BEGIN; SET LOCAL check_function_bodies = off; CREATE FUNCTION broken(x int) RETURNS int LANGUAGE sagemaker AS '$_';
		SELECT broken(x), broken(x) FROM empty; SELECT CASE WHEN b > 9 THEN broken(x) END FROM t; SELECT broken(x), broken(x), id FROM t; ROLLBACK" }
		'', '{"endpoint": "echo", "max_rows": 0}', '{"endpoint": ', '{"endpoint": "echo", "deterministic": "no idea"}'),
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

note(n_shapes() . ' shapes, ' . n_batched() . ' of them with a batched plan');
cmp_ok(n_shapes(), '>=', 300, 'there are at least 300 shapes');
end_both_ways();
