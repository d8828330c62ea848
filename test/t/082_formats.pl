# The bytes of requests: each row format with each kind of argument, whatever the
# session's settings say of the looks of values.
#
# What was sent is known by its digest, which the endpoint records.  Its answer,
# the same bytes, is shown where they are not the expected ones.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use Encode qw(decode);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"session_preload_libraries = 'sagemaker_rt'", 'jit = off');
$node->safe_psql('postgres', $_) for
  "CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
  <<'SQL';
CREATE TYPE colour AS ENUM ('red', 'light green');
CREATE TYPE point3 AS (x float8, y float4, "the z" numeric);
CREATE TYPE deep AS (p point3, at timestamptz, tags text[]);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN days AS date[];
SQL

# Settings that change how values look; nothing of it may show.
my @odd = (
	'SET extra_float_digits = -15', "SET DateStyle = 'German, DMY'",
	"SET TimeZone = 'Asia/Tokyo'", "SET IntervalStyle = 'sql_standard'",
	"SET bytea_output = 'escape'", "SET xmlbinary = 'hex'");
my $plain = Session->new($node);
my $odd = Session->new($node, @odd);

# One test: rows of these arguments make this body, in both sessions.  Several
# rows are given as VALUES; the body may have several requests.
sub sends
{
	my ($signature, $options, $rows, @bodies) = @_;
	my $declaration = "CREATE OR REPLACE FUNCTION m($signature) RETURNS text LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '"
	  . join(', ', '{"endpoint": "echo"', $options || ()) . "}'";
	my $call = $rows =~ /^VALUES/ ? 'SELECT m(' . join(', ', map { "column$_" } 1 .. columns($signature)) . ") FROM ($rows) v"
	  : "SELECT m($rows)";
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	for ([ $plain, '' ], [ $odd, ', with odd settings' ])
	{
		my ($session, $more) = @$_;
		$emulator->reset;
		$session->must("BEGIN; $declaration");
		my $result = $session->run($call);
		my @got = $emulator->requests('echo');
		my $name = "$signature " . ($options ? "{$options} " : '') . "of $rows$more";
		is_deeply([ sort map { $_->{body_sha256} } @got ], [ sort map { sha256_hex($_) } @bodies ], $name)
		  || diag(join("\n", "$result->{errors}; expected: ", @bodies), "\ngot: ", shown($session, $declaration, $call));
		$session->must('ROLLBACK');
	}
}

# How many there are in a signature.
sub columns
{
	(my $signature = shift) =~ s/"(?:[^"]|"")*"//g;
	return 1 + ($signature =~ tr/,//);
}

# The answer to the same call, as the message about an answer that does not fit
# shows it.
sub shown
{
	my ($session, $declaration, $call) = @_;
	(my $failing = $declaration) =~ s/RETURNS text/RETURNS positive/;
	my $result = $session->run("ROLLBACK; BEGIN; $failing; $call");
	return $result->{errors} =~ /^(DETAIL:.*)/m ? $1 : "$result->{output}$result->{errors}";
}

#
# CSV.
#
sends('a int2, b int, c bigint', '', '(-32768)::int2, 2147483647, -9223372036854775808', "-32768,2147483647,-9223372036854775808\n");
sends('a float8', '', "VALUES (0.1::float8), (1e300), (5e-324), ('-0'), (1.7976931348623157e308), (0.1::float8 + 0.2::float8), (100), (1e15), (1e-7), ('NaN'), ('Infinity'), ('-Infinity')",
	"0.1\n1e+300\n5e-324\n-0\n1.7976931348623157e+308\n0.30000000000000004\n100\n1e+15\n1e-07\nnan\ninf\n-inf\n");
