# A call works wherever a statement does: on a hot standby, in a read-only
# transaction, in functions, cursors, triggers and prepared statements, however
# the library was loaded and whenever its settings change.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $primary = start_node('primary', $emulator,
	'wal_level = replica', 'max_wal_senders = 5', 'hot_standby = on');

$primary->safe_psql('postgres', q{
	CREATE FUNCTION outcome(endpoint text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		RETURN sagemaker_body_text(sagemaker_invoke(endpoint, 'answered'));
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLSTATE;
	END $$;
	CREATE FUNCTION attempt_once(endpoint text) RETURNS sagemaker_response
	LANGUAGE plpgsql SET sagemaker_rt.max_attempts = 1 AS $$
	BEGIN
		RETURN sagemaker_invoke(endpoint, '');
	END $$;
	CREATE FUNCTION answers(last int) RETURNS SETOF text LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 1 .. last LOOP
			RETURN NEXT sagemaker_body_text(sagemaker_invoke('echo', n::text));
		END LOOP;
	END $$;
	CREATE VIEW scored AS
		SELECT n, sagemaker_body_text(sagemaker_invoke('echo', n::text)) AS score
		FROM generate_series(1, 5) AS n;
});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'there is a hot standby');

# Requests that an endpoint gets while a statement runs.
sub requests_of
{
	my ($session, $endpoint, $sql) = @_;
	my $before = $emulator->request_count($endpoint);
	$session->must($sql);
	return $emulator->request_count($endpoint) - $before;
}

sub works_in_every_place
{
	my ($session, $where) = @_;

	is($session->must("SELECT sagemaker_body_text(sagemaker_invoke('echo', 'answered'))"),
		'answered', "$where, a call works");
	is($session->run("SELECT sagemaker_invoke('model-error', '')")->{sqlstate},
		'38000', "$where, one that fails says so");
	is($session->must("SELECT outcome(e) FROM unnest(ARRAY['echo', 'model-error', 'status-400', 'drop', 'echo']) AS e"),
		"answered\n38000\n22023\n58030\nanswered", "$where, an exception block catches what fails");
	is($session->must('SELECT string_agg(answers, \',\') FROM answers(4)'),
		'1,2,3,4', "$where, a function calls in a loop");
	is($session->must('SELECT string_agg(score, \',\' ORDER BY n) FROM scored'),
		'1,2,3,4,5', "$where, a view calls");
	$session->must(q{DO $$
		BEGIN
			ASSERT sagemaker_body_json(sagemaker_invoke('echo', '{"a": 1}'::json)) ->> 'a' = '1';
		END $$});
	pass("$where, a DO block calls");

	$session->must("PREPARE echo(text) AS SELECT sagemaker_body_text(sagemaker_invoke('echo', \$1))");
	is(join(',', map { $session->must("EXECUTE echo('$_')") } 1 .. 7),
		'1,2,3,4,5,6,7', "$where, a prepared statement calls, under whichever plan");
	is(requests_of($session, 'echo', "EXECUTE echo('')"), 1, 'once an execution');
	is(requests_of($session, 'echo', "EXPLAIN EXECUTE echo('')"), 0, 'and never for a plan');
	is(requests_of($session, 'echo', "SELECT sagemaker_invoke('echo', '') WHERE false"),
		0, 'nor for no row');

	$session->must('BEGIN');
	$session->must('DECLARE c CURSOR FOR SELECT * FROM generate_series(1, 1000) AS n, '
		  . "LATERAL sagemaker_body_text(sagemaker_invoke('echo', n::text)) AS score");
	cmp_ok(requests_of($session, 'echo', 'FETCH 3 FROM c'), '<=', 32,
		"$where, a cursor calls for the rows that are fetched, and a few ahead");
	is($session->must('FETCH 1 FROM c'), '4|4', 'one by one');
	$session->must('CLOSE c');

	$session->must('SAVEPOINT s');
	is($session->run("SELECT sagemaker_invoke('model-error', '')")->{sqlstate},
		'38000', "$where, a call fails in a subtransaction");
	$session->must('ROLLBACK TO s');
	is($session->must("SELECT outcome('echo')"), 'answered', 'and the transaction goes on');

	$session->must("SET LOCAL sagemaker_rt.timeout = '200ms'");
	$session->must('SET LOCAL sagemaker_rt.max_attempts = 1');
	is($session->must("SELECT outcome('hang')"), '58030', "$where, SET LOCAL bounds a call");
	$session->must('COMMIT');
	is($session->must('SHOW sagemaker_rt.timeout'), '70s', 'until the transaction ends');
}

