# The ways on which requests go out, each as a statement that gives one value.
package Operations;

use strict;
use warnings;

use Exporter 'import';
use SageMakerTest;

our @EXPORT = qw(install_operations operations);

sub install_operations
{
	my ($node, $emulator) = @_;

	$emulator->control('object', { location => 's3://bucket/answer', body => 'answer' });
	$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION same(x int) RETURNS int LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "max_rows": 2}';
CREATE FUNCTION fields(x int, s text, OUT a int, OUT b text) LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "format": "csv"}';
CREATE FUNCTION said(body text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "chat-parrot", "format": "chat"}';
CREATE FUNCTION story(inputs text) RETURNS text LANGUAGE sagemaker
	PARALLEL SAFE COST 10000 AS '{"endpoint": "parrot", "stream": true}';
CREATE TABLE scored (x int, score int);
CREATE TRIGGER predict BEFORE INSERT ON scored FOR EACH ROW
	EXECUTE FUNCTION sagemaker_predict_row('public.same', 'score');
SQL
	return;
}

# A list of [name, statement].
sub operations
{
	return (
		[ 'a call', q{SELECT sagemaker_body_text(sagemaker_invoke('echo', 'x'))} ],
		[ 'calls in a set', q{SELECT string_agg(sagemaker_body_text(sagemaker_invoke('echo', i::text)), ',' ORDER BY i)
			FROM generate_series(1, 3) AS i} ],
		[ 'a prediction', q{SELECT same(7)} ],
		[ 'predictions in a set', q{SELECT string_agg(same(i)::text, ',' ORDER BY i) FROM generate_series(1, 5) AS i} ],
		[ 'a composite prediction', q{SELECT fields(7, 'a "b", c')} ],
		[ 'a prompt', q{SELECT said('Hello you')} ],
		[ 'a stream', q{SELECT string_agg(convert_from(bytes, 'UTF8'), '|') FROM sagemaker_invoke_stream('echo', 'abc')} ],
		[ 'streamed text', q{SELECT string_agg(delta, '') FROM sagemaker_stream_text('parrot', '{"inputs": "a b c"}'::json)} ],
		[ 'a streamed prediction', q{SELECT story('a b c')} ],
		[ 'an asynchronous call', q{SELECT ((sagemaker_invoke_async('echo', 'x')).output_location IS NOT NULL)::text} ],
		[ 'its result', q{SELECT sagemaker_body_text(sagemaker_async_result('s3://bucket/answer'))} ],
		[ 'a trigger', q{INSERT INTO scored VALUES (7) RETURNING score} ],
		[ 'a check', q{SELECT count(*) FROM sagemaker_check('echo')} ]);
}

1;
