# Whose key signs, by what surrounds the server: each provider by itself, which
# comes before which, and what is said when there is none.
#
# The server runs with an environment and a home folder of the test's, and AWS's
# metadata addresses and hosts are led to an emulator (Surroundings.pm).  Which
# key signed is what the endpoint saw, whose signature check knows each secret.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Surroundings;
use Test::More;

my @keys = qw(AKIDENVIRONMENT AKIDDEFAULT AKIDOTHER AKIDCONFIGFILE AKIDMAPPING
  AKIDSESSION);

sub secret { return "secret-of-$_[0]" }

my @known = map { ('--key', "$_:" . secret($_)) } @keys;
my $emulator = start_emulator('--no-models', @known);
my $tls = start_emulator('--no-models', '--tls', @known,
	(map { ('--cert-name', "$_.us-east-1.amazonaws.com") }
		qw(runtime.sagemaker runtime-fips.sagemaker sts)),
	'--cert-name', 'runtime.sagemaker.us-east-1.api.aws');
my $url = $emulator->fact('url');
my $node = start_surrounded('main', $emulator, tls => $tls);
my $imds = qr/^ASIAIMDS/;
my $container = qr/^ASIACONT/;
my $sts = qr/^ASIASTS/;
my $arn = 'arn:aws:iam::123456789012:role';

# The lines that give a key in a profile.
sub keys_of
{
	my ($id) = @_;
	return "aws_access_key_id = $id\naws_secret_access_key = " . secret($id) . "\n";
}

my $credentials = "[default]\n" . keys_of('AKIDDEFAULT')
  . "[other]\n" . keys_of('AKIDOTHER');

# Settings of a session beside those that lead to the emulator.
sub with { return (settings => settings(@_)) }

sub with_profile { return with("profile = '$_[0]'") }

