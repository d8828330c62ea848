# A language model's text comes piece by piece out of every form that model
# servers have, and a stream that fails is never a short success.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator);

# Text here is bytes of UTF-8, and stays so.
my $json = JSON::PP->new->canonical;
sub json_of { return $json->encode($_[0]) }

sub ledger
{
	my ($endpoint) = @_;
	return $emulator->control("streams?endpoint=$endpoint")->[-1] // {};
}

# The rows of a stream in the SELECT list, one column a "|".
sub rows
{
	my ($call, $columns) = @_;
	$columns //= '(s).*';
	return
	  "SELECT $columns FROM (SELECT sagemaker_stream_text($call) AS s) AS t";
}

sub text_of
{
	my ($call) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(delta, '') FROM sagemaker_stream_text($call)");
}

# The endpoint's stream is these bytes, in parts of so many.
sub script_bytes
{
	my ($endpoint, $bytes, $size, %more) = @_;
	my @parts = $bytes =~ /(.{1,$size})/sg;
	$emulator->script($endpoint, [],
		{ stream => [ map { { part => { base64 => encode_base64($_, '') } } } @parts ], %more });
}

# The model servers.

my $prompt = q{'{"inputs": "héllo wörld, how are you", "stream": true}'::jsonb};
is( $node->safe_psql('postgres', rows("'parrot', $prompt")),
	join("\n", 'héllo||||', ' wörld,||||', ' how||||', ' are||||',
		' you|stop|{"finish_reason": "stop", "generated_tokens": 5}||'),
	'lines of JSON, as LMI sends them');
is( $node->safe_psql('postgres', rows("'parrot', $prompt, accept => 'text/event-stream'")),
	join("\n", 'héllo||||', ' wörld,||||', ' how||||', ' are||||',
		' you|stop|{"finish_reason": "stop", "generated_tokens": 5}||'),
	'events, as TGI sends them');
