# A secret that is planted is found nowhere: no catalog, view, plan, message, dump
# or log line has it.  And the privileges: who may call, and what a caller may not
# change.
#
# Statements here never hold a canary: they stand backwards in a table, and
# reverse() turns them round.  So what PostgreSQL itself shows and logs of a
# statement's text, plan and parameters is as clean as what is ours, and all of
# it can be logged.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my %canary = (
	access_key_id => 'AKIDCANARYFEDCBA0001',
	secret_access_key => 'canary/secret+key0002',
	session_token => 'canary/session+token0003',
	body => 'canary of a body 0004');
my %configured = (
	access_key_id => 'AKIDCONFIGURED000005',
	secret_access_key => 'canary/configured0006');
my @secrets = qw(access_key_id secret_access_key session_token);

my $emulator = start_emulator('--no-models',
	'--key', join(':', @configured{qw(access_key_id secret_access_key)}),
	'--key', join(':', @canary{@secrets}));
(my $library_folder = `$ENV{PG_CONFIG} --pkglibdir`) =~ s/\n//;
my $node = start_node(
	'main', $emulator,
	"session_preload_libraries = 'sagemaker_rt"
	  . (-e "$library_folder/auto_explain.so" ? ", auto_explain'" : "'"),
	'log_min_messages = debug5',
	'log_min_error_statement = debug5',
	'log_error_verbosity = verbose',
	'log_statement = all',
	'log_duration = on',
	'auto_explain.log_min_duration = 0',
	'auto_explain.log_analyze = on',
	'auto_explain.log_verbose = on');

$node->safe_psql('postgres', q{
	CREATE ROLE caller LOGIN;
	CREATE ROLE stranger LOGIN;
	DO $$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN SELECT oid FROM pg_proc WHERE proname LIKE 'sagemaker%' LOOP
			EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO caller', f);
		END LOOP;
	END $$;

	-- Which tables and views hold a canary of that kind.
	CREATE TABLE canary (kind text, name text, backwards text);
	CREATE FUNCTION places(wanted text) RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		relation regclass;
		found boolean;
	BEGIN
		FOR relation IN
			SELECT oid FROM pg_class
			WHERE relkind IN ('r', 'v', 'm', 'p') AND relname NOT IN ('canary', 'job')
			ORDER BY oid
		LOOP
			BEGIN
				EXECUTE format('
					WITH needle AS MATERIALIZED (
						SELECT reverse(backwards) AS text FROM canary WHERE kind = $1)
					SELECT EXISTS (
						SELECT FROM %s AS t, needle
						WHERE strpos(t::text, text) > 0 OR
							strpos(t::text, encode(convert_to(text, %L), %L)) > 0)',
					relation, 'UTF8', 'hex')
				INTO found USING wanted;
			EXCEPTION WHEN object_not_in_prerequisite_state THEN
				-- A view of what only the library in shared memory knows.
				found := relation <> 'sagemaker_stat_progress'::regclass;
			END;
			IF found THEN
				RETURN NEXT relation;
			END IF;
		END LOOP;
	END $$;
	CREATE TABLE job (body text);
	GRANT SELECT ON canary, job TO caller;
});
$node->safe_psql('postgres', join ";\n",
	(map { "INSERT INTO canary VALUES ('planted', '$_', '" . reverse($canary{$_}) . "')" }
		  keys %canary),
	(map { "INSERT INTO canary VALUES ('configured', '$_', '" . reverse($configured{$_}) . "')" }
		  keys %configured),
	q(INSERT INTO canary VALUES ('comment', '', reverse('canary of a comment'))),
	q(INSERT INTO job SELECT reverse(backwards) FROM canary, generate_series(1, 20)
		WHERE name = 'body'));

# Sets the session's keys to those of a kind; what that kind lacks, to nothing.
sub use_keys
{
	my ($kind) = @_;
	return map {
		"SELECT set_config('sagemaker_rt.$_', coalesce((SELECT reverse(backwards) FROM canary"
		  . " WHERE kind = '$kind' AND name = '$_'), ''), false)"
	} @secrets;
}

# The planted canaries that a text has.
sub canaries_in
{
	my ($text) = @_;
	return join ' ', grep { index($text, $canary{$_}) >= 0 } sort keys %canary;
}

