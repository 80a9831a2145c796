
# Exact caches and what administrators do: dump and restore, vacuum, reindex,
# cluster, another extension of the same name, copies of a database.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# As many cells as there can be: tables that share one end each other's entries.
my $node = start_server('main', 'cachex.memory = 256MB', 'max_connections = 40');
my $dir = PostgreSQL::Test::Utils::tempdir;

# Tables of all kinds; each has a v that adds up to 6.
my $schema = q{
	CREATE TABLE plain (k int PRIMARY KEY, v int);
	CREATE TABLE part (k int, v int) PARTITION BY RANGE (k);
	CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (2);
	CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (2) TO (10) PARTITION BY RANGE (k);
	CREATE TABLE part2a PARTITION OF part2 FOR VALUES FROM (2) TO (3);
	CREATE TABLE part2b PARTITION OF part2 FOR VALUES FROM (3) TO (10);
	CREATE TABLE parent (k int PRIMARY KEY, v int);
	CREATE TABLE child (PRIMARY KEY (k)) INHERITS (parent);
	CREATE TABLE keyed (k int PRIMARY KEY, v int);
	CREATE VIEW looks AS SELECT * FROM plain;
	CREATE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(v) FROM public.plain';
	SELECT cachex.watch(r) FROM unnest('{plain, part, parent}'::regclass[]) r;
	SELECT cachex.create_cache('pages', consistency => 'ttl');
	SELECT cachex.watch('keyed', 'pages', keys => '{all}');
	INSERT INTO plain VALUES (1, 1), (2, 2), (3, 3);
	INSERT INTO part TABLE plain;
	INSERT INTO keyed TABLE plain;
	INSERT INTO parent VALUES (1, 1);
	INSERT INTO child VALUES (2, 2), (3, 3)};

my @relations = qw(plain part part2b parent child keyed looks);
my %total = (part2b => 3, child => 5);
my ($db, $s, $old, $w);

sub connect_to
{
	$db = shift;
	($s, $old, $w) = map { session($node, $db) } 1 .. 3;
	return;
}

sub disconnect
{
	$_->close foreach $s, $old, $w;
	return;
}

sub sum_of
{
	return $_[0] eq 'f()' ? 'SELECT f()' : "SELECT coalesce(sum(v), 0) FROM $_[0]";
}

# The cached answer beside the direct one, of the same snapshot.
sub both
{
	my $query = sum_of($_[0]);
	return "SELECT cachex.fetch('queries', md5('$query'), '$query'), ($query)";
}

