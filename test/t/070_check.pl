# sagemaker_check(): a row for each step, in order, whatever goes wrong; no
# secret in any of them; and a session that is fine afterwards.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes qw(time);

my @steps = ('library', 'target', 'surroundings', 'region', 'credentials', 'host',
	'name lookup', 'connection', 'clock', 'invocation');

my $id = 'AKIDCANARYFEDCBA0001';
my $secret = 'canary/secret+key0002';
my $token = 'canary/session+token0003';
my $emulator = start_emulator('--no-models', '--key', "$id:$secret:$token",
	'--key', 'AKIDMAPPED0004:mapped-secret');
my $tls = start_emulator('--no-models', '--tls', '--key', "$id:$secret:$token");
my $url = $emulator->fact('url');
my $home = abs_path(PostgreSQL::Test::Utils::tempdir);

# An instance with metadata, which a test can take away.
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
{
	local %ENV = (%ENV, HOME => $home,
		AWS_EC2_METADATA_SERVICE_ENDPOINT => "$url/imds",
		AWS_SESSION_TOKEN => 'canary of the environment 0005');
	delete $ENV{AWS_EC2_METADATA_DISABLED};
	$node->start;
}
$node->safe_psql('postgres', qq{
	CREATE EXTENSION sagemaker_rt;
	CREATE ROLE plain LOGIN;
	CREATE ROLE stranger;
	GRANT EXECUTE ON FUNCTION sagemaker_check TO plain;
	CREATE SERVER here FOREIGN DATA WRAPPER sagemaker
		OPTIONS (region 'us-east-1', endpoint_url '$url');
	CREATE SERVER elsewhere FOREIGN DATA WRAPPER sagemaker;
	CREATE FOREIGN DATA WRAPPER other;
	CREATE SERVER other FOREIGN DATA WRAPPER other;
	GRANT USAGE ON FOREIGN SERVER here TO plain;
	CREATE USER MAPPING FOR postgres SERVER here
		OPTIONS (access_key_id '$id', secret_access_key '$secret', session_token '$token');
});

my @keys = map { "SET sagemaker_rt.$_" } "access_key_id = '$id'",
  "secret_access_key = '$secret'", "session_token = '$token'";
my @here = ("SET sagemaker_rt.region = 'us-east-1'", "SET sagemaker_rt.endpoint_url = '$url'");
my $seen = '';

# The rows of a check after these statements, as hashes by name of the step.
sub check
{
	my ($arguments, @before) = @_;
	my $json = $node->safe_psql('postgres', join ";\n", @before,
		"SELECT json_agg(c) FROM sagemaker_check($arguments) AS c");
	my $rows = decode_json($json);

	$seen .= $json;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join('|', map { $_->{step} } @$rows), join('|', @steps), 'a row for each step in order');
	return { map { $_->{step} => $_ } @$rows };
}

# One test: these steps failed or were skipped and all others are ok; and
# another one: what was found at a step.
sub is_check
{
	my ($rows, $expected, $step, $found, $name) = @_;
	my $not_ok = join ', ',
	  map { "$_ $rows->{$_}{outcome}" } grep { $rows->{$_}{outcome} ne 'ok' } @steps;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($not_ok, $expected, $name);
	like($rows->{$step}{found}, $found, "$name: what is found") if defined $step;
	return;
}

# That one failed, so the later ones were skipped.
sub failed_at
{
	my ($step, @before) = @_;
	my $after = 0;
	my @later = grep { $after++ if $after || $_ eq $step; $after > 1 } @steps;
	return join ', ', @before, "$step failed", map { "$_ skipped" } @later;
}

my $not_ambient = 'surroundings skipped';

#
# All is well.
#

my $rows = check("'variants', 'here', send => true");
is_check($rows, $not_ambient, 'target',
	qr/^server "here", role "postgres", keys of the user mapping$/, 'all is well');
like($rows->{credentials}{found},
	qr/^keys of the user mapping, key ending in 0001, with a session token$/,
	'of the key, four characters are shown');
is($rows->{host}{found}, $url, 'the host');
is($rows->{region}{found}, "us-east-1, from the server's option region",
	'the region, and who names it');
