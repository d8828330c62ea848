# The SQL in README.md and doc/ runs, block by block, in the order of the page.
# Each ```sql block is a session of its own, as a superuser of database app.
# <!-- not run: REASON --> on the line before a block exempts it.
#
# The endpoint churn-xgb of the examples is a script of the emulator: a score
# for each row that is asked for.  Other endpoints have real models.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $score = '0.42';

my $emulator = start_emulator();
my $node = start_node('main', $emulator,
	"shared_preload_libraries = 'sagemaker_rt'");
$node->safe_psql('postgres', 'CREATE DATABASE app');

# The blocks of a page: { where, exempt, sql }.
sub blocks
{
	my ($page) = @_;
	my (@blocks, $block, $previous, $number);

	for my $line (split /\n/, slurp_file("$root/$page"))
	{
		$number++;
		if ($block && $line eq '```')
		{
			push @blocks, $block;
			undef $block;
		}
		elsif ($block)
		{
			$block->{sql} .= "$line\n";
		}
		elsif ($line eq '```sql')
		{
			my ($reason) = ($previous // '') =~ /^<!-- not run: (.+) -->$/;
			$block = { where => "$page:$number", exempt => $reason, sql => '' };
		}
		$previous = $line;
	}
	die "$page: a block has no end" if $block;
	return @blocks;
}

# Packed requests ask for all customers, the others for one.
sub set_scores
{
	my ($sql) = @_;
	my $rows =
	  $sql =~ /string_agg|CALL/
	  ? $node->safe_psql('app', 'SELECT count(*) FROM customer')
	  : 1;
	$emulator->script('churn-xgb', [],
		{ body => "$score\n" x $rows, content_type => 'text/csv' });
}

my @pages =
  ('README.md', sort map { s|^\Q$root\E/||r } glob "$root/doc/*.md");
my @exempt;

for my $block (map { blocks($_) } @pages)
{
	if ($block->{exempt})
	{
		push @exempt, "$block->{where}: $block->{exempt}";
		next;
	}
	set_scores($block->{sql});
	my ($status, $stdout, $stderr) = $node->psql('app', $block->{sql});
	is($status, 0, "$block->{where} runs") || diag($stderr);
	unlike($stderr, qr/WARNING/, "$block->{where} warns of nothing");
}

note("exempt: $_") for @exempt;
is(scalar @exempt, 1, 'one block is exempt');

# What the page says of its examples.

is($node->safe_psql('app', 'SELECT churn FROM customer ORDER BY id DESC LIMIT 1'),
	$score, 'the trigger scored the row');
is( $node->safe_psql('app',
		'SELECT count(*), min(churn), max(churn) FROM churn_score'),
	"4|$score|$score",
	'the job scored all customers');

set_scores('');
my $call = "sagemaker_invoke('churn-xgb', '42,55000,3', 'text/csv')";

is( $node->safe_psql('app',
		"SET ROLE scorer; SELECT rtrim(sagemaker_body_text($call), E'\\n')"),
	$score, 'the rights granted are enough for a call');

$emulator->reset;
set_scores('');
$node->safe_psql('app', "SELECT ($call).*");
is($emulator->request_count('churn-xgb'), 7, '(...).* is one call a field');

$emulator->reset;
$emulator->script('churn-xgb', [], { use => 'model-error' });
my ($status, undef, $stderr) = $node->psql('app',
	'INSERT INTO customer (age, income, tenure) VALUES (50, 1, 1)');
is($status, 0, 'a failing model does not keep a customer out');
like($stderr, qr/WARNING:  customer not scored/, 'and the trigger says so');

set_scores('');
my ($failed) = $node->psql('app', 'CALL score_new_customers()');
is($failed, 0, 'the job goes on with what is new');
is($node->safe_psql('app', 'SELECT count(*) FROM churn_score'),
	5, 'and only with that');

is( $node->safe_psql('app',
		'SET ROLE scorer; SHOW sagemaker_rt.secret_access_key'),
	'********',
	'with the library preloaded, a session that made no call shows no key');

done_testing();
