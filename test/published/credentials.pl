# The credential scenarios that AWS has published with its SDK for Rust
# (smithy-lang/smithy-rs, aws/rust-runtime/aws-config/test-data), replayed: which
# key signs, or that there is none, what is asked of whom, and in which order.
#
# They are not in this repository.  CREDENTIAL_VECTORS names a folder with
# default-credential-provider-chain, profile-provider and assume-role-tests.json:
#
#     CREDENTIAL_VECTORS=... test/test published/credentials.pl
#
# Each case has its own environment (so the server starts anew), its files, and
# its recorded answers, which replay.py plays.  What a scenario has below / is
# put into a folder of ours, and paths are written accordingly.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t";
use File::Copy qw(copy);
use File::Find qw(find);
use File::Path qw(make_path remove_tree);
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Surroundings;
use Test::More;

my $vectors = $ENV{CREDENTIAL_VECTORS};
plan skip_all => 'CREDENTIAL_VECTORS names no folder' unless defined $vectors;
-d "$vectors/profile-provider" or die "$vectors has no profile-provider";

my $emulator = start_emulator('--no-models');
my $folder = PostgreSQL::Test::Utils::tempdir_short();
my $fs = "$folder/fs";
my $replay = start_replay();
my $node = start_surrounded('main', $replay, 
	tls => bless { port => $replay->fact('tls_port'), ca_file => $replay->fact('ca_file') },
	'Replay');
my %count = (keys => 0, none => 0, 'not supported' => 0);

# replay.py in a process of its own; it ends with this one.
sub start_replay
{
	my $ready = "$folder/replay";

	pipe(my $read_end, my $write_end) or die "pipe: $!";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		close $write_end;
		open(STDIN, '<&', $read_end) or die;
		exec($ENV{PYTHON} || '/usr/bin/python3', "$FindBin::RealBin/replay.py",
			'--ready-file', $ready)
		  or die "exec: $!";
	}
	close $read_end;
	my $deadline = time + 30;
	until (-s $ready)
	{
		die 'replay.py did not start' if time > $deadline;
		select(undef, undef, undef, 0.02);
	}
	return bless { pid => $pid, end => $write_end,
		%{ decode_json(slurp_file($ready)) } }, 'Replay';
}

sub Replay::fact { return $_[0]{ $_[1] } }

# Gives replay.py a case, or reads how it went.
sub replay_case
{
	my ($case) = @_;
	my $url = $replay->fact('url') . '/control/case';
	my $answer =
	  $case
	  ? HTTP::Tiny->new->post($url, { content => encode_json($case) })
	  : HTTP::Tiny->new->get($url);
	die "$url: $answer->{content}" unless $answer->{success};
	return decode_json($answer->{content});
}

# The files of a scenario below ours; a list of their absolute names in it.
sub copy_files
{
	my ($from) = @_;
	my @names;

	remove_tree($fs);
	make_path($fs);
	return () unless -d $from;
	find({ no_chdir => 1, wanted => sub {
			my $name = substr $File::Find::name, length $from;
			return make_path("$fs$name") if -d $File::Find::name;
			push @names, $name;
	} }, $from);
	for my $name (@names)
	{
		my $text = slurp_file("$from$name");
		$text =~ s/(=\s*)\Q$_\E\s*$/$1$fs$_/mg for @names;
		append_to_file("$fs$name", $text);
	}
	return @names;
}