# Who signed the requests to an endpoint, each once.
sub signers
{
	my ($endpoint) = @_;
	my %seen;
	for my $request ($emulator->requests($endpoint))
	{
		my ($authorization) = map { $_->[1] }
		  grep { lc $_->[0] eq 'authorization' } @{ $request->{headers} };
		$seen{ $authorization =~ /Credential=(\w+)/ ? $1 : 'nobody' }++
		  if $request->{outcome} eq 'verified';
	}
	return join ' ', sort keys %seen;
}

#
# Calls of every outcome, by a plain role with keys of its own.
#

my $session = Session->new($node, '\c - caller', use_keys('planted'));
my $seen = '';

# Runs a statement; adds what the client saw to $seen.
sub observe
{
	my ($sql) = @_;
	my $result = $session->run($sql);
	$seen .= "$result->{output}\n$result->{errors}\n";
	return $result;
}

$session->must('SET client_min_messages = debug5');
is(observe("SELECT length((sagemaker_invoke('echo', body)).body) FROM job LIMIT 1")->{output},
	length $canary{body}, 'a key that was set in the session works');
is(signers('echo'), $canary{access_key_id}, 'it signs, with its token');

# What a service says may repeat what it was sent.
$emulator->script('repeats', [ {
	status => 403, code => 'InvalidSignatureException', message =>
	  "The canonical string should have been 'x-amz-security-token:$canary{session_token}' "
	  . "with $canary{secret_access_key}" } ]);
my %failing = (
	'repeats' => '28000',
	'expired-token' => '28000',
	'access-denied' => '28000',
	'model-error' => '38000',
	'throttling' => '53000',
	'internal-failure' => '58000',
	'error-html' => '58000',
	'drop' => '58030',
	'hang' => '58030',
	'bad-status-line' => '38S01',
	'bytes-5000' => '54000',
	'-refused' => '22023');
my $options = q('{"max_attempts": 1, "timeout": "300ms", "max_response_size": 4096}');
for my $endpoint (sort keys %failing)
{
	is(observe("SELECT sagemaker_invoke('$endpoint', body, options => $options) FROM job LIMIT 1")
		  ->{sqlstate},
		$failing{$endpoint}, "$endpoint fails, with the body in the request");
}
like($seen, qr/security-token:\*+' with \*+/,
	'secrets that the service repeats are blotted out');
like($seen, qr/Access key id ending in 0001/,
	'of the key id, the last four characters are shown');

for my $how ('VERBOSE', 'VERBOSE, ANALYZE', 'VERBOSE, ANALYZE, SETTINGS',
	'VERBOSE, ANALYZE, FORMAT JSON')
{
	like(observe("EXPLAIN ($how) SELECT (sagemaker_invoke('echo', body)).content_type FROM job")
		  ->{output},
		qr/sagemaker_invoke/, "EXPLAIN ($how) of a call");
}

#
# Parallel workers inherit the key.
#

$emulator->reset;
$session->must($_)
  for 'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
  'SET min_parallel_table_scan_size = 0', 'SET max_parallel_workers_per_gather = 2',
  'SET parallel_leader_participation = off';
my $parallel =
  "SELECT count(*) FROM job WHERE length((sagemaker_invoke('%s', body)).body) > 0";
like(observe('EXPLAIN (VERBOSE, ANALYZE) ' . sprintf($parallel, 'echo'))->{output},
	qr/Workers Launched: [1-9]/, 'workers call');
is($emulator->request_count('echo'), 20, 'once a row');
is(signers('echo'), $canary{access_key_id}, 'and sign with the key of their session');
is(observe(sprintf($parallel, 'model-error'))->{sqlstate}, '38000',
	'a call that fails in a worker fails the statement');
$session->must("RESET $_") for qw(parallel_setup_cost parallel_tuple_cost
  min_parallel_table_scan_size parallel_leader_participation);

observe("SELECT * FROM sagemaker_check('echo', send => true)");
observe('SHOW ALL');
observe("SHOW sagemaker_rt.$_") for @secrets;
observe("SELECT current_setting('sagemaker_rt.$_')") for @secrets;
is(canaries_in($seen), '', 'no canary reached the client');
unlike($seen, qr/AWS4-HMAC-SHA256|Signature=[0-9a-f]{64}/, 'nor a signature');

#
# Catalogs and views: of another session, while a call is under way, and of the
# session that has the keys.
#

