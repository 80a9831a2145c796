
# Exact caches and two-phase commit: rows and definitions that prepared
# transactions change, finished by others, across a restart as well.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use Test::More;

my $node = start_server('main', 'max_prepared_transactions = 60',
	'cachex.memory = 16MB');
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE TABLE t (k int PRIMARY KEY, v int);
	INSERT INTO t SELECT i, 0 FROM generate_series(1, 40) i;
	CREATE TABLE shape (v int);
	INSERT INTO shape VALUES (1);
	CREATE TABLE rls (v int);
	INSERT INTO rls VALUES (1), (2);
	ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
	CREATE POLICY p ON rls USING (v = 1);
	GRANT SELECT ON t, rls TO reader;
	CREATE TABLE tree (k int, v int) PARTITION BY LIST (k);
	SELECT format('CREATE TABLE leaf%s PARTITION OF tree FOR VALUES IN (%s)', i, i)
	FROM generate_series(1, 6) i \gexec
	INSERT INTO tree SELECT i, 0 FROM generate_series(1, 6) i;
	SELECT format('CREATE FUNCTION f%s() RETURNS int LANGUAGE sql STABLE AS ''SELECT 0''', i)
	FROM generate_series(1, 6) i \gexec
	CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql STABLE
	AS 'BEGIN RETURN (SELECT sum(v) FROM t); END';
	SELECT cachex.watch(r) FROM unnest('{t, shape, rls, tree}'::regclass[]) r});

my ($writer, $reader, $other, $old);

sub connect_all
{
	($writer, $reader, $other, $old) = map { session($node) } 1 .. 4;
	# to wait for a prepared transaction's locks would be for ever
	$_->must(q{SET lock_timeout = '20ms'}) foreach $reader, $old;
	return;
}

# The cached answer beside the direct one, of the same snapshot.
sub both
{
	my $query = shift;
	return sprintf('SELECT cachex.fetch(%s, %s, $q$%s$q$), (%s)',
		q{'queries'}, "md5(\$q\$$query\$q\$)", $query, $query);
}

sub says
{
	my ($session, $query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($session->must(both($query)), "$want|$want", $name);
}

sub hits
{
	return $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'queries'});
}

# How many of three answers are hits; all of them must be right.
sub hits_of_three
{
	my ($query, $want) = @_;
	my $before = hits();
	for (1 .. 3)
	{
		my $got = $reader->must(both($query));
		is($got, "$want|$want", 'right answer') if $got ne "$want|$want";
	}
	return hits() - $before;
}