is( $node->safe_psql('postgres', rows(
			q{'parrot', '{"messages": [{"role": "user", "content": "one two three"}], "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 2}'::json})),
	join("\n", 'one||||', ' two||||', '|length|||',
		'||{"prompt_tokens": 3, "completion_tokens": 2}||'),
	q{chunks of OpenAI's chat});
is(text_of(q{'parrot', '{"inputs": "all at once"}'}), 'all at once',
	'an answer in one message');
is( text_of(q{'parrot', '{"messages": [{"role": "user", "content": "so be it"}]}'}),
	'so be it', q{and one of OpenAI's chat});

my %forms = (
	'lines of JSON' => [ join('', map { json_of({ token => { text => $_ } }) . "\n" } ('é', '€uro', ' 😀'))
		  . json_of({ token => { text => '.' }, generated_text => 'é€uro 😀.' }), 'é€uro 😀.' ],
	'events' => [ ": hello\n\n" . join('', map { 'data:' . json_of({ token => { text => $_ } }) . "\r\n\r\n" } ('é', '€uro'))
		  . 'data: ' . json_of({ token => { text => '</s>', special => \1 }, generated_text => 'é€uro' }), 'é€uro' ],
	'completions' => [ join('', map { 'data: ' . json_of({ choices => [ { text => $_, finish_reason => undef } ] }) . "\n\n" } ('é', '€uro'))
		  . "data: [DONE]\n\n", 'é€uro' ],
	'several choices' => [ join('', map { 'data: ' . json_of({ choices => [ { index => $_->[0], delta => { content => $_->[1] } } ] }) . "\n\n" }
			  ([ 0, 'é' ], [ 1, 'no' ], [ 0, '€uro' ], [ 1, 'no' ]))
		  . 'data: ' . json_of({ choices => [ { index => 0, delta => {}, finish_reason => 'stop' } ] }), 'é€uro' ],
	'no error' => [ join('', map { json_of({ error => $_, outputs => ['x'] }) . "\n" } (undef, JSON::PP::false, '')), 'xxx' ],
	'outputs' => [ join('', map { json_of({ outputs => [$_] }) . "\n" } ('é', '€uro')), 'é€uro' ]);
for my $form (sort keys %forms)
{
	my ($bytes, $text) = @{ $forms{$form} };
	for my $size (1, 2, 3, 7, 1000)
	{
		script_bytes('cut', $bytes, $size);
		is(text_of(q{'cut', '{}'}), $text, "$form, in parts of $size");
	}
}
for my $size (1 .. 5)
{
	script_bytes('plain', "é€uro 😀\nend", $size,
		content_type => 'text/plain; charset=utf-8');
	is(text_of(q{'plain', '{}'}), "é€uro 😀\nend", "plain text, in parts of $size");
}
script_bytes('path', qq({"a":{"b":["é"]}}\n{"x":1}\n{"a":{"b":["f"]}}\n), 4);
is(text_of(q{'path', '{}', path => '$.a.b[0]'}), 'éf', 'a path of the caller');

# The form is that of the request, too.
is( $node->safe_psql('postgres', rows(
			q{'parrot', '{"inputs": "a b", "stream": true}'::bytea, server => NULL}, '(s).delta')),
	"a\n b", 'a body of bytes');
is($node->safe_psql('postgres', rows(q{'parrot', NULL::jsonb})), '', 'no body, no row');
fails_with($node, rows(q{'parrot', '{}', on_error => 'ignore'}),
	'22023', qr/"on_error"/, 'on_error is checked');
fails_with($node, rows(q{'parrot', '{}', path => '$.['}),
	'42601', qr/jsonpath/, 'so is path');

# The first delta is there before the last one is made.

$emulator->script('slow', [], { stream => [
	qq({"token": {"text": "one"}}\n), { gate => \1 }, qq({"token": {"text": " two"}, "generated_text": "one two"}) ] });
my $session = Session->new($node);
$session->must('BEGIN; DECLARE c CURSOR FOR ' . rows(q{'slow', '{}'}, '(s).delta'));
is($session->must('FETCH c'), 'one', 'FETCH gives the first delta');
ok(wait_until(sub { ledger('slow')->{state} eq 'waiting' }), 'while the model waits');
is(ledger('slow')->{parts}, 1, 'and has not made the last one');
$emulator->control('release', { endpoint => 'slow' });
is($session->must('FETCH c'), ' two', 'which the next FETCH gives');
$session->must('COMMIT');

# Failures.  Each ends the statement with an error of its own, after the rows
# that came before it; or, if on_error says so, is the last row.

my @failures = (
	[ 'stream-exception', '38S03', qr/the stream broke off: StreamBroken: The model's stream broke\./ ],
	[ 'stream-timeout', '38S03', qr/the stream broke off: ModelInvocationTimeExceeded: The model took too long\./ ],
	[ 'stream-failure', '58000', qr/the service failed: The service failed\./ ],
	[ 'stream-error', '38S03', qr/the stream broke off: the stream crashed/ ],
	[ 'stream-cut', '38S03', qr/the stream broke off: it ended within a frame/ ],
	[ 'stream-damaged', '38S03', qr/the stream broke off: the checksum of a frame is wrong/ ],
	[ 'stream-damaged-length', '38S03', qr/the stream broke off: the checksum of a frame's lengths is wrong/ ],
	[ 'stream-lost', '38S03', qr/the stream broke off: / ],
	[ 'stream-reset', '38S03', qr/the stream broke off: / ],
	[ 'stream-silent', '58030', qr/no answer in time/ ],
	[ 'stream-unfinished', '38S03', qr/the stream broke off: it ended without the model's reason to finish/, 'text only' ],
	[ 'stream-model-error', '38S03', qr/the answer holds an error: .*"finish_reason": ?"error"/, 'text only' ],
	[ 'stream-error-message', '38S03', qr/the answer holds an error: out of memory/, 'text only' ]);

for (@failures)
{
	my ($endpoint, $sqlstate, $message, $text_only) = @$_;
	my $options = q{options => '{"timeout": "700ms"}'};

	$emulator->reset;
	for my $columns ($text_only ? () : ([ 'invoke_stream', 'p.part_number' ]), [ 'stream_text', 'p.delta' ])
	{
		my ($function, $column) = @$columns;
		$session->must('BEGIN; DECLARE c CURSOR FOR SELECT (p).* FROM '
			  . "(SELECT sagemaker_$function('$endpoint', '{}', $options) AS p) AS s");
		isnt($session->must('FETCH c'), '', "$endpoint: $function gives the first row");
		isnt($session->must('FETCH c'), '', 'and the second');
		my $result = $session->run('FETCH c');
		is($result->{sqlstate}, $sqlstate, 'and then its SQLSTATE');
		like($result->{message}, $message, 'and message');
		like($result->{message}, qr/^endpoint "$endpoint": /, 'with the endpoint');
		like($result->{errors}, qr/\d+ bytes of the stream had come/, 'and what came');
		like($result->{errors}, qr/Request id [0-9a-f-]{36}/, 'and the request');
		$session->must('ROLLBACK');
		fails_with($node, "SELECT FROM sagemaker_$function('$endpoint', '{}', $options)",
			$sqlstate, $message, 'in FROM, too');
	}
	is($emulator->request_count($endpoint), $text_only ? 2 : 4, 'and nothing is sent twice');
	is( $node->safe_psql('postgres', rows("'$endpoint', '{}', on_error => 'null', $options",
				q{(s).delta, (s).sqlstate, (s).error ~ '^endpoint'})),
		"one||\n two||\n|$sqlstate|t", 'or its last row');
}
my $warned = $session->run(rows(q{'stream-exception', '{}', on_error => 'warning'}, '(s).delta, (s).sqlstate'));
is($warned->{output}, "one|\n two|\n|38S03", 'with a warning the rows are the same');
like($warned->{errors}, qr/WARNING:  38S03: endpoint "stream-exception": the stream broke off/, 'and it is said');

# Whatever fails before the first part fails as any call, and is tried again.

fails_with($node, rows(q{'stream-no-stream', '{}'}), '38S03',
	qr/the answer holds an error: .*the container's own/, 'an error in place of a stream');
is($emulator->request_count('stream-no-stream'), 1, 'is not tried again');
fails_with($node, rows(q{'model-error', '{}'}), '38000', qr/could not convert string/, 'a model error');
fails_with($node, rows(q{'access-denied', '{}'}), '28000', qr/not authorized/, 'an error of access');
fails_with($node, rows(q{'nowhere', '{}'}), '22023', qr/not found/, 'an endpoint that is not there');
is( $node->safe_psql('postgres', rows(q{'nowhere', '{}', on_error => 'null'}, '(s).sqlstate')),
	'22023', 'they are a row, too');

my $good = { stream => [ qq({"outputs": ["good"]}\n) ] };
for my $bad (
	{ use => 'throttling' },
	{ use => 'service-unavailable' },
	{ use => 'reset' },
	{ stream => [ { exception => 'InternalStreamFailure', members => { Message => 'm' } } ] },
	{ stream => [ { exception => 'ModelStreamError', members => { ErrorCode => 'StreamBroken' } } ] },
	{ stream => [ { part => 'x', damage => 'payload' } ] },
	{ stream => [ { part => 'x', cut => 30 } ], after => 'close' },
	{ stream => [], after => 'close' })
{
	$emulator->reset;
	$emulator->script('again', [$bad], $good);
	is(text_of(q{'again', '{}'}), 'good', 'tried again before the first part: ' . json_of($bad));
	is($emulator->request_count('again'), 2, 'once');
}
$emulator->script('never', [], { stream => [ { exception => 'ModelStreamError', members => { ErrorCode => 'StreamBroken', Message => 'm' } } ] });
fails_with($node, rows(q{'never', '{}'}), '38S03', qr/StreamBroken: m/, 'not for ever');
is($emulator->request_count('never'), 3, 'but max_attempts times');

# What no text is found in.

script_bytes('unknown', qq({"something": "else"}\n), 100);
fails_with($node, rows(q{'unknown', '{}'}), '38S01',
	qr/no text was found in the answer: \{"something": ?"else"\}/, 'messages of no known form');
script_bytes('csv', "1,2\n3,4\n", 100);
fails_with($node, rows(q{'csv', '{}'}), '38S03', qr/a message is no JSON/, 'messages that are no JSON');
script_bytes('cut', qq({"token": {"text": "one"}}\n{"token": {"te), 100);
fails_with($node, rows(q{'cut', '{}'}), '38S03', qr/a message is no JSON/, 'a message that is cut off');
script_bytes('latin', "caf\xe9\xe9\xe9\xe9", 100, content_type => 'text/plain');
fails_with($node, rows(q{'latin', '{}'}), '38S01', qr/it is not UTF-8/, 'text that is no UTF-8');
script_bytes('half', "caf\xc3", 100, content_type => 'text/plain');
fails_with($node, rows(q{'half', '{}'}), '38S03', qr/it ended within a character/, 'text that ends within a character');
script_bytes('nul', qq({"outputs": ["a"]}\n{"outputs": ["b\\u0000"]}\n), 100);
fails_with($node, rows(q{'nul', '{}'}), '38S03', qr/cannot be converted to text/, 'a character that no text can have');
script_bytes('deep', '[' x 100000 . ']' x 100000, 30000);
is( $node->safe_psql('postgres', rows(q{'deep', '{}', on_error => 'null'}, '(s).sqlstate')),
	'54001', 'so is what is nested too deeply');
$emulator->script('long', [], { stream => [ { part => { zeros => 1_000_000 }, times => 20 } ] });
fails_with($node, rows(q{'long', '{}'}), '38S03', qr/larger than 16 MB/, 'a message without an end');

# Another encoding.

$node->safe_psql('postgres',
	q{CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
$node->safe_psql('latin1', 'CREATE EXTENSION sagemaker_rt');
script_bytes('euro', qq({"outputs": ["é"]}\n{"outputs": ["€"]}\n), 3);
is( $node->safe_psql('latin1', q{SET client_encoding = 'UTF8'; }
		  . rows(q{'euro', '{}', on_error => 'null'}, '(s).delta, (s).sqlstate')),
	"é|\n|22P05", 'text becomes that of the database, and what it lacks is an error');
script_bytes('euro', 'é€', 2, content_type => 'text/plain');
is( $node->safe_psql('latin1', q{SET client_encoding = 'UTF8'; }
		  . rows(q{'euro', '{}', on_error => 'null'}, '(s).delta, (s).sqlstate')),
	"é|\n|22P05", 'plain text, too');

# Cancel is not an error that becomes a row.

$emulator->script('wait', [], { stream => [ qq({"outputs": ["a"]}\n), { gate => \1 } ] });
$session->start(rows(q{'wait', '{}', on_error => 'null'}));
ok(wait_until(sub { (ledger('wait')->{state} // '') eq 'waiting' }), 'a stream waits');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'and is cancelled');

$session->quit;
done_testing();