sub replayed
{
	my ($family, $name) = @_;
	my $case = "$vectors/$family/$name";
	my $test = decode_json(slurp_file("$case/test-case.json"));
	my $variables = decode_json(slurp_file("$case/env.json"));
	my $ok = $test->{result}{Ok};
	my @names = copy_files("$case/fs");
	my $config = -e "$fs/home/.aws/config" ? slurp_file("$fs/home/.aws/config") : '';
	my $profile = $variables->{AWS_PROFILE} // 'default';
	my @settings = ("endpoint_url = '" . $replay->fact('url') . "'");

	for my $value (values %$variables)
	{
		$value = "$fs$value" if $value eq '/home' || grep { $_ eq $value } @names;
	}
	# What the SDK is given beside the files: the profile's provider itself, a
	# region where the case has none, and leave to speak plain http.
	push @settings, "profile = 'default'" if $family eq 'profile-provider';
	push @settings, "region = 'us-east-1'"
	  unless $variables->{AWS_REGION} || $config =~ /^\[(?:profile )?\Q$profile\E\]\n[^\[]*^region/m;
	push @settings, 'allow_http = on';

	surround($node, { HOME => '', %$variables });
	replay_case({ traffic => decode_json(slurp_file("$case/http-traffic.json")),
			key => $ok ? { map { $_ => $ok->{$_} }
				  qw(access_key_id secret_access_key session_token) } : undef });
	my $outcome = outcome($node, call('any'), settings => \@settings);
	my $went = replay_case();

	if ($config =~ /^credential_process/m)
	{
		$count{'not supported'}++;
		return is_failure($outcome, '28000', qr/^no AWS credentials found$/,
			qr/credential_process, which is not supported/,
			"$family/$name: refused, as no program is run");
	}
	is_deeply([ $went->{left}, $went->{unexpected} ], [ [], [] ],
		"$family/$name: asks what was recorded, and no more");
	if ($ok)
	{
		$count{keys}++;
		return is_deeply([ $outcome->{value}, $went->{calls} ],
			[ $ok->{access_key_id}, [ $ok->{access_key_id} ] ],
			"$family/$name: the key that is expected signs")
		  || diag(explain($outcome));
	}
	$count{none}++;
	return is_failure($outcome, '28000', qr/^no AWS credentials found$/, qr/./,
		"$family/$name: there is no key");
}

for my $family ('default-credential-provider-chain', 'profile-provider')
{
	for my $case (sort glob "$vectors/$family/*/test-case.json")
	{
		my ($name) = $case =~ m{([^/]+)/test-case\.json$};
		replayed($family, $name);
	}
}

#
# Roles of profiles: against the emulator's own STS, which logs who asks.
#

surround($node, { HOME => "$fs/home", AWS_REGION => 'us-east-1',
		AWS_ENDPOINT_URL_STS => $emulator->fact('url') . '/sts',
		AWS_EC2_METADATA_SERVICE_ENDPOINT => $emulator->fact('url') . '/imds' });

# The config file of a case; files that it names are ours.
sub write_profiles
{
	my ($profiles) = @_;
	my $text = '';

	remove_tree($fs);
	make_path("$fs/home/.aws");
	for my $name (sort keys %$profiles)
	{
		$text .= "[profile $name]\n";
		for my $property (sort keys %{ $profiles->{$name} })
		{
			my $value = $profiles->{$name}{$property};
			if ($property eq 'web_identity_token_file')
			{
				append_to_file("$fs/token", 'some.token');
				$value = "$fs/token";
			}
			$text .= "$property = $value\n";
		}
	}
	append_to_file("$fs/home/.aws/config", $text);
	return;
}

# What STS must be asked, one request after the other, by the chain expected.
sub expected_requests
{
	my ($chain) = @_;
	my ($signer, @requests);

	for my $link (@$chain)
	{
		my ($kind, $value) = %$link;
		if ($kind eq 'AccessKey')
		{
			$emulator->control('key', { map { $_ => $value->{$_} }
				  qw(access_key_id secret_access_key) });
			$signer = $value->{access_key_id};
			next;
		}
		if ($kind eq 'NamedSource') { $signer = 'instance metadata'; next }
		push @requests, { RoleArn => $value->{role_arn},
			RoleSessionName => $value->{role_session_name} // 'any',
			signed_by => $kind eq 'AssumeRole' ? $signer : undef,
			$value->{external_id} ? (ExternalId => $value->{external_id}) : (),
			$kind eq 'AssumeRole' ? () : (WebIdentityToken => 'some.token') };
		$signer = 'the one before';
	}
	return \@requests;
}

sub asked_requests
{
	my ($before, @requests);

	for my $request (@{ $emulator->control('standin?name=sts')->{requests} })
	{
		my %asked = (%{ $request->{parameters} }, signed_by => $request->{signed_by});
		my $instance = $emulator->control('standin?name=imds')->{access_key_id};

		$asked{RoleSessionName} =~ s/^sagemaker_rt-\d+$/any/;
		$asked{signed_by} = 'the one before'
		  if defined $before && $asked{signed_by} eq $before;
		$asked{signed_by} = 'instance metadata'
		  if defined $instance && ($asked{signed_by} // '') eq $instance;
		$before = $request->{access_key_id};
		push @requests, \%asked;
	}
	return \@requests;
}

for my $case (@{ decode_json(slurp_file("$vectors/assume-role-tests.json")) })
{
	my $input = $case->{input};
	my $chain = $case->{output}{ProfileChain};

	write_profiles($input->{profiles});
	$emulator->reset;
	my $expected = $chain && expected_requests($chain);
	my $outcome = outcome($node, call('mirror'), settings => [
		"endpoint_url = '" . $emulator->fact('url') . "'",
		"profile = '$input->{selected_profile}'" ]);
	my $name = "assume-role-tests: $case->{docs}";

	if ($chain)
	{
		$count{keys}++;
		is_deeply(asked_requests(), $expected, "$name: STS is asked as expected");
		is(signer($outcome) =~ s/^ASIASTS.*/STS/r, 'STS', "$name: its key signs");
	}
	else
	{
		$count{none}++;
		is_failure($outcome, '28000', qr/^no AWS credentials found$/, qr/./,
			"$name: there is no key");
	}
}

note("$count{keys} cases with keys, $count{none} without, "
	  . "$count{'not supported'} with credential_process, which is refused");
close $replay->{end};
waitpid $replay->{pid}, 0;
done_testing();
