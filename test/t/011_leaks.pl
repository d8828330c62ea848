# Twenty thousand calls in one session, which fail in twenty ways or succeed,
# leave neither descriptors nor threads nor memory behind.
#
# The calls are made in blocks of a thousand, over HTTP and over TLS in turn.
# What the first four thousand leave is the measure: by then every kind of call
# has been made twice over both, and buffers and caches have their sizes.  All is
# measured between statements.
#
# A call can only be cancelled from outside while its session is in a loop: a
# second session watches for the name "cancel me N", and does so once for each N.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use SageMakerTest;
use Session;
use SlowResolver;
use Test::More;

plan skip_all => 'reads /proc' unless $^O eq 'linux';

my $blocks = 20;
my $calls_per_block = 1000;
my $blocks_to_warm_up = 4;

# What two blocks, one over each, make the process grow by.  The C library's arenas
# come and go by 132 kB now and then, so it is the median of all pairs of blocks that
# counts: 12 kB are usual.  The rarest kind, a lookup that is given up, occurs 10
# times there and holds 3 kB; 16 bytes lost with every call show as well.
my $most_kb = 24;

my $http = start_emulator('--no-models');
my $tls = start_emulator('--no-models', '--tls');
# Failures in a row are what this is about, so the breaker stays closed.
my $node = start_slow_node('main', $http, 'sagemaker_rt.breaker_failures = 0',
	"sagemaker_rt.ca_file = '" . $tls->fact('ca_file') . "'",
	'sagemaker_rt.allow_http = on', 'sagemaker_rt.max_attempts = 1',
	'log_min_messages = fatal');
my $closed_url = 'http://127.0.0.1:'
  . $http->control('listener', { kind => 'closed' })->{port};

# One call of each kind, and what it is to come to.  The rest of a block succeed.
my @kinds = (
	[ 5, "'echo', repeat('x', 300000)", 'ok' ],
	[ 10, "'model-error', 'x'", '38000' ],
	[ 10, "'access-denied', 'x'", '28000' ],
	[ 10, "'throttling', 'x'", '53000' ],
	[ 10, "'error-html', 'x'", '58000' ],
	[ 5, "'error-long', 'x'", '58000' ],
	[ 10, "'cut', 'x'", '58030' ],
	[ 10, "'reset', 'x'", '58030' ],
	[ 10, "'no-such-endpoint', 'x'", '22023' ],
	[ 20, "'../x', 'x'", '22023' ],
	[ 20, "'echo', 'x', custom_attributes => E'a\\nb'", '22023' ],
	[ 20, "'echo', 'x', options => '{\"timeout\": \"soon\"}'", '22023' ],
	[ 10, "'bytes-100000', 'x', options => '{\"max_response_size\": 1000}'",
		'54000' ],
	[ 5, "'flood-headers', 'x'", '54000' ],
	[ 10, "'hang', 'x', options => '{\"timeout\": \"2ms\"}'", '58030' ],
	[ 10, "'pause', 'x', options => '{\"timeout\": \"5ms\"}'", '58030' ],
	[ 10, "'hang', 'x'", '57014', "cancel me" ],
	[ 10, "'pause', 'x'", '57014', "cancel me" ],
	[ 5, "'echo', 'x'", '58030', undef, $closed_url ],
	[ 5, "'echo', 'x'", '58030', undef, 'http://nowhere.test' ]);

my $session = Session->new($node);
my $pid = $session->pid;

