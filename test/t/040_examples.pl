# The SQL in README.md and doc/ runs, block by block, in the order of the page.
# Each ```sql block is a session of its own, as a superuser: of database app for
# the README, of a database of its own for each page of doc/.  On the line before
# a block may stand
#     <!-- not run: REASON -->, which exempts it,
#     <!-- needs: EXTENSION -->, which does so where it is not installed, or
#     <!-- surroundings: NAME -->, what the server then finds around it.
# A ```text block right after it has rows that it gives there, as psql shows
# them.  A block after <!-- sent --> is the body that it sent last.
#
# AWS's hosts and addresses are led to emulators (Surroundings.pm): to one for
# plain http, which is the metadata services, and to one for https.  The local
# endpoint that pages speak of, on port 8080, is a third one.
#
# The endpoint churn-xgb of the examples is a script of the emulator: a score
# for each row that is asked for.  Other endpoints have real models.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Surroundings;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $score = '0.42';

my $region = 'eu-west-1';
my @aws = ('--region', $region,
	map { ('--key', $_) } 'AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
	'AKIAI44QH8DHBEXAMPLE:je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY');
my $http = start_emulator('--no-models', @aws);
my $tls = start_emulator('--tls', @aws, map { ('--cert-name', "$_.amazonaws.com") }
	  "runtime.sagemaker.$region", "sts.$region", "*.s3.$region",
	"vpce-0123-4567.runtime.sagemaker.$region.vpce");
my $local = start_emulator();

my $node = start_surrounded('main', $http, tls => $tls);
my $major = major_version($node);
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

