# Model functions: what CREATE FUNCTION refuses, what answers become, and what is
# done about requests that fail.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $emulator = start_emulator();
my $node = start_node('main', $emulator, "session_preload_libraries = 'sagemaker_rt'");

# The SQL that declares m; the options are the members of its JSON body.
sub model
{
	my ($signature, $options, $attributes) = @_;
	return "CREATE OR REPLACE FUNCTION m$signature LANGUAGE sagemaker " . ($attributes // '')
	  . " PARALLEL SAFE COST 10000 AS '{$options}';";
}

#
# The validator names what is wrong.
#
for (
	[ '"x": 1', '22023', 'there is no option "x"' ],
	[ '"endpoint": "e", "max_row": 1', '22023', 'there is no option "max_row"' ],
	[ '', '22023', 'option "endpoint" is missing' ],
	[ '"endpoint": null', '22023', 'option "endpoint"' ],
	[ '"endpoint": "no such_name!"', '22023', 'option "endpoint" is not valid' ],
	[ '"endpoint": "e", "target_variant": "a b"', '22023', 'option "target_variant" is not valid' ],
	[ '"endpoint": "e", "timeout": {"a": 1}', '22023', 'option "timeout" is not valid' ],
	[ '"endpoint": "e", "session_id": null', '22023', 'option "session_id" is not valid' ],
	[ '"endpoint": "e", "format": "parquet"', '22023', 'option "format" is not valid' ],
	[ '"endpoint": "e", "header": 3', '22023', 'option "header" is not valid' ],
	[ '"endpoint": "e", "format": "array", "header": true', '22023', 'option "header" is not valid' ],
	[ '"endpoint": "e", "predictions": "$["', '42601', 'jsonpath' ],
	[ '"endpoint": "e", "constant": [1]', '22023', 'option "constant" is not valid' ],
	[ '"endpoint": "e", "constant": {"a": 1}', '22023', 'option "constant" is not valid' ],
	[ '"endpoint": "e", "nulls": "zero"', '22023', 'option "nulls" is not valid' ],
	[ '"endpoint": "e", "on_error": "ignore"', '22023', 'option "on_error" is not valid' ],
	[ '"endpoint": "e", "deterministic": "perhaps"', '22023', 'option "deterministic" is not valid' ],
	(map { [ "\"endpoint\": \"e\", \"max_rows\": $_", '22023', 'option "max_rows" is not valid' ] }
		0, -1, 1000001, '"many"', '[]'),
	[ '"endpoint": "e", "max_bytes": 0', '22023', 'option "max_bytes" is not valid' ],
	[ '"endpoint": "e", "concurrency": 257', '22023', 'option "concurrency" is not valid' ],
	[ '"endpoint": "e", "timeout": "soon"', '22023', 'option "timeout" is not valid' ],
	[ '"endpoint": "e", "enable_explanations": "a\\nb"', '22023', 'option "enable_explanations" is not valid' ],
	[ '"endpoint": ', '22P02', 'invalid input syntax' ])
{
	my ($options, $sqlstate, $message) = @$_;
	fails_with($node, model('(x int) RETURNS int', $options), $sqlstate, qr/\Q$message\E/, "refused: {$options}");
}
for (
	[ '() RETURNS int', '42P13', 'needs an argument' ],
	[ '(x int) RETURNS trigger', '42P13', 'cannot return type' ],
	[ '(x int) RETURNS void', '42P13', 'cannot return type' ],
	[ '(x int) RETURNS int', '42P13', 'must be VOLATILE', 'IMMUTABLE' ],
	[ '(x int) RETURNS int', '42P13', 'must be VOLATILE', 'STABLE' ])
{
	my ($signature, $sqlstate, $message, $attributes) = @$_;
	fails_with($node, 'DROP FUNCTION IF EXISTS m(int);' . model($signature, '"endpoint": "e"', $attributes), $sqlstate, qr/\Q$message\E/,
		"refused: $signature " . ($attributes // ''));
}

for my $body ('echo x', '', '  ', '[1]', 'under_score')
{
	fails_with($node, "CREATE FUNCTION b(x int) RETURNS int LANGUAGE sagemaker AS '$body'", '22023',
		qr/option "endpoint" is (missing|not valid)/, "refused: '$body'");
}
like(failure($node, model('(x int) RETURNS int', '"endpoint": "e", "predictions": "$["'))->{stderr},
	qr/^CONTEXT:  option "predictions"$/m, 'a jsonpath that is none is named');

#
# Answers.  Two rows are sent, or as many as said; expected is what psql prints of
# the predictions, or a SQLSTATE and what its message says.
#
my ($csv, $json, $lines) = ('text/csv', 'application/json', 'application/jsonlines');
my $two_out = '(x int, OUT a int, OUT b text)';
for (
	# CSV.
	[ 'int', '', $csv, "1\n2\n", "1\n2" ],
	[ 'int', '', $csv, "1\r\n2", "1\n2" ],
	[ 'int', '', "$csv; charset=utf-8", "1\n2\n", "1\n2" ],
	[ 'int', '', $csv, '1,2', "1\n2" ],
	[ 'int', '', $csv, "1.0\n2\n", "1\n2" ],
	[ 'int', '', $csv, "1.5\n2\n", '38S01', 'row 1 of the request' ],
	[ 'int', '', $csv, "1\n99999999999\n", '22003', 'out of range' ],
	[ 'int', '', $csv, "1\n2\n3\n", '38S01', '2 rows were sent, 3 predictions came back' ],
	[ 'int', '', $csv, "1\n", '38S01', '2 rows were sent, 1 predictions came back' ],
	[ 'int', '', $csv, '', '38S01', '2 rows were sent, 0 predictions came back' ],
	[ 'int', '', $csv, "1\nx\n", '38S01', 'row 2 of the request' ],
	[ 'text', '', $csv, qq("a,""b"""\n"two\nlines"\n), qq(a,"b"\ntwo\nlines) ],
	[ 'text', '', $csv, qq(""\n\n), "\nNULL" ],
	[ 'float8[]', '', $csv, "1,2.5\n3,4\n", "{1,2.5}\n{3,4}" ],
	[ $two_out, '', $csv, "1,a\n2,b\n", "(1,a)\n(2,b)" ],
	[ $two_out, '', $csv, "1,a\n2\n", '38S01', 'row 2 of the request' ],
	# JSON.
	[ 'float8', '', $json, '[1, 2.5]', "1\n2.5" ],
	[ 'float8', '', $json, '[[1], {"score": 2.5}]', "1\n2.5" ],
	[ 'float8', '', $json, '[null, "2.5"]', "NULL\n2.5" ],
	(map { [ 'int', '', $json, qq({"model": "m", "$_": [1, 2]}), "1\n2" ] }
		qw(predictions outputs scores projections others)),
	[ 'int', '', $json, '{"a": [1, 2], "b": [3, 4]}', '38S01', 'no list of predictions' ],
	[ 'int', '', $json, '{"a": 1}', '38S01', 'no list of predictions' ],
	[ 'int', '', $json, '[1, 2', '38S01', 'not JSON' ],
	[ 'int', '', $json, '[1, {"a": 1, "b": 2}]', '38S01', 'row 2 of the request' ],
	[ 'text', '', $json, '["a", {"b": 1}]', qq(a\n{"b": 1}) ],
	[ 'jsonb', '', $json, '[{"a":1}, [2]]', qq({"a": 1}\n[2]) ],
	[ 'int[]', '', $json, '[[1, null], [2]]', "{1,NULL}\n{2}" ],
	[ 'int[]', '', $json, '[[[1, 2], [3, 4]], []]', "{{1,2},{3,4}}\n{}" ],
	[ $two_out, '', $json, '[{"b": "x", "a": 1, "c": 3}, [2, "y"]]', "(1,x)\n(2,y)" ],
	[ $two_out, '', $json, '[{"a": 1}, [2, "y"]]', '38S01', 'row 1 of the request' ],
	[ 'int', '"predictions": "$.r[*].v"', $json, '{"r": [{"v": 1}, {"v": 2}]}', "1\n2" ],
	[ 'int', '"predictions": "$.r[*].v"', $json, '{"r": []}', '38S01', '2 rows were sent, 0 predictions came back' ],
	# JSON lines.
	[ 'int', '', $lines, "1\n2\n", "1\n2" ],
	[ 'int', '', $lines, qq({"v": 1},\n\n{"v": 2}), "1\n2" ],
	[ 'int', '', 'application/x-ndjson', "[1]\n[2]\n", "1\n2" ],
	[ 'int', '', $lines, "1\n{\n", '38S01', 'not JSON' ],
	# Not what was asked for.
	[ 'text', '', $csv, { base64 => '/wr+Cg==' }, '38S01', 'not UTF-8' ],
	[ 'int', '', 'text/html', '<p>', '38S01', 'the answer is of type "text/html"' ])
{
	my ($result, $options, $type, $body, $expected, $message) = @$_;
	my $signature = $result =~ /^\(/ ? $result : "(x int) RETURNS $result";
	my $name = "$result from $type " . (ref $body ? 'of bytes' : $body =~ s/\n/\\n/gr);
	$emulator->reset;
	$emulator->script('m', [], { body => $body, content_type => $type });
	my $sql = 'DROP FUNCTION IF EXISTS m;' . model($signature, join ', ', '"endpoint": "m"', $options || ())
	  . "SELECT coalesce(m(i)::text, 'NULL') FROM generate_series(1, 2) i";
	if (defined $message)
	{
		fails_with($node, $sql, $expected, qr/\Q$message\E/, $name);
		fails_with($node, "SET sagemaker_rt.batch = off; $sql LIMIT 2",
			'38S01', qr/model public\.m/, "$name, row by row") if $message =~ /rows were sent, [03]/;
	}
	else
	{
		is($node->safe_psql('postgres', $sql), $expected, $name);
	}
}

$emulator->script('m', [], { body => "1\n99999999999\n", content_type => $csv });
like(failure($node, 'DROP FUNCTION m; ' . model('(x int) RETURNS int', '"endpoint": "m"') . 'SELECT m(i) FROM generate_series(1, 2) i')
		->{stderr}, qr/^CONTEXT:  model public\.m, prediction for row 2 of a request$/m,
	"a type's own error says where its text was");

#
# Failures.
#
$node->safe_psql('postgres', <<'SQL');
DROP FUNCTION m;
CREATE TABLE sample (id int, first text);
INSERT INTO sample SELECT i, CASE WHEN i IN (5, 12) THEN 'poison' ELSE i::text END
FROM generate_series(1, 16) i;
SQL

# The rows sent to an endpoint, request by request, the small ones first.  Rows
# of text have five bytes here, as '0001' and its line's end.
sub sizes
{
	return sort { $a <=> $b } map { $_->{body_bytes} / 5 } $emulator->requests($_[0]);
}

# A model that refuses the whole request for the sake of one row.
for my $on_error (qw(error null warning))
{
	my $declaration = "CREATE OR REPLACE FUNCTION m(a text, VARIADIC v float8[]) RETURNS float8
		LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{\"endpoint\": \"diabetes\", \"format\": \"csv\", \"on_error\": \"$on_error\"}';";
	my $query = "SELECT count(p), string_agg(id::text, ' ' ORDER BY id) FILTER (WHERE p IS NULL)
		FROM (SELECT id, m(first, 0, 0, 0, 0, 0, 0, 0, 0, 0) AS p FROM sample) s";
	$node->safe_psql('postgres', $declaration);
	$emulator->reset;
	if ($on_error eq 'error')
	{
		fails_with($node, $query, '38000', qr/the model failed/, 'one bad row fails the statement');
		is($emulator->request_count('diabetes'), 1, 'and is not sent again');
		next;
	}
	my ($status, $stdout, $stderr) = $node->psql('postgres', $query);
	is($stdout, '14|5 12', "on_error $on_error: the others have their predictions");
	my $n_warnings = () = $stderr =~ /WARNING/g;
	is($n_warnings, $on_error eq 'warning' ? 2 : 0, 'with a warning for each bad row, if that was asked for');
	cmp_ok($emulator->request_count('diabetes'), '<=', 15, 'in few more requests');
}

# Requests that are too much are halved, whatever on_error says.
my $echo = sub { "(s text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
	AS '{\"endpoint\": \"$_[0]\", \"concurrency\": 1, \"max_rows\": 16}'" };
my $slow = { use => 'model-error', body => { json => { ErrorCode => 'CLIENT_ERROR_FROM_MODEL',
	OriginalStatusCode => 0, Message => 'Received client error (0) from primary: model timed out' } } };
for ([ 'too-much', { status => 413, body => 'too large' } ], [ 'too-slow', $slow ])
{
	my ($endpoint, $step) = @$_;
	my $check = "SELECT count(*) FILTER (WHERE p = s) FROM (SELECT s, halved(s) AS p FROM (
		SELECT to_char(i, 'FM0000') AS s FROM generate_series(1, 64) i) r OFFSET 0) q";
	$emulator->reset;
	$emulator->script($endpoint, [$step]);
	is( $node->safe_psql('postgres', "CREATE OR REPLACE FUNCTION halved" . $echo->($endpoint)
			. "; SET sagemaker_rt.max_attempts = 1; $check"),
		'64', "$endpoint: all rows have their predictions");
	is_deeply([ sizes($endpoint) ], [ (8) x 8, 16 ], 'the first is halved, and those after it are that small');
}
$emulator->reset;
$emulator->script('too-much', [], { status => 413, body => 'too large' });
fails_with($node, "CREATE FUNCTION hopeless" . $echo->('too-much') . "; SELECT hopeless(i::text) FROM generate_series(1, 8) i",
	'54000', qr/too large/, 'a single row that is too much is an error');
cmp_ok($emulator->request_count('too-much'), '<=', 15, 'after at most as many requests as the rows make pairs');

# What on_error covers, and what it does not.
my $on_error = sub { model('(x int) RETURNS int', "\"endpoint\": \"$_[0]\", \"on_error\": \"$_[1]\", \"max_attempts\": 1")
	  . "SELECT count(*), count(m(i)) FROM generate_series(1, 3) i; DROP FUNCTION m(int)" };
for my $failure ('throttling', 'model-not-ready', 'status-500', 'internal-dependency', 'drop', 'too-large', 'model-error', 'model-timeout')
{
	is($node->safe_psql('postgres', $on_error->($failure, 'null')), '3|0', "$failure is NULL if on_error says so");
}
# What would fail all rows alike.
for ([ 'access-denied', '28000' ], [ 'expired-token', '28000' ], [ 'no-such-endpoint', '22023' ], [ 'redirect-302', '38S01' ])
{
	my ($failure, $sqlstate) = @$_;
	fails_with($node, $on_error->($failure, 'null'), $sqlstate, qr/endpoint "$failure"/, "$failure is never a NULL without a word");
	my ($status, $stdout, $stderr) = $node->psql('postgres', $on_error->($failure, 'warning'));
	is($stdout, '3|0', '... but with a warning');
	is(scalar(() = $stderr =~ /^.*WARNING:/mg), 3, '... for each row');
}
{
	my $closed = $emulator->control('listener', { kind => 'closed' })->{port};
	$node->safe_psql('postgres', "CREATE SERVER nobody FOREIGN DATA WRAPPER sagemaker OPTIONS (endpoint_url 'http://127.0.0.1:$closed', region 'us-east-1');
		CREATE USER MAPPING FOR PUBLIC SERVER nobody OPTIONS (access_key_id 'AKIDNOBODY', secret_access_key 'x')");
	my $nobody = $on_error->('echo', 'null') =~ s/"max_attempts"/"server": "nobody", $&/r;
	fails_with($node, $nobody, '58030', qr/could not connect/, 'nor is a connection that is refused');
	is($node->safe_psql('postgres', $nobody =~ s/"null"/"warning"/r), '3|0', '... but with a warning');
}
fails_with($node, model('(x int) RETURNS int', '"endpoint": "echo", "on_error": "null", "server": "nonesuch"') . 'SELECT m(1)',
	'42704', qr/"nonesuch" does not exist/, 'but not a server that is not there');
fails_with($node, model('(x text) RETURNS text', '"endpoint": "echo", "on_error": "null", "max_bytes": 10')
		. "SELECT m('eleven bytes')",
	'54000', qr/a row alone is larger/, 'nor a row that is too long');
fails_with($node, model('(x int) RETURNS int', '"endpoint": "echo", "on_error": "null", "nulls": "error"') . 'SELECT m(NULL::int)',
	'22004', qr/argument 1 .* is null/, 'nor a null where there may be none');

# What a domain's check runs may be anybody's code.  Its errors are not caught,
# for nothing but the end of a (sub)transaction undoes what it left half done.
$node->safe_psql('postgres', <<'SQL');
DROP FUNCTION IF EXISTS m(int);
CREATE ROLE modeller;
GRANT USAGE ON LANGUAGE sagemaker TO modeller;
GRANT CREATE ON SCHEMA public TO modeller;
CREATE FUNCTION trusted(a int) RETURNS boolean LANGUAGE sql SECURITY DEFINER
	SET work_mem = '1MB' AS 'SELECT 1 / a > 0';
SET ROLE modeller;
CREATE DOMAIN checked AS int CHECK (trusted(VALUE));
CREATE DOMAIN small AS varchar(3) CHECK (VALUE <> 'no');
CREATE DOMAIN pairs AS int4range CHECK (VALUE IS NOT NULL);
SQL
for my $result ('checked', 'checked[]', '(x int, OUT a checked, OUT b int)')
{
	for my $on_error ('null', 'warning')
	{
		my $signature = $result =~ /^\(/ ? $result : "(x int) RETURNS $result";
		my $body = $result =~ /\[/ ? '[[0], [5]]' : $result =~ /OUT/ ? '[[0, 1], [5, 1]]' : '[0, 5]';
		$emulator->reset;
		$emulator->script('zeros', [], { body => $body, content_type => 'application/json' });
		my ($status, $stdout, $stderr) = $node->psql('postgres', "SET ROLE modeller; DROP FUNCTION IF EXISTS m(int);"
			. model($signature, qq("endpoint": "zeros", "on_error": "$on_error"))
			. 'SELECT m(i) FROM generate_series(1, 2) i; SELECT current_user, current_setting(\'work_mem\')',
			on_error_stop => 0);
		like($stderr, qr/ERROR:  division by zero/, "$result, $on_error: an error in a check ends the statement");
		like($stdout, qr/^modeller\|4MB$/m, 'and leaves the role and its settings');
		unlike($stderr, qr/WARNING.*(leak|active)/, 'and no resource');
		$node->safe_psql('postgres', 'SET ROLE modeller; DROP FUNCTION m(int)');
	}
}
# What is under a domain is read like any type.
$emulator->script('short', [], { body => "a\nab\nlong\n", content_type => 'text/csv' });
is($node->safe_psql('postgres', model('(x int) RETURNS small', '"endpoint": "short", "on_error": "null"')
		. "SELECT string_agg(coalesce(m(i), 'NULL'), ' ') FROM generate_series(1, 3) i; DROP FUNCTION m(int)"),
	'a ab NULL', "a text that is too long for a domain's type is NULL");
$emulator->script('no', [], { body => "no\n", content_type => 'text/csv' });
fails_with($node, model('(x int) RETURNS small', '"endpoint": "no", "on_error": "null"') . 'SELECT m(1)',
	'23514', qr/violates check constraint/, 'a domain that is violated is an error whatever on_error says');

# Limits of types are data, too.
for my $case ([ 'int[]', '[[[[[[[[1]]]]]]]]' ], [ 'int', '[' . '[' x 100_000 . ']' x 100_000 . ']' ])
{
	my ($result, $body) = @$case;
	$emulator->script('deep', [], { body => $body, content_type => 'application/json' });
	my ($status, $stdout, $stderr) = $node->psql('postgres', 'DROP FUNCTION IF EXISTS m(int);'
		. model("(x int) RETURNS $result", '"endpoint": "deep", "on_error": "warning"') . 'SELECT m(1) IS NULL');
	is($stdout, 't', "$result of too many levels is NULL");
	like($stderr, qr/WARNING:  (number of array dimensions|model public\.m: the answer cannot be read)/, 'with a warning');
}
$emulator->script('m', [], { body => "99999999999\n", content_type => $csv });
like(($node->psql('postgres', "\\set SHOW_CONTEXT always\nDROP FUNCTION m(int);" . model('(x int) RETURNS int', '"endpoint": "m", "on_error": "warning"')
		. 'SELECT m(1)'))[2], qr/WARNING:  .*out of range.*\nCONTEXT:  model public\.m, prediction for row 1 of a request/,
	"a warning of a type's own names model and row");
$node->safe_psql('postgres', 'DROP FUNCTION m(int)');

# Rows whose JSON text has line breaks are one line.
is($node->safe_psql('postgres', model('(x json) RETURNS jsonb', '"endpoint": "echo", "format": "jsonlines"')
		. qq(SELECT m(x) FROM (VALUES ('{"a":\n1}'::json), ('2'), (E'[1,\\r\\n"x\\\\ny"]')) v (x))),
	qq({"a": 1}\n2\n[1, "x\\ny"]), 'line breaks in json are no line breaks of JSON lines');
is($node->safe_psql('postgres', model('(x json[]) RETURNS jsonb', '"endpoint": "echo", "format": "jsonlines"')
		. qq(SELECT m(ARRAY['{"a":\n1}'::json]) FROM generate_series(1, 2))),
	qq([{"a": 1}]\n[{"a": 1}]), 'nor those within an array');

done_testing();
