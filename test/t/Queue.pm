# A cluster with queue workers, and what is asked of its queue.
package Queue;

use strict;
use warnings;

use Exporter 'import';
use SageMakerTest;
use Session;

our @EXPORT = qw(start_queue states drained worker_pid);

# A node whose database postgres has a worker, with a model "score" that gives x
# back, and a table t (id, x, other, y) whose rows have their x put into y.
sub start_queue
{
	my ($name, $emulator, @configuration) = @_;
	my $node = start_node($name, $emulator,
		"shared_preload_libraries = 'sagemaker_rt'",
		"sagemaker_rt.queue_databases = 'postgres'",
		"sagemaker_rt.queue_retry_delay = '1s'",
		@configuration);

	$node->safe_psql('postgres', q{
		CREATE FUNCTION score(x float8) RETURNS float8 LANGUAGE sagemaker
		PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_attempts": 1}';
		CREATE TABLE t (id int PRIMARY KEY, x float8, other text, y float8);
		CREATE TRIGGER enqueue AFTER INSERT OR UPDATE ON t
			FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row('public.score', 'y')});
	return $node;
}

# "done 3, waiting 1": how many rows of the queue are in which state.
sub states
{
	my ($node, $where) = @_;
	return $node->safe_psql('postgres', q{
		SELECT coalesce(string_agg(state || ' ' || n, ', ' ORDER BY state), 'none')
		FROM (SELECT state, count(*) AS n FROM sagemaker_queue WHERE }
		  . ($where // 'true') . q{ GROUP BY state) AS s});
}

# Waits until there is nothing left to answer.
sub drained
{
	my ($node, $where) = @_;
	return wait_until(sub { states($node, $where) !~ /waiting|running|failed/ });
}

# The process that works off a database's queue; undef: there is none now.
sub worker_pid
{
	my ($node, $database) = @_;
	my $pid = $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'sagemaker_rt queue worker' AND datname = '"
		  . ($database // 'postgres') . "'");
	return $pid eq '' ? undef : $pid;
}

1;
