
# Cases of two or three sessions in which a commit takes long after it has
# become visible, or a snapshot is older than a change of what is not there.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('main', 'cachex.memory = 64MB', 'max_prepared_transactions = 5');
$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', consistency => 'ttl');
	CREATE TABLE item (i int PRIMARY KEY, v int);
	INSERT INTO item SELECT i, 0 FROM generate_series(1, 20) i});

# What a fetch says, and the table under the same snapshot.
sub ask
{
	my ($i) = @_;
	return "SELECT cachex.fetch('c', 'k$i', 'SELECT v AS value FROM item WHERE i = $i'),
		(SELECT v FROM item WHERE i = $i)";
}

my ($writer, $reader, $old) = map { session($node) } 1 .. 3;
my $i = 0;

# ---- a pattern, and keys that come after it ----

foreach my $first (1, 0)
{
	$i++;
	my @steps = ("SELECT cachex.invalidate_like('c', 'k%$i')",
		"UPDATE item SET v = 1 WHERE i = $i");
	@steps = reverse @steps if !$first;
	$writer->must(join(';', 'BEGIN', @steps));
	is($reader->must(ask($i)), '0|0', 'pattern: others fill a key before the commit');
	is($writer->must(ask($i)), '1|1', 'pattern: its transaction sees its own change');
	$writer->must('COMMIT');
	is($reader->must(ask($i)), '1|1', 'pattern: the key is invalid after the commit');
}

# No key is there when the pattern is applied.
$i++;
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM item');
$writer->must("BEGIN; UPDATE item SET v = 1 WHERE i = $i;
	SELECT cachex.invalidate_like('c', 'k%$i'); COMMIT");
is($reader->must(ask($i)), '1|1', 'pattern: a fill after the commit');
is($old->must(ask($i)), '0|0', 'pattern: is not served to a snapshot of before');
is($reader->must(ask($i)), '1|1', 'pattern: nor the other way round');
$old->must('COMMIT');

$i++;
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM item');
$writer->must("BEGIN; UPDATE item SET v = 1 WHERE i = $i;
	SELECT cachex.invalidate_like('c', 'k%$i'); PREPARE TRANSACTION 'p'");
is($old->must(ask($i)), '0|0', 'prepared pattern: a fill before COMMIT PREPARED');
is($reader->must(ask($i)), '0|0', 'prepared pattern: another one');
$reader->must(q{COMMIT PREPARED 'p'});
is($reader->must(ask($i)), '1|1', 'prepared pattern: gone after COMMIT PREPARED');
is($old->must(ask($i)), '0|0', 'prepared pattern: the old snapshot sees the old value');
is($reader->must(ask($i)), '1|1', 'prepared pattern: and the new one the new');
$old->must('COMMIT');

# ---- a commit that takes its time ----

# So many invalidations before the change in question are a second in which
# the commit can be seen and the cache has not been told.
my $long = q{SELECT count(cachex.invalidate('c', 'filler' || f))
	FROM generate_series(1, 1000000) f};

# Commits a long transaction with a change, and comes back when it is visible.
sub commit_slowly
{
	my ($change) = @_;
	$i++;
	$writer->must("BEGIN; UPDATE item SET v = 1 WHERE i = $i");
	$writer->must($long);
	$writer->must('SELECT ' . $change =~ s/<i>/$i/r);
	$writer->send('COMMIT');
	$reader->must('SELECT 1') until $reader->must("SELECT v FROM item WHERE i = $i") == 1;
	note('the commit was over too early') if !$writer->is_waiting;
	return;
}

foreach my $kind (
	[ 'put', q{cachex.put('c', 'k<i>', '1')}, q{cachex.put('c', 'k<i>', '2')} ],
	[ 'put, then invalidate', q{cachex.put('c', 'k<i>', '1')},
		q{cachex.invalidate('c', 'k<i>')} ],
	[ 'put, then take', q{cachex.put('c', 'k<i>', '1')}, q{cachex.take('c', 'k<i>')} ],
	[ 'put, then clear', q{cachex.put('c', 'k<i>', '1')}, q{cachex.clear('c')} ],
	[ 'invalidate, then put', q{cachex.invalidate('c', 'k<i>')},
		q{cachex.put('c', 'k<i>', '2')} ])
{
	my ($name, $first, $second) = @$kind;
	commit_slowly($first);
	is($reader->must(ask($i)), '1|1', "slow $name: visible, and served so");
	$reader->must("BEGIN; UPDATE item SET v = 2 WHERE i = $i; SELECT "
		  . $second =~ s/<i>/$i/r . '; COMMIT');
	is($reader->must(ask($i)), '2|2', "slow $name: the second one is visible");
	$writer->receive;
	is($reader->must(ask($i)), '2|2', "slow $name: and stays when the first one is done");
}

# The second one has the lesser transaction id.
my $second = session($node);
$second->must('BEGIN; SELECT pg_current_xact_id()');
commit_slowly(q{cachex.put('c', 'k<i>', '1')});
$second->must("UPDATE item SET v = 2 WHERE i = $i; SELECT cachex.put('c', 'k$i', '2'); COMMIT");
is($reader->must(ask($i)), '2|2', 'slow put, an older transaction id: the second one is visible');
$writer->receive;
is($reader->must(ask($i)), '2|2', 'slow put, an older transaction id: and stays');
$second->close;

# Atomic changes that follow a put.
commit_slowly(q{cachex.put('c', 'n', '10')});
is($reader->must(q{SELECT cachex.incr('c', 'n')}), '11',
	'an increment starts from a put that is visible');
$writer->receive;
is($reader->must(q{SELECT cachex.get('c', 'n')}), '11', 'and is kept');

$_->close foreach $writer, $reader, $old;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
