
# Writers that wait for a standby which is not there: their transactions have
# been written as committed, but nobody sees them.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_server('main', { allows_streaming => 1 }, 'max_prepared_transactions = 10',
	'max_connections = 40', 'cachex.memory = 16MB');
$node->safe_psql('postgres', q{
	CREATE TABLE t (k int PRIMARY KEY, v int);
	INSERT INTO t SELECT i, 0 FROM generate_series(1, 20) i;
	CREATE TABLE u (v int);
	INSERT INTO u VALUES (0);
	CREATE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT sum(v) FROM public.t';
	SELECT cachex.watch('t'), cachex.watch('u')});

my ($reader, $second, $old, $watch) = map { session($node) } 1 .. 4;
$_->must(q{SET lock_timeout = '50ms'}) foreach $reader, $second, $old;

# The cached answer beside the direct one, of the same snapshot.
sub both
{
	my $query = shift;
	return "SELECT cachex.fetch('queries', md5('$query'), '$query'), ($query)";
}

my $sum = 'SELECT sum(v) FROM t';
my $other = 'SELECT v FROM u';

sub says
{
	my ($session, $query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is($session->must(both($query)), "$want|$want", $name);
}

# Right answers, and all of them hits; the first look may still have to settle
# something.
sub hits
{
	my ($query, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	says($reader, $query, $want, "$name: right");
	my $before = $reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'queries'});
	my @got = map { $_->must(both($query)) } $reader, $second, $reader;
	is("@got", join(' ', ("$want|$want") x 3), "$name: right again");
	return is($reader->must(q{SELECT hits FROM cachex.stats WHERE cache = 'queries'}),
		$before + 3, "$name: by hits");
}

# Until a commit waits for the standby: it does so not by the setting, but by
# what the checkpointer has made of it.
sub until_commits_wait
{
	my $s = session($node);
	my $pid = $s->pid;
	for (1 .. 1000)
	{
		$s->send(q{SELECT pg_logical_emit_message(true, 'commit', '')});
		while ($s->is_waiting)
		{
			next if $watch->must("SELECT wait_event FROM pg_stat_activity WHERE pid = $pid") ne 'SyncRep';
			$watch->must("SELECT pg_cancel_backend($pid)");
			$s->receive;
			$s->close;
			return;
		}
		$s->receive;
	}
	die 'no commit waits';
}

sub standby
{
	my $name = shift;
	$node->safe_psql('postgres',
		"SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = '$name'");
	$node->reload;
	my $isset = $name eq '' ? '=' : '<>';
	until_true($watch, "current_setting('synchronous_standby_names') $isset ''");
	until_commits_wait() if $name ne '';
	return;
}

# Sends a transaction; returns its session once it waits for the standby.
sub waits
{
	my ($sql, $setup) = @_;
	my $s = session($node);
	my $pid = $s->pid;
	$s->must($setup) if $setup;
	$s->send($sql);
	until_true($watch, "wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $pid");
	$s->{pid_waiting} = $pid;
	return $s;
}

