
# Writes from another library's callback before the commit, which runs after
# that of cachex or before it, by the order in shared_preload_libraries: exact
# caches answer as the query would, old snapshots included, and hit otherwise.
# The library is late/late.c; it runs the SQL that a transaction gives it.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# ---- the library ----

my $library = late_library();

# ---- the server ----

my $node = new_server('main', 'max_prepared_transactions = 20',
	'cachex.memory = 16MB');
my ($cachex) = run_command([ 'postgres', '-D', $node->data_dir,
	'-C', 'shared_preload_libraries' ]);
$cachex =~ s/.*\n//s;
my @orders = ([ 'late first', "$library, $cachex" ], [ 'cachex first', "$cachex, $library" ]);

sub start_with
{
	my $libraries = shift;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'");
	$node->start;
	return;
}

# Callbacks of what was loaded first come last.
my ($late_is_late, $order);

start_with($orders[0]->[1]);
add_extension($node);
$node->safe_psql('postgres', qq{
	CREATE FUNCTION late(sql text) RETURNS void STRICT LANGUAGE c AS '$library', 'late_arm';
	CREATE FUNCTION late_pause(file text) RETURNS void STRICT LANGUAGE c AS '$library'});
$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	CREATE TABLE t (k int PRIMARY KEY, v int);
	INSERT INTO t SELECT i, 0 FROM generate_series(1, 40) i;
	CREATE TABLE u (k int, v int);
	INSERT INTO u VALUES (1, 0), (2, 0);
	CREATE TABLE child (k int REFERENCES t ON DELETE CASCADE);
	CREATE TABLE tree (k int, v int) PARTITION BY LIST (k);
	CREATE TABLE leaf1 PARTITION OF tree FOR VALUES IN (1);
	CREATE TABLE leaf2 PARTITION OF tree FOR VALUES IN (2);
	INSERT INTO tree VALUES (1, 0), (2, 0);
	CREATE TABLE shape (v int);
	INSERT INTO shape VALUES (1);
	CREATE TABLE gate (x int);
	CREATE TABLE rls (v int);
	INSERT INTO rls VALUES (1), (2);
	ALTER TABLE rls ENABLE ROW LEVEL SECURITY;
	CREATE POLICY p ON rls USING (v = 1);
	GRANT SELECT ON t, rls TO reader;
	CREATE VIEW w AS SELECT v FROM t WHERE k < 10;
	CREATE MATERIALIZED VIEW mv AS SELECT sum(v) AS v FROM t;
	CREATE TABLE seen (cached text, direct text);
	CREATE FUNCTION f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0';
	CREATE FUNCTION total() RETURNS bigint LANGUAGE plpgsql STABLE
	AS 'BEGIN RETURN (SELECT sum(v) FROM t); END';
	CREATE FUNCTION gated() RETURNS int LANGUAGE plpgsql STABLE
	AS 'BEGIN PERFORM FROM gate; RETURN 0; END';
	SELECT cachex.create_cache('c', consistency => 'ttl');
	SELECT cachex.watch(r) FROM unnest('{t, u, child, tree, shape, gate, rls}'::regclass[]) r;
	SELECT cachex.watch('u', 'c', keys => ARRAY['u:<k>'], tags => ARRAY['u'])});

# A setting of the library that not everybody may see says no scope.
foreach my $name ('late.secret', 'Late.Secret')
{
	my (undef, undef, $error) = $node->psql('postgres',
		qq{SELECT cachex.create_cache('s', options => '{"scoped_by": "$name"}')});
	like($error, qr/setting "$name" cannot be used as scoped_by/, "scoped_by $name");
}

my ($writer, $reader, $old, $other, $gate);

sub connect_all
{
	($writer, $reader, $old, $other, $gate) = map { session($node) } 1 .. 5;
	return;
}

sub close_all
{
	$_->close foreach $writer, $reader, $old, $other, $gate;
	return;
}

# The cached answer beside the direct one, of the same snapshot.
sub both
{
	my ($query, $key) = @_;
	$key //= $query;
	return sprintf('SELECT cachex.fetch(%s, md5($q$%s$q$), $q$%s$q$), (%s)',
		q{'queries'}, $key, $query, $query);
}

my @faults;

