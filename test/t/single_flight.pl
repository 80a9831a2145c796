
# Single flight: of the sessions that miss one key, one runs the loader and the
# others wait for it; whatever becomes of that one, nobody waits for nothing,
# and nobody is told what is wrong for his snapshot.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CachexTest;
use List::Util qw(max min);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Nothing here may be the work of the deadlock detector or of load_timeout
# unless a test asks for it.  It would take longer than $soon, which is a matter
# of milliseconds.
my $node = start_server('flight', 'cachex.memory = 64MB', 'max_connections = 130',
	'deadlock_timeout = 30s', 'cachex.load_timeout = 60s', 'restart_after_crash = on');
my $soon = 10;

# Loaders stop at the gate.  load() returns who runs it; what else it does, the
# row of the session says.
$node->safe_psql('postgres', q{
	SELECT cachex.create_cache('c', consistency => 'ttl');
	SELECT cachex.create_cache('e');
	SELECT cachex.get('c', 'x');
	CREATE TABLE gate (x int);
	CREATE TABLE gate2 (x int);
	CREATE TABLE t (k int PRIMARY KEY, v int);
	CREATE TABLE bare (v int);
	INSERT INTO t VALUES (1, 1), (2, 2);
	INSERT INTO bare VALUES (1);
	SELECT cachex.watch('t'), cachex.watch('gate');
	CREATE UNLOGGED TABLE act (pid int, what text);
	CREATE FUNCTION load() RETURNS int VOLATILE LANGUAGE plpgsql AS $$
	DECLARE
		how text := (SELECT what FROM act WHERE pid = pg_backend_pid());
	BEGIN
		IF how = 'fail' THEN
			PERFORM x FROM gate2;
			RAISE EXCEPTION 'boom';
		ELSIF how IS DISTINCT FROM 'pass' THEN
			PERFORM x FROM gate;
		END IF;
		RETURN pg_backend_pid();
	END $$;
	CREATE FUNCTION gated() RETURNS int STABLE LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM x FROM gate;
		RETURN 0;
	END $$;
	CREATE VIEW claims AS SELECT pid, granted, mode FROM pg_locks
		WHERE locktype = 'advisory' AND objsubid = 5;
	CREATE VIEW at_gate AS SELECT pid FROM pg_locks WHERE NOT granted
		AND locktype = 'relation' AND relation = 'gate'::regclass});

my $loading = q{(SELECT count(*) FROM at_gate)};
my $holders = q{(SELECT count(*) FROM claims WHERE granted AND mode = 'ExclusiveLock')};
my $waiting = q{(SELECT count(*) FROM claims WHERE NOT granted)};
my $fetch = q{SELECT cachex.fetch('c', 'k', 'SELECT load()')};
my $fetch_e = q{SELECT cachex.fetch('e', 'k', 'SELECT sum(v) + gated() FROM t')};

my ($ctl, $gate) = map { session($node) } 1 .. 2;

sub stat_of
{
	my ($cache, $columns) = @_;
	return $ctl->must("SELECT $columns FROM cachex.stats WHERE cache = '$cache'");
}

sub shut { $gate->must('BEGIN; LOCK TABLE gate'); return; }
sub let_go { $gate->must('COMMIT'); return; }

# Everything cold, and the gate shut.
sub fresh
{
	$ctl->must(q{TRUNCATE act; SELECT cachex.clear('c'), cachex.clear('e'),
		cachex.reset_stats()});
	shut();
	return;
}

# Sessions, each with what load() does for it.
sub sessions
{
	my ($n, $what) = @_;
	my @s = map { session($node) } 1 .. $n;
	foreach my $s (@s)
	{
		$s->{pid} = $s->pid;
		$ctl->must("INSERT INTO act VALUES ($s->{pid}, '$what')") if $what;
	}
	return @s;
}

