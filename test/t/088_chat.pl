# Language models: prompts as they are sent, results as their types say, and every
# answer that is none.  The local endpoint's models are a bag of words, which SQL
# need not repeat: which words make a complaint is known beforehand.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

# CREATE FUNCTION of a model: its signature, then its options.
sub model
{
	my ($signature, $options) = @_;
	my ($name) = $signature =~ /^(\w+)/;
	return "DROP FUNCTION IF EXISTS $name; CREATE FUNCTION $signature LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS \$\$$options\$\$;";
}

# What it gives; its error, where it should have none.
sub must
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', $_[0], on_error_stop => 1);
	return $status == 0 ? $stdout : "$stdout$stderr";
}

# The last body that was sent.
sub last_sent
{
	my ($last) = reverse @{ $emulator->control('captures') };
	return decode_base64($last->{captureData}{endpointInput}{data});
}

#
# What is sent.  The endpoint captured takes anything, and its answer is no chat's.
#
for (
	[ 'p(body text) RETURNS text', '"format": "chat"', "p('Hi')", '{"messages":[{"role":"user","content":"Hi"}]}' ],
	[ 'p(text) RETURNS text', '"format": "chat"', "p('Hi')", '{"messages":[{"role":"user","content":"Hi"}]}', 'an argument without a name' ],
	[ 'p(body text) RETURNS text', '"format": "chat", "system": "Be {{brief}}.", "prompt": "{body}? {{body}} {1}!"', "p('Hi')",
		'{"messages":[{"role":"system","content":"Be {brief}."},{"role":"user","content":"Hi? {body} Hi!"}]}' ],
	[ 'p(body text) RETURNS text', '"format": "chat", "parameters": {"max_tokens": 5, "stop": ["."]}', "p('Hi')",
		'{"stop": ["."], "max_tokens": 5,"messages":[{"role":"user","content":"Hi"}]}' ],
	[ 'p(a int, b numeric[], c jsonb, d bool, e date, f text) RETURNS text', '"format": "chat", "prompt": "{a} {b} {c} {d} {e} {f}."', q(p(1, '{1.50,NULL}', '{"k": "v"}', true, '2024-02-29', NULL)),
		'{"messages":[{"role":"user","content":"1 [1.50,null] {\"k\": \"v\"} true 2024-02-29 ."}]}' ],
	[ 'p(body text) RETURNS text', '"format": "chat", "nulls": "nan"', 'p(NULL)', '{"messages":[{"role":"user","content":"NaN"}]}' ],
	[ 'p(body text) RETURNS boolean', '"format": "chat", "response_format": "json_schema"', "p('Hi')",
		'{"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object","properties":{"answer":{"type":"boolean"}},"required":["answer"],"additionalProperties":false}}},"messages":[{"role":"user","content":"Hi"}]}' ],
	[ 'p(body text) RETURNS int', '"format": "chat"', "p('Hi')",
		'{"messages":[{"role":"user","content":"Hi\n\nAnswer with JSON only, without any other text. It has to fit this JSON schema: {\"type\":\"object\",\"properties\":{\"answer\":{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647}},\"required\":[\"answer\"],\"additionalProperties\":false}"}]}' ],
	[ 'p(body text) RETURNS jsonb', '"format": "chat", "system": "You are {body}", "response_format": "json_schema"', "p('Hi')",
		'{"response_format":{"type":"json_object"},"messages":[{"role":"system","content":"You are Hi\n\nAnswer with JSON only, without any other text."},{"role":"user","content":"Hi"}]}' ],
	[ 'p(body text) RETURNS jsonb', '"format": "inputs", "prompt": "Judge: {body}", "parameters": {"k": 1}, "constant": {"c": 2}', "p('Hi')", '{"inputs":["Judge: Hi"],"c": 2,"parameters":{"k": 1}}' ],
	[ 'p(body text) RETURNS jsonb', '"format": "single", "prompt": "Judge: {body}"', "p('Hi')", '{"inputs":"Judge: Hi"}' ],
	[ 'p(body text) RETURNS jsonb', '"format": "single", "prompt": "Judge: {body}", "parameters": {"max_new_tokens": 1}', "p('Hi')", '{"parameters":{"max_new_tokens": 1},"inputs":"Judge: Hi"}' ])
{
	my ($signature, $options, $call, $sent, $name) = @$_;
	$node->psql('postgres', model($signature, "{\"endpoint\": \"captured\", $options}") . "SELECT $call");
	is(last_sent(), $sent, 'sent: ' . ($name // $options));
}

# What does not fit is told when the function is made.
for (
	[ 'p(body text) RETURNS text', '"format": "chat", "prompt": "{bod}"', qr/option "prompt" is not valid: there is no argument "bod", but "body"; write "\{\{" for a brace/ ],
	[ 'p(body text, int) RETURNS text', '"format": "chat", "prompt": "{3}"', qr/there is no argument "3", but "body", "2"/ ],
	[ 'p(body text) RETURNS text', '"format": "chat", "prompt": "{body"', qr/a brace alone is no placeholder: write "\{\{" for a brace/ ],
	[ 'p(body text) RETURNS text', '"format": "chat", "system": "a } b"', qr/option "system" is not valid: a brace alone is no placeholder: write "\}\}" for a brace/ ],
	[ 'p(a text, b text) RETURNS text', '"format": "chat"', qr/option "prompt" is missing/ ],
	[ 'p(body text) RETURNS text', '"format": "csv", "prompt": "{body}"', qr/option "prompt" is not valid: only the formats chat, inputs and single/ ],
	[ 'p(body text) RETURNS text', '"format": "inputs", "system": "x"', qr/option "system" is not valid: only the format chat/ ],
	[ 'p(body text) RETURNS text', '"format": "instances", "parameters": {}', qr/option "parameters" is not valid/ ],
	[ 'p(body text) RETURNS text', '"format": "chat", "parameters": 3', qr/option "parameters" is not valid: it must be a JSON object/ ],
	[ 'p(body text) RETURNS text', '"format": "chat", "min_rows": 2', qr/option "min_rows" is not valid: the format chat sends one row alone/ ],
	[ 'p(body text) RETURNS text', '"format": "inputs", "repair": true', qr/option "repair" is not valid: it is for the format chat/ ],
	[ 'p(body text) RETURNS text', '"format": "chat", "response_format": "xml"', qr/option "response_format" is not valid: it must be one of words, json_schema, json_object/ ])
{
	my ($signature, $options, $message) = @$_;
	fails_with($node, model($signature, "{\"endpoint\": \"captured\", $options}"), '22023', $message, "refused: $options");
}

# Rows that try to be more than text.
must(<<'SQL' . model('parrot(a text, b text) RETURNS text', '{"endpoint": "chat-parrot", "format": "chat", "prompt": "{{a}} {a} | {b} \"}}"}'));
CREATE TABLE hostile (id int, a text, b text);
INSERT INTO hostile SELECT row_number() OVER (), a, b FROM (VALUES
	('"', 'plain'), ('\', '\"'), ('{b}', '{{b}}'), ('{a}}', '}'), ('"}],"x":[{"', E'\n```\n'), ('```json', '```'),
	((SELECT string_agg(chr(i), '') FROM generate_series(1, 31) i) || chr(127), E'\t'),
	((SELECT string_agg(chr(65536 * p + 4660), '') FROM generate_series(0, 16) p), U&'\FFFD\0301\200F\2028'),
	(repeat('a"{b}', 200000), 'after'), ('', ''), ('Answer with JSON only, without any other text.', 'x')) v(a, b);
SQL
is(must("SELECT string_agg(id::text, ' ' ORDER BY id) FROM (SELECT *, parrot(a, b) AS p FROM hostile) s WHERE p IS DISTINCT FROM '{a} ' || a || ' | ' || b || ' \"}'"),
	'', 'every text arrives as it is, and its neighbours too');
is(must('SELECT count(parrot(a, b)) FROM hostile'), 11, '... all of them');
# The same where rows stand in one request: as values of a template, and as what they share.
must(model('pack(a text, b text) RETURNS text', '{"endpoint": "captured", "format": "inputs", "prompt": "{{a}} {a} | {b} \"}}", "predictions": "$.inputs[*]"}')
	. model('shared(a text, b text) RETURNS text', '{"endpoint": "captured", "format": "inputs", "shared": ["a"], "rows_member": "texts", "predictions": "$.texts[*]"}'));
$emulator->reset;
is(must("SELECT string_agg(id::text, ' ' ORDER BY id) FROM (SELECT *, pack(a, b) AS p FROM hostile OFFSET 0) s WHERE p IS DISTINCT FROM '{a} ' || a || ' | ' || b || ' \"}'"),
	'', '... and its neighbours of the same request');
is($emulator->request_count('captured'), 1, '... which is one');
$emulator->reset;
is(must("SELECT count(*) FROM (SELECT b, shared(a, b) AS s FROM (SELECT a, b || n AS b FROM hostile, generate_series(1, 3) n ORDER BY id, n OFFSET 0) h OFFSET 0) s WHERE s IS DISTINCT FROM b"),
	0, '... and those that share it');
is($emulator->request_count('captured'), 11, '... in a request for each');
is(join('', sort map { decode_json(decode_base64($_->{captureData}{endpointInput}{data}))->{a} } @{ $emulator->control('captures') }),
	join('', sort map { decode_json($_)->[0] } split(/\n/, must('SELECT jsonb_build_array(a) FROM hostile'))), '... as it is');

#
# The result type is the contract.
#
must(<<'SQL');
CREATE TYPE kind AS ENUM ('praise', 'question', 'complaint', 'oth"er');
CREATE TABLE mail (id int, body text, kind kind);
INSERT INTO mail SELECT i, (ARRAY['what a lovely kettle', 'my kettle broke, I want my money back', 'does the kettle come in red'])[i % 3 + 1] || ', order ' || i || ' product Kettle price ' || i || '.5. Yours, Alice',
	(ARRAY['praise', 'complaint', 'question'])[i % 3 + 1]::kind FROM generate_series(1, 30) i;
SQL
my $text = '"prompt": "Which is it? Text: {body}"';
my @ways = (
	[ 'chat', '"response_format": "json_schema"' ], [ 'chat', '"response_format": "json_object"' ], [ 'chat-plain', '"response_format": "words"' ],
	[ 'chat-terse', '"undecided_is_null": true' ], [ 'chat-plain', '"system": "You sort mail."' ]);
for (@ways)
{
	my ($endpoint, $options) = @$_;
	for (
		[ 'f(body text) RETURNS boolean', "f = (kind = 'complaint')" ],
		[ 'f(body text) RETURNS kind', 'f = kind' ],
		[ 'f(body text) RETURNS int', 'f = id' ],
		[ 'f(body text) RETURNS numeric', 'f = id' ],
		[ 'f(body text) RETURNS float8[]', 'f = ARRAY[id, id, 5]::float8[]' ],
		[ 'f(body text) RETURNS text[]', "f = '{Kettle,Yours,Alice}'" ],
		[ 'f(body text) RETURNS text', "f LIKE '%order%' OR f = 'Yours, Alice'" ],
		[ 'f(body text) RETURNS jsonb', "((f->>'complaint')::float8 > 0.5) = (kind = 'complaint')" ],
		[ 'f(body text, OUT product text, OUT price numeric, OUT "order" smallint, OUT urgent boolean, OUT kind kind)', "f = ('Kettle'::text, id + 0.5, id::smallint, kind = 'complaint', kind)" ])
	{
		my ($signature, $condition) = @$_;
		$emulator->reset;
		is(must(model($signature, "{\"endpoint\": \"$endpoint\", \"format\": \"chat\", $text, $options}")
				. "SELECT count(*) || ' ' || coalesce(string_agg(body || ': ' || coalesce(f::text, 'NULL'), E'\n') FILTER (WHERE ($condition) IS NOT TRUE), '')
				FROM (SELECT *, f(body) FROM mail OFFSET 0) s"), '30 ', "$endpoint, $options: $signature");
		is($emulator->request_count($endpoint), 30, '... in a request a row');
	}
	is(must(model('f(body text) RETURNS TABLE (price numeric, kind kind)', "{\"endpoint\": \"$endpoint\", \"format\": \"chat\", $text, $options}")
			. "SELECT string_agg(price || ' ' || kind, ', ') FROM f('my kettle broke, price 3. does it come in red, price 5?')"), '3.0 complaint, 5.0 question', "$endpoint, $options: a set");
}

# NULL, where it is permitted.
must("CREATE TYPE two AS (a int, b varchar(3)); CREATE DOMAIN known AS int NOT NULL; CREATE DOMAIN named AS known");
my $null = model('n(body text, OUT price numeric, OUT sender text, OUT c boolean)', '{"endpoint": "chat", "format": "chat", "response_format": "json_schema", "undecided_is_null": true}');
is(must("$null SELECT n('what a lovely kettle')"), '(,,f)', 'what is not in the text is NULL where that is permitted');
is(must(model('n(body text, OUT price named, OUT sender text)', '{"endpoint": "chat", "format": "chat", "response_format": "json_schema", "undecided_is_null": true}') . "SELECT n('what a lovely kettle')"), '(0,)', 'but not what a domain says is not null');
is(must($null =~ s/, "undecided_is_null": true//r . "SELECT n('what a lovely kettle')"), '(0,"",f)', 'and nowhere unless it is said');
is(must(model('n(body text) RETURNS numeric', '{"endpoint": "chat-plain", "format": "chat", "undecided_is_null": true}') . "SELECT n('what a lovely kettle') IS NULL"), 't', 'the same if asked for in words');
# Arrays of rows, and rows with rows in them.
must('CREATE TYPE item AS (price numeric, kind kind); CREATE TYPE order_of AS (sender text, items item[], "first" item); CREATE TYPE nothing AS ()');
my $two_sentences = "'my kettle broke, price 3. does it come in red, price 5?'";
for (@ways)
{
	my ($endpoint, $options) = @$_;
	is(must(model('n(body text) RETURNS item[]', "{\"endpoint\": \"$endpoint\", \"format\": \"chat\", $text, $options}") . "SELECT string_agg(price || ' ' || kind, ', ') FROM unnest(n($two_sentences))"),
		'3.0 complaint, 5.0 question', "$endpoint, $options: an array of rows");
	is(must(model('n(body text, OUT "order" int, OUT items order_of[])', "{\"endpoint\": \"$endpoint\", \"format\": \"chat\", $text, $options}") . q{SELECT (n)."order", i.sender, i.items, i.first FROM (SELECT n('price 3 is broken. order 7, sender Ann') OFFSET 0) s, unnest((n).items) i WHERE i.sender = 'Ann'}),
		'7|Ann|{"(7.0,praise)"}|(7.0,praise)', "$endpoint, $options: rows within rows");
}
$node->psql('postgres', model('n(body text) RETURNS item[]', '{"endpoint": "captured", "format": "chat", "response_format": "json_schema", "undecided_is_null": true}') . "SELECT n('Hi')");
is(last_sent() =~ s/.*"schema":(.*)\}\},"messages.*/$1/r, '{"type":"object","properties":{"answer":{"type":["array","null"],"items":{"type":"object","properties":{"price":{"type":["number","null"]},"kind":{"type":["string","null"],"enum":["praise","question","complaint","oth\"er",null]}},"required":["price","kind"],"additionalProperties":false}}},"required":["answer"],"additionalProperties":false}',
	'an array of rows has the schema of its type');
