# The tables of settings and of options in the README and in doc/models.md say
# what these are.
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
	is($who, { superuser => 'superuser', sighup => 'file' }->{ $context{$name} } // 'anyone', "who may set $name");

	my ($status) = $node->psql('postgres',
		"SET ROLE anyone; SELECT set_config('sagemaker_rt.$name', current_setting('sagemaker_rt.$name'), false)");
	is($status == 0, $who eq 'anyone', "as a plain role finds who sets $name");
}

# The options: | `name` | server, mapping | who | meaning |.
my ($options) = slurp_file($readme) =~ /^<!-- options -->\n(.*?)^<!-- \/options -->$/ms;
my %option;
for my $row (grep { /^\| `/ } split /\n/, $options // '')
{
	my ($name, $of, $who, $meaning) =
	  $row =~ /^\| `(\w+)` \| (server|mapping|server, mapping) \| (.+?) \| (.+?) \|$/;
	ok(defined $name && !$option{$name}, "a row: $row") or next;
	$option{$name} = { of => $of, who => $who };
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION sagemaker_rt;
	GRANT USAGE ON FOREIGN DATA WRAPPER sagemaker TO anyone;
	CREATE SERVER s FOREIGN DATA WRAPPER sagemaker;
	GRANT USAGE ON FOREIGN SERVER s TO anyone});
my %create = (
	server => 'CREATE SERVER t FOREIGN DATA WRAPPER sagemaker OPTIONS (%s)',
	mapping => 'CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (%s)');
my $keys = "access_key_id 'x', secret_access_key 'x'";

# What the validator says of these options, in a transaction that is undone.
sub create
{
	my ($place, $role, $list) = @_;
	my ($status, undef, $stderr) = $node->psql('postgres',
		"BEGIN; SET ROLE $role; " . sprintf($create{$place}, $list) . '; ROLLBACK',
		on_error_stop => 1);
	return $status == 0 ? '' : $stderr;
}

my ($superuser) = $node->safe_psql('postgres', 'SELECT current_user');
for my $place (sort keys %create)
{
	my ($valid) = create($place, $superuser, "a_name_that_is_none 'x'") =~ /Valid options are: (.*)\.$/m;
	my @here = sort grep { $option{$_}{of} =~ /$place/ } keys %option;
	is("@here", join(' ', sort split /, /, $valid), "the README has every option of a $place");

	for my $name (@here)
	{
		my ($value) = grep { create($place, $superuser, "$name '$_'") eq '' }
		  ('https://host', 'true', '1', 'x');
		ok(defined $value, "$name of a $place has a value") or next;
		my $list = "$name '$value'";
		my $who =
		  create($place, 'anyone', $list) eq '' ? 'anyone'
		  : $place eq 'mapping' && create($place, 'anyone', "$list, $keys") eq ''
		  ? 'superuser, or beside keys'
		  : 'superuser';
		my $documented = $option{$name}{who};
		$documented =~ s/, or beside keys// if $place eq 'server';
		is($documented, $who, "who may set $name of a $place");
	}
}

# The options of model functions: | `name` | default | limits | meaning |.  The
# validator says what there is, and for some what they must be.
my ($model_options) = slurp_file("$FindBin::RealBin/../../doc/models.md") =~
  /^<!-- model options -->\n(.*?)^<!-- \/model options -->$/ms;
my %limits;
for my $row (grep { /^\| `/ } split /\n/, $model_options // '')
{
	my ($name, $limits) = $row =~ /^\| `(\w+)` \|[^|]*\|\s*([^|]*?)\s*\|\s*[^|]+ \|$/;
	ok(defined $name && !defined $limits{$name}, "a row: $row") or next;
	$limits{$name} = $limits;
}

# What the validator says of a model with these options.
sub declare_model
{
	my ($options) = @_;
	my ($status, undef, $stderr) = $node->psql('postgres',
		"BEGIN; CREATE FUNCTION f(int) RETURNS int LANGUAGE sagemaker PARALLEL SAFE COST 10000
		AS '$options'; ROLLBACK", on_error_stop => 1);
	return $status == 0 ? '' : $stderr;
}

my ($valid) = declare_model('{"a_name_that_is_none": 1}') =~ /Options are: (.*)\.$/m;
is(join(' ', sort keys %limits), join(' ', sort split /, /, $valid),
	'doc/models.md has every option of a model function, and no other one');
for my $name (sort keys %limits)
{
	my ($says) = declare_model(qq({"endpoint": "x", "$name": "-1 x"})) =~
	  /option "$name" is not valid: it must be (?:one of |between )?(.*)$/m;
	next unless defined $says;
	is($limits{$name}, $says =~ s/^(\d+) and (\d+)$/$1 to $2/r, "limits of $name");
}

done_testing();