sends('a float4', '', "VALUES (0.1::float4), (3.4028235e38), (1e-45), (16777216), ('NaN')", "0.1\n3.4028235e+38\n1e-45\n1.6777216e+07\nnan\n");
sends('a numeric', '', "VALUES (1.50), (0.0000000001), (12345678901234567890123456789.5), (-0.0), ('NaN')", "1.50\n0.0000000001\n12345678901234567890123456789.5\n0.0\nnan\n");
sends('a bool, b bool', '', 'true, false', "1,0\n");
sends('a text', '', "VALUES ('plain'), ('a,b'), ('say \"x\"'), (E'two\\nlines'), (E'cr\\rlf'), (' blank'), ('blank '), (''), ('é ☃ 𝄞'), (E'tab\\there'), ('''')",
	qq(plain\n"a,b"\n"say ""x"""\n"two\nlines"\n"cr\rlf"\n" blank"\n"blank "\n""\né ☃ 𝄞\ntab\there\n'\n));
sends('a varchar(3), b char(4), c name, d colour', '', "'abc', 'de', 'f g', 'light green'", qq(abc,de,f g,light green\n));
sends('a date, b timestamp, c timestamptz, d time, e timetz', '', "'2024-02-29', '2024-02-29 13:14:15.5', '2024-02-29 13:14:15.000001+02', '01:02:03', '01:02:03+05:30'",
	"2024-02-29,2024-02-29T13:14:15.5,2024-02-29T11:14:15.000001+00:00,01:02:03,01:02:03+05:30\n");
sends('a date, b timestamptz, c timestamp', '', "'infinity', '-infinity', '0044-03-15 BC'", "infinity,-infinity,0044-03-15T00:00:00 BC\n");
sends('a interval', '', "VALUES ('1 year 2 mons 3 days 04:05:06.7'::interval), ('-1 day'), ('0')", "P1Y2M3DT4H5M6.7S\nP-1D\nPT0S\n");
sends('a uuid, b bytea, c inet', '', "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00ff41', '10.0.0.1/8'", qq(a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,\\x00ff41,10.0.0.1/8\n));
sends('a point, b daterange, c tstzrange', '', "'(0.1,0.30000000000000004)', '[2024-01-31,2024-02-29)', '[2024-01-31 12:00+00,)'",
	qq{"(0.1,0.30000000000000004)","[2024-01-31,2024-02-29)","[""2024-01-31 12:00:00+00"",)"\n});
sends('a positive, b days', '"format": "csv"', "7::positive, '{2024-02-29,2024-03-01}'::days", "7,2024-02-29,2024-03-01\n");
sends('a float8[]', '"format": "csv"', "VALUES (ARRAY[0.1, 2, 0.1::float8 + 0.2::float8]), ('{{1,2},{3,NULL}}')", "0.1,2,0.30000000000000004\n1,2,3,\n");
sends('a float8[], b int', '"format": "csv", "nulls": "nan"', "VALUES ('{1,NULL}'::float8[], NULL::int)", "1,nan,nan\n");
sends('VARIADIC a int[]', '"format": "csv"', '1, 2, 3', "1,2,3\n");
sends('a text[]', '"format": "csv"', "ARRAY['a,b', NULL, '']", qq("a,b",,""\n));
sends('a json, b jsonb', '"format": "csv"', "'{\"a\": 1}', '[1,2]'", qq("{""a"": 1}","[1, 2]"\n));
sends('a int, b int, c text', '', 'VALUES (NULL::int, 2, NULL::text), (NULL, NULL, NULL)', ",2,\n,,\n");
sends('a int', '', 'VALUES (NULL::int), (1)', "\n1\n");
sends('a int, b text', '"nulls": "nan"', 'NULL, NULL', "nan,nan\n");
sends('a int, b int', '"nulls": "skip"', 'VALUES (1, 2), (NULL, 3), (4, NULL), (5, 6)', "1,2\n5,6\n");
sends('a int, b int', '"nulls": "skip"', 'VALUES (1, NULL::int), (NULL, 3)');
sends('a int, "the b" text, "c,d" int', '"header": true', "VALUES (1, 'x', 2), (3, 'y', 4)", qq(a,the b,"c,d"\n1,x,2\n3,y,4\n));
sends('int, text', '"header": true', "1, 'x'", "column1,column2\n1,x\n");
sends('a int', '"header": true, "max_rows": 1', '1', "a\n1\n");

#
# JSON.
#
my $instances = '"format": "instances"';
sends('a int, b float8, c text, d bool', $instances, "VALUES (1, 0.1::float8, 'x', true), (-2, 5e-324, NULL, false)",
	'{"instances":[{"a":1,"b":0.1,"c":"x","d":true},{"a":-2,"b":5e-324,"c":null,"d":false}]}');
sends('int, text', $instances, "1, 'x'", '{"instances":[[1,"x"]]}');
sends('a int', $instances, '1', '{"instances":[{"a":1}]}');
sends('int', $instances, '1', '{"instances":[1]}');
sends('a float8, b float4, c numeric, d numeric', $instances, "'NaN', '-Infinity', 'NaN', 1.50", '{"instances":[{"a":null,"b":null,"c":null,"d":1.50}]}');
sends('a float8, b text', "$instances, \"nulls\": \"nan\"", 'NULL, NULL', '{"instances":[{"a":"NaN","b":"NaN"}]}');
sends('"quoted ""name" text', $instances, "E'q\" b\\\\ n\\n t\\t u\\x01 é☃'", q({"instances":[{"quoted \"name":"q\" b\\\\ n\n t\t u\u0001 é☃"}]}));
sends('a date, b timestamptz, c interval, d bytea, e uuid', $instances, "'2024-02-29', '2024-02-29 13:14:15+02', '36:00', '\\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
	'{"instances":[{"a":"2024-02-29","b":"2024-02-29T11:14:15+00:00","c":"PT36H","d":"\\\\x00ff","e":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}]}');
sends('a float8[]', '', "VALUES (ARRAY[0.1, 0.1::float8 + 0.2::float8, NULL]), ('{}'), ('{{1,2},{3,4}}'), ('{NaN}')",
	'{"instances":[[0.1,0.30000000000000004,null],[],[[1,2],[3,4]],[null]]}');
sends('a float8[], b text[]', '', "'{1e300}', ARRAY['x', NULL, 'a\"b']", '{"instances":[{"a":[1e+300],"b":["x",null,"a\"b"]}]}');
sends('a timestamptz[], b days, c colour[], d bool[]', '', "'{2024-02-29 13:14:15+02}', '{2024-02-29}', '{red,\"light green\"}', '{t,f}'",
	'{"instances":[{"a":["2024-02-29T11:14:15+00:00"],"b":["2024-02-29"],"c":["red","light green"],"d":[true,false]}]}');
sends('a json', '', q('{"x": [1,  2], "y": null}'), '{"instances":[{"x": [1,  2], "y": null}]}');
sends('a jsonb, b int', '', q('{"y": null, "x": 1.50}', 1), '{"instances":[{"a":{"x": 1.50, "y": null},"b":1}]}');
sends('a point3', '', "row(0.1::float8 + 0.2::float8, 0.1, 1.50)::point3", '{"instances":[{"x":0.30000000000000004,"y":0.1,"the z":1.50}]}');
sends('a deep', '', "row(row(1, NULL, 'NaN')::point3, '2024-02-29 13:14:15+02', ARRAY['a', 'b'])::deep",
	'{"instances":[{"p":{"x":1,"y":null,"the z":null},"at":"2024-02-29T11:14:15+00:00","tags":["a","b"]}]}');
sends('a point3[]', '', "ARRAY[row(1, 2, 3), NULL]::point3[]", '{"instances":[[{"x":1,"y":2,"the z":3},null]]}');
sends('a json[]', '', q(ARRAY['{"a":1}'::json, '2']), '{"instances":[[{"a":1},2]]}');
sends('a json', '', 'NULL', '{"instances":[null]}');
sends('VARIADIC a float8[]', '', '1, 0.5', '{"instances":[[1,0.5]]}');
sends('a text', "$instances, \"constant\": {\"parameters\": {\"top_k\": 1}, \"v\": [1]}", "VALUES ('x'), ('y')", '{"instances":[{"a":"x"},{"a":"y"}],"v": [1], "parameters": {"top_k": 1}}');
sends('a text', "$instances, \"constant\": {}", "'x'", '{"instances":[{"a":"x"}]}');
sends('a int, b text', '"format": "array"', "VALUES (1, 'x'), (2, 'y')", '[{"a":1,"b":"x"},{"a":2,"b":"y"}]');
sends('a int, b text', '"format": "jsonlines"', "VALUES (1, 'x'), (2, E'y\\n')", qq({"a":1,"b":"x"}\n{"a":2,"b":"y\\n"}\n));
sends('a text', '"format": "inputs", "constant": {"parameters": {"max_new_tokens": 9}}', "VALUES ('one'), ('two')", '{"inputs":["one","two"],"parameters": {"max_new_tokens": 9}}');
sends('question text, context text', '"format": "inputs"', "'q', 'c'", '{"inputs":[{"question":"q","context":"c"}]}');
sends('a json', '"format": "single"', q('{"messages": []}'), '{"messages": []}');
sends('a text, b int', '"format": "single"', "VALUES ('x', 1), ('y', 2)", '{"a":"x","b":1}', '{"a":"y","b":2}');

#
# Numbers.
#
my @numbers = ('a int, b float8, c bool, d numeric', '1, 0.1::float8, true, 2.5');
sends($numbers[0], '"format": "libsvm"', $numbers[1], "0 1:1 2:0.1 3:1 4:2.5\n");
sends('a int, b float8', '"format": "libsvm"', 'VALUES (1, 0::float8), (NULL, NULL), (NULL, 3), (2, 1e-7)', "0 1:1 2:0\n0\n0 2:3\n0 1:2 2:1e-07\n");
sends('a float8[], b int', '"format": "libsvm"', "ARRAY[1, NULL, 'nan', 'inf']::float8[], 7", "0 1:1 4:inf 5:7\n");
sends('line text', '"format": "lines"', q{VALUES ('1,2.5,"a, b"'), (NULL), ('é')}, "1,2.5,\"a, b\"\n\n\xc3\xa9\n");
sends('line varchar(20)', '"format": "lines", "content_type": "text/plain"', q{'  as it is '}, "  as it is \n");
sends('a int, b int', '"format": "libsvm", "first_index": 0', '7, 8', "0 0:7 1:8\n");
my $record = sub { my $values = pack 'f<*', @_; my $n = length $values;
	my $message = "\x0a" . chr($n + 14) . "\x0a\x06values\x12" . chr($n + 4) . "\x12" . chr($n + 2) . "\x0a" . chr($n) . $values;
	return "\x0a\x23\xd7\xce" . pack('V', length $message) . $message . "\0" x (-length($message) % 4) };
sends($numbers[0], '"format": "recordio"', $numbers[1], $record->(1, 0.1, 1, 2.5));
sends('float4[]', '"format": "recordio"', 'VALUES (ARRAY[1.5, 2.5]::float4[]), (ARRAY[7])', $record->(1.5, 2.5) . $record->(7));
sends('a int, b float8', '"format": "recordio"', 'NULL, 1', $record->(unpack('f<', "\0\0\xc0\x7f"), 1));
fails_with($node, "CREATE FUNCTION big32(a float8) RETURNS text LANGUAGE sagemaker AS '{\"endpoint\": \"echo\", \"format\": \"recordio\"}'; SELECT big32(1e39)",
	'22003', qr/number 1 of a row is out of range/, 'a number that 32 bits cannot hold is refused');
my $matrix = sub { my ($rows, $columns, @values) = @_;
	return "\x93NUMPY\1\0\x76\0" . pack('A117', "{'descr': '<f8', 'fortran_order': False, 'shape': ($rows, $columns), }") . "\n" . pack 'd<*', @values };
sends($numbers[0], '"format": "npy"', $numbers[1], $matrix->(1, 4, 1, 0.1, 1, 2.5));
sends('a int, b bigint', '"format": "npy"', 'VALUES (1, 2::bigint), (3, 4), (3, 4), (5, 6)', $matrix->(3, 2, 1 .. 6));
sends('float8[]', '"format": "npy"', "VALUES (ARRAY[1, 2]), ('{3,4}'), ('{5}'), ('{6}')", $matrix->(2, 2, 1 .. 4), $matrix->(2, 1, 5, 6));
sends('float8[]', '"format": "npy", "max_bytes": 150', "VALUES (ARRAY[1]), ('{2}'), ('{3}')", $matrix->(2, 1, 1, 2), $matrix->(1, 1, 3));
sends('a int', '"format": "npy", "min_rows": 2', '9', $matrix->(2, 1, 9, 9));

#
# How much goes into one request.
#
sends('a int', '"min_rows": 3', 'VALUES (1)', "1\n1\n1\n");
sends('a int, b text', '"min_rows": 2, "max_rows": 2', "VALUES (1, 'x'), (2, 'y'), (3, 'z')", "1,x\n2,y\n", "3,z\n3,z\n");
sends('a int', '"min_rows": 2, "header": true', '1', "a\n1\n1\n");
sends('a int', '"min_rows": 2, "format": "inputs", "constant": {"k": 1}', '1', '{"inputs":[1,1],"k": 1}');
sends('a text', '"min_rows": 3, "max_bytes": 8', "'abc'", "abc\nabc\n");
sends('a text', '"max_bytes": 12', "VALUES ('aaa'), ('bbb'), ('cccc'), ('d'), ('eeeeeeeeeee'), ('f')", "aaa\nbbb\n", "cccc\nd\n", "eeeeeeeeeee\n", "f\n");
# In messages this one has its place.
$odd->must('SET quote_all_identifiers = on');
sends('a regclass', '', "'pg_class'", "pg_class\n");
$odd->must('RESET quote_all_identifiers');
sends('int', '"max_bytes": 17, "format": "instances"', '7', '{"instances":[7]}');
sends('int', '"max_bytes": 24, "format": "instances", "constant": {"k":1}', '7', '{"instances":[7],"k": 1}');
sends('a text', '"max_bytes": 12, "format": "array"', "VALUES ('x'), ('y')", '[{"a":"x"}]', '[{"a":"y"}]');
sends('text', '"max_bytes": 11, "format": "array"', "VALUES ('x'), ('y'), ('z')", '["x","y"]', '["z"]');
sends('text', '"max_bytes": 41, "format": "instances", "constant": {"key": "value"}', "VALUES ('x'), ('y'), ('z')", '{"instances":["x","y"],"key": "value"}', '{"instances":["z"],"key": "value"}');
sends('a int', '"max_rows": 2', 'VALUES (1), (2), (3), (4), (5)', "1\n2\n", "3\n4\n", "5\n");
fails_with($node, "CREATE FUNCTION big(a text) RETURNS text LANGUAGE sagemaker AS '{\"endpoint\": \"echo\", \"max_bytes\": 12}';
	SELECT big(a) FROM (VALUES ('x'), (repeat('y', 12))) v(a)", '54000', qr/a row alone is larger/, 'a row that is too large alone is refused');

#
# Ways to give arguments.
#
my $abc = 'a int, b text DEFAULT \'none\', c int DEFAULT 7) RETURNS text';
for ([ 'm(1)', "1,none,7\n" ], [ "m(c => 2, a => 1)", "1,none,2\n" ], [ "m(1, 'x', c => 3)", "1,x,3\n" ], [ "m(b => 'y', a => 5)", "5,y,7\n" ])
{
	my ($call, $body) = @$_;
	$emulator->reset;
	$plain->must("BEGIN; CREATE FUNCTION m($abc LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{\"endpoint\": \"echo\", \"on_error\": \"null\"}'; SELECT $call; ROLLBACK");
	is_deeply([ map { $_->{body_sha256} } $emulator->requests('echo') ], [ sha256_hex($body) ], "$call sends its defaults");
}

#
# The members of a request.
#
{
	my %members = (content_type => 'text/x-csv; label_size=0', accept => 'application/json;verbose=true',
		custom_attributes => 'tfs-model-name=x', target_model => 'a.tar.gz', target_variant => 'blue', target_container_hostname => 'second',
		inference_id => 'id-1', enable_explanations => '`true`', inference_component_name => 'part', session_id => 's-1', prefix_aware_id => 'p-1');
	my %headers = (content_type => 'content-type', accept => 'accept', custom_attributes => 'x-amzn-sagemaker-custom-attributes', target_model => 'x-amzn-sagemaker-target-model',
		target_variant => 'x-amzn-sagemaker-target-variant', target_container_hostname => 'x-amzn-sagemaker-target-container-hostname', inference_id => 'x-amzn-sagemaker-inference-id',
		enable_explanations => 'x-amzn-sagemaker-enable-explanations', inference_component_name => 'x-amzn-sagemaker-inference-component', session_id => 'x-amzn-sagemaker-session-id',
		prefix_aware_id => 'x-amzn-sagemaker-prefix-aware-id');
	my $options = join ', ', map { "\"$_\": \"$members{$_}\"" } sort keys %members;
	$emulator->reset;
	$plain->must("BEGIN; CREATE FUNCTION m(x int) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{\"endpoint\": \"echo\", \"on_error\": \"null\", $options}';
		SELECT m(i) FROM generate_series(1, 3) i; ROLLBACK");
	my ($request) = $emulator->requests('echo');
	my %got = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };
	is($got{ $headers{$_} }, $members{$_}, "the member $_ is sent") for sort keys %members;

	for ([ csv => 'text/csv' ], [ instances => 'application/json' ], [ array => 'application/json' ], [ jsonlines => 'application/jsonlines' ],
		[ inputs => 'application/json' ], [ single => 'application/json' ], [ libsvm => 'text/libsvm', 'text/csv' ], [ lines => 'text/csv' ],
		[ recordio => 'application/x-recordio-protobuf' ], [ npy => 'application/x-npy' ])
	{
		my ($format, $type, $accept) = @$_;
		$emulator->reset;
		$plain->must("BEGIN; CREATE FUNCTION m(x " . ($format eq 'lines' ? 'text' : 'int') . ") RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{\"endpoint\": \"echo\", \"on_error\": \"null\", \"format\": \"$format\"}'; SELECT m('1'); ROLLBACK");
		my ($request) = $emulator->requests('echo');
		my %got = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };
		is("$got{'content-type'} $got{accept}", "$type " . ($accept // $type), "format $format says what it sends and wants");
	}
}

#
# Results of further types, as the endpoint's answer gives them.
#
sub gives
{
	my ($result, $options, $body, $type, $expected, $name) = @_;
	my $returns = $result =~ /^OUT/ ? ", $result)" : ") RETURNS $result";
	$emulator->reset;
	$emulator->script('m', [], { body => $body, content_type => $type });
	my $outcome = $odd->run("BEGIN; CREATE FUNCTION m(x int$returns LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '{\"endpoint\": \"m\"" . ($options ? ", $options" : '') . "}';
		SELECT coalesce(m(i)::text, 'NULL') FROM generate_series(1, 2) i");
	$odd->run('ROLLBACK');
	my $got = $outcome->{sqlstate} ? "$outcome->{sqlstate} $outcome->{errors}" : $outcome->{output};
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ref $expected ? like($got, $expected, $name // "$result from $body") : is($got, $expected, $name // "$result from $body");
}
my ($csv, $json) = ('text/csv', 'application/json');
gives('bool', '', "1\n0\n", $csv, "true\nfalse");
gives('bool', '', '[true, false]', $json, "true\nfalse");
gives('date', '', "2024-02-29\n2024-03-01\n", $csv, "29.02.2024\n01.03.2024");
gives('numeric(5,1)', '', "1.25\n2\n", $csv, "1.25\n2");
gives('OUT a numeric, OUT b date', '', "1.25,2024-02-29\n2,\n", $csv, "(1.25,29.02.2024)\n(2,)");
gives('point3', '', '[{"y": 1, "the z": 2.50, "x": 3}, [4, 5, 6]]', $json, "(3,1,2.50)\n(4,5,6)");
gives('point3', '', '[null, {"x": null, "y": null, "the z": null}]', $json, "NULL\n(,,)");
gives('positive', '', "1\n2\n", $csv, "1\n2");
gives('positive', '', "1\n-2\n", $csv, qr/^23514 .*value for domain positive violates/);
gives('days', '', "2024-02-29,2024-03-01\n2024-02-28\n", $csv, "{29.02.2024,01.03.2024}\n{28.02.2024}");
gives('colour', '', "red\nlight green\n", $csv, "red\nlight green");
gives('colour', '', "red\nblue\n", $csv, qr/^22P02 .*CONTEXT:  model public.m, prediction for row 2/s);
gives('date', '', "2024-02-29\nsoon\n", $csv, qr/^22007 .*prediction for row 2/s);
gives('bool', '', "1\nperhaps\n", $csv, qr/^22P02 .*prediction for row 2/s);
gives('int', '', "1\n99999999999\n", $csv, qr/^22003 .*prediction for row 2/s);
gives('int', '', "1\nnan\n", $csv, qr/^(38S01|22P02) .*row 2/s);
gives('float8', '', "1\n1.2.3\n", $csv, qr/^(38S01|22P02) .*row 2/s);
gives('OUT a int, OUT b uuid', '', qq(1,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\n2,x\n), $csv, qr/^22P02 .*prediction for row 2/s);
gives($_->[0], '"on_error": "null"', "$_->[1]\n$_->[2]\n", $csv, "$_->[3]\nNULL", "$_->[0] $_->[2] is NULL if on_error says so")
  for [ 'date', '2024-02-29', 'soon', '29.02.2024' ], [ 'int', 1, 99999999999, 1 ], [ 'uuid', ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11') x 1, 'x', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' ],
  [ 'colour', 'red', 'blue', 'red' ];
gives('text', '', '["a\u0000b", "c"]', $json, qr/^38S01 /, 'a NUL in a JSON string is no text');
gives('text', '"on_error": "null"', '["a\u0000b", "c"]', $json, "NULL\nNULL", 'a NUL in a JSON string is NULL if on_error says so');
gives('jsonb', '', { nested_json => 100000 }, $json, qr/^38S01 /, 'an answer that nests too deeply');
gives('text', '', '{"predictions": ["a", "b"]}', 'application/json; charset=utf-8', "a\nb");
gives('text', '', '<html>a</html>' . "\nb", 'text/html', qr/^38S01 .*text\/html/, 'HTML is no answer');
gives('text', '', "a\nb\n", 'text/plain', "a\nb");
gives('text', '', "a\nb\n", 'application/octet-stream', "a\nb");

$node->safe_psql('postgres', 'CREATE DOMAIN near AS point3 CHECK ((value).x < 10)');
gives('near', '', '[[1, 2, 3], [4, 5, 6]]', $json, "(1,2,3)\n(4,5,6)");
gives('near', '', '[[1, 2, 3], [14, 5, 6]]', $json, qr/^23514 .*value for domain near violates/);

#
# In a database of another encoding, UTF-8 is spoken outside.
#
{
	my $latin1 = sub { $node->safe_psql('latin1', "SET client_encoding = 'UTF8'; $_[0]") };
	my $utf8 = 'é "ÿ", ñ';
	$latin1->('CREATE EXTENSION sagemaker_rt');
	$latin1->($_) for
	  "CREATE FUNCTION t(s text) RETURNS text LANGUAGE sagemaker AS 'echo'",
	  "CREATE FUNCTION j(\"schlüssel\" text) RETURNS jsonb LANGUAGE sagemaker AS '{\"endpoint\": \"echo\", \"format\": \"jsonlines\"}'",
	  "CREATE FUNCTION i(s text) RETURNS text LANGUAGE sagemaker AS '{\"endpoint\": \"echo\", \"format\": \"inputs\"}'",
	  "CREATE FUNCTION o(s text, OUT a text, OUT \"é\" text) LANGUAGE sagemaker AS '{\"endpoint\": \"m\"}'",
	  "CREATE FUNCTION c(s text) RETURNS text LANGUAGE sagemaker AS '{\"endpoint\": \"captured\", \"format\": \"inputs\", \"constant\": {\"k\": \"é\"}}'",
	  "CREATE FUNCTION n(s text) RETURNS text LANGUAGE sagemaker AS '{\"endpoint\": \"m\", \"on_error\": \"null\"}'";
	for my $batch ('on', 'off')
	{
		my $both = "SET sagemaker_rt.batch = $batch; SELECT %s FROM (VALUES ('$utf8'), ('x')) v(s)";
		$emulator->reset;
		is($latin1->(sprintf $both, 't(s)'), "$utf8\nx", "LATIN1, batch $batch: CSV comes back");
		my ($request) = $emulator->requests('echo');
		is($request->{body_sha256}, sha256_hex($batch eq 'on' ? qq("é ""ÿ"", ñ"\nx\n) : qq("é ""ÿ"", ñ"\n)), 'and went out in UTF-8');
		is($latin1->(sprintf $both, 'i(s)'), "$utf8\nx", "LATIN1, batch $batch: JSON comes back");
		is($latin1->(sprintf $both, 'j(s)'), qq({"schlüssel": "é \\"ÿ\\", ñ"}\n{"schlüssel": "x"}), "LATIN1, batch $batch: JSON lines come back");
	}
	$latin1->("SELECT c('x')");
	is(($emulator->requests('captured'))[-1]{body_sha256}, sha256_hex('{"inputs":["x"],"k": "é"}'), 'LATIN1: the constant goes out in UTF-8');
	my $two = 'FROM (VALUES (1), (2)) v(x)';
	$emulator->script('m', [], { body => decode('UTF-8', '[{"é": "ü", "a": "ö"}, ["a", "\u00e9"]]'), content_type => $json });
	is($latin1->("SELECT o(x::text) $two"), "(ö,ü)\n(a,é)", 'LATIN1: members are found by their names');
	$emulator->script('m', [], { body => decode('UTF-8', "é\n☃\n"), content_type => $csv });
	fails_with($node, "\\c latin1\nSELECT o(x::text) $two", '38S01', qr/model public\.o/, 'LATIN1: a character that it lacks is no answer');
	is($latin1->("SELECT count(*), count(n(x::text)) $two") =~ /^2\|[01]$/ ? 1 : 0, 1, 'LATIN1: and NULL if on_error says so');
	$emulator->script('m', [], { body => decode('UTF-8', '["é", "\u2603"]'), content_type => $json });
	fails_with($node, "\\c latin1\nSELECT o(x::text) $two", '38S01', qr/model public\.o/, 'LATIN1: nor is its number');
}

$_->quit for $plain, $odd;
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal|exited with exit code [^1]/,
	'no server process crashed');

done_testing();