# What a query returns, both ways.
sub look
{
	my ($session, $query, $when, $key) = @_;
	my ($cached, $direct) = split /\|/, $session->must(both($query, $key)), -1;
	$cached =~ s/^"|"$|\\//g;
	push @faults, "$when: $cached instead of $direct" if $cached ne $direct;
	return $direct;
}

sub expect
{
	my ($got, $want, $what) = @_;
	push @faults, "$what: $got, not $want" if $got ne $want;
	return;
}

# What is prepared may cost a miss of either key: see calls().
sub expect_or_miss
{
	my ($got, $want, $what) = @_;
	my @want = $want =~ /^(none|\d+)(.*)$/;
	push @faults, "$what: $got, not $want"
	  if $got ne $want && (!@want || $got !~ /^(none|\Q$want[0]\E)(none|\Q$want[1]\E)$/);
	return;
}

sub hits
{
	return $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'queries'});
}

sub hits_of_three
{
	my ($query, $when) = @_;
	my $before = hits();
	look($reader, $query, $when) for 1 .. 3;
	return hits() - $before;
}

sub hits_again
{
	my ($query, $when) = @_;
	hits_of_three($query, $when);
	expect(hits_of_three($query, $when), 3, "$when: hits");
	return;
}

sub verdict
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $idle = q{SELECT in_doubt || ' in doubt, ' || (SELECT count(*) FROM cachex.entries()
		WHERE status = 'pending') || ' pending' FROM cachex.memory()};
	my $is_idle = one($node, $idle) eq '0 in doubt, 0 pending';
	push @faults, one($node, $idle) if !$is_idle;
	my $got = join("\n", @faults);
	@faults = ();
	is($got, '', "$order: $name");
	# the next one begins with a clean slate
	if (!$is_idle)
	{
		close_all();
		$node->restart;
		connect_all();
	}
	return;
}

my $nkeys = 0;