# One that loads now, and some that wait for it.
sub send_loader
{
	my ($s, $sql) = @_;
	$s->send($sql // $fetch);
	until_true($ctl, "EXISTS (SELECT FROM at_gate WHERE pid = $s->{pid})");
	return;
}

sub send_waiters
{
	my ($sql, @s) = @_;
	$_->send($sql) foreach @s;
	until_true($ctl, '(SELECT count(*) FROM claims WHERE NOT granted AND pid IN ('
		  . join(',', map { $_->{pid} } @s) . ')) = ' . @s);
	return;
}

sub close_all { $_->close foreach @_; return; }

# What some sessions are told: each different answer once.
sub answers
{
	my %seen;
	foreach my $s (@_)
	{
		my $out = $s->receive;
		$out = $s->error =~ s/\n.*//sr if $s->error =~ /ERROR|FATAL/;
		$seen{$out}++;
	}
	return join(' ', map { "$_*$seen{$_}" } sort keys %seen);
}

# ---- many at once ----

# Lets them go when the first one has loaded for so many seconds, and all others
# wait; returns how many times as long the last one has waited for its answer.
sub herd
{
	my ($clients, $sql, $cache, $seconds) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir;
	# waiters look for deadlocks as they do by default
	local $ENV{PGOPTIONS} = '-c deadlock_timeout=1s';
	fresh();
	my $run = pgbench_start($node, clients => $clients, transactions => 1,
		options => [ '-l', "--log-prefix=$dir/log" ], scripts => [ [ 1, "$sql;\n" ] ]);
	my $loads = q{SELECT extract(epoch FROM clock_timestamp() - waitstart) FROM pg_locks
		WHERE relation = 'gate'::regclass AND NOT granted};
	until_true($ctl, "$waiting = $clients - 1 AND ($loads) >= $seconds");
	my $took = $ctl->must($loads);
	let_go();
	pgbench_wait($run);
	return (max(map { (split)[2] / 1e6 / $took } map { split /\n/, slurp_file($_) } glob "$dir/log*"),
		$run->{transactions} . '|' . stat_of($cache, 'loads, loads_deduped'));
}

foreach my $kind (
	[ 'fetch, ttl', 'c', q{SELECT cachex.fetch('c', 'k', 'SELECT sum(v) + gated() FROM t')} ],
	[ 'fetch, exact', 'e', $fetch_e ],
	[ 'fetch_as, ttl', 'c', q{SELECT cachex.fetch_as('c', 'k', 0, 'SELECT (sum(v) + gated())::int FROM t')} ],
	[ 'fetch_as, exact', 'e', q{SELECT cachex.fetch_as('e', 'k', 0, 'SELECT (sum(v) + gated())::int FROM t')} ],
	[ 'query, ttl', 'c', q{SELECT * FROM cachex.query('SELECT sum(v) + gated() FROM t', cache => 'c') AS r (v bigint)} ],
	[ 'query, exact', 'e', q{SELECT * FROM cachex.query('SELECT sum(v) + gated() FROM t', cache => 'e') AS r (v bigint)} ])
{
	my ($name, $cache, $sql) = @$kind;
	my ($took, $counted) = herd(20, $sql, $cache, 1);
	is($counted, '20|1|19', "$name: one load for 20 clients");
	my @took;
	# on a slow machine the load is to take so long that all else is little
	foreach my $seconds (1, 1, 3, 10, 20)
	{
		($took, $counted) = herd(100, $sql, $cache, $seconds);
		is($counted, '100|1|99', "$name: one load for 100 clients");
		push @took, $took;
		last if $took <= 1.2;
	}
	cmp_ok(min(@took), '<=', 1.2, sprintf('%s: the last of 100 has its answer after %.3f times the load',
		$name, min(@took)));
}
is($ctl->must("SELECT $holders + $waiting"), '0', 'no claim is left');

# ---- the loader dies ----

# kill ends the loader; its session is told the error.
sub loader_dies
{
	my ($name, $kill, %p) = @_;
	fresh();
	my ($first) = sessions(1, $p{what});
	my @others = sessions(6);
	my $sql = $p{sql} // $fetch;
	my $exact = $sql eq $fetch_e;
	$first->must($p{before}) if $p{before};
	$first->send($p{call} // $sql);
	until_true($ctl, "EXISTS (SELECT FROM pg_locks WHERE pid = $first->{pid} AND NOT granted)");
	send_waiters($sql, @others);
	my $start = time;
	$kill->($first);
	until_true($ctl, "$loading = 1 AND $waiting = 5 AND $holders = 1
		AND NOT EXISTS (SELECT FROM claims WHERE pid = $first->{pid})");
	my $took = time - $start;
	cmp_ok($took, '<', $soon, sprintf('%s: the next one loads after %.3f s', $name, $took));
	if ($p{error})
	{
		$first->receive;
		like($first->error, $p{error}, "$name: its own caller gets the error");
	}
	let_go();
	my $value = $exact ? 3 : "(?:" . join('|', map { $_->{pid} } @others) . ')';
	like(answers(@others), qr/^$value\*6$/, "$name: everyone else gets one answer");
	is(stat_of($exact ? 'e' : 'c', 'loads, loads_deduped'), '1|5', "$name: from one load");
	$p{after}->($first) if $p{after};
	close_all($first, @others);
	return;
}

foreach my $exact (0, 1)
{
	my $of = $exact ? 'exact' : 'ttl';
	my @sql = $exact ? (sql => $fetch_e) : ();
	loader_dies("pg_cancel_backend, $of", sub { $ctl->must("SELECT pg_cancel_backend($_[0]->{pid})") },
		error => qr/due to user request/, @sql);
	loader_dies("pg_terminate_backend, $of", sub { $ctl->must("SELECT pg_terminate_backend($_[0]->{pid})") },
		error => qr/due to administrator command/, @sql);
	loader_dies("statement_timeout, $of", sub { },
		before => 'SET statement_timeout = 4000',
		error => qr/due to statement timeout/, @sql);
	loader_dies("its client goes away, $of", sub { $_[0]->{harness}->signal('KILL') },
		before => 'SET client_connection_check_interval = 100', @sql);
}

# An error of the loader: the second gate opens, the first one stays shut.
my $gate2 = session($node);

foreach my $case (
	[ 'an error' ],
	[ 'an error in a query()', sql => q{SELECT v FROM cachex.query('SELECT load()', cache => 'c') AS r (v int)} ],
	[ 'an error, caught', before => 'BEGIN', error => undef,
		call => "DO \$\$ BEGIN PERFORM ($fetch); EXCEPTION WHEN raise_exception THEN NULL; END \$\$" ],
	[ 'an error in a subtransaction', before => 'BEGIN; SAVEPOINT s',
		after => sub {
			my $s = shift;
			isnt($s->must("ROLLBACK TO s; $fetch"), $s->{pid}, 'which is rolled back, and reads it then');
			$s->must('COMMIT');
		} ])
{
	my ($name, %p) = @$case;
	$gate2->must('BEGIN; LOCK TABLE gate2');
	loader_dies($name, sub { $gate2->must('COMMIT') }, what => 'fail',
		error => qr/boom/, %p);
}
$gate2->close;

# It dies again and again.  Nobody waits for more than three others in vain.
{
	fresh();
	my @s = sessions(8);
	send_loader($s[0]);
	send_waiters($fetch, @s[ 1 .. 7 ]);
	my $start = time;
	foreach my $left (6, 5, 4)
	{
		$ctl->must('SELECT pg_terminate_backend(pid) FROM claims WHERE granted');
		until_true($ctl, "$loading = 1 AND $waiting = $left AND $holders = 1");
	}
	$ctl->must('SELECT pg_terminate_backend(pid) FROM claims WHERE granted');
	until_true($ctl, "$loading = 4 AND $waiting = 0 AND $holders = 0");
	cmp_ok(time - $start, '<', $soon, 'three loaders die in turn: another takes over; the fourth one: all who are left');
	let_go();
	foreach my $s (@s)
	{
		my $out = $s->receive;
		ok($s->error =~ /FATAL/ || $out eq $s->{pid}, 'dead, or with his own answer');
	}
	is(stat_of('c', 'loads, loads_deduped'), '4|0', 'which are four loads');
	close_all(@s);
}

# ---- who waits ----

# One waiter is ended; the loader and the other waiters are not.
foreach my $case (
	[ 'cancelled', qr/due to user request/, '', 1 ],
	[ 'with statement_timeout', qr/due to statement timeout/, 'SET statement_timeout = 4000', 0 ])
{
	my ($name, $error, $set, $cancel) = @$case;
	fresh();
	my @s = sessions(4);
	send_loader($s[0]);
	send_waiters($fetch, @s[ 1, 2 ]);
	$s[3]->must("\\set VERBOSITY verbose\n$set");
	send_waiters($fetch, $s[3]);
	$ctl->must("SELECT pg_cancel_backend($s[3]->{pid})") if $cancel;
	$s[3]->receive;
	like($s[3]->error, qr/57014: .*$error/, "a waiter, $name, has an error");
	is($ctl->must("SELECT $loading, $waiting"), '1|2', "$name: the others wait on");
	let_go();
	is(answers(@s[ 0 .. 2 ]), "$s[0]->{pid}*3", "$name: and get the answer");
	is($s[3]->must("RESET statement_timeout; $fetch"), $s[0]->{pid}, "$name: his session goes on");
	is(stat_of('c', 'loads'), '1', "$name: one load");
	close_all(@s);
}

# Who gives up loads for himself.
foreach my $case (
	[ 'lock_timeout', 'SET lock_timeout = 100', 0.1, 1 ],
	[ 'lock_timeout in a transaction', 'BEGIN; SET LOCAL lock_timeout = 100; SELECT 1', 0.1, 1 ],
	[ 'lock_timeout beyond load_timeout', 'SET lock_timeout = 30000; SET cachex.load_timeout = 200', 0.2, 0 ],
	[ 'load_timeout', 'SET cachex.load_timeout = 200', 0.2, 0 ],
	[ 'load_timeout = 0', 'SET cachex.load_timeout = 0', 0, 1 ])
{
	my ($name, $set, $after, $others_wait) = @$case;
	my $sql = $fetch =~ s/'k'/'$name'/r;
	fresh();
	my ($first) = sessions(1);
	my ($w, $next) = sessions(2, 'pass');
	send_loader($first, $sql);
	$w->must($set);
	my $start = time;
	is($w->must($sql), $w->{pid}, "$name: he loads for himself");
	my $took = time - $start;
	cmp_ok($took, '>=', 0.9 * $after, "$name: after that time");
	cmp_ok($took, '<', $after + $soon, sprintf('%s: not long after it, %.3f s', $name, $took));
	is(stat_of('c', 'loads, loads_deduped'), '1|0', "$name: is counted");
	is(stat_of('c', $after ? 'wait_ms >= 900.0 * ' . $after : 'wait_ms = 0'), 't', "$name: his wait too");
	is($w->error, '', "$name: without a word");
	is($w->must('SELECT 1'), '1', "$name: his transaction goes on");
	$w->must('COMMIT') if $set =~ /BEGIN/;
	# what he has kept, the next one does not get
	$w->must("SELECT cachex.invalidate('c', '$name')");
	if ($others_wait)
	{
		send_waiters($sql, $next);
		pass("$name: others wait");
	}
	else
	{
		is($next->must($sql), $next->{pid}, "$name: the next one does not wait");
	}
	let_go();
	close_all($first, $w, $next);
}

# wait_ms
{
	fresh();
	my @s = sessions(3);
	send_loader($s[0]);
	send_waiters($fetch, @s[ 1, 2 ]);
	is(stat_of('c', 'wait_ms'), '0.000', 'wait_ms counts what is over');
	until_true($ctl, q{(SELECT min(clock_timestamp() - waitstart) FROM pg_locks
		WHERE objsubid = 5 AND NOT granted) >= '100 ms'});
	let_go();
	is(answers(@s), "$s[0]->{pid}*3", 'two have waited');
	is(stat_of('c', 'wait_ms BETWEEN 200 AND 20000'), 't', 'and wait_ms is the sum of it');
	close_all(@s);
}

# lookup()
foreach my $c (qw(c e))
{
	my $status = "SELECT status FROM cachex.lookup('$c', 'k')";
	my ($s) = sessions(1);
	fresh();
	is($ctl->must($status), 'miss', "lookup() in $c: miss");
	send_loader($s, $c eq 'c' ? $fetch : $fetch_e);
	is($ctl->must($status), 'loading', "lookup() in $c: loading");
	is($ctl->must("SELECT status FROM cachex.lookup('$c', 'other')"), 'miss', 'not another key');
	let_go();
	$s->receive;
	is($ctl->must($status), 'hit', "lookup() in $c: hit");
	$s->close;
}

# ---- what does not wait ----

# The first one loads; the second one is answered though the gate is shut.
sub does_not_wait
{
	my ($name, $sql, $first_sql, $before) = @_;
	fresh();
	my ($first) = sessions(1);
	my ($second) = sessions(1, 'pass');
	send_loader($first, $first_sql);
	$second->must($before) if $before;
	like($second->must($sql), qr/\b$second->{pid}$/, "$name: is answered");
	is($ctl->must("SELECT $waiting, $loading"), '0|1', "$name: does not wait");
	is(stat_of('c', 'wait_ms = 0 AND loads = 1'), 't', "$name: loads");
	let_go();
	is($first->receive, $first->{pid}, "$name: and the first one has its own");
	close_all($first, $second);
	return;
}

$ctl->must(q{CREATE ROLE other; GRANT SELECT ON gate, gate2, act TO other;
	SELECT cachex.grant_cache('c', 'other', 'read'), cachex.grant_cache('c', 'other', 'write');
	CREATE TABLE scratch (x int)});
does_not_wait('another query', q{SELECT cachex.fetch('c', 'k', 'SELECT  load()')});
does_not_wait('another parameter', map {
	qq{SELECT cachex.fetch('c', 'k', 'SELECT load() + 0 * \$1::int', params => '{$_}')} } 1, 2);
does_not_wait('another type', q{SELECT cachex.fetch_as('c', 'k', 0, 'SELECT load()')});
does_not_wait('another scope', q{SELECT cachex.fetch('c', 'k', 'SELECT load()', scope => 's')});
does_not_wait('another key', q{SELECT cachex.fetch('c', 'k2', 'SELECT load()')});
does_not_wait('mode bypass', q{SELECT cachex.fetch('c', 'k', 'SELECT load()', mode => 'bypass')});
does_not_wait('mode refresh', q{SELECT cachex.fetch('c', 'k', 'SELECT load()', mode => 'refresh')});
does_not_wait('fetch_many', q{SELECT * FROM cachex.fetch_many('c', '{k}', 'SELECT k AS key, load() AS value FROM unnest($1) k')});
does_not_wait('another role', $fetch, $fetch, 'SET ROLE other');
does_not_wait('who has written', $fetch, $fetch, 'BEGIN; INSERT INTO scratch VALUES (1)');
does_not_wait('who has written in a savepoint', $fetch, $fetch,
	'BEGIN; SAVEPOINT s; INSERT INTO scratch VALUES (1); ROLLBACK TO s');

# Whom exact entries are not for, or who could not keep any; then others do wait.
foreach my $case (
	[ 'SERIALIZABLE', q{SET default_transaction_isolation = 'serializable'} ],
	[ 'a temporary table hides another', 'CREATE TEMP TABLE t AS SELECT 1 AS v' ])
{
	my ($name, $before) = @$case;
	fresh();
	my ($first, $second, $third) = sessions(3);
	$second->must($before);
	send_loader($second, $fetch_e);
	is($ctl->must("SELECT $holders"), '0', "$name: loads for nobody else");
	send_loader($first, $fetch_e);
	send_waiters($fetch_e, $third);
	let_go();
	is(answers($first, $third), '3*2', "$name: others load for each other");
	$second->receive;
	shut();
	$ctl->must(q{SELECT cachex.clear('e')});
	send_loader($first, $fetch_e);
	send_loader($second, $fetch_e);
	is($ctl->must("SELECT $waiting"), '0', "$name: does not wait");
	let_go();
	$_->receive foreach $first, $second;
	is(stat_of('e', 'loads, loads_deduped'), '4|1', "$name: is counted");
	close_all($first, $second, $third);
}

# Who goes on in his transaction.
{
	fresh();
	let_go();
	my ($s) = sessions(1);
	$s->must("BEGIN; $fetch; $fetch_e");
	is($ctl->must('SELECT count(*) FROM claims'), '0', 'a claim does not last until the end of the transaction');
	$s->must('COMMIT');
	$s->close;
}

# ---- sessions in each other's way ----

# Two loaders that fetch each other's key.  The settings say how deep they are.
$ctl->must(q{CREATE FUNCTION nest(mine text, other text) RETURNS text VOLATILE LANGUAGE plpgsql AS $$
	DECLARE
		depth int := coalesce(nullif(current_setting('test.depth', true), ''), '0')::int;
		theirs text := '-';
	BEGIN
		PERFORM x FROM gate;
		IF depth < 2 THEN
			PERFORM set_config('test.depth', (depth + 1)::text, false);
			theirs := cachex.fetch('c', other, format('SELECT nest(%L, %L)', other, mine)) #>> '{}';
		END IF;
		PERFORM set_config('test.depth', depth::text, false);
		RETURN mine || theirs;
	END $$});
foreach my $case ([ 'each other\'s key', 'k1', 'k2' ], [ 'their own key', 'k1', 'k1' ])
{
	my ($name, $k1, $k2) = @$case;
	fresh();
	my @s = sessions(2);
	$s[0]->send("SELECT cachex.fetch('c', '$k1', 'SELECT nest(''$k1'', ''$k2'')')");
	until_true($ctl, "$loading = 1");
	$s[1]->send("SELECT cachex.fetch('c', '$k2', 'SELECT nest(''$k2'', ''$k1'')')");
	until_true($ctl, $k1 eq $k2 ? "$waiting = 1" : "$loading = 2 AND $holders = 2");
	my $start = time;
	let_go();
	like($_->receive, qr/^"(k\d)+-?"$/, "loaders that fetch $name: an answer") foreach @s;
	cmp_ok(time - $start, '<', $soon, 'at once');
	is($_->error, '', 'and no error') foreach @s;
	is($ctl->must("SELECT $holders + $waiting"), '0', 'no claim is left');
	close_all(@s);
}

# A loader that fetches its own key with another query, and one that fetches many.
fresh();
let_go();
is($ctl->must(q{SELECT cachex.fetch('c', 'k', 'SELECT 1 + cachex.fetch(''c'', ''k'', ''SELECT 5'')::int')}),
	'6', 'a loader that fetches its own key with another query');
is($ctl->must(q{SELECT cachex.fetch('c', 'k0', 'SELECT sum(cachex.fetch(''c'', ''k'' || i, ''SELECT 1'')::int)
	FROM generate_series(1, 50) i')}), '50', 'a loader that fetches fifty others');
$ctl->must(q{CREATE FUNCTION deep(n int) RETURNS int VOLATILE LANGUAGE plpgsql AS $$
	BEGIN
		RETURN CASE WHEN n = 0 THEN 0 ELSE 1 + cachex.fetch_as('c', 'deep' || n, 0, format('SELECT deep(%s)', n - 1)) END;
	END $$});
is($ctl->must('SELECT deep(40)'), '40', 'loaders nested forty deep');
is($ctl->must(q{SELECT count(*) FROM cachex.entries('c', 'deep%')}), '40', 'are all kept');

# A queue for a table that closes a circle: the deadlock detector lets the
# loader, who waits for it, pass.
foreach my $late (0, 1)
{
	fresh();
	let_go();
	my ($w, $d, $o) = sessions(3);
	my $sql = q{SELECT cachex.fetch('c', 'k', 'SELECT sum(v) FROM t')};
	$_->must("SET deadlock_timeout = '" . ($late ? '500ms' : '200ms') . q{'}) foreach $w, $d, $o;
	$w->must('BEGIN; SELECT count(*) FROM t');
	$d->send('ALTER TABLE t ADD COLUMN IF NOT EXISTS v2 int');
	until_true($ctl, "EXISTS (SELECT FROM pg_locks WHERE pid = $d->{pid} AND NOT granted)");
	$o->send($sql);
	until_true($ctl, "EXISTS (SELECT FROM pg_locks WHERE pid = $o->{pid} AND NOT granted)");
	# at first they wait for nobody who waits for them
	until_true($ctl, "EXISTS (SELECT FROM pg_locks WHERE pid = $o->{pid}
		AND clock_timestamp() - waitstart > '600 ms')") if $late;
	my $start = time;
	is($w->must($sql), '3', 'a queue behind who waits: an answer');
	cmp_ok(time - $start, '<', $soon, sprintf('after %.3f s', time - $start));
	is($o->receive . $o->error, '3', 'the loader has one, too');
	ok($d->is_waiting, 'whom they passed waits on');
	$w->must('COMMIT');
	$d->receive;
	unlike($d->error, qr/ERROR/, 'and is done after the commit');
	close_all($w, $d, $o);
}

# The loader waits for a lock of one who waits for him: whoever came first, the
# waiter notices it first, and loads for himself.
$ctl->must(q{CREATE FUNCTION keyed() RETURNS int VOLATILE LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM x FROM gate;
		PERFORM pg_advisory_xact_lock_shared(7);
		RETURN 1;
	END $$});
foreach my $first ('loader', 'waiter')
{
	my $sql = q{SELECT cachex.fetch('c', 'k', 'SELECT keyed()')};
	fresh();
	my ($w, $o) = sessions(2);
	$_->must(q{SET deadlock_timeout = '4s'}) foreach $w, $o;
	let_go() if $first eq 'loader';
	$w->must('BEGIN; SELECT pg_advisory_xact_lock(7)');
	$o->send($sql);
	until_true($ctl, "EXISTS (SELECT FROM pg_locks WHERE pid = $o->{pid} AND NOT granted)");
	$w->send($sql);
	if ($first eq 'waiter')
	{
		until_true($ctl, "$waiting = 1");
		let_go();
	}
	is($w->receive . $w->error, '1', "a loader in want of his waiter's lock, the $first waits first: an answer");
	$w->must('COMMIT');
	is($o->receive . $o->error, '1', 'no error for the loader');
	is(stat_of('c', 'loads'), '2', 'each has loaded');
	close_all($w, $o);
}

# ---- what is right for whose snapshot ----

# Someone whose snapshot is older than a commit that the loader sees.
foreach my $kind (
	[ 'exact', 'e', 'SELECT 1' ],
	[ 'ttl, a key is invalidated', 'c', q{SELECT cachex.invalidate('c', 'r')} ],
	[ 'ttl, a tag is invalidated', 'c', q{SELECT cachex.invalidate_tags('{tag}')} ])
{
	my ($name, $c, $invalidate) = @$kind;
	my $sql = qq{SELECT cachex.fetch('$c', 'r', 'SELECT sum(v) + gated() FROM t', tags => '{tag}')};
	$ctl->must('UPDATE t SET v = k');
	fresh();
	let_go();
	my ($new, $old, $old2, $writer) = sessions(4);
	$_->must('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t') foreach $old, $old2;
	$writer->must("BEGIN; UPDATE t SET v = v + 10 WHERE k = 1; $invalidate; COMMIT");
	shut();
	send_loader($new, $sql);
	send_waiters($sql, $old, $old2);
	let_go();
	is($new->receive, '13', "$name: the loader sees the commit");
	is(answers($old, $old2), '3*2', "$name: those with older snapshots do not, though they waited");
	is(stat_of($c, 'loads, loads_deduped'), '3|0', "$name: each loads for himself");
	is($ctl->must($sql), '13', "$name: what the first one loaded is kept");
	is(stat_of($c, 'loads'), '3', "$name: as before");
	close_all($new, $old, $old2, $writer);
}

# A commit while the load is under way.
foreach my $kind (
	[ 'exact', 'e', 'SELECT 1' ],
	[ 'ttl', 'c', q{SELECT cachex.invalidate('c', 'i')} ])
{
	my ($name, $c, $invalidate) = @$kind;
	my $sql = qq{SELECT cachex.fetch('$c', 'i', 'SELECT sum(v) + gated() FROM t')};
	$ctl->must('UPDATE t SET v = k');
	fresh();
	my ($first, $writer, @s) = sessions(12);
	send_loader($first, $sql);
	send_waiters($sql, @s[ 0 .. 4 ]);
	$writer->must("BEGIN; UPDATE t SET v = v + 10 WHERE k = 1; $invalidate; COMMIT");
	send_waiters($sql, @s[ 5 .. 9 ]);
	let_go();
	is($first->receive, '3', "$name: a commit during the load: the loader's answer is its snapshot's");
	is(answers(@s[ 0 .. 4 ]), '3*5', "$name: so is that of those who came before the commit");
	is(answers(@s[ 5 .. 9 ]), '13*5', "$name: nobody who came after it gets the old value");
	is($ctl->must($sql), '13', "$name: nor anyone later");
	close_all($first, $writer, @s);

	# only those who see the commit: one more load
	$ctl->must('UPDATE t SET v = k');
	fresh();
	($first, $writer, @s) = sessions(12);
	send_loader($first, $sql);
	$writer->must("BEGIN; UPDATE t SET v = v + 10 WHERE k = 1; $invalidate; COMMIT");
	send_waiters($sql, @s);
	let_go();
	is($first->receive, '3', "$name: a commit during the load, again");
	is(answers(@s), '13*10', "$name: those who came after it have the new value");
	is(stat_of($c, 'loads, loads_deduped'), '2|9', "$name: from one more load");
	close_all($first, $writer, @s);
}


# ---- what is never kept ----

# Everyone waits once; then, for ten seconds, nobody does.
my ($alone_since, $alone_by);
my $bare = q{SELECT cachex.fetch('e', 'bare', 'SELECT v + gated() FROM bare')};

foreach my $kind (
	[ 'ignore', q{SELECT cachex.fetch('c', 'ignored', 'SELECT load() AS value, true AS ignore')} ],
	[ 'a row that ends at once', q{SELECT cachex.fetch('c', 'ended', 'SELECT load() AS value, now() - interval ''1 s'' AS expires_at')} ],
	[ 'an unwatched table', $bare ])
{
	my ($name, $sql) = @$kind;
	fresh();
	my @s = sessions(6);
	send_loader($s[0], $sql);
	send_waiters($sql, @s[ 1 .. 5 ]);
	let_go();
	$alone_since = time;
	my $own = 0;
	foreach my $s (@s)
	{
		my $out = $s->receive;
		$own++ if $out eq ($sql eq $bare ? 1 : $s->{pid});
	}
	is($own, 6, "$name: each loads for himself");
	is(stat_of($sql eq $bare ? 'e' : 'c', 'loads, loads_deduped'), '6|0', "$name: once");
	shut();
	$_->send($sql) foreach @s;
	until_true($ctl, "$loading = 6");
	is($ctl->must("SELECT $waiting + $holders"), '0', "$name: the next time nobody waits");
	let_go();
	$_->receive foreach @s;
	$alone_by = time;
	close_all(@s);
}

# ---- the cache changes while someone waits for a load ----

foreach my $change (
	q{SELECT cachex.drop_cache('gone')},
	q{SELECT cachex.alter_cache('gone', '{"enabled": false}')},
	q{SELECT cachex.alter_cache('gone', '{"ttl": "1 min"}')},
	q{SELECT cachex.drop_cache('gone'); SELECT cachex.create_cache('gone', consistency => 'ttl')})
{
	my $sql = q{SELECT cachex.fetch('gone', 'k', 'SELECT load()')};
	$ctl->must(q{SELECT cachex.drop_cache('gone', true); SELECT cachex.create_cache('gone', consistency => 'ttl')});
	fresh();
	my @s = sessions(5);
	send_loader($s[0], $sql);
	send_waiters($sql, @s[ 1 .. 4 ]);
	$ctl->must($change);
	let_go();
	like(join(' ', map { $_->receive . $_->error } @s), qr/^\d+( \d+){4}$/, "an answer for all after $change");
	close_all(@s);
}

# ---- the ten seconds are over ----
{
	fresh();
	my ($s) = sessions(1);
	my $claimed = 0;
	# when the last one has asked who loaded alone
	my $alone = 0;
	while ($alone < 15)
	{
		my $asked = time - $alone_by;
		$s->send($bare);
		until_true($ctl, "$loading = 1");
		$claimed = $ctl->must("SELECT $holders");
		last if $claimed;
		$alone = $asked;
		$ctl->must("SELECT pg_cancel_backend($s->{pid})");
		$s->receive;
	}
	my $took = time - $alone_since;
	ok($claimed && $took > 8.5, sprintf('after %.1f s someone loads for all again', $took));
	let_go();
	$s->receive;
	$s->close;
}

# ---- nothing is left ----
is($ctl->must('SELECT count(*) FROM claims'), '0', 'no lock of ours is left');
close_all($ctl, $gate);
is_idle_and_consistent($node, 'at the end');
never_crashed($node);

# ---- the loader's process is killed ----
{
	($ctl, $gate) = map { session($node) } 1 .. 2;
	fresh();
	my @s = sessions(6);
	send_loader($s[0]);
	send_waiters($fetch, @s[ 1 .. 5 ]);
	kill 'KILL', $s[0]->{pid};
	$_->receive foreach @s;
	is(join('', map { $_->error !~ /server closed the connection|terminating connection/ } @s), '',
		'killed: all sessions end');
	until_up($node, 'SELECT true') or die 'no restart';
	is(one($node, "SET cachex.load_timeout = 0; $fetch") > 0 && one($node, $fetch) > 0, 1,
		'after the restart it is loaded');
	is(one($node, q{SELECT loads, hits FROM cachex.stats WHERE cache = 'c'}), '1|1', 'and kept');
	is(one($node, 'SELECT count(*) FROM claims'), '0', 'no claim is left');
}
$node->stop;

done_testing();
