# What a failed call says: its SQLSTATE, one line of message, the facts as
# detail.  What the service sends is shown as it came, but made harmless.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $token = 'token-' . 'T' x 200;
my $secret = 'emulator-secret-access-key';
my $emulator = start_emulator('--no-models', '--key', "AKIDEMULATOR:$secret",
	'--key', "AKIDTEMPORARY:$secret:$token");
my $node = start_node('main', $emulator, 'sagemaker_rt.max_attempts = 1',
	'sagemaker_rt.timeout = 5s', 'sagemaker_rt.connect_timeout = 5s');
my $host = '127.0.0.1:' . $emulator->fact('port');

install_outcomes($node);

my $n_endpoints = 0;

# The name of a new endpoint that always answers with that step.
sub endpoint
{
	my ($step) = @_;
	my $name = 'e-' . ++$n_endpoints;
	$emulator->script($name, [], $step);
	return $name;
}

sub answered
{
	my ($step, @options) = @_;
	return outcome($node, call(endpoint($step)), @options);
}

sub json_error
{
	my ($status, $code, $members) = @_;
	return { status => $status, code => $code, body => { json => $members } };
}

#
# Answers that are none.
#

my @answer = split /\|/, $node->safe_psql('postgres', sprintf <<'SQL',
SELECT (r).content_type, (r).invoked_production_variant, (r).custom_attributes,
	(r).new_session_id, (r).closed_session_id, (r).request_id, (r).body
FROM (SELECT sagemaker_invoke('%s', ''::bytea) OFFSET 0) AS c(r)
SQL
	endpoint({ body => { base64 => 'AAEC/w==' }, content_type => 'text/csv',
		headers => {
			'x-amzn-RequestId' => '3e9f0b36-request',
			'x-Amzn-Invoked-Production-Variant' => 'AllTraffic',
			'X-Amzn-SageMaker-Custom-Attributes' => 'a=b;c',
			'X-Amzn-SageMaker-New-Session-Id' =>
			  'session-1; Expires=2026-01-02T03:04:05Z',
			'X-Amzn-SageMaker-Closed-Session-Id' => 'session-0' } }));
is_deeply(\@answer,
	[ 'text/csv', 'AllTraffic', 'a=b;c', 'session-1', 'session-0',
		'3e9f0b36-request', '\x000102ff' ],
	"every member of an answer comes back, a session's id without its expiry");

is( $node->safe_psql('postgres', sprintf <<'SQL', endpoint({ body => '' })),
SELECT (r).body = '' AND (r).request_id IS NOT NULL
	AND num_nonnulls((r).content_type, (r).invoked_production_variant,
		(r).custom_attributes, (r).new_session_id, (r).closed_session_id) = 0
FROM (SELECT sagemaker_invoke('%s', ''::bytea) OFFSET 0) AS c(r)
SQL
	't', 'members that an answer lacks are NULL, and its body is empty');

for my $interim (100, 102, 103)
{
	is(answered({ interim => 3, interim_status => $interim, body => 'final' })
		->{value}, 'final', "answers of status $interim are passed over");
}
my $no_content = answered({ status => 204 });
is("$no_content->{sqlstate} <$no_content->{value}>", '00000 <>',
	'204 is a success with an empty body');

#
# What the service says, and its SQLSTATE.
#

for my $row (
	[ 400, 'ValidationError', '22023', 'the service refused the request' ],
	[ 400, 'ValidationException', '22023', 'the service refused the request' ],
	[ 404, 'UnknownOperationException', '22023', 'the service refused the request' ],
	[ 400, 'SomethingNew', '22023', 'the service refused the request' ],
	[ 403, 'AccessDeniedException', '28000', 'access denied' ],
	[ 403, 'UnrecognizedClientException', '28000', 'access denied' ],
	[ 403, 'InvalidSignatureException', '28000', 'access denied' ],
	[ 403, 'MissingAuthenticationTokenException', '28000', 'access denied' ],
	[ 403, 'IncompleteSignature', '28000', 'access denied' ],
	[ 403, 'OptInRequired', '28000', 'access denied' ],
	[ 403, 'SomethingNew', '28000', 'access denied' ],
	[ 403, 'ExpiredTokenException', '28000', 'the credentials have expired' ],
	[ 424, 'ModelError', '38000', 'the model failed' ],
	[ 429, 'ModelNotReadyException', '53000', 'the model is not ready' ],
	[ 400, 'ThrottlingException', '53000', 'the service throttled the request' ],
	[ 429, 'TooManyRequestsException', '53000', 'the service throttled the request' ],
	[ 500, 'InternalFailure', '58000', 'the service failed' ],
	[ 503, 'ServiceUnavailable', '58000', 'the service failed' ],
	[ 530, 'InternalDependencyException', '58000', 'the service failed' ],
	[ 500, 'SomethingNew', '58000', 'the service failed' ])
{
	my ($status, $code, $sqlstate, $what) = @$row;
	my $name = endpoint(json_error($status, $code, { Message => 'as told' }));
	my $outcome = outcome($node, call($name));
	my ($request) = $emulator->requests($name);

	is_failure($outcome, $sqlstate, qr/^endpoint "$name": \Q$what\E: as told$/,
		[ qr/HTTP status $status, code $code\./,
			qr/Request id $request->{request_id}\./,
			qr/Host \Q$host\E, region us-east-1\./,
			qr/1 attempt, / ],
		"$status $code is $sqlstate with status, code, request id, host, region");
}