# The last request to STS: what it was asked for, and by whose key.
sub last_sts
{
	my $last = stand_in('sts')->{requests}[-1] // return {};
	return { %{ $last->{parameters} // {} }, signed_by => $last->{signed_by},
		kind => $last->{kind} };
}

# One test: the profile has the keys of a role, and STS was asked for it so.
sub assumes
{
	my ($profile, $asked, $name, %options) = @_;
	my $signer = signer(asked($node, with_profile($profile), %options));
	my $last = last_sts();
	my %got = map { $_ => $last->{$_} } keys %$asked;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is_deeply([ $signer =~ $sts ? 'STS' : $signer, \%got ],
		[ 'STS', $asked ], $name);
}

#
# Nothing at all.
#

my %region = (AWS_REGION => 'us-east-1');
surround($node, {%region});
stand_in('imds', role => undef);
{
	my $outcome = asked($node);
	is_failure($outcome, '28000', qr/^no AWS credentials found$/,
		qr/^environment: .+\nprofile: .+\nweb identity: .+\ncontainer: .+\ninstance metadata: .+$/,
		'with nothing at all, the error has a line for each provider');
	like($outcome->{hint}, qr/user mapping/, 'and the hint says what to do');
}
finds_none($node, qr/instance metadata: the instance has no IAM role$/,
	'an instance without a role is said to be one');

$node->safe_psql('postgres', q{
	CREATE ROLE plain LOGIN;
	DO $$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN SELECT oid FROM pg_proc WHERE proname LIKE 'sagemaker%' LOOP
			EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO plain', f);
		END LOOP;
	END $$;
	ALTER ROLE plain SET sagemaker_rt.endpoint_url = '} . $url . q{'});
my @plain = (extra_params => [ '-U', 'plain' ]);
stand_in('imds', role => 'instance-role');
fails_with($node, q{SELECT sagemaker_invoke('mirror', '')}, '42501',
	qr/^permission denied to sign with the database server's own AWS identity/,
	'a plain role without a mapping may not sign as the server', @plain);
is(count_of('imds', 'credentials'), 0, 'and nobody is asked for keys for it');

#
# The instance.
#

signs($node, $imds, 'the role of the instance signs');
is_deeply(stand_in('imds')->{counts}, { token => 3, roles => 3, credentials => 1 },
	'one session of the metadata service serves one search');
stand_in('imds', faults => { token => 'hang' });
finds_none($node, qr/instance metadata: no answer from http:\S+169\.254\.169\.254\S+: .*hop limit of 2/,
	'an instance that does not answer makes think of the hop limit');
stand_in('imds', faults => { token => 403 });
finds_none($node, qr/gave no session token but 403/,
	'there is no way back to version 1');
stand_in('imds', faults => { credentials => 404 });
finds_none($node, qr/no keys for the instance's IAM role/,
	'a role without keys is said to be one');
stand_in('imds', faults => {});

surround($node, { %region, AWS_EC2_METADATA_DISABLED => 'True' });
finds_none($node, qr/instance metadata: AWS_EC2_METADATA_DISABLED is set$/,
	'the instance is not asked where the environment forbids it');

#
# Files.  The region is the instance's from here on.
#

surround($node);
is_failure(asked($node), '22023', qr/^no AWS region is set$/, qr/AWS_REGION/,
	'with no region anywhere, the error says where it may stand');
stand_in('imds', role => undef);
finds_none($node, qr/^environment: .+\nprofile: .+\nweb identity: .+\ncontainer: .+\ninstance metadata: .+\nregion: .+$/,
	'with no key either, the error has a line for each provider, and one for the region');
stand_in('imds', role => 'instance-role', region => 'us-east-1');
signs($node, $imds, 'the region is that of the instance');
stand_in('imds', region => undef);

surround($node, {},
	{ '.aws/config' => "[default]\nregion = us-east-1\n",
		'.aws/credentials' => $credentials });
signs($node, 'AKIDDEFAULT', 'the default profile signs, in its region');
signs($node, 'AKIDOTHER', 'a profile that is set signs, in a region of its own',
	with("profile = 'other'", "region = 'us-east-1'"));
finds_none($node, qr/^profile: there is no profile "missing"$/,
	'a profile that is set and missing ends the search',
	with("profile = 'missing'", "region = 'us-east-1'"));

surround($node, {%region}, { '.aws/credentials' => "[default]\nregion\n" });
finds_none($node, qr/^environment: .*\nprofile: credentials file, line 2: [^\n]*$/,
	'a file that is wrong ends the search, and its line is named');
surround($node, {%region}, { '.aws/config' => "[default]\nmax_attempts = 1\n" });
signs($node, $imds, 'a profile without keys does not end it');
surround($node, {%region},
	{ '.aws/config' => "[default]\n" . keys_of('AKIDOTHER'),
		'.aws/credentials' => "[default]\naws_access_key_id = AKIDDEFAULT\n" });
finds_none($node, qr/\nprofile: profile "default" lacks aws_secret_access_key$/,
	'a key is never put together out of two files');

#
# Roles.
#

surround($node, { %region, AWS_ENDPOINT_URL_STS => "$url/sts",
		AWS_ACCESS_KEY_ID => 'AKIDENVIRONMENT',
		AWS_SECRET_ACCESS_KEY => secret('AKIDENVIRONMENT'),
		AWS_CONTAINER_CREDENTIALS_FULL_URI => "$url/container/keys",
		AWS_WEB_IDENTITY_TOKEN_FILE => home() . '/env-token',
		AWS_ROLE_ARN => "$arn/web", AWS_PROFILE => 'other' },
	{ '.aws/credentials' => $credentials, 'env-token' => "env.token\n",
		'token' => "first.token\n",
		'.aws/config' => <<"END"
[profile simple]
role_arn = $arn/simple
source_profile = other
role_session_name = my-session
external_id = partner:1
[profile chained]
role_arn = $arn/chained
source_profile = simple
[profile own]
role_arn = $arn/own
source_profile = own
aws_access_key_id = AKIDCONFIGFILE
aws_secret_access_key = secret-of-AKIDCONFIGFILE
[profile passed]
role_arn = $arn/passed
source_profile = other
aws_access_key_id = AKIDCONFIGFILE
aws_secret_access_key = secret-of-AKIDCONFIGFILE
[profile a]
role_arn = $arn/a
source_profile = b
[profile b]
role_arn = $arn/b
source_profile = a
[profile environment]
role_arn = $arn/environment
credential_source = Environment
[profile container]
role_arn = $arn/container
credential_source = EcsContainer
[profile instance]
role_arn = $arn/instance
credential_source = Ec2InstanceMetadata
[profile made-up]
role_arn = $arn/made-up
credential_source = Magic
[profile both]
role_arn = $arn/both
credential_source = Environment
source_profile = other
[profile neither]
role_arn = $arn/neither
[profile lost]
role_arn = $arn/lost
source_profile = missing
[profile web]
role_arn = $arn/web
web_identity_token_file = @{[home()]}/token
role_session_name = pod
[profile web-without-role]
web_identity_token_file = @{[home()]}/token
[profile web-without-file]
role_arn = $arn/web
web_identity_token_file = @{[home()]}/no-such-token
[profile mfa]
role_arn = $arn/mfa
source_profile = other
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile process]
credential_process = /bin/touch @{[home()]}/touched
[profile sso]
sso_session = mine
sso_account_id = 123456789012
sso_role_name = reader
END
	});

