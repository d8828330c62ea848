# The recipes of doc/beyond.md that need several servers: models behind postgres_fdw,
# foreign tables scored here, and rows that are scored on a subscriber.
#
# A block after <!-- not run: by 106_beyond.pl on NAME --> runs on the server of that
# name, in the order of the page; a ```text block after it is what it gives there.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my @preload = ("shared_preload_libraries = 'sagemaker_rt'", 'sagemaker_rt.reuse_size = 0');
my %node = (
	scorer => start_node('scorer', $emulator, @preload),
	publisher => start_node('publisher', $emulator, 'wal_level = logical', 'max_wal_senders = 5',
		"session_preload_libraries = 'sagemaker_rt'"),
	subscriber => start_node('subscriber', $emulator, @preload, "sagemaker_rt.queue_databases = 'postgres'"));
$node{front} = $node{publisher};
$_->safe_psql('postgres', 'DROP EXTENSION sagemaker_rt') for @node{qw(scorer publisher subscriber)};

# Names of hosts become those of this machine.
sub here
{
	my ($sql) = @_;
	for my $name ('scorer', 'publisher')
	{
		my ($host, $port) = ($node{$name}->host, $node{$name}->port);
		$sql =~ s/host '$name\.example', port '5432'/host '$host', port '$port'/;
		$sql =~ s/host=$name\.example port=5432/host=$host port=$port/;
	}
	# Whoever is trusted here has no password that PostgreSQL could ask for.
	return $sql;
}

