# Whom a call talks to: certificates, addresses, proxies.
#
# lying_resolver.c is preloaded into the server, since which address a name has
# must not depend on the machine that the test runs on.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use IO::Socket::INET;
use IPC::Run ();
use Outcomes;
use POSIX ();
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir);
my $library = "$folder/lying_resolver.so";
system($ENV{CC} // 'cc', '-shared', '-fPIC', '-O', '-Wall', '-Werror',
	'-o', $library, "$FindBin::RealBin/lying_resolver.c", '-ldl') == 0
  or die 'lying_resolver.c does not compile';

# Forked before the emulators, so that it does not inherit their pipes, by which
# they know when this test is over.
my ($proxy_port, $proxy_pid) = start_proxy("$folder/proxy.log");

END
{
	local $?;
	kill 'TERM', -$proxy_pid if $proxy_pid;
}

my $tls = start_emulator('--no-models', '--tls');
my $http = start_emulator('--no-models');
my $port = $tls->fact('port');
my $http_port = $http->fact('port');
my $recorder = $http->fact('recorder_url');

# What the environment says of proxies, and ~/.netrc of passwords, is the
# postmaster's and not meant for us.  The proxy would record what it gets.
append_to_file("$folder/.netrc",
	"machine 127.0.0.1 login someone password netrc-password\n");
chmod 0600, "$folder/.netrc" or die;
my $node;
{
	local %ENV = (%ENV, LD_PRELOAD => $library, HOME => $folder, NO_PROXY => '',
		no_proxy => '', map { ($_ => $recorder) }
		  qw(http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY));
	$node = start_node('main', $tls, 'sagemaker_rt.timeout = 10s',
		'sagemaker_rt.connect_timeout = 5s');
}
install_outcomes($node);

my $good = call('echo', q{'\x676f6f64'::bytea});

# A call with other settings than the cluster's.
sub with_settings
{
	my ($call, @settings) = @_;
	return outcome($node, $call, settings => \@settings);
}

#
# Certificates.
#

is_value(outcome($node, $good), 'good', 'a certificate that ca_file vouches for');
is_value(with_settings($good, "endpoint_url = 'https://localhost:$port'"), 'good',
	'for a name as well as for an address');

my $no_tls = qr/: no secure connection: /;
my $other_ca = start_emulator('--no-models', '--tls');
for my $row (
	[ 'an authority that is not trusted', $tls, '',
		qr/SSL certificate (problem|OpenSSL verify result)/ ],
	[ 'an authority of the same name', $tls, $other_ca->fact('ca_file'),
		qr/SSL certificate (problem|OpenSSL verify result)|(SSL|asn1 encoding) routines/ ],
	[ 'an expired certificate', start_emulator('--no-models', '--tls', '--cert',
			'expired'), undef, qr/certificate has expired/ ],
	[ "another host's certificate", start_emulator('--no-models', '--tls', '--cert',
			'wrong-host'), undef, qr/SSL: no alternative certificate subject name matches/ ],
	[ 'a ca_file that is not there', $tls, "$folder/none.pem",
		qr/error (setting certificate|adding trust anchors)/ ],
	[ 'a ca_file that has no certificate', $tls, $library,
		qr/error (setting certificate|adding trust anchors)/ ])
{
	my ($what, $server, $ca_file, $message) = @$row;
	$ca_file //= $server->fact('ca_file');
	$server->reset;
	is_failure(
		with_settings($good, "endpoint_url = '" . $server->fact('url') . "'",
			"ca_file = '$ca_file'"),
		'58030', [ $no_tls, $message ], qr/1 attempt, /,
		"$what is an error, in libcurl's words and not tried again");
	is($server->control('stats')->{requests}, 0, 'and nothing was sent');
}

is_failure(with_settings($good, "endpoint_url = 'https://127.0.0.1:$http_port'"),
	'58030', $no_tls, qr/while handshaking/, 'https to a server without TLS');
is_failure(with_settings($good, "endpoint_url = 'http://127.0.0.1:$port'"),
	'22023', qr/plain HTTP was sent to an HTTPS port/, qr/./,
	'http to a server with TLS');
my $silent = $http->control('listener', { kind => 'silent' })->{port};
is_failure(
	with_settings($good, "endpoint_url = 'https://127.0.0.1:$silent'",
		"connect_timeout = '300ms'", 'max_attempts = 1'),
	'58030', qr/could not connect in time/, qr/while handshaking/,
	'a handshake that stalls ends by connect_timeout');

my $old = start_old_server(dirname($tls->fact('ca_file')));
SKIP:
{
	skip 'openssl offers no TLS 1.1', 1 unless $old;
	is_failure(with_settings($good, "endpoint_url = 'https://127.0.0.1:$old->{port}'"),
		'58030', [ $no_tls, qr/protocol/ ], qr/while handshaking/, 'TLS 1.1 is refused');
}

