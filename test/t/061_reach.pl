# Where a call goes, and what of the server's it uses, is not the caller's choice;
# and nobody's choice leads to the machine's own metadata services.
#
# lying_resolver.c is preloaded into the server: which address a name has must not
# depend on the machine that the test runs on, and no connection leaves it.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir);
my $library = "$folder/lying_resolver.so";
system($ENV{CC} // 'cc', '-shared', '-fPIC', '-O', '-Wall', '-Werror',
	'-o', $library, "$FindBin::RealBin/lying_resolver.c", '-ldl') == 0
  or die 'lying_resolver.c does not compile';
my $connections = "$folder/connections.log";
append_to_file($connections, '');
my ($profiles, $credentials) = ("$folder/config", "$folder/credentials");
append_to_file($_, '') for $profiles, $credentials;

my $emulator = start_emulator('--no-models');
my $port = $emulator->fact('port');
my $key_id = $emulator->fact('access_key_id');
my $secret = $emulator->fact('secret_access_key');
my $node;
{
	local %ENV = (%ENV, LD_PRELOAD => $library, LYING_RESOLVER_LOG => $connections,
		AWS_CONFIG_FILE => $profiles, AWS_SHARED_CREDENTIALS_FILE => $credentials,
		AWS_CONTAINER_CREDENTIALS_FULL_URI => "https://link-local.test:$port/keys",
		AWS_EC2_METADATA_DISABLED => 'true');
	$node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'",
		'sagemaker_rt.max_attempts = 1', "sagemaker_rt.endpoint_url = ''");
}