# A transaction that writes late. query: what is looked at; before: what it
# does first; late; end; same: the result does not change; begin, role, undo.
sub write_late
{
	my ($name, %p) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $query = $p{query};
	my $end = $p{end} // 'COMMIT';
	my $key = $query . $nkeys++;
	my $is_over = $end =~ /ROLLBACK|error/;

	hits_of_three($query, 'before');
	expect(hits_of_three($query, 'before'), 3, 'before: hits');
	my $before = look($reader, $query, 'before');
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	my $late = $p{late};
	$late .= '; SELECT 1 / 0' if $end eq 'error';
	$writer->must(($p{begin} // 'BEGIN') . '; ' . ($p{before} // 'SELECT 1') .
		"; SELECT late(\$late\$$late\$late\$)");
	if ($end =~ /PREPARED/)
	{
		$writer->must(q{PREPARE TRANSACTION 'p'});
		if (!$p{locks})
		{
			expect(look($reader, $query, 'prepared'), $before, 'prepared');
			expect(look($old, $query, 'prepared, old'), $before, 'prepared, old');
		}
		$other->must("$end 'p'");
	}
	elsif ($end eq 'error')
	{
		$writer->query('COMMIT');
		expect($writer->error =~ /division by zero/ ? 'fails' : $writer->error, 'fails', 'COMMIT');
	}
	else
	{
		$writer->must($end);
	}
	# not all of it respects snapshots; an old one fills a key of its own; what
	# has changed, it has to hear of
	$old->must(both($query)) if $p{unsafe};
	look($old, $query, 'old');
	look($old, $query, 'old, other key', $key);
	my $now = look($reader, $query, 'new');
	look($reader, $query, 'new, other key', $key);
	look($writer, $query, 'writer');
	look($old, $query, 'old, again');
	hits_again($query, 'afterwards') unless $p{unkept};
	expect(look($old, $query, 'old beside hits'), $before, 'old') unless $p{unsafe};
	$old->must('COMMIT');
	look($old, $query, 'old has ended');
	look($writer, $query, 'writer, again');
	expect($now eq $before ? 'same' : 'other', $is_over || $p{same} ? 'same' : 'other', 'result');
	$writer->must($p{undo}) if $p{undo} && !$is_over;
	verdict($name);
	return;
}

sub poll
{
	my $condition = shift;
	for (1 .. 10_000)
	{
		return if $gate->must("SELECT $condition") eq 't';
		usleep(5000);
	}
	die "never: $condition";
}

my $sum = 'SELECT coalesce(sum(v + 100000), 0) FROM t';

# ---- rows ----

my %before = (
	'without an xid' => 'SELECT 1',
	'with an xid' => 'SELECT pg_current_xact_id()',
	'after a fetch' => both($sum),
	'after an UPDATE of no row' => 'UPDATE t SET v = 0 WHERE false',
	'after an UPDATE of no row, with an xid' =>
		'UPDATE t SET v = 0 WHERE false; SELECT pg_current_xact_id()',
	'after a write of another table' => 'INSERT INTO u VALUES (3, 0)',
	'after writes of another table and no row' =>
		'INSERT INTO u VALUES (3, 0); DELETE FROM t WHERE false',
	'after a write of the table' => 'UPDATE t SET v = v + 1 WHERE k = 39',
	'after a write that was taken back' =>
		'SAVEPOINT a; UPDATE t SET v = v + 1 WHERE k = 39; ROLLBACK TO a',
	'after an invalidation' => q{SELECT cachex.invalidate_tags(ARRAY['x'])},
	'after a definition' => 'ALTER TABLE shape SET (fillfactor = 90)',
	'after a definition of the table' => 'COMMENT ON TABLE t IS NULL; ALTER TABLE t SET (fillfactor = 90)',
	'after a temporary table' => 'CREATE TEMP TABLE x ON COMMIT DROP AS SELECT 1');
my %late = (
	INSERT => 'INSERT INTO t VALUES (100 + (SELECT count(*) FROM t), 1)',
	UPDATE => 'UPDATE t SET v = v + 1 WHERE k = 1',
	DELETE => 'DELETE FROM t WHERE k = (SELECT max(k) FROM t)',
	TRUNCATE => 'TRUNCATE t CASCADE');

sub rows
{
	my @ends = @_;
	foreach my $before (sort keys %before)
	{
		foreach my $late (sort keys %late)
		{
			foreach my $end (@ends)
			{
				next if $end =~ /PREPARED/ && $before =~ /temporary/;
				next if $end ne 'COMMIT' && $late =~ /INSERT|DELETE/;
				write_late("$late $before, $end", query => $sum, end => $end,
					before => $before{$before}, what => $before, late => $late{$late},
					unsafe => $late eq 'TRUNCATE',
					locks => scalar("$late $before" =~ /TRUNCATE|definition of the table/),
					undo => $late eq 'TRUNCATE' ?
					'INSERT INTO t SELECT i, 0 FROM generate_series(1, 40) i' : '');
			}
		}
	}
}

# Other ways to write and to read.
sub other_rows
{
	my $total = 'SELECT total() + count(*) FROM t';
	my $tree = 'SELECT sum(v) FROM tree';
	my $leaf = 'SELECT sum(v) FROM leaf1';
	my @cases = (
		[ 'a function, ', $total, 'UPDATE t SET v = v + 1 WHERE k = 1' ],
		[ 'a view, ', 'SELECT sum(v) FROM w', 'UPDATE w SET v = v + 1' ],
		[ 'a partition, ', $tree, 'UPDATE leaf1 SET v = v + 1' ],
		[ 'a partition and one that wrote another, ', $tree, 'UPDATE leaf1 SET v = v + 1',
			'UPDATE leaf2 SET v = v + 1' ],
		[ 'a partitioned table, its partition read, ', $leaf, 'UPDATE tree SET v = v + 1' ],
		[ 'a row that moves, ', $leaf, 'UPDATE tree SET k = 3 - k, v = v + 1' ],
		[ 'a cascade, ', 'SELECT count(*) FROM child',
			'INSERT INTO t VALUES (50, 1); INSERT INTO child VALUES (50), (50); DELETE FROM t WHERE k = 50',
			'INSERT INTO child VALUES (1)' ],
		[ 'MERGE, ', $sum, 'MERGE INTO t USING (VALUES (1)) s (k) ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = v + 1' ],
		[ 'WITH, ', $sum, 'WITH x AS (UPDATE t SET v = v + 1 WHERE k = 1 RETURNING 1) SELECT count(*) FROM x' ],
		[ 'ON CONFLICT, ', $sum, 'INSERT INTO t VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = t.v + 1' ],
		[ 'COPY, ', 'SELECT count(*) FROM u', q{COPY u FROM PROGRAM 'echo 9,1' (FORMAT csv)} ],
		[ 'an error that is caught, ', $sum, q{DO 'BEGIN
			BEGIN UPDATE t SET v = 9; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN END;
			UPDATE t SET v = v + 1 WHERE k = 1; END'} ],
		[ 'many tables, ', $tree, 'UPDATE t SET v = v + 1; UPDATE u SET v = v + 1; UPDATE tree SET v = v + 1; UPDATE shape SET v = v' ]);
	foreach my $case (@cases)
	{
		my ($name, $query, $late, $before) = @$case;
		write_late("$name$_", query => $query, late => $late, begin => $_,
			before => $before // 'SELECT 1')
		  foreach 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ',
		  'BEGIN ISOLATION LEVEL SERIALIZABLE';
	}
	write_late('an error that takes all of it back', query => $sum, same => 1,
		late => q{DO 'BEGIN UPDATE t SET v = 9; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN END'});
	foreach my $call (q{cachex.invalidate_tags(ARRAY[''x''])}, q{cachex.put(''c'', ''k'', ''1'')}, q{cachex.clear(''c'')})
	{
		write_late("an error that takes $call back", query => $sum, same => 1, before => $_,
			late => "DO 'BEGIN PERFORM $call; PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN END'")
		  foreach 'SELECT 1', 'SELECT pg_current_xact_id()';
	}
	write_late('no row', query => $sum, same => 1, late => 'UPDATE t SET v = 9 WHERE false');
	write_late('only the other table', query => $sum, same => 1, late => 'UPDATE u SET v = v + 1');

	# a statement of its own, without BEGIN
	hits_again($sum, 'alone');
	$writer->must(q{SELECT late('UPDATE t SET v = v + 1 WHERE k = 1')});
	look($_, $sum, 'alone') foreach $reader, $writer;
	hits_again($sum, 'alone');
	verdict('a transaction that is nothing but late');

	# what the late statements themselves see, and what they leave in the cache
	foreach my $before ('without an xid', 'after a write of another table', 'after a write of the table')
	{
		foreach my $end ('COMMIT', 'ROLLBACK', 'error')
		{
			hits_again($sum, 'before');
			$writer->must("BEGIN; $before{$before}; " . 'SELECT late($late$INSERT INTO seen ' . both($sum) .
				'; UPDATE t SET v = v + 1 WHERE k = 1; INSERT INTO seen ' . both($sum) .
				'; UPDATE t SET v = v + 1 WHERE k = 1; INSERT INTO seen ' . both($sum) .
				($end eq 'error' ? '; SELECT 1 / 0' : '') . '$late$)');
			$writer->query($end eq 'error' ? 'COMMIT' : $end);
			look($_, $sum, "then") foreach $reader, $writer;
			hits_again($sum, 'then');
			expect(one($node, 'SELECT count(*), count(*) FILTER (WHERE cached IS DISTINCT FROM direct) FROM seen'),
				$end eq 'COMMIT' ? '3|0' : '0|0', 'seen');
			$writer->must('TRUNCATE seen');
			verdict("what late statements see $before, $end");
		}
	}
}

# Readers, and fills, while a late writer is at it.
sub in_flight
{
	my $is_waiting = q{(SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s)};
	my $gated = 'SELECT sum(v) + gated() FROM t';
	foreach my $before (sort keys %before)
	{
		next if $before =~ /definition of the table/;
		foreach my $end ('COMMIT', 'error')
		{
			hits_again($sum, 'before');
			my $was = look($reader, $sum, 'before');
			$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
			$other->must('SELECT pg_advisory_lock(1), pg_advisory_lock(2)');
			$writer->must("BEGIN; $before{$before}; " . q{SELECT late('SELECT pg_advisory_xact_lock(1);
				UPDATE t SET v = v + 1 WHERE k = 1; SELECT pg_advisory_xact_lock(2)} .
				($end eq 'error' ? '; SELECT 1 / 0' : '') . q{')});
			$writer->send('COMMIT');
			poll(sprintf($is_waiting, 1));
			expect(look($reader, $sum, 'before the late write'), $was, 'before the late write');
			look($reader, $sum, 'a fill before the late write', $sum . ++$nkeys);
			my $hits = hits();
			look($reader, $sum, 'before the late write');
			expect(hits() - $hits, 1, 'hits before the late write');
			# a loader that begins before the late write, and ends after all
			$gate->must('BEGIN; LOCK TABLE gate');
			my $filler = session($node);
			$filler->send(both($gated));
			poll(q{EXISTS (SELECT FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted)});
			$other->must('SELECT pg_advisory_unlock(1)');
			poll(sprintf($is_waiting, 2));
			expect(look($reader, $sum, 'after the late write'), $was, 'after the late write');
			look($reader, $sum, 'a fill after the late write', $sum . ++$nkeys);
			$hits = hits();
			look($reader, $sum, 'after the late write');
			expect(hits() - $hits, 1, 'hits after the late write');
			expect(look($old, $sum, 'old, after the late write'), $was, 'old');
			$other->must('SELECT pg_advisory_unlock(2)');
			$writer->receive;
			expect(look($old, $sum, 'old, committed'), $was, 'old');
			my $now = look($reader, $sum, 'new');
			look($reader, $sum, 'fills', $sum . $_) foreach $nkeys - 1, $nkeys;
			expect($now eq $was ? 'same' : 'other', $end eq 'COMMIT' ? 'other' : 'same', 'result');
			$gate->must('COMMIT');
			my ($cached, $direct) = split /\|/, $filler->receive, -1;
			expect($cached, $direct, 'loader');
			look($reader, $gated, 'gated');
			$filler->close;
			hits_again($sum, 'then');
			hits_again($gated, 'then, gated');
			expect(look($old, $sum, 'old beside hits'), $was, 'old');
			look($old, $gated, 'old, gated');
			$old->must('COMMIT');
			verdict("readers while it waits $before, $end");
		}
	}
}

# ---- calls ----

sub calls
{
	my $get = q{SELECT coalesce(cachex.get('c', 'k')::text, 'none') || coalesce(cachex.get('c', 'u:1')::text, 'none')};
	# late call, what is there afterwards
	my @calls = (
		[ q{SELECT cachex.put('c', 'k', '2')}, '2"u"' ],
		[ q{SELECT cachex.put('c', 'k', '2'); SELECT cachex.put('c', 'k', '3')}, '3"u"' ],
		[ q{SELECT cachex.put_many('c', '{"k": 4, "u:1": 5}')}, '45' ],
		[ q{SELECT cachex.invalidate('c', 'k')}, 'none"u"' ],
		[ q{SELECT cachex.invalidate('c', 'k'); SELECT cachex.put('c', 'k', '6')}, '6"u"' ],
		[ q{SELECT cachex.put('c', 'k', '6'); SELECT cachex.invalidate('c', 'k')}, 'none"u"' ],
		[ q{SELECT cachex.invalidate_tags('{x}')}, 'none"u"' ],
		[ q{SELECT cachex.invalidate_like('c', 'u%')}, '1none' ],
		[ q{SELECT cachex.clear('c')}, 'nonenone' ],
		[ q{SELECT cachex.clear()}, 'nonenone' ],
		[ q{SELECT cachex.incr('c', 'k')}, '2"u"' ],
		[ q{SELECT cachex.take('c', 'k')}, 'none"u"' ],
		[ q{SELECT cachex.update('c', 'k', '7')}, '7"u"' ],
		[ q{SELECT cachex.touch('c', 'k', '1 h')}, '1"u"' ],
		[ q{UPDATE u SET v = v + 1 WHERE k = 1}, '1none' ],
		[ q{DELETE FROM u WHERE k = 3}, '1"u"' ],
		[ q{TRUNCATE u}, 'nonenone' ],
		[ q{SELECT cachex.invalidate_table('t')}, '1"u"' ],
		[ q{SELECT cachex.drop_cache('c')}, 'ERROR' ],
		[ q{SELECT cachex.alter_cache('c', '{"ttl": "1 h"}')}, '1"u"' ]);
	my %first = ('without an xid' => 'SELECT 1',
		'after a write' => 'INSERT INTO shape VALUES (1)',
		'after an UPDATE of no row' => 'UPDATE u SET v = v WHERE false',
		'after an invalidation' => q{SELECT cachex.invalidate_tags('{y}')},
		'after the same invalidation' => q{SELECT cachex.invalidate('c', 'k'); SELECT cachex.invalidate_tags('{x}')},
		'after a put' => q{SELECT cachex.put('c', 'k', '1', tags => '{x}')});
	foreach my $call (@calls)
	{
		my ($late, $after) = @$call;
		foreach my $before (sort keys %first)
		{
			foreach my $end (@_)
			{
				my $want = $after;
				my $is_over = $end =~ /ROLLBACK|error/;
				next if $end =~ /PREPARED/ && $before !~ /^without|a write/;
				# an invalidation that was prepared is settled by who looks
				$other->must($get);
				$other->must(q{SELECT cachex.put('c', 'k', '1', tags => '{x}'), cachex.put('c', 'u:1', '"u"')});
				hits_again($sum, 'before');
				expect($reader->must($get), '1"u"', 'before');
				$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
				expect($old->must($get), '1"u"', 'old, before');
				$writer->must("BEGIN; $first{$before}; SELECT late(\$late\$$late" .
					($end eq 'error' ? '; SELECT 1 / 0' : '') . '$late$)');
				if ($end =~ /PREPARED/)
				{
					$writer->query(q{PREPARE TRANSACTION 'p'});
					my $refused = $writer->error =~ /cannot PREPARE/ ? 1 : 0;
					expect($refused, $late =~ /put|incr|take|update|touch|_cache/ ? 1 : 0, 'PREPARE is refused');
					if ($refused)
					{
						$is_over = 1;
					}
					else
					{
						expect_or_miss($reader->must($get), '1"u"', 'prepared');
						$other->must("$end 'p'");
					}
				}
				else
				{
					$writer->query($end eq 'error' ? 'COMMIT' : $end);
				}
				$want = '1"u"' if $is_over;
				if ($before =~ /same/ && !$is_over)
				{
					$want =~ s/^1/none/;
					$want = '1"u"' if $late =~ /incr/;
					$want = 'none"u"' if $late =~ /update/;
				}
				for my $who ($reader, $writer)
				{
					my $got = $who->query($get);
					$got = 'ERROR' if $who->error =~ /ERROR/;
					$end =~ /PREPARED/ ? expect_or_miss($got, $want, 'after') : expect($got, $want, 'after');
				}
				my $got = $old->query($get);
				push @faults, "old: $got" if $late !~ /drop_cache/ && $got !~ /^(1|none)("u"|none)$/;
				$old->query('COMMIT');
				hits_again($sum, 'then');
				$reader->must(q{SELECT cachex.create_cache('c', consistency => 'ttl')}) if $want eq 'ERROR';
				$reader->must(q{INSERT INTO u VALUES (1, 0), (2, 0)}) if $late =~ /TRUNCATE/ && !$is_over;
				verdict("$late $before, $end");
			}
		}
	}
}

# ---- definitions ----

sub definitions
{
	my @ends = @_;
	my @ddl = (
		[ q{CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'},
			'SELECT f()', q{CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'} ],
		[ 'ALTER TABLE shape ADD COLUMN x int DEFAULT 7', 'SELECT to_jsonb(s)::text FROM shape s LIMIT 1',
			'ALTER TABLE shape DROP COLUMN x' ],
		[ 'ALTER TABLE shape ALTER v TYPE bigint USING v + 1', 'SELECT sum(v) FROM shape', 'ALTER TABLE shape ALTER v TYPE int USING v - 1' ],
		[ 'TRUNCATE shape', 'SELECT count(*) FROM shape', 'INSERT INTO shape VALUES (1)' ],
		[ 'DROP TABLE leaf2', 'SELECT count(*) FROM tree',
			'CREATE TABLE leaf2 PARTITION OF tree FOR VALUES IN (2); INSERT INTO tree VALUES (2, 0)' ],
		[ 'ALTER TABLE tree DETACH PARTITION leaf2', 'SELECT count(*) FROM tree',
			'ALTER TABLE tree ATTACH PARTITION leaf2 FOR VALUES IN (2)' ],
		[ 'CREATE TABLE leaf3 PARTITION OF tree FOR VALUES IN (3); INSERT INTO tree VALUES (3, 0)',
			'SELECT count(*) FROM tree', 'DROP TABLE leaf3' ],
		[ 'CREATE TABLE leaf3 PARTITION OF tree FOR VALUES IN (3); INSERT INTO leaf3 VALUES (3, 0)',
			'SELECT count(*) FROM tree', 'DROP TABLE leaf3' ],
		[ 'CREATE POLICY q ON rls USING (true)', 'SELECT count(*) FROM rls', 'DROP POLICY q ON rls', 'reader' ],
		[ 'ALTER ROLE reader BYPASSRLS', 'SELECT count(*) FROM rls', 'ALTER ROLE reader NOBYPASSRLS', 'reader' ],
		[ 'CREATE OR REPLACE VIEW w AS SELECT v + 1 AS v FROM t WHERE k < 10', 'SELECT sum(v) FROM w',
			'CREATE OR REPLACE VIEW w AS SELECT v FROM t WHERE k < 10' ],
		[ 'UPDATE t SET v = v + 1 WHERE k = 1; REFRESH MATERIALIZED VIEW mv', 'SELECT v FROM mv', '' ],
		[ 'ALTER TABLE t DISABLE TRIGGER cachex_watch; UPDATE t SET v = v + 1 WHERE k = 1', $sum,
			'ALTER TABLE t ENABLE ALWAYS TRIGGER cachex_watch' ],
		[ 'ALTER TABLE shape RENAME TO shape1; CREATE TABLE shape AS SELECT 1 AS v WHERE false',
			'SELECT count(*) FROM shape', 'DROP TABLE shape; ALTER TABLE shape1 RENAME TO shape' ]);
	my %first = ('without an xid' => 'SELECT 1',
		'after a write' => 'UPDATE u SET v = v + 1',
		'after a definition' => q{CREATE OR REPLACE FUNCTION g() RETURNS int LANGUAGE sql STABLE AS 'SELECT 0'},
		'before a write' => 'SELECT 1');
	foreach my $case (@ddl)
	{
		my ($late, $query, $undo, $role) = @$case;
		foreach my $before (sort keys %first)
		{
			foreach my $end (@ends)
			{
				$_->must($role ? "SET ROLE $role" : 'RESET ROLE') foreach $reader, $old;
				write_late("$late $before, $end", query => $query, end => $end,
					before => $first{$before}, what => $before,
					unkept => scalar($late =~ /DISABLE|RENAME/) ? 1 : 0,
					late => $late . ($before =~ /before/ ? '; UPDATE u SET v = v + 1' : ''),
					unsafe => 1, locks => 1, undo => $undo);
				# whatever has gone wrong, does no more
				$writer->must(q{SELECT cachex.clear('queries')});
			}
		}
	}
	$_->must('RESET ROLE') foreach $reader, $old;
}

# A cache that begins to limit its scopes, while a session fills that has not
# heard of it.
sub limits_scopes
{
	$writer->must(q{SELECT cachex.create_cache('scopes', consistency => 'ttl')});
	my $fill = q{SELECT cachex.fetch('scopes', 'k' || %d, 'SELECT 1', scope => 's')};
	my $count = q{SELECT count(*) FROM cachex.entries('scopes')};
	$reader->must(sprintf($fill, 0));
	my $file = PostgreSQL::Test::Utils::tempdir . '/go';
	$writer->must(qq{BEGIN; SELECT cachex.alter_cache('scopes', '{"max_entries_per_scope": 2}'), late_pause('$file')});
	$writer->send('COMMIT');
	poll(q{(SELECT max_entries_per_scope = 2 FROM cachex.caches WHERE name = 'scopes')});
	$reader->must(sprintf($fill, $_)) for 1 .. 5;
	expect($reader->must($count) <= 2 ? 'few' : 'many', 'few', 'entries');
	ok($writer->is_waiting, 'filled before the messages');
	append_to_file($file, '');
	$writer->receive;
	$reader->must(sprintf($fill, $_)) for 1 .. 5;
	expect($reader->must($count), 2, 'entries, then');
	$writer->must(q{SELECT cachex.drop_cache('scopes')});
	verdict('a cache begins to limit its scopes');
	return;
}

foreach my $try (@orders)
{
	$order = $try->[0];
	$late_is_late = $order eq 'late first';
	if (!$late_is_late)
	{
		$node->stop;
		start_with($try->[1]);
	}
	connect_all();
	limits_scopes() if $late_is_late;
	rows('COMMIT', 'error');
	other_rows();
	in_flight();
	calls('COMMIT', 'ROLLBACK', 'error');
	definitions('COMMIT', 'error');
	rows('COMMIT PREPARED', 'ROLLBACK PREPARED');
	calls('COMMIT PREPARED', 'ROLLBACK PREPARED');
	definitions('COMMIT PREPARED', 'ROLLBACK PREPARED');
	close_all();
	is_idle_and_consistent($node, $order);
}

never_crashed($node);
$node->stop;

done_testing();
