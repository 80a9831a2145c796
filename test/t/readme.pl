# What README.md shows works, and it names every object, column and setting;
# test/README.md names every test.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my @examples = $readme =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar @examples, '>', 10, 'README has examples');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION cachex');

# one session, as a reader would type them; what -- says behind a statement
# is checked below where it is a value
my ($out, $err);
my $status = $node->psql('postgres', join("\n", @examples),
	on_error_stop => 1, stdout => \$out, stderr => \$err);
is($status, 0, 'every example runs') or diag($err);
like($out, qr/^Sunrise$/m, 'the running example sees the change');
like($out, qr/^"hello"$/m, 'get finds what was put');
like($out, qr/^not_modified\|$/m, 'lookup knows the etag');
like($out, qr/^Sunrise: A Song of Two Humans$/m, 'a watch puts the new row');
unlike($err, qr/ERROR|WARNING/, 'no example warns');

# names of functions, views and settings, as a reader would look for them
my $names = $node->safe_psql(
	'postgres', q{
	SELECT DISTINCT proname FROM pg_proc p
	WHERE pronamespace = 'cachex'::regnamespace
		AND proname NOT IN ('definition_changed', 'new_cache_id', 'warmers_changed', 'warm_epoch',
			'running_warmer', 'stats_of_caches', 'dependencies_found', 'public_memory')
	UNION
	SELECT relname FROM pg_class
	WHERE relnamespace = 'cachex'::regnamespace AND relkind = 'v'
	UNION
	SELECT name FROM pg_settings WHERE name LIKE 'cachex.%'});
my @missing = grep { $readme !~ /\b\Q$_\E\b/ } split /\n/, $names;
is("@missing", '', 'README names every function, view and setting');

# columns of the views, of what lookup and entries return, and of functions
# that return a row
my $columns = $node->safe_psql(
	'postgres', q{
	SELECT DISTINCT attname FROM pg_attribute
	WHERE attnum > 0 AND NOT attisdropped AND attrelid IN (SELECT oid
		FROM pg_class WHERE relnamespace = 'cachex'::regnamespace
			AND relkind IN ('v', 'c'))
	UNION
	SELECT unnest(proargnames[pronargs + 1:]) FROM pg_proc
	WHERE oid IN ('cachex.memory'::regproc, 'cachex.function_use'::regproc)});
cmp_ok(scalar(split /\n/, $columns), '>', 100, 'there are columns');
@missing = grep { $readme !~ /`\Q$_\E`/ } split /\n/, $columns;
is("@missing", '', 'README names every column');

# files of tests, by name or by a pattern with * at its end
my $tests = slurp_file('test/README.md');
my %named = map { $_ => 1 } $tests =~ /`([^`\s]+)`/g;
my @patterns = map { /^(.*)\*$/ ? $1 : () } keys %named;
my @files = map { m{^test/((?:sql|specs|t)/\w+)\.(?:sql|spec|pl)$} ? $1 : () }
	glob('test/sql/*.sql test/specs/*.spec test/t/*.pl');
cmp_ok(scalar @files, '>', 100, 'there are tests');
@missing = grep {
	my $file = $_;
	!$named{$file} && !grep { index($file, $_) == 0 } @patterns
} @files;
is("@missing", '', 'test/README.md names every test');

my $silent = $node->safe_psql(
	'postgres', q{
	SELECT pg_describe_object(classid, objid, objsubid)
	FROM pg_depend d
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension
			WHERE extname = 'cachex')
		AND obj_description(objid, classid::regclass::name) IS NULL
		AND classid <> 'pg_type'::regclass});
is($silent, '', 'every object has a comment');

$node->stop;
done_testing();
