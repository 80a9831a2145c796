# What is put by a process that has to wait when others see its transaction
# already, while somebody else invalidates or puts the same and is through with
# that: what came later holds.  The library of late/late.c makes it wait.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $library = late_library();
my $node = new_server('held', 'max_prepared_transactions = 5', 'cachex.memory = 16MB');
my ($cachex) = run_command([ 'postgres', '-D', $node->data_dir, '-C', 'shared_preload_libraries' ]);
$cachex =~ s/.*\n//s;
# callbacks of what was loaded last come first
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$cachex, $library'");
$node->start;
add_extension($node);
$node->safe_psql('postgres', qq{
	CREATE TABLE t (n int);
	CREATE TABLE seen (n int);
	CREATE TABLE read (n int);
	CREATE TABLE watched (id int PRIMARY KEY, n int);
	CREATE TABLE rows (id int PRIMARY KEY, v int);
	INSERT INTO read VALUES (1);
	INSERT INTO watched VALUES (1, 1);
	CREATE FUNCTION late_pause(file text) RETURNS void STRICT LANGUAGE c AS '$library';
	CREATE FUNCTION late_pause_before(file text) RETURNS void STRICT LANGUAGE c AS '$library';
	SELECT cachex.create_cache('c', consistency => 'ttl'), cachex.create_cache('exact'),
		cachex.create_cache('stored', consistency => 'ttl', persist => 'table');
	SELECT cachex.watch('read');
	SELECT cachex.watch('watched', 'c', keys => '{watched:<id>}');
	SELECT cachex.watch('rows', c, keys => '{rows:<id>}', action => 'put') FROM unnest('{c,stored}'::text[]) AS c;
	CREATE ROLE app;
	GRANT INSERT, SELECT, UPDATE ON rows TO app;
	GRANT INSERT, SELECT ON seen TO app;
	SELECT cachex.grant_cache(c, 'app', p) FROM unnest('{c,stored}'::text[]) AS c, unnest('{read,write}'::text[]) AS p});

# One that puts, one that comes later, with an older or a younger transaction.
my ($writer, $later, $reader) = map { session($node) } 1 .. 3;
my $held = 0;

sub file { return PostgreSQL::Test::Utils::tempdir . '/go' . ++$held; }

# Makes the writer run SQL in a transaction and wait after its commit.
sub hold
{
	my ($sql) = @_;
	my $file = file();
	$writer->must("BEGIN; INSERT INTO seen VALUES ($held); $sql; SELECT late_pause('$file')");
	$writer->send('COMMIT');
	until_true($reader, "EXISTS (SELECT FROM seen WHERE n = $held)");
	ok($writer->is_waiting, 'held') or die;
	return $file;
}

sub release
{
	my ($file) = @_;
	append_to_file($file, '');
	$writer->receive;
	die $writer->error if $writer->error;
	return;
}

my $value = q{cachex.get('c', 'k', scope => 's')};
sub left { return $reader->must("SELECT coalesce($value #>> '{}', 'none')"); }

my $put = q{SELECT cachex.put('c', 'k', '"old"', tags => '{a,b}', scope => 's')};
# Puts, alone, after something that moves generations, or what depends on it.
my %puts = (
	'put' => $put,
	'put after an own invalidation' => "SELECT cachex.invalidate('c', 'another'); $put",
	'put after an own invalidation of its tag' => "SELECT cachex.invalidate_tags('{a}'); $put",
	'put after an own pattern' => "SELECT cachex.invalidate_like('c', 'k%'); $put");
my %ends = (
	'key' => q{SELECT cachex.invalidate('c', 'k', scope => 's')},
	'key in all scopes' => q{SELECT cachex.invalidate('c', 'k')},
	'tag' => q{SELECT cachex.invalidate_tags('{b}')},
	'scope' => q{SELECT cachex.clear('c', scope => 's')},
	'cache' => q{SELECT cachex.clear('c')},
	'pattern' => q{SELECT cachex.invalidate_like('c', 'k%')},
	'put' => q{SELECT cachex.put('c', 'k', '"new"', scope => 's')});