my $session = Session->new($standby);
works_in_every_place($session, 'on a hot standby');
is($session->run('CREATE TABLE t ()')->{sqlstate}, '25006', 'which writes nothing');
my $read_only = Session->new($primary, 'SET default_transaction_read_only = on');
works_in_every_place($read_only, 'in a read-only transaction');
is($read_only->run('CREATE TABLE t ()')->{sqlstate}, '25006', 'which writes nothing');
$read_only->quit;

$standby->promote;
is($session->must("SELECT outcome('echo')"), 'answered',
	'a session goes on when its standby is promoted');
$session->quit;
$standby->stop;

#
# Where there is something to write.
#

$session = Session->new($primary);
works_in_every_place($session, 'on a primary');

$session->must(q{
	CREATE TABLE review (id int PRIMARY KEY, endpoint text, body text, score text);
	CREATE FUNCTION score() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		NEW.score := sagemaker_body_text(sagemaker_invoke(NEW.endpoint, NEW.body));
		RETURN NEW;
	END $$;
	CREATE TRIGGER score BEFORE INSERT OR UPDATE OF body ON review
		FOR EACH ROW EXECUTE FUNCTION score();
	INSERT INTO review SELECT n, 'echo', 'review ' || n FROM generate_series(1, 3) AS n});
is($session->must('SELECT string_agg(score, \',\' ORDER BY id) FROM review'),
	'review 1,review 2,review 3', 'a trigger calls');
is($session->run("INSERT INTO review VALUES (4, 'echo', 'x'), (5, 'model-error', 'x')")->{sqlstate},
	'38000', 'a call that fails in a trigger fails the statement');
is($session->must('SELECT count(*) FROM review'), '3', 'with all its rows');
is(requests_of($session, 'echo', 'UPDATE review SET body = \'changed\' WHERE id = 1'), 1,
	'an update calls once for each row that it changes');
is($session->must('WITH scored AS (INSERT INTO review VALUES (6, \'echo\', \'six\') RETURNING score) SELECT * FROM scored'),
	'six', 'a WITH query calls');

$session->must('BEGIN');
$session->must('DECLARE held CURSOR WITH HOLD FOR SELECT score FROM scored');
is(requests_of($session, 'echo', 'COMMIT'), 5, 'a cursor that is held calls for all rows at COMMIT');
is($session->must('FETCH 1 FROM held'), '1', 'and keeps the answers');

is($session->run("CREATE INDEX ON review ((outcome(body)))")->{sqlstate},
	'42P17', 'no index calls');
is($session->run("CREATE TABLE g (body text, score sagemaker_response GENERATED ALWAYS AS (sagemaker_invoke('echo', body)) STORED)")->{sqlstate},
	'42P17', 'nor a generated column');

#
# Limits, from the widest to the narrowest.
#

is(requests_of($session, 'throttling', "SELECT outcome('throttling')"), 3, 'three attempts by default');
is(requests_of($session, 'throttling',
		"DO \$\$ BEGIN PERFORM attempt_once('throttling'); EXCEPTION WHEN insufficient_resources THEN NULL; END \$\$"),
	1, 'one where the function says so');