assumes('simple',
	{ kind => 'AssumeRole', RoleArn => "$arn/simple", signed_by => 'AKIDOTHER',
		RoleSessionName => 'my-session', ExternalId => 'partner:1' },
	'a profile has the keys of a role, assumed by its source');
assumes('chained', { RoleArn => "$arn/chained" },
	'a role is assumed by the keys of another');
like(last_sts()->{signed_by}, $sts, 'of which STS has seen the keys');
assumes('own', { RoleArn => "$arn/own", signed_by => 'AKIDCONFIGFILE' },
	'a profile that is its own source assumes its role by its keys');
assumes('passed', { RoleArn => "$arn/passed", signed_by => 'AKIDOTHER' },
	'keys beside a role with another source are passed over');
assumes('environment', { signed_by => 'AKIDENVIRONMENT' },
	'the source of a role may be the environment');
for my $source ('container', 'instance')
{
	my $of = $source eq 'instance' ? 'imds' : $source;
	my $signer = signer(asked($node, with_profile($source)));

	ok($signer =~ $sts && last_sts()->{signed_by} eq stand_in($of)->{access_key_id},
		"the source of a role may be the $source");
}
assumes('web', { kind => 'AssumeRoleWithWebIdentity', RoleArn => "$arn/web",
		RoleSessionName => 'pod', WebIdentityToken => 'first.token', signed_by => undef },
	'a web identity in a profile assumes its role, unsigned');
{
	my $role_session = { RoleArn => "$arn/chained" };
	assumes('chained', $role_session, 'a role has a session of some name');
	like(last_sts()->{RoleSessionName}, qr/^sagemaker_rt-\d+$/, 'which tells who it is');
}

for my $case (
	[ 'a', qr/name one another/, 'profiles in a circle' ],
	[ 'made-up', qr/"Magic" is none of/, 'an unknown credential_source' ],
	[ 'both', qr/both source_profile and credential_source/, 'two sources' ],
	[ 'neither', qr/neither source_profile nor credential_source/, 'a role without a source' ],
	[ 'lost', qr/no profile "missing", the source of "lost"/, 'a source that is missing' ],
	[ 'web-without-role', qr/no role_arn/, 'a web identity without a role' ],
	[ 'web-without-file', qr/could not open ".*no-such-token"/, 'a token file that is missing' ],
	[ 'mfa', qr/one-time password/, 'a role that wants a one-time password' ],
	[ 'process', qr/credential_process, which is not supported: .*use/, 'credential_process' ],
	[ 'sso', qr/SSO, which is not supported: .*use/, 'a profile that signs in by SSO' ])
{
	my ($profile, $detail, $name) = @$case;
	finds_none($node, qr/^profile: .*$detail/, "$name: refused, and said why",
		with_profile($profile));
}
ok(!-e home() . '/touched', 'and no program has been run');

stand_in('sts', queue => [ { status => 403, code => 'AccessDenied',
		message => 'User is not authorized to perform: sts:AssumeRole' } ]);
finds_none($node, qr/STS answered 403: AccessDenied: User is not authorized/,
	'what STS refuses is said in its words', with_profile('simple'));