# Transactions of others, so that much completes after it.
sub others
{
	$reader->must('INSERT INTO t VALUES (1)') for 1 .. 3;
	return;
}

my ($given_up, $found_late) = (0, 0);
foreach my $how (sort keys %puts)
{
	foreach my $what (sort keys %ends)
	{
		foreach my $age ('older', 'younger', 'prepared')
		{
			next if $age eq 'prepared' && $what eq 'put';
			foreach my $follow (0, 1)
			{
				my $name = "$how, then $what of one who is $age, " . ($follow ? 'others follow' : 'nobody follows');
				$later->must("SELECT cachex.clear('c')");
				$later->must('BEGIN; INSERT INTO t VALUES (2)') if $age eq 'older';
				$later->must("BEGIN; $ends{$what}; PREPARE TRANSACTION 'p'") if $age eq 'prepared';
				my $file = hold($puts{$how});
				$later->must($age eq 'older' ? "$ends{$what}; COMMIT"
					: $age eq 'prepared' ? "COMMIT PREPARED 'p'" : $ends{$what});
				left() if $age eq 'prepared';
				others() if $follow;
				release($file);
				my $left = left();
				ok($left ne 'old', $name) or diag($left);
				# what a prepared one has ended may be found out later
				$given_up += $left eq 'none' && $age ne 'prepared';
				$found_late += $left eq 'none' && $age eq 'prepared';
			}
		}
	}
}