# openssl's own server, speaking TLS 1.1 only, as { run, port }.
sub start_old_server
{
	my ($certificates) = @_;
	my %server = (out => '');
	$server{run} = IPC::Run::start(
		[ 'openssl', 's_server', '-accept', '127.0.0.1:0', '-tls1_1', '-cipher',
			'ALL:@SECLEVEL=0', '-cert', "$certificates/server.pem",
			'-key', "$certificates/server.key" ],
		'<', \undef, '>', \$server{out}, '2>&1', IPC::Run::timeout(30));
	$server{run}->pump
	  until $server{out} =~ /^ACCEPT .*:(\d+)$/m || !$server{run}->pumpable;
	($server{port}) = $server{out} =~ /^ACCEPT .*:(\d+)$/m;
	return $server{port} ? \%server : undef;
}

#
# URLs that no setting may have.
#

my @disguises = (
	'http://2130706433', 'http://0x7f000001', 'http://0x7f.1', 'http://017700000001',
	'http://0177.0.0.1', 'http://127.1', 'http://127.0.1', 'http://127.0.0.01',
	'https://2852039166', 'https://0xa9fea9fe', 'https://0251.0376.0251.0376',
	'https://0xa9.0xfe.0xa9.0xfe', 'https://169.254.43518', 'https://169.16689662',
	'https://169.254.169.254.', 'https://169.254.169.256',
	'https://[::ffff:169.254.169.254]', 'https://[::ffff:a9fe:a9fe]',
	'https://[::169.254.169.254]', 'https://[0:0:0:0:0:ffff:169.254.169.254]',
	'https://[fe80::1%25eth0]', 'https://[fe80::1%eth0]', 'https://[::1', 'https://::1');
my @tricks = (
	'https://someone@127.0.0.1', 'https://a:b@127.0.0.1', 'https://127.0.0.1@elsewhere.test',
	'https://elsewhere.test#@127.0.0.1', 'https://elsewhere.test?@127.0.0.1',
	'https://127.0.0.1\@elsewhere.test', 'https://127.0.0.1%40elsewhere.test',
	'https://127.0.0.1%2f@elsewhere.test', 'https://%31%36%39.254.169.254',
	"https://\x{ff11}\x{ff12}\x{ff17}.0.0.1", "https://127\x{3002}0\x{3002}0\x{3002}1",
	'https://127.0.0.1 elsewhere.test', "https://127.0.0.1\n.elsewhere.test",
	"https://127.0.0.1\tx", 'https://', 'https://:443', 'https:///path', 'https:/127.0.0.1',
	'//127.0.0.1', '127.0.0.1', 'https://127.0.0.1:', 'https://127.0.0.1:0',
	'https://127.0.0.1:65536', 'https://127.0.0.1:80:80', 'https://127.0.0.1:8o',
	'https://host/../x', 'https://host/%zz', 'https://host//x', 'https://host?q=1',
	'https://host#f', 'https://-host', 'https://ho..st', 'https://ho st',
	'ftp://127.0.0.1', 'file:///etc/passwd', 'gopher://127.0.0.1', 'unix:///tmp/s',
	'HTTPS//127.0.0.1', ' https://127.0.0.1', 'https://127.0.0.1 ');
for my $setting (qw(endpoint_url proxy))
{
	my @set = outcomes($node,
		[ map { "set_config('sagemaker_rt.$setting', \$url\$$_\$url\$, true)" }
			  map { my $url = $_; utf8::encode($url); $url } @disguises, @tricks,
			'https://127.0.0.1:8443/path', '' ], loaded => 1);
	my @good_ones = splice @set, -2;
	my @accepted = map { $_->{value} } grep { $_->{sqlstate} ne '22023' } @set;
	is(join(' ', map { $_->{sqlstate} } @good_ones), '00000 00000',
		"$setting: a URL, or none");
	is("@accepted", '', "$setting: no address in disguise, no trick with a URL");
}

#
# Hosts that no URL may lead to.
#

