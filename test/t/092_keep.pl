# Kept columns: what a declaration makes, fills and shows, in each mode.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");
my $major = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub version
{
	sql("CREATE OR REPLACE FUNCTION same(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{\"endpoint\": \"echo\", \"version\": \"$_[0]\"}'");
}

sub requests_of
{
	my ($sql) = @_;
	$emulator->reset;
	sql($sql);
	return $emulator->request_count('echo');
}

my $coverage = 'SELECT relation, target, model, mode, version, scored, missing, stale, failed FROM sagemaker_stat_coverage';
my $keep = "CALL sagemaker_keep('t', 'score', 'same', made_at => 'at', version => 'label'";

version('v1');
sql('CREATE TABLE t (id int PRIMARY KEY, x int, note text, score int, at timestamptz, label text);
	INSERT INTO t SELECT i, i FROM generate_series(1, 250) i');

is(sql("$keep, mode => 'off')"), '250|0|0|0', 'a declaration fills what is there');
is(sql($coverage), 'public.t|score|public.same(integer)|off|v1|250|0|0|0', 'and shows it');
is(requests_of('INSERT INTO t VALUES (1000, 1000)'), 0, 'mode off: no trigger');
is(sql($coverage), 'public.t|score|public.same(integer)|off|v1|250|1|0|0', 'a new row is missing');

my %shape = (
	row => "BEFORE INSERT OR UPDATE|zz_sagemaker_score_row",
	statement => "AFTER INSERT|zz_sagemaker_score_new\nAFTER UPDATE|zz_sagemaker_score_changed");
for my $mode ('row', 'statement')
{
	is(sql("$keep, mode => '$mode')"), ($mode eq 'row' ? 1 : 0) . '|0|0|0', "mode $mode: one call changes it, and fills what is missing");
	is(sql(q{SELECT substring(pg_get_triggerdef(oid) FROM '(BEFORE.*|AFTER.*) ON public'), tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal ORDER BY 1}),
		$shape{$mode}, "mode $mode: ordinary triggers, in place of others");
	is(sql('SELECT mode FROM sagemaker_kept_columns'), $mode, "mode $mode: recorded");
	is(requests_of("INSERT INTO t SELECT i, i FROM generate_series(2001, 2003) i"), $mode eq 'row' ? 3 : 1, "mode $mode: INSERT");
	is(requests_of("COPY t (id, x) FROM PROGRAM 'seq 3001 3004 | sed \"s/.*/&\\t&/\"'"), $mode eq 'row' ? 4 : 1, "mode $mode: COPY");
	is(requests_of('INSERT INTO t VALUES (2001, 5) ON CONFLICT (id) DO UPDATE SET x = 5'), $mode eq 'row' ? 2 : 1, "mode $mode: ON CONFLICT");
  SKIP:
	{
		skip 'no MERGE', 1 if $major < 15;
		is(requests_of('MERGE INTO t USING (VALUES (2002, 7)) AS v (id, x) ON t.id = v.id WHEN MATCHED THEN UPDATE SET x = v.x'), 1, "mode $mode: MERGE");
	}
	is(requests_of('UPDATE t SET x = x + 1 WHERE id = 2003'), 1, "mode $mode: UPDATE of an input");
	is(requests_of("UPDATE t SET note = 'seen'"), 0, "mode $mode: update of another column: no call");
	is(requests_of('DELETE FROM t WHERE id = 2003'), 0, "mode $mode: DELETE: no call");
	is(sql("SELECT count(*) FROM t WHERE score IS DISTINCT FROM x OR label <> 'v1' OR at IS NULL"), 0, "mode $mode: each row has its prediction and stamps");
	is(sql($coverage) =~ s/.*\|(\d+\|\d+\|\d+)$/$1/r, '0|0|0', "mode $mode: nothing is missing");
	sql('DELETE FROM t WHERE id > 2000');
}
is(sql("$keep, mode => 'queue', fill => false)"), '0|0|0|0', 'mode queue');
is(sql(q{SELECT substring(pg_get_triggerdef(oid) FROM '(BEFORE.*|AFTER.*) ON public'), tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal}),
	'AFTER INSERT OR UPDATE|zz_sagemaker_score_queue', 'mode queue: its trigger');
# No worker is there.
is(requests_of('SET client_min_messages = error; INSERT INTO t VALUES (4000, 1)'), 0, 'mode queue: no call in the transaction');
is(sql("SELECT missing, waiting BETWEEN '0' AND '1 minute' FROM sagemaker_stat_coverage"), '1|t', 'mode queue: how long the oldest row waits');
sql('DELETE FROM sagemaker_queue');
is(sql('SELECT waiting IS NULL FROM sagemaker_stat_coverage'), 't', 'mode queue: nothing waits');

# A new version.
sql("$keep, mode => 'statement')");
version('v2');
my $n = sql('SELECT count(*) FROM t');
is(sql($coverage), "public.t|score|public.same(integer)|statement|v2|0|0|$n|0", 'a new version makes all rows stale');
is(requests_of("CALL sagemaker_predict_table('t', 'same', 'score', made_at => 'at', version => 'label')"), int(($n + 99) / 100), 'the job scores each stale row once');
is(sql($coverage), "public.t|score|public.same(integer)|statement|v2|$n|0|0|0", 'and none is stale');
is(requests_of("CALL sagemaker_predict_table('t', 'same', 'score', made_at => 'at', version => 'label')"), 0, 'nor scored again');

# Changing the mode loses no row.
my $writer = Session->new($node);
$writer->start('DO $$BEGIN FOR i IN 10001 .. 10400 LOOP INSERT INTO t VALUES (i, i); COMMIT; END LOOP; END$$');
sql("$keep, mode => '$_', fill => false)") for ('row', 'statement') x 5;
$writer->finish;
is(sql('SELECT count(*), count(*) FILTER (WHERE score = x) FROM t WHERE id > 10000'), '400|400', 'the mode changed under load: no row is lost');
$writer->quit;

# pg_dump.
my $dump = "$PostgreSQL::Test::Utils::tmp_check/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump');
like(slurp_file($dump), qr/^COPY public\.sagemaker_kept_columns .*\npublic\.t\tscore\tpublic\.same\(integer\)\tstatement\tat\t\\N\tlabel$/m, 'has the declaration');
like(slurp_file($dump), qr/^CREATE TRIGGER zz_sagemaker_score_new AFTER INSERT ON public\.t/m, 'and the trigger');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$emulator->reset;
$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-q', '-f', $dump, '-d', $node->connstr('copy') ], 'is restored');
is($emulator->request_count('echo'), 0, 'without a call');
is($node->safe_psql('copy', $coverage), sql($coverage), 'and is as it was');

# Who may.
sql('CREATE ROLE plain; GRANT EXECUTE ON PROCEDURE sagemaker_keep TO plain; GRANT EXECUTE ON FUNCTION sagemaker_coverage TO plain; GRANT SELECT ON sagemaker_stat_coverage TO plain;
	GRANT ALL ON t TO plain; ');
fails_with($node, "SET ROLE plain; $keep)", '42501', qr/must be owner of table t/, 'who does not own the table may not declare');
is(sql("SET ROLE plain; $coverage") =~ s/\|.*//r, 'public.t', 'who may read the table sees how it is kept');
sql('ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON t USING (true)');
is(sql("SET ROLE plain; $coverage"), '', 'whom row-level security may keep from rows does not');
sql('ALTER TABLE t DISABLE ROW LEVEL SECURITY; REVOKE SELECT ON t FROM plain');
is(sql("SET ROLE plain; $coverage"), '', 'who may not does not');
fails_with($node, "$keep, mode => 'sometimes')", '22023', qr/there is no mode "sometimes"/, 'no such mode');
fails_with($node, "CALL sagemaker_keep('t', 'none', 'same')", '42703', qr/has no column "none"/, 'no such column');
fails_with($node, "BEGIN; $keep)", '2D000', qr/transaction block/, 'in a transaction block');
# Code of a table's owner does not run as who looks.
sql(q{ALTER TABLE t RENAME TO real; CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE 'evil'; END$$;
	CREATE VIEW t AS SELECT evil() AS score, NULL::text AS label});
is(sql($coverage), '', 'a view in the place of a table is not read');
sql('DROP VIEW t; ALTER TABLE real RENAME TO t');
sql('DROP TABLE t');
is(sql($coverage), '', 'a table that is gone is not shown');

# Names.
sql(q{CREATE SCHEMA "a ""b"; CREATE TABLE "a ""b"."t;" (id int PRIMARY KEY, x int, "s'; DROP" int, "at ""x" timestamptz);
	INSERT INTO "a ""b"."t;" VALUES (1, 1)});
is(sql(q{CALL sagemaker_keep('"a ""b"."t;"', '"s''; DROP"', 'same', made_at => '"at ""x"', mode => 'statement')}), '1|0|0|0', 'names that need quotes');
sql(q{INSERT INTO "a ""b"."t;" VALUES (2, 2)});
is(sql(q{SELECT count(*) FROM "a ""b"."t;" WHERE "s'; DROP" = x AND "at ""x" IS NOT NULL}), 2, 'in triggers, too');
is(sql($coverage), q{"a ""b"."t;"|"s'; DROP"|public.same(integer)|statement|v2|2|0|0|0}, 'and shown');

done_testing();
