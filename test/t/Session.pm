# A psql session whose statement runs while the test looks at its server
# process, and what can be seen of that process from outside (Linux).
package Session;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(wait_until process_exists anonymous_kb descriptors threads
  tcp_sockets);

my $patience = $PostgreSQL::Test::Utils::timeout_default;

sub new
{
	my ($class, $node, @statements) = @_;
	my $self = bless { stdin => '', stdout => '', stderr => '', count => 0 },
	  $class;

	$self->{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$self->{stdin}, '>', \$self->{stdout}, '2>', \$self->{stderr},
		IPC::Run::timeout($patience * 4));
	$self->run('\set VERBOSITY verbose');
	$self->{pid} = $self->run('SELECT pg_backend_pid()')->{output};
	$self->must($_) for @statements;
	return $self;
}

# The server process.
sub pid { return $_[0]{pid} }

# Sends a statement, or several, and does not wait for their end.
sub start
{
	my ($self, $sql) = @_;
	my $number = ++$self->{count};

	$sql .= ';' unless $sql =~ /^\\/ || $sql =~ /;\s*$/;
	$self->{stdin} .=
	  "\\echo 'begin $number'\n$sql\n\\echo 'end $number'\n\\warn 'end $number'\n";
	$self->{mark} = qr/^end $number\n/m;
	# pump() sends what it has, but returns only when something comes back.
	$self->{run}->pump until $self->{stdout} =~ s/^begin $number\n//m;
	$self->{begun} = time;
	return;
}

sub _marked
{
	my ($self) = @_;
	return $self->{stdout} =~ $self->{mark} && $self->{stderr} =~ $self->{mark};
}

# Whether what was started has ended.
sub is_over
{
	my ($self) = @_;
	$self->{run}->pump_nb;
	return $self->_marked;
}

# Waits for the end of what was started: { output, errors, sqlstate (of the
# first error), message, seconds, at }, the last two being how long it took and
# when it ended.
sub finish
{
	my ($self) = @_;

	$self->{run}->pump until $self->_marked || !$self->{run}->pumpable;
	my %result = (at => time, seconds => time - $self->{begun});
	for ([ 'output', 'stdout' ], [ 'errors', 'stderr' ])
	{
		my ($name, $stream) = @$_;
		($result{$name} = $self->{$stream}) =~ s/$self->{mark}//;
		$result{$name} =~ s/\n\z//;
		$self->{$stream} = '';
	}
	($result{sqlstate}, $result{message}) =
	  $result{errors} =~ /(?:ERROR|FATAL):  (\w{5}): (.*)$/m;
	return \%result;
}

sub run
{
	my ($self, $sql) = @_;
	$self->start($sql);
	return $self->finish;
}

# Its output; the test ends here if it fails.
sub must
{
	my ($self, $sql) = @_;
	my $result = $self->run($sql);
	die "$sql: $result->{errors}" if $result->{errors} =~ /ERROR|FATAL/;
	return $result->{output};
}

sub quit
{
	my ($self) = @_;
	if ($self->{run}->pumpable)
	{
		$self->{stdin} .= "\\q\n";
		$self->{run}->finish;
	}
	return;
}

# The client is gone, without a word to the server.
sub kill_client
{
	my ($self) = @_;
	$self->{run}->signal('KILL');
	eval { $self->{run}->finish };
	return;
}

# True once the condition holds, false if it does not come.
sub wait_until
{
	my ($condition) = @_;
	my $deadline = time + $patience;

	until ($condition->())
	{
		return 0 if time > $deadline;
		sleep 0.005;
	}
	return 1;
}

sub process_exists { return -d "/proc/$_[0]" }

# The process's own memory, in kB.
sub anonymous_kb
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

sub _entries
{
	opendir(my $folder, $_[0]) or return ();
	return grep { !/^\./ } readdir $folder;
}

# Open descriptors, a hash from number to what it is.
sub descriptors
{
	my ($pid) = @_;
	return map { $_ => readlink("/proc/$pid/fd/$_") // '' }
	  _entries("/proc/$pid/fd");
}

sub threads { return scalar _entries("/proc/$_[0]/task") }

# Its TCP sockets over IPv4 to a port: a list of { state, unsent, unread at the
# other end }, the other end being on this machine.  States are the kernel's
# words.
sub tcp_sockets
{
	my ($pid, $port) = @_;
	my @states = qw(? ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2
	  TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING);
	my %descriptors = descriptors($pid);
	my %mine =
	  map { /^socket:\[(\d+)\]/ ? ($1 => 1) : () } values %descriptors;
	my %unread;
	my @sockets;

	for (split /\n/, slurp_file('/proc/net/tcp'))
	{
		my ($local, $remote, $state, $unsent, $unread, $inode) =
		  /^\s*\d+: \w+:(\w+) \w+:(\w+) (\w+) (\w+):(\w+) \S+ \S+ +\d+ +\d+ (\d+)/
		  or next;
		$unread{hex($local) . ' ' . hex($remote)} = hex $unread;
		push @sockets, { state => $states[ hex $state ], unsent => hex $unsent,
			ends => hex($remote) . ' ' . hex($local) }
		  if $mine{$inode} && hex($remote) == $port;
	}
	$_->{unread} = $unread{ $_->{ends} } // 0 for @sockets;
	return @sockets;
}

1;
