
# Exact caches and crashes: of a backend in the middle of a write, between
# PREPARE and COMMIT PREPARED, of the whole server beside writers.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $nkilled = 0;
my $node = start_server('crashing', 'restart_after_crash = on', 'max_connections = 30',
	'max_prepared_transactions = 10', 'cachex.memory = 16MB');
$node->safe_psql('postgres', q{
	CREATE TABLE t (k int PRIMARY KEY, v int);
	INSERT INTO t SELECT i, 0 FROM generate_series(1, 50) i;
	CREATE TABLE u (k int PRIMARY KEY, v int);
	INSERT INTO u SELECT i, 0 FROM generate_series(1, 50) i;
	CREATE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(v) FROM public.t';
	CREATE FUNCTION unequal(text) RETURNS void LANGUAGE plpgsql
	AS $$ BEGIN RAISE 'unequal: %', $1; END $$;
	SELECT cachex.watch('t'), cachex.watch('u'), cachex.create_cache('c')});

my ($reader, $second, $old, $writer, $watch);

sub connect_all
{
	($reader, $second, $old, $writer, $watch) = map { session($node) } 1 .. 5;
	return;
}

sub disconnect_all
{
	$_->close foreach $reader, $second, $old, $writer, $watch;
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
	my ($query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	says($reader, $query, $want, "$name: right");
	my $before = $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'});
	my @got = map { $_->must(both($query)) } $reader, $second, $reader;
	is("@got", join(' ', ("$want|$want") x 3), "$name: right again");
	return is($reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'c'}),
		$before + 3, "$name: by hits");
}

my $sum = 'SELECT sum(v) FROM t';
my $function = 'SELECT f()';

connect_all();

# ---- a backend is terminated ----