$session->must('SET sagemaker_rt.max_attempts = 2');
is(requests_of($session, 'throttling', "SELECT outcome('throttling')"), 2, 'two where the session does');
is(requests_of($session, 'throttling',
		"DO \$\$ BEGIN PERFORM sagemaker_invoke('throttling', '', options => '{\"max_attempts\": 1}'); "
		  . 'EXCEPTION WHEN insufficient_resources THEN NULL; END $$'),
	1, 'one where the call does');
$session->must('RESET sagemaker_rt.max_attempts');
$session->must("SET sagemaker_rt.max_response_size = '99B'");
is($session->run("SELECT sagemaker_invoke('bytes-100', '')")->{sqlstate}, '54000',
	'an answer over max_response_size is refused');
$session->must("SET sagemaker_rt.max_response_size = '100B'");
is($session->must("SELECT length((sagemaker_invoke('bytes-100', '')).body)"), '100', 'one of that size is not');
$session->must('RESET sagemaker_rt.max_response_size');

#
# The configuration changes under a running session.
#

my $other = start_emulator('--no-models', '--key', 'AKIDOTHER:other-secret', '--region', 'eu-central-1');
my $pid = $session->pid;
$primary->append_conf('postgresql.conf', join "\n",
	"sagemaker_rt.endpoint_url = '" . $other->fact('url') . "'",
	"sagemaker_rt.region = 'eu-central-1'",
	"sagemaker_rt.access_key_id = 'AKIDOTHER'",
	"sagemaker_rt.secret_access_key = 'other-secret'",
	"sagemaker_rt.timeout = '5s'", '');
is($session->must("SELECT outcome('echo')"), 'answered', 'a session calls');
$primary->reload;
ok(wait_until(sub { $session->must('SHOW sagemaker_rt.timeout') eq '5s' }),
	'the session hears of a reload');
is($session->must("SELECT outcome('echo')"), 'answered', 'and goes on calling');
is($other->request_count('echo'), 1, 'the host that the file now names, with the key and the region there');
is($session->must('SELECT pg_backend_pid()'), $pid, 'being the same session');

$primary->append_conf('postgresql.conf', "sagemaker_rt.region = 'No Region'\nsagemaker_rt.timeout = '6s'\n");
$primary->reload;
ok(wait_until(sub { $session->must('SHOW sagemaker_rt.timeout') eq '6s' }),
	'a value that cannot be does not keep others from taking effect');
is($session->must("SELECT outcome('echo')"), 'answered', 'the one before it stays');
is(Session->new($primary)->must("SELECT outcome('echo')"), '55000',
	'a new session, which has none, does not call by a default');
$session->quit;
$primary->append_conf('postgresql.conf', "sagemaker_rt.region = 'eu-central-1'\n");

#
# However it is loaded.
#

for my $where ('session_preload_libraries', 'shared_preload_libraries')
{
	$primary->append_conf('postgresql.conf', "$where = 'sagemaker_rt'\n");
	$primary->restart;
	$session = Session->new($primary);
	is($session->must('SHOW sagemaker_rt.timeout'), '6s', "loaded by $where, it knows its settings at once");
	is($session->must("SELECT outcome('echo')"), 'answered', 'and calls');
	is($session->must("SET sagemaker_rt.timeout = '1s'; SHOW sagemaker_rt.timeout"), '1s', 'settings can be set');
	my $another = Session->new($primary);
	is($another->must("SELECT outcome('echo')"), 'answered', 'as do other sessions');
	is($session->must("SELECT outcome('echo')"), 'answered', 'beside each other');
	$_->quit for $session, $another;
	$primary->append_conf('postgresql.conf', "$where = ''\n");
}
$primary->restart;
$session = Session->new($primary);
is($session->run("SELECT count(*) FROM pg_settings WHERE name LIKE 'sagemaker_rt%'")->{output},
	'0', 'loaded by nothing, it is not there');
$session->must("LOAD 'sagemaker_rt'");
is($session->must('SHOW sagemaker_rt.idle_timeout'), '50s', 'until LOAD');
is($session->must("LOAD 'sagemaker_rt'; SELECT outcome('echo')"), 'answered', 'which may come twice');

done_testing();
