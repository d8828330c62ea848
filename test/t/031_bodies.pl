# Bodies go and come unchanged, whatever their size, bytes and the database's
# encoding; and everything else that an answer says comes back.
use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use SageMakerTest;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator);

sub result_of
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# The last request that an endpoint got, if it was well signed.
sub last_request
{
	my ($endpoint) = @_;
	my $request = ($emulator->requests($endpoint))[-1];
	return $request && $request->{outcome} eq 'verified' ? $request : {};
}

sub header
{
	my ($request, $name) = @_;
	return join ', ', map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $request->{headers} };
}

#
# Bytes.
#

my $every_byte =
  q{(SELECT string_agg(set_byte('\x00', 0, n %% 256), '' ORDER BY n) FROM generate_series(0, %d) AS n)};

is(result_of('SELECT (sagemaker_invoke(\'echo\', body)).body = body FROM '
	  . sprintf($every_byte, 255) . ' AS t(body)'),
	't', 'every byte value goes and comes unchanged');
is(last_request('echo')->{body_sha256}, sha256_hex(pack 'C*', 0 .. 255),
	'and is what was on the wire');
is(result_of('SELECT (sagemaker_invoke(\'bytes-1000\', \'\')).body = '
	  . sprintf($every_byte, 999)),
	't', 'an answer holds every byte value');

my $megabytes = 25;
my $large = "decode(repeat('00ff0d0a5c', $megabytes * 1024 * 1024 / 5), 'hex')";
is(result_of("SELECT length(body), (sagemaker_invoke('echo', body)).body = body FROM (SELECT $large) AS t(body)"),
	$megabytes * 1024 * 1024 . '|t', "$megabytes MB go and come unchanged");
is(last_request('echo')->{body_bytes}, $megabytes * 1024 * 1024, 'in one request');
is(result_of("CREATE TABLE toasted AS SELECT $large AS body;\n"
		  . "SELECT (sagemaker_invoke('echo', body)).body = body FROM toasted"),
	't', 'so do bytes out of a table, compressed there');
fails_with($node, "SELECT sagemaker_invoke('echo', body || '\\x00') FROM toasted",
	'54000', qr/too large/, 'how much is too much is said by the service');

#
# Nothing is a body, too.
#

for my $body ("''", "''::bytea")
{
	is(result_of("SELECT (sagemaker_invoke('echo', $body)).body"), '\x', "an empty body, $body, is sent");
	my $request = last_request('echo');
	is(header($request, 'Content-Length'), '0', 'with its length');
	is($request->{body_sha256}, sha256_hex(''), 'and signed');
}
$emulator->script('no-content', [], { status => 204 });
is(result_of("SELECT body, content_type IS NULL FROM sagemaker_invoke('no-content', '1')"),
	'\x|t', 'an answer without a body has an empty one, and no type');

#
# Text.
#

