# doc/monitoring: each query of the exporter's file runs, as a role of pg_monitor that is
# granted nothing else, and gives the columns that the file names; what the metrics
# are called does not change; dashboard and alerts use what there is.
use strict;
use warnings;

use CPAN::Meta::YAML;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Utils;
use Scalar::Util qw(looks_like_number);
use SageMakerTest;
use Session;
use Test::More;

my $folder = "$FindBin::RealBin/../../doc/monitoring";

# Who has built a dashboard on a name finds it in the next release.
my @names = split ' ', q{
	sagemaker_build_info
	sagemaker_coverage_failed
	sagemaker_coverage_missing
	sagemaker_coverage_scored
	sagemaker_coverage_stale
	sagemaker_coverage_waiting_seconds
	sagemaker_endpoint_bytes_received_total
	sagemaker_endpoint_bytes_sent_total
	sagemaker_endpoint_calls_total
	sagemaker_endpoint_cancelled_total
	sagemaker_endpoint_connections_opened_total
	sagemaker_endpoint_connections_reused_total
	sagemaker_endpoint_errors_total
	sagemaker_endpoint_input_tokens_total
	sagemaker_endpoint_last_error_timestamp_seconds
	sagemaker_endpoint_output_tokens_total
	sagemaker_endpoint_request_seconds_bucket
	sagemaker_endpoint_request_seconds_total
	sagemaker_endpoint_requests_total
	sagemaker_endpoint_retries_total
	sagemaker_endpoint_rows_total
	sagemaker_endpoint_throttles_total
	sagemaker_failed_last_timestamp_seconds
	sagemaker_failed_rows
	sagemaker_governor_breaker_open
	sagemaker_governor_failures
	sagemaker_governor_in_flight
	sagemaker_governor_rate_limit
	sagemaker_queue_oldest_seconds
	sagemaker_queue_rows
	sagemaker_retry_quota_tokens
	sagemaker_work_failed
	sagemaker_work_oldest_seconds
	sagemaker_work_processes
	sagemaker_work_requests
	sagemaker_work_scored
	sagemaker_work_seen
	sagemaker_work_skipped
};

my $emulator = start_emulator('--no-models');
my $node = start_node('main', $emulator,
	"shared_preload_libraries = 'sagemaker_rt'",
	'sagemaker_rt.max_attempts = 2');

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Something of each kind to be seen.  There is no worker, so that what is enqueued waits.
$emulator->script('echo', [ { use => 'throttling' } ], {});
sql(q{
	SET client_min_messages = error;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE FUNCTION score(x int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "version": "v1"}';
	CREATE FUNCTION one_by_one(s text) RETURNS text LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '{"endpoint": "picky", "max_rows": 1}';
	CREATE TABLE t (id int PRIMARY KEY, x int, y int);
	INSERT INTO t VALUES (1, 1), (2, 2), (3, NULL);
	CREATE TABLE u (id int PRIMARY KEY, s text, y text);
	INSERT INTO u VALUES (1, 'poison'), (2, 'fine');
	SELECT sagemaker_invoke('echo', 'hello');
	SELECT sagemaker_enqueue('t', 'score', ARRAY['1']);
	SELECT sagemaker_enqueue('t', 'score', ARRAY['2']);
	UPDATE sagemaker_queue SET state = 'dead', due_at = NULL, finished_at = now(), sqlstate = '22023'
		WHERE key = ARRAY['2']});
sql(q{CALL sagemaker_keep('t', 'y', 'score', mode => 'off')});
sql(q{CALL sagemaker_predict_table('u', 'one_by_one', 'y', max_failed_ratio => NULL)});
is($node->psql('postgres', q{SELECT sagemaker_invoke('access-denied', 'hello')}), 3, 'a call that fails');

# A job that is at work.
sql(q{UPDATE u SET y = NULL WHERE id = 2});
$emulator->script('picky', [], { delay_ms => 60000 });
my $job = Session->new($node);
$job->start(q{CALL sagemaker_predict_table('public.u', 'public.one_by_one', 'y')});
ok(wait_until(sub { sql('SELECT count(*) FROM sagemaker_stat_progress') eq '1' }), 'a job runs');