# What pages call surroundings: variables, then files below the home folder.
my $token = home() . '/token';
my %aws_region = (AWS_REGION => $region);
my %surroundings = (
	none => [ { AWS_EC2_METADATA_DISABLED => 'true' } ],
	ec2 => [ {} ],
	ecs => [ { %aws_region, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI => '/v2/credentials/1' } ],
	'pod-identity' => [ { %aws_region,
			AWS_CONTAINER_CREDENTIALS_FULL_URI => 'http://169.254.170.23/v1/credentials',
			AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => $token },
		{ token => "pod\n" } ],
	'service-account' => [ { %aws_region, AWS_WEB_IDENTITY_TOKEN_FILE => $token,
			AWS_ROLE_ARN => 'arn:aws:iam::123456789012:role/pod' },
		{ token => "service-account\n" } ],
	profile => [ {%aws_region}, { '.aws/credentials' =>
		slurp_file("$root/doc/credentials.md") =~ /^    (\[scoring\]\n(?:    .*\n)+)/m
		  ? $1 =~ s/^    //mgr : die } ],
	# The emulator for http is the one that knows the instance's keys.
	'cross-account' => [ { AWS_ENDPOINT_URL_STS => $http->fact('url') . '/sts' } ]);
stand_in('imds', region => $region);

# The blocks of a page: { where, exempt, surroundings, sql, said, sent }.
sub blocks
{
	my ($page) = @_;
	my (@blocks, $block, $said, $previous, $number);

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
		elsif ($line =~ /^```sql/)
		{
			my ($word, $value) = ($previous // '') =~ /^<!-- ([\w ]+): (.+) -->$/;
			$block = { where => "$page:$number", sql => '', surroundings => 'none',
				defined $word ? ($word => $value) : () };
		}
		elsif ($line eq '```text' && $previous =~ /^(```)?$/)
		{
			$said = $blocks[-1]{said} = [];
		}
		elsif ($line =~ /^```/ && $previous eq '<!-- sent -->')
		{
			$said = $blocks[-1]{sent} = [];
		}
		elsif ($line eq '```')
		{
			undef $said;
		}
		elsif ($said)
		{
			push @$said, $line;
		}
		$previous = $line;
	}
	die "$page: a block has no end" if $block || $said;
	return @blocks;
}

# Queries over customers ask for all of them at once; calls that are not batched
# ask for one.
sub set_scores
{
	my ($sql) = @_;
	my $rows =
	  $sql =~ /FROM customer\b|^UPDATE customer|CALL/m && $sql !~ /sagemaker_invoke/
	  ? $node->safe_psql('app', 'SELECT count(*) FROM customer')
	  : 1;
	$_->script('churn-xgb', [], { body => "$score\n" x $rows, content_type => 'text/csv' })
	  for $tls, $http;
}

# A row of a table as psql prints it, without what differs from run to run.
sub plain
{
	my ($row) = @_;
	my $url = $local->fact('url');

	$row =~ s/\Q$url\E/http:\/\/127.0.0.1:8080/;
	$row =~ s/role "\Q$superuser\E"/role "postgres"/;
	$row =~ s/\d+(\.\d+)+\w?/VERSION/g if $row =~ /libcurl/;
	$row =~ s/(actual rows=\d+)\.00/$1/; # PostgreSQL 18
	$row =~ s/key ending in \w{4}/key ending in TAIL/;
	$row =~ s/for \d+ s more/for LIFE more/;
	$row =~ s/\d+ s (ahead of|behind)/SKEW/;
	return join ' | ', map { s/^\s+|\s+$//gr } split /\|/, $row, -1;
}

# The rows that the page shows are among those that came.
sub check_said
{
	my ($block, $stdout) = @_;
	my %came = map { plain($_) => 1 } split /\n/, $stdout;
	my @rows = @{ $block->{said} };

	# Above a line, where there is one, are the names of the columns.
	my ($line) = grep { $rows[$_] =~ /^-[-+]*$/ } 0 .. $#rows;
	splice @rows, 0, $line + 1 if defined $line;
	cmp_ok(scalar @rows, '>', 0, "$block->{where} gives rows");
	for my $row (@rows)
	{
		ok($came{ plain($row) }, "$block->{where} gives:$row") || diag($stdout);
	}
}

# The endpoint captured keeps bodies.
sub check_sent
{
	my ($block) = @_;
	my ($last) = reverse @{ $local->control('captures') };
	my $body = decode_base64($last->{captureData}{endpointInput}{data});

	is($body =~ s/\n\z//r, join("\n", @{ $block->{sent} }),
		"$block->{where} sends what the page shows");
}

sub run_block
{
	my ($database, $block) = @_;
	my ($variables, $files) = @{ $surroundings{ $block->{surroundings} }
		  // die "$block->{where}: no such surroundings" };
	my $url = $local->fact('url');

	surround($node, $variables, $files);
	set_scores($block->{sql}) if $database eq 'app';
	local $ENV{SAGEMAKER_SECRET} = 'je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY';
	my ($status, $stdout, $stderr) =
	  $node->psql($database, $block->{sql} =~ s/http:\/\/127\.0\.0\.1:8080/$url/gr);
	is($status, 0, "$block->{where} runs") || diag($stderr);
	unlike($stderr, qr/WARNING/, "$block->{where} warns of nothing");
	check_said($block, $stdout) if $block->{said};
	check_sent($block) if $block->{sent};
}

my @exempt;

sub is_installed
{
	my ($extension) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$extension'");
}

sub run_page
{
	my ($page, $database) = @_;
	for my $block (blocks($page))
	{
		if (defined $block->{'not run'})
		{
			push @exempt, "$block->{where}: $block->{'not run'}";
			next;
		}
		if (defined $block->{needs} && !is_installed($block->{needs}))
		{
			note("not run, as $block->{needs} is not installed: $block->{where}");
			next;
		}
		next if $block->{sql} =~ /^\\getenv/m && $major < 15; # as the page says
		run_block($database, $block);
	}
}

# The page on the queue needs what it says of postgresql.conf; what it enqueues is
# answered a moment later.
sub run_queue_page
{
	my ($configuration) = slurp_file("$root/doc/queue.md") =~ /^((?:    .* = '.*'\n)+)/m;
	my $with_workers = PostgreSQL::Test::Cluster->new('queue');

	$with_workers->init;
	$with_workers->append_conf('postgresql.conf', $configuration);
	$with_workers->start;
	$node = $with_workers;
	make_database('queue');
	$node->reload;	# so that the database is looked for at once
	for my $block (blocks('doc/queue.md'))
	{
		run_block('queue', $block);
		$node->poll_query_until('queue',
			"SELECT NOT EXISTS (SELECT FROM sagemaker.sagemaker_queue WHERE state <> 'done')");
	}
	$with_workers->stop;
}

# One for each page, made as the README makes it.
sub make_database
{
	my ($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	return $database if $database eq 'app';
	$node->safe_psql($database,
		(blocks('README.md'))[0]{sql} =~ s/DATABASE app/DATABASE $database/gr);
	return $database;
}

run_page('README.md', make_database('app'));
for my $page (sort map { s|^\Q$root\E/||r } glob "$root/doc/*.md")
{
	run_page($page, make_database($page =~ s/^.*\/|\.md$//gr =~ tr/-/_/r))
	  if $page ne 'doc/queue.md';
}
note("exempt: $_") for @exempt;
is(scalar(grep { !/by 106_beyond.pl/ } @exempt), 2, 'two blocks are exempt');

# What the pages say of their examples.

surround($node, @{ $surroundings{none} });
is($node->safe_psql('app', 'SELECT count(*), min(churn), max(churn) FROM customer'),
	"5|$score|$score", 'the statements and the triggers scored the rows');
is($node->safe_psql('app', 'SELECT count(*), min(risk), max(risk) FROM customer'),
	"5|$score|$score", 'the job scored all customers');

# The local endpoint's answer is the same for each request: rows in it.
$tls->reset;
$tls->script('churn-xgb', [], { body => "$score\n" x 5, content_type => 'text/csv' });
$node->safe_psql('app', 'SELECT id, churn_score(age, income, tenure) FROM customer');
is($tls->request_count('churn-xgb'), 1, 'a query over five customers is one request');

set_scores('');
my $call = "sagemaker_invoke('churn-xgb', '42,55000,3', 'text/csv')";
my @alice = (extra_params => [ '-U', 'alice' ]);
my @maria = (extra_params => [ '-U', 'maria' ]);
$node->safe_psql('app',
	'CREATE ROLE alice LOGIN IN ROLE scorer; CREATE ROLE maria LOGIN IN ROLE modeller');

is($node->safe_psql('app', 'SELECT churn_score(42, 55000, 3)', @alice), $score,
	'a scorer may call the model that was granted');
is($node->safe_psql('app', 'SELECT churn(42, 55000, 3)', @alice), $score,
	'and the one that signs as its owner');
for my $other ($call, "sagemaker.$call", "sagemaker.sagemaker_predict('churn-xgb', 42)",
	'churn_score_now(42, 55000, 3)')
{
	my ($status, undef, $stderr) = $node->psql('app', "SELECT $other", @alice);
	like($stderr, qr/permission denied|does not exist/, "but not $other");
}
my $create = q{CREATE FUNCTION pg_temp.own(x int) RETURNS float8 LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS 'churn-xgb'; SELECT pg_temp.own(1)};
my ($status, $stdout, $stderr) = $node->psql('app', $create, @alice);
like($stderr, qr/permission denied for language/, 'nor may a scorer declare one');
is($node->safe_psql('app', $create, @maria), $score,
	'a modeller may, without naming a server');
is( $node->safe_psql('app', "SELECT rtrim(sagemaker_body_text($call), E'\\n')", @maria),
	$score, 'and call as it is');
is( $node->safe_psql('app', q{
		SELECT count(*) FILTER (WHERE srvname = 'aws'), count(umoptions) FROM pg_user_mappings},
		@alice),
	'1|0', 'the mapping for PUBLIC shows its secret to no one who uses it');

$tls->reset;
set_scores('');
$node->safe_psql('app', "SELECT ($call).*");
is($tls->request_count('churn-xgb'), 7, '(...).* is one call a field');

# Both kinds of trigger: the page replaces the first by the second.
my ($first) = grep { /CREATE TRIGGER score_customer / } map { $_->{sql} } blocks('README.md');
$node->safe_psql('app', "CALL sagemaker_keep('customer', 'risk', 'churn_score', mode => 'off', fill => false)");
for my $trigger ('score_new', 'score_customer')
{
	$tls->reset;
	$tls->script('churn-xgb', [], { use => 'model-error' });
	($status, $stdout, $stderr) = $node->psql('app',
		"INSERT INTO customer (age, income, tenure) VALUES (length('$trigger'), 1, 1)");
	is($status, 0, "a failing model does not keep a customer out: $trigger");
	like($stderr, qr/WARNING:  endpoint "churn-xgb": the model failed/, 'and a warning says so');
	last if $trigger eq 'score_customer';
	$node->safe_psql('app', 'DROP TRIGGER score_new ON customer; DROP TRIGGER score_changed ON customer; '
		. ($first =~ s/^CREATE FUNCTION churn_score_now.*?(?=^CREATE TRIGGER)//msr));
}

set_scores('CALL');
my $job = "CALL sagemaker_predict_table('customer', 'churn_score', 'risk')";
$node->safe_psql('app', "UPDATE customer SET risk = NULL; $job");
$tls->reset;
$node->safe_psql('app', $job);
is($tls->request_count('churn-xgb'), 0, 'the job goes on with what is new, and only with that');

my $log = slurp_file($node->logfile);
like($log, qr/MAPPING FOR reporter SERVER prod/, 'statements are logged here');
unlike($log, qr/MAPPING FOR scorer SERVER prod/, 'one that is typed without a trace leaves none');

#
# A first use on a machine that has an identity: no setting, no server, four
# steps.
#

my ($section) = slurp_file("$root/README.md") =~
  /^## First query on your own server\n(.*?)^##/ms;
is(join(' ', $section =~ /^(\d)\. \*\*/mg), '1 2 3 4', 'a first use takes four steps');

surround($node, { AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME => $http->fact('url') });
make_database('first');
set_scores('');
my ($ask) = $section =~ /^4\. .*?```sql\n(.*?)```/ms;
($status, $stdout, $stderr) =
  $node->psql('first', $ask =~ s/, "server": "aws"//r || die 'no question');
is($stdout =~ s/\n//r, $score, 'on an instance, install, create and ask') || diag($stderr);
my ($request) = $http->requests('churn-xgb');
like((join ' ', map { $_->[1] } grep { lc $_->[0] eq 'authorization' } @{ $request->{headers} }),
	qr/Credential=ASIAIMDS/, "signed by the instance's role");

surround($node, @{ $surroundings{none} });
my $failure = failure($node, "SET sagemaker_rt.region = '$region'; SELECT $call");
is($failure->{sqlstate}, '28000', 'with nothing at all, there are no credentials');
for my $line ('environment: no AWS_ACCESS_KEY_ID', 'profile: there is no profile "default"',
	'web identity: no AWS_WEB_IDENTITY_TOKEN_FILE',
	'container: no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI',
	'instance metadata: AWS_EC2_METADATA_DISABLED is set')
{
	like($failure->{stderr}, qr/^(DETAIL:  )?\Q$line\E$/m, "it is said: $line");
	like(slurp_file("$root/README.md"), qr/^\| `\Q$line\E` \|/m, 'and explained');
}

run_queue_page();

done_testing();
