
# Two-phase commit: a pending invalidation survives PREPARE and a restart, acts
# at COMMIT PREPARED from whatever session, and leaves nothing stale.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('main', 'max_prepared_transactions = 20',
	'cachex.memory = 16MB');
$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', consistency => 'ttl');
	CREATE TABLE t (k text PRIMARY KEY, v int);
	INSERT INTO t SELECT 'k' || i, 0 FROM generate_series(1, 30) i});

# What a fetch says, and the table under the same snapshot.
my $ask = q{SELECT cachex.fetch('c', '%1$s', 'SELECT v AS value FROM t WHERE k = ''%1$s''',
	tags => '{tag}', scope => %2$s), (SELECT v FROM t WHERE k = '%1$s')};

sub ask
{
	my ($key, $scope) = @_;
	return sprintf($ask, $key, $scope // 'NULL');
}

# Prepares a change of k1 with an invalidation.
sub prepare
{
	my ($session, $id, $invalidation) = @_;
	$session->must("BEGIN; UPDATE t SET v = v + 1 WHERE k = 'k1'; SELECT $invalidation;
		PREPARE TRANSACTION '$id'");
	return;
}

my ($writer, $reader, $old) = map { session($node) } 1 .. 3;
my $v = 0;

# Every kind of invalidation, finished by another session.
foreach my $invalidation (q{cachex.invalidate('c', 'k1')},
	q{cachex.invalidate('c', 'k1', scope => 's')}, q{cachex.invalidate_tags('{tag}')},
	q{cachex.invalidate_like('c', 'k_')}, q{cachex.clear('c')},
	q{cachex.clear('c', 's')}, q{cachex.clear()})
{
	my $scope = $invalidation =~ /'s'/ ? q{'s'} : 'NULL';
	my $ask1 = ask('k1', $scope);
	# the one before may have left what is in no scope, or in one
	$reader->must(q{SELECT cachex.clear('c')});
	$reader->must($ask1);
	prepare($writer, 'p', $invalidation);
	is($reader->must($ask1), "$v|$v", "$invalidation: old before COMMIT PREPARED");
	is($reader->must($ask1), "$v|$v", "$invalidation: from the cache as well");
	# an older snapshot, which fills after the commit
	$old->must("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t");
	$reader->must(q{COMMIT PREPARED 'p'});
	is($old->must($ask1), "$v|$v", "$invalidation: the old snapshot sees the old value");
	is($old->must($ask1), "$v|$v", "$invalidation: twice");
	my $before = $v++;
	is($reader->must($ask1), "$v|$v", "$invalidation: others see the new one");
	is($old->must($ask1), "$before|$before", "$invalidation: the old snapshot still does not");
	is($reader->must($ask1), "$v|$v", "$invalidation: and they still do");
	$old->must('COMMIT');
	is($old->must($ask1), "$v|$v", "$invalidation: when its transaction ends it does too");
	my $hits = $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'});
	is($reader->must($ask1), "$v|$v", "$invalidation: settled");
	cmp_ok($reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'}), '>', $hits,
		"$invalidation: then there are hits again");
}

# A fill whose snapshot is older than COMMIT PREPARED and ends after it.
prepare($writer, 'p', q{cachex.invalidate('c', 'k1')});
$old->must(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t;
	SELECT cachex.fetch('c', 'k1', 'SELECT 1', mode => 'bypass')});
$writer->must(q{COMMIT PREPARED 'p'});
$old->must(q{SELECT cachex.fetch('c', 'k1', 'SELECT v AS value FROM t WHERE k = ''k1''',
	tags => '{tag}', mode => 'refresh')});
$v++;
is($reader->must(ask('k1')), "$v|$v", 'an old fill after the commit is not served to a new snapshot');
$old->must('COMMIT');

# Rolled back.
prepare($writer, 'p', q{cachex.invalidate('c', 'k1')});
$writer->must(q{ROLLBACK PREPARED 'p'});
is($reader->must(ask('k1')), "$v|$v", 'after ROLLBACK PREPARED the old value');
is($reader->must(ask('k1')), "$v|$v", 'twice');

# Savepoints: only what remains counts.
$writer->must(q{BEGIN; SAVEPOINT a; UPDATE t SET v = v + 100 WHERE k = 'k1';
	SELECT cachex.invalidate('c', 'k1'); ROLLBACK TO a;
	UPDATE t SET v = v + 1 WHERE k = 'k2'; SELECT cachex.invalidate('c', 'k2');
	PREPARE TRANSACTION 'p'});
$reader->must(ask('k2'));
$reader->must(q{COMMIT PREPARED 'p'});
is($reader->must(ask('k1')) . ' ' . $reader->must(ask('k2')), "$v|$v 1|1",
	'savepoints are honoured');

# Values cannot be prepared.
$writer->must('BEGIN');
$writer->must(q{SELECT cachex.put('c', 'k3', '5')});
$writer->query(q{PREPARE TRANSACTION 'p'});
like($writer->error, qr/cannot PREPARE a transaction that has put values into a cache.*HINT/s,
	'a transaction with a pending put cannot be prepared');
is($reader->must(q{SELECT cachex.get('c', 'k3') IS NULL}), 't', 'and leaves nothing');
$writer->query('ROLLBACK');
$writer->must('BEGIN');
$writer->must(q{SELECT cachex.create_cache('never')});
$writer->query(q{PREPARE TRANSACTION 'p'});
like($writer->error, qr/cannot PREPARE a transaction that has created, altered or dropped/,
	'nor can one that has created a cache');
$writer->query('ROLLBACK');
is(one($node, q{SELECT count(*) FROM pg_prepared_xacts}), '0', 'none of them is prepared');

# Many at once, more than have a place of their own; finished out of order.
foreach my $i (1 .. 12)
{
	$writer->must("BEGIN; UPDATE t SET v = v + 1 WHERE k = 'k' || ($i + 10);
		SELECT cachex.invalidate_tags('{tag}'), cachex.invalidate('c', 'k' || ($i + 10));
		PREPARE TRANSACTION 'many$i'");
}
my @order = (5, 1, 12, 7, 2, 3, 11, 4, 6, 10, 8, 9);
my $wrong = 0;
foreach my $i (@order)
{
	$reader->must(ask("k$_")) foreach 11 .. 22;
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
	$writer->must($i % 4 == 0 ? "ROLLBACK PREPARED 'many$i'" : "COMMIT PREPARED 'many$i'");
	foreach my $k (11 .. 22)
	{
		foreach my $session ($old, $reader, $old, $reader)
		{
			my ($cached, $table) = split(/\|/, $session->must(ask("k$k")));
			$wrong++ if $cached != $table;
		}
	}
	$old->must('COMMIT');
}
is($wrong, 0, 'twelve prepared at once: no stale answer, whatever the order');
my $hits = $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'});
$reader->must(ask("k$_")) foreach 11 .. 22, 11 .. 22;
cmp_ok($reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'}), '>=', $hits + 12,
	'and hits when all of them have ended');

# ---- across a restart ----

foreach my $mode ('fast', 'immediate')
{
	prepare($writer, 'p', q{cachex.invalidate('c', 'k1')});
	$writer->must(q{BEGIN; UPDATE t SET v = v + 1 WHERE k = 'k4';
		SELECT cachex.invalidate_tags('{tag}'); PREPARE TRANSACTION 'q'});
	my $v4 = $writer->must(q{SELECT v FROM t WHERE k = 'k4'});
	$_->close foreach $writer, $reader, $old;
	$node->stop($mode);
	$node->start;
	($writer, $reader, $old) = map { session($node) } 1 .. 3;
	is($reader->must(ask('k1')), "$v|$v", "restart ($mode): old before COMMIT PREPARED");
	is($reader->must(ask('k4')), "$v4|$v4", "restart ($mode): likewise with a tag");
	is($reader->must(ask('k1')), "$v|$v", "restart ($mode): twice");
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
	$old->must(ask($_)) foreach 'k1', 'k4';
	$writer->must(q{COMMIT PREPARED 'p'});
	is($old->must(ask('k1')), "$v|$v", "restart ($mode): an old snapshot sees the old value");
	$v++;
	is($reader->must(ask('k1')), "$v|$v", "restart ($mode): new ones the new one");
	is($reader->must(ask('k4')), "$v4|$v4", "restart ($mode): the other one is still prepared");
	$writer->must(q{COMMIT PREPARED 'q'});
	is($old->must(ask('k4')), "$v4|$v4", "restart ($mode): the old snapshot again");
	$v4++;
	is($reader->must(ask('k4')), "$v4|$v4", "restart ($mode): new ones again");
	is($old->must(ask($_->[0])), "$_->[1]|$_->[1]", "restart ($mode): the old snapshot at last")
	  foreach [ 'k1', $v - 1 ], [ 'k4', $v4 - 1 ];
	is($reader->must(ask('k1')), "$v|$v", "restart ($mode): and the new ones");
	$old->must('COMMIT');
	my $before = $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'});
	# an xid later than the prepared ones' has to complete
	$writer->must(q{UPDATE t SET v = v WHERE k = 'k30'});
	$reader->must(ask('k1')) for 1 .. 4;
	cmp_ok($reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'}), '>=', $before + 2,
		"restart ($mode): hits when they are over");
}
$_->close foreach $writer, $reader, $old;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
