# Concurrent writers: a batched statement sees and does the same as one that
# predicts row by row.
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
	'SELECT c.id, c.x, q FROM c, LATERAL fset(c.x, c.id) q ORDER BY c.id FOR UPDATE OF c', 'UPDATE c SET score = s.q FROM d, LATERAL fset(d.w, d.id) s(q) WHERE d.id = c.id RETURNING c.id, c.x',
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

end_both_ways();