my $cafe = "U&'caf\\00e9'::text";
is(result_of("SELECT (sagemaker_invoke('echo', $cafe)).body"), '\x636166c3a9', 'text is sent as UTF-8');
result_of("CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
result_of("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
result_of('CREATE EXTENSION sagemaker_rt', $_) for 'latin1', 'ascii';
is(result_of("SELECT (sagemaker_invoke('echo', $cafe)).body", 'latin1'),
	'\x636166c3a9', 'also from a database in LATIN1');
is(result_of("SELECT (sagemaker_invoke('echo', to_jsonb($cafe))).body", 'latin1'),
	'\x22636166c3a922', 'as jsonb, too');
is(result_of("SELECT sagemaker_body_text(sagemaker_invoke('echo', $cafe)) = $cafe", 'latin1'),
	't', 'and its answer is turned back');
is(result_of("SELECT sagemaker_body_json(sagemaker_invoke('echo', to_jsonb($cafe))) = to_jsonb($cafe)", 'latin1'),
	't', 'as JSON, too');
fails_with($node, "\\c latin1\nSELECT sagemaker_body_text(sagemaker_invoke('echo', '\\xe282ac'::bytea))",
	'22P05', qr/no equivalent in encoding "LATIN1"/,
	'a character that the database cannot hold is an error');
is(result_of("SELECT count(*) FROM generate_series(128, 255) AS code WHERE refused(code)", 'latin1'),
	'128', 'a byte that is not ASCII is refused in a header')
  if result_of(q{
	CREATE FUNCTION refused(code int) RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM sagemaker_invoke('echo', '', custom_attributes => chr(code));
		RETURN false;
	EXCEPTION WHEN invalid_parameter_value THEN
		RETURN true;
	END $$;
	SELECT 1}, 'latin1');

my $ascii_bytes = "convert_from('%s', 'SQL_ASCII')";
is(result_of('SELECT (sagemaker_invoke(\'echo\', ' . sprintf($ascii_bytes, '\x636166c3a9') . ')).body', 'ascii'),
	'\x636166c3a9', 'a database without an encoding sends UTF-8 as it is');
fails_with($node, "\\c ascii\nSELECT sagemaker_invoke('echo', " . sprintf($ascii_bytes, '\x636166e9') . ')',
	'22021', qr/invalid byte sequence for encoding "UTF8"/, 'and refuses what is not');

my ($status, $out, $err) = $node->psql('postgres',
	"SELECT count((sagemaker_invoke('echo', '\\x' || n)).body) FROM generate_series(1, 5) AS n");
is($out, '5', 'text that looks like bytes is sent as text');
is(() = $err =~ /NOTICE:  a body of type text begins with "\\x"/g, 1,
	'with one notice for the whole statement');

#
# Content types.
#

for my $case (
	[ q('1,2'), '', 'text has none' ],
	[ q('\x00'::bytea), '', 'bytes have none' ],
	[ q('{"a":  1}'::json), 'application/json', 'json has its own' ],
	[ q('{"a":  1}'::jsonb), 'application/json', 'jsonb has its own' ],
	[ q('1,2', 'text/csv'), 'text/csv', 'one that is given is sent' ],
	[ q('{}'::json, 'application/jsonlines'), 'application/jsonlines', 'also for json' ],
	[ q('{}'::jsonb, content_type => 'application/x-ndjson'), 'application/x-ndjson', 'also for jsonb' ])
{
	my ($arguments, $type, $name) = @$case;
	result_of("SELECT (sagemaker_invoke('mirror', $arguments)).request_id");
	my $request = last_request('mirror');
	is(header($request, 'Content-Type'), $type, "content type: $name");
	is(grep({ lc $_->[0] eq 'content-type' } @{ $request->{headers} }),
		$type eq '' ? 0 : 1, 'and no other one');
}
is(result_of(q{SELECT sagemaker_body_text(sagemaker_invoke('echo', '{"a":  1, "a": 2}'::json))}),
	'{"a":  1, "a": 2}', 'json keeps its blanks and doubles');
is(result_of(q{SELECT sagemaker_body_text(sagemaker_invoke('echo', '{"b":  1, "a": 2}'::jsonb))}),
	'{"a": 2, "b": 1}', 'jsonb is sent as PostgreSQL shows it');
is(header(last_request('echo'), 'Accept'), '', 'no Accept unless it is given');
is(header(last_request('echo'), 'Expect'), '', 'and never an Expect');

#
# Whatever else is in an answer.
#

is(result_of("SELECT invoked_production_variant, custom_attributes, content_type FROM "
		  . "sagemaker_invoke('echo', '1', 'text/csv', custom_attributes => 'k=v', target_variant => 'blue')"),
	'blue|k=v|text/csv', 'variant, custom attributes and content type come back');
my $id = result_of("SELECT request_id FROM sagemaker_invoke('echo', '1')");
is($id, last_request('echo')->{request_id}, 'the request id is the one that the service logged');

my $session = result_of("SELECT new_session_id FROM sagemaker_invoke('sessions', '1', session_id => 'NEW_SESSION')");
like($session, qr/^[A-Za-z0-9-]+$/, 'a new session has an id, without its expiry');
is(result_of("SELECT new_session_id IS NULL AND closed_session_id IS NULL FROM "
		  . "sagemaker_invoke('sessions', '1', session_id => '$session')"),
	't', 'which can be used as it is');
is(result_of("SELECT closed_session_id FROM sagemaker_invoke('sessions', "
		  . qq{'{"requestType": "CLOSE"}', session_id => '$session')}),
	$session, 'and closed');

$emulator->script('bare', [], { body => 'x', headers => { 'x-amzn-RequestId' => 'one' } });
is(result_of("SELECT content_type IS NULL, custom_attributes IS NULL, new_session_id IS NULL, "
		  . "closed_session_id IS NULL, request_id FROM sagemaker_invoke('bare', '')"),
	't|t|t|t|one', 'what an answer does not say is NULL');
$emulator->script('odd', [],
	{ body => 'x', headers => [ [ 'X-Amzn-SageMaker-Custom-Attributes', "a\x{e9}b" ],
			[ 'X-Amzn-SageMaker-Custom-Attributes', 'second' ] ] });
is(result_of("SELECT custom_attributes FROM sagemaker_invoke('odd', '')"),
	'a\xe9b', 'the first of two headers counts, its odd bytes escaped');

#
# A row of columns, or one call for each.
#

my $columns = () = result_of("SELECT (sagemaker_invoke('echo', '')).*", 'postgres') =~ /\|/g;
is($columns, 6, '(...).* gives the columns');
$emulator->reset;
result_of("SELECT (sagemaker_invoke('echo', '')).*");
is($emulator->request_count('echo'), 7, 'and PostgreSQL evaluates the call for each of them');
$emulator->reset;
result_of("SELECT r.* FROM generate_series(1, 3) AS n, LATERAL sagemaker_invoke('echo', n::text) AS r");
is($emulator->request_count('echo'), 3, 'LATERAL calls once a row');

#
# A header for a member that has no argument yet.
#

result_of(q{SELECT (sagemaker_invoke('mirror', '', options => '{"headers": {"X-Amzn-SageMaker-New": "one", "X-Amzn-SageMaker-Newer": 2}}')).request_id});
is(header(last_request('mirror'), 'X-Amzn-SageMaker-New'), 'one', 'a member of the future is sent, signed');
is(header(last_request('mirror'), 'X-Amzn-SageMaker-Newer'), '2', 'a number, too');

done_testing();
