# Keys that end, and others in their place: how often, from where, and that no
# call fails of it.
#
# Dates of expiry have whole seconds, so a thousand of them would take long.  Here
# most keys end by use: the emulator takes so many signatures of a key and then
# answers ExpiredTokenException, as a service does that knows of an end before we
# do.  Keys that end by their date are in a test of their own.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(max uniq);
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Surroundings;
use Test::More;
use Time::HiRes qw(time);

my @keys = qw(AKIDFIRST AKIDSECOND AKIDFILEONE AKIDFILETWO);

sub secret { return "secret-of-$_[0]" }

my $emulator = start_emulator('--no-models',
	map { ('--key', "$_:" . secret($_)) } @keys);
my $url = $emulator->fact('url');
my $node = start_surrounded('main', $emulator);
# A key that ends by use ends all calls at once that it has signed.
$node->append_conf('postgresql.conf', "sagemaker_rt.concurrency = 1\n");
my $arn = 'arn:aws:iam::123456789012:role';
my %environment = (AWS_REGION => 'us-east-1', AWS_ENDPOINT_URL_STS => "$url/sts",
	AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME => $url, AWS_METADATA_SERVICE_TIMEOUT => 30);
my $base_key = "access_key_id 'AKIDFIRST', secret_access_key '" . secret('AKIDFIRST') . "'";

$node->safe_psql('postgres', qq{
	CREATE SERVER one FOREIGN DATA WRAPPER sagemaker OPTIONS (endpoint_url '$url',
		sts_endpoint_url '$url/sts', role_arn '$arn/one');
	CREATE USER MAPPING FOR CURRENT_USER SERVER one OPTIONS ($base_key);
	CREATE SERVER two FOREIGN DATA WRAPPER sagemaker OPTIONS (endpoint_url '$url',
		sts_endpoint_url '$url/sts', role_arn '$arn/two');
	CREATE USER MAPPING FOR CURRENT_USER SERVER two OPTIONS ($base_key);
	CREATE SERVER mapped FOREIGN DATA WRAPPER sagemaker OPTIONS (endpoint_url '$url');
	CREATE USER MAPPING FOR CURRENT_USER SERVER mapped OPTIONS ($base_key)});

# A statement that calls an endpoint so many times, and counts the answers.
sub calls
{
	my ($n, $endpoint, $server) = @_;
	my $of = defined $server ? ", server => '$server'" : '';
	return "SELECT count(*) FROM generate_series(1, $n) i, "
	  . "LATERAL sagemaker_invoke('$endpoint', i::text, 'text/plain'$of) r "
	  . "WHERE convert_from(r.body, 'UTF8') = i::text";
}

# The ids of the keys that signed what an endpoint answered, in order.
sub signers
{
	my ($endpoint) = @_;
	my @signers;
	for my $request ($emulator->requests($endpoint))
	{
		my %headers = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };
		push @signers, $headers{authorization} =~ m{Credential=([^/]+)/}
		  if $request->{outcome} eq 'verified';
	}
	return @signers;
}

# How many calls of an endpoint were refused: for keys that had ended, as there is
# no other reason here.
sub ended
{
	my ($endpoint) = @_;
	return $emulator->control('stats')->{endpoints}{$endpoint}{refused};
}

# An endpoint that echoes, by any name.
sub endpoint
{
	my ($name) = @_;
	$emulator->script($name, []);
	return $name;
}

# What a process has in its memory, but for files and what it shares; undef when
# that may not be read (Linux).
sub memory_of
{
	my ($pid) = @_;
	my $all = '';

	open(my $memory, '<:raw', "/proc/$pid/mem") or return undef;
	for (split /\n/, slurp_file("/proc/$pid/maps"))
	{
		my ($from, $to) = /^(\w+)-(\w+) rw-p \w+ 00:00 / or next;
		sysseek($memory, hex $from, 0) or next;
		sysread($memory, $all, hex($to) - hex($from), length $all);
	}
	return $all;
}

