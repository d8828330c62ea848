# A call goes out whole and signed, and its answer comes back whole.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator);

# Asks the endpoint that describes the request it got.
sub mirrored
{
	my ($arguments) = @_;
	return decode_json(
		$node->safe_psql('postgres',
			"SELECT sagemaker_body_text(sagemaker_invoke($arguments))"));
}

sub header
{
	my ($request, $name) = @_;
	my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
	  @{ $request->{headers} };
	return @values > 1 ? 'more than one' : $values[0];
}

my %members = (
	content_type => [ 'Content-Type', 'text/csv; label_size=0' ],
	accept => [ 'Accept', 'application/json' ],
	custom_attributes =>
	  [ 'X-Amzn-SageMaker-Custom-Attributes', 'a=b  c;d="e%41"' ],
	target_model => [ 'X-Amzn-SageMaker-Target-Model', 'm/x 1.tar.gz' ],
	target_variant => [ 'X-Amzn-SageMaker-Target-Variant', 'AllTraffic' ],
	target_container_hostname =>
	  [ 'X-Amzn-SageMaker-Target-Container-Hostname', 'container-2' ],
	inference_id => [ 'X-Amzn-SageMaker-Inference-Id', 'row 17' ],
	enable_explanations =>
	  [ 'X-Amzn-SageMaker-Enable-Explanations', '`true`' ],
	inference_component_name =>
	  [ 'X-Amzn-SageMaker-Inference-Component', 'ic-1' ],
	session_id => [ 'X-Amzn-SageMaker-Session-Id', 'NEW_SESSION' ],
	prefix_aware_id => [ 'X-Amzn-SageMaker-Prefix-Aware-Id', 'user-7' ]);

for my $member (sort keys %members)
{
	my ($name, $value) = @{ $members{$member} };
	my $request = mirrored("'mirror', '1', $member => '$value'");
	is(header($request, $name), $value, "$member travels as $name");
	my ($signed) = header($request, 'Authorization') =~ /SignedHeaders=([^,]+)/;
	ok( (grep { $_ eq lc $name } split /;/, $signed), "$name is signed");
}

done_testing();