my $forbidden = qr/: the host's address is not permitted: it is a link-local or metadata address$/;
for my $host (
	qw(169.254.169.254 169.254.170.2 169.254.0.1 0.0.0.0 [fe80::1] [fd00:ec2::254] [::]),
	qw(link-local container mapped compatible translated ipv6-link-local ipv6-metadata unspecified
	  ipv6-unspecified))
{
	my $name = $host =~ /^[\d\[]/ ? $host : "$host.test";
	for my $scheme ("https", "http")
	{
		is_failure(
			with_settings($good, "endpoint_url = '$scheme://$name:$http_port'",
				'allow_http = on'),
			'58030', $forbidden, qr/1 attempt, /, "$scheme://$name is not contacted");
	}
}
is_failure(
	with_settings($good, "proxy = 'http://link-local.test:$http_port'"),
	'58030', $forbidden, qr/./, 'nor is such a proxy');

$http->reset;
for my $host (qw(here.test 10.0.0.1 elsewhere.test 127.0.0.1.test [::2]))
{
	is_failure(with_settings($good, "endpoint_url = 'http://$host:$http_port'"),
		'22023', qr/^plain http is for this machine's loopback only$/,
		qr/http:\/\/\Q$host\E:$http_port/,
		"plain http to $host is refused, whatever its address");
}
is($http->control('stats')->{requests}, 0, 'and nothing was sent');
is_value(
	with_settings($good, "endpoint_url = 'http://here.test:$http_port'",
		'allow_http = on'),
	'good', 'unless allow_http is on');
for my $host (qw(127.0.0.1 localhost))
{
	is_value(with_settings($good, "endpoint_url = 'http://$host:$http_port'"),
		'good', "plain http to $host is served");
}

#
# Proxies and passwords of the environment.
#

is($http->control('stats')->{recorded}, 0,
	'proxies of the environment have no effect, over http and https');
my ($request) = $http->requests('echo');
unlike(join("\n", map { "@$_" } @{ $request->{headers} }),
	qr/Basic|netrc|someone/i, 'nor has ~/.netrc');

#
# A proxy that is set.
#

# The heads of the requests that the proxy got, and forgets.
sub proxied
{
	my $log = slurp_file("$folder/proxy.log");
	truncate "$folder/proxy.log", 0 or die;
	return split /\0/, $log;
}

my @through = ("proxy = 'http://127.0.0.1:$proxy_port'");
is_value(with_settings($good, @through), 'good', 'https goes through a proxy');
my @heads = proxied();
is(scalar @heads, 1, 'in one tunnel');
like($heads[0], qr{^CONNECT 127\.0\.0\.1:$port HTTP/1\.1\r\n},
	'that is asked for by CONNECT');
unlike($heads[0], qr/Authorization|X-Amz|amz-sdk|AKID|echo/i,
	'and the proxy sees nothing of the request');

my @plain = (@through, "endpoint_url = 'http://127.0.0.1:$http_port'");
is_value(with_settings($good, @plain), 'good', 'http goes through a proxy');
@heads = proxied();
like($heads[0], qr{^POST http://127\.0\.0\.1:$http_port/endpoints/echo/invocations },
	'as a request for the whole URL');

is_failure(with_settings($good, @through, "ca_file = ''"), '58030', $no_tls, qr/./,
	'a certificate is verified through a proxy too');
is_failure(with_settings($good, @through, "endpoint_url = 'https://refused.test'",
		'max_attempts = 1'), '58030', qr/403/, qr/./,
	'a proxy that refuses is an error with its status');
my $closed = $http->control('listener', { kind => 'closed' })->{port};
is_failure(with_settings($good, "proxy = 'http://127.0.0.1:$closed'",
		'max_attempts = 1'), '58030', qr/could not connect/, qr/./,
	'a proxy that is not there is an error, not gone round');
proxied();
is(join(' ', map { $_->{value} } outcomes($node,
		[ $good, "set_config('sagemaker_rt.proxy', '', false)", $good ],
		settings => \@through)), 'good  good', 'a proxy can be unset');
is(scalar(proxied()), 1, 'and is not used then, nor is a connection through it');

# Tunnels, or passes requests on, and keeps their heads.
sub start_proxy
{
	my ($log) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64)
	  or die "listen: $!";
	append_to_file($log, '');
	my $pid = fork() // die "fork: $!";
	return ($listener->sockport, $pid) if $pid;

	# PostgreSQL's modules have a handler, which would run this test's END blocks.
	setpgrp;
	$SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	while (my $client = $listener->accept)
	{
		next if fork();
		serve_proxy($client, $log);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

sub serve_proxy
{
	my ($client, $log) = @_;
	my $head = '';
	until ($head =~ /\r\n\r\n/)
	{
		sysread($client, $head, 65536, length $head) or return;
	}
	append_to_file($log, ($head =~ s/(?<=\r\n\r\n).*//sr) . "\0");

	my ($host, $port_wanted) = $head =~ m{^\w+ (?:http://)?([^:/ ]+):(\d+)};
	if ($host eq 'refused.test')
	{
		syswrite($client, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	my $server = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port_wanted)
	  or return;
	if ($head =~ /^CONNECT/)
	{
		syswrite($client, "HTTP/1.1 200 Connection established\r\n\r\n");
	}
	else
	{
		syswrite($server, $head =~ s{ http://[^/]+}{ }r);
	}
	my $both = IO::Select->new($client, $server);
	while (my @ready = $both->can_read)
	{
		for my $from (@ready)
		{
			sysread($from, my $bytes, 65536) or return;
			syswrite($from == $client ? $server : $client, $bytes);
		}
	}
}

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/,
	'no backend crashed');
$old->{run}->kill_kill if $old;

done_testing();