my $v = 0;
foreach my $what ('before its commit', 'after its commit', 'prepared', 'with a savepoint')
{
	hits($sum, $v, "terminated $what, before it");
	my $s = session($node);
	my $pid = $s->pid;
	$s->must('BEGIN; UPDATE t SET v = v + 1 WHERE k = 1');
	$s->must('SAVEPOINT a; UPDATE t SET v = v + 1 WHERE k = 2') if $what eq 'with a savepoint';
	says($s, $sum, $v + ($what eq 'with a savepoint' ? 2 : 1), "terminated $what: it sees its own");
	hits($sum, $v, "terminated $what: others do not");
	$old->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1');
	$s->must('COMMIT') if $what eq 'after its commit';
	$s->must(q{PREPARE TRANSACTION 'p'}) if $what eq 'prepared';
	my $after = $what eq 'after its commit' ? 1 : 0;
	hits($sum, $v, "terminated $what: prepared") if $what eq 'prepared';
	$watch->must("SELECT pg_terminate_backend($pid)");
	until_true($watch, "count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	$s->close;
	hits($sum, $v + $after, "terminated $what");
	says($old, $sum, $v, "terminated $what: a snapshot of before");
	if ($what eq 'prepared')
	{
		$writer->must(q{COMMIT PREPARED 'p'});
		says($second, $sum, $v + 1, "terminated $what: committed by another");
		says($old, $sum, $v, "terminated $what: the snapshot of before again");
		$after = 1;
	}
	$v += $after;
	$old->must('COMMIT');
	hits($sum, $v, "terminated $what, at last");
}
is($reader->must('SELECT in_doubt FROM cachex.memory()'), 0, 'nobody is in doubt');

# Another that waits for its lock goes on.
my $holder = session($node);
my $waiter = session($node);
my ($holder_pid, $waiter_pid) = map { $_->pid } $holder, $waiter;
$holder->must('BEGIN; UPDATE t SET v = v + 1 WHERE k = 1');
$waiter->send('UPDATE t SET v = v + 10 WHERE k = 1');
until_true($watch, "wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $waiter_pid");
hits($sum, $v, 'while one waits for a row');
$watch->must("SELECT pg_terminate_backend($holder_pid)");
$waiter->receive;
is($waiter->error, '', 'who waited for the terminated one goes on');
$v += 10;
hits($sum, $v, 'then');
$_->close foreach $holder, $waiter;

# ---- a backend is killed: the server starts anew ----

sub killed
{
	my ($pid, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $started = one($node, 'SELECT min(stats_reset) FROM cachex.stats');
	is(kill('KILL', $pid), 1, "$name: killed");
	$nkilled++;
	disconnect_all();
	ok(until_up($node,
		"SELECT min(stats_reset) > '$started' FROM cachex.stats"), "$name: started anew");
	connect_all();
	return;
}

# name, what the session had done, what that adds
foreach my $case (
	[ 'in mid-transaction', [ 'BEGIN', 'UPDATE t SET v = v + 1 WHERE k < 9' ], 0 ],
	[ 'in mid-definition', [ 'BEGIN', q{CREATE OR REPLACE FUNCTION f() RETURNS bigint
		LANGUAGE sql STABLE AS 'SELECT 5::bigint'}, 'TRUNCATE t' ], 0 ],
	[ 'right after its commit', ['UPDATE t SET v = v + 1 WHERE k = 3'], 1 ],
	[ 'after a commit that was not flushed',
		[ 'SET synchronous_commit = off', 'UPDATE t SET v = v + 1 WHERE k = 3' ], undef ],
	[ 'as one that has prepared', [ 'BEGIN', 'UPDATE t SET v = v + 1 WHERE k = 4',
		q{PREPARE TRANSACTION 'p'} ], 0 ],
	[ 'after COMMIT PREPARED', [q{COMMIT PREPARED 'p'}], 1 ])
{
	my ($name, $sql, $adds) = @$case;
	hits($_, $v, "killed $name, before it") foreach $name eq 'after COMMIT PREPARED' ? () : ($sum, $function);
	my $s = session($node);
	$s->must($_) foreach @$sql;
	says($second, $sum, $v + ($adds // 1), "killed $name: just before") if $name ne 'in mid-definition';
	killed($s->pid, $name);
	$s->close;
	$adds //= one($node, $sum) - $v;
	$v += $adds;
	if ($name eq 'as one that has prepared')
	{
		says($_, $sum, $v, "killed $name: it is prepared still") foreach $reader, $second, $reader;
		is($reader->must('SELECT held FROM cachex.memory()'), 1, "killed $name: and waited for");
	}
	else
	{
		hits($_, $v, "killed $name") foreach $sum, $function;
	}
	$writer->must('UPDATE t SET v = v + 1 WHERE k = 5');
	$v++;
	says($second, $sum, $v, "killed $name: a write after it");
}

# ---- the whole server, beside writers and readers ----

# Kills the postmaster; starts it when nothing is left of it.  One that nobody
# collects, as in some containers, is as good as gone after a while, but for
# the files which name it.
sub kill_server
{
	my @pids = split /\n/, one($node, 'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	my $postmaster = $node->{_pid};
	$node->kill9;
	my $tries = 0;
	foreach my $pid (@pids, $postmaster)
	{
		usleep(10_000) while kill(0, $pid) && $tries++ < 1000;
	}
	if (kill(0, $postmaster))
	{
		unlink $node->data_dir . '/postmaster.pid',
		  $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	}
	return $node->start;
}

# Each transaction keeps the two sums equal.
my $write = q{
\set a random(1, 50)
\set b random(1, 50)
\set d random(1, 9)
\set how random(1, 20)
BEGIN;
UPDATE t SET v = v + :d WHERE k = least(:a, :b);
UPDATE u SET v = v + :d WHERE k = least(:a, :b);
\if :how = 1
ROLLBACK;
\else
END;
\endif
};
my $read = q{
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cachex.fetch_as('c', 't', 0::bigint, 'SELECT sum(v) FROM t') AS t \gset
SELECT cachex.fetch_as('c', 'u', 0::bigint, 'SELECT sum(v) FROM u') AS u \gset
SELECT sum(v) AS now FROM t \gset
\if :t != :u or :t != :now
SELECT unequal('t :t, u :u, now :now');
\endif
END;
};

# From a crash on: right from the first statement.
my $recheck = 'SELECT ' . join ', ',
	map { "cachex.fetch('c', '$_', 'SELECT sum(v) FROM $_'), (SELECT sum(v) FROM $_)" } 't', 'u';

sub equal_after
{
	my $name = shift;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $got = one($node, $recheck);
	like($got, qr/^(\d+)\|\1\|\1\|\1$/, "$name: right answers");
	is(one($node, $recheck), $got, "$name: and again") for 1 .. 2;
	return;
}

disconnect_all();
$node->safe_psql('postgres', 'UPDATE t SET v = 0; UPDATE u SET v = 0');
foreach my $round (1 .. $ENV{CACHEX_TEST_CRASHES} || 3)
{
	my $name = "round $round";
	my $all = $round != 2;
	my @runs = (pgbench_start($node, clients => 4, seconds => 60, options => [ '-R', 400 ],
			scripts => [ [ 1, $write ] ]),
		pgbench_start($node, clients => 3, seconds => 60, scripts => [ [ 1, $read ] ]));
	my ($h, $u) = split /\|/, one($node, q{SELECT hits, (SELECT sum(v) FROM u)
		FROM cachex.stats WHERE cache = 'c'});
	my $under_way = 'f';
	while ($under_way ne 't' && pgbench_running($runs[0]) && pgbench_running($runs[1]))
	{
		$under_way = one($node, qq{SELECT hits > 200 + $h AND (SELECT sum(v) FROM u) > 200 + $u
			FROM cachex.stats WHERE cache = 'c'});
	}
	is($under_way, 't', "$name: hits beside writes") or diag($_->{err}) foreach $runs[1];
	my $prepare = session($node);
	$prepare->must("BEGIN; UPDATE t SET v = v + 1 WHERE k = $round; UPDATE u SET v = v + 1 WHERE k = $round;
		PREPARE TRANSACTION 'round$round'");
	$prepare->close;
	if ($all)
	{
		my $up = kill_server();
		$_->{harness}->finish foreach @runs;
		ok($up, "$name: the server starts again") or BAIL_OUT('no server');
	}
	else
	{
		my $started = one($node, 'SELECT min(stats_reset) FROM cachex.stats');
		my $pid;
		until ($pid)
		{
			$pid = one($node, q{SELECT pid FROM pg_stat_activity WHERE state = 'active'
				AND (query LIKE 'UPDATE%' OR query = 'END;') LIMIT 1});
			pgbench_running($runs[0]) or die 'pgbench has ended';
		}
		$nkilled += kill('KILL', $pid);
		$_->{harness}->finish foreach @runs;
		ok(until_up($node,
			"SELECT min(stats_reset) > '$started' FROM cachex.stats"), "$name: started anew");
	}
	unlike($runs[1]->{err}, qr/unequal/, "$name: readers saw equal sums until then");
	equal_after($name);
	is(one($node, q{SELECT sum(hits), (SELECT held FROM cachex.memory()) FROM cachex.stats}),
		'0|1', "$name: the prepared one is waited for");
	my $before = session($node);
	$before->must('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $saw = $before->must($recheck);
	one($node, $round % 2 ? "COMMIT PREPARED 'round$round'" : "ROLLBACK PREPARED 'round$round'");
	is($before->must($recheck), $saw, "$name, prepared ended: a snapshot of before");
	equal_after("$name, prepared ended");
	is($before->must($recheck), $saw, "$name, prepared ended: a snapshot of before, again");
	$before->close;
	cmp_ok(one($node, q{SELECT sum(hits) FROM cachex.stats}), '>=', 4, "$name: hits come back");
	my $after = pgbench($node, clients => 3, transactions => 200, scripts => [ [ 1, $read ], [ 1, $write ] ]);
	is($after->{status}, 0, "$name: load after it");
	is_idle_and_consistent($node, $name);
}
my @killed = grep { /was terminated by signal/ } split(/\n/, slurp_file($node->logfile));
is(scalar(@killed), $nkilled, 'no other process has crashed');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP/, 'nor failed');
$node->stop;

done_testing();
