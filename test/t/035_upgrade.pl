# An extension that was upgraded to the version of today is the same as one that
# was created in it: its objects, with all that pg_dump tells of them when it
# prepares an upgrade of the server, which is their definitions, owners, comments
# and privileges.
#
# As long as there is one version only, what is shown is that the comparison sees
# what an upgrade script may forget.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @extensions = qw(sagemaker_rt sagemaker_rt_aurora);
my $node = PostgreSQL::Test::Cluster->new('main');
my $databases = 0;

$node->init;
$node->start;

# A new database in which these statements have been run.
sub database_after
{
	my @statements = @_;
	my $name = 'd' . ++$databases;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, $_) for @statements;
	return $name;
}

# The statements that would make its objects again, in any order: without object
# identifiers and what differs from dump to dump.
sub objects
{
	my ($name) = @_;
	my ($dump, $errors) = ('', '');

	IPC::Run::run([ 'pg_dump', '--binary-upgrade', '--schema-only', '-d',
			$node->connstr($name) ], '>', \$dump, '2>', \$errors)
	  or die "pg_dump: $errors";
	$dump =~ s/^(--|\\(un)?restrict |SET |SELECT pg_catalog\.binary_upgrade_set_).*\n//mg;
	# Tables that are configuration are named by their number.
	$dump =~ s/'\{\d[\d,]*\}'/TABLES/g;
	$dump =~ s/^WHERE oid = '\d+'/WHERE oid = TABLE/mg;
	$dump =~ s/(rel(?:frozenxid|minmxid)) = '\d+'/$1 = NUMBER/g;
	$dump =~ s/\n\n+/\n/g;
	return join ";\n", sort split /;\n/, $dump;
}

my @create = map { "CREATE EXTENSION $_" } @extensions;
my $fresh = objects(database_after(@create));

# Each extension from each version that can be created, the other one fresh.
for my $extension (@extensions)
{
	my @sources = split /\n/, $node->safe_psql('postgres', <<"EOT");
SELECT source
FROM pg_extension_update_paths('$extension')
JOIN pg_available_extension_versions ON name = '$extension' AND version = source
JOIN pg_available_extensions AS e ON e.name = '$extension'
WHERE target = e.default_version AND path IS NOT NULL
ORDER BY source
EOT
	note("$extension: upgrades from ", @sources ? "@sources" : 'nothing yet');
	for my $source (@sources)
	{
		my $upgraded = database_after(
			map { /$extension$/ ? ("$_ VERSION '$source'", "ALTER EXTENSION $extension UPDATE") : $_ }
			  @create);
		is(objects($upgraded), $fresh, "$extension from $source is as if created");
	}
}

# What an upgrade script may do otherwise than the installation script.
my ($function) = $node->safe_psql(database_after(@create), <<'EOT');
SELECT objid::regprocedure
FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid
WHERE deptype = 'e' AND extname = 'sagemaker_rt' AND classid = 'pg_proc'::regclass
ORDER BY objid LIMIT 1
EOT
for my $row (
	[ 'nothing', 'SELECT', 1 ],
	[ 'a function too many', 'CREATE FUNCTION more() RETURNS int LANGUAGE sql AS $$SELECT 1$$; '
		  . 'ALTER EXTENSION sagemaker_rt ADD FUNCTION more()' ],
	[ 'a function that is no member', "ALTER EXTENSION sagemaker_rt DROP FUNCTION $function" ],
	[ 'a comment', "COMMENT ON FUNCTION $function IS 'other'" ],
	[ 'a privilege', "GRANT EXECUTE ON FUNCTION $function TO PUBLIC" ],
	[ 'a cost', "ALTER FUNCTION $function COST 17" ],
	[ 'parallel safety', "ALTER FUNCTION $function PARALLEL RESTRICTED" ],
	[ 'a column', 'ALTER TYPE sagemaker_response ADD ATTRIBUTE more int' ],
	[ "a column's comment", "COMMENT ON COLUMN sagemaker_response.body IS 'other'" ],
	[ 'the wrapper', 'ALTER FOREIGN DATA WRAPPER sagemaker NO VALIDATOR' ],
	[ 'the privileges of the language', 'GRANT USAGE ON LANGUAGE sagemaker TO PUBLIC' ])
{
	my ($what, $statement, $same) = @$row;
	my $seen = objects(database_after(@create, $statement)) ne $fresh;
	ok($same ? !$seen : $seen, $same ? "$what is no difference" : "$what is a difference");
}

$node->stop('fast');
done_testing();
