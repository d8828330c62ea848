# A secret that is planted is found nowhere: no catalog, view, plan, message, dump
# or log line has it.  And the privileges: who may call, and what a caller may not
# change.
#
# Statements here never hold a canary: each is written backwards, and reverse()
# turns it round.  So what PostgreSQL itself shows and logs of a statement's text
# is as clean as what is ours, and log_statement can be 'all'.
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

my $emulator = start_emulator('--no-models',
	'--key', join(':', @configured{qw(access_key_id secret_access_key)}),
	'--key', join(':', @canary{qw(access_key_id secret_access_key session_token)}));
my $libraries = join ',', 'sagemaker_rt',
  grep { -e `$ENV{PG_CONFIG} --pkglibdir` =~ s/\n//r . "/$_.so" } 'auto_explain';
my $node = start_node(
	'main', $emulator,
	"session_preload_libraries = '$libraries'",
	'log_min_messages = debug5',
	'log_min_error_statement = debug5',
	'log_error_verbosity = verbose',
	'log_statement = all',
	'log_duration = on',
	'auto_explain.log_min_duration = 0',
	'auto_explain.log_analyze = on',
	'auto_explain.log_verbose = on',
	'auto_explain.log_nested_statements = on');

$node->safe_psql('postgres', q{
	CREATE ROLE caller LOGIN;
	CREATE ROLE stranger LOGIN;
	DO $$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN SELECT oid FROM pg_proc WHERE proname LIKE 'sagemaker%' LOOP
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO caller', f);
		END LOOP;
	END $$;
	CREATE FUNCTION public.places(backwards text[]) RETURNS SETOF text
	LANGUAGE plpgsql AS $$
	DECLARE
		relation regclass;
		needle text;
		found boolean;
	BEGIN
		FOR relation IN
			SELECT oid FROM pg_class
			WHERE relkind IN ('r', 'v', 'm', 'p') AND relname <> 'job'
			ORDER BY oid
		LOOP
			FOREACH needle IN ARRAY backwards LOOP
				EXECUTE format('SELECT EXISTS (SELECT FROM %s AS t
					WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0)', relation)
				INTO found
				USING reverse(needle), encode(convert_to(reverse(needle), 'UTF8'), 'hex');
				IF found THEN
					RETURN NEXT relation || ': ' || needle;
				END IF;
			END LOOP;
		END LOOP;
	END $$;
	CREATE TABLE job (body text);
	GRANT SELECT ON job TO caller;
} . 'INSERT INTO job SELECT reverse(' . backwards($canary{body})
  . ') FROM generate_series(1, 20)');

# An SQL literal of a text, written backwards.
sub backwards
{
	my ($text) = @_;
	return "'" . reverse($text) . "'";
}

sub set_key
{
	my (%key) = @_;
	return join '; ', map {
		"SELECT set_config('sagemaker_rt.$_', reverse("
		  . backwards($key{$_} // '') . '), false)'
	} qw(access_key_id secret_access_key session_token);
}

# The canaries that a text has.
sub found_in
{
	my ($text, @names) = @_;
	return join ' ', grep { index($text, $canary{$_}) >= 0 } @names;
}

my @secrets = qw(access_key_id secret_access_key session_token);
my $needles =
  'ARRAY[' . join(', ', map { backwards($_) } values %canary) . ']';

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
# The search itself finds what is there.
#

is( $node->safe_psql('postgres',
		'SELECT * FROM places(ARRAY[' . backwards('CREATE ROLE') . "]) WHERE false")
	  . $node->safe_psql('postgres',
		"COMMENT ON TABLE job IS 'canary of a comment';\n"
		  . 'SELECT split_part(p, \':\', 1) FROM places(ARRAY['
		  . backwards('canary of a comment') . ']) AS p'),
	'pg_description', 'the search finds a canary in a catalog');
$node->safe_psql('postgres', 'COMMENT ON TABLE job IS NULL');

#
# Calls of every outcome, by a plain role with a key of its own.
#

my $session = Session->new($node, '\c - caller', set_key(%canary));
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
is( observe("SELECT length((sagemaker_invoke('echo', body)).body) FROM job LIMIT 1")
	  ->{output},
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
	'header-nul' => '38S01',
	'bytes-5000' => '54000',
	'-refused' => '22023');
for my $endpoint (sort keys %failing)
{
	is( observe("SELECT sagemaker_invoke('$endpoint', body, options => "
			  . q('{"max_attempts": 1, "timeout": "300ms", "max_response_size": 4096}')
			  . ') FROM job LIMIT 1')->{sqlstate},
		$failing{$endpoint}, "$endpoint fails, with the body in the request");
}
like($seen, qr/\*{8} *with|\*{8}' with \*{8}/,
	'secrets that the service repeats are blotted out');
like($seen, qr/Access key id ending in 0001/,
	'of the key id, the last four characters are shown');

my $query = "SELECT (sagemaker_invoke('echo', body)).content_type FROM job";
for my $how ('VERBOSE', 'VERBOSE, ANALYZE', 'VERBOSE, ANALYZE, SETTINGS',
	'VERBOSE, ANALYZE, FORMAT JSON')
{
	like(observe("EXPLAIN ($how) $query")->{output}, qr/sagemaker_invoke/,
		"EXPLAIN ($how)");
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
  "SELECT count(*) FROM job WHERE length((sagemaker_invoke('echo', body)).body) > 0";
like(observe("EXPLAIN (VERBOSE, ANALYZE) $parallel")->{output},
	qr/Workers Launched: [1-9]/, 'workers call');
is($emulator->request_count('echo'), 20, 'once a row');
is(signers('echo'), $canary{access_key_id}, 'and sign with the key of their session');
observe("SELECT sagemaker_invoke('model-error', body) FROM job WHERE "
	  . "length((sagemaker_invoke('model-error', body)).body) > 0");

observe('SHOW ALL');
observe("SHOW sagemaker_rt.$_") for @secrets;
observe("SELECT current_setting('sagemaker_rt.$_')") for @secrets;
is(found_in($seen, keys %canary), '', 'no canary reached the client');
unlike($seen, qr/AWS4-HMAC-SHA256|Signature=[0-9a-f]{64}/, 'nor a signature');

#
# Catalogs and views, of this session, and of another while a call is under way.
#

my $super = Session->new($node);
is($super->must("SELECT * FROM places($needles)"), '',
	'no catalog or view has a canary');
$session->must('SET client_min_messages = notice');
$super->must('GRANT pg_read_all_settings, pg_read_all_stats TO caller');
$session->start(
	"SELECT sagemaker_invoke('hang', body, options => '{\"timeout\": \"10min\"}') FROM job");
wait_until(sub { $emulator->request_count('hang') > 0 });
is($super->must("SELECT * FROM places($needles)"), '',
	'nor while a call is under way');
is( $super->must(
		'SELECT state FROM pg_stat_activity WHERE pid = ' . $session->must_not_wait_pid),
	'active', 'in another session') if $session->can('must_not_wait_pid');
$super->must("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'caller'");
is($session->finish->{sqlstate}, '57014', 'which ends when it is cancelled');
$super->must('REVOKE pg_read_all_settings, pg_read_all_stats FROM caller');

# In the session that has the keys, by a superuser.
my $keyed = Session->new($node, set_key(%canary));
$keyed->must("SELECT length((sagemaker_invoke('echo', body)).body) FROM job LIMIT 1");
is($keyed->must("SELECT * FROM places($needles)"), '',
	'nor in the session that has the keys');

is( $super->must(
		'SELECT DISTINCT split_part(p, \':\', 1) FROM places(ARRAY['
		  . backwards($configured{secret_access_key}) . ']) AS p'),
	'pg_file_settings',
	'a key of the configuration file is where superusers read that file');

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
	ok(length $out > 100 && found_in($out, keys %canary) eq ''
		  && index($out, $configured{secret_access_key}) < 0,
		"no canary in $program @options") || diag($err);
}

#
# The log, at every level.
#

$node->stop;
my $log = slurp_file($node->logfile);
ok($log =~ /DEBUG:/ && $log =~ /ERROR:  38000: endpoint "model-error"/,
	'the log has debug messages and our errors');
is(found_in($log, keys %canary), '', 'and no canary');
is(index($log, $configured{secret_access_key}), -1,
	'nor the key of the configuration file');
unlike($log, qr/AWS4-HMAC-SHA256|Signature=[0-9a-f]{64}/, 'nor a signature');

#
# Keys in one session, one after the other.
#

$node->append_conf('postgresql.conf', "log_min_messages = warning\nlog_statement = none\n");
$node->start;
$emulator->reset;
$session = Session->new($node, '\c - caller');
for my $turn (
	[ 'configured', 'SELECT 1', $configured{access_key_id} ],
	[ 'of-the-session', set_key(%canary), $canary{access_key_id} ],
	[ 'changed', set_key(%configured), $configured{access_key_id} ],
	[ 'changed-back', set_key(%canary), $canary{access_key_id} ],
	[ 'reset', 'RESET ALL', $configured{access_key_id} ])
{
	my ($state, $sql, $signer) = @$turn;
	$session->must($sql);
	$emulator->script($state, [], {});
	$session->must("SELECT (sagemaker_invoke('$state', '')).request_id");
	is(signers($state), $signer, "the next call is signed by the key that is $state");
}
$session->must('BEGIN; ' . set_key(%canary) . '; ROLLBACK');
$emulator->script('rolled-back', [], {});
$session->must("SELECT (sagemaker_invoke('rolled-back', '')).request_id");
is(signers('rolled-back'), $configured{access_key_id},
	'a key whose transaction is rolled back signs no more');
$session->must("SET sagemaker_rt.secret_access_key = 'wrong'");
is($session->run("SELECT sagemaker_invoke('rolled-back', '')")->{sqlstate},
	'28000', 'a wrong secret is refused by the service');

# Bound, as applications do it: pgbench's variables are parameters.
my $script = "$PostgreSQL::Test::Utils::tmp_check/bound.sql";
append_to_file($script, join '', map({
			"SELECT set_config('sagemaker_rt.$_', :$_, false);\n" } @secrets),
	"SELECT sagemaker_invoke('bound', '');\n");
$emulator->script('bound', [], {});
$node->command_ok(
	[ 'pgbench', '-n', '-t', 1, '-M', 'extended', '-U', 'caller', '-f', $script,
		map({ ('-D', "$_=$canary{$_}") } @secrets), 'postgres' ],
	'a key is set by a bound parameter');
is(signers('bound'), $canary{access_key_id}, 'and signs');

#
# Who may call.
#

$emulator->reset;
my $stranger = Session->new($node, '\c - stranger');
for my $call (
	"sagemaker_invoke('echo', 'text')",
	"sagemaker_invoke('echo', '\\x00'::bytea)",
	"sagemaker_invoke('echo', '{}'::json)",
	"sagemaker_invoke('echo', '{}'::jsonb)",
	'sagemaker_rt_version()')
{
	is($stranger->run("SELECT $call")->{sqlstate},
		'42501', "a role without EXECUTE is refused: $call");
}
is($emulator->request_count('echo'), 0, 'and nothing was sent for it');

#
# What a caller may not change, however early it tries: its settings before the
# library is loaded are placeholders that anyone can set.
#

my %diverted = (
	endpoint_url => $emulator->fact('recorder_url'),
	proxy => $emulator->fact('recorder_url'),
	region => 'eu-west-1',
	ca_file => '/nonexistent',
	allow_http => 'on');

# A call by role caller; true when it was answered by the endpoint that the
# configuration names.
sub call_goes_where_it_should
{
	my (@before) = @_;
	my $count = $emulator->request_count('echo');
	my ($status, $out, $err) = $node->psql(
		'postgres',
		join(";\n", @before, "SELECT (sagemaker_invoke('echo', '')).content_type"),
		extra_params => [ '-U', 'caller' ]);
	return $out =~ /octet-stream/ && $emulator->request_count('echo') == $count + 1
	  && $emulator->control('stats')->{recorded} == 0;
}

sub changes_are_refused
{
	my ($when) = @_;
	for my $name (sort keys %diverted)
	{
		my $set = "SET sagemaker_rt.$name = '$diverted{$name}'";
		ok(call_goes_where_it_should($set), "$when: SET $name changes nothing");

		local $ENV{PGOPTIONS} = "-c sagemaker_rt.$name=$diverted{$name}";
		ok(call_goes_where_it_should(), "$when: $name as an option of the connection neither");
	}
	for my $name (sort keys %diverted)
	{
		my $alter = "ALTER ROLE caller SET sagemaker_rt.$name = '$diverted{$name}'";
		fails_with($node, $alter, '42501', qr/permission denied/,
			"$when: nor can it be stored: $name", extra_params => [ '-U', 'caller' ]);
	}
}

changes_are_refused('with the library preloaded');
for my $name (sort keys %diverted)
{
	fails_with($node, "SET sagemaker_rt.$name = '$diverted{$name}'",
		'42501', qr/permission denied to set parameter "sagemaker_rt.$name"/,
		"a caller cannot set $name", extra_params => [ '-U', 'caller' ]);
}
for my $name (@secrets)
{
	unlike(
		$node->safe_psql('postgres', "SHOW sagemaker_rt.$name",
			extra_params => [ '-U', 'stranger' ]),
		qr/canary|AKID/, "with the library preloaded, SHOW $name of a new session is blank");
}

$node->append_conf('postgresql.conf',
	"session_preload_libraries = ''\nshared_preload_libraries = 'sagemaker_rt'\n");
$node->restart;
changes_are_refused('with the library in the postmaster');
for my $name (@secrets)
{
	unlike(
		$node->safe_psql('postgres', "SHOW sagemaker_rt.$name",
			extra_params => [ '-U', 'stranger' ]),
		qr/canary|AKID/, "with the library in the postmaster, SHOW $name of a new session is blank");
}

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
changes_are_refused('with the library loaded by the call');

# A superuser can store a name that no library has claimed yet; when the library
# comes, it takes no such key.
$node->safe_psql('postgres',
	"ALTER ROLE caller SET sagemaker_rt.access_key_id = 'AKIDSTORED'");
my ($status, $out, $err) = $node->psql('postgres',
	"\\set VERBOSITY verbose\nSELECT (sagemaker_invoke('mirror', '')).request_id IS NOT NULL",
	extra_params => [ '-U', 'caller' ]);
is($out, 't', 'a call works beside a key that was stored while the library was away');
is(signers('mirror'), $configured{access_key_id}, 'which does not sign');
ok($err =~ /cannot be stored/ && $err !~ /AKIDSTORED/,
	'and a warning says why, without it') || diag($err);

done_testing();
