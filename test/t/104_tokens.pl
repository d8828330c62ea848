# Tokens: what answers tell is counted once, whatever path a row takes, and is what
# the local endpoint says to have told; and no statement or role gets past a limit on
# them but by what is in flight.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Queue;
use SageMakerTest;
use Session;
use Test::More;

my $emulator = start_emulator('--no-models');
my $node = start_queue('main', $emulator, 'max_parallel_workers_per_gather = 0');

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub model
{
	my ($signature, $options) = @_;
	return "CREATE FUNCTION $signature LANGUAGE sagemaker PARALLEL SAFE COST 10000 AS '$options';";
}

my $in_parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 4;';
my $prompt = "'how are you ' || i";    # four tokens, and four come back

sql(model('chat(body text) RETURNS text', '{"endpoint": "chat-parrot", "format": "chat", "concurrency": 4}')
	  . model('chat_or_null(body text) RETURNS text', '{"endpoint": "chat-parrot", "format": "chat", "concurrency": 4, "on_error": "null"}')
	  . model('terse(body text) RETURNS text', '{"endpoint": "chat-terse", "format": "chat", "concurrency": 4}')
	  . model('terse_or_null(body text) RETURNS text', '{"endpoint": "chat-terse", "format": "chat", "concurrency": 4, "on_error": "null"}')
	  . model('detailed(body text) RETURNS text', '{"endpoint": "tgi", "format": "single", "prompt": "{body}", "parameters": {"details": true}}')
	  . model('told(inputs text, stream boolean DEFAULT true) RETURNS text', '{"endpoint": "parrot", "stream": true}')
	  . model('pieces(inputs text, stream boolean DEFAULT true) RETURNS SETOF text', '{"endpoint": "parrot", "stream": true}')
	  . model('echoed(x int) RETURNS int', '{"endpoint": "echo"}')
	  . model('free(x int) RETURNS int', '{"endpoint": "echo", "input_tokens": 0, "output_tokens": 0}')
	  . model('flat(x int) RETURNS int', '{"endpoint": "echo", "max_rows": 10, "input_tokens": 0, "output_tokens": 7}')
	  . <<'SQL');
CREATE FUNCTION chat_inside(n int) RETURNS bigint LANGUAGE plpgsql
	AS $$ BEGIN RETURN (SELECT count(chat('how are you ' || i)) FROM generate_series(1, n) AS i); END $$;
CREATE TABLE many AS SELECT i FROM generate_series(1, 400) AS i;
ALTER TABLE many SET (parallel_workers = 4);
CREATE TABLE mail (id int PRIMARY KEY, body text, y text);
INSERT INTO mail SELECT i, 'how are you ' || i FROM generate_series(1, 30) i;
ANALYZE;
SQL