$node->safe_psql('postgres', q{
	CREATE ROLE plain LOGIN;
	GRANT USAGE ON FOREIGN DATA WRAPPER sagemaker TO plain;
	DO $$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN SELECT oid FROM pg_proc WHERE proname LIKE 'sagemaker%' LOOP
			EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO plain', f);
		END LOOP;
	END $$;
	CREATE FUNCTION hint_of(command text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE hint text;
	BEGIN
		EXECUTE command;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		RETURN hint;
	END $$;
	-- What a command says, in one line; if it succeeds it is undone.
	CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE detail text;
	BEGIN
		EXECUTE command;
		RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
	EXCEPTION
		WHEN SQLSTATE 'ZZZZZ' THEN RETURN '00000';
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			RETURN translate(format('%s: %s %s', SQLSTATE, SQLERRM, detail), E'\n', ' ');
	END $$;
});

# One line for each command, run one after the other in one session.
sub outcomes_of
{
	my ($role, @commands) = @_;
	my $script = join '', map { "SELECT outcome(\$c\$$_\$c\$);\n" } @commands;
	my @outcomes = split /\n/, $node->safe_psql('postgres',
		"SET client_encoding = 'UTF8';\n$script", extra_params => [ '-U', $role ]);

	die 'not as many outcomes as commands' unless @outcomes == @commands;
	return @outcomes;
}

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# One test: which of the commands, by their labels, did not fail in that way.
sub all_fail
{
	my ($role, $commands, $pattern, $name) = @_;
	my @labels = sort keys %$commands;
	my @outcomes = outcomes_of($role, map { $commands->{$_} } @labels);
	my @wrong = map { $outcomes[$_] =~ $pattern ? () : "$labels[$_]: $outcomes[$_]" } 0 .. $#labels;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join("\n", @wrong), '', "$name (" . @labels . ')');
}

#
# Settings.  Those that any role may set are listed here: a new one must be refused,
# or be put on this list by somebody who has thought about it.
#

my %free_setting = map { ("sagemaker_rt.$_" => 1) }
  qw(connect_timeout timeout total_timeout max_attempts max_response_size
  retry_timeouts idle_timeout default_server batch concurrency max_failed_rows max_failed_ratio on_error reuse_size);
my %value_of = map { split /\|/ } split /\n/, $node->safe_psql('postgres',
	"SELECT name || '|' || boot_val FROM pg_settings WHERE name LIKE 'sagemaker\\_rt.%' AND boot_val <> ''
	UNION ALL SELECT name || '|x' FROM pg_settings WHERE name LIKE 'sagemaker\\_rt.%' AND boot_val = ''");
$value_of{'sagemaker_rt.on_error'} = 'null';    # one of three words
my @bound = grep { !$free_setting{$_} } sort keys %value_of;
cmp_ok(scalar @bound, '>=', 6, 'settings of where and whose: ' . join ', ', @bound);

my %commands;
for my $name (@bound)
{
	my $value = $value_of{$name};
	my $variable = $name =~ s/.*\.//r;
	%commands = (%commands,
		"SET $name" => "SET $name = '$value'",
		"SET $name, nothing" => "SET $name = ''",
		"SET LOCAL $name" => "SET LOCAL $name = '$value'",
		"set_config $name" => "SELECT set_config('$name', '$value', false)",
		"pg_settings $name" => "UPDATE pg_settings SET setting = '$value' WHERE name = '$name'",
		"RESET $name" => "RESET $name",
		"SET $name TO DEFAULT" => "SET $name TO DEFAULT",
		"ALTER ROLE SET $name" => "ALTER ROLE plain SET $name = '$value'",
		"CREATE FUNCTION SET $name" => 'CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql '
		  . "SET $name = '$value' AS ''",
		"ALTER SYSTEM $name" => "ALTER SYSTEM SET $name = '$value'",
		"ALTER DATABASE $name" => "ALTER DATABASE postgres SET $name = '$value'");
}
# 55P02: only the configuration file can, for anybody.
all_fail('plain', \%commands, qr/^(42501: permission denied to set parameter "sagemaker_rt|55P02: parameter "sagemaker_rt|42501: must be|25001: ALTER SYSTEM)/,
	'a plain role cannot set where calls go and what is trusted');
is(join(' ', outcomes_of('plain', map { "SET $_ = '$value_of{$_}'" } sort keys %free_setting)),
	join(' ', ('00000') x keys %free_setting), 'but what a call may cost');

#
# Options, as the validator lists them.  Those that a plain role may set are
# listed here, as above.
#

my %free_option = (
	server => { map { $_ => 1 } qw(region use_fips use_dualstack external_id role_session_name
		connect_timeout timeout total_timeout max_attempts max_response_size retry_timeouts) },
	mapping => { map { $_ => 1 } qw(access_key_id secret_access_key session_token external_id
		role_session_name) });
my %create = (
	server => 'CREATE SERVER new FOREIGN DATA WRAPPER sagemaker',
	mapping => 'CREATE USER MAPPING FOR CURRENT_USER SERVER own');
$node->safe_psql('postgres', 'CREATE SERVER own FOREIGN DATA WRAPPER sagemaker; ALTER SERVER own OWNER TO plain');
$node->safe_psql('postgres', 'CREATE SERVER mapped FOREIGN DATA WRAPPER sagemaker; '
	. 'ALTER SERVER mapped OWNER TO plain; CREATE USER MAPPING FOR plain SERVER mapped; '
	  . 'CREATE USER MAPPING FOR PUBLIC SERVER mapped');

my %options;
%commands = ();
for my $place (sort keys %create)
{
	my $hint = $node->safe_psql('postgres', "SELECT hint_of(\$c\$$create{$place} OPTIONS (x 'x')\$c\$)");
	my @names = split /, /, $hint =~ /are: (.*)\.$/ ? $1 : '';
	for my $name (@names)
	{
		# The first that is a value at all.
		my @candidates = ('on', '1', 'us-east-1', 'https://gateway.example', '/file');
		my @tried = outcomes_of($superuser, map { "$create{$place} OPTIONS ($name '$_')" } @candidates);
		my ($value) = map { $candidates[$_] } grep { $tried[$_] eq '00000' } 0 .. $#candidates;

		ok(defined $value, "a superuser can set $name of a $place") || diag("@tried");
		$options{$name} = $value // '1';
		next if $free_option{$place}{$name};
		$commands{"$place $name"} = "$create{$place} OPTIONS ($name '$options{$name}')";
		$commands{"$_ $name"} = "ALTER $_ OPTIONS (ADD $name '$options{$name}')"
		  for $place eq 'server'
		  ? 'SERVER own'
		  : ('USER MAPPING FOR plain SERVER mapped', 'USER MAPPING FOR PUBLIC SERVER mapped');
	}
}
all_fail('plain', \%commands, qr/^42501: permission denied to set option /,
	'a plain role cannot set options of where and whose');

# Nor in a call.
%commands = map { ($_ => "SELECT sagemaker_invoke('echo', '', options => '{\"$_\": \"$options{$_}\"}')") }
  grep { !$free_option{server}{$_} || !/timeout|^max_/ } keys %options;
$commands{$_} = "SELECT sagemaker_invoke('echo', '', options => '{\"$_\": \"x\"}')"
  for map { s/.*\.//r } @bound, 'sagemaker_rt.default_server';
all_fail('plain', \%commands, qr/^22023: there is no option /, 'nor in the options of a call');

# Nor as the owner of a server that has them.
$node->safe_psql('postgres', "ALTER SERVER own OPTIONS (ADD endpoint_url 'http://127.0.0.1:$port')");
all_fail('plain', {
		set => "ALTER SERVER own OPTIONS (SET endpoint_url 'https://gateway.example')",
		add => "ALTER SERVER own OPTIONS (ADD region 'eu-west-1')" },
	qr/^42501: permission denied to set option "endpoint_url"/, 'nor change them on a server of its own');

#
# URLs in disguise, and tricks with them, given by a superuser.
#

my @tricks = (
	'https://2852039166', 'https://0xa9fea9fe', 'https://0xA9FEA9FE', 'https://025177524776',
	'https://0251.0376.0251.0376', 'https://0xa9.0xfe.0xa9.0xfe', 'https://169.254.43518',
	'https://169.16689662', 'https://169.254.169.254.', 'https://0169.254.169.254',
	'https://[::ffff:169.254.169.254]', 'https://[::ffff:a9fe:a9fe]',
	'https://[0:0:0:0:0:ffff:169.254.169.254]', 'https://[::169.254.169.254]',
	'https://[::a9fe:a9fe]', 'https://[fe80::1%25eth0]',
	'https://someone@169.254.169.254', 'https://gateway.example@169.254.169.254',
	'https://169.254.169.254@gateway.example', 'https://a:b@169.254.169.254',
	'https://gateway.example#@169.254.169.254', 'https://gateway.example?@169.254.169.254',
	'https://gateway.example\@169.254.169.254', 'https://gateway.example%40169.254.169.254',
	'https://%31%36%39.254.169.254', 'https://169%2e254%2e169%2e254',
	'https://169.254.169.254:80:443', "https://169.254.169.254\n.gateway.example",
	"https://\x{2460}\x{2465}\x{2468}.254.169.254", "https://169\x{3002}254\x{3002}169\x{3002}254",
	'http://0x7f.1', 'http://127.1', 'http://2130706433');
utf8::encode($_) for @tricks;
my @urls = qw(endpoint_url sts_endpoint_url s3_endpoint_url);

for my $option (@urls)
{
	all_fail($superuser,
		{ map { ($_ => "CREATE SERVER new FOREIGN DATA WRAPPER sagemaker OPTIONS ($option \$u\$$_\$u\$)") } @tricks },
		qr/^22023: option "$option" is not valid: /, "no server has such a URL as $option");
}

# The commands that call by way of a server with these options, which may have
# come past the validator, and with a role to assume.
sub calls_by_way_of
{
	my ($option, $url, $more) = @_;
	my %set = (endpoint_url => "http://127.0.0.1:$port", allow_http => 'true',
		%{ $more // {} }, $option => $url);
	my $array = join ', ', map { "\$u\$$_=$set{$_}\$u\$" } sort keys %set;
	my $call = $option =~ /^s3/ ? "sagemaker_async_result('s3://bucket/key', server => 'new')"
	  : "sagemaker_invoke('echo', '', server => 'new')";

	return <<SQL;
	DO \$d\$ BEGIN
		CREATE SERVER new FOREIGN DATA WRAPPER sagemaker;
		UPDATE pg_foreign_server SET srvoptions = ARRAY[$array] WHERE srvname = 'new';
		CREATE USER MAPPING FOR CURRENT_USER SERVER new OPTIONS (access_key_id '$key_id',
			secret_access_key '$secret' @{[ $option =~ /^sts/ ? ", role_arn 'arn:aws:iam::123456789012:role/r'" : '' ]});
		PERFORM $call;
	END \$d\$
SQL
}

my %refusal = (
	endpoint_url => qr/^22023: The server's option endpoint_url cannot be used: /,
	sts_endpoint_url => qr/^28000: no AWS credentials found .*the URL of STS cannot be used: /,
	s3_endpoint_url => qr/^22023: The URL of S3 cannot be used: /);
for my $option (@urls)
{
	all_fail($superuser, { map { ($_ => calls_by_way_of($option, $_)) } @tricks }, $refusal{$option},
		"nor is one used that came past the validator as $option");
}

#
# Names and addresses that are well-formed, but lead there.  A name with a bad
# address is not used, whatever its other ones are.
#

my @hosts = (
	qw(169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.1 0.0.0.0 [fe80::1]
	  [fd00:ec2::254] [fd00:ec2::23] [::] [64:ff9b::169.254.169.254]
	  [64:ff9b::a9fe:a9fe]),
	map { "$_.test" } qw(link-local container mapped compatible translated
	  ipv6-link-local ipv6-metadata unspecified ipv6-unspecified
	  first-bad all-bad));
my $forbidden = qr/the host's address is not permitted: it is a link-local or metadata address/;
my %failing = (
	endpoint_url => qr/^58030: .*$forbidden/,
	s3_endpoint_url => qr/^58030: .*$forbidden/,
	proxy => qr/^58030: .*$forbidden/,
	sts_endpoint_url => qr/^28000: no AWS credentials found .*role: no answer from .*(link-local or metadata|not permitted)/);
for my $option (sort keys %failing)
{
	for my $scheme ('http', 'https')
	{
		next if $option eq 'proxy' && $scheme eq 'https';
		my %by_host = map { ($_ => calls_by_way_of($option, "$scheme://$_:$port")) } @hosts;
		all_fail($superuser, \%by_host, $failing{$option},
			"no call goes to a metadata service over $scheme by way of $option");
	}
}

# A proxy is not asked for an address of that kind either.
for my $option (@urls)
{
	for my $scheme ('http', 'https')
	{
		my %by_host = map { ($_ => calls_by_way_of($option, "$scheme://$_:$port",
				{ proxy => "http://127.0.0.1:$port" })) } grep { !/[.]test$/ } @hosts;
		all_fail($superuser, \%by_host, $failing{$option},
			"nor does one go there over $scheme by way of $option and a proxy");
	}
}

# The same in the files that surround the server.
for my $host ('169.254.169.254', 'link-local.test')
{
	unlink $profiles;
	append_to_file($profiles, "[profile p]\naws_access_key_id = $key_id\n"
		  . "aws_secret_access_key = $secret\nendpoint_url = https://$host:$port\n");
	my ($outcome) = outcomes_of($superuser, q{DO $d$ BEGIN
		CREATE SERVER new FOREIGN DATA WRAPPER sagemaker OPTIONS (profile 'p');
		PERFORM sagemaker_invoke('echo', '', server => 'new');
	END $d$});
	like($outcome, $failing{endpoint_url}, "nor by way of a profile, to $host");
}

# Keys are not fetched from there either, but from AWS's own addresses.
unlink $profiles;
append_to_file($profiles, "[profile p]\nrole_arn = arn:aws:iam::123456789012:role/r\n"
	  . "credential_source = EcsContainer\n");
like((outcomes_of($superuser, q{DO $d$ BEGIN
		CREATE SERVER new FOREIGN DATA WRAPPER sagemaker OPTIONS (profile 'p');
		PERFORM sagemaker_invoke('echo', '', server => 'new');
	END $d$}))[0],
	qr{^28000: no AWS credentials found profile: no answer from https://link-local[.]test\S+ it is a link-local or metadata address},
	'a name in the URL of the container leads to no other service');

# Nor does such a file give a URL that is too long to be signed and sent.
unlink $profiles;
append_to_file($profiles, "[profile p]\naws_access_key_id = $key_id\n"
	  . "aws_secret_access_key = $secret\nendpoint_url = http://127.0.0.1:$port/" . 'p' x 2000 . "\n");
like((outcomes_of($superuser, q{DO $d$ BEGIN
		CREATE SERVER new FOREIGN DATA WRAPPER sagemaker OPTIONS (profile 'p');
		PERFORM sagemaker_invoke('echo', '', server => 'new');
	END $d$}))[0],
	qr/^22023: The URL in the database server's environment cannot be used: the URL is longer than 1900 bytes/,
	'a URL of a profile that is too long is refused');

# Plain http is for loopback only, and what a gateway translates is none.
my ($translated) = outcomes_of($superuser,
	calls_by_way_of('endpoint_url', "http://translated-loopback.test:$port", { allow_http => 'false' }));
like($translated, qr/^22023: plain http is for this machine's loopback only/,
	'a name is no loopback for plain http, whatever its address');

is($emulator->control('stats')->{requests}, 0, 'nothing was sent for any of these');
is(slurp_file($connections), '', 'no connection was tried to another machine');

#
# The same names where they are good: the refusals above are the addresses'.
#

is((outcomes_of($superuser, calls_by_way_of('endpoint_url', "http://here.test:$port")))[0],
	'00000', 'a name that leads to a permitted address is used');
like((outcomes_of($superuser, calls_by_way_of('sts_endpoint_url', "http://here.test:$port")))[0],
	qr/^28000: .*role: STS answered \d+/, 'also for STS');
is((outcomes_of($superuser, calls_by_way_of('s3_endpoint_url', "http://here.test:$port/s3")))[0],
	'00000', 'and for S3');
# A name that has a good address the first time and a bad one the second.  DNS is
# asked again when another identity comes, which shares nothing with the first.
$emulator->reset;
$node->safe_psql('postgres', qq{
	CREATE SERVER rebinding FOREIGN DATA WRAPPER sagemaker
		OPTIONS (endpoint_url 'http://rebinding.test:$port', allow_http 'true');
	CREATE USER MAPPING FOR plain SERVER rebinding
		OPTIONS (access_key_id '$key_id', secret_access_key '$secret');
	CREATE USER MAPPING FOR "$superuser" SERVER rebinding
		OPTIONS (access_key_id '$key_id', secret_access_key '$secret');
	GRANT USAGE ON FOREIGN SERVER rebinding TO plain});
my $session = Session->new($node);
my $call = "SELECT (sagemaker_invoke('echo', '', server => 'rebinding')).request_id";
$session->must($call);
$session->must($call);
is($emulator->request_count('echo'), 2, 'a name is used while its address is good');
my $result = $session->run("SET ROLE plain; $call");
is($result->{sqlstate}, '58030', 'and not any more once it is bad');
like($result->{errors}, $forbidden, 'which is said');
$session->must("RESET ROLE; $call");
is($emulator->request_count('echo'), 3, 'a connection that was made before goes on');
is(slurp_file($connections), '', 'no connection was tried to another machine');
$session->quit;

done_testing();