my @searching = ('SET log_min_messages = error', 'SET log_statement = none',
	'SET log_duration = off', 'SET auto_explain.log_min_duration = -1');
my $super = Session->new($node, @searching);
my $search = "SELECT * FROM places('planted')";

$super->must("COMMENT ON TABLE job IS 'canary of a comment'");
is($super->must("SELECT * FROM places('comment')"),
	'pg_description', 'the search finds a canary in a catalog');
$super->must('COMMENT ON TABLE job IS NULL');
is($super->must($search), '', 'no catalog or view has a planted one');

$session->quit;
$emulator->reset;
my $waiting = $node->background_psql('postgres', on_error_stop => 0,
	extra_params => [ '-U', 'caller' ]);
$waiting->query_safe($_) for use_keys('planted');
$waiting->query_until(qr/sent/,
	"\\echo sent\nSELECT sagemaker_invoke('hang', body) FROM job;\n");
ok(wait_until(sub { $emulator->request_count('hang') > 0 }), 'a call is under way');
is($super->must($search), '', 'nor has one while a call is under way');
is($super->must("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
		  . "WHERE usename = 'caller' AND state = 'active'"),
	'1', 'which it was until now');
is($waiting->query('\echo :LAST_ERROR_SQLSTATE'), '57014', 'and is cancelled');
$waiting->quit;

my $keyed = Session->new($node, @searching, use_keys('planted'));
$keyed->must("SELECT length((sagemaker_invoke('echo', body)).body) FROM job LIMIT 1");
is($keyed->must($search), '', 'nor in the session that has the keys');

is($super->must("SELECT * FROM places('configured')"), 'pg_file_settings',
	'a key of the configuration file is where superusers read that file');
$super->quit;
$keyed->quit;

figure('secrets', sprintf '%d canaries in none of %s tables and views, nor in messages, plans, dumps and the log at debug5',
	scalar keys %canary, $node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'p')}));

#
# Dumps.
#

for my $dump (
	[ 'pg_dumpall', '--roles-only' ],
	[ 'pg_dumpall', '--globals-only' ],
	[ 'pg_dump', '--create', '--exclude-table-data=job', 'postgres' ])
{
	my ($program, @options) = @$dump;
	my ($out, $err) = run_command(
		[ $node->installed_command($program), '-h', $node->host, '-p', $node->port, @options ]);
	ok(length $out > 100 && canaries_in($out) eq ''
		  && index($out, $configured{secret_access_key}) < 0,
		"no canary in $program @options") || diag($err);
}

#
# The log, at every level.
#