my $page = slurp_file("$FindBin::RealBin/../../doc/beyond.md");
my @blocks;
while ($page =~ /^<!-- not run: by 106_beyond.pl on (\w+) -->\n```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/msg)
{
	push @blocks, { on => $1, sql => $2, said => $3 };
}

# Runs the blocks up to the next one that gives rows or begins so.
sub recipe
{
	my ($from) = @_;
	my $block;
	do
	{
		$block = shift @blocks or die "no more blocks before $from";
		my $out = $node{ $block->{on} }->safe_psql('postgres', here($block->{sql}),
			extra_params => [ '-A', '-t' ]);
		is($out =~ s/\|/ | /gr, join("\n", map { s/^\s+|\s+$//gr =~ s/\s+\|\s+/ | /gr }
				(split /\n/, $block->{said})[ 2 .. (split /\n/, $block->{said}) - 1 ]),
			"$block->{on}: " . (split /\n/, $block->{sql})[0])
		  if defined $block->{said};
	} until index($block->{sql}, $from) >= 0;
	return;
}

sub rows_and_requests
{
	my @requests = $emulator->requests('echo');
	my $bytes = 0;
	$bytes += $_->{body_bytes} for @requests;
	return (scalar @requests, $bytes);
}

#
# Models behind postgres_fdw.
#

recipe('IMPORT FOREIGN SCHEMA public LIMIT TO (customer_risk)');
$emulator->reset;
recipe('WHERE id <= 50');
cmp_ok((rows_and_requests())[1], '<=', 150, 'no other rows were scored');
$emulator->reset;
is($node{front}->safe_psql('postgres', 'SELECT count(*), sum(risk) FROM customer_risk'), '1000|49500',
	'all rows, scored there');
my ($requests) = rows_and_requests();
cmp_ok($requests, '<=', 25, 'in batches');
is($node{scorer}->safe_psql('postgres', "SELECT string_agg(DISTINCT role, ',') FROM sagemaker_stat_endpoints"),
	'reader', 'as the role that the mapping names');
fails_with($node{front}, 'UPDATE customer_risk SET points = 0 WHERE id = 1', '42501',
	qr/permission denied/, 'a view for reading only');

# A failure there is one here, with its SQLSTATE.
$emulator->script('echo', [], { use => 'model-error' });
fails_with($node{front}, 'SELECT * FROM customer_risk WHERE id = 1', '38000', qr/model/, 'its errors come through');

# A cancel here ends the wait there.
$emulator->reset;
$emulator->script('echo', [], { use => 'hang' });
my $session = Session->new($node{front});
$session->start('SELECT * FROM customer_risk WHERE id <= 5');
ok(wait_until(sub { $emulator->request_count('echo') > 0 }), 'a query waits for the model');
$node{front}->safe_psql('postgres', 'SELECT pg_cancel_backend(' . $session->pid . ')');
is($session->finish->{sqlstate}, '57014', 'it can be cancelled');
ok(wait_until(sub { $node{scorer}->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'}) eq '0' }),
	'and then nobody waits there');
$emulator->reset;

#
# Rows from elsewhere, models here.
#

recipe('LIMIT TO (plain)');
$emulator->reset;
recipe('risk(points) > 200');
is((rows_and_requests())[0], 3, 'foreign rows are batched');
$emulator->reset;
$node{front}->safe_psql('postgres', 'UPDATE plain SET risk = risk(points) WHERE id <= 250');
is($node{scorer}->safe_psql('postgres', 'SELECT count(*) FROM plain WHERE risk = points'), 250,
	'an UPDATE of a foreign table has the right scores');
is((rows_and_requests())[0], 3, 'in batches');

# An Append would not wait for such tables.
$node{scorer}->safe_psql('postgres', q{
	CREATE TABLE part_1 AS SELECT i AS points FROM generate_series(1, 120) AS i;
	CREATE TABLE part_2 AS SELECT i AS points FROM generate_series(121, 200) AS i;
	GRANT SELECT ON part_1, part_2 TO reader});
$node{front}->safe_psql('postgres', q{
	CREATE TABLE parted (points int) PARTITION BY RANGE (points);
	CREATE FOREIGN TABLE part_1 PARTITION OF parted FOR VALUES FROM (1) TO (121) SERVER scorer;
	CREATE FOREIGN TABLE part_2 PARTITION OF parted FOR VALUES FROM (121) TO (201) SERVER scorer});
$node{front}->safe_psql('postgres', q{
	ALTER SERVER scorer OPTIONS (ADD async_capable 'true')}) if major_version($node{front}) >= 14;
my $parted = 'SELECT count(*), sum(risk(points)) FROM parted WHERE risk(points) > 100';
is($node{front}->safe_psql('postgres', $parted), '100|15050', 'partitions that are foreign');
is($node{front}->safe_psql('postgres', "SET enable_partitionwise_aggregate = on; $parted"), '100|15050',
	'each for itself');
is($node{front}->safe_psql('postgres', q{SELECT count(*) FROM plain a JOIN plain b USING (id) WHERE risk(a.points + b.points) = 2 * id}),
	300, 'a join on the other server');

#
# Logical replication.
#

recipe('CREATE SUBSCRIPTION');
my $scored = sub {
	my ($n) = @_;
	return wait_until(sub { $node{subscriber}->safe_psql('postgres',
			'SELECT count(*) FROM event WHERE risk = points') eq $n });
};
ok($scored->(2), 'rows of the first copy are scored');
recipe('UPDATE event');
ok($scored->(200), 'and those that come later, and that change');
is($node{subscriber}->safe_psql('postgres', 'SELECT risk FROM event WHERE id = 1'), 7, 'to what they became');

# With the trigger that asks at once.
$node{subscriber}->safe_psql('postgres', q{
	DROP TRIGGER score ON event;
	CREATE TRIGGER score_now BEFORE INSERT OR UPDATE ON event FOR EACH ROW
		EXECUTE FUNCTION sagemaker_predict_row('public.risk', 'risk');
	ALTER TABLE event ENABLE ALWAYS TRIGGER score_now});
$node{publisher}->safe_psql('postgres', 'INSERT INTO event SELECT i, i FROM generate_series(201, 205) AS i');
ok(wait_until(sub { $node{subscriber}->safe_psql('postgres', 'SELECT count(*) FROM event') eq '205' }),
	'a trigger that asks at once');
is($node{subscriber}->safe_psql('postgres', 'SELECT count(*) FROM event WHERE id > 200 AND risk = points'), 5,
	'stores rows with their scores');
is(scalar @blocks, 0, 'each recipe of the page was run');
$node{subscriber}->safe_psql('postgres', 'DROP SUBSCRIPTION events');

done_testing();
