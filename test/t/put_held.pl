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
	CREATE FUNCTION late_pause(file text) RETURNS void STRICT LANGUAGE c AS '$library';
	SELECT cachex.create_cache('c', consistency => 'ttl')});

# One that puts, one that comes later, with an older or a younger transaction.
my ($writer, $later, $reader) = map { session($node) } 1 .. 3;
my $held = 0;

# Makes the writer run SQL in a transaction and wait after its commit.
sub hold
{
	my ($sql) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . '/go' . ++$held;
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

my $given_up = 0;
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
				# what a prepared one has ended is found out later, and is dead
				$given_up += $left eq 'none' && $age ne 'prepared';
			}
		}
	}
}

is($reader->must(q{SELECT refused_doubt, update_conflicts FROM cachex.stats WHERE cache = 'c'}),
	"$given_up|0", 'what was given up is counted');

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
			my $file = PostgreSQL::Test::Utils::tempdir . '/go' . ++$held;
			$writer->must("BEGIN; INSERT INTO seen VALUES ($held)");
			$later->must($ends{$what});
			others() if $follow;
			$writer->must("$puts{$how}; SELECT late_pause('$file')");
			$writer->send('COMMIT');
			until_true($reader, "EXISTS (SELECT FROM seen WHERE n = $held)");
			$later->must($elsewhere) unless $how =~ /own/;
			release($file);
			is(left(), 'old', $name);
		}
	}
}

$_->close foreach $writer, $later, $reader;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
done_testing();