for my $error ([ 400, 'IDPCommunicationError' ], [ 400, 'Throttling' ], [ 503, 'ServiceUnavailable' ])
{
	stand_in('sts', queue => [ { status => $error->[0], code => $error->[1] } ]);
	assumes('web', {}, "STS is asked again after $error->[1]");
}
stand_in('sts', web_tokens => ['another.token']);
finds_none($node, qr/STS answered 400: InvalidIdentityToken/,
	'a web identity that is not accepted is an error', with_profile('web'));
stand_in('sts', web_tokens => undef);

#
# Which comes first.
#

signs($node, 'AKIDENVIRONMENT', 'keys in the environment come before AWS_PROFILE and all else');
signs($node, 'AKIDDEFAULT', 'a profile that is set comes before the environment',
	with_profile('default'));
is(signer(asked($node, settings => settings("access_key_id = 'AKIDSESSION'",
				"secret_access_key = '" . secret('AKIDSESSION') . "'"))),
	'AKIDSESSION', 'keys of the session come before the environment');

$node->safe_psql('postgres', qq{
	CREATE SERVER mapped FOREIGN DATA WRAPPER sagemaker OPTIONS (endpoint_url '$url');
	CREATE USER MAPPING FOR CURRENT_USER SERVER mapped
		OPTIONS (access_key_id 'AKIDMAPPING', secret_access_key 'secret-of-AKIDMAPPING');
	CREATE SERVER role_of_server FOREIGN DATA WRAPPER sagemaker OPTIONS (
		endpoint_url '$url', role_arn '$arn/server', external_id 'of+the,server',
		role_session_name 'server-session');
	CREATE SERVER role_of_mapping FOREIGN DATA WRAPPER sagemaker OPTIONS (
		endpoint_url '$url', sts_endpoint_url '$url/sts', role_arn '$arn/server',
		role_session_name 'server-session');
	CREATE USER MAPPING FOR CURRENT_USER SERVER role_of_mapping OPTIONS (
		access_key_id 'AKIDMAPPING', secret_access_key 'secret-of-AKIDMAPPING',
		role_arn '$arn/mapping', external_id 'of/the:mapping');
	CREATE SERVER profile_of_server FOREIGN DATA WRAPPER sagemaker
		OPTIONS (endpoint_url '$url', profile 'default');
	CREATE SERVER identity FOREIGN DATA WRAPPER sagemaker OPTIONS (endpoint_url '$url');
	CREATE USER MAPPING FOR plain SERVER identity OPTIONS (use_server_identity 'true');
	GRANT USAGE ON FOREIGN SERVER identity, mapped TO plain});
sub of_server { return (settings => [], arguments => "''::bytea, server => '$_[0]'") }

signs($node, 'AKIDMAPPING', 'a user mapping comes before the environment', of_server('mapped'));
is(signer(asked($node, settings => [ "access_key_id = 'AKIDSESSION'",
				"secret_access_key = '" . secret('AKIDSESSION') . "'" ],
			arguments => "''::bytea, server => 'mapped'")),
	'AKIDMAPPING', 'and before keys of the session');
signs($node, 'AKIDDEFAULT', "a server's profile comes before the environment",
	of_server('profile_of_server'));
signs($node, 'AKIDENVIRONMENT', 'a server without a mapping has the environment for a superuser',
	of_server('identity'));
{
	my $body = $node->safe_psql('postgres',
		q{SELECT sagemaker_body_text(sagemaker_invoke('mirror', '', server => 'identity'))},
		@plain);
	like($body, qr/Credential=AKIDENVIRONMENT/,
		'and for a role with use_server_identity in its mapping');
}
fails_with($node, q{SELECT sagemaker_invoke('mirror', '', server => 'mapped')}, '42501',
	qr/^permission denied to sign with the database server's own AWS identity/,
	'but not for one without a mapping', @plain);

for my $case (
	[ 'role_of_server', { RoleArn => "$arn/server", RoleSessionName => 'server-session',
		ExternalId => 'of+the,server', signed_by => 'AKIDENVIRONMENT' }, "a server's role is assumed by the server's identity" ],
	[ 'role_of_mapping', { RoleArn => "$arn/mapping", ExternalId => 'of/the:mapping',
		RoleSessionName => 'server-session', signed_by => 'AKIDMAPPING' },
		"a mapping's role is assumed by its keys, and comes before the server's" ])
{
	my ($server, $asked, $name) = @$case;
	my $signer = signer(asked($node, of_server($server)));
	my $last = last_sts();

	is_deeply([ $signer =~ $sts ? 'STS' : $signer, { map { $_ => $last->{$_} } keys %$asked } ],
		[ 'STS', $asked ], $name);
}