# Which key signs now, in this session.
sub signer_now
{
	my ($session, $server) = @_;
	my $of = defined $server ? ", server => '$server'" : '';
	my $result = $session->run(
		"SELECT sagemaker_body_text(sagemaker_invoke('mirror', ''$of))");
	return $result->{output} =~ m{Credential=([^/]+)/} ? $1 : $result->{errors};
}

surround($node, \%environment);

#
# A thousand ends.
#

{
	my ($n_sessions, $n_ends) = (4, 200);
	my @sessions = map { Session->new($node) } 1 .. $n_sessions;
	my $instance = Session->new($node);

	stand_in('sts', uses => 1);
	stand_in('imds', uses => 1);
	endpoint($_) for 'roles', 'instance';
	# One after the other for the first ones, so as to see memory grow after that.
	$sessions[0]->must(calls(50, 'roles', 'one'));
	my $before = anonymous_kb($sessions[0]->pid);
	$sessions[0]->start(calls($n_ends - 49, 'roles', 'one'));
	$_->start(calls($n_ends + 1, 'roles', 'one')) for @sessions[ 1 .. $#sessions ];
	$instance->start(calls(101, 'instance'));
	my @results = map { $_->finish } @sessions, $instance;
	my $grown = anonymous_kb($sessions[0]->pid) - $before;

	is_deeply([ map { $_->{output} || $_->{errors} } @results ],
		[ $n_ends - 49, ($n_ends + 1) x ($n_sessions - 1), 101 ],
		'no call fails while keys end under load');
	is(ended('roles'), $n_sessions * $n_ends, 'as many keys of roles ended as were to');

	my %assumed;
	$assumed{ $_->{parameters}{RoleSessionName} }++ for @{ stand_in('sts')->{requests} };
	is_deeply([ map { $assumed{ 'sagemaker_rt-' . $_->pid } } @sessions ],
		[ ($n_ends + 1) x $n_sessions ],
		'each process asked for keys once at first, and once for each end');
	is_deeply([ ended('instance'), stand_in('imds')->{counts} ],
		[ 100, { map { $_ => 101 } qw(token roles credentials) } ],
		'so it is with keys of the instance');
	cmp_ok($grown, '<', 300, "a backend does not grow by it (by $grown kB)");
	$_->quit for @sessions, $instance;
	$emulator->reset;
}

surround($node, { %environment, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI => '/keys' });
{
	my $session = Session->new($node);

	stand_in('container', uses => 1);
	is($session->must(calls(101, endpoint('container'))), 101,
		'no call fails while keys of the container end');
	is_deeply([ ended('container'), count_of('container', 'credentials') ], [ 100, 101 ],
		'nor are they asked for more than once each');
	my @secrets = map { $_->{secret_access_key} } @{ stand_in('container')->{requests} };
	my $present = pop @secrets;
  SKIP:
	{
		my $memory = memory_of($session->pid);
		skip 'this system lets nobody look into a process', 2 unless $memory;
		ok($memory =~ /\Q$present\E/, 'the secret that signs is in memory');
		# A buffer that libcurl has freed may have an answer in it.
		cmp_ok(scalar(grep { $memory =~ /\Q$_\E/ } @secrets), '<=', 2,
			'a hundred that were replaced are overwritten, but for what libcurl leaves');
	}
	stand_in('container', uses => 0);
	my $result = $session->run(calls(1, 'container'));
	is($result->{sqlstate}, '28000', 'new keys that have ended too are an error');
	is(count_of('container', 'credentials'), 102, 'after one more search');
	$session->quit;
	$emulator->reset;

	endpoint('single');
	$session = Session->new($node, 'SET sagemaker_rt.max_attempts = 1');
	stand_in('container', uses => 1);
	is_deeply([ map { $session->run(calls(1, 'single'))->{sqlstate} // 'none' } 1 .. 4 ],
		[ 'none', '28000', 'none', '28000' ],
		'where a call is sent once only, keys that have ended fail one call, not the session');
	$session->quit;
	$emulator->reset;
}

{
	my @sessions = map { Session->new($node) } 1 .. 2;
	my (@results, @given);

	# Handed out with two to three seconds left, the same to both for a second.
	stand_in('container', lifetime => 3, ahead => 2);
	endpoint('dated');
	ok( wait_until(sub {
				$_->start(calls(20, 'dated')) for @sessions;
				push @results, map { $_->finish } @sessions;
				@given = map { $_->{access_key_id} } @{ stand_in('container')->{requests} };
				return uniq(@given) >= 3;
			}), 'keys end by their date, and others are asked for');
	is_deeply([ uniq map { $_->{output} || $_->{errors} } @results ], [20],
		'no call fails of it');
	cmp_ok(scalar @given, '<=', 2 * uniq(@given),
		'no process asks more than once for each');
	$_->quit for @sessions;
	$emulator->reset;
}

#
# What is rotated is seen.
#

surround($node, { %environment, AWS_WEB_IDENTITY_TOKEN_FILE => home() . '/token',
		AWS_ROLE_ARN => "$arn/web" }, { token => 'first' });
{
	my $session = Session->new($node);

	stand_in('sts', web_tokens => ['first'], uses => 1);
	like(signer_now($session), qr/^ASIASTS/, 'a web identity signs');
	write_file('token', 'second');
	stand_in('sts', web_tokens => ['second']);
	like(signer_now($session), qr/^ASIASTS/,
		'a web identity token that was rotated is seen by the same session');
	is(stand_in('sts')->{requests}[-1]{parameters}{WebIdentityToken}, 'second',
		'STS gets the new one');
	$session->quit;
	$emulator->reset;
}

# A profile with these keys.
sub profile
{
	my ($id) = @_;
	return "[default]\naws_access_key_id = $id\naws_secret_access_key = " . secret($id) . "\n";
}

surround($node, { %environment, AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://169.254.170.23/keys',
		AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => home() . '/token' },
	{ token => 'first' });
{
	my $session = Session->new($node);

	stand_in('container', token => 'first');
	my $first = signer_now($session);
	write_file('token', 'second');
	stand_in('container', token => 'second', end => 1);
	my $second = signer_now($session);
	ok($first =~ /^ASIACONT/ && $second =~ /^ASIACONT/ && $first ne $second,
		"a container's token that was rotated is seen by the same session")
	  || diag("$first $second");

	$emulator->reset;
	write_file('.aws/credentials', profile('AKIDFILEONE'));
	$session->quit;
	$session = Session->new($node);
	is(signer_now($session), 'AKIDFILEONE', 'keys of a file sign');
	write_file('.aws/credentials', profile('AKIDFILETWO'));
	my %seen;
	ok( wait_until(sub {
				my $signer = signer_now($session);
				$seen{$signer}++;
				return $signer eq 'AKIDFILETWO';
			}), 'a credentials file that was rotated is seen by the same session');
	is_deeply([ sort keys %seen ], [ grep { $seen{$_} } qw(AKIDFILEONE AKIDFILETWO) ],
		'without a call that fails meanwhile');

	my $rotate = "ALTER USER MAPPING FOR CURRENT_USER SERVER %s OPTIONS (SET access_key_id "
	  . "'AKIDSECOND', SET secret_access_key '" . secret('AKIDSECOND') . "')";
	is(signer_now($session, 'mapped'), 'AKIDFIRST', 'keys of a user mapping sign');
	like(signer_now($session, 'one'), qr/^ASIASTS/, 'and assume a role');
	$node->safe_psql('postgres', sprintf($rotate, $_)) for 'mapped', 'one';
	is(signer_now($session, 'mapped'), 'AKIDSECOND',
		'a user mapping that another session altered counts from the next call on');
	like(signer_now($session, 'one'), qr/^ASIASTS/, 'its role is assumed anew');
	is_deeply([ map { $_->{signed_by} } @{ stand_in('sts')->{requests} } ],
		[ 'AKIDFIRST', 'AKIDSECOND' ], 'by the new keys');
	my ($before) = map { $_->{secret_access_key} } @{ stand_in('sts')->{requests} };
	my $memory = memory_of($session->pid);
  SKIP:
	{
		skip 'this system lets nobody look into a process', 1 unless $memory;
		ok($memory !~ /\Q$before\E/, 'and its keys of before are overwritten');
	}

	# The keys of a mapping that is dropped are forgotten, in a session that makes no call any more.
	is($session->must(calls(1, 'echo', 'two')), 1, 'another mapping\'s role');
	my ($last) = map { $_->{secret_access_key} } (@{ stand_in('sts')->{requests} })[-1];
	my $mine = 'USER MAPPING FOR CURRENT_USER SERVER two';
	$memory = memory_of($session->pid);
	$node->safe_psql('postgres', "DROP $mine");
	$session->must('SELECT 1');
  SKIP:
	{
		skip 'this system lets nobody look into a process', 2 unless $memory;
		# What libcurl has read the answer into is not ours to overwrite.
		my ($before, $after) = map { scalar(() = /\Q$last\E/g) } $memory, memory_of($session->pid);
		cmp_ok($before, '>=', 1, 'its keys are in memory');
		cmp_ok($after, '<', $before, 'until the mapping is dropped');
		note("$before copies, then $after");
	}
	$node->safe_psql('postgres', "CREATE $mine OPTIONS ($base_key)");

	# What STS is asked with is part of whose keys they are.
	for my $change ("ADD external_id 'partner'", "ADD role_session_name 'another'",
		"SET sts_endpoint_url '$url/sts/'")
	{
		my $asked = count_of('sts', 'AssumeRole');

		$node->safe_psql('postgres', "ALTER SERVER one OPTIONS ($change)");
		like(signer_now($session, 'one'), qr/^ASIASTS/, "after $change");
		is(count_of('sts', 'AssumeRole'), $asked + 1, 'the role is assumed anew');
	}
	is_deeply({ %{ stand_in('sts')->{requests}[-1]{parameters} }{ 'ExternalId', 'RoleSessionName' } },
		{ ExternalId => 'partner', RoleSessionName => 'another' }, 'as the server says');
	$node->safe_psql('postgres', "ALTER SERVER one OPTIONS (DROP external_id, DROP role_session_name)");
	$node->safe_psql('postgres', "ALTER USER MAPPING FOR CURRENT_USER SERVER one OPTIONS "
		  . "(SET access_key_id 'AKIDFIRST', SET secret_access_key '" . secret('AKIDFIRST') . "')");
	$session->quit;
	$emulator->reset;
}

# What is rewritten in place is not there for a moment.
surround($node, \%environment, { '.aws/credentials' => profile('AKIDFILEONE') });
{
	my $session = Session->new($node, 'SET client_min_messages = debug1');
	my $path = home() . '/.aws/credentials';

	is(signer_now($session), 'AKIDFILEONE', 'keys of a file sign');
	for my $case ([ '', qr/there is no profile "default"/, 'empty' ],
		[ undef, qr/there is no profile "default"/, 'missing' ],
		[ "[default]\naws_access_key_id = AKIDFILETWO\n",
			qr/profile "default" lacks aws_secret_access_key/, 'half written' ])
	{
		my ($content, $reason, $name) = @$case;
		my (%seen, $result);

		unlink $path;
		append_to_file($path, $content) if defined $content;
		ok( wait_until(sub {
					$result = $session->run(
						q{SELECT sagemaker_body_text(sagemaker_invoke('mirror', ''))});
					$seen{ $result->{output} =~ m{Credential=([^/]+)/} ? $1 : 'nobody' }++;
					return $result->{errors} =~ /could not refresh AWS credentials: .*$reason/s;
				}), "a credentials file that is $name is seen");
		is_deeply([ keys %seen ], ['AKIDFILEONE'], 'and the keys that it had go on signing');
	}
	is(count_of('imds', 'token'), 0, 'the instance is not asked for others');
	append_to_file($path, "aws_secret_access_key = " . secret('AKIDFILETWO') . "\n");
	ok(wait_until(sub { signer_now($session) eq 'AKIDFILETWO' }), 'until it is whole');

	unlink $path;
	ok( wait_until(sub {
				return $session->run(calls(1, 'mirror'))->{errors} =~ /could not refresh/;
			}), 'when the file is gone again');
	set_clock(55);
	is(signer_now($session), 'AKIDFILETWO', 'the keys that it had sign on');
	set_clock(65);
	like(signer_now($session), qr/^ASIAIMDS/, 'for a minute: then those of the instance do');
	$session->quit;
	set_clock(0);
	$emulator->reset;
	write_file('.aws/credentials', profile('AKIDFILETWO'));
}

#
# Two identities.
#

{
	my $session = Session->new($node);

	stand_in('sts', uses => 3);
	endpoint($_) for 'as-one', 'as-two', 'as-file';
	$session->must(calls(1, "as-$_->[0]", $_->[1]))
	  for ([ one => 'one' ], [ two => 'two' ], [ file => undef ]) x 60;
	my %role = map { $_->{access_key_id} => $_->{parameters}{RoleArn} }
	  @{ stand_in('sts')->{requests} };
	is_deeply([ map { [ uniq map { $role{$_} // $_ } signers("as-$_") ] } qw(one two file) ],
		[ ["$arn/one"], ["$arn/two"], ['AKIDFILETWO'] ],
		'the keys of three identities in one session never sign for another');
	is(ended('as-one') + ended('as-two'), 2 * 19, 'while they end and are replaced');
	is(count_of('sts', 'AssumeRole'), 2 * 20, 'each on its own');
	$session->quit;
	$emulator->reset;
}

#
# When.
#

surround($node, \%environment);
{
	my $session = Session->new($node);
	my $life = 4 * 3600;

	stand_in('imds', lifetime => $life);
	like(signer_now($session), qr/^ASIAIMDS/, 'keys that live for hours sign');
	set_clock($life - 930);
	signer_now($session);
	is(count_of('imds', 'credentials'), 1, 'they are kept until 15 minutes before they end');
	set_clock($life - 870);
	signer_now($session);
	is(count_of('imds', 'credentials'), 2, 'others are asked for then');
	$session->quit;
	set_clock(0);
	$emulator->reset;
}

#
# Outages.
#

{
	my $session = Session->new($node);
	my $life = 4 * 3600;

	stand_in('imds', lifetime => $life);
	my $first = signer_now($session);
	stand_in('imds', faults => { '*' => 'drop' });
	set_clock($life - 300);
	my %seen;
	ok( wait_until(sub {
				$seen{ signer_now($session) }++;
				return count_of('imds', 'token') > 1;
			}), 'keys are looked for anew before they end');
	is_deeply([ keys %seen ], [$first], 'an outage then fails no call');
	set_clock($life + 1);
	my $result = $session->run(calls(1, 'mirror'));
	is($result->{sqlstate}, '28000', 'it does when they have ended, for want of keys');
	like($result->{errors}, qr/instance metadata: no answer from/, 'and says why');
	stand_in('imds', faults => {}, lifetime => 2 * $life);
	isnt(signer_now($session), $first, 'when the service is back, so are keys');
	set_clock(0);
	$session->quit;
	$emulator->reset;
}

# Calls until the instance has been asked for a session so often; who signed, or
# what went wrong, and the longest of them.
sub signers_until_asked
{
	my ($session, $n) = @_;
	my (@signers, $longest);

	ok( wait_until(sub {
				my $begin = time;
				push @signers, signer_now($session);
				$longest = max($longest // 0, time - $begin);
				return count_of('imds', 'token') >= $n;
			}), 'keys are looked for anew, where the service hangs');
	return ($longest, @signers);
}

{
	my ($patient, $hurried) = map { Session->new($node) } 1 .. 2;
	my $life = 4 * 3600;

	stand_in('imds', lifetime => $life);
	my $first = signer_now($patient);
	is(signer_now($hurried), $first, 'two sessions have the same keys');
	# Less than a search for other keys may take, which is two seconds.
	$hurried->must(q{SET statement_timeout = '1s'});
	stand_in('imds', faults => { '*' => 'hang' });
	set_clock($life - 300);

	my (undef, @hurried) = signers_until_asked($hurried, 3);
	like(pop @hurried, qr/ERROR:  57014/, 'a call that is cancelled while it looks ahead');
	push @hurried, map { signer_now($hurried) } 1 .. 3;
	my ($longest, @patient) = signers_until_asked($patient, 4);
	push @patient, map { signer_now($patient) } 1 .. 3;
	is_deeply([ uniq @hurried ], [$first], 'is the only one: the next ones have the old keys');
	is_deeply([ uniq @patient ], [$first], 'a service that hangs fails no call');
	cmp_ok($longest, '<', 10, 'nor does it hold up one for as long as the service may be asked');
	is(count_of('imds', 'token'), 4, 'neither session asks again at once');

	$patient->must(q{SET sagemaker_rt.total_timeout = '500ms'});
	set_clock($life + 1);
	my $result = $patient->run(calls(1, 'mirror'));
	is($result->{sqlstate}, '28000', 'when the keys have ended, calls fail for want of them');
	cmp_ok($result->{seconds}, '<', 10, 'and wait for them no longer than total_timeout');
	set_clock(0);
	$_->quit for $patient, $hurried;
	$emulator->reset;
}

#
# Cancellation.
#

my $admin = Session->new($node);

# Tests that a call which waits for that service ends when it is cancelled.
sub cancels
{
	my ($service, $kind, $server, $name) = @_;
	my $session = Session->new($node);

	stand_in($service, faults => { $kind => 'hang' });
	$session->start(calls(1, endpoint('cancelled'), $server));
	ok(wait_until(sub { count_of($service, $kind) > 0 }), "$name: the service is asked");
	my $begin = time;
	$admin->must('SELECT pg_cancel_backend(' . $session->pid . ')');
	my $result = $session->finish;
	is($result->{sqlstate}, '57014', 'the call is cancelled');
	cmp_ok($result->{at} - $begin, '<', 1, 'within a second');
	stand_in($service, faults => {});
	is($session->must(calls(1, 'cancelled', $server)), 1, 'and the session goes on');
	$session->quit;
	$emulator->reset;
	return;
}

cancels('imds', 'token', undef, 'a session with the instance');
cancels('imds', 'credentials', undef, 'keys of the instance');
cancels('sts', 'AssumeRole', 'two', 'a role');
surround($node, { %environment, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI => '/keys' });
$admin = Session->new($node);
cancels('container', 'credentials', undef, 'the container');
{
	my %without = %environment;
	delete $without{AWS_REGION};
	surround($node, \%without);
	$admin = Session->new($node);
	stand_in('imds', region => 'us-east-1');
	my $session = Session->new($node, q{SET statement_timeout = '200ms'});
	stand_in('imds', faults => { region => 'hang' });
	my $result = $session->run(calls(1, 'echo'));
	is($result->{sqlstate}, '57014', 'a search for the region ends by the statement timeout');
	cmp_ok($result->{seconds}, '<', 1.2, 'within a second of it');
	stand_in('imds', faults => {});
	$session->must('RESET statement_timeout');
	is($session->must(calls(1, 'echo')), 1, 'and the region is found the next time');
}

done_testing();
