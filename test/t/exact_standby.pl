
# Exact caches on a standby, which executes everything, and after its
# promotion, with a prepared transaction and without one.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_server('primary', { allows_streaming => 1 },
	'max_prepared_transactions = 10', 'max_connections = 30', 'cachex.memory = 16MB');
$primary->safe_psql('postgres', q{
	CREATE TABLE t (k int PRIMARY KEY, v int);
	INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i;
	CREATE TABLE u (k int PRIMARY KEY, v int);
	INSERT INTO u SELECT i, 0 FROM generate_series(1, 20) i;
	CREATE TABLE shape (v int);
	INSERT INTO shape VALUES (1);
	CREATE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(v) FROM public.t';
	CREATE FUNCTION unequal(text) RETURNS void LANGUAGE plpgsql
	AS $$ BEGIN RAISE 'unequal: %', $1; END $$;
	SELECT cachex.watch(r) FROM unnest('{t, u, shape}'::regclass[]) r;
	SELECT cachex.create_cache('c')});
$primary->backup('b');
my @standby = map {
	my $node = PostgreSQL::Test::Cluster->new($_);
	$node->init_from_backup($primary, 'b', has_streaming => 1);
	# a TRUNCATE that is replayed does not wait for long
	$node->append_conf('postgresql.conf', 'max_standby_streaming_delay = 20s');
	$node->start;
	$node;
} 'first', 'second';

sub replay
{
	my @sql = @_;
	$primary->safe_psql('postgres', $_) foreach @sql;
	my $lsn = $primary->lsn('flush');
	foreach my $node (@standby)
	{
		$node->poll_query_until('postgres',
			"SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= '$lsn'") or die;
	}
	return;
}

# The cached answer beside the direct one, of the same snapshot.
sub both
{
	my $query = shift;
	return "SELECT cachex.fetch('c', md5('$query'), '$query'), ($query)";
}