# Ends the wait; others see the transaction from then on.
sub ends
{
	my ($s, $how, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	if ($how eq 'standby')
	{
		standby('');
		$s->receive;
		is($s->error, '', "$name: it committed");
		standby('nobody');
	}
	else
	{
		$watch->must("SELECT $how($s->{pid_waiting})");
		$s->receive;
		like($s->error, $how eq 'pg_cancel_backend'
			? qr/canceling wait for synchronous replication/
			: qr/server closed the connection|terminating|connection to server was lost/,
			"$name: the wait has ended");
	}
	until_true($watch, "count(*) = 0 FROM pg_stat_activity WHERE pid = $s->{pid_waiting}")
	  if $how eq 'pg_terminate_backend';
	$s->close;
	return;
}

sub look_back
{
	$old->must("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class LIMIT 1");
	return;
}

# A snapshot of before agrees with itself, and others keep what is theirs.
sub looked_back
{
	my ($before, $after, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	says($old, $sum, $before, "$name: a snapshot of before");
	hits($sum, $after, "$name, at last");
	says($old, $sum, $before, "$name: a snapshot of before beside hits");
	$old->must('COMMIT');
	says($old, $sum, $after, "$name: when it has ended");
	return;
}

my $v = 0;
hits($sum, 0, 'before');
hits($other, 0, 'before, the other table');
standby('nobody');
hits($sum, 0, 'before, with the standby');

foreach my $how ('pg_cancel_backend', 'pg_terminate_backend', 'standby')
{
	# one writer
	my $s = waits('UPDATE t SET v = v + 1 WHERE k = 1');
	hits($sum, $v, "$how: while a writer waits");
	hits($other, 0, "$how: the other table");
	look_back();
	ends($s, $how, $how);
	says($second, $sum, $v + 1, "$how: the next read");
	looked_back($v, $v + 1, $how);
	$v++;

	# The old snapshot is the first to look, and fills.
	$s = waits('UPDATE t SET v = v + 1 WHERE k = 1');
	look_back();
	ends($s, $how, "$how, old first");
	says($old, $sum, $v, "$how, old first: the old one fills") for 1 .. 2;
	says($second, $sum, $v + 1, "$how, old first: a new one is not served that");
	looked_back($v, $v + 1, "$how, old first");
	$v++;

	# What is filled while it waits.
	$s = waits('UPDATE t SET v = v + 1 WHERE k = 2');
	my $fresh = "SELECT sum(v) + 0 FROM t WHERE $v = $v";
	hits($fresh, $v, "$how: what is filled while a writer waits");
	ends($s, $how, "$how, filled meanwhile");
	says($second, $fresh, $v + 1, "$how: it was of before");
	$v++;

	# several, which end in another order
	my @s = map { waits("UPDATE t SET v = v + 1 WHERE k = $_") } 3 .. 6;
	hits($sum, $v, "$how: while four wait");
	if ($how eq 'standby')
	{
		look_back();
		standby('');
		$_->receive, $_->close foreach @s;
		standby('nobody');
		says($second, $sum, $v + 4, "$how: when four have ended");
		looked_back($v, $v + 4, "$how: four");
		$v += 4;
	}
	else
	{
		foreach my $i (2, 0, 3, 1)
		{
			look_back();
			ends($s[$i], $how, "$how: of four, $i");
			says($second, $sum, $v + 1, "$how: of four, after $i");
			looked_back($v, $v + 1, "$how: of four, $i");
			$v++;
		}
	}

	# one that the cache has no place for stops nobody for longer than it lives
	@s = map { waits("UPDATE t SET v = v + 1 WHERE k = $_") } 7 .. 13;
	says($second, $sum, $v, "$how: while seven wait") for 1 .. 2;
	look_back();
	if ($how eq 'standby')
	{
		standby('');
		$_->receive, $_->close foreach @s;
		standby('nobody');
	}
	else
	{
		foreach my $i (reverse 0 .. $#s)
		{
			ends($s[$i], $how, "$how: of seven, $i");
			says($second, $sum, $v + @s - $i, "$how: of seven, after $i");
		}
	}
	looked_back($v, $v + 7, "$how: seven");
	$v += 7;

	# PREPARE waits, and so does COMMIT PREPARED.
	$s = waits(q{PREPARE TRANSACTION 'p'}, 'BEGIN; UPDATE t SET v = v + 1 WHERE k = 1');
	hits($sum, $v, "$how: while a PREPARE waits");
	ends($s, $how, "$how, PREPARE");
	hits($sum, $v, "$how: prepared");
	$s = waits(q{COMMIT PREPARED 'p'});
	hits($sum, $v, "$how: while a COMMIT PREPARED waits");
	look_back();
	ends($s, $how, "$how, COMMIT PREPARED");
	says($second, $sum, $v + 1, "$how: committed");
	looked_back($v, $v + 1, "$how, COMMIT PREPARED");
	$v++;
	$s = waits(q{PREPARE TRANSACTION 'p'}, 'BEGIN; UPDATE t SET v = v + 1 WHERE k = 1');
	ends($s, $how, "$how, PREPARE again");
	$s = waits(q{ROLLBACK PREPARED 'p'});
	hits($sum, $v, "$how: while a ROLLBACK PREPARED waits");
	ends($s, $how, "$how, ROLLBACK PREPARED");
	hits($sum, $v, "$how: taken back");

	# definitions: what is wanted is executed, or waits for the lock as it would
	$s = waits('CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE'
		. ' AS $$SELECT sum(v) + 1000 FROM public.t$$');
	my $f = 'SELECT f()';
	says($reader, $f, $v, "$how: while a function waits") for 1 .. 2;
	look_back();
	ends($s, $how, "$how, function");
	says($second, $f, $v + 1000, "$how: the function has changed");
	$old->must(both($f));
	is($old->must(both($f)), ($v + 1000) . '|' . ($v + 1000), "$how: for the old snapshot as well");
	$old->must('COMMIT');
	hits($f, $v + 1000, "$how: function, at last");
	hits($sum, $v, "$how: function, another query");
	$node->safe_psql('postgres', 'SET synchronous_commit = local;
		CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql STABLE
		AS $$SELECT sum(v) FROM public.t$$');
	hits($f, $v, "$how: function, undone");

	$s = waits('BEGIN; TRUNCATE u; INSERT INTO u VALUES (7); COMMIT');
	foreach my $session ($reader, $second)
	{
		my $got = $session->query(both($other));
		like($session->error, qr/lock timeout/, "$how: a TRUNCATE waits, and who reads the table waits for it")
		  or diag($got);
	}
	hits($sum, $v, "$how: others do not");
	ends($s, $how, "$how, TRUNCATE");
	hits($other, 7, "$how: after the TRUNCATE");
	$node->safe_psql('postgres', 'SET synchronous_commit = local; UPDATE u SET v = 0');
	hits($other, 0, "$how: after it, undone");
}

# The server goes while one waits: it has committed.
foreach my $mode ('immediate', 'fast')
{
	my $s = waits('UPDATE t SET v = v + 1 WHERE k = 20');
	hits($sum, $v, "$mode: while it waits");
	$_->close foreach $reader, $second, $old, $watch;
	$node->stop($mode);
	$s->receive;
	$s->close;
	$node->start;
	($reader, $second, $old, $watch) = map { session($node) } 1 .. 4;
	$_->must(q{SET lock_timeout = '50ms'}) foreach $reader, $second, $old;
	hits($sum, ++$v, "$mode: after the start");
	until_commits_wait();
}
standby('');

$_->close foreach $reader, $second, $old, $watch;
is_idle_and_consistent($node, 'at the end');
never_crashed($node);
$node->stop;

done_testing();