# AWS_ENDPOINT_URL_STS is set.
$node->safe_psql('postgres', qq{
	CREATE SERVER keys_alone FOREIGN DATA WRAPPER sagemaker OPTIONS (role_arn '$arn/alone');
	CREATE USER MAPPING FOR CURRENT_USER SERVER keys_alone
		OPTIONS (access_key_id 'AKIDMAPPING', secret_access_key 'secret-of-AKIDMAPPING')});
my $asked_here = count_of('sts', 'AssumeRole');
signs($node, $sts, "a mapping's role is assumed at the host of the region", of_server('keys_alone'));
is($tls->control('standin?name=sts')->{requests}[-1]{parameters}{RoleArn}, "$arn/alone",
	'which STS has seen there');
is(count_of('sts', 'AssumeRole'), $asked_here, 'and not at a URL that is for the identity of the server');

$node->append_conf('postgresql.conf', "sagemaker_rt.access_key_id = 'AKIDCONFIGFILE'\n"
	  . "sagemaker_rt.secret_access_key = '" . secret('AKIDCONFIGFILE') . "'\n");
$node->reload;
signs($node, 'AKIDCONFIGFILE', 'keys in the configuration come before the environment');
$node->append_conf('postgresql.conf', "sagemaker_rt.access_key_id = ''\n"
	  . "sagemaker_rt.secret_access_key = ''\n");
$node->reload;

surround($node, { %region, AWS_ACCESS_KEY_ID => '  ', AWS_SECRET_ACCESS_KEY => '',
		AWS_SESSION_TOKEN => ' ', AWS_PROFILE => 'other', AWS_DEFAULT_PROFILE => 'default',
		AWS_WEB_IDENTITY_TOKEN_FILE => '', AWS_CONTAINER_CREDENTIALS_FULL_URI => '' },
	{ '.aws/credentials' => $credentials });
signs($node, 'AKIDOTHER', 'blank variables count as unset, and AWS_PROFILE names the profile');
write_file('.aws/credentials', "[default]\n" . keys_of('AKIDDEFAULT'));
finds_none($node, qr/^environment: no AWS_ACCESS_KEY_ID\nprofile: there is no profile "other"$/,
	'a profile that AWS_PROFILE names and is missing ends the search');

surround($node, { %region, AWS_DEFAULT_PROFILE => 'other', HOME => '/dev/null' });
finds_none($node, qr/\nprofile: there is no profile "other"$/,
	'so does one that AWS_DEFAULT_PROFILE names');
surround($node, { %region, HOME => '/dev/null' });
signs($node, $imds, 'a home that is no folder has no files');

surround($node, { %region, AWS_ACCESS_KEY_ID => 'AKIDENVIRONMENT' },
	{ '.aws/credentials' => $credentials });
finds_none($node, qr/^environment: AWS_SECRET_ACCESS_KEY is missing$/,
	'half a key in the environment ends the search');
surround($node, { %region, AWS_ACCESS_KEY_ID => 'AKIDENVIRONMENT',
		AWS_SECRET_ACCESS_KEY => secret('AKIDENVIRONMENT'),
		AWS_CREDENTIAL_EXPIRATION => '2020-01-01T00:00:00Z' });
finds_none($node, qr/^environment: .*have expired/, 'keys that have expired are not used');

#
# Web identity in the environment.
#