for my $row (
	[ 400, '22023' ], [ 401, '28000' ], [ 403, '28000' ], [ 404, '22023' ],
	[ 413, '54000' ], [ 424, '38000' ], [ 429, '53000' ], [ 500, '58000' ],
	[ 502, '58000' ], [ 503, '58000' ], [ 504, '58000' ], [ 530, '58000' ])
{
	my ($status, $sqlstate) = @$row;
	is_failure(answered({ status => $status, body => 'plain words' }),
		$sqlstate, qr/: plain words$/, qr/^HTTP status $status\./,
		"$status without a code is $sqlstate");
}

my $too_large = answered({ use => 'too-large' });
is_failure($too_large, '54000',
	qr/: the request's body is too large for the endpoint: HTTP content length exceeded 26214400 bytes\.$/,
	qr/HTTP status 413\./, '413 says that the body was too large');
like($too_large->{hint}, qr/fewer rows/, 'and what to do');

my $code_in_header = answered({ status => 400, message => undef,
	code => 'ThrottlingException', code_tail => JSON::PP::true });
is_failure($code_in_header, '53000',
	qr/: the service throttled the request: ThrottlingException$/,
	qr/HTTP status 400, code ThrottlingException\./,
	'throttling is recognised by its header alone, with a tail');
for my $row (
	[ 'code', { code => 'ThrottlingException', message => 'slower' } ],
	[ '__type', { __type => 'ThrottlingException', message => 'slower' } ],
	[ '__type with a namespace',
		{ __type => 'com.amazon.coral#ThrottlingException', message => 'slower' } ])
{
	my ($where, $body) = @$row;
	is_failure(answered({ status => 400, body => { json => $body } }), '53000',
		qr/: slower$/, qr/code ThrottlingException\./,
		"a code in the body's $where is read");
}

is_failure(
	answered(json_error(424, 'ModelError', {
		Message => 'Received client error (415) from primary',
		OriginalStatusCode => 415, OriginalMessage => 'Unsupported content type',
		LogStreamArn => 'arn:aws:logs:us-east-1:123456789012:log-group:x' })),
	'38000',
	qr/: the model failed with status 415: Unsupported content type$/,
	[ qr/The service said: Received client error \(415\) from primary\./,
		qr/Log stream arn:aws:logs:us-east-1:123456789012:log-group:x\./ ],
	"a model's failure shows its own status and message, and its log");

is_failure(answered({ status => 500, body => { json => { detail => 'why' } } }),
	'58000', qr/"detail": "why"/, qr/./,
	'a JSON error without a message is shown as it is');

#
# Errors about keys.
#

# The keys of a session, which must be whole.
sub keys_of_session
{
	my ($id, $secret_key, $session_token) = @_;
	return ("access_key_id = '$id'", "secret_access_key = '$secret_key'",
		defined $session_token ? "session_token = '$session_token'" : ());
}

for my $row (
	[ 'a wrong secret', 'InvalidSignatureException', 'us-east-1',
		keys_of_session('AKIDEMULATOR', 'wrong') ],
	[ 'an unknown key', 'UnrecognizedClientException', 'us-east-1',
		keys_of_session('AKIDUNKNOWNATOR', $secret) ],
	[ 'another region', 'InvalidSignatureException', 'eu-west-1',
		"region = 'eu-west-1'" ])
{
	my ($what, $code, $region, @settings) = @$row;
	my $outcome = outcome($node, call('echo'), settings => \@settings);
	is_failure($outcome, '28000', qr/^endpoint "echo": access denied: /,
		[ qr/code $code/, qr/Host \Q$host\E, region $region\./,
			qr/Access key id ending in ATOR\.$/ ],
		"$what: host, region and the key id's last four are shown");
	unlike(join(' ', $outcome->{message}, $outcome->{detail}), qr/AKID/,
		'and no more of the key id');
}
is_failure(
	outcome($node, call('echo'), settings =>
		[ keys_of_session('AKIDTEMPORARY', $secret, 'another') ]),
	'28000', qr/: the credentials have expired: /,
	[ qr/code ExpiredTokenException/, qr/ending in RARY\.$/ ],
	'an expired token is told from a wrong one');

