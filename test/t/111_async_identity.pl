# Whose key signs an asynchronous call and what is fetched for it, and where the
# fetching goes: the same rules as for a synchronous call.
#
# AWS's hosts are led to an emulator (Surroundings.pm); its S3 logs whose key
# signed, and knows a bucket in the host from one in the path.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Surroundings;
use Test::More;

my @keys = map { ('--key', "AKID$_:secret-of-$_") } qw(ONE TWO CONFIGURED SESSION);
my $http = start_emulator('--no-models', @keys);
my $tls = start_emulator('--no-models', '--tls', @keys,
	map { ('--cert-name', $_) } '*.s3.us-east-1.amazonaws.com', 's3.us-east-1.amazonaws.com',
	'runtime.sagemaker.us-east-1.amazonaws.com');
my $node = start_surrounded('main', $http, tls => $tls);
my $url = $http->fact('url');
my $answer = "sagemaker_async_result('s3://bucket/x')";

# What a role sees in a session of its own: the value, or how it failed.
sub as
{
	my ($role, $sql, %options) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres',
		"\\set VERBOSITY verbose\n" . join('', map { "$_;\n" } @{ $options{first} // [] })
		  . "SELECT $sql", on_error_stop => 1, extra_params => [ '-U', $role ]);
	return $status == 0 ? $stdout : $stderr =~ /ERROR:  (\w{5}: .*)$/m ? $1 : $stderr;
}

# Whose key S3 saw last.
sub last_signer
{
	my ($emulator) = @_;
	my $last = $emulator->control('standin?name=s3')->{requests}[-1] // {};
	return $last->{signed_by} // 'nobody';
}

sub fresh
{
	$_->reset for $http, $tls;
	$_->control('object', { location => 's3://bucket/x', body => 'found' }) for $http, $tls;
}

# One test: the role finds the answer, and that key signed for it.
sub signs_for
{
	my ($role, $key, $name, $sql, %options) = @_;

	fresh();
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(as($role, "convert_from(($sql).body, 'UTF8')", %options), 'found', $name);
	like(last_signer($options{emulator} // $http), qr/^$key/, "$name: $key signed");
}

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->append_conf('postgresql.conf', "session_preload_libraries = 'sagemaker_rt'\n");
surround($node, { AWS_REGION => 'us-east-1' });
$node->safe_psql('postgres', qq{
	CREATE ROLE plain LOGIN;
	CREATE ROLE one LOGIN;
	CREATE ROLE two LOGIN;
	CREATE ROLE assuming LOGIN;
	CREATE SERVER s FOREIGN DATA WRAPPER sagemaker OPTIONS (region 'us-east-1',
		endpoint_url '$url', s3_endpoint_url '$url/s3', sts_endpoint_url '$url/sts');
	GRANT USAGE ON FOREIGN SERVER s TO one, two, plain, assuming;
	CREATE USER MAPPING FOR one SERVER s
		OPTIONS (access_key_id 'AKIDONE', secret_access_key 'secret-of-ONE');
	CREATE USER MAPPING FOR two SERVER s
		OPTIONS (access_key_id 'AKIDTWO', secret_access_key 'secret-of-TWO');
	CREATE USER MAPPING FOR assuming SERVER s
		OPTIONS (access_key_id 'AKIDONE', secret_access_key 'secret-of-ONE',
			role_arn 'arn:aws:iam::123456789012:role/reader')});
my $of_s = "sagemaker_async_result('s3://bucket/x', server => 's')";
my $call_of_s = "(sagemaker_invoke_async('echo', '1', server => 's')).output_location";

like(as('one', $answer), qr/^42501: permission denied for function/, 'EXECUTE has to be granted');
like(as('one', $call_of_s), qr/^42501: permission denied for function/, 'and for the call');
$node->safe_psql('postgres', q{
	DO $$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN SELECT oid FROM pg_proc WHERE proname ~ '^sagemaker_(invoke_async|async_result)$' LOOP
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO plain, one, two, assuming', f);
		END LOOP;
	END $$});

signs_for('one', 'AKIDONE', 'a mapping', $of_s);
signs_for('two', 'AKIDTWO', 'the mapping of another role', $of_s);
signs_for('assuming', 'ASIASTS', 'a role that is assumed', $of_s);
like(as('one', $call_of_s), qr/^s3:/, 'the call is signed so, too');
like(as('plain', $_), qr/^42501: permission denied to sign with the database server's own/,
	'a role without a mapping may not sign as the server')
  for $of_s, $call_of_s, $answer;
like(as('plain', $answer, first => ["SET sagemaker_rt.s3_endpoint_url = '$url/s3'"]),
	qr/^42501: permission denied to set parameter/, 'nor choose where S3 is');

$node->append_conf('postgresql.conf', "sagemaker_rt.s3_endpoint_url = '$url/s3'
sagemaker_rt.access_key_id = 'AKIDCONFIGURED'
sagemaker_rt.secret_access_key = 'secret-of-CONFIGURED'
");
$node->reload;
my @session = map { "SET sagemaker_rt.$_" } "access_key_id = 'AKIDSESSION'",
  "secret_access_key = 'secret-of-SESSION'";
signs_for('plain', 'AKIDCONFIGURED', 'keys of the configuration', $answer);
signs_for('plain', 'AKIDSESSION', 'keys of the session', $answer, first => \@session);

# A function of another role signs as its owner, and not by the session's keys.
$node->safe_psql('postgres', qq{
	GRANT CREATE ON SCHEMA public TO one;
	SET ROLE one;
	CREATE FUNCTION owned() RETURNS text LANGUAGE sql SECURITY DEFINER
		AS \$\$ SELECT convert_from(($of_s).body, 'UTF8') \$\$});
fresh();
is(as('plain', 'owned()', first => \@session), 'found', 'SECURITY DEFINER works');
is(last_signer($http), 'AKIDONE', 'and signs as the owner');

#
# AWS's own hosts, with the server's own identity.
#

$node->append_conf('postgresql.conf', "sagemaker_rt.$_ = ''\n")
  for qw(s3_endpoint_url access_key_id secret_access_key);
$node->append_conf('postgresql.conf', "sagemaker_rt.region = 'us-east-1'\n");
my %environment = (AWS_ACCESS_KEY_ID => 'AKIDONE', AWS_SECRET_ACCESS_KEY => 'secret-of-ONE');
surround($node, {%environment});

sub last_request { return $tls->control('standin?name=s3')->{requests}[-1] // {} }

signs_for($superuser, 'AKIDONE', 'the server\'s own identity', $answer, emulator => $tls);
is(last_request()->{target}, '/x', 'the bucket stands in the host');
for my $bucket ('my.bucket', 'Old_Bucket')
{
	$tls->control('object', { location => "s3://$bucket/a b", body => 'found' });
	is(as($superuser, "convert_from((sagemaker_async_result('s3://$bucket/a b')).body, 'UTF8')"),
		'found', "a bucket that is no label of a host: $bucket");
	is(last_request()->{target}, "/$bucket/a%20b", 'stands in the path');
}

# A caller may think of any number of buckets: the session keeps nothing of each.
SKIP:
{
	my $session = Session->new($node);
	skip 'its memory cannot be seen', 1 if $session->must('SHOW server_version_num') < 140000;
	my $many = q{SELECT count(sagemaker_async_result('s3://bucket-' || i || '/none'))
		FROM generate_series(%d, %d) AS i};
	my $used = q{SELECT used_bytes FROM pg_backend_memory_contexts WHERE name = 'TopMemoryContext'};

	$session->must(sprintf $many, 1, 50);
	my $before = $session->must($used);
	$session->must(sprintf $many, 51, 250);
	cmp_ok($session->must($used) - $before, '<', 4096, 'many buckets leave nothing behind');
	$session->quit;
}

# Hosts of other regions and partitions show in what could not be resolved.
for (
	[ 'eu-west-1', '', 'bucket.s3.eu-west-1.amazonaws.com' ],
	[ 'cn-north-1', '', 'bucket.s3.cn-north-1.amazonaws.com.cn' ],
	[ 'us-gov-west-1', ", use_fips 'on'", 'bucket.s3-fips.us-gov-west-1.amazonaws.com' ],
	[ 'eu-west-1', ", use_dualstack 'on'", 'bucket.s3.dualstack.eu-west-1.amazonaws.com' ])
{
	my ($region, $more, $host) = @$_;
	$node->safe_psql('postgres', qq{
		DROP SERVER IF EXISTS away CASCADE;
		CREATE SERVER away FOREIGN DATA WRAPPER sagemaker OPTIONS (region '$region',
			proxy 'http://127.0.0.1:1', max_attempts '1' $more)});
	my $failure = failure($node, "SELECT sagemaker_async_result('s3://bucket/x', server => 'away')");
	like($failure->{detail}, qr/Host \Q$host\E, region \Q$region\E\./, "the host $host");
}

surround($node, { %environment, AWS_ENDPOINT_URL_S3 => "$url/s3" });
signs_for($superuser, 'AKIDONE', 'a URL of the environment', $answer);
surround($node, { %environment, AWS_ENDPOINT_URL_S3 => 'http://elsewhere.example' });
like(as($superuser, $answer), qr/^22023: plain http is for this machine's loopback only/,
	'plain http to elsewhere is refused');

done_testing();
