# What stands around a database server that looks for keys: its environment, its
# home folder, and AWS's metadata services, which are led to an emulator of ours
# by a library that is preloaded (aws_hosts.c).
package Surroundings;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use JSON::PP qw(decode_json);
use Outcomes;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

our @EXPORT = qw(start_surrounded surround home write_file set_clock settings asked
  signer signs finds_none stand_in count_of);

my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $library = "$folder/aws_hosts.so";
my $home = "$folder/home";
my (%preload, $emulator, $surrounding);

# A cluster without any key, region or URL of its own.  Names in options: tls,
# an emulator that stands for AWS's https hosts.
sub start_surrounded
{
	my ($name, $http, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	system($ENV{CC} // 'cc', '-shared', '-fPIC', '-O', '-Wall', '-Werror',
		'-o', $library, dirname(__FILE__) . '/aws_hosts.c', '-ldl') == 0
	  or die 'aws_hosts.c does not compile';
	$emulator = $http;
	%preload = (LD_PRELOAD => $library, AWS_HOSTS_HTTP => $http->fact('port'),
		AWS_HOSTS_CLOCK => "$folder/clock");
	$preload{AWS_HOSTS_HTTPS} = $options{tls}->fact('port') if $options{tls};
	$node->init;
	$node->append_conf('postgresql.conf',
		"sagemaker_rt.ca_file = '" . $options{tls}->fact('ca_file') . "'\n")
	  if $options{tls};
	make_path($home);
	surround($node);
	$node->safe_psql('postgres', 'CREATE EXTENSION sagemaker_rt');
	install_outcomes($node);
	return $node;
}

# The server runs with these variables, and none else of AWS's, and with these
# files in its home folder (names relative to it).
sub surround
{
	my ($node, $variables, $files) = @_;
	my %all = (%preload, HOME => $home, %{ $variables // {} });
	my $now = join "\n", map { "$_=$all{$_}" } sort keys %all;

	remove_tree($home, { keep_root => 1 });
	write_file($_, $files->{$_}) for keys %{ $files // {} };
	return if defined $surrounding && $surrounding eq $now;
	local %ENV = (map({ /^AWS_/ ? () : ($_ => $ENV{$_}) } keys %ENV), %all);
	defined $surrounding ? $node->restart : $node->start;
	$surrounding = $now;
	return;
}

sub home { return $home }

# All at once, as whoever rotates a file should do it.
sub write_file
{
	my ($name, $content) = @_;
	my $path = $name =~ m{^/} ? $name : "$home/$name";

	make_path(dirname($path));
	open(my $file, '>', "$path.new") or die "$path: $!";
	print $file $content;
	close $file;
	rename "$path.new", $path or die "$path: $!";
	return $path;
}

# The server's clocks are ahead by so many seconds from now on.  Sessions that are
# open must not see them go back.
sub set_clock
{
	my ($ahead) = @_;
	write_file("$folder/clock", $ahead);
	return;
}

# What a superuser sets to reach the emulator.
sub settings
{
	return [ "endpoint_url = '" . $emulator->fact('url') . "'", @_ ];
}

# One call in a session of its own.  Options as outcome() has them; arguments
# for the call.
sub asked
{
	my ($node, %options) = @_;
	my $arguments = delete $options{arguments} // "''::bytea";
	$options{settings} //= settings();
	return outcome($node, call('mirror', $arguments), %options);
}

# The id of the key that signed, as the endpoint saw it; else what went wrong.
sub signer
{
	my ($outcome) = @_;
	return "$outcome->{sqlstate}: $outcome->{message}: " . ($outcome->{detail} // '')
	  unless $outcome->{sqlstate} eq '00000';
	my %headers = map { lc $_->[0] => $_->[1] }
	  @{ decode_json($outcome->{value})->{headers} };
	return $headers{authorization} =~ m{Credential=([^/]+)/} ? $1 : 'nobody';
}

# One test: that key signs.  A pattern stands for keys that were handed out.
sub signs
{
	my ($node, $key, $name, %options) = @_;
	my $signer = signer(asked($node, %options));

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ref $key ? like($signer, $key, $name) : is($signer, $key, $name);
}

# One test: there are no keys, and the reasons given fit.
sub finds_none
{
	my ($node, $detail, $name, %options) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is_failure(asked($node, %options), '28000',
		qr/^no AWS credentials found$/, $detail, $name);
}

# Sets a stand-in of the emulator ("sts", "imds", "container"), or reads it.
sub stand_in
{
	my ($name, %changes) = @_;
	return $emulator->control("standin?name=$name") unless %changes;
	return $emulator->control('standin', { name => $name, %changes });
}

# How many requests of a kind a stand-in got.
sub count_of
{
	my ($name, $kind) = @_;
	return stand_in($name)->{counts}{$kind} // 0;
}

1;