sub says
{
	my ($rel, $want, $name, $session) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(($session // $s)->must(both($rel)), "$want|$want", "$name: $rel");
}

sub count_hits
{
	return $s->must(q{SELECT hits FROM cachex.stats WHERE cache = 'queries'});
}

# How many of two are hits, after a first one.
sub hits
{
	my ($rel, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	says($rel, $want, $name);
	my $before = count_hits();
	says($rel, $want, $name) for 1 .. 2;
	return count_hits() - $before;
}

sub is_kept
{
	my ($rel, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(hits($rel, $want, $name), 2, "$name: $rel is kept");
}

# The entry that is there is found; unless its table shares a cell, by a hash
# that is another at each start, with a table that has changed.
sub still_hits
{
	my ($rel, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = count_hits();
	says($rel, $want, $name);
	my $hits = count_hits() - $before;
	my $shared = $hits ? 0 : $s->must(q{SELECT coalesce(sum(collisions), 0)
		FROM cachex.dependencies WHERE kind = 'table'});
	note("$name: $shared collisions") if $shared;
	return ok($hits == 1 || $shared > 0, "$name: the entry of $rel is still there");
}

# Everything is watched, and exact whoever writes.
sub all_follow
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_kept($_, $total{$_} // 6, $name) foreach @relations, 'f()';
	foreach my $write ([ 'plain', [qw(plain looks f())] ], [ 'looks', [qw(plain looks f())] ],
		[ 'part', [qw(part part2b)] ], [ 'part2', [qw(part part2b)] ], [ 'part2b', [qw(part part2b)] ],
		[ 'parent', [qw(parent child)] ], [ 'child', [qw(parent child)] ], [ 'keyed', ['keyed'] ])
	{
		my ($rel, $reads) = @$write;
		is_kept($_, $total{$_} // 6, "$name, before $rel") foreach @$reads;
		$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
		$w->must("UPDATE $rel SET v = v + 10 WHERE k = 3");
		foreach my $read (@$reads)
		{
			my $t = $total{$read} // 6;
			says($read, $t + 10, "$name, $rel");
			says($read, $t, "$name, $rel, an old snapshot", $old);
			is_kept($read, $t + 10, "$name, $rel");
		}
		$old->must('COMMIT');
		$w->must("UPDATE $rel SET v = v - 10 WHERE k = 3");
		says($_, $total{$_} // 6, "$name, $rel, undone") foreach @$reads;
	}
	return;
}

sub create_database
{
	my ($new) = @_;
	one($node, "CREATE DATABASE $new");
	add_extension($node, $new);
	one($node, $schema, $new);
	return;
}

sub run_ok
{
	my ($name, $to, @cmd) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return $node->command_ok([ @cmd, '-d', $node->connstr($to) ], $name);
}

create_database('source');
connect_to('source');
all_follow('to begin with');
disconnect();

# ---- dump and restore ----

run_ok('pg_dump, custom', 'source', 'pg_dump', '-F', 'c', '-f', "$dir/custom");
run_ok('pg_dump, plain', 'source', 'pg_dump', '-f', "$dir/plain");
run_ok('pg_dump, inserts', 'source', 'pg_dump', '-f', "$dir/inserts", '--inserts');
my %restore = (
	custom => [ 'pg_restore', '-e', "$dir/custom" ],
	single => [ 'pg_restore', '-e', '-1', "$dir/custom" ],
	jobs => [ 'pg_restore', '-e', '-j', 2, "$dir/custom" ],
	inserts => [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/inserts" ]);
foreach my $how (sort keys %restore)
{
	one($node, "CREATE DATABASE r_$how");
	run_ok("$how: restored", "r_$how", @{ $restore{$how} });
	connect_to("r_$how");
	all_follow($how) if $how eq 'custom';
	is_kept($_, $total{$_} // 6, $how) foreach @relations;
	one($node, 'UPDATE part2 SET v = v + 10 WHERE k = 3; UPDATE child SET v = v + 10 WHERE k = 3', $db);
	says($_, 16, "$how, written") foreach 'part', 'parent';
	disconnect();
}

# Data alone, into a database that is in use: triggers are switched off for it,
# and on again, but not for always.
one($node, 'CREATE DATABASE data');
run_ok('data only: the schema', 'data', 'pg_restore', '-e', '-s', "$dir/custom");
connect_to('data');
is_kept($_, 0, 'data only, empty') foreach @relations;
$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
run_ok('data only: the rows', 'data', 'pg_restore', '-e', '-a', '--disable-triggers',
	'-t', 'plain', '-t', 'part1', '-t', 'part2a', '-t', 'part2b', '-t', 'parent', '-t', 'child',
	'-t', 'keyed', "$dir/custom");
says($_, $total{$_} // 6, 'data only') foreach @relations;
says($_, 0, 'data only, an old snapshot', $old) foreach @relations;
says($_, $total{$_} // 6, 'data only, again') foreach @relations;
$old->must('COMMIT');
foreach my $i (1 .. 2)
{
	one($node, "UPDATE $_ SET v = v + 10 WHERE k = 3", 'data') foreach qw(plain part parent keyed);
	my $replica = 10 * ($i - 1);	# not in what is read of k = 3 alone
	says($_, 6 + 10 * $i + $replica, "data only, written, $i") foreach qw(plain part parent keyed looks);
	says($_, $total{$_} + 10 * $i, "data only, written, $i") foreach qw(part2b child);
	# in a session of replication they would not fire
	one($node, "SET session_replication_role = replica; UPDATE $_ SET v = v + 10 WHERE k = 1", 'data')
	  foreach qw(plain part parent keyed);
	says($_, 6 + 20 * $i, "data only, written as replica, $i") foreach qw(plain part parent keyed);
}
one($node, q{SELECT cachex.watch(r) FROM unnest('{plain, part, parent, keyed}'::regclass[]) r}, 'data');
foreach my $rel (qw(plain part parent keyed))
{
	is_kept($rel, 46, 'data only, watched again');
	one($node, "SET session_replication_role = replica; UPDATE $rel SET v = v + 10 WHERE k = 1", 'data');
	says($rel, 56, 'data only, watched again, written as replica');
}
disconnect();

# Over a database that is in use.
connect_to('r_jobs');
is_kept($_, 16, 'over') foreach 'part', 'parent';
$s->must(q{SELECT cachex.fetch('pages', 'x', 'SELECT count(*) FROM plain')});
run_ok('over: restored', 'r_jobs', 'pg_restore', '-e', '--clean', '--if-exists', "$dir/custom");
says($_, $total{$_} // 6, 'over, the session that was there') foreach @relations;
all_follow('over');
disconnect();
one($node, "DROP DATABASE r_$_") foreach sort keys %restore;
one($node, 'DROP DATABASE data');

# ---- vacuum ----

connect_to('source');

# Kept while the lock keeps autovacuum away, and found after it has been there.
my $work = session($node, 'source');
foreach my $case (
	# what it finds, the thresholds of vacuum and analyze, what to wait for
	[ 'dead rows', 'UPDATE plain SET v = v', 1, 1, 'vacuum + analyze' ],
	[ 'no rows at the end', 'INSERT INTO plain SELECT i, 0 FROM generate_series(10, 5000) i;
		DELETE FROM plain WHERE k > 9', 1, 1, 'vacuum + analyze' ],
	[ 'more rows', 'INSERT INTO plain SELECT i, 0 FROM generate_series(10, 500) i',
		1_000_000, 1, 'analyze' ])
{
	my ($what, $sql, $vacuum, $analyze, $both) = @$case;
	my $runs = 'SELECT '
	  . join(', ', map { "auto${_}_count" } $both =~ /\w+/g)
	  . q{ FROM pg_stat_user_tables WHERE relname = 'plain'};
	$work->must(qq{ALTER TABLE plain SET (autovacuum_vacuum_threshold = $vacuum,
		autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_insert_threshold = -1,
		autovacuum_analyze_threshold = $analyze, autovacuum_analyze_scale_factor = 0)});
	$work->must('BEGIN; LOCK TABLE plain IN SHARE UPDATE EXCLUSIVE MODE');
	one($node, $sql, 'source');
	is_kept($_, 6, "autovacuum, $what") foreach 'plain', 'f()', 'looks', 'part';
	my @before = split /\|/, one($node, $runs, 'source');
	one($node, q{ALTER SYSTEM SET autovacuum_naptime = '1s'});
	$node->reload;
	$work->must('COMMIT');
	my @after = @before;
	my $was_there = sub { !grep { $after[$_] == $before[$_] } 0 .. $#after };
	for (1 .. 600)
	{
		last if $was_there->();
		usleep(50_000);
		@after = split /\|/, one($node, $runs, 'source');
	}
	ok($was_there->(), "autovacuum, $what: it was there");
	still_hits($_, 6, "autovacuum, $what") foreach 'plain', 'f()', 'looks', 'part';
	one($node, q{ALTER SYSTEM RESET autovacuum_naptime});
	$node->reload;
}
$work->must(q{ALTER TABLE plain RESET (autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor,
	autovacuum_vacuum_insert_threshold, autovacuum_analyze_threshold, autovacuum_analyze_scale_factor);
	DELETE FROM plain WHERE k > 9});

# ---- by hand: which of them keep the entries ----

$work->must('CREATE INDEX plain_v ON plain (v)');
foreach my $case (
	[ 'VACUUM plain', 1 ], [ 'VACUUM (FREEZE) plain', 1 ], [ 'VACUUM', 1 ],
	[ 'VACUUM (INDEX_CLEANUP ON, TRUNCATE ON) plain', 1 ],
	[ 'VACUUM pg_class', 1 ], [ 'CHECKPOINT', 1 ],
	[ 'ANALYZE plain' ], [ 'VACUUM (ANALYZE) plain' ], [ 'ANALYZE' ],
	[ 'CREATE INDEX CONCURRENTLY later ON plain (v)' ], [ 'REINDEX INDEX CONCURRENTLY later' ],
	[ 'DROP INDEX CONCURRENTLY later' ], [ 'REINDEX TABLE CONCURRENTLY plain' ],
	[ 'REINDEX TABLE plain' ], [ 'CLUSTER plain USING plain_v' ], [ 'CLUSTER' ],
	[ 'VACUUM FULL plain' ], [ 'VACUUM FULL' ], [ 'VACUUM FULL pg_class' ], [ 'VACUUM FULL pg_trigger' ],
	[ 'REINDEX DATABASE CONCURRENTLY source' ], [ 'REINDEX SYSTEM source' ],
	[ 'CREATE UNIQUE INDEX CONCURRENTLY part1_v ON part1 (v)' ],
	[ 'ALTER TABLE part DETACH PARTITION part1 CONCURRENTLY; ALTER TABLE part ATTACH PARTITION part1 FOR VALUES FROM (0) TO (2)' ])
{
	my ($sql, $keeps) = @$case;
	# dead rows, so that there is something to do
	$w->must("UPDATE $_ SET v = v; UPDATE $_ SET v = v + 1 WHERE k = 3; UPDATE $_ SET v = v - 1 WHERE k = 3")
	  foreach qw(plain part parent);
	is_kept($_, 6, "before $sql") foreach qw(plain f() part parent looks);
	$w->must($_) foreach split /; /, $sql;
	foreach my $rel (qw(plain f() part parent looks))
	{
		$keeps ? still_hits($rel, 6, $sql) : is_kept($rel, 6, $sql);
	}
	$w->must('UPDATE plain SET v = v + 1 WHERE k = 1; UPDATE part SET v = v + 1 WHERE k = 1');
	says($_, 7, "written after $sql") foreach qw(plain part f());
	$w->must('UPDATE plain SET v = v - 1 WHERE k = 1; UPDATE part SET v = v - 1 WHERE k = 1');
}

# An index that is left invalid, one by one: the answers stay.
one($node, 'INSERT INTO plain VALUES (4, 0), (5, 0)', 'source');
is_kept('plain', 6, 'invalid index');
my ($status) = $node->psql('source', 'CREATE UNIQUE INDEX CONCURRENTLY broken ON plain (v)');
isnt($status, 0, 'an index that cannot be');
is_kept('plain', 6, 'invalid index, after it');
one($node, 'DROP INDEX broken; DELETE FROM plain WHERE k > 3', 'source');
says('plain', 6, 'invalid index, dropped');

# All of it beside writers and readers.
one($node, q{CREATE TABLE a (k int PRIMARY KEY, v int); CREATE TABLE b (k int PRIMARY KEY, v int);
	INSERT INTO a SELECT i, 0 FROM generate_series(1, 300) i; INSERT INTO b TABLE a;
	SELECT cachex.watch('a'), cachex.watch('b'), cachex.create_cache('load');
	CREATE FUNCTION unequal(text) RETURNS void LANGUAGE plpgsql
	AS $$ BEGIN RAISE 'unequal: %', $1; END $$}, 'source');
my $write = q{
\set k random(1, 300)
BEGIN;
UPDATE a SET v = v + 1 WHERE k = :k;
UPDATE b SET v = v + 1 WHERE k = :k;
END;
};
my $read = q{
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cachex.fetch_as('load', 'a', 0::bigint, 'SELECT sum(v) FROM a') AS a \gset
SELECT cachex.fetch_as('load', 'b', 0::bigint, 'SELECT sum(v) FROM b') AS b \gset
SELECT sum(v) AS now FROM a \gset
\if :a != :b or :a != :now
SELECT unequal('a :a, b :b, now :now');
\endif
END;
};
my $seconds = run_seconds(3);
my @runs = (pgbench_start($node, db => 'source', clients => 2, seconds => $seconds,
		options => [ '-R', 100 ], scripts => [ [ 1, $write ] ]),
	pgbench_start($node, db => 'source', clients => 2, seconds => $seconds, scripts => [ [ 1, $read ] ]));
my $rounds = 0;
while (pgbench_running($runs[1]))
{
	$work->must($_) foreach 'VACUUM a', 'REINDEX TABLE CONCURRENTLY a', 'CLUSTER b USING b_pkey',
	  'CREATE INDEX CONCURRENTLY b_v ON b (v)', 'ANALYZE a', 'DROP INDEX CONCURRENTLY b_v',
	  'VACUUM FULL a', 'ALTER TABLE b SET (fillfactor = 90)', 'SELECT cachex.unwatch($$a$$)',
	  'SELECT cachex.watch($$a$$)';
	$rounds++;
}
pgbench_wait($_) foreach @runs;
is($_->{status}, 0, 'maintenance beside load: no error, equal sums') foreach @runs;
cmp_ok($rounds, '>', 0, "maintenance beside load: $rounds rounds");
cmp_ok(one($node, q{SELECT hits FROM cachex.stats WHERE cache = 'load'}, 'source'), '>', 20 * $seconds,
	'maintenance beside load: hits');

# ---- the extension goes and comes ----

foreach my $how ('two statements', 'one transaction', 'with a snapshot of before')
{
	is_kept($_, 6, "extension, $how, before") foreach qw(plain part parent);
	my @steps = ('DROP EXTENSION cachex CASCADE', 'UPDATE plain SET v = v + 100 WHERE k = 1',
		'UPDATE part SET v = v + 100 WHERE k = 1', 'CREATE EXTENSION cachex',
		q{SELECT cachex.watch(r) FROM unnest('{plain, part, parent}'::regclass[]) r});
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1')
	  if $how eq 'with a snapshot of before';
	if ($how eq 'one transaction')
	{
		$work->must(join '; ', 'BEGIN', @steps, 'COMMIT');
	}
	else
	{
		$work->must($_) foreach @steps[0 .. 3];
		is(hits('plain', 106, "extension, $how, before it is watched"), 0, "extension, $how: nothing is kept");
		$work->must($steps[4]);
	}
	says($_, 106, "extension, $how") foreach qw(plain part);
	says('parent', 6, "extension, $how");
	if ($how eq 'with a snapshot of before')
	{
		says($_, 6, "extension, $how, the old snapshot", $old) foreach qw(plain part parent);
		says($_, 106, "extension, $how, beside it") foreach qw(plain part);
		$old->must('COMMIT');
	}
	is_kept($_, 106, "extension, $how, at last") foreach qw(plain part);
	is_kept('parent', 6, "extension, $how, at last");
	$work->must('UPDATE plain SET v = v - 100 WHERE k = 1; UPDATE part SET v = v - 100 WHERE k = 1');
	says($_, 6, "extension, $how, written") foreach qw(plain part);
}
$work->must('BEGIN; DROP EXTENSION cachex CASCADE; UPDATE plain SET v = 7; ROLLBACK');
is_kept('plain', 6, 'extension, rolled back');
one($node, 'UPDATE plain SET v = v + 1 WHERE k = 1', 'source');
says('plain', 7, 'extension, rolled back: the triggers are there');
one($node, 'UPDATE plain SET v = v - 1 WHERE k = 1', 'source');
$work->must(q{SELECT cachex.create_cache('pages', consistency => 'ttl'), cachex.watch('keyed', 'pages', keys => '{all}')});

# ---- copies of a database: the same OIDs ----

foreach my $strategy ('wal_log', 'file_copy')
{
	is_kept($_, $total{$_} // 6, "copy, $strategy, before") foreach @relations;
	$_->close foreach $s, $old, $w, $work;
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'source'}) or die;
	one($node, "CREATE DATABASE copy TEMPLATE source STRATEGY $strategy");
	is(one($node, q{SELECT 'plain'::regclass::oid}, 'copy'), one($node, q{SELECT 'plain'::regclass::oid}, 'source'),
		"copy, $strategy: the OIDs are the same");
	connect_to('copy');
	is(count_hits(), 0, "copy, $strategy: no hits");
	says($_, $total{$_} // 6, "copy, $strategy, first") foreach @relations;
	is(count_hits(), 0, "copy, $strategy: entries are not shared");
	my ($copy, @others) = ($s, $old, $w);
	connect_to('source');
	$work = session($node, 'source');
	# CREATE DATABASE has ended entries, as DROP DATABASE does
	is_kept($_, $total{$_} // 6, "copy, $strategy, in the source") foreach @relations;

	one($node, 'UPDATE plain SET v = v + 10 WHERE k = 3; UPDATE part2b SET v = v + 10', 'copy');
	still_hits($_, $total{$_} // 6, "copy, $strategy, written, in the source") foreach @relations;
	says($_, ($total{$_} // 6) + 10, "copy, $strategy, written", $copy) foreach qw(plain part part2b looks);
	one($node, 'UPDATE plain SET v = v + 20 WHERE k = 3', 'source');
	says('plain', 26, "copy, $strategy, the source is written");
	says('plain', 16, "copy, $strategy, the source is written", $copy);
	one($node, 'UPDATE plain SET v = v - 20 WHERE k = 3', 'source');

	# definitions there are none here
	is_kept($_, $total{$_} // 6, "copy, $strategy, before definitions") foreach @relations, 'f()';
	one($node, $_, 'copy') foreach 'ALTER TABLE plain ADD x int', 'CREATE OR REPLACE FUNCTION f()
		RETURNS bigint LANGUAGE sql STABLE AS $$SELECT 1::bigint$$', 'CREATE TYPE y AS (z int)',
		'TRUNCATE part', 'VACUUM FULL parent', 'DROP TABLE keyed', 'GRANT SELECT ON plain TO PUBLIC',
		'SELECT cachex.unwatch($$child$$)', 'DROP EXTENSION cachex CASCADE';
	still_hits($_, $total{$_} // 6, "copy, $strategy, definitions there") foreach @relations, 'f()';
	$_->close foreach $copy, @others;
	$node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'copy'}) or die;
	one($node, 'DROP DATABASE copy');
	is_kept($_, $total{$_} // 6, "copy, $strategy, dropped") foreach @relations, 'f()';
	# but roles are everybody's
	one($node, 'CREATE ROLE someone');
	says('plain', 6, "copy, $strategy, roles");
	one($node, 'DROP ROLE someone');
	is_kept('plain', 6, "copy, $strategy, at last");
}

$_->close foreach $s, $old, $w, $work;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