my $lookup = q{SELECT found FROM sagemaker_check('echo', 'here') WHERE step = 'name lookup'};
is($node->safe_psql('postgres', "$lookup; $lookup"),
	join("\n", ('127.0.0.1 has the address 127.0.0.1') x 2), 'the address, of a connection that is there, too');
like($rows->{clock}{found}, qr/^the host's clock is [01] s (ahead of|behind) ours$/, 'the clock');
is(scalar(grep { defined $rows->{$_}{hint} } @steps), 0, 'no hint');
my ($request) = $emulator->requests('variants');
is("$request->{outcome} $request->{status}", 'verified 400',
	'the request is signed, and refused before a model sees it');
is($request->{body_bytes}, 0, 'its body is empty');

for my $endpoint (qw(echo components multi-model multi-container sessions))
{
	is(check("'$endpoint', 'here', send => true")->{invocation}{outcome}, 'ok',
		"an endpoint like $endpoint is known");
}

$emulator->reset;
is_check(check("'echo', 'here'"), "$not_ambient, invocation skipped", 'invocation',
	qr/^not asked for$/, 'without send');
is($emulator->request_count('echo'), 0, 'the endpoint is not asked');
is($emulator->control('stats')->{requests}, 1, 'its host is, once');

$rows = check("'echo', send => true", @here, @keys);
is_check($rows, $not_ambient, 'target',
	qr/^settings, role "postgres", keys set in this session$/, 'without a server');
is($rows->{region}{found}, 'us-east-1, from "sagemaker_rt.region"', 'the setting names the region');
is_check(check("'echo', 'here', true", 'BEGIN READ ONLY'), $not_ambient, undef, undef,
	'in a READ ONLY transaction');
is_check(check("'echo', send => true", @keys, $here[0],
		"SET sagemaker_rt.endpoint_url = '" . $tls->fact('url') . "'",
		"SET sagemaker_rt.ca_file = '" . $tls->fact('ca_file') . "'"),
	$not_ambient, 'connection', qr/^TLS, with a certificate that is trusted$/, 'over TLS');

#
# Surroundings, region and credentials.
#

$emulator->control('standin', { name => 'imds', region => 'us-east-1', lifetime => 600 });
$rows = check("'echo', send => true", $here[1]);
is_check($rows, '', 'credentials',
	qr/^instance metadata, key ending in \w{4}, with a session token, for (599|600) s more$/,
	'the identity of the instance');
like($rows->{target}{found},
	qr/^settings, role "postgres", the database server's own identity$/, 'it is said whose');
like($rows->{surroundings}{found},
	qr{^operating system user \S+, HOME \Q$home\E\n\Q$home\E/\.aws/config is not there\n\Q$home\E/\.aws/credentials is not there\nenvironment:( AWS_\w+)+$},
	'surroundings: user, files, names of variables');
like($rows->{surroundings}{found}, qr/ AWS_SESSION_TOKEN\b/, 'the token among them');
is($rows->{region}{found}, 'us-east-1, from instance metadata', 'and the region of the instance');

$emulator->control('standin', { name => 'imds', role => undef, region => undef });
is_check(check("'echo'", $here[1]), failed_at('region'), 'region',
	qr/^no AWS region is set\n.*AWS_REGION/, 'no region');
$rows = check("'echo'", @here);
is_check($rows, failed_at('credentials'), 'credentials',
	qr/^no AWS credentials found\nenvironment: .+\nprofile: .+\nweb identity: .+\ncontainer: .+\ninstance metadata: .+$/,
	'no credentials: each provider has its line');
like($rows->{credentials}{found}, qr/\n\Qinstance metadata: the instance has no IAM role\E$/,
	'with its reason');
like($rows->{credentials}{hint}, qr/user mapping/, 'and what to do');
$emulator->control('standin', { name => 'imds', faults => { token => 'drop' } });
like(check('', @here)->{credentials}{found}, qr/hop limit of 2/,
	'no answer from the metadata service: the hop limit is told');

mkdir "$home/.aws" or die;
append_to_file("$home/.aws/credentials", "[default]\naws_access_key_id = $id\n");
like(check('', @here)->{credentials}{found},
	qr/\nprofile: profile "default" lacks aws_secret_access_key$/,
	'a provider that is set up and fails is the last one');
append_to_file("$home/.aws/credentials",
	"aws_secret_access_key = $secret\naws_session_token = $token\n");
$rows = check("'echo', send => true", @here);
is_check($rows, '', 'credentials',
	qr/^profile "default", key ending in 0001, with a session token$/, 'a profile');
like($rows->{surroundings}{found}, qr{/\.aws/credentials can be read\n}, 'and where it is');

# What STS says may repeat what it was sent.
$node->safe_psql('postgres', qq{
	CREATE SERVER assumed FOREIGN DATA WRAPPER sagemaker OPTIONS (region 'us-east-1',
		endpoint_url '$url', sts_endpoint_url '$url/sts',
		role_arn 'arn:aws:iam::123456789012:role/scorer')});
is_check(check("'echo', 'assumed', true"), '', 'credentials',
	qr/^profile "default", role assumed, key ending in \w{4}, with a session token, for \d+ s more$/,
	'a role');
$node->safe_psql('postgres', q{CREATE USER MAPPING FOR plain SERVER assumed
	OPTIONS (access_key_id 'AKIDMAPPED0004', secret_access_key 'mapped-secret');
	GRANT USAGE ON FOREIGN SERVER assumed TO plain});
like(check("server => 'assumed'", 'SET ROLE plain')->{credentials}{found},
	qr/^keys of the user mapping, role assumed, key ending in /, "by a mapping's keys");
like(check("server => 'assumed'")->{target}{found},
	qr{, then role arn:aws:iam::123456789012:role/scorer$}, 'which role is said');
$emulator->control('standin', { name => 'sts', faults => { AssumeRole => {
	status => 403, code => 'SignatureDoesNotMatch',
	message => "x-amz-security-token:$token signed with $secret" } } });
is_check(check("server => 'assumed'"), failed_at('credentials'), 'credentials',
	qr/STS answered 403: SignatureDoesNotMatch: x-amz-security-token:\*+ signed with \*+$/,
	'STS refuses, and what it repeats is blotted out');
unlink "$home/.aws/credentials" or die;

#
# Host, name, connection, clock.
#

my $closed = $emulator->control('listener', { kind => 'closed' })->{port};
my $silent = $emulator->control('listener', { kind => 'silent' })->{port};
for my $case (
	[ 'https://nonesuch.invalid', 'name lookup', qr/^the host name could not be resolved/,
		'unknown host' ],
	[ "http://127.0.0.1:$closed", 'connection', qr/^could not connect/, 'closed port' ],
	[ "http://127.0.0.1:$silent", 'connection', qr/^no answer in time\nIt ended while waiting/,
		'a host that says nothing' ],
	[ $tls->fact('url'), 'connection', qr/^no secure connection: SSL certificate (problem|OpenSSL verify result)/,
		'an authority that is not trusted' ],
	[ 'http://elsewhere.test', 'region', qr/^plain http is for this machine's loopback only/,
		'plain http to another machine' ])
{
	my ($to, $step, $found, $name) = @$case;
	$rows = check("'echo', send => true", @keys, $here[0], "SET sagemaker_rt.timeout = '300ms'",
		"SET sagemaker_rt.endpoint_url = '$to'");
	is_check($rows, failed_at($step, $not_ambient), $step, $found, $name);
	isnt($rows->{$step}{hint} // '', '', "$name: there is a hint");
	unlike($rows->{$step}{found}, qr/endpoint "|attempt/, "$name: no words about a call");
}

for my $skew (3600, -3600)
{
	my $words = $skew < 0 ? 'behind' : 'ahead of';
	$emulator->control('clock', { skew => $skew });
	$rows = check("'echo', 'here', true");
	is_check($rows, "$not_ambient, clock failed", 'clock',
		qr/^the host's clock is (3599|3600|3601) s $words ours$/,
		"a clock that is wrong by $skew s, which a call makes up for");
	like($rows->{clock}{hint}, qr/^Set the server's clock/, 'is told all the same');
}
$emulator->control('clock', { skew => 60 });
is(check("'echo', 'here'")->{clock}{outcome}, 'ok', 'a minute does not matter');
$emulator->control('clock', { skew => 0 });

#
# The invocation.
#

for my $case (
	[ 'nonesuch', [], qr/^endpoint "nonesuch": the service refused the request: Endpoint nonesuch of account \d+ not found/,
		'endpoint unknown' ],
	[ 'echo', ["SET sagemaker_rt.secret_access_key = 'wrong'"],
		qr/^endpoint "echo": access denied: .*\n.*code InvalidSignatureException.*ending in 0001/s,
		'wrong secret' ],
	[ 'echo', ["SET sagemaker_rt.access_key_id = 'AKIDNOBODY0006'"],
		qr/code UnrecognizedClientException.*ending in 0006/s, 'unknown key' ],
	[ 'echo', ["SET sagemaker_rt.region = 'eu-west-1'"], qr/access denied/, 'wrong region' ],
	[ 'access-denied', [], qr/code AccessDeniedException/, 'no permission' ],
	[ 'throttling', ['SET sagemaker_rt.max_attempts = 1'], qr/throttled/, 'throttled' ],
	[ 'a b', [], qr/^argument "endpoint" is not valid/, 'no name of an endpoint' ])
{
	my ($endpoint, $settings, $found, $name) = @$case;
	is_check(check("'$endpoint', send => true", @here, @keys, @$settings),
		"$not_ambient, invocation failed", 'invocation', $found, $name);
}
is_check($rows = check('send => true', @here, @keys), "$not_ambient, invocation failed",
	'invocation', qr/^no endpoint is named$/, 'to send without an endpoint');
like($rows->{invocation}{hint}, qr/^Name one: /, 'how to is said');
is_check($rows = check("'echo', 'none'"), failed_at('target'), 'target',
	qr/^server "none" does not exist$/, 'server unknown');
like($rows->{target}{hint}, qr/CREATE SERVER/, 'how servers are made is said');
is_check($rows = check("'echo', 'other'"), failed_at('target'), 'target',
	qr/^server "other" is not of foreign-data wrapper "sagemaker"$/, 'a server of another kind');
like($rows->{target}{hint}, qr/FOREIGN DATA WRAPPER sagemaker/, 'which kind is said');

#
# Who sees what.
#

fails_with($node, 'SET ROLE stranger; SELECT sagemaker_check()', '42501',
	qr/permission denied for function sagemaker_check/, 'without EXECUTE');

my @plain = ('SET ROLE plain');
$rows = check('', @plain);
is_check($rows, failed_at('target'), 'target',
	qr/^permission denied to sign with the database server's own AWS identity\nRole "plain"/,
	'a plain role without keys');
ok(!defined $rows->{surroundings}{found}, 'sees nothing of what surrounds the server');
is_check(check("server => 'here'", @plain), failed_at('target'), 'target',
	qr/has no user mapping for server "here"/, 'a plain role without a mapping');
is_check($rows = check("server => 'elsewhere'", @plain), failed_at('target'), 'target',
	qr/^permission denied for foreign server elsewhere$/, 'a plain role without USAGE');
is($rows->{target}{hint}, 'Have its owner GRANT USAGE ON FOREIGN SERVER elsewhere TO plain.',
	'which right it lacks is said');
is_check(check('', @plain, @keys), failed_at('region', $not_ambient), 'target',
	qr/^settings, role "plain", keys set in this session$/, 'a plain role with keys of its own');
$node->safe_psql('postgres', "CREATE USER MAPPING FOR plain SERVER here
	OPTIONS (access_key_id 'AKIDMAPPED0004', secret_access_key 'mapped-secret')");
is_check(check("'echo', 'here', true", @plain), $not_ambient, 'credentials',
	qr/^keys of the user mapping, key ending in 0004$/, 'a plain role with a mapping');
$node->safe_psql('postgres', q{
	ALTER USER MAPPING FOR plain SERVER here OPTIONS (DROP access_key_id,
		DROP secret_access_key, ADD use_server_identity 'true')});
$emulator->control('standin', { name => 'imds', role => 'instance-role', faults => {} });
$rows = check("'echo', 'here', true", @plain);
is_check($rows, '', 'credentials', qr/^instance metadata, /,
	"a plain role that may use the server's identity");
like($rows->{surroundings}{found}, qr/^operating system user /, 'sees what surrounds the server');

#
# The session afterwards.
#

$node->safe_psql('postgres', 'CREATE TABLE kept (n int)');
my $failing = "SELECT count(*) FROM sagemaker_check('echo', 'none')";
$node->safe_psql('postgres', "BEGIN; INSERT INTO kept VALUES (1); $failing; SAVEPOINT s;
	INSERT INTO kept VALUES (2); $failing; ROLLBACK TO s; INSERT INTO kept VALUES (3); COMMIT");
is($node->safe_psql('postgres', 'SELECT array_agg(n) FROM kept'), '{1,3}',
	'a step that failed takes nothing of the transaction away');
is($node->safe_psql('postgres', q{
	DO $$
	BEGIN
		PERFORM sagemaker_check('echo', 'here', true);
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		PERFORM sagemaker_check('echo', 'none');
	END $$;
	SELECT count(*) FROM generate_series(1, 3), LATERAL sagemaker_check('echo', 'here')}), '30',
	'in functions, and once a row');
like($node->safe_psql('postgres', q{
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
	INSERT INTO kept SELECT generate_series(1, 10000); ANALYZE kept;
	SELECT count(*) FROM kept, sagemaker_check() WHERE n < 3}),
	qr/^\d+$/, 'beside a table that could be scanned in parallel');

my $session = Session->new($node, "SET sagemaker_rt.region = 'us-east-1'", @keys,
	"SET sagemaker_rt.endpoint_url = '$url'");
my $many = "SELECT count(*) FROM generate_series(1, 50) AS n,
	LATERAL sagemaker_check('echo', CASE WHEN n % 2 = 0 THEN 'none' END, true)";
$session->must($many);
my $descriptors = () = descriptors($session->pid);
$session->must($many);
is(scalar(() = descriptors($session->pid)), $descriptors, 'no descriptor is left open');

# Cancelled while the host hangs, and while the metadata service does.
sub cancelled
{
	my ($name) = @_;
	$session->start('SELECT * FROM sagemaker_check()');
	wait_until(sub {
		$node->safe_psql('postgres', 'SELECT wait_event_type FROM pg_stat_activity WHERE pid = '
			  . $session->pid) eq 'Extension'
	}) or die 'it does not wait';
	my $begun = time;
	$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
	my $result = $session->finish;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($result->{sqlstate}, '57014', "$name: cancelled");
	cmp_ok($result->{at} - $begun, '<', 1, "$name: within a second");
	return;
}

$session->must("SET sagemaker_rt.endpoint_url = 'http://127.0.0.1:$silent'");
cancelled('the host hangs');
is($session->must('SELECT 42'), '42', 'the session goes on without a ROLLBACK');
$session->must('BEGIN; SAVEPOINT s');
cancelled('in a subtransaction');
$session->must('ROLLBACK TO s; INSERT INTO kept VALUES (-1); COMMIT');
is($session->must('SELECT count(*) FROM kept WHERE n = -1'), '1',
	'the transaction goes on where it was');
is($session->run("SET statement_timeout = '200ms'; SELECT * FROM sagemaker_check()")->{sqlstate},
	'57014', 'statement_timeout ends it');
$session->must('SET statement_timeout = 0');

$emulator->control('standin', { name => 'imds', faults => { '*' => 'hang' } });
$session->must('SET sagemaker_rt.access_key_id = DEFAULT');
$session->must('SET sagemaker_rt.secret_access_key = DEFAULT');
cancelled('the metadata service hangs');
is($session->must('SELECT 42'), '42', 'and the session goes on');
$session->quit;

for my $canary ($secret, $token, 'canary of the environment', 'mapped-secret', $id)
{
	unlike($seen, qr/\Q$canary\E/, "no row has $canary");
}
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'no backend crashed');

done_testing();