is($reader->must("SELECT refused_doubt BETWEEN $given_up AND $given_up + $found_late, update_conflicts
	FROM cachex.stats WHERE cache = 'c'"), 't|0', 'what was given up is counted');

# What came before holds nobody up, whoever is older; nor does what others do
# elsewhere while the writer waits.
my $elsewhere = q{SELECT cachex.invalidate('c', 'elsewhere'), cachex.invalidate_tags('{elsewhere}'),
	cachex.clear('c', scope => 'elsewhere'), cachex.put('c', 'k', '1', scope => 'elsewhere')};
foreach my $how (sort keys %puts)
{
	foreach my $what (sort keys %ends)
	{
		foreach my $follow (0, 1)
		{
			my $name = "$what of one who is younger, then $how, " . ($follow ? 'others between' : 'nobody between');
			my $file = file();
			$writer->must("BEGIN; INSERT INTO seen VALUES ($held)");
			$later->must($ends{$what});
			others() if $follow;
			$writer->must("$puts{$how}; SELECT late_pause('$file')");
			$writer->send('COMMIT');
			until_true($reader, "EXISTS (SELECT FROM seen WHERE n = $held)");
			$later->must($elsewhere);
			release($file);
			is(left(), 'old', $name);
		}
	}
}

# Many of them, beside one who does something else.
$later->must(q{SELECT cachex.clear('c'), cachex.reset_stats('c')});
release_after(q{SELECT cachex.invalidate('c', 'another');
	SELECT count(cachex.put('c', 'many' || i, '1', tags => ARRAY['many' || i % 7])) FROM generate_series(1, 10000) AS i}, $elsewhere);
cmp_ok($reader->must(q{SELECT refused_doubt FROM cachex.stats WHERE cache = 'c'}), '<', 100, 'many puts are not given up');

sub release_after
{
	my ($sql, $meanwhile) = @_;
	my $file = hold($sql);
	$later->must($meanwhile);
	release($file);
	return;
}

# ---- atomic changes ----

foreach my $base ('5', undef)
{
	foreach my $ttl (q{'1 h'}, q{'0'})
	{
		my $name = 'an atomic change of ' . ($base ? 'a value' : 'nothing') . ", then a put for $ttl";
		$later->must(q{SELECT cachex.clear('c')});
		$later->must("SELECT cachex.put('c', 'n', '$base')") if $base;
		release_after(q{SELECT cachex.incr('c', 'n')}, "SELECT cachex.put('c', 'n', '\"new\"', ttl => $ttl)");
		ok($reader->must(q{SELECT cachex.get('c', 'n') IS NULL OR cachex.get('c', 'n') = '"new"'}) eq 't', $name);
	}
}

# What a loader has read is changed by the transaction itself, or by another.
my $fetch = q{SELECT cachex.fetch('exact', %s, 'SELECT n FROM %s')};
my %own = (
	'' => 'SELECT 1',
	', and an own invalidation' => q{SELECT cachex.invalidate('c', 'another')});
foreach my $own (sort keys %own)
{
	foreach my $table ('read', 'watched')
	{
		my $get = sprintf($fetch, "'$table'", $table);
		my $touch = "SELECT cachex.touch('exact', '$table', ttl => '1 day')";
		my $change = "UPDATE $table SET n = n + 1";

		$reader->must($get);
		$writer->must("BEGIN; $touch; $change; $own{$own}; COMMIT");
		is($reader->must($get), $reader->must("SELECT n FROM $table"), "an entry of $table touched, and its own change$own");
		$writer->must("BEGIN; $touch; $own{$own}; COMMIT");
		is($reader->must("SELECT status FROM cachex.lookup('exact', '$table')"), 'hit', "only touched$own");
		release_after("$touch; $own{$own}", $change);
		is($reader->must($get), $reader->must("SELECT n FROM $table"), "an entry of $table touched, then changed$own");
	}
}

# ---- rows that a trigger puts ----

# They are for who may read the table, whenever that ends.
my $row = q{SELECT concat_ws(' ', cachex.get('c', 'rows:%1$d') ->> 'v', cachex.get('stored', 'rows:%1$d') ->> 'v')};
my $revoke = 'REVOKE SELECT ON rows FROM app';
$_->must('SET ROLE app') foreach $writer, $reader;
$writer->must('INSERT INTO rows VALUES (1, 1)');
is($reader->must(sprintf($row, 1)), '1 1', 'a row that was put');
$later->must($revoke);
is($reader->must(sprintf($row, 1)), '', 'ends with the privilege');
$later->must('GRANT SELECT ON rows TO app');
release_after('INSERT INTO rows VALUES (2, 2)', $revoke);
is($reader->must(sprintf($row, 2)), '', 'so does one whose writer is held');
$later->must('GRANT SELECT ON rows TO app');
$writer->must('BEGIN; INSERT INTO rows VALUES (3, 3)');
$later->must($revoke);
$writer->must('COMMIT');
is($reader->must(sprintf($row, 3)), '', 'and one that was put before the end and committed after it');
$_->must('RESET ROLE') foreach $writer, $reader;

# ---- patterns ----

# One that has looked for keys when the put is not there yet, and completes
# after it.
$_->close foreach $writer, $later, $reader;
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$library, $cachex'");
$node->start;
($writer, $later, $reader) = map { session($node) } 1 .. 3;
foreach my $how (sort keys %puts)
{
	my $file = file();
	# a key that has never been there
	my $new = "new$held";
	my $sql = $puts{$how} =~ s/'k'/'$new'/r =~ s/'k%'/'new%'/r;
	$later->must("BEGIN; INSERT INTO seen VALUES ($held); SELECT cachex.invalidate_like('c', '$new%'), late_pause_before('$file')");
	$later->send('COMMIT');
	# it has marked what it will change, and looked
	until_true($reader, '(SELECT in_doubt > 0 FROM cachex.memory())');
	until_true($reader, "EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^COMMIT' AND wait_event IS NULL AND state = 'active')");
	$writer->must("BEGIN; $sql; COMMIT");
	append_to_file($file, '');
	$later->receive;
	is($reader->must("SELECT cachex.get('c', '$new', scope => 's')"), '', "$how, before a pattern that had looked");
}
my $many = q{SELECT count(cachex.put('c', 'k' || i, '1')) FROM generate_series(1, 100) AS i};
$writer->must(qq{$many; SELECT cachex.invalidate_like('c', 'k%')});
$writer->must(qq{BEGIN; SELECT cachex.invalidate_like('c', 'k%'); $many; COMMIT});
is($reader->must(q{SELECT count(cachex.get('c', 'k' || i)) FROM generate_series(1, 100) AS i}), '100', 'an own pattern before');

$_->close foreach $writer, $later, $reader;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
done_testing();