# Hits after something has ended: the first look may still have to settle it.
sub hits_again
{
	my ($query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	hits_of_three($query, $want);
	return is(hits_of_three($query, $want), 3, "$name: there are hits again");
}

sub prepare
{
	my ($id, $sql) = @_;
	$writer->must("BEGIN; $sql; PREPARE TRANSACTION '$id'");
	return;
}

connect_all();

# ---- rows ----

my $sum = 'SELECT sum(v) FROM t';
my $total = 'SELECT total()';
my $v = 0;
foreach my $end ('COMMIT', 'ROLLBACK')
{
	foreach my $query ($sum, $total, 'SELECT count(*) FROM t WHERE v > 0')
	{
		my $name = "$end, $query";
		$writer->must('UPDATE t SET v = 0; UPDATE t SET v = 1 WHERE k = 1');
		hits_of_three($query, 1);
		prepare('p', 'UPDATE t SET v = 1 WHERE k = 2');
		is(hits_of_three($query, 1), 3, "$name: hits while it is prepared");
		$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
		$other->must("$end PREPARED 'p'");
		my $after = $end eq 'COMMIT' ? 2 : 1;
		says($old, $query, 1, "$name: an old snapshot before anybody else");
		says($reader, $query, $after, "$name: a new snapshot");
		says($old, $query, 1, "$name: the old one again");
		hits_again($query, $after, $name);
		says($old, $query, 1, "$name: the old one beside new hits");
		$old->must('COMMIT');
		says($old, $query, $after, "$name: when it has ended");
	}
}

# A fill by an old snapshot between COMMIT PREPARED and the first who sees it.
$writer->must('UPDATE t SET v = 0');
prepare('p', 'UPDATE t SET v = 1 WHERE k = 2');
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
$other->must("COMMIT PREPARED 'p'");
says($old, $sum, 0, 'the old snapshot fills');
says($reader, $sum, 1, 'and a new one is not served that');
$old->must('COMMIT');

# Savepoints: what was taken back leaves no more than a miss.
hits_of_three($sum, 1);
prepare('p', 'SAVEPOINT a; UPDATE t SET v = 9; ROLLBACK TO a;
	UPDATE t SET v = 1 WHERE k = 3');
is(hits_of_three($sum, 1), 3, 'savepoint: hits while it is prepared');
$other->must("COMMIT PREPARED 'p'");
says($reader, $sum, 2, 'savepoint: right afterwards');
hits_again($sum, 2, 'savepoint');

# PREPARE fails when the marks are there already: the name is in use.
prepare('p', 'UPDATE t SET v = 1 WHERE k = 4');
$writer->must('BEGIN; UPDATE t SET v = 1 WHERE k = 5');
$writer->query("PREPARE TRANSACTION 'p'");
like($writer->error, qr/already in use/, 'a second one of the same name fails');
says($reader, $sum, 2, 'which is right afterwards');
$writer->must("BEGIN; CREATE OR REPLACE FUNCTION f1() RETURNS int LANGUAGE sql STABLE AS 'SELECT 5'");
$writer->query("PREPARE TRANSACTION 'p'");
like($writer->error, qr/already in use/, 'so does one that changes definitions');
says($reader, 'SELECT f1()', 0, 'which is right as well');
$other->must("ROLLBACK PREPARED 'p'");
hits_again($sum, 2, 'failed PREPARE');
hits_again('SELECT f1()', 0, 'failed PREPARE of a definition');

# ---- definitions ----

# change, query, answer before and after, whether readers must wait, undo
my @ddl = (
	[ 'TRUNCATE shape', 'SELECT count(*) FROM shape', 1, 0, 1, 'INSERT INTO shape VALUES (1)' ],
	[ 'ALTER TABLE shape ADD COLUMN x int DEFAULT 7',
		'SELECT to_jsonb(s)::text FROM shape s', '{"v": 1}', '{"v": 1, "x": 7}', 1,
		'ALTER TABLE shape DROP COLUMN x' ],
	[ q{CREATE OR REPLACE FUNCTION f1() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'},
		'SELECT f1()', 0, 1, 0,
		q{CREATE OR REPLACE FUNCTION f1() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'} ],
	[ 'CREATE POLICY q ON rls USING (true)', 'SELECT count(*) FROM rls', 1, 2, 1,
		'DROP POLICY q ON rls', 'reader' ],
	[ 'ALTER POLICY p ON rls USING (v < 3)', 'SELECT count(*) FROM rls', 1, 2, 1,
		'ALTER POLICY p ON rls USING (v = 1)', 'reader' ],
	[ 'ALTER ROLE reader BYPASSRLS', 'SELECT count(*) FROM rls', 1, 2, 0,
		'ALTER ROLE reader NOBYPASSRLS', 'reader' ],
	[ 'CREATE TABLE leaf7 PARTITION OF tree FOR VALUES IN (7); INSERT INTO tree VALUES (7, 0)',
		'SELECT count(*) FROM tree', 6, 7, 1, 'DROP TABLE leaf7' ]);

foreach my $case (@ddl)
{
	my ($change, $query, $before, $after, $waits, $undo, $role) = @$case;
	my $want = sub {
		my $x = shift;
		# to_jsonb(...)::text is a string to the cache
		(my $json = $x) =~ s/"/\\"/g;
		return $x =~ /^\{/ ? "\"$json\"|$x" : "$x|$x";
	};
	foreach my $end ('ROLLBACK', 'COMMIT')
	{
		my $name = "$end, $change";
		$_->must($role ? "SET ROLE $role" : 'RESET ROLE') foreach $reader, $old;
		my $ask = both($query);
		$reader->must($ask) for 1 .. 2;
		my $hits = hits();
		is($reader->must($ask), $want->($before), "$name: before it");
		is(hits(), $hits + 1, "$name: which is a hit");
		prepare('p', $change);
		# as the query itself does: an answer, or a wait for the lock
		my $got = $reader->query($ask);
		ok($reader->error =~ /lock timeout/ && $waits || $got eq $want->($before),
			"$name: while it is prepared") or diag($got, $reader->error);
		$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
		$other->must("$end PREPARED 'p'");
		my $now = $end eq 'COMMIT' ? $after : $before;
		is($reader->must($ask), $want->($now), "$name: after it");
		# not all of it respects snapshots, but the two agree, once the
		# session has heard of it
		$old->must($ask);
		my ($cached, $direct) = split /\|/, $old->must($ask);
		is($cached =~ s/^"|"$|\\//gr, $direct, "$name: an old snapshot sees what the query sees");
		is($reader->must($ask), $want->($now), "$name: after it, again");
		$old->must('COMMIT');
		$hits = hits();
		is($reader->must($ask), $want->($now), "$name: at last") for 1 .. 3;
		is(hits(), $hits + 3, "$name: then there are hits");
		$writer->must($undo) if $end eq 'COMMIT';
		is($reader->must($ask), $want->($before), "$name: undone");
	}
}
$_->must('RESET ROLE') foreach $reader, $old;

# The triggers: what is written while they are off is not seen, nor kept.
hits_of_three($sum, 2);
prepare('p', 'ALTER TABLE t DISABLE TRIGGER cachex_watch');
says($reader, $sum, 2, 'DISABLE TRIGGER prepared');
$other->must("ROLLBACK PREPARED 'p'");
hits_again($sum, 2, 'DISABLE TRIGGER rolled back');
prepare('p', 'ALTER TABLE t DISABLE TRIGGER cachex_watch; UPDATE t SET v = 1 WHERE k = 4');
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
$other->must("COMMIT PREPARED 'p'");
says($reader, $sum, 3, 'DISABLE TRIGGER and a write');
says($old, $sum, 2, 'DISABLE TRIGGER: an old snapshot');
$writer->must('UPDATE t SET v = 1 WHERE k = 5');
is(hits_of_three($sum, 4), 0, 'DISABLE TRIGGER: nothing is kept');
says($old, $sum, 2, 'DISABLE TRIGGER: the old snapshot again');
$old->must('COMMIT');
prepare('p', 'ALTER TABLE t ENABLE ALWAYS TRIGGER cachex_watch');
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
$other->must("COMMIT PREPARED 'p'; UPDATE t SET v = 1 WHERE k = 6");
says($old, $sum, 4, 'ENABLE TRIGGER: a snapshot of before it');
says($reader, $sum, 5, 'ENABLE TRIGGER: a new one');
says($old, $sum, 4, 'ENABLE TRIGGER: the old one again');
$old->must('COMMIT');
hits_again($sum, 5, 'ENABLE TRIGGER');

# ---- more than a line of writers holds ----

my @order = (4, 1, 6, 3, 2, 5);
$writer->must('UPDATE t SET v = 0');

# rows of one table; plain writers beside them
hits_of_three($sum, 0);
prepare("p$_", "UPDATE t SET v = 1 WHERE k = $_") foreach @order[0 .. 3];
$v = 0;
is(hits_of_three($sum, $v), 3, 'four that write rows: hits while they are prepared');
# these find no place, which costs misses
prepare("p$_", "UPDATE t SET v = 1 WHERE k = $_") foreach @order[4, 5];
hits_of_three($sum, $v);
foreach my $i (@order)
{
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
	my $rolled_back = $i == 3;
	$other->must($rolled_back ? "ROLLBACK PREPARED 'p$i'" : "COMMIT PREPARED 'p$i'");
	$writer->must("UPDATE t SET v = 1 WHERE k = 10 + $i");
	my $before = $v;
	$v += $rolled_back ? 1 : 2;
	says($old, $sum, $before, "six that write rows: old snapshot, $i");
	says($reader, $sum, $v, "six that write rows: after $i") for 1 .. 2;
	says($old, $sum, $before, "six that write rows: old snapshot again, $i");
	$old->must('COMMIT');
}
hits_again($sum, $v, 'six that wrote rows');

# definitions of one table, and of tables below one
my $below = 'SELECT sum(v) FROM tree';
hits_of_three($below, 0);
prepare("i$_", "CREATE INDEX t$_ ON t (v)") foreach @order;
prepare("l$_", "ALTER TABLE leaf$_ SET (fillfactor = 5$_)") foreach @order;
says($reader, $sum, $v, 'six indexes: right');
says($reader, $below, 0, 'six leaves: right');
my $b = 0;
foreach my $i (@order)
{
	$other->must("COMMIT PREPARED 'i$i'");
	$other->must($i == 2 ? "ROLLBACK PREPARED 'l$i'" : "COMMIT PREPARED 'l$i'");
	says($reader, $sum, $v, "six indexes: $i has ended");
	$writer->must('UPDATE tree SET v = v + 1 WHERE k = 1');
	says($reader, $below, ++$b, "six leaves: $i has ended");
}
hits_again($sum, $v, 'six indexes');
hits_again($below, $b, 'six leaves');

# the catalogs; six and more functions
my $all = 'SELECT f1() + f2() + f3() + f4() + f5() + f6()';
hits_of_three($all, 0);
prepare("f$_", qq{CREATE OR REPLACE FUNCTION f$_() RETURNS int LANGUAGE sql STABLE
	AS 'SELECT 1 + sum(v)::int FROM t WHERE k = 20 + $_'}) foreach @order;
is(hits_of_three($all, 0), 0, 'six functions: nothing is served while they are prepared');
is(hits_of_three($sum, $v), 0, 'six functions: nor anything else');
my $f = 0;
foreach my $i (@order)
{
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	$other->must($i == 6 ? "ROLLBACK PREPARED 'f$i'" : "COMMIT PREPARED 'f$i'");
	$f++ if $i != 6;
	says($reader, $all, $f, "six functions: $i has ended") for 1 .. 2;
	$old->must(both($all));
	my ($cached, $direct) = split /\|/, $old->must(both($all));
	is($cached, $direct, "six functions: old snapshot, $i");
	$old->must('COMMIT');
}
hits_again($all, $f, 'six functions');
hits_again($sum, $v, 'six functions, another query');
$writer->must('UPDATE t SET v = 1 WHERE k IN (21, 26)');
says($reader, $all, $f + 1, 'six functions: the tables of the new ones count');
is($reader->must('SELECT in_doubt, held FROM cachex.memory()'), '0|0', 'nobody is waited for');

# ---- across a restart ----

foreach my $mode ('fast', 'immediate')
{
	$writer->must('UPDATE t SET v = 0');
	$writer->must(q{CREATE OR REPLACE FUNCTION f1() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'});
	hits_of_three($sum, 0);
	prepare('rows', 'UPDATE t SET v = 1 WHERE k = 1');
	prepare('function', q{CREATE OR REPLACE FUNCTION f1() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'});
	prepare('unrelated', 'UPDATE tree SET v = v WHERE k = 2');
	$_->close foreach $writer, $reader, $other, $old;
	$node->stop($mode);
	$node->start;
	connect_all();

	my $name = "restart ($mode)";
	is(hits_of_three($sum, 0), 0, "$name: no hits");
	is(hits_of_three('SELECT f1()', 0), 0, "$name: nor of functions");
	is($reader->must('SELECT entries FROM cachex.memory()'), 0, "$name: nothing is kept");
	is($reader->must('SELECT held FROM cachex.memory()'), 3,
		"$name: memory() says who is waited for");
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t');
	$other->must(q{COMMIT PREPARED 'rows'});
	says($old, $sum, 0, "$name: an old snapshot");
	says($reader, $sum, 1, "$name: a new one");
	is(hits_of_three($sum, 1), 0, "$name: no hits while others are prepared");
	$other->must(q{COMMIT PREPARED 'function'});
	says($reader, 'SELECT f1()', 1, "$name: the function");
	# a writer whose marks are there
	prepare('late', 'UPDATE t SET v = 1 WHERE k = 2');
	$other->must(q{ROLLBACK PREPARED 'unrelated'});
	says($reader, $sum, 1, "$name: when the last one has ended");
	says($old, $sum, 0, "$name: the old snapshot again");
	hits_again($sum, 1, $name);
	hits_again('SELECT f1()', 1, "$name, function");
	says($old, $sum, 0, "$name: the old snapshot beside hits");
	$other->must(q{COMMIT PREPARED 'late'});
	says($reader, $sum, 2, "$name: one that was prepared later");
	says($old, $sum, 0, "$name: the old snapshot at last");
	$old->must('COMMIT');
	hits_again($sum, 2, "$name, at the end");
	is($reader->must('SELECT held FROM cachex.memory()'), 0, "$name: nobody is waited for");
}

$_->close foreach $writer, $reader, $other, $old;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