#
# The exporter's queries.
#

my $file = CPAN::Meta::YAML->read("$folder/queries.yaml")->[0];
my (%labels_of, %rows_of);

for my $namespace (sort keys %$file)
{
	my $query = $file->{$namespace};
	my (@labels, @metrics);

	for my $entry (@{ $query->{metrics} })
	{
		my ($column, $says) = %$entry;
		push @{ $says->{usage} eq 'LABEL' ? \@labels : \@metrics }, $column;
	}
	$labels_of{"${namespace}_$_"} = { map { $_ => 1 } @labels, 'instance' } for @metrics;

	my $answer = $node->safe_psql('postgres', "SELECT row_to_json(q) FROM ($query->{query}) AS q",
		extra_params => [ '-U', 'watcher' ]);
	my @rows = map { decode_json($_) } split /\n/, $answer;
	$rows_of{$namespace} = \@rows;
	cmp_ok(scalar @rows, '>', 0, "$namespace: pg_monitor sees rows");
	is_deeply([ sort keys %{ $rows[0] } ], [ sort @labels, @metrics ], "$namespace: columns are labels and metrics");
	my %seen;
	is(scalar(grep { $seen{ join "\0", @$_{@labels} }++ } @rows), 0, "$namespace: no two rows have the same labels");
	is(scalar(grep { !defined } map { @$_{@labels} } @rows), 0, "$namespace: labels have values");
	is(scalar(grep { defined && !looks_like_number($_) } map { @$_{@metrics} } @rows), 0, "$namespace: metrics are numbers");
	# These the exporter and Prometheus set themselves.
	is_deeply([ grep { /^(server|instance|job)$/ } @labels ], [], "$namespace: labels are not those of others");
}
is_deeply([ sort keys %labels_of ], \@names, 'names of metrics stay');

# One number of a metric: the rows of the labels, added up.
sub metric
{
	my ($namespace, $column, %labels) = @_;
	my $sum = 0;

  ROW: for my $row (@{ $rows_of{$namespace} })
	{
		$row->{$_} eq $labels{$_} or next ROW for keys %labels;
		$sum += $row->{$column};
	}
	return $sum;
}

my $requests = $emulator->request_count('echo');
is(metric('sagemaker_endpoint', 'requests_total', endpoint => 'echo'), $requests, 'requests are those that the endpoint got');
is(metric('sagemaker_endpoint', 'throttles_total'), 1, 'throttles');
is(metric('sagemaker_endpoint_errors', 'total', class => 'denied'), 1, 'errors by class');
is(metric('sagemaker_endpoint_errors', 'total', class => 'network'), 0, 'of which there are none, too');
is(metric('sagemaker_endpoint_request_seconds', 'bucket', endpoint => 'echo', le => '+Inf'), $requests, 'the last bucket has all requests');
my @buckets = map { metric('sagemaker_endpoint_request_seconds', 'bucket', endpoint => 'echo', le => $_) }
  sort { $a <=> $b } keys %{ { map { $_->{le} => 1 } grep { $_->{le} ne '+Inf' } @{ $rows_of{sagemaker_endpoint_request_seconds} } } };