sub says
{
	my ($session, $query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($session->must(both($query)), "$want|$want", $name);
}

sub hits
{
	return $_[0]->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'});
}

# Hits at last; the first look may still have to settle something.
sub hits_again
{
	my ($session, $query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	says($session, $query, $want, "$name: right");
	my $before = hits($session);
	says($session, $query, $want, "$name: right again") for 1 .. 2;
	return is(hits($session), $before + 2, "$name: by hits");
}

my $sum = 'SELECT sum(v) FROM t';
my $function = 'SELECT f()';
my $count = 'SELECT count(*) FROM shape';

# ---- every way to ask, while it replays ----

# Each transaction of the primary keeps the two sums equal.
my $write = q{
\set a random(1, 20)
\set b random(1, 20)
\set d random(1, 9)
BEGIN;
UPDATE t SET v = v + :d WHERE k = :a;
SAVEPOINT s;
UPDATE u SET v = v + 1000 WHERE k = :b;
ROLLBACK TO s;
UPDATE u SET v = v + :d WHERE k = :a;
END;
};
my $read = q{
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cachex.fetch_as('c', 't', 0::bigint, 'SELECT sum(v) FROM t') AS t \gset
SELECT x AS u FROM cachex.query_as(0::bigint, 'SELECT sum(v) FROM u') x \gset
SELECT x AS t2 FROM cachex.query('SELECT sum(v) FROM t') AS q(x bigint) \gset
SELECT value::bigint AS u2 FROM cachex.fetch_many('c', '{u}', 'SELECT ''u'' AS key, sum(v) AS value FROM u') \gset
SELECT cachex.fetch('c', 'u', 'SELECT sum(v) FROM u')::bigint AS u3 \gset
SELECT sum(v) AS now FROM t \gset
\if :t != :now or :u != :now or :t2 != :now or :u2 != :now or :u3 != :now
SELECT unequal('t :t :t2, u :u :u2 :u3, now :now');
\endif
END;
};
my $seconds = run_seconds(4);
my @runs = (pgbench_start($primary, clients => 2, seconds => $seconds,
		options => [ '-R', 200 ], scripts => [ [ 1, $write ] ]),
	map { pgbench_start($_, clients => 2, seconds => $seconds, scripts => [ [ 1, $read ] ]) } @standby);
pgbench_wait($_) foreach @runs;
is($_->{status}, 0, 'right answers while it replays') foreach @runs;
cmp_ok($runs[0]->{transactions}, '>', 20 * $seconds, 'enough was replayed');
cmp_ok($_->{transactions}, '>', 50 * $seconds, 'enough was read') foreach @runs[1, 2];
foreach my $node (@standby)
{
	is(one($node, q{SELECT sum(hits), sum(fills), sum(entries), sum(loads) > 0 FROM cachex.stats}),
		'0|0|0|t', $node->name . ': nothing was kept');
	is(one($node, q{SELECT used, entries, in_doubt FROM cachex.memory()}), '0|0|0',
		$node->name . ': nor is there anything');
}

# ---- definitions that are replayed, in a session that stays ----

replay('UPDATE t SET v = 0; UPDATE u SET v = 0');
my ($reader, $second, $old) = map { session($standby[0]) } 1 .. 3;
says($reader, $sum, 0, 'standby: to begin with');
says($reader, $function, 0, 'standby: a function');
says($reader, $count, 1, 'standby: a count');
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
replay('UPDATE t SET v = 1 WHERE k = 1');
says($reader, $sum, 1, 'standby: an UPDATE');
says($old, $sum, 0, 'standby: an old snapshot does not see it');
says($reader, $sum, 1, 'standby: the UPDATE again');
$old->must('COMMIT');
replay(q{CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE
	AS 'SELECT sum(v) + 10 FROM public.t'});
says($reader, $function, 11, 'standby: another function');
replay('ALTER TABLE shape ADD x int DEFAULT 3');
is($reader->must(both('SELECT to_jsonb(s) FROM shape s')), '{"v": 1, "x": 3}|{"v": 1, "x": 3}',
	'standby: another column');
replay('TRUNCATE shape');
says($reader, $count, 0, 'standby: TRUNCATE');
replay('INSERT INTO shape VALUES (1), (2)');
says($reader, $count, 2, 'standby: and rows');
replay("BEGIN; UPDATE t SET v = 1 WHERE k = 2; PREPARE TRANSACTION 'p'");
says($reader, $sum, 1, 'standby: prepared');
replay("COMMIT PREPARED 'p'");
says($reader, $sum, 2, 'standby: COMMIT PREPARED');
is($reader->must(q{SELECT sum(hits), sum(fills), sum(entries) FROM cachex.stats}),
	'0|0|0', 'standby: still nothing is kept');

# ---- promotion without a prepared transaction ----

$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
my $first = shift @standby;
$first->promote;
says($reader, $sum, 2, 'promoted: a session of before');
says($second, $sum, 2, 'promoted: another');
says($old, $sum, 2, 'promoted: a snapshot of before');
$reader->must('UPDATE t SET v = 1 WHERE k = 3');
says($second, $sum, 3, 'promoted: the first write');
says($old, $sum, 2, 'promoted: the snapshot of before does not see it');
says($second, $sum, 3, 'promoted: the first write again');
says($old, $sum, 2, 'promoted: the snapshot of before again');
hits_again($second, $sum, 3, 'promoted, beside a snapshot of before');
says($old, $sum, 2, 'promoted: the snapshot of before, at last');
$old->must('COMMIT');
says($old, $sum, 3, 'promoted: it has ended');
my $fresh = session($first);
hits_again($fresh, $_->[0], $_->[1], "promoted, $_->[0]")
  foreach [ $sum, 3 ], [ $function, 13 ], [ $count, 2 ];
$fresh->must(q{CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE
	AS 'SELECT sum(v) + 20 FROM public.t'});
says($reader, $function, 23, 'promoted: another function');
$fresh->must('TRUNCATE shape');
says($second, $count, 0, 'promoted: TRUNCATE');
$fresh->must("BEGIN; UPDATE t SET v = 1 WHERE k = 4; PREPARE TRANSACTION 'p'");
hits_again($second, $sum, 3, 'promoted, prepared');
$reader->must("COMMIT PREPARED 'p'");
says($second, $sum, 4, 'promoted: COMMIT PREPARED');
hits_again($second, $sum, 4, 'promoted, at last');
$_->close foreach $reader, $second, $old, $fresh;
is_idle_and_consistent($first, 'promoted');
never_crashed($first, 'first: no process has crashed');
$first->stop;

# ---- promotion with prepared transactions ----

my $second_node = $standby[0];
replay("BEGIN; UPDATE t SET v = 100 WHERE k = 10; PREPARE TRANSACTION 'commit'",
	"BEGIN; UPDATE t SET v = 7 WHERE k = 11; PREPARE TRANSACTION 'rollback'",
	q{BEGIN; CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE
	AS 'SELECT sum(v) + 1000 FROM public.t'; PREPARE TRANSACTION 'function'});
($reader, $second, $old) = map { session($second_node) } 1 .. 3;
says($reader, $sum, 2, 'second standby');
says($reader, $function, 12, 'second standby: a function');
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
$second_node->promote;
is($reader->must('SELECT count(*) FROM pg_prepared_xacts'), 3, 'promoted with three prepared transactions');
says($_, $sum, 2, 'with prepared: right after the promotion') foreach $reader, $second, $old;
says($reader, $sum, 2, 'with prepared: and again') for 1 .. 2;
is(hits($reader), 0, 'with prepared: not from the cache');
is($reader->must('SELECT held FROM cachex.memory()'), 3, 'with prepared: three are waited for');
$second->must('UPDATE t SET v = 1 WHERE k = 3');
says($reader, $sum, 3, 'with prepared: the first write');
says($old, $sum, 2, 'with prepared: a snapshot of before');
my $between = session($second_node);
$between->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
$second->must("COMMIT PREPARED 'commit'");
says($reader, $sum, 103, 'with prepared: COMMIT PREPARED');
says($old, $sum, 2, 'with prepared: a snapshot of before that, before the promotion');
says($between, $sum, 3, 'with prepared: one of between');
$second->must("ROLLBACK PREPARED 'rollback'");
says($reader, $sum, 103, 'with prepared: ROLLBACK PREPARED');
says($reader, $function, 113, 'with prepared: the old function');
is(hits($reader), 0, 'with prepared: still not from the cache');
$second->must("COMMIT PREPARED 'function'");
says($reader, $function, 1103, 'with prepared: the new function');
says($reader, $sum, 103, 'with prepared: all of them have ended');
says($old, $sum, 2, 'with prepared: the snapshot of before, at last');
says($between, $sum, 3, 'with prepared: that of between');
hits_again($reader, $_->[0], $_->[1], "with prepared, $_->[0]")
  foreach [ $sum, 103 ], [ $function, 1103 ], [ $count, 2 ];
says($old, $sum, 2, 'with prepared: the snapshot of before beside hits');
says($between, $sum, 3, 'with prepared: that of between beside hits');
$_->must('COMMIT') foreach $old, $between;
hits_again($between, $sum, 103, 'with prepared, when the snapshots have ended');
is($reader->must('SELECT held FROM cachex.memory()'), 0, 'with prepared: nobody is waited for');
$second->must('UPDATE t SET v = v + 1 WHERE k = 10');
says($reader, $sum, 104, 'with prepared: another write');

$_->close foreach $reader, $second, $old, $between;
is_idle_and_consistent($second_node, 'with prepared');
never_crashed($_) foreach $primary, $second_node;
$second_node->stop;
$primary->stop;

done_testing();
