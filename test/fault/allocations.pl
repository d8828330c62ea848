# Each allocation fails once: the server's, libcurl's, OpenSSL's and ours.  The
# statement then gives what it always does, or one clean error; its session lives,
# and its next statement is right.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin, "$FindBin::RealBin/../t";
use Injector;
use Operations;
use SageMakerTest;
use Test::More;

my $limit = $ENV{FAULTS_LIMIT};
my $emulator = start_emulator('--no-models', '--tls');
my $node = start_injected('main', $emulator,
	"sagemaker_rt.s3_endpoint_url = '" . $emulator->fact('url') . "/s3'");
install_operations($node, $emulator);

# What OpenSSL cannot do for want of memory, libcurl takes for the connection's
# fault; and before 8.6 it tells an overlong header by the same code.
my $permitted = '53200|58030|38S03|54000';

for my $kind ('palloc', 'malloc')
{
	for (operations())
	{
		my ($name, $statement) = @$_;
		inject($node, "$name, $kind", kind => $kind, fault => 'ENOMEM',
			statement => $statement, permitted => $kind eq 'palloc' ? '53200' : $permitted,
			limit => $limit);
	}
}

# A connection a call.
$emulator->script('closing', [], { after => 'close' });
inject($node, 'a call over a new connection, malloc', kind => 'malloc', fault => 'ENOMEM',
	statement => q{SELECT sagemaker_body_text(sagemaker_invoke('closing', 'x'))},
	permitted => $permitted, limit => $limit);

# The first call of a session.  What OpenSSL cannot load then, it does not load
# later: the error says so.
inject($node, "a session's first call, $_", kind => $_, fault => 'ENOMEM', cold => 1,
	statement => q{SELECT sagemaker_body_text(sagemaker_invoke('echo', 'x'))},
	permitted => $permitted, may_stay => '53200', limit => $limit // 300)
  for 'palloc', 'malloc';

tell($node, 'allocations');
done_testing();
