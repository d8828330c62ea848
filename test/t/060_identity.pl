# Each call is signed with the keys of the role that it acts for, and never with
# anybody else's.
#
# Every possible signer has a key of its own, and the emulator tells which one it
# saw.  Who it should be is computed by signer_of(), which knows the rules and
# nothing of the code.
use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(sha256_hex);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Utils;
use SageMakerTest;
use Session;
use Test::More;

my @roles = qw(alice bob owner chief);
my @servers = qw(far house);

# By the name that it has below: what its id is made of.
my @names = ('CONFIGURED', 'AMBIENT', 'PROFILE', 'CHANGED', 'STRAY',
	(map { 'SESSION' . uc } @roles),
	(map { my $server = $_; map { 'OWN' . uc($_) . uc($server) } @roles } @servers),
	(map { 'PUBLIC' . uc } @servers));
my $stem = 'AKIDTEST';

sub secret_of { return "secret/of+$_[0]" }

# The sessions of two roles have temporary keys.
sub token_of { return $_[0] =~ /^SESSION(ALICE|OWNER)$/ ? "token/of+$_[0]" : '' }

my $emulator = start_emulator('--no-models', map { ('--key', $_) }
	  map { my $name = $_; join ':', grep { length } "$stem$name",
			secret_of($name), token_of($name) } @names);
my $node;
my $credentials = abs_path(PostgreSQL::Test::Utils::tempdir) . '/credentials';
append_to_file($credentials, "[p]\naws_access_key_id = ${stem}PROFILE\n"
	  . "aws_secret_access_key = " . secret_of('PROFILE') . "\n");
{
	local %ENV = (%ENV, AWS_ACCESS_KEY_ID => $stem . 'AMBIENT',
		AWS_SECRET_ACCESS_KEY => secret_of('AMBIENT'),
		AWS_SHARED_CREDENTIALS_FILE => $credentials,
		AWS_EC2_METADATA_DISABLED => 'true');
	$node = start_node('main', $emulator,
		"sagemaker_rt.max_attempts = 1\nmax_parallel_workers = 8");
}