my %web = (AWS_WEB_IDENTITY_TOKEN_FILE => home() . '/token', AWS_ROLE_ARN => "$arn/pod");
surround($node, { %region, %web, AWS_ROLE_SESSION_NAME => 'pod-1' },
	{ 'token' => 'pod.token' });
{
	# AWS's own host: over TLS, in the region.
	my $signer = signer(asked($node, settings => []));
	my $last = $tls->control('standin?name=sts')->{requests}[-1];

	is_deeply($last->{parameters}, { RoleArn => "$arn/pod", RoleSessionName => 'pod-1',
			WebIdentityToken => 'pod.token' },
		'a web identity in the environment goes to the regional host of STS');
	like($signer, $sts, 'and signs, at the regional host of SageMaker');
}
write_file('.aws/credentials', $credentials);
signs($node, 'AKIDDEFAULT', 'a profile comes before a web identity in the environment');
surround($node, { %region, AWS_WEB_IDENTITY_TOKEN_FILE => '/token' });
finds_none($node, qr/\nweb identity: .*AWS_ROLE_ARN is not$/,
	'a web identity without a role ends the search');

#
# The container.
#

my $path = '/v2/credentials/1';
surround($node, { %region, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI => $path,
		AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://refused.example/',
		AWS_CONTAINER_AUTHORIZATION_TOKEN => 'Basic variable' });
stand_in('container', token => 'Basic variable');
signs($node, $container, "the container's role signs; a relative URI comes before a full one");
is(stand_in('container')->{requests}[-1]{line}, "GET $path HTTP/1.1",
	'it is fetched from the address of ECS');
stand_in('container', token => 'Basic other');
finds_none($node, qr/\ncontainer: the container's service answered 401$/,
	'a refused authorization ends the search');