$node->stop;
my $log = slurp_file($node->logfile);
ok( $log =~ /DEBUG:/
	  && $log =~ /statement: SELECT set_config\('sagemaker_rt/
	  && $log =~ /ERROR:  38000: endpoint "model-error"/,
	'the log has debug messages, statements and our errors');
is(canaries_in($log), '', 'and no canary');
is(index($log, $configured{secret_access_key}), -1, 'nor the key of the configuration file');
unlike($log, qr/AWS4-HMAC-SHA256|Signature=[0-9a-f]{64}/, 'nor a signature');

#
# Keys of one session, one after the other.
#

$node->append_conf('postgresql.conf', <<'CONF');
log_min_messages = warning
log_statement = none
log_duration = off
auto_explain.log_min_duration = -1
CONF
$node->start;
$emulator->reset;
$session = Session->new($node, '\c - caller');
for my $turn (
	[ 'configured', $configured{access_key_id} ],
	[ 'of-the-session', $canary{access_key_id}, use_keys('planted') ],
	[ 'changed', $configured{access_key_id}, use_keys('configured') ],
	[ 'changed-back', $canary{access_key_id}, use_keys('planted') ],
	[ 'reset', $configured{access_key_id}, map { "RESET sagemaker_rt.$_" } @secrets ],
	[ 'rolled-back', $configured{access_key_id}, 'BEGIN', use_keys('planted'), 'ROLLBACK' ],
	[ 'back-at-a-savepoint', $configured{access_key_id},
		'BEGIN', 'SAVEPOINT s', use_keys('planted'), 'ROLLBACK TO s', 'COMMIT' ],
	[ 'in-force', $canary{access_key_id}, 'BEGIN', use_keys('planted'), 'COMMIT' ])
{
	my ($state, $signer, @statements) = @$turn;
	$session->must($_) for @statements;
	$emulator->script($state, [], {});
	$session->must("SELECT (sagemaker_invoke('$state', '')).request_id");
	is(signers($state), $signer, "the next call is signed by the key that is $state");
}
$session->must("SET sagemaker_rt.secret_access_key = 'wrong'");
is($session->run("SELECT sagemaker_invoke('echo', '')")->{sqlstate},
	'28000', 'a wrong secret is refused by the service');
$session->quit;

# As applications do it: pgbench sends its variables as parameters.
my $script = "$PostgreSQL::Test::Utils::tmp_check/bound.sql";
append_to_file($script, join '',
	map({ "SELECT set_config('sagemaker_rt.$_', :$_, false);\n" } @secrets),
	"SELECT sagemaker_invoke('bound', '');\n");
$emulator->script('bound', [], {});
$node->command_ok(
	[ 'pgbench', '-n', '-t', 1, '-M', 'extended', '-U', 'caller', '-f', $script,
		map({ ('-D', "$_=$canary{$_}") } @secrets), 'postgres' ],
	'a plain role sets a key by a bound parameter');
is(signers('bound'), $canary{access_key_id}, 'and it signs');

#
# Who may call.
#

$emulator->reset;
my @as_caller = (extra_params => [ '-U', 'caller' ]);
my @as_stranger = (extra_params => [ '-U', 'stranger' ]);
for my $call (
	"sagemaker_invoke('echo', 'text')",
	"sagemaker_invoke('echo', '\\x00'::bytea)",
	"sagemaker_invoke('echo', '{}'::json)",
	"sagemaker_invoke('echo', '{}'::jsonb)",
	'sagemaker_check()',
	'sagemaker_rt_version()')
{
	fails_with($node, "SELECT $call", '42501', qr/permission denied/,
		"a role without EXECUTE is refused: $call", @as_stranger);
}
is($emulator->request_count('echo'), 0, 'and nothing was sent for it');

#
# What a caller may not change, however early it tries.  A setting is a
# placeholder that anyone may set until the library is loaded.
#

my %diversion = (
	endpoint_url => $emulator->fact('recorder_url'),
	proxy => $emulator->fact('recorder_url'),
	region => 'eu-west-1',
	ca_file => '/nonexistent',
	profile => 'other',
	allow_http => 'on');

# What became of a call by a plain role: "answered" by the endpoint that the
# configuration names, an SQLSTATE, or something that must not be.
sub outcome
{
	my ($call, @before) = @_;
	my $count = $emulator->request_count('echo');
	my ($status, $out, $err) = $node->psql('postgres',
		join("\n", '\set VERBOSITY verbose', map { "$_;" } @before, $call),
		on_error_stop => 0, @as_caller);
	return 'diverted' if $emulator->control('stats')->{recorded} > 0;
	return 'answered'
	  if $out =~ /^application\/octet-stream$/m
	  && $emulator->request_count('echo') == $count + 1;
	return $1 if $err =~ /.*(?:ERROR|FATAL):  (\w{5}):/s;
	return "connection refused" if $err =~ /FATAL/;
	return "$out $err";
}

my $call = "SELECT (sagemaker_invoke('echo', '')).content_type";

sub changes_nothing
{
	my ($when, $given_at_start) = @_;
	for my $name (sort keys %diversion)
	{
		my $set = "SET sagemaker_rt.$name = '$diversion{$name}'";
		is(outcome($call, $set), 'answered', "$when, SET $name changes nothing");
		is(outcome($call, "BEGIN", "SET LOCAL sagemaker_rt.$name = ''", 'COMMIT'),
			'answered', "$when, neither does SET LOCAL $name to nothing");
		fails_with($node, "ALTER ROLE caller $set", '42501', qr/permission denied/,
			"$when, a role cannot store $name", @as_caller);
		for my $value ($diversion{$name}, '')
		{
			next if $name eq 'allow_http';
			local $ENV{PGOPTIONS} = "-c sagemaker_rt.$name=$value";
			is(outcome($call), $given_at_start,
				"$when, $name = '$value' in the connection's options changes nothing");
		}
	}
	for my $name (@secrets)
	{
		# Without it, PostgreSQL shows what it does not know (security.md).
		my ($first, @who) = $when =~ /preloaded/ ? ('', @as_stranger) : ("$call;", @as_caller);
		unlike($node->safe_psql('postgres', "$first SHOW sagemaker_rt.$name", @who),
			qr/canary|AKID/, "$when, SHOW $name shows nothing");
	}
}

changes_nothing('with the library preloaded by sessions', '55000');
for my $name (sort keys %diversion)
{
	fails_with($node, "SET sagemaker_rt.$name = '$diversion{$name}'",
		'42501', qr/permission denied to set parameter "sagemaker_rt.$name"/,
		"a caller cannot set $name", @as_caller);
}

$node->append_conf('postgresql.conf', "session_preload_libraries = ''\n");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('session_preload_libraries') = ''");
changes_nothing('with the library loaded by the call', '55000');

# A superuser can store a name that no library has claimed yet; when the library
# comes, it takes no such key.
$node->safe_psql('postgres',
	"ALTER ROLE caller SET sagemaker_rt.access_key_id = 'AKIDSTORED'");
my ($status, $out, $err) = $node->psql('postgres',
	"\\set VERBOSITY verbose\nSELECT sagemaker_invoke('echo', '')", @as_caller);
like($err, qr/"sagemaker_rt.access_key_id" cannot be stored/,
	'a key that was stored while the library was away is refused when it comes');
unlike($err, qr/AKIDSTORED/, 'and not repeated');
unlike(signers('echo'), qr/AKIDSTORED/, 'and does not sign');
$node->safe_psql('postgres', 'ALTER ROLE caller RESET sagemaker_rt.access_key_id');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'sagemaker_rt'\n");
$node->restart;
changes_nothing('with the library preloaded by the server', 'connection refused');

#
# There is no way around a default server: without a mapping for it, no key signs.
#

$node->safe_psql('postgres', q{
	CREATE SERVER prod FOREIGN DATA WRAPPER sagemaker;
	GRANT USAGE ON FOREIGN SERVER prod TO caller;
});
$node->append_conf('postgresql.conf', "sagemaker_rt.default_server = 'prod'\n");
for my $preloading ('', 'sagemaker_rt')
{
	my $when = $preloading ? 'preloaded' : 'loaded by the call';
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$preloading'\n");
	$node->restart;

	is(outcome($call), '42501', "with a default server and the library $when, a mapping is needed");
	is(outcome($call, "SET sagemaker_rt.default_server = ''"), '42501',
		"$when: also when the session sets none");
	is(outcome("SELECT sagemaker_invoke('echo', '', server => '')"), '42704',
		"$when: also when the call names none");
	is(outcome('SELECT count(*) FROM job WHERE length((sagemaker_invoke(\'echo\', body)).body) > 0',
			'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
			'SET min_parallel_table_scan_size = 0', 'SET parallel_leader_participation = off',
			"SET sagemaker_rt.default_server = ''"),
		'42501', "$when: also in a parallel worker");
	local $ENV{PGOPTIONS} = '-c sagemaker_rt.default_server=';
	is(outcome($call), $preloading ? '42501' : '55000',
		"$when: also when the connection's options say none");
}

# test/regress looks at each kind of object; this is the figure of it.
my $held = $node->safe_psql('postgres', q{
	CREATE ROLE nobody;
	SELECT count(*), count(*) FILTER (WHERE has)
	FROM (SELECT has_function_privilege('nobody', oid, 'EXECUTE') FROM pg_proc WHERE proname ~ '^sagemaker'
		  UNION ALL
		  SELECT has_table_privilege('nobody', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
		  FROM pg_class WHERE relname ~ '^sagemaker' AND relkind IN ('r', 'v', 'c')
		  UNION ALL
		  SELECT has_language_privilege('nobody', oid, 'USAGE') FROM pg_language WHERE lanname = 'sagemaker'
		  UNION ALL
		  SELECT has_foreign_data_wrapper_privilege('nobody', oid, 'USAGE') FROM pg_foreign_data_wrapper
		  WHERE fdwname = 'sagemaker') AS privilege (has)});
like($held, qr/^\d{2,}\|0$/, 'a plain role may use none of our objects');
figure('privileges', sprintf 'of %s objects a plain role may use %s; %d settings refuse it in each way of loading',
	split(/\|/, $held), scalar keys %diversion);

done_testing();
