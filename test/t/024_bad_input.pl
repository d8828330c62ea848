# What may go into a request and what may not: every byte at every place of
# every argument, names that would change the path, values too long, options.
# Nothing is sent for what is refused; what is accepted arrives byte for byte.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Outcomes;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $token = 'T' x 16384;
my $emulator = start_emulator('--no-models', '--key',
	'AKIDEMULATOR:emulator-secret-access-key', '--key', "AKIDTOKEN:secret:$token");
my $node = start_node('main', $emulator, 'sagemaker_rt.max_attempts = 1');
install_outcomes($node);

sub header
{
	my ($request, $name) = @_;
	my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
	  @{ $request->{headers} };
	return @values > 1 ? 'more than one' : $values[0];
}

sub printable
{
	return map { chr } 0x20 .. 0x7e;
}

sub alphanumeric
{
	return ('0' .. '9', 'A' .. 'Z', 'a' .. 'z');
}

# What may stand first, inside, and last.
my %field = (first => [ printable() ], middle => [ printable() ], last => [ printable() ]);
my %words = (%field, first => [ grep { $_ ne ' ' } printable() ]);
my %name = (first => [ alphanumeric() ], middle => [ '-', alphanumeric() ],
	last => [ alphanumeric() ]);

# Argument, header, permitted characters, greatest length, whether it may be
# empty.
my @members = (
	[ 'content_type', 'Content-Type', \%field, 1024, 1 ],
	[ 'accept', 'Accept', \%field, 1024, 1 ],
	[ 'custom_attributes', 'X-Amzn-SageMaker-Custom-Attributes', \%field, 1024, 1 ],
	[ 'target_model', 'X-Amzn-SageMaker-Target-Model', \%words, 1024, 0 ],
	[ 'target_variant', 'X-Amzn-SageMaker-Target-Variant', \%name, 63, 0 ],
	[ 'target_container_hostname', 'X-Amzn-SageMaker-Target-Container-Hostname',
		\%name, 63, 0 ],
	[ 'inference_id', 'X-Amzn-SageMaker-Inference-Id', \%words, 64, 0 ],
	[ 'enable_explanations', 'X-Amzn-SageMaker-Enable-Explanations', \%field, 64, 0 ],
	[ 'inference_component_name', 'X-Amzn-SageMaker-Inference-Component', \%name, 63,
		0 ],
	[ 'session_id', 'X-Amzn-SageMaker-Session-Id', \%name, 256, 0 ],
	[ 'prefix_aware_id', 'X-Amzn-SageMaker-Prefix-Aware-Id', \%words, 64, 0 ]);

#
# Every byte at every place.
#

# Puts each character of a range at each place of an argument, and tells of each
# trial: place, code, SQLSTATE, and whether the error names the argument.  Where
# the service answers, its verdict does not matter.
my $trials = <<'SQL';
CREATE FUNCTION trials(argument text, low int, high int)
RETURNS TABLE (place text, code int, verdict text) LANGUAGE plpgsql AS $$
DECLARE
	pattern text;