# calls(): makes n calls with the arguments given, and says what became of them.
$session->must(<<'EOT');
CREATE FUNCTION calls(n int, arguments text, name text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	statement text := format('SELECT sagemaker_invoke(%s)', arguments);
	outcome text;
	outcomes text[] := '{}';
BEGIN
	FOR i IN 1 .. n LOOP
		BEGIN
			PERFORM set_config('application_name',
				coalesce(name || ' ' || clock_timestamp(), 'calls'), false);
			EXECUTE statement;
			outcome := 'ok';
		EXCEPTION WHEN OTHERS OR query_canceled THEN
			outcome := sqlstate;
		END;
		IF outcome <> ALL (outcomes) THEN
			outcomes := outcomes || outcome;
		END IF;
	END LOOP;
	RETURN array_to_string(outcomes, ' ');
END $$;
EOT

my $canceller = Session->new($node);
$canceller->start(<<"EOT");
DO \$\$
DECLARE
	seen text := '';
	name text;
BEGIN
	LOOP
		PERFORM pg_sleep(0.001), pg_stat_clear_snapshot();
		SELECT application_name INTO name FROM pg_stat_activity
		WHERE pid = $pid AND wait_event_type = 'Extension'
			AND application_name LIKE 'cancel me %';
		IF FOUND AND name <> seen THEN
			PERFORM pg_cancel_backend($pid);
			seen := name;
		END IF;
		EXIT WHEN EXISTS (SELECT FROM pg_stat_activity
			WHERE pid = $pid AND application_name = 'done');
	END LOOP;
END \$\$;
EOT

sub use_url
{
	my ($url) = @_;
	return $session->must("SET sagemaker_rt.endpoint_url = '$url'");
}

# Lookups that are given up, and answered later.
sub give_up_lookups
{
	my $wrong = 0;

	use_url('http://slow.test:' . $http->fact('port'));
	hold_lookups();
	for (1 .. 5)
	{
		my $result = $session->run("SELECT sagemaker_invoke('echo', 'x',"
			  . " options => '{\"connect_timeout\": \"5ms\"}')");
		$wrong++ if ($result->{sqlstate} // '') ne '58030';
	}
	release_lookups();
	return wait_until(sub { threads($pid) == 1 }) && $wrong == 0;
}

sub meet_statement_timeout
{
	my $result = $session->run("SET statement_timeout = '5ms';"
		  . "SELECT sagemaker_invoke('hang', 'x');" x 5
		  . 'RESET statement_timeout');
	my $n = () = $result->{errors} =~ /ERROR:  57014/g;
	return $n == 5;
}

my %wrong;

sub make_block
{
	my ($number) = @_;
	my $url = ($number % 2 ? $http : $tls)->fact('url');
	my $left = $calls_per_block - 10;

	for my $kind (@kinds)
	{
		my ($n, $arguments, $expected, $name, $at) = @$kind;
		$left -= $n;
		use_url($at // $url);
		my $is = $session->must("SELECT calls($n, \$args\$$arguments\$args\$, "
			  . (defined $name ? "'$name'" : 'NULL') . ')');
		$wrong{$arguments} = $is if $is ne $expected;
	}
	$wrong{lookups} = 1 unless give_up_lookups();
	use_url($url);
	$wrong{statement_timeout} = 1 unless meet_statement_timeout();
	my $is = $session->must("SELECT calls($left, \$args\$'echo', 'x'\$args\$, NULL)");
	$wrong{echo} = $is if $is ne 'ok';
	return;
}

my $tells_contexts =
  $session->must("SELECT to_regclass('pg_backend_memory_contexts') IS NOT NULL") eq 't';

# What the process holds: descriptors, threads, kB, and bytes by context.
sub measure
{
	# Twice: the query itself fills caches the first time.
	my $query = $tells_contexts
	  ? 'SELECT name, sum(total_bytes) FROM pg_backend_memory_contexts
		GROUP BY name ORDER BY name'
	  : "SELECT ''";
	$session->must($query);
	my %contexts = map { split /\|/ } split /\n/, $session->must($query);
	my %descriptors = descriptors($pid);
	# The files of tables the server opens and closes as it likes.
	my @descriptors = grep { !m{/pgdata/} } values %descriptors;
	return {
		sockets => scalar(grep { /^socket:/ } @descriptors),
		descriptors => scalar(@descriptors),
		threads => threads($pid),
		kb => anonymous_kb($pid),
		contexts => \%contexts };
}

# Measured all along, since that takes memory, too.
my @measured;
for my $number (1 .. $blocks)
{
	make_block($number);
	push @measured, measure();
}
my ($before, $after) = @measured[ $blocks_to_warm_up - 1, $blocks - 1 ];

is_deeply(\%wrong, {}, 'every call came to what it was made for')
  || diag(explain(\%wrong));
is($after->{sockets}, $before->{sockets}, 'no socket is left behind');
# PostgreSQL may have closed files of its own.
cmp_ok($after->{descriptors}, '<=', $before->{descriptors}, 'no descriptor is');
is($after->{threads}, 1, 'no thread is');
my @growth = sort { $a <=> $b }
  map { $measured[$_]{kb} - $measured[ $_ - 2 ]{kb} } $blocks_to_warm_up + 1 .. $blocks - 1;
my $usual = $growth[ @growth / 2 ];
cmp_ok($usual, '<=', $most_kb, "anonymous memory grows by at most $most_kb kB over 2000 calls");
note("grows by @growth kB");
figure('leaks', sprintf '%d calls in one session: %+d kB for each 1000, %+d descriptors, %+d sockets',
	1000 * ($blocks - $blocks_to_warm_up), $usual / 2, $after->{descriptors} - $before->{descriptors},
	$after->{sockets} - $before->{sockets});
note("$after->{descriptors} descriptors; kB after each block: ",
	join ' ', map { $_->{kb} } @measured);

SKIP:
{
	skip 'PostgreSQL 13 does not tell its memory contexts', 1 unless $tells_contexts;
	my %grown = map { $_ => $after->{contexts}{$_} - ($before->{contexts}{$_} // 0) }
	  grep { $after->{contexts}{$_} > ($before->{contexts}{$_} // 0) }
	  keys %{ $after->{contexts} };
	is_deeply(\%grown, {}, 'no memory context grows') || diag(explain(\%grown));
}

$session->must("SET application_name = 'done'");
$canceller->finish;
$canceller->quit;
$session->quit;

done_testing();