$node->safe_psql('postgres', qq{
	CREATE ROLE alice LOGIN;
	CREATE ROLE bob LOGIN;
	CREATE ROLE owner LOGIN;
	CREATE ROLE chief LOGIN SUPERUSER;
	GRANT alice, owner TO bob;
	GRANT CREATE ON SCHEMA public TO alice, owner;
	CREATE SERVER far FOREIGN DATA WRAPPER sagemaker;
	CREATE SERVER house FOREIGN DATA WRAPPER sagemaker;
	GRANT USAGE ON FOREIGN SERVER far, house TO alice, bob, owner;
	CREATE TABLE job AS SELECT i FROM generate_series(1, 4) AS i;
	GRANT SELECT ON job TO PUBLIC;

	DO \$\$
	DECLARE f regprocedure;
	BEGIN
		FOR f IN SELECT oid FROM pg_proc WHERE proname LIKE 'sagemaker%' LOOP
			EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO alice, bob, owner', f);
		END LOOP;
	END \$\$;

	-- What only an administrator may do, in a session of whomever.
	CREATE FUNCTION manage(command text) RETURNS void LANGUAGE plpgsql
	SECURITY DEFINER AS \$\$ BEGIN EXECUTE command; END \$\$;

	-- Who may use the servers, and with which mappings; see \@states.
	CREATE FUNCTION mappings(state text) RETURNS void LANGUAGE plpgsql
	SECURITY DEFINER AS \$\$
	DECLARE
		server text;
		who text;
		key text;
	BEGIN
		IF state = 'no usage' THEN
			REVOKE USAGE ON FOREIGN SERVER far, house FROM alice, bob, owner;
		ELSE
			GRANT USAGE ON FOREIGN SERVER far, house TO alice, bob, owner;
		END IF;
		FOREACH server IN ARRAY '{far, house}'::text[] LOOP
			FOREACH who IN ARRAY '{alice, bob, owner, chief, PUBLIC}'::text[] LOOP
				EXECUTE format('DROP USER MAPPING IF EXISTS FOR %s SERVER %s', who, server);
				key := CASE WHEN who = 'PUBLIC' THEN 'PUBLIC' ELSE 'OWN' || upper(who) END
					|| upper(server);
				CONTINUE WHEN who = 'PUBLIC' AND state NOT IN ('public', 'both', 'empty');
				CONTINUE WHEN who <> 'PUBLIC' AND state IN ('none', 'public');
				EXECUTE format('CREATE USER MAPPING FOR %s SERVER %s %s', who, server, CASE
					WHEN who <> 'PUBLIC' AND state = 'empty' THEN ''
					WHEN state = 'identity' THEN 'OPTIONS (use_server_identity ''true'')'
					ELSE format('OPTIONS (access_key_id %L, secret_access_key %L)',
						'$stem' || key, 'secret/of+' || key) END);
			END LOOP;
		END LOOP;
	END \$\$;

	-- In the name of who runs them.
	CREATE FUNCTION use_keys(is_local bool DEFAULT false) RETURNS void LANGUAGE sql AS \$\$
		SELECT set_config('sagemaker_rt.access_key_id', '${stem}SESSION' || upper(current_user), is_local),
			set_config('sagemaker_rt.secret_access_key', 'secret/of+SESSION' || upper(current_user), is_local),
			set_config('sagemaker_rt.session_token', CASE WHEN current_user IN ('alice', 'owner')
				THEN 'token/of+SESSION' || upper(current_user) ELSE '' END, is_local)
	\$\$;
	CREATE FUNCTION use_default(server text DEFAULT 'far', is_local bool DEFAULT false)
	RETURNS void LANGUAGE sql AS \$\$
		SELECT set_config('sagemaker_rt.default_server', server, is_local)
	\$\$;
	CREATE FUNCTION call(id text, server text) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		RETURN (sagemaker_invoke('echo', '', inference_id => id, server => server)).request_id;
	END \$\$;
	CREATE FUNCTION call_in_workers(id text, server text) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM count(*) FROM job
		WHERE length((sagemaker_invoke('echo', '', inference_id => id, server => server)).body) >= 0;
		RETURN '';
	END \$\$;

	-- The same by way of a model: its name is all that chooses the server.
	CREATE FUNCTION score(text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS 'echo';
	CREATE FUNCTION score_far(text) RETURNS text LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '{"endpoint": "echo", "server": "far"}';
	CREATE FUNCTION score_in_row(id text, server text) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		RETURN CASE server WHEN 'far' THEN score_far(id) ELSE score(id) END;
	END \$\$;
	CREATE FUNCTION score_in_set(id text, server text) RETURNS text LANGUAGE plpgsql AS \$\$
	BEGIN
		IF server = 'far' THEN
			RETURN (SELECT string_agg(s, ' ') FROM (
				SELECT score_far(id || '.' || i) AS s FROM job ORDER BY i) AS scored);
		END IF;
		RETURN (SELECT string_agg(s, ' ') FROM (
			SELECT score(id || '.' || i) AS s FROM job ORDER BY i) AS scored);
	END \$\$;
	CREATE FUNCTION score_in_cursor(id text, server text) RETURNS text LANGUAGE plpgsql AS \$\$
	DECLARE
		scores refcursor;
		one text;
	BEGIN
		OPEN scores FOR EXECUTE format('SELECT %I(%L || ''.'' || i) FROM job ORDER BY i',
			CASE server WHEN 'far' THEN 'score_far' ELSE 'score' END, id);
		-- It can only be read on: a batched plan has no way back.
		MOVE FORWARD 3 FROM scores;
		FETCH scores INTO one;
		CLOSE scores;
		RETURN one;
	END \$\$;
});

# The same in the name of their owners.
for my $who (qw(owner alice chief))
{
	$node->safe_psql('postgres', "SET ROLE $who;
		CREATE FUNCTION ${who}_uses_keys() RETURNS void LANGUAGE sql SECURITY DEFINER
			AS 'SELECT use_keys()';
		CREATE FUNCTION ${who}_uses_default() RETURNS void LANGUAGE sql SECURITY DEFINER
			AS 'SELECT use_default()';
		CREATE FUNCTION ${who}_calls(id text, server text) RETURNS text LANGUAGE sql
			SECURITY DEFINER AS 'SELECT call(id, server)';
		CREATE FUNCTION ${who}_calls_in_workers(id text, server text) RETURNS text LANGUAGE sql
			SECURITY DEFINER AS 'SELECT call_in_workers(id, server)';
		CREATE FUNCTION ${who}_scores_in_set(id text, server text) RETURNS text LANGUAGE sql
			SECURITY DEFINER AS 'SELECT score_in_set(id, server)';");
}
$node->safe_psql('postgres', q{
	-- Until it is loaded, a superuser alone can store its settings.
	LOAD 'sagemaker_rt';
	SET ROLE owner;
	CREATE FUNCTION owner_calls_by_alice(id text, server text) RETURNS text LANGUAGE sql
		SECURITY DEFINER AS 'SELECT alice_calls(id, server)';
	CREATE FUNCTION owner_calls_with_keys(id text, server text) RETURNS text LANGUAGE plpgsql
		SECURITY DEFINER AS $$ BEGIN PERFORM use_keys(true); RETURN call(id, server); END $$;
	CREATE FUNCTION owner_calls_far(id text, server text) RETURNS text LANGUAGE sql
		SECURITY DEFINER SET sagemaker_rt.default_server = 'far' AS 'SELECT call(id, server)';
});

#
# The rules.
#

# The name of the key that should sign, or the SQLSTATE of the refusal.  Of a
# world: role (the effective one), superuser, named (server), keys and default
# (what the session set, as [role, value]), configured_keys, configured_default,
# usage and mapping (of the server, as functions of its name, the latter of
# "keys NAME", "identity", "empty" or undef).
sub signer_of
{
	my ($world) = @_;
	my $role = $world->{role};
	my $mine = sub { my $set = $world->{ $_[0] }; $set && $set->[0] eq $role ? $set->[1] : undef };
	my $identity = $world->{configured_keys} ? 'CONFIGURED' : 'AMBIENT';
	my $server = $world->{named} // $mine->('default') // $world->{configured_default};

	if (defined $server)
	{
		return '42501' unless $world->{superuser} || $world->{usage}->($server);
		my $mapping = $world->{mapping}->($server) // 'empty';
		return $1 if $mapping =~ /^keys (.*)/;
		return $mapping eq 'identity' || $world->{superuser} ? $identity : '42501';
	}
	return $mine->('keys') // (
		  $world->{configured_keys} ? 'CONFIGURED'
		: $world->{superuser} ? 'AMBIENT'
		: '42501');
}

#
# What happened.
#

# Models have no inference ids, so their bodies tell: a row, or the rows of job.
my %id_of_body;

sub note_bodies
{
	my ($id) = @_;
	$id_of_body{ sha256_hex($_) } = $id
	  for "$id\n", (map { "$id.$_\n" } 1 .. 4), join '', map { "$id.$_\n" } 1 .. 4;
}

# From inference ids to the names of the keys that signed, one a request.
sub signers
{
	my %signers;
	for my $request ($emulator->requests('echo'))
	{
		my %headers = map { lc $_->[0] => $_->[1] } @{ $request->{headers} };
		my ($name) = $headers{authorization} =~ /Credential=$stem(\w+)/;
		my $id = $headers{'x-amzn-sagemaker-inference-id'}
		  // $id_of_body{ $request->{body_sha256} } // 'unknown';
		push @{ $signers{$id} },
		  $request->{outcome} eq 'verified' ? $name // 'nobody' : "refused $name";
	}
	return \%signers;
}

# What became of a call: the SQLSTATE of its failure, or who signed.
sub became
{
	my ($sqlstate, $signed) = @_;
	my %once = map { $_ => 1 } @{ $signed // [] };
	my $keys = join ' ', sort keys %once;
	return $keys if $sqlstate eq '00000' && length $keys;
	return $sqlstate . (length $keys ? " after $keys" : '');
}

sub configure
{
	my ($with_keys, $default) = @_;
	my ($id, $secret) = $with_keys ? ($stem . 'CONFIGURED', secret_of('CONFIGURED')) : ('', '');
	$node->append_conf('postgresql.conf', "sagemaker_rt.access_key_id = '$id'\n"
		  . "sagemaker_rt.secret_access_key = '$secret'\n"
		  . "sagemaker_rt.default_server = '$default'\n");
	$node->reload;
	# Of the last line: then the lines before it have been read as well.
	$node->poll_query_until('postgres', "SELECT sagemaker_rt_version() IS NOT NULL AND "
		  . "current_setting('sagemaker_rt.default_server') = '$default'")
	  or die 'the configuration was not reloaded';
}

my @parallel = ('SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0',
	'SET min_parallel_table_scan_size = 0', 'SET parallel_leader_participation = off');

#
# The matrix.
#

# How a call comes about: who logs in, how the session gets another role, the
# function that calls, and the role that it then acts for.
my @ways = (
	[ 'alice', undef, 'call', 'alice' ],
	[ 'bob', 'SET ROLE alice', 'call', 'alice' ],
	[ 'chief', 'SET ROLE alice', 'call', 'alice' ],
	[ 'chief', 'SET SESSION AUTHORIZATION alice', 'call', 'alice' ],
	[ 'chief', undef, 'call', 'chief' ],
	[ 'alice', undef, 'owner_calls', 'owner' ],
	[ 'bob', 'SET ROLE alice', 'owner_calls', 'owner' ],
	[ 'bob', 'SET ROLE owner', 'owner_calls', 'owner' ],
	[ 'chief', undef, 'owner_calls', 'owner' ],
	[ 'chief', 'SET SESSION AUTHORIZATION bob', 'owner_calls', 'owner' ],
	[ 'alice', undef, 'chief_calls', 'chief' ],
	[ 'bob', undef, 'owner_calls_by_alice', 'alice' ],
	[ 'alice', undef, 'owner_calls_by_alice', 'alice' ],
	[ 'alice', undef, 'owner_calls_with_keys', 'owner', { keys => [ 'owner', 'SESSIONOWNER' ] } ],
	[ 'alice', undef, 'owner_calls_far', 'owner', { default => [ 'owner', 'far' ] } ],
	[ 'alice', undef, 'call_in_workers', 'alice' ],
	[ 'bob', 'SET ROLE alice', 'call_in_workers', 'alice' ],
	[ 'alice', undef, 'owner_calls_in_workers', 'owner' ],
	[ 'chief', undef, 'owner_calls_in_workers', 'owner' ],
	[ 'bob', undef, 'chief_calls_in_workers', 'chief' ],
	[ 'alice', undef, 'score_in_row', 'alice' ],
	[ 'bob', 'SET ROLE alice', 'score_in_row', 'alice' ],
	[ 'alice', undef, 'score_in_set', 'alice' ],
	[ 'chief', 'SET ROLE alice', 'score_in_set', 'alice' ],
	[ 'chief', undef, 'score_in_set', 'chief' ],
	[ 'alice', undef, 'owner_scores_in_set', 'owner' ],
	[ 'bob', undef, 'chief_scores_in_set', 'chief' ],
	[ 'bob', 'SET ROLE alice', 'score_in_cursor', 'alice' ]);
my @states = ('none', 'own', 'public', 'both', 'empty', 'identity', 'no usage');
# Who sets keys, and who sets the default server: nobody, the role that logged
# in, the one that the session has then, a function's owner.
my @setters = ('nobody', 'login', 'outer', 'definer');
my @nameds = (undef, 'far');

my @combinations;
for my $way (@ways)
{
	for my $state (@states)
	{
		for my $keys (@setters)
		{
			for my $default (@setters)
			{
				push @combinations, map { {
					way => $way, state => $state, keys => $keys,
					default => $default, named => $_ } } @nameds;
			}
		}
	}
}

# The same choice each time.
srand 3;
my $wanted = 300;
my $n = 0;
my %signed;
for my $configured_keys (1, 0)
{
	for my $configured_default ('', 'house')
	{
		my @chosen = (map { splice @combinations, rand @combinations, 1 } 1 .. $wanted);
		my @wrong = run_matrix($configured_keys, $configured_default, @chosen);
		my $where = ($configured_keys ? 'with' : 'without') . ' keys in the configuration, '
		  . ($configured_default ? 'with' : 'without') . ' a default server there';
		is(scalar @wrong, 0, "each of $wanted calls is signed by whom it should be: $where")
		  || diag(join "\n", @wrong);
	}
}
my @never = grep { !$signed{$_} && !/PROFILE|CHANGED|STRAY|SESSIONBOB|OWNBOB/ } @names, '42501';
is("@never", '', 'each key that may sign did sign, and there were refusals');
note "$n combinations";

sub run_matrix
{
	my ($configured_keys, $configured_default, @chosen) = @_;
	my (@wrong, %sqlstate);

	configure($configured_keys, $configured_default);
	$emulator->reset;
	for my $login (qw(alice bob chief))
	{
		my @mine = grep { $_->{way}[0] eq $login } @chosen;
		my $script = join '', map { "$_;\n" } @parallel;
		for my $c (@mine)
		{
			$c->{id} = 'call-' . ++$n;
			note_bodies($c->{id});
			$script .= statements_of($c);
		}
		my ($status, $out, $err) = $node->psql('postgres', $script,
			on_error_stop => 0, extra_params => [ '-U', $login ]);
		$sqlstate{$1} = $2 while $out =~ /^(call-\d+) (\w{5})$/mg;
	}
	my $signers = signers();
	for my $c (@chosen)
	{
		my $want = signer_of(world_of($c, $configured_keys, $configured_default));
		my $got = became($sqlstate{ $c->{id} } // 'not run', $signers->{ $c->{id} });
		$signed{$got}++;
		push @wrong, "$c->{id}: $got instead of $want:\n" . statements_of($c)
		  if $got ne $want;
	}
	return @wrong;
}

sub statements_of
{
	my ($c) = @_;
	my ($login, $switch, $function) = @{ $c->{way} };
	my $named = defined $c->{named} ? "'$c->{named}'" : 'NULL';
	my %set = (keys => 'use_keys()', default => 'use_default()');
	my %set_by_owner = (keys => 'owner_uses_keys()', default => 'owner_uses_default()');
	my @statements = ("SELECT mappings('$c->{state}')");

	push @statements, map { "SELECT $set{$_}" } grep { $c->{$_} eq 'login' } sort keys %set;
	push @statements, $switch if $switch;
	push @statements, map { "SELECT $set{$_}" } grep { $c->{$_} eq 'outer' } sort keys %set;
	push @statements,
	  map { "SELECT $set_by_owner{$_}" } grep { $c->{$_} eq 'definer' } sort keys %set;
	push @statements, "SELECT $function('$c->{id}', $named)", "\\echo $c->{id} :SQLSTATE";
	push @statements, 'RESET ROLE', 'RESET SESSION AUTHORIZATION',
	  map { "RESET sagemaker_rt.$_" }
	  qw(access_key_id secret_access_key session_token default_server);
	return join '', map { /^\\/ ? "$_\n" : "$_;\n" } @statements;
}

sub world_of
{
	my ($c, $configured_keys, $configured_default) = @_;
	my ($login, $switch, $function, $role, $inside) = @{ $c->{way} };
	my $outer = $switch && $switch =~ /(\w+)$/ ? $1 : $login;
	my %who = (nobody => undef, login => $login, outer => $outer, definer => 'owner');
	my $keys_of = $who{ $c->{keys} };
	my $default_of = $who{ $c->{default} };

	return {
		role => $role,
		superuser => $role eq 'chief',
		named => $c->{named},
		keys => $keys_of && [ $keys_of, 'SESSION' . uc $keys_of ],
		default => $default_of && [ $default_of, 'far' ],
		configured_keys => $configured_keys,
		configured_default => $configured_default || undef,
		usage => sub { $c->{state} ne 'no usage' },
		mapping => sub {
			my $server = uc $_[0];
			my $own = "keys OWN" . uc($role) . $server;
			return {
				'own' => $own, 'both' => $own, 'no usage' => $own,
				'public' => "keys PUBLIC$server",
				'empty' => 'empty', 'identity' => 'identity' }->{ $c->{state} };
		},
		%{ $inside // {} } };
}

#
# A walk: roles, keys, default servers, mappings, privileges, transactions and
# savepoints, one after the other in one session, and calls in between.
#

my $steps = 500;

for my $seed (1 .. 6)
{
	srand $seed;
	configure($seed % 2, $seed % 3 ? '' : 'house');
	my ($calls, $report) = walk($seed % 2, $seed % 3 ? undef : 'house');
	is($report, '', "walk $seed: each of $calls calls is signed by whom it should be");
}

# What a transaction can undo: a copy.
sub copy_of
{
	my ($thing) = @_;
	return { map { $_ => copy_of($thing->{$_}) } keys %$thing } if ref $thing eq 'HASH';
	return [ map { copy_of($_) } @$thing ] if ref $thing eq 'ARRAY';
	return $thing;
}

# The value of what the session set: that of SET LOCAL, else of SET.
sub in_force
{
	my ($setting) = @_;
	return $setting->{local} // $setting->{session};
}

sub walk
{
	my ($configured_keys, $configured_default) = @_;
	my @set_roles = qw(alice bob owner);
	my %world = (
		session_user => 'chief',
		role => undef,
		superuser => { chief => 1 },
		usage => { far => 1, house => 1 },
		mapping => { map { $_ => {} } @servers },
		keys => {}, default => {});
	my (@savepoints, %before, @statements, %want);
	my $pick = sub { $_[ rand @_ ] };
	my $outer = sub { $world{role} // $world{session_user} };
	my $manage = sub { push @statements, "SELECT manage(\$m\$$_[0]\$m\$)" };
	my $in_transaction = sub { scalar %before };
	my $is_super = sub { $_[0] eq 'chief' || $world{superuser}{ $_[0] } };

	my $call = sub {
		my ($function, $role) = @_;
		my $id = 'call-' . ++$n;
		my $named = rand() < 0.3 ? $pick->(@servers) : undef;
		$want{$id} = signer_of({
			role => $role, superuser => $is_super->($role), named => $named,
			keys => in_force($world{keys}), default => in_force($world{default}),
			configured_keys => $configured_keys, configured_default => $configured_default,
			usage => sub { $world{usage}{ $_[0] } },
			mapping => sub { $world{mapping}{ $_[0] }{$role} // $world{mapping}{ $_[0] }{PUBLIC} } });
		my $statement = "SELECT $function('$id', " . (defined $named ? "'$named'" : 'NULL') . ')';
		push @statements, $in_transaction->() ? 'SAVEPOINT of_call' : (), $statement,
		  "\\echo $id :SQLSTATE",
		  !$in_transaction->() ? () : $want{$id} =~ /^\d/ ? 'ROLLBACK TO of_call' : 'RELEASE of_call';
	};
	# What a SET leaves behind; what '' owns is nobody's.
	my $note_set = sub {
		my ($setting, $value, $is_local) = @_;
		return if $is_local && !$in_transaction->();
		if ($is_local) { $world{$setting}{local} = $value }
		else { $world{$setting} = { session => $value } }
	};
	my @actions = (
		sub { $call->('call', $outer->()) },
		sub { $call->('call', $outer->()) },
		sub { $call->('owner_calls', 'owner') },
		sub { $call->('owner_calls_by_alice', 'alice') },
		sub { $call->('chief_calls', 'chief') },
		sub {
			my $role = $pick->(undef, @set_roles);
			return if defined $role && $world{session_user} =~ /alice|owner/ && $role ne $world{session_user};
			$world{role} = $role;
			push @statements, 'SET ROLE ' . ($role // 'NONE');
		},
		sub {
			return if $in_transaction->() || defined $world{role};
			$world{session_user} = $pick->('chief', @set_roles);
			push @statements, "SET SESSION AUTHORIZATION $world{session_user}";
		},
		sub {
			my $by_owner = rand() < 0.5;
			my $is_local = !$by_owner && rand() < 0.4;
			my $who = $by_owner ? 'owner' : $outer->();
			push @statements, 'SELECT ' . ($by_owner ? 'owner_uses_keys()'
				: 'use_keys(' . ($is_local ? 'true' : 'false') . ')');
			$note_set->('keys', [ $who, 'SESSION' . uc $who ], $is_local);
		},
		sub {
			my $is_local = rand() < 0.4;
			my $server = $pick->(@servers, '');
			push @statements, "SELECT use_default('$server', " . ($is_local ? 'true' : 'false') . ')';
			$note_set->('default', length $server ? [ $outer->(), $server ] : [ '', '' ], $is_local);
		},
		sub {
			push @statements, map { "RESET sagemaker_rt.$_" }
			  qw(access_key_id secret_access_key session_token);
			$note_set->('keys', [ '', '' ], 0);
		},
		(sub {
			my ($server, $who) = ($pick->(@servers), $pick->(qw(alice owner chief PUBLIC)));
			my $name = ($who eq 'PUBLIC' ? 'PUBLIC' : 'OWN' . uc $who) . uc $server;
			my $exists = exists $world{mapping}{$server}{$who};
			my $to = $exists && rand() < 0.5 ? undef
			  : $pick->("keys $name", "keys $name", 'keys CHANGED', 'identity', 'empty');
			$manage->("DROP USER MAPPING FOR $who SERVER $server") if $exists;
			delete $world{mapping}{$server}{$who};
			return unless defined $to;
			$world{mapping}{$server}{$who} = $to;
			$manage->("CREATE USER MAPPING FOR $who SERVER $server" . (
				$to eq 'empty' ? ''
				: $to eq 'identity' ? " OPTIONS (use_server_identity 'true')"
				: $to =~ /^keys (.*)/ && " OPTIONS (access_key_id '$stem$1', secret_access_key '"
				  . secret_of($1) . "')"));
		}) x 3,
		sub {
			# In place, as a rotation is made.
			my ($server, $who) = ($pick->(@servers), $pick->(qw(alice owner chief PUBLIC)));
			return unless ($world{mapping}{$server}{$who} // '') =~ /^keys/;
			$world{mapping}{$server}{$who} = 'keys STRAY';
			$manage->("ALTER USER MAPPING FOR $who SERVER $server OPTIONS (SET access_key_id "
				  . "'${stem}STRAY', SET secret_access_key '" . secret_of('STRAY') . "')");
		},
		sub {
			my $server = $pick->(@servers);
			$world{usage}{$server} = $world{usage}{$server} ? 0 : 1;
			$manage->(($world{usage}{$server} ? 'GRANT' : 'REVOKE')
				. " USAGE ON FOREIGN SERVER $server "
				  . ($world{usage}{$server} ? 'TO' : 'FROM') . ' alice, bob, owner');
		},
		sub {
			my $who = $pick->('alice', 'owner');
			$world{superuser}{$who} = !$world{superuser}{$who};
			$manage->("ALTER ROLE $who " . ($world{superuser}{$who} ? '' : 'NO') . 'SUPERUSER');
		},
		sub {
			return if $in_transaction->();
			%before = %{ copy_of(\%world) };
			push @statements, 'BEGIN';
		},
		sub {
			return unless $in_transaction->();
			push @savepoints, copy_of(\%world);
			push @statements, 'SAVEPOINT s' . @savepoints;
		},
		(sub {
			return unless @savepoints;
			push @statements, 'ROLLBACK TO s' . @savepoints, 'RELEASE s' . @savepoints;
			%world = %{ pop @savepoints };
		}) x 2,
		sub {
			return unless $in_transaction->();
			my $commits = rand() < 0.6;
			push @statements, $commits ? 'COMMIT' : 'ROLLBACK';
			%world = %{ copy_of(\%before) } unless $commits;
			delete $world{$_}{local} for qw(keys default);
			%before = ();
			@savepoints = ();
		});

	push @statements, "SELECT mappings('none')";
	$actions[ rand @actions ]->() for 1 .. $steps;
	push @statements, 'ROLLBACK' if $in_transaction->();
	$emulator->reset;
	my $script = join '', map { /^\\/ ? "$_\n" : "$_;\n" } @statements;
	my ($status, $out, $err) = $node->psql('postgres', $script,
		on_error_stop => 0, extra_params => [ '-U', 'chief' ]);
	my %sqlstate = $out =~ /^(call-\d+) (\w{5})$/mg;
	my $signers = signers();
	my @ids = sort { $a =~ s/\D//gr <=> $b =~ s/\D//gr } keys %want;
	for my $id (@ids)
	{
		my $got = became($sqlstate{$id} // 'not run', $signers->{$id});
		next if $got eq $want{$id};
		return scalar @ids, "$id: $got instead of $want{$id}:\n"
		  . $script =~ s/\\echo $id .*//sr . "\n$err";
	}
	$node->safe_psql('postgres', 'ALTER ROLE alice NOSUPERUSER; ALTER ROLE owner NOSUPERUSER; '
		  . "SELECT mappings('none')");
	return scalar @ids, '';
}

#
# One thing after the other.
#

# Runs a statement, in which ID stands for its inference id; what became of it.
sub became_of
{
	my ($session, $statement) = @_;
	my $id = 'call-' . ++$n;
	note_bodies($id);
	$emulator->reset;
	my $result = $session->run($statement =~ s/\bID\b/$id/gr);
	return became($result->{sqlstate} // '00000', signers()->{$id});
}

# The connection that the one request of a statement came by.
sub connection_of
{
	my ($session, $statement) = @_;
	$emulator->reset;
	$session->must($statement =~ s/\bID\b/connection/gr);
	my @requests = $emulator->requests('echo');
	return @requests == 1 ? $requests[0]{connection} : 'not one request';
}

my $call = "SELECT call('ID', NULL)";
my $call_far = "SELECT call('ID', 'far')";
my $forget = join ';', map { "RESET sagemaker_rt.$_" }
  qw(access_key_id secret_access_key session_token default_server);

sub login_as { return Session->new($node, "\\c - $_[0]") }

# Done by another session, in the middle of this one.
configure(0, '');
$node->safe_psql('postgres', "SELECT mappings('own')");
my $alice = login_as('alice');
for my $row (
	[ 'a mapping that was there' => 'OWNALICEFAR' ],
	[ 'a mapping that was changed', 'CHANGED', "ALTER USER MAPPING FOR alice SERVER far OPTIONS "
		  . "(SET access_key_id '${stem}CHANGED', SET secret_access_key 'secret/of+CHANGED')" ],
	[ 'a mapping that was dropped', '42501', 'DROP USER MAPPING FOR alice SERVER far' ],
	[ 'a superuser who was made', 'AMBIENT', 'ALTER ROLE alice SUPERUSER' ],
	[ 'a superuser who is none any more', '42501', 'ALTER ROLE alice NOSUPERUSER' ],
	[ 'a PUBLIC mapping that was created', 'PUBLICFAR', 'CREATE USER MAPPING FOR PUBLIC SERVER far '
		  . "OPTIONS (access_key_id '${stem}PUBLICFAR', secret_access_key 'secret/of+PUBLICFAR')" ],
	[ 'a mapping that was created beside it', 'AMBIENT',
		"CREATE USER MAPPING FOR alice SERVER far OPTIONS (use_server_identity 'true')" ],
	[ 'USAGE that was revoked', '42501', 'REVOKE USAGE ON FOREIGN SERVER far FROM alice' ],
	[ 'a superuser, who needs no USAGE', 'AMBIENT', 'ALTER ROLE alice SUPERUSER' ],
	[ 'a role that needs it again', '42501', 'ALTER ROLE alice NOSUPERUSER' ],
	[ 'USAGE by way of a role', 'AMBIENT', 'GRANT USAGE ON FOREIGN SERVER far TO owner; GRANT owner TO alice' ],
	[ 'a server that was renamed', '42704', 'ALTER SERVER far RENAME TO farther' ],
	[ 'a server that is back', 'AMBIENT', 'ALTER SERVER farther RENAME TO far' ],
	[ 'a mapping that may not use the server any more', '42501',
		"ALTER USER MAPPING FOR alice SERVER far OPTIONS (SET use_server_identity 'false')" ],
	[ 'a role that was revoked', '42501', 'REVOKE owner FROM alice' ])
{
	my ($what, $want, $change) = @$row;
	$node->safe_psql('postgres', $change) if $change;
	is(became_of($alice, $call_far), $want, "the next call heeds $what");
}
$node->safe_psql('postgres', "SELECT mappings('own')");

# Of the session alone, without configured keys.
$alice->must('SELECT use_keys()');
is(became_of($alice, $call), 'SESSIONALICE', "a session's keys sign");
is(became_of($alice, "SELECT owner_calls('ID', NULL)"), '42501',
	'but not for the owner of a function');
$alice->must('SELECT use_default()');
is(became_of($alice, $call), 'OWNALICEFAR', 'a default server comes before them');
is(became_of($alice, "SELECT owner_calls('ID', NULL)"), '42501',
	'but not for the owner of a function');
is(became_of($alice, "SELECT owner_calls('ID', 'house')"), 'OWNOWNERHOUSE',
	"who signs with the owner's mapping of the server that the function names");
$alice->must($forget);

$alice->must('SELECT use_keys()');
$node->safe_psql('postgres', q{SET ROLE owner;
	CREATE FUNCTION owner_sets_secret() RETURNS text LANGUAGE sql SECURITY DEFINER
	AS $$ SELECT set_config('sagemaker_rt.secret_access_key', 'x', false) $$});
$alice->must('SELECT owner_sets_secret()');
is(became_of($alice, $call), '28000', 'halves that two roles set are no key');
is(became_of($alice, "SELECT owner_calls('ID', NULL)"), '28000', 'for neither of them');
$alice->must($forget);

$alice->must("BEGIN; SELECT use_keys(true)");
is(became_of($alice, $call), 'SESSIONALICE', 'SET LOCAL keys sign');
$alice->must('COMMIT');
is(became_of($alice, $call), '42501', 'until the transaction ends');
$alice->must('SELECT use_default(); BEGIN; SAVEPOINT s; SELECT use_default(\'house\')');
is(became_of($alice, $call), 'OWNALICEHOUSE', 'a server that was set after a savepoint is used');
$alice->must('ROLLBACK TO s');
is(became_of($alice, $call), 'OWNALICEFAR', 'until that is rolled back to');
$alice->must('COMMIT');
$alice->must($forget);

# Views, rows, triggers, cursors, prepared statements.
my $of_caller = "(sagemaker_invoke('echo', '', inference_id => %s, server => 'far')).request_id";
my $in_view = sprintf $of_caller, "current_setting('test.id')";
$node->safe_psql('postgres', qq{
	SET ROLE owner;
	CREATE VIEW scored AS SELECT $in_view;
	CREATE MATERIALIZED VIEW kept AS
		SELECT (sagemaker_invoke('echo', '', inference_id => current_setting('test.id'))).request_id
		WITH NO DATA;
	CREATE TABLE written (id text, answer text);
	CREATE FUNCTION score() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN NEW.answer := call(NEW.id, 'far'); RETURN NEW; END \$\$;
	CREATE TRIGGER score BEFORE INSERT ON written FOR EACH ROW EXECUTE FUNCTION score();
	CREATE FUNCTION owner_opens(id text) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS \$\$
	DECLARE answers CONSTANT refcursor := 'answers';
	BEGIN OPEN answers FOR SELECT call(id, 'far'); RETURN answers; END \$\$;
	GRANT SELECT ON scored TO alice;
	GRANT INSERT ON written TO alice;
});
is(became_of($alice, "SET test.id = 'ID'; SELECT * FROM scored"), 'OWNALICEFAR',
	'in a view, the caller signs');
is(became_of($alice, "INSERT INTO written VALUES ('ID')"), 'OWNALICEFAR',
	'in a trigger, the role that writes signs');
is(became_of($alice, "BEGIN; SELECT owner_opens('ID'); FETCH answers; COMMIT"), 'OWNALICEFAR',
	'rows of a cursor that a function opened are signed by the role that fetches them');
my $chief = login_as('chief');
$chief->must('SELECT use_keys()');
is(became_of($chief, "SET test.id = 'ID'; REFRESH MATERIALIZED VIEW kept"), '42501',
	"REFRESH of another role's view signs with none of the caller's keys");
$chief->must('SELECT use_default()');
is(became_of($chief, "SET test.id = 'ID'; REFRESH MATERIALIZED VIEW kept"), '42501',
	'nor by way of his default server');
configure(0, 'house');
is(became_of($chief, "SET test.id = 'ID'; REFRESH MATERIALIZED VIEW kept"), 'OWNOWNERHOUSE',
	"but with the owner's mapping of the server that the configuration names");
$chief->must($forget);
$chief->must("PREPARE calls(text) AS SELECT call(\$1, 'far')");
for my $role (qw(alice owner alice chief))
{
	is(became_of($chief, "SET ROLE $role; EXECUTE calls('ID')"), 'OWN' . uc($role) . 'FAR',
		"a prepared statement is signed for the role that executes it: $role");
}
$chief->must('RESET ROLE');

# Models.
sub count_of_requests { return scalar(() = $emulator->requests('echo')) }

$node->safe_psql('postgres', q{
	SET ROLE owner;
	CREATE VIEW scores AS SELECT score_far(current_setting('test.id') || '.' || i) FROM job;
	GRANT SELECT ON scores TO alice;
	CREATE FUNCTION owner_opens_scores(id text) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER AS $$
	DECLARE answers CONSTANT refcursor := 'answers';
	BEGIN OPEN answers FOR SELECT score_far(id || '.' || i) FROM job; RETURN answers; END $$;
	RESET ROLE;
	GRANT USAGE ON LANGUAGE sagemaker TO owner;
	SET ROLE owner;
	CREATE FUNCTION score_by_owner(text) RETURNS text LANGUAGE sagemaker SECURITY DEFINER
		PARALLEL SAFE COST 10000 AS '{"endpoint": "echo", "server": "far"}';
});
is(became_of($alice, "SELECT score_far('ID')"), 'OWNALICEFAR', 'a row of a model is signed by its caller');
is(became_of($alice, "SELECT score_far('ID.' || i) FROM job"), 'OWNALICEFAR', 'so is a set');
is(count_of_requests(), 1, 'which is one request');
is(became_of($alice, "SELECT score_by_owner('ID')"), 'OWNOWNERFAR',
	'a row of a SECURITY DEFINER model is signed by its owner');
is(became_of($alice, "SELECT score_by_owner('ID.' || i) FROM job"), 'OWNOWNERFAR', 'so is a set');
is(became_of($alice, "SET test.id = 'ID'; SELECT * FROM scores"), 'OWNALICEFAR',
	"a set in another role's view is signed by the caller");
is(became_of($alice, "BEGIN; SELECT owner_opens_scores('ID'); FETCH ALL FROM answers; COMMIT"),
	'OWNALICEFAR', 'a set of a cursor that a function opened, by the role that fetches');
is(became_of($alice, "BEGIN; DECLARE scored CURSOR FOR SELECT score_far('ID.' || i) FROM job; "
		  . 'FETCH ALL FROM scored; COMMIT'), 'OWNALICEFAR', 'a set of a cursor by who declared it');
$chief->must("PREPARE scores(text) AS SELECT score_far(\$1 || '.' || i) FROM job");
for my $mode ('force_custom_plan', 'force_generic_plan')
{
	$chief->must("SET plan_cache_mode = $mode");
	for my $role (qw(alice owner alice chief))
	{
		is(became_of($chief, "SET ROLE $role; EXECUTE scores('ID')"), 'OWN' . uc($role) . 'FAR',
			"a prepared set is signed for the role that executes it: $role, $mode");
	}
}
$chief->must('RESET ROLE; RESET plan_cache_mode');

# Functions with SET clauses.
$node->safe_psql('postgres', q{
	CREATE FUNCTION call_far(id text) RETURNS text LANGUAGE sql
		SET sagemaker_rt.default_server = 'far' AS 'SELECT call(id, NULL)';
	CREATE FUNCTION call_as_owner(id text) RETURNS text LANGUAGE sql
		SET role = 'owner' AS 'SELECT call(id, NULL)'});
is(became_of($alice, "SELECT call_far('ID')"), 'OWNALICEFAR',
	"a function's SET clause chooses the server");
is(became_of($alice, $call), 'OWNALICEHOUSE', 'until the function returns');
is(became_of($chief, "SELECT call_as_owner('ID')"), 'OWNOWNERHOUSE',
	"a function's SET clause switches the role");
is(became_of($chief, $call), 'OWNCHIEFHOUSE', 'until the function returns');

# The library comes in the middle: what was set before belongs to who set it.
configure(0, '');
for my $row (
	[ [ 'alice', 'use_keys()' ], "SELECT owner_calls('ID', NULL)", '42501',
		$call, 'SESSIONALICE', "keys that were set before a SECURITY DEFINER function loads the library" ],
	[ [ 'alice', 'use_default()' ], "SELECT owner_calls('ID', NULL)", '42501',
		$call, 'OWNALICEFAR', 'a default server that was set before that' ],
	[ [ 'bob', 'use_keys()', 'SET ROLE alice' ], $call, '42501',
		"RESET ROLE; $call", 'SESSIONBOB', 'keys that were set before SET ROLE', 15 ],
	[ [ 'bob', 'SET ROLE alice', 'use_keys()', 'RESET ROLE' ], $call, '42501',
		"SET ROLE alice; $call", 'SESSIONALICE', 'keys that were set after SET ROLE', 15 ],
	[ [ 'chief', 'use_keys()', 'SET SESSION AUTHORIZATION alice' ], $call, '42501',
		"RESET SESSION AUTHORIZATION; $call", 'SESSIONCHIEF',
		'keys that were set before SET SESSION AUTHORIZATION', 15 ],
	[ [ 'bob', 'use_keys()', 'BEGIN', 'SET ROLE alice', 'use_keys(true)' ], "SAVEPOINT s; $call", '42501',
		"ROLLBACK TO s; COMMIT; $call", '42501', 'keys that two roles set, one for a transaction,', 15 ])
{
	my ($before, $first, $became_first, $second, $became_second, $what, $since) = @$row;
	my ($login, @statements) = @$before;
	SKIP:
	{
		skip 'which role set a placeholder is not recorded', 1
		  if major_version($node) < ($since // 0);
		my $session = login_as($login);
		$session->must($_ =~ /\(/ ? "SELECT $_" : $_) for @statements;
		is(join(' then ', map { became_of($session, $_) } $first, $second),
			"$became_first then $became_second", "$what sign for nobody else");
		$session->quit;
	}
}
$node->safe_psql('postgres', "ALTER ROLE alice SET sagemaker_rt.default_server = 'far'");
is(became_of(login_as('alice'), $call), 'OWNALICEFAR', 'a default server that is stored with a role is its own');
is(became_of(login_as('alice'), "SELECT owner_calls('ID', NULL)"), '55000',
	'and hides the configuration from functions of others');
$node->safe_psql('postgres', 'ALTER ROLE alice RESET sagemaker_rt.default_server');

# Whoever signs, workers do it as the session does.
$alice->must($_) for @parallel, 'SELECT use_keys()';
$emulator->reset;
like($alice->must("EXPLAIN (ANALYZE) SELECT FROM job WHERE length((sagemaker_invoke('echo', '', "
		  . "inference_id => 'in-workers')).body) >= 0"),
	qr/Workers Launched: [1-9]/, 'workers call');
is("@{ signers()->{'in-workers'} }", join(' ', ('SESSIONALICE') x 4), 'once a row');
$alice->must($forget);

# What comes after the configuration's keys.
configure(1, '');
$node->safe_psql('postgres', "SELECT mappings('none')");
$chief->must("SET sagemaker_rt.profile = 'none-such'");
is(became_of($chief, $call), 'CONFIGURED', "the configuration's keys come before the profile's");
is(became_of($chief, $call_far), 'CONFIGURED', 'with a server as well');
$node->safe_psql('postgres', "ALTER SERVER far OPTIONS (ADD profile 'none-such')");
is(became_of($chief, $call_far), '28000', "unless the profile is the server's");
$node->safe_psql('postgres', 'ALTER SERVER far OPTIONS (DROP profile)');
$chief->must('RESET sagemaker_rt.profile');

#
# Connections.
#

$node->safe_psql('postgres', "SELECT mappings('both')");
my %connection;
for my $turn (1, 2)
{
	for my $role (qw(alice owner chief))
	{
		my $seen = connection_of($chief, "SET ROLE $role; $call_far");
		is($seen, $connection{$role}, "a mapping's connection is used again: $role") if $turn == 2;
		$connection{$role} = $seen;
	}
}
sub all_differ { my %seen = map { $_ => 1 } @_; return keys %seen == @_ }
ok(all_differ(values %connection), 'two mappings on one host do not share it');
isnt(connection_of($chief, "SET ROLE alice; SELECT call('ID', 'house')"), $connection{alice},
	'nor do the mappings of one role on two servers');
isnt(connection_of($chief, 'RESET ROLE; ALTER USER MAPPING FOR chief SERVER far OPTIONS (SET '
	  . "access_key_id '${stem}OWNALICEFAR', SET secret_access_key 'secret/of+OWNALICEFAR'); $call_far"),
	$connection{alice}, 'even if they have the same key');
$chief->must("SELECT mappings('public')");
$connection{public} = connection_of($chief, "SET ROLE alice; $call_far");
is(connection_of($chief, "SET ROLE owner; $call_far"), $connection{public},
	'two roles with one PUBLIC mapping share a connection');
ok(all_differ(values %connection), 'which is no other mapping\'s');

$chief->must("RESET ROLE; SELECT mappings('none')");
$connection{configured} = connection_of($chief, "SET ROLE alice; $call");
is(connection_of($chief, "SET ROLE owner; $call"), $connection{configured},
	"two roles that sign with the server's identity share a connection");
my $same_keys = join '; ', map { "SET sagemaker_rt.$_->[0] = '$_->[1]'" }
  [ access_key_id => $stem . 'CHANGED' ], [ secret_access_key => 'secret/of+CHANGED' ];
for my $turn (1, 2)
{
	for my $role (qw(alice owner chief))
	{
		my $seen = connection_of($chief, "SET ROLE $role; $same_keys; $call");
		is($seen, $connection{"session of $role"}, "a session's connection is used again: $role")
		  if $turn == 2;
		$connection{"session of $role"} = $seen;
	}
}
ok(all_differ(values %connection), 'two roles that set the same keys do not share it');
isnt(connection_of($chief, "SELECT use_keys(); $call"), $connection{'session of chief'},
	'nor do two keys of one role');
$chief->must($forget);
isnt(connection_of($chief, "RESET ROLE; SET sagemaker_rt.ca_file = '/another'; $call"),
	$connection{configured}, 'nor two authorities that are trusted');

# Mappings without keys in them: what they name is the same for all.
for my $kind (
	[ "use_server_identity 'true'", 'CONFIGURED', 1 ], [ "use_server_identity 'true'", 'AMBIENT', 0 ],
	[ "profile 'p'", 'PROFILE', 0 ])
{
	my ($options, $signer, $configured_keys) = @$kind;
	my %of;
	configure($configured_keys, '');
	$chief->must("RESET ROLE; RESET sagemaker_rt.ca_file; SELECT mappings('none')");
	$chief->must("CREATE USER MAPPING FOR $_ SERVER far OPTIONS ($options)") for qw(alice owner chief);
	is(became_of($chief, "SET ROLE alice; $call_far"), $signer, "a mapping with $options signs: $signer");
	$of{$_} = connection_of($chief, "SET ROLE $_; $call_far") for qw(alice owner chief);
	is(connection_of($chief, "SET ROLE $_; $call_far"), $of{$_}, "its connection is used again: $_")
	  for qw(alice owner chief);
	$of{setting} = connection_of($chief, "RESET ROLE; $call");
	ok(all_differ(values %of), "two mappings with $options do not share it ($signer)");
	$chief->must("RESET ROLE; SELECT mappings('none');"
		  . "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS ($options)");
	$of{public} = connection_of($chief, "SET ROLE alice; $call_far");
	is(connection_of($chief, "SET ROLE owner; $call_far"), $of{public},
		'two roles with one PUBLIC mapping of that kind share one');
	ok(all_differ(values %of), "which is no other mapping's");
	$chief->must('RESET ROLE');
}

$_->quit for $alice, $chief;
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'no backend crashed');
done_testing();