BEGIN
	FOR place, pattern IN VALUES ('first', '%sxy'), ('middle', 'x%sy'), ('last', 'xy%s') LOOP
		FOR i IN low .. high LOOP
			code := i;
			BEGIN
				verdict := 'sent';
				IF argument = 'endpoint' THEN
					PERFORM sagemaker_invoke(format(pattern, chr(code)), ''::bytea);
				ELSE
					EXECUTE format('SELECT sagemaker_invoke(''echo'', ''''::bytea, %I => $1)', argument)
						USING format(pattern, chr(code));
				END IF;
			EXCEPTION WHEN OTHERS THEN
				IF starts_with(SQLERRM, format('argument "%s" is not valid: ', argument)) THEN
					verdict := SQLSTATE;
				ELSIF NOT starts_with(SQLERRM, 'endpoint "') THEN
					verdict := SQLSTATE || ' ' || SQLERRM;
				END IF;
			END;
			RETURN NEXT;
		END LOOP;
	END LOOP;
END $$;
SQL

my %value_of = (first => '%sxy', middle => 'x%sy', last => 'xy%s');

# The trials with that verdict, as the values they tried.
my ($tried, $refused) = (0, 0);

sub trials
{
	my ($database, $argument, $low, $high) = @_;
	my %values;

	for (split /\n/, $node->safe_psql($database,
			"SELECT * FROM trials('$argument', $low, $high)"))
	{
		my ($place, $code, $verdict) = split /\|/, $_, 3;
		push @{ $values{$verdict} }, sprintf $value_of{$place}, chr $code;
		$tried++;
		$refused++ if $verdict eq '22023';
	}
	return \%values;
}

$node->safe_psql('postgres', $trials);
for my $row ([ 'endpoint', undef, \%name ], @members)
{
	my ($argument, $header, $permitted) = @$row;
	my @expected = map {
		my $place = $_;
		map { sprintf $value_of{$place}, $_ } @{ $permitted->{$place} }
	} qw(first middle last);

	$emulator->reset;
	my $values = trials('postgres', $argument, 1, 0x7f);
	is_deeply($values->{sent}, \@expected,
		"$argument: of 127 ASCII characters at 3 places, the right ones are accepted");
	is(scalar @{ $values->{22023} }, 3 * 127 - @expected,
		'all others are refused by name');
	is_deeply([ sort keys %$values ], [ '22023', 'sent' ], 'with no other error');

	my @requests = @{ $emulator->control('requests') };
	my @arrived = map {
		$header ? header($_, $header)
		  : $_->{line} =~ m{^POST /endpoints/(.*)/invocations HTTP/1\.1$} ? $1 : $_->{line}
	} @requests;
	is_deeply(\@arrived, \@expected, 'those arrive byte for byte, and no others');
	is(scalar(grep { $_->{outcome} ne 'verified' } @requests), 0,
		'each with a valid signature');

	$values = trials('postgres', $argument, 0x80, 0x17f);
	is_deeply([ map { "$_ " . @{ $values->{$_} } } sort keys %$values ],
		['22023 768'], 'letters of two bytes are refused by name');
}

$emulator->reset;
for my $encoding (qw(LATIN1 SQL_ASCII))
{
	my $database = lc $encoding;
	$node->command_ok(
		[ 'createdb', '-h', $node->host, '-p', $node->port, '-E', $encoding,
			'-T', 'template0', '--locale=C', $database ],
		"a database in $encoding");
	$node->safe_psql($database, "CREATE EXTENSION sagemaker_rt; $trials");

	my %verdicts;
	for my $argument ('endpoint', map { $_->[0] } @members)
	{
		my $values = trials($database, $argument, 0x80, 0xff);
		$verdicts{$_} += @{ $values->{$_} } for keys %$values;
	}
	is_deeply(\%verdicts, { '22023' => 128 * 3 * 12 },
		'bytes from 80 to FF are refused by name everywhere');
}
is($emulator->control('stats')->{requests}, 0, 'and none was sent');

#
# Lengths and blanks.
#

for my $row (@members)
{
	my ($argument, $header, undef, $longest, $may_be_empty) = @$row;
	my @lengths = (0, 1, $longest, $longest + 1, 100000);
	$emulator->reset;
	my @results = outcomes($node,
		[ map { call('echo', "''::bytea, $argument => repeat('x', $_)") } @lengths ]);

	is( join(' ', map { $_->{sqlstate} } @results),
		($may_be_empty ? '00000' : '22023') . ' 00000 00000 22023 22023',
		"$argument: lengths up to $longest are accepted");
	like($results[3]{message},
		qr/^argument "$argument" is not valid: it has @{[$longest + 1]} characters, $longest are permitted$/,
		'and the limit is told');
	is_deeply([ map { length header($_, $header) } $emulator->requests('echo') ],
		[ $may_be_empty ? 0 : (), 1, $longest ], 'those arrive');
}

# To libcurl a header of blanks is none, but it was signed.  Whether the service
# likes it is another matter.
for my $row (grep { $_->[2] == \%field } @members)
{
	my ($argument, $header) = @$row;
	for my $blanks (' ', '   ')
	{
		$emulator->reset;
		outcome($node, call('echo', "''::bytea, $argument => '$blanks'"));
		my ($request) = $emulator->requests('echo');
		like(header($request, $header), qr/^ *$/,
			"$argument: a value of " . length($blanks) . ' blanks arrives as a header');
		is($request->{outcome}, 'verified', 'and its signature is valid');
	}
}

#
# Names that would lead elsewhere.
#

$emulator->reset;
for my $endpoint ('', '../x', '..', '.', 'a/b', 'a/../b', '/', '/a', 'a/', '%2e%2e',
	'a%2fb', 'a%00', 'a?b', 'a#b', 'a;b', 'a:b', 'a@b', 'a&b', 'a=b', 'a+b', 'a b',
	'a.b', 'a_b', 'a\b', '-a', 'a-', '-', 'x' x 64, 'x' x 1000, "a\nb", "a\r\nHost: b",
	"a HTTP/1.1\r\n", 'echo/invocations?', "\x{e9}", "\x{ff41}")
{
	my $text = $endpoint;
	utf8::encode($text);
	my $outcome = outcome($node,
		"sagemaker_invoke(convert_from('\\x" . unpack('H*', $text)
		  . "', 'UTF8'), ''::bytea)");
	is_failure($outcome, '22023', qr/^argument "endpoint" is not valid: [ -~]+$/,
		qr/^$/, 'endpoint ' . ($text =~ s/[^ -~]/?/gr) . ' is refused by name');
}
is($emulator->control('stats')->{requests}, 0, 'and nothing was sent');
my $longest_name = 'x' x 63;
$emulator->script($longest_name, [], { body => 'found' });
is_value(outcome($node, call($longest_name)), 'found', '63 characters are a name');

#
# Options.
#

$emulator->reset;
my $new = 'X-Amzn-SageMaker-New';
for my $row (
	[ '[]', qr/^options must be a JSON object$/ ],
	[ '"timeout"', qr/^options must be a JSON object$/ ],
	[ '1', qr/^options must be a JSON object$/ ],
	[ 'null', qr/^options must be a JSON object$/ ],
	[ '[{"timeout": 1}]', qr/^options must be a JSON object$/ ],

	(map { [ "{\"$_\": \"1\"}", qr/^there is no option "\Q$_\E"$/ ] }
		  '', 'timeuot', 'Timeout', 'timeout ', 'sagemaker_rt.timeout', 'idle_timeout',
		'region', 'endpoint_url', 'ca_file', 'proxy', 'allow_http', 'access_key_id',
		'secret_access_key', 'session_token'),

	(map { [ "{\"timeout\": $_}", qr/^option "timeout" is not valid: / ] }
		  'null', '{}', '[]', '[1]', 'true', '""', '"soon"', '"1 parsec"', '"1 kB"',
		'"2d"', '"1s; SELECT"', '-1', '0', '86400001', '1e99', '"0x"', '"1,5s"'),
	(map { [ "{\"max_attempts\": $_}", qr/^option "max_attempts" is not valid: / ] }
		  'null', '0', '-1', '101', '"3 s"', '"three"', 'false'),
	(map { [ "{\"max_response_size\": $_}",
				qr/^option "max_response_size" is not valid: / ] }
		  'null', '-1', '"2GB"', '"1 s"', '99999999999'),
	(map { [ "{\"retry_timeouts\": $_}", qr/^option "retry_timeouts" is not valid: / ] }
		  'null', '2', '"perhaps"', '{}'),
	[ '{"timeout": "1s", "max_attempts": 0}', qr/^option "max_attempts"/ ],

	(map { [ "{\"headers\": $_}", qr/^option "headers" must be a JSON object$/ ] }
		  'null', '1', '"x"', '[]', '["X-Amzn-SageMaker-New"]'),
	(map { [ "{\"headers\": {\"$new\": $_}}", qr/^option "headers" is not valid: / ] }
		  'null', '[]', '{}', '["x"]'),
	(map { [ "{\"headers\": {\"$_\": \"x\"}}",
				qr/^argument ".*" is not valid: only headers named X-Amzn-SageMaker-/ ] }
		  '', 'Host', 'Authorization', 'X-Amz-Date', 'X-Amz-Security-Token',
		'X-Amz-Content-Sha256', 'amz-sdk-request', 'Content-Length', 'Content-Type',
		'Transfer-Encoding', 'Connection', 'Expect', 'Cookie', 'Proxy-Authorization',
		'X-Amzn-SageMaker', 'X-Amzn-SageMaker-', ' X-Amzn-SageMaker-New',
		"X-Amzn-SageMaker-" . 'x' x 200),
	(map { [ "{\"headers\": {\"X-Amzn-SageMaker-$_\": \"x\"}}",
				qr/^argument "X-Amzn-SageMaker-[^"\x00-\x1f]*" is not valid: a header's name/ ] }
		  'A B', 'A:B', 'A;', ' ', 'A\r\nHost', 'A\n', 'A\u00e9', 'A_B', 'A.'),
	(map { [ "{\"headers\": {\"$new\": \"$_\"}}",
				qr/^argument "$new" is not valid: character \d+ is a control or non-ASCII/ ] }
		  'a\r\nb', 'a\nb', '\t', 'a\u007f', 'a\u0001', '\u00e9', '\u4e00'),
	[ "{\"headers\": {\"$new\": \"" . 'x' x 1025 . '"}}',
		qr/^argument "$new" is not valid: it has 1025 characters/ ],
	(map { [ "{\"headers\": {\"$_->[1]\": \"x\"}}",
				qr/^argument "\Q$_->[1]\E" is not valid: use the argument "$_->[0]" for it$/ ],
			[ "{\"headers\": {\"\L$_->[1]\E\": \"x\"}}", qr/ use the argument "$_->[0]" for it$/ ] }
		grep { $_->[1] =~ /^X-Amzn/ } @members),
	[ "{\"headers\": {\"$new\": \"a\", \"\L$new\E\": \"b\"}}",
		qr/^argument "\Q$new\E" is not valid: it is given twice$/i ])
{
	my ($options, $message) = @$row;
	my $shown = length $options > 80 ? substr($options, 0, 77) . '...' : $options;
	is_failure(
		outcome($node, call('echo', "''::bytea, options => \$o\$$options\$o\$")),
		'22023', $message, qr/^$/, "refused: $shown");
}
# Names and values at their longest.
sub many_headers
{
	my ($n) = @_;
	my $headers = join ', ', map {
		my $name = "X-Amzn-SageMaker-$_-";
		sprintf '"%s": "%s"', $name . 'n' x (128 - length $name), 'v' x 1024
	} 1 .. $n;
	return "options => '{\"headers\": {$headers}}'";
}
is_failure(outcome($node, call('echo', "''::bytea, " . many_headers(17))), '22023',
	qr/^argument "X-.*" is not valid: no more than 16 headers can be added$/, qr/^$/,
	'refused: 17 headers');
is($emulator->control('stats')->{requests}, 0, 'nothing was sent for any of these');

# A refused value is shown in part; half a character would be none.
for my $value ("\x{e9}", "\x{4e00}", "\x{1f600}")
{
	for my $shift (0 .. 3)
	{
		my $long = 'x' x $shift . $value x 300;
		utf8::encode($long);
		is_failure(
			outcome($node,
				call('echo', "''::bytea, options => '{\"timeout\": \"$long\"}'")),
			'22023', qr/^option "timeout" is not valid: "x{$shift}$value+/, qr/^$/,
			sprintf('a value of many U+%04X after %d letters can be shown',
				ord $value, $shift));
	}
}

my $all = join ', ', map { "$_->[0] => repeat('x', $_->[3])" } @members;
is_value(
	outcome($node, call('echo', "''::bytea, $all, " . many_headers(16)), settings =>
		[ "access_key_id = 'AKIDTOKEN'", "secret_access_key = 'secret'",
			"session_token = '$token'" ]),
	'', 'all members, 16 more and the session token, at their longest, arrive together');

for my $options ('{}', '{"timeout": "5 s", "connect_timeout": 1000, "total_timeout": "1min"}',
	'{"max_attempts": "3", "max_response_size": "1MB", "retry_timeouts": "off"}',
	'{"retry_timeouts": false, "headers": {}}', '{"timeout": 1, "timeout": "5s"}')
{
	is_value(outcome($node, call('echo', "''::bytea, options => '$options'")), '',
		"accepted: $options");
}

$emulator->reset;
is_value(
	outcome($node, call('echo', "''::bytea, options => '{\"headers\": "
			. "{\"$new\": \"a=b;  c \", \"x-amzn-sagemaker-2\": 1.50, \"$new-3\": true, "
			. "\"$new-4\": \"\", \"$new-5\": \"  \"}}'")),
	'', 'members that come later can be sent as headers');
my ($request) = $emulator->requests('echo');
is( join('|', map { header($request, $_) // 'none' } $new, 'X-Amzn-SageMaker-2',
		"$new-3", "$new-4"), 'a=b;  c |1.50|true|', 'and arrive as they are');
like(header($request, "$new-5"), qr/^ *$/, 'blanks too');
is($request->{outcome}, 'verified', 'signed');

like(header($request, 'User-Agent'),
	qr{^sagemaker_rt/\d+\.\d+ ua/2\.1 os/Linux#[!-.0-~]+ md/arch#\w+ lang/c md/postgresql#\d+\.\d+$},
	'the user agent says what it is in the form of the SDKs');

#
# URLs.  The longest one that is accepted is sent whole, whatever comes behind it.
#

my $url = $emulator->fact('url');
my $longest_url = 1900;

sub long_url
{
	my ($length) = @_;
	return "$url/" . 'p' x ($length - length "$url/");
}

$node->safe_psql('postgres', 'CREATE SERVER far FOREIGN DATA WRAPPER sagemaker');
$emulator->reset;
outcome($node, call($longest_name), settings => [ "endpoint_url = '" . long_url($longest_url) . "'" ]);
my ($line) = map { $_->{line} } @{ $emulator->control('requests') };
is($line, 'POST ' . substr(long_url($longest_url), length $url)
	  . "/endpoints/$longest_name/invocations HTTP/1.1", "a URL of $longest_url bytes is sent whole");
$emulator->reset;
for my $length ($longest_url + 1, 1980, 2030, 2048, 2049, 5000)
{
	my $long = long_url($length);
	for my $setting (qw(endpoint_url s3_endpoint_url proxy))
	{
		my $failure = failure($node, "LOAD 'sagemaker_rt'; SET sagemaker_rt.$setting = '$long'");
		is("$failure->{sqlstate} $failure->{detail}",
			"22023 Not a URL that can be used: the URL is longer than $longest_url bytes.",
			"a URL of $length bytes is refused as setting $setting");
	}
	for my $option (qw(endpoint_url sts_endpoint_url s3_endpoint_url proxy))
	{
		fails_with($node, "ALTER SERVER far OPTIONS (ADD $option '$long')", '22023',
			qr/^option "$option" is not valid: the URL is longer than $longest_url bytes$/,
			"a URL of $length bytes is refused as option $option");
	}
	# Where one has come past the validator.
	$node->safe_psql('postgres',
		"UPDATE pg_foreign_server SET srvoptions = ARRAY['endpoint_url=$long'] WHERE srvname = 'far'");
	is_failure(outcome($node, call('echo', "''::bytea, server => 'far'")), '22023',
		qr/^The server's option endpoint_url cannot be used: the URL is longer than $longest_url bytes$/,
		qr/^$/, "nor is one of $length bytes used");
	$node->safe_psql('postgres',
		"UPDATE pg_foreign_server SET srvoptions = NULL WHERE srvname = 'far'");
}
is($emulator->control('stats')->{requests}, 0, 'and nothing was sent');

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/,
	'no backend crashed');

figure('bad inputs', sprintf '%d bytes at places of arguments, %d refused by name, none of these sent; %d other calls',
	$tried, $refused, $Outcomes::evaluated);

done_testing();