#
# Secrets that come back.
#

my @temporary = keys_of_session('AKIDTEMPORARY', $secret, $token);

# The service repeats in such an error all that was signed, the token too.
my $echoed = outcome($node, call('echo'),
	settings => [ keys_of_session('AKIDTEMPORARY', 'wrong', $token) ]);
is_failure($echoed, '28000', [ qr/x-amz-security-token:\*{206}/,
	qr/^(?!.*token-TTT)/s ], qr/^(?!.*token-TTT)/s,
	'the token in the canonical request that the service repeats is blotted out');

my $said = "key $secret, token $token";
for my $row (
	[ 'message', json_error(500, 'InternalFailure', { message => $said }) ],
	[ 'code', { status => 500, code => "$secret-$token" } ],
	[ 'request id',
		{ status => 500, headers => { 'x-amzn-RequestId' => $said } } ],
	[ 'original message, log stream', json_error(424, 'ModelError',
		{ Message => $said, OriginalMessage => $said, LogStreamArn => $said }) ],
	[ 'plain text', { status => 502, body => $said } ],
	[ 'text past the cut', { status => 502, body => 'x' x 1015 . $secret } ],
	[ 'status line', { raw => "HTTP/1.1 $secret\r\n\r\n" } ])
{
	my ($where, $step) = @$row;
	my $outcome = answered($step, settings => \@temporary);
	my $all = join "\n", map { $outcome->{$_} // '' } qw(message detail hint);
	ok( $outcome->{message} =~ /^endpoint "e-/
		  && $all !~ /emulator-s/ && $all !~ /token-T/,
		"secrets in the $where are blotted out") || diag($all);
}

#
# Bodies of all kinds.
#

for my $row (
	[ 'XML', { use => 'error-xml' }, '58000', qr/the service failed: Try again\.$/ ],
	[ 'HTML', { use => 'error-html' }, '58000', qr/502 Bad Gateway/ ],
	[ 'no body', { use => 'error-empty' }, '58000', qr/: the service failed$/ ],
	[ 'not UTF-8', { use => 'error-not-utf8' }, '58000',
		qr/\{"message": "\\xff\\xfe\\x80"\}$/ ],
	[ '1 MB', { use => 'error-long' }, '58000', qr/: x{1024}\.\.\.$/ ],
	[ '1 MB that is no JSON', { status => 500, body => { zeros => 1048576 } },
		'58000', qr/: (\\x00){1024}\.\.\.$/ ],
	[ 'nested 100,000 deep', { use => 'error-nested' }, '58000', qr/: \[{1024}\.\.\.$/ ],
	[ 'nested 1,000,000 deep', { use => 'error-nested', body =>
		{ nested_json => 1000000 } }, '58000', qr/: \[{1024}\.\.\.$/ ],
	[ 'an array', { status => 500, body => '[{"message": "m"}]' }, '58000',
		qr/: \[\{"message": "m"\}\]$/ ],
	[ 'a number', { status => 500, body => '17' }, '58000', qr/: 17$/ ],
	[ 'a message that is none', { status => 500, code => 'InternalFailure',
		body => '{"message": {"message": "deep"}}' }, '58000',
		qr/: InternalFailure$/ ],
	[ 'cut JSON', { status => 500, body => '{"message": "half' }, '58000',
		qr/: \{"message": "half$/ ],
	[ 'a NUL in JSON', { status => 500, body => '{"message": "a\u0000b"}' },
		'58000', qr/: \{"message": "a\\u0000b"\}$/ ],
	[ 'a lone surrogate', { status => 500, body => '{"message": "\ud800"}' },
		'58000', qr/\\ud800/ ],
	[ 'a huge number', { status => 424, code => 'ModelError', body =>
		'{"OriginalStatusCode": 99999999999999999999, "Message": "m"}' },
		'38000', qr/: m$/ ])
{
	my ($kind, $step, $sqlstate, $message) = @$row;
	my $outcome = answered($step);
	is_failure($outcome, $sqlstate, $message, qr/HTTP status/,
		"an error's body survived: $kind");
}

is_failure(
	answered({ status => 500, body =>
		"two\r\nlines\tand \x{1b}[31mred \x{7f} \x{9b}31m" }),
	'58000', qr/: two  lines and \\x1b\[31mred \\x7f \\xc2\\x9b31m$/,
	qr/./, 'line breaks and controls of a service do not reach a terminal');
is_failure(answered({ status => 500, code => "In\x{e9}",
		headers => { 'x-amzn-RequestId' => "id\x{e9}" } }),
	'58000', qr/: In\\xe9$/, [ qr/code In\\xe9\./, qr/Request id id\\xe9\./ ],
	'bytes in headers that are no ASCII are escaped');
is_failure(answered(json_error(500, 'InternalFailure',
		{ message => "\x{4e00}\x{e9}" })),
	'58000', qr/: \x{4e00}\x{e9}$/, qr/./,
	'characters that the database has are shown');

#
# A database that lacks most characters.
#

$node->command_ok(
	[ 'createdb', '-h', $node->host, '-p', $node->port, '-E', 'LATIN1',
		'-T', 'template0', '--locale=C', 'latin1' ],
	'a database in LATIN1');
$node->safe_psql('latin1', 'CREATE EXTENSION sagemaker_rt');
install_outcomes($node, 'latin1');
for my $row (
	[ 'escaped', '{"message": "\u4e00"}', qr/\\u4e00/ ],
	[ 'raw', "{\"message\": \"\x{4e00}\"}", qr/\\xe4\\xb8\\x80/ ],
	[ 'which it has', "{\"message\": \"\x{e9}\"}", qr/: \\xe9$/ ])
{
	my ($how, $body, $message) = @$row;
	is_failure(
		answered({ status => 400, code => 'ThrottlingException', body => $body },
			database => 'latin1'),
		'53000', $message, qr/code ThrottlingException\./,
		"LATIN1: an error with a character $how is understood");
}

#
# Redirects are answers that the service does not give.
#

for my $status (301, 302, 303, 307, 308)
{
	is_failure(answered({ status => $status, redirect => JSON::PP::true }),
		'38S01', qr/: the answer is not one that the service gives/,
		qr/HTTP status $status\./, "$status is an error");
}
is_failure(answered({ status => 304 }), '38S01', qr/not one that/,
	qr/HTTP status 304\./, '304 is an error');
is($emulator->control('stats')->{recorded}, 0, 'and none was followed');

#
# No answer.
#

my $closed = $emulator->control('listener', { kind => 'closed' })->{port};
my $full = $emulator->control('listener', { kind => 'full' })->{port};
for my $row (
	[ 'a refused connection', "endpoint_url = 'http://127.0.0.1:$closed'",
		qr/: could not connect: /, qr/while connecting/ ],
	[ 'a connection that never comes', "endpoint_url = 'http://127.0.0.1:$full'",
		qr/: could not connect in time$/, qr/while connecting, after \d+ ms/ ],
	[ 'an unknown host', "endpoint_url = 'https://no-such-host.invalid'",
		qr/: (the host name could not be resolved|could not connect in time)/,
		qr/while resolving/ ])
{
	my ($what, $setting, $message, $detail) = @$row;
	is_failure(
		outcome($node, call('echo'),
			settings => [ $setting, "connect_timeout = '500ms'" ]),
		'58030', $message, $detail, "$what is 58030");
}
for my $row (
	[ 'no answer', { hang => JSON::PP::true }, qr/: no answer in time$/,
		qr/while waiting, after \d{3} ms/ ],
	[ 'half an answer', { use => 'pause' }, qr/: no answer in time$/,
		qr/while reading, after \d{3} ms/ ],
	[ 'a connection closed', { use => 'drop' },
		qr/: the connection ended before the answer did: /, qr/while waiting/ ],
	[ 'a connection reset', { use => 'reset' },
		qr/: the connection ended before the answer did: /, qr/while waiting/ ],
	[ 'an answer cut off', { use => 'cut' },
		qr/: the connection ended before the answer did: /, qr/while reading/ ])
{
	my ($what, $step, $message, $detail) = @$row;
	is_failure(answered($step, settings => ["timeout = '300ms'"]), '58030',
		$message, $detail, "$what is 58030, and says how far it came");
}

is(outcome($node, call('echo', q{convert_to('well', 'UTF8')}))->{value}, 'well',
	'the next call is a good one');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/,
	'no backend crashed');

done_testing();