fails_with($node, model('n(body text) RETURNS nothing[]', '{"endpoint": "chat", "format": "chat"}'), '0A000', qr/a language model's answer cannot hold type nothing/, 'but not one without columns');

#
# Answers that are none: at the first row, in the middle, at the last.  One error
# or one NULL, and the neighbours have their own.
#
my $chat = sub { my ($content, %more) = @_; return { body => { json => { choices => [ { finish_reason => 'stop', %more, message => { role => 'assistant', content => $content, %{ $more{message} // {} } } } ] } } } };
must('CREATE TABLE n AS SELECT generate_series(1, 5) i');
for (
	[ 'boolean', $chat->('{"answer": tr', finish_reason => 'length'), '38S02', qr/^endpoint "m": the model's answer was cut off for its length: \{"answer": tr$/ ],
	[ 'text', $chat->('Once upon', finish_reason => 'length'), '38S02', qr/cut off for its length: Once upon$/ ],
	[ 'boolean', $chat->(undef, message => { refusal => 'I will not.' }), '38S02', qr/the model refused to answer: I will not\.$/ ],
	[ 'text', $chat->(undef, finish_reason => 'content_filter'), '38S02', qr/the model refused to answer: content_filter$/ ],
	[ 'boolean', $chat->('{"answer": "yes"}'), '38S02', qr/the model's answer does not fit the result type: "answer" is not of type boolean: \{"answer": "yes"\}$/ ],
	[ 'boolean', $chat->('I think so.'), '38S02', qr/it holds no JSON: I think so\.$/ ],
	[ 'boolean', $chat->('{"answer": null}'), '38S02', qr/"answer" is null/ ],
	[ 'boolean', $chat->('{"reply": true}'), '38S02', qr/"answer" is not of type boolean/ ],
	[ 'boolean', $chat->('{"a": {"answer": true}}'), '38S02', qr/"answer" is not of type boolean/ ],
	[ 'smallint', $chat->('{"answer": 32768}'), '38S02', qr/"answer" is no integer from -32768 to 32767/ ],
	[ 'int', $chat->('{"answer": 1.5}'), '38S02', qr/"answer" is no integer/ ],
	[ 'kind', $chat->('{"answer": "Praise"}'), '38S02', qr/"answer" is none of the strings that it may be/ ],
	[ 'int[]', $chat->('{"answer": [1, "2"]}'), '38S02', qr/"answer" is not of type integer/ ],
	[ 'named', $chat->('{"answer": null}'), '38S02', qr/"answer" is null/, '"undecided_is_null": true' ],
	[ 'two', $chat->('{"a": 1, "b": "four"}'), '38S02', qr/"b" is none of the strings that it may be/ ],
	[ '(OUT a int, OUT b text)', $chat->('{"a": 1}'), '38S02', qr/"b" is missing/ ],
	[ '(OUT a int, OUT b text)', $chat->('[1, "b"]'), '38S02', qr/"answer" is not of type object/ ],
	[ 'date', $chat->('{"answer": "soon"}'), '22007', qr/invalid input syntax for type date: "soon"/ ],
	[ 'boolean', $chat->(undef), '38S01', qr/^model public.m: the answer has no message$/ ],
	[ 'boolean', { body => { json => { error => 'no' } } }, '38S03', qr/the answer holds an error: no$/ ],
	[ 'boolean', { body => { json => { error => { message => 'too long' } } } }, '38S03', qr/the answer holds an error: too long$/ ],
	[ 'boolean', $chat->(undef, finish_reason => 'error'), '38S01', qr/the answer has no message/ ],
	[ 'boolean', { body => 'true', content_type => 'text/plain' }, '38S01', qr/the answer has no message/ ],
	[ 'boolean', $chat->('[' x 1000), '38S02', qr/it holds no JSON: \[{200}\.\.\.$/ ],
	[ 'boolean', $chat->('[' x 30000), '38S01', qr/the answer cannot be read: / ])
{
	my ($type, $bad, $sqlstate, $message, $more) = @$_;
	my $signature = $type =~ /^\(/ ? 'm(i int, ' . substr($type, 1) : "m(i int) RETURNS $type";
	my $good = { boolean => '{"answer": true}', text => 'fine', smallint => '{"answer": 1}', int => '{"answer": 1}', kind => '{"answer": "praise"}',
		'int[]' => '{"answer": [1]}', named => '{"answer": 1}', date => '{"answer": "2024-02-29"}', two => '{"a": 1, "b": "b"}' }->{$type} // '{"a": 1, "b": "b"}';
	for my $at (1, 3, 5)
	{
		my @options = ('"format": "chat", "concurrency": 1', $more // ());
		my $script = sub { $emulator->reset; $emulator->script('m', [ ($chat->($good)) x ($at - 1), $bad ], $chat->($good)) };
		$script->();
		fails_with($node, model($signature, '{"endpoint": "m", ' . join(', ', @options) . '}') . 'SELECT m(i) FROM n', $sqlstate, $message, "$type at row $at: $message");
		$script->();
		my ($status, $stdout, $stderr) = $node->psql('postgres', model($signature, '{"endpoint": "m", "on_error": "null", ' . join(', ', @options) . '}') .
			'SELECT string_agg(i::text, \' \' ORDER BY i) FROM (SELECT i, m(i) FROM n) s WHERE m IS NULL');
		is($stdout, $at, '... or NULL, of that row alone');
		is($emulator->request_count('m'), 5, '... in a request a row');
	}
}
$emulator->script('m', [], $chat->('{"answer": 7}'));
must(model('m(i int, OUT x boolean, OUT state text, OUT message text)', '{"endpoint": "m", "format": "chat", "columns": {"state": "$error.sqlstate", "message": "$error.message"}}'));
is(must('SELECT (m).state FROM (SELECT m(1)) s'), '38S02', 'it is data where errors are');
like(must("SET sagemaker_rt.on_error = 'null'; " . model('m(i int) RETURNS boolean', '{"endpoint": "m", "format": "chat", "on_error": "warning"}') . 'SELECT m(1) IS NULL'), qr/^t$/m, 'or NULL and a warning');
my $failure = failure($node, model('m(i int) RETURNS boolean', '{"endpoint": "m", "format": "chat"}') . 'SELECT m(1)');
like($failure->{detail}, qr/Request id [0-9a-f-]+\./, 'the detail has the request id');
like($failure->{hint}, qr/"repair"/, 'the hint what to do');

# Whatever strings are in the parts of an array of rows.
must('CREATE TYPE note AS (id int, "a ""b" text, seen date)');
my @strings = ('"', '\\', '(,)', '{}', '', 'NULL', "\n", '"",', "\x{1F600}", undef);
$emulator->script('m', [], $chat->(JSON::PP->new->encode({ answer => [ map { { id => $_, 'a "b' => $strings[$_], seen => '2024-02-29' } } 0 .. $#strings ] })));
must(model('m(i int) RETURNS note[]', '{"endpoint": "m", "format": "chat", "undecided_is_null": true}'));
is_deeply([ map { decode_json($_) } split /\n/, must(q{SELECT json_build_array(id, "a ""b", seen) FROM unnest(m(1))}) ], [ map { [ $_, $strings[$_], '2024-02-29' ] } 0 .. $#strings ], 'strings in arrays of rows stay as they are');
for ([ '{"answer": [{"id": 1, "a \"b": "x"}]}', '38S02', qr/"seen" is missing/ ], [ '{"answer": [{"id": 1.5, "a \"b": "x", "seen": null}]}', '38S02', qr/"id" is no integer/ ], [ '{"answer": [[1, "x", null]]}', '38S02', qr/"answer" is not of type object/ ],
	[ '{"answer": [{"id": 1, "a \"b": "x", "seen": "soon"}]}', '22007', qr/invalid input syntax for type date: "soon"/ ])
{
	$emulator->script('m', [], $chat->($_->[0]));
	fails_with($node, 'SELECT m(1)', $_->[1], $_->[2], "an array of rows is no $_->[0]");
}

# What surrounds an answer is passed over.
for (
	[ "```json\n{\"answer\": \"a ``` b\"}\n```", 'text[]', undef ],
	[ "Sure!\n```json\n{\"answer\": [\"a ``` b }\", \"\\\"]\"]}\n```\nDone {really}.", 'text[]', '{"a ``` b }","\"]"}' ],
	[ '  true ', 'boolean', 't' ], [ '[1, 2]', 'int[]', '{1,2}' ], [ 'It is [sic] {"answer": 3}', 'int', '3' ], [ '<think>{"answer": "?"}</think>{"answer": 4.0}', 'int', '4' ],
	[ '{"answer": 5, "why": "so"}', 'int', '5' ], [ "\x{feff}" . '{"answer": 6}', 'int', '6' ])
{
	my ($content, $type, $result) = @$_;
	$emulator->script('m', [], $chat->($content));
	my $sql = model("m(i int) RETURNS $type", '{"endpoint": "m", "format": "chat"}') . 'SELECT m(1)';
	if (defined $result) { is(must($sql), $result, 'read from: ' . ($content =~ s/[^ -~]/ /gr)) }
	else { fails_with($node, $sql, '38S02', qr/not of type array/, 'a text is no array') }
}

# A chat that is streamed.
is(must(model('s(body text) RETURNS text', '{"endpoint": "parrot", "format": "chat", "stream": true}') . "SELECT s('a {b} \"c\"')"), 'a {b} "c"', 'a streamed message is put together');
is(must(model('s(body text) RETURNS SETOF text', '{"endpoint": "parrot", "format": "chat", "stream": true, "prompt": "{body}!"}') . "SELECT count(*), string_agg(t, '') FROM s('a b c') t"), '3|a b c!', '... or comes in pieces');
is(must(model('s(body text) RETURNS SETOF text', '{"endpoint": "parrot", "format": "single", "stream": true, "prompt": "{body}!", "parameters": {"max_new_tokens": 2}}') . "SELECT count(*), string_agg(t, '') FROM s('a b c') t"), '2|a b', '... from text generation, too');

# One attempt to repair.
$emulator->reset;
must(model('r(body text) RETURNS boolean', "{\"endpoint\": \"chat-novice\", \"format\": \"chat\", $text, \"repair\": true}"));
is(must("SELECT count(*) FROM mail WHERE r(body) = (kind = 'complaint')"), 30, 'told what is wrong, the model gives what was asked for');
is($emulator->request_count('chat-novice'), 60, '... with one request more');
like(must('EXPLAIN (ANALYZE, COSTS OFF) SELECT r(body) FROM mail'), qr/Rows Sent: 30\n.*Rows Sent Again: 30\n.*Answers Sent Back: 30\n\s+Requests: 60/s, '... which EXPLAIN counts');
$emulator->script('captured', [ $chat->('{"answer": "no\"}]"}') ], undef);
$node->psql('postgres', model('r(body text) RETURNS boolean', '{"endpoint": "captured", "format": "chat", "repair": true}') . "SELECT r('Hi')");
my $messages = decode_json(last_sent())->{messages};
is_deeply([ map { $_->{role} } @$messages ], [ 'user', 'assistant', 'user' ], 'what was answered goes back');
is($messages->[1]{content}, '{"answer": "no\"}]"}', '... to the letter');
like($messages->[2]{content}, qr/^That is not what was asked for: "answer" is not of type boolean\. Answer again/, '... and what is wrong with it');
$emulator->script('m', [], $chat->('no'));
# Wherever it stands, and only what does not fit: 5 rows, with one request more.
for my $at (1, 3, 5)
{
	my $good = $chat->('{"answer": true}');
	for ([ 'repaired', [ $chat->('yes'), $good ], 5, 6 ], [ 'beyond repair', [ $chat->('yes'), $chat->('"yes"') ], 4, 6 ],
		[ 'cut', [ $chat->('{"ans', finish_reason => 'length') ], 4, 5 ], [ 'refused', [ $chat->(undef, message => { refusal => 'No.' }) ], 4, 5 ])
	{
		my ($name, $answers, $n, $requests) = @$_;
		$emulator->reset;
		$emulator->script('m', [ ($good) x ($at - 1), @$answers ], $good);
		is(must(model('m(i int) RETURNS boolean', '{"endpoint": "m", "format": "chat", "concurrency": 1, "repair": true, "on_error": "null"}')
				. 'SELECT count(m) FROM (SELECT m(i) FROM n OFFSET 0) s'), $n, "$name at row $at");
		is($emulator->request_count('m'), $requests, '... and requests');
	}
}
for my $options ('"repair": true', '')
{
	$emulator->reset;
	$emulator->script('m', [], $chat->('no'));
	fails_with($node, model('m(i int) RETURNS boolean', '{"endpoint": "m", "format": "chat"' . ($options && ", $options") . '}') . 'SELECT m(1)', '38S02', qr/it holds no JSON: no$/, "no use: $options");
	$emulator->reset;
	$emulator->script('m', [], $chat->('no'));
	$node->psql('postgres', 'SELECT m(1)');
	is($emulator->request_count('m'), $options ? 2 : 1, '... after so many requests');
}

#
# Tokens: EXPLAIN ANALYZE and the ledger of the local endpoint, which counts for
# itself, are the same.
#
sub tokens_are_those_of
{
	my ($endpoint, $sql, $name, %more) = @_;
	$emulator->reset;
	$emulator->script($endpoint, $more{steps}) if $more{steps};
	my $plan = must(($more{set} // '') . "EXPLAIN (ANALYZE, COSTS OFF) $sql");
	my $ledger = $emulator->control('stats')->{endpoints}{$endpoint};
	my %said = (input => 0, output => 0);
	$said{ lc $1 } += $2 while $plan =~ /(Input|Output) Tokens: (\d+)/g;
	cmp_ok($ledger->{output_tokens}, '>', 0, "$name: there are some") unless $more{none};
	is("$said{input} $said{output}", ($ledger->{input_tokens} // 0) . ' ' . ($ledger->{output_tokens} // 0), "$name: tokens are those of the ledger") || diag($plan);
	like($plan, $more{plan}, "... with $more{plan}") if $more{plan};
	unlike($plan, qr/Tokens/, "$name: and nothing is said") if $more{none};
}
must(model('t(body text) RETURNS boolean', '{"endpoint": "chat", "format": "chat"}'));
tokens_are_those_of('chat', 'SELECT t(body) FROM mail', 'a chat');
tokens_are_those_of('chat', 'SELECT t(body || body) FROM mail', 'tried again', steps => [ ({ use => 'internal-failure' }, { use => 'throttling' }) x 2 ], plan => qr/Retries: [1-4]/);
tokens_are_those_of('chat', 'SELECT t(body) FROM mails', 'parallel workers', plan => qr/Workers Launched: [1-4]/,
	set => 'CREATE TABLE mails AS SELECT * FROM mail, generate_series(1, 20) g; ANALYZE mails; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2; ');
must(model('t(body text) RETURNS boolean', '{"endpoint": "chat-novice", "format": "chat", "repair": true}'));
tokens_are_those_of('chat-novice', 'SELECT t(body) FROM mail', 'repaired answers');
must(model('t(body text) RETURNS boolean', '{"endpoint": "chat", "format": "chat", "on_error": "null", "parameters": {"max_tokens": 1}}'));
tokens_are_those_of('chat', 'SELECT t(body) FROM mail', 'answers that are cut');
must(model('t(body text) RETURNS boolean', '{"endpoint": "chat-terse", "format": "chat"}'));
tokens_are_those_of('chat-terse', 'SELECT t(body) FROM mail', 'a container that does not say it', none => 1);
for my $endpoint ('llm', 'tgi')
{
	must(model('t(body text) RETURNS text', "{\"endpoint\": \"$endpoint\", \"format\": \"single\", \"prompt\": \"{body}\", \"parameters\": {\"details\": true$_}}")),
	  tokens_are_those_of($endpoint, 'SELECT t(body) FROM mail', "$endpoint, details$_") for '', ', "decoder_input_details": true';
}
my $own = { body => { json => [ { label => 1, n => { in => 7, out => 2 } } ] } };
$emulator->script('m', [], $own);
my $own_paths = '"format": "array", "max_rows": 1, "predictions": "$[*].label", "input_tokens": "$[0].n.in", "output_tokens": "$[0].n.out"';
must(model('m(i int) RETURNS int', "{\"endpoint\": \"m\", $own_paths}"));
like(must('EXPLAIN (ANALYZE, COSTS OFF) SELECT m(i) FROM n'), qr/Input Tokens: 35\n\s+Output Tokens: 10\n/, 'paths of its own');
$emulator->script('m', [], { body => { json => [ { label => 1, n => { in => $_, out => -1 } } ] } }),
  unlike(must('EXPLAIN (ANALYZE, COSTS OFF) SELECT m(i) FROM n'), qr/Tokens|ERROR/, "what is no number of tokens is none: $_")
  for 'x', 1e30, -5;

done_testing();
