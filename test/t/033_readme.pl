# The table of settings in the README says what the settings are.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = "$FindBin::RealBin/../../README.md";
my ($table) = -e $readme
  ? slurp_file($readme) =~ /^<!-- settings -->\n(.*?)^<!-- \/settings -->$/ms
  : ();
plan skip_all => 'README.md has no table between <!-- settings --> and <!-- /settings -->'
  unless $table;

# name => [ default, who ], of the rows | `sagemaker_rt.name` | default | who | meaning |
my %documented;
for my $row (grep { /`sagemaker_rt/ } split /\n/, $table)
{
	my ($name, $default, $who, $meaning) =
	  $row =~ /^\| `sagemaker_rt\.(\w+)` \|\s*(.*?)\s*\|\s*(.*?)\s*\|\s*(.*?)\s*\|$/;
	ok(defined $name && $meaning ne '' && !$documented{$name}, "a row: $row") or next;
	$default =~ s/^`(.*)`$/$1/;
	$documented{$name} = [ $default, $who ];
}

# Nothing is configured here, so each setting has its default.
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "session_preload_libraries = 'sagemaker_rt'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE anyone');

my %context = map { split /\|/ } split /\n/, $node->safe_psql('postgres', q{
	SELECT substr(name, 14), context FROM pg_settings WHERE name LIKE 'sagemaker\_rt.%'});

# Secret settings are in no list; SHOW knows them.
for my $name ('access_key_id', 'secret_access_key', 'session_token')
{
	ok(!exists $context{$name}, "$name is in no list");
	$context{$name} = 'user';
}

is(join(' ', sort keys %documented), join(' ', sort keys %context),
	'the README has every setting, and no other one');
for my $name (sort keys %documented)
{
	my ($default, $who) = @{ $documented{$name} };
	next unless exists $context{$name};
	is($default, $node->safe_psql('postgres', "SHOW sagemaker_rt.$name"), "default of $name");
	is($who, $context{$name} eq 'superuser' ? 'superuser' : 'anyone', "who may set $name");

	my ($status) = $node->psql('postgres',
		"SET ROLE anyone; SELECT set_config('sagemaker_rt.$name', current_setting('sagemaker_rt.$name'), false)");
	is($status == 0 ? 'anyone' : 'superuser', $who, "as a plain role finds who sets $name");
}

done_testing();
