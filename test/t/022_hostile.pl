# Servers that lie, flood, trickle, or speak something else: each ends in one
# clean error within its deadline and within bounds of memory, and the session
# goes on.
#
# The emulator sends most of it.  What it cannot send comes from a server in
# this file, which writes whatever a function tells it to.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Socket::INET;
use Outcomes;
use POSIX ();
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my ($emulator, $node);

# Backends may grow by this much, whatever a server does.
my $flat_kb = 10 * 1024;

# Far above any timeout set here, far below what is configured.
my $deadline_ms = 5000;

my $short_timeout = q{, options => '{"timeout": "400ms"}'};
my $n_endpoints = 0;

sub endpoint
{
	my ($step) = @_;
	my $name = 'e-' . ++$n_endpoints;
	$emulator->script($name, [], $step);
	return $name;
}

my $good = call('echo', q{'\x676f6f64'::bytea});

# One session calls each of these hostile endpoints, and a good one after each.
# Rows: what it is, the call, SQLSTATE and message.
my $most_grown_kb = 0;

sub survives
{
	my ($rows, %options) = @_;
	my ($before, @outcomes) = outcomes($node,
		[ $good, map { ($_->[1], $good) } @$rows ], %options);

	for my $row (@$rows)
	{
		my ($what, undef, $sqlstate, $message) = @$row;
		my ($outcome, $next) = splice @outcomes, 0, 2;
		my @faults;

		push @faults, "SQLSTATE $outcome->{sqlstate}, not $sqlstate"
		  unless $outcome->{sqlstate} =~ /^$sqlstate$/;
		push @faults, "message: $outcome->{message}"
		  if defined $message && ($outcome->{message} // '') !~ $message;
		push @faults, "took $outcome->{ms} ms" if $outcome->{ms} > $deadline_ms;
		push @faults, "memory grew from $before->{peak_kb} kB to $outcome->{peak_kb} kB"
		  if defined $outcome->{peak_kb}
		  && $outcome->{peak_kb} - $before->{peak_kb} > $flat_kb;
		push @faults, "the next call: $next->{sqlstate} "
		  . ($next->{message} // $next->{value})
		  unless ($next->{value} // '') eq 'good';
		$most_grown_kb = $outcome->{peak_kb} - $before->{peak_kb}
		  if defined $outcome->{peak_kb} && $outcome->{peak_kb} - $before->{peak_kb} > $most_grown_kb;
		ok(!@faults, $what) || diag(join "\n", @faults);
		$before = $next;
	}
}

#
# A server that sends what a function writes.
#

my %behaviours = (
	'echo' => sub {
		print { $_[0] } "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
	},
	'slow-status' => sub { trickle($_[0], '', 'HTTP/1.1 200 OK' . ' ' x 1000) },
	'slow-header' => sub {
		trickle($_[0], "HTTP/1.1 200 OK\r\nX-Slow: ", 'x' x 1000);
	},
	'slow-interim' => sub {
		trickle($_[0], '', ("HTTP/1.1 100 Continue\r\n\r\n") x 1000);
	},
	'slow-chunks' => sub {
		trickle($_[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			("1\r\nx\r\n") x 1000);
	},
	'flood-status' => sub { flood($_[0], 'HTTP/1.1 200 ', 'x' x 65536) },
	'flood-lines' => sub { flood($_[0], "HTTP/1.1 200 OK\r\nX: y", "\r\n y" x 20000) },
	'flood-folds' => sub { flood($_[0], "HTTP/1.1 200 OK\r\nX: y", "\r\n " x 20000) },
	'flood-blank' => sub { flood($_[0], '', "\r\n" x 30000) },
	'flood-nul' => sub { flood($_[0], '', "\0" x 65536) },
	'flood-extension' => sub {
		flood($_[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
			'x' x 65536);
	},
	'flood-trailers' => sub {
		flood($_[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  . "1\r\nx\r\n0\r\n", "X-Trailer: y\r\n" x 5000);
	},
	'flood-trailers-only' => sub {
		flood($_[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
			"X-Trailer: y\r\n" x 5000);
	},
	'flood-trailer' => sub {
		flood($_[0], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  . "1\r\nx\r\n0\r\nX-Trailer: ", 'y' x 65536);
	});

# Both go on until the client closes; SIGPIPE ends the process then.
sub trickle
{
	my ($socket, $begin, @pieces) = @_;
	print $socket $begin;
	for my $piece (@pieces > 1 ? @pieces : split //, $pieces[0])
	{
		print $socket $piece;
		select(undef, undef, undef, 0.02);
	}
}

sub flood
{
	my ($socket, $begin, $block) = @_;
	print $socket $begin;
	print $socket $block while 1;
}

# The name of the endpoint that was asked.
sub read_request
{
	my ($socket) = @_;
	my ($name, $length) = (undef, 0);
	while (defined(my $line = <$socket>))
	{
		$name //= $1 if $line =~ m{^POST /endpoints/([^/]+)/};
		$length = $1 if $line =~ /^Content-Length: (\d+)/i;
		last if $line eq "\r\n";
	}
	read($socket, my $body, $length) if $length;
	return $name;
}

sub start_raw_server
{
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64)
	  or die "listen: $!";
	my $pid = fork() // die "fork: $!";
	return ($listener->sockport, $pid) if $pid;

	# PostgreSQL's modules have a handler, which would run this test's END blocks.
	setpgrp;
	$SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	while (my $socket = $listener->accept)
	{
		next if fork();
		$SIG{PIPE} = 'DEFAULT';
		$socket->autoflush(1);
		my $name = read_request($socket);
		$behaviours{$name}->($socket) if defined $name && $behaviours{$name};
		close $socket;
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

# Forked before the emulator, so that it does not inherit the pipe by which that
# one knows when this test is over.
my ($raw_port, $raw_pid) = start_raw_server();

END
{
	local $?;
	kill 'TERM', -$raw_pid if $raw_pid;
}

$emulator = start_emulator('--no-models');
$node = start_node('main', $emulator, 'sagemaker_rt.max_attempts = 1',
	'sagemaker_rt.timeout = 10s', 'sagemaker_rt.max_response_size = 1MB');

install_outcomes($node);

# 8.05 for 8.5: versions differ in what they take for an answer.
my $libcurl = sprintf '%d.%02d', $node->safe_psql('postgres',
	'SELECT libcurl FROM sagemaker_rt_version()') =~ /(\d+)\.(\d+)/;

my @raw_server = (settings => ["endpoint_url = 'http://127.0.0.1:$raw_port'"]);

#
# Sizes.
#

my $body_too_large =
  qr/: the answer is too large: the answer's body is larger than max_response_size$/;
survives([
	[ 'a body of 20 MB with an honest length',
		call(endpoint({ body => { zeros => 20000000 } })), '54000', $body_too_large ],
	[ 'a body of 20 MB in chunks', call(endpoint({ body => { zeros => 20000000 },
		framing => 'chunked' })), '54000', $body_too_large ],
	[ 'a body of 20 MB up to the end', call(endpoint({ body => { zeros => 20000000 },
		framing => 'close' })), '54000', $body_too_large ],
	[ 'a length of 2 GB that is a lie', call(endpoint({ body => 'x',
		length_error => 2000000000 })), '54000', $body_too_large ],
	[ 'a length that no number holds', call(endpoint({ raw =>
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok" })),
		'54000|38S01' ],
	[ 'an error of 20 MB', call(endpoint({ status => 500,
		body => { zeros => 20000000 } })), '54000', $body_too_large ],
	[ 'a body without end', call('flood-body'), '54000', $body_too_large ],
	[ 'chunks without end', call('flood-chunks'), '54000', $body_too_large ],
	[ 'a compressed answer, not asked for: it is not unpacked',
		'octet_length((' . (call('gzip-bomb') =~ s/sagemaker_body_text//r) . ').body)',
		'00000' ],
	[ 'a compressed transfer of 100 MB', call(endpoint({ use => 'gzip-bomb',
		framing => 'close', headers => { 'Transfer-Encoding' => 'gzip' } })),
		'54000|38S01' ],
	[ 'a transfer compressed many times over', call(endpoint({ use => 'gzip-bomb',
		framing => 'close', headers =>
		{ 'Transfer-Encoding' => join ', ', ('gzip') x 1000 } })), '38S01' ] ]);

for my $limit (0, 1, 1000)
{
	for my $framing (qw(length chunked close))
	{
		my @results = outcomes($node,
			[ map {
					call(endpoint({ body => { every_byte => $_ },
								framing => $framing })) =~ s/^sagemaker_body_text/octet_length(/r
					  =~ s/$/.body)/r
				} $limit, $limit + 1 ],
			settings => ["max_response_size = $limit"]);
		is(join(' ', $results[0]{value} // '', $results[1]{sqlstate}),
			"$limit 54000",
			"a limit of $limit: so many bytes are read and no more, by $framing");
	}
}

#
# Headers.
#

my $headers_too_large = qr/: the answer's headers are too large: /;
survives([
	[ 'headers without end', call('flood-headers'), '54000', $headers_too_large ],
	[ 'a header without end', call('flood-header'), '54000', $headers_too_large ],
	[ '1xx answers without end', call('flood-interim'), '54000', $headers_too_large ],
	[ 'headers of 120 kB', call(endpoint({ body => 'ok', headers =>
		[ map { [ "X-$_", 'x' x 10000 ] } 1 .. 12 ] })), '00000' ],
	[ 'headers of 140 kB', call(endpoint({ body => 'ok', headers =>
		[ map { [ "X-$_", 'x' x 10000 ] } 1 .. 14 ] })), '54000', $headers_too_large ],
	[ 'a header of 110 kB', call(endpoint({ body => 'ok', headers =>
		{ 'X-Large' => 'x' x 110000 } })), '54000', $headers_too_large ],
	[ '100 cookies', call(endpoint({ body => 'ok', headers =>
		[ map { [ 'Set-Cookie', "c$_=v" ] } 1 .. 100 ] })), '00000' ] ]);
survives([
	[ 'a status line without end', call('flood-status'), '54000',
		$headers_too_large ],
	[ 'a folded header without end', call('flood-lines'), '54000',
		$headers_too_large ],
	# libcurl 8.18 and newer drop the blanks as they come, whose end is the timeout.
	[ 'a folded header of blanks without end',
		call('flood-folds', "''::bytea $short_timeout"), '54000|58030',
		qr/: the answer's headers are too large: |: no answer in time$/ ],
	[ 'blank lines without end', call('flood-blank'), '38S01' ],
	[ 'NUL bytes without end', call('flood-nul'), '38S01|54000' ],
	[ 'an extension of a chunk without end',
		call('flood-extension', "''::bytea $short_timeout"), '58030|38S01' ],
	[ 'trailers without end', call('flood-trailers'), '54000', $headers_too_large ],
	[ 'trailers without end after no body', call('flood-trailers-only'), '54000',
		$headers_too_large ],
	[ 'a trailer without end', call('flood-trailer'), '54000|38S01|58030' ] ],
	@raw_server);

#
# Slowness and silence.
#

my $in_time = qr/: no answer in time$/;
my $silent = $emulator->control('listener', { kind => 'silent' })->{port};
survives([
	map {
		[ "$_, byte by byte", call($_, "''::bytea $short_timeout"), '58030', $in_time ]
	} qw(slow-status slow-header slow-interim slow-chunks) ],
	@raw_server);
survives([
	[ 'a body that trickles', call('trickle', "''::bytea $short_timeout"), '58030',
		$in_time ],
	[ 'a body that stops', call('pause', "''::bytea $short_timeout"), '58030',
		$in_time ],
	[ 'a last chunk that never comes', call(endpoint({ use => 'chunk-last',
		after => 'hang' }), "''::bytea $short_timeout"), '58030', $in_time ],
	[ 'half a header, then nothing', call(endpoint({ raw =>
		"HTTP/1.1 200 OK\r\nContent-Le", after => 'hang' }),
		"''::bytea $short_timeout"), '58030', $in_time ],
	[ 'no answer', call('hang', "''::bytea $short_timeout"), '58030', $in_time ] ]);
is_failure(
	outcome($node, call('echo', "''::bytea $short_timeout"),
		settings => ["endpoint_url = 'http://127.0.0.1:$silent'"]),
	'58030', $in_time, qr/while waiting/, 'a connection that nobody serves');

# The 20 MB are ours here, so memory is not looked at.
my $large_body = q{decode(repeat('00', 20000000), 'hex')};
my @unread = outcomes($node,
	[ call('no-read', "$large_body $short_timeout"), $good,
		call(endpoint({ read => JSON::PP::false, status => 413, body => 'too much' }),
			$large_body), $good,
		call(endpoint({ read => JSON::PP::false, drop => 'always' }), $large_body),
		$good,
		call(endpoint({ read => JSON::PP::false, drop => 'always', after => 'reset' }),
			$large_body), $good ]);
is_failure($unread[0], '58030', $in_time, qr/while sending/,
	'a request that is not read');
is_failure($unread[2], '54000', qr/: too much$/, qr/HTTP status 413/,
	'an answer that comes before the request was read is understood');
is_failure($unread[4], '58030', qr/the connection ended/, qr/./,
	'a connection closed while the request is sent');
is_failure($unread[6], '58030', qr/the connection ended/, qr/./,
	'a connection reset while the request is sent');
is(join(' ', map { $unread[$_]{value} // '' } 1, 3, 5, 7), 'good good good good',
	'calls after them are good ones');

#
# Answers that end too early.
#

my $ended = qr/: the connection ended before the answer did: /;
survives([
	(map {
			[ "a body cut at byte $_", call(endpoint({ use => 'cut', cut => $_ })),
				'58030', $ended ]
		} 0, 1, 500, 999),
	[ 'a body reset', call('cut-reset'), '58030', $ended ],
	[ 'a length too long', call('length-too-long'), '58030', $ended ],
	[ 'no last chunk', call('chunk-last'), '58030', $ended ],
	[ 'nothing', call('drop'), '58030', $ended ],
	[ 'a reset', call('reset'), '58030', $ended ] ]);

# libcurl takes some of these for an answer with an empty body.
my $head = "HTTP/1.1 200 OK\r\nX-Amzn-RequestId: r\r\nContent-Type: text/csv\r\n\r\n";
survives([
	map {
		[ "headers cut at byte $_",
			call(endpoint({ raw => substr($head, 0, $_) })),
			$_ == length($head) - 1 && $libcurl >= 8.15 ? '58030|38S01|00000' : '58030|38S01' ]
	} 1 .. length($head) - 1 ]);

#
# What is no HTTP, or a bad one.  Where a pattern allows success, libraries
# differ in what they forgive, and the answer is a harmless one.
#

my $not_the_service = qr/: the answer is not one that the service gives/;
my $lenient = $libcurl < 7.88 ? '38S01|00000' : '38S01';
my %shapes = (
	'a status in words' => [ 'HTTP/1.1 two hundred', '38S01' ],
	'a status of two digits' => [ 'HTTP/1.1 20 OK', '38S01' ],
	# libcurl 8.14 and newer read three of them.
	'a status of four digits' => [ 'HTTP/1.1 2000 OK', $libcurl >= 8.14 ? '38S01|00000' : '38S01' ],
	'a negative status' => [ 'HTTP/1.1 -200 OK', '38S01' ],
	'a NUL in the status' => [ "HTTP/1.1 2\0 OK", '38S01' ],
	'status 0' => [ 'HTTP/1.1 000 OK', '38S01' ],
	'no status' => [ 'HTTP/1.1', '38S01' ],
	# libcurl 7.74 takes these for 1.1.
	'version 9.9' => [ 'HTTP/9.9 200 OK', $lenient ],
	'version 1.2' => [ 'HTTP/1.2 200 OK', $lenient ],
	'version 3' => [ 'HTTP/3 200 OK', $lenient ],
	'version 2 on a connection of 1.1' => [ 'HTTP/2 200', '38S01|00000' ],
	'another protocol' => [ 'RTSP/1.0 200 OK', '38S01' ],
	'ICY' => [ 'ICY 200 OK', '38S01|00000' ],
	'a NUL in a header' => [ "HTTP/1.1 200 OK\r\nX: a\0b", '38S01|00000' ],
	'a header without a colon' => [ "HTTP/1.1 200 OK\r\nno colon", '38S01|00000' ],
	'a header without a name' => [ "HTTP/1.1 200 OK\r\n: x", '38S01|00000' ],
	'a blank in a name' => [ "HTTP/1.1 200 OK\r\nX Y : z", '38S01|00000' ],
	'a negative length' => [ "HTTP/1.1 200 OK\r\nContent-Length: -1", '38S01' ],
	'a length in words' => [ "HTTP/1.1 200 OK\r\nContent-Length: two", '38S01' ],
	'an empty length' => [ "HTTP/1.1 200 OK\r\nContent-Length:", '38S01|00000' ],
	# libcurl 8.5 leaves what is in it as it is.
	'an unknown transfer coding' =>
	  [ "HTTP/1.1 200 OK\r\nTransfer-Encoding: magic", '38S01|00000' ],
	'a wish for another protocol' =>
	  [ "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c", '58030|38S01' ],
	'a wish for a password' =>
	  [ "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0",
		'28000' ],
	'a wish for NTLM' =>
	  [ "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0",
		'28000' ],
	'other places to go to' => [ "HTTP/1.1 200 OK\r\nAlt-Svc: h2=\"127.0.0.1:1\"\r\n"
		  . "Refresh: 0; url=http://127.0.0.1:1\r\nContent-Length: 2", '00000' ],
);
survives([
	(map {
			[ $_, call(endpoint({ raw => "$shapes{$_}[0]\r\n\r\nok" })), $shapes{$_}[1],
				$shapes{$_}[1] eq '38S01' ? $not_the_service : undef ]
		} sort keys %shapes),
	[ 'a web page of HTTP/0.9', call(endpoint({ raw => "<html>hello</html>\n" })),
		'38S01', $not_the_service ],
	[ 'a mail server', call('not-http'), '38S01', $not_the_service ],
	[ 'a TLS alert', call(endpoint({ raw => "\x15\3\1\0\2\2\x28" })), '38S01',
		$not_the_service ],
	[ 'a frame of HTTP/2', call(endpoint({ raw => "\0\0\x12\4\0\0\0\0\0" })), '38S01',
		$not_the_service ],
	[ 'blank lines', call(endpoint({ raw => "\r\n\r\n" })), '38S01',
		$not_the_service ],
	(map {
			[ "a chunk: $_->[0]", call(endpoint({ raw =>
				"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n$_->[1]" })),
				$_->[2] // '58030|38S01' ]
		} ([ 'no size', "\r\nok\r\n0\r\n\r\n" ], [ 'a size in words', "zz\r\nok" ],
			[ 'a negative size', "-2\r\nok\r\n0\r\n\r\n" ],
			[ 'a size of 2^64 - 1', "ffffffffffffffff\r\nok" ],
			[ 'a size of 102 digits', '0' x 101 . "2\r\nok\r\n0\r\n\r\n" ],
			# libcurl 7.74 reads it.
			[ 'C notation', "0x2\r\nok\r\n0\r\n\r\n", $libcurl < 7.88 ? '58030|38S01|00000' : undef ],
			[ 'no line break after it', "2\r\nok0\r\n\r\n" ],
			[ 'a size too small', "1\r\nok\r\n0\r\n\r\n" ])) ]);

# The rest of such an answer must not become the answer to the next request.
my @after = outcomes($node,
	[ (call(endpoint({ raw => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
					  . "okHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
					after => 'keep' })), $good) x 2,
		call('length-too-short'), $good ]);
is(join(' ', map { $_->{value} // $_->{message} } @after[ 0 .. 3 ]),
	'ok good ok good', 'a second answer that nobody asked for is dropped');
is($after[5]{value}, 'good', 'what a length leaves over is dropped');
#
# Redirects.
#

survives([
	map {
		[ "a redirect of status $_", call(endpoint({ status => $_,
				redirect => JSON::PP::true })), '38S01', $not_the_service ]
	} 300 .. 303, 305 .. 308 ]);
is($emulator->control('stats')->{recorded}, 0, 'no redirect was followed');

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/,
	'no backend crashed');

figure('hostile answers', sprintf '%d calls in all, none crashed; memory grew by %.1f MiB at most',
	$Outcomes::evaluated, $most_grown_kb / 1024);

done_testing();