stand_in('container', token => undef, queue => [ 503, 503 ]);
signs($node, $container, 'a service that fails twice is asked a third time');
my $asked = count_of('container', 'credentials');
stand_in('container', queue => [ 503, 503, 503 ]);
finds_none($node, qr/\ncontainer: the container's service answered 503$/, 'and no fourth time');
is(count_of('container', 'credentials'), $asked + 3, 'which is three times in all');

surround($node, { %region, AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://169.254.170.23/v1/credentials',
		AWS_CONTAINER_AUTHORIZATION_TOKEN => 'Basic variable',
		AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => home() . '/token' },
	{ token => "Basic file\n" });
stand_in('container', token => 'Basic file');
signs($node, $container, 'a token file comes before the token in a variable');
write_file('token', "Basic file\nInjected: header");
finds_none($node, qr/\ncontainer: ".*" has a line break/,
	'a token with a line break is refused');

for my $uri ('http://keys.example/x', 'http://10.0.0.1/x', 'http://169.254.170.3/x',
	'http://127.0.0.1@keys.example/x', 'http://2852039170/x', 'ftp://localhost/x', 'localhost/x')
{
	surround($node, { %region, AWS_CONTAINER_CREDENTIALS_FULL_URI => $uri });
	finds_none($node, qr/\ncontainer: AWS_CONTAINER_CREDENTIALS_FULL_URI: /,
		"$uri: refused");
}

#
# Hosts and regions.
#

# The Host header of a call, and the region that it was signed for.
sub place
{
	my ($outcome) = @_;
	return "$outcome->{sqlstate}: $outcome->{message}" unless $outcome->{sqlstate} eq '00000';
	my %headers = map { lc $_->[0] => $_->[1] }
	  @{ decode_json($outcome->{value})->{headers} };
	my ($region) = $headers{authorization} =~ m{Credential=[^/]+/\d+/([^/]+)/};
	return "$headers{host} $region";
}

my $fips = 'runtime-fips.sagemaker.us-east-1.amazonaws.com us-east-1';
my $dualstack = 'runtime.sagemaker.us-east-1.api.aws us-east-1';
my $here = "127.0.0.1:" . $emulator->fact('port') . ' us-east-1';
my $aws = 'runtime.sagemaker.us-east-1.amazonaws.com us-east-1';
my %nowhere = (AWS_ENDPOINT_URL => 'http://127.0.0.1:1');
my $config = "[default]\nregion = us-east-1\nservices = local\nendpoint_url = http://127.0.0.1:1\n"
  . "[services local]\nsagemaker_runtime =\n  endpoint_url = $url/\n";
my $bare = { '.aws/credentials' => $credentials };
my $full = { '.aws/credentials' => $credentials, '.aws/config' => $config };

for my $case (
	[ { %region, %nowhere, AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME => $url }, $full, $here,
		'AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME comes before AWS_ENDPOINT_URL' ],
	[ { %region, AWS_ENDPOINT_URL => $url }, $bare, $here, 'AWS_ENDPOINT_URL is where calls go' ],
	[ { %region, AWS_ENDPOINT_URL => "$url/", AWS_PROFILE => 'default' },
		{ %$full, '.aws/config' => $config =~ s/\Q$url\E/http:\/\/127.0.0.1:1/r }, $here,
		'it comes before the profile' ],
	[ {}, $full, $here, 'the services section comes before the endpoint_url of the profile' ],
	[ {}, { %$bare, '.aws/config' => "[default]\nregion = us-east-1\nendpoint_url = $url\n" }, $here,
		'the endpoint_url of the profile is where calls go' ],
	[ { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS => 'true', %nowhere }, $full, $aws,
		'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS leaves the host of the region' ],
	[ {}, { %$bare, '.aws/config' => $config =~ s/\n/\nignore_configured_endpoint_urls = true\n/r }, $aws,
		'so does the profile that says it' ],
	[ { AWS_DEFAULT_REGION => 'us-east-1' }, { %$bare, '.aws/config' => "[default]\nregion = eu-west-1\n" }, $aws,
		'AWS_DEFAULT_REGION comes before the profile' ],
	[ { %region, AWS_DEFAULT_REGION => 'eu-west-1' }, $bare, $aws, 'AWS_REGION comes before both' ],
	[ { %region, AWS_USE_FIPS_ENDPOINT => 'true' }, $bare, $fips, 'AWS_USE_FIPS_ENDPOINT chooses the host' ],
	[ { %region, AWS_USE_DUALSTACK_ENDPOINT => 'True' }, $bare, $dualstack,
		'so does AWS_USE_DUALSTACK_ENDPOINT' ],
	[ { %region }, { %$bare, '.aws/config' => "[default]\nuse_fips_endpoint = true\n" }, $fips,
		'so does use_fips_endpoint of the profile' ],
	[ { %region }, { %$bare, '.aws/config' => "[default]\nuse_dualstack_endpoint = true\n" }, $dualstack,
		'and use_dualstack_endpoint' ],
	[ { %region, AWS_USE_FIPS_ENDPOINT => 'false', AWS_USE_DUALSTACK_ENDPOINT => 'false' },
		{ %$bare, '.aws/config' => "[default]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n" },
		$aws, 'the environment comes before the profile' ])
{
	my ($environment, $files, $expected, $name) = @$case;
	surround($node, $environment, $files);
	is(place(asked($node, settings => [])), $expected, $name);
}
is(place(asked($node, settings => [ "access_key_id = 'AKIDSESSION'",
				"secret_access_key = '" . secret('AKIDSESSION') . "'" ])),
	$aws, 'a session with keys of its own has the region too');
surround($node, { %region, %nowhere }, $bare);
is(place(asked($node, settings => [ "access_key_id = 'AKIDSESSION'",
				"secret_access_key = '" . secret('AKIDSESSION') . "'" ])),
	$aws, 'but not the URL, which is for the identity of the server');
surround($node, { %region, AWS_USE_FIPS_ENDPOINT => 'true' }, $bare);
is(place(asked($node, settings => [ "access_key_id = 'AKIDSESSION'",
				"secret_access_key = '" . secret('AKIDSESSION') . "'" ])),
	$aws, 'nor its kind of host');
$node->safe_psql('postgres', q{CREATE SERVER plain_host FOREIGN DATA WRAPPER sagemaker
	OPTIONS (use_fips 'false')});
is(place(asked($node, of_server('plain_host'))), $aws, "a server's option comes before the environment");
is_failure(asked($node), '22023', qr/^FIPS and dual-stack hosts cannot be asked for beside a URL$/,
	qr/127[.]0[.]0[.]1/, 'and a kind of host cannot stand beside a URL');
surround($node, { %region, AWS_ENDPOINT_URL => 'http://elsewhere.example' }, $bare);
is_failure(asked($node, settings => []), '22023', qr/plain http is for this machine's loopback only/,
	qr/^The URL in the database server's environment is "http:\/\/elsewhere.example"\.$/,
	'a URL in the environment is bound by the rules for URLs');

done_testing();