is(scalar(grep { $buckets[$_] < $buckets[ $_ - 1 ] } 1 .. $#buckets), 0, 'each has those of the one before');
is($buckets[-1], $requests, 'and none took two minutes');
is(metric('sagemaker_queue', 'rows', state => 'waiting'), 1, 'rows that wait');
is(metric('sagemaker_queue', 'rows', state => 'dead', sqlstate => '22023'), 1, 'dead rows');
is(metric('sagemaker_failed', 'rows', relation => 'public.u', permanent => 'true'), 1, 'rows that failed');
is(metric('sagemaker_work', 'processes', work => 'table job'), 1, 'jobs');
is(join(',', map { metric('sagemaker_coverage', $_, relation => 'public.t') } 'scored', 'missing', 'stale'), '2,1,0', 'coverage');

# Numbers are all that it sees.
for my $table ('sagemaker_queue', 'sagemaker_failed_rows', 'sagemaker_kept_columns', 't')
{
	fails_with($node, "SELECT * FROM $table", '42501', qr/permission denied/, "pg_monitor does not read $table",
		extra_params => [ '-U', 'watcher' ]);
}
is(sql(q{SELECT string_agg(roleid::regrole::text, ', ') FROM pg_auth_members WHERE member = 'watcher'::regrole}),
	'pg_monitor', 'it is a member of nothing else');

# Rows that are done are no part of what is counted, nor read.
like(sql(q{SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT * FROM sagemaker_stat_queue}),
	qr/sagemaker_queue_due.*sagemaker_queue_leased.*sagemaker_queue_dead/s, 'the queue is counted by its partial indexes');

#
# What uses them.
#

# Every metric of an expression is one of the file, and every label one of that metric.
sub uses_what_there_is
{
	my ($what, @expressions) = @_;
	my (@unknown, %used);

	for my $expression (@expressions)
	{
		my @metrics = $expression =~ /\b(sagemaker_\w+)/g;
		push @unknown, "no metric: $expression" unless @metrics;
		push @unknown, grep { !$labels_of{$_} } @metrics;
		$used{$_} = 1 for @metrics;
		my @labels = map { split /\s*,\s*/ } $expression =~ /\bby \(([^)]*)\)/g;
		push @labels, map { /(\w+)\s*(?:=~|!~|!=|=)/g } $expression =~ /\{([^}]*)\}/g;
		for my $label (@labels)
		{
			push @unknown, "$label of $_" for grep { $labels_of{$_} && !$labels_of{$_}{$label} } @metrics;
		}
	}
	is_deeply(\@unknown, [], "$what: metrics and labels exist");
	cmp_ok(scalar keys %used, '>', 5, "$what: it uses " . scalar(keys %used) . ' metrics');
}

my $dashboard = decode_json(slurp_file("$folder/dashboard.json"));
my @panels = grep { $_->{type} ne 'row' } @{ $dashboard->{panels} };
my @targets = map { @{ $_->{targets} } } @panels;
uses_what_there_is('dashboard', map { $_->{expr} } @targets);
my %ids = map { $_->{id} => 1 } @{ $dashboard->{panels} };
is(scalar keys %ids, scalar @{ $dashboard->{panels} }, 'dashboard: each panel has an id of its own');
is_deeply([ grep { $_->{datasource}{uid} ne '${datasource}' } @panels, @targets ], [], 'dashboard: the reader chooses the data source');
my @missing;
for my $target (@targets)
{
	my ($metric) = $target->{expr} =~ /\b(sagemaker_\w+)/;
	push @missing, map { "$_ of $metric" } grep { !$labels_of{$metric}{$_} } $target->{legendFormat} =~ /\{\{(\w+)\}\}/g;
}
is_deeply(\@missing, [], 'dashboard: legends name labels that exist');
my @variables = grep { $_->{type} eq 'query' } @{ $dashboard->{templating}{list} };
for my $variable (@variables)
{
	my ($metric, $label) = $variable->{definition} =~ /^label_values\((\w+), (\w+)\)$/;
	ok($labels_of{$metric}{$label}, "dashboard: values of $variable->{name} exist");
}

my $alerts = CPAN::Meta::YAML->read("$folder/alerts.yaml")->[0];
my @rules = map { @{ $_->{rules} } } @{ $alerts->{groups} };
uses_what_there_is('alerts', map { $_->{expr} } @rules);
is(scalar(grep { !$_->{alert} || !$_->{annotations}{summary} } @rules), 0, 'alerts: each has a name and says what it is');

# What the page says of them.
my $page = slurp_file("$folder/../operations.md");
is_deeply([ grep { !$labels_of{$_} } $page =~ /`(sagemaker_(?:endpoint|governor|queue|failed|work|coverage|build)_\w+)`/g ], [],
	'the page names metrics that exist');

sql('SELECT pg_cancel_backend(pid) FROM sagemaker_stat_progress');
$job->finish;
$job->quit;
done_testing();
