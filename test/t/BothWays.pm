# One database, two sessions: sagemaker_rt.batch is on in one and off in the other.
#
# The models are identities: their endpoint echoes what it is sent, so that a
# prediction handed to the wrong row shows.
package BothWays;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

use parent 'Exporter';
our @EXPORT = qw($emulator $node $major %session begin_both_ways
  end_both_ways same same_query n_shapes n_batched sizes sum);

my $schema = <<'SQL';
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
-- Sets: the fields of a line, the elements of a list.
CREATE FUNCTION fset(a int, b int) RETURNS SETOF int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 2 AS '{"endpoint": "echo", "nulls": "skip"}';
CREATE FUNCTION ftable(v jsonb) RETURNS TABLE (a int, c text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 3 AS '{"endpoint": "echo", "format": "jsonlines"}';
CREATE TYPE pair AS (a int, c text);
CREATE FUNCTION fpairs(v jsonb) RETURNS SETOF pair LANGUAGE sagemaker STRICT
	PARALLEL SAFE COST 10000 ROWS 3 AS '{"endpoint": "echo", "format": "jsonlines"}';
CREATE FUNCTION farrays(v jsonb) RETURNS SETOF int[] LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 3 AS '{"endpoint": "echo", "format": "jsonlines"}';
CREATE FUNCTION fsetbad(s text) RETURNS SETOF int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 2 AS 'echo';
CREATE FUNCTION fsetnull(s text) RETURNS SETOF int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 ROWS 2 AS '{"endpoint": "echo", "on_error": "null"}';
CREATE FUNCTION some_of(n int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
	$$SELECT coalesce(jsonb_agg(jsonb_build_object('a', nullif(i, 2), 'c', 'c' || i)), '[]') FROM generate_series(1, $1) i$$;
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
ANALYZE;
GRANT ALL ON ALL TABLES IN SCHEMA public TO reader;
SQL

our ($emulator, $node, $major, %session);

sub begin_both_ways
{
	$emulator = start_emulator('--no-models');
	$node = start_node('main', $emulator,
		"session_preload_libraries = 'sagemaker_rt'", 'jit = off',
		'max_parallel_workers = 8', 'max_worker_processes = 16');
	$major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);

	$node->safe_psql('postgres', $schema);
	my @setup = ("\\pset null '(null)'");
	%session = (
		on => Session->new($node, @setup),
		off => Session->new($node, @setup, 'SET sagemaker_rt.batch = off'));
}

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

sub n_shapes { return $n_shapes }
sub n_batched { return $n_batched }

# A statement does the same in both.
sub same
{
	my ($sql, $name) = @_;
	my ($on, $off) = map { outcome($session{$_}, $sql) } qw(on off);

	$n_shapes++;
	($name //= $sql) =~ s/\s+/ /g;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($on, $off, "same: $name");
	# A shape that is no statement at all shows nothing.
	fail("meant: $name\n$on") if $on =~ /ERROR:  42(?!501|704|P13)/;
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

# How many rows of five bytes the requests of a statement had, the small ones
# first.
sub sizes
{
	my ($sql, $session) = @_;
	$emulator->reset;
	($session // $session{on})->must($sql);
	return sort { $a <=> $b } map { $_->{body_bytes} / 5 } $emulator->requests('echo');
}

sub sum { my $sum = 0; $sum += $_ for @_; return $sum }

sub end_both_ways
{
	$_->quit for values %session;
	$node->stop('fast');
	unlike(slurp_file($node->logfile),
		qr/PANIC|was terminated by signal|exited with exit code [^1]/,
		'no server process crashed');
	done_testing();
}

1;