# Tokens read and written: as counted, and as told.
sub counted
{
	my ($endpoint) = @_;
	return sql("SELECT coalesce(sum(input_tokens), 0) || ' ' || coalesce(sum(output_tokens), 0)
		FROM sagemaker_stat_endpoints WHERE endpoint = '$endpoint'");
}

sub ledger
{
	my ($endpoint) = @_;
	my $told = $emulator->control('stats')->{endpoints}{$endpoint};
	return ($told->{input_tokens} // 0) . ' ' . ($told->{output_tokens} // 0);
}

sub calls { return sql("SELECT sum($_[0]) FROM sagemaker_stat_endpoints WHERE endpoint = 'chat-parrot'") }

sub forget
{
	$emulator->reset;
	sql('SELECT sagemaker_stat_reset()');
}

sub agree
{
	my ($endpoint, $tokens, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(counted($endpoint), ledger($endpoint), "$name: tokens are those of the ledger");
	is(ledger($endpoint), $tokens, '... and so many') if $tokens;
}

#
# Every path that a row takes.
#

my $count = 'SELECT count(chat(body)) FROM mail';
for my $path (
	[ 'a batched query', $count ],
	[ 'row by row', "SET sagemaker_rt.batch = off; $count" ],
	[ 'a function in PL/pgSQL', 'SELECT chat_inside(30)' ],
	[ 'a table job', q{CALL sagemaker_predict_table('mail', 'chat', 'y')} ],
	[ 'a trigger for each row', q{CREATE TRIGGER p BEFORE UPDATE ON mail FOR EACH ROW EXECUTE FUNCTION sagemaker_predict_row('public.chat', 'y');
		UPDATE mail SET body = 'how are you ' || id + 100; DROP TRIGGER p ON mail} ],
	[ 'a trigger for each statement', q{CREATE TRIGGER p AFTER UPDATE ON mail REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION sagemaker_predict_rows('public.chat', 'y');
		UPDATE mail SET body = 'how are you ' || id; DROP TRIGGER p ON mail} ],
	[ 'the queue', q{CREATE TRIGGER p AFTER UPDATE ON mail FOR EACH ROW EXECUTE FUNCTION sagemaker_enqueue_row('public.chat', 'y');
		UPDATE mail SET body = 'how are you ' || id + 200; DROP TRIGGER p ON mail} ])
{
	my ($name, $statement) = @$path;
	forget();
	sql($statement);
	drained($node);
	agree('chat-parrot', '120 120', $name);
}
forget();
sql("SELECT count(echoed(i)) FROM many; SELECT count(terse('how are you ' || i)) FROM many WHERE i < 5; SELECT detailed('how are you')");
is(sql(q{SELECT string_agg(concat_ws(' ', endpoint, coalesce(input_tokens::text, 'NULL'), coalesce(output_tokens::text, 'NULL')), ', ' ORDER BY endpoint COLLATE "C") FROM sagemaker_stat_endpoints}),
	'chat-terse NULL NULL, echo NULL NULL, tgi NULL 3', 'what no answer tells is null');
sql('SELECT flat(i) FROM many');
is(sql(q{SELECT input_tokens = 0 AND output_tokens = 7 * requests FROM sagemaker_stat_endpoints WHERE model = 'public.flat'}), 't', 'a number stands for itself, for every answer');

#
# Parallel workers, retries, cancelled statements and ended sessions.
#

forget();
$emulator->script('chat-parrot', [ map { $_ % 40 == 7 ? { use => $_ % 80 == 7 ? 'throttling' : 'internal-failure' } : $_ % 40 == 27 ? { cut => 20 } : {} } 1 .. 200 ]);
like(sql("$in_parallel EXPLAIN (ANALYZE, COSTS OFF) SELECT count(chat($prompt)) FROM many"), qr/Workers Launched: [1-4]/, 'parallel workers');
cmp_ok(sql(q{SELECT sum(retries) FROM sagemaker_stat_endpoints WHERE endpoint = 'chat-parrot'}), '>=', 10, '... that try again');
agree('chat-parrot', '1600 1600', '... when busy, failed and cut off');

my $answered = 6;
for my $end ('pg_cancel_backend', 'pg_terminate_backend')
{
	forget();
	my $session = Session->new($node);
	$emulator->script('chat-parrot', [ ({}) x $answered ], { hang => JSON::PP::true });
	$session->start("SELECT chat($prompt) FROM many");
	ok(wait_until(sub { counted('chat-parrot') eq $answered * 4 . ' ' . $answered * 4 }), 'some are answered, and counted');
	ok(wait_until(sub { $emulator->request_count('chat-parrot') > $answered }), '... others hang');
	sql("SELECT $end(" . $session->pid . ')');
	$session->finish;
	ok(wait_until(sub { calls('calls - cancelled') == $answered }), "$end: these are cancelled");
	agree('chat-parrot', $answered * 4 . ' ' . $answered * 4, $end);
}

# Whenever it comes, it leaves those answers out that nobody was there to read.
for my $n (10, 40, 70)
{
	forget();
	my $session = Session->new($node);
	$emulator->script('chat-parrot', [], { delay_ms => 5 });
	$session->start("SELECT chat($prompt) FROM many");
	ok(wait_until(sub { $emulator->request_count('chat-parrot') >= $n }), "$n requests");
	sql('SELECT pg_cancel_backend(' . $session->pid . ')');
	$session->finish;
	my $counted = sub { (split ' ', counted('chat-parrot'))[0] };
	ok(wait_until(sub { $counted->() == 4 * calls('calls - cancelled') }), '... a cancelled statement counts what was answered');
	my ($told) = split ' ', ledger('chat-parrot');
	cmp_ok($told, '>=', $counted->(), '... which is no more than was told');
	cmp_ok($told, '<=', 4 * calls('calls'), '... and no less but for calls that were cancelled');
}

#
# Streams.
#

my $asked = q{'{"messages": [{"role": "user", "content": "how are you"}], "stream": true%s}'::json};
my $telling = sprintf $asked, ', "stream_options": {"include_usage": true}';
my $silent = sprintf $asked, '';
for my $path (
	[ q{chunks of OpenAI's chat}, "SELECT count(*) FROM sagemaker_stream_text('parrot', $telling)", '3 3' ],
	[ 'chunks without usage', "SELECT count(*) FROM sagemaker_stream_text('parrot', $silent)", '0 0' ],
	[ 'lines of JSON', q{SELECT count(*) FROM sagemaker_stream_text('parrot', '{"inputs": "how are you", "stream": true}'::json)}, '0 3' ],
	[ 'events', q{SELECT count(*) FROM sagemaker_stream_text('parrot', '{"inputs": "how are you", "stream": true}'::json, accept => 'text/event-stream')}, '0 3' ],
	[ 'a model function', q{SELECT count(told('how are you ' || i)) FROM many WHERE i <= 10}, '0 40' ],
	[ 'a model function that gives pieces', q{SELECT count(*) FROM pieces('how are you')}, '0 3' ])
{
	my ($name, $statement, $tokens) = @$path;
	forget();
	sql($statement);
	agree('parrot', $tokens, "streamed, $name");
}

# One that tells them as it goes.
sub growing
{
	my ($n) = @_;
	return { part => 'data: ' . JSON::PP::encode_json({ choices => [ { index => 0, delta => { content => "w$n" }, finish_reason => $n == 3 ? 'stop' : undef } ],
			usage => { prompt_tokens => 5, completion_tokens => $n } }) . "\n\n", tokens => [ $n == 1 ? 5 : 0, 1 ] };
}
forget();
$emulator->script('grows', [], { stream => [ map { growing($_) } 1 .. 3 ], content_type => 'text/event-stream' });
sql(q{SELECT count(*) FROM sagemaker_stream_text('grows', 'x')});
agree('grows', '5 3', 'figures that grow are no sum');
forget();
$emulator->script('grows', [], { stream => [ growing(1), { gate => JSON::PP::true }, map { growing($_) } 2 .. 3 ], content_type => 'text/event-stream' });
is(sql(q{SELECT (sagemaker_stream_text('grows', 'x')).delta LIMIT 1}), 'w1', 'a stream that is left');
agree('grows', '5 1', '... has told what it has told');

#
# They outlive a restart.
#

sql("SELECT count(terse('how are you ' || i)) FROM many WHERE i < 5");
my $all = q{SELECT endpoint, input_tokens, output_tokens FROM sagemaker_stat_endpoints ORDER BY endpoint};
my $before = sql($all);
$node->restart;
is(sql($all), $before, 'a restart changes nothing');
like($before, qr/^chat-terse\|\|\ngrows\|5\|1$/, '... of what there was');
forget();
is(sql($all), '', 'a reset forgets it');

#
# Limits.
#

# Each answer is four tokens: 60 are reached after 15.
for my $row ([ 'chat', 'error' ], [ 'chat_or_null', 'null' ])
{
	my ($function, $on_error) = @$row;
	for my $kind ('input', 'output')
	{
		forget();
		fails_with($node, "SET sagemaker_rt.statement_max_${kind}_tokens = 60; SELECT count($function($prompt)) FROM many", '54000',
			qr/statement_max_${kind}_tokens is 60, and this statement has used \d\d$/, "$kind tokens of a statement, on_error = $on_error");
		my $sent = $emulator->request_count('chat-parrot');
		ok($sent >= 15 && $sent <= 15 + 3, "... after what was in flight: $sent");
		agree('chat-parrot', undef, '... all of which is counted');
	}
}
forget();
is(sql("SET sagemaker_rt.statement_max_output_tokens = 60; SELECT count(chat($prompt)) FROM many WHERE i <= 15; SELECT count(chat($prompt)) FROM many WHERE i <= 15"),
	"15\n15", 'what reaches a limit is within it, and another statement is another purse');
forget();
fails_with($node, 'SET sagemaker_rt.statement_max_output_tokens = 60; SELECT chat_inside(6), chat_inside(7), chat_inside(8)', '54000', qr/this statement has used/, 'functions within count');
ok($emulator->request_count('chat-parrot') <= 18, '... with what was in flight');
forget();
fails_with($node, "$in_parallel SET sagemaker_rt.statement_max_output_tokens = 400; SELECT count(chat($prompt)) FROM many", '54000', qr/has used \d+/, 'so do four parallel workers');
my $sent = $emulator->request_count('chat-parrot');
ok($sent <= 100 + 5 * 4, "... and no more is sent than was in flight: $sent");
$emulator->script('chat-parrot', [ ({ use => 'internal-failure' }) x 2 ]);
is(sql(q{SET sagemaker_rt.statement_max_output_tokens = 1; SELECT chat('tried again')}), 'tried again', 'what failed has told nothing');

sql(q{CREATE ROLE payer LOGIN; ALTER ROLE payer SET sagemaker_rt.role_max_output_tokens = 12});
my $as_payer = $node->connstr('postgres') . ' user=payer';
is($node->safe_psql('postgres', "SELECT chat($prompt) FROM generate_series(1, 1) i", connstr => $as_payer), 'how are you 1', 'a role pays') for 1 .. 3;
fails_with($node, "SELECT chat('x')", '54000', qr/role_max_output_tokens is 12, and the role has, in this hour, used 12$/, 'until its purse is empty', connstr => $as_payer);
fails_with($node, 'SET sagemaker_rt.role_max_output_tokens = 0', '42501', qr/permission denied to set/, 'it may not take the limit off', connstr => $as_payer);

# Who does not tell them.
my $limit = 'SET sagemaker_rt.statement_max_output_tokens = 1000;';
my $untold = qr/the answer does not tell its tokens, on which there is a limit: sagemaker_rt.statement_max_output_tokens$/;
my $unmetered = qr/not sent, as there is a limit on tokens, which are not told here: sagemaker_rt.statement_max_output_tokens$/;
for my $row (
	[ 'a container that does not tell', "SELECT count(terse($prompt)) FROM many", 'chat-terse', 4, $untold ],
	[ 'one whose failures are null', "SELECT count(terse_or_null($prompt)) FROM many", 'chat-terse', 4, $untold ],
	[ 'one that tells half of it', 'SET sagemaker_rt.statement_max_input_tokens = 1000; SELECT detailed(\'x\')', 'tgi', 1, qr/a limit: sagemaker_rt.statement_max_input_tokens$/ ],
	[ 'a stream', "SELECT count(*) FROM sagemaker_stream_text('parrot', $silent)", 'parrot', 1, $untold ],
	[ 'a stream whose failures are null', "SELECT count(*) FROM sagemaker_stream_text('parrot', $silent, on_error => 'null')", 'parrot', 1, $untold ],
	[ 'a streaming model', q{SET sagemaker_rt.statement_max_input_tokens = 1000; SELECT told('x')}, 'parrot', 1, qr/a limit: sagemaker_rt.statement_max_input_tokens$/ ],
	[ 'a model without tokens', 'SELECT count(echoed(i)) FROM many', 'echo', 0, $unmetered ],
	[ 'sagemaker_predict', "SELECT sagemaker_predict('echo', i) FROM many", 'echo', 0, $unmetered ],
	[ 'sagemaker_invoke', "SELECT count(sagemaker_invoke('echo', 'x')) FROM many", 'echo', 0, $unmetered ],
	[ 'sagemaker_invoke_stream', "SELECT count(*) FROM sagemaker_invoke_stream('parrot', $telling)", 'parrot', 0, $unmetered ],
	[ 'sagemaker_invoke_async', "SELECT sagemaker_invoke_async('async', input_location => 's3://bucket/in')", 'async', 0, $unmetered ])
{
	my ($name, $statement, $endpoint, $at_most, $message) = @$row;
	forget();
	my $failure = failure($node, "$limit $statement") // {};
	ok(($failure->{sqlstate} // '') eq '0A000' && $failure->{message} =~ $message, "a limit on it is refused: $name") or diag(explain($failure));
	like($failure->{hint} // '', qr/"input_tokens" and "output_tokens"/, '... with what to do');
	cmp_ok($emulator->request_count($endpoint), '<=', $at_most, "... at most $at_most are sent");
}
is(sql("$limit SELECT count(free(i)) FROM many"), 400, 'a model that is said to take none is free');
forget();
fails_with($node, q{SET sagemaker_rt.statement_max_output_tokens = 70; SELECT count(flat(i)) FROM many}, '54000', qr/has used \d+/, 'one that is said to take so many pays them');
is(sql("$limit SELECT count(*) FROM sagemaker_stream_text('parrot', $telling)"), 5, 'a stream that tells is let through');
fails_with($node, "SET sagemaker_rt.statement_max_output_tokens = 3; SELECT (SELECT count(*) FROM sagemaker_stream_text('parrot', $telling, on_error => 'null')), (SELECT count(*) FROM sagemaker_stream_text('parrot', $telling, on_error => 'null'))",
	'54000', qr/is 3, and this statement has used 3$/, '... and pays');
is(sql("$limit SELECT requests, rows FROM sagemaker_dry_run(\$\$SELECT chat($prompt) FROM many\$\$)"), '400|400', 'a dry run foretells no tokens');

done_testing();
