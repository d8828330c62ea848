# Secrets that surround the server: none that is planted in its environment or in
# a file of its comes out in an error, a row of sagemaker_check or the log, also
# when a service repeats what it was sent.
#
# The log is loud for the sessions alone: at debug3 the postmaster itself writes
# its environment at start (doc/security.md).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Surroundings;
use Test::More;

my %canary = (
	secret => 'canary/secret+key0001',
	session_token => 'canary/session+token0002',
	web_token => 'canary.web.identity-token0003',
	container_token => 'canary-of-a-container0004',
	password => 'canary-of-a-URL0005');
my %keys = (AWS_ACCESS_KEY_ID => 'AKIDAMBIENT', AWS_SECRET_ACCESS_KEY => $canary{secret},
	AWS_SESSION_TOKEN => $canary{session_token});

my $emulator = start_emulator('--no-models', '--key', join(':', map { $keys{$_} }
	qw(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN)));
my $url = $emulator->fact('url');
my $node = start_surrounded('main', $emulator);
my $arn = 'arn:aws:iam::123456789012:role';
my $user_info = "user:$canary{password}";

$node->safe_psql('postgres', qq{
	CREATE SERVER plain FOREIGN DATA WRAPPER sagemaker
		OPTIONS (endpoint_url '$url', max_attempts '1');
	CREATE SERVER assumed FOREIGN DATA WRAPPER sagemaker
		OPTIONS (endpoint_url '$url', role_arn '$arn/scorer');
	CREATE SERVER bare FOREIGN DATA WRAPPER sagemaker;
	CREATE SERVER fips FOREIGN DATA WRAPPER sagemaker OPTIONS (use_fips 'true');
	CREATE SERVER dualstack FOREIGN DATA WRAPPER sagemaker
		OPTIONS (use_dualstack 'true', role_arn '$arn/scorer')});

my @loud = ('\set VERBOSITY verbose', map { "SET $_ = debug5;" }
	  qw(client_min_messages log_min_messages log_min_error_statement));
push @loud, 'SET log_error_verbosity = verbose;', 'SET log_statement = \'all\';';

sub canaries_in
{
	my ($text) = @_;
	return join ' ', grep { index($text, $canary{$_}) >= 0 } sort keys %canary;
}

# Two tests: what a call and a check by way of the server say fits, and has no
# secret.
sub says
{
	my ($server, $pattern, $name) = @_;
	my ($status, $out, $err) = $node->psql('postgres', join("\n", @loud,
			"SELECT sagemaker_invoke('repeats', '', server => '$server');",
			"SELECT * FROM sagemaker_check('repeats', '$server', true);"),
		on_error_stop => 0);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($err, qr/ERROR: .*$pattern/s, "$name: the error");
	like($out, qr/failed.*$pattern/s, "$name: the check");
	is(canaries_in("$out\n$err"), '', "$name: no secret in either");
	return;
}

my %region = (AWS_REGION => 'us-east-1');

# The service, and STS, repeat what was signed.
surround($node, { %region, %keys, AWS_ENDPOINT_URL_STS => "$url/sts" });
my $repeated = "should have been 'x-amz-security-token:$canary{session_token}' with $canary{secret}";
my $blotted = qr/should have been 'x-amz-security-token:\*+' with \*+/;
$emulator->script('repeats', [], { status => 403, code => 'InvalidSignatureException',
	message => $repeated });
says('plain', $blotted, 'keys of the environment that the service repeats');
stand_in('sts', faults => { '*' => { status => 403, code => 'SignatureDoesNotMatch',
	message => $repeated } });
says('assumed', $blotted, 'keys of the environment that STS repeats');

# STS repeats a web identity, which it was sent in the form.
my $token_file = home() . '/token';
surround($node, { %region, AWS_ENDPOINT_URL_STS => "$url/sts",
		AWS_WEB_IDENTITY_TOKEN_FILE => $token_file, AWS_ROLE_ARN => "$arn/pod" },
	{ token => "$canary{web_token}\n" });
stand_in('sts', faults => { '*' => { status => 400, code => 'InvalidIdentityToken',
	message => "The token $canary{web_token} could not be validated" } });
says('plain', qr/STS answered 400: InvalidIdentityToken: The token \*+ could not be validated/,
	'a web identity that STS repeats');
stand_in('sts', faults => {});

# The container's service repeats its authorization, as a whole or without the
# scheme.
surround($node, { %region, AWS_CONTAINER_CREDENTIALS_FULL_URI => "$url/container/keys",
		AWS_CONTAINER_AUTHORIZATION_TOKEN => "Bearer $canary{container_token}" });
for my $repeats ("Bearer $canary{container_token}", $canary{container_token})
{
	stand_in('container', faults => { '*' => { status => 200, code => 'Unauthorized',
		message => "not accepted: $repeats." } });
	says('plain', qr/container credentials answered Unauthorized: not accepted: (Bearer )?\*+\./,
		'an authorization that the container\'s service repeats');
}
stand_in('container', faults => {});

# A URL with a password, which is refused, alone and beside another reason.
for my $server (qw(bare fips))
{
	surround($node, { %region, %keys, AWS_ENDPOINT_URL => "https://$user_info\@gateway.example" });
	says($server, qr/The URL in the database server's environment cannot be used: the URL has a user name/,
		"a URL with a password, server $server");
}
surround($node, { %region, %keys, AWS_ENDPOINT_URL_STS => "https://$user_info\@sts.example" });
for my $server (qw(assumed dualstack))
{
	says($server, qr/role: the URL of STS cannot be used: the URL has a user name/,
		"a URL of STS with a password, server $server");
}
surround($node, { %region, %keys, AWS_ENDPOINT_URL => 'https://gateway.example/' });
says('fips', qr/FIPS and dual-stack hosts cannot be asked for beside a URL.*"https:\/\/gateway.example"/s,
	'a URL without one is shown');

$node->stop;
my $log = slurp_file($node->logfile);
ok($log =~ /DEBUG:/ && $log =~ /statement: SELECT sagemaker_invoke\('repeats'/
	&& $log =~ /ERROR:  28000: no AWS credentials found/,
	'the log has debug messages, statements and our errors');
is(canaries_in($log), '', 'and no secret');

done_testing();
