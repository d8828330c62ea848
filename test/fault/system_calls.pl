# System calls fail, one at a time, as the kernel lets them: the statement gives
# what it always does, or one clean error in time; its session lives, its next
# statement is right, and no descriptor is left.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use Injector;
use Operations;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $limit = $ENV{FAULTS_LIMIT} // 10;
my $emulator = start_emulator('--no-models', '--tls');
my $s3 = "sagemaker_rt.s3_endpoint_url = '" . $emulator->fact('url') . "/s3'";
my $node = start_injected('main', $emulator, $s3);
install_operations($node, $emulator);
$emulator->script('closing', [], { after => 'close' });
my $call = q{SELECT sagemaker_body_text(sagemaker_invoke('closing', 'x'))};

# What each may say; other than 58030 where it is not about the network.
my @faults = (
	[ 'send', [qw(EINTR EAGAIN ECONNRESET EPIPE ENOBUFS ENOMEM short)] ],
	[ 'recv', [qw(EINTR EAGAIN ECONNRESET ETIMEDOUT ENOMEM short)] ],
	[ 'epoll_wait', ['EINTR'] ],
	[ 'epoll_ctl', [qw(ENOMEM ENOSPC)], '53200' ],
	[ 'poll', [qw(EINTR ENOMEM)] ],
	[ 'read', [qw(EINTR EAGAIN)] ],
	[ 'write', [qw(EINTR EAGAIN)] ],
	[ 'gettimeofday', [qw(ahead behind)], '28000' ]);

# Of every operation, on connections that are there.
for my $row (@faults)
{
	my ($kind, $names, $more) = @$row;
	for my $fault (@$names)
	{
		for (operations())
		{
			my ($name, $statement) = @$_;
			inject($node, "$name, $kind: $fault", kind => $kind, fault => $fault,
				statement => $statement, permitted => '58030|38S03' . ($more ? "|$more" : ''),
				limit => $limit, may_be_unused => 1);
		}
	}
}

# Of a connection that is made, by a session that has made others, and by a new one.
for my $row (
	[ 'socket', [qw(EMFILE ENFILE ENOBUFS ENOMEM EACCES EAFNOSUPPORT)] ],
	[ 'connect', [qw(EINTR EAGAIN ECONNREFUSED ENETUNREACH ETIMEDOUT EADDRNOTAVAIL)] ],
	[ 'getaddrinfo', [qw(ENOMEM EAGAIN EMFILE)] ],
	[ 'pthread_create', [qw(EAGAIN ENOMEM)], '53200' ],
	[ 'socketpair', [qw(EMFILE ENFILE ENOMEM)], '53200' ],
	[ 'setsockopt', [qw(EINVAL ENOMEM)] ],
	[ 'getsockopt', [qw(EINVAL ENOMEM)] ],
	[ 'getpeername', [qw(ENOTCONN ENOBUFS)] ],
	[ 'getsockname', [qw(ENOTCONN ENOBUFS)] ],
	# The server's own one is an internal error to it.
	[ 'epoll_create1', [qw(EMFILE ENFILE ENOMEM)], '53000|XX000' ],
	[ 'epoll_ctl', [qw(ENOMEM ENOSPC)], '53200|58000|XX000' ],
	[ 'fopen', [qw(EMFILE ENFILE EACCES ENOENT EINTR ENOMEM)] ],
	[ 'fread', [qw(EIO EINTR short)] ],
	[ 'fgets', [qw(EIO EINTR)] ])
{
	my ($kind, $names, $more) = @$row;
	for my $fault (@$names)
	{
		inject($node, "a call over a new connection, $kind: $fault" . ($_ ? ', in a new session' : ''),
			kind => $kind, fault => $fault, statement => $call, cold => $_,
			permitted => '58030|38S03' . ($more ? "|$more" : ''), limit => $limit,
			may_be_unused => 1)
		  for 0, 1;
	}
}

# Of what is read around the server: keys in a file.
my $folder = PostgreSQL::Test::Utils::tempdir_short;
append_to_file("$folder/credentials", "[default]\naws_access_key_id = "
	  . $emulator->fact('access_key_id') . "\naws_secret_access_key = "
	  . $emulator->fact('secret_access_key') . "\n");
local $ENV{AWS_SHARED_CREDENTIALS_FILE} = "$folder/credentials";
my $keyless = start_injected('keyless', $emulator, $s3,
	map { "sagemaker_rt.$_ = ''" } qw(access_key_id secret_access_key));
for my $row (
	[ 'fopen', [qw(EMFILE ENFILE EACCES ENOENT EINTR ENOMEM EIO)] ],
	[ 'fread', [qw(EIO EINTR short)] ],
	[ 'fstat', [qw(EIO ENOMEM)] ])
{
	my ($kind, $names) = @$row;
	inject($keyless, "keys in a file, $kind: $_", kind => $kind, fault => $_,
		statement => $call, cold => 1, permitted => '28000|58030|53200', limit => $limit)
	  for @$names;
}

unlike(slurp_file($keyless->logfile), qr/terminated by signal|PANIC/,
	'no backend crashed that looks for keys');
tell($node, 'system calls');
done_testing();
