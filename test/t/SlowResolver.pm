# A cluster whose name service can be made to hang: slow_resolver.c, compiled,
# preloaded, and its switchboard.
package SlowResolver;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use SageMakerTest;

our @EXPORT = qw(start_slow_node hold_lookups release_lookups release_one_lookup
  lookups);

my $source = dirname(__FILE__) . '/slow_resolver.c';
my $switchboard;

# Arguments as those of start_node().
sub start_slow_node
{
	my @arguments = @_;

	$switchboard = PostgreSQL::Test::Utils::tempdir_short();
	my $library = "$switchboard/slow_resolver.so";
	system($ENV{CC} // 'cc', '-shared', '-fPIC', '-O', '-Wall', '-Werror',
		'-o', $library, $source, '-ldl') == 0
	  or die "$source does not compile";

	local $ENV{SLOW_RESOLVER} = $switchboard;
	local $ENV{LD_PRELOAD} = $library;
	return start_node(@arguments);
}

sub hold_lookups
{
	unlink "$switchboard/one";
	return append_to_file("$switchboard/hold", '');
}

sub release_lookups { return unlink "$switchboard/hold" }

sub release_one_lookup { return append_to_file("$switchboard/one", '') }

# What the threads that looked up slow.test have recorded: hashes of pid, tid and
# takes, the signals that the thread would take.
sub lookups
{
	return () unless -e "$switchboard/lookups";
	return map {
		my ($pid, $tid, $takes) = split / /, $_, 3;
		{ pid => $pid, tid => $tid, takes => $takes }
	} split /\n/, slurp_file("$switchboard/lookups");
}

1;
