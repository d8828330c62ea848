# Asynchronous calls, end to end: a request goes in with its body or with the
# place of it, and the answer, or the reason of a failure, comes out of S3.
#
# The emulator answers at once, but an object can stay hidden for some looks, so
# that what is pending does not depend on the time.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use Outcomes;
use SageMakerTest;
use Session;
use Test::More;
use Time::HiRes qw(time);

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"sagemaker_rt.s3_endpoint_url = '" . $emulator->fact('url') . "/s3'");
install_outcomes($node);

sub s3
{
	my (%settings) = @_;
	return $emulator->control('standin', { name => 's3', %settings });
}

sub put
{
	my ($location, $body, %more) = @_;
	$emulator->control('object', { location => $location, body => $body, %more });
}

# How many objects S3 was asked for.
sub looks
{
	my $counts = $emulator->control('standin?name=s3')->{counts};
	return $counts->{GetObject} // 0;
}

# What sagemaker_invoke_async returns, as a hash; the test ends if it fails.
sub accepted
{
	my ($arguments) = @_;
	my $outcome = outcome($node, "to_json(sagemaker_invoke_async($arguments))");

	die explain($outcome) unless $outcome->{sqlstate} eq '00000';
	return decode_json($outcome->{value});
}

sub quoted { return defined $_[0] ? "'" . $_[0] =~ s/'/''/gr . "'" : 'NULL' }

sub result_call
{
	my ($output, $failure, $more) = @_;
	return 'sagemaker_async_result(' . quoted($output) . ', ' . quoted($failure)
	  . (defined $more ? ", $more" : '') . ')';
}

# "state|content type|body as text" of what is at these places.
sub found
{
	my ($output, $failure, $more) = @_;
	my $outcome = outcome($node, "(SELECT concat_ws('|', r.state, r.content_type,
		convert_from(r.body, 'UTF8')) FROM " . result_call($output, $failure, $more) . ' AS r)');
	return $outcome->{value} // "$outcome->{sqlstate}: $outcome->{message}";
}

# What became of a call that went with these arguments.
sub answer_to
{
	my ($arguments) = @_;
	my $accepted = accepted($arguments);
	return found(@$accepted{qw(output_location failure_location)});
}

sub mirrored
{
	my ($arguments) = @_;
	return decode_json(answer_to($arguments) =~ s/^done\|application\/json\|//r);
}

sub header
{
	my ($request, $name) = @_;
	my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
	  @{ $request->{headers} };
	return @values > 1 ? 'more than one' : $values[0];
}

#
# What goes out.
#

put('s3://in/x', '7,8');
my %members = (
	content_type => [ 'Content-Type', 'text/csv; label_size=0' ],
	accept => [ 'Accept', 'application/json' ],
	custom_attributes => [ 'Custom-Attributes', 'a=b  c;d="e%41"' ],
	inference_id => [ 'Inference-Id', 'row 17' ],
	input_location => [ 'InputLocation', 's3://in/x' ],
	s3_output_path_extension => [ 'S3OutputPathExtension', "2026/a_b/(x)!*'" ],
	filename => [ 'Filename', 'out-1.csv' ],
	request_ttl_seconds => [ 'RequestTTLSeconds', 60 ],
	invocation_timeout_seconds => [ 'InvocationTimeoutSeconds', 3600 ]);
my ($names) = $node->safe_psql('postgres', q{
	SELECT proargnames[3:11] FROM pg_proc WHERE proname = 'sagemaker_invoke_async' LIMIT 1});
is(join(',', sort keys %members), join(',', sort split /,/, $names =~ s/[{}]//gr),
	'each member is an argument');

for my $member (sort keys %members)
{
	my ($name, $value) = @{ $members{$member} };
	my $body = $member eq 'input_location' ? 'NULL::bytea' : "'1'::bytea";
	my $argument = $value =~ /^\d+$/ ? $value : quoted($value);
	my $request = mirrored("'mirror', $body, $member => $argument");

	$name = "X-Amzn-SageMaker-$name";
	is(header($request, $name), $value, "$member travels as $name");
	my ($signed) = header($request, 'Authorization') =~ /SignedHeaders=([^,]+)/;
	ok((grep { $_ eq lc $name } split /;/, $signed), "$name is signed");
}

my $request = mirrored("'mirror', '1'::bytea, accept => 'text/csv', content_type => 'text/csv'");
is($request->{target}, '/endpoints/mirror/async-invocations', 'it is the operation that is meant');
is(header($request, $_), undef, "nothing travels as $_, as with InvokeEndpoint")
  for 'Accept', 'Content-Type';
is(header(mirrored(q{'mirror', '1', options => '{"headers": {"X-Amzn-SageMaker-New": "n"}}'}),
		'X-Amzn-SageMaker-New'),
	'n', 'a member of a later day can be added');

is(answer_to(q{'echo', '\x31c3bc'::bytea}), "done|application/octet-stream|1\x{fc}",
	'bytes are sent as they are');
is(answer_to(q{'echo', U&'\00fc\20ac', 'text/plain'}), "done|text/plain|\x{fc}\x{20ac}",
	'text is sent as UTF-8');
is(answer_to(qq{'echo', '{"a":  1}'::$_->[0]}), "done|application/json|$_->[1]",
	"$_->[0] is sent as application/json")
  for [ 'json', '{"a":  1}' ], [ 'jsonb', '{"a": 1}' ];
is(answer_to(q{'echo', '{}'::jsonb, 'application/x-own'}), 'done|application/x-own|{}',
	'or as what is said');
is(answer_to(q{'echo', input_location => 's3://in/x'}), 'done|application/octet-stream|7,8',
	'an object of S3 is sent without a content type');
is(answer_to(q{'echo', NULL::jsonb, 'text/csv', input_location => 's3://in/x'}), 'done|text/csv|7,8',
	'or with one that is said');

my $accepted = accepted(q{'echo', '1', inference_id => 'row 17', filename => 'x.csv'});
is($accepted->{inference_id}, 'row 17', 'the inference id is given back');
like($accepted->{output_location}, qr{^s3://[a-z-]+/.+/x\.csv$}, 'there is a place for the answer');
like($accepted->{failure_location}, qr{^s3://[a-z-]+/.+/row 17-error\.out$},
	'and one for the failure');
like($accepted->{request_id}, qr/^[0-9a-f-]{36}$/, 'and a request id');
like(accepted(q{'echo', '1'})->{inference_id}, qr/^[0-9a-f-]{36}$/,
	'the service makes an inference id if none is given');

#
# What comes out.
#

my ($output, $failure) =
  @{ accepted(q{'echo', input_location => 's3://in/none'}) }{qw(output_location failure_location)};
is(found($output, $failure), 'failed|text/plain|Failed to download input data from s3://in/none.',
	'a call that failed says why');
is(found($output), 'pending', 'as long as the failure is not looked for, it is pending');

put('s3://out/late', 'here', hidden => 1, content_type => 'text/plain; charset=utf-8');
is(found('s3://out/late', 's3://out/failure'), 'pending', 'what is not there is pending');
is(found('s3://out/late', 's3://out/failure'), 'done|text/plain; charset=utf-8|here',
	'what is there is done');
is($node->safe_psql('postgres', q{
		SELECT r IS NULL, r.state, r.body IS NULL, r.content_type IS NULL
		FROM sagemaker_async_result('s3://out/none') AS r}),
	'f|pending|t|t', 'while it is pending, there is a state and nothing else');
is($node->safe_psql('postgres', 'SELECT sagemaker_async_result(NULL, $$s3://out/x$$) IS NULL'),
	't', 'no location, no answer');

put('s3://out/json', '{"predictions": [1, 2]}', content_type => 'application/json');
is($node->safe_psql('postgres', q{
		SELECT sagemaker_body_json(r) -> 'predictions' -> 1, sagemaker_body_text(r)
		FROM sagemaker_async_result('s3://out/json') AS r}),
	'2|{"predictions": [1, 2]}', 'its body is decoded as any other');
put('s3://out/bytes', { every_byte => 256 });
is($node->safe_psql('postgres', q{
		SELECT md5(body) = md5((SELECT string_agg(set_byte('\x00', 0, i), '' ORDER BY i)
			FROM generate_series(0, 255) AS i))
		FROM sagemaker_async_result('s3://out/bytes')}),
	't', 'and is there byte for byte');
put('s3://out/empty', '');
is(found('s3://out/empty'), 'done|binary/octet-stream|', 'an empty answer is one');

for my $key ('a b+c', 'a//b/', '/a', './a/../b', '~%41%2f', 'a?b#c&d=e', "!_.*'()", '"\\x',
	"\x{fc}/\x{20ac}\x{65e5}", 'k' x 1024, '%' x 1024)
{
	put("s3://out/$key", 'found');
	is(found("s3://out/$key"), 'done|binary/octet-stream|found',
		'a key: ' . (length $key < 30 ? $key =~ s/([^ -~])/sprintf '\\x{%x}', ord $1/ger
			: length($key) . ' times ' . substr $key, 0, 1));
}
put("s3://$_/x", 'found'), is(found("s3://$_/x"), 'done|binary/octet-stream|found', "a bucket: $_")
  for 'my.bucket', 'Old_Bucket';

#
# Waiting.
#

sub waiting
{
	my ($name, $wait) = @_;
	return result_call("s3://out/$name", "s3://out/$name-error", "'$wait'");
}

s3();
put('s3://out/w1', 'here', hidden => 2);
my $before = looks();
is(found('s3://out/w1', 's3://out/w1-error', "'1 hour'"), 'done|binary/octet-stream|here',
	'with time to wait, it looks again');
is(looks() - $before, 5, 'at both places, each time');

put('s3://out/w2-error', 'why', hidden => 1);
is(found('s3://out/w2', 's3://out/w2-error', "'1 hour'"), 'failed|binary/octet-stream|why',
	'a failure ends the wait as well');

$before = looks();
my $begun = time;
is(found('s3://out/w3', undef, "'2 seconds'"), 'pending', 'when the time is over, it is pending');
cmp_ok(time - $begun, '>=', 2, 'and not before');
cmp_ok(looks() - $before, '>=', 3, 'it looked several times');
cmp_ok(looks() - $before, '<=', 10, 'and not more often than is polite');

for (
	[ 'in a pause', sub { s3() }, 'w4' ],
	[ 'while S3 does not answer', sub { s3(faults => { GetObject => 'hang' }) }, 'w5' ])
{
	my ($where, $prepare, $name) = @$_;
	my $session = Session->new($node);

	$prepare->();
	$before = looks();
	$session->start('SELECT ' . waiting($name, '1 hour'));
	ok(wait_until(sub { looks() > $before }), "$where: it waits");
	$begun = time;
	$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
	my $end = $session->finish;
	is($end->{sqlstate}, '57014', "$where: it can be cancelled");
	cmp_ok($end->{at} - $begun, '<', 1, "$where: at once");
	s3(faults => {});
	put('s3://out/after', 'here');
	is($session->must(q{SELECT state FROM sagemaker_async_result('s3://out/after')}), 'done',
		"$where: the session goes on");
	$session->quit;
}
fails_with($node, q{SET statement_timeout = '500ms'; SELECT } . waiting('w6', '1 hour'),
	'57014', qr/statement timeout/, 'statement_timeout ends it');

#
# What S3 says.
#

my @call = map { "($_).state" } result_call('s3://out/none', 's3://out/none-error');
my $denied = "object \"s3://out/none\": access denied: ";

s3(may => 'get');
is(found('s3://out/none'), 'pending',
	'a missing object that may not be listed is pending, where S3 says that this is it');
s3(may => 'get-elsewhere');
my $outcome = outcome($node, @call);
is_failure($outcome, '28000', qr/^\Q$denied\EAccess Denied$/,
	[ qr/HTTP status 403, code AccessDenied\./, qr/Request id [0-9A-F]{16}\./,
		qr/Access key id ending in/ ],
	'where it does not, it is an error');
like($outcome->{hint}, qr/permission s3:GetObject and, .*s3:ListBucket/,
	'that names the permission that tells');
s3(may => 'list');

for (
	[ { status => 404, code => 'NoSuchBucket', message => 'no bucket' }, '22023', qr/no bucket/ ],
	[ { status => 400, code => 'ExpiredToken', message => 'old' }, '28000', qr/have expired: old/ ],
	[ { status => 403, code => 'SignatureDoesNotMatch', message => 'bad' }, '28000', qr/denied: bad/ ],
	[ { status => 500, code => 'InternalError', message => 'oops' }, '58000', qr/oops/ ],
	[ { status => 503, code => 'SlowDown', message => 'slower' }, '53000', qr/slower/ ],
	[ { status => 404, body => '<Error><Code>NoSuchKey</Code' }, '22023', qr/<Error><Code>/ ],
	[ { status => 404, body => 'not found' }, '22023', qr/not found/ ],
	[ { status => 404, body => '<Error><Code>Odd</Code></Error>' }, '22023', qr/refused .*: Odd/ ],
	[ { status => 404, body => '<Error>' . '<a>' x 100000 . '<Code>NoSuchKey</Code></Error>' },
		'22023', qr/<Error><a><a>/ ],
	[ { status => 404, body => '<Code>' x 100000 }, '22023', qr/<Code><Code>/ ],
	[ { status => 302, body => '' }, '38S01', qr/not one that the service gives/ ])
{
	my ($fault, $sqlstate, $message) = @$_;
	s3(faults => { GetObject => $fault });
	is_failure(outcome($node, @call, settings => ['max_attempts = 1']), $sqlstate, $message, qr/./,
		"status $fault->{status}, " . ($fault->{code} // substr $fault->{body}, 0, 20));
}
s3(faults => {}, region => 'eu-west-3');
is_failure(outcome($node, @call), '22023', qr/in region eu-west-3/, qr/code PermanentRedirect/,
	'a bucket of another region');
s3(region => undef);

put('s3://out/retried', 'here');
s3(queue => [ { status => 503, code => 'SlowDown' }, 500, 'drop' ]);
is(found('s3://out/retried', undef, q{options => '{"max_attempts": 5}'}),
	'done|binary/octet-stream|here', 'what passes is tried again');

s3(skew => 600);
put('s3://out/skewed', 'here');
is(found('s3://out/skewed'), 'done|binary/octet-stream|here',
	'where the clocks differ, it is signed by the one of S3');
s3(skew => 0);

put('s3://out/large', { zeros => 2000 });
is_failure(outcome($node, q{sagemaker_async_result('s3://out/large',
		options => '{"max_response_size": 1999}')}),
	'54000', qr/too large/, qr/./, 'a body over max_response_size');
s3(faults => { GetObject => 'hang' });
is_failure(outcome($node, q{sagemaker_async_result('s3://out/x',
		options => '{"timeout": "200ms", "max_attempts": 1}')}),
	'58030', qr/no answer in time/, qr/./, 'S3 that does not answer');

my $secret = $emulator->fact('secret_access_key');
s3(faults => { GetObject => { status => 403, code => 'SignatureDoesNotMatch',
			message => "signed with $secret" } });
$outcome = outcome($node, @call);
is_failure($outcome, '28000', qr/signed with \*+$/, qr/./, 'a secret that S3 repeats is blotted out');
unlike(join(' ', map { $_ // '' } %$outcome), qr/\Q$secret\E/, 'wherever it stands');
s3(faults => {});

#
# Nothing is left behind.
#

SKIP:
{
	my $session = Session->new($node, q{
		CREATE FUNCTION state_of(location text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
			RETURN state FROM sagemaker_async_result(location, 's3://out/none', '1 ms',
				options => '{"max_response_size": 1000, "max_attempts": 1}');
		EXCEPTION WHEN OTHERS THEN
			RETURN SQLSTATE;
		END $$});
	skip 'its memory cannot be seen', 2 if $session->must('SHOW server_version_num') < 140000;
	my $rounds = q{SELECT string_agg(DISTINCT state_of(location), ' ') FROM generate_series(1, 100),
		unnest('{s3://out/empty,s3://out/none,s3://out/large,s3://,s3://out/denied}'::text[]) AS location};
	my $contexts = q{SELECT count(*), sum(total_bytes) FROM pg_backend_memory_contexts
		WHERE name LIKE 'sagemaker_rt %'};
	is($session->must($rounds), '22023 54000 done pending', 'answers of every kind');
	my $after_some = $session->must($contexts);
	$session->must($rounds);
	is($session->must($contexts), $after_some, 'leave no memory behind');
	$session->quit;
}

#
# The call itself fails.
#

$emulator->script('broken', [], { status => 200, body => '<html>', content_type => 'text/html' });
is_failure(outcome($node, q{sagemaker_invoke_async('broken', '1')}), '38S01',
	qr/^endpoint "broken": the answer is not one that the service gives: <html>/, qr/./,
	'an answer that says no place');
is_failure(outcome($node, q{sagemaker_invoke_async('nonesuch', '1')}), '22023',
	qr/^endpoint "nonesuch": .*not found/, qr/./, 'no such endpoint');
$emulator->script('denied', [], { use => 'access-denied' });
like(outcome($node, q{sagemaker_invoke_async('denied', '1')})->{hint},
	qr/sagemaker:InvokeEndpointAsync/, 'the permission that it needs is named');
$emulator->script('flaky', [ { use => 'throttling' } ]);
like(accepted(q{'flaky', '1'})->{output_location}, qr/^s3:/, 'throttling is tried again');

done_testing();
